"""The result in words for a terminal: a summary of one source, a table of many."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vitalcam.report import words
from vitalcam.types import Estimate, FaceResult, Result

if TYPE_CHECKING:
    from rich.console import Console

_WIDTH = 12
_CELL_WIDTH = 40  # a rate with its range; what is longer is wrapped, so that it does not push the others apart


@dataclass(frozen=True)
class Line:
    """What the table says of one face, all of it in words.

    Attributes:
        face: its id; empty where there is none.
        heart_rate: with its range over time, or why there is none.
        confidence: of the heart rate; empty where there is none.
        breathing: rate, or why there is none.
    """

    face: str = ""
    heart_rate: str = ""
    confidence: str = ""
    breathing: str = ""


def measured(result: Result) -> bool:
    """Whether any face has a heart rate or a breathing rate."""
    return any(e.value is not None for face in result.faces for e in (face.heart_rate, face.resp_rate))


def lines(result: Result) -> tuple[Line, ...]:
    """A line of the table for each face; one that gives the reason if there was none."""
    if not result.faces:
        return (Line(heart_rate=words.estimate(result.heart_rate, advice=False)),)
    return tuple(_line(face) for face in result.faces)


def summary(result: Result) -> str:
    """The result in words: rates with their range and confidence, or why there is none and what to do."""
    rows = [result.source]
    for face in result.faces:
        rows += [f"  face {face.id}"] if len(result.faces) > 1 else []
        rows += _rows(face)
    if not result.faces:
        rows.append(_row("heart rate", f"no value, {words.estimate(result.heart_rate)}"))
    rows += [_row("note", warning) for warning in result.warnings]
    return "\n".join(rows)


def table(rows: Iterable[tuple[str, Sequence[Line]]]) -> Any:
    """A rich table of sources with their lines."""
    from rich.box import SIMPLE_HEAD
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
    drawn.add_column("source", overflow="fold")
    for heading in ("face", "heart rate", "confidence", "breathing"):
        short = heading in ("face", "confidence")
        drawn.add_column(heading, no_wrap=short, max_width=None if short else _CELL_WIDTH)
    for source, entries in rows:
        for line in entries:
            cells = (source, line.face, line.heart_rate, line.confidence, line.breathing)
            drawn.add_row(*map(Text, cells))  # Text: a name in brackets is no markup
            source = ""
    return drawn


def _line(face: FaceResult) -> Line:
    heart = face.heart_rate
    spread = words.spread(heart)
    return Line(
        face=str(face.id),
        heart_rate=words.estimate(heart, advice=False) + (f" ({spread})" if spread else ""),
        confidence=words.confidence(heart.confidence) if heart.value is not None else "",
        breathing=words.estimate(face.resp_rate, advice=False),
    )


def _rows(face: FaceResult) -> list[str]:
    rows = [_rate(e) for e in (face.heart_rate, face.resp_rate)]
    hrv = [e for e in face.hrv.values() if e.quantity != "mean_ibi"]  # a rate in other words, no variability
    if known := [f"{words.quantity(e.quantity)} {words.estimate(e)}" for e in hrv if e.value is not None]:
        rows.append(_row("variability", ", ".join(known)))
    elif hrv:
        rows.append(_row("variability", f"no value, {words.estimate(hrv[0])}"))
    windows = [w for w in face.windows if w.quantity == "heart_rate"]
    if refused := Counter(w.reason for w in windows if w.reason):
        why = ", ".join(f"{count} {words.reason(name, advice=False)}" for name, count in refused.most_common())
        rows.append(_row("windows", f"{len(windows) - refused.total()} of {len(windows)} gave a heart rate ({why})"))
    return rows


def _rate(e: Estimate) -> str:
    name = words.quantity(e.quantity)
    if e.value is None:
        return _row(name, f"no value, {words.estimate(e)}")
    spread = words.spread(e)
    parts = [words.estimate(e), f"confidence {words.confidence(e.confidence)}", f"{spread} over time" if spread else ""]
    return _row(name, ", ".join(part for part in parts if part))


def _row(name: str, text: str) -> str:
    return f"  {name:<{_WIDTH}} {text}"


def console() -> Console:
    """For tables on stdout: as wide as the terminal, and wide enough for names where the output is kept."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else 160)
