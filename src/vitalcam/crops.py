"""Square crops of a face on a uniform clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitalcam.face.sample import SKIN, Sampler, crop_px, picture
from vitalcam.face.track import Tracker
from vitalcam.signal.resample import uniform
from vitalcam.types import N_CHANNELS, Bools, Channels, Floats, Video

STEPS = 256.0
"""A picture holds whole 256ths of a grey level, or of a degree Celsius: a mean over an area is finer than a pixel."""

_BLOCK_S = 5.0
_MARGIN_S = 1.0

_Sample = tuple[float, Floats]  # time, and picture (and skin) in one row


@dataclass(frozen=True)
class Crops:
    """Crops on the samples of a clock.

    Attributes:
        start: number of the first sample; sample i lies at i / fs_hz.
        pictures: (T, H, W, C) uint16 in `STEPS`, 0 where not valid.
        skin: (T, 3) float32 mean RGB of the skin 0..255, NaN where not valid.
        valid: (T,) whether there was a picture of the face.
    """

    start: int
    pictures: NDArray[np.uint16]
    skin: Floats
    valid: Bools


def of_face(video: Video, size_px: int, fs_hz: float, channels: Channels = "rgb") -> Crops:
    """Follow the face of a colour video.

    Args:
        video: colour; with thermal pictures (`vitalcam.video.beside`) where these are wanted.
        size_px: side of the crops.
        fs_hz: rate of the clock.
        channels: what the crops show.
    """
    return _on_clock(_seen(video, size_px, channels), size_px, N_CHANNELS[channels], fs_hz)


def _seen(video: Video, size_px: int, channels: Channels) -> Iterator[_Sample]:
    """Crop and mean skin of each frame in which the face is sure to have been there."""
    tracker, sampler, last_id = Tracker(1), Sampler(crop_px(size_px)), 0
    unconfirmed: list[_Sample] = []
    for frame in video:
        face = next((face for face in tracker.push(frame) if face.state != "lost"), None)
        if face is None or face.id != last_id:
            unconfirmed.clear()
            sampler.reset()
            last_id = face.id if face else 0
        if face is None:
            continue
        row, crop = sampler.push(frame, face, np.full(3, np.nan))
        shown = picture(frame, crop, size_px, channels)
        if shown is not None and np.isfinite(row[SKIN]).all():
            unconfirmed.append((frame.time_s, np.concatenate([shown.ravel(), row[SKIN]]).astype(np.float32)))
        if face.state == "detected":
            yield from unconfirmed
            unconfirmed.clear()
    yield from unconfirmed


def _on_clock(samples: Iterable[_Sample], size_px: int, channels: int, fs_hz: float) -> Crops:
    shape = (size_px, size_px, channels)
    pieces = list(_pieces(samples, shape, fs_hz))
    if not pieces:
        return Crops(0, np.zeros((0, *shape), np.uint16), np.zeros((0, 0), np.float32), np.zeros(0, bool))
    pictures, skin, valid = (np.concatenate(part) for part in zip(*(piece[1:] for piece in pieces), strict=True))
    return Crops(pieces[0][0], pictures, skin, valid)


_Piece = tuple[int, NDArray[np.uint16], Floats, Bools]


def _pieces(samples: Iterable[_Sample], shape: tuple[int, ...], fs_hz: float) -> Iterator[_Piece]:
    """Pieces of a uniform clock that follow each other: number of the first sample, pictures, skin, valid."""
    times: list[float] = []
    rows: list[Floats] = []
    start = 0
    for time_s, row in samples:
        if not times:
            start = int(np.ceil(time_s * fs_hz - 1e-6))
        times.append(time_s)
        rows.append(row)
        stop = int((time_s - _MARGIN_S) * fs_hz)
        if stop - start >= _BLOCK_S * fs_hz:
            yield start, *_sampled(times, rows, start, stop, shape, fs_hz)
            start = stop
            old = int(np.searchsorted(times, start / fs_hz - _MARGIN_S))
            del times[:old], rows[:old]
    stop = int(np.floor(times[-1] * fs_hz + 1e-6)) + 1 if times else 0
    if stop > start:
        yield start, *_sampled(times, rows, start, stop, shape, fs_hz)


def _sampled(
    times: list[float], rows: list[Floats], start: int, stop: int, shape: tuple[int, ...], fs_hz: float
) -> tuple[NDArray[np.uint16], Floats, Bools]:
    values, _, valid = uniform(np.stack(rows), times, fs_hz=fs_hz, t0_s=start / fs_hz, t1_s=(stop - 1) / fs_hz)
    n = int(np.prod(shape))
    stored = np.clip(np.rint(np.nan_to_num(values[:, :n]) * STEPS), 0, 65535).astype(np.uint16)
    return stored.reshape(-1, *shape), values[:, n:], valid
