"""POS: projection on the plane orthogonal to the skin tone.

Paper: Wang, den Brinker, Stuijk, de Haan 2017, IEEE TBME 64(7), 1479-1491, algorithm 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import Array, overlap_mean, ratio_of_spread, relative, windows
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="pos",
    outputs=("bvp",),
    paper="Wang et al. 2017, Algorithmic principles of remote PPG, IEEE TBME 64(7)",
)
PLANE = np.array([[0.0, 1.0, -1.0], [-2.0, 1.0, 1.0]])
WINDOW_S = 1.6


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Pulse from mean skin colour.

    Args:
        rgb: (..., T, 3) mean colour of the skin, linear in light up to a gain.
        fs_hz: sampling rate.

    Returns:
        (..., T) dimensionless, more blood is up (the algorithm's own sign is that of the light).

    Source: algorithm 1; the overlap-add is divided by the number of windows, see `_colour.overlap_mean`.
    """
    rgb = np.asarray(rgb, dtype=float)
    n = rgb.shape[-2]
    length = min(n, int(np.ceil(WINDOW_S * fs_hz)))
    s = np.moveaxis(relative(windows(rgb, length)) @ PLANE.T, -1, 0)
    pulse = s[0] + ratio_of_spread(s[0], s[1]) * s[1]
    return overlap_mean(-(pulse - pulse.mean(axis=-1, keepdims=True)), 1, n, np.ones(length))
