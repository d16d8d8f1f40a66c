"""What one frame says about one face: the mean colour of its skin, how the head moved, how well it was lit."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam.face.crop import area, enlarge
from vitalcam.face.skin import skin_weights
from vitalcam.types import Face, Floats, Frame, Planes
from vitalcam.video.colour import yuv_to_rgb

CROP = 1.5
"""Side of the square crop over the side of the tight face box (FactorizePhys and MMRPhys use the same)."""

SKIN = slice(0, 3)
REGIONS = slice(3, 12)
BACKGROUND = slice(12, 15)
LUMA, CLIPPED, X, Y, SIDE, YAW = range(15, 21)
N_COLUMNS = 21
"""Columns of a row: mean RGB of all skin; of forehead, right and left cheek; of the background; luma (0..255);
share of clipped skin; head position (in face sides, rightward and downward); side of the face box (pixels); yaw."""

_CLIPPED_AT = 250.0
_STRIDE = 16


class Sampler:
    """Turns the frames of one face into rows of numbers and square crops.

    A box that follows the head moves in steps, and each step changes which pixels are averaged. The frame of the
    step is therefore read with the old and with the new box, and everything after it is scaled by their ratio: the
    colour trace has no jumps that the skin did not make.

    Args:
        size_px: side of the crop; the skin is read from the same crop.
    """

    def __init__(self, size_px: int = 36) -> None:
        self.size_px = size_px
        self.reset()

    def reset(self) -> None:
        """Forget the face, after it was lost."""
        self._view: _View | None = None
        self._gain: Floats = np.ones((4, 3))
        self._offset_px: Floats = np.zeros(2)

    def push(self, frame: Frame, face: Face, background: Floats) -> tuple[Floats, Floats]:
        """Read one frame.

        Args:
            frame: the picture.
            face: where the face is; not lost.
            background: (3,) mean RGB outside of the faces.

        Returns:
            a row (`N_COLUMNS`,) and the crop (size_px, size_px, 3) float32, RGB 0..255.
        """
        moved = self._view is None or not np.array_equal(self._view.face_box_px, face.box_px)
        if moved:
            self._follow(frame, face)
        view = self._view
        assert view is not None
        crop = area(frame, view.box_px, (self.size_px, self.size_px))
        colours, luma, clipped = view.read(crop)
        position = (view.position_px(crop) + self._offset_px) / view.side_px
        row = np.empty(N_COLUMNS)
        row[: REGIONS.stop] = (colours * self._gain).ravel()
        row[BACKGROUND] = background
        row[LUMA:] = luma, clipped, position[0], position[1], view.side_px, face.yaw
        return row, crop

    def _follow(self, frame: Frame, face: Face) -> None:
        old = self._view
        box = enlarge(face.box_px, CROP)
        size = (self.size_px, self.size_px)
        new = _View(face, box, area(frame, box, size))
        if old is not None:
            before = area(frame, old.box_px, size)
            after = area(frame, box, size)
            with np.errstate(divide="ignore", invalid="ignore"):
                ratio = old.read(before)[0] / new.read(after)[0]
            self._gain = self._gain * np.where(np.isfinite(ratio) & (ratio > 0), ratio, 1.0)
            self._offset_px = self._offset_px + old.position_px(before) - new.position_px(after)
        self._view = new


class _View:
    """One position of the box: which cells are skin, and the linear maps that read colour and shift off a crop."""

    def __init__(self, face: Face, box_px: Floats, crop: Floats) -> None:
        self.face_box_px = face.box_px
        self.box_px = box_px
        self.side_px = float(max(face.box_px[2] - face.box_px[0], face.box_px[3] - face.box_px[1]))
        self._cell_px = float(box_px[2] - box_px[0]) / crop.shape[0]
        self._centre_px = (box_px[:2] + box_px[2:]) / 2
        weights = skin_weights(crop, face, box_px)
        self._weights = _normalised(np.stack([weights, *_split(weights, face, box_px)]).reshape(4, -1))
        self._reference = crop.mean(axis=2).ravel()
        self._shift = _shift_map(crop.mean(axis=2))

    def read(self, crop: Floats) -> tuple[Floats, float, float]:
        """Mean RGB (4, 3) of all skin, forehead, right and left cheek; luma of the skin; share of it that clips."""
        cells = crop.reshape(-1, 3)
        colours = self._weights @ cells
        clipped = float(self._weights[0] @ (cells.max(axis=1) >= _CLIPPED_AT))
        return colours, float(colours[0] @ (0.299, 0.587, 0.114)), clipped

    def position_px(self, crop: Floats) -> Floats:
        """Where the head is (2,), from how the crop's texture moved since the box was set."""
        shift: Floats = self._shift @ (crop.mean(axis=2).ravel() - self._reference)
        return np.asarray(self._centre_px + shift * self._cell_px)


def _normalised(weights: Floats) -> Floats:
    total = weights.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.where(total > 0, weights / total, np.nan), np.float32)


def _split(weights: Floats, face: Face, box_px: Floats) -> tuple[Floats, Floats, Floats]:
    """Skin above the eyes, and below them on the person's right and left."""
    n = weights.shape[0]
    grid = box_px[:2, None, None] + (np.indices((n, n))[::-1] + 0.5) * (box_px[2] - box_px[0]) / n
    right, left, nose = face.keypoints_px[:3]
    across = (left - right) / max(float(np.linalg.norm(left - right)), 1e-6)
    down = np.array([-across[1], across[0]])
    if down @ (face.keypoints_px[3] - (right + left) / 2) < 0:
        down = -down
    eyes, middle = (right + left) / 2, nose
    below = np.tensordot(down, grid - eyes[:, None, None], axes=1) > 0
    leftward = np.tensordot(across, grid - middle[:, None, None], axes=1) > 0
    return weights * ~below, weights * (below & ~leftward), weights * (below & leftward)


def _shift_map(luma: Floats) -> Floats:
    """(2, n * n) map from a change of luma to the shift in cells that explains it (Lucas and Kanade 1981).

    Changes of brightness and contrast are fitted beside the shift and dropped, so that a pulse or a flicker is not
    taken for motion.
    """
    n = luma.shape[0]
    gy, gx = np.gradient(luma)
    window = np.outer(np.hanning(n + 2)[1:-1], np.hanning(n + 2)[1:-1]).ravel()
    design = np.stack([-gx.ravel(), -gy.ravel(), luma.ravel(), np.ones(n * n)], axis=1)
    weighted = design * window[:, None]
    normal = weighted.T @ design
    normal[np.diag_indices(4)] += 1e-6 * np.trace(normal) + 1e-9
    return np.asarray(np.linalg.solve(normal, weighted.T)[:2])


def background_rgb(frame: Frame, faces: Sequence[Face]) -> Floats:
    """Mean RGB (3,) of the frame outside of the faces, from every 16th pixel of every 16th row; NaN if none is left."""
    keep = _outside(frame.height, frame.width, tuple(tuple(f.box_px.tolist()) for f in faces if f.state != "lost"))
    if not keep.any():
        return np.full(3, np.nan)
    pixels = frame.pixels
    if isinstance(pixels, Planes):
        y, u, v = (_mean_on(keep, plane) for plane in (pixels.y, pixels.u, pixels.v))
        return np.asarray(yuv_to_rgb(y, u, v, bits=pixels.bits, matrix=pixels.matrix, full_range=pixels.full_range))
    values = pixels[_STRIDE // 2 :: _STRIDE, _STRIDE // 2 :: _STRIDE][keep].mean(axis=0)
    return np.broadcast_to(values, 3).astype(float)


@functools.lru_cache(maxsize=4)
def _outside(height: int, width: int, boxes: tuple[tuple[float, ...], ...]) -> NDArray[np.bool_]:
    """Which of the sampled pixels lie outside of the enlarged boxes."""
    y = np.arange(_STRIDE // 2, height, _STRIDE)[:, None]
    x = np.arange(_STRIDE // 2, width, _STRIDE)[None, :]
    keep = np.ones((y.size, x.size), bool)
    for box in boxes:
        x0, y0, x1, y1 = enlarge(np.asarray(box), 2.0)
        keep &= (x < x0) | (x > x1) | (y < y0) | (y > y1)
    return keep


def _mean_on(keep: NDArray[np.bool_], plane: NDArray[Any]) -> Floats:
    rows, columns = keep.shape
    step_y, step_x = max(plane.shape[0] // rows, 1), max(plane.shape[1] // columns, 1)
    sampled = plane[step_y // 2 :: step_y, step_x // 2 :: step_x][:rows, :columns]
    mask = keep[: sampled.shape[0], : sampled.shape[1]]
    return np.asarray(sampled[mask].mean(dtype=float)) if mask.any() else np.asarray(np.nan)
