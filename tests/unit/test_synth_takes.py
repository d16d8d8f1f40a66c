"""Takes of a plate: the pulse that is put in comes out, everything else is as asked, and banks survive."""

from __future__ import annotations

import dataclasses
import importlib.util
import json

import numpy as np
import pytest
from click.testing import CliRunner

if importlib.util.find_spec("anny") is None:
    pytest.skip("the shapes of heads are in the extra [synth]", allow_module_level=True)
torch = pytest.importorskip("torch")

from vitalcam import registry  # noqa: E402
from vitalcam.commands import research  # noqa: E402
from vitalcam.commands.plates import plates as plates_command  # noqa: E402
from vitalcam.errors import ConfigError, DatasetError, UnknownName, UsageError  # noqa: E402
from vitalcam.signal import spectrum  # noqa: E402
from vitalcam.synth import clips, plates, takes, thermal  # noqa: E402
from vitalcam.synth.film import Film  # noqa: E402
from vitalcam.training import SyntheticBatches, Training  # noqa: E402

RECIPE = plates.Recipe(duration_s=11.0, scenario=("still",), identities=(12, 13), seed=3)
CLEAN = dataclasses.replace(takes.Shooting.plain(), light=(1e6, 1e6))
FACE = slice(10, 26)


@pytest.fixture(scope="module")
def plate():
    made = plates.render(RECIPE, 0)
    assert made.scene.person.skin_type < 5
    return made


def shoot(plate, seed, shooting=CLEAN, **wish):
    given = {"frames": 300, "size_px": 36, "fs_hz": 30.0} | wish
    return takes.shoot(plate, np.random.default_rng(seed), shooting=shooting, **given)


def peak(wave):
    """Rate per minute, and how far the peak stands out of the spectrum."""
    freq_hz, power = spectrum.power(wave - wave.mean(), fs_hz=30.0, low_hz=0.6, high_hz=3.4)
    return 60 * float(spectrum.peak(freq_hz, power)[0]), float(power.max() / power.mean())


def pos(take):
    colours = take.video[:, :, FACE, FACE].mean((2, 3)).T.double().numpy()
    return np.asarray(registry.find("methods", "pos").waveform(colours, fs_hz=30.0))


def test_a_plate_with_a_pulse_is_what_the_film_renders(plate):
    film = Film(plate.scene, detail_px=RECIPE.size_px / plates.CROP)
    times = np.arange(30) / plate.fs_hz
    size = plate.pixels.shape[-1]
    window = plates.Window(plate.origin_px[:30], (plate.side_px,) * 2, (size, size))
    rendered = film.render(times, window)[0].permute(0, 3, 1, 2)[:25]  # keys fall elsewhere after that
    waves = torch.tensor(film.pulse.at(times[:25] - np.array(plate.delays_s)[:, None])).float()
    laid = takes.with_blood(plate.pixels[:25].float(), waves)
    added, wanted = ((x - plate.pixels[:25, :3])[:, :, FACE, FACE].mean((2, 3)) for x in (laid, rendered))
    assert (added - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_the_heart_that_is_put_in_is_the_one_that_is_read(plate):
    found = [(peak(pos(take))[0], peak(take.bvp)[0]) for take in (shoot(plate, seed) for seed in range(20))]
    errors = np.abs(np.diff(found, axis=1))
    assert np.mean(errors < 2) >= 0.95
    assert np.ptp([truth for _, truth in found]) > 80


def test_without_a_pulse_there_is_none(plate):
    take, null = (shoot(plate, 1, beats=beats) for beats in (True, False))
    assert not null.bvp.any()
    assert np.isnan(null.heart_rate)
    np.testing.assert_array_equal(null.resp, take.resp)
    difference = (take.video - null.video)[1, :, FACE, FACE].mean((1, 2)).numpy()
    assert np.corrcoef(difference, take.bvp)[0, 1] < -0.98
    assert pos(null).std() < 0.5 * pos(take).std()


def test_what_is_slower_breathes_slower(plate):
    rates = {}
    for speed in (0.9, 1.0):
        slow = dataclasses.replace(CLEAN, stretch=(speed, speed))
        take = shoot(plate, 4, slow, frames=240)
        on_plate_s = take.start_s + speed * np.arange(240) / 30
        np.testing.assert_allclose(take.resp, plate.breath.at(on_plate_s), atol=1e-9)
        rates[speed] = take.resp_rate / plate.breath.rate_at(on_plate_s).mean()
    assert rates == pytest.approx({0.9: 0.9, 1.0: 1.0})


def test_small_takes_are_means_of_larger_ones(plate):
    large, small = (shoot(plate, 5, frames=20, size_px=size) for size in (36, 9))
    torch.testing.assert_close(small.video, torch.nn.functional.avg_pool2d(large.video, 4))


def test_squares_jump_and_mirrors_mirror(plate):
    jumpy = dataclasses.replace(CLEAN, jumps_per_s=(3.0, 3.0), side=(0.85, 1.0))
    change = [shoot(plate, 6, how).video.diff(dim=1).abs().mean((0, 2, 3)) for how in (CLEAN, jumpy)]
    assert (change[1] > 1).sum() > (change[0] > 1).sum() + 10
    plain = dataclasses.replace(CLEAN, side=(1.0, 1.0))
    mirrored = dataclasses.replace(plain, mirrored=1.0)
    one, other = shoot(plate, 7, plain), shoot(plate, 7, mirrored)
    assert (one.video - other.video.flip(-1)).abs().mean() < 1.0 < (one.video - other.video).abs().mean()


def test_an_encoder_ignores_what_is_small_and_sends_all_in_key_frames():
    times = np.arange(90) / 30
    pulse = 0.1 * torch.sin(torch.tensor(2 * np.pi * 1.2 * times)).float()
    shown = 120 + pulse[:, None, None, None].expand(90, 3, 8, 8)
    coarse, fine = (
        takes.encoded(shown, times, np.random.default_rng(0), ignored=level, key_s=1.0, place_px=2)
        for level in (1.0, 1e-3)
    )
    sent = (coarse.diff(dim=0).abs().amax(1) > 1e-6).float().mean((1, 2)).numpy()
    assert set(np.diff(np.flatnonzero(sent == 1))) == {30}
    assert np.median(sent) == 0
    assert (fine - shown).abs().max() < 0.01


def test_uneven_frames_come_on_time(plate):
    camera = dataclasses.replace(plate.scene.camera, fps_hz=20.0, jitter_s=0.004, dropped=0.05)
    webcam = dataclasses.replace(plate, scene=dataclasses.replace(plate.scene, camera=camera))
    take = shoot(webcam, 8)
    assert take.video.shape == (3, 300, 36, 36)
    assert torch.isfinite(take.video).all()
    assert peak(pos(take))[0] == pytest.approx(peak(take.bvp)[0], abs=3)


def test_plates_that_do_not_suffice_are_refused(plate):
    with pytest.raises(ConfigError, match="too short"):
        shoot(plate, 0, frames=900)
    with pytest.raises(ConfigError, match="too coarse"):
        shoot(plate, 0, frames=30, size_px=72)


def test_a_bank_goes_on_where_it_was_killed(tmp_path):
    recipe = dataclasses.replace(RECIPE, duration_s=2.5)
    kept, killed = plates.fill(tmp_path, recipe, 1, validation=1)
    validation, training = (plates.Bank(card.parent) for card in (kept, killed))
    assert training[0].scene.identity < plates.VALIDATION[0] <= validation[0].scene.identity < plates.VALIDATION[1]
    assert json.loads(killed.read_text())["digest"] == training[0].scene.digest
    wish = {"frames": 30, "size_px": 9, "fs_hz": 30.0}
    before = clips.shoot(training, range(3), **wish)
    killed.unlink()
    killed.with_suffix(".npy").unlink()  # not cut short: the bank still looks at it
    killed.with_suffix(".npy").write_bytes(b"half")
    with pytest.raises(DatasetError, match="no plates"):
        plates.Bank(killed.parent)
    unchanged = kept.stat().st_mtime_ns
    assert list(plates.fill(tmp_path, recipe, 1, validation=1)) == [kept, killed]
    assert kept.stat().st_mtime_ns == unchanged
    assert torch.equal(clips.shoot(plates.Bank(killed.parent), range(3), **wish).video, before.video)
    taught, kept_out, about = research._takes(Training("mmrphys", "9_rgb", batch=2), tmp_path, 5, "cpu")
    assert (taught.steps, kept_out.steps, kept_out.seed) == (5, 2, 0)
    assert about == {"plates": training.digest, "validation": validation.digest}
    pictures, waves = next(SyntheticBatches(taught.training, steps=1, plates=training, frames=30).epoch(1))
    assert pictures.shape == (2, 3, 30, 9, 9)
    assert {kind: wave.shape for kind, wave in waves.items()} == {"bvp": (2, 30), "resp": (2, 30)}
    with pytest.raises(ConfigError, match="another recipe"):
        list(plates.fill(tmp_path, dataclasses.replace(recipe, seed=9), 1, validation=1))


def test_a_scenario_that_does_not_exist_leaves_no_folder_behind(tmp_path):
    asked = ["--out", str(tmp_path / "bank"), "--count", "1", "--scenario", "stil"]
    done = CliRunner().invoke(plates_command, asked)
    assert isinstance(done.exception, UnknownName)
    assert "did you mean 'still'" in str(done.exception)
    assert not (tmp_path / "bank").exists()


def test_a_folder_without_plates_is_named(tmp_path):
    with pytest.raises(DatasetError, match="vitalcam plates"):
        plates.Bank(tmp_path)


@pytest.fixture(scope="module")
def warm():
    return plates.render(dataclasses.replace(RECIPE, thermal=True), 0)


def test_the_heat_of_a_plate_is_what_the_film_gives(warm):
    film = Film(warm.scene, detail_px=RECIPE.size_px / plates.CROP)
    times, size = np.arange(10) / warm.fs_hz, warm.pixels.shape[-1]
    window = plates.Window(warm.origin_px[:10], (warm.side_px,) * 2, (size, size))
    wanted = thermal.temperatures(film, film.render(times, window)[1], times, window)
    waves = torch.tensor(film.pulse.at(times - np.array(warm.delays_s)[:, None])).float()
    laid, still = (takes.with_blood(warm.pixels[:10].float(), blood)[:, 3] for blood in (waves, 0 * waves))
    assert (laid + warm.scene.person.temperature_c - wanted).abs().mean() < 0.01
    blood = (laid - still).abs()
    assert 0 < blood[:, FACE, FACE].amax() < 0.1
    assert not blood[:, :3, :3].any()


def test_a_thermal_camera_changes_no_colour(plate, warm):
    assert torch.equal(warm.pixels[:, :7], plate.pixels)
    both, colours, heat = (
        shoot(p, 7, takes.Shooting(), channels=c) for p, c in [(warm, "rgbt"), (plate, "rgb"), (warm, "thermal")]
    )
    assert torch.equal(both.video[:3], colours.video)
    assert heat.video.shape == (1, *colours.video.shape[1:])
    assert 22 < heat.video.mean() < 37
    np.testing.assert_array_equal(heat.bvp, colours.bvp)


def test_breath_warms_and_cools_the_nostrils(warm):
    take = shoot(warm, 3, channels="thermal", size_px=36)
    late = np.roll(np.gradient(take.resp), 6)[10:]  # the skin follows the air by 0.2 s
    flow = torch.as_tensor(late - late.mean()).float()
    heat = take.video[0, 10:] - take.video[0, 10:].mean((1, 2), keepdim=True)  # without the camera's drift
    heat = heat - heat.mean(0)
    likeness = torch.einsum("tyx,t->yx", heat, flow) / (heat.square().sum(0).sqrt() * flow.norm())
    assert likeness.min() < -0.95  # what is breathed in is cool
    assert FACE.start < int(likeness.argmin()) // 36 < FACE.stop


def test_a_scenario_brings_no_thermal_camera_along():
    made = plates.render(plates.Recipe(duration_s=0.2, scenario=("thermal",), identities=(12, 13)), 0)
    assert made.pixels.shape[1] == 7
    assert not made.scene.camera.thermal


def test_without_a_thermal_camera_there_is_no_heat(plate):
    with pytest.raises(ConfigError, match=r"no thermal camera .* vitalcam plates --thermal"):
        shoot(plate, 1, channels="rgbt")
    with pytest.raises(UsageError, match=r"sees heat, and these plates hold none"):
        SyntheticBatches(Training("mmrphys", "9_thermal"), steps=1, plates=plates.Rolling(RECIPE))


@pytest.mark.parametrize("name", ["recipe.json", "00000.json", "00000.npy"])
@pytest.mark.parametrize("kept", [0, 100])
def test_a_damaged_bank_is_named(tmp_path, name, kept):
    [card] = plates.fill(tmp_path, dataclasses.replace(RECIPE, duration_s=0.1), 1)
    damaged = card.with_name(name)
    damaged.write_bytes(damaged.read_bytes()[:kept])
    with pytest.raises(DatasetError, match=r"(recipe|00000)\.json: damaged .*; delete"):
        plates.Bank(card.parent)[0]
