"""From a decoder's luma and chroma to RGB."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam.types import Bytes, Floats, Frame, Planes

# Weights of red and blue in luma.
_LUMA_WEIGHTS = {"bt601": (0.299, 0.114), "bt709": (0.2126, 0.0722), "bt2020": (0.2627, 0.0593)}
_SUBSAMPLINGS = (1, 2, 4)


def yuv_to_rgb(
    y: NDArray[Any], u: NDArray[Any], v: NDArray[Any], *, bits: int = 8, matrix: str = "bt601", full_range: bool = False
) -> NDArray[np.float32]:
    """RGB of luma and chroma, by one matrix product.

    ``y``, ``u`` and ``v`` have the same shape (...,) and are samples as the decoder gave them, or averages of such;
    ``bits``, ``matrix`` and ``full_range`` are those of `vitalcam.types.Planes`.

    Returns:
        (..., 3) in units of 0..255, neither rounded nor clipped: clip before a cast to uint8. In memory the three
        colours lie one after the other.

    Source: ITU-R BT.601-7, BT.709-6 and BT.2020-2 (item 3 of each); range as in ITU-T H.273 (8.3).
    """
    weights, offset = _conversion(bits, matrix, full_range)
    yuv = np.empty((3, y.size), np.float32)
    yuv[0], yuv[1], yuv[2] = y.ravel(), u.ravel(), v.ravel()
    rgb: NDArray[np.float32] = weights @ yuv
    rgb += offset
    return rgb.reshape(3, *y.shape).transpose(*range(1, y.ndim + 1), 0)


@functools.lru_cache
def _conversion(bits: int, matrix: str, full_range: bool) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Weights (3, 3) and offset (3, 1) with rgb = weights @ yuv + offset."""
    kr, kb = _LUMA_WEIGHTS[matrix]
    kg = 1 - kr - kb
    rows = np.array(
        [
            [1, 0, 2 * (1 - kr)],
            [1, -2 * kb * (1 - kb) / kg, -2 * kr * (1 - kr) / kg],
            [1, 2 * (1 - kb), 0],
        ]
    )
    one = 2.0 ** (bits - 8)
    luma_span, chroma_span, black = (256 * one - 1, 256 * one - 1, 0.0) if full_range else (219 * one, 224 * one, 16.0)
    weights = rows * (255 / np.array([luma_span, chroma_span, chroma_span]))
    offset = -weights @ np.array([[black], [128.0], [128.0]]) * one
    return weights.astype(np.float32), offset.astype(np.float32)


def to_rgb(frame: Frame) -> Bytes:
    """A frame as (H, W, 3) uint8 RGB; chroma is repeated, thermal becomes grey stretched from percentile 1 to 99."""
    pixels = frame.pixels
    if isinstance(pixels, Planes):
        return _planes_to_rgb(pixels)
    return pixels if pixels.shape[2] == 3 else _stretched_grey(pixels)


def _planes_to_rgb(planes: Planes) -> Bytes:
    shape = planes.y.shape
    u, v = _repeat_to(planes.u, shape), _repeat_to(planes.v, shape)
    rgb = yuv_to_rgb(planes.y, u, v, bits=planes.bits, matrix=planes.matrix, full_range=planes.full_range)
    return np.clip(np.rint(rgb, out=rgb), 0, 255, out=rgb).astype(np.uint8, order="C")


def _repeat_to(plane: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    for axis, size in enumerate(shape):
        # An odd last pixel shares its chroma with nobody, hence the rounding up.
        times = next(s for s in _SUBSAMPLINGS if -(-size // s) == plane.shape[axis])
        plane = plane if times == 1 else np.repeat(plane, times, axis)
    return plane[: shape[0], : shape[1]]


def _stretched_grey(pixels: Floats) -> Bytes:
    low, high = np.nanpercentile(pixels, (1, 99)) if np.isfinite(pixels).any() else (0.0, 1.0)
    grey = np.nan_to_num((pixels - low) * (255 / max(high - low, 1e-6)), nan=0.0)
    return np.repeat(np.clip(grey, 0, 255).astype(np.uint8), 3, axis=2)
