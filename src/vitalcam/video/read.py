"""One way in for every kind of source: file, folder of images, array, iterable, camera."""

from __future__ import annotations

import dataclasses
import glob
import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam.errors import VideoError
from vitalcam.types import Floats, Frame, Planes, Video
from vitalcam.video.camera import open_camera
from vitalcam.video.container import open_file
from vitalcam.video.folder import open_folder
from vitalcam.video.times import note


def open_video(source: Any, *, fps_hz: float | None = None, times_s: Sequence[float] | Floats | None = None) -> Video:
    """A video from anything that gives frames. Times are the source's own unless they are given here.

    Args:
        source: path of a video file or a folder of images; camera as number, "0" or "/dev/video0"; array (T, H, W, 3)
            uint8 RGB; iterable of (time_s, (H, W, 3) uint8 RGB) or of `Frame`, or of pictures alone where times are
            given here; a `Video` as it is.
        fps_hz: frames are evenly spaced at this rate, whatever the source says; a camera is asked for it.
        times_s: (T,) time of each frame, strictly increasing, kept as they are: zero is not moved.

    Raises:
        VideoError: the source cannot be read, or has no times and none are given.
    """
    times = _checked(fps_hz, times_s)
    untimed = fps_hz is None and times is None
    if isinstance(source, Video):
        return _retimed(source, fps_hz, times)
    if isinstance(source, np.ndarray):
        return _retimed(_from_array(source, untimed, times), fps_hz, times)
    if isinstance(source, bool) or not isinstance(source, str | Path | int | np.integer | Iterable):
        raise VideoError(f"{source!r}: is not a video; give a path, a camera number, an array or an iterable of frames")
    if isinstance(source, int | np.integer) or (isinstance(source, str | Path) and _names_camera(str(source))):
        return open_camera(str(source) if isinstance(source, str | Path) else int(source), fps_hz=fps_hz)
    if not isinstance(source, str | Path):
        return _retimed(_from_iterable(source, untimed), fps_hz, times)
    path = Path(source)
    if not str(source).strip() or not path.exists():
        raise VideoError(_missing(str(source)))
    if not (path.is_dir() or path.is_file()):
        raise VideoError(
            f"{path}: is a pipe or a device, which cannot be read twice; give a file, a folder or a camera"
        )
    return _retimed(open_folder(path, stamped=untimed) if path.is_dir() else open_file(path), fps_hz, times)


def _missing(name: str) -> str:
    """What to say of a name that nothing has."""
    if not name.strip():
        return "the name of the video is empty; give a path"
    if "://" in name:
        return f"{name}: is not a file on this machine; download it first"
    if glob.has_magic(name):
        return f"{name}: no file matches this pattern; check the folder and the ending"
    return f"{name}: no such file or folder; check the path"


def _names_camera(name: str) -> bool:
    return name.startswith("/dev/video") or (name.isdigit() and not Path(name).exists())


def _checked(fps_hz: float | None, times_s: Sequence[float] | Floats | None) -> Floats | None:
    if fps_hz is not None and not (math.isfinite(fps_hz) and fps_hz > 0):
        raise VideoError(f"fps_hz: {fps_hz} is not a frame rate; give frames per second")
    if times_s is None:
        return None
    if fps_hz is not None:
        raise VideoError("fps_hz and times_s: give one of them, not both")
    times = np.asarray(times_s, dtype=np.float64)
    if times.ndim != 1 or not times.size or not np.isfinite(times).all() or np.any(np.diff(times) <= 0):
        raise VideoError("times_s: must be one row of finite, strictly increasing seconds")
    return times


def _retimed(video: Video, fps_hz: float | None, times: Floats | None) -> Video:
    """The same frames at the given times, by their number."""
    if fps_hz is None and times is None:
        return video
    if times is not None and len(times) > 1:
        step_s = float(np.median(np.diff(times)))
        fps_nominal, duration_s = 1 / step_s, float(times[-1] - times[0]) + step_s
    else:
        fps_nominal = fps_hz or math.nan
        duration_s = video.info.get("frames", video.duration_s * video.fps_nominal) / fps_nominal
    return dataclasses.replace(
        video, fps_nominal=fps_nominal, duration_s=duration_s, frames=lambda: _by_index(video, fps_hz, times)
    )


def _by_index(video: Video, fps_hz: float | None, times: Floats | None) -> Iterator[Frame]:
    for frame in video.frames():
        if fps_hz is not None:
            yield dataclasses.replace(frame, time_s=frame.index / fps_hz)
        elif times is not None and frame.index < len(times):
            yield dataclasses.replace(frame, time_s=float(times[frame.index]))
        else:
            note(video.warnings, f"{video.source}: has more frames than times_s; the rest was left out")
            return


def _from_array(array: NDArray[Any], untimed: bool, times: Floats | None) -> Video:
    if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8 or not array.size:
        raise VideoError(f"array: must be (T, H, W, 3) uint8 RGB with T > 0, got {array.shape} {array.dtype}")
    if untimed:
        raise VideoError("array: has no times; give fps_hz or times_s")
    if times is not None and len(times) != len(array):
        raise VideoError(f"array: {len(array)} frames but {len(times)} times_s; give one for each")

    def frames() -> Iterator[Frame]:
        return (Frame(pixels, float(index), index) for index, pixels in enumerate(array))

    _, height, width, _ = array.shape
    return Video("array", width, height, math.nan, math.nan, frames, info={"frames": len(array)})


def _from_iterable(source: Iterable[Any], untimed: bool) -> Video:
    """Frames as they come. An iterator can be read once; its first item is taken now, for the size."""
    rows = iter(source)
    first = next(rows, None)
    if first is None:
        raise VideoError("iterable: gives no frames; give (time_s, rgb) pairs or Frames")
    warnings: list[str] = []
    known = _as_frame(first, 0, untimed)
    opened = iter([itertools.chain([first], rows)])

    def frames() -> Iterator[Frame]:
        again = None if rows is source else iter(source)
        items = next(opened, again)
        if items is None:
            raise VideoError("iterable: can be read only once; give a list, or open it anew")
        return _sound((_as_frame(item, index, untimed) for index, item in enumerate(items)), warnings)

    return Video("iterable", known.width, known.height, math.nan, math.nan, frames, warnings=warnings)


def _sound(frames: Iterable[Frame], warnings: list[str]) -> Iterator[Frame]:
    """The frames whose time advances and whose size is that of the first; the others are counted in a warning."""
    last_s, late, resized = -math.inf, 0, 0
    size: tuple[int, int] | None = None
    for frame in frames:
        size = size or (frame.width, frame.height)
        if (frame.width, frame.height) != size:
            resized += 1
        elif frame.time_s <= last_s:
            late += 1
        else:
            last_s = frame.time_s
            yield frame
    if late:
        note(warnings, f"iterable: frames whose time did not advance were left out: {late}")
    if resized:
        note(warnings, f"iterable: frames of another size than the first were left out: {resized}")


def _as_frame(item: Any, index: int, untimed: bool) -> Frame:
    if isinstance(item, Frame):
        return dataclasses.replace(item, index=index)
    if isinstance(item, np.ndarray) and item.ndim == 3:
        if untimed:
            raise VideoError("iterable: its frames have no times; give fps_hz, times_s, or (time_s, rgb) pairs")
        return Frame(item, float(index), index)
    try:
        time_s, pixels = item
        if not isinstance(pixels, Planes):
            pixels = np.asarray(pixels)
        return Frame(pixels, float(time_s), index)
    except (TypeError, ValueError) as error:
        raise VideoError(f"iterable: item {index} is not (time_s, rgb) or a Frame ({error})") from error
