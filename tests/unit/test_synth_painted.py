"""Painted faces: what is put in must be in the pictures."""

from __future__ import annotations

import numpy as np
import pytest

from vitalcam.synth.painted import PULSE_RATIO, PaintedFace, PersonOnScreen, Scene, beat, render

TIMES_S = np.arange(150) / 15


def cheek(scene: Scene, times_s: np.ndarray, x: float = 0.5) -> np.ndarray:
    """Mean colour (T, 3) of a patch on the skin, a little below the eyes."""
    h, w = scene.height, scene.width
    box = (slice(int(0.48 * h), int(0.53 * h)), slice(int((x - 0.06) * w), int((x + 0.06) * w)))
    return np.array([picture[box].mean((0, 1)) for picture in render(scene, times_s)])


def test_amplitude_and_colour_of_the_pulse_are_as_given():
    person = PersonOnScreen(resp_rate_bpm=None, amplitude=0.03)
    rgb = cheek(Scene(people=(person,)), TIMES_S)
    pulse = person.bvp(TIMES_S)
    slope = np.linalg.lstsq(np.stack([pulse, np.ones_like(pulse)], 1), rgb / rgb.mean(0), rcond=None)[0][0]
    np.testing.assert_allclose(-slope, 0.03 * np.array(PULSE_RATIO) / PULSE_RATIO[1], rtol=0.05)


@pytest.mark.parametrize("rate_bpm", [50.0, 118.0, 185.0])
def test_rate_of_the_pulse_is_as_given(rate_bpm: float):
    rgb = cheek(Scene(320, 240, people=(PersonOnScreen(rate_bpm, resp_rate_bpm=None),)), TIMES_S)
    green = rgb[:, 1] - rgb[:, 1].mean()
    spectrum = np.abs(np.fft.rfft(green * np.hanning(green.size), 8192))
    assert 60 * 15 * spectrum.argmax() / 8192 == pytest.approx(rate_bpm, abs=2)


def test_two_people_have_their_own_rates():
    left, right = (PersonOnScreen(rate, None, centre=(x, 0.45)) for rate, x in ((60.0, 0.28), (100.0, 0.72)))
    scene = Scene(320, 240, people=(left, right))
    for person, x in ((left, 0.28), (right, 0.72)):
        green = cheek(scene, TIMES_S, x)[:, 1]
        assert np.corrcoef(green, person.bvp(TIMES_S))[0, 1] < -0.8


def test_nothing_changes_without_pulse_breath_and_noise():
    scene = Scene(160, 120, people=(PersonOnScreen(None, None),), noise_sigma=0)
    first, *others = render(scene, TIMES_S[:5])
    assert all(np.array_equal(first, other) for other in others)


def test_same_scene_same_pictures_other_seed_other_noise():
    one, same, other = (list(render(Scene(160, 120, seed=seed), TIMES_S[:3])) for seed in (1, 1, 2))
    assert np.array_equal(one, same)
    assert not np.array_equal(one, other)


def test_motion_is_subpixel_and_in_widths_of_the_face():
    def darkness_centre(shift: float) -> float:
        person = PersonOnScreen(None, None, motion=lambda _: (shift, 0.0), face=PaintedFace(skin_rgb=(20, 20, 20)))
        scene = Scene(320, 240, people=(person,), background=(220, 220, 220), noise_sigma=0)
        dark = 220.0 - next(render(scene, TIMES_S[:1]))[30:100, :, 1]
        return float((dark * np.arange(320)).sum() / dark.sum())

    face_width_px = 0.75 * 0.5 * 240
    assert darkness_centre(0.005) - darkness_centre(0.0) == pytest.approx(0.005 * face_width_px, rel=0.05)


def test_people_leave_and_light_goes_out():
    person = PersonOnScreen(visible=lambda time_s: time_s < 1)
    scene = Scene(160, 120, people=(person,), noise_sigma=0, light=lambda time_s: float(time_s < 2))
    present, absent, dark = render(scene, np.array([0.0, 1.5, 3.0]))
    assert present.std() > 10
    assert absent.reshape(-1, 3).std(0).max() == 0
    assert dark.max() == 0


def test_face_may_be_cut_by_every_edge_of_the_picture():
    for x, y in ((0.0, 0.0), (1.0, 1.0), (-2.0, 0.5), (0.5, 3.0)):
        assert next(render(Scene(64, 48, people=(PersonOnScreen(centre=(x, y)),)), TIMES_S[:1])).shape == (48, 64, 3)


def test_beat_repeats_and_rises_once():
    cycle = beat(np.linspace(0, 2, 201))
    np.testing.assert_allclose(cycle[:100], cycle[100:200], atol=1e-12)
    assert np.ptp(cycle) == pytest.approx(1, abs=0.01)
