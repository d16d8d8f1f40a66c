"""How good estimates are: rates and scores by named profile, agreement, intervals that know their subjects.

Published tables are not comparable as printed: filters, spectra, SNR and standard errors differ between the codes
behind them. A `Profile` names one such code, so that an old table can be met on its own terms; "vitalcam" is how we
think it should be done. The published ones follow their code to the letter, oddities included.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.errors import UnknownName
from vitalcam.signal import peaks, spectrum
from vitalcam.signal.filter import bandpass, butter_bandpass, detrend, normalise

Array = NDArray[np.float64]
Kind = Literal["bvp", "resp"]
Method = Literal["fft", "peak"]
Score = tuple[float, float, int]


@dataclass(frozen=True)
class Profile:
    """What one evaluation code does.

    Attributes:
        band_hz, resp_band_hz: pass bands for pulse and breathing.
        order: of the Butterworth filter; 0 for our own zero-phase filter.
        lam: stiffness of the detrend before it; 0 for none. Breathing is detrended in profiles with resp_detrend.
        spectrum: "interpolated"; "periodogram" on a power-of-two grid, no interpolation; "welch" the same but Welch
            above 30 s; "fine" Welch on a grid of 1e5 points.
        snr: "power" over power; "squared" powers; "twice": 20 log10 of a ratio of powers; "unknown": NaN, because the
            code of that time is not to be had.
        rmse_error: formula of the standard error of RMSE, see `_rmse_error`.
        resp_snr_band_hz: band of the SNR of breathing.
    """

    band_hz: tuple[float, float] = (0.6, 3.3)
    resp_band_hz: tuple[float, float] = (0.13, 0.5)
    order: int = 1
    lam: float = 100.0
    resp_detrend: bool = True
    spectrum: Literal["interpolated", "periodogram", "welch", "fine"] = "periodogram"
    snr: Literal["power", "squared", "twice", "unknown"] = "power"
    rmse_error: Literal["delta", "root_n", "root_spread", "plain"] = "root_n"
    resp_snr_band_hz: tuple[float, float] = (0.13, 0.5)


# Held to reference values (tests/parity/test_metric_profiles.py): "toolbox-current", "mmrphys-2025",
# "rhythmformer-2024", and the RMSE errors of the first two and of "factorizephys-2024", which is the toolbox with the
# squared powers of its paper. "toolbox-2023" has the band of its paper; whether its filter order was 1 is not known.
PROFILES: Mapping[str, Profile] = {
    "toolbox-2023": Profile(band_hz=(0.75, 2.5), snr="unknown", rmse_error="plain"),
    "toolbox-current": Profile(),
    "factorizephys-2024": Profile(snr="squared", rmse_error="root_spread"),
    "mmrphys-2025": Profile(
        order=2, lam=0.0, resp_detrend=False, spectrum="welch", snr="squared", rmse_error="root_spread",
        resp_snr_band_hz=(0.1, 0.54),
    ),
    "rhythmformer-2024": Profile(
        band_hz=(0.75, 2.5), spectrum="fine", snr="twice", rmse_error="plain"
    ),
    "vitalcam": Profile(
        band_hz=(40 / 60, 200 / 60), resp_band_hz=(5 / 60, 35 / 60), order=0, lam=0.0, resp_detrend=False,
        spectrum="interpolated", rmse_error="delta", resp_snr_band_hz=(5 / 60, 35 / 60),
    ),
}  # fmt: skip


def profile_named(name: str) -> Profile:
    """The profile of that name.

    Raises:
        UnknownName: there is none; the message lists those there are.
    """
    if name not in PROFILES:
        raise UnknownName("evaluation profile", name, PROFILES)
    return PROFILES[name]


def prepare(
    signal: ArrayLike, *, fs_hz: float, profile: str = "vitalcam", kind: Kind = "bvp", differenced: bool = False
) -> Array:
    """A waveform as a profile filters it before it looks for the rate.

    Args:
        signal: (T,) predicted or true waveform.
        fs_hz: sampling rate.
        profile: name in `PROFILES`.
        kind: "bvp" or "resp".
        differenced: the signal is a first difference; its cumulative sum is taken.
    """
    chosen = profile_named(profile)
    x = np.cumsum(signal) if differenced else np.asarray(signal, dtype=float)
    if chosen.lam and (kind == "bvp" or chosen.resp_detrend):
        x = detrend(x, lam=chosen.lam)
    low, high = _band(chosen, kind)
    return (
        bandpass(x, low, high, fs_hz=fs_hz)
        if not chosen.order
        else butter_bandpass(x, low, high, fs_hz=fs_hz, order=chosen.order)
    )


def rate(
    prepared: ArrayLike, *, fs_hz: float, profile: str = "vitalcam", kind: Kind = "bvp", method: Method = "fft"
) -> float:
    """Rate of a prepared waveform.

    Args:
        prepared: (T,) from `prepare`.
        fs_hz: sampling rate.
        profile: name in `PROFILES`.
        kind: "bvp" or "resp".
        method: "fft" for the highest peak of the spectrum, "peak" for the mean distance of beats or breaths.

    Returns:
        Per minute; NaN where there is no peak.
    """
    chosen, x = profile_named(profile), np.asarray(prepared, dtype=float)
    if method == "peak":
        return _rate_of_peaks(x, fs_hz, chosen, kind)
    low, high = _band(chosen, kind)
    if chosen.spectrum == "interpolated":
        return 60 * float(spectrum.peak(*spectrum.power(x, fs_hz=fs_hz, low_hz=low, high_hz=high))[0])
    freq, power = _spectrum(x, fs_hz, chosen)
    inside = (freq >= low) & (freq <= high) if chosen.spectrum != "fine" else (freq > low) & (freq < high)
    return 60 * float(freq[inside][np.argmax(power[inside])]) if inside.any() else math.nan


def snr_db(
    prepared: ArrayLike, rate_per_min: float, *, fs_hz: float, profile: str = "vitalcam", kind: Kind = "bvp"
) -> float:
    """Power within 6 /min of the true rate and of its double, over the rest of the band.

    Args:
        prepared: (T,) predicted waveform from `prepare`.
        rate_per_min: true rate.
        fs_hz: sampling rate.
        profile: name in `PROFILES`.
        kind: "bvp" or "resp".

    Returns:
        dB; 0 where a published code says 0 because nothing is left over.

    Source: de Haan & Jeanne 2013, in each profile's own form; "mmrphys-2025" and "factorizephys-2024" square powers.
    """
    chosen, x, f = profile_named(profile), np.asarray(prepared, dtype=float), rate_per_min / 60
    low, high = _band(chosen, kind) if kind == "bvp" else chosen.resp_snr_band_hz
    if chosen.spectrum == "interpolated":
        width = spectrum.HALF_WIDTH_HZ if kind == "bvp" else 2 / 60
        width = max(width, 2 * fs_hz / x.size)
        return float(spectrum.snr_db(x, fs_hz=fs_hz, f_hz=f, low_hz=low, high_hz=high, half_width_hz=width))
    if chosen.snr == "unknown":
        return math.nan
    freq, power = _snr_spectrum(x, fs_hz, chosen)
    power = power**2 if chosen.snr == "squared" else power
    # Written as the published codes have it: a bin exactly on the border falls on their side of rounding.
    first, second = ((freq >= k * f - 6 / 60) & (freq <= k * f + 6 / 60) for k in (1, 2))
    rest = power[(freq >= low) & (freq <= high) & ~first & ~second].sum()
    if rest == 0:
        return 0.0
    return float((20 if chosen.snr == "twice" else 10) * np.log10((power[first].sum() + power[second].sum()) / rest))


def macc(a: ArrayLike, b: ArrayLike) -> float:
    """Largest magnitude of the correlation of a with b shifted in a circle by 0 to T - 2 samples: 0..1.

    Args:
        a: (T,).
        b: (T,).

    Returns:
        NaN if one of them is constant.

    Source: Cho, Julier, Bianchi-Berthouze 2019 in the form of the published codes; here by one FFT.
    """
    x, y = normalise(a), normalise(b)
    if not (x.any() and y.any()):
        return math.nan
    lags = np.fft.irfft(np.fft.rfft(x) * np.conj(np.fft.rfft(y)), x.size) / x.size
    return float(np.abs(lags[: max(x.size - 1, 1)]).max())


def agreement(estimate: ArrayLike, truth: ArrayLike, *, profile: str = "vitalcam") -> dict[str, Score]:
    """Scores of rates against true rates; windows where either is NaN are left out.

    Args:
        estimate: (N,) rates, any unit.
        truth: (N,) true rates, not 0.
        profile: decides the standard error of RMSE.

    Returns:
        "mae", "rmse", "mape" (%), "pearson", "ccc", "max_error", "bias": (value, standard error, number of windows);
        NaN where there are too few windows.

    Source: standard errors as the published codes have them (population spread over root n); RMSE in the profile's
    form, the delta method in ours; Pearson sqrt((1 - r^2) / (n - 2)).
    """
    e, t = np.asarray(estimate, dtype=float), np.asarray(truth, dtype=float)
    known = np.isfinite(e) & np.isfinite(t)
    e, t = e[known], t[known]
    error, n = e - t, int(known.sum())
    if n == 0:
        return dict.fromkeys(("mae", "rmse", "mape", "pearson", "ccc", "max_error", "bias"), (math.nan, math.nan, 0))
    r = pearson(e, t)
    rmse = float(np.sqrt(np.mean(error**2)))
    return {
        "mae": (*mean_and_error(np.abs(error)), n),
        "rmse": (rmse, _rmse_error(error**2, rmse, profile_named(profile)), n),
        "mape": (*mean_and_error(100 * np.abs(error / t)), n),
        "pearson": (r, math.sqrt(max(1 - r * r, 0) / (n - 2)) if n > 2 else math.nan, n),
        "ccc": (ccc(e, t) if n > 1 else math.nan, math.nan, n),
        "max_error": (float(np.abs(error).max()), math.nan, n),
        "bias": (*mean_and_error(error), n),
    }


def pearson(a: Array, b: Array) -> float:
    """Correlation of a (N,) with b (N,), without gaps; NaN if one of them is constant."""
    a, b = a - a.mean(), b - b.mean()
    size = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.clip(a @ b / size, -1, 1)) if size > 0 else math.nan


def ccc(a: Array, b: Array) -> float:
    """Concordance of a (N,) with b (N,), without gaps; NaN if both are the same constant.

    Source: Lin 1989, Biometrics 45(1).
    """
    spread = a.var() + b.var() + (a.mean() - b.mean()) ** 2
    return 2 * float(np.mean((a - a.mean()) * (b - b.mean()))) / spread if spread > 0 else math.nan


def mean_and_error(values: ArrayLike) -> tuple[float, float]:
    """Mean and its standard error (population spread over root n) of the finite values; NaN if there is none."""
    v = np.asarray(values, dtype=float)
    v = v[np.isfinite(v)]
    return (float(v.mean()), float(v.std() / math.sqrt(v.size))) if v.size else (math.nan, math.nan)


def bland_altman(estimate: ArrayLike, truth: ArrayLike) -> dict[str, float]:
    """Bias and 95 % limits of agreement, bias -+ 1.96 sample standard deviations of the differences.

    Args:
        estimate: (N,).
        truth: (N,), same unit.

    Returns:
        "bias", "low", "high", "sd"; NaN where there are too few pairs.

    Source: Bland & Altman 1986, Lancet 327. One pair per subject is meant; repeated ones make the limits too narrow.
    """
    difference = np.asarray(estimate, dtype=float) - np.asarray(truth, dtype=float)
    difference = difference[np.isfinite(difference)]
    bias = float(difference.mean()) if difference.size else math.nan
    sd = float(difference.std(ddof=1)) if difference.size > 1 else math.nan
    return {"bias": bias, "low": bias - 1.96 * sd, "high": bias + 1.96 * sd, "sd": sd}


def cluster_interval(
    statistic: Callable[[NDArray[np.intp]], float], subjects: ArrayLike, *, level: float = 0.95, draws: int = 2000,
    seed: int = 0,
) -> tuple[float, float]:  # fmt: skip
    """Bootstrap interval of a statistic that draws whole subjects, as windows of one person are not independent.

    Args:
        statistic: from the row numbers that were drawn to a number, e.g. ``lambda rows: mae[rows].mean()``.
        subjects: (N,) whose row each is.
        level: coverage.
        draws: number of resamplings.
        seed: of the draws.

    Returns:
        Lower and upper bound (percentiles); NaN with fewer than two subjects.
    """
    groups = np.unique(np.asarray(subjects), return_inverse=True)[1]
    rows = [np.flatnonzero(groups == g) for g in range(groups.max() + 1)] if groups.size else []
    if len(rows) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    drawn = [
        statistic(np.concatenate([rows[g] for g in rng.integers(len(rows), size=len(rows))])) for _ in range(draws)
    ]
    low, high = np.nanpercentile(drawn, [50 * (1 - level), 50 * (1 + level)])
    return float(low), float(high)


def _band(profile: Profile, kind: Kind) -> tuple[float, float]:
    return profile.band_hz if kind == "bvp" else profile.resp_band_hz


def _rate_of_peaks(x: Array, fs_hz: float, profile: Profile, kind: Kind) -> float:
    if profile.spectrum == "interpolated" and kind == "bvp":
        return peaks.rate_bpm(peaks.ibi(peaks.beats(x, fs_hz=fs_hz))[1])
    from scipy import signal

    found, _ = signal.find_peaks(x)
    return 60 * fs_hz / float(np.mean(np.diff(found))) if found.size > 1 else math.nan


def _spectrum(x: Array, fs_hz: float, profile: Profile) -> tuple[Array, Array]:
    if profile.spectrum == "fine":
        return _welch(x, fs_hz, min(x.size - 1, 256), int(1e5 / fs_hz))
    if profile.spectrum == "welch" and x.size > 30 * fs_hz:
        return _welch(x, fs_hz, x.size // 2, None)
    return spectrum.periodogram(x, fs_hz=fs_hz)


def _snr_spectrum(x: Array, fs_hz: float, profile: Profile) -> tuple[Array, Array]:
    if profile.spectrum == "welch":
        x = normalise(x)
        return _welch(x, fs_hz, x.size // 2, None) if x.size >= 256 else spectrum.periodogram(x, fs_hz=fs_hz)
    return spectrum.periodogram(x, fs_hz=fs_hz)


def _welch(x: Array, fs_hz: float, length: int, size: int | None) -> tuple[Array, Array]:
    from scipy import signal

    freq, power = signal.welch(x, fs=fs_hz, nperseg=length, nfft=size, detrend=False)
    return freq, power


def _rmse_error(squares: Array, rmse: float, profile: Profile) -> float:
    """Standard error of RMSE; only "delta" is one, the others are what was printed."""
    spread, root_n = float(squares.std()), math.sqrt(squares.size)
    if profile.rmse_error == "root_n":
        return math.sqrt(spread / root_n)
    if profile.rmse_error == "root_spread":
        return math.sqrt(spread) / root_n
    if profile.rmse_error == "plain":
        return spread / root_n
    return spread / (2 * rmse * root_n) if rmse > 0 else 0.0
