"""Breathing from the chest where it is in the picture, and from what breath does to the pulse and to the head.

A chest that moves by itself is breath seen directly: its rate is taken, and believed as far as the chest moves apart
from the head, enough, steadily and at one rate (`vitalcam.signal.lift`). On the face a rate is answered only where
independent sources agree. Breathing modulates the pulse wave in its amplitude, its baseline and its rate (Charlton et
al. 2018, IEEE Rev. Biomed. Eng. 11), and moves the head a little. Each source is weak and has its own noise, which is
mostly slow. So each is whitened, and the frequency is taken at which all of them together leave least unexplained.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.signal import lift, peaks, spectrum
from vitalcam.signal.filter import bandpass
from vitalcam.types import Floats, Reason

Array = NDArray[np.float64]

LOW_HZ, HIGH_HZ = 5 / 60, 36 / 60
"""Breathing rates that are looked for."""
MIN_DURATION_S = 15.0
MIN_SHARE = 2.5
"""Log-likelihood ratio from which a source counts as one that agrees."""
MARGIN = 2.0
"""Lead over the best frequency elsewhere; with less the sources contradict each other."""


@dataclass(frozen=True)
class Window:
    """One face over one window, on a uniform clock, without gaps.

    Attributes:
        fs_hz: rate of all arrays.
        position: (T, 2) of the head, in face sides, rightward and downward.
        skin_rgb: (T, 3) mean of the skin, 0..255.
        bvp: (T,) pulse wave, or None where it is not to be trusted.
        heart_rate_hz: (T,), with ``bvp``.
        network: (T,) breathing wave of a network, or None.
        chest: (T,) how far down the chest is, in face sides, or None where it is not in the picture.
    """

    fs_hz: float
    position: Floats
    skin_rgb: Floats
    bvp: Floats | None = None
    heart_rate_hz: Floats | None = None
    network: Floats | None = None
    chest: Floats | None = None


@dataclass(frozen=True)
class Evidence:
    """What the sources say together.

    Attributes:
        rate_per_min: that of the chest, or else where they leave least unexplained; NaN where there is no such place.
        total: sum of their log-likelihood ratios there.
        lead: of that sum over any other place.
        sources: log-likelihood ratio of each there.
        duration_s: of the window.
        wave: (T,) the chest or the strongest source about the rate, of unit deviation, of unknown sign. NaN without a
            rate.
        apart_per_min: distance of each source's own highest peak from the rate.
        motion_percent: deviation of the head's sway, in per cent of the face; NaN where it is not known.
        chest: what the chest says; None where it says nothing.
    """

    rate_per_min: float
    total: float
    lead: float
    sources: Mapping[str, float]
    duration_s: float
    wave: Floats
    apart_per_min: Mapping[str, float] = field(default_factory=dict)
    motion_percent: float = math.nan
    chest: lift.Lift | None = None

    def features(self) -> dict[str, float]:
        """Name to value, for reports."""
        if not math.isfinite(self.rate_per_min):
            return {}
        plain = {name: getattr(self, name) for name in ("rate_per_min", "total", "lead", "motion_percent")}
        plain |= {"valid_s": self.duration_s} | {f"from_{name}": ratio for name, ratio in self.sources.items()}
        plain |= {f"{name}_apart_per_min": apart for name, apart in self.apart_per_min.items()}
        return plain | (self.chest.features() if self.chest else {})


def evidence(window: Window) -> Evidence:
    """Look at a window of at least `MIN_DURATION_S`: at the chest and at the face, whichever says more."""
    found = sources(window)
    face, chest = weigh(found, fs_hz=window.fs_hz), by_chest(window, found)
    if chest is None or (refusal(face) is None and confidence(face) > confidence(chest)):
        return face
    return chest


def by_chest(window: Window, found: Mapping[str, Floats]) -> Evidence | None:
    """What the chest says, and what the face's `sources` say for its rate; None where it says nothing."""
    if window.chest is None or not np.isfinite(window.position).all():
        return None
    head = window.position[:, 1]
    own = lift.lift(window.chest, head, fs_hz=window.fs_hz, low_hz=LOW_HZ, high_hz=HIGH_HZ)
    if own is None:
        return None
    seen = weigh({**found, "chest": own.wave}, fs_hz=window.fs_hz, rate_hz=own.rate_hz)
    return dataclasses.replace(seen, chest=own)


def sources(window: Window) -> dict[str, Floats]:
    """Everything on a face that may show breath: waves (T,) by name, each in the breathing band, any unit."""
    found: dict[str, Floats] = {**from_motion(window.position, fs_hz=window.fs_hz)}
    if window.network is not None:
        found["network"] = window.network
    if window.bvp is not None:
        beats = peaks.beats(window.bvp, fs_hz=window.fs_hz, heart_rate_hz=window.heart_rate_hz)
        found |= from_pulse(window.bvp, beats, window.skin_rgb[:, 1], fs_hz=window.fs_hz)
    return found


def from_pulse(bvp: ArrayLike, beat_times_s: ArrayLike, colour: ArrayLike, *, fs_hz: float) -> dict[str, Array]:
    """The three modulations of the pulse as waves on its clock.

    Amplitude and rate are sampled once a beat: breathing faster than half the heart rate appears in them at a wrong,
    lower rate.

    Args:
        bvp: (T,) pulse wave, finite.
        beat_times_s: (N,) s after the first sample, as from `peaks.beats`.
        colour: (T,) unfiltered colour of the skin, e.g. green; it carries the baseline.
        fs_hz: sampling rate.

    Returns:
        "baseline" and, with at least eight beats, "amplitude" and "rate"; each (T,) in the breathing band, arbitrary
        unit. A source that is not finite is left out.
    """
    bvp, times = np.asarray(bvp, dtype=float), np.asarray(beat_times_s, dtype=float)
    clock = np.arange(bvp.size) / fs_hz
    found = {"baseline": np.asarray(colour, dtype=float)}
    if times.size >= 8:
        found["amplitude"] = np.interp(clock, times, _heights(bvp, times, fs_hz))
        end, interval = peaks.ibi(times)
        known = np.isfinite(interval)
        if known.sum() >= 8:
            found["rate"] = np.interp(clock, (end - interval / 2)[known], interval[known])
    return {name: bandpass(x, LOW_HZ, HIGH_HZ, fs_hz=fs_hz) for name, x in found.items() if np.isfinite(x).all()}


def from_motion(position: ArrayLike, *, fs_hz: float) -> dict[str, Array]:
    """The head's sway along the direction in which it moves most within the breathing band.

    Args:
        position: (T, 2) of the head, any unit.
        fs_hz: sampling rate.

    Returns:
        "motion": (T,), unit of position; empty if position is not finite.
    """
    position = np.asarray(position, dtype=float)
    if not np.isfinite(position).all():
        return {}
    moved = bandpass(position.T, LOW_HZ, HIGH_HZ, fs_hz=fs_hz)
    _, vectors = np.linalg.eigh(moved @ moved.T)
    return {"motion": np.asarray(vectors[:, -1] @ moved)}


def weigh(sources: Mapping[str, ArrayLike], *, fs_hz: float, rate_hz: float | None = None) -> Evidence:
    """The breathing rate on which the sources agree best, and what speaks for it.

    For each source and frequency the log-likelihood ratio of "a sine of that frequency in white noise" to "white
    noise" is -n/2 log(1 - share), with n degrees of freedom in the band and the share of the power near the
    frequency, after the source's own slope over frequency is divided out. Ratios of independent sources add.

    Args:
        sources: waves (T,) by name, on one clock; one that does not vary is left out.
        fs_hz: sampling rate.
        rate_hz: what they say about this rate is asked; None for the one on which they agree best.
    """
    waves = {name: np.asarray(x, dtype=float) for name, x in sources.items()}
    waves = {name: x for name, x in waves.items() if np.isfinite(x).all() and x.std() > 0}
    n = max((np.asarray(x).size for x in sources.values()), default=0)
    nothing = Evidence(math.nan, 0.0, 0.0, {}, n / fs_hz, np.full(n, np.nan))
    if not waves or n / fs_hz < MIN_DURATION_S:
        return nothing
    freq, power = spectrum.power(
        np.stack(list(waves.values())), fs_hz=fs_hz, low_hz=LOW_HZ, high_hz=HIGH_HZ, grid_bpm=0.25
    )
    ratios = _ratios(freq, power / _slopes(freq, power, list(waves)), n / fs_hz)
    total = ratios.sum(axis=0)
    best_hz, height = (float(v) for v in spectrum.peak(freq, total))
    if rate_hz is not None:
        best_hz, height = rate_hz, float(np.interp(rate_hz, freq, total))
    if not np.isfinite(best_hz):
        return nothing
    at = int(np.argmin(np.abs(freq - best_hz)))
    each = {name: float(ratio) for name, ratio in zip(waves, ratios[:, at], strict=True)}
    elsewhere = total[np.abs(freq - best_hz) > 3 * fs_hz / n]
    strongest = waves["chest" if "chest" in waves else max(each, key=lambda name: each[name])]
    wave = bandpass(strongest, max(0.6 * best_hz, LOW_HZ), 1.5 * best_hz, fs_hz=fs_hz)
    own_hz = spectrum.peak(freq, power)[0]
    return Evidence(
        rate_per_min=60 * best_hz,
        total=height,
        lead=height - float(elsewhere.max(initial=0.0)),
        sources=each,
        duration_s=n / fs_hz,
        wave=wave / wave.std(),
        apart_per_min=dict(zip(waves, (60 * np.abs(own_hz - best_hz)).tolist(), strict=True)),
        motion_percent=100 * float(waves["motion"].std()) if "motion" in waves else math.nan,
    )


def refusal(seen: Evidence) -> Reason | None:
    """Why a window has no rate however much speaks for it, or None."""
    if seen.duration_s < MIN_DURATION_S:
        return "too_short"
    if seen.chest:
        return None
    if len(seen.sources) < 2:
        return "no_breath"
    return "disagreement" if _carried_by(seen) < 2 or seen.lead < MARGIN else None


def weakness(seen: Evidence) -> Reason:
    """The reason why a window's confidence is low."""
    return "no_breath"


# Log-odds of |error| <= 3 breaths/min: intercept, and a weight for each of `terms`, fitted by tools/fit_confidence.py.
_WEIGHTS = (-0.513, 0.098, 1.223, -1.597)
_CHEST_WEIGHTS = (-2.842, 3.34, 2.257, 0.73, 1.065, -0.243, 1.549)
SIGNS, CHEST_SIGNS = (1, 1, -1), (*lift.SIGNS, -1, 1)
"""Whether each of `terms` speaks for the rate or against it, without and with a chest."""


def terms(seen: Evidence) -> Floats:
    """What the confidence is made of, each bounded.

    With a chest: what it is by itself, how far the head sways, and whether a network finds the same rate in the face.
    Without a chest: the head's sway and another source, each by itself, at the same rate; and how far the head sways:
    breath moves it a little, whoever turns or rocks to and fro does so at a rate of breathing, and everything else
    follows.
    """
    sway = float(np.clip(np.log2(np.nan_to_num(seen.motion_percent) + 1e-3), 0, 5))
    if seen.chest:
        agrees = 2 * _nearness(seen, "network") - 1 if "network" in seen.apart_per_min else 0.0
        return np.array([*lift.terms(seen.chest), sway, agrees])
    near = _nearness(seen, "motion") * max(_nearness(seen, name) for name in ("network", "baseline", "rate"))
    return np.array([min(seen.total, 40.0), near, sway])


def _nearness(seen: Evidence, source: str) -> float:
    """1 where a source's own peak is the rate, falling to 0; 0 without it."""
    apart = seen.apart_per_min.get(source, math.nan)
    return math.exp(-((apart / 2) ** 2)) if math.isfinite(apart) else 0.0


def confidence(seen: Evidence) -> float:
    """Probability that the rate is right within 3 breaths/min, 0..1."""
    if not math.isfinite(seen.rate_per_min):
        return 0.0
    weights = _CHEST_WEIGHTS if seen.chest else _WEIGHTS
    return 1 / (1 + math.exp(-(weights[0] + float(np.dot(weights[1:], terms(seen))))))


def _carried_by(seen: Evidence) -> int:
    return sum(ratio >= MIN_SHARE for ratio in seen.sources.values())


def _ratios(freq: Array, white: Array, duration_s: float) -> Array:
    """Log-likelihood ratios (K, F) of spectra (K, F) over frequencies (F,)."""
    half = max(1, round(1 / duration_s / (freq[1] - freq[0])))
    near = np.apply_along_axis(np.convolve, -1, white, np.ones(2 * half + 1), mode="same")
    share = np.clip(near / white.sum(axis=-1, keepdims=True), 0, 1 - 1e-9)
    freedom = 2 * (HIGH_HZ - LOW_HZ) * duration_s / 1.5
    return np.asarray(-freedom / 2 * np.log(1 - share))


def _slopes(freq: Array, power: Array, names: Sequence[str]) -> Array:
    """(K, F) the power law that fits each spectrum best, no flatter than white and no steeper than 1 / f^2.

    A network has learned what is breath and what is wander, and a chest wanders little: their waves are taken as they
    are.
    """
    x = np.log(freq) - np.log(freq).mean()
    y = np.log(power + 1e-12 * power.max(axis=-1, keepdims=True) + 1e-300)
    exponent = np.where([name in ("network", "chest") for name in names], 0.0, np.clip(y @ x / (x @ x), -2, 0))
    return np.asarray(np.exp(exponent[:, None] * x))


def _heights(bvp: Array, beat_times_s: Array, fs_hz: float) -> Array:
    """Range of the wave from half a beat before to half a beat after each beat (N,)."""
    period = float(np.median(np.diff(beat_times_s)))
    half = np.linspace(-0.5, 0.5, 33) * period
    wave = bandpass(bvp, 0.5 / period, min(4 / period, 0.45 * fs_hz / 1.3), fs_hz=fs_hz)
    around = np.interp(beat_times_s[:, None] + half, np.arange(bvp.size) / fs_hz, wave)
    return np.asarray(np.ptp(around, axis=1))
