"""CSV: the waveforms on a uniform clock, the windows, and the beat intervals. An empty field is an unknown value."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import files
from vitalcam.report import clock, tabular
from vitalcam.signal.quality import Evidence
from vitalcam.types import Estimate, FaceResult, Floats, Result

WINDOW_COLUMNS = ("face", "t0_s", "t1_s", "quantity", "value", "unit", "confidence", "reason", "method")
FEATURE_COLUMNS = (
    *(field.name for field in dataclasses.fields(Evidence)),
    *("baseline", "amplitude", "rate", "motion", "network"),  # what each source of breathing says
)
"""What is behind a confidence; always there and in this order, so that tables of many videos can be stacked."""


def paths(path: Path) -> tuple[Path, Path, Path]:
    """The files that `write_csv` writes."""
    return path, path.with_name(f"{path.stem}.windows.csv"), path.with_name(f"{path.stem}.ibi.csv")


def write_csv(result: Result, path: Path, *, neurokit: bool = False) -> tuple[Path, Path, Path]:
    """Write the waveforms to ``path``, the windows to ``<stem>.windows.csv`` and the beats to ``<stem>.ibi.csv``.

    Waveforms: time_s, face, bvp, resp; a face's rows share one uniform clock. With ``neurokit`` the columns are named
    as NeuroKit2 names them: PPG_Clean, PPG_Rate, PPG_Quality, RSP_Clean, RSP_Rate, where a rate and its quality are
    those of the window whose middle is nearest. Windows: one row for each, with the features behind its confidence.
    Beats: time_s at which an interval between two beats ends, face, ibi_ms.

    Returns:
        The three paths, in that order.

    Raises:
        OutputError: a file cannot be written.
    """
    header, columns = ("time_s", "face"), _neurokit if neurokit else _plain
    tables = [(face.id, *columns(face)) for face in result.faces]
    names = list(dict.fromkeys(name for _, _, table in tables for name in table)) or list(clock.WAVEFORMS)
    rows = (
        (_number(t, 6), face_id, *(_number(table[name][i]) if name in table else "" for name in names))
        for face_id, time_s, table in tables
        for i, t in enumerate(time_s)
    )
    waves, windows, beats = paths(path)
    return (
        _write(waves, [*header, *names], rows),
        _write(windows, *_windows(result)),
        _write(beats, [*header, "ibi_ms"], _beats(result)),
    )


def _plain(face: FaceResult) -> tuple[Floats, dict[str, Floats]]:
    time_s, waves = clock.waveforms(face)
    return time_s, {name: waves.get(name, np.full(time_s.size, np.nan)) for name in clock.WAVEFORMS}


def _neurokit(face: FaceResult) -> tuple[Floats, dict[str, Floats]]:
    time_s, waves = _plain(face)
    heart, breath = ([w for w in face.windows if w.quantity == q] for q in ("heart_rate", "resp_rate"))
    return time_s, {
        "PPG_Clean": waves["bvp"],
        "PPG_Rate": _nearest(heart, [w.value for w in heart], time_s),
        "PPG_Quality": _nearest(heart, [w.confidence for w in heart], time_s),
        "RSP_Clean": waves["resp"],
        "RSP_Rate": _nearest(breath, [w.value for w in breath], time_s),
    }


def _nearest(windows: Sequence[Estimate], values: Sequence[float | None], time_s: Floats) -> Floats:
    """Value (T,) of the window whose middle is nearest; NaN where that one has none or does not reach."""
    if not windows:
        return np.full(time_s.size, np.nan)
    t0, t1 = np.array([w.t0_s for w in windows]), np.array([w.t1_s for w in windows])
    middle = (t0 + t1) / 2
    k = np.searchsorted((middle[1:] + middle[:-1]) / 2, time_s)
    known = np.array([math.nan if v is None else v for v in values])
    return np.where((time_s >= t0[k]) & (time_s <= t1[k]), known[k], np.nan)


def _windows(result: Result) -> tuple[list[str], Iterable[Sequence[Any]]]:
    windows = [(face.id, window) for face in result.faces for window in face.windows]
    others = {name for _, window in windows for name in window.quality}.difference(FEATURE_COLUMNS)
    features = [*FEATURE_COLUMNS, *sorted(others)]
    rows = (
        (
            face_id, _number(w.t0_s, 6), _number(w.t1_s, 6), w.quantity, _number(w.value), w.unit,
            _number(w.confidence), w.reason or "", w.method,
            *(_number(w.quality.get(name)) for name in features),
        )
        for face_id, w in windows
    )  # fmt: skip
    return [*WINDOW_COLUMNS, *features], rows


def _beats(result: Result) -> Iterable[Sequence[Any]]:
    for face in result.faces:
        if ibi := face.signals.get("ibi"):
            yield from ((_number(t, 4), face.id, _number(v, 1)) for t, v in zip(ibi.time_s, ibi.values, strict=True))


def _number(value: Any, digits: int | None = None) -> str:
    """Seven significant digits, or ``digits`` decimals; nothing for None, NaN and infinity."""
    if value is None or not math.isfinite(value):
        return ""
    return f"{value:.7g}" if digits is None else f"{value:.{digits}f}".rstrip("0").rstrip(".")


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    return files.write_text(path, tabular.csv_text(header, rows))
