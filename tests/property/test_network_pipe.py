"""A network works in a thread of its own; how long it takes changes neither a number nor their order."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator

import numpy as np
import pytest

from vitalcam import Session, Settings, pipeline
from vitalcam.errors import UsageError
from vitalcam.methods import pos
from vitalcam.signal import spectrum
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Clip, Floats, Frame, ModelSpec, Result, Video

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


class Warm(Slow):
    """Takes the pulse from the thermal picture, of which the colour picture's green was made."""

    def __init__(self, *channels: str) -> None:
        super().__init__(0.0)
        self.spec = dataclasses.replace(Slow.spec, channels={name: {"rgb": 3, "thermal": 1}[name] for name in channels})
        self.seen: list[Floats] = []

    def run(self, clip: Clip) -> dict[str, Floats]:
        self.seen.append(clip.frames)
        return {"bvp": -clip.frames[..., -1].mean(axis=(1, 2))}


def colour() -> Video:
    return Video("colour", 200, 150, 20.0, 26.0, lambda: iter(FRAMES))


def heat(stop_s: float = 99.0) -> Video:
    """20 degrees and 0.1 a grey level of green, in half as many pixels, at 10 Hz."""

    def frames() -> Iterator[Frame]:
        for frame in FRAMES[::2]:
            if frame.time_s < stop_s:
                green = np.asarray(frame.pixels)[::2, ::2, 1:2].astype(np.float32)
                yield Frame(20 + green / 10, frame.time_s, frame.index)

    return Video("heat", 100, 75, 10.0, 26.0, frames, "thermal")


@pytest.mark.parametrize("channels", [("thermal",), ("rgb", "thermal")])
def test_a_network_sees_the_heat_of_the_face(monkeypatch: pytest.MonkeyPatch, channels: tuple[str, ...]) -> None:
    runner = Warm(*channels)
    monkeypatch.setattr(pipeline, "_runner", lambda settings: runner)
    result = pipeline.measure(colour(), thermal=heat())
    values = np.concatenate(runner.seen)
    assert values.shape[1:] == (9, 9, 4 if "rgb" in channels else 1)
    if "rgb" in channels:
        np.testing.assert_allclose(values[:, 2:7, 2:7, 3], 20 + values[:, 2:7, 2:7, 1] / 10, atol=1.5)
    wave = result.signals["bvp"]
    early = wave.values[(wave.time_s > 1) & (wave.time_s < 8)]
    freq, power = spectrum.power(early, fs_hz=wave.fs_hz, low_hz=0.7, high_hz=3.5)
    assert 60 * spectrum.peak(freq, power)[0] == pytest.approx(95, abs=3)


def test_where_there_is_no_heat_is_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_runner", lambda settings: Warm("rgb", "thermal"))
    result = pipeline.measure(colour(), thermal=heat(stop_s=8.0))
    assert result.signals["bvp"].time_s.max() < 8.5
    late = [e for e in result.estimates if e.quantity == "heart_rate" and e.t0_s > 12]
    assert late
    assert {e.reason for e in late} == {"gap"}


def test_heat_and_who_sees_it_come_together(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "_runner", lambda settings: Warm("thermal"))
    with pytest.raises(UsageError, match="sees heat, and colour comes without a thermal video"):
        pipeline.measure(colour())
    monkeypatch.setattr(pipeline, "_runner", lambda settings: Slow(0.0))
    with pytest.raises(UsageError, match=r"heat: .* does not look at thermal video"):
        pipeline.measure(colour(), thermal=heat())
