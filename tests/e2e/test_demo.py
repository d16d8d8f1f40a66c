"""The clip that comes with the package, and the command that measures it."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path

import pytest

from vitalcam import example, measure
from vitalcam.types import Result


def _run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from vitalcam.cli import main; main()", "demo", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300)


def _number(said: str, row: str) -> float:
    line = next(line for line in said.splitlines() if line.strip().startswith(row))
    return float(line.removeprefix("  ").removeprefix(row).split()[0])


@pytest.fixture(scope="module")
def measured() -> Result:
    return measure(example.CLIP)


def test_the_clip_is_the_one_on_its_card_and_small() -> None:
    assert hashlib.sha256(example.CLIP.read_bytes()).hexdigest() == example.card()["sha256"]
    assert example.CLIP.stat().st_size <= 1_000_000


def test_the_card_says_that_it_is_synthetic_and_chosen() -> None:
    assert "no real person" in example.card()["about"]
    assert example.card()["scene"]["scenario"] == "still"


def test_truth_is_what_the_scene_is_about() -> None:
    truth, scene = example.truth(), example.card()["scene"]
    assert abs(truth.heart_rate_bpm - scene["heart"]["rate_bpm"]) < 5
    assert abs(truth.resp_rate_bpm - scene["breath"]["rate_per_min"]) < 5
    assert 0 <= truth.beats_s[0] < truth.beats_s[-1] < scene["duration_s"]


def test_the_rate_is_the_true_one_and_most_windows_have_one(measured: Result) -> None:
    rate = measured.heart_rate
    assert rate.value is not None
    assert abs(rate.value - example.truth().heart_rate_bpm) < 2
    assert rate.quality["answered"] > 0.8


def test_breathing_is_the_true_rate_or_none(measured: Result) -> None:
    breathing = measured.resp_rate.value
    assert breathing is None or abs(breathing - example.truth().resp_rate_bpm) < 2


def test_demo_prints_the_truth_beside_what_it_measures(tmp_path: Path, measured: Result) -> None:
    done = _run(tmp_path, "--out", "there")
    assert done.returncode == 0, done.stderr
    assert "synthetic" in done.stdout.splitlines()[0]
    assert _number(done.stdout, "heart rate") == pytest.approx(measured.heart_rate.value, abs=0.06)
    assert _number(done.stdout, "truth") == pytest.approx(example.truth().heart_rate_bpm, abs=0.06)
    assert [path.name for path in (tmp_path / "there").iterdir()] == ["vitalcam-demo.png"]


def test_demo_measures_the_rate_that_it_paints(tmp_path: Path) -> None:
    done = _run(tmp_path, "--seconds", "10", "--heart-rate", "84")
    assert done.returncode == 0, done.stderr
    assert abs(_number(done.stdout, "heart rate") - 84) < 2
    assert _number(done.stdout, "truth") == 84
