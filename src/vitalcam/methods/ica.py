"""ICA: the independent source of the colours whose spectrum is most of one frequency.

Paper: Poh, McDuff, Picard 2010, Optics Express 18(10), 10762-10774, and 2011, IEEE TBME 58(1), 7-11.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from vitalcam.methods._colour import BAND_HZ, TINY, Array, blood_up, most_periodic
from vitalcam.signal.filter import bandpass, detrend, normalise
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="ica",
    outputs=("bvp",),
    paper="Poh et al. 2010, Non-contact, automated cardiac pulse measurements, Optics Express 18(10)",
)
STIFFNESS = 100.0
ROUNDS = 60


def waveform(rgb: ArrayLike, *, fs_hz: float) -> Array:
    """Pulse from mean skin colour.

    Args:
        rgb: (..., T, 3) mean colour of the skin, any unit.
        fs_hz: sampling rate.

    Returns:
        (..., T) dimensionless, more blood is up: the sign, which an independent source has not, is set against green.

    Source: detrended, z-scored, unmixed, most periodic source, band-passed (2011, section II). The paper unmixes with
    JADE; here symmetric FastICA with the same fourth-order contrast (Hyvarinen 1999, IEEE TNN 10(3)), from a fixed
    start, so that the same trace always gives the same wave.
    """
    colour = normalise(detrend(np.swapaxes(np.asarray(rgb, dtype=float), -1, -2), lam=STIFFNESS))
    sources = _unmix(_whiten(colour))
    wave = bandpass(most_periodic(sources, fs_hz), *BAND_HZ, fs_hz=fs_hz)
    return blood_up(wave, np.swapaxes(colour, -1, -2))


def _whiten(x: Array) -> Array:
    """(..., 3, T) with unit covariance; a direction without power stays empty."""
    values, vectors = np.linalg.eigh(x @ np.swapaxes(x, -1, -2) / x.shape[-1])
    keep = values > 1e-10 * values[..., -1:] + TINY
    scale = np.where(keep, 1 / np.sqrt(np.where(keep, values, 1)), 0)
    return np.asarray(scale[..., None] * (np.swapaxes(vectors, -1, -2) @ x))


def _unmix(white: Array) -> Array:
    """Independent sources (..., 3, T) of whitened ones: symmetric fixed-point iteration on the kurtosis."""
    w = np.broadcast_to(np.eye(3), (*white.shape[:-2], 3, 3))
    for _ in range(ROUNDS):
        y = w @ white
        left, _, right = np.linalg.svd(y**3 @ np.swapaxes(white, -1, -2) / white.shape[-1] - 3 * w)
        w = left @ right
    return np.asarray(w @ white)
