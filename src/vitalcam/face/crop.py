"""Cut a box out of a frame and shrink it to a few cells, each the mean of its area.

The box may have fractional edges and may reach outside of the frame, where the outermost pixels are repeated. The mean
is separable: one small matrix for the rows, one for the columns. Pictures in Y, U, V are shrunk plane by plane and only
the small result is turned into RGB, so no full-size colour picture is ever made.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam.types import Floats, Frame, Planes
from vitalcam.video.colour import yuv_to_rgb

_CELLS_PER_BAND = 9  # a band of cells reads only its own pixels: long boxes would mostly multiply by zero otherwise

_SAME_SIZE = 0.08  # logarithm of the ratio of sides

_Weights = tuple[int, int, NDArray[np.float64]]
_Band = tuple[slice, slice, NDArray[np.float32]]


def area(frame: Frame, box_px: Floats, size: tuple[int, int]) -> NDArray[np.float32]:
    """Mean colour of each cell of a box.

    Cells larger than a pixel are means over their area, as cv2's INTER_AREA takes them; smaller ones are interpolated
    linearly between the centres of the pixels.

    Args:
        frame: the picture.
        box_px: (4,) x0, y0, x1, y1, edges in pixels.
        size: rows and columns of the result.

    Returns:
        (rows, columns, C) float32: RGB 0..255, or degrees Celsius where the frame is thermal.

    Raises:
        ValueError: the box is not finite or is empty.
    """
    x0, y0, x1, y1 = (float(edge) for edge in box_px)
    if not (math.isfinite(x0 + y0 + x1 + y1) and x1 > x0 and y1 > y0):
        raise ValueError(f"frame {frame.index}: box {(x0, y0, x1, y1)} is empty or not finite; skip frames without one")
    pixels = frame.pixels
    if not isinstance(pixels, Planes):
        return _resample(pixels, (x0, y0, x1, y1), size)
    step_x, step_y = (-(-full // part) for full, part in zip(pixels.y.shape[::-1], pixels.u.shape[::-1], strict=True))
    small = (x0 / step_x, y0 / step_y, x1 / step_x, y1 / step_y)
    y = _resample(pixels.y[..., None], (x0, y0, x1, y1), size)
    u, v = (_resample(plane[..., None], small, size) for plane in (pixels.u, pixels.v))
    rgb = yuv_to_rgb(
        y[..., 0], u[..., 0], v[..., 0], bits=pixels.bits, matrix=pixels.matrix, full_range=pixels.full_range
    )
    return np.asarray(rgb, np.float32)


def enlarge(box_px: Floats, factor: float) -> Floats:
    """A square about the centre of a box.

    Args:
        box_px: (4,) x0, y0, x1, y1.
        factor: side of the square in units of the longer side of the box.

    Returns:
        (4,) the square.

    >>> enlarge(np.array([10.0, 10.0, 20.0, 18.0]), 2.0)
    array([ 5.,  4., 25., 24.])
    """
    x0, y0, x1, y1 = box_px
    centre = np.array([x0 + x1, y0 + y1]) / 2
    half = factor * max(x1 - x0, y1 - y0) / 2
    return np.concatenate([centre - half, centre + half])


def resized(old_px: Floats, new_px: Floats) -> bool:
    """Whether a box (4,) is of another size than one before, by more than detections of one face scatter."""
    sizes = (new_px[2:] - new_px[:2]) / (old_px[2:] - old_px[:2])
    return bool(np.abs(np.log(sizes)).max() > _SAME_SIZE)


def _resample(
    pixels: NDArray[Any], box_px: tuple[float, float, float, float], size: tuple[int, int]
) -> NDArray[np.float32]:
    """(H, W, C) to (rows, columns, C) float32, rows first."""
    x0, y0, x1, y1 = box_px
    rows = _bands(y0, y1, size[0], pixels.shape[0])
    columns = _bands(x0, x1, size[1], pixels.shape[1])
    left, right, channels = columns[0][1].start, columns[-1][1].stop, pixels.shape[2]
    part = np.empty((size[0], (right - left) * channels), np.float32)
    for cells, source, weights in rows:
        block = pixels[source, left:right].astype(np.float32, order="C")
        np.matmul(weights, block.reshape(block.shape[0], -1), out=part[cells])
    part = np.ascontiguousarray(part.reshape(size[0], -1, channels).transpose(0, 2, 1))
    part = part.reshape(size[0] * channels, -1)
    out = np.empty((size[0] * channels, size[1]), np.float32)
    for cells, source, weights in columns:
        out[:, cells] = part[:, source.start - left : source.stop - left] @ weights.T
    return np.ascontiguousarray(out.reshape(size[0], channels, size[1]).transpose(0, 2, 1))


@functools.lru_cache(maxsize=256)
def _bands(start: float, stop: float, n: int, length: int) -> tuple[_Band, ...]:
    """Weights that turn ``length`` pixels into ``n`` cells between two edges, in bands of (cells, pixels, weights)."""
    edges = start + (stop - start) * np.arange(n + 1) / n
    means = _linear if stop - start < n else _overlap
    return tuple(
        _band(slice(cell, min(cell + _CELLS_PER_BAND, n)), edges, means, length)
        for cell in range(0, n, _CELLS_PER_BAND)
    )


def _band(cells: slice, edges: NDArray[np.float64], means: Callable[..., _Weights], length: int) -> _Band:
    """One band; pixels outside of the picture are those at its edge."""
    first, last, weights = means(edges[cells.start : cells.stop + 1])
    if first < 0 or last > length:
        pixels = np.clip(np.arange(first, last), 0, length - 1)
        first, last = int(pixels[0]), int(pixels[-1]) + 1
        folded = np.zeros((last - first, len(weights)))
        np.add.at(folded, pixels - first, weights.T)
        weights = folded.T
    return cells, slice(first, last), np.ascontiguousarray(weights, np.float32)


def _overlap(edges: NDArray[np.float64]) -> _Weights:
    """Share of each cell that each pixel covers: first pixel, past the last one, (cells, pixels)."""
    first, last = math.floor(edges[0]), math.ceil(edges[-1])
    pixel = np.arange(first, last)
    low = np.maximum(edges[:-1, None], pixel)
    high = np.minimum(edges[1:, None], pixel + 1)
    share = np.maximum(high - low, 0)
    return first, last, share / share.sum(axis=1, keepdims=True)


def _linear(edges: NDArray[np.float64]) -> _Weights:
    """Weights of the two pixels beside the centre of each cell: first pixel, past the last one, (cells, pixels)."""
    centre = (edges[:-1] + edges[1:]) / 2 - 0.5
    first, last = math.floor(centre[0]), math.floor(centre[-1]) + 2
    return first, last, np.maximum(0, 1 - np.abs(centre[:, None] - np.arange(first, last)))
