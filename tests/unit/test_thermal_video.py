"""Thermal video: from arrays with their times, and beside a colour video."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitalcam.errors import VideoError
from vitalcam.types import Frame, Video
from vitalcam.video.beside import APART_S, beside
from vitalcam.video.thermal import open_thermal

KELVIN = (100 * (np.arange(5 * 4 * 6).reshape(5, 4, 6) / 10 + 293.15)).round().astype(np.uint16)


def saved(folder, pictures, times="time_s\n0\n0.1\n0.2\n0.3\n0.4\n"):
    np.save(folder / "heat.npy", pictures)
    (folder / "heat_times.csv").write_text(times)
    return folder / "heat.npy"


@pytest.mark.parametrize("pictures", [KELVIN, KELVIN / 100 - 273.15, (KELVIN / 100 - 273.15).astype(np.float32)])
def test_kelvin_and_celsius_are_the_same_degrees(tmp_path, pictures):
    video = open_thermal(saved(tmp_path, pictures))
    assert (video.width, video.height, video.channels) == (6, 4, "thermal")
    assert video.fps_nominal == pytest.approx(10)
    frames = list(video)
    assert [frame.time_s for frame in frames] == [0, 0.1, 0.2, 0.3, 0.4]
    np.testing.assert_allclose(frames[2].pixels[..., 0], 20 + np.arange(48, 72).reshape(4, 6) / 10, atol=0.02)
    assert open_thermal(video) is video


@pytest.mark.parametrize(
    ("pictures", "times", "said"),
    [
        (KELVIN[0], None, r"heat\.npy: is uint16 of shape \(4, 6\)"),
        (KELVIN.astype(np.int32), None, r"heat\.npy: is int32"),
        (KELVIN[:0], None, r"heat\.npy: is uint16 of shape \(0, 4, 6\)"),
        (KELVIN * 2, None, r"heat\.npy: its first picture would be of 3\d\d degrees"),
        (np.full((5, 4, 6), np.nan), None, r"heat\.npy: its first picture would be of nan degrees"),
        (KELVIN, "time_s\n0\n1\n", r"heat\.npy: has 5 pictures, and heat_times\.csv 2 times"),
        (KELVIN, "", r"0 times"),
        (KELVIN, "time_s\n0\n0.1\n0.2\n0.2\n0.4\n", r"heat_times\.csv: its times must be finite and increase"),
        (KELVIN, "time_s\n0\n0.1\n0.2\nnan\n0.4\n", r"heat_times\.csv: its times must be finite and increase"),
        (KELVIN, "time_s\n0\nlate\n", r"heat_times\.csv: damaged"),
    ],
)
def test_what_is_no_thermal_video_is_named(tmp_path, pictures, times, said):
    path = saved(tmp_path, pictures, *([] if times is None else [times]))
    with pytest.raises(VideoError, match=said):
        open_thermal(path)


def test_missing_or_other_files_are_named(tmp_path):
    with pytest.raises(VideoError, match=r"nowhere\.npy: no such file"):
        open_thermal(tmp_path / "nowhere.npy")
    path = saved(tmp_path, KELVIN)
    path.with_name("heat_times.csv").unlink()
    with pytest.raises(VideoError, match=r"heat_times\.csv: no such file"):
        open_thermal(path)
    for content in (b"no array", b""):
        path.write_bytes(content)
        with pytest.raises(VideoError, match=r"heat\.npy: is no array"):
            open_thermal(path)
    with path.open("wb") as file:
        np.savez(file, pictures=KELVIN)
    with pytest.raises(VideoError, match=r"heat\.npy: is no array"):
        open_thermal(path)
    with pytest.raises(VideoError, match="is no thermal video"):
        open_thermal(Video("colour", 4, 4, 30, 1, list))


def film(times, channels, value):
    def frames():
        for index, time_s in enumerate(times):
            yield Frame(
                np.full((2, 2, channels), value(time_s), np.float32 if channels == 1 else np.uint8), time_s, index
            )

    return Video(
        "film", 2, 2, 30.0, 1.0, frames, "thermal" if channels == 1 else "rgb", warnings=["lost"] * (channels == 1)
    )


@given(
    st.lists(st.integers(0, 300), min_size=1, max_size=40, unique=True),
    st.lists(st.integers(0, 300), min_size=1, max_size=40, unique=True),
)
def test_each_picture_has_the_heat_of_its_time(colour, heat):
    """Heat that grows with time is that of the colour picture's time, where there is a thermal picture near."""
    colour_s, heat_s = (np.sort(times) / 100 for times in (colour, heat))
    video = beside(film(colour_s, 3, lambda t: 100), film(heat_s, 1, lambda t: 20 + t))
    seen = list(video)
    assert [frame.time_s for frame in seen] == list(colour_s)
    for frame in seen:
        apart_s = np.abs(heat_s - frame.time_s)
        if abs(apart_s.min() - APART_S) < 1e-9:
            continue
        assert (frame.thermal is None) == (apart_s.min() > APART_S)
        if frame.thermal is not None:
            between = heat_s.min() <= frame.time_s <= heat_s.max() and np.sort(apart_s)[:2].max() < APART_S
            sides = {np.sign(t) for t in (heat_s - frame.time_s)[apart_s < APART_S - 1e-9]}
            exact = between and (len(sides) > 1 or 0 in sides)
            assert frame.thermal == pytest.approx(20 + frame.time_s, abs=1e-4 if exact else APART_S)
    alone = sum(frame.thermal is None for frame in seen)
    assert any(f"of {alone} of the {len(seen)} frames" in said for said in video.warnings) == (alone > 0)
    assert video.channels == "rgbt"
    assert video.info["thermal"] == "film"
    assert "lost" in video.warnings
