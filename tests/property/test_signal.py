"""What must hold for any wave, any stamps, any beats."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalcam.signal import hrv, peaks, spectrum
from vitalcam.signal.filter import bandpass, detrend, normalise
from vitalcam.signal.resample import uniform

FS_HZ = 30.0
SEEDS = st.integers(0, 2**32 - 1)
CASES = settings(max_examples=40, deadline=None)


def _noise(seed, n=300):
    return np.random.default_rng(seed).standard_normal(n)


def _stamps(rng, n):
    return np.cumsum(rng.uniform(0.005, 0.12, n))


@given(SEEDS, st.floats(-100, 100), st.floats(0.01, 100))
@CASES
def test_filters_are_linear_and_blind_to_offset(seed, offset, gain):
    x = _noise(seed)
    np.testing.assert_allclose(
        bandpass(gain * x + offset, 0.7, 4, fs_hz=FS_HZ),
        gain * bandpass(x, 0.7, 4, fs_hz=FS_HZ),
        atol=1e-9 * (gain + 100),
    )
    np.testing.assert_allclose(detrend(gain * x + offset, lam=50), gain * detrend(x, lam=50), atol=1e-6 * (gain + 1))
    np.testing.assert_allclose(normalise(gain * x + offset), normalise(x), atol=1e-9)


@given(SEEDS)
@CASES
def test_filters_do_not_shift(seed):
    x = _noise(seed)
    np.testing.assert_allclose(
        bandpass(x[::-1], 0.7, 4, fs_hz=FS_HZ), bandpass(x, 0.7, 4, fs_hz=FS_HZ)[::-1], atol=1e-9
    )
    np.testing.assert_allclose(detrend(x[::-1], lam=50), detrend(x, lam=50)[::-1], atol=1e-9)


@given(SEEDS, st.floats(0.001, 1000))
@CASES
def test_peak_and_snr_do_not_depend_on_gain(seed, gain):
    x = _noise(seed)
    freq, power = spectrum.power(x, fs_hz=FS_HZ, low_hz=0.7, high_hz=4)
    at = spectrum.peak(freq, power)[0]
    np.testing.assert_allclose(spectrum.peak(freq, gain * power)[0], at, rtol=1e-6)
    snr = [spectrum.snr_db(g * x, fs_hz=FS_HZ, f_hz=at) for g in (1, gain)]
    np.testing.assert_allclose(snr[0], snr[1], atol=1e-6)
    assert freq[0] < at < freq[-1]


@given(SEEDS, st.integers(2, 200), st.floats(-10, 10), st.sampled_from([10.0, 25.0, 30.0]))
@CASES
def test_resampling_keeps_a_constant_and_marks_all_else(seed, n, level, fs_hz):
    time = _stamps(np.random.default_rng(seed), n)
    values, at, valid = uniform(np.full((n, 2), level), time, fs_hz=fs_hz, t0_s=0, t1_s=time[-1] + 1, max_gap_s=0.1)
    np.testing.assert_allclose(values[valid], level, atol=1e-9)
    assert np.isnan(values[~valid]).all()
    assert not valid[(at < time[0] - 1e-6) | (at > time[-1] + 1e-6)].any()


@given(SEEDS, st.integers(40, 300), st.data())
@CASES
def test_any_cut_of_a_stream_gives_the_same_samples(seed, n, data):
    rng = np.random.default_rng(seed)
    time, x = _stamps(rng, n), rng.standard_normal(n)
    a = data.draw(st.integers(0, n - 20))
    b = data.draw(st.integers(a + 20, n))
    whole, at, valid = uniform(x, time, fs_hz=30, t0_s=0, t1_s=time[-1])
    inner = (time[a + 3], time[b - 4])
    part, at_part, valid_part = uniform(x[a:b], time[a:b], fs_hz=30, t0_s=inner[0], t1_s=inner[1])
    where = np.searchsorted(at, at_part)
    np.testing.assert_array_equal(at[where], at_part)
    np.testing.assert_array_equal(valid[where], valid_part)
    np.testing.assert_array_equal(whole[where], part)


@given(SEEDS, st.integers(0, 600))
@CASES
def test_beats_of_anything_increase_and_lie_within(seed, n):
    found = peaks.beats(_noise(seed, n), fs_hz=FS_HZ)
    assert np.all(np.diff(found) > 0)
    assert np.all((found >= 0) & (found <= n / FS_HZ))


@given(st.floats(45, 180), st.floats(0, 1), st.floats(0.01, 100))
@CASES
def test_beats_move_with_the_wave(bpm, shift, gain):
    phase = np.arange(600) / FS_HZ * bpm / 60
    wave = np.sin(2 * np.pi * phase) + 0.3 * np.sin(4 * np.pi * phase)
    moved = np.sin(2 * np.pi * (phase - shift)) + 0.3 * np.sin(4 * np.pi * (phase - shift))
    first, second = (peaks.beats(w, fs_hz=FS_HZ) * bpm / 60 for w in (wave, gain * moved))
    apart = (second[3] - first[3] - shift) % 1
    assert min(apart, 1 - apart) < 0.01


@given(st.lists(st.floats(0.05, 3.0), min_size=1, max_size=60))
@CASES
def test_intervals_are_never_invented(steps):
    beat = np.cumsum(steps)
    _, interval = peaks.ibi(beat)
    known = np.isfinite(interval)
    np.testing.assert_array_equal(interval[known], np.diff(beat)[known])


@given(st.lists(st.floats(0.4, 1.2), min_size=0, max_size=200), st.floats(0, 50))
@CASES
def test_variability_is_a_number_or_a_reason(steps, floor_ms):
    for value, unit, reason in hrv.hrv(np.cumsum(steps), noise_floor_ms=floor_ms).values():
        assert (value is None) != (reason is None)
        assert unit
        assert value is None or (np.isfinite(value) and value >= 0)
