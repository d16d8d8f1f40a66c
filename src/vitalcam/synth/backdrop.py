"""What is behind a person: a wall, things on it, and things that pass."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import scene

_SIZE = 384  # of the painted square, which spans from -_MARGIN to 1 + _MARGIN of the picture's width
_MARGIN = 0.15


@dataclass(frozen=True)
class Painted:
    """A backdrop as tensors.

    Attributes:
        wall: (1, 3, S, S) linear reflectance.
        passing: (1, 4, S, S) colour times cover, and cover, of what passes.
        speed: shares of the picture's width per second; 0 where nothing passes.
    """

    wall: Tensor
    passing: Tensor
    speed: float

    def to(self, device: torch.device) -> Painted:
        """The same on another device."""
        return Painted(self.wall.to(device), self.passing.to(device), self.speed)

    def seen(self, origin: Tensor, step: float, size: tuple[int, int], times_s: Tensor) -> Tensor:
        """Pictures (B, rows, columns, 3).

        Args:
            origin: (B, 2) of the left upper corner, in widths of the camera's picture.
            step: of a pixel, in the same unit.
            size: rows and columns.
            times_s: (B,).
        """
        grid = self._grid(origin, step, size)
        picture = _sampled(self.wall, grid)
        if self.speed:
            shift = torch.stack([self.speed * times_s % 3 - 1.5, 0 * times_s], -1)
            layer = _sampled(self.passing, grid - 2 * shift[:, None, None])
            picture = picture * (1 - layer[:, 3:]) + layer[:, :3]
        return picture.permute(0, 2, 3, 1)

    def _grid(self, origin: Tensor, step: float, size: tuple[int, int]) -> Tensor:
        y, x = (torch.arange(n, device=origin.device) + 0.5 for n in size)
        place = origin[:, None, None] + step * torch.stack(torch.meshgrid(x, y, indexing="xy"), -1)
        return (place + _MARGIN) / (1 + 2 * _MARGIN) * 2 - 1


def _sampled(picture: Tensor, grid: Tensor) -> Tensor:
    mode = "zeros" if picture.shape[1] == 4 else "border"
    whole = picture.expand(len(grid), -1, -1, -1)
    return torch.nn.functional.grid_sample(whole, grid, padding_mode=mode, align_corners=False)


def paint(backdrop: scene.Backdrop) -> Painted:
    """Draw a backdrop."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng([backdrop.seed, 7])
    y, x = np.mgrid[0 : 1 : 1j * _SIZE, 0 : 1 : 1j * _SIZE]
    base = backdrop.level * np.exp(rng.normal(0, 0.15, 3))
    slope = 1 + rng.uniform(-0.5, 0.5) * (x - 0.5) + rng.uniform(-0.4, 0.4) * (y - 0.5)
    wall = base * slope[..., None] * (1 + 0.02 * gaussian_filter(rng.standard_normal((_SIZE, _SIZE)), 2)[..., None] * 7)
    for _ in range(backdrop.things):
        there, cover = _thing(rng, x, y)
        colour = backdrop.level * np.exp(rng.normal(0, 0.22, 3) + rng.normal(0, 0.6))
        wall[there] += cover[..., None] * (colour - wall[there])
    wall = gaussian_filter(wall.astype(np.float32), (rng.uniform(0.3, 4),) * 2 + (0,))
    if not backdrop.moving:
        return Painted(_picture(np.clip(wall, 0.003, 1)), torch.zeros(1, 4, 1, 1), 0.0)
    passing = np.zeros((_SIZE, _SIZE, 4))
    for _ in range(4):
        there, cover = _thing(rng, x, y)
        colour = np.concatenate([backdrop.level * np.exp(rng.normal(0, 0.3, 3) + rng.normal(0, 0.6)), [1.0]])
        passing[there] += cover[..., None] * (colour - passing[there])
    passing = gaussian_filter(passing, (3, 3, 0))
    speed = float(backdrop.moving * rng.choice([-0.35, 0.35]))
    return Painted(_picture(np.clip(wall, 0.003, 1)), _picture(np.clip(passing, 0, 1)), speed)


def _picture(values: np.ndarray) -> Tensor:
    return torch.tensor(values, dtype=torch.float32).permute(2, 0, 1)[None]


def _thing(rng: np.random.Generator, x: np.ndarray, y: np.ndarray) -> tuple[tuple[slice, slice], np.ndarray]:
    """Where a box or a round thing is, and its cover there."""
    cx, cy, w, h = rng.uniform(0, 1), rng.uniform(0, 1), rng.uniform(0.02, 0.16), rng.uniform(0.03, 0.25)
    is_round = rng.random() < 0.3
    h = w if is_round else h
    there = tuple(slice(*np.searchsorted(axis, [c - r, c + r])) for axis, c, r in ((y[:, 0], cy, h), (x[0], cx, w)))
    inside = np.clip((1 - np.hypot((x[there] - cx) / w, (y[there] - cy) / w)) * 30, 0, 1)
    return there, inside if is_round else np.ones_like(inside)  # type: ignore[return-value]
