"""Cameras through libavdevice, stamped with the clock of the capture."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import av
from av.container import InputContainer
from av.error import FFmpegError

from vitalcam.errors import VideoError
from vitalcam.types import Frame, Video
from vitalcam.video.decode import pixels
from vitalcam.video.times import note


def open_camera(device: int | str = 0, *, fps_hz: float | None = None, size_px: tuple[int, int] | None = None) -> Video:
    """A camera by number or by the name that the system gives it. It is opened at once and read until closed.

    Args:
        device: 0 is the first camera; "/dev/video2" (Linux), "FaceTime HD Camera" (macOS, Windows).
        fps_hz: rate to ask the camera for.
        size_px: width and height to ask for.

    Raises:
        VideoError: no such camera, it is in use, or may not be used.
    """
    name, driver = _address(device)
    if driver == "avfoundation":
        fps_hz = fps_hz or 30  # its own default, 29.97, is refused by most cameras
    options = {"framerate": f"{fps_hz:g}"} if fps_hz else {}
    options |= {"video_size": f"{size_px[0]}x{size_px[1]}"} if size_px else {}
    return open_device(name, driver, options, f"camera {device}")


def _address(device: int | str) -> tuple[str, str]:
    """What libavdevice calls the camera, and its driver."""
    number = int(device) if isinstance(device, int) or device.isdigit() else None
    if sys.platform == "darwin":
        return str(device), "avfoundation"
    if sys.platform == "win32":
        return f"video={device}" if number is None else f"video={_windows_name(number)}", "dshow"
    return str(device) if number is None else f"/dev/video{number}", "v4l2"


def _windows_name(number: int) -> str:
    from av.device import enumerate_input_devices

    names = [d.description for d in enumerate_input_devices("dshow") if "video" in d.media_types]
    if number >= len(names):
        raise VideoError(f"camera {number}: there is none of that number; there are: {', '.join(names) or 'none'}")
    return names[number]


def open_device(name: str, driver: str, options: dict[str, str], source: str) -> Video:
    """A video of any libavdevice input; the device is opened now and kept for the first reading."""
    container = _opened(name, driver, options, source)
    stream = container.streams.video[0]
    waiting = [container]
    warnings: list[str] = []

    def frames() -> Iterator[Frame]:
        return _frames(waiting.pop() if waiting else _opened(name, driver, options, source), source, warnings)

    rate = float(stream.average_rate or stream.guessed_rate or "nan")
    context = stream.codec_context
    info = {"container": driver, "codec": context.name, "pixel_format": context.pix_fmt}
    return Video(source, context.width, context.height, rate, float("nan"), frames, warnings=warnings, info=info)


def _opened(name: str, driver: str, options: dict[str, str], source: str) -> InputContainer:
    try:
        container = av.open(name, format=driver, options=options)
    except (FFmpegError, OSError, ValueError) as error:
        raise VideoError(f"{source}: {_why_not(name, driver, error)}") from error
    if not container.streams.video:
        container.close()
        raise VideoError(f"{source}: gives no pictures; choose another camera")
    return container


def _why_not(name: str, driver: str, error: Exception) -> str:
    if isinstance(error, PermissionError):
        return f"{name} may not be used; allow it, on Linux by joining the group 'video'"
    if isinstance(error, FileNotFoundError):
        return f"there is no {name}; plug it in, try another number or give a video file"
    if "no container format" in str(error):
        return f"this build of PyAV has no {driver}; use vitalcam live in the browser or give a video file"
    return f"{name} cannot be opened ({error}); close other programs that use it, or try another rate or number"


def _frames(container: InputContainer, source: str, warnings: list[str]) -> Iterator[Frame]:
    clock, index = _CaptureClock(), 0
    with container:
        try:
            for picture in container.decode(container.streams.video[0]):
                time_s = clock.time_s(picture.time, time.monotonic())
                if time_s is not None:
                    yield Frame(pixels(picture), time_s, index)
                    index += 1
        except FFmpegError as error:
            note(warnings, f"{source}: stopped giving pictures ({error})")


class _CaptureClock:
    """Time since the first frame: by the driver's stamps, and by the time of arrival where those do not advance."""

    def __init__(self) -> None:
        self.zero: tuple[float | None, float] | None = None
        self.last_s = -1.0

    def time_s(self, stamp_s: float | None, arrival_s: float) -> float | None:
        """None if neither clock has advanced."""
        if self.zero is None:
            self.zero = (stamp_s, arrival_s)
        stamp_zero, arrival_zero = self.zero
        candidates = [] if stamp_s is None or stamp_zero is None else [stamp_s - stamp_zero]
        for time_s in [*candidates, arrival_s - arrival_zero]:
            if time_s > self.last_s:
                self.last_s = time_s
                return time_s
        return None
