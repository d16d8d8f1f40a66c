"""What one frame says about one face: mean colour of its skin, how head and chest moved, how well it was lit."""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam.face.chest import Chest
from vitalcam.face.crop import area, enlarge, resized
from vitalcam.face.shift import shift_map
from vitalcam.face.skin import skin_weights
from vitalcam.types import Channels, Face, Floats, Frame, Planes
from vitalcam.video.colour import yuv_to_rgb

CROP = 1.5
"""Side of the square crop over the side of the tight face box (FactorizePhys and MMRPhys use the same)."""

SKIN = slice(0, 3)
REGIONS = slice(3, 12)
BACKGROUND = slice(12, 15)
LUMA, CLIPPED, X, Y, SIDE, YAW, CHEST = range(15, 22)
N_COLUMNS = 22
"""Columns of a row: mean RGB of all skin; of forehead, right and left cheek; of the background; luma (0..255);
share of clipped skin; head position (in face sides, rightward and downward from where it was first seen); side of the
face box (pixels); yaw; how far down the chest is (face sides, NaN where it is not in the picture)."""

_CLIPPED_AT = 250.0
_LUMA = np.array([0.299, 0.587, 0.114])
_GAIN_S = 20.0  # in which a gain falls to 1/e: detections lag behind a moving head, so its ratios tend to one side
_BLUR = 1 / 18  # of the crop's side: about half an eye
_STRIDE = 16
_SLACK = 0.004  # face sides that a head moves in its crop before the crop goes along: who rests is cut at one place
_NEAR = 0.001  # face sides: so near to where it should be a crop is good enough
_REACH = 0.1  # face sides at a look, beyond which texture does not tell how far it moved
_LOOKS = 3  # at a frame, at most, each where the last one found the head
_ASTRAY = 0.06  # face sides between where a head was followed to and where it is detected
_SKIN_PX = 36  # crops at least as fine as this tell skin from what is not


class Sampler:
    """Turns the frames of one face into rows of numbers and square crops.

    The crop goes with the head from frame to frame, by what its own texture says, and stays where the head rests: what
    moves within a crop changes the colours of its cells far more than blood does. Where a detection finds the head
    elsewhere, or of another size, the crop is set anew, which changes which pixels are averaged. The frame of such a
    step is therefore read with the old and with the new crop, and everything after it is scaled by their ratio: the
    colour trace has no jumps that the skin did not make. The scale returns to 1 slowly, so that it cannot run away.

    Args:
        size_px: side of the crop; the skin is read from the same crop.
    """

    def __init__(self, size_px: int = 36) -> None:
        self.size_px = size_px
        self.reset()

    def reset(self) -> None:
        """Forget the face, after it was lost."""
        self._view: _View | None = None
        self._log_gain: Floats = np.zeros((4, 3))
        self._gain_s = -math.inf
        self._offset: Floats = np.zeros(2)
        self._chest = Chest()

    def push(self, frame: Frame, face: Face, background: Floats) -> tuple[Floats, Crop]:
        """Read one frame.

        Args:
            frame: the picture.
            face: where the face is; not lost.
            background: (3,) mean RGB outside of the faces.

        Returns:
            a row (`N_COLUMNS`,) and the crop.
        """
        self._log_gain *= math.exp((self._gain_s - frame.time_s) / _GAIN_S)
        self._gain_s = frame.time_s
        if self._view:
            self._view.follow(frame)
        if not self._view or self._view.astray(face):
            self._view = self._anew(frame, face)
        view = self._view
        colours, luma, clipped = view.read()
        position = view.moved + self._offset
        row = np.empty(N_COLUMNS)
        row[: REGIONS.stop] = (colours * np.exp(self._log_gain)).ravel()
        row[BACKGROUND] = background
        row[LUMA:CHEST] = luma, clipped, position[0], position[1], view.side_px, face.yaw
        row[CHEST] = self._chest.push(frame, face)
        return row, view.crop

    def _anew(self, frame: Frame, face: Face) -> _View:
        """A view of the face as it is detected; what follows is scaled by what both views show of this frame."""
        old, new = self._view, _View(frame, face, self.size_px)
        if old:
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.log(old.read()[0] / new.read()[0])
            self._log_gain += np.where(np.isfinite(step), step, 0.0)
            self._offset += old.moved
        return new


@dataclass(frozen=True)
class Crop:
    """A square about a face.

    Attributes:
        rgb: (n, n, 3) float32, 0..255.
        box_px: (4,) where it was cut.
    """

    rgb: Floats
    box_px: Floats


def crop_px(size_px: int) -> int:
    """Side of the crop that shows skin finely enough, a multiple of what a network wants."""
    return size_px * -(-_SKIN_PX // size_px)


def picture(frame: Frame, crop: Crop, size_px: int, channels: Channels) -> Floats | None:
    """What a network sees of a face: (size_px, size_px, C) in RGB 0..255, degrees Celsius, or both.

    Args:
        frame: the picture.
        crop: of it, from `Sampler.push`; its side is a multiple of ``size_px``: a network sees means of square blocks.
        size_px: side of the result.
        channels: what is shown. The thermal picture is cut at the same share of its field as the colour picture.

    Returns:
        None if a thermal picture is wanted and the frame has none.
    """
    k = len(crop.rgb) // size_px
    rgb = crop.rgb.reshape(size_px, k, size_px, k, 3).mean(axis=(1, 3)) if k > 1 else crop.rgb
    if channels == "rgb":
        return rgb
    if frame.thermal is None:
        return None
    rows, columns = frame.thermal.shape[:2]
    scale = columns / frame.width, rows / frame.height
    warm = Frame(frame.thermal, frame.time_s, frame.index)
    degrees = area(warm, crop.box_px * (scale * 2), (size_px, size_px))
    return np.concatenate([rgb, degrees], axis=2) if channels == "rgbt" else degrees


class _View:
    """One sight of a face: which cells are skin, and the linear maps that read colour and shift off a crop.

    Attributes:
        crop: of the frame that was looked at last.
        moved: how far the head has gone since the first one (2,), in face sides, rightward and downward.
        side_px: of the box of the face.
    """

    def __init__(self, frame: Frame, face: Face, size_px: int) -> None:
        self.moved: Floats = np.zeros(2)
        self._lead: Floats = np.zeros(2)
        self.side_px = face.side_px
        self._face, self._box_px, self._size_px = face, enlarge(face.box_px, CROP), size_px
        self._cut(frame)
        weights = skin_weights(self.crop.rgb, face, self._box_px)
        self._weights = _normalised(np.stack([weights, *_split(weights, face, self._box_px)]).reshape(4, -1))
        self._reference = self._channels.mean(axis=0)
        self._shift = shift_map(self._reference.reshape(weights.shape), _BLUR * size_px) * (CROP / size_px)

    def follow(self, frame: Frame) -> None:
        """Cut the crop where the head was last, and again while the head lies elsewhere in it."""
        for _ in range(_LOOKS):
            self._cut(frame)
            shift = self._shift @ (self._channels.mean(axis=0) - self._reference)
            self.moved = self._lead + np.clip(shift, -_REACH, _REACH)
            lead = self.moved + np.clip(self._lead - self.moved, -_SLACK, _SLACK)
            if np.abs(lead - self._lead).max() <= _NEAR:
                break
            self._lead = lead

    def _cut(self, frame: Frame) -> None:
        box_px = self._box_px + np.tile(self.side_px * self._lead, 2)
        self.crop = Crop(area(frame, box_px, (self._size_px, self._size_px)), box_px)
        self._channels = self.crop.rgb.transpose(2, 0, 1).reshape(self.crop.rgb.shape[2], -1)

    def astray(self, face: Face) -> bool:
        """Whether a detection finds the head elsewhere than it was followed to, or of another size."""
        if face.state != "detected":
            return False
        gone = (face.keypoints_px.mean(axis=0) - self._face.keypoints_px.mean(axis=0)) / self.side_px
        return resized(self._face.box_px, face.box_px) or bool(np.linalg.norm(gone - self.moved) > _ASTRAY)

    def read(self) -> tuple[Floats, float, float]:
        """Mean RGB (4, 3) of all skin, forehead, right and left cheek; luma of the skin; share of it that clips."""
        colours = np.broadcast_to(self._weights @ self._channels.T, (4, 3))
        clipped = float(self._weights[0] @ (self._channels.max(axis=0) >= _CLIPPED_AT))
        return colours, float(colours[0] @ _LUMA), clipped


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


class Background:
    """Reads the mean colour of what is not face; where it looks moves with the faces, which makes no step either."""

    def __init__(self) -> None:
        self._boxes: _Boxes = ()
        self._log_gain: Floats = np.zeros(3)
        self._gain_s = -math.inf

    def push(self, frame: Frame, faces: Sequence[Face]) -> Floats:
        """Mean RGB (3,) outside of the faces, by every 16th pixel of every 16th row; NaN if none is left."""
        boxes = tuple(tuple(f.box_px.tolist()) for f in faces if f.state != "lost")
        rgb = _outside_rgb(frame, boxes)
        self._log_gain *= math.exp((self._gain_s - frame.time_s) / _GAIN_S)
        if boxes != self._boxes and math.isfinite(self._gain_s):
            with np.errstate(divide="ignore", invalid="ignore"):
                step = np.log(_outside_rgb(frame, self._boxes) / rgb)
            self._log_gain += np.where(np.isfinite(step), step, 0.0)
        self._boxes, self._gain_s = boxes, frame.time_s
        return rgb * np.exp(self._log_gain)


_Boxes = tuple[tuple[float, ...], ...]


def _outside_rgb(frame: Frame, boxes: _Boxes) -> Floats:
    """Mean RGB (3,) of a frame outside of the enlarged boxes (x0, y0, x1, y1); NaN if nothing is left."""
    share = _shares(frame.height, frame.width, boxes)
    pixels = frame.pixels
    if isinstance(pixels, Planes):
        y, u, v = (_mean(share, plane, pixels.y.shape) for plane in (pixels.y, pixels.u, pixels.v))
        return np.asarray(yuv_to_rgb(y, u, v, bits=pixels.bits, matrix=pixels.matrix, full_range=pixels.full_range)[0])
    return np.broadcast_to(_mean(share, pixels, pixels.shape), 3).astype(float)


@functools.lru_cache(maxsize=4)
def _shares(height: int, width: int, boxes: _Boxes) -> Floats:
    """Share of each of the sampled pixels in the mean of those well outside of the boxes, or else just outside."""
    y = np.arange(_STRIDE // 2, height, _STRIDE)[:, None]
    x = np.arange(_STRIDE // 2, width, _STRIDE)[None, :]
    for factor in (2.0, 1.5):
        keep = np.ones((y.size, x.size), bool)
        for box in boxes:
            x0, y0, x1, y1 = enlarge(np.asarray(box), factor)
            keep &= (x < x0) | (x > x1) | (y < y0) | (y > y1)
        if keep.any():
            return np.asarray(keep / keep.sum())
    return np.full(keep.shape, np.nan)


def _mean(share: Floats, plane: NDArray[Any], full: tuple[int, ...]) -> Floats:
    """Mean (C,) of a plane or picture over the sampled pixels by their share; it may be smaller than the full size."""
    step_y, step_x = (_STRIDE // -(-whole // part) for whole, part in zip(full[:2], plane.shape[:2], strict=True))
    sampled = plane[step_y // 2 :: step_y, step_x // 2 :: step_x]
    return np.asarray(share.ravel() @ sampled.reshape(share.size, -1)) if share.size else np.full(1, np.nan)
