"""Follow faces over time: where each one is in every frame, which one it is, and when it is lost.

Everything is timed by the clock of the frames, so the same video gives the same tracks at any frame rate and speed of
the machine. Nothing looks ahead.

Two faces that cross keep their identities by where they were going. That fails if they stop or turn back while one
hides the other, or if both are lost and come back elsewhere: then they may swap or get new identities.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from vitalcam.face.crop import enlarge, resized
from vitalcam.face.detect import Detection, Look, looks, near, overlap, same_face, search, suppressed
from vitalcam.types import Face, FaceState, Floats, Frame

HELD_S = 0.5
"""A box is shown for this long after its face was last seen, then the face is lost."""

_STILL_S = 0.4  # between looks at a face that rests; shorter than HELD_S so that there is a second try
_QUICK_S = 0.12  # between looks at one that moves, that is hard to see, or that is new
_WEAK_SCORE = 0.7  # too little to believe in a new face, and a reason to look again soon at a known one
_SAME_PLACE = 0.05  # of the side: less than this is not a move
_INSIDE = 0.6  # share of the box that must be inside of the frame
_CROSSING = 0.1  # overlap from which on a detection might be of either face
_LOCAL = 5.0  # side of the square searched with the wide net before a look counts as a miss

_SEARCH_S = 0.25  # between searches when no face is in view
_SEARCH_LATER_S = 0.5  # the same after _PATIENCE_S without a face
_SEARCH_MORE_S = 1.0  # between searches for more faces beside those in view
_PATIENCE_S = 5.0
_EXTRA_LOOKS = 8  # looks beside the whole frame in one search, so that no frame takes long

_RETURNS_ANYWHERE_S = 10.0
_RETURNS_S = 60.0


@dataclass(eq=False)
class _Track:
    """One face. `id` is 0 until a second look has confirmed it."""

    seen: Detection
    seen_s: float
    box_px: Floats = field(init=False)
    mean_px: Floats = field(init=False)
    velocity_px_s: Floats = field(default_factory=lambda: np.zeros(2))
    looked_s: float = field(init=False)
    quick: bool = True
    lost: bool = False
    id: int = 0

    def __post_init__(self) -> None:
        self.box_px = self.mean_px = self.seen.box_px
        self.looked_s = self.seen_s

    def due(self, now_s: float) -> bool:
        """Whether it is time to look again."""
        return now_s - self.looked_s > (_QUICK_S if self.quick else _STILL_S) - 1e-3

    def expected_px(self, now_s: float) -> Floats:
        """Where its box should be, if it goes on as it went."""
        return self.seen.box_px + np.tile(self.velocity_px_s * min(now_s - self.seen_s, 2 * HELD_S), 2)

    def distance(self, found: Detection, now_s: float) -> float:
        """How unlike the expected a detection is, in sides of the face; infinite where it cannot be the same face."""
        if not self.id and found.score < _WEAK_SCORE:
            return math.inf
        expected = self.expected_px(now_s)
        centre = (expected[:2] + expected[2:]) / 2
        side = max(self.seen.side_px, found.side_px)
        away = float(np.linalg.norm(found.centre_px - centre)) / side
        growth = abs(math.log(found.side_px / self.seen.side_px))
        shape = (found.keypoints_px - found.centre_px) - (self.seen.keypoints_px - self.seen.centre_px)
        return away + growth + float(np.abs(shape).mean()) / side if away < 1 and growth < 0.5 else math.inf

    def see(self, found: Detection, now_s: float, *, alone: bool) -> None:
        """Take over a detection; the velocity only where no other face could be meant."""
        step = found.centre_px - self.seen.centre_px
        if alone and not self.lost:
            self.velocity_px_s = (self.velocity_px_s + step / (now_s - self.seen_s)) / 2
        if self.lost:
            self.velocity_px_s = np.zeros(2)
        self.quick = float(np.linalg.norm(step)) > _SAME_PLACE * found.side_px or found.score < _WEAK_SCORE
        self.mean_px = found.box_px if _moved(self.mean_px, found.box_px) else (self.mean_px + found.box_px) / 2
        if _moved(self.box_px, self.mean_px):
            self.box_px = self.mean_px
        self.seen, self.seen_s, self.looked_s, self.lost = found, now_s, now_s, False

    def face(self, now_s: float) -> Face:
        """As others see it."""
        if self.lost:
            return Face(self.id, np.full(4, np.nan), np.nan, "lost", np.full((6, 2), np.nan), np.nan, np.nan)
        state: FaceState = "detected" if self.seen_s == now_s else "held"
        seen = self.seen
        return Face(self.id, self.box_px, seen.score, state, seen.keypoints_px, seen.roll_deg, seen.yaw)


def _moved(old_px: Floats, new_px: Floats) -> bool:
    """Whether a box left the dead band about another."""
    side = float(max(old_px[2] - old_px[0], old_px[3] - old_px[1]))
    away = float(np.linalg.norm((new_px[:2] + new_px[2:] - old_px[:2] - old_px[2:]) / 2))
    return away > _SAME_PLACE * side or resized(old_px, new_px)


class Tracker:
    """Faces of a video, pushed frame by frame.

    Args:
        max_faces: how many faces are followed at once, the largest first; None for all.
    """

    def __init__(self, max_faces: int | None = 1) -> None:
        self.max_faces = max_faces
        self.reset()

    def reset(self) -> None:
        """Forget everything, before another video."""
        self._tracks: list[_Track] = []
        self._last_id = 0
        self._searched_s = -math.inf
        self._start_s = math.inf
        self._next_look = 0

    def push(self, frame: Frame) -> tuple[Face, ...]:
        """Look at the next frame.

        Args:
            frame: the picture; later than the one before.

        Returns:
            every identity that is in view or may still come back, in order of id; lost ones have NaN for a box.
        """
        now = frame.time_s
        self._start_s = min(self._start_s, now)
        self._follow(frame)
        if self._search_is_due(now):
            self._search(frame)
        self._tracks = [t for t in self._tracks if not t.lost or (t.id and now - t.seen_s < _RETURNS_S)]
        return tuple(t.face(now) for t in sorted(self._tracks, key=lambda t: t.id) if t.id)

    def _visible(self) -> list[_Track]:
        return [t for t in self._tracks if not t.lost]

    def _follow(self, frame: Frame) -> None:
        """Look where faces should be now."""
        now = frame.time_s
        visible = self._visible()
        due = [t for t in visible if t.due(now)]
        due += [t for t in visible if t not in due and any(_close(t, other, now) for other in due)]
        found = [d for t in due for d in near(frame, t.expected_px(now), t.seen.roll_deg)]
        missed = self._assign(frame, due, found)
        found = [d for t in missed for d in search(frame, [_local(t, now)])]
        for track in self._assign(frame, missed, found):
            track.looked_s, track.quick = now, True
            track.lost = not track.id
        for track in visible:
            track.lost |= now - track.seen_s > HELD_S

    def _assign(self, frame: Frame, tracks: Sequence[_Track], found: Sequence[Detection]) -> list[_Track]:
        """Give each face the detection most like it, each at most once. Returns the faces that got none."""
        if not tracks:
            return []
        now = frame.time_s
        others = [t for t in self._visible() if t not in tracks and t.seen_s == now]
        found = _new(found, others, frame)
        given: dict[int, Detection] = {}
        for distance, i, j in sorted(
            (t.distance(d, now), i, j) for i, t in enumerate(tracks) for j, d in enumerate(found)
        ):
            taken = any(same_face(d, found[j]) for d in given.values())
            if i not in given and not taken and math.isfinite(distance):
                given[i] = found[j]
        boxes_px = [t.expected_px(now) for t in self._visible()]
        for i, detection in given.items():
            meant = sum(overlap(box_px, detection.box_px) > _CROSSING for box_px in boxes_px)
            tracks[i].see(detection, now, alone=meant < 2)
            if not tracks[i].id:
                self._last_id += 1
                tracks[i].id = self._last_id
        return [t for i, t in enumerate(tracks) if i not in given]

    def _search_is_due(self, now_s: float) -> bool:
        visible = self._visible()
        if self.max_faces is not None and len(visible) >= self.max_faces:
            return False
        last = max((t.seen_s for t in self._tracks), default=self._start_s)
        period = _SEARCH_S if now_s - last < _PATIENCE_S else _SEARCH_LATER_S
        return now_s - self._searched_s > (_SEARCH_MORE_S if visible else period) - 1e-3

    def _search(self, frame: Frame) -> None:
        """Look for faces that are new or come back."""
        now = self._searched_s = frame.time_s
        visible = self._visible()
        whole, *others = looks(frame.width, frame.height)
        back = [_local(t, now) for t in self._tracks if t.lost and now - t.seen_s < _RETURNS_ANYWHERE_S]
        room = sys.maxsize if self.max_faces is None else self.max_faces - len(visible)
        new = _new(search(frame, [whole, *back]), visible, frame)
        if len(new) < room:
            turn = [others[(self._next_look + k) % len(others)] for k in range(min(_EXTRA_LOOKS, len(others)))]
            self._next_look += len(turn)
            new = suppressed([*new, *_new(search(frame, turn), visible, frame)])
        new.sort(key=lambda d: -d.side_px * d.score)
        for detection in new[:room]:
            known = self._returning(detection, now, only=len(new) == 1)
            if known:
                known.see(detection, now, alone=False)
            else:
                self._tracks.append(_Track(detection, now))

    def _returning(self, found: Detection, now_s: float, *, only: bool) -> _Track | None:
        """The lost face that a detection may be: the nearest in place and size, or the only one in question."""
        lost = [t for t in self._tracks if t.lost]
        nearest = min(lost, key=lambda t: t.distance(found, now_s), default=None)
        if nearest and math.isfinite(nearest.distance(found, now_s)):
            return nearest
        recent = [t for t in lost if now_s - t.seen_s < _RETURNS_ANYWHERE_S]
        return recent[0] if only and len(recent) == 1 else None


def _close(a: _Track, b: _Track, now_s: float) -> bool:
    """Whether a look at one face would show the other."""
    return overlap(enlarge(a.expected_px(now_s), 2.0), enlarge(b.expected_px(now_s), 2.0)) > 0


def _local(track: _Track, now_s: float) -> Look:
    return Look(enlarge(track.expected_px(now_s), _LOCAL), round(track.seen.roll_deg / 90) % 4)


def _inside(found: Detection, frame: Frame) -> bool:
    box, limit = found.box_px, (frame.width, frame.height)
    inside = np.prod(np.clip(np.minimum(box[2:], limit) - np.maximum(box[:2], 0), 0, None))
    return bool(inside >= _INSIDE * np.prod(box[2:] - box[:2]))


def _new(found: Sequence[Detection], known: Sequence[_Track], frame: Frame) -> list[Detection]:
    """Detections that are in the frame and not centred on a known face."""
    return [d for d in found if _inside(d, frame) and not any(_covers(t.seen.box_px, d.centre_px) for t in known)]


def _covers(box_px: Floats, point_px: Floats) -> bool:
    return bool((box_px[:2] < point_px).all() and (point_px < box_px[2:]).all())
