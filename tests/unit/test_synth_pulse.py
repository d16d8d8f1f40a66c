import dataclasses

import numpy as np
import pytest

from vitalcam.signal import peaks
from vitalcam.synth.breath import Breath, breathing
from vitalcam.synth.pulse import Heart, pulse

STEADY = Heart(72, sdnn_ms=0, vasomotion=0, amplitude_modulation=0, baseline_modulation=0)


def make(heart, duration_s=60.0, seed=0, breath=None):
    rng = np.random.default_rng(seed)
    lungs = breathing(breath or Breath(12), duration_s=duration_s, rng=rng)
    return pulse(heart, lungs, duration_s=duration_s, rng=rng)


@pytest.mark.parametrize("rate", [40, 72, 120, 190])
@pytest.mark.parametrize("site", ["face", "finger"])
def test_a_steady_pulse_has_the_rate_the_mean_and_the_height_asked_for(rate, site):
    wave = make(dataclasses.replace(STEADY, rate_bpm=rate, site=site))
    times = np.arange(0, 60, 0.004)
    values = wave.at(times)
    np.testing.assert_allclose(wave.rate_at(times), rate, rtol=1e-6)
    assert values.mean() == pytest.approx(0, abs=0.01)
    assert np.ptp(values) == pytest.approx(1, abs=0.02)
    np.testing.assert_allclose(values, wave.at(times + 60 / rate), atol=2e-3)
    spectrum = np.abs(np.fft.rfft(values))
    assert np.argmax(spectrum) / 60 * 60 == pytest.approx(rate, abs=0.5)


def test_no_sample_jumps_at_the_border_of_two_beats():
    wave = make(Heart(90, sdnn_ms=80, ectopic_per_min=6, vasomotion=0.3))
    border = wave.between(2, 58)
    np.testing.assert_allclose(wave.at(border - 1e-6), wave.at(border + 1e-6), atol=2e-4)


def test_any_times_give_the_same_function():
    wave = make(Heart(80))
    times = np.random.default_rng(1).uniform(0, 60, (7, 11))
    grid = np.arange(-1, 61, 0.0005)
    np.testing.assert_allclose(wave.at(times), np.interp(times, grid, wave.at(grid)), atol=1e-4)


def test_truth_is_found_again_by_the_peak_finder():
    wave = make(Heart(75, sdnn_ms=40, vasomotion=0.1, baseline_modulation=0.02))
    found = peaks.beats(wave.at(np.arange(0, 60, 1 / 60)), fs_hz=60)
    lag = found[3:-3] - wave.beat_times_s[np.searchsorted(wave.beat_times_s, found[3:-3]) - 1]
    assert lag.std() < 0.02
    assert 60 / np.diff(found).mean() == pytest.approx(60 / np.diff(wave.between(0, 60)).mean(), rel=0.01)


def test_variability_over_five_minutes_is_that_asked_for():
    sdnn = [1000 * np.diff(make(Heart(65, sdnn_ms=50), 300.0, seed).between(0, 300)).std() for seed in range(12)]
    assert np.mean(sdnn) == pytest.approx(50, rel=0.12)


def test_breathing_in_speeds_the_heart_up():
    wave = make(Heart(65, sdnn_ms=40, rsa=1.0, mayer=0.0), 120.0)
    times = np.arange(5, 115, 0.1)
    assert np.corrcoef(wave.rate_at(times), wave.breathing.at(times))[0, 1] > 0.8


def test_mayer_waves_are_near_a_tenth_of_a_hertz():
    wave = make(Heart(65, sdnn_ms=40, rsa=0.0, mayer=1.0), 300.0)
    rate = wave.rate_at(np.arange(0, 300, 0.5))
    f = np.fft.rfftfreq(600, 0.5)
    power = np.abs(np.fft.rfft(rate - rate.mean())) ** 2
    assert (f * power).sum() / power.sum() == pytest.approx(0.1, abs=0.015)


@pytest.mark.parametrize(
    ("profile", "change", "first", "last"),
    [("rest", 30, 70, 70), ("drift", 20, 72, 88), ("step", 25, 70, 95), ("recovery", 60, 121, 73)],
)
def test_profiles(profile, change, first, last):
    wave = make(Heart(70, profile=profile, change_bpm=change, sdnn_ms=0), 200.0)
    assert wave.rate_at(10.0) == pytest.approx(first, abs=3)
    assert wave.rate_at(185.0) == pytest.approx(last, abs=3)


def test_ectopic_beats_are_early_small_and_followed_by_a_pause():
    wave = make(dataclasses.replace(STEADY, ectopic_per_min=5), 300.0)
    k = np.flatnonzero(wave.ectopic)
    assert k.size == pytest.approx(25, abs=15)
    ibi = wave.ibi_s
    assert np.all(ibi[k - 1] < 0.8 * 60 / 72)
    np.testing.assert_allclose(ibi[k - 1] + ibi[k], 2 * 60 / 72, rtol=1e-6)
    assert wave.amplitude[k].max() < 0.7 < 1 < wave.amplitude[k + 1].min()


def test_atrial_fibrillation_has_no_order():
    ibi = make(Heart(90, atrial_fibrillation=True), 300.0).ibi_s
    assert ibi.std() / ibi.mean() == pytest.approx(0.22, abs=0.04)
    assert abs(np.corrcoef(ibi[1:], ibi[:-1])[0, 1]) < 0.15
    assert 60 / ibi.mean() == pytest.approx(90, rel=0.05)


def test_breathing_moves_height_and_level():
    still = make(dataclasses.replace(STEADY), 120.0)
    moved = make(dataclasses.replace(STEADY, amplitude_modulation=0.2, baseline_modulation=0.3), 120.0)
    times = np.arange(0, 120, 0.01)
    lungs = moved.breathing.at(times)
    assert np.polyfit(lungs, moved.at(times) - still.at(times), 1)[0] == pytest.approx(0.3, abs=0.05)
    assert np.corrcoef(moved.amplitude, moved.breathing.at(moved.beat_times_s))[0, 1] < -0.95


def harmonic(heart, number):
    wave = make(dataclasses.replace(heart, sdnn_ms=0))
    start, stop = wave.between(5, 50)[[0, -1]]
    beats = np.abs(np.fft.rfft(wave.at(np.linspace(start, stop, 4096, endpoint=False))))
    first = round((stop - start) * heart.rate_bpm / 60)
    return beats[number * first] / beats[first]


def test_shapes_differ_by_site_age_and_rate():
    assert harmonic(dataclasses.replace(STEADY, site="finger", age_years=20), 3) > 1.3 * harmonic(
        dataclasses.replace(STEADY, age_years=20), 3
    )
    assert harmonic(dataclasses.replace(STEADY, age_years=20), 3) > harmonic(
        dataclasses.replace(STEADY, age_years=80), 3
    )
    assert harmonic(dataclasses.replace(STEADY, rate_bpm=60), 2) > harmonic(
        dataclasses.replace(STEADY, rate_bpm=160), 2
    )


def test_a_fast_heart_varies_little():
    slow, fast = (
        np.median([Heart.sample(np.random.default_rng(i), rate_bpm=rate, age_years=40.0).sdnn_ms for i in range(200)])
        for rate in (60.0, 170.0)
    )
    assert 40 < slow < 85
    assert fast < 20


def test_samples_stay_in_range_and_can_all_be_made():
    for i in range(150):
        heart = Heart.sample(np.random.default_rng(i))
        assert 40 <= heart.rate_bpm <= 190
        rate = make(heart, 20.0, i).rate_at(np.arange(0, 20, 0.5))
        assert rate.min() > 30
        assert rate.max() < 230


def test_the_same_seed_gives_the_same_pulse():
    times = np.arange(0, 10, 0.1)
    np.testing.assert_array_equal(make(Heart(), seed=4).at(times), make(Heart(), seed=4).at(times))
    assert not np.allclose(make(Heart(), seed=4).at(times), make(Heart(), seed=5).at(times))


@pytest.mark.parametrize(
    "wrong", [{"rate_bpm": 500}, {"site": "toe"}, {"profile": "sprint"}, {"rsa": 0.8, "mayer": 0.5}]
)
def test_nonsense_is_refused(wrong):
    with pytest.raises(ValueError, match="heart:"):
        Heart(**wrong)
