"""The command as a user runs it, on painted faces in real files, and on what is no video at all."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np
import pytest

from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.video.colour import to_rgb
from vitalcam.video.write import write_video

COMMAND = [sys.executable, "-c", "from vitalcam.cli import main; main()"]


def vitalcam(*words: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *map(str, words)], cwd=cwd, capture_output=True, text=True, timeout=300)


def film(path: Path, seconds: float, rate: float | None = 66.0, size: tuple[int, int] = (320, 240)) -> None:
    times = np.arange(max(round(seconds * 30), 1)) / 30
    person = PersonOnScreen(rate, None, face_height=0.6, amplitude=0.015)
    write_video(path, render(Scene(*size, (person,)), times), fps_hz=30, crf=12)


def _hears_interrupts() -> None:
    """What a shell starts in the background is deaf to them, and what that starts too, these tests perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def _rows(folder: Path) -> list[str]:
    manifest = folder / "manifest.jsonl"
    return manifest.read_text().splitlines() if manifest.exists() else []


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a pulse of 66 beats/min, a face without pulse, and ten things that cannot be measured."""
    folder = tmp_path_factory.mktemp("clips")
    film(folder / "good.mp4", 10)
    film(folder / "still.mp4", 8, rate=None)
    bad = folder / "bad"
    bad.mkdir()
    film(bad / "one_frame.mp4", 0)
    film(bad / "tiny.mp4", 1, size=(16, 16))
    whole = (folder / "good.mp4").read_bytes()
    (bad / "cut.mp4").write_bytes(whole[: len(whole) // 2])
    (bad / "empty.mp4").write_bytes(b"")
    (bad / "text.txt").write_text("not a video\n")
    (bad / "folder").mkdir()
    (bad / "folder" / "readme.md").write_text("no image\n")
    with av.open(str(bad / "sound.mp4"), "w") as container:
        stream = container.add_stream("aac", rate=16000)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 16000), np.float32), format="fltp", layout="mono")
        sound.sample_rate = 16000
        container.mux([*stream.encode(sound), *stream.encode(None)])
    return folder


def test_a_thermal_video_beside_is_measured_too(clips: Path) -> None:
    """Heat that follows the picture, as two cameras side by side would have it; a network that sees it is chosen."""
    from vitalcam.video.read import open_video

    frames = list(open_video(clips / "good.mp4"))
    grey = np.stack([np.asarray(to_rgb(frame))[::2, ::2].mean(axis=-1) for frame in frames])
    np.save(clips / "heat.npy", np.rint(100 * (293.15 + grey / 15)).astype(np.uint16))
    times = "".join(f"{frame.time_s:.6f}\n" for frame in frames)
    (clips / "heat_times.csv").write_text("time_s\n" + times)
    done = vitalcam("measure", "good.mp4", "--thermal", "heat.npy", "--json", cwd=clips)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["settings"]["model"] == "mmrphys_9_rgbt"
    assert document["video"]["thermal"] == "heat.npy"
    assert abs(document["faces"][0]["heart_rate"]["value"] - 66) < 2
    (clips / "heat_times.csv").unlink()
    done = vitalcam("measure", "good.mp4", "--thermal", "heat.npy", cwd=clips)
    assert done.returncode == 1
    assert "heat_times.csv: no such file; it must hold the time of each thermal picture" in done.stderr
    assert "Traceback" not in done.stderr


def test_json_holds_the_rate_and_the_python_api_gives_the_same(clips: Path) -> None:
    done = vitalcam("measure", "good.mp4", "--json", cwd=clips)
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    rate = document["faces"][0]["heart_rate"]
    assert abs(rate["value"] - 66) < 1
    assert rate["unit"] == "beats/min"

    from vitalcam import measure, report

    same = report.to_dict(measure(str(clips / "good.mp4")))
    assert same["faces"] == document["faces"]


def test_a_face_without_pulse_is_code_3(clips: Path) -> None:
    done = vitalcam("measure", "still.mp4", cwd=clips)
    assert done.returncode == 3
    assert "no value, " in done.stdout


@pytest.mark.parametrize(
    ("name", "code", "message"),
    [
        ("missing.mp4", 1, "no such file"),
        ("bad/folder", 1, "no images"),
        ("bad/text.txt", 1, "text"),
        ("bad/empty.mp4", 1, "empty"),
        ("bad/cut.mp4", 1, "cut off"),
        ("bad/sound.mp4", 1, "no video in it"),
        ("97", 1, "camera 97"),
    ],
)
def test_what_cannot_be_read_is_one_clear_line(clips: Path, name: str, code: int, message: str) -> None:
    done = vitalcam("measure", name, cwd=clips)
    assert done.returncode == code
    assert not done.stdout
    (line,) = done.stderr.splitlines()
    assert line.startswith("vitalcam: ")
    assert name in line
    assert message in line


@pytest.mark.parametrize("name", ["bad/one_frame.mp4", "bad/tiny.mp4"])
def test_what_shows_too_little_is_abstained_from(clips: Path, name: str) -> None:
    done = vitalcam("measure", name, cwd=clips)
    assert done.returncode == 3
    assert "no value" in done.stdout
    assert "Traceback" not in done.stderr


def test_good_files_among_bad_ones_are_measured_by_several_workers_and_resumed(clips: Path, tmp_path: Path) -> None:
    words = ("measure", "*.mp4", "bad", "bad/text.txt", "missing.mp4", "--out", tmp_path / "out", "--jobs", 2)
    done = vitalcam(*words, cwd=clips)
    assert done.returncode == 1
    assert "1 measured, 3 abstained, 5 failed" in done.stderr
    assert "bad: a folder of videos; measuring the 5 in it" in done.stderr
    assert "66." in done.stdout or "65." in done.stdout
    made = {path.name for path in (tmp_path / "out").iterdir()}
    assert made >= {"good.json", "good.png", "good.csv", "good.windows.csv", "manifest.jsonl", "still.json"}
    before = (tmp_path / "out" / "good.json").stat().st_mtime_ns
    again = vitalcam(*words, "--resume", cwd=clips)
    assert "4 of 9 inputs were done before" in again.stderr
    assert again.returncode == 1
    assert (tmp_path / "out" / "good.json").stat().st_mtime_ns == before


@pytest.mark.skipif(os.name == "nt", reason="signals of a process group")
def test_interrupt_ends_the_workers_quietly_and_leaves_no_half_file(clips: Path, tmp_path: Path) -> None:
    names = []
    for number in range(6):
        names.append(clips / f"copy{number}.mov")
        if not names[-1].exists():
            names[-1].write_bytes((clips / "good.mp4").read_bytes())
    out = tmp_path / "out"
    words = [*COMMAND, "measure", *map(str, names), "--out", str(out), "--jobs", "2"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    running = subprocess.Popen(words, start_new_session=True, preexec_fn=_hears_interrupts, **pipes)
    limit = time.monotonic() + 120
    while not _rows(out) and time.monotonic() < limit and running.poll() is None:
        time.sleep(0.02)
    os.killpg(running.pid, signal.SIGINT)
    _, said = running.communicate(timeout=60)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    assert said.splitlines()[-1].endswith("inputs done; go on with --resume")
    assert not list(out.rglob("*.part"))
    finished = [json.loads(line)["name"] for line in _rows(out)]
    assert 1 <= len(finished) < 6
    assert all((out / f"{name}.json").exists() for name in finished)


@pytest.mark.skipif(os.name == "nt", reason="a kill that nobody can catch")
def test_workers_end_when_their_parent_is_killed(clips: Path, tmp_path: Path) -> None:
    names = []
    for number in range(4):
        names.append(tmp_path / f"copy{number}.mp4")
        names[-1].write_bytes((clips / "good.mp4").read_bytes())
    out = tmp_path / "out"
    words = [*COMMAND, "measure", *map(str, names), "--out", str(out), "--jobs", "2"]
    running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    limit = time.monotonic() + 120
    while not list(out.glob("copy*")) and time.monotonic() < limit and running.poll() is None:
        time.sleep(0.02)
    running.kill()
    running.communicate(timeout=30)  # ends only when no worker holds the pipes any more
    assert not list(out.rglob("*.part"))


def test_version(tmp_path: Path) -> None:
    from vitalcam import __version__

    assert vitalcam("--version", cwd=tmp_path).stdout.strip() == f"vitalcam {__version__}"


@pytest.mark.skipif(os.name == "nt", reason="needs a pseudo terminal")
def test_with_a_progress_bar_stdout_still_holds_nothing_but_json(clips: Path) -> None:
    import pty

    ours, theirs = pty.openpty()
    words = [*COMMAND, "measure", "still.mp4", "missing.mp4", "bad/tiny.mp4", "--json"]
    with subprocess.Popen(words, cwd=clips, stdout=subprocess.PIPE, stderr=theirs, text=True) as running:
        os.close(theirs)
        shown = b""
        with contextlib.suppress(OSError):  # how Linux says that the other end was closed
            while piece := os.read(ours, 10_000):
                shown += piece
        out, _ = running.communicate(timeout=120)
    os.close(ours)
    assert [json.loads(line)["source"] for line in out.splitlines()] == ["still.mp4", "missing.mp4", "bad/tiny.mp4"]
    assert "of 3 files" in shown.decode()
    assert "vitalcam: missing.mp4: no such file" in shown.decode()
