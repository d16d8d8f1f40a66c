"""What `tools/collect_windows.py` keeps of a recording, and how it is read again."""

from __future__ import annotations

import pickle
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from vitalcam.signal import breath, quality
from vitalcam.types import Floats


@dataclass(frozen=True)
class Seen:
    """One window.

    Attributes:
        t0_s, t1_s: where.
        truth: true rate per minute; NaN for nobody's.
        window: what it was judged by.
        wave: (T,) the true wave on its clock, for a breathing window.
    """

    t0_s: float
    t1_s: float
    truth: float
    window: quality.Window | breath.Window
    wave: Floats | None = None


@dataclass(frozen=True)
class Collected:
    """What was seen of one recording.

    Attributes:
        name: of the recording.
        scenario: it is from.
        identity: number of the person.
        null: whether it has no pulse.
        heart, resp: its windows.
    """

    name: str
    scenario: str
    identity: int
    null: bool
    heart: tuple[Seen, ...]
    resp: tuple[Seen, ...]


def load(folder: Path) -> Iterator[Collected]:
    """The recordings in a folder, by name. Pickles: only for files of one's own."""
    for file in sorted(folder.glob("*.pickle")):
        yield pickle.loads(file.read_bytes())
