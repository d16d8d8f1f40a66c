"""EDF+: the waveforms of every face in one file, for viewers of polygraphic recordings (extra ``[edf]``).

EDF holds numbers only, so an unknown stretch is written as 0 and marked by an annotation "gap" that spans it; what was
measured or refused over the whole recording is an annotation at its start. Time 0 is the start of the recording.

Source: Kemp and Olivan, "European data format 'plus' (EDF+)", Clinical Neurophysiology 114 (2003).
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import files
from vitalcam.errors import MissingExtra
from vitalcam.report import clock, words
from vitalcam.types import Estimate, FaceResult, Floats, Result

_LABELS = {"bvp": "BVP", "resp": "Resp"}


def require() -> None:
    """Find out before the work whether EDF files can be written.

    Raises:
        MissingExtra: edfio is not installed.
    """
    try:
        import edfio  # noqa: F401
    except ImportError:
        raise MissingExtra("EDF files", "edf") from None


def write_edf(result: Result, path: Path) -> Path | None:
    """Write the waveforms as EDF+.

    Returns:
        The path, or None if there is no waveform and so no file.

    Raises:
        MissingExtra: edfio is not installed.
        OutputError: the file cannot be written.
    """
    require()
    import edfio

    channels, fs_hz = _channels(result)
    if not channels:
        return None
    many = len(result.faces) > 1
    samples = math.ceil(max(values.size for *_, values in channels) / fs_hz) * round(fs_hz)  # whole seconds
    signals, notes = [], [edfio.EdfAnnotation(0, None, _outcome(face, many)) for face in result.faces]
    for face, name, values in channels:
        label = f"{_LABELS[name]} {face.id}" if many else _LABELS[name]
        padded = np.pad(values, (0, samples - values.size), constant_values=np.nan)
        gaps = clock.gaps(np.arange(samples) / fs_hz, padded)
        notes += [edfio.EdfAnnotation(t0, t1 - t0, f"gap {label}") for t0, t1 in gaps]
        signals.append(_signal(label, fs_hz, padded, face.signals[name].unit))
    with files.whole(path) as part:
        edfio.Edf(signals, annotations=notes).write(part)
    return path


def _channels(result: Result) -> tuple[list[tuple[FaceResult, str, Floats]], float]:
    """Face, name and values of every waveform from time 0 on, and their rate: a whole number, as records need."""
    clocks = [clock.waveforms(face)[0] for face in result.faces]
    rates = [1 / (time_s[1] - time_s[0]) for time_s in clocks if time_s.size > 1]
    fs_hz = float(max(1, round(max(rates, default=1.0))))
    channels = [
        (face, name, values)
        for face in result.faces
        for name, values in clock.waveforms(face, fs_hz=fs_hz, start_s=clock.start_s(result))[1].items()
    ]
    return channels, fs_hz


def _signal(label: str, fs_hz: float, values: Floats, unit: str) -> Any:
    import edfio

    filled = np.nan_to_num(values)
    bound = float(np.abs(filled).max()) or 1.0
    step = 10.0 ** (math.floor(math.log10(bound)) - 3)
    bound = math.ceil(bound / step) * step  # four digits: the header has eight characters for it, sign and point too
    return edfio.EdfSignal(
        filled,
        fs_hz,
        label=label,
        transducer_type="camera",
        physical_dimension=unit[:8],
        physical_range=(-bound, bound),
        digital_range=(-32767, 32767),  # even about zero, so that 0 stays 0
    )


def _outcome(face: FaceResult, many: bool) -> str:
    who = f"face {face.id}: " if many else ""
    return who + "; ".join(_said(e) for e in (face.heart_rate, face.resp_rate))


def _said(e: Estimate) -> str:
    said = f"{words.quantity(e.quantity)} {'refused, ' * (e.value is None)}{words.estimate(e, advice=False)}"
    return said if e.value is None else f"{said}, confidence {words.confidence(e.confidence)}"
