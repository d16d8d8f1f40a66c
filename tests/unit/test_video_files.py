import os
import struct
import subprocess
import sys

import av
import numpy as np
import pytest

from vitalcam.errors import OutputError, VideoError
from vitalcam.types import Planes
from vitalcam.video import container
from vitalcam.video.colour import to_rgb
from vitalcam.video.read import open_video
from vitalcam.video.write import write_dib_avi, write_video

FPS_HZ = 29.97


def clip(n_frames=20, height=48, width=64):
    """Slowly changing ramps: what any codec keeps."""
    down, right = np.mgrid[:height, :width]
    return np.stack([np.stack([60 + right + i, 200 - down, 100 + 0 * right + i], -1) for i in range(n_frames)]).astype(
        np.uint8
    )


def noise(n_frames, height, width, seed=0):
    return np.random.default_rng(seed).integers(0, 255, (n_frames, height, width, 3), dtype=np.uint8)


def read(path, **options):
    video = open_video(path, **options)
    frames = list(video)
    return video, np.array([f.time_s for f in frames]), np.stack([to_rgb(f) for f in frames])


@pytest.mark.parametrize(
    ("name", "codec", "tolerance", "tick_s"),
    [
        ("a.mp4", "libx264", 10, 1e-9),
        ("a.mov", "libx264", 10, 1e-9),
        ("a.avi", "libx264", 10, 1e-9),
        ("a.mkv", "libx264", 10, 1e-3),
        ("a.webm", "libvpx-vp9", 12, 1e-3),
        ("a.avi", "mjpeg", 8, 1e-9),
        ("a.mov", "mjpeg", 8, 1e-9),
        ("a.mkv", "ffv1", 0, 1e-3),
        ("a.avi", "ffv1", 0, 1e-9),
        ("a.avi", "rawvideo", 0, 1e-9),
    ],
)
def test_constant_rate_round_trip(tmp_path, name, codec, tolerance, tick_s):
    frames = clip()
    write_video(tmp_path / name, frames, fps_hz=FPS_HZ, codec=codec)
    video, times_s, rgb = read(tmp_path / name)
    assert (video.width, video.height, video.warnings) == (64, 48, [])
    assert video.fps_nominal == pytest.approx(FPS_HZ)
    assert video.duration_s == pytest.approx(20 / FPS_HZ, abs=0.01)
    assert video.info["codec"] in (codec, {"libx264": "h264", "libvpx-vp9": "vp9"}.get(codec))
    np.testing.assert_allclose(times_s, np.arange(20) / FPS_HZ, atol=tick_s)
    np.testing.assert_allclose(rgb.astype(int), frames, atol=tolerance)


@pytest.mark.parametrize(("name", "tick_s"), [("a.mp4", 1e-5), ("a.mov", 1e-5), ("a.mkv", 1e-3)])
def test_variable_rate_round_trip(tmp_path, name, tick_s):
    times_s = 7 + np.cumsum(np.random.default_rng(1).uniform(0.01, 0.09, 20))
    write_video(tmp_path / name, clip(), times_s=times_s)
    _, found_s, _ = read(tmp_path / name)
    assert found_s[0] == 0
    np.testing.assert_allclose(found_s, times_s - times_s[0], atol=tick_s)


def test_decoder_planes_outlive_the_decoder(tmp_path):
    write_video(tmp_path / "a.mkv", noise(40, 48, 66), fps_hz=30, codec="ffv1", pixel_format="yuv420p")
    kept = [f.pixels for f in open_video(tmp_path / "a.mkv")]
    again = [f.pixels for f in open_video(tmp_path / "a.mkv")]
    first = [next(iter(open_video(tmp_path / "a.mkv"))).pixels]
    assert all(isinstance(planes, Planes) for planes in kept)
    assert kept[0].y.shape == (48, 66)
    assert kept[0].u.shape == (24, 33)
    assert np.array_equal(kept[0].y, first[0].y)
    for a, b in zip(kept, again, strict=True):
        assert np.array_equal(a.y, b.y)
        assert np.array_equal(a.v, b.v)
    assert len({planes.y.tobytes() for planes in kept}) == 40


@pytest.mark.parametrize("pixel_format", ["nv12", "nv21", "yuyv422", "gray", "pal8", "rgb24", "bgra"])
def test_other_pixel_formats(tmp_path, pixel_format):
    frames = clip(3)
    frames[:] = frames.mean(-1, keepdims=True).astype(np.uint8)
    with av.open(str(tmp_path / "a.nut"), "w") as output:
        stream = output.add_stream("rawvideo", rate=30)
        stream.height, stream.width, stream.pix_fmt = 48, 64, "rgb24" if pixel_format == "pal8" else pixel_format
        for rgb in frames:
            output.mux(
                stream.encode(av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=stream.pix_fmt, threads=1))
            )
        output.mux(stream.encode(None))
    _, _, rgb = read(tmp_path / "a.nut")
    np.testing.assert_allclose(rgb.astype(int), frames, atol=2)


def test_chroma_of_interleaved_formats_is_not_swapped(tmp_path):
    red = np.broadcast_to(np.uint8([200, 50, 40]), (3, 48, 64, 3))
    for pixel_format in ("nv12", "nv21", "yuyv422", "uyvy422"):
        with av.open(str(tmp_path / "a.nut"), "w") as output:
            stream = output.add_stream("rawvideo", rate=30)
            stream.height, stream.width, stream.pix_fmt = 48, 64, pixel_format
            for rgb in red:
                picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24").reformat(
                    format=pixel_format, threads=1
                )
                output.mux(stream.encode(picture))
            output.mux(stream.encode(None))
        video = open_video(tmp_path / "a.nut")
        frame = next(iter(video))
        assert video.info["pixel_format"] == pixel_format
        assert isinstance(frame.pixels, Planes)
        np.testing.assert_allclose(to_rgb(frame).astype(int), red[0], atol=3)


def phone_matrix(path, matrix):
    """Patch the display matrix of an mp4's only track: a, b, c, d of x' = a x + c y, y' = b x + d y (y down)."""
    data = bytearray(path.read_bytes())
    at = data.index(b"tkhd") + 44
    assert struct.unpack(">9i", data[at : at + 36]) == (65536, 0, 0, 0, 65536, 0, 0, 0, 1 << 30)
    a, b, c, d = (65536 * value for value in matrix)
    data[at : at + 36] = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    path.write_bytes(data)


# A phone held upright stores (0, 1, -1, 0): what lies right in the picture is to be shown below, a clockwise turn.
@pytest.mark.parametrize(
    ("matrix", "turns"), [((1, 0, 0, 1), 0), ((0, 1, -1, 0), -1), ((-1, 0, 0, -1), 2), ((0, -1, 1, 0), 1)]
)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p"])
def test_rotation_of_phones(tmp_path, matrix, turns, pixel_format):
    frames = clip(3)
    frames[:, :16, :16] = (200, 40, 40)
    write_video(tmp_path / "a.mp4", frames, fps_hz=30, crf=10, pixel_format=pixel_format)
    if turns:
        phone_matrix(tmp_path / "a.mp4", matrix)
    video, _, rgb = read(tmp_path / "a.mp4")
    assert (video.height, video.width) == ((64, 48) if turns % 2 else (48, 64)) == rgb.shape[1:3]
    assert np.abs(rgb - np.rot90(frames, turns, axes=(1, 2)).astype(int)).mean() < 3


@pytest.mark.skipif(not hasattr(av.VideoStream, "set_display_rotation"), reason="this PyAV cannot write rotations")
@pytest.mark.parametrize("rotation_deg", [90, 180, 270])
def test_rotation_round_trip(tmp_path, rotation_deg):
    frames = clip(3)
    write_video(tmp_path / "a.mp4", frames, fps_hz=30, rotation_deg=rotation_deg)
    video, _, rgb = read(tmp_path / "a.mp4")
    assert video.info["rotation_deg"] == rotation_deg
    assert np.abs(rgb - np.rot90(frames, rotation_deg // 90, axes=(1, 2)).astype(int)).mean() < 4


@pytest.mark.parametrize("bottom_up", [True, False])
@pytest.mark.parametrize("frames_per_riff", [None, 3, 1])
@pytest.mark.parametrize("size", [(48, 64), (47, 65), (49, 66), (5, 67), (16, 16)])
def test_uncompressed_avi_is_exact(tmp_path, size, frames_per_riff, bottom_up):
    frames = noise(7, *size)
    write_dib_avi(tmp_path / "a.avi", iter(frames), fps_hz=23.5, bottom_up=bottom_up, frames_per_riff=frames_per_riff)
    video, times_s, rgb = read(tmp_path / "a.avi")
    assert np.array_equal(rgb, frames)
    assert (video.info["codec"], video.info["pixel_format"], video.warnings) == ("rawvideo", "bgr24", [])
    np.testing.assert_allclose(times_s, np.arange(7) / 23.5, atol=1e-9)
    assert video.duration_s == pytest.approx(7 / 23.5)


def test_dib_avi_layout(tmp_path):
    write_dib_avi(tmp_path / "a.avi", noise(5, 3, 3), fps_hz=30, frames_per_riff=2)
    data = (tmp_path / "a.avi").read_bytes()
    assert data.count(b"RIFF") == 3
    assert data.count(b"AVIX") == 2
    assert data.count(b"00db") == 5 + 2  # with the index of the first part
    at = data.index(b"strf") + 8
    assert struct.unpack("<IiiHHI", data[at : at + 20]) == (40, 3, 3, 1, 24, 0)
    assert struct.unpack("<I", data[4:8])[0] + 8 == data.index(b"RIFF", 4)


def cut(path, share):
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


@pytest.mark.parametrize(
    ("name", "codec"), [("a.mkv", "libx264"), ("a.webm", "libvpx-vp9"), ("a.avi", "mjpeg"), ("a.mkv", "ffv1")]
)
def test_cut_off_file_gives_what_it_has(tmp_path, name, codec):
    write_video(tmp_path / name, np.roll(noise(1, 48, 64), 0).repeat(240, 0), fps_hz=30, codec=codec, bit_rate=300_000)
    video, times_s, _ = read(cut(tmp_path / name, 0.5))
    assert 10 < len(times_s) < 240
    assert np.all(np.diff(times_s) > 0)
    missing_s = 8 - len(times_s) / 30
    assert any(f"the last {missing_s:.1f} s are missing" in warning for warning in video.warnings), video.warnings


def test_damage_in_the_middle_is_passed_over_and_told(tmp_path):
    path = tmp_path / "a.mkv"
    write_video(path, noise(90, 48, 64), fps_hz=30, codec="ffv1")
    data = bytearray(path.read_bytes())
    half = len(data) // 2
    data[half : half + len(data) // 6] = noise(1, 1, len(data) // 6)[..., 0].tobytes()
    path.write_bytes(data)
    video, times_s, _ = read(path)
    assert 60 < len(times_s) < 90
    assert times_s[-1] == pytest.approx(89 / 30, abs=1e-3)
    assert any("without frames" in warning for warning in video.warnings), video.warnings
    told = list(video.warnings)
    list(video)
    assert video.warnings == told


def test_unreadable_rest_is_given_up(tmp_path):
    write_video(tmp_path / "a.mp4", clip(20), fps_hz=30)

    class FailingContainer:
        """Gives ten packets, then only errors."""

        def __init__(self, container):
            self.packets = iter(list(container.demux(video=0))[:10])

        def demux(self, _):
            yield from self.packets
            raise av.error.InvalidDataError(1, "damaged")

    with av.open(str(tmp_path / "a.mp4")) as opened:
        pictures = list(container._pictures(FailingContainer(opened), opened.streams.video[0], container._Losses()))
    assert [picture.pts for picture in pictures] == [512 * i for i in range(10)]  # all that had come, held back or not


def test_claimed_duration_is_not_believed(tmp_path):
    path = tmp_path / "a.avi"
    write_dib_avi(path, noise(60, 16, 16), fps_hz=30)
    data = bytearray(path.read_bytes())
    at = data.index(b"strh") + 8 + 32
    assert struct.unpack("<I", data[at : at + 4]) == (60,)
    data[at : at + 4] = struct.pack("<I", 600)
    path.write_bytes(data)
    video, times_s, _ = read(path)
    assert len(times_s) == 60
    assert video.warnings == [
        f"{path}: claims 20.0 s, 2.0 s could be decoded; the last 18.0 s are missing (cut off or damaged)"
    ]


def test_one_frame_is_a_video_of_one_frame(tmp_path):
    write_video(tmp_path / "one.mp4", clip(1), fps_hz=30)
    _, times_s, rgb = read(tmp_path / "one.mp4")
    assert times_s.tolist() == [0.0]
    np.testing.assert_allclose(rgb.astype(int), clip(1), atol=10)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no named pipes")
def test_a_named_pipe_is_refused_without_waiting_for_it(tmp_path):
    os.mkfifo(tmp_path / "pipe.mp4")
    code = "import sys; from vitalcam.video.read import open_video; open_video(sys.argv[1])"
    words = [sys.executable, "-c", code, str(tmp_path / "pipe.mp4")]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert "pipe.mp4: is a pipe or a device" in done.stderr


def test_tiny_video(tmp_path):
    write_video(tmp_path / "a.mp4", clip(5, 16, 16), fps_hz=30)
    video, times_s, _ = read(tmp_path / "a.mp4")
    assert (video.width, video.height, len(times_s)) == (16, 16, 5)


def test_file_with_given_times(tmp_path):
    write_video(tmp_path / "a.mp4", clip(10), fps_hz=30)
    video, times_s, _ = read(tmp_path / "a.mp4", fps_hz=25)
    np.testing.assert_allclose(times_s, np.arange(10) / 25)
    assert (video.fps_nominal, video.duration_s) == (25, pytest.approx(0.4))
    given_s = 100 + np.arange(8) ** 1.1
    video, times_s, _ = read(tmp_path / "a.mp4", times_s=given_s)
    np.testing.assert_array_equal(times_s, given_s)
    assert "more frames than times_s" in video.warnings[0]


def audio(path):
    with av.open(str(path), "w") as output:
        stream = output.add_stream("aac", rate=44100)
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 4096), np.float32), "fltp", "mono")
        sound.rate = 44100
        output.mux(stream.encode(sound))
        output.mux(stream.encode(None))


def picture(path):
    av.VideoFrame.from_ndarray(clip(1)[0], "rgb24").save(str(path))


def cut_mp4(path):
    write_video(path, clip(60), fps_hz=30)
    cut(path, 0.7)


BAD = {
    "missing.mp4": (lambda path: None, "no such file or folder"),
    "empty.mp4": (lambda path: path.write_bytes(b""), "is empty"),
    "one.jpg": (picture, "is a picture, not a video"),
    "one.png": (picture, "is a picture, not a video"),
    "notes.txt": (lambda path: path.write_text("hello\n" * 40), "is text, not a video"),
    "notes.mp4": (lambda path: path.write_text("hello\n" * 40), "is text, not a video"),
    "list.m3u8": (lambda path: path.write_text("#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/a.ts\n"), "is text, not"),
    "random.avi": (lambda path: path.write_bytes(noise(1, 9, 99).tobytes()), "is not a video that can be read"),
    "cut.mp4": (cut_mp4, "index is missing"),
    "sound.m4a": (audio, "has no video in it, only audio"),
    "folder": (lambda path: path.mkdir(), "has no images in it"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_inputs_give_one_clear_line(tmp_path, name):
    make, message = BAD[name]
    make(tmp_path / name)
    with pytest.raises(VideoError, match=message) as raised:
        open_video(tmp_path / name)
    assert "\n" not in str(raised.value)
    assert str(raised.value).startswith(str(tmp_path / name))


@pytest.mark.parametrize(
    ("name", "options", "error", "message"),
    [
        ("a.mp4", {}, VideoError, "either fps_hz or times_s"),
        ("a.mp4", {"fps_hz": 30, "times_s": [0, 1]}, VideoError, "either fps_hz or times_s"),
        ("a.mp4", {"times_s": [0.0, 0.1, 0.1]}, VideoError, "must increase"),
        ("a.mp4", {"times_s": [0.0, 0.1]}, VideoError, "more frames than times_s"),
        ("a.mp4", {"times_s": [0.0, 0.1, 0.2, 0.3]}, VideoError, "fewer frames than times_s"),
        ("a.avi", {"times_s": [0.0, 0.1, 0.2]}, VideoError, "AVI has one rate"),
        ("a.xyz", {"fps_hz": 30}, VideoError, "cannot be encoded"),
        ("a.mp4", {"fps_hz": 30, "codec": "nope"}, VideoError, "cannot be encoded"),
        ("a.mp4", {"fps_hz": 30, "pixel_format": "nope"}, VideoError, "cannot be encoded"),
    ],
)
def test_unwritable_videos(tmp_path, name, options, error, message):
    with pytest.raises(error, match=message):
        write_video(tmp_path / name, clip(3), **options)
    assert list(tmp_path.iterdir()) == []


def test_the_folder_of_a_video_is_made_where_it_can_be(tmp_path):
    write_video(tmp_path / "new" / "a.mp4", clip(3), fps_hz=30)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.mp4"]
    with pytest.raises(OutputError, match=r"a\.mp4/b\.mp4: cannot be written"):
        write_video(tmp_path / "new" / "a.mp4" / "b.mp4", clip(3), fps_hz=30)


def test_frames_of_unequal_size_leave_the_old_file(tmp_path):
    (tmp_path / "a.mp4").write_bytes(b"old")
    with pytest.raises(VideoError, match="of one size"):
        write_video(tmp_path / "a.mp4", [clip(1)[0], clip(1, 16, 16)[0]], fps_hz=30)
    with pytest.raises(VideoError, match="no frames"):
        write_dib_avi(tmp_path / "a.mp4", [], fps_hz=30)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"]


PEAK_KIB = """
import resource, sys
from vitalcam.video.read import open_video
assert sum(1 for _ in open_video(sys.argv[1])) == int(sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
def test_memory_does_not_grow_with_length(tmp_path):
    picture = clip(1)[0].repeat(10, 0).repeat(10, 1)  # 480x640; 250 of its 4:2:0 pictures are 112 MiB
    peaks_kib = {}
    for n_frames in (50, 300):
        path = tmp_path / f"{n_frames}.mp4"
        write_video(path, (picture for _ in range(n_frames)), fps_hz=30)
        command = [sys.executable, "-c", PEAK_KIB, str(path), str(n_frames)]
        peaks_kib[n_frames] = int(subprocess.run(command, capture_output=True, check=True).stdout)
    assert peaks_kib[300] - peaks_kib[50] < 15_000
