"""From windows to the whole recording: one number for each face, or the reason why there is none."""

from __future__ import annotations

import dataclasses
import functools
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vitalcam.person import Person, heart_rate_hz
from vitalcam.signal import hrv, peaks, quality
from vitalcam.types import Estimate, FaceResult, Floats, Reason, Signal

_ABSENT: tuple[Reason, ...] = ("no_face", "gap", "too_short", "frozen")


def _needed(judged: int) -> float:
    """How many of the windows with a face must have an answer before the recording has one.

    On noise one window in some dozens is answered by chance, and its neighbours, which overlap it, with it: half of
    the first eight windows, a quarter of many.
    """
    return max(0.25 * judged, min(judged, 8) / 2)


def face_result(person: Person, id: int) -> FaceResult:
    """Everything about one face, under a number of its own."""
    rate = whole_rate([w for w in person.windows if w.quantity == "heart_rate"])
    signals = person.signals()
    beats = _beats(signals["bvp"], person.windows) if "bvp" in signals and rate.value is not None else None
    if beats is not None:
        signals["ibi"] = beats.intervals()
        beats_bpm = peaks.rate_bpm(signals["ibi"].values / 1000)
        rate = dataclasses.replace(rate, quality={**rate.quality, "beats_bpm": beats_bpm})
    own = functools.partial(dataclasses.replace, face=id)
    return FaceResult(
        id=id,
        heart_rate=own(rate),
        resp_rate=own(whole_rate([w for w in person.windows if w.quantity == "resp_rate"] or [_no_breath(rate)])),
        hrv={name: own(estimate) for name, estimate in _variability(beats, rate).items()},
        windows=tuple(map(own, person.windows)),
        signals=signals,
        track=dataclasses.replace(person.track.track(), id=id),
    )


def whole_rate(windows: Sequence[Estimate]) -> Estimate:
    """One estimate for the recording: the median of the windows that have an answer.

    Its quality holds the range over time (5th to 95th percentile) and the share of the windows with a
    face that were answered.
    """
    answered = [w for w in windows if w.value is not None]
    judged = [w for w in windows if w.reason not in _ABSENT]
    first, last = windows[0], windows[-1]
    share = len(answered) / max(len(judged), 1)
    span = (first.t0_s, last.t1_s)
    if not answered or len(answered) < _needed(len(judged)):
        reason = _commonest([w for w in judged if w.value is None] or windows)
        return Estimate(first.quantity, None, first.unit, *span, _mean_confidence(judged), reason, first.method)
    values = np.array([w.value for w in answered], float)
    low, high = np.percentile(values, [5, 95])
    spread = {"low": float(low), "high": float(high), "answered": share}
    value, trust = float(np.median(values)), _mean_confidence(answered)
    return Estimate(first.quantity, value, first.unit, *span, trust, None, first.method, spread)


def _no_breath(rate: Estimate) -> Estimate:
    return Estimate("resp_rate", None, "breaths/min", rate.t0_s, rate.t1_s, 0.0, "too_short")


def _mean_confidence(windows: Sequence[Estimate]) -> float:
    return float(np.mean([w.confidence for w in windows])) if windows else 0.0


def _commonest(windows: Sequence[Estimate]) -> Reason:
    return Counter(w.reason for w in windows if w.reason is not None).most_common(1)[0][0]


@dataclass(frozen=True)
class _Beats:
    """Beats of the stretches whose windows were answered, and how well they are timed."""

    times_s: Floats
    noise_ms: float
    duration_s: float

    def intervals(self) -> Signal:
        end_s, ibi_s = peaks.ibi(self.times_s)
        return Signal(1000 * ibi_s, end_s, "ibi", "ms")


def _beats(bvp: Signal, windows: Sequence[Estimate]) -> _Beats | None:
    answered = [w for w in windows if w.value is not None and w.quantity == "heart_rate"]
    fs_hz = bvp.fs_hz
    trusted = np.zeros(bvp.time_s.size, bool)
    for w in answered:
        trusted |= (bvp.time_s >= w.t0_s) & (bvp.time_s <= w.t1_s)
    wave = np.where(trusted, bvp.values, np.nan)
    times = peaks.beats(wave, fs_hz=fs_hz, heart_rate_hz=heart_rate_hz(answered, bvp.time_s))
    if times.size < 3:
        return None
    noise_ms = max(peaks.timing_noise_ms(wave, times, fs_hz=fs_hz), _expected_noise_ms(answered, fs_hz))
    return _Beats(times + bvp.time_s[0], noise_ms, float(np.isfinite(wave).sum() / fs_hz))


def _expected_noise_ms(answered: Sequence[Estimate], fs_hz: float) -> float:
    """Timing noise that the windows' signal-to-noise ratio lets expect; what a wave shows of it can be too little."""
    snr_db, rate_bpm, jitter_s, frame_rate_hz = (
        float(np.median([w.quality[name] for w in answered]))
        for name in ("snr_db", "rate_bpm", "jitter_s", "frame_rate_hz")
    )
    return hrv.timing_noise_ms(
        snr_db,
        heart_rate_hz=rate_bpm / 60,
        fs_hz=min(fs_hz, frame_rate_hz),
        jitter_s=jitter_s,
        band_hz=(quality.LOW_HZ, quality.HIGH_HZ),
    )


def _variability(beats: _Beats | None, rate: Estimate) -> dict[str, Estimate]:
    """Heart rate variability, with the noise floor behind each number."""
    span = (rate.t0_s, rate.t1_s)
    if beats is None:
        reason: Reason = rate.reason or "too_short"
        return {name: Estimate(name, None, unit, *span, 0.0, reason) for name, unit in hrv.UNITS.items()}
    measures = hrv.hrv(beats.times_s, noise_floor_ms=beats.noise_ms, duration_s=beats.duration_s)
    floor = {"duration_s": beats.duration_s}
    if math.isfinite(beats.noise_ms):
        floor["noise_floor_ms"] = beats.noise_ms
    return {
        name: Estimate(name, value, unit, *span, 0.0 if value is None else rate.confidence, reason, rate.method, floor)
        for name, (value, unit, reason) in measures.items()
    }
