"""A pulse of blood with known truth: when the heart beats, and what each beat looks like in the skin.

The instants of the beats come from integrating a rate (profile + breathing + 0.1 Hz + 1/f); each beat then adds its
own wave of three Gaussians, whose length follows the square root of the interval: systole shortens less than diastole.
Waves of neighbouring beats overlap and add, so that a fast pulse becomes round, as in life.

Sources: McSharry et al., IEEE TBME 50 (2003) 289: rate with RSA and Mayer peaks. Hyndman and Mohn, Automedica 1 (1975)
239: integral pulse frequency modulation. Weissler et al., Circulation 37 (1968) 149: systolic time. Millasseau et al.,
Clin Sci 103 (2002) 371, and Dawber et al., Angiology 24 (1973) 244: age and the reflected wave. Nunan et al., Pacing
Clin Electrophysiol 33 (2010) 1407: SDNN and RMSSD. The shapes were set beside the ear and finger traces of PhysioKit.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.synth.breath import Breathing, rate_at
from vitalcam.types import Floats

_LEAD_S = 10.0
_GRID_HZ = 50.0
_REFERENCE_S = 0.85  # interval at which the waves below are given
_AF_SPREAD = 0.22  # standard deviation / mean of the intervals in atrial fibrillation

# Systolic, reflected and diastolic wave: height, centre (s after the onset), width (s), at 20 and at 80 years.
_WAVES: dict[str, tuple[Floats, Floats]] = {
    "face": (
        np.array([[1.0, 0.177, 0.046], [1.4, 0.268, 0.072], [0.80, 0.470, 0.142]]),
        np.array([[1.0, 0.180, 0.055], [2.0, 0.265, 0.080], [0.95, 0.440, 0.190]]),
    ),
    "finger": (
        np.array([[1.0, 0.180, 0.046], [0.8, 0.266, 0.066], [0.38, 0.490, 0.100]]),
        np.array([[1.0, 0.182, 0.052], [1.7, 0.265, 0.074], [0.75, 0.440, 0.140]]),
    ),
}


@dataclass(frozen=True)
class Heart:
    """How somebody's heart beats.

    Attributes:
        rate_bpm: rate that the profile starts from ("recovery": ends at), 40 .. 190.
        profile: "rest" stays, "drift" changes evenly by ``change_bpm``, "step" changes by it within a few seconds,
            "recovery" starts ``change_bpm`` above and falls off exponentially.
        change_bpm: see profile.
        step_at: when the step comes, as a share of the duration.
        recovery_s: time constant of recovery.
        sdnn_ms: standard deviation of the intervals over 5 minutes, without that of the profile.
        rsa, mayer: shares of its variance that follow breathing and the 0.1 Hz wave; the rest is 1/f.
        ectopic_per_min: early beats with a pause after them.
        atrial_fibrillation: intervals without order; ``sdnn_ms`` is not used.
        age_years: 20 .. 80; an old artery returns its wave early and shows no notch.
        site: where the pulse is seen.
        sharpness: 1 typical; a larger one makes all waves of a beat narrower.
        reflection: 1 typical; a larger one makes the reflected and the diastolic wave higher.
        amplitude_modulation: relative change of a beat's height with breathing.
        baseline_modulation: change of the level with breathing, in heights of a beat.
        vasomotion: standard deviation of the logarithm of a beat's height by slow changes of the vessels.
    """

    rate_bpm: float = 70.0
    profile: Literal["rest", "drift", "step", "recovery"] = "rest"
    change_bpm: float = 0.0
    step_at: float = 0.5
    recovery_s: float = 60.0
    sdnn_ms: float = 45.0
    rsa: float = 0.3
    mayer: float = 0.15
    ectopic_per_min: float = 0.0
    atrial_fibrillation: bool = False
    age_years: float = 40.0
    site: Literal["face", "finger"] = "face"
    sharpness: float = 1.0
    reflection: float = 1.0
    amplitude_modulation: float = 0.08
    baseline_modulation: float = 0.08
    vasomotion: float = 0.15

    def __post_init__(self) -> None:
        if not 30 <= self.rate_bpm <= 220 or self.site not in _WAVES or self.profile not in _PROFILES:
            raise ValueError(
                f"heart: rate_bpm 30..220, site {sorted(_WAVES)} and profile {sorted(_PROFILES)} expected, "
                f"got {self.rate_bpm}, {self.site!r}, {self.profile!r}"
            )
        if self.rsa < 0 or self.mayer < 0 or self.rsa + self.mayer > 1:
            raise ValueError(
                f"heart: rsa and mayer are shares, got {self.rsa} and {self.mayer}; their sum is at most 1"
            )

    @classmethod
    def sample(cls, rng: np.random.Generator, **fixed: Any) -> Heart:
        """Somebody at random: two in three at rest around 72 per minute, the others anywhere in 40 .. 190.

        The variability follows age and rate: a fast heart varies little.
        """
        rest = rng.random() < 2 / 3
        rate = float(fixed.get("rate_bpm", np.clip(rng.normal(72, 12), 42, 110) if rest else rng.uniform(40, 190)))
        age = float(fixed.get("age_years", rng.uniform(20, 80)))
        drawn: dict[str, Any] = {
            "rate_bpm": rate,
            "sdnn_ms": float(min(50 * (72 / rate) ** 1.7 * np.exp(0.008 * (40 - age) + 0.35 * rng.normal()), 120)),
            "rsa": float(rng.uniform(0.08, 0.4)),
            "mayer": float(rng.uniform(0.05, 0.2)),
            "age_years": age,
            "sharpness": float(np.clip(rng.normal(1, 0.08), 0.8, 1.25)),
            "reflection": float(np.exp(0.35 * rng.normal())),
            "amplitude_modulation": float(rng.uniform(0.02, 0.15)),
            "baseline_modulation": float(rng.uniform(0.02, 0.2)),
            "vasomotion": float(rng.uniform(0.1, 0.4) * (1.5 if fixed.get("site") == "finger" else 1.0)),
            **_sample_profile(rng, rate),
        }
        return cls(**{**drawn, **fixed})


def _sample_profile(rng: np.random.Generator, rate_bpm: float) -> dict[str, Any]:
    profile = str(rng.choice(list(_PROFILES), p=[0.6, 0.15, 0.1, 0.15]))
    room = min(190 - rate_bpm, 60.0)
    change = rng.uniform(0.2, 1) * room if profile == "recovery" else rng.uniform(-0.15, 0.2) * rate_bpm
    return {"profile": profile, "change_bpm": float(np.clip(change, 40 - rate_bpm, 190 - rate_bpm))}


_PROFILES = {
    "rest": lambda heart, t, duration_s: np.zeros_like(t),
    "drift": lambda heart, t, duration_s: t / duration_s,
    "step": lambda heart, t, duration_s: 0.5 + 0.5 * np.tanh((t - heart.step_at * duration_s) / 3.0),
    "recovery": lambda heart, t, duration_s: np.exp(-np.maximum(t, 0) / heart.recovery_s),
}


@dataclass(frozen=True)
class Pulse:
    """One stretch of pulse; the truth is in `beat_times_s`.

    Attributes:
        beat_times_s: (N,) onsets (feet) of the beats, from before 0 to after the end.
        amplitude: (N,) height of each beat, 1 typical.
        ectopic: (N,) the beat came early.
        waves: (3, 3) height, centre and width of the waves of a beat.
        breathing: what modulates it.
        baseline_modulation: change of the level with breathing.
    """

    beat_times_s: Floats
    amplitude: Floats
    ectopic: NDArray[np.bool_]
    waves: Floats
    breathing: Breathing
    baseline_modulation: float

    @property
    def ibi_s(self) -> Floats:
        """(N - 1,) intervals between the onsets."""
        return np.diff(self.beat_times_s)

    def between(self, t0_s: float, t1_s: float) -> Floats:
        """Onsets of the beats with t0_s <= time < t1_s."""
        return self.beat_times_s[(self.beat_times_s >= t0_s) & (self.beat_times_s < t1_s)]

    def rate_at(self, times_s: ArrayLike) -> Floats:
        """Beats per minute at any times, from the intervals."""
        return rate_at(self.beat_times_s, times_s)

    def at(self, times_s: ArrayLike) -> Floats:
        """Blood volume at any times, any shape: mean about 0, a typical beat 1 high, more blood upwards.

        For a place that the pulse reaches later, ask for ``times_s - delay_s``.
        """
        times = np.asarray(times_s, float)
        interval = np.concatenate([self.ibi_s[:1], self.ibi_s])  # the one before each beat
        scale = np.sqrt(interval / _REFERENCE_S)
        mean, height = _train(self.waves, interval)
        gain = self.amplitude / height
        k = np.searchsorted(self.beat_times_s, times, side="right") - 1
        total = np.zeros_like(times)
        for step in (1, 0, -1, -2):  # the next beat has begun to rise, the last two have not quite died away
            j = np.clip(k + step, 0, len(gain) - 1)
            since = (times - self.beat_times_s[j]) / scale[j]
            for size, centre, width in self.waves:
                total += gain[j] * size * np.exp(-0.5 * ((since - centre) / width) ** 2)
        middle = self.beat_times_s + 0.3 * interval
        level = np.interp(times, middle, gain * mean)
        return np.asarray(total - level + self.baseline_modulation * self.breathing.at(times))


def _train(waves: Floats, interval_s: Floats) -> tuple[Floats, Floats]:
    """Mean and peak-to-peak height of an endless regular train of beats, for each interval."""
    grid = np.geomspace(0.2, 3.0, 40)
    scale = np.sqrt(grid / _REFERENCE_S)[:, None, None]
    phase = np.arange(64)[:, None] / 64 + np.arange(-1, 4)
    since = phase * grid[:, None, None] / scale
    train = sum(size * np.exp(-0.5 * ((since - centre) / width) ** 2) for size, centre, width in waves).sum(axis=-1)
    mean, height = train.mean(axis=1), np.ptp(train, axis=1)
    return np.asarray(np.interp(interval_s, grid, mean)), np.asarray(np.interp(interval_s, grid, height))


def _noise(rng: np.random.Generator, times_s: Floats, spectrum: Any) -> Floats:
    """Random waveform at ``times_s`` with the given power spectrum of frequency; unit variance over 5 minutes."""
    length_s = max(300.0, times_s[-1] - times_s[0])
    n = int(4 * length_s)
    f = np.fft.rfftfreq(n, 0.25)[1:]
    power = spectrum(f)
    scale = np.sqrt(power / power.sum())
    coefficients = scale * (rng.normal(size=f.size) + 1j * rng.normal(size=f.size))
    values = np.fft.irfft(np.concatenate([[0], coefficients]), n) * n / 2
    return np.asarray(np.interp(times_s, times_s[0] + np.arange(n) * 0.25, values))


def _pink(f: Floats) -> Floats:
    return np.asarray(np.where(f < 0.5, f**-1.5, 0.0))


def _rate_hz(heart: Heart, breathing: Breathing, times_s: Floats, rng: np.random.Generator) -> Floats:
    """Beats per second over time: the profile, and around it the variability."""
    shape = _PROFILES[heart.profile](heart, times_s, times_s[-1] - _LEAD_S)
    base: Floats = np.clip(heart.rate_bpm + heart.change_bpm * shape, 35, 200) / 60
    if heart.atrial_fibrillation:
        return base
    mayer = _noise(rng, times_s, lambda f: np.exp(-0.5 * ((f - 0.1) / 0.025) ** 2))
    breath = breathing.at(times_s)  # inspiration speeds the heart up
    shares = ((heart.rsa, (breath - breath.mean()) / 0.65), (heart.mayer, mayer))
    rest = 1 - heart.rsa - heart.mayer
    wave = sum(np.sqrt(share) * values for share, values in shares) + np.sqrt(rest) * _noise(rng, times_s, _pink)
    return np.asarray(base * np.exp(heart.sdnn_ms / 1000 * (heart.rate_bpm / 60) * wave))


def _beat_times_s(heart: Heart, rate_hz: Floats, times_s: Floats, rng: np.random.Generator) -> Floats:
    """Times at which the integral of the rate passes the next beat."""
    count = np.concatenate([[0.0], np.cumsum((rate_hz[1:] + rate_hz[:-1]) / 2 * np.diff(times_s))])
    steps = np.ones(int(count[-1] * 1.5) + 2)
    if heart.atrial_fibrillation:
        steps = np.maximum(rng.gamma(_AF_SPREAD**-2, _AF_SPREAD**2, steps.size), 0.5)
    marks = rng.uniform() + np.cumsum(steps) - 1
    return np.asarray(np.interp(marks[(marks > 0) & (marks < count[-1])], count, times_s))


def pulse(heart: Heart, breathing: Breathing, *, duration_s: float, rng: np.random.Generator) -> Pulse:
    """Make one stretch of pulse that covers 0 .. ``duration_s`` and a few seconds on both sides."""
    times_s = np.arange(-_LEAD_S, duration_s + _LEAD_S, 1 / _GRID_HZ)
    beats = _beat_times_s(heart, _rate_hz(heart, breathing, times_s, rng), times_s, rng)
    intervals = np.diff(beats, prepend=2 * beats[0] - beats[1])
    early = rng.random(beats.size) < heart.ectopic_per_min * intervals / 60
    early[:2] = early[-2:] = False
    early[1:] &= ~early[:-1]
    moved = np.flatnonzero(early)
    beats[moved] -= rng.uniform(0.25, 0.45, moved.size) * intervals[moved]
    filling = np.diff(beats, prepend=beats[0] - intervals[0]) / intervals.mean()
    height = np.exp(heart.vasomotion * _noise(rng, beats, lambda f: np.where(f < 0.15, 1 / f, 0.0)))
    height *= (1 - heart.amplitude_modulation * breathing.at(beats)) * np.sqrt(np.clip(filling, 0.3, 2))
    height[moved] *= 0.6
    shape = np.clip((heart.age_years - 20) / 60, 0, 1)
    young, old = _WAVES[heart.site]
    waves = (1 - shape) * young + shape * old
    waves[:, 2] /= heart.sharpness
    waves[1:, 0] *= heart.reflection
    return Pulse(beats, height, early, waves, breathing, heart.baseline_modulation)
