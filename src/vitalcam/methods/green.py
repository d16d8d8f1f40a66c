"""GREEN: the mean of the green channel, where blood absorbs most.

Paper: Verkruysse, Svaasand, Nelson 2008, Optics Express 16(26), 21434-21445.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import Array, relative
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="green",
    outputs=("bvp",),
    paper="Verkruysse et al. 2008, Remote plethysmographic imaging using ambient light, Optics Express 16(26)",
)


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Relative change of green, turned over so that more blood (less light) is up.

    Args:
        rgb: (..., T, 3) mean colour of the skin, any unit.
        fs_hz: sampling rate; not needed, part of every method's signature.

    Returns:
        (..., T) dimensionless.
    """
    return np.asarray(-relative(rgb)[..., 1])
