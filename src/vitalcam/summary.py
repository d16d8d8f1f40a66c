"""From windows to the whole recording: one number for each face, or the reason why there is none."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from vitalcam.person import Person
from vitalcam.settings import Settings
from vitalcam.types import Estimate, FaceResult, Reason

_ABSENT: tuple[Reason, ...] = ("no_face", "gap", "too_short")

MIN_ANSWERED = 0.25
"""Share of the windows with a face that must have an answer before the recording has one: on noise, one window in
some dozens is answered by chance."""


def face_result(person: Person, settings: Settings) -> FaceResult:
    """Everything about one face."""
    rate = whole_rate(person.windows)
    return FaceResult(
        id=person.id,
        heart_rate=rate,
        resp_rate=Estimate("resp_rate", None, "breaths/min", rate.t0_s, rate.t1_s, 0.0, "no_breath"),
        hrv={},
        windows=tuple(person.windows),
        signals={},
        track=person.track.track(),
    )


def whole_rate(windows: Sequence[Estimate]) -> Estimate:
    """One estimate for the recording: the median of the windows that have an answer.

    Its quality holds the range over time (5th to 95th percentile) and the share of windows answered, of those in
    which there was a face.
    """
    answered = [w for w in windows if w.value is not None]
    judged = [w for w in windows if w.reason not in _ABSENT]
    first, last = windows[0], windows[-1]
    share = len(answered) / max(len(judged), 1)
    span = (first.t0_s, last.t1_s)
    if not answered or share < MIN_ANSWERED:
        reason = _commonest(judged or windows)
        return Estimate(first.quantity, None, first.unit, *span, _mean_confidence(judged), reason, first.method)
    values = np.array([w.value for w in answered], float)
    low, high = np.percentile(values, [5, 95])
    quality = {"low": float(low), "high": float(high), "answered": share}
    return Estimate(
        first.quantity,
        float(np.median(values)),
        first.unit,
        *span,
        _mean_confidence(answered),
        None,
        first.method,
        quality,
    )


def _mean_confidence(windows: Sequence[Estimate]) -> float:
    return float(np.mean([w.confidence for w in windows])) if windows else 0.0


def _commonest(windows: Sequence[Estimate]) -> Reason:
    return Counter(w.reason for w in windows if w.reason is not None).most_common(1)[0][0]
