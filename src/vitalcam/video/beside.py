"""A colour video with what a thermal camera beside it saw at the time of each picture.

The thermal camera is taken to see the same field as the colour camera, whatever its pixels are. A reader of recordings
whose cameras see different fields has to hand out thermal pictures that are cut to fit.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from vitalcam.types import Frame, Video
from vitalcam.video.times import note

APART_S = 0.1
"""A colour picture has no thermal one if the nearest was taken so far from it."""


def beside(video: Video, thermal: Video) -> Video:
    """The colour video, each frame with the thermal picture of its time: between two it is interpolated.

    Args:
        video: colour.
        thermal: degrees Celsius, on the same clock.
    """
    return dataclasses.replace(
        video, channels="rgbt", frames=lambda: _together(video, thermal),
        info={**video.info, "thermal": thermal.source},
    )  # fmt: skip


def _together(video: Video, thermal: Video) -> Iterator[Frame]:
    pictures = iter(thermal)
    before, after = None, next(pictures, None)
    count = alone = 0
    for frame in video:
        while after is not None and after.time_s <= frame.time_s:
            before, after = after, next(pictures, None)
        seen = _at(frame.time_s, before, after)
        count, alone = count + 1, alone + (seen is None)
        yield dataclasses.replace(frame, thermal=seen)
    for warning in thermal.warnings:
        note(video.warnings, warning)
    if alone:
        note(
            video.warnings,
            f"{thermal.source}: has no picture within {APART_S:g} s of {alone} of the {count} frames of {video.source};"
            " both must be on one clock",
        )


def _at(time_s: float, before: Frame | None, after: Frame | None) -> NDArray[np.float32] | None:
    near = [f for f in (before, after) if f is not None and abs(f.time_s - time_s) <= APART_S]
    if len(near) < 2:
        return np.asarray(near[0].pixels, np.float32) if near else None
    (first, second), step_s = (np.asarray(f.pixels, np.float32) for f in near), near[1].time_s - near[0].time_s
    return first + np.float32((time_s - near[0].time_s) / step_s) * (second - first)
