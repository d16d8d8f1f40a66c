import sys

import av
import numpy as np
import pytest

from vitalcam.errors import VideoError
from vitalcam.types import Frame
from vitalcam.video import camera
from vitalcam.video.camera import open_camera, open_device
from vitalcam.video.read import open_video

ARRAY = np.random.default_rng(0).integers(0, 255, (4, 6, 8, 3), dtype=np.uint8)


def test_array():
    video = open_video(ARRAY, fps_hz=20)
    assert (video.width, video.height, video.fps_nominal, video.duration_s) == (8, 6, 20, pytest.approx(0.2))
    for _ in range(2):
        frames = list(video)
        assert [f.time_s for f in frames] == [0, 0.05, 0.1, 0.15]
        assert all(np.shares_memory(f.pixels, ARRAY) for f in frames)
    video = open_video(ARRAY, times_s=[3, 4, 6, 7])
    assert [f.time_s for f in video] == [3, 4, 6, 7]


def test_iterables():
    pairs = [(i / 10, rgb) for i, rgb in enumerate(ARRAY)]
    listed = open_video(pairs)
    assert [f.time_s for f in listed] == [f.time_s for f in listed] == [0, 0.1, 0.2, 0.3]
    assert [f.index for f in listed] == [0, 1, 2, 3]
    generated = open_video(pair for pair in pairs)
    assert (generated.width, generated.height, len(list(generated))) == (8, 6, 4)
    with pytest.raises(VideoError, match="only once"):
        list(generated)
    framed = open_video([Frame(rgb, time_s, 0) for time_s, rgb in pairs], fps_hz=5)
    assert [f.time_s for f in framed] == [0, 0.2, 0.4, pytest.approx(0.6)]
    assert [f.time_s for f in open_video(open_video(ARRAY, fps_hz=2))] == [0, 0.5, 1, 1.5]


def test_iterable_is_read_lazily():
    taken = []

    def endless():
        for i in range(10**9):
            taken.append(i)
            yield i / 30, ARRAY[0]

    frames = open_video(endless()).frames()
    assert [next(frames).index for _ in range(3)] == [0, 1, 2]
    assert len(taken) == 3


def test_frames_that_do_not_advance_are_left_out():
    video = open_video([(t, ARRAY[0]) for t in (0, 0.1, 0.1, 0.05, 0.2)])
    assert [f.time_s for f in video] == [0, 0.1, 0.2]
    assert "time did not advance were left out: 2" in video.warnings[0]


@pytest.mark.parametrize("options", [{"fps_hz": 10}, {"times_s": [0, 0.1, 0.2, 0.3]}])
def test_pictures_alone_take_the_times_that_are_given(options):
    frames = list(open_video(iter(ARRAY), **options))
    assert [f.time_s for f in frames] == [0, 0.1, 0.2, pytest.approx(0.3)]
    np.testing.assert_array_equal(frames[3].pixels, ARRAY[3])


def test_frames_of_another_size_are_left_out_with_one_warning():
    video = open_video([*ARRAY[:2], ARRAY[2, :4], ARRAY[3, :4], ARRAY[3]], fps_hz=10)
    assert [f.time_s for f in video] == [0, 0.1, 0.4]
    assert [f.time_s for f in video] == [0, 0.1, 0.4]
    assert video.warnings == ["iterable: frames of another size than the first were left out: 2"]


@pytest.mark.parametrize(
    ("source", "options", "message"),
    [
        (ARRAY, {}, "give fps_hz or times_s"),
        (ARRAY.astype(float), {"fps_hz": 30}, "must be .T, H, W, 3. uint8"),
        (ARRAY[0], {"fps_hz": 30}, "must be .T, H, W, 3. uint8"),
        (ARRAY[:0], {"fps_hz": 30}, "with T > 0"),
        (ARRAY, {"fps_hz": 0}, "is not a frame rate"),
        (ARRAY, {"fps_hz": float("nan")}, "is not a frame rate"),
        (ARRAY, {"times_s": [0, 1]}, "4 frames but 2 times_s"),
        (ARRAY, {"times_s": [0, 1, 1, 2]}, "strictly increasing"),
        (ARRAY, {"times_s": [0, 1, 2, 3], "fps_hz": 30}, "not both"),
        ([], {}, "gives no frames"),
        ([1, 2], {}, "item 0 is not"),
        ([(0.0, ARRAY)], {}, "item 0 is not"),
        (3.5, {}, "is not a video"),
        (None, {}, "is not a video"),
        (iter(ARRAY), {}, "frames have no times; give fps_hz"),
        ("", {}, "is empty; give a path"),
        ("https://example.org/face.mp4?a=1", {}, "is not a file on this machine"),
        ("nothing-*.mp4", {}, "no file matches"),
        (True, {}, "is not a video"),
    ],
)
def test_bad_sources(source, options, message):
    with pytest.raises(VideoError, match=message) as raised:
        open_video(source, **options)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("device", [97, "97", "/dev/video97"])
def test_camera_that_does_not_exist(device):
    with pytest.raises(VideoError, match=f"camera {device}: ") as raised:
        open_video(device)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("platform", "device", "address"),
    [
        ("linux", 2, ("/dev/video2", "v4l2")),
        ("linux", "3", ("/dev/video3", "v4l2")),
        ("linux", "/dev/video1", ("/dev/video1", "v4l2")),
        ("darwin", 0, ("0", "avfoundation")),
        ("darwin", "FaceTime", ("FaceTime", "avfoundation")),
        ("win32", "USB Camera", ("video=USB Camera", "dshow")),
    ],
)
def test_camera_addresses(monkeypatch, platform, device, address):
    monkeypatch.setattr(sys, "platform", platform)
    assert camera._address(device) == address


@pytest.mark.skipif("avfoundation" in av.formats_available, reason="this PyAV has the driver of macOS")
def test_missing_driver_is_told(monkeypatch):
    monkeypatch.setattr(sys, "platform", "darwin")
    with pytest.raises(VideoError, match="has no avfoundation"):
        open_camera(0)


def test_device_gives_frames_with_its_stamps():
    """libavdevice's test picture stands for a camera."""
    video = open_device("testsrc=size=64x48:rate=20:duration=0.5", "lavfi", {}, "camera test")
    assert (video.width, video.height, video.fps_nominal) == (64, 48, 20)
    for _ in range(2):
        np.testing.assert_allclose([f.time_s for f in video], np.arange(10) / 20)


def test_clock_of_a_camera_falls_back_to_arrival():
    clock = camera._CaptureClock()
    times = [
        clock.time_s(stamp, arrival) for stamp, arrival in [(5, 100), (5.1, 101), (5.1, 102), (None, 103), (5, 103)]
    ]
    assert times == [0, pytest.approx(0.1), 2, 3, None]
    clock = camera._CaptureClock()
    assert [clock.time_s(None, arrival) for arrival in (7.0, 7.5)] == [0, 0.5]
