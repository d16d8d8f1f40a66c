"""Folders and files that a command is given, which must be there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from vitalcam.errors import DataError


class _There(click.Path):
    """A path that is there. What is wrong is said in one line, where click takes three."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        wanted, other = ("folder", "file") if self.dir_okay else ("file", "folder")
        if not os.path.exists(value):  # noqa: PTH110 (pathlib raises for names that are too long)
            raise DataError(f"{value}: no such {wanted}")
        if os.path.isdir(value) != self.dir_okay:  # noqa: PTH112
            raise DataError(f"{value}: is a {other}, not a {wanted}")
        return Path(value)


FOLDER = _There(file_okay=False)
FILE = _There(dir_okay=False)
