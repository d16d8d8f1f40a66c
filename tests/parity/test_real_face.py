"""A real face of 53 beats/min, and the same film mirrored, small, slow, dark and badly encoded: right or refused."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from vitalcam import Settings, measure
from vitalcam.runtime import bundled
from vitalcam.types import Bytes
from vitalcam.video.colour import to_rgb
from vitalcam.video.read import open_video
from vitalcam.video.write import write_video

CLIP = Path(
    os.environ.get("VITALCAM_REAL_FACE")
    or Path(os.environ.get("VITALCAM_SHARED") or Path(__file__).parents[3] / "shared") / "real" / "face_input.mp4"
)
TRUTH_BPM = 53.0
NETWORKS = [spec.name for spec in bundled() if spec.sees == "rgb"]
BY = [{"method": "pos"}, *({"model": name} for name in NETWORKS)]
Pictures = Iterator[tuple[float, Bytes]]

pytestmark = pytest.mark.skipif(
    not CLIP.exists(), reason="no clip of a real face; set VITALCAM_REAL_FACE to face_input.mp4 of vidmag 0.2.0"
)


def pictures() -> Pictures:
    for frame in open_video(CLIP):
        yield frame.time_s, to_rgb(frame)


def each(change: Callable[[Bytes], Bytes]) -> Pictures:
    return ((time_s, np.ascontiguousarray(change(picture))) for time_s, picture in pictures())


def half(picture: Bytes) -> Bytes:
    h, w = (side // 2 * 2 for side in picture.shape[:2])
    quarters = picture[:h, :w].reshape(h // 2, 2, w // 2, 2, 3)
    return np.asarray(quarters.mean(axis=(1, 3)).round(), np.uint8)


def darkened(picture: Bytes) -> Bytes:
    return np.asarray((0.3 * picture).round(), np.uint8)


def walking() -> Pictures:
    """The whole picture up and down, 1.8 times a second, by 6 % of the face or so."""
    return ((t, np.roll(picture, round(8 * np.sin(2 * np.pi * 1.8 * t)), axis=0)) for t, picture in pictures())


def photo() -> Pictures:
    """One picture of the film, with noise that its camera and encoder made, in an order that no pulse has."""
    times, frames = zip(*each(half), strict=True)
    rng, film = np.random.default_rng(0), np.array(frames, np.int16)
    for time_s, k in zip(times, rng.permutation(len(film) - 1), strict=False):
        yield time_s, np.clip(film[150] + (film[k] - film[k + 1]) / np.sqrt(2), 0, 255).round().astype(np.uint8)


VERSIONS: dict[str, Callable[[], Pictures]] = {
    "mirrored": lambda: each(lambda picture: picture[:, ::-1]),
    "half size": lambda: each(half),
    "15 frames/s": lambda: (both for k, both in enumerate(pictures()) if k % 2 == 0),
    "darkened": lambda: each(darkened),
    "walking": walking,
}


@pytest.mark.parametrize("by", BY, ids=lambda by: "".join(by.values()))
def test_the_clip_as_it_is(by: dict[str, str]) -> None:
    found = measure(CLIP, Settings(**by)).heart_rate
    assert found.value == pytest.approx(TRUTH_BPM, abs=1.0)
    assert found.confidence >= 0.9


@pytest.mark.parametrize("by", BY, ids=lambda by: "".join(by.values()))
@pytest.mark.parametrize("name", VERSIONS)
def test_other_versions_are_right_or_refused(name: str, by: dict[str, str]) -> None:
    right_or_refused(VERSIONS[name](), by)


@pytest.mark.parametrize("by", BY, ids=lambda by: "".join(by.values()))
@pytest.mark.parametrize("crf", [28, 38])
def test_other_encodings_are_right_or_refused(crf: int, by: dict[str, str], tmp_path: Path) -> None:
    times, frames = zip(*pictures(), strict=True)
    path = tmp_path / "clip.mp4"
    write_video(path, iter(frames), times_s=np.array(times), crf=crf)
    right_or_refused(path, by)


@pytest.mark.parametrize("by", BY, ids=lambda by: "".join(by.values()))
def test_a_photo_of_the_face_has_no_pulse(by: dict[str, str]) -> None:
    result = measure(photo(), Settings(**by))
    assert result.heart_rate.value is None
    judged = [e for e in result.estimates if e.quantity == "heart_rate"]
    assert judged
    assert [e for e in judged if e.value is not None] == []


def right_or_refused(source: Pictures | Path, by: dict[str, str]) -> None:
    """The whole recording within 2, each of its windows (the first are of 5 s) within what a confidence speaks of."""
    result = measure(source, Settings(**by))
    whole = result.heart_rate.value
    assert whole is None or whole == pytest.approx(TRUTH_BPM, abs=2)
    told = [e.value for e in result.estimates if e.quantity == "heart_rate" and e.value is not None]
    assert told == pytest.approx([TRUTH_BPM] * len(told), abs=5)
