"""Scores: known answers, formulas against scipy, intervals against simulation."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy import stats

from vitalcam import metrics
from vitalcam.errors import UnknownName

FS_HZ = 30.0


def _pulse(bpm, seconds=20, second=0.35):
    phase = 2 * np.pi * bpm / 60 * np.arange(round(seconds * FS_HZ)) / FS_HZ
    return np.sin(phase) + second * np.sin(2 * phase + 0.7)


@pytest.mark.parametrize("bpm", [45.0, 71.3, 102.8, 187.0])
@pytest.mark.parametrize("method", ["fft", "peak"])
def test_own_profile_has_no_grid(bpm, method):
    prepared = metrics.prepare(_pulse(bpm), fs_hz=FS_HZ)
    assert metrics.rate(prepared, fs_hz=FS_HZ, method=method) == pytest.approx(bpm, abs=0.2)


@pytest.mark.parametrize("per_min", [6.5, 14.2, 31.0])
def test_own_profile_finds_breaths(per_min):
    wave = np.sin(2 * np.pi * per_min / 60 * np.arange(1800) / FS_HZ)
    prepared = metrics.prepare(wave, fs_hz=FS_HZ, kind="resp")
    assert metrics.rate(prepared, fs_hz=FS_HZ, kind="resp") == pytest.approx(per_min, abs=0.3)


@pytest.mark.parametrize("profile", metrics.PROFILES)
def test_every_profile_gives_numbers(profile):
    common = {"fs_hz": FS_HZ, "profile": profile}
    prepared = metrics.prepare(_pulse(90, 40), **common)
    assert metrics.rate(prepared, **common) == pytest.approx(90, abs=2)
    snr = metrics.snr_db(prepared, 90, **common)
    assert np.isnan(snr) if profile == "toolbox-2023" else snr > 5


def test_unknown_profile_lists_what_there_is():
    with pytest.raises(UnknownName, match="toolbox-current"):
        metrics.agreement([1.0], [1.0], profile="toolbox")


def test_known_scores():
    got = metrics.agreement([61.0, 70.0, 78.0, np.nan], [60.0, 70.0, 80.0, 90.0])
    assert got["mae"][0] == pytest.approx(1)
    assert got["rmse"][0] == pytest.approx(np.sqrt(5 / 3))
    assert got["mape"][0] == pytest.approx(100 * (1 / 60 + 2 / 80) / 3)
    assert got["max_error"][0] == 2
    assert got["bias"][0] == pytest.approx(-1 / 3)
    assert got["mae"][2] == 3


PAIRS = arrays(float, st.tuples(st.just(2), st.integers(3, 40)), elements=st.floats(30, 200).map(lambda v: round(v, 3)))


@given(PAIRS)
@settings(max_examples=60, deadline=None)
def test_scores_are_scipys(pairs):
    e, t = pairs
    got = metrics.agreement(e, t)
    assert got["mae"][0] == pytest.approx(np.mean(np.abs(e - t)))
    if e.std() > 1e-3 and t.std() > 1e-3:
        assert got["pearson"][0] == pytest.approx(stats.pearsonr(e, t).statistic, abs=1e-9)
        assert abs(got["ccc"][0]) <= abs(got["pearson"][0]) + 1e-9
    assert got["rmse"][0] >= got["mae"][0] - 1e-9


@given(PAIRS, st.floats(-20, 20))
@settings(max_examples=30, deadline=None)
def test_ccc_punishes_offset_and_pearson_does_not(pairs, offset):
    _, t = pairs
    if t.std() < 1:
        return
    got = metrics.agreement(t + offset, t)
    assert got["pearson"][0] == pytest.approx(1)
    assert got["ccc"][0] == pytest.approx(2 * t.var() / (2 * t.var() + offset**2))


def test_delta_method_is_what_simulation_gives():
    rng = np.random.default_rng(0)
    runs = [metrics.agreement(70 + 3 * rng.standard_normal(200), np.full(200, 70.0))["rmse"] for _ in range(400)]
    assert np.mean([r[1] for r in runs]) == pytest.approx(np.std([r[0] for r in runs]), rel=0.15)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_few_windows(n):
    got = metrics.agreement(np.arange(n) + 70.0, np.arange(n) + 71.0)
    assert got["mae"][2] == n
    assert np.isnan(got["pearson"][1])
    assert np.isnan(got["mae"][0]) == (n == 0)


@given(arrays(float, st.tuples(st.just(2), st.integers(4, 60)), elements=st.floats(-5, 5).map(lambda v: round(v, 3))))
@settings(max_examples=40, deadline=None)
def test_macc_is_the_loop(pair):
    a, b = pair
    if a.std() < 1e-3 or b.std() < 1e-3:
        return
    loop = max(abs(np.corrcoef(a, np.roll(b, lag))[0, 1]) for lag in range(a.size - 1))
    assert metrics.macc(a, b) == pytest.approx(loop, abs=1e-9)


def test_macc_of_a_constant_is_unknown():
    assert np.isnan(metrics.macc(np.ones(10), np.arange(10.0)))


def test_bland_altman_limits_hold_95_percent():
    rng = np.random.default_rng(1)
    got = metrics.bland_altman(70 + 1 + 2 * rng.standard_normal(4000), np.full(4000, 70.0))
    assert got["bias"] == pytest.approx(1, abs=0.1)
    assert got["high"] - got["low"] == pytest.approx(2 * 1.96 * 2, rel=0.05)


def test_clustered_interval_covers_and_is_wider_than_the_naive_one():
    rng = np.random.default_rng(2)
    hit, clustered, naive = 0, [], []
    for seed in range(60):
        effect = rng.standard_normal(12)
        values = np.repeat(effect, 20) + 0.3 * rng.standard_normal(240)
        low, high = metrics.cluster_interval(
            lambda rows, v=values: float(v[rows].mean()), np.repeat(np.arange(12), 20), draws=300, seed=seed
        )
        hit += low <= 0 <= high
        clustered.append(high - low)
        naive.append(2 * 1.96 * values.std() / np.sqrt(240))
    assert hit >= 49
    assert np.mean(clustered) > 2.5 * np.mean(naive)


def test_one_subject_has_no_interval():
    assert np.isnan(metrics.cluster_interval(lambda rows: 1.0, ["a", "a"])).all()
