"""From a decoded picture to `Frame.pixels`, without conversion wherever the decoder's own planes will do."""

from __future__ import annotations

import functools
import re
from typing import Any

import av
import numpy as np
from av.video.plane import VideoPlane
from numpy.typing import NDArray

from vitalcam.types import Matrix, Planes

_PLANAR = re.compile(r"yuv(?:j|a)?4[1-4][0124]p(9|10|12|14|16)?(?:le)?")
_INTERLEAVED_CHROMA = {"nv12": 1, "nv21": -1}
_PACKED_RGB = {"rgb24": 1, "bgr24": -1}
# Other layouts of the same samples; bringing them apart is exact.
_PLANAR_TWIN = {"yuyv422": "yuv422p", "uyvy422": "yuv422p", "yvyu422": "yuv422p", "nv16": "yuv422p"} | {
    "p010le": "yuv420p10le", "nv24": "yuv444p",
}  # fmt: skip
# Code points of ITU-T H.273 (MatrixCoefficients); SMPTE 240M (7) is closest to BT.709.
_MATRICES: dict[int, Matrix] = {
    1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 7: "bt709", 9: "bt2020", 10: "bt2020",
}  # fmt: skip
_FULL_RANGE = 2
_READS_BOTTOM_UP = int(av.__version__.split(".")[0]) >= 18  # PyAV 17 gives wrong pixels


def pixels(picture: av.VideoFrame, quarter_turns: int = 0) -> NDArray[Any] | Planes:
    """Pixels of a picture as `vitalcam.types.Frame` wants them, turned counter-clockwise.

    Planes are views: they keep the picture's buffers alive, which the decoder then leaves alone.
    """
    if twin := _PLANAR_TWIN.get(picture.format.name):
        picture = picture.reformat(format=twin, threads=1)
    name = picture.format.name
    coding = _coding(name, int(picture.colorspace), int(picture.color_range), picture.height)
    if coding is None or picture.planes[0].line_size < 0:
        return _turned(_rgb(picture), quarter_turns)
    bits, matrix, full_range = coding
    y, u, v = (_turned(plane, quarter_turns) for plane in _split(picture, name, np.uint8 if bits == 8 else np.uint16))
    return Planes(y, u, v, bits, matrix, full_range)


@functools.lru_cache(maxsize=32)
def _coding(name: str, colorspace: int, color_range: int, height: int) -> tuple[int, Matrix, bool] | None:
    """Bits, matrix and range of a planar format; None for any other."""
    planar = _PLANAR.fullmatch(name)
    if not planar and name not in _INTERLEAVED_CHROMA:
        return None
    bits = int(planar[1] or 8) if planar else 8
    # Untagged: players and encoders take high definition for BT.709.
    matrix = _MATRICES.get(colorspace, "bt709" if height >= 720 else "bt601")
    return bits, matrix, color_range == _FULL_RANGE or name.startswith("yuvj")


def _split(picture: av.VideoFrame, name: str, dtype: type) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    planes = picture.planes
    y = _view(planes[0], planes[0].width, dtype)
    if order := _INTERLEAVED_CHROMA.get(name):
        chroma = _view(planes[1], 2 * -(-picture.width // 2), dtype)
        u, v = (chroma[:, 0::2], chroma[:, 1::2])[::order]
        return y, u, v
    return y, _view(planes[1], planes[1].width, dtype), _view(planes[2], planes[2].width, dtype)


def _view(plane: VideoPlane, columns: int, dtype: type) -> NDArray[Any]:
    samples: NDArray[Any] = np.frombuffer(plane, dtype)  # type: ignore[call-overload]  # its stub hides the buffer
    row = plane.line_size // samples.itemsize
    return samples[: plane.height * row].reshape(plane.height, row)[:, :columns]


def _rgb(picture: av.VideoFrame) -> NDArray[Any]:
    order = _PACKED_RGB.get(picture.format.name)
    if order and (_READS_BOTTOM_UP or picture.planes[0].line_size > 0):
        return picture.to_ndarray()[..., ::order]
    # One thread: with more, swscale 9.5 is slower on a busy machine and now and then gives other pixels.
    return picture.to_ndarray(format="rgb24", threads=1)


def _turned(image: NDArray[Any], quarter_turns: int) -> NDArray[Any]:
    return np.rot90(image, quarter_turns) if quarter_turns else image
