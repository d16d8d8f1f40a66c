"""Thermal video from files: arrays of temperatures with the times of their pictures beside them."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam import files
from vitalcam.errors import VideoError
from vitalcam.types import Floats, Frame, Video

_ZERO_C = 273.15
_LIKELY_C = (-60.0, 250.0)


def open_thermal(source: str | Path | Video) -> Video:
    """A thermal video, degrees Celsius.

    Args:
        source: NAME.npy (T, h, w): uint16 in hundredths of a kelvin, as radiometric cameras give it, or floats in
            degrees Celsius; the times of its pictures in seconds are the first column of NAME_times.csv beside it,
            under a line of names. Or a thermal `Video`, as it is.

    Raises:
        VideoError: it cannot be read, or is nothing of the kind; the message names the file.
    """
    if isinstance(source, Video):
        if source.channels != "thermal":
            raise VideoError(f"{source.source}: is no thermal video")
        return source
    path = Path(source)
    if not path.is_file():
        raise VideoError(f"{path}: no such file; give the thermal video as an array (.npy), its times beside it")
    try:
        pictures = np.load(path, mmap_mode="r")
    except (OSError, EOFError, ValueError):
        pictures = None
    if not isinstance(pictures, np.ndarray):
        raise VideoError(f"{path}: is no array of numbers, or damaged; save one by numpy.save")
    _check(path, pictures)
    times = _times(path.with_name(f"{path.stem}_times.csv"))
    if len(times) != len(pictures):
        raise VideoError(f"{path}: has {len(pictures)} pictures, and {path.stem}_times.csv {len(times)} times")
    _, height, width = pictures.shape
    rate = 1 / float(np.median(np.diff(times))) if times.size > 1 else math.nan
    frames = functools.partial(_degrees, pictures, times)
    return Video(str(path), width, height, rate, float(times[-1]), frames, "thermal")


def _check(path: Path, pictures: NDArray[Any]) -> None:
    if pictures.ndim != 3 or not pictures.size or not (pictures.dtype == np.uint16 or pictures.dtype.kind == "f"):
        raise VideoError(
            f"{path}: is {pictures.dtype} of shape {pictures.shape}; it must be (T, h, w), uint16 in hundredths of a "
            "kelvin or floats in degrees Celsius"
        )
    degrees = _celsius(pictures[0])
    known = degrees[np.isfinite(degrees)]
    middle_c = float(np.median(known)) if known.size else math.nan
    if not _LIKELY_C[0] < middle_c < _LIKELY_C[1]:
        raise VideoError(
            f"{path}: its first picture would be of {middle_c:.0f} degrees Celsius; it must hold uint16 in hundredths "
            "of a kelvin or floats in degrees Celsius"
        )


def _times(path: Path) -> Floats:
    if not path.is_file():
        raise VideoError(f"{path}: no such file; it must hold the time of each thermal picture, in seconds")
    try:
        times = files.columns(path, 1)[:, 0]
    except (OSError, ValueError) as error:
        raise VideoError(f"{path}: damaged ({error}); under a line of names it must hold a time a line") from None
    if not (np.isfinite(times).all() and np.all(np.diff(times) > 0)):
        raise VideoError(f"{path}: its times must be finite and increase")
    return times


def _celsius(picture: NDArray[Any]) -> NDArray[np.float32]:
    kelvin = picture.dtype == np.uint16
    return np.asarray(picture / np.float32(100) - np.float32(_ZERO_C) if kelvin else picture, np.float32)


def _degrees(pictures: NDArray[Any], times_s: Floats) -> Iterator[Frame]:
    for index, (picture, time_s) in enumerate(zip(pictures, times_s, strict=True)):
        yield Frame(_celsius(picture)[..., None], float(time_s), index)
