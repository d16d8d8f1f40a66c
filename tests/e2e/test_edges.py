"""Odd clocks, odd steps, odd ends."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

import vitalcam
from vitalcam import Session, Settings, measure, stream
from vitalcam.errors import ConfigError
from vitalcam.signal import quality
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Frame

SCENE = Scene(200, 150, (PersonOnScreen(84.0, face_height=0.65),), noise_sigma=1.0)


def frames(seconds: float, fps_hz: float, start_s: float = 0.0) -> list[tuple[float, np.ndarray]]:
    times = np.arange(round(seconds * fps_hz)) / fps_hz
    return [(start_s + float(t), picture) for t, picture in zip(times, render(SCENE, times), strict=True)]


@pytest.mark.parametrize("start_s", [1_795_000_000.0, -50.0])
def test_any_clock(start_s: float) -> None:
    result = measure([Frame(p, t, i) for i, (t, p) in enumerate(frames(9, 20, start_s))])
    assert result.heart_rate.value == pytest.approx(84, abs=1)
    assert result.heart_rate.t0_s == pytest.approx(start_s, abs=0.3)
    assert result.signals["bvp"].time_s[0] == pytest.approx(start_s, abs=0.3)
    assert all(w.t0_s >= start_s for w in result.estimates)


def test_what_a_rule_refuses_has_no_confidence() -> None:
    """More swing than blood can give: a clear rate, and surely not a pulse."""
    glowing = Scene(200, 150, (PersonOnScreen(84.0, face_height=0.65, amplitude=0.15),), noise_sigma=1.0)
    times = np.arange(200) / 20
    pictures = zip(times, render(glowing, times), strict=True)
    result = measure([Frame(picture, float(time_s), i) for i, (time_s, picture) in enumerate(pictures)])
    assert (result.heart_rate.value, result.heart_rate.reason) == (None, "motion")
    assert result.heart_rate.confidence == 0.0
    assert {w.confidence for w in result.estimates if w.quantity == "heart_rate"} == {0.0}


def test_a_network_may_have_a_confidence_of_its_own(tmp_path: Path) -> None:
    """Its card says by which weights it is judged: here by an intercept alone."""
    shipped = Path(vitalcam.__file__).parent / "weights" / "mmrphys_9.json"
    fields = json.loads(shipped.read_text())
    for odds, confidence, reason in ((3.0, 0.953, None), (-1.0, 0.269, "low_quality")):
        fields["confidence_weights"] = [odds, *[0.0] * len(quality.SIGNS)]
        (tmp_path / shipped.name).write_text(json.dumps(fields))
        shutil.copy(shipped.with_suffix(".onnx"), tmp_path)
        settings = Settings(model=str(tmp_path / "mmrphys_9.onnx"))
        result = measure([Frame(p, t, i) for i, (t, p) in enumerate(frames(9, 20))], settings)
        assert result.heart_rate.confidence == pytest.approx(confidence, abs=0.001)
        assert result.heart_rate.reason == reason


def test_too_few_frames_a_second() -> None:
    assert measure(frames(12, 3)).heart_rate.reason == "low_fps"


@pytest.mark.parametrize("step_s", [0.7, 5.0])
def test_breathing_whatever_the_step(step_s: float) -> None:
    result = measure(frames(27, 15), Settings(step_s=step_s))
    assert result.resp_rate.value == pytest.approx(15, abs=1)
    assert any(w.quantity == "resp_rate" and w.t1_s > 24 for w in result.estimates)


def test_a_stream_is_read_once_and_its_session_ends() -> None:
    under_way = stream(frames(6, 20))
    first = next(iter(under_way))
    rest = list(under_way)
    assert [first, *rest] == list(under_way.result.estimates)
    assert list(under_way) == []
    with pytest.raises(ValueError, match="finished"):
        under_way.session.push(Frame(np.zeros((150, 200, 3), np.uint8), 99.0, 0))


def test_nothing_at_all() -> None:
    assert Session().finish().heart_rate.reason == "too_short"


def test_pictures_shown_twice_do_no_harm() -> None:
    once = frames(9, 15)
    twice = [(t + k / 30, picture) for t, picture in once for k in range(2)]
    assert measure(twice).heart_rate.value == pytest.approx(84, abs=1)


def test_a_camera_that_hangs_is_a_gap() -> None:
    moving = frames(12, 20)
    still = [(12 + k / 20, moving[-1][1]) for k in range(120)]
    rates = [w for w in measure(moving + still).estimates if w.quantity == "heart_rate"]
    assert [w.reason for w in rates if w.t1_s > 14] == ["frozen"] * 4
    assert all(w.value is None or abs(w.value - 84) < 2 for w in rates)


@pytest.mark.parametrize(
    "wrong", [{"faces": "all"}, {"faces": 1.5}, {"window_s": "10"}, {"step_s": 0.0}, {"method": 3}]
)
def test_wrong_settings(wrong: dict) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Settings(**wrong)


def test_a_face_that_does_not_come_back() -> None:
    person = PersonOnScreen(84.0, face_height=0.65, visible=lambda t: t < 24)
    times = np.arange(62 * 15) / 15
    pictures = render(Scene(160, 120, (person,), noise_sigma=1.0), times)
    windows = measure(zip(times, pictures, strict=True)).estimates
    breathing = [w.reason for w in windows if w.quantity == "resp_rate"]
    assert breathing[-1] == "gap"
    assert all(w.value is None for w in windows if w.t1_s > 56)
