import dataclasses

import numpy as np
import pytest

from vitalcam.synth.breath import Breath, breathing, rate_at

STEADY = Breath(15, variability=0, depth_variability=0, sighs_per_min=0)


def make(breath, duration_s=120.0, seed=0):
    return breathing(breath, duration_s=duration_s, rng=np.random.default_rng(seed))


@pytest.mark.parametrize("rate", [5, 15, 35])
@pytest.mark.parametrize("speech", [False, True])
def test_steady_breathing_repeats_at_its_rate(rate, speech):
    lungs = make(dataclasses.replace(STEADY, rate_per_min=rate, speech=speech))
    times = np.linspace(0, 60, 4000)
    np.testing.assert_allclose(lungs.rate_at(times), rate)
    np.testing.assert_allclose(lungs.at(times), lungs.at(times + 60 / rate), atol=1e-9)
    assert lungs.at(times).min() == pytest.approx(-1, abs=1e-3)
    assert lungs.at(times).max() == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("speech", [False, True])
def test_flow_is_the_derivative_and_has_no_jumps(speech):
    lungs = make(Breath(12, holds_per_min=1, speech=speech))
    times = np.arange(0, 100, 1e-3)
    flow = lungs.flow_at(times)
    np.testing.assert_allclose(np.diff(lungs.at(times)) / 1e-3, (flow[1:] + flow[:-1]) / 2, atol=0.03)
    assert np.abs(np.diff(flow)).max() < 0.3


def test_a_breath_begins_at_each_onset():
    lungs = make(Breath(14))
    onsets = lungs.onset_s[1:-1]
    np.testing.assert_allclose(lungs.at(onsets), -1, atol=1e-9)
    assert np.all(lungs.flow_at(onsets + 0.1) > 0)
    assert np.all(lungs.flow_at(onsets - 0.1) <= 0)


def test_the_stretch_is_covered_on_both_sides_however_long_the_holds():
    lungs = make(Breath(8, holds_per_min=3, hold_s=30), duration_s=20.0)
    assert lungs.onset_s[0] < -20
    assert lungs.onset_s[-1] > 20


def test_holds_stay_at_the_top_for_as_long_as_told():
    lungs = make(dataclasses.replace(STEADY, holds_per_min=2, hold_s=10), 300.0)
    k = np.flatnonzero(lungs.held_s)[0]
    start = lungs.onset_s[k] + lungs.inspired_s[k]
    np.testing.assert_allclose(lungs.at(start + np.linspace(0, 10, 50)), 1.0)
    assert lungs.onset_s[k + 1] - lungs.onset_s[k] == pytest.approx(14.0)


def test_sighs_come_as_often_as_told_and_are_deep():
    lungs = make(dataclasses.replace(STEADY, sighs_per_min=1), 3600.0)
    assert (lungs.depth > 1.7).sum() == pytest.approx(60, abs=25)


def test_mean_rate_and_spread_are_those_asked_for():
    cycles = np.diff(make(Breath(15, variability=0.2, sighs_per_min=0), 3600.0).onset_s)
    assert 60 / cycles.mean() == pytest.approx(15, rel=0.03)
    assert cycles.std() / cycles.mean() == pytest.approx(0.2, rel=0.12)


def test_speech_is_quick_in_and_slow_out():
    people = [Breath.sample(np.random.default_rng(i), speech=True) for i in range(20)]
    assert all(p.inspired_fraction <= 0.2 and p.speech for p in people)


def test_samples_stay_in_range_and_what_is_fixed_stays():
    people = [Breath.sample(np.random.default_rng(i), depth_variability=0.1) for i in range(300)]
    rates = np.array([p.rate_per_min for p in people])
    assert 5 <= rates.min() < 8
    assert 30 < rates.max() <= 35
    assert {p.depth_variability for p in people} == {0.1}


def test_rate_between_events():
    np.testing.assert_allclose(rate_at(np.array([0.0, 1.0, 3.0]), [0.5, 2.0, 1.25]), [60, 30, 45])


def test_nonsense_is_refused():
    with pytest.raises(ValueError, match="rate_per_min"):
        Breath(0)
