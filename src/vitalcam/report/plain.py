"""A result as plain values and as JSON: no NaN, no arrays, ``None`` where there is no number."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import files
from vitalcam.types import Estimate, FaceResult, Result


def to_dict(result: Result) -> dict[str, Any]:
    """The result as plain values that JSON can hold; waveforms are left to CSV, EDF and BIDS.

    Returns:
        "source", "heart_rate" and "resp_rate" (of the main face), "faces" (each "id", "heart_rate", "resp_rate",
        "hrv", "ibi", "windows", "seen"), "warnings", "settings", "digest", "versions", "video". A value that was
        refused is None beside its reason, also where there is no face. "ibi" holds the beat intervals in ms at the
        times at which they end.
    """
    document = {
        "source": result.source,
        "heart_rate": _estimate(result.heart_rate),
        "resp_rate": _estimate(result.resp_rate),
        "faces": [_face(face) for face in result.faces],
        "warnings": list(result.warnings),
        "settings": result.settings,
        "digest": result.digest,
        "versions": result.versions,
        "video": result.video,
    }
    plain: dict[str, Any] = jsonable(document)
    return plain


def to_json(result: Result, *, indent: int | None = None) -> str:
    """The result as JSON; one line unless ``indent`` is given."""
    return dumps(to_dict(result), indent=indent)


def dumps(document: Mapping[str, Any], *, indent: int | None = None) -> str:
    """Plain values as strict JSON (ValueError for NaN)."""
    return json.dumps(document, ensure_ascii=False, allow_nan=False, indent=indent)


def write_json(result: Result, path: Path) -> Path:
    """Write the result as indented JSON, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    return files.write_text(path, to_json(result, indent=2) + "\n")


def indented(document: str) -> str:
    """A line of JSON for reading."""
    return dumps(json.loads(document), indent=2)


def write_documents(documents: Sequence[str], path: Path, *, one: bool) -> Path:
    """Write lines of JSON as they are, or the only one that can be indented, whole or not at all.

    Raises:
        OutputError: the file cannot be written.
    """
    return files.write_text(path, "\n".join([indented(documents[0])] if one else documents) + "\n")


def _face(face: FaceResult) -> dict[str, Any]:
    lost = np.count_nonzero(face.track.state == "lost")
    return {
        "id": face.id,
        "heart_rate": _estimate(face.heart_rate),
        "resp_rate": _estimate(face.resp_rate),
        "hrv": {name: _estimate(estimate) for name, estimate in face.hrv.items()},
        "ibi": _intervals(face),
        "windows": [_estimate(window) for window in face.windows],
        "seen": {
            "from_s": face.track.time_s[0] if face.track.time_s.size else None,
            "to_s": face.track.time_s[-1] if face.track.time_s.size else None,
            "frames": face.track.time_s.size,
            "frames_lost": lost,
        },
    }


def _intervals(face: FaceResult) -> dict[str, Any]:
    ibi = face.signals.get("ibi")
    if ibi is None:
        return {"time_s": [], "value_ms": []}
    return {"time_s": ibi.time_s.round(4), "value_ms": ibi.values.round(1)}


def _estimate(estimate: Estimate) -> dict[str, Any]:
    return {
        "face": estimate.face,
        "quantity": estimate.quantity,
        "value": estimate.value,
        "unit": estimate.unit,
        "confidence": estimate.confidence,
        "reason": estimate.reason,
        "t0_s": estimate.t0_s,
        "t1_s": estimate.t1_s,
        "method": estimate.method,
        "quality": estimate.quality,
    }


def jsonable(value: Any) -> Any:
    """A value, or mappings and lists of them, as JSON can hold it; what is not finite is None."""
    if isinstance(value, Mapping):
        return {str(k): jsonable(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [jsonable(v) for v in value]
    if isinstance(value, np.ndarray | np.generic):
        return jsonable(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | int):
        return value
    return str(value)
