"""Folders of images, with their times in the file names or in a table beside them."""

from __future__ import annotations

import math
import operator
import re
import statistics
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

import av
from av.error import FFmpegError
from av.video.codeccontext import VideoCodecContext

from vitalcam.errors import VideoError
from vitalcam.types import Frame, Video
from vitalcam.video.decode import pixels
from vitalcam.video.stamps import image_times_s
from vitalcam.video.times import note

_CODECS = {".png": "png", ".jpg": "mjpeg", ".jpeg": "mjpeg", ".bmp": "bmp", ".tif": "tiff", ".tiff": "tiff"}


def open_folder(folder: Path, *, stamped: bool = True) -> Video:
    """A folder of images in natural order of their names.

    Args:
        folder: holds png, jpg, bmp or tif files and perhaps a table of times.
        stamped: find each frame's time; otherwise a frame's time is its number.

    Raises:
        VideoError: there is no image, the first cannot be decoded, or there are no times.
    """
    paths = sorted((p for p in folder.iterdir() if p.suffix.lower() in _CODECS), key=_natural)
    if not paths:
        raise VideoError(f"{folder}: has no images in it; give a folder of png, jpg, bmp or tif files, or a video file")
    times_s = image_times_s(folder, paths) if stamped else {path: float(i) for i, path in enumerate(paths)}
    if not times_s:
        raise VideoError(
            f"{folder}: neither its file names nor a table say when its images were taken; give their rate "
            "(fps_hz, --fps) or a timestamps.csv with columns file and time_s"
        )
    first = next((picture for path in times_s if (picture := _picture(path)) is not None), None)
    if first is None:
        raise VideoError(f"{folder}: none of its {len(paths)} images can be decoded; export them again")
    at = list(times_s.values())
    step_s = statistics.median(map(operator.sub, at[1:], at)) if stamped and len(at) > 1 else math.nan
    warnings = (
        [f"{folder}: {len(paths) - len(at)} images have no time and were left out"] if len(at) < len(paths) else []
    )
    size = (first.width, first.height)

    def frames() -> Iterator[Frame]:
        return _frames(folder, times_s, size, warnings)

    info = {
        "container": "folder",
        "codec": _CODECS[paths[0].suffix.lower()],
        "pixel_format": first.format.name,
        "frames": len(at),
    }
    return Video(str(folder), *size, 1 / step_s, at[-1] + step_s, frames, warnings=warnings, info=info)


def _natural(path: Path) -> list[tuple[int, int | str]]:
    return [(0, int(part)) if part.isdigit() else (1, part) for part in re.split(r"(\d+)", path.name) if part]


def _picture(path: Path) -> av.VideoFrame | None:
    """The decoded image, or None if it is damaged."""
    try:
        decoder = cast(VideoCodecContext, VideoCodecContext.create(_CODECS[path.suffix.lower()], "r"))
        return next(iter(decoder.decode(av.Packet(path.read_bytes()))), None)
    except FFmpegError:
        return None


def _frames(folder: Path, times_s: Mapping[Path, float], size: tuple[int, int], warnings: list[str]) -> Iterator[Frame]:
    skipped: list[str] = []
    for index, (path, time_s) in enumerate(times_s.items()):
        picture = _picture(path)
        if picture is None or (picture.width, picture.height) != size:
            skipped.append(path.name)
        else:
            yield Frame(pixels(picture), time_s, index)
    if skipped:
        note(
            warnings,
            f"{folder}: images that are damaged or of another size were left out: {len(skipped)}, first {skipped[0]}",
        )
