"""Recordings on disk and clips in memory show the same people with the same truth."""

from __future__ import annotations

import dataclasses
import importlib.util
import shutil
from pathlib import Path

import numpy as np
import pytest

if importlib.util.find_spec("anny") is None:
    pytest.skip("the shapes of heads are in the extra [synth]", allow_module_level=True)
torch = pytest.importorskip("torch")

from vitalcam.errors import ConfigError, DatasetError, VideoError  # noqa: E402
from vitalcam.evaluate import evaluate  # noqa: E402
from vitalcam.pipeline import Classical  # noqa: E402
from vitalcam.synth import clips, plates, recordings, scenarios  # noqa: E402


def small(scenario: str, **camera):
    scene = scenarios.sample(scenario, 21, duration_s=2.0)
    lens = dataclasses.replace(scene.camera, width=160, height=120, **camera)
    return dataclasses.replace(scene, camera=lens)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    scene = small("thermal", codec="ffv1", fps_hz=10.0)
    return recordings.write_scenes(tmp_path_factory.mktemp("synth"), [scene])[0], scene


def test_what_is_written_is_read(folder):
    path, scene = folder
    recording = recordings.read(path)
    frames = list(recording.videos["rgb"])
    assert [frame.time_s for frame in frames] == pytest.approx(np.arange(20) / 10, abs=1e-3)
    assert recording.attributes["digest"] == scene.digest
    assert recording.attributes["person.skin_type"] == scene.person.skin_type
    truth = recordings.truth(scene)
    assert set(recording.signals) == {"bvp", "resp", "ibi"}
    np.testing.assert_allclose(recording.signals["bvp"].values, truth["bvp"].values, atol=1e-5)
    assert recording.signals["bvp"].fs_hz == pytest.approx(125)


def test_thermal_video_has_faces_of_body_temperature_in_a_room(folder):
    recording = recordings.read(folder[0])
    degrees = np.stack([frame.pixels[..., 0] for frame in recording.videos["thermal"]])
    assert degrees.shape == (20, 240, 320)
    assert np.percentile(degrees, 2) == pytest.approx(23, abs=0.7)
    assert 32 < np.percentile(degrees, 99.5) < 38
    assert np.diff(degrees, axis=0).std() == pytest.approx(0.05 * 2**0.5, rel=0.5)


def test_a_second_writing_leaves_what_is_complete_and_frames_are_the_same(folder):
    path, scene = folder
    before = (path / "scene.json").stat().st_mtime_ns
    assert recordings.write_scene(path, scene) == path
    assert (path / "scene.json").stat().st_mtime_ns == before
    again = np.concatenate([shot.rgb for shot in recordings.shots(scene)])
    from vitalcam.video.colour import to_rgb

    read = np.stack([to_rgb(frame) for frame in recordings.read(path).videos["rgb"]])
    np.testing.assert_array_equal(again, read)


def test_unfinished_folders_are_named(tmp_path):
    with pytest.raises(DatasetError, match=r"scene\.json"):
        recordings.read(tmp_path)


@pytest.mark.parametrize("damaged", ["", "not json", "{}", "[]"])
def test_a_recording_that_does_not_say_what_it_is_is_named(folder, tmp_path, damaged):
    shutil.copytree(folder[0], tmp_path / "one")
    (tmp_path / "one" / "scene.json").write_text(damaged)
    with pytest.raises(DatasetError, match=r"scene\.json: damaged"):
        recordings.read(tmp_path / "one")


@pytest.mark.parametrize(
    "damaged", ["time_s,value\n0.0,1.0\n0.1\n", "time_s,value\nno,numbers\n", "time_s\n0.0\n0.1\n", ""]
)
def test_damaged_truth_is_named(folder, tmp_path, damaged):
    shutil.copytree(folder[0], tmp_path / "one")
    (tmp_path / "one" / "bvp.csv").write_text(damaged)
    with pytest.raises(DatasetError, match=r"bvp\.csv: damaged"):
        recordings.read(tmp_path / "one").signals["bvp"]


@pytest.mark.parametrize("part", ["rgb", "bvp"])
def test_a_damaged_file_stops_no_other_recording(folder, tmp_path, part):
    for name in ("one", "two"):
        shutil.copytree(folder[0], tmp_path / name)
    next((tmp_path / "one").glob(f"{part}.*")).write_bytes(b"neither a video nor a table")
    found = evaluate([recordings.read(tmp_path / name) for name in ("one", "two")], Classical("pos"))
    assert found.expected == 2
    assert [reason for reason in found.failed.values() if part in reason and "one" in reason]


@pytest.mark.parametrize(
    ("part", "said"),
    [("ibi.csv", ""), ("thermal.npy", r"thermal\.npy: is no array"), ("thermal_times.csv", "and thermal_times.csv 0")],
)
def test_what_is_not_looked_at_may_be_damaged(folder, tmp_path, part, said):
    shutil.copytree(folder[0], tmp_path / "one")
    (tmp_path / "one" / part).write_bytes(b"neither numbers nor pictures")
    recording = recordings.read(tmp_path / "one")
    assert not any(Path(part).stem in reason for reason in evaluate([recording], Classical("pos")).failed.values())
    if said:
        with pytest.raises(VideoError, match=said):
            next(iter(recording.videos["thermal"]))


def test_frames_come_late_and_get_lost_but_in_order():
    scene = scenarios.sample("webcam", 3, duration_s=20.0)
    times = recordings.frame_times_s(scene)
    assert np.all(np.diff(times) > 0)
    assert np.diff(times).std() > 0.001
    lossy = dataclasses.replace(scene, camera=dataclasses.replace(scene.camera, dropped=0.2, jitter_s=0.0))
    assert recordings.frame_times_s(lossy).size == pytest.approx(0.8 * 20 * scene.camera.fps_hz, rel=0.1)


def test_null_twins_have_no_truth_to_find():
    signals = recordings.truth(small("still").null_twin())
    assert not signals["bvp"].values.any()
    assert "ibi" not in signals


def batch(**changes):
    wish = {"batch": 2, "frames": 24, "seed": 5, "identities": 1, "scenario": ["still", "walk"]} | changes
    return next(iter(clips.batches(1, **wish)))


def test_clips_without_pulse_and_with_temperatures():
    made = batch(null_share=1.0, channels="rgbt", size_px=36)
    assert made.video.shape == (2, 4, 24, 36, 36)
    assert not made.bvp.any()
    assert torch.isnan(made.heart_rate).all()
    assert 22 < made.video[:, 3].mean() < 37


def test_people_for_testing_are_not_given_to_training():
    with pytest.raises(ConfigError, match="identities"):
        next(clips.batches(1, identities=scenarios.TEST_IDENTITIES + 1))
    assert plates.TRAINING[1] == plates.VALIDATION[0] < plates.VALIDATION[1] == scenarios.TEST_IDENTITIES


def test_the_clip_carries_the_pulse():
    scene = scenarios.sample("still", 40, duration_s=10.0)
    made = clips.render([scene], frames=150, rng=np.random.default_rng(0))
    null = clips.render([scene.null_twin()], frames=150, rng=np.random.default_rng(0))
    difference = (made.video - null.video)[0, 1, :, 14:58, 14:58].mean((1, 2))
    assert torch.corrcoef(torch.stack([difference, made.bvp[0]]))[0, 1] < -0.95


def test_endless_plates_are_the_same_from_any_clip_on():
    source = clips.rolling("still", frames=24, size_px=36, fs_hz=30.0, seed=5, identities=1, takes=2)
    assert source.numbers(0) == range(8)
    assert source.numbers(7) == range(3, 11)
    one = clips.shoot(source, [3, 4], frames=24, size_px=36, fs_hz=30.0, seed=1)
    same = clips.shoot(source, [4], frames=24, size_px=36, fs_hz=30.0, seed=1)
    assert torch.equal(one.video[1], same.video[0])
    assert not torch.equal(one.video[0], one.video[1])
    assert one.scenes[0].identity == 0
