"""What can go wrong, in one tree.

    VitalcamError
    ├── UsageError            what was asked for cannot be done as asked
    │   ├── ConfigError       a setting is unknown or has the wrong type or value
    │   ├── UnknownName       no method, model, data set … of that name
    │   └── MissingExtra      an optional dependency is not installed
    ├── DataError             what was given cannot be used
    │   ├── VideoError        a video, image folder or camera cannot be read or written
    │   ├── DatasetError      a data set is incomplete or laid out differently
    │   └── WeightsError      a model file is damaged, unknown or does not fit
    └── OutputError           a result cannot be written

A message is one line: the file or name, what is wrong, what to do.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VitalcamError(Exception):
    """Root of every error that the package raises on purpose."""


class UsageError(VitalcamError, ValueError):
    """What was asked for cannot be done as asked."""


class ConfigError(UsageError):
    """A setting is unknown or has the wrong type or value."""


_LISTED = 36  # names that are still read


class UnknownName(UsageError):
    """No method, model, data set or recipe of that name.

    >>> str(UnknownName("method", "crom", ["chrom", "pos"]))
    "unknown method 'crom'; did you mean 'chrom'? (there are: chrom, pos)"
    """

    def __init__(self, what: str, name: str, known: Iterable[str]) -> None:
        known = sorted(known)
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        listed = f"there are: {', '.join(known) or 'none'}"
        if len(known) > _LISTED:
            nearest = difflib.get_close_matches(name, known, n=_LISTED // 3, cutoff=0.0)
            listed = f"there are {len(known)}, nearest: {', '.join(nearest)}"
        super().__init__(f"unknown {what} {name!r}{hint} ({listed})")


class MissingExtra(UsageError):
    """An optional dependency is not installed.

    >>> str(MissingExtra("EDF files", "edf"))
    'EDF files: install the extra first: pip install "vitalcam[edf]"'
    """

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(f'{purpose}: install the extra first: pip install "vitalcam[{extra}]"')


class DataError(VitalcamError):
    """What was given cannot be used."""


class VideoError(DataError):
    """A video, image folder or camera cannot be read or written."""


class DatasetError(DataError):
    """A data set is incomplete or laid out differently."""


class WeightsError(DataError):
    """A model file is damaged, unknown or does not fit."""


class OutputError(VitalcamError):
    """A result cannot be written."""
