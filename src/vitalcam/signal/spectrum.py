"""Spectra of waveforms and what is read out of them: peak, signal-to-noise ratio, which harmonic it is.

Waveforms are ``(..., T)`` at fs_hz; NaN samples count as missing (they are put at the mean).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.signal.filter import fast_length

Array = NDArray[np.float64]

HALF_WIDTH_HZ = 0.1
"""Half width of the window around a harmonic that counts as signal (6 beats/min)."""


def power(x: ArrayLike, *, fs_hz: float, low_hz: float, high_hz: float, grid_bpm: float = 0.5) -> tuple[Array, Array]:
    """Power spectrum within a band: mean removed, Hann window, zero-padded FFT.

    Args:
        x: (..., T), any unit.
        fs_hz: sampling rate.
        low_hz: lower end of the band, included.
        high_hz: upper end, included.
        grid_bpm: bins are at most this far apart, beats/min.

    Returns:
        freq_hz (F,) and power (..., F), unit of x squared (a tone of amplitude a peaks at about a^2 / 4).
    """
    x = np.asarray(x, dtype=float)
    known = np.isfinite(x)
    count = np.maximum(known.sum(axis=-1, keepdims=True), 1)
    mean = np.where(known, x, 0).sum(axis=-1, keepdims=True) / count
    window = np.hanning(x.shape[-1] + 2)[1:-1]
    size = fast_length(max(x.shape[-1], int(np.ceil(60 * fs_hz / grid_bpm))))
    freq = np.fft.rfftfreq(size, 1 / fs_hz)
    band = (freq >= low_hz) & (freq <= high_hz)
    spectrum = np.fft.rfft(np.where(known, x - mean, 0) * window, size)[..., band] / window.sum()
    return np.asarray(freq[band], dtype=float), np.asarray(np.abs(spectrum) ** 2)


def peak(freq_hz: Array, power: Array) -> tuple[Array, Array]:
    """The highest inner maximum of a spectrum, between bins (parabola through three log powers).

    Args:
        freq_hz: (F,) evenly spaced, Hz.
        power: (..., F).

    Returns:
        Frequency (...,) in Hz and power (...,) there; NaN where the spectrum has no inner maximum.
    """
    power = np.asarray(power, dtype=float)
    shape = power.shape[:-1]
    if power.shape[-1] < 3:
        return np.full(shape, np.nan), np.full(shape, np.nan)
    inner = power[..., 1:-1]
    is_top = (inner > power[..., :-2]) & (inner >= power[..., 2:])
    at = np.argmax(np.where(is_top, inner, -1.0), axis=-1) + 1
    found = is_top.any(axis=-1)
    y0, y1, y2 = (np.log(np.take_along_axis(power, (at + k)[..., None], -1)[..., 0] + 1e-300) for k in (-1, 0, 1))
    bend = y0 - 2 * y1 + y2
    shift = np.clip(np.where(bend < 0, 0.5 * (y0 - y2) / np.where(bend < 0, bend, 1), 0), -0.5, 0.5)
    freq = freq_hz[at] + shift * (freq_hz[1] - freq_hz[0])
    height = np.exp(y1 - 0.25 * (y0 - y2) * shift)
    return np.where(found, freq, np.nan), np.where(found, height, np.nan)


def share(
    freq_hz: Array, power: Array, f_hz: ArrayLike, *, half_width_hz: float = HALF_WIDTH_HZ, harmonics: int = 1
) -> Array:
    """Share of a spectrum's power within half_width_hz of f_hz and its harmonics: 0..1, NaN where power is 0.

    Args:
        freq_hz: (F,).
        power: (..., F).
        f_hz: (...,) fundamental, Hz.
        half_width_hz: half width of a window, Hz.
        harmonics: 1 for the fundamental alone, 2 with the second harmonic.
    """
    f = np.asarray(f_hz, dtype=float)[..., None]
    inside = np.zeros(np.broadcast_shapes(f.shape, freq_hz.shape), dtype=bool)
    for k in range(1, harmonics + 1):
        inside |= np.abs(freq_hz - k * f) <= half_width_hz
    total = power.sum(axis=-1)
    part = np.where(inside, power, 0).sum(axis=-1) / np.where(total > 0, total, 1)
    return np.asarray(np.where((total > 0) & np.isfinite(f[..., 0]), part, np.nan))


def snr_db(
    x: ArrayLike, *, fs_hz: float, f_hz: ArrayLike, low_hz: float = 0.7, high_hz: float = 4.0,
    half_width_hz: float | None = None,
) -> Array:  # fmt: skip
    """Power around the pulse and its second harmonic over the rest of the band.

    Args:
        x: (..., T).
        fs_hz: sampling rate.
        f_hz: (...,) pulse frequency.
        low_hz: lower end of the band that is looked at.
        high_hz: its upper end.
        half_width_hz: of the two windows; default 0.1 Hz as published, but no narrower than the main lobe of the
            Hann window (2 / duration), else a short clean tone would count as noise.

    Returns:
        (...,) dB; NaN where f_hz is NaN or there is no power. Limited to +-60 dB.

    Source: de Haan & Jeanne 2013, IEEE TBME 60(10), section III-C.
    """
    x = np.asarray(x, dtype=float)
    width = max(HALF_WIDTH_HZ, 2 * fs_hz / x.shape[-1]) if half_width_hz is None else half_width_hz
    freq, p = power(x, fs_hz=fs_hz, low_hz=low_hz, high_hz=high_hz)
    part = np.clip(share(freq, p, f_hz, half_width_hz=width, harmonics=2), 1e-6, 1 - 1e-6)
    return np.asarray(10 * np.log10(part / (1 - part)))


def fundamental(freq_hz: Array, power: Array, f_hz: float) -> float:
    """Which of f/2, f, 2f is the pulse when the spectrum peaks at f.

    A pulse at f/2 with a strong notch peaks at its second harmonic, but then f/2 and 3f/2 carry power too: half is
    taken when f/2 has at least a quarter of the peak's power and 3f/2 (where the band reaches it) a twentieth, both
    as maxima. A peak at a subharmonic of the pulse cannot arise from a wave that repeats with the pulse, so f is
    never doubled.

    Args:
        freq_hz: (F,) evenly spaced.
        power: (F,).
        f_hz: frequency of the peak.

    Returns:
        The pulse frequency, Hz.
    """
    _, top = maximum_near(freq_hz, power, f_hz)
    half_hz, half = maximum_near(freq_hz, power, f_hz / 2)
    _, third = maximum_near(freq_hz, power, 1.5 * f_hz)
    reaches_third = 1.6 * f_hz <= freq_hz[-1]
    if half >= 0.25 * top and (third >= 0.05 * top or not reaches_third):
        return half_hz
    return f_hz


def periodogram(x: ArrayLike, *, fs_hz: float, size: int | None = None) -> tuple[Array, Array]:
    """Periodogram without window or mean removal, zero-padded to a power of two: the published evaluations' grid.

    Args:
        x: (..., T).
        fs_hz: sampling rate.
        size: FFT length; default the smallest power of two that is at least T.

    Returns:
        freq_hz (F,) and power density (..., F), unit of x squared per Hz.
    """
    x = np.asarray(x, dtype=float)
    n = x.shape[-1]
    size = size or 1 << max(n - 1, 0).bit_length()
    spectrum = np.abs(np.fft.rfft(x, size)) ** 2 / (fs_hz * n)
    spectrum[..., 1 : (size + 1) // 2] *= 2
    return np.asarray(np.fft.rfftfreq(size, 1 / fs_hz), dtype=float), np.asarray(spectrum)


def maximum_near(freq_hz: Array, power: Array, f_hz: float, tolerance: float = 0.06) -> tuple[float, float]:
    """Frequency and height of the highest inner maximum within a share of f_hz; (NaN, 0) if there is none."""
    near = np.flatnonzero(np.abs(freq_hz - f_hz) <= tolerance * f_hz)
    if near.size < 3:
        return np.nan, 0.0
    freq, height = peak(freq_hz[near], power[near])
    return (float(freq), float(height)) if np.isfinite(freq) else (np.nan, 0.0)
