"""How frames are grouped into pushes changes nothing, and measuring is the last state of streaming."""

from __future__ import annotations

import itertools

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from vitalcam import Session, Settings, measure, stream
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Frame, Result

TIMES = np.cumsum(1 / 20 + np.random.default_rng(0).uniform(-0.01, 0.01, 190))
PERSON = PersonOnScreen(95.0, face_height=0.6, visible=lambda t: not 6.0 <= t < 7.5)
PICTURES = list(render(Scene(200, 150, (PERSON,)), TIMES))
FRAMES = [Frame(p, float(t), i) for i, (p, t) in enumerate(zip(PICTURES, TIMES, strict=True))]
WHOLE = measure(FRAMES)


def same(a: Result, b: Result) -> None:
    assert len(a.faces) == len(b.faces) == 1
    for x, y in zip(a.faces, b.faces, strict=True):
        assert x.windows == y.windows
        assert x.heart_rate == y.heart_rate
        assert x.resp_rate == y.resp_rate
        assert x.hrv == y.hrv
        assert x.signals.keys() == y.signals.keys()
        for name in x.signals:
            np.testing.assert_array_equal(x.signals[name].values, y.signals[name].values)
        np.testing.assert_array_equal(x.track.boxes_px, y.track.boxes_px)


def test_the_clip_is_measured() -> None:
    assert WHOLE.heart_rate.value is not None
    assert abs(WHOLE.heart_rate.value - 95) < 2


def test_measure_is_the_last_state_of_stream() -> None:
    under_way = stream(FRAMES)
    told = list(under_way)
    same(under_way.result, WHOLE)
    assert tuple(told) == WHOLE.estimates


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.integers(0, len(FRAMES)), max_size=8))
def test_any_grouping_of_pushes(cuts: list[int]) -> None:
    session = Session(Settings())
    edges = [0, *sorted(cuts), len(FRAMES)]
    told = [e for a, b in itertools.pairwise(edges) for e in session.push(*FRAMES[a:b])]
    told += session.flush()
    result = session.finish()
    same(result, WHOLE)
    assert tuple(told) == result.estimates
