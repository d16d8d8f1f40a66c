"""`vitalcam evaluate` and `compare` with recordings of a known pulse in place of videos."""

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest
from _prepared import prepared
from click.testing import CliRunner

from vitalcam.cli import main
from vitalcam.commands import research
from vitalcam.errors import DatasetError, UsageError


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
    for folder in ("empty", "a", "b"):
        (tmp_path / folder).mkdir()
    (tmp_path / "text.pth").write_text("no weights")
    return lambda command, *words: CliRunner().invoke(command, list(words), catch_exceptions=False)


def test_everything_is_written(run, tmp_path):
    done = run(research.evaluate, "data", "--method", "green", "--window", "5", "--by", "skin_type", "--out", "out")
    assert done.exit_code == 0
    assert "green: scored 5 of 5 recordings" in done.output
    assert "FFT MAE (FFT Label): " in done.output
    assert "| 2 |" in done.output, "the groups too"
    assert f"vitalcam: wrote {Path('out/scores.md')}" in done.stderr
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert {"rows.csv", "scores.md", "scores.json", "heart_rate.scatter.png", "heart_rate.bland_altman.csv"} <= names
    groups = json.loads((tmp_path / "out/scores.json").read_text())["quantities"]["heart_rate"]["by"]
    assert [group["skin_type"] for group in groups] == ["1", "2"]
    assert [group["answers"]["windows"] for group in groups] == [6, 4]


@pytest.mark.parametrize("out", [[], ["--out", "out"]])
def test_an_unknown_attribute_is_refused_before_the_work(run, tmp_path, monkeypatch, out):
    monkeypatch.setattr("vitalcam.evaluate.evaluate", lambda *_, **__: pytest.fail("it began"))
    done = run(main, "evaluate", "data", "--by", "skin_type,nonsense", *out)
    assert (done.exit_code, done.output) == (
        2, "vitalcam: unknown attribute 'nonsense' (there are: dataset, person.skin_type, subject)\n",
    )  # fmt: skip
    assert not (tmp_path / "out").exists()


def test_groups_need_no_folder(run):
    assert "| 2 |" in run(research.evaluate, "data", "--window", "5", "--by", "skin_type").output


def test_what_cannot_be_used_is_said_once(run, monkeypatch, caplog):
    def refuse(recording, _):
        raise DatasetError(f"{recording.id}: no face was found")

    monkeypatch.setattr("vitalcam.evaluate.on_clock", refuse)
    monkeypatch.setattr("vitalcam.data.prepare_one", refuse)
    for command in (research.evaluate, research.prepare):
        caplog.clear()
        done = run(command, "data", "--out", command.name)
        assert done.exit_code == 1
        assert (done.output + caplog.text).count("p3: no face was found") == 1
        assert (done.output + caplog.text).count("p3") == 1


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


@pytest.mark.parametrize(
    ("words", "where", "says"),
    [
        ("evaluate data --out out", "vitalcam.evaluate.evaluate", "; repeat the same call to go on"),
        ("evaluate data", "vitalcam.evaluate.evaluate", ""),
        ("prepare data --out out", "vitalcam.data.prepare", "; repeat the same call to go on"),
        ("train mmrphys --out out", "vitalcam.train.train", "; repeat the same call to go on"),
        ("reproduce ladder_rank --out out", "vitalcam.recipes.load", "; repeat the same call to go on"),
        ("synth still --out out", "vitalcam.synth.recordings.write_scene", "; repeat the same call to go on"),
        ("plates --out out", "vitalcam.synth.plates.fill", "; repeat the same call to go on"),
    ],
)
def test_an_interrupt_says_how_to_go_on_where_that_is_so(run, monkeypatch, words, where, says):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(where, stop)
    done = run(main, *words.split())
    assert (done.exit_code, done.output) == (130, f"vitalcam: interrupted{says}\n")


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


def test_links_to_recordings_are_followed_and_each_is_taken_once(run, tmp_path):
    (tmp_path / "linked").mkdir()
    for i in range(2):
        (tmp_path / f"linked/{i}").symlink_to(tmp_path / f"data/p{i}", target_is_directory=True)
    (tmp_path / "linked/again").symlink_to(tmp_path / "data/p1", target_is_directory=True)
    (tmp_path / "linked/round").symlink_to(tmp_path / "linked", target_is_directory=True)
    assert [path.name for path in research.folders(tmp_path / "linked")] == ["0", "1"]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("evaluate nosuch", "nosuch: no such folder"),
        ("evaluate text.pth", "text.pth: is a file, not a folder"),
        (f"evaluate {'n' * 300}", f"{'n' * 300}: no such folder"),
        ("evaluate empty", "empty: holds no recordings (folders with a scene.json); make some with vitalcam synth"),
        ("evaluate empty --weights nosuch", "nosuch: no such file"),
        ("prepare nosuch --out out", "nosuch: no such folder"),
        ("train mmrphys --data nosuch --out out", "nosuch: no such folder"),
        ("train mmrphys --plates nosuch --out out", "nosuch: no such folder"),
        ("train mmrphys --validation nosuch --out out", "nosuch: no such folder"),
        ("reproduce ladder_rank --plates nosuch --out out", "nosuch: no such folder"),
        ("compare nosuch --against empty", "nosuch: no such folder"),
        ("compare empty --against nosuch", "nosuch: no such folder"),
        ("figure waveforms nosuch --out f.png", "nosuch: no such folder"),
        ("figure factors nosuch --by scenario --out f.png", "nosuch: no such folder"),
        ("figure attention empty --weights nosuch --out f.png", "nosuch: no such file"),
        ("weights import nosuch", "nosuch: no such file"),
        ("weights import empty", "empty: is a folder, not a file"),
    ],
)
def test_what_is_not_there_is_one_line(run, words, says):
    done = run(main, *words.split())
    assert (done.exit_code, done.output) == (1, f"vitalcam: {says}\n")


@pytest.mark.parametrize("words", [["evaluate", ""], ["evaluate", "data", "--out", ""], ["weights", "import", ""]])
def test_the_empty_name_is_refused(run, words):
    done = run(main, *words)
    assert done.exit_code == 2
    assert "the name is empty" in done.output


def test_a_typo_is_said_without_torch(run):
    """A base install: what needs no torch to be known wrong does not hide behind the missing extra."""
    given = {
        "train mmrphis --out out": "unknown model 'mmrphis'; did you mean 'mmrphys'?",
        "reproduce factorizephys_cots --out out": "unknown recipe 'factorizephys_cots'; did you mean",
        "weights import nosuch.pth": "nosuch.pth: no such file",
        "evaluate data --weights nosuch.pth": "nosuch.pth: no such file",
        "train mmrphys --out out": 'install the extra first: pip install "vitalcam[train]"',
    }
    script = (
        "import sys; from vitalcam.cli import main\n"
        "sys.modules['torch'] = None\n"
        "for words in sys.argv[1:]: main(words.split(), standalone_mode=False)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, *given], capture_output=True, text=True, check=False)
    lines = done.stderr.splitlines()
    assert len(lines) == len(given), done.stderr
    assert all(says in line for says, line in zip(given.values(), lines, strict=True))


@pytest.mark.parametrize("device", ["cpu", "cuda"])
@pytest.mark.parametrize(
    ("command", "words"),
    [
        (research.train, ["mmrphys", "--data", "a", "--plates", "b", "--out", "c"]),
        (research.reproduce, ["ladder_rank", "--plates", "b", "--out", "c"]),
    ],
)
def test_what_trains_on_a_cpu_keeps_freed_memory(run, monkeypatch, command, words, device):
    kept = []
    monkeypatch.setattr("torch.cuda.is_available", lambda: True)
    monkeypatch.setattr("torch.cuda.device_count", lambda: 1)
    monkeypatch.setattr("vitalcam.allocator.keep_memory", lambda: kept.append(device))
    done = CliRunner().invoke(command, [*words, "--device", device])
    assert isinstance(done.exception, UsageError), "before anything else is looked at"
    assert kept == ["cpu"] * (device == "cpu")


@pytest.mark.parametrize(
    ("words", "noted"),
    [
        ("--plates .", {"plates": "p", "validation": "v"}),
        ("--plates . --validation .", {"plates": "p"}),
    ],
)
def test_only_the_plates_that_are_used_are_noted(run, monkeypatch, words, noted):
    told = {}
    monkeypatch.setattr(research, "_takes", lambda *_: (None, None, {"plates": "p", "validation": "v"}))
    monkeypatch.setattr(research, "_clips", lambda *_: range(9))
    monkeypatch.setattr("vitalcam.train.train", lambda *_, **how: told.update(how) or "last.safetensors")
    done = run(research.train, "physnet", *words.split(), "--out", "out")
    assert done.exit_code == 0, done.output
    assert told["about"] == noted
    assert (told["validation"] is not None) == ("--validation" in words)


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
        (["ladder_rank", "--data", "a"], "need both --plates and --data"),
        (["factorizephys_cross", "--plates", "a", "--data", "b"], "leave them out"),
    ],
)
def test_the_ladder_needs_its_data_and_other_recipes_do_not(run, words, says):
    done = run(main, "reproduce", *words, "--out", "out", "--done")
    assert done.exit_code == 2
    assert says in done.output


@pytest.mark.parametrize(("why", "code"), [(["out of memory", "out of memory"], 1), (["", "out of memory"], 0)])
def test_a_recipe_of_which_nothing_was_done_has_failed(monkeypatch, tmp_path, why, code):
    from vitalcam import recipes
    from vitalcam.reproduce import Outcome

    cells = recipes.load("factorizephys_cost").cells()
    outcomes = [Outcome(cell, missing=reason) for cell, reason in zip(cells, why, strict=False)]
    monkeypatch.setattr("vitalcam.reproduce.reproduce", lambda *_, **__: outcomes)
    done = CliRunner().invoke(main, ["reproduce", "factorizephys_cost", "--out", str(tmp_path)])
    assert done.exit_code == code, done.output
    assert ("no cell has numbers" in done.output) == bool(code)
    assert (tmp_path / "factorizephys_cost.md").exists()
