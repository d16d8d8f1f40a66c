"""Which cells of a crop are skin: where skin must be on a head held like this, less what has another colour.

No colour is called skin: the face's own cheeks and forehead say what its skin looks like in this light, so every tone
of skin, coloured light and grey pictures are treated alike.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from vitalcam.types import Face, Floats

# Lengths in units of the head, the side of the box of an upright frontal face, measured from between the eyes.
_EYES_APART, _EYES_TO_MOUTH = 0.38, 0.46
_FOREHEAD, _CHIN = 0.34, 0.58
_EAR_SHARE = 0.86  # the ears themselves and what is beside them are left out
_EYE = (0.15, 0.10)  # half axes of what is left out about an eye; it is centred above it, to take the brow along
_EYE_UP = 0.045
_MOUTH = (0.17, 0.085)
_SOFT = 0.06  # width of an edge, about a cell of a 36-cell crop

_TOLERANCE = 3.0  # robust standard deviations about the median colour
_FLOORS = (0.08, 0.03, 0.03)  # least standard deviations of log luma, log R/G, log B/G: shading is not another material
_DARK = 4.0  # grey levels; makes logarithms of dark cells tame
_CLIPPED_AT = 245.0
_ENOUGH = 0.3  # cells near clipping are left out only if this share of the skin remains


def skin_weights(crop: Floats, face: Face, box_px: Floats) -> NDArray[np.float32]:
    """How far each cell of a crop is skin.

    Args:
        crop: (n, n, C) grey levels 0..255 of the box.
        face: whose skin; its keypoints give place, size, roll and turn of the head.
        box_px: (4,) what the crop shows.

    Returns:
        (n, n) float32 0..1, all zeros where the face is lost or not in the crop.
    """
    n = crop.shape[0]
    if face.state == "lost" or not np.isfinite(face.keypoints_px).all():
        return np.zeros((n, n), np.float32)
    weights = _where_skin_is(face, box_px, n)
    weights = weights * _of_one_colour(crop, weights)
    unclipped = weights * (crop.max(axis=2) < _CLIPPED_AT)
    return (unclipped if unclipped.sum() >= _ENOUGH * weights.sum() else weights).astype(np.float32)


def _where_skin_is(face: Face, box_px: Floats, n: int) -> Floats:
    """Weights (n, n): two half ellipses from the middle of the face to the ears, without eyes, brows and mouth."""
    right, left, nose, mouth, right_ear, left_ear = face.keypoints_px
    roll = np.radians(face.roll_deg)
    axes = np.array([[np.cos(roll), np.sin(roll)], [-np.sin(roll), np.cos(roll)]])  # across, down
    head_px = _head_px(face, axes)
    eyes = (right + left) / 2

    def place(points_px: Floats) -> Floats:
        return np.asarray((points_px - eyes) @ axes.T / head_px)

    cells = np.stack(np.meshgrid(*2 * [(np.arange(n) + 0.5) / n]), axis=-1)
    u, v = np.moveaxis(place(box_px[:2] + cells * (box_px[2:] - box_px[:2])), -1, 0)
    middle = (place(nose)[0] + place(mouth)[0]) / 3  # of eyes, nose and mouth, the eyes being at 0
    sides = np.array([middle - place(right_ear)[0], place(left_ear)[0] - middle])
    sides = _EAR_SHARE * np.clip(sides, 0.05, 0.7)
    side = np.where(u < middle, *sides)
    centre = (_CHIN - _FOREHEAD) / 2
    skin = _inside((u - middle) / side, (v - centre) / ((_CHIN + _FOREHEAD) / 2), _SOFT / side.min())
    skin = skin * side / sides.max()  # the cheek that is turned away is seen at a slant and says less
    for point in (right, left):
        at = place(point)
        skin = skin * (1 - _inside((u - at[0]) / _EYE[0], (v - at[1] + _EYE_UP) / _EYE[1], _SOFT / _EYE[1]))
    at = place(mouth)
    return np.asarray(skin * (1 - _inside((u - at[0]) / _MOUTH[0], (v - at[1]) / _MOUTH[1], _SOFT / _MOUTH[1])))


def _head_px(face: Face, axes: Floats) -> float:
    """Size of the head: the median of three measures, of which a turn, a nod or a roll spoils one each."""
    right, left, _, mouth = face.keypoints_px[:4]
    apart = float(axes[0] @ (left - right)) / _EYES_APART
    down = float(axes[1] @ (mouth - (right + left) / 2)) / _EYES_TO_MOUTH
    side = face.side_px
    return float(np.median([apart, down, side]))


def _inside(a: Floats, b: Floats, soft: float) -> Floats:
    """1 inside of the unit circle, 0 outside, with an edge of some width."""
    return np.asarray(np.clip((1 - np.hypot(a, b)) / soft + 0.5, 0, 1))


def _of_one_colour(crop: Floats, weights: Floats) -> Floats:
    """1 where the colour is near the median of the skin, 0 where it is far: hair, beard, glasses, highlights."""
    levels = np.maximum(crop, 0) + _DARK
    features = [np.log(levels.mean(axis=2))]
    if crop.shape[2] == 3:
        features += [np.log(levels[..., k] / levels[..., 1]) for k in (0, 2)]
    core = weights > 0.5
    if not core.any():
        return np.zeros_like(weights)
    worst = np.zeros_like(weights)
    for feature, floor in zip(features, _FLOORS, strict=False):
        off = np.abs(feature - np.median(feature[core]))
        worst = np.maximum(worst, off / max(1.4826 * float(np.median(off[core])), floor))
    return np.asarray(np.clip(_TOLERANCE + 0.5 - worst, 0, 1))
