"""Confidence against what became of the windows: known answers, simulations."""

import math

import numpy as np
import pytest

from vitalcam import trust
from vitalcam.scores import Row

NAN = math.nan


def rows(estimate, truth, confidence=None, *, quantity="heart_rate", **more):
    n = len(truth)
    columns = {"estimate": estimate, "truth": truth, "confidence": confidence or [NAN] * n, **more}
    return [
        Row("d", str(i), f"r{i}", quantity, 0.0, 10.0, **{name: values[i] for name, values in columns.items()})
        for i in range(n)
    ]


def test_nothing_is_unknown_not_zero():
    assert math.isnan(trust.calibration_error([]))
    assert all(curve.size == 0 for curve in trust.risk_coverage([]))
    found = trust.answers([])
    assert (found["windows"], found["null_windows"]) == (0, 0)
    assert all(math.isnan(found[name]) for name in ("answered", "right", "wrong", "at_risk", "silent"))


def test_answers_are_right_wrong_or_not_given():
    found = trust.answers(rows([60, 70, NAN, 66, NAN], [62, 60, 60, 61, NAN]))
    assert found["windows"] == 4
    assert (found["answered"], found["right"], found["wrong"]) == (0.75, 0.5, 0.25)
    assert trust.answers(rows([18.0], [14.0], quantity="resp_rate"))["right"] == 0


def test_silence_is_counted_where_there_is_no_pulse():
    found = trust.answers(rows([NAN, 72, NAN, NAN], [NAN] * 4, null=[True, True, True, False]))
    assert (found["windows"], found["null_windows"]) == (0, 3)
    assert found["silent"] == pytest.approx(2 / 3)


def test_who_refuses_is_not_more_right():
    bold = rows([60, 70, 61, 90], [60] * 4)
    shy = rows([60, NAN, NAN, NAN], [60] * 4)
    gain, low, high = trust.more_right(bold, shy)
    assert gain == 0.25
    assert low <= gain <= high
    assert trust.more_right(shy, bold)[0] == -0.25
    assert math.isnan(trust.more_right(bold, rows([60], [NAN]))[0])


def test_risk_falls_with_coverage_where_confidence_knows():
    coverage, mae, wrong = trust.risk_coverage(rows([60, 62, 70, NAN], [60, 60, 60, 60], [0.9, 0.6, 0.2, 0]))
    assert coverage.tolist() == [0.25, 0.5, 0.75]
    assert mae.tolist() == [0.0, 1.0, 4.0]
    assert wrong.tolist() == [0.0, 0.0, pytest.approx(1 / 3)]


def test_windows_of_one_confidence_are_answered_together():
    coverage, _, wrong = trust.risk_coverage(rows([60, 80, 60], [60, 60, 60], [0.8, 0.8, 0.5]))
    assert coverage.tolist() == [pytest.approx(2 / 3), 1.0]
    assert wrong.tolist() == [0.5, pytest.approx(1 / 3)]


def test_a_refused_rate_counts_at_its_confidence():
    given = rows([60, NAN, NAN], [60, 60, 60], [0.9, 0.5, 0.4], candidate=[NAN, 61.0, 90.0])
    assert trust.answers(given)["answered"] == pytest.approx(1 / 3)
    assert trust.coverage_at_risk(given) == pytest.approx(2 / 3)
    assert [line["right"] for line in trust.reliability(given)] == [0, 1, 1]


def test_coverage_at_risk_is_where_the_risk_ends():
    wrong = np.zeros(100, bool)
    wrong[[50, 55, 60, 65, 70]] = True  # places in order of confidence
    given = rows((60 + 20.0 * wrong).tolist(), [60.0] * 100, np.linspace(1, 0.01, 100).tolist())
    assert trust.coverage_at_risk(given) == 1.0
    assert trust.coverage_at_risk(given, 0.04) == 0.6  # two wrong of 60; the third would be one of 61
    assert trust.coverage_at_risk(given, 0.0) == 0.5
    assert trust.coverage_at_risk(rows([90.0], [60.0], [0.9])) == 0
    assert math.isnan(trust.coverage_at_risk(rows([60.0], [60.0])))


def test_reliability_is_the_share_of_right_answers():
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0, 1, 20000)
    error = np.where(rng.uniform(0, 1, confidence.size) < confidence, 1.0, 30.0)
    estimate, truth = (80 + error).tolist(), [80.0] * error.size
    honest = rows(estimate, truth, confidence.tolist())
    for line in trust.reliability(honest):
        assert line["right"] == pytest.approx(line["confidence"], abs=0.04)
        assert line["low"] <= line["confidence"] <= line["high"]
    assert sum(line["n"] for line in trust.reliability(honest)) == confidence.size
    assert trust.calibration_error(honest) < 0.02
    assert trust.chance_error(honest) < 0.02
    some = [honest[k : k + 50] for k in range(0, 20000, 50)]
    typical = np.mean([trust.calibration_error(part) for part in some])
    assert typical == pytest.approx(np.mean([trust.chance_error(part) for part in some]), rel=0.1)
    assert typical > 0.1
    assert math.isnan(trust.chance_error([]))
    boastful = rows(estimate, truth, [1.0] * error.size)
    assert trust.calibration_error(boastful) == pytest.approx(0.5, abs=0.02)


def test_a_number_for_somebody_without_a_pulse_counts_against_the_confidence():
    sure = rows([60] * 10, [60] * 9 + [NAN], [0.95] * 10, null=[False] * 9 + [True])
    assert trust.calibration_error(sure[:9]) == pytest.approx(0.05)
    [told] = trust.reliability(sure)
    assert (told["right"], told["n"]) == (0.9, 10)
