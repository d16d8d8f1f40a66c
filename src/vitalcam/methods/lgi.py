"""LGI: local group invariance, the colour trace projected off its dominant direction.

Paper: Pilz, Zaunseder, Krajewski, Blazek 2018, CVPR Workshops, 1254-1262.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import Array, without_direction
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="lgi",
    outputs=("bvp",),
    paper="Pilz et al. 2018, Local group invariance for heart rate estimation from face videos, CVPR Workshops",
)


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Pulse from mean skin colour.

    Args:
        rgb: (..., T, 3) mean colour of the skin, any unit.
        fs_hz: sampling rate; not needed, part of every method's signature.

    Returns:
        (..., T) unit of rgb, more blood is up.

    Source: the first left singular vector of the 3 x T trace spans brightness; green of what is orthogonal to it, as
    in the published toolboxes. The paper's features of the trace's dynamics are not part of it.
    """
    rgb = np.asarray(rgb, dtype=float)
    _, vectors = np.linalg.eigh(np.swapaxes(rgb, -1, -2) @ rgb)
    return np.asarray(-without_direction(rgb, vectors[..., -1])[..., 1])
