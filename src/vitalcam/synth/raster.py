"""Which triangle is seen at each pixel: a rasteriser in a few tensor operations, for many frames at once.

Triangles of similar size on the screen are taken together: each tests a square of pixels just large enough. The
nearest of the triangles that cover a pixel wins by one scatter of keys that hold depth and number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_DEPTH_STEPS = 1 << 22
_CHUNK = 1 << 22  # pixels tested in one go: what fits the caches of a CPU and fills a GPU
_LARGEST = 64


@dataclass(frozen=True)
class Seen:
    """What is seen where; N pixels of all frames in the order of memory.

    Attributes:
        pixel: (N,) int64 number of the pixel in the flattened (B, H, W).
        frame: (N,) int64.
        triangle: (N,) int64.
        weights: (N, 3) of the corners of the triangle.
    """

    pixel: Tensor
    frame: Tensor
    triangle: Tensor
    weights: Tensor


def mixed(corners: Tensor, weights: Tensor) -> Tensor:
    """Values (..., N, C) inside of triangles from those at their corners (..., N, 3, C) and weights (N, 3)."""
    total = corners[..., 0, :] * weights[:, :1]
    for k in (1, 2):
        total += corners[..., k, :] * weights[:, k : k + 1]
    return total


@dataclass(frozen=True)
class _Triangles:
    """The triangles that may be seen, M of all frames, as plain columns."""

    frame: Tensor
    number: Tensor
    x: tuple[Tensor, Tensor, Tensor]
    y: tuple[Tensor, Tensor, Tensor]
    z: tuple[Tensor, Tensor, Tensor]

    def at(self, chosen: Tensor) -> _Triangles:
        """Some of them."""
        x, y, z = (tuple(corner[chosen] for corner in column) for column in (self.x, self.y, self.z))
        return _Triangles(self.frame[chosen], self.number[chosen], x, y, z)  # type: ignore[arg-type]

    def weights(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Weights of the second and the third corner at places that broadcast with the columns."""
        (x0, x1, x2), (y0, y1, y2) = self.x, self.y
        scale = 1 / ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
        a, b = ((y2 - y0) * scale, -(x2 - x0) * scale), (-(y1 - y0) * scale, (x1 - x0) * scale)
        more = (...,) + (None,) * (x.ndim - x0.ndim)
        dx, dy = x - x0[more], y - y0[more]
        return a[0][more] * dx + a[1][more] * dy, b[0][more] * dx + b[1][more] * dy


def rasterise(points: Tensor, triangles: Tensor, height: int, width: int) -> Seen:
    """Find the nearest triangle at the centre of every pixel; triangles are seen from their outside only.

    Args:
        points: (B, V, 3) x to the right and y down in pixels (edges of the picture at 0 and width), z nearness: larger
            is nearer.
        triangles: (F, 3) counter-clockwise from outside.
        height, width: of the picture.
    """
    front, bounds = _facing(points, triangles, height, width)
    span = torch.stack([bounds[2] - bounds[0], bounds[3] - bounds[1]]).amax(0) + 1
    low, high = float(points[..., 2].amin()), float(points[..., 2].amax())
    best = torch.zeros(len(points) * height * width, dtype=torch.int64, device=points.device)
    previous, size = 0, 2
    largest = float(span.max()) if span.numel() else 0.0
    while previous < largest:
        chosen = ((span > previous) & (span <= size)).nonzero()[:, 0]
        previous, size = size, size * 2 if size < _LARGEST else max(height, width)
        for part in torch.split(chosen, max(_CHUNK // previous**2, 1)):
            corner = (bounds[0][part], bounds[1][part])
            _nearest(
                best, front.at(part), corner, previous, (low, max(high - low, 1e-9)), (height, width), len(triangles)
            )
    return _resolve(best, points, triangles, height, width)


def _facing(points: Tensor, triangles: Tensor, height: int, width: int) -> tuple[_Triangles, tuple[Tensor, ...]]:
    """The triangles that face the camera and cover a pixel's centre, and the pixels x0, y0, x1, y1 that they span."""
    x, y, z = (tuple(points[..., axis][:, triangles[:, k]] for k in range(3)) for axis in range(3))
    facing = (x[1] - x[0]) * (y[2] - y[0]) - (x[2] - x[0]) * (y[1] - y[0]) < -1e-9
    x0, x1 = _span(x, width)
    y0, y1 = _span(y, height)
    frame, number = (facing & (x1 >= x0) & (y1 >= y0)).nonzero(as_tuple=True)
    kept = [tuple(corner[frame, number] for corner in column) for column in (x, y, z, (x0, y0, x1, y1))]
    return _Triangles(frame, number, *kept[:3]), kept[3]  # type: ignore[arg-type]


def _span(corners: tuple[Tensor, ...], size: int) -> tuple[Tensor, Tensor]:
    """First and last pixel whose centre lies within, along one axis."""
    low = torch.minimum(torch.minimum(corners[0], corners[1]), corners[2])
    high = torch.maximum(torch.maximum(corners[0], corners[1]), corners[2])
    return torch.ceil(low - 0.5).clamp(min=0), torch.floor(high - 0.5).clamp(max=size - 1)


def _nearest(
    best: Tensor,
    part: _Triangles,
    corner: Any,
    side: int,
    depths: tuple[float, float],
    size: tuple[int, int],
    count: int,
) -> None:
    """Write into `best` the keys of some triangles, all at most `side` pixels wide and high."""
    step = torch.arange(side, device=best.device, dtype=part.z[0].dtype)
    x, y = corner[0][:, None] + step, corner[1][:, None] + step
    w1, w2 = part.weights((x + 0.5)[:, None, :], (y + 0.5)[:, :, None])
    inside = (w1 >= 0).logical_and_(w2 >= 0).logical_and_(w1 + w2 <= 1)
    if bool((x[:, -1] >= size[1]).any() or (y[:, -1] >= size[0]).any()):
        inside &= (x < size[1])[:, None, :] & (y < size[0])[:, :, None]
    cell = inside.reshape(-1).nonzero()[:, 0]
    which = torch.div(cell, side**2, rounding_mode="floor")
    row, column = torch.div(cell - which * side**2, side, rounding_mode="floor"), cell % side
    z0, z1, z2 = (z.index_select(0, which) for z in part.z)
    w1, w2 = (weight.reshape(-1).index_select(0, cell) for weight in (w1, w2))
    depth = z0 + w1 * (z1 - z0) + w2 * (z2 - z0)
    nearness = ((depth - depths[0]) / depths[1]).clamp(0, 1) * (_DEPTH_STEPS - 1)
    keys = nearness.long() * (count + 1) + part.number[which] + 1
    first = (part.frame * size[0] + corner[1].long()) * size[1] + corner[0].long()
    pixel = first.index_select(0, which) + row * size[1] + column
    best.scatter_reduce_(0, pixel, keys, "amax")


def _resolve(best: Tensor, points: Tensor, triangles: Tensor, height: int, width: int) -> Seen:
    pixel = best.nonzero()[:, 0]
    triangle = best[pixel] % (len(triangles) + 1) - 1
    frame = torch.div(pixel, height * width, rounding_mode="floor")
    corners = triangles[triangle] + (frame * points.shape[1])[:, None]
    x, y, z = (tuple(points.reshape(-1, 3)[corners[:, k], axis] for k in range(3)) for axis in range(3))
    within = pixel % (height * width)
    row = torch.div(within, width, rounding_mode="floor")
    w1, w2 = _Triangles(frame, triangle, x, y, z).weights(within % width + 0.5, row + 0.5)  # type: ignore[arg-type]
    return Seen(pixel, frame, triangle, torch.stack([1 - w1 - w2, w1, w2], -1))
