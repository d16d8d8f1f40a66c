"""A folder is the registry: adding a method, model or data set is adding one file."""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

from vitalcam.errors import UnknownName


def names(package: str) -> list[str]:
    """Names of the public modules in ``vitalcam.<package>``, sorted; none of them is imported.

    >>> "pos" in names("methods")
    True
    """
    folder = importlib.import_module(f"vitalcam.{package}")
    return sorted(m.name for m in pkgutil.iter_modules(folder.__path__) if not m.name.startswith("_"))


def check(package: str, name: str) -> str:
    """The name that the file ``vitalcam.<package>.<name>`` has; upper and lower case are the same. Imports nothing.

    Raises:
        UnknownName: there is no such module; the message lists those there are.
    """
    key = name.lower().replace("-", "_")
    known = names(package)
    if key not in known:
        raise UnknownName(package.removesuffix("s"), name, known)
    return key


def find(package: str, name: str) -> ModuleType:
    """Import and return the module that `check` finds; raises as it does."""
    return importlib.import_module(f"vitalcam.{package}.{check(package, name)}")
