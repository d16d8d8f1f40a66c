"""Heart rate, breathing and the pulse waveform out of ordinary video of a face.

>>> import vitalcam
>>> result = vitalcam.measure("clip.mp4")  # doctest: +SKIP
>>> result.heart_rate.value  # doctest: +SKIP
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vitalcam.errors import VitalcamError
    from vitalcam.pipeline import Session, Settings, measure, stream
    from vitalcam.types import Estimate, FaceResult, Frame, Recording, Result, Signal, Video

__version__ = "0.1.0"

_HOME = {
    "measure": "pipeline", "stream": "pipeline", "Session": "pipeline", "Settings": "pipeline",
    "VitalcamError": "errors",
    "Estimate": "types", "FaceResult": "types", "Frame": "types", "Recording": "types", "Result": "types",
    "Signal": "types", "Video": "types",
}  # fmt: skip

__all__ = [
    "Estimate", "FaceResult", "Frame", "Recording", "Result", "Session", "Settings", "Signal", "Video",
    "VitalcamError", "__version__", "measure", "stream",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f"vitalcam.{_HOME[name]}"), name)
    raise AttributeError(f"module 'vitalcam' has no attribute {name!r}")
