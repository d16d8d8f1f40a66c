"""How far a small picture moved since a reference."""

from __future__ import annotations

import numpy as np

from vitalcam.types import Floats


def shift_map(luma: Floats, blur_cells: float) -> Floats:
    """Map from a change of luma to the shift, in cells, that explains it (Lucas and Kanade 1981).

    Changes of brightness and contrast are fitted beside the shift and dropped, so that a pulse or a flicker is not
    taken for motion. Both pictures are blurred first, of which the map takes care: on features as small as a cell,
    differences of neighbours are too small a slope, and shifts by more than a feature are not seen.

    Args:
        luma: (rows, columns) of the reference.
        blur_cells: standard deviation of the blur.

    Returns:
        (2, rows * columns); times the change of luma since the reference it is the shift rightward and downward.
    """
    blur_y, blur_x = (_blur(n, blur_cells) for n in luma.shape)
    luma = blur_y @ luma @ blur_x.T
    gy, gx = np.gradient(luma)
    window = np.outer(*(np.hanning(n + 2)[1:-1] for n in luma.shape)).ravel()
    design = np.stack([-gx.ravel(), -gy.ravel(), luma.ravel(), np.ones(luma.size)], axis=1)
    weighted = design * window[:, None]
    normal = weighted.T @ design
    normal[np.diag_indices(4)] += 1e-6 * np.trace(normal) + 1e-9
    unblurred = np.linalg.solve(normal, weighted.T)[:2].reshape(2, *luma.shape)
    return np.asarray(blur_y.T @ unblurred @ blur_x).reshape(2, -1)


def _blur(n: int, cells: float) -> Floats:
    """(n, n) Gaussian mean over neighbours."""
    weights = np.exp(-0.5 * (np.subtract.outer(np.arange(n), np.arange(n)) / cells) ** 2)
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))
