"""`vitalcam evaluate` and `compare` with recordings of a known pulse in place of videos."""

import csv
import json

import pytest
from _prepared import prepared
from click.testing import CliRunner

from vitalcam.cli import main
from vitalcam.commands import research
from vitalcam.errors import UsageError


@pytest.fixture
def run(monkeypatch, tmp_path):
    """Runs a command where recordings below ``data`` are ones that need no video."""
    for i in range(5):
        (tmp_path / f"data/p{i}").mkdir(parents=True)
        (tmp_path / f"data/p{i}/scene.json").write_text("{}")

    def read(folder):
        number = int(folder.name[1:])
        return prepared(folder.name, 60.0 + 13 * number, 12.0, **{"person.skin_type": 1 + number % 2})

    monkeypatch.setattr("vitalcam.synth.recordings.read", read)
    monkeypatch.chdir(tmp_path)
    return lambda command, *words: CliRunner().invoke(command, list(words), catch_exceptions=False)


def test_everything_is_written(run, tmp_path):
    done = run(research.evaluate, "data", "--method", "green", "--window", "5", "--by", "skin_type", "--out", "out")
    assert done.exit_code == 0
    assert "green: scored 5 of 5 recordings" in done.output
    assert "FFT MAE (FFT Label): " in done.output
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"rows.csv", "scores.md", "scores.json", "heart_rate.scatter.png", "heart_rate.bland_altman.csv"} <= names
    groups = json.loads((tmp_path / "out/scores.json").read_text())["quantities"]["heart_rate"]["by"]
    assert [group["skin_type"] for group in groups] == ["1", "2"]
    assert [group["answers"]["windows"] for group in groups] == [6, 4]


def test_shards_share_the_work(run, tmp_path):
    whole = run(research.evaluate, "data", "--window", "5", "--out", "whole")
    assert whole.exit_code == 0
    for i in (1, 2, 3):
        part = run(research.evaluate, "data", "--window", "5", "--shard", f"{i}/3", "--out", "shared")
        assert f"scored {2 if i < 3 else 1} of" in part.output
        assert "MAE" not in part.output
        assert not (tmp_path / "shared/scores.json").exists()
    run(research.evaluate, "data", "--window", "5", "--out", "shared")
    for name in ("rows.csv", "scores.json", "scores.md"):
        assert (tmp_path / "shared" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    with pytest.raises(SystemExit):
        research.evaluate.main(["data", "--shard", "4/3"])


def test_two_evaluations_are_compared(run, tmp_path):
    for method in ("green", "pos"):
        run(research.evaluate, "data", "--method", method, "--window", "5", "--out", method)
    done = run(research.compare, "green", "--against", "pos", "--out", "c.json")
    assert "heart_rate, 10 windows of 5 subjects that both answered" in done.output
    [line] = json.loads((tmp_path / "c.json").read_text())
    rows = {
        name: list(csv.DictReader((tmp_path / name / "rows.csv").read_text().splitlines())) for name in ("green", "pos")
    }
    mae = {
        name: sum(abs(float(row["estimate"]) - float(row["truth"])) for row in found) / 10
        for name, found in rows.items()
    }
    assert line["first"] == pytest.approx(mae["green"])
    assert line["second"] == pytest.approx(mae["pos"])
    assert line["difference"] == pytest.approx(mae["green"] - mae["pos"])


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (research.train, ["mmrphys", "--data", "a", "--plates", "b", "--out", "c"]),
        (research.reproduce, ["ladder_rank", "--plates", "b", "--out", "c"]),
    ],
)
def test_what_trains_on_a_cpu_keeps_freed_memory(monkeypatch, command, words, device):
    kept = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("vitalcam.allocator.keep_memory", lambda: kept.append(device))
    done = CliRunner().invoke(command, [*words, "--device", device])
    assert isinstance(done.exception, UsageError), "before anything else is looked at"
    assert kept == ["cpu"] * (device == "cpu")


@pytest.mark.parametrize("words", [["train", "mmrphys"], ["reproduce", "factorizephys_cross"]])
@pytest.mark.parametrize(
    ("device", "gpus", "says"),
    [
        ("gpu", 0, "--device gpu: unknown device; give cpu or cuda"),
        ("cuda:", 1, "--device cuda:: unknown device; give cpu or cuda"),
        ("cuda", 0, "--device cuda: this PyTorch has no GPU; give cpu"),
        ("cuda:2", 2, "--device cuda:2: this PyTorch has 2 GPUs, the first is cuda:0"),
    ],
)
def test_a_device_that_there_is_not_is_one_line(monkeypatch, tmp_path, words, device, gpus, says):
    monkeypatch.setattr("torch.cuda.is_available", lambda: gpus > 0)
    monkeypatch.setattr("torch.cuda.device_count", lambda: gpus)
    done = CliRunner().invoke(main, [*words, "--out", str(tmp_path / "out"), "--device", device])
    assert (done.exit_code, done.output) == (2, f"vitalcam: {says}\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["ladder_rank"], "need both --plates and --data"),
        (["ladder_rank", "--data", "x"], "need both --plates and --data"),
        (["factorizephys_cross", "--plates", "x", "--data", "y"], "leave them out"),
    ],
)
def test_the_ladder_needs_its_data_and_other_recipes_do_not(tmp_path, words, says):
    done = CliRunner().invoke(research.reproduce, [*words, "--out", str(tmp_path), "--done"])
    assert isinstance(done.exception, UsageError)
    assert says in str(done.exception)
