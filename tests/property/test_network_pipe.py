"""A network works in a thread of its own; how long it takes changes neither a number nor their order."""

from __future__ import annotations

import time

import numpy as np
import pytest

from vitalcam import Session, Settings, pipeline
from vitalcam.errors import UsageError
from vitalcam.methods import pos
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Clip, Floats, Frame, ModelSpec, Result

PERSON = PersonOnScreen(95.0, face_height=0.6, visible=lambda t: not 9.0 <= t < 11.0)
TIMES = np.arange(26 * 20) / 20
PICTURES = render(Scene(200, 150, (PERSON,), noise_sigma=1.0), TIMES)
FRAMES = [Frame(p, float(t), i) for i, (p, t) in enumerate(zip(PICTURES, TIMES, strict=True))]


class Slow:
    """POS on small pictures, as slow as it is told to be."""

    spec = ModelSpec(
        "slow", ("bvp",), "", size_px=9, fs_hz=25.0, frames=180, frames_multiple=4, sha256="0123456789abcd"
    )

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.lengths: list[int] = []

    def run(self, clip: Clip) -> dict[str, Floats]:
        self.lengths.append(len(clip.frames))
        time.sleep(self.seconds)
        return {"bvp": pos.waveform(clip.frames.mean(axis=(1, 2)), fs_hz=clip.fs_hz)}


def measured(runner: Slow, monkeypatch: pytest.MonkeyPatch, *, group: int) -> tuple[list, Result]:
    monkeypatch.setattr(pipeline, "_runner", lambda settings: runner)
    session = Session(Settings())
    told = [e for k in range(0, len(FRAMES), group) for e in session.push(*FRAMES[k : k + group])]
    told += session.flush()
    return told, session.finish()


def test_speed_and_grouping_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    quick, result = measured(Slow(0.0), monkeypatch, group=1)
    assert [e.value for e in quick if e.quantity == "heart_rate" and e.value]
    assert tuple(quick) == result.estimates
    for seconds, group in ((0.1, 7), (0.02, 200)):
        told, slow = measured(Slow(seconds), monkeypatch, group=group)
        assert told == quick
        np.testing.assert_array_equal(slow.signals["bvp"].values, result.signals["bvp"].values)


def test_the_result_names_the_network_and_its_digest(monkeypatch: pytest.MonkeyPatch) -> None:
    _, result = measured(Slow(0.0), monkeypatch, group=50)
    assert {e.method for e in result.estimates if e.quantity == "heart_rate"} == {"slow"}
    assert result.versions["slow"] == "0123456789ab"


def test_clips_fit_the_network(monkeypatch: pytest.MonkeyPatch) -> None:
    runner = Slow(0.0)
    measured(runner, monkeypatch, group=50)
    assert all(n % 4 == 0 and n <= 184 for n in runner.lengths)
    assert 176 in runner.lengths or 180 in runner.lengths


def test_an_error_of_the_network_arrives(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(Slow):
        def run(self, clip: Clip) -> dict[str, Floats]:
            raise UsageError("broken: cannot take this clip")

    with pytest.raises(UsageError, match="broken"):
        measured(Broken(0.0), monkeypatch, group=50)
