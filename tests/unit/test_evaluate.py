"""Evaluation: known rates come out, nothing is lost, a kill does no harm."""

import csv
import dataclasses
import io
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from _evaluate_job import Slow, people
from _prepared import prepared

from vitalcam import metrics, score_tables
from vitalcam.data import Preparation, Store
from vitalcam.errors import ConfigError, DatasetError, UnknownName, UsageError
from vitalcam.evaluate import Protocol, evaluate, predict, read
from vitalcam.scores import intervals
from vitalcam.settings import Settings
from vitalcam.types import ModelSpec, Recording

JOB = Path(__file__).with_name("_evaluate_job.py")


class Network:
    """Gives back what the middle pixel does, as a network of 40-frame clips would."""

    spec = ModelSpec("middle", ("bvp",), "", size_px=9, frames=40, frames_multiple=4)

    def __init__(self, differenced=False):
        self.differenced = differenced
        self.lengths = []

    def run(self, clip):
        assert clip.valid.all()
        self.lengths.append(len(clip.valid))
        wave = -clip.frames[:, :, :, 1].mean(axis=(1, 2))
        return {"bvp": np.append(np.diff(wave), 0) if self.differenced else wave}


@pytest.mark.parametrize("profile", metrics.PROFILES)
def test_every_profile_finds_the_rate(profile):
    found = evaluate([prepared("a", 75, 24.0), prepared("b", 100, 24.0)], Network(), Protocol(profile))
    assert (found.scored, found.expected, found.quantities) == (2, 2, ["heart_rate"])
    scores = found.scores()
    assert scores.coverage == 1
    assert scores.metrics["mae"][0] < 2
    assert scores.metrics["macc"][0] > 0.9


def test_the_rate_of_every_window():
    given = prepared("a", 75, 26.0)
    rows = evaluate([given], Network(), Protocol(window_s=10)).of("heart_rate")
    assert [(row.t0_s, row.t1_s) for row in rows] == [(0, 10), (10, 20)]
    assert all(row.estimate == pytest.approx(75, abs=1) and row.truth == pytest.approx(75, abs=1) for row in rows)
    rows = evaluate([given], Network(), Protocol(window_s=10, short_windows=True)).of("heart_rate")
    assert [(row.t0_s, row.t1_s) for row in rows] == [(0, 10), (10, 20), (20, 26)]


def test_windows_may_overlap_and_are_counted_from_the_first_frame():
    given = prepared("a", 75, 26.0)
    late = dataclasses.replace(given, start=60)  # the face came after two seconds
    rows = evaluate([late], Network(), Protocol(window_s=10, step_s=5)).of("heart_rate")
    assert [(row.t0_s, row.t1_s) for row in rows] == [(0, 10), (5, 15), (10, 20), (15, 25)]
    assert all(row.estimate == pytest.approx(75, abs=1) for row in rows)


def test_the_last_window_may_end_a_moment_after_the_last_frame():
    rows = evaluate([prepared("a", 75, 19.9)], Network(), Protocol(window_s=10)).of("heart_rate")
    assert [(row.t0_s, row.t1_s) for row in rows] == [(0, 10), (10, 20)]
    assert len(evaluate([prepared("a", 75, 19.5)], Network(), Protocol(window_s=10)).rows) == 1


def test_a_recording_without_any_window_is_not_scored():
    found = evaluate([prepared("a", 75, 8.0)], Network(), Protocol(window_s=10))
    assert found.failed == {"made/a": "a: has no window of 10 s with ground truth of what was evaluated"}


def test_two_recordings_of_one_name_are_refused():
    with pytest.raises(DatasetError, match="ids must differ"):
        evaluate([prepared("a"), prepared("a")], Network())


def test_clips_overlap_and_reach_the_end():
    given = prepared("a", 75, 10.0)
    network = Network()
    wave = predict(given, network)["bvp"]
    assert np.isfinite(wave).all()
    assert network.lengths == [40] * 14
    assert np.corrcoef(wave, given.waves["bvp"])[0, 1] > 0.7


def test_without_overlap_clips_follow_each_other():
    given = prepared("a", 75, 10.0)
    network = Network()
    wave = predict(given, network, overlap=0)["bvp"]
    assert network.lengths == [40] * 7
    assert np.isfinite(wave).tolist() == [True] * 280 + [False] * 20


def test_no_clip_spans_a_gap():
    given = prepared("a", 75, 20.0, gap=(8.0, 11.0))
    wave = predict(given, Network())["bvp"]
    assert np.array_equal(np.isfinite(wave), given.valid)
    whole, *windows = [evaluate([given], Network(), Protocol(window_s=s)).of("heart_rate") for s in (0, 5)]
    assert whole[0].reason == "gap"
    assert whole[0].truth == pytest.approx(75, abs=1)
    assert [row.reason for row in windows[0]] == ["", "", "", ""]


def test_a_stretch_shorter_than_a_clip_makes_shorter_ones():
    network = Network()
    predict(prepared("a", 75, 10.0, gap=(3.1, 8.9)), network)
    assert network.lengths[-1] == 40
    given = prepared("a", 75, 10.0, gap=(2.5, 10.0))
    network = Network()
    network.spec = dataclasses.replace(network.spec, frames=160)
    predict(given, network)
    assert network.lengths == [72, 72]  # of 75 frames, from the first on and up to the last


def test_unknown_truth_is_no_score():
    given = prepared("a", 75, 10.0)
    given.waves["bvp"][:] = np.nan
    found = evaluate([given], Network())
    assert [(row.reason, math.isnan(row.truth)) for row in found.rows] == [("no_truth", True)]
    assert math.isnan(found.scores().coverage)


def test_somebody_without_a_pulse_has_no_true_rate():
    given = prepared("a", 75, 10.0)
    given.waves["bvp"][:] = 0
    [row] = evaluate([given], Network()).rows
    assert math.isnan(row.truth)
    assert math.isfinite(row.estimate)
    assert row.null


def test_a_change_is_summed_up():
    found = evaluate([prepared("a", 75, 24.0)], Network(differenced=True), Protocol("toolbox-current"))
    assert found.scores().metrics["mae"][0] < 2
    assert found.scores().metrics["macc"][0] > 0.9


def test_breathing_has_scores_of_its_own():
    class Both(Network):
        spec = dataclasses.replace(Network.spec, outputs=("bvp", "resp"), frames=300)

        def run(self, clip):
            return {"bvp": super().run(clip)["bvp"], "resp": np.sin(clip.time_s * 2 * np.pi * 18 / 60)}

    found = evaluate([prepared("a", 75, 40.0)], Both())
    assert found.quantities == ["heart_rate", "resp_rate"]
    [row] = found.of("resp_rate")
    assert row.truth == pytest.approx(15, abs=0.5)
    assert row.estimate == pytest.approx(18, abs=0.5)
    assert found.scores("resp_rate").metrics["mae"][0] == pytest.approx(3, abs=0.7)


def test_what_cannot_be_scored_is_said(tmp_path):
    other_rate = prepared("slow", 75, 10.0, fs_hz=25.0)
    found = evaluate([prepared("a"), other_rate], Network())
    assert (found.scored, found.expected) == (1, 2)
    text = score_tables.completeness(found)
    assert text[0] == "middle: scored 1 of 2 recordings"
    assert "made/slow: prepared at 25 Hz, but middle works at 30 Hz" in text[1]


def test_recordings_that_were_not_prepared_count(tmp_path):
    store = Store(tmp_path / Preparation(9).digest)
    store.add(prepared("a"))
    store.refuse(Recording("made", "b", "1", "b", {}, {}), "b: no face was found")
    found = evaluate(store, Network())
    assert (found.scored, found.expected) == (1, 2)
    assert found.failed == {"made/b": "b: no face was found"}


def test_killed_and_resumed_is_as_if_nothing_had_happened(tmp_path):
    undisturbed = evaluate(people(), Slow())
    process = subprocess.Popen([sys.executable, str(JOB), str(tmp_path)], env={**os.environ, "OMP_NUM_THREADS": "1"})
    deadline = time.monotonic() + 60
    while len(list(tmp_path.glob("*.rows.json"))) < 2 and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(tmp_path.glob("*.rows.json")))
    assert 2 <= done < 6
    runner = Slow()
    resumed = evaluate(people(), runner, folder=tmp_path)
    whole = Slow()
    evaluate(people(), whole)
    assert runner.clips == whole.clips * (6 - done) / 6
    assert [repr(row) for row in resumed.rows] == [repr(row) for row in undisturbed.rows]


def test_another_evaluation_does_not_mix_with_it(tmp_path):
    evaluate([prepared("a")], Network(), folder=tmp_path)
    evaluate([prepared("a")], Network(), folder=tmp_path)
    with pytest.raises(ConfigError, match=r"holds another evaluation .* give another folder"):
        evaluate([prepared("a")], Network(), Protocol(window_s=5), folder=tmp_path)


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({"profile": "toolbox"}, UnknownName),
        ({"window_s": 2.0}, ConfigError),
        ({"overlap": 1.0}, ConfigError),
        ({"step_s": 5.0}, ConfigError),
        ({"window_s": 10.0, "step_s": 11.0}, ConfigError),
    ],
)
def test_bad_protocols_are_refused(values, error):
    with pytest.raises(error):
        Protocol(**values)


def test_what_was_written_is_read_again(tmp_path):
    given = [prepared("a", skin=3, shape=[1, 2]), prepared("b", 90, skin=5), prepared("c", fs_hz=25.0)]
    written = evaluate(given, Network(), Protocol(window_s=5), folder=tmp_path / "rows", door={"model": "middle"})
    with pytest.raises(DatasetError, match=r"scores.json: is not there, so the evaluation was not finished"):
        read(tmp_path)
    score_tables.write(written, tmp_path)
    again = read(tmp_path)
    assert [repr(row) for row in again.rows] == [repr(row) for row in written.rows]
    assert (again.name, again.protocol, again.failed) == (written.name, written.protocol, written.failed)
    assert again.rows[0].attributes == {"skin": 3}, "lists are no attribute of a table"
    assert json.loads((tmp_path / "rows/evaluation.json").read_text())["door"] == {"model": "middle"}


def test_the_pipe_takes_videos_only():
    found = evaluate([prepared("a")], Settings())
    assert found.scored == 0
    assert "give recordings that are not prepared" in found.failed["made/a"]


@pytest.fixture(scope="module")
def evaluation():
    given = [prepared(f"s{i}", 60 + 11 * i, 12.0, motion=("still", "talk")[i % 2]) for i in range(4)]
    found = evaluate(given, Network(), Protocol("toolbox-current", window_s=5))
    rows = [dataclasses.replace(row, confidence=0.2 + 0.1 * i) for i, row in enumerate(found.rows)]
    rows[3] = dataclasses.replace(rows[3], estimate=math.nan, reason="gap")
    return dataclasses.replace(found, rows=tuple(rows))


def test_it_is_printed_as_the_toolbox_prints(evaluation):
    worse = [dataclasses.replace(row, estimate=row.estimate + math.pi * i) for i, row in enumerate(evaluation.rows)]
    evaluation = dataclasses.replace(evaluation, rows=tuple(worse))
    scored = score_tables.document(evaluation)
    lines = score_tables.toolbox(scored["quantities"]["heart_rate"], "fft")
    shown = re.fullmatch(r"FFT MAE \(FFT Label\): (\S+) \+/- (\S+) beats/min, 95 % (\S+) to (\S+)", lines[0])
    mae, error, _ = evaluation.scores().metrics["mae"]
    known = (mae, error, *intervals(evaluation.rows, ["mae"])["mae"])
    assert [float(number) for number in shown.groups()] == pytest.approx(known, rel=0.01)
    assert [line.split(":")[0] for line in lines[1:]] == [
        "FFT RMSE (FFT Label)", "FFT MAPE (FFT Label)", "FFT Pearson (FFT Label)", "FFT SNR (FFT Label)", "MACC",
    ]  # fmt: skip
    assert " (dB), 95 % " in lines[4]
    text = score_tables.printed(evaluation, scored)
    assert text[:2] == [
        "middle: scored 4 of 4 recordings",
        "heart_rate (beats/min), 8 windows of 4 subjects; +/- standard error, 95 % interval drawing subjects",
    ]
    assert not re.search(r"\d{8}", "\n".join(text)), "rounded"


@pytest.mark.parametrize(("n", "reason"), [(0, "no window has one"), (1, "one window is too few")])
def test_what_is_unknown_has_a_reason_and_no_spread(evaluation, n, reason):
    row = evaluation.rows[0] if n else dataclasses.replace(evaluation.rows[0], estimate=math.nan)
    few = dataclasses.replace(evaluation, rows=(row,))
    scored = score_tables.document(few)
    text = "\n".join(score_tables.printed(few, scored)) + score_tables.markdown(few, scored)
    assert f"FFT Pearson (FFT Label): unknown, {reason}" in text
    assert "1 window of 1 subject; one window has no spread" in text
    assert "nan" not in text
    assert "+/- 0" not in text
    assert "| r | – | – | – |" in text
    assert "| CCC | – | – | – |" in text
    assert "limits of agreement" not in text


def test_files_say_what_the_scores_say(evaluation, tmp_path):
    score_tables.write(evaluation, tmp_path, by=("motion",))
    document = json.loads((tmp_path / "scores.json").read_text())
    found = document["quantities"]["heart_rate"]
    assert found["metrics"]["mae"]["value"] == evaluation.scores().metrics["mae"][0]
    assert found["coverage"] == 7 / 8
    assert [group["motion"] for group in found["by"]] == ["still", "talk"]
    assert found["metrics"]["mae"]["interval"][0] <= found["metrics"]["mae"]["value"]
    assert found["risk_coverage"][-1]["coverage"] <= 7 / 8
    assert found["answers"]["answered"] == 7 / 8
    table = list(csv.DictReader(io.StringIO((tmp_path / "rows.csv").read_text())))
    assert len(table) == 8
    assert table[3]["estimate"] == ""
    assert table[3]["motion"] == "talk"
    text = (tmp_path / "scores.md").read_text()
    assert f"| MAE | {found['metrics']['mae']['value']:.3g} |" in text
    assert "| talk |" in text
    with pytest.raises(UsageError, match="attribute 'skin'"):
        score_tables.write(evaluation, tmp_path, by=("skin",))


def test_what_became_of_the_windows_in_words(evaluation):
    lines = score_tables.answered(evaluation)
    assert lines[0].startswith("answered 87.5 % of 8 windows: 87.5 % right (within 5 beats/min), 0 % wrong")
    assert "it would answer 87.5 %" in lines[1]
    everything = [dataclasses.replace(row, reason="", confidence=math.nan) for row in evaluation.rows]
    assert score_tables.answered(dataclasses.replace(evaluation, rows=tuple(everything))) == []
    null = [dataclasses.replace(row, truth=math.nan, null=True) for row in evaluation.rows]
    assert score_tables.answered(dataclasses.replace(evaluation, rows=tuple(null))) == [
        "no number in 12.5 % of 8 windows without a pulse"
    ]


def test_models_are_compared_on_what_both_answered(evaluation):
    worse = [dataclasses.replace(row, estimate=row.estimate + 3 + i / 10) for i, row in enumerate(evaluation.rows)]
    other = dataclasses.replace(evaluation, name="worse", rows=tuple(worse))
    [line] = score_tables.comparison([evaluation], [other, other])
    assert (line["first_name"], line["second_name"], line["second_seeds"]) == ("middle", "worse", 2)
    assert (line["n"], line["subjects"]) == (7, 4)
    assert line["difference"] < 0
    assert "right" not in line, "several seeds have no windows of their own"
    [alone] = score_tables.comparison([evaluation], [other])
    assert alone["right"] == 0, "an error of 3 to 4 is still right"
    assert "of all windows the first is right in 0 % more" in "\n".join(score_tables.compared(alone))
    assert line["t_subjects"] < 0.05
    words = "\n".join(score_tables.compared(line))
    assert "7 windows of 4 subjects that both answered" in words
    assert "worse (2 seeds)" in words
    with pytest.raises(UsageError, match="another protocol"):
        score_tables.comparison([evaluation], [dataclasses.replace(other, protocol=Protocol(window_s=10))])
