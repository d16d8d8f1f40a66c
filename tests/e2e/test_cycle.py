"""From videos to a report: prepare, train for an epoch, evaluate, write; the same again for the same seed."""

import dataclasses
import json
import math
from types import SimpleNamespace

import pytest
import torch
from _people import recording

from vitalcam import score_tables, standins
from vitalcam.data import Clips, Preparation, prepare
from vitalcam.evaluate import Protocol, evaluate
from vitalcam.pipeline import Settings
from vitalcam.train import train
from vitalcam.training import ClipBatches, TrainedModel, Training

TRAINING = Training("mmrphys", "9_rgb_bvp", options={"attention": "fsam"}, epochs=1, batch=2, lr=3e-3)


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    given = [recording(f"p{i}", rate, 11.0, tone=i % 2) for i, rate in enumerate((66.0, 84.0, 102.0, 120.0))]
    yield prepare(given, tmp_path_factory.mktemp("prepared"), Preparation(size_px=9))[0]
    torch.set_num_threads(threads)


def cycle(store, folder):
    people = list(store)
    clips = Clips(people[:3], TRAINING.spec, frames=60, hop=20)
    weights = train(TRAINING, ClipBatches(clips, 2, seed=TRAINING.seed), folder / "train", device="cpu")
    found = evaluate(people, TrainedModel(weights), Protocol(window_s=5), folder=folder / "rows")
    score_tables.write(found, folder, by=("tone",))
    return found


def test_from_videos_to_a_report_and_the_same_again(store, tmp_path):
    first, again = cycle(store, tmp_path / "1"), cycle(store, tmp_path / "2")
    assert (first.scored, first.expected) == (4, 4)
    for name in ("scores.json", "scores.md", "rows.csv", "train/last.safetensors"):
        assert (tmp_path / "1" / name).read_bytes() == (tmp_path / "2" / name).read_bytes(), name
    document = json.loads((tmp_path / "1" / "scores.json").read_text())
    scores = document["quantities"]["heart_rate"]
    assert scores["coverage"] == 1
    assert scores["metrics"]["mae"]["n"] == 8
    assert scores["metrics"]["mae"]["value"] < 5, "one epoch is enough for faces as simple as these"
    assert [group["tone"] for group in scores["by"]] == ["0", "1"]
    assert again.rows == first.rows


def test_the_pipe_goes_through_the_same_door():
    given = [recording("sure", 84.0, 12.0), recording("nobody", 72.0, 6.0, visible=lambda _: False)]
    found = evaluate(given, Settings(), Protocol())
    rows = {row.recording: row for row in found.of("heart_rate")}
    assert rows["sure"].truth == pytest.approx(84, abs=1)
    assert rows["sure"].estimate == pytest.approx(84, abs=2)
    assert rows["sure"].confidence > 0.5
    assert rows["nobody"].reason == "no_face"
    assert found.scores().coverage == 0.5


def test_windows_in_which_nobody_was_seen_count():
    given = recording("goes", 84.0, 16.0, visible=lambda t: t < 6)
    rows = evaluate([given], Settings(method="pos"), Protocol(window_s=5)).of("heart_rate")
    assert [row.t1_s for row in rows] == [5, 10, 15]
    assert all(row.truth == pytest.approx(84, abs=1) for row in rows)
    assert rows[0].estimate == pytest.approx(84, abs=3)
    assert rows[2].reason == "no_face"
    assert rows[0].snr_db > 0
    assert rows[0].wave_rate == pytest.approx(84, abs=3)


def test_the_true_wave_says_that_there_is_no_pulse():
    given = recording("flat", 84.0, 6.0)
    truth = given.signals["bvp"]
    given = dataclasses.replace(given, signals={"bvp": dataclasses.replace(truth, values=0 * truth.values)})
    [row] = evaluate([given], Settings(), Protocol(window_s=5)).of("heart_rate")
    assert row.null
    assert math.isnan(row.truth)


def test_stand_ins_are_prepared_once(tmp_path, monkeypatch):
    """The videos are painted here: rendering the real ones takes minutes."""
    asked = []
    monkeypatch.setattr(standins.recordings, "write_scenes", lambda folder, scenes: list(scenes))
    monkeypatch.setattr(standins.recordings, "read", lambda s: asked.append(s) or recording(str(s.identity), 84.0, 4.0))
    monkeypatch.setattr(standins, "scenes", lambda *_: [SimpleNamespace(identity=i) for i in (1, 2)])
    source = standins.StandIns(tmp_path, people=2, duration_s=4.0)
    store = source.store("UBFC-rPPG", Preparation(9))
    assert sorted(prepared.id for prepared in store) == ["1", "2"]
    monkeypatch.setattr("vitalcam.data.prepare_one", None)
    later = standins.StandIns(tmp_path, people=2, duration_s=4.0)
    assert later.store("UBFC-rPPG", Preparation(9)).folder == store.folder
    assert len(asked) == 4
