"""Find faces in one frame with BlazeFace: a wide net looks over the frame, a close-up net looks about a known place.

Source: Bazarevsky et al., BlazeFace: Sub-millisecond Neural Face Detection on Mobile GPUs, 2019; anchors, decoding and
weighted suppression as MediaPipe documents them for its short-range and full-range models.
"""

from __future__ import annotations

import functools
import importlib.resources
import itertools
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from vitalcam.errors import WeightsError
from vitalcam.face.crop import area, enlarge
from vitalcam.types import Floats, Frame
from vitalcam.video.colour import to_rgb

Kind = Literal["short", "full"]

SIDE_PX = {"short": 128, "full": 192}
CLOSE_UP = 2.5
"""Side of the close-up over the side of the face box; the close-up net finds faces of this share best."""

MIN_SCORE = 0.5
"""Detections below it are dropped."""

_GRIDS = {"short": ((16, 2), (8, 6)), "full": ((48, 1),)}  # cells per side, anchors per cell
_MAX_RAW_SCORE = 100.0
_SAME_FACE_IOU = 0.3
_SMALLEST_TILE_PX = 300.0  # the wide net is sure of faces down to 1/13 of its picture: 24 px
_TILE_OVERLAP = 0.25
_SURE = 0.8  # score of the close-up net above which no other rolls are tried
_BELIEVED, _BOTH_BELIEVED = 0.7, 0.73  # least score of the close-up net and least mean of both for a new face
_NOSE_BEFORE_EARS = 1.5  # how far the tip of the nose is before the line of the ears, in half distances of the ears


@dataclass(frozen=True, slots=True, eq=False)
class Detection:
    """One face in one frame.

    Attributes:
        box_px: (4,) tight face box x0, y0, x1, y1.
        keypoints_px: (6, 2) right eye, left eye, nose, mouth, right ear, left ear (the person's own right and left).
        score: 0..1.
        roll_deg: in-plane rotation, positive clockwise as seen.
        yaw: -1 .. 1, positive when the nose points to the right as seen.
    """

    box_px: Floats
    keypoints_px: Floats
    score: float
    roll_deg: float
    yaw: float

    @property
    def side_px(self) -> float:
        """Longer side of the box."""
        return float(max(self.box_px[2] - self.box_px[0], self.box_px[3] - self.box_px[1]))

    @property
    def centre_px(self) -> Floats:
        """Centre of the box (2,)."""
        return (self.box_px[:2] + self.box_px[2:]) / 2


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """Where the wide net looks: a square of the frame, for heads rolled clockwise by some quarter turns."""

    square_px: Floats
    turns: int = 0


@functools.lru_cache(maxsize=4)
def looks(width: int, height: int) -> tuple[Look, ...]:
    """All looks that find faces down to 24 px in a frame: first the whole, then for rolled heads, then at tiles."""
    whole = enlarge(np.array([0.0, 0.0, width, height]), 1.0)
    longer = max(width, height)
    n_levels = max(0, math.ceil(math.log2(longer / _SMALLEST_TILE_PX)))
    sides = [longer * (_SMALLEST_TILE_PX / longer) ** (level / n_levels) for level in range(1, n_levels + 1)]
    tiles = [
        Look(np.array([x, y, x + side, y + side]))
        for side in sides
        for y in _starts(height, side)
        for x in _starts(width, side)
    ]
    return (*(Look(whole, turns) for turns in (0, 1, 3, 2)), *tiles)


def _starts(length: int, side: float) -> Floats:
    """Starts of tiles that overlap and cover a length; one centred tile where it is longer."""
    if length <= side:
        return np.array([(length - side) / 2])
    n = math.ceil((length - _TILE_OVERLAP * side) / ((1 - _TILE_OVERLAP) * side))
    return np.linspace(0, length - side, n)


def near(frame: Frame, box_px: Floats, roll_deg: float = 0.0) -> list[Detection]:
    """Faces in a close-up about a box, turned upright by the nearest quarter turn.

    Args:
        frame: the picture.
        box_px: (4,) where a face was.
        roll_deg: how it was rolled.

    Returns:
        faces, best score first.
    """
    return suppressed(_look("short", frame, Look(_snapped(enlarge(box_px, CLOSE_UP)), round(roll_deg / 90) % 4)))


def _snapped(square_px: Floats) -> Floats:
    """A square near another, on a grid of about 1/128 of its side: looks at a face at rest share a crop's weights."""
    side = float(square_px[2] - square_px[0])
    unit = 2.0 ** round(math.log2(side / 128))
    start = np.round(square_px[:2] / unit) * unit
    return np.concatenate([start, start + unit * round(side / unit)])


def over(frame: Frame, where: Iterable[Look]) -> list[Detection]:
    """Faces that the wide net sees in some looks at a frame, best score first."""
    return suppressed(found for look in where for found in _look("full", frame, look))


def search(frame: Frame, where: Iterable[Look]) -> list[Detection]:
    """Faces that the wide net sees and the close-up net confirms, best score first."""
    return suppressed(sure for seen in over(frame, where) if (sure := _confirmed(frame, seen)))


def _confirmed(frame: Frame, seen: Detection) -> Detection | None:
    """What the close-up net sees there; a rolled face looks like a poor upright one, so all rolls are compared."""
    best: Detection | None = None
    for turn_deg in (0, 90, -90, 180):
        there = [d for d in near(frame, seen.box_px, seen.roll_deg + turn_deg) if same_face(d, seen)]
        best = max([*there[:1], *([best] if best else [])], key=lambda d: d.score, default=None)
        if best and best.score >= _SURE:
            break
    if best and best.score >= _BELIEVED and (best.score + seen.score) / 2 >= _BOTH_BELIEVED:
        return best
    return None


def _look(kind: Kind, frame: Frame, look: Look) -> list[Detection]:
    crop = area(frame, look.square_px, (SIDE_PX[kind], SIDE_PX[kind]))
    if crop.shape[2] == 1:
        crop = to_rgb(Frame(crop, frame.time_s, frame.index)).astype(np.float32)
    image = np.rot90(crop, look.turns)[None] / np.float32(127.5) - np.float32(1)
    boxes, scores = _session(kind).run(["boxes", "scores"], {"image": image})
    scores = 1 / (1 + np.exp(-np.clip(scores[0, :, 0].astype(float), -_MAX_RAW_SCORE, _MAX_RAW_SCORE)))
    keep = np.flatnonzero(scores >= MIN_SCORE)
    points = _decoded(kind, boxes[0, keep], _anchors(kind)[keep])
    for _ in range(look.turns):
        points = np.stack([1 - points[..., 1], points[..., 0]], axis=-1)
    points = look.square_px[:2] + points * (look.square_px[2:] - look.square_px[:2])
    return [_detection(p, float(s)) for p, s in zip(points, scores[keep], strict=True)]


def suppressed(found: Iterable[Detection]) -> list[Detection]:
    """Overlapping detections merged into their means weighted by score, best score first."""
    rest = sorted(found, key=lambda d: -d.score)
    merged = []
    while rest:
        best, *others = rest
        same = [same_face(best, d) for d in others]
        group = [best, *itertools.compress(others, same)]
        rest = [d for d, is_same in zip(others, same, strict=True) if not is_same]
        points = [np.concatenate([d.box_px.reshape(2, 2), d.keypoints_px]) for d in group]
        merged.append(_detection(np.average(points, axis=0, weights=[d.score for d in group]), best.score))
    return merged


def same_face(a: Detection, b: Detection) -> bool:
    """Whether two detections in one frame are of one face."""
    return overlap(a.box_px, b.box_px) > _SAME_FACE_IOU


def overlap(a_px: Floats, b_px: Floats) -> float:
    """Area that two boxes share over the area that they cover together."""
    (ax0, ay0, ax1, ay1), (bx0, by0, bx1, by1) = a_px.tolist(), b_px.tolist()
    shared = max(min(ax1, bx1) - max(ax0, bx0), 0.0) * max(min(ay1, by1) - max(ay0, by0), 0.0)
    together = (ax1 - ax0) * (ay1 - ay0) + (bx1 - bx0) * (by1 - by0) - shared
    return float(shared / together) if together > 0 else 0.0


@functools.cache
def _session(kind: Kind) -> Any:
    """The net, on one thread: two would only wait for each other on pictures this small."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    file = importlib.resources.files("vitalcam.weights") / f"blazeface_{kind}.onnx"
    try:
        return onnxruntime.InferenceSession(file.read_bytes(), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime raises types of its own that share no base
        raise WeightsError(f"{file}: cannot be loaded ({error}); install vitalcam again") from error


@functools.cache
def _anchors(kind: Kind) -> NDArray[np.float64]:
    """Centres (anchors, 2) of the anchors, x before y, in units of the picture."""
    grids = []
    for cells, per_cell in _GRIDS[kind]:
        y, x = (np.indices((cells, cells)) + 0.5) / cells
        grids.append(np.stack([x, y], axis=-1).reshape(-1, 2).repeat(per_cell, axis=0))
    return np.concatenate(grids)


def _decoded(kind: Kind, raw: Floats, anchors: Floats) -> Floats:
    """Corners of the box and six keypoints (N, 8, 2), in units of the picture, of raw outputs (N, 16)."""
    points = raw.reshape(-1, 8, 2) / SIDE_PX[kind]
    centre, size = points[:, 0] + anchors, points[:, 1]
    corners = np.stack([centre - size / 2, centre + size / 2], axis=1)
    return np.concatenate([corners, points[:, 2:] + anchors[:, None]], axis=1)


def _detection(points_px: Floats, score: float) -> Detection:
    """From two opposite corners and six keypoints (8, 2)."""
    box = np.concatenate([points_px[:2].min(axis=0), points_px[:2].max(axis=0)])
    right, left, nose, mouth, right_ear, left_ear = points_px[2:]
    down = mouth - (right + left) / 2
    across = left - right + (down[1], -down[0])  # two measures of one direction: eyes alone fail in profile
    roll = math.atan2(across[1], across[0])
    unit = np.array([math.cos(roll), math.sin(roll)])
    forward = float((nose - (right_ear + left_ear) / 2) @ unit) / _NOSE_BEFORE_EARS
    turn = math.atan2(forward, float((left_ear - right_ear) @ unit) / 2)
    yaw = min(1.0, max(-1.0, turn / (math.pi / 2)))
    return Detection(box, points_px[2:], score, math.degrees(roll), yaw)
