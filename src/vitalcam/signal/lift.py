"""What the chest says about breath: it rises and falls with it, and with the whole body when that sways."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.signal import spectrum
from vitalcam.signal.filter import bandpass
from vitalcam.types import Floats

_TREMOR_HZ = (0.8, 2.5)
"""Faster than breath: steps, and a chest that was not followed well."""


@dataclass(frozen=True)
class Lift:
    """The chest's own motion over one window.

    Attributes:
        rate_hz: of its highest peak.
        wave: (T,) in the breathing band, in face sides, upward.
        share: of its power that lies about that peak.
        percent: its deviation, in per cent of the face.
        apart: its deviation over that of the chest before the head's motion was taken off: 0 where head and chest
            sway as one.
        steadiness: deviation in the breathing band over that above it.
    """

    rate_hz: float
    wave: Floats
    share: float
    percent: float
    apart: float
    steadiness: float

    def features(self) -> dict[str, float]:
        """Name to value, for reports."""
        return {f"chest_{name}": getattr(self, name) for name in ("share", "percent", "apart", "steadiness")}


def lift(chest: ArrayLike, head: ArrayLike, *, fs_hz: float, low_hz: float, high_hz: float) -> Lift | None:
    """Look at the chest without what it shares with the head.

    Whoever sways moves the head at least as far as the chest. So the head's motion is taken off as often as it fits
    best, but once at most: breath, which moves the head a little, cannot be taken off with it.

    Args:
        chest, head: (T,) how far down they are, in face sides; finite.
        fs_hz: sampling rate.
        low_hz, high_hz: the breathing band.

    Returns:
        None where the chest does not move, or has no highest peak within the band.
    """
    whole, beside = bandpass(np.stack([chest, head]), low_hz, high_hz, fs_hz=fs_hz)
    if not whole.std() > 0:
        return None
    own = whole - np.clip(whole @ beside / max(float(beside @ beside), 1e-300), 0, 1) * beside
    freq, power = spectrum.power(own, fs_hz=fs_hz, low_hz=low_hz, high_hz=high_hz, grid_bpm=0.25)
    rate_hz = float(spectrum.peak(freq, power)[0])
    if not math.isfinite(rate_hz):
        return None
    about = np.abs(freq - rate_hz) <= fs_hz / own.size
    faster = bandpass(chest, *_TREMOR_HZ, fs_hz=fs_hz)
    return Lift(
        rate_hz=rate_hz,
        wave=-own,
        share=float(power[about].sum() / power.sum()),
        percent=100 * float(own.std()),
        apart=float(own.std() / whole.std()),
        steadiness=float(own.std() / max(float(faster.std()), 1e-300)),
    )


SIGNS = (1, 1, 1, 1)
"""All of `terms` speak for the rate."""


def terms(seen: Lift) -> Floats:
    """What the confidence is made of, each bounded."""
    return np.array([
        seen.share,
        float(np.clip(np.log2(seen.percent + 1e-3), -1, 1)),
        float(np.clip(np.log2(seen.apart + 1e-3), -2, 0)),
        float(np.clip(np.log2(seen.steadiness + 1e-3), -1, 2)),
    ])  # fmt: skip
