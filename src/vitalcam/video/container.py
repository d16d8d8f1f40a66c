"""Video files through PyAV: true presentation times, rotation, and whatever decodes of a damaged file."""

from __future__ import annotations

import contextlib
import dataclasses
import heapq
import math
import re
from collections import deque
from collections.abc import Iterator
from fractions import Fraction
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
_REORDERED_FRAMES = 8
_MATROSKA_DURATION = re.compile(r"(\d+):(\d+):(\d+\.?\d*)")
_GAP_S, _GAP_STEPS = 0.25, 3
_TOLERANCE_S, _TOLERANCE = 0.5, 0.02


@dataclasses.dataclass
class _Losses:
    """What was read in one pass, and what could not be."""

    frames: int = 0
    last_s: float = 0.0
    packets: int = 0
    resized: int = 0
    gaps: int = 0
    gaps_s: float = 0.0

    def saw(self, time_s: float) -> None:
        """Count a frame."""
        if time_s - self.last_s > max(_GAP_S, _GAP_STEPS * self.step_s):
            self.gaps += 1
            self.gaps_s += time_s - self.last_s
        self.frames, self.last_s = self.frames + 1, time_s

    @property
    def step_s(self) -> float:
        """Mean step so far; 0 before there is one."""
        return self.last_s / max(self.frames - 1, 1)

    def report(self, claimed_s: float) -> Iterator[str]:
        """One sentence for each thing that a user must know."""
        if self.packets:
            yield f"damaged: {self.packets} packets (about {self.packets * self.step_s:.1f} s) could not be decoded"
        if self.resized:
            yield f"{self.resized} frames of another size than the first were left out"
        if self.gaps:
            yield f"{self.gaps_s:.1f} s of it are without frames (gaps: {self.gaps})"
        decoded_s = self.last_s + self.step_s
        if abs(claimed_s - decoded_s) > max(_TOLERANCE_S, _TOLERANCE * claimed_s):
            missing = f"; the last {claimed_s - decoded_s:.1f} s are missing (cut off or damaged)"
            yield f"claims {claimed_s:.1f} s, {decoded_s:.1f} s could be decoded{missing * (claimed_s > decoded_s)}"


def open_file(path: Path) -> Video:
    """A video file; its first frame is decoded at once, so that what cannot be used fails here.

    Raises:
        VideoError: no video, or none that decodes.
    """
    with _opened(path, "NONE") as (container, stream):
        pictures = _pictures(container, stream, _Losses())
        first = next(pictures, None)
        if first is None:
            raise VideoError(f"{path}: not one frame of its video can be decoded; record or export it again")
        if container.format.name.endswith("_pipe") and next(pictures, None) is None:  # jpeg_pipe, png_pipe ...
            raise VideoError(f"{path}: is a picture, not a video; give a video, or a folder of such pictures")
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
        if not container.streams:
            raise VideoError(f"{path}: {_what_it_is(path)}")
        if not isinstance(stream, VideoStream) or stream.disposition & Disposition.attached_pic:
            raise VideoError(f"{path}: has no video in it, only {_kinds(container)}; give a video of a face")
        stream.thread_type = threads
        yield container, stream


def _why_not(path: Path, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return "may not be read; change its permissions"
    if not isinstance(error, FFmpegError):
        return f"cannot be read ({error.strerror if isinstance(error, OSError) else error})"
    return _what_it_is(path)


def _what_it_is(path: Path) -> str:
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
    return " and ".join(sorted({"cover art" if s.type == "video" else s.type for s in container.streams}))


def _rate(stream: VideoStream) -> float:
    return float(stream.average_rate or stream.guessed_rate or "nan")


def _claimed_duration_s(container: InputContainer, stream: VideoStream) -> float:
    if container.format.name == "avi" and stream.frames:  # its duration is already cut to what is there
        return stream.frames / _rate(stream)
    if stream.duration and stream.time_base:
        return float(stream.duration * stream.time_base)
    if tag := _MATROSKA_DURATION.fullmatch(stream.metadata.get("DURATION", "")):  # of this stream alone
        return 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
    return container.duration / av.time_base if container.duration else float("nan")


def _quarter_turns(picture: av.VideoFrame) -> int:
    return round(picture.rotation / 90) % 4


def _frames(path: Path, video: Video) -> Iterator[Frame]:
    losses, turns = _Losses(), video.info["rotation_deg"] // 90
    with _opened(path, "AUTO") as (container, stream):
        stamped = _stamped(_pictures(container, stream, losses), stream.time_base or Fraction(1), losses)
        if container.format.name == "avi" and stream.codec_context.has_b_frames:
            stamped = _restamped(stamped)
        for picture, time_s in steady(stamped, 1 / video.fps_nominal, video.warnings, str(path)):
            yield Frame(pixels(picture, turns), time_s, losses.frames)
            losses.saw(time_s)
    for sentence in losses.report(video.duration_s):
        note(video.warnings, f"{path}: {sentence}")


def _stamped(
    pictures: Iterator[av.VideoFrame], time_base: Fraction, losses: _Losses
) -> Iterator[tuple[av.VideoFrame, float | None]]:
    size = None
    for picture in pictures:
        size = size or (picture.width, picture.height)
        if (picture.width, picture.height) == size:
            yield picture, None if picture.pts is None else float(picture.pts * time_base)
        else:
            losses.resized += 1


def _restamped(stamped: Iterator[tuple[av.VideoFrame, float | None]]) -> Iterator[tuple[av.VideoFrame, float | None]]:
    """Stamps in rising order: AVI stores none, and those guessed for B frames come in the order of decoding."""
    pictures: deque[av.VideoFrame] = deque()
    stamps: list[float] = []
    for picture, stamp in stamped:
        pictures.append(picture)
        heapq.heappush(stamps, math.inf if stamp is None else stamp)
        if len(pictures) > _REORDERED_FRAMES:
            yield pictures.popleft(), heapq.heappop(stamps)
    for picture in pictures:
        stamp = heapq.heappop(stamps)
        yield picture, stamp if math.isfinite(stamp) else None


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
    with contextlib.suppress(FFmpegError):
        yield from stream.decode(None)
