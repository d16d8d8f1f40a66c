"""A folder is the registry: adding a method, model or data set is adding one file."""

from __future__ import annotations

import importlib
import inspect
import pkgutil
from collections.abc import Mapping
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitalcam.errors import ConfigError, UnknownName

if TYPE_CHECKING:
    from torch import nn


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


def network(model: str, variant: str, options: Mapping[str, Any]) -> nn.Module:
    """A network of `vitalcam.models`, untrained.

    Args:
        model, variant, options: what its module's ``build`` is called with.

    Raises:
        UnknownName: there is no such model or variant.
        ConfigError: there is no such option, or no such value of it.
    """
    build = find("models", model).build
    takes = inspect.signature(build).parameters
    known = [name for name in takes if name not in ("variant", "options")]
    unknown = set(options) - set(known)
    if unknown and "options" not in takes:  # where it is, the module tells
        raise ConfigError(f"{model}: unknown option {min(unknown)!r} (there are: {', '.join(known) or 'none'})")
    made: nn.Module = build(variant, **options)
    return made


def sized(model: str, size_px: int) -> dict[str, int]:
    """The option that tells a model the side of its pictures; empty for 0, and where no layer depends on it."""
    takes = inspect.signature(find("models", model).build).parameters
    return {"size_px": size_px} if size_px and "size_px" in takes else {}
