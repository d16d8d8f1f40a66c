"""Video files for tests, demonstrations and synthetic recordings, with true presentation times."""

from __future__ import annotations

import contextlib
import itertools
import struct
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import BinaryIO, cast

import av
import numpy as np
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.reformatter import ColorRange, Colorspace
from av.video.stream import VideoStream

from vitalcam import files
from vitalcam.errors import VideoError
from vitalcam.types import Bytes, Floats

_TICKS_HZ = 90_000  # divisible by 24, 25, 30 and 60
_PIXEL_FORMATS = {"ffv1": "bgr0", "rawvideo": "bgr24", "mjpeg": "yuvj420p"}
_OPTIONS = {
    "libx264": {"preset": "veryfast"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
    "mjpeg": {"qmin": "2", "qmax": "2"},
}
_RIFF_BYTES = 2**30  # as common writers split; sizes in the format are 32 bits


def write_video(
    path: str | Path,
    frames: Iterable[Bytes],
    *,
    fps_hz: float | None = None,
    times_s: Sequence[float] | Floats | None = None,
    codec: str = "libx264",
    crf: int | None = None,
    bit_rate: int | None = None,
    pixel_format: str | None = None,
    rotation_deg: int = 0,
) -> None:
    """Write (T, H, W, 3) uint8 RGB frames, an array or an iterable; the container follows from the suffix.

    Without ``pixel_format``, ffv1 (mkv, avi) and rawvideo (avi) are exact, mjpeg is 4:2:0 and the others 4:2:0 if
    the sides are even, else 4:4:4; YUV is tagged BT.709 from 720 rows on, else BT.601. The file appears under its name
    only when it is complete.

    Args:
        path: where; an existing file is replaced, a missing folder made.
        frames: pictures of one size.
        fps_hz: constant rate; give this or ``times_s``.
        times_s: (T,) strictly increasing presentation times, kept to 1/90000 s (mp4, mov) or 1 ms (mkv, webm).
        codec: libx264, libvpx-vp9, mjpeg, ffv1, rawvideo or another encoder of this PyAV.
        crf: constant quality of libx264 and libvpx-vp9.
        bit_rate: bits per second of libx264 and libvpx-vp9, where ``crf`` is not given.
        pixel_format: what is encoded, e.g. "yuv444p".
        rotation_deg: display rotation, counter-clockwise, that players and `open_video` apply (mp4, mov).

    Raises:
        VideoError: no frames, frames or times that do not fit, or an encoder that cannot do this.
        OutputError: the file cannot be written.
    """
    path = Path(path)
    first, rows = _peeked(path, frames)
    ticks, time_base = _ticks(path, fps_hz, times_s)
    format_ = pixel_format or _PIXEL_FORMATS.get(codec) or _subsampled(first)
    options = _OPTIONS.get(codec, {}) | ({} if crf is None else {"crf": str(crf)})
    with files.whole(path, suffix=path.suffix) as temporary, _encoding(path), av.open(str(temporary), "w") as container:
        stream = _stream(container, codec, first, format_, time_base, options)
        stream.bit_rate = bit_rate or 0
        if rotation_deg:
            if not hasattr(stream, "set_display_rotation"):
                raise VideoError(f"{path}: rotation_deg needs PyAV 18 or newer; update av or turn the frames")
            stream.set_display_rotation(rotation_deg)
        for rgb in rows:
            tick = next(ticks, None)
            if tick is None:
                raise VideoError(f"{path}: there are more frames than times_s; give one time for each")
            container.mux(stream.encode(_picture(rgb, tick, stream)))
        if times_s is not None and next(ticks, None) is not None:
            raise VideoError(f"{path}: there are fewer frames than times_s; give one time for each")
        container.mux(stream.encode(None))


def _peeked(path: Path, frames: Iterable[Bytes]) -> tuple[Bytes, Iterator[Bytes]]:
    rows = iter(frames)
    first = next(rows, None)
    if first is None:
        raise VideoError(f"{path}: there are no frames to write")
    return first, (_checked(path, rgb, first.shape) for rgb in itertools.chain([first], rows))


def _checked(path: Path, rgb: Bytes, shape: tuple[int, ...]) -> Bytes:
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or rgb.shape != shape:
        raise VideoError(f"{path}: frames must be (H, W, 3) uint8 of one size, got {rgb.shape} {rgb.dtype}")
    return rgb


def _ticks(
    path: Path, fps_hz: float | None, times_s: Sequence[float] | Floats | None
) -> tuple[Iterator[int], Fraction]:
    """Presentation times and their unit in seconds."""
    if (fps_hz is None) == (times_s is None):
        raise VideoError(f"{path}: give either fps_hz or times_s")
    if fps_hz is not None:
        return itertools.count(), 1 / _fraction(fps_hz)
    if path.suffix.lower() == ".avi":
        raise VideoError(f"{path}: AVI has one rate for all frames; give fps_hz, or write mp4 or mkv")
    times = np.asarray(times_s, np.float64)
    ticks = np.rint((times - times[:1]) * _TICKS_HZ).astype(np.int64)
    if np.any(np.diff(ticks) <= 0):
        raise VideoError(f"{path}: times_s must increase, by 1/{_TICKS_HZ} s at least")
    return iter(ticks.tolist()), Fraction(1, _TICKS_HZ)


def _fraction(fps_hz: float) -> Fraction:
    return Fraction(fps_hz).limit_denominator(10_000)


def _subsampled(rgb: Bytes) -> str:
    return "yuv444p" if rgb.shape[0] % 2 or rgb.shape[1] % 2 else "yuv420p"


def _stream(
    container: OutputContainer, codec: str, first: Bytes, format_: str, time_base: Fraction, options: dict[str, str]
) -> VideoStream:
    rate = 30 if time_base == Fraction(1, _TICKS_HZ) else 1 / time_base  # a hint only where times vary
    stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
    context = stream.codec_context
    context.height, context.width = first.shape[:2]
    context.pix_fmt = format_
    context.time_base = stream.time_base = time_base
    if "yuv" in format_:
        # Code points of ITU-T H.273: 1 is BT.709, 6 is BT.601.
        context.colorspace = context.color_primaries = context.color_trc = 1 if context.height >= 720 else 6
        context.color_range = ColorRange.JPEG if "yuvj" in format_ else ColorRange.MPEG
    return stream


def _picture(rgb: Bytes, tick: int, stream: VideoStream) -> av.VideoFrame:
    context = stream.codec_context
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(rgb), "rgb24")
    if "yuv" in str(context.pix_fmt):
        matrix = Colorspace.ITU709 if context.height >= 720 else Colorspace.ITU601
        picture = picture.reformat(
            format=context.pix_fmt, dst_colorspace=matrix, dst_color_range=context.color_range, threads=1
        )
    else:
        picture = picture.reformat(format=context.pix_fmt, threads=1)
    picture.pts, picture.time_base = tick, context.time_base
    return picture


@contextlib.contextmanager
def _encoding(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError:
        raise  # `files.whole` tells
    except (FFmpegError, ValueError) as error:
        raise VideoError(
            f"{path}: cannot be encoded so ({error}); try another codec, pixel format or suffix"
        ) from error


def write_dib_avi(
    path: str | Path,
    frames: Iterable[Bytes],
    *,
    fps_hz: float,
    bottom_up: bool = True,
    frames_per_riff: int | None = None,
) -> None:
    """Write (T, H, W, 3) uint8 RGB frames as an uncompressed AVI of device-independent bitmaps.

    This is how UBFC-rPPG is stored: 24 bits BGR, rows padded to 4 bytes and from the bottom to the top, files beyond
    1 GiB in several RIFF chunks, of which ``frames_per_riff`` forces small ones.

    Raises:
        VideoError: no frames, or frames of different sizes.
        OutputError: the file cannot be written.

    Source: Microsoft, AVI RIFF File Reference; Matrox, OpenDML AVI file format extensions 1.02.
    """
    path = Path(path)
    first, rows = _peeked(path, frames)
    height, width, _ = first.shape
    picture_bytes = height * _dib_row_bytes(width)
    per_riff = frames_per_riff or max(1, _RIFF_BYTES // picture_bytes)
    with files.whole(path, suffix=path.suffix) as temporary, temporary.open("wb") as file:
        with _chunk(file, b"RIFF", b"AVI "):
            header_at = file.tell()
            file.write(_avi_header(width, height, fps_hz, bottom_up, 0, 0))
            count = in_first = _write_movi(file, itertools.islice(rows, per_riff), bottom_up)
            with _chunk(file, b"idx1"):
                for i in range(count):
                    file.write(struct.pack("<4sIII", b"00db", 0x10, 4 + i * (picture_bytes + 8), picture_bytes))
        for rgb in rows:
            with _chunk(file, b"RIFF", b"AVIX"):
                count += _write_movi(file, itertools.chain([rgb], itertools.islice(rows, per_riff - 1)), bottom_up)
        file.seek(header_at)
        file.write(_avi_header(width, height, fps_hz, bottom_up, in_first, count))


def _dib_row_bytes(width: int) -> int:
    return -(-3 * width // 4) * 4


@contextlib.contextmanager
def _chunk(file: BinaryIO, kind: bytes, subkind: bytes = b"") -> Iterator[None]:
    """A RIFF chunk around what is written inside; all our contents have even sizes, so there is no padding."""
    start = file.tell()
    file.write(kind + bytes(4) + subkind)
    yield
    end = file.tell()
    file.seek(start + 4)
    file.write(struct.pack("<I", end - start - 8))
    file.seek(end)


def _write_movi(file: BinaryIO, rows: Iterable[Bytes], bottom_up: bool) -> int:
    count = 0
    with _chunk(file, b"LIST", b"movi"):
        for rgb in rows:
            count += 1
            padded = np.zeros((rgb.shape[0], _dib_row_bytes(rgb.shape[1])), np.uint8)
            padded[:, : 3 * rgb.shape[1]] = rgb[..., ::-1].reshape(rgb.shape[0], -1)
            with _chunk(file, b"00db"):
                file.write(padded[:: -1 if bottom_up else 1].tobytes())
    return count


def _avi_header(width: int, height: int, fps_hz: float, bottom_up: bool, in_first: int, count: int) -> bytes:
    """The hdrl list; its size does not depend on the counts, so that it can be written again over itself."""
    rate, size = _fraction(fps_hz), height * _dib_row_bytes(width)
    main = struct.pack(
        "<14I", round(1e6 / fps_hz), round(size * fps_hz), 0, 0x10, in_first, 0, 1, size, width, height, 0, 0, 0, 0
    )
    stream = struct.pack(
        "<4s4sIHH8I4H", b"vids", b"DIB ", 0, 0, 0, 0, rate.denominator, rate.numerator, 0, count, size, 2**32 - 1, 0,
        0, 0, width, height,
    )  # fmt: skip
    bitmap = struct.pack("<IiiHHIIiiII", 40, width, height if bottom_up else -height, 1, 24, 0, size, 0, 0, 0, 0)
    extended = _riff(b"LIST", b"odml" + _riff(b"dmlh", struct.pack("<I", count) + bytes(244)))
    streams = _riff(b"LIST", b"strl" + _riff(b"strh", stream) + _riff(b"strf", bitmap))
    return _riff(b"LIST", b"hdrl" + _riff(b"avih", main) + streams + extended)


def _riff(kind: bytes, content: bytes) -> bytes:
    return kind + struct.pack("<I", len(content)) + content
