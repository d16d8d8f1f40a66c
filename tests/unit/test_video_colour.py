import av
import numpy as np
import pytest

from vitalcam.types import Frame, Planes
from vitalcam.video.colour import to_rgb, yuv_to_rgb
from vitalcam.video.read import open_video

SPACES = {"bt601": 5, "bt709": 1}
RANGES = {False: 1, True: 2}


@pytest.mark.parametrize(
    ("yuv", "options", "rgb"),
    [
        ((16, 128, 128), {}, (0, 0, 0)),
        ((235, 128, 128), {}, (255, 255, 255)),
        ((255, 128, 128), {"full_range": True}, (255, 255, 255)),
        ((1023, 512, 512), {"bits": 10, "full_range": True}, (255, 255, 255)),
        ((940, 512, 512), {"bits": 10, "matrix": "bt709"}, (255, 255, 255)),
        # The red, green and blue of 100 % colour bars, whose codes the standards round to integers.
        ((81, 90, 240), {}, (255, 0, 0)),
        ((145, 54, 34), {}, (0, 255, 0)),
        ((63, 102, 240), {"matrix": "bt709"}, (255, 0, 0)),
        ((32, 240, 118), {"matrix": "bt709"}, (0, 0, 255)),
        ((250, 409, 960), {"matrix": "bt709", "bits": 10}, (255, 0, 0)),
    ],
)
def test_known_colours(yuv, options, rgb):
    y, u, v = (np.full((2, 3), value, np.float32) for value in yuv)
    found = yuv_to_rgb(y, u, v, **options)
    assert found.shape == (2, 3, 3)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.broadcast_to(rgb, (2, 3, 3)), atol=2)


def test_is_linear_and_not_clipped():
    y, u, v = (np.array([value], np.float32) for value in (255.0, 250.0, 250.0))
    assert yuv_to_rgb(y, u, v).max() > 255


def smooth(height, width):
    down, right = np.mgrid[:height, :width]
    return np.stack([40 + 150 * right / width, 200 - 150 * down / height, 60 + 100 * right / width], -1).astype(
        np.uint8
    )


def encode(path, rgb, pixel_format, *, space=None, full_range=None):
    """Three equal frames by lossless FFV1, converted and tagged by swscale as asked."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=30)
        stream.height, stream.width, stream.pix_fmt = *rgb.shape[:2], pixel_format
        tags = {}
        if space is not None:
            stream.codec_context.colorspace = SPACES[space]
            stream.codec_context.color_range = RANGES[full_range]
            tags = {"dst_colorspace": SPACES[space], "dst_color_range": RANGES[full_range]}
        for _ in range(3):
            picture = av.VideoFrame.from_ndarray(rgb, "rgb24").reformat(format=pixel_format, threads=1, **tags)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("space", ["bt601", "bt709"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv444p12le"])
def test_agrees_with_swscale(tmp_path, pixel_format, space, full_range):
    rgb = smooth(48, 66)
    frame = next(iter(open_video(encode(tmp_path / "a.mkv", rgb, pixel_format, space=space, full_range=full_range))))
    planes = frame.pixels
    assert isinstance(planes, Planes)
    assert (planes.matrix, planes.full_range) == (space, full_range)
    assert planes.bits == int(pixel_format[7:9] or 8)
    np.testing.assert_allclose(to_rgb(frame).astype(int), rgb, atol=5)
    # swscale rounds its way there downwards, by about one level.
    assert np.abs(to_rgb(frame).mean((0, 1)) - rgb.mean((0, 1))).max() < 1.5


@pytest.mark.parametrize(("height", "matrix"), [(480, "bt601"), (720, "bt709")])
def test_untagged_is_judged_by_height(tmp_path, height, matrix):
    frame = next(iter(open_video(encode(tmp_path / "a.mkv", smooth(height, 64), "yuv420p"))))
    assert frame.pixels.matrix == matrix


@pytest.mark.parametrize("shape", [(5, 7), (1, 1), (2, 3), (6, 8)])
def test_odd_sizes_repeat_chroma(shape):
    chroma = np.full([-(-side // 2) for side in shape], 128, np.uint8)
    rgb = to_rgb(Frame(Planes(np.full(shape, 126, np.uint8), chroma, chroma), 0.0, 0))
    assert rgb.shape == (*shape, 3)
    assert np.all(rgb == 128)


def test_thermal_becomes_grey():
    celsius = np.linspace(20, 37, 120, dtype=np.float32).reshape(10, 12, 1)
    celsius[0, 0] = np.nan
    rgb = to_rgb(Frame(celsius, 0.0, 0))
    assert rgb.shape == (10, 12, 3)
    assert rgb[0, 0].max() == 0
    assert rgb[-1, -1].min() == 255
    assert to_rgb(Frame(np.full((2, 2, 1), np.nan, np.float32), 0.0, 0)).max() == 0
