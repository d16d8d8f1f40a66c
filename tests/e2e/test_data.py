"""Recordings of painted people, prepared: true pictures and waves, complete or said to be incomplete."""

import dataclasses

import numpy as np
import pytest
from _people import recording

from vitalcam.data import Clips, Preparation, Prepared, Store, prepare, prepare_one
from vitalcam.errors import ConfigError, DatasetError, UsageError
from vitalcam.methods import pos
from vitalcam.models import mmrphys

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
    monkeypatch.setattr("vitalcam.data._BLOCK_S", 100.0)
    whole = prepare_one(recording("one"), SMALL)
    assert np.array_equal(whole.frames, one.frames)
    assert np.array_equal(whole.valid, one.valid)


def test_a_face_that_goes_leaves_a_gap():
    prepared = prepare_one(recording("goes", visible=lambda t: not 3 < t < 5), SMALL)
    away = (prepared.time_s > 3.3) & (prepared.time_s < 4.9)
    assert not prepared.valid[away].any()
    assert prepared.valid[prepared.time_s < 2.9].all()
    assert all(prepared.valid[i : i + 60].all() for _, i in Clips([prepared], SPEC).places)


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
    assert Store(again.folder).status(recording("one")) == "ok"


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
