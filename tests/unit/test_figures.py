"""Figures: the numbers in their tables are known ones, the pictures are there, what is odd is said in one line."""

import csv
import dataclasses
import json
import math
import time

import numpy as np
import pytest
from _prepared import prepared
from click.testing import CliRunner

from vitalcam import score_tables
from vitalcam.checkpoints import Checkpoint
from vitalcam.commands import figures as commands
from vitalcam.errors import DatasetError, UsageError
from vitalcam.evaluate import Evaluation, Protocol, evaluate
from vitalcam.figures import agreement, attention, factors, latency, waveforms
from vitalcam.models import mmrphys
from vitalcam.pipeline import Classical
from vitalcam.scores import Row
from vitalcam.types import ModelSpec


def evaluation(name="one", error=0.0, *, confident=True):
    rng = np.random.default_rng(0)
    rows = []
    for i in range(40):
        subject, truth, t0_s = i // 4, 60.0 + 2 * (i // 4), 5.0 * (i % 4)
        wrong = error + (20.0 if i % 10 == 9 else 1.0)
        rows.append(
            Row("d", f"s{subject}", f"r{subject}", "heart_rate", t0_s, t0_s + 10, truth, truth + wrong,
                confidence=float(rng.uniform(0.2, 1)) if confident else math.nan,
                attributes={"scenario": "walk" if subject % 2 else "still", "person.skin_type": 1 + subject % 6})
        )  # fmt: skip
    return Evaluation(name, Protocol(window_s=10, step_s=5), tuple(rows), 10, 10, {})


def table(path):
    return list(csv.DictReader(path.with_suffix(".csv").read_text().splitlines()))


def is_png(path):
    return path.read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


def test_an_evaluation_in_four_pictures(tmp_path):
    paths = agreement.write(evaluation(), "heart_rate", tmp_path)
    assert [path.name.split(".")[1] for path in paths] == ["scatter", "bland_altman", "reliability", "risk_coverage"]
    assert all(map(is_png, paths))
    scatter, bland_altman, reliability, risk = map(table, paths)
    assert len(scatter) == len(bland_altman) == 40
    assert float(scatter[9]["estimated"]) - float(scatter[9]["true"]) == 20
    assert float(bland_altman[9]["difference"]) == 20
    assert sum(int(line["n"]) for line in reliability) == 40
    assert float(risk[-1]["coverage"]) == 1
    assert float(risk[-1]["wrong"]) == pytest.approx(0.1)


def test_without_confidences_there_are_two_pictures_and_without_answers_none(tmp_path):
    given = evaluation(confident=False)
    assert len(agreement.write(given, "heart_rate", tmp_path)) == 2
    silent = tuple(dataclasses.replace(row, estimate=math.nan) for row in given.rows)
    assert agreement.write(dataclasses.replace(given, rows=silent), "heart_rate", tmp_path) == []


def test_error_against_each_factor(tmp_path):
    path = tmp_path / "factors.svg"
    ones = [evaluation("pos"), evaluation("pos", 2.0)]
    factors.draw(ones, ["scenario", "skin_type"], path)
    assert path.read_text().startswith("<?xml")
    lines = table(path)
    assert {line["name"] for line in lines} == {"pos (1)", "pos (2)"}
    assert {line["level"] for line in lines if line["factor"] == "skin_type"} == set("123456")
    first, second = (
        next(line for line in lines if line["name"] == name and line["level"] == "still")
        for name in ("pos (1)", "pos (2)")
    )
    truth = [row for row in ones[0].rows if row.attributes["scenario"] == "still"]
    assert float(first["mae"]) == pytest.approx(np.mean([abs(row.estimate - row.truth) for row in truth]))
    assert float(second["mae"]) == pytest.approx(float(first["mae"]) + 2)
    assert float(first["low"]) < float(first["mae"]) < float(first["high"])
    assert (first["windows"], first["people"]) == ("20", "5")
    with pytest.raises(UsageError, match="has no resp_rate"):
        factors.draw(ones, ["scenario"], path, "resp_rate")
    with pytest.raises(UsageError, match="a figure is one of"):
        factors.draw(ones, ["scenario"], tmp_path / "factors.gif")


class Slow:
    """Needs 5 ms for a clip."""

    spec = ModelSpec("slow", ("bvp",), "", size_px=9, frames=60, parameters=12345)

    def run(self, clip):
        assert clip.frames.shape == (60, 9, 9, 3)
        time.sleep(0.005)
        return {"bvp": clip.frames[:, 4, 4, 1]}


def test_time_is_measured_and_parameters_are_told(tmp_path):
    path = tmp_path / "latency.png"
    latency.draw([evaluation("slow"), evaluation("pos")], [Slow(), Classical("pos")], path, threads=1)
    assert is_png(path)
    slow, pos = table(path)
    assert 5 <= float(slow["ms_low"]) <= float(slow["ms_per_clip"]) <= float(slow["ms_high"])
    assert (slow["parameters"], slow["frames"], slow["threads"]) == ("12345", "60", "1")
    assert pos["frames"] == "300"
    assert float(slow["mae"]) == pytest.approx(evaluation().scores().metrics["mae"][0], rel=1e-4)


class Late:
    """The green channel of the skin, upside down, some frames late."""

    def __init__(self, frames=0):
        self.spec = ModelSpec("late", ("bvp",), "", size_px=1)
        self.frames = frames

    def run(self, clip):
        return {"bvp": np.roll(-clip.frames[:, 0, 0, 1], self.frames)}


def test_waves_are_put_on_each_other():
    given = prepared("a", 75, 24.0)
    found = waveforms.pair(given, Late(5))
    assert found.lag_s == pytest.approx(5 / 30)
    assert found.correlation > 0.95
    assert found.rate == pytest.approx(75, abs=0.5)
    assert found.true_rate == pytest.approx(75, abs=0.5)
    assert found.time_s[0] == pytest.approx(7, abs=0.1)
    assert found.time_s[-1] == pytest.approx(17, abs=0.1)
    assert np.corrcoef(found.truth, found.estimate)[0, 1] == pytest.approx(found.correlation)


def test_waves_of_several_and_of_a_chosen_stretch(tmp_path):
    path = tmp_path / "waves.png"
    given = prepared("a", 75, 24.0)
    waveforms.draw(given, {"now": Late(), "late": Late(5)}, path, stretch_s=(4, 8))
    assert is_png(path)
    lines = table(path)
    assert [line["name"] for line in lines] == ["now"] * 120 + ["late"] * 120
    assert (float(lines[0]["time_s"]), float(lines[-1]["time_s"])) == (4, pytest.approx(239 / 30, abs=1e-4))
    with pytest.raises(DatasetError, match=r"waves are known from 0.0 to 24.0 s"):
        waveforms.pair(given, Late(), stretch_s=(30, 40))
    with pytest.raises(DatasetError, match="resp is not in its truth, or late does not give it"):
        waveforms.pair(given, Late(), kind="resp")


def test_attention_maps_of_a_trained_network(tmp_path, monkeypatch):
    """The weights are those of the start: what is tested is the way from file and recording to the maps."""
    spec, network = mmrphys.VARIANTS["9_rgb_bvp"], mmrphys.build("9_rgb_bvp", attention="fsam").eval()
    found = Checkpoint(network, dataclasses.replace(spec, frames=64), "9_rgb_bvp", {}, ())
    monkeypatch.setattr("vitalcam.checkpoints.load", lambda _: found)
    attention.draw(prepared("a", 75, 6.0), [tmp_path / "last.safetensors"], tmp_path / "maps.png")
    assert is_png(tmp_path / "maps.png")
    lines = table(tmp_path / "maps.png")
    for said in ("off", "on"):
        values = [float(line["similarity"]) for line in lines if line["attention"] == said]
        assert values
        assert all(0 <= value <= 1 for value in values)
    with pytest.raises(DatasetError, match="has no 64 frames in a row with a face and a known bvp"):
        attention.maps(prepared("b", 75, 2.0), tmp_path / "last.safetensors")


@pytest.fixture
def folders(tmp_path):
    people = [prepared(f"s{i}", 60 + 11 * i, 12.0, motion=("still", "talk")[i % 2]) for i in range(3)]
    for name in ("pos", "green"):
        found = evaluate(people, Classical(name), Protocol(window_s=5), folder=tmp_path / name / "rows",
                         door={"method": name})  # fmt: skip
        score_tables.write(found, tmp_path / name)
    return [str(tmp_path / name) for name in ("pos", "green")]


def run(*words):
    return CliRunner().invoke(commands.figure, [str(word) for word in words], catch_exceptions=True)


def test_figures_on_the_command_line(folders, tmp_path):
    done = run("factors", *folders, "--by", "motion", "--out", tmp_path / "f.png")
    assert (done.exit_code, done.output.strip()) == (0, str(tmp_path / "f.png"))
    assert {line["level"] for line in table(tmp_path / "f.png")} == {"still", "talk"}
    assert run("latency", *folders, "--out", tmp_path / "l.png").exit_code == 0
    assert [line["name"] for line in table(tmp_path / "l.png")] == ["pos", "green"]


def test_what_is_missing_is_said(folders, tmp_path):
    assert "a figure is one of .png, .pdf, .svg" in str(
        run("latency", folders[0], "--out", tmp_path / "f.jpg").exception
    )
    out = ("--out", tmp_path / "f.png")
    said = str(run("factors", tmp_path, "--by", "motion", *out).exception)
    assert "make it with vitalcam evaluate --out" in said
    assert "--from and --to go together" in str(run("waveforms", tmp_path, "--from", 3, *out).exception)
    about = json.loads((tmp_path / "pos/rows/evaluation.json").read_text())
    (tmp_path / "pos/rows/evaluation.json").write_text(json.dumps({**about, "door": {}}))
    assert "does not say what was evaluated" in str(run("latency", folders[0], *out).exception)
