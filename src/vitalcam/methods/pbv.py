"""PBV: the weights of the channels that correlate with the trace as the known signature of blood does.

Paper: de Haan & van Leest 2014, Physiological Measurement 35(9), 1913-1926.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import BAND_HZ, PULSE_RGB, TINY, Array, relative
from vitalcam.signal.filter import bandpass
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="pbv",
    outputs=("bvp",),
    paper="de Haan & van Leest 2014, Improved motion robustness of remote-PPG, Physiological Measurement 35(9)",
)


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Pulse from mean skin colour.

    Args:
        rgb: (..., T, 3) mean colour of the skin, linear in light up to a gain.
        fs_hz: sampling rate.

    Returns:
        (..., T) dimensionless, more blood is up.

    Source: weights w with C C' w proportional to the signature, scaled so that a pulse of that signature keeps its
    size; C is the relative colour in the pulse band. The signature is that of the paper's camera and light
    (0.33, 0.77, 0.53), not re-estimated from the trace, where motion would enter it.
    """
    colour = np.swapaxes(bandpass(np.swapaxes(relative(rgb), -1, -2), *BAND_HZ, fs_hz=fs_hz), -1, -2)
    covariance = np.swapaxes(colour, -1, -2) @ colour
    size = np.trace(covariance, axis1=-2, axis2=-1)[..., None, None]
    ridge = (1e-6 * size + TINY) * np.eye(3)
    weights = np.linalg.solve(covariance + ridge, PULSE_RGB[:, None])[..., 0]
    weights = weights / (weights @ PULSE_RGB)[..., None]
    return np.asarray(-np.sum(colour * weights[..., None, :], axis=-1))
