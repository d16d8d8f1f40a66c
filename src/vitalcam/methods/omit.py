"""OMIT: orthogonal matrix image transformation, the trace projected off its first direction by QR.

Paper: Alvarez Casado, Bordallo Lopez 2023, Face2PPG, IEEE JBHI 27(11), 5530-5541.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import Array, without_direction
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="omit",
    outputs=("bvp",),
    paper="Alvarez Casado & Bordallo Lopez 2023, Face2PPG, IEEE JBHI 27(11)",
)


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Pulse from mean skin colour.

    Args:
        rgb: (..., T, 3) mean colour of the skin, any unit.
        fs_hz: sampling rate; not needed, part of every method's signature.

    Returns:
        (..., T) unit of rgb, more blood is up.

    Source: the first column of Q in the QR decomposition of the 3 x T trace, which is the direction of the first
    sample's colour; green of what is orthogonal to it.
    """
    rgb = np.asarray(rgb, dtype=float)
    first = rgb[..., 0, :]
    length = np.linalg.norm(first, axis=-1, keepdims=True)
    direction = first / np.where(length > 0, length, 1)
    return np.asarray(-without_direction(rgb, direction)[..., 1])
