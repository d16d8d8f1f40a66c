"""Square crops of a face on a uniform clock: out of a colour video, and out of the thermal video beside it.

A thermal camera is taken to see the same field as the colour camera, whatever its pixels are: the face is found in
colour and cut at the same share of the thermal picture. A reader of recordings whose cameras see different fields has
to hand out thermal pictures that are cut to fit.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from vitalcam.face.crop import area, enlarge
from vitalcam.face.sample import CROP, SKIN, Sampler
from vitalcam.face.track import Tracker
from vitalcam.signal.resample import uniform
from vitalcam.types import Bools, Floats, Video

STEPS = 256.0
"""A picture holds whole 256ths of a grey level, or of a degree Celsius: a mean over an area is finer than a pixel."""

_SKIN_PX = 36  # pictures at least as fine as this tell skin from what is not
_BLOCK_S = 5.0
_MARGIN_S = 1.0
_APART_S = 0.1  # a thermal picture this far from the nearest sight of the face has no place for it

Place = tuple[float, Floats]
"""A time, and the square about the face at it as shares of the picture's width and height: x0, y0, x1, y1."""

_Sample = tuple[float, Floats]  # time, and picture (and skin) in one row


@dataclass(frozen=True)
class Crops:
    """Crops on the samples of a clock.

    Attributes:
        start: number of the first sample; sample i lies at i / fs_hz.
        pictures: (T, H, W, C) uint16 in `STEPS`, 0 where not valid.
        skin: (T, 3) float32 mean RGB of the skin 0..255, NaN where not valid; (T, 0) of a thermal video.
        valid: (T,) whether there was a picture of the face.
    """

    start: int
    pictures: NDArray[np.uint16]
    skin: Floats
    valid: Bools

    def on(self, start: int, n: int) -> Crops:
        """The same on ``n`` samples from number ``start`` on; those that were not there are not valid."""
        at = np.arange(start, start + n) - self.start
        inside = (at >= 0) & (at < len(self.valid))
        pictures, skin = (np.zeros((n, *a.shape[1:]), a.dtype) for a in (self.pictures, self.skin))
        valid = np.zeros(n, bool)
        pictures[inside], valid[inside] = self.pictures[at[inside]], self.valid[at[inside]]
        skin[:] = np.nan
        skin[inside] = self.skin[at[inside]]
        return Crops(start, pictures, skin, valid)


def of_face(video: Video, size_px: int, fs_hz: float) -> tuple[Crops, list[Place]]:
    """Follow the face of a colour video.

    Args:
        video: colour.
        size_px: side of the crops.
        fs_hz: rate of the clock.

    Returns:
        Crops, and where the face was.
    """
    places: list[Place] = []
    return _on_clock(_seen(video, size_px, places), size_px, 3, fs_hz), places


def of_places(video: Video, places: Sequence[Place], size_px: int, fs_hz: float) -> Crops:
    """Cut a thermal video where the face was seen in the colour video beside it; arguments as for `of_face`."""
    return _on_clock(_cut(video, places, size_px), size_px, 1, fs_hz)


def _seen(video: Video, size_px: int, places: list[Place]) -> Iterator[_Sample]:
    """Crop and mean skin of each frame in which the face is sure to have been there; where it was to ``places``."""
    fine = -(-_SKIN_PX // size_px)
    tracker, sampler, last_id = Tracker(1), Sampler(fine * size_px), 0
    unconfirmed: list[tuple[Place, Floats]] = []
    for frame in video:
        face = next((face for face in tracker.push(frame) if face.state != "lost"), None)
        if face is None or face.id != last_id:
            unconfirmed.clear()
            sampler.reset()
            last_id = face.id if face else 0
        if face is None:
            continue
        row, crop = sampler.push(frame, face, np.full(3, np.nan))
        if np.isfinite(row[SKIN]).all():
            small = crop.reshape(size_px, fine, size_px, fine, -1).mean(axis=(1, 3))
            square = enlarge(face.box_px, CROP) / (frame.width, frame.height, frame.width, frame.height)
            values = np.concatenate([small.ravel(), row[SKIN]]).astype(np.float32)
            unconfirmed.append(((frame.time_s, square), values))
        if face.state == "detected":
            yield from _confirmed(unconfirmed, places)
    yield from _confirmed(unconfirmed, places)


def _confirmed(waiting: list[tuple[Place, Floats]], places: list[Place]) -> Iterator[_Sample]:
    for place, values in waiting:
        places.append(place)
        yield place[0], values
    waiting.clear()


def _cut(video: Video, places: Sequence[Place], size_px: int) -> Iterator[_Sample]:
    """Crop of each picture near whose time the face was seen."""
    times = np.array([time_s for time_s, _ in places])
    for frame in video:
        nearest = int(np.abs(times - frame.time_s).argmin())
        if abs(times[nearest] - frame.time_s) <= _APART_S:
            box_px = places[nearest][1] * (frame.width, frame.height, frame.width, frame.height)
            yield frame.time_s, area(frame, box_px, (size_px, size_px)).ravel()


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
