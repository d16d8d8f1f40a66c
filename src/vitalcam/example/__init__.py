"""The clip of `vitalcam demo`: a rendered person, its recipe and its truth; made by tools/make_demo.py."""

from __future__ import annotations

import functools
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam.types import Floats

_HERE = Path(__file__).parent
CLIP = _HERE / "clip.mp4"


@dataclass(frozen=True)
class Truth:
    """What the rendered person's heart and chest did.

    Attributes:
        beats_s: (N,) times at which the pulse of each beat reaches the face.
        breaths_s: (M,) times at which each breath begins.
    """

    beats_s: Floats
    breaths_s: Floats

    @property
    def heart_rate_bpm(self) -> float:
        """60 over the mean interval between beats."""
        return float(60 / np.diff(self.beats_s).mean())

    @property
    def resp_rate_bpm(self) -> float:
        """60 over the mean interval between breaths."""
        return float(60 / np.diff(self.breaths_s).mean())


@functools.cache
def card() -> dict[str, Any]:
    """Everything that is written down about the clip: seed, scene, versions, encoder, sha256, truth."""
    about: dict[str, Any] = json.loads((_HERE / "clip.json").read_text())
    return about


def truth() -> Truth:
    """The truth of the clip."""
    known = card()["truth"]
    return Truth(np.array(known["beats_s"]), np.array(known["breaths_s"]))
