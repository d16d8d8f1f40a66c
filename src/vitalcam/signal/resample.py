"""From uneven time stamps to a uniform clock, and back to chosen times.

The grid is absolute (its times are whole multiples of 1 / fs_hz), so that overlapping windows share samples. A value
depends on the two good samples before and the two after each point it is made of, so a stream gives the same
numbers as the whole recording.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.types import Signal

Array = NDArray[np.float64]

DENSE = 1.5
"""Samples per grid step from which a grid value is the mean over its step rather than the value at its time."""
UNEVEN = 4.0
"""Ratio of neighbouring steps from which the slope at a sample is taken over both at once: bursts amplify noise."""


def grid(t0_s: float, t1_s: float, *, fs_hz: float) -> Array:
    """Times k / fs_hz within [t0_s, t1_s], s.

    >>> grid(0.05, 0.2, fs_hz=20).tolist()
    [0.05, 0.1, 0.15, 0.2]
    """
    first, last = np.ceil(t0_s * fs_hz - 1e-6), np.floor(t1_s * fs_hz + 1e-6)
    return np.asarray(np.arange(first, last + 1) / fs_hz)


def uniform(
    values: ArrayLike, time_s: ArrayLike, *, fs_hz: float, t0_s: float, t1_s: float, max_gap_s: float = 0.25
) -> tuple[NDArray[Any], Array, NDArray[np.bool_]]:
    """Samples at uneven times on a uniform, absolute grid.

    Between samples the value is a cubic (Hermite, slopes from the parabola through three samples); where samples are
    more than 1.5 times denser than the grid, it is the mean of that curve over one grid step, so that a faster
    camera gives less noise.

    Args:
        values: (T, ...) one row for each sample, time first; a row with any NaN counts as not there.
        time_s: (T,) strictly increasing, s.
        fs_hz: rate of the grid.
        t0_s: the grid begins at the first of its times that is not before this.
        t1_s: it ends at the last that is not after this.
        max_gap_s: a longer distance between good samples is a gap.

    Returns:
        values (N, ...), float32 for float32 input and float64 otherwise, NaN where not valid; time_s (N,);
        valid (N,), False in gaps and outside the samples.

    Raises:
        ValueError: shapes do not match or times do not increase.
    """
    values, time = np.asarray(values), np.asarray(time_s, dtype=float)
    if time.ndim != 1 or values.shape[:1] != time.shape:
        raise ValueError(f"resample: {values.shape} values do not match {time.shape} times (time is the first axis)")
    if time.size > 1 and not np.all(np.diff(time) > 0):
        raise ValueError("resample: times must increase strictly")
    kind = np.float32 if values.dtype == np.float32 else np.float64
    flat = values.reshape(len(time), math.prod(values.shape[1:])).astype(kind, copy=False)
    at = grid(t0_s, t1_s, fs_hz=fs_hz)
    good = np.isfinite(flat).all(axis=1)
    if not good.all():
        flat, time = flat[good], time[good]
    out, valid = _sample(flat, time, at, 1 / fs_hz, max_gap_s)
    return out.reshape(at.shape + values.shape[1:]), at, valid


def at_times(signal: Signal, times_s: ArrayLike) -> Array:
    """A signal read at given times by straight lines; NaN outside it and next to its own NaN.

    Args:
        signal: values (..., T).
        times_s: (N,) s.

    Returns:
        (..., N), unit of the signal.
    """
    times = np.asarray(times_s, dtype=float)
    rows = np.asarray(signal.values, dtype=float).reshape(-1, signal.time_s.size)
    out = [np.interp(times, signal.time_s, row, left=np.nan, right=np.nan) for row in rows]
    return np.asarray(np.reshape(out, signal.values.shape[:-1] + times.shape))


def _sample(
    values: NDArray[Any], time: Array, at: Array, step_s: float, max_gap_s: float
) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Interpolate or average (T, M) good rows at the times ``at``; see `uniform`."""
    if time.size < 2:
        return np.full((at.size, values.shape[1]), np.nan, dtype=values.dtype), np.zeros(at.size, dtype=bool)
    rows, weights, valid = _weights(time, at, max_gap_s)
    out = _mixed(values, rows, weights)
    out[~valid] = np.nan
    dense = valid & (_local_rate(time, at) * step_s > DENSE)
    if dense.any():
        spread = (np.arange(8) - 3.5) / 8 * step_s
        out[dense] = _mean_of_points(values, time, at[dense, None] + spread, max_gap_s)
    return out, valid


def _local_rate(time: Array, at: Array) -> Array:
    """Samples per second around each time: over the interval that it lies in and one more on each side."""
    i = np.searchsorted(time, at, side="right") - 1
    first, last = np.clip(i - 1, 0, time.size - 1), np.clip(i + 2, 0, time.size - 1)
    return np.asarray((last - first) / np.maximum(time[last] - time[first], 1e-9))


def _mean_of_points(values: NDArray[Any], time: Array, points: Array, max_gap_s: float) -> NDArray[Any]:
    """(N, M): mean over the valid ones of (N, P) interpolated points; each row must have one."""
    total = np.zeros((points.shape[0], values.shape[1]), dtype=values.dtype)
    count = np.zeros(points.shape[0])
    for column in points.T:
        rows, weights, valid = _weights(time, column, max_gap_s)
        weights[~valid] = 0
        total += _mixed(values, rows, weights)
        count += valid
    total /= np.maximum(count, 1).astype(values.dtype)[:, None]
    return total


def _mixed(values: NDArray[Any], rows: NDArray[np.intp], weights: Array) -> NDArray[Any]:
    """(N, M): sums of four rows (N, 4) of values with their weights (N, 4)."""
    share = weights.astype(values.dtype)
    total = values[rows[:, 0]]
    total *= share[:, 0, None]
    part = np.empty_like(total)  # of a clip of pictures it is large: made once
    for k in range(1, 4):
        np.take(values, rows[:, k], axis=0, out=part, mode="clip")
        part *= share[:, k, None]
        total += part
    return total


def _weights(time: Array, at: Array, max_gap_s: float) -> tuple[NDArray[np.intp], Array, NDArray[np.bool_]]:
    """Rows (N, 4), their weights (N, 4), and whether the time lies between two samples without a gap (N,)."""
    i = np.clip(np.searchsorted(time, at, side="right") - 1, 0, time.size - 2)
    step = np.diff(time)
    inner = step[i]
    u = (at - time[i]) / inner
    within = (u >= 0) & (u <= 1 + 1e-9)
    u = np.clip(u, 0, 1)
    valid = within & ((inner <= max_gap_s) | (np.minimum(u, 1 - u) < 1e-6))
    before, after = np.maximum(i - 1, 0), np.minimum(i + 1, step.size - 1)
    left = np.where((i > 0) & (step[before] <= max_gap_s), step[before], np.nan)
    right = np.where((i < step.size - 1) & (step[after] <= max_gap_s), step[after], np.nan)
    hermite = ((1 + 2 * u) * (1 - u) ** 2, u * (1 - u) ** 2 * inner, -(u**2) * (1 - u) * inner, u**2 * (3 - 2 * u))
    out_l, in_l = _slope(inner, left)
    out_r, in_r = _slope(inner, right)
    # A slope is a mix of the inner chord and the outer one; spread both over the four samples.
    chord = (hermite[1] * in_l + hermite[2] * in_r) / inner
    far_l = hermite[1] * out_l / np.nan_to_num(left, nan=1.0)
    far_r = hermite[2] * out_r / np.nan_to_num(right, nan=1.0)
    weights = np.stack([-far_l, hermite[0] - chord + far_l, hermite[3] + chord - far_r, far_r], axis=1)
    rows = np.stack([before, i, i + 1, np.minimum(i + 2, time.size - 1)], axis=1)
    return rows, weights, valid


def _slope(inner: Array, outer: Array) -> tuple[Array, Array]:
    """Shares (outer chord, inner chord) of the slope at a sample between two steps; outer is NaN where missing."""
    known = np.isfinite(outer)
    outer = np.where(known, outer, inner)
    uneven = np.maximum(inner, outer) > UNEVEN * np.minimum(inner, outer)
    share = np.where(uneven, outer, inner) / (inner + outer)
    share = np.where(known, share, 0.0)
    return share, 1 - share
