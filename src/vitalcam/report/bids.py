"""BIDS: a derivative data set with ``_physio.tsv.gz`` (no header, n/a for the unknown) and its JSON.

Source: Brain Imaging Data Structure 1.10, "Physiological recordings" and "Dataset description".
"""

from __future__ import annotations

import gzip
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import config, files
from vitalcam.errors import OutputError
from vitalcam.report import clock, plain
from vitalcam.types import FaceResult, Floats, Result

_DESCRIPTION = "dataset_description.json"
_COLUMNS = {
    "bvp": ("cardiac", "Blood volume pulse estimated from video of the face; not measured by a contact sensor"),
    "resp": ("respiratory", "Breathing waveform estimated from video; not measured by a contact sensor"),
}


def label(text: str) -> str:
    """The part of a text that a BIDS label can hold: letters and digits.

    >>> label("anna_2.mp4")
    'anna2mp4'
    """
    return re.sub(r"[^0-9a-zA-Z]", "", text) or "video"


def write_bids(result: Result, folder: Path, *, subject: str | None = None) -> tuple[Path, ...]:
    """Write the waveforms into the BIDS data set in ``folder``; every face is a subject of its own.

    Args:
        result: what was measured.
        folder: root of the data set; its description is written if there is none.
        subject: label; the source's name where it is not given. Several faces are ``<label>face<id>``.

    Returns:
        The files that were written, two for each face with a waveform; none if there is no waveform.

    Raises:
        OutputError: a file cannot be written, is another recording's, or the data set's description is damaged.
    """
    check(folder)
    base = label(subject if subject is not None else Path(result.source).stem)
    written: list[Path] = []
    for face in result.faces:
        time_s, waves = clock.waveforms(face)
        if waves:
            name = f"sub-{base}" if len(result.faces) == 1 else f"sub-{base}face{face.id}"
            stem = _stem(folder, name)
            _refuse_other(stem, result.source)
            written += [_write_table(stem, waves), _write_sidecar(stem, result, face, time_s, list(waves))]
    if written and not (folder / _DESCRIPTION).exists():
        _write_description(folder, result)
    return tuple(written)


def check(folder: Path, sources: Mapping[str, str] | None = None) -> None:
    """Find out before the work whether recordings can go into a data set.

    Args:
        folder: root of the data set.
        sources: of the recordings, by the name of their subject.

    Raises:
        OutputError: its description is damaged, or a subject is of another recording; of several faces that is known
            only when they are written.
    """
    description = folder / _DESCRIPTION
    if description.exists() and _read(description) is None:
        raise OutputError(f"{description}: is not JSON; mend it or give another folder")
    for subject, source in (sources or {}).items():
        _refuse_other(_stem(folder, f"sub-{label(subject)}"), source)


def _stem(folder: Path, name: str) -> Path:
    return folder / name / "beh" / f"{name}_task-video_recording-video_physio"


def _refuse_other(stem: Path, source: str) -> None:
    """Raise OutputError where there is a recording of another source."""
    path = stem.with_suffix(".json")
    there = (_read(path) or {}).get("SourceDigest")
    if path.exists() and there != _digest(source):
        raise OutputError(f"{path}: is of another recording; rename the video or give another folder")


def _digest(source: str) -> str:
    """Names a source without saying where it is or whom it shows, for data sets are passed on."""
    return config.digest(str(Path(source).resolve()) if Path(source).exists() else source)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) else None


def _write_table(stem: Path, waves: dict[str, Floats]) -> Path:
    rows = zip(*waves.values(), strict=True)
    text = "\n".join("\t".join("n/a" if np.isnan(v) else f"{v:.7g}" for v in row) for row in rows)
    content = gzip.compress((text + "\n").encode(), mtime=0)  # same bytes for the same result
    return files.write_bytes(stem.with_suffix(".tsv.gz"), content)


def _write_sidecar(stem: Path, result: Result, face: FaceResult, time_s: Floats, names: list[str]) -> Path:
    document: dict[str, Any] = {
        "SamplingFrequency": round(1 / float(time_s[1] - time_s[0]), 6),
        "StartTime": float(time_s[0]),
        "Columns": [_COLUMNS[name][0] for name in names],
        "SourceDigest": _digest(result.source),
        "SoftwareVersions": f"vitalcam {result.versions.get('vitalcam', 'unknown')}",
    }
    for name in names:
        column, description = _COLUMNS[name]
        unit = face.signals[name].unit
        document[column] = {"Description": description, "Units": "arbitrary" if unit == "a.u." else unit}
    return files.write_text(stem.with_suffix(".json"), plain.dumps(document, indent=2) + "\n")


def _write_description(folder: Path, result: Result) -> None:
    document = {
        "Name": "Waveforms estimated from video by vitalcam",
        "BIDSVersion": "1.10.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "vitalcam", "Version": result.versions.get("vitalcam", "unknown")}],
    }
    files.write_text(folder / _DESCRIPTION, plain.dumps(document, indent=2) + "\n")
