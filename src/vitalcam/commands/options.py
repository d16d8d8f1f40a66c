"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

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


PLACE = _Place(path_type=Path)
