"""Filters of waveforms: zero-phase band-pass, smoothness-prior detrend, z-score.

All take ``(..., T)`` evenly sampled and finite, and give float64 of the same shape. The measuring path uses the
Fourier band-pass, which needs numpy alone; the Butterworth filter is for the published evaluation profiles.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]

SKIRT = 0.3
"""Width of a pass-band edge as a share of its frequency."""


def skirts(freq: ArrayLike, stop_low: float, low: float, high: float, stop_high: float) -> Array:
    """Gain with half-cosine skirts: 0 up to stop_low, 1 from low to high, 0 from stop_high on.

    >>> skirts([0.0, 1.5, 2.0, 3.0, 4.0], 1.0, 2.0, 3.0, 4.0).round(2).tolist()
    [0.0, 0.5, 1.0, 1.0, 0.0]
    """
    freq = np.asarray(freq, dtype=float)
    rise = np.clip((freq - stop_low) / (low - stop_low), 0, 1)
    fall = np.clip((stop_high - freq) / (stop_high - high), 0, 1)
    return np.asarray(np.sin(np.pi / 2 * rise) ** 2 * np.sin(np.pi / 2 * fall) ** 2)


def bandpass(x: ArrayLike, low_hz: float, high_hz: float, *, fs_hz: float) -> Array:
    """Zero-phase band-pass by FFT; the band itself passes unchanged.

    The straight line through the data is removed, and both ends are mirrored for as long as the filter rings (two
    periods of low_hz). Within half a period of low_hz of an end the result depends on what is not there; of the usual
    continuations the mirror image errs least, on pulses, on noise and on wander alike.

    Args:
        x: (..., T) evenly sampled, finite; a NaN makes its whole row NaN.
        low_hz: lower edge, Hz; the gain is 1 from here on and 0 up to 0.7 low_hz.
        high_hz: upper edge, Hz; the gain is 0 from 1.3 high_hz on.
        fs_hz: sampling rate of x.

    Returns:
        (..., T), unit of x.
    """
    x = _without_line(np.asarray(x, dtype=float))
    n = x.shape[-1]
    if n < 3:
        return np.zeros_like(x)
    pad = min(n - 1, int(np.ceil(2 * fs_hz / low_hz)))
    padded = np.pad(x, [(0, 0)] * (x.ndim - 1) + [(pad, pad)], mode="reflect")
    size = fast_length(padded.shape[-1])
    freq = np.fft.rfftfreq(size, 1 / fs_hz)
    gain = skirts(freq, low_hz * (1 - SKIRT), low_hz, high_hz, high_hz * (1 + SKIRT))
    y = np.fft.irfft(np.fft.rfft(padded, size) * gain, size)
    return np.asarray(y[..., pad : pad + n])


def butter_bandpass(x: ArrayLike, low_hz: float, high_hz: float, *, fs_hz: float, order: int) -> Array:
    """Butterworth band-pass run forward and backward, as the published evaluations use it.

    Args:
        x: (..., T).
        low_hz: lower -3 dB edge of one pass, Hz.
        high_hz: upper -3 dB edge, Hz.
        fs_hz: sampling rate of x.
        order: of the low-pass prototype; the band-pass has twice as many poles.

    Returns:
        (..., T), unit of x.

    Source: scipy's ``butter`` and ``filtfilt`` with their defaults, for parity with published numbers.
    """
    from scipy import signal  # 0.7 s of CPU, never paid when measuring

    b, a = signal.butter(order, [low_hz, high_hz], btype="bandpass", fs=fs_hz)
    return np.asarray(signal.filtfilt(b, a, np.asarray(x, dtype=float)))


def detrend(x: ArrayLike, *, lam: float) -> Array:
    """Subtract the smooth trend found with a second-difference prior; cost grows linearly with T.

    It is a high-pass with half gain at ``fs_hz / (2 pi sqrt(lam))``: 0.48 Hz for lam 100 at 30 Hz.

    Args:
        x: (..., T) evenly sampled, finite.
        lam: stiffness of the trend; larger keeps slower parts of x.

    Returns:
        (..., T), unit of x; zeros where T < 3 (all of x is trend).

    Source: Tarvainen, Ranta-aho, Karjalainen 2002, IEEE TBME 49(2), eq. 18; solved as a banded system.
    """
    x = np.asarray(x, dtype=float)
    n = x.shape[-1]
    if n < 3:
        return np.zeros_like(x)
    if not np.all(np.isfinite(x)):
        raise ValueError("detrend: x has NaN; split it at its gaps first")
    from scipy.linalg import solveh_banded

    rows = x.reshape(-1, n)
    trend = solveh_banded(_smoothness_bands(n, lam), rows.T, check_finite=False).T
    return np.asarray((rows - trend).reshape(x.shape))


def normalise(x: ArrayLike) -> Array:
    """Zero mean and unit (population) standard deviation over the last axis; a constant gives zeros.

    >>> normalise([1.0, 3.0]).tolist()
    [-1.0, 1.0]
    """
    x = np.asarray(x, dtype=float)
    centred = x - x.mean(axis=-1, keepdims=True)
    scale = centred.std(axis=-1, keepdims=True)
    flat = scale <= 1e-12 * np.abs(x).max(axis=-1, keepdims=True)
    return np.asarray(np.where(flat, 0.0, centred / np.where(flat, 1.0, scale)))


def fast_length(n: int) -> int:
    """The smallest 2^a 3^b 5^c that is at least n: a quick size for an FFT.

    >>> fast_length(1807)
    1920
    """
    best = 1 << max(n - 1, 0).bit_length()
    for five in (1, 5, 25):
        for three in (1, 3, 9):
            odd = five * three
            best = min(best, odd << max(-(-n // odd) - 1, 0).bit_length())
    return best


def _without_line(x: Array) -> Array:
    """Subtract the least-squares straight line from each row."""
    t = np.arange(x.shape[-1]) - (x.shape[-1] - 1) / 2
    centred = x - x.mean(axis=-1, keepdims=True)
    slope = centred @ t / max(t @ t, 1.0)
    return np.asarray(centred - slope[..., None] * t)


def _smoothness_bands(n: int, lam: float) -> NDArray[Any]:
    """Upper bands (3, n) of I + lam^2 D'D with D the second difference, n >= 3."""
    d = np.array([1.0, -2.0, 1.0])
    bands = np.zeros((3, n))
    bands[2] = 1.0
    for lag in range(3):
        for i in range(3 - lag):
            start = i + lag
            bands[2 - lag, start : start + n - 2] += lam**2 * d[i] * d[i + lag]
    return bands
