"""PCA: the principal component of the colours in the pulse band whose spectrum is most of one frequency.

Paper: Lewandowska, Ruminski, Kocejko, Nowak 2011, FedCSIS, 405-410.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import Array, blood_up, most_periodic
from vitalcam.signal.filter import bandpass, normalise
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="pca",
    outputs=("bvp",),
    paper="Lewandowska et al. 2011, Measuring pulse rate with a webcam, FedCSIS",
)
BAND_HZ = (0.5, 3.7)


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Pulse from mean skin colour.

    Args:
        rgb: (..., T, 3) mean colour of the skin, any unit.
        fs_hz: sampling rate.

    Returns:
        (..., T) dimensionless, more blood is up: the sign, which a principal component has not, is set against green.

    Source: the paper band-passes 0.5 to 3.7 Hz and looks at the components by eye; here the spectrum decides.
    """
    rgb = np.asarray(rgb, dtype=float)
    colour = normalise(bandpass(np.swapaxes(rgb, -1, -2), *BAND_HZ, fs_hz=fs_hz))
    _, vectors = np.linalg.eigh(colour @ np.swapaxes(colour, -1, -2))
    components = np.swapaxes(vectors, -1, -2) @ colour
    return blood_up(most_periodic(components, fs_hz), np.swapaxes(colour, -1, -2))
