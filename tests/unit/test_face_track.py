"""Tracks: one identity for each person, a box that rests while the face rests, and lost means lost."""

import numpy as np
import pytest

from vitalcam.face import track
from vitalcam.face.detect import Detection, overlap
from vitalcam.face.track import HELD_S, Tracker
from vitalcam.synth.painted import PaintedFace, PersonOnScreen, Scene, render
from vitalcam.types import Frame

WIDTH, HEIGHT = 320, 240
DARK = PaintedFace(skin_rgb=(90, 60, 45), hair_rgb=(15, 12, 10))


def person(**settings):
    return PersonOnScreen(heart_rate_bpm=None, resp_rate_bpm=None, **settings)


def video(*people, seconds=3.0, fps=15.0):
    times = np.arange(int(seconds * fps)) / fps
    pictures = render(Scene(width=WIDTH, height=HEIGHT, people=people), times)
    return [Frame(p, float(t), i) for i, (p, t) in enumerate(zip(pictures, times, strict=True))]


def follow(frames, max_faces=1):
    tracker = Tracker(max_faces)
    return [tracker.push(frame) for frame in frames]


def true_box(someone, time_s):
    """What the detector calls the face of a painted person: 0.76 of its height, about a place below its centre."""
    height = someone.face_height * HEIGHT
    dx, dy = someone.shift(time_s)
    x = someone.centre[0] * WIDTH + dx * 0.75 * height
    y = someone.centre[1] * HEIGHT + dy * 0.75 * height + 0.08 * height
    return np.array([x, y, x, y]) + np.array([-1, -1, 1, 1]) * 0.38 * height


def assert_held_briefly(frames, faces):
    """No box is ever older than HELD_S, in no test."""
    seen = {}
    for frame, row in zip(frames, faces, strict=True):
        for face in row:
            if face.state == "detected":
                seen[face.id] = frame.time_s
            if face.state == "held":
                assert frame.time_s - seen[face.id] <= HELD_S
            assert np.isnan(face.box_px).all() == (face.state == "lost")


def test_no_face_is_no_entry():
    assert follow(video(seconds=1.5), max_faces=None) == [()] * 22


def test_a_resting_face_has_one_box():
    frames = video(person(), seconds=4)
    faces = follow(frames)
    assert_held_briefly(frames, faces)
    first = next(i for i, row in enumerate(faces) if row)
    assert frames[first].time_s <= 0.2
    boxes = np.array([row[0].box_px for row in faces[first:]])
    assert (boxes == boxes[0]).all()
    assert overlap(boxes[0], true_box(person(), 0)) > 0.8
    looked = sum(row[0].state == "detected" for row in faces[first:])
    assert 6 <= looked <= 12  # 2 to 3 looks per second
    assert {face.id for row in faces for face in row} == {1}


def test_a_moving_face_is_followed():
    moving = person(motion=lambda t: (0.7 * np.sin(2 * np.pi * t / 3), 0.1 * np.sin(2 * np.pi * t / 2)))
    frames = video(moving, seconds=4, fps=30)
    faces = follow(frames)
    assert_held_briefly(frames, faces)
    shared = [overlap(r[0].box_px, true_box(moving, f.time_s)) for f, r in zip(frames, faces, strict=True) if r]
    assert len(shared) > 110
    assert np.mean(shared) > 0.75
    assert np.min(shared) > 0.4
    looked = sum(row[0].state == "detected" for row in faces if row)
    assert looked > 4 * 4  # more often than at rest


def test_a_face_that_leaves_is_lost_and_comes_back_as_itself():
    frames = video(person(visible=lambda t: not 1.5 <= t < 3.5), seconds=5)
    faces = follow(frames)
    assert_held_briefly(frames, faces)
    for frame, row in zip(frames, faces, strict=True):
        if 1.5 + HELD_S < frame.time_s < 3.5:
            assert [face.state for face in row] == ["lost"]
        if frame.time_s > 3.5 + 0.6:
            assert [face.state != "lost" for face in row] == [True]
    assert {face.id for row in faces for face in row} == {1}


def test_a_face_that_comes_back_elsewhere_is_itself_if_it_is_the_only_one():
    frames = video(
        person(visible=lambda t: not 1 <= t < 2.5, motion=lambda t: (1.2, 0) if t > 1.5 else (0, 0)), seconds=4
    )
    faces = follow(frames)
    assert faces[-1][0].state != "lost"
    assert {face.id for row in faces for face in row} == {1}


def test_someone_else_elsewhere_beside_the_first_is_someone_new():
    first = person(centre=(0.27, 0.5), face_height=0.45)
    second = person(centre=(0.75, 0.5), face_height=0.4, face=DARK, visible=lambda t: t >= 1)
    faces = follow(video(first, second, seconds=4), max_faces=None)
    assert [face.id for face in faces[-1]] == [1, 2]
    assert faces[-1][0].box_px[0] < faces[-1][1].box_px[0]


def test_with_one_face_wanted_the_largest_is_followed():
    people = person(centre=(0.25, 0.5), face_height=0.3), person(centre=(0.7, 0.5), face_height=0.5)
    faces = follow(video(*people, seconds=1.5), max_faces=1)
    assert [face.id for face in faces[-1]] == [1]
    assert overlap(faces[-1][0].box_px, true_box(people[1], 0)) > 0.7


@pytest.mark.parametrize("looks_alike", [True, False])
@pytest.mark.parametrize("seconds", [3.0, 5.0])
def test_faces_that_cross_keep_their_identities(looks_alike, seconds):
    def run(sign):
        return lambda t: (sign * (2 * min(t / seconds, 1) - 1) * 1.3, 0.0)

    back = person(face_height=0.4, motion=run(1))
    front = person(face_height=0.45, motion=run(-1), face=PaintedFace() if looks_alike else DARK)
    frames = video(back, front, seconds=seconds + 1)
    faces = follow(frames, max_faces=None)
    assert_held_briefly(frames, faces)
    start = next(row for row in faces if len(row) == 2)
    names = {face.id: "back" if face.box_px[0] < WIDTH / 2 else "front" for face in start}
    end = {names.get(face.id): face.box_px for face in faces[-1] if face.state != "lost"}
    assert overlap(end["back"], true_box(back, seconds)) > 0.6
    assert overlap(end["front"], true_box(front, seconds)) > 0.6


def test_a_face_on_its_way_out_is_lost_when_most_of_it_is_gone():
    leaving = person(face_height=0.45, motion=lambda t: (1.0 * t, 0.0))
    for frame, row in zip(frames := video(leaving, seconds=4), follow(frames), strict=True):
        x0, _, x1, _ = true_box(leaving, frame.time_s)
        if row and (WIDTH - x0) / (x1 - x0) < 0.2:
            assert row[0].state in ("held", "lost")
        if (WIDTH - x0) / (x1 - x0) < -0.4:
            assert row[0].state == "lost"


def test_at_one_frame_per_second_every_frame_is_looked_at():
    faces = follow(video(person(), seconds=6, fps=1))
    assert faces[0] == ()
    assert [row[0].state for row in faces[1:]] == ["detected"] * 5


def test_the_frame_rate_does_not_move_the_box():
    boxes = [follow(video(person(), seconds=2, fps=fps))[-1][0].box_px for fps in (10, 15, 30)]
    assert overlap(boxes[0], boxes[1]) > 0.9
    assert overlap(boxes[0], boxes[2]) > 0.9


def test_the_same_frames_give_the_same_faces():
    frames = video(person(motion=lambda t: (0.3 * np.sin(5 * t), 0.0)), seconds=2)
    other = Tracker(None)
    first = []
    tracker = Tracker()
    for frame in frames:
        first.append(tracker.push(frame))
        other.push(Frame(frame.pixels[::-1], frame.time_s, frame.index))  # what others do does not matter
    tracker.reset()
    for row, again in zip(first, [tracker.push(frame) for frame in frames], strict=True):
        assert [(f.id, f.state, f.box_px.tobytes()) for f in row] == [
            (f.id, f.state, f.box_px.tobytes()) for f in again
        ]


def detection(x, score=0.9):
    points = np.array([[-19, -13], [19, -13], [0, 10], [0, 33], [-48, -5], [48, -5]], float) * 0.5
    return Detection(np.array([x - 25.0, 75, x + 25, 125]), points + np.array([x, 100]), score, 0.0, 0.0)


def blank(time_s):
    return Frame(np.zeros((HEIGHT, WIDTH, 3), np.uint8), time_s, round(time_s * 30))


def test_what_is_seen_once_is_no_face(monkeypatch):
    sightings = iter([[detection(100)]])
    monkeypatch.setattr(track, "search", lambda *_: next(sightings, []))
    monkeypatch.setattr(track, "near", lambda *_: [])
    tracker = Tracker()
    assert [tracker.push(blank(i / 30)) for i in range(30)] == [()] * 30


def test_small_moves_stay_in_the_dead_band_and_large_ones_move_the_box(monkeypatch):
    place = [100.0]
    monkeypatch.setattr(track, "search", lambda *_: [detection(place[0])])
    monkeypatch.setattr(track, "near", lambda *_: [detection(place[0])])
    tracker = Tracker()
    boxes = []
    for i in range(180):
        place[0] = 100 + (0 if i < 60 else 2 if i < 120 else 6)  # of 50 px
        boxes.append([face.box_px[0] for face in tracker.push(blank(i / 30))])
    assert {x for row in boxes[:120] for x in row} == {75.0}
    assert boxes[-1] == [pytest.approx(81, abs=1)]


def test_one_missed_look_is_bridged_and_half_a_second_is_not(monkeypatch):
    visible = [True]
    monkeypatch.setattr(track, "search", lambda *_: [detection(100)] if visible[0] else [])
    monkeypatch.setattr(track, "near", lambda *_: [detection(100)] if visible[0] else [])
    tracker = Tracker()
    states = []
    for i in range(90):
        visible[0] = not (40 <= i < 43 or i >= 60)
        states.append([face.state for face in tracker.push(blank(i / 30))])
    assert ["lost"] not in states[:60]
    assert states[-1] == ["lost"]
    last = max(i for i, row in enumerate(states) if row == ["detected"])
    assert states.index(["lost"]) / 30 - last / 30 == pytest.approx(HELD_S, abs=0.04)
