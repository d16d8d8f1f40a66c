"""Skin weights: where skin must be on a head, less what has another colour."""

import dataclasses

import numpy as np
import pytest

from vitalcam.face.skin import skin_weights
from vitalcam.types import Face

N = 36
BOX = np.array([-75.0, -75.0, 75.0, 75.0])  # 1.5 times the face box
TONES = [(235, 205, 185), (140, 95, 70), (60, 40, 32), (70, 60, 200), (120, 120, 120)]


def face(roll_deg=0.0, turn=0.0):
    """A head of 100 px about the middle of the box; `turn` moves the features towards the left ear."""
    points = np.array([[-19, -13], [19, -13], [0, 10], [0, 33], [-48, -5], [48, -5]], float)
    points[:4, 0] += turn * 30
    c, s = np.cos(np.radians(roll_deg)), np.sin(np.radians(roll_deg))
    return Face(
        1, np.array([-50.0, -50, 50, 50]), 0.9, "detected", points @ np.array([[c, s], [-s, c]]), roll_deg, turn
    )


def plain(tone):
    noise = np.random.default_rng(0).normal(0, 1, (N, N, 3))
    return (np.asarray(tone, float) + noise).astype(np.float32)


def at(weights, x, y):
    """Weight of the cell at a place in the box."""
    return weights[int((y + 75) / 150 * N), int((x + 75) / 150 * N)]


@pytest.mark.parametrize("tone", TONES)
def test_every_tone_and_light_has_the_same_skin(tone):
    weights = skin_weights(plain(tone), face(), BOX)
    assert weights.dtype == np.float32
    assert weights.min() >= 0
    assert weights.max() == 1
    np.testing.assert_allclose(weights.sum(), skin_weights(plain((205, 160, 135)), face(), BOX).sum(), rtol=0.02)
    for cheek_or_forehead in [(-25, 8), (25, 8), (0, -35)]:
        assert at(weights, *cheek_or_forehead) > 0.9
    for eye_mouth_or_outside in [(-19, -13), (19, -13), (0, 33), (-60, 0), (0, -70), (0, 70)]:
        assert at(weights, *eye_mouth_or_outside) == 0


@pytest.mark.parametrize("quarter", [1, 2, 3])
def test_skin_turns_with_the_head(quarter):
    upright = skin_weights(plain(TONES[1]), face(), BOX)
    rolled = skin_weights(plain(TONES[1]), face(roll_deg=90.0 * quarter), BOX)
    share = (np.rot90(rolled, quarter) > 0.5) == (upright > 0.5)
    assert share.mean() > 0.99


def test_the_cheek_that_turns_away_loses_weight():
    weights = skin_weights(plain(TONES[0]), face(turn=0.6), BOX)
    middle = int((18 + 75) / 150 * N)
    assert weights[:, middle + 1 :].sum() < 0.3 * weights[:, :middle].sum()


@pytest.mark.parametrize("tone", TONES)
def test_hair_over_the_forehead_is_left_out(tone):
    crop = plain(tone)
    crop[: int((-28 + 75) / 150 * N)] = np.array([0.35, 0.3, 0.25]) * tone
    weights = skin_weights(crop, face(), BOX)
    assert at(weights, 0, -35) == 0
    assert at(weights, 25, 8) > 0.9


def test_highlights_are_left_out_unless_all_is_clipped():
    crop = plain((180, 140, 120))
    row, column = int((8 + 75) / 150 * N), int((25 + 75) / 150 * N)
    crop[row - 1 : row + 2, column - 1 : column + 2] = 255
    weights = skin_weights(crop, face(), BOX)
    assert weights[row, column] == 0
    assert skin_weights(np.full((N, N, 3), 255, np.float32), face(), BOX).sum() > 50


def test_shading_across_the_face_stays_skin():
    slope = np.linspace(0.75, 1.25, N)[None, :, None]
    weights = skin_weights(plain((150, 110, 90)) * slope, face(), BOX)
    flat = skin_weights(plain((150, 110, 90)), face(), BOX)
    assert weights.sum() > 0.9 * flat.sum()


def test_a_thermal_crop_is_judged_by_geometry_and_level():
    weights = skin_weights(plain((34, 34, 34))[..., :1], face(), BOX)
    assert at(weights, 25, 8) > 0.9
    assert at(weights, 0, 70) == 0


def test_no_face_has_no_skin():
    lost = dataclasses.replace(face(), state="lost", box_px=np.full(4, np.nan), keypoints_px=np.full((6, 2), np.nan))
    assert not skin_weights(plain(TONES[0]), lost, BOX).any()
    assert not skin_weights(plain(TONES[0]), face(), BOX + 1000).any()
