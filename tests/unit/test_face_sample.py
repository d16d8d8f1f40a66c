"""What is read off a face: known motion, colours that do not jump, regions, background."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from vitalcam.face import sample
from vitalcam.face.crop import area
from vitalcam.face.sample import Background, Sampler
from vitalcam.face.track import Tracker
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Face, Frame, Planes

NO_BACKGROUND = np.zeros(3)
XY = [sample.X, sample.Y]
PERSON = PersonOnScreen(None, face_height=0.5, resp_rate_bpm=None)
PICTURE = next(iter(render(Scene(320, 240, (PERSON,), noise_sigma=0.5), np.zeros(1))))


def found() -> Face:
    tracker = Tracker(1)
    for i in range(6):
        faces = tracker.push(Frame(PICTURE, i / 5, i))
    return faces[0]


FACE = found()
HELD = dataclasses.replace(FACE, state="held")
SIDE = float(max(FACE.box_px[2:] - FACE.box_px[:2]))


def shifted(dx: float, dy: float) -> np.ndarray:
    """The picture moved right and down by some pixels."""
    height, width = PICTURE.shape[:2]
    moved = area(Frame(PICTURE, 0, 0), np.array([-dx, -dy, width - dx, height - dy]), (height, width))
    return np.clip(np.rint(moved), 0, 255).astype(np.uint8)


def moved_face(dx: float, dy: float) -> Face:
    by = np.array([dx, dy])
    return dataclasses.replace(FACE, box_px=FACE.box_px + np.tile(by, 2), keypoints_px=FACE.keypoints_px + by)


def rows(*seen: tuple[np.ndarray, Face], size_px: int = 36) -> np.ndarray:
    """A row for each picture and face, 0.1 s apart."""
    sampler = Sampler(size_px)
    return np.array([sampler.push(Frame(p, i / 10, i), face, NO_BACKGROUND)[0] for i, (p, face) in enumerate(seen)])


@pytest.mark.parametrize("size_px", [36, 72])
@pytest.mark.parametrize(
    ("dx", "dy", "tolerance"),
    [(0.25, 0, 0.06), (0, 0.25, 0.06), (-2, 1, 0.06), (1, 4, 0.08), (4, -4, 0.1), (8, 0, 0.2), (0, -8, 0.2)],
)
def test_known_motion_is_measured(dx: float, dy: float, tolerance: float, size_px: int) -> None:
    before, after = rows((PICTURE, FACE), (shifted(dx, dy), HELD), size_px=size_px)
    np.testing.assert_allclose((after - before)[XY] * SIDE, (dx, dy), atol=tolerance * np.hypot(dx, dy))


def test_a_change_of_light_is_no_motion() -> None:
    dimmer = np.rint(PICTURE * 0.97).astype(np.uint8)
    before, after = rows((PICTURE, FACE), (dimmer, FACE))
    assert np.abs(after - before)[XY].max() < 1e-3
    np.testing.assert_allclose(after[sample.SKIN] / before[sample.SKIN], 0.97, atol=0.003)


@pytest.mark.parametrize(("dx", "dy"), [(8, 0), (3.4, -6.7)])
def test_the_crop_goes_with_the_head(dx: float, dy: float) -> None:
    sampler = Sampler()
    _, first = sampler.push(Frame(PICTURE, 0, 0), HELD, NO_BACKGROUND)
    _, still = sampler.push(Frame(PICTURE, 0.1, 1), HELD, NO_BACKGROUND)
    np.testing.assert_array_equal(still.box_px, first.box_px)
    row, gone = sampler.push(Frame(shifted(dx, dy), 0.2, 2), HELD, NO_BACKGROUND)
    np.testing.assert_allclose(gone.box_px - first.box_px, (dx, dy, dx, dy), atol=0.008 * SIDE)
    inner = slice(6, 30)
    without = area(Frame(shifted(dx, dy), 0, 0), first.box_px, (36, 36))
    left = np.abs(gone.rgb - first.rgb)[inner, inner].mean()
    assert left < 0.15 * np.abs(without - first.rgb)[inner, inner].mean()
    again, same = sampler.push(Frame(shifted(dx, dy), 0.3, 3), HELD, NO_BACKGROUND)
    np.testing.assert_array_equal(same.rgb, gone.rgb)  # a picture that is shown again is known by it
    np.testing.assert_array_equal(again[sample.REGIONS], row[sample.REGIONS])


def test_a_head_that_walks_out_of_its_crop_is_followed() -> None:
    """By a twentieth of its size at every frame, and back, with no look by the detector."""
    sampler, going = Sampler(), np.array([*range(0, 60, 5), *range(60, -60, -5), *range(-60, 5, 5)])
    rows = [sampler.push(Frame(shifted(x, 0), i / 30, i), HELD, NO_BACKGROUND)[0] for i, x in enumerate(going)]
    x = np.array(rows)[:, sample.X] * SIDE
    np.testing.assert_allclose(x - x[0], going, atol=0.02 * SIDE)
    green = np.array(rows)[:, 1]
    assert np.ptp(green) < 0.003 * green.mean()


def test_a_new_crop_makes_no_step() -> None:
    """The detector finds the head where its texture did not go: the texture has misled."""
    _, before, after = rows((PICTURE, FACE), (shifted(8, 3), HELD), (shifted(8, 3), moved_face(20, 3)))
    np.testing.assert_allclose(after[: sample.BACKGROUND.start], before[: sample.BACKGROUND.start], rtol=1e-5)
    np.testing.assert_allclose(after[XY], before[XY], atol=1e-6)


def test_a_box_of_another_size_does_not_move_the_head() -> None:
    larger = dataclasses.replace(FACE, box_px=FACE.box_px + np.array([-6, -6, 6, 6]))
    before, after = rows((PICTURE, FACE), (PICTURE, larger))
    np.testing.assert_allclose(after[XY], before[XY], atol=1e-6)
    assert after[sample.SIDE] == pytest.approx(before[sample.SIDE] + 12)


def test_a_lagging_box_does_not_drive_the_colours_away() -> None:
    """Each step of a box that lags takes some hair out and skin in; a hundred such ratios must not add up."""
    sampler, far, time_s = Sampler(), shifted(10, 0), 0.0
    for _ in range(100):
        for picture, face in ((PICTURE, FACE), (far, FACE), (far, moved_face(10, 0)), (PICTURE, moved_face(10, 0))):
            row, _ = sampler.push(Frame(picture, time_s, 0), face, NO_BACKGROUND)
            time_s += 0.1
    alone = rows((far, moved_face(10, 0)))[0]
    assert np.all(np.abs(np.log(row[sample.REGIONS] / alone[sample.REGIONS])) < 6)
    for _ in range(3):
        time_s += 60
        row, _ = sampler.push(Frame(far, time_s, 0), moved_face(10, 0), NO_BACKGROUND)
    np.testing.assert_allclose(row[sample.SKIN], alone[sample.SKIN], rtol=1e-3)


def test_regions_are_forehead_and_the_persons_own_cheeks() -> None:
    lit = PICTURE.copy()
    nose = int(FACE.keypoints_px[2, 0])
    lit[:, nose + 1 :, 1] += 20  # the person's left is on the right of the picture
    plain, brighter = rows((PICTURE, FACE))[0], rows((lit, FACE))[0]
    forehead, right, left = (brighter - plain)[sample.REGIONS].reshape(3, 3)[:, 1]
    assert abs(right) < 1
    assert left > 19
    assert 5 < forehead < 15
    eyes = int(FACE.keypoints_px[:2, 1].mean())
    lit = PICTURE.copy()
    lit[:eyes, :, 1] += 20
    forehead, right, left = (rows((lit, FACE))[0] - plain)[sample.REGIONS].reshape(3, 3)[:, 1]
    assert forehead > 15
    assert max(right, left) < 1


def test_clipped_skin_is_told() -> None:
    assert rows((PICTURE, FACE))[0, sample.CLIPPED] == 0
    assert rows((np.full_like(PICTURE, 255), FACE))[0, sample.CLIPPED] == pytest.approx(1)


def test_degrees_are_read_as_three_equal_colours() -> None:
    celsius = (25 + PICTURE[..., :1] / 30).astype(np.float32)
    row = rows((celsius, FACE))[0]
    assert row[0] == row[1] == row[2]
    assert 25 < row[0] < 34


@pytest.mark.parametrize("size", [(240, 320), (101, 173), (720, 1280)])
def test_background_is_what_is_not_the_face(size: tuple[int, int]) -> None:
    height, width = size
    box = np.array([0.3 * width, 0.3 * height, 0.5 * width, 0.6 * height])
    inside = 255 * np.ones((height, width), np.uint8)
    around = 1.0 * max(box[2:] - box[:2])  # half the side of the square that is left out
    x, y = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
    rgb = np.empty((height, width, 3), np.uint8)
    rgb[:] = (90, 110, 130)
    rgb[max(0, int(y - around)) : int(y + around), max(0, int(x - around)) : int(x + around)] = inside[0, 0]
    face = dataclasses.replace(FACE, box_px=box)
    np.testing.assert_allclose(Background().push(Frame(rgb, 0, 0), [face]), (90, 110, 130), atol=8)
    whole = dataclasses.replace(FACE, box_px=np.array([0.0, 0.0, width, height]))
    assert np.isnan(Background().push(Frame(rgb, 0, 0), [whole])).all()
    grey = np.full((height // 2 + height % 2, width // 2 + width % 2), 128, np.uint8)
    planes = Planes(rgb[..., 1], grey, grey, full_range=True)
    np.testing.assert_allclose(Background().push(Frame(planes, 0, 0), [face]), 110, atol=8)
