"""Video files through PyAV: true presentation times, rotation, and whatever decodes of a damaged file."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.stream import Disposition
from av.video.stream import VideoStream

from vitalcam.errors import VideoError
from vitalcam.types import Frame, Video
from vitalcam.video.decode import pixels
from vitalcam.video.times import note, steady

# libavformat shows any text as a film of a terminal.
_TEXT_FORMATS = {"tty", "bin", "xbin", "adf", "idf"}
_DAMAGED_READS = 10  # in a row, then the rest of the file is given up
_TOLERANCE_S, _TOLERANCE = 0.5, 0.02


@dataclasses.dataclass
class _Losses:
    """What could not be read in one pass."""

    packets: int = 0
    resized: int = 0


def open_file(path: Path) -> Video:
    """A video file; its first frame is decoded at once, so that what cannot be used fails here.

    Raises:
        VideoError: no video, or none that decodes.
    """
    with _opened(path, "NONE") as (container, stream):
        first = next(_pictures(container, stream, _Losses()), None)
        if first is None:
            raise VideoError(f"{path}: not one frame of its video can be decoded; record or export it again")
        turns = _quarter_turns(first)
        size = (first.height, first.width) if turns % 2 else (first.width, first.height)
        info = {
            "container": container.format.name,
            "codec": stream.codec_context.name,
            "pixel_format": first.format.name,
            "bit_rate": stream.bit_rate or container.bit_rate or None,
            "rotation_deg": 90 * turns,
        }
        fps_nominal, duration_s = _rate(stream), _claimed_duration_s(container, stream)
    warnings: list[str] = []
    known = Video(str(path), *size, fps_nominal, duration_s, lambda: iter(()), "rgb", warnings, info)
    return dataclasses.replace(known, frames=lambda: _frames(path, known))


@contextlib.contextmanager
def _opened(path: Path, threads: str) -> Iterator[tuple[InputContainer, VideoStream]]:
    try:
        # "file:" keeps colons in names from being read as protocols; playlists must not reach the network.
        container = av.open(f"file:{path}", container_options={"protocol_whitelist": "file"})
    except (FFmpegError, OSError) as error:
        raise VideoError(f"{path}: {_why_not(path, error)}") from error
    with container:
        stream = container.streams.best("video")
        if container.format.name in _TEXT_FORMATS:
            raise VideoError(f"{path}: is text, not a video; give a video file, a folder of images or a camera")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            raise VideoError(f"{path}: has no video in it, only {_kinds(container)}; give a video of a face")
        stream.thread_type = threads
        yield container, stream


def _why_not(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    if not isinstance(error, FFmpegError):
        return f"cannot be read ({error.strerror if isinstance(error, OSError) else error})"
    with path.open("rb") as file:
        head = file.read(4096)
    if not head:
        return "is empty; record or copy it again"
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free"):
        return "its index is missing or damaged, as when a recording was cut off; repair it or record again"
    if b"\0" not in head:
        return "is text, not a video; give a video file, a folder of images or a camera"
    return "is not a video that can be read, or its start is damaged; give mp4, mov, webm, mkv or avi"


def _kinds(container: InputContainer) -> str:
    return " and ".join(sorted({"cover art" if s.type == "video" else s.type for s in container.streams})) or "nothing"


def _rate(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or "nan")


def _claimed_duration_s(container: InputContainer, stream: VideoStream) -> float:
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if tag := stream.metadata.get("DURATION"):  # Matroska: hours:minutes:seconds of this stream alone
        hours, minutes, seconds = tag.split(":")
        return 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return container.duration / av.time_base if container.duration else float("nan")


def _quarter_turns(picture: av.VideoFrame) -> int:
    return round(picture.rotation / 90) % 4


def _frames(path: Path, video: Video) -> Iterator[Frame]:
    losses, last_s, index = _Losses(), float("nan"), -1
    turns = video.info["rotation_deg"] // 90
    with _opened(path, "AUTO") as (container, stream):
        stamped = _stamped(_pictures(container, stream, losses), video, losses)
        for picture, time_s in steady(stamped, 1 / video.fps_nominal, video.warnings, str(path)):
            index, last_s = index + 1, time_s
            yield Frame(pixels(picture, turns), time_s, index)
    if index < 0:
        raise VideoError(f"{path}: not one frame of its video can be decoded; record or export it again")
    for sentence in _shortfall(video, losses, last_s + 1 / video.fps_nominal):
        note(video.warnings, f"{path}: {sentence}")


def _stamped(
    pictures: Iterator[av.VideoFrame], video: Video, losses: _Losses
) -> Iterator[tuple[av.VideoFrame, float | None]]:
    sides = {video.width, video.height}
    for picture in pictures:
        if {picture.width, picture.height} != sides:
            losses.resized += 1
            continue
        yield picture, picture.time


def _pictures(container: InputContainer, stream: VideoStream, losses: _Losses) -> Iterator[av.VideoFrame]:
    """Every picture that decodes; damage in between is counted and passed over."""
    failures = 0
    packets = container.demux(stream)
    while failures < _DAMAGED_READS:
        try:
            packet = next(packets, None)
        except FFmpegError:
            failures += 1
            packets = container.demux(stream)
            continue
        if packet is None:
            return
        failures = 0
        try:
            yield from packet.decode()
        except FFmpegError:
            losses.packets += 1


def _shortfall(video: Video, losses: _Losses, decoded_s: float) -> Iterator[str]:
    if losses.packets:
        yield f"damaged: {losses.packets} packets ({losses.packets / video.fps_nominal:.1f} s) could not be decoded"
    if losses.resized:
        yield f"{losses.resized} frames of another size than the first were left out"
    missing_s = video.duration_s - decoded_s
    if abs(missing_s) > max(_TOLERANCE_S, _TOLERANCE * video.duration_s):
        claim = f"claims {video.duration_s:.1f} s, {decoded_s:.1f} s could be decoded"
        lost = f"; the last {missing_s:.1f} s are missing (cut off or damaged)" if missing_s > 0 else ""
        yield claim + lost
