"""What the classical methods share: relative colour, sliding windows, overlap-add, the sign of the pulse.

Skin reflects less when it holds more blood. All methods give a wave in which more blood is up.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitalcam.signal import spectrum

Array = NDArray[np.float64]

PULSE_RGB = np.array([0.33, 0.77, 0.53])
"""Relative strength of the pulse in R, G, B on skin: de Haan & van Leest 2014, used by Wang et al. 2017, section II."""
BAND_HZ = (40 / 60, 4.0)
"""Pulse band: 40 to 240 beats/min, as de Haan & Jeanne 2013."""
TINY = 1e-12


def relative(rgb: ArrayLike) -> Array:
    """Colour over its mean in time, minus one: (..., T, 3), dimensionless; a black channel gives zeros, NaN NaN."""
    rgb = np.asarray(rgb, dtype=float)
    mean = rgb.mean(axis=-2, keepdims=True)
    return np.asarray(np.where(mean <= TINY, 0.0, rgb / np.where(mean <= TINY, 1.0, mean) - 1))


def windows(x: Array, length: int) -> Array:
    """All stretches of ``length`` samples, one sample apart: (..., T, C) to (..., T - length + 1, length, C)."""
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(x, length, axis=-2), -1, -2)


def overlap_mean(parts: Array, step: int, n: int, weight: Array) -> Array:
    """Weighted mean of overlapping stretches at each sample.

    Dividing by the sum of the weights is a constant factor where all windows overlap; at the ends, which fewer
    windows cover, it keeps the wave at its height.

    Args:
        parts: (..., N, L), part i starts at sample i * step.
        step: samples from one part to the next.
        n: length of the result.
        weight: (L,) of each sample of a part, not negative.

    Returns:
        (..., n); 0 where no part has weight.
    """
    count, length = parts.shape[-2:]
    total = np.zeros((*parts.shape[:-2], n))
    norm = np.zeros(n)
    for j in range(length):
        span = slice(j, j + (count - 1) * step + 1, step)
        total[..., span] += weight[j] * parts[..., j]
        norm[span] += weight[j]
    return np.asarray(total / np.where(norm > TINY, norm, 1.0))


def ratio_of_spread(a: Array, b: Array) -> Array:
    """Standard deviation of a over that of b along the last axis, which is kept; 0 where b is constant."""
    spread = b.std(axis=-1, keepdims=True)
    return np.asarray(np.where(spread > TINY, a.std(axis=-1, keepdims=True) / np.where(spread > TINY, spread, 1), 0))


def blood_up(wave: Array, rgb: Array) -> Array:
    """Turn a wave of unknown sign so that it goes against green, as blood does.

    Args:
        wave: (..., T).
        rgb: (..., T, 3) colour that the wave came from.
    """
    green = rgb[..., 1] - rgb[..., 1].mean(axis=-1, keepdims=True)
    along = np.sum(wave * green, axis=-1, keepdims=True)
    return np.asarray(np.where(along > 0, -wave, wave))


def without_direction(rgb: Array, direction: Array) -> Array:
    """The part of colours (..., T, 3) that is orthogonal to a unit direction (..., 3)."""
    along = np.sum(rgb * direction[..., None, :], axis=-1, keepdims=True)
    return np.asarray(rgb - along * direction[..., None, :])


def most_periodic(waves: Array, fs_hz: float) -> Array:
    """The one of (..., K, T) waves with the largest share of its pulse-band power in one bin; (..., T)."""
    _, power = spectrum.power(waves, fs_hz=fs_hz, low_hz=BAND_HZ[0], high_hz=BAND_HZ[1])
    total = power.sum(axis=-1)
    best = np.argmax(power.max(axis=-1) / np.where(total > 0, total, np.inf), axis=-1)
    return np.asarray(np.take_along_axis(waves, best[..., None, None], axis=-2)[..., 0, :])
