"""The one decision whether a number is shown: from what a window looks like to a confidence and a reason.

A photograph has no pulse, yet every band-passed noise has a highest peak. What tells a pulse from a peak: it is there
in the first and in the second half of the window, in the forehead and in both cheeks at once; it moves the colours as
blood does (de Haan and van Leest 2014), not as a change of light or of angle does; and it is not what the background
or the head does.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vitalcam.signal import peaks, spectrum
from vitalcam.signal.filter import Array, bandpass
from vitalcam.types import Floats, Kind, Reason

LOW_HZ, HIGH_HZ = 0.65, 4.0
"""Band in which a window is judged: 39 to 240 beats/min, so that a peak at 40 or 200 has neighbours."""

MOTION_LOW_HZ = 0.3
"""Motion is looked at from half the lowest heart rate on."""


OCTAVE_BPM = 6.0
"""So near to half of a rate, another one is its octave."""
HALF = 0.3
"""Share of its peak's power that a wave has at half the rate where that is the pulse. Of the windows of rendered people
(validation) in which all methods were at half of mmrphys_9's rate when this was chosen, half was right in 4 of 6 above
it and the network's rate in none; below it half was right in 1 of 17 and the network's rate in 10."""


_NEAR_HZ = 0.08
_PARTS = 3  # of a window, in which phases are compared


@dataclass(frozen=True)
class Window:
    """One face over one window, on a uniform clock, without gaps.

    Attributes:
        fs_hz: rate of all arrays.
        wave: (T,) pulse wave of the method or model.
        checks: (K, T) the same from other methods, at least one.
        regions: (R, T) the same from parts of the face; NaN rows where a part was not seen.
        skin_rgb: (T, 3) mean of the skin, 0..255.
        background_rgb: (T, 3) mean of the rest of the picture; NaN where there is none.
        position: (T, 2) of the head, in face sides.
        luma, clipped, side_px, yaw: means over the window; brightness 0..255, share of clipped skin, side of the face
            box, turn of the head.
        frame_rate_hz, jitter_s: of the frames as they came.
    """

    fs_hz: float
    wave: Floats
    checks: Floats
    regions: Floats
    skin_rgb: Floats
    background_rgb: Floats
    position: Floats
    luma: float
    clipped: float
    side_px: float
    yaw: float
    frame_rate_hz: float
    jitter_s: float


@dataclass(frozen=True)
class Evidence:
    """What a window looks like at the frequency of its peak; NaN where a feature cannot be had.

    Attributes:
        rate_bpm: the peak, interpolated.
        beats_bpm: rate from the distances of beats.
        snr_db: power of peak and second harmonic over the rest (de Haan and Jeanne 2013).
        halves_bpm: distance of the peaks of the first and the second half.
        checks_bpm: largest distance of another method's peak.
        nearest_bpm: smallest distance of another method's peak.
        checks_height: power of the others there, over that of their peak, their mean; 0..1.
        regions_r: mean correlation of the waves of the parts of the face.
        regions_phase: 0..1, how constant the phase of the wave against those of the parts is, over the thirds of the
            window and the parts.
        colour: -1..1, phase of the two chrominance axes of POS against each other: 1 for blood, -1 for a white sheen.
        pulse_percent: amplitude of green at the peak, peak to peak, in per cent of its mean.
        motion_percent: amplitude of the head's motion at the peak or at half of it, peak to peak, in per cent of the
            face; a head that sways passes the lamp twice.
        swing_percent: the same at the peak alone.
        motion_share: share of the motion's power that lies there.
        motion_total_percent: deviation of the head's motion from 0.3 Hz on, in per cent of the face.
        background: amplitude of the background at the peak, over that of the skin.
        background_share: share of the background's power that lies at the peak.
        valid_s: length.
        luma, clipped, side_px, yaw, frame_rate_hz, jitter_s: as in `Window`.
    """

    rate_bpm: float
    beats_bpm: float
    snr_db: float
    halves_bpm: float
    checks_bpm: float
    nearest_bpm: float
    checks_height: float
    regions_r: float
    regions_phase: float
    colour: float
    pulse_percent: float
    motion_percent: float
    swing_percent: float
    motion_share: float
    motion_total_percent: float
    background: float
    background_share: float
    valid_s: float
    luma: float
    clipped: float
    side_px: float
    yaw: float
    frame_rate_hz: float
    jitter_s: float

    def features(self) -> Mapping[str, float]:
        """Name to value, for reports."""
        return dataclasses.asdict(self)


def evidence(window: Window) -> Evidence:
    """Look at a window of at least 4 s."""
    fs, n = window.fs_hz, window.wave.shape[-1]
    checks = spectrum.power(window.checks, fs_hz=fs, low_hz=LOW_HZ, high_hz=HIGH_HZ)
    others = _rates_bpm(*checks)
    rate = _rate_bpm(window.wave, others, fs)
    apart_bpm = np.abs(others - rate)
    f_hz = rate / 60
    tone = _tone(f_hz, n, fs)
    at_peak = tone @ bandpass(_relative(window.skin_rgb).T, LOW_HZ, HIGH_HZ, fs_hz=fs).T
    motion = bandpass(window.position.T, MOTION_LOW_HZ, HIGH_HZ, fs_hz=fs)
    swing = _at_peak(motion, f_hz, fs)
    motion_at, motion_share = max(swing, _at_peak(motion, f_hz / 2, fs))
    beyond = bandpass(_relative(window.background_rgb).mean(axis=1)[None], MOTION_LOW_HZ, HIGH_HZ, fs_hz=fs)
    beyond_at, beyond_share = _at_peak(beyond, f_hz, fs)
    green = 2 * float(abs(at_peak[1]))
    return Evidence(
        rate_bpm=rate,
        beats_bpm=_beats_bpm(window.wave, f_hz, fs),
        snr_db=float(spectrum.snr_db(window.wave, fs_hz=fs, f_hz=f_hz, low_hz=LOW_HZ, high_hz=HIGH_HZ)),
        halves_bpm=_halves_bpm(window.wave, fs),
        checks_bpm=float(apart_bpm.max()),
        nearest_bpm=float(apart_bpm.min()),
        checks_height=_height(*checks, f_hz),
        regions_r=_agreement(window.regions, fs),
        regions_phase=_phase_lock(window.wave, window.regions, f_hz, fs),
        colour=_blood_likeness(at_peak),
        pulse_percent=100 * green,
        motion_percent=100 * motion_at,
        swing_percent=100 * swing[0],
        motion_share=motion_share,
        motion_total_percent=100 * float(np.sqrt(np.mean(motion**2) * len(motion))),
        background=beyond_at / green if green > 0 else math.nan,
        background_share=beyond_share,
        valid_s=n / fs,
        luma=window.luma,
        clipped=window.clipped,
        side_px=window.side_px,
        yaw=window.yaw,
        frame_rate_hz=window.frame_rate_hz,
        jitter_s=window.jitter_s,
    )


def _relative(rgb: Floats) -> Floats:
    """Colour (T, 3) over its mean in time, minus one; NaN where a channel is black throughout or unknown."""
    mean = rgb.mean(axis=0)
    return np.asarray(rgb / np.where(mean > 0, mean, np.nan) - 1)


def _rate_bpm(wave: Floats, others_bpm: Floats, fs_hz: float) -> float:
    """Rate of a wave, where that of others decides what is its second harmonic.

    The notch of a pulse can stand higher in its spectrum than the pulse, in a network's wave more often than in
    colours. Where all others have their peak at half, and the wave has `HALF` of its power there too, half is the rate.
    """
    rate = float(_peaks_bpm(wave[None], fs_hz)[0])
    if not (np.abs(others_bpm - rate / 2) <= OCTAVE_BPM).all():
        return rate
    freq, power = spectrum.power(wave, fs_hz=fs_hz, low_hz=rate / 120 - 0.1, high_hz=HIGH_HZ)
    half_hz, height = spectrum.maximum_near(freq, power, rate / 120)
    return 60 * half_hz if height >= HALF * spectrum.maximum_near(freq, power, rate / 60)[1] else rate


def _peaks_bpm(waves: Floats, fs_hz: float) -> Floats:
    return _rates_bpm(*spectrum.power(waves, fs_hz=fs_hz, low_hz=LOW_HZ, high_hz=HIGH_HZ))


def _rates_bpm(freq: Array, powers: Array) -> Floats:
    return np.array([60 * _pulse_hz(freq, power) for power in powers])


def _beats_bpm(wave: Floats, f_hz: float, fs_hz: float) -> float:
    if not math.isfinite(f_hz):
        return math.nan
    return peaks.rate_bpm(peaks.ibi(peaks.beats(wave, fs_hz=fs_hz, heart_rate_hz=f_hz))[1])


def _pulse_hz(freq: Array, power: Array) -> float:
    f_hz = float(spectrum.peak(freq, power)[0])
    return spectrum.fundamental(freq, power, f_hz) if math.isfinite(f_hz) else f_hz


def _tone(f_hz: float, n: int, fs_hz: float) -> Floats:
    """(n,) complex Hann-windowed tone whose product with a wave is its complex amplitude at f_hz (peak, not RMS)."""
    window = np.hanning(n + 2)[1:-1]
    return np.asarray(2 * window * np.exp(-2j * np.pi * f_hz * np.arange(n) / fs_hz) / window.sum())


def _at_peak(waves: Floats, f_hz: float, fs_hz: float) -> tuple[float, float]:
    """Amplitude of (K, T) waves together at f_hz, peak to peak, and the share of their power that lies there."""
    if not (np.isfinite(waves).all() and math.isfinite(f_hz)):
        return math.nan, math.nan
    n = waves.shape[-1]
    amplitude = float(np.linalg.norm(np.abs(waves @ _tone(f_hz, n, fs_hz))))
    freq, power = spectrum.power(waves, fs_hz=fs_hz, low_hz=MOTION_LOW_HZ, high_hz=HIGH_HZ)
    width = max(spectrum.HALF_WIDTH_HZ, 2 * fs_hz / n)
    return 2 * amplitude, float(spectrum.share(freq, power.sum(axis=0), f_hz, half_width_hz=width))


def _halves_bpm(wave: Floats, fs_hz: float) -> float:
    half = wave.shape[-1] // 2
    first, second = _peaks_bpm(np.stack([wave[:half], wave[-half:]]), fs_hz)
    return float(abs(first - second))


def _agreement(waves: Floats, fs_hz: float) -> float:
    """Mean correlation of the pairs of finite rows."""
    waves = waves[np.isfinite(waves).all(axis=1)]
    if len(waves) < 2:
        return math.nan
    waves = bandpass(waves, LOW_HZ, HIGH_HZ, fs_hz=fs_hz)
    norm = np.linalg.norm(waves, axis=1, keepdims=True)
    waves = waves / np.where(norm > 0, norm, 1)
    pairs = (waves @ waves.T)[np.triu_indices(len(waves), 1)]
    return float(pairs.mean())


def _height(freq: Array, powers: Array, f_hz: float) -> float:
    """Power at f_hz over that of the highest peak, mean over spectra (K, F)."""
    near = np.abs(freq - f_hz) <= _NEAR_HZ
    top = powers.max(axis=-1)
    if not near.any() or not (top > 0).all():
        return math.nan
    return float((powers[:, near].max(axis=-1) / top).mean())


def _phase_lock(wave: Floats, others: Floats, f_hz: float, fs_hz: float) -> float:
    """Length of the mean of unit phasors: the phase at f_hz of a wave against that of the finite rows of others."""
    others = others[np.isfinite(others).all(axis=1)]
    n = wave.shape[-1] // _PARTS
    if not (len(others) and math.isfinite(f_hz)):
        return math.nan
    parts = np.concatenate([wave[None], others])[:, : _PARTS * n].reshape(-1, _PARTS, n) @ _tone(f_hz, n, fs_hz)
    against = parts[:1] * np.conj(parts[1:])
    return float(abs(np.mean(against / np.maximum(np.abs(against), 1e-12))))


def _blood_likeness(rgb: Floats) -> float:
    """Cosine between the chrominance axes G - B and G + B - 2 R (Wang et al. 2017) of complex amplitudes (3,).

    Blood absorbs green most and red least, so both axes move together. A sheen of white light on reddish skin, and any
    change of angle, moves blue most and red least: the axes move against each other.
    """
    first, second = rgb[1] - rgb[2], rgb[1] + rgb[2] - 2 * rgb[0]
    size = abs(first) * abs(second)
    return float((first * np.conj(second)).real / size) if size > 0 else math.nan


MIN_FRAME_RATE_HZ = 12.0
MIN_SIDE_PX = 20.0
MAX_YAW = 0.85
MIN_LUMA = 12.0
MAX_CLIPPED = 0.5
MAX_PULSE_PERCENT = 4.0
"""Green swings by 0.2 to 2 per cent with the pulse (peak to peak, on a camera's gamma about half); more is no blood."""
MAX_SWING_PERCENT = 5.0
"""A head that swings by so much of the face at the peak changes its light at that rate, though the crop goes with it.
Where it does so at half of the rate, as of people who run, it only speaks against the rate. Of 55 windows of rendered
people (validation and more) whose heads swung farther when this was chosen, 29 had the right rate, 24 were of people
without a pulse."""
MIN_FLICKER = 0.15
"""Swing of the background, in per cent, from which it is light that swings and not noise."""


def refusal(seen: Evidence) -> Reason | None:
    """Why a window cannot be measured whatever its peak looks like, or None."""
    if seen.frame_rate_hz < MIN_FRAME_RATE_HZ:
        return "low_fps"
    if seen.side_px < MIN_SIDE_PX:
        return "small_face"
    if abs(seen.yaw) > MAX_YAW:
        return "turned"
    if seen.luma < MIN_LUMA:
        return "dark"
    if seen.clipped > MAX_CLIPPED:
        return "clipped"
    if seen.pulse_percent > MAX_PULSE_PERCENT or seen.swing_percent > MAX_SWING_PERCENT:
        return "motion"
    if _overlap(seen.background_share, seen.background) > 0.5 and seen.background * seen.pulse_percent > MIN_FLICKER:
        return "flicker"
    # All others at half of the rate, where the wave has too little (see `_rate_bpm`), or all at one and a half.
    if all(abs(apart_bpm - seen.rate_bpm / 2) <= OCTAVE_BPM for apart_bpm in (seen.checks_bpm, seen.nearest_bpm)):
        return "disagreement"
    return None


WEIGHTS: Mapping[Kind, tuple[float, ...]] = {
    "method": (-3.623, 0.125, 1.398, 0.742, 0.943, 1.772, 0.573, 0.029, -1.098, 1.183, 0, 0.112, 1.11, -2.126, -2.517),
    "network": (-3.556, 0.341, 0.96, 0.613, 0.912, 1.498, 0.484, 0.048, -0.973, 1.276, 0, 0.859, 0.773, -0.819, -2.46),
}  # fmt: skip
"""Log-odds of |error| <= 5 beats/min: intercept, and a weight for each of `terms`, fitted by tools/fit_confidence.py.

A network's wave looks like a pulse or does not; a method's looks like one too where it is motion. What a network's says
depends on how it was trained: a card may have weights of its own (`ModelSpec.confidence_weights`).
"""
SIGNS = (1, 1, 1, 1, 1, 1, 1, -1, 1, 1, 1, 1, -1, -1)
"""Whether each of `terms` speaks for the rate or against it."""


_FAINT_PERCENT = 0.05
_LIT_ALIKE = 0.4  # of the skin's swing; from there on the background's says that it is the light or the exposure
_SLOW_BPM = 75.0  # the slower, the more there is that looks like a pulse and is none


def terms(seen: Evidence) -> Floats:
    """What the confidence is made of, each bounded.

    What is unknown of the pulse is at its worst; motion and background count as none where nothing is known of them.
    """
    return np.array([
        float(np.clip(seen.snr_db, -12, 12)) if math.isfinite(seen.snr_db) else -12.0,
        _nearness(seen.halves_bpm / 10),
        _nearness(seen.checks_bpm / 5),
        _nearness(seen.checks_bpm / 2),
        _nearness(seen.nearest_bpm / 5),
        float(np.nan_to_num(max(seen.colour, 0.0))),
        float(np.nan_to_num(min(seen.colour, 0.0), nan=-1.0)),
        _overlap(seen.motion_share, seen.motion_percent),
        _nearness((seen.beats_bpm - seen.rate_bpm) / 6),
        float(np.nan_to_num(seen.checks_height)),
        float(np.nan_to_num(seen.regions_phase)),
        float(np.clip(np.log(max(np.nan_to_num(seen.pulse_percent), 1e-9) / _FAINT_PERCENT), -2, 2)),
        max(_SLOW_BPM - seen.rate_bpm, 0.0) / 30,
        _lit(seen),
    ])  # fmt: skip


def _nearness(gap: float) -> float:
    """1 for no gap, falling to 0; 0 where it is unknown."""
    return math.exp(-(gap**2)) if math.isfinite(gap) else 0.0


def _lit(seen: Evidence) -> float:
    """0..1: how far the whole picture swings at the rate, by more than noise does: light, or the camera's exposure."""
    return _step(seen.background / _LIT_ALIKE) * _step(seen.background * seen.pulse_percent / MIN_FLICKER)


def _step(x: float) -> float:
    """0 for little, 1/2 at 1, 1 for much; 0 where it is unknown."""
    return float(x**4 / (1 + x**4)) if math.isfinite(x) else 0.0


def _overlap(share: float, size: float) -> float:
    """0..1: how far something else explains the peak: it is concentrated there, and it is large."""
    return float(np.nan_to_num(share) * min(np.nan_to_num(size), 1.0))


def confidence(seen: Evidence, weights: Sequence[float] = WEIGHTS["method"]) -> float:
    """Probability that the rate is right within 5 beats/min, 0..1, by the `WEIGHTS` of what gave the wave."""
    if not math.isfinite(seen.rate_bpm):
        return 0.0
    odds = weights[0] + float(np.dot(weights[1:], terms(seen)))
    return 1 / (1 + math.exp(-odds))


def weakness(seen: Evidence) -> Reason:
    """The reason why a window's confidence is low: what explains its peak better than blood does."""
    if _lit(seen) > 0.5:
        return "flicker"
    if seen.motion_percent > 1.0:
        return "motion"
    if seen.regions_r < 0.3 or not math.isfinite(seen.regions_r):
        return "no_pulse"
    if seen.checks_bpm > 5 or seen.halves_bpm > 10:
        return "disagreement"
    return "low_quality"
