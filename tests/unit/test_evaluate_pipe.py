"""What the pipe would have said had it been less strict."""

import dataclasses
import math

import pytest

from vitalcam.evaluate_pipe import candidate
from vitalcam.signal import quality
from vitalcam.types import Estimate

GOOD = dict.fromkeys((field.name for field in dataclasses.fields(quality.Evidence)), 0.0) | {
    "rate_bpm": 72.0, "frame_rate_hz": 30.0, "side_px": 100.0, "luma": 120.0, "pulse_percent": 0.5, "regions_r": 0.6,
}  # fmt: skip
BREATH = {"rate_per_min": 14.0, "total": 30.0, "lead": 9.0, "valid_s": 30.0, "from_motion": 15.0, "from_rate": 15.0}


def said(quantity="heart_rate", value=None, **features):
    reason = None if value is not None else "low_quality"
    return Estimate(quantity, value, "1/min", 0.0, 10.0, 0.4, reason, "pos", features)


def test_a_given_rate_is_its_owncandidate():
    assert candidate(said(value=71.0)) == 71


def test_what_only_lacked_confidence_has_acandidate():
    assert candidate(said(**GOOD)) == 72
    assert candidate(said("resp_rate", **BREATH)) == 14


@pytest.mark.parametrize(
    "estimate",
    [
        said(),
        said(**GOOD | {"luma": 3.0}),
        said(**GOOD | {"rate_bpm": 220.0}),
        said("resp_rate"),
        said("resp_rate", **BREATH | {"lead": 0.0}),
        said("resp_rate", **BREATH | {"rate_per_min": 40.0}),
    ],
)
def test_what_was_refused_for_another_reason_has_none(estimate):
    assert math.isnan(candidate(estimate))
