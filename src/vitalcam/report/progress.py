"""How far a measurement or a rendering is, on a terminal."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

_T = TypeVar("_T")


@contextmanager
def bar(*, quiet: bool, files: int = 1) -> Iterator[Callable[[float, float], None] | None]:
    """A bar on stderr: files done, or the seconds of video done where there is one file. None where nobody looks."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    unit = "files" if files > 1 else "s of video"
    columns = (
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.fields[all]} " + unit),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True, redirect_stdout=False) as drawn:
        task = drawn.add_task("", total=None, all="?")

        def tick(done: float, total: float) -> None:
            known = math.isfinite(total)
            drawn.update(task, completed=done, total=total if known else None, all=f"{total:.0f}" if known else "?")

        yield tick


def counted(items: Iterable[_T], what: str, total: int) -> Iterable[_T]:
    """The items, and a bar on stderr that counts them where somebody looks."""
    from rich.console import Console
    from rich.progress import track

    quiet = not sys.stderr.isatty()
    return track(items, what, total=total, console=Console(stderr=True), disable=quiet, transient=True)
