"""Presentation times that can be trusted: strictly increasing, from zero, repaired where a stamp is wrong."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import TypeVar

from vitalcam.errors import VideoError

Item = TypeVar("Item")


def note(warnings: list[str], sentence: str) -> None:
    """Add a warning unless it is there; a video may be read more than once."""
    if sentence not in warnings:
        warnings.append(sentence)


def steady(
    stamped: Iterable[tuple[Item, float | None]], step_s: float, warnings: list[str], source: str
) -> Iterator[tuple[Item, float]]:
    """Items with strictly increasing times, the first at 0.

    A stamp that is missing, does not advance or overtakes its successor is put between its neighbours. A clock that
    jumps back and runs on is taken for restarted, one nominal step later. With no stamps at all the nominal rate
    holds. What was repaired is told in ``warnings`` at the end. It looks one item ahead.

    Args:
        stamped: items with their stamp in seconds, or None.
        step_s: nominal step; NaN if unknown.
        warnings: a list to add to.
        source: what the warnings and errors speak of.

    Raises:
        VideoError: a stamp is missing and there is no rate to fill it in with.
    """
    clock = _Clock(step_s, source)
    try:
        for item, stamp, following in _with_next(stamped):
            yield item, clock.time(stamp, following)
    finally:
        for sentence in clock.report():
            note(warnings, f"{source}: {sentence}")


def _with_next(stamped: Iterable[tuple[Item, float | None]]) -> Iterator[tuple[Item, float | None, float | None]]:
    rows = iter(stamped)
    current = next(rows, None)
    while current is not None:
        following = next(rows, None)
        yield *current, following[1] if following else None
        current = following


class _Clock:
    """Time of the last item and the stamp that stands for zero."""

    def __init__(self, step_s: float, source: str) -> None:
        self.step_s = step_s
        self.source = source
        self.zero: float | None = None
        self.last = -math.inf
        self.count = self.stamps = self.repaired = self.restarts = 0

    def time(self, stamp: float | None, following: float | None) -> float:
        self.count += 1
        self.stamps += stamp is not None
        self.last = self._next(stamp, following)
        return self.last

    def _next(self, stamp: float | None, following: float | None) -> float:
        if self.count == 1:
            self.zero = stamp
            return 0.0
        if self.zero is None and stamp is not None:
            self.zero = stamp - self._step_after()
        now, then = self._since_zero(stamp), self._since_zero(following)
        if now is not None and now > self.last and not (then is not None and self.last < then <= now):
            return self._accept(now)
        if stamp is not None and now is not None and then is not None and now < then <= self.last:
            self.restarts += 1
            self.zero = stamp - self._step_after()
            return self._step_after()
        self.repaired += 1
        middle = math.inf if then is None else (self.last + then) / 2
        if math.isnan(self.step_s) and self.last < middle < math.inf:
            return middle
        step = self._step_after()
        return min(step, middle) if middle > self.last else step

    def _since_zero(self, stamp: float | None) -> float | None:
        return None if stamp is None or self.zero is None else stamp - self.zero

    def _accept(self, now: float) -> float:
        if math.isnan(self.step_s):
            self.step_s = now - self.last
        return now

    def _step_after(self) -> float:
        if math.isnan(self.step_s):
            raise VideoError(f"{self.source}: has no time stamps and no frame rate; give its rate (fps_hz, --fps)")
        return self.last + self.step_s

    def report(self) -> Iterator[str]:
        if self.count > 1 and not self.stamps:
            yield f"has no time stamps; its nominal rate of {1 / self.step_s:.3f} frames/s was used"
        elif self.repaired:
            yield f"{self.repaired} of {self.count} time stamps were missing or out of order and were interpolated"
        if self.restarts:
            yield f"its clock jumped back (times: {self.restarts}); each part follows one frame after the one before"
