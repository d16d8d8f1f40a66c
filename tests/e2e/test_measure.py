"""The main job on painted people through real encoders: right where there is a pulse, silent where there is none."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from vitalcam import Settings, measure, stream
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Estimate, Result
from vitalcam.video.write import write_dib_avi, write_video


def clock(seconds: float, fps_hz: float) -> np.ndarray:
    return np.arange(round(seconds * fps_hz)) / fps_hz


def jittered(seconds: float, fps_hz: float) -> np.ndarray:
    rng = np.random.default_rng(1)
    steps = np.maximum(1 + 0.25 * rng.standard_normal(round(seconds * fps_hz)), 0.3) / fps_hz
    return np.cumsum(steps) - steps[0]


def filmed(scene: Scene, times: np.ndarray, settings: Settings | None = None) -> Result:
    return measure(zip(times, render(scene, times), strict=True), settings)


def heart_rates(result: Result) -> list[Estimate]:
    return [w for w in result.estimates if w.quantity == "heart_rate"]


def person(heart_rate: float | None = 72.0, **more: object) -> Scene:
    looks = PersonOnScreen(heart_rate, face_height=0.65, **more)  # type: ignore[arg-type]
    return Scene(320, 240, (looks,), noise_sigma=2.0)


@pytest.mark.parametrize(
    ("rate", "fps", "name", "options"),
    [
        (50, 30, "clip.mp4", {"crf": 12}),
        (72, 29.97, "clip.mp4", {"bit_rate": 1_500_000}),
        (111, 25, "clip.mkv", {"crf": 12}),
        (150, 24, "clip.mov", {"crf": 12}),
        (185, 30, "clip.mp4", {"crf": 12}),
        (185, 15, "clip.avi", {"codec": "mjpeg"}),
        (72, 60, "clip.mkv", {"codec": "ffv1"}),
        (111, 15, "clip.mkv", {"codec": "ffv1"}),
        (50, 24, "clip.mkv", {"codec": "mjpeg"}),
    ],
)
def test_known_rate_through_encoders(tmp_path: Path, rate: float, fps: float, name: str, options: dict) -> None:
    times = clock(13, fps)
    path = tmp_path / name
    write_video(path, render(person(rate), times), fps_hz=fps, **options)
    found = measure(path).heart_rate
    assert found.value == pytest.approx(rate, abs=1), found
    assert found.confidence >= 0.5


def test_variable_frame_rate(tmp_path: Path) -> None:
    times = jittered(13, 30)
    path = tmp_path / "vfr.mp4"
    write_video(path, render(person(111.0), times), times_s=times, crf=12)
    result = measure(path)
    assert result.heart_rate.value == pytest.approx(111, abs=1)
    assert result.video["duration_s"] == pytest.approx(times[-1], abs=0.01)


def test_uncompressed_avi_as_ubfc(tmp_path: Path) -> None:
    path = tmp_path / "vid.avi"
    times = clock(11, 30)
    scene = Scene(241, 180, (PersonOnScreen(72.0, face_height=0.6),))
    write_dib_avi(path, np.stack(list(render(scene, times))), fps_hz=30)
    assert measure(path).heart_rate.value == pytest.approx(72, abs=1)


def test_heavy_compression_is_right_or_refused(tmp_path: Path) -> None:
    for crf in (32, 40):
        path = tmp_path / f"{crf}.mp4"
        write_video(path, render(person(97.0, amplitude=0.004), clock(12, 30)), fps_hz=30, crf=crf)
        for window in heart_rates(measure(path)):
            assert window.value is None or abs(window.value - 97) <= 2


def test_two_faces_two_rates() -> None:
    people = (
        PersonOnScreen(62.0, centre=(0.27, 0.45), face_height=0.45),
        PersonOnScreen(118.0, centre=(0.74, 0.5), face_height=0.4),
    )
    times = clock(12, 30)
    under_way = stream(zip(times, render(Scene(480, 270, people), times), strict=True), Settings(faces=None))
    told = [(e.face, e.value) for e in under_way if e.value]
    assert {face for face, _ in told} == {1, 2}
    assert len({(face, value > 90) for face, value in told}) == 2, "each face keeps its number"
    result = under_way.result
    rates = sorted(face.heart_rate.value or math.nan for face in result.faces)
    assert rates == pytest.approx([62, 118], abs=1)
    for face in result.faces:
        assert {e.face for e in (face.heart_rate, face.resp_rate, *face.hrv.values(), *face.windows)} == {face.id}
    only_one = filmed(Scene(480, 270, people), clock(6, 30), Settings(faces=1))
    assert len(only_one.faces) == 1


def test_one_face_out_of_frames_of_pictures_only() -> None:
    scene = person(72.0)
    photo = next(iter(render(scene, np.zeros(1))))
    rng = np.random.default_rng(0)
    wall = np.full((240, 320, 3), 150.0)
    nothing = {
        "photo": (photo for _ in range(330)),
        "noisy photo": (np.clip(photo + rng.normal(0, 2, photo.shape), 0, 255).astype(np.uint8) for _ in range(330)),
        "wall": (np.clip(wall + rng.normal(0, 2, wall.shape), 0, 255).astype(np.uint8) for _ in range(330)),
        "noise": (rng.integers(0, 256, (240, 320, 3), np.uint8) for _ in range(330)),
        "black": (np.zeros((240, 320, 3), np.uint8) for _ in range(330)),
    }
    for name, frames in nothing.items():
        result = measure(zip(clock(11, 30), frames, strict=True))
        assert result.heart_rate.value is None, name
        reasons = {"photo": "frozen", "noisy photo": "no_pulse", "black": "dark"}
        assert result.heart_rate.reason == reasons.get(name, "no_face"), name
        assert all(w.value is None for w in result.estimates), name


@pytest.mark.parametrize(
    ("name", "scene"),
    [
        (
            "flicker",
            Scene(320, 240, (PersonOnScreen(None),), light=lambda t: 1 + 0.02 * math.sin(2 * math.pi * 1.3 * t)),
        ),
        ("nod", person(None, motion=lambda t: (0.0, 0.03 * math.sin(2 * math.pi * 1.1 * t)))),
        ("sway", person(None, motion=lambda t: (0.08 * math.sin(2 * math.pi * 0.8 * t), 0.0))),
        ("dark", Scene(320, 240, (PersonOnScreen(None),), light=lambda t: 0.1)),
    ],
)
def test_no_pulse_no_number(name: str, scene: Scene) -> None:
    result = filmed(scene, clock(13, 30))
    assert result.heart_rate.value is None
    assert [w for w in heart_rates(result) if w.value is not None] == []


@pytest.mark.parametrize("by", [{"method": "pos"}, {}], ids=["pos", "network"])
def test_who_walks_is_read(by: dict[str, str]) -> None:
    """The crop goes with a head that bobs and sways, at rates beside the pulse; the steps alone are no pulse."""

    def steps(t: float) -> tuple[float, float]:
        return 0.05 * math.sin(2 * math.pi * 0.9 * t), 0.06 * math.sin(2 * math.pi * 1.8 * t)

    found = heart_rates(filmed(person(72.0, motion=steps), clock(13, 30), Settings(**by)))
    assert [w.value for w in found] == pytest.approx([72.0] * len(found), abs=1)
    assert min(w.confidence for w in found) > 0.9
    nobody = heart_rates(filmed(person(None, motion=steps), clock(13, 30), Settings(**by)))
    assert [w.value for w in nobody] == [None] * len(nobody)


def test_too_short() -> None:
    result = filmed(person(), clock(4, 30))
    assert result.heart_rate.value is None
    assert result.heart_rate.reason == "too_short"


def test_face_leaves_and_returns() -> None:
    scene = person(80.0, visible=lambda t: not 12 <= t < 20)
    windows = heart_rates(filmed(scene, clock(32, 30)))
    told = {round(w.t1_s): w.value for w in windows}
    assert told[12] == pytest.approx(80, abs=1)
    assert all(told[t] is None for t in range(15, 21)), told
    assert told[25] == pytest.approx(80, abs=2)
    assert all(v is None or abs(v - 80) <= 3 for v in told.values()), told


def test_black_stretch_is_a_gap() -> None:
    scene = Scene(320, 240, (PersonOnScreen(90.0, face_height=0.6),), light=lambda t: 0.0 if 8 <= t < 13 else 1.0)
    result = filmed(scene, clock(26, 30))
    wave = result.signals["bvp"]
    assert np.isnan(wave.between(8.8, 12.9).values).all()
    assert result.heart_rate.value == pytest.approx(90, abs=1)
    assert all(w.value is None for w in heart_rates(result) if 11 <= w.t1_s <= 13)


@pytest.mark.parametrize(("noise", "fps", "rate"), [(1.0, 30, 72.0), (3.0, 25, 66.0), (5.0, 30, 110.0)])
def test_a_regular_pulse_has_no_variability(noise: float, fps: float, rate: float) -> None:
    scene = Scene(320, 240, (PersonOnScreen(rate, resp_rate_bpm=None, face_height=0.65),), noise_sigma=noise)
    face = filmed(scene, clock(26, fps)).faces[0]
    assert face.hrv["mean_ibi"].value == pytest.approx(60000 / rate, rel=0.01)
    for name in ("rmssd", "sdnn"):
        value = face.hrv[name].value
        assert value is None or value < 8, face.hrv[name]
