"""What windows say: known answers, SciPy, simulations."""

import math

import numpy as np
import pytest
from scipy import stats

from vitalcam import scores
from vitalcam.errors import UsageError
from vitalcam.scores import Row


def rows(estimate, truth, subjects=None, confidence=None, **attributes):
    n = len(truth)
    subjects = subjects if subjects is not None else range(n)
    confidence = confidence if confidence is not None else [math.nan] * n
    return [
        Row("d", str(s), f"r{i}", "heart_rate", 0.0, 10.0, t, e, confidence=c,
            attributes={k: v[i] for k, v in attributes.items()})
        for i, (e, t, s, c) in enumerate(zip(estimate, truth, subjects, confidence, strict=True))
    ]  # fmt: skip


def test_coverage_counts_only_windows_of_known_truth():
    found = scores.scores(rows([60, math.nan, 70, 80], [61, 62, 70, math.nan]))
    assert found.coverage == pytest.approx(2 / 3)
    assert found.metrics["mae"] == (pytest.approx(0.5), pytest.approx(0.5 / math.sqrt(2)), 2)
    assert len(found.rows) == 4


def test_nothing_is_unknown_not_zero():
    found = scores.scores([])
    assert math.isnan(found.coverage)
    assert math.isnan(found.metrics["mae"][0])
    assert math.isnan(scores.limits_of_agreement([])["bias"])


def test_intervals_hold_the_truth_as_often_as_they_say():
    """40 subjects with an error of their own, 8 windows each: drawing windows would make intervals far too short."""
    rng, inside, trials = np.random.default_rng(0), 0, 60
    for _ in range(trials):
        error = np.repeat(rng.normal(1.0, 3, 40), 8) + rng.normal(0, 1, 320)
        low, high = scores.intervals(rows(80 + error, np.full(320, 80.0), np.repeat(range(40), 8)), draws=200)["bias"]
        inside += low <= 1.0 <= high
    assert inside / trials >= 0.85


def test_one_subject_has_no_interval():
    assert all(math.isnan(bound) for bound in scores.intervals(rows([60, 61], [60, 60], "aa"))["mae"])


def test_limits_of_agreement_count_the_spread_between_subjects():
    rng = np.random.default_rng(2)
    between, within, n = 3.0, 2.0, 400
    subjects = np.repeat(range(n), rng.integers(2, 9, n))
    error = 1.5 + rng.normal(0, between, n)[subjects] + rng.normal(0, within, subjects.size)
    found = scores.limits_of_agreement(rows(70 + error, np.full(error.size, 70.0), subjects))
    assert found["sd"] == pytest.approx(math.hypot(between, within), rel=0.06)
    assert found["bias"] == pytest.approx(1.5, abs=0.4)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * found["sd"])


def test_limits_of_agreement_of_single_windows_are_the_usual_ones():
    error = np.array([1.0, -2.0, 0.5, 3.0])
    found = scores.limits_of_agreement(rows(70 + error, np.full(4, 70.0)))
    assert found["sd"] == pytest.approx(error.std(ddof=1))


def test_pairs_are_tested_as_scipy_does():
    rng = np.random.default_rng(3)
    truth, subjects = rng.uniform(50, 120, 60), np.repeat(range(12), 5)
    one, other = truth + rng.normal(0, 4, 60), truth + rng.normal(0, 2, 60)
    found = scores.paired([rows(one, truth, subjects)], [rows(other, truth, subjects)])
    a, b = np.abs(one - truth), np.abs(other - truth)
    assert (found["first"], found["second"]) == (pytest.approx(a.mean()), pytest.approx(b.mean()))
    assert found["difference"] == pytest.approx((a - b).mean())
    assert found["t"] == pytest.approx(stats.ttest_rel(a, b).pvalue)
    assert found["wilcoxon"] == pytest.approx(stats.wilcoxon(a, b).pvalue)
    means = (a - b).reshape(12, 5).mean(axis=1)
    assert found["t_subjects"] == pytest.approx(stats.ttest_1samp(means, 0).pvalue)
    assert found["wilcoxon_subjects"] == pytest.approx(stats.wilcoxon(means).pvalue)
    assert found["low"] < found["difference"] < found["high"]
    assert (found["n"], found["subjects"]) == (60, 12)


def test_pairs_leave_out_what_one_did_not_answer():
    found = scores.paired([rows([60, math.nan, 63], [60, 60, 60])], [rows([61, 60, 60], [60, 60, 60])])
    assert found["n"] == 2
    assert found["difference"] == 1
    with pytest.raises(UsageError, match="no window in common"):
        scores.paired([rows([60], [60])], [[]])


def test_seeds_are_averaged_for_each_window():
    truth = [60.0, 60.0, 60.0]
    found = scores.paired([rows([62, 60, 60], truth), rows([66, 62, math.nan], truth)], [rows([60, 60, 60], truth)])
    assert found["n"] == 2, "the third window has no answer from the second seed"
    assert found["first"] == pytest.approx((4 + 1) / 2)
    assert found["second"] == 0


def test_a_model_is_as_good_as_itself():
    same = rows([60, 62, 65], [60, 60, 60])
    found = scores.paired([same], [same])
    assert found["difference"] == 0
    assert math.isnan(found["t"])
    assert math.isnan(found["wilcoxon"])
