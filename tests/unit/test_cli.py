"""The command line with measuring replaced by results made by hand; the real thing is in tests/e2e/test_cli.py."""

from __future__ import annotations

import itertools
import json
import math
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from _results import face, result
from click.testing import CliRunner, Result

from vitalcam import batch
from vitalcam.cli import main
from vitalcam.errors import VideoError
from vitalcam.settings import Settings
from vitalcam.types import Frame, Video

Run = Callable[..., Result]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Run:
    """Runs `vitalcam` in a folder of its own. What a file holds decides what is measured in it."""
    monkeypatch.chdir(tmp_path)

    def measure(task: batch.Task, progress: object) -> object:
        if not Path(task.source).exists():
            raise VideoError(f"{task.source}: no such file or folder; check the path")
        said = Path(task.source).read_text()
        if said == "stop":
            raise KeyboardInterrupt
        if said == "bug":
            raise ZeroDivisionError("division\nby zero")
        if said == "bad":
            raise VideoError(f"{task.source}: is damaged")
        people = {"dark": [face(heart_bpm=None, resp_bpm=None, reason="dark")], "empty": []}
        return result(*people.get(said, [face(seconds=12)]), source=task.source)

    monkeypatch.setattr(batch, "_measure", measure)
    return lambda *words: CliRunner().invoke(main, [str(word) for word in words])


def _clips(**said: str) -> None:
    for name, text in said.items():
        Path(f"{name}.mp4").write_text(text)


def test_summary_goes_to_stdout_and_nothing_is_written(run: Run, tmp_path: Path) -> None:
    _clips(a="good")
    done = run("measure", "a.mp4")
    assert done.exit_code == 0
    assert "72.0 beats/min" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["a.mp4"]


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"a": "good"}, 0),
        ({"a": "good", "b": "dark"}, 0),
        ({"a": "dark"}, 3),
        ({"a": "empty", "b": "dark"}, 3),
        ({"a": "bad"}, 1),
        ({"a": "good", "b": "bad"}, 1),
        ({"a": "bug"}, 1),
    ],
)
def test_exit_codes(run: Run, said: dict[str, str], code: int) -> None:
    _clips(**said)
    assert run("measure", *(f"{name}.mp4" for name in said)).exit_code == code


def test_json_alone_prints_json_only(run: Run) -> None:
    _clips(a="good", b="dark", c="bad")
    one = run("measure", "a.mp4", "--json")
    assert json.loads(one.stdout)["faces"][0]["heart_rate"]["unit"] == "beats/min"
    many = run("measure", "a.mp4", "b.mp4", "c.mp4", "--json")
    documents = [json.loads(line) for line in many.stdout.splitlines()]
    assert [document["source"] for document in documents] == ["a.mp4", "b.mp4", "c.mp4"]
    assert documents[1]["faces"][0]["heart_rate"]["value"] is None
    assert documents[2] == {"source": "c.mp4", "error": "c.mp4: is damaged"}
    assert "c.mp4: is damaged" in many.stderr


def test_word_after_json_is_an_input_unless_it_names_a_json_file(run: Run) -> None:
    _clips(a="good")
    assert json.loads(run("measure", "--json", "a.mp4").stdout)["source"] == "a.mp4"
    assert Path("a.mp4").read_text() == "good"
    done = run("measure", "--json", "a.json", "a.mp4")
    assert "72.0 beats/min" in done.stdout
    assert json.loads(Path("a.json").read_text())["source"] == "a.mp4"
    assert "wrote a.json" in done.stderr


def test_a_file_in_place_of_a_command_is_pointed_to_measure(run: Run) -> None:
    done = run("face.mp4", "--json")
    assert done.exit_code == 2
    assert "Did you mean: vitalcam measure face.mp4" in done.stderr
    assert "Did you mean: vitalcam measure" not in run("mesure").stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_stdout_is_one_line() -> None:
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", "from vitalcam.cli import main; main()", "methods"]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr == "vitalcam: stdout: cannot be written: No space left on device; choose another place\n"


def test_each_format_is_written_when_asked_for(run: Run, tmp_path: Path) -> None:
    pytest.importorskip("edfio")
    _clips(a="good")
    done = run(
        "measure", "a.mp4", "--csv", "w.csv", "--edf", "w.edf", "--bids", "b", "--figure", "w.png", "--json", "w.json"
    )
    assert done.exit_code == 0, done.output
    names = {p.name for p in tmp_path.iterdir()}
    assert names == {"a.mp4", "w.csv", "w.windows.csv", "w.ibi.csv", "w.edf", "b", "w.png", "w.json"}
    assert (tmp_path / "b" / "sub-a" / "beh").is_dir()


def test_no_wave_no_edf_and_it_says_so(run: Run) -> None:
    pytest.importorskip("edfio")
    _clips(a="empty")
    done = run("measure", "a.mp4", "--edf", "a.edf")
    assert done.exit_code == 3
    assert "a.edf: not written, there is no waveform" in done.stderr
    assert not Path("a.edf").exists()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["a.mp4", "b.mp4", "--csv", "x.csv"], "--csv x.csv: is one file, but there are 2 inputs; use --out DIR"),
        (["a.mp4", "--figure", "x.gif"], "x.gif: a figure is one of .png, .pdf, .svg"),
        (["a.mp4", "--method", "pso"], "unknown method 'pso'; did you mean 'pos'?"),
        (["a.mp4", "b.mp4", "--model", "nope"], "unknown model 'nope' (there are: "),
        (["a.mp4", "--window", "1"], "--window is 1.0; it must be 4.5 to 120 seconds"),
        (["a.mp4", "--resume"], "--resume: needs the --out DIR"),
        (["a.mp4", "--csv", "a.mp4"], "a.mp4: is an input"),
        (["--json", "x.json"], "no input"),
        (["a.mp4", ""], "an input is empty"),
        (["a.mp4", "--fps", "0"], "0 is not a number above 0"),
        (["a.mp4", "--fps", "nan"], "nan is not a number above 0"),
        (["0", "--seconds", "-1"], "-1 is not a number above 0"),
        (["a.mp4", "--json", "out.txt"], "--json out.txt: is no input, and a file for JSON must end in .json"),
        (["a.mp4", "--faces", "0"], "'0' is not a number of faces"),
        (["a.mp4", "--jobs", "0"], "0 is not in the range"),
        (["a.mp4", "--min-confidence", "2"], "--min-confidence is 2.0; it must be 0 to 1"),
        (["a.mp4", "--csv", "x.json"], "x.json: a file of this format ends in .csv"),
        (["a.mp4", "--edf", "x.csv"], "x.csv: a file of this format ends in .edf"),
        (["a.mp4", "--out", "o", "--json", "o/a.json"], "o/a.json: would be written twice"),
        (["a.mp4", "--out", "o", "--json", "sub/../o/a.json"], "o/a.json: would be written twice"),
        (["a.mp4", "--seconds", "5"], "--seconds 5: is for cameras, and no input is one; files are measured whole"),
        (
            ["a.mp4", "--thermal", "b.mp4", "--method", "pos"],
            "--thermal b.mp4: pos does not look at heat; give a network",
        ),
        (["a.mp4", "--thermal", "b.mp4", "--model", "mmrphys_9"], "--thermal b.mp4: mmrphys_9 does not look at heat"),
        (
            ["a.mp4", "--model", "mmrphys_9_rgbt"],
            "--model mmrphys_9_rgbt: sees heat; give the thermal video by --thermal",
        ),
        (["a.mp4", "b.mp4", "--thermal", "b.mp4"], "--thermal b.mp4: lies beside one video; give that one alone"),
        (["0", "--thermal", "b.mp4"], "--thermal b.mp4: lies beside one video; give that one alone"),
        (["a.mp4", "--neurokit", "--edf", "x.edf"], "--neurokit: names columns of CSV; give --csv FILE or --out DIR"),
        (["a.mp4", "--method", "pos", "--backend", "openvino"], "--backend openvino: runs networks, pos is none"),
        (["a.mp4", "--out", ""], "'--out': the name is empty"),
        (["a.mp4", "--csv", ""], "'--csv': the name is empty"),
        (["a.mp4", "--json="], "--json: the name is empty"),
        (["a.mp4", "--out", "o", "--model", "nope"], "unknown model 'nope'"),
        (["a.mp4", "--out", "o", "--model", "no/such.onnx"], "no/such.onnx: no such file"),
        (["a.mp4", "--out", "o", "--model", "a.mp4"], "a.mp4: is not a model"),
    ],
)
def test_wrong_usage_is_code_2_with_one_line_before_any_work(run: Run, words: list[str], message: str) -> None:
    _clips(a="stop", b="stop")
    done = run("measure", *words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert not done.stdout
    assert {path.name for path in Path().iterdir()} == {"a.mp4", "b.mp4"}
    assert Path("a.mp4").read_text() == "stop"


@pytest.mark.parametrize("backend", ["openvino", "torch"])
def test_a_backend_that_cannot_run_is_refused_before_the_work(
    run: Run, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    from vitalcam import runtime

    _clips(a="stop")
    (model, *_) = runtime.available()
    monkeypatch.setitem(sys.modules, backend, None)
    done = run("measure", "a.mp4", "--model", model.name, "--backend", backend, "--out", "o")
    assert done.exit_code == 2
    assert "install the extra first" in done.stderr
    assert not Path("o").exists()


@pytest.mark.parametrize("option", ["--csv", "--figure", "--json", "--out", "--bids"])
def test_unwritable_output_is_found_before_the_work(run: Run, option: str) -> None:
    _clips(a="stop")
    Path("file").write_text("")
    place = Path("file") / {"--figure": "x.png", "--json": "x.json", "--csv": "x.csv"}.get(option, "x")
    done = run("measure", "a.mp4", option, place)
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "cannot be written" in done.stderr


def test_a_thousand_files_with_three_bad_ones(run: Run) -> None:
    _clips(**{f"c{i:04}": "good" for i in range(997)}, x="bad", y="bug", z="bad")
    done = run("measure", "*.mp4")
    assert done.exit_code == 1
    errors = [
        line for line in done.stderr.splitlines() if line.startswith(("vitalcam: x", "vitalcam: y", "vitalcam: z"))
    ]
    assert len(errors) == 3
    assert "unexpected ZeroDivisionError: division by zero" in errors[1]
    assert "997 measured, 0 abstained, 3 failed" in done.stderr
    assert done.stdout.count("72.0 beats/min") == 997


def test_many_inputs_end_in_a_table(run: Run) -> None:
    _clips(a="good", b="dark", c="bad")
    done = run("measure", "a.mp4", "b.mp4", "c.mp4")
    for said in ("heart rate", "72.0 beats/min", "high (95 %)", "too dark", "failed: is damaged"):
        assert said in done.stdout
    assert "1 measured, 1 abstained, 1 failed" in done.stderr


def test_out_writes_all_formats_and_resume_leaves_out_what_is_done(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _clips(a="good", b="dark", c="bad")
    assert run("measure", "*.mp4", "--out", "out").exit_code == 1
    made = {p.name for p in Path("out").iterdir()}
    assert made >= {"a.json", "a.csv", "a.windows.csv", "a.png", "b.json", "bids", "manifest.jsonl"}
    assert "c.json" not in made
    rows = [json.loads(line) for line in Path("out/manifest.jsonl").read_text().splitlines()]
    assert [row["status"] for row in rows] == ["measured", "abstained", "failed"]

    seen: list[str] = []
    real = batch._measure
    monkeypatch.setattr(batch, "_measure", lambda task, progress: (seen.append(task.source), real(task, progress))[1])
    again = run("measure", "*.mp4", "--out", "out", "--resume", "--json")
    assert seen == ["c.mp4"], "what failed is tried again, what is done is not"
    documents = [json.loads(line) for line in again.stdout.splitlines()]
    assert [document["source"] for document in documents] == ["a.mp4", "b.mp4", "c.mp4"]

    seen.clear()
    Path("a.mp4").write_text("good, but changed")
    Path("out/b.csv").unlink()
    run("measure", "a.mp4", "b.mp4", "--out", "out", "--resume")
    assert seen == ["a.mp4", "b.mp4"], "another input or a file that is gone"
    seen.clear()
    run("measure", "a.mp4", "--out", "out", "--resume", "--window", "12")
    assert seen == ["a.mp4"], "other settings"
    seen.clear()
    manifest = Path("out/manifest.jsonl")
    manifest.write_text(manifest.read_text() + '{"path": "cut o')
    assert "1 of 1 inputs were done before" in run(
        "measure", "a.mp4", "--out", "out", "--resume", "--window", "12"
    ).stderr  # fmt: skip
    assert seen == []


def test_a_users_own_files_are_not_replaced(run: Run) -> None:
    Path("vids").mkdir()
    _clips(**{"vids/t": "stop"})
    Path("vids/t.csv").write_text("true rates")
    for words in ([], ["--resume"]):
        done = run("measure", "vids/t.mp4", "--out", "vids", *words)
        assert done.exit_code == 1
        assert done.stderr.startswith("vitalcam: vids/t.csv: is there and not in the folder's manifest; give another")
    assert Path("vids/t.csv").read_text() == "true rates"
    assert sorted(path.name for path in Path("vids").iterdir()) == ["t.csv", "t.mp4"]
    Path("vids/t.csv").unlink()
    Path("vids/manifest.jsonl").write_text('{"clip": "t.mp4"}\n')
    assert "vids/manifest.jsonl: is no manifest that vitalcam wrote" in run(
        "measure", "vids/t.mp4", "--out", "vids"
    ).stderr  # fmt: skip
    Path("vids/manifest.jsonl").write_bytes(b"\xff\xfe")
    assert "vids/manifest.jsonl: cannot be read (" in run("measure", "vids/t.mp4", "--out", "vids").stderr


def test_our_own_files_are_replaced_and_those_of_an_interrupted_call(run: Run) -> None:
    _clips(a="good", b="stop")
    assert run("measure", "a.mp4", "b.mp4", "--out", "out").exit_code == 130
    assert run("measure", "a.mp4", "--out", "out").exit_code == 0
    Path("out/b.csv").write_text("written before the interrupt")
    _clips(b="good")
    refused = run("measure", "a.mp4", "b.mp4", "--out", "out")
    assert "out/b.csv: is there" in refused.stderr
    assert "or --resume if an interrupted call left it" in refused.stderr
    assert run("measure", "a.mp4", "b.mp4", "--out", "out", "--resume").exit_code == 0
    assert Path("out/b.csv").read_text().startswith("time_s")


def test_names_that_bids_cannot_tell_apart_do_not_replace_each_other(run: Run) -> None:
    for name in ("a b.mp4", "a-b.mp4", "顔.mp4", "脈.mp4"):
        Path(name).write_text("good")
    for first, second, subject in (("a b.mp4", "a-b.mp4", "sub-ab"), ("顔.mp4", "脈.mp4", "sub-video")):
        assert run("measure", first, "--bids", "data").exit_code == 0
        (table,) = Path("data", subject).rglob("*.tsv.gz")
        written = table.stat().st_mtime_ns
        Path(second).write_text("stop")
        done = run("measure", second, "--bids", "data")
        assert done.exit_code == 1
        assert "is of another recording; rename the video or give another folder" in done.stderr
        assert table.stat().st_mtime_ns == written
        assert run("measure", Path(first).absolute(), "--bids", "data").exit_code == 0, "the same again"


def test_interrupt_keeps_what_is_finished(run: Run) -> None:
    _clips(a="good", b="stop", c="good")
    done = run("measure", "a.mp4", "b.mp4", "c.mp4", "--out", "out", "--json", "all.jsonl")
    assert done.exit_code == 130
    assert done.stderr.splitlines()[-1].endswith("interrupted with 1 of 3 inputs done; go on with --resume")
    assert "Traceback" not in done.output
    assert {p.stem for p in Path("out").glob("*.json")} == {"a"}
    assert [json.loads(line)["source"] for line in Path("all.jsonl").read_text().splitlines()] == ["a.mp4"]
    assert not [p for p in Path("out").iterdir() if p.suffix == ".part"]


def test_a_folder_of_videos_is_opened_up_and_said(run: Run) -> None:
    Path("day").mkdir()
    _clips(**{"day/b": "good", "day/a": "dark"})
    Path("day/notes.txt").write_text("")
    Path("day/._a.mp4").write_text("what macOS leaves beside a file")
    done = run("measure", "day", "--json")
    assert [json.loads(line)["source"] for line in done.stdout.splitlines()] == ["day/a.mp4", "day/b.mp4"]
    assert "day: a folder of videos; measuring the 2 in it" in done.stderr
    assert run("measure", "day", "--json", "--quiet").stderr == ""


def test_names_are_unique_and_kept() -> None:
    names = batch.names(["s1/vid.avi", "s2/vid.avi", "x/a b.mp4", "y/a_b.mp4", "ü.mp4", "ö.mp4", "0"])
    assert names["s1/vid.avi"] == "s1_vid"
    assert len({batch.bids.label(name).lower() for name in names.values()}) == 7
    taken = {str(Path("s1/vid.avi").absolute()): "vid"}
    assert batch.names(["s1/vid.avi"], taken) == {"s1/vid.avi": "vid"}
    assert batch.names(["s2/vid.avi"], taken)["s2/vid.avi"] != "vid"


def test_long_names_are_cut_and_still_told_apart(run: Run) -> None:
    first, second = f"{'x' * 249}a.mp4", f"{'顔' * 81}.mp4"
    for name in (first, second):
        Path(name).write_text("good")
    names = batch.names([first, f"{'x' * 249}b.mp4", second])
    assert len(set(names.values())) == 3
    assert max(len(name.encode()) for name in names.values()) <= 120
    assert run("measure", first, second, "--out", "out").exit_code == 0
    assert len(list(Path("out").glob("*.json"))) == 2


def test_inputs_are_taken_once(run: Run) -> None:
    _clips(a="good", b="good")
    assert batch.expand(["*.mp4", "./a.mp4", "b.mp4"]) == (["a.mp4", "b.mp4"], [])
    assert batch.expand(["none*.mp4"]) == (["none*.mp4"], [])


def test_settings_reach_the_measurement(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    tasks: list[batch.Task] = []
    monkeypatch.setattr(batch, "_measure", lambda task, progress: (tasks.append(task), result())[1])
    words = "--method chrom --faces all --window 12 --step 2 --fps 25 --seconds 5".split()  # noqa: SIM905
    run("measure", "0", *words)
    assert tasks[0].settings == Settings(method="chrom", faces=None, window_s=12, step_s=2)
    assert (tasks[0].fps_hz, tasks[0].camera_s, tasks[0].name) == (25, 5, "camera0")


def test_methods_lists_every_method(run: Run) -> None:
    from vitalcam import registry

    listed = run("methods").stdout
    assert all(name in listed for name in registry.names("methods"))


@pytest.mark.parametrize(("default", "option", "shown"), [("", "--method", "pos"), ("ours", "--model", "ours")])
def test_help_shows_what_measures_by_default(default: str, option: str, shown: str) -> None:
    code = (
        f"from vitalcam import settings; settings.DEFAULT_MODEL = {default!r};"
        "from vitalcam.cli import main; main(['measure', '--help'])"
    )
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    rows = " ".join(said.split()).split(" --")
    assert [row.split()[0] for row in rows if f"[default: ({shown})]" in row] == [option.removeprefix("--")]


def test_an_interrupt_while_importing_is_one_line() -> None:
    code = (
        "import sys, types\n"
        "def find_spec(name, *_):\n"
        "    if name == 'click': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, types.SimpleNamespace(find_spec=find_spec))\n"
        "from vitalcam.__main__ import main; main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (130, "vitalcam: interrupted\n")


def test_help_and_version_import_nothing_heavy() -> None:
    code = (
        "import sys; from click.testing import CliRunner; from vitalcam.cli import main;"
        "r = CliRunner().invoke(main, ['measure', '--help']); assert r.exit_code == 0, r.output;"
        "print(sorted({'numpy', 'scipy', 'av', 'rich', 'matplotlib', 'torch', 'onnxruntime'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_camera_is_measured_for_as_long_as_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    picture = np.zeros((48, 64, 3), np.uint8)
    endless = Video("camera 0", 64, 48, 30, math.nan, lambda: (Frame(picture, i / 30, i) for i in itertools.count()))
    monkeypatch.setattr("vitalcam.pipeline.open_video", lambda source, fps_hz, times_s: endless)
    seen: list[tuple[float, float]] = []
    outcome = batch.measure_one(
        batch.Task("0", "camera0", camera_s=1.5, document=True), lambda done, total: seen.append((done, total))
    )
    assert outcome.status == "abstained"
    assert json.loads(outcome.document)["video"]["frames"] == 45
    assert seen[-1] == (44 / 30, 1.5)


def test_a_name_that_no_system_takes_is_one_line(run: Run) -> None:
    done = run("measure", 300 * "a" + ".mp4")
    assert done.exit_code == 1
    assert done.stderr.count("\n") == 1
    assert "Traceback" not in done.output


def test_a_folder_that_may_not_be_listed_fails_alone(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    _clips(a="good")
    Path("locked").mkdir()
    listed = Path.iterdir

    def refused(path: Path) -> object:
        if path.name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return listed(path)

    monkeypatch.setattr(Path, "iterdir", refused)
    monkeypatch.setattr(batch, "_measure", lambda task, _: next(refused(Path("locked"))) if task.source == "locked"
                        else result(face(seconds=12), source=task.source))  # fmt: skip
    done = run("measure", "a.mp4", "locked")
    assert done.exit_code == 1
    assert "locked: cannot be read: Permission denied" in done.stderr
    assert "1 measured, 0 abstained, 1 failed" in done.stderr
