"""Settings: TOML and ``key=value`` overrides into typed, frozen dataclasses; strict, with a digest."""

from __future__ import annotations

import dataclasses
import difflib
import hashlib
import json
import sys
import types
import typing
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from vitalcam.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

T = TypeVar("T")


def read_toml(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Raises:
        ConfigError: the file is missing or is not TOML.
    """
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}; give the path of a TOML file") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from None


def with_overrides(values: Mapping[str, Any], overrides: Iterable[str]) -> dict[str, Any]:
    """Apply ``a.b=value`` overrides; a value is read as TOML, and as plain text where it is not TOML.

    >>> with_overrides({"train": {"epochs": 10}}, ["train.epochs=1", "name=pos"])
    {'train': {'epochs': 1}, 'name': 'pos'}
    """
    result: dict[str, Any] = json.loads(json.dumps(values))
    for override in overrides:
        key, separator, text = override.partition("=")
        if not separator or not key.strip():
            raise ConfigError(f"override {override!r} is not of the form key=value")
        try:
            value = tomllib.loads(f"v = {text}")["v"]
        except tomllib.TOMLDecodeError:
            value = text
        node = result
        *path, last = key.strip().split(".")
        for part in path:
            node = node.setdefault(part, {})
            if not isinstance(node, dict):
                raise ConfigError(f"override {override!r}: {part!r} is a value, not a table")
        node[last] = value
    return result


def build(cls: type[T], values: Mapping[str, Any], *, where: str = "") -> T:
    """Build the dataclass ``cls`` from ``values``; unknown keys and wrong types are errors.

    Raises:
        ConfigError: names the key, what was expected and what came.
    """
    hints = typing.get_type_hints(cls)
    fields = {f.name: f for f in dataclasses.fields(cls) if f.init}  # type: ignore[arg-type]
    for key in values:
        if key not in fields:
            close = difflib.get_close_matches(key, fields, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else f" (there are: {', '.join(sorted(fields))})"
            raise ConfigError(f"unknown key {where + key!r}{hint}")
    try:
        return cls(**{k: _convert(hints[k], v, where + k) for k, v in values.items()})
    except TypeError as error:
        raise ConfigError(f"{where or cls.__name__}: {error}") from None


def check_types(settings: Any) -> None:
    """Raise ConfigError for a field of a dataclass whose value has the wrong type."""
    hints = typing.get_type_hints(type(settings))
    for field in dataclasses.fields(settings):
        _convert(hints[field.name], getattr(settings, field.name), field.name)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, Mapping):
        return build(typing.cast("type[Any]", hint), value, where=where + ".")
    if origin in (typing.Union, types.UnionType):
        for option in args:
            try:
                return _convert(option, value, where)
            except ConfigError:
                continue
    elif origin is tuple and isinstance(value, list | tuple):
        inner = [args[0]] * len(value) if args[-1] is Ellipsis else list(args)
        if len(inner) == len(value):
            return tuple(_convert(h, v, f"{where}[{i}]") for i, (h, v) in enumerate(zip(inner, value, strict=True)))
    elif _matches(hint, origin, args, value):
        return float(value) if hint is float else value
    expected = " or ".join(map(repr, args)) if origin is typing.Literal else getattr(hint, "__name__", str(hint))
    raise ConfigError(f"key {where!r}: expected {expected}, got {value!r}")


def _matches(hint: Any, origin: Any, args: tuple[Any, ...], value: Any) -> bool:
    if origin is typing.Literal:
        return value in args
    if hint in (int, float):  # a bool is an int to Python, not to a user
        return isinstance(value, (int, float) if hint is float else int) and not isinstance(value, bool)
    if isinstance(origin, type):
        return isinstance(value, origin)
    return not isinstance(hint, type) or isinstance(value, hint)


def to_dict(settings: Any) -> dict[str, Any]:
    """The settings as plain values that JSON can hold."""
    plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(settings), default=str))
    return plain


def digest(settings: Any) -> str:
    """Twelve hexadecimal digits that name these settings, whatever the order of their keys."""
    plain = to_dict(settings) if dataclasses.is_dataclass(settings) else settings
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]
