"""When each image of a folder was taken: from the digits in its name, or from a table beside it."""

from __future__ import annotations

import itertools
import json
import re
import statistics
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

_TABLES = {".csv", ".tsv", ".txt", ".json"}
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_EPOCH_S = (946_684_800, 4_102_444_800)  # the years 2000 to 2100
_STEP_S = (1 / 240, 1 / 5)  # of films of people; its ends are less than a factor of 1000 apart, so one unit fits
_IN_NAME = re.compile(r"(\d+(?:\.\d+)?)(ns|us|ms|s)?$")
_IN_HEADER = re.compile(r"(?:_|\(|\[| )(ns|us|ms|s)[)\]]?$")
_NAMES_TIME = re.compile(r"time|stamp|^t(_|$)", re.IGNORECASE)


def image_times_s(folder: Path, paths: Sequence[Path]) -> dict[Path, float] | None:
    """Seconds since the first image, for each image that has a time, in order of time; None if nothing tells."""
    times = _from_names(paths)
    tables = (p for p in folder.iterdir() if p.suffix.lower() in _TABLES)
    for table in sorted(tables, key=lambda p: ("time" not in p.stem.lower(), p.name)):
        times = times or _from_table(table, paths)
    return times


def _from_names(paths: Sequence[Path]) -> dict[Path, float] | None:
    found = [_IN_NAME.search(path.stem) for path in paths]
    stamps = {path: Fraction(match[1]) for path, match in zip(paths, found, strict=True) if match}
    units = {match[2] for match in found if match}
    if len(stamps) < len(paths) or len(units) != 1:
        return None
    unit = units.pop() or _epoch_unit(min(stamps.values()))
    return _since_first(stamps, unit)


def _from_table(table: Path, paths: Sequence[Path]) -> dict[Path, float] | None:
    try:
        columns = _columns(table)
        header = next((h for h in reversed(columns) if _NAMES_TIME.search(h)), "")
        stamps = [Fraction(str(value)) for value in columns[header]]
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None  # a table of something else
    named = next((names for names in columns.values() if paths[0].name in map(str, names)), None)
    if named is not None:
        of_name = dict(zip(map(str, named), stamps, strict=False))
        by_path = {path: of_name[path.name] for path in paths if path.name in of_name}
    elif len(stamps) == len(paths):
        by_path = dict(zip(paths, stamps, strict=True))
    else:
        return None
    unit = _IN_HEADER.search(header)
    return _since_first(by_path, unit[1] if unit else _epoch_unit(min(stamps)) or _step_unit(stamps))


def _columns(table: Path) -> dict[str, list[Any]]:
    """Columns by header; a table without headers has its times in the last column."""
    text = table.read_text(encoding="utf-8-sig")
    if table.suffix.lower() == ".json":
        return _json_columns(json.loads(text))
    rows = [re.split(r"\s*[,;\t]\s*|\s+", line.strip()) for line in text.splitlines() if line.strip()]
    header = rows[0][0].startswith("#") or not _is_number(rows[0][-1])
    names = [name.lstrip("#") for name in rows.pop(0) if name != "#"] if header else []
    names = names or [*(f"column {i}" for i in range(len(rows[0]) - 1)), "time"]
    return {name: list(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)}


def _json_columns(content: Any) -> dict[str, list[Any]]:
    if isinstance(content, list) and content and isinstance(content[0], dict):
        return {key: [row[key] for row in content] for key in content[0]}
    if isinstance(content, list):
        return {"time": content}
    if all(isinstance(value, list) for value in content.values()):
        return dict(content)
    return {"file": list(content), "time": list(content.values())}


def _is_number(text: str) -> bool:
    return re.fullmatch(r"[-+]?\d*\.?\d+(e[-+]?\d+)?", text, re.IGNORECASE) is not None


def _epoch_unit(stamp: Fraction) -> str | None:
    return next((u for u, n in _PER_SECOND.items() if _EPOCH_S[0] <= stamp / n < _EPOCH_S[1]), None)


def _step_unit(stamps: Sequence[Fraction]) -> str | None:
    if len(stamps) < 2:
        return None
    step = statistics.median(b - a for a, b in itertools.pairwise(stamps))
    return next((u for u, n in _PER_SECOND.items() if _STEP_S[0] <= step / n <= _STEP_S[1]), None)


def _since_first(stamps: dict[Path, Fraction], unit: str | None) -> dict[Path, float] | None:
    """Exact differences, then seconds: a float cannot hold nanoseconds since 1970."""
    if unit is None or len(set(stamps.values())) < len(stamps):
        return None
    ordered = sorted(stamps, key=stamps.__getitem__)
    first = stamps[ordered[0]]
    return {path: float((stamps[path] - first) / _PER_SECOND[unit]) for path in ordered}
