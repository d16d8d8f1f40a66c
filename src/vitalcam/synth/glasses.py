"""Spectacle frames as triangles: two rims, a bridge, two temples, all made of tubes."""

from __future__ import annotations

import numpy as np

from vitalcam.synth.mesh import Float32, Int32

_THICKNESS = {"thin": 0.014, "thick": 0.032}
_RIM = (0.26, 0.19)  # half width and height of a rim, decimetres
_BEFORE = 0.36  # of the centre of the eye
_SIDES = 5


def frames(kind: str, eyes: Float32) -> tuple[Float32, Int32]:
    """Vertices (V, 3) and triangles (F, 3) of a pair.

    Args:
        kind: "thin" or "thick".
        eyes: (2, 3) centres of the left and right eyeball.
    """
    radius = _THICKNESS[kind]
    tubes = []
    for eye, side in zip(eyes, (1, -1), strict=True):
        centre = eye + np.array([0, -0.03, _BEFORE])
        angle = np.linspace(0, 2 * np.pi, 29)
        rim = np.stack([_RIM[0] * np.cos(angle), _RIM[1] * np.sin(angle), -0.12 * np.abs(np.cos(angle)) ** 3], -1)
        rim[np.cos(angle) * side < 0, 2] = 0  # the outer side bends towards the temple
        tubes.append(_tube(centre + rim, radius))
        hinge = centre + np.array([side * _RIM[0], 0.05, -0.12])
        tubes.append(_tube(np.array([hinge, [side * 0.74, 0.04, -0.15], [side * 0.76, 0.02, -0.75]]), radius))
    inner = [eye + np.array([-side * _RIM[0] * 0.95, 0.03, _BEFORE]) for eye, side in zip(eyes, (1, -1), strict=True)]
    tubes.append(_tube(np.array([inner[0], (inner[0] + inner[1]) / 2 + [0, 0.03, 0.05], inner[1]]), radius))
    start = np.cumsum([0] + [len(points) for points, _ in tubes[:-1]])
    points = np.concatenate([points for points, _ in tubes]).astype(np.float32)
    return points, np.concatenate([part + at for (_, part), at in zip(tubes, start, strict=True)]).astype(np.int32)


def _tube(path: np.ndarray, radius: float) -> tuple[np.ndarray, np.ndarray]:
    """A tube along points (N, 3)."""
    along = np.gradient(path, axis=0)
    along /= np.linalg.norm(along, axis=1, keepdims=True)
    helper = np.where(np.abs(along[:, 2:]) > 0.8, [[0.0, 1.0, 0.0]], [[0.0, 0.0, 1.0]])
    across = np.cross(along, helper)
    across /= np.linalg.norm(across, axis=1, keepdims=True)
    upright = np.cross(along, across)
    turn = np.arange(_SIDES) * 2 * np.pi / _SIDES
    ring = np.cos(turn)[:, None] * across[:, None] + np.sin(turn)[:, None] * upright[:, None]
    points = (path[:, None] + radius * ring).reshape(-1, 3)
    k, s = np.mgrid[: len(path) - 1, :_SIDES]
    a, b = k * _SIDES + s, k * _SIDES + (s + 1) % _SIDES
    c, d = a + _SIDES, b + _SIDES
    triangles = np.stack([np.stack([a, b, c], -1), np.stack([b, d, c], -1)]).reshape(-1, 3)
    return points, triangles
