"""All waveforms of a face on one uniform clock, as file formats want them."""

from __future__ import annotations

import math

import numpy as np

from vitalcam.signal.resample import at_times, grid
from vitalcam.types import FaceResult, Floats, Result, Signal

WAVEFORMS = ("bvp", "resp")
"""Signals that are sampled evenly; "ibi" is not one of them."""


def waveforms(
    face: FaceResult, *, fs_hz: float | None = None, start_s: float | None = None
) -> tuple[Floats, dict[str, Floats]]:
    """The waveforms of a face on one clock.

    Args:
        face: where they come from.
        fs_hz: rate of the clock; that of the fastest waveform where it is not given.
        start_s: where the clock starts; at the first sample where it is not given.

    Returns:
        Times (T,) in seconds, and each waveform (T,), NaN where it is unknown. All are empty if there is none.
    """
    signals = {name: face.signals[name] for name in WAVEFORMS if name in face.signals}
    signals = {name: signal for name, signal in signals.items() if signal.time_s.size > 1}
    if not signals:
        return np.empty(0), {}
    fs_hz = fs_hz or max(rate_hz(signal) for signal in signals.values())
    start = min(signal.time_s[0] for signal in signals.values()) if start_s is None else start_s
    end = max(signal.time_s[-1] for signal in signals.values())
    time_s = grid(start, end, fs_hz=fs_hz)
    return time_s, {name: at_times(signal, time_s) for name, signal in signals.items()}


def duration_s(result: Result) -> float:
    """Length of the recording; 0 where it is unknown."""
    value = float(result.video.get("duration_s") or 0.0)
    return value if math.isfinite(value) else 0.0


def start_s(result: Result) -> float:
    """Start of the recording: 0, or its first face where times are those of a clock and 0 was long before."""
    first = min((float(face.track.time_s[0]) for face in result.faces if face.track.time_s.size), default=0.0)
    return first if first < 0 or first > max(duration_s(result), 3600.0) else 0.0


def gaps(time_s: Floats, values: Floats) -> list[tuple[float, float]]:
    """Stretches (start, end) in seconds in which a waveform (T,) is unknown, whole samples each.

    >>> gaps(np.array([0.0, 0.5, 1.0, 1.5]), np.array([1, np.nan, np.nan, 2]))
    [(0.5, 1.5)]
    """
    edges = np.diff(np.concatenate([[False], np.isnan(values), [False]]).astype(np.int8))
    ends = np.append(time_s, 2 * time_s[-1:] - time_s[-2:-1])
    starts, stops = np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)
    return [(float(time_s[a]), float(ends[b])) for a, b in zip(starts, stops, strict=True)]


def rate_hz(signal: Signal) -> float:
    """Samples per second, to a millionth: stored times are k / fs_hz only to rounding."""
    return round(float(1 / np.median(np.diff(signal.time_s))), 6)
