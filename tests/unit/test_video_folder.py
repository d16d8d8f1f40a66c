import json
from fractions import Fraction

import av
import numpy as np
import pytest

from vitalcam.errors import VideoError
from vitalcam.video.colour import to_rgb
from vitalcam.video.read import open_video

STEP_S = 1 / 30
JITTER_S = np.array([0, 1.1e-3, -0.7e-3, 0.4e-3, 0])
TIMES_S = np.arange(5) * STEP_S + JITTER_S


def images(folder, names, size=(12, 16)):
    """Grey images, each 10 levels brighter than the one before."""
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        picture = av.VideoFrame.from_ndarray(np.full((*size, 3), 50 + 10 * i, np.uint8), "rgb24")
        encoder = {"png": "png", "jpg": "mjpeg", "bmp": "bmp", "tif": "tiff"}[name.rsplit(".")[-1]]
        context = av.CodecContext.create(encoder, "w")
        context.height, context.width, context.time_base = *size, Fraction(1, 30)
        context.pix_fmt = {"mjpeg": "yuvj420p", "bmp": "bgr24"}.get(encoder, "rgb24")
        data = context.encode(picture.reformat(format=context.pix_fmt, threads=1)) + context.encode(None)
        (folder / name).write_bytes(b"".join(bytes(packet) for packet in data))
    return folder


def levels(video):
    return [round(float(to_rgb(frame).mean())) for frame in video]


@pytest.mark.parametrize("suffix", ["png", "jpg", "bmp", "tif"])
def test_kinds_of_image_in_natural_order(tmp_path, suffix):
    folder = images(tmp_path / "a", [f"img{i}.{suffix}" for i in (1, 2, 9, 10, 100)])
    (folder / "Thumbs.db").write_bytes(b"\0\1")
    video = open_video(folder, fps_hz=25)
    np.testing.assert_allclose(levels(video), [50, 60, 70, 80, 90], atol=1)
    np.testing.assert_allclose([f.time_s for f in video], np.arange(5) / 25)
    assert (video.width, video.height, video.fps_nominal) == (16, 12, 25)
    assert video.duration_s == pytest.approx(0.2)
    assert video.warnings == []


@pytest.mark.parametrize(
    ("template", "per_second", "origin"),
    [
        ("Image{:d}.png", 10**9, 1392643993642815000),
        ("frame-{:d}.png", 10**6, 1392643993642815),
        ("{:d}.png", 10**3, 1392643993642),
        ("a_{:07d}us.png", 10**6, 0),
        ("a_{:07d}ms.png", 10**3, 17),
    ],
)
def test_stamps_in_names(tmp_path, template, per_second, origin):
    ticks = origin + np.rint(TIMES_S * per_second).astype(np.int64)
    folder = images(tmp_path / "a", [template.format(int(tick)) for tick in ticks])
    video = open_video(folder)
    np.testing.assert_allclose([f.time_s for f in video], (ticks - ticks[0]) / per_second, rtol=0, atol=1e-12)
    assert video.fps_nominal == pytest.approx(30, rel=0.1)


def test_decimal_seconds_in_names_are_sorted_by_time(tmp_path):
    folder = images(tmp_path / "a", [f"t{time}s.png" for time in ("0.5", "0.25", "0.125")])
    assert [f.time_s for f in open_video(folder)] == [0, 0.125, 0.375]
    assert levels(open_video(folder)) == [70, 60, 50]


NAMES = [f"frame_{i:04d}.png" for i in range(5)]


def as_csv(rows, header, separator=","):
    lines = [separator.join(map(str, row)) for row in rows]
    return "\n".join([separator.join(header), *lines] if header else lines)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("timestamps.csv", as_csv(zip(NAMES, TIMES_S, strict=True), ("file", "time_s"))),
        ("timestamps.csv", as_csv(zip(NAMES[::-1], TIMES_S[::-1], strict=True), ("file", "time_s"))),
        ("times.txt", as_csv(((t,) for t in TIMES_S), ())),
        ("times.txt", "# time_ms\n" + as_csv(((1000 * t,) for t in TIMES_S), ())),
        ("meta.tsv", as_csv(zip(NAMES, 5 + TIMES_S * 1e6, range(5), strict=True), ("n", "stamp_us", "gain"), "\t")),
        ("times.txt", as_csv(zip(NAMES, TIMES_S * 1000, strict=True), (), " ")),
        ("stamps.csv", as_csv(enumerate(1.6e9 + TIMES_S), ("index", "timestamp"))),
        ("times.json", json.dumps(list(TIMES_S))),
        ("times.json", json.dumps(dict(zip(NAMES, TIMES_S, strict=True)))),
        ("a.json", json.dumps({"times_s": list(TIMES_S), "file": NAMES})),
        ("a.json", json.dumps([{"image": n, "time (ms)": 1000 * t} for n, t in zip(NAMES, TIMES_S, strict=True)])),
    ],
)
def test_stamps_in_a_table(tmp_path, name, text):
    folder = images(tmp_path / "a", NAMES)
    (folder / name).write_text(text)
    (folder / "a_readme.txt").write_text("Recorded on a fine day,\nby nobody in particular\n")
    (folder / "labels.json").write_text('{"subject": 3}')
    np.testing.assert_allclose([f.time_s for f in open_video(folder)], TIMES_S, atol=1e-6)
    assert levels(open_video(folder)) == [50, 60, 70, 80, 90]


def test_counters_are_not_stamps(tmp_path):
    folder = images(tmp_path / "a", NAMES)
    with pytest.raises(VideoError, match="give their rate"):
        open_video(folder)
    (folder / "times.txt").write_text("0\n1\n2\n3\n")
    with pytest.raises(VideoError, match="give their rate"):
        open_video(folder)
    (folder / "times.txt").write_text("7\n7\n7\n7\n7\n")
    with pytest.raises(VideoError, match="give their rate"):
        open_video(folder)


def test_image_without_a_time_is_left_out_and_told(tmp_path):
    folder = images(tmp_path / "a", NAMES)
    (folder / "times.csv").write_text(as_csv(zip(NAMES[:4], TIMES_S, strict=False), ("file", "time_s")))
    video = open_video(folder)
    assert levels(video) == [50, 60, 70, 80]
    assert "1 images have no time" in video.warnings[0]


def test_damaged_and_odd_images_are_left_out_and_told(tmp_path):
    folder = images(tmp_path / "a", NAMES)
    images(folder, [NAMES[3]], size=(6, 6))
    (folder / NAMES[1]).write_bytes((folder / NAMES[1]).read_bytes()[:40])
    video = open_video(folder, fps_hz=30)
    frames = list(video)
    np.testing.assert_allclose([f.time_s for f in frames], np.array([0, 2, 4]) / 30)
    assert video.warnings == [
        f"{folder}: images that are damaged or of another size were left out: 2, first {NAMES[1]}"
    ]


def test_folder_of_damaged_images(tmp_path):
    folder = images(tmp_path / "a", NAMES[:1])
    (folder / NAMES[0]).write_bytes(b"")
    with pytest.raises(VideoError, match="none of its 1 images can be decoded"):
        open_video(folder, fps_hz=30)


def test_one_image(tmp_path):
    video = open_video(images(tmp_path / "a", NAMES[:1]), fps_hz=30)
    assert levels(video) == [50]
