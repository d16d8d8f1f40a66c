"""Heart rate variability that knows its noise floor.

A beat found on a video is a little early or late. That error alone makes RMSSD tens of milliseconds where the heart
is as regular as a clock. Here every number comes with the floor that its beats have (`peaks.timing_noise_ms` measures
it); a number that is not at least twice its floor is refused, and the floor is taken out of the others.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.signal import peaks
from vitalcam.types import Reason

Array = NDArray[np.float64]
Measure = tuple[float | None, str, Reason | None]

MIN_DURATION_S = {"mean_ibi": 10.0, "sdnn": 20.0, "rmssd": 20.0, "pnn50": 60.0, "lf_hf": 120.0}
UNITS = {"mean_ibi": "ms", "sdnn": "ms", "rmssd": "ms", "pnn50": "%", "lf_hf": "ratio"}
MAX_MISSING = 0.25
"""Share of the stretch without good intervals from which variability is refused."""
LEAST_FLOOR_MS = 1.0
"""No floor is lower than this: what interpolation between frames leaves on a clean wave."""
MAX_FLOOR_MS = 40.0
"""A floor as high as the variability of most hearts leaves nothing to measure, however large the number."""
LF_HZ, HF_HZ = (0.04, 0.15), (0.15, 0.4)


def timing_noise_ms(
    snr_db: float,
    *,
    heart_rate_hz: float,
    fs_hz: float,
    jitter_s: float = 0.0,
    band_hz: tuple[float, float] = (0.7, 4.0),
) -> float:
    """RMSSD that beat-time error alone gives to a sinusoidal pulse in white noise: what to expect of a recording.

    With signal power P, noise density N (per Hz), pulse frequency f and w = 2 pi f, laying a Hann-windowed period of
    the mean beat over each beat has a timing variance s^2 = 0.75 f N / (w^2 P). Frame times that are off by j act like
    noise of density 3 j^2 w^2 P / fs (2 for white noise, times 3/2 because they err most where the slope counts most).
    Errors of different beats are independent, so RMSSD = sqrt(6) s. A pulse with a steep upstroke does better;
    `peaks.timing_noise_ms` measures the floor of a wave at hand.

    Args:
        snr_db: as from `spectrum.snr_db` over band_hz.
        heart_rate_hz: pulse frequency.
        fs_hz: frame rate.
        jitter_s: standard deviation of the error of a frame's time.
        band_hz: band of snr_db.

    Source: derived here (Cramer-Rao form for a delay in white noise); tests/unit/test_hrv.py holds it to Monte Carlo.
    """
    omega = 2 * np.pi * heart_rate_hz
    density = 10 ** (-snr_db / 10) / (band_hz[1] - band_hz[0] - 0.4)
    variance = 0.75 * heart_rate_hz * (density / omega**2 + 3 * jitter_s**2 / fs_hz)
    return 1000 * float(np.sqrt(6 * variance))


def hrv(beat_times_s: ArrayLike, *, noise_floor_ms: float, duration_s: float | None = None) -> dict[str, Measure]:
    """Variability of the intervals between beats.

    Args:
        beat_times_s: (N,) s, as from `peaks.beats`; faulty intervals are found and left out here.
        noise_floor_ms: RMSSD that the beats' timing errors alone give, as from `peaks.timing_noise_ms`; NaN if it is
            not known, then variability is refused.
        duration_s: length of the recording; default is from the first to the last beat.

    Returns:
        "mean_ibi", "sdnn", "rmssd" (ms), "pnn50" (%), "lf_hf" (ratio): value or None, unit, reason or None. SDNN and
        RMSSD have their floors taken out in quadrature, which Monte Carlo shows to be unbiased in the mean square;
        pNN50 and LF/HF are as found.

    Source: Task Force of the ESC and NASPE 1996, Circulation 93(5), for the measures.
    """
    times = np.asarray(beat_times_s, dtype=float)
    end_s, ibi_s = peaks.ibi(times)
    lasted_s = duration_s if duration_s is not None else float(np.ptp(times)) if times.size else 0.0
    missing = 1 - float(np.nansum(ibi_s)) / lasted_s if lasted_s > 0 else 1.0
    found = _measures(end_s, ibi_s) if np.isfinite(ibi_s).sum() >= 3 else {}
    floor = max(noise_floor_ms, LEAST_FLOOR_MS) if np.isfinite(noise_floor_ms) else np.inf
    out: dict[str, Measure] = {}
    for name, unit in UNITS.items():
        reason = _refusal(name, found, lasted_s, missing, floor)
        out[name] = (None if reason else _without_floor(name, found[name], floor), unit, reason)
    return out


def _measures(end_s: Array, ibi_s: Array) -> dict[str, float]:
    """Every measure as the intervals have it; NaN where it needs more of them."""
    steps = np.diff(ibi_s)
    steps = steps[np.isfinite(steps)]
    known = np.isfinite(ibi_s)
    return {
        "mean_ibi": 1000 * float(ibi_s[known].mean()),
        "sdnn": 1000 * float(ibi_s[known].std(ddof=1)),
        "rmssd": 1000 * float(np.sqrt(np.mean(steps**2))) if steps.size else np.nan,
        "pnn50": 100 * float(np.mean(np.abs(steps) > 0.05)) if steps.size else np.nan,
        "lf_hf": lf_hf(end_s[known], ibi_s[known]),
    }


def _refusal(name: str, found: dict[str, float], lasted_s: float, missing: float, floor_ms: float) -> Reason | None:
    if lasted_s < MIN_DURATION_S[name]:
        return "too_short"
    if not np.isfinite(found.get(name, np.nan)) or (missing > MAX_MISSING and name != "mean_ibi"):
        return "low_quality"
    judged = "sdnn" if name == "sdnn" else "rmssd"
    if name != "mean_ibi" and not (floor_ms <= MAX_FLOOR_MS and found[judged] > 2 * _floor_of(judged, floor_ms)):
        return "noise_floor"
    return None


def _floor_of(name: str, floor_ms: float) -> float:
    """Independent errors of variance s^2 give RMSSD^2 = 6 s^2 and SDNN^2 = 2 s^2."""
    return floor_ms / np.sqrt(3) if name == "sdnn" else floor_ms


def _without_floor(name: str, value: float, floor_ms: float) -> float:
    if name not in ("sdnn", "rmssd"):
        return value
    return float(np.sqrt(value**2 - _floor_of(name, floor_ms) ** 2))


def lf_hf(time_s: ArrayLike, ibi_s: ArrayLike) -> float:
    """Ratio of the power of the intervals in 0.04 .. 0.15 Hz to that in 0.15 .. 0.4 Hz.

    Args:
        time_s: (N,) s, uneven as beats are.
        ibi_s: (N,) s, finite.

    Returns:
        Ratio; NaN with fewer than eight intervals or no power in the upper band.

    Source: Lomb's least-squares periodogram (Lomb 1976; Scargle 1982, eq. 10), so nothing is resampled.
    """
    time, ibi = np.asarray(time_s, dtype=float), np.asarray(ibi_s, dtype=float)
    if time.size < 8:
        return float("nan")
    rest = ibi - np.polyval(np.polyfit(time - time.mean(), ibi, 1), time - time.mean())
    freq = np.arange(LF_HZ[0], HF_HZ[1], 0.25 / np.ptp(time))
    power = _lomb(time, rest, freq)
    low, high = (power[(freq >= a) & (freq < b)].sum() for a, b in (LF_HZ, HF_HZ))
    return float(low / high) if high > 0 else float("nan")


def _lomb(time: Array, x: Array, freq_hz: Array) -> Array:
    """(F,) power of uneven samples (N,) at each frequency."""
    angle = 2 * np.pi * freq_hz[:, None] * time
    delay = np.arctan2(np.sin(2 * angle).sum(axis=1), np.cos(2 * angle).sum(axis=1)) / 2
    cos, sin = np.cos(angle - delay[:, None]), np.sin(angle - delay[:, None])
    return np.asarray((cos @ x) ** 2 / (cos**2).sum(axis=1) + (sin @ x) ** 2 / (sin**2).sum(axis=1)) / 2
