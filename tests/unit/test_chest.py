"""The strip below a face: known motion is measured, and what is no motion of the chest is not."""

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, shift

from vitalcam.face.chest import STEP_S, Chest
from vitalcam.types import Face, Frame, Planes

SIDE = 60
FACE = (130.0, 60.0)  # centre


def _texture(seed):
    rng = np.random.default_rng(seed)
    return 128 + 400 * gaussian_filter(rng.standard_normal((240, 320)), 5)


PICTURE = _texture(0)


def _seen(picture, index, *, centre=FACE, side=SIDE, planes=False):
    face = np.array([*centre, *centre]) + np.array([-1, -1, 1, 1]) * side / 2
    grey = np.clip(np.rint(picture), 0, 255).astype(np.uint8)
    pixels = Planes(grey, grey[::2, ::2], grey[::2, ::2]) if planes else np.repeat(grey[..., None], 3, axis=2)
    return Frame(pixels, index / 10, index), Face(1, face, 1.0, "held", np.zeros((6, 2)))


def _positions(*seen):
    chest = Chest()
    return [chest.push(*one) for one in seen]


@pytest.mark.parametrize("planes", [False, True])
@pytest.mark.parametrize("down_px", [0.3, -1.0, 4.0, -9.0])
def test_known_motion_is_measured(down_px, planes):
    moved = shift(PICTURE, (down_px, 0), order=3, mode="nearest")
    first, then = _positions(_seen(PICTURE, 0, planes=planes), _seen(moved, 1, planes=planes))
    assert first == 0
    assert then * SIDE == pytest.approx(down_px, abs=0.05 + 0.05 * abs(down_px))


def test_motion_to_the_side_and_light_are_no_lift():
    aside = shift(PICTURE, (0, 3), order=3, mode="nearest")
    positions = _positions(_seen(PICTURE, 0), _seen(aside, 1), _seen(0.9 * PICTURE + 5, 2))
    assert np.abs(positions).max() * SIDE < 0.15


def test_a_box_that_steps_makes_no_step():
    """The face is looked for anew and found a little elsewhere; then the person has moved with it."""
    moved = shift(PICTURE, (12, 20), order=3, mode="nearest")
    x, y = FACE
    steps = [_seen(PICTURE, 0), _seen(PICTURE, 1, centre=(x + 4, y - 3)), _seen(moved, 2, centre=(x + 22, y + 10))]
    assert np.array(_positions(*steps)) * SIDE == pytest.approx([0, 0, 12], abs=0.4)


def test_what_is_seen_anew_goes_on_where_it_was():
    """A face that has grown is another sight; its first position is the last one."""
    moved = shift(PICTURE, (3, 0), order=3, mode="nearest")
    positions = _positions(_seen(PICTURE, 0), _seen(moved, 1), _seen(moved, 2, side=75), _seen(moved, 3, side=75))
    assert np.array(positions) * SIDE == pytest.approx([0, 3, 3, 3], abs=0.5)


def test_a_face_that_fills_the_picture_has_no_chest():
    assert np.isnan(_positions(_seen(PICTURE, 0, centre=(160, 150), side=180))).all()


def test_a_chest_that_comes_into_the_picture_is_followed():
    low, high = _seen(PICTURE, 0, centre=(130, 215)), _seen(PICTURE, 1)
    positions = _positions(low, high, _seen(shift(PICTURE, (2, 0), order=3, mode="nearest"), 2))
    assert np.isnan(positions[0])
    assert np.array(positions[1:]) * SIDE == pytest.approx([0, 2], abs=0.2)


def test_the_chest_is_looked_at_ten_times_a_second():
    chest, (frame, face) = Chest(), _seen(PICTURE, 0)
    chest.push(frame, face)
    moved, _ = _seen(shift(PICTURE, (4, 0), order=3, mode="nearest"), 0)
    assert chest.push(Frame(moved.pixels, STEP_S / 2, 1), face) == 0
    assert chest.push(Frame(moved.pixels, STEP_S, 2), face) * SIDE == pytest.approx(4, abs=0.3)
