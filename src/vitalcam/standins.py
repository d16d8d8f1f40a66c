"""Synthetic stand-ins for the papers' data sets, so that every table can be run without a download.

A stand-in shares with its set the kind of scene and nothing else; numbers of one say nothing about the other. People
differ between the stand-ins, and from those of training clips and of the benchmark ladder.
"""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path
from typing import Any

from vitalcam.data import Preparation, Store, prepare
from vitalcam.synth import recordings, scenarios
from vitalcam.synth.scene import Scene

SETS: dict[str, tuple[str, ...]] = {
    "PURE": ("still", "talk", "rotate", "glide"),
    "UBFC-rPPG": ("still", "recovery"),
    "iBVP": ("still", "slow_breath", "rotate", "recovery"),
    "SCAMPS": ("talk", "warm_light", "clouds", "rotate"),
    "MMPD": ("dark_skin", "low_light", "walk", "exercise", "compressed"),
    "BP4D+": ("talk", "glide", "talk", "recovery"),
}
"""Scenarios of each stand-in; a new one comes last, for the people of each follow from its place."""

CAMERAS: dict[str, dict[str, Any]] = {"iBVP": {"thermal": True}, "BP4D+": {"thermal": True, "fps_hz": 25.0}}
"""What is unlike the other stand-ins in their cameras."""

_APART = 100_000


def scenes(dataset: str, n: int, duration_s: float) -> list[Scene]:
    """Scenes of a stand-in: ``n`` people, the scenarios in turn."""
    kinds = SETS[dataset]
    first = scenarios.TEST_IDENTITIES + _APART * (1 + list(SETS).index(dataset))
    drawn = (scenarios.sample(kinds[i % len(kinds)], first + i, duration_s=duration_s) for i in range(n))
    camera = CAMERAS.get(dataset, {})
    return [dataclasses.replace(scene, camera=dataclasses.replace(scene.camera, **camera)) for scene in drawn]


class StandIns:
    """A source for `vitalcam.reproduce`.

    Args:
        folder: where videos and prepared clips are kept; what is there is not rendered again.
        people: in each set.
        duration_s: of each recording.
    """

    def __init__(self, folder: Path, *, people: int = 16, duration_s: float = 20.0) -> None:
        self.folder, self.people, self.duration_s = folder, people, duration_s
        self.name = f"synthetic stand-ins, {people} people of {duration_s:g} s in each set"

    def store(self, dataset: str, preparation: Preparation) -> Store | None:
        """A stand-in, prepared; None if there is none for that set."""
        return self._made(dataset, preparation) if dataset in SETS else None

    @functools.cache  # noqa: B019 (a source lives as long as the run)
    def _made(self, dataset: str, preparation: Preparation) -> Store:
        place = self.folder / f"{dataset}-{self.people}-{self.duration_s:g}"
        written = recordings.write_scenes(place / "videos", scenes(dataset, self.people, self.duration_s))
        return prepare(map(recordings.read, written), place / "prepared", preparation)[0]
