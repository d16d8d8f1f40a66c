"""What several commands have in common: options, arguments, how they are interrupted."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from vitalcam.errors import DataError

EVERYTHING = slice(0, None, 1)
"""The shard 1/1."""


def every_nth(text: str) -> slice:
    """What ``I/N`` asks for: every N-th of a list, from the I-th on.

    Raises:
        ValueError: it is not of that form.
    """
    first, _, step = text.partition("/")
    if not (first.isdecimal() and step.isdecimal() and 1 <= int(first) <= int(step)):
        raise ValueError(f"{text} is not I/N with I from 1 to N; two processes take 1/2 and 2/2")
    return slice(int(first) - 1, None, int(step))


def shard(_ctx: click.Context, _parameter: click.Parameter, text: str) -> slice:
    """Callback of an option that `every_nth` reads."""
    try:
        return every_nth(text)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


class _Place(click.Path):
    """A path; not the empty word, which would mean the current folder."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not str(value).strip():
            self.fail("the name is empty; give one, or . for this folder", param, ctx)
        return super().convert(value, param, ctx)


class _There(_Place):
    """A path that is there. What is wrong is said in one line, where click takes three."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        wanted, other = ("folder", "file") if self.dir_okay else ("file", "folder")
        if value and not os.path.exists(value):  # noqa: PTH110 (pathlib raises for names that are too long)
            raise DataError(f"{value}: no such {wanted}")
        if value and os.path.isdir(value) != self.dir_okay:  # noqa: PTH112
            raise DataError(f"{value}: is a {other}, not a {wanted}")
        return super().convert(value, param, ctx)


PLACE = _Place(path_type=Path)
FOLDER = _There(file_okay=False, path_type=Path)
FILE = _There(dir_okay=False, path_type=Path)


class Resumable(click.Command):
    """A command that goes on where it was when it is called again with the same --out."""

    def invoke(self, ctx: click.Context) -> Any:
        """Say so when it is interrupted."""
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            if not ctx.params.get("out"):
                raise
            click.echo("vitalcam: interrupted; repeat the same call to go on", err=True)
            ctx.exit(130)
