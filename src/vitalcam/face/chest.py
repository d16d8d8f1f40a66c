"""How the chest rises and falls below a face: the place where breath is seen best, where the picture shows it."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from vitalcam.face.shift import shift_map
from vitalcam.types import Face, Floats, Frame, Planes

STEP_S = 0.09
"""Breath is slow: the chest is looked at ten times a second, and stays where it was in the frames between."""

_TOP, _BOTTOM, _HALF = 0.55, 1.7, 1.2
"""Edges of the strip, from the centre of the face: below, below, and to both sides, in face sides."""
_MIN_HEIGHT, _MIN_WIDTH = 0.2, 1.0  # in face sides; with less of it in the picture there is no chest
_CELLS = 12  # along a face side
_SAMPLES = 5  # pixels read along a side of a cell, about
_BLUR = 1.5  # cells
_LOOKS = 3  # at most, each where the last one found the chest
_STRAY = 0.5  # face sides from its place below the face: it is not the chest that is followed
_GROWTH = 0.15  # of the face, as a logarithm, from which what was seen at first is no longer alike


class Chest:
    """Follows the strip of the picture below one face.

    The strip moves with the face in whole pixels and then to where its first sight fits best, so the position has no
    steps where the box of the face has some, and does not drift as long as that sight is kept.
    """

    def __init__(self) -> None:
        self._sight: _Sight | None = None
        self._centre: Floats | None = None
        self._looked_s = -math.inf
        self._lift = math.nan

    def push(self, frame: Frame, face: Face) -> float:
        """Look at one frame.

        Args:
            frame: the picture.
            face: where the face is; not lost.

        Returns:
            how far down the chest is from where it was first seen, in face sides; NaN where it is not in the picture.
        """
        if frame.time_s - self._looked_s >= STEP_S:
            self._looked_s = frame.time_s
            self._lift = self._look(_luma(frame), face)
        return self._lift

    def _look(self, luma: NDArray[np.generic], face: Face) -> float:
        x0, y0, x1, y1 = face.box_px
        centre, side = np.array([x0 + x1, y0 + y1]) / 2, face.side_px
        before, self._centre = self._centre, centre
        if self._sight is None:
            if before is None or not np.array_equal(before, centre):  # else there was none at this very place
                self._sight = _sight(luma, centre, side, 0.0)
            return math.nan if self._sight is None else 0.0
        assert before is not None
        down = self._sight.follow(luma, np.rint(centre - before).astype(int))
        if self._sight.astray(centre, side):
            self._sight = _sight(luma, centre, side, down)
        return down


class _Sight:
    """What the strip looked like, and where it is now.

    Args:
        luma: (H, W) of the frame.
        origin_px: left and upper edge of the strip.
        cells: rows and columns.
        cell_px: side of a cell.
        centre_px, side_px: of the face.
        down: position of the chest now, in face sides.
    """

    def __init__(
        self,
        luma: NDArray[np.generic],
        origin_px: NDArray[np.int_],
        cells: tuple[int, int],
        cell_px: int,
        centre_px: Floats,
        side_px: float,
        down: float,
    ) -> None:
        self._cell_px, self._side_px = cell_px, side_px
        self._stride = max(1, cell_px // _SAMPLES)
        self._size = np.array(cells[::-1]) * cell_px
        self._rows, self._columns = (_means(n, cell_px, self._stride) for n in cells)
        self._at = origin_px
        self._from_face = origin_px - centre_px
        self._zero = origin_px[1] - down * side_px
        self._reference = self._read(luma, origin_px)
        self._shift = shift_map(self._reference, _BLUR) * cell_px

    def follow(self, luma: NDArray[np.generic], moved_px: NDArray[np.int_]) -> float:
        """Where the chest is, in face sides, the face having moved this far."""
        last = np.array(luma.shape[::-1]) - self._size
        at = np.clip(self._at + moved_px, 0, last)
        for _ in range(_LOOKS):
            self._at = at
            shift = self._shift @ (self._read(luma, at) - self._reference).ravel()
            shift = np.clip(shift, -2 * self._cell_px, 2 * self._cell_px)
            if np.abs(shift).max() <= self._cell_px / 2:
                break
            at = np.clip(at + np.rint(shift).astype(int), 0, last)
        return float(self._at[1] + shift[1] - self._zero) / self._side_px

    def astray(self, centre_px: Floats, side_px: float) -> bool:
        """Whether what is followed is no longer what was seen below the face."""
        away = np.abs(self._at - centre_px - self._from_face).max()
        return bool(away > _STRAY * self._side_px or abs(math.log(side_px / self._side_px)) > _GROWTH)

    def _read(self, luma: NDArray[np.generic], at: NDArray[np.int_]) -> Floats:
        """Mean luma of the cells (rows, columns) of the strip at a place."""
        (x0, y0), (x1, y1) = at, at + self._size
        pixels = luma[y0 : y1 : self._stride, x0 : x1 : self._stride].astype(np.float32)
        return np.asarray(self._rows @ pixels @ self._columns.T)


def _sight(luma: NDArray[np.generic], centre_px: Floats, side_px: float, down: float) -> _Sight | None:
    """The strip below a face as it looks now; None where too little of it is in the picture."""
    height, width = luma.shape
    cell_px = max(1, round(side_px / _CELLS))
    left, right = max(centre_px[0] - _HALF * side_px, 0), min(centre_px[0] + _HALF * side_px, width)
    top, bottom = max(centre_px[1] + _TOP * side_px, 0), min(centre_px[1] + _BOTTOM * side_px, height)
    cells = int(bottom - top) // cell_px, int(right - left) // cell_px
    if cells[0] * cell_px < _MIN_HEIGHT * side_px or cells[1] * cell_px < _MIN_WIDTH * side_px:
        return None
    origin = np.array([int(left), int(bottom) - cells[0] * cell_px])
    return _Sight(luma, origin, cells, cell_px, centre_px, side_px, down)


def _luma(frame: Frame) -> NDArray[np.generic]:
    """(H, W) view of what is brightest to the eye: luma, green, or degrees Celsius."""
    pixels = frame.pixels
    return pixels.y if isinstance(pixels, Planes) else pixels[..., pixels.shape[2] // 2]


def _means(n: int, cell_px: int, stride: int) -> NDArray[np.float32]:
    """(n, samples) share of each sample, one every ``stride`` pixels, in the mean of each of ``n`` cells."""
    cell = np.arange(0, n * cell_px, stride) // cell_px
    member = cell == np.arange(n)[:, None]
    return np.asarray(member / member.sum(axis=1, keepdims=True), np.float32)
