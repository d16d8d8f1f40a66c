"""Recordings of painted people, prepared: true pictures and waves, complete or said to be incomplete."""

import dataclasses

import numpy as np
import pytest
from _people import recording, with_thermal

from vitalcam.data import Clips, Preparation, Prepared, Store, prepare, prepare_one
from vitalcam.errors import ConfigError, DatasetError, UsageError
from vitalcam.methods import pos
from vitalcam.models import factorizephys, mmrphys

SMALL = Preparation(size_px=18)
SPEC = dataclasses.replace(mmrphys.VARIANTS["9_rgb_bvp"], frames=60)


@pytest.fixture(scope="module")
def one() -> Prepared:
    return prepare_one(recording("one"), SMALL)


@pytest.fixture(scope="module")
def store(tmp_path_factory, one):
    folder = tmp_path_factory.mktemp("prepared")
    gone = dataclasses.replace(recording("thermal only"), videos={})
    return prepare([recording("one"), recording("nobody", None, 2.0), gone], folder, SMALL)


def test_the_skin_carries_the_pulse_at_the_time_of_the_truth(one):
    wave = pos.waveform(one.skin[one.valid], fs_hz=one.fs_hz)
    assert np.corrcoef(wave[15:-15], one.waves["bvp"][one.valid][15:-15])[0, 1] > 0.95


def test_waves_and_pictures_share_the_clock(one):
    assert one.frames.shape == (len(one.valid), 18, 18, 3)
    assert one.valid.mean() > 0.9
    assert one.time_s[0] >= 0
    assert np.allclose(np.diff(one.time_s), 1 / 30)
    breath = np.sin(one.time_s * 15 * np.pi / 30)
    assert np.abs(one.waves["resp"] - breath)[5:-5].max() < 0.01


def test_smaller_pictures_are_means_of_the_larger(one):
    large = one.clip(slice(10, 20), 18).frames
    small = one.clip(slice(10, 20), 9).frames
    assert np.allclose(small, large.reshape(10, 9, 2, 9, 2, 3).mean(axis=(2, 4)), atol=1e-4)
    with pytest.raises(UsageError, match="18 px, which is no multiple of 8 px"):
        one.clip(slice(0, 10), 8)


def test_a_long_recording_is_the_same_in_pieces(one, monkeypatch):
    monkeypatch.setattr("vitalcam.crops._BLOCK_S", 100.0)
    whole = prepare_one(recording("one"), SMALL)
    assert np.array_equal(whole.frames, one.frames)
    assert np.array_equal(whole.valid, one.valid)


def test_a_face_that_goes_leaves_a_gap():
    prepared = prepare_one(recording("goes", visible=lambda t: not 3 < t < 5), SMALL)
    away = (prepared.time_s > 3.3) & (prepared.time_s < 4.9)
    assert not prepared.valid[away].any()
    assert prepared.valid[prepared.time_s < 2.9].all()
    assert all(prepared.valid[i : i + 60].all() for _, i in Clips([prepared], SPEC).places)


def test_heat_is_cut_where_the_face_is_seen_and_when():
    """A thermal camera of its own size, rate and stamps; at 15 Hz and 10 ms late it sees what green saw then."""
    given = with_thermal(recording("hot", 96.0, 6.0), every=2, late_s=0.01)
    both = prepare_one(given, Preparation(18, 30.0, "rgbt"))
    assert both.frames.shape[1:] == (18, 18, 4)
    assert both.valid.mean() > 0.9
    green, heat = (both.frames[both.valid][..., k] / 256 for k in (1, 3))
    shifted = [np.abs(20 + np.roll(green, k, axis=2) / 20 - heat).mean() for k in (0, 1, -1)]
    assert shifted[0] < 0.2 * min(shifted[1:]), "the same place"
    alone = prepare_one(given, Preparation(18, 30.0, "thermal"))
    assert np.array_equal(alone.frames, both.frames[..., 3:])
    mean_green = green[:, 5:13, 5:13].mean(axis=(1, 2))
    mean_heat = heat[:, 5:13, 5:13].mean(axis=(1, 2))
    lags = [np.corrcoef(mean_green[10 + k : -10 + k], mean_heat[10:-10])[0, 1] for k in range(-3, 4)]
    assert np.argmax(lags) == 3, "the same time"


def test_where_the_thermal_camera_stopped_is_a_gap():
    half = prepare_one(with_thermal(recording("hot", 96.0, 6.0), stop_s=3.0), Preparation(18, 30.0, "rgbt"))
    assert half.valid[half.time_s < 2.8].mean() > 0.9
    assert not half.valid[half.time_s > 3.1].any()
    with pytest.raises(DatasetError, match="no face was found in painted while painted heat has pictures"):
        prepare_one(with_thermal(recording("hot", 96.0, 3.0), late_s=60.0), Preparation(18, 30.0, "thermal"))
    with pytest.raises(DatasetError, match="no thermal video"):
        prepare_one(recording("one", seconds=1.0), Preparation(18, 30.0, "thermal"))


def test_a_network_says_what_is_to_be_prepared():
    assert Preparation.of(factorizephys.VARIANTS["rgb_128"]) == Preparation(128, 30.0, "rgb")
    assert Preparation.of(mmrphys.VARIANTS["9_thermal"]) == Preparation(9, 25.0, "thermal")
    assert Preparation.of(mmrphys.VARIANTS["36_rgbt_none"]) == Preparation(36, 25.0, "rgbt")
    assert len({Preparation(channels=kind).digest for kind in ("rgb", "thermal", "rgbt")}) == 3
    with pytest.raises(ConfigError, match="channels"):
        Preparation(channels="infrared")


def test_a_store_can_show_some_people_only(store):
    kept, _ = store
    assert [card["subject"] for card in Store(kept.folder, {"one", "two"}).manifest] == ["one"]
    assert [prepared.id for prepared in Store(kept.folder, {"one"})] == ["one"]
    assert not list(Store(kept.folder, {"nobody"}))
    assert [card["id"] for card in Store(kept.folder, {"nobody"}).refused] == ["nobody"]


def test_each_recording_is_ok_or_has_a_reason(store):
    kept, failed = store
    assert len(failed) == 2
    status = {card["id"]: (card["status"], card.get("reason", "")) for card in kept.manifest}
    assert status["one"] == ("ok", "")
    assert "no face was found" in status["nobody"][1]
    assert "no RGB video" in status["thermal only"][1]


def test_what_was_kept_is_what_was_prepared(store, one):
    [back] = store[0]
    assert isinstance(back.frames, np.memmap)
    for field in ("frames", "skin", "valid"):
        np.testing.assert_array_equal(getattr(back, field), getattr(one, field))
    np.testing.assert_array_equal(back.waves["bvp"], one.waves["bvp"])
    assert (back.start, back.fs_hz, back.subject) == (one.start, one.fs_hz, one.subject)


def test_what_is_done_is_not_done_again(store, monkeypatch):
    def never(*_):
        raise AssertionError

    monkeypatch.setattr("vitalcam.data.prepare_one", never)
    again, failed = prepare([recording("one")], store[0].folder.parent, SMALL)
    assert not failed
    assert again.folder == store[0].folder
    assert Store(again.folder).status("painted", "one") == "ok"


def test_two_recordings_of_one_name_are_refused(store):
    with pytest.raises(DatasetError, match="ids must differ"):
        prepare([recording("one")] * 2, store[0].folder.parent, SMALL)


def test_clips_are_what_the_network_wants(one):
    clips = Clips([one], SPEC, hop=30)
    x, waves = clips[1]
    i, start = clips.places[1]
    assert (i, start) == (0, clips.places[0][1] + 30)
    assert x.shape == (3, 60, 9, 9)
    assert x.dtype == np.float32
    assert waves["bvp"].mean() == pytest.approx(0, abs=1e-5)
    assert waves["bvp"].std() == pytest.approx(1, abs=1e-3)
    truth = one.waves["bvp"][start : start + 60]
    assert np.corrcoef(truth, waves["bvp"])[0, 1] == pytest.approx(1)


def test_the_change_of_a_wave_adds_up_to_the_wave(one):
    _, waves = Clips([one], SPEC, change=True)[0]
    start = Clips([one], SPEC).places[0][1]
    again = np.cumsum(np.append(0, waves["bvp"][:-1]))
    assert np.corrcoef(again, one.waves["bvp"][start : start + 60])[0, 1] == pytest.approx(1, abs=1e-5)


def test_what_does_not_fit_is_refused(one):
    with pytest.raises(DatasetError, match="none of 1 recordings has 900 frames in a row"):
        Clips([one], SPEC, frames=900)
    with pytest.raises(DatasetError, match="known bvp and spo2"):
        Clips([one], SPEC, waves=("bvp", "spo2"))
    with pytest.raises(UsageError, match="prepare it with fs_hz=25"):
        Clips([one], mmrphys.VARIANTS["9_rgb"])
    with pytest.raises(ConfigError, match="size_px is 0"):
        Preparation(size_px=0)
