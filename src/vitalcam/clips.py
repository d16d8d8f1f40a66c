"""Where windows are cut, transformed and put together again; the only place, for methods and networks alike."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam.errors import UnknownName
from vitalcam.types import Floats

_MIN_WEIGHT = 0.05


class Stitcher:
    """Overlap-add of waveform pieces on one absolute, uniform clock.

    A piece is standardised, weighted by a Hann window with a floor (the first and last samples of a recording have
    no neighbour to rely on) and added; where pieces overlap their weighted mean is the waveform.

    Args:
        fs_hz: rate of the clock; sample ``i`` lies at ``i / fs_hz``.
        first: number of the first sample that there can be.
    """

    def __init__(self, fs_hz: float, first: int = 0) -> None:
        self.fs_hz = fs_hz
        self.first = first
        self._sum: Floats = np.zeros(1024)
        self._weight: Floats = np.zeros(1024)
        self._n = 0

    def add(self, start: int, piece: Floats, *, signed: bool = True) -> None:
        """Add a piece (T,) whose first sample is number ``start``; NaN samples are left out.

        A piece whose sign means nothing (``signed`` False) is turned to agree with what it overlaps.
        """
        good = np.isfinite(piece)
        if not good.any():
            return
        scale = piece[good].std() or 1.0  # a piece without any change is a flat wave, not a gap
        start -= self.first
        stop = start + piece.size
        self._grow(stop)
        weight = np.where(good, np.maximum(np.hanning(piece.size + 2)[1:-1], _MIN_WEIGHT), 0.0)
        values = np.where(good, (piece - piece[good].mean()) / scale, 0.0)
        if not signed and self._sum[start:stop] @ values < 0:
            values = -values
        self._sum[start:stop] += weight * values
        self._weight[start:stop] += weight
        self._n = max(self._n, stop)

    def wave(self, start: int | None = None, stop: int | None = None) -> Floats:
        """The waveform (T,) from sample ``start`` to ``stop``, or all of it; NaN where nothing was added."""
        begin = 0 if start is None else start - self.first
        end = self._n if stop is None else stop - self.first
        self._grow(end)
        with np.errstate(invalid="ignore", divide="ignore"):
            return self._sum[begin:end] / self._weight[begin:end]

    def _grow(self, n: int) -> None:
        while self._sum.size < n:
            self._sum = np.concatenate([self._sum, np.zeros_like(self._sum)])
            self._weight = np.concatenate([self._weight, np.zeros_like(self._weight)])


def runs(valid: NDArray[np.bool_]) -> list[slice]:
    """The stretches of consecutive True values.

    >>> runs(np.array([True, True, False, True]))
    [slice(0, 2, None), slice(3, 4, None)]
    """
    edges = np.flatnonzero(np.diff(np.concatenate([[False], valid, [False]]).astype(np.int8)))
    return [slice(int(a), int(b)) for a, b in zip(edges[::2], edges[1::2], strict=True)]


class Rows:
    """The latest rows of numbers with their times; older ones are dropped.

    Args:
        columns: numbers in a row.
        keep_s: how far back a reader may look.
        dtype: of the numbers.
    """

    def __init__(self, columns: int, keep_s: float, dtype: type = np.float64) -> None:
        self._keep_s = keep_s
        size = 256 if columns < 4096 else 32
        self._times: Floats = np.empty(size)
        self._rows: Floats = np.empty((size, columns), dtype)
        self._first = self._n = 0
        self.count = 0
        """Rows pushed so far."""

    def push(self, time_s: float, row: Floats) -> None:
        """Append a row (columns,)."""
        self.count += 1
        if self._n == self._times.size:
            self._compact()
        self._times[self._n] = time_s
        self._rows[self._n] = row
        self._n += 1

    def between(self, t0_s: float, t1_s: float) -> tuple[Floats, Floats]:
        """Times (T,) and rows (T, columns) with t0_s <= time <= t1_s."""
        times = self._times[self._first : self._n]
        a = self._first + int(np.searchsorted(times, t0_s, "left"))
        b = self._first + int(np.searchsorted(times, t1_s, "right"))
        return self._times[a:b], self._rows[a:b]

    def _compact(self) -> None:
        oldest = self._times[self._n - 1] - self._keep_s
        first = int(np.searchsorted(self._times[: self._n], oldest, "left"))
        times, rows = self._times[first : self._n], self._rows[first : self._n]
        size = self._times.size if times.size <= self._times.size // 2 else 2 * self._times.size
        self._times, self._rows = np.empty(size), np.empty((size, rows.shape[1]), rows.dtype)
        self._times[: times.size], self._rows[: times.size] = times, rows
        self._first, self._n = 0, times.size


def transform(frames: Floats, name: str) -> Floats:
    """What a model wants done to a clip before it sees it.

    Args:
        frames: (T, H, W, C).
        name: "raw"; "standardized", zero mean and unit deviation over the whole clip; "diff", the normalised
            difference of consecutive frames over its deviation, the last frame zero (DeepPhys, Chen and McDuff 2018);
            "diff+standardized", both, stacked along C.

    Returns:
        (T, H, W, C) or (T, H, W, 2 C) float32.
    """
    if name == "raw":
        return frames.astype(np.float32, copy=False)
    if name == "standardized":
        return _over_deviation(frames - frames.mean())
    if name == "diff":
        difference = np.zeros(frames.shape)
        difference[:-1] = (frames[1:] - frames[:-1]) / (frames[1:] + frames[:-1] + 1e-7)
        return _over_deviation(difference)
    if name == "diff+standardized":
        return np.concatenate([transform(frames, "diff"), transform(frames, "standardized")], axis=-1)
    raise UnknownName("transform", name, ["raw", "standardized", "diff", "diff+standardized"])


def _over_deviation(values: NDArray[Any]) -> Floats:
    deviation = values.std()
    return np.asarray(values / deviation if deviation > 0 else np.zeros_like(values), np.float32)
