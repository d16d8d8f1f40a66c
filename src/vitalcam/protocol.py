"""How an evaluation reads rates off waves: the protocol, and what it makes of one window."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from vitalcam import clips, metrics
from vitalcam.errors import ConfigError
from vitalcam.types import Bools, Floats

QUANTITIES: Mapping[str, str] = {"bvp": "heart_rate", "resp": "resp_rate"}
"""The rate that is read off each kind of wave."""

LATE_S = 0.25
"""A window may end this much after the last frame."""

_MIN_KNOWN = 0.5
_MIN_SAMPLES = 32


@dataclass(frozen=True)
class Protocol:
    """How waves are made and rates are read off them.

    Attributes:
        profile: whose evaluation code; a name of `vitalcam.metrics.PROFILES`.
        method: rate by the spectrum ("fft") or by the beats ("peak").
        window_s: windows of this length; 0 for the whole recording.
        step_s: from one window to the next; 0 for one after the other.
        short_windows: keep the last window though it is shorter, as the published codes do.
        overlap: of the clips of a network, as a share of their length; at 0 clips follow each other and frames after
            the last whole one are left out, as in the published codes.

    Raises:
        UnknownName: there is no such profile.
        ConfigError: a value is out of its range.
    """

    profile: str = "vitalcam"
    method: Literal["fft", "peak"] = "fft"
    window_s: float = 0.0
    step_s: float = 0.0
    short_windows: bool = False
    overlap: float = 0.5

    def __post_init__(self) -> None:
        metrics.profile_named(self.profile)
        if not (self.window_s == 0 or 4.5 <= self.window_s <= 600):
            raise ConfigError(f"window_s is {self.window_s:g}; it must be 4.5 to 600 seconds, or 0 for the whole")
        if self.step_s and not 0.2 <= self.step_s <= self.window_s:
            raise ConfigError(f"step_s is {self.step_s:g}; it must be 0.2 seconds to the length of the windows")
        if not 0 <= self.overlap < 1:
            raise ConfigError(f"overlap is {self.overlap:g}; it must be 0 or more and less than 1")

    def rate(self, prepared: Floats, kind: str, fs_hz: float) -> float:
        """Rate per minute of a wave (T,) that `vitalcam.metrics.prepare` made."""
        return metrics.rate(prepared, method=self.method, **self._how(kind, fs_hz))

    def true_rate(self, truth: Floats, kind: str, fs_hz: float) -> float:
        """Rate of a true wave (T,) without gaps; NaN for a wave that does not move: somebody without a pulse."""
        return self.rate(self.prepared(truth, kind, fs_hz), kind, fs_hz) if np.ptp(truth) > 0 else math.nan

    def prepared(self, wave: Floats, kind: str, fs_hz: float, *, differenced: bool = False) -> Floats:
        """A wave (T,) as the profile filters it."""
        return metrics.prepare(wave, differenced=differenced, **self._how(kind, fs_hz))

    def likeness(self, prepared: Floats, truth: Floats, kind: str, fs_hz: float) -> tuple[float, float]:
        """How like the true wave (T,) a prepared one (T,) is: SNR in dB about the true rate, and MACC."""
        rate = self.true_rate(truth, kind, fs_hz)
        snr_db = metrics.snr_db(prepared, rate, **self._how(kind, fs_hz)) if math.isfinite(rate) else math.nan
        return snr_db, metrics.macc(prepared, self.prepared(truth, kind, fs_hz))

    def _how(self, kind: str, fs_hz: float) -> Any:
        return {"fs_hz": fs_hz, "profile": self.profile, "kind": kind}


def enough(known: Bools) -> bool:
    """Whether the known samples (T,) of a window are so many that they say something about it."""
    return bool(known.sum() >= _needed(known))


def longest(known: Bools) -> slice | None:
    """The longest stretch of known samples (T,) of a window; None where it is too short to say something about it."""
    run = max(clips.runs(known), key=lambda r: r.stop - r.start, default=slice(0, 0))
    return run if run.stop - run.start >= _needed(known) else None


def _needed(window: Bools) -> float:
    return max(_MIN_KNOWN * window.size, _MIN_SAMPLES)
