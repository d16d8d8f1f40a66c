"""Breathing with known truth: cycle by cycle, with sighs, holds and speech.

Sources: Tobin et al., Chest 84 (1983) 202 and 286: rate, duty cycle and their spread at rest. Vlemincx et al., Physiol
Rep 1 (2013) e00042: sighs. Winkworth et al., J Speech Hear Res 38 (1995) 124: speech is quick in, slow out.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.types import Floats

_LEAD_S = 30.0  # cycles made before time 0, so that delays and the pulse have a past
_MEMORY = 0.3  # correlation of a cycle's length with the last one's


@dataclass(frozen=True)
class Breath:
    """How somebody breathes.

    Attributes:
        rate_per_min: breaths per minute, 5 .. 35.
        variability: standard deviation of the logarithm of a cycle's length.
        depth_variability: the same for its depth.
        inspired_fraction: share of a cycle spent breathing in; 0.4 at rest, 0.15 in speech.
        sighs_per_min: rate of sighs, breaths of about twice the depth.
        holds_per_min: rate of breaths held at the top.
        hold_s: how long each is held.
        speech: quick in, slow and even out; otherwise out fast at first and then a rest.
    """

    rate_per_min: float = 15.0
    variability: float = 0.2
    depth_variability: float = 0.2
    inspired_fraction: float = 0.4
    sighs_per_min: float = 0.2
    holds_per_min: float = 0.0
    hold_s: float = 15.0
    speech: bool = False

    def __post_init__(self) -> None:
        if not 2 <= self.rate_per_min <= 60 or not 0.05 <= self.inspired_fraction <= 0.8:
            raise ValueError(
                f"breath: rate_per_min 2..60 and inspired_fraction 0.05..0.8 expected, "
                f"got {self.rate_per_min} and {self.inspired_fraction}"
            )

    @classmethod
    def sample(cls, rng: np.random.Generator, **fixed: Any) -> Breath:
        """Somebody at random: two in three at rest around 14 per minute, the others anywhere in 5 .. 35."""
        speech = bool(fixed.get("speech", rng.random() < 0.15))
        rest = rng.random() < 2 / 3
        drawn = {
            "rate_per_min": float(np.clip(rng.normal(14, 4), 6, 25) if rest else rng.uniform(5, 35)),
            "variability": float(rng.uniform(0.25, 0.4) if speech else rng.uniform(0.1, 0.5)),
            "depth_variability": float(rng.uniform(0.1, 0.4)),
            "inspired_fraction": float(rng.uniform(0.12, 0.2) if speech else rng.uniform(0.2, 0.37)),
            "sighs_per_min": float(rng.uniform(0, 0.5)),
            "holds_per_min": 1.0 if rng.random() < 0.05 else 0.0,
            "speech": speech,
        }
        return cls(**{**drawn, **fixed})


@dataclass(frozen=True)
class Breathing:
    """One stretch of breathing; the truth is in `onset_s`.

    Attributes:
        onset_s: (N,) times at which inspirations begin, some before 0 and one after the end.
        inspired_s, held_s: (N - 1,) length of each inspiration and of the hold after it; the rest is expiration.
        depth: (N - 1,) depth of each breath, 1 typical.
        speech: expiration is even.
    """

    onset_s: Floats
    inspired_s: Floats
    held_s: Floats
    depth: Floats
    speech: bool

    def at(self, times_s: ArrayLike) -> Floats:
        """Volume of the lungs at any times: -1 at rest, 1 at the top of a typical breath, more in a sigh."""
        return self._volume_and_flow(times_s)[0]

    def flow_at(self, times_s: ArrayLike) -> Floats:
        """Flow of air, the derivative of `at` per second; positive inwards."""
        return self._volume_and_flow(times_s)[1]

    def rate_at(self, times_s: ArrayLike) -> Floats:
        """Breaths per minute, from the length of the cycles."""
        return rate_at(self.onset_s, times_s)

    def _volume_and_flow(self, times_s: ArrayLike) -> tuple[Floats, Floats]:
        times = np.asarray(times_s, float)
        k = np.clip(np.searchsorted(self.onset_s, times, side="right") - 1, 0, len(self.depth) - 1)
        since = times - self.onset_s[k]
        inspired, out = self.inspired_s[k], self.inspired_s[k] + self.held_s[k]
        expired = np.diff(self.onset_s)[k] - out
        u = np.clip(since / inspired, 0, 1)
        v = np.clip((since - out) / expired, 1e-9, 1)
        power = 1.0 if self.speech else 0.7  # > 0.5, so that the flow is 0 where expiration begins
        level = np.where(since < out, (1 - np.cos(np.pi * u)) / 2, (1 + np.cos(np.pi * v**power)) / 2)
        slope_in = np.pi / 2 * np.sin(np.pi * u) / inspired
        slope_out = -np.pi / 2 * np.sin(np.pi * v**power) * power * v ** (power - 1) / expired
        slope = np.where(since < inspired, slope_in, np.where(since < out, 0.0, slope_out))
        return 2 * self.depth[k] * level - 1, 2 * self.depth[k] * slope


def rate_at(onset_s: Floats, times_s: ArrayLike) -> Floats:
    """Events per minute at any times: 60 / interval in the middle of each interval, straight lines between."""
    middle = (onset_s[1:] + onset_s[:-1]) / 2
    return np.asarray(np.interp(np.asarray(times_s, float), middle, 60 / np.diff(onset_s)))


def breathing(breath: Breath, *, duration_s: float, rng: np.random.Generator) -> Breathing:
    """Make one stretch of breathing that covers at least 0 .. ``duration_s``."""
    mean_s = 60 / breath.rate_per_min
    n = int((duration_s + 2 * _LEAD_S) / mean_s * 2) + 8
    noise, swing = rng.normal(size=(2, n))
    for i in range(1, n):
        noise[i] = _MEMORY * noise[i - 1] + np.sqrt(1 - _MEMORY**2) * noise[i]
    length_s = mean_s * np.exp(breath.variability * noise - breath.variability**2 / 2)
    length_s = np.maximum(length_s, 0.4 * mean_s)
    depth = np.clip(np.exp(breath.depth_variability * swing), 0.3, 2.0)
    sigh = rng.random(n) < breath.sighs_per_min * mean_s / 60
    depth[sigh] *= rng.uniform(1.8, 2.5, sigh.sum())
    length_s[sigh] *= 1.3
    held_s = np.where(rng.random(n) < breath.holds_per_min * mean_s / 60, breath.hold_s, 0.0)
    inspired_s = breath.inspired_fraction * length_s
    onset_s = np.concatenate([[0.0], np.cumsum(length_s + held_s)]) - _LEAD_S - rng.uniform(0, mean_s)
    last = int(np.searchsorted(onset_s, duration_s + _LEAD_S)) + 1
    return Breathing(onset_s[: last + 1], inspired_s[:last], held_s[:last], depth[:last], breath.speech)
