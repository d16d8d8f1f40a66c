"""CHROM: two chrominance signals whose specular parts cancel.

Paper: de Haan & Jeanne 2013, IEEE TBME 60(10), 2878-2886, eqs. 9, 13-15.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import BAND_HZ, Array, overlap_mean, ratio_of_spread, relative, windows
from vitalcam.signal.filter import bandpass
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="chrom",
    outputs=("bvp",),
    paper="de Haan & Jeanne 2013, Robust pulse rate from chrominance-based rPPG, IEEE TBME 60(10)",
)
CHROMINANCE = np.array([[3.0, -2.0, 0.0], [1.5, 1.0, -1.5]])
WINDOW_S = 1.6


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Pulse from mean skin colour.

    Args:
        rgb: (..., T, 3) mean colour of the skin, linear in light up to a gain.
        fs_hz: sampling rate.

    Returns:
        (..., T) dimensionless, more blood is up.

    Source: eqs. 9 and 13-15, windows of 1.6 s that overlap by half under a Hann window. The filter is our zero-phase
    band-pass over 40 to 240 beats/min, run over each window.
    """
    rgb = np.asarray(rgb, dtype=float)
    n = rgb.shape[-2]
    length = min(n, 2 * int(np.ceil(WINDOW_S * fs_hz / 2)))
    step = max(length // 2, 1)
    # Whole windows only start every half window; a mirrored half window at both ends covers them as well as the middle.
    lead = -(-(n - 1) // step) * step - n + step + 1
    padded = np.pad(rgb, [(0, 0)] * (rgb.ndim - 2) + [(step, lead + step), (0, 0)], mode="symmetric")
    xy = np.moveaxis(relative(windows(padded, length)[..., ::step, :, :]) @ CHROMINANCE.T, -1, 0)
    x, y = bandpass(xy, *BAND_HZ, fs_hz=fs_hz)
    pulse = x - ratio_of_spread(x, y) * y
    weight = np.hanning(length + 2)[1:-1]
    return overlap_mean(pulse, step, padded.shape[-2], weight)[..., step : step + n]
