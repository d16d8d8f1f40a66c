"""Beats to a fraction of a sample; intervals that are marked, never invented; the noise floor against Monte Carlo."""

import numpy as np
import pytest

from vitalcam.signal import peaks
from vitalcam.signal.resample import uniform

FS_HZ = 30.0


def _face(phase):
    return np.sin(2 * np.pi * phase) + 0.3 * np.sin(4 * np.pi * phase + 0.7)


def _finger(phase):
    phase = np.mod(phase, 1.0)
    return np.exp(-(((phase - 0.2) / 0.09) ** 2)) + 0.35 * np.exp(-(((phase - 0.5) / 0.1) ** 2))


def _rmssd_ms(beat_times_s):
    steps = np.diff(peaks.ibi(beat_times_s)[1])
    return 1000 * np.sqrt(np.nanmean(steps**2))


def _unit(wave):
    return (wave - wave.mean()) / wave.std()


@pytest.mark.parametrize("rate_hz", [15, 24, 25, 29.97, 30, 60])
@pytest.mark.parametrize("bpm", [50, 72, 96, 110, 150, 185])
@pytest.mark.parametrize("jitter_s", [0.0, 0.004])
def test_metronome_has_no_variability(rate_hz, bpm, jitter_s):
    stamps = np.arange(0, 20, 1 / rate_hz)
    stamps = np.sort(stamps + np.random.default_rng(bpm).uniform(-jitter_s, jitter_s, stamps.size))
    values, _, valid = uniform(_face(stamps * bpm / 60 + 0.3), stamps, fs_hz=FS_HZ, t0_s=0, t1_s=20)
    found = peaks.beats(np.where(valid, values, np.nan), fs_hz=FS_HZ)
    assert _rmssd_ms(found) < 2
    assert abs(found.size - 20 * bpm / 60) <= 2
    assert peaks.rate_bpm(peaks.ibi(found)[1]) == pytest.approx(bpm, abs=0.1)


@pytest.mark.parametrize("bpm", [45, 60, 120, 180])
def test_notch_is_not_a_beat(bpm):
    wave = _finger(np.arange(900) / FS_HZ * bpm / 60)
    found = peaks.beats(wave, fs_hz=FS_HZ)
    assert abs(found.size - 30 * bpm / 60) <= 2
    assert _rmssd_ms(found) < 2


@pytest.mark.parametrize("off", [0.75, 1.0, 1.3])
def test_a_rough_heart_rate_is_enough(off):
    wave = _finger(np.arange(900) / FS_HZ * 1.2)
    found = peaks.beats(wave, fs_hz=FS_HZ, heart_rate_hz=1.2 * off)
    assert abs(found.size - 36) <= 3
    assert _rmssd_ms(found) < 5


@pytest.mark.parametrize("width_s", [0.08, 0.2])
@pytest.mark.parametrize("cycles_per_beat", [0.1, 0.22, 0.3])
def test_variability_is_followed_beat_by_beat(width_s, cycles_per_beat):
    interval = 0.85 + 0.05 * np.sin(2 * np.pi * cycles_per_beat * np.arange(80))
    beat = np.concatenate([[0.0], np.cumsum(interval)])
    time = np.arange(0, beat[-1], 1 / FS_HZ)
    wave = np.exp(-(((time[:, None] - beat - 0.25) / width_s) ** 2)).sum(axis=1)
    found = peaks.beats(wave, fs_hz=FS_HZ)
    own = beat[np.abs(found[:, None] - beat - np.median(found[5] - beat[beat < found[5]][-1])).argmin(axis=1)]
    assert np.std(found - own) < 0.006
    assert np.std(np.diff(found)) == pytest.approx(np.std(np.diff(own)), rel=0.1)


def test_rate_that_doubles_is_followed():
    time = np.arange(0, 120, 1 / FS_HZ)
    rate_hz = np.interp(time, [0, 30, 90, 120], [1.0, 1.0, 2.0, 2.0])
    phase = np.cumsum(rate_hz) / FS_HZ
    noise = 0.3 * np.random.default_rng(0).standard_normal(time.size)
    found = peaks.beats(_face(phase) + noise, fs_hz=FS_HZ)
    assert abs(found.size - phase[-1]) <= 3
    np.testing.assert_allclose(peaks.rate_track(_face(phase), fs_hz=FS_HZ)[300:-300], rate_hz[300:-300], atol=0.1)


def test_nothing_is_invented_in_a_gap():
    wave = _face(np.arange(1200) / FS_HZ * 1.2)
    wave[500:700] = np.nan
    found = peaks.beats(wave, fs_hz=FS_HZ)
    assert not np.any((found > 500 / FS_HZ) & (found < 700 / FS_HZ))
    _, interval = peaks.ibi(found)
    assert np.isnan(interval).sum() == 1
    assert _rmssd_ms(found) < 2


@pytest.mark.parametrize("bpm", [50, 65, 80])
def test_strong_second_harmonic_is_not_counted_double(bpm):
    phase = 2 * np.pi * bpm / 60 * np.arange(900) / FS_HZ
    found = peaks.beats(0.7 * np.sin(phase) + np.sin(2 * phase + 1) + 0.4 * np.sin(3 * phase), fs_hz=FS_HZ)
    assert abs(found.size - 30 * bpm / 60) <= 2


def test_flat_stretch_costs_only_itself():
    wave = _face(np.arange(1800) / FS_HZ * 1.2)
    wave[600:1200] = 0
    found = peaks.beats(wave, fs_hz=FS_HZ)
    assert np.sum((found < 19) | (found > 41)) >= 42
    assert np.sum((found > 21) & (found < 39)) == 0


@pytest.mark.parametrize("wave", [np.zeros(300), np.full(300, np.nan), np.ones(5), np.empty(0)])
def test_no_wave_no_beats(wave):
    assert peaks.beats(wave, fs_hz=FS_HZ).size == 0


@pytest.mark.parametrize("fault", ["missed", "double", "early"])
def test_faulty_intervals_are_marked_and_the_others_kept(fault):
    beat = np.arange(30) * 0.8
    times = {"missed": np.delete(beat, 12), "double": np.sort(np.append(beat, beat[12] + 0.35)), "early": beat.copy()}
    if fault == "early":
        times["early"][12] -= 0.3
    end, interval = peaks.ibi(times[fault])
    assert end.shape == interval.shape
    assert 1 <= np.isnan(interval).sum() <= 2
    np.testing.assert_allclose(interval[np.isfinite(interval)], 0.8)


@pytest.mark.parametrize("n", [0, 1])
def test_no_intervals_without_two_beats(n):
    assert peaks.ibi(np.arange(n))[1].size == 0
    assert np.isnan(peaks.rate_bpm([]))


@pytest.mark.parametrize("shape", [_face, _finger])
@pytest.mark.parametrize(("bpm", "sigma"), [(55, 0.2), (66, 0.5), (110, 0.3)])
def test_noise_floor_is_what_monte_carlo_gives(shape, bpm, sigma):
    clean = _unit(shape(np.arange(1200) / FS_HZ * bpm / 60))
    seen, floor = [], []
    for seed in range(8):
        wave = clean + sigma * np.random.default_rng(seed).standard_normal(clean.size)
        found = peaks.beats(wave, fs_hz=FS_HZ)
        seen.append(_rmssd_ms(found))
        floor.append(peaks.timing_noise_ms(wave, found, fs_hz=FS_HZ))
    assert np.mean(floor) == pytest.approx(np.mean(seen), rel=0.2)


def test_noise_floor_is_unknown_for_few_beats():
    assert np.isnan(peaks.timing_noise_ms(_face(np.arange(120) / FS_HZ), np.arange(3.0), fs_hz=FS_HZ))
