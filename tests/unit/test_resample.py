"""From uneven stamps to a uniform clock."""

import numpy as np
import pytest

from vitalcam.signal.resample import at_times, grid, uniform
from vitalcam.types import Signal


def _stamps(rate_hz, seconds, jitter_s=0.0, seed=0):
    time = np.arange(0, seconds, 1 / rate_hz)
    return np.sort(time + np.random.default_rng(seed).uniform(-jitter_s, jitter_s, time.size))


def _wave(time_s, rate_hz=1.2):
    return np.sin(2 * np.pi * rate_hz * time_s) + 0.3 * np.sin(4 * np.pi * rate_hz * time_s)


@pytest.mark.parametrize("rate_hz", [15, 24, 25, 29.97, 30])
@pytest.mark.parametrize("jitter_s", [0.0, 0.005])
def test_wave_survives(rate_hz, jitter_s):
    time = _stamps(rate_hz, 10, jitter_s)
    values, at, valid = uniform(_wave(time), time, fs_hz=30, t0_s=0, t1_s=10)
    assert valid[(at > time[0]) & (at < time[-1])].all()
    assert np.nanmax(np.abs(values - _wave(at))) < 0.05
    assert np.nanstd(values - _wave(at)) < 0.012


def test_samples_on_the_grid_pass_exactly():
    time = np.arange(100) / 30
    values, at, valid = uniform(_wave(time), time, fs_hz=30, t0_s=0, t1_s=99 / 30)
    np.testing.assert_array_equal(at, time)
    np.testing.assert_allclose(values, _wave(time), atol=1e-12)
    assert valid.all()


@pytest.mark.parametrize(("rate_hz", "share"), [(30, 1.0), (60, 0.78), (120, 0.56), (240, 0.45)])
def test_faster_camera_gives_less_noise(rate_hz, share):
    time = _stamps(rate_hz, 60)
    noise = np.random.default_rng(1).standard_normal(time.size)
    values, _, _ = uniform(noise, time, fs_hz=30, t0_s=1, t1_s=59)
    assert values.std() <= share + 0.05


def test_straight_line_is_exact_whatever_the_stamps():
    time = np.sort(np.random.default_rng(2).uniform(0, 10, 400))
    values, at, valid = uniform(3 * time + 1, time, fs_hz=30, t0_s=0.2, t1_s=9.8)
    np.testing.assert_allclose(values[valid], 3 * at[valid] + 1, atol=0.05)
    slow = np.sort(np.random.default_rng(2).uniform(0, 10, 150))
    values, at, valid = uniform(3 * slow + 1, slow, fs_hz=30, t0_s=0.2, t1_s=9.8, max_gap_s=1)
    np.testing.assert_allclose(values[valid], 3 * at[valid] + 1, atol=0.05)


def test_gap_is_a_gap_and_short_drops_are_bridged():
    time = np.arange(0, 10, 1 / 30)
    kept = time[~((time > 3.01) & (time < 3.49)) & ~((time > 6.01) & (time < 6.09))]
    values, at, valid = uniform(_wave(kept), kept, fs_hz=30, t0_s=0, t1_s=9.9)
    inside = (at > 3.01) & (at < 3.49)
    assert not valid[inside].any()
    assert np.isnan(values[inside]).all()
    assert valid[~inside & (at < kept[-1])].all()
    assert np.nanmax(np.abs(values - _wave(at))) < 0.15


def test_rows_with_nan_count_as_missing():
    time = np.arange(300) / 30
    rgb = np.stack([_wave(time)] * 3, axis=1)
    rgb[100:130, 1] = np.nan
    values, at, valid = uniform(rgb, time, fs_hz=30, t0_s=0, t1_s=9)
    assert values.shape == (at.size, 3)
    assert not valid[101:129].any()
    assert np.isfinite(values[valid]).all()


def test_bursts_do_not_amplify_noise():
    time = np.arange(0, 20, 1 / 30)
    time = np.sort(np.concatenate([time, time[::10] + 0.0005]))
    noise = np.random.default_rng(3).standard_normal(time.size)
    values, _, _ = uniform(noise, time, fs_hz=25, t0_s=1, t1_s=19)
    assert np.abs(values).max() < 1.5 * np.abs(noise).max()


@pytest.mark.parametrize("rate_hz", [20, 30, 60])
def test_a_stream_gives_the_same_numbers(rate_hz):
    time = _stamps(rate_hz, 20, 0.006)
    x = np.random.default_rng(4).standard_normal((time.size, 2))
    whole, at, _ = uniform(x, time, fs_hz=30, t0_s=0, t1_s=20)
    part = slice(rate_hz * 8, rate_hz * 12)
    some, at_some, _ = uniform(x[part], time[part], fs_hz=30, t0_s=8.5, t1_s=11.5)
    where = np.searchsorted(at, at_some)
    np.testing.assert_array_equal(at[where], at_some)
    np.testing.assert_array_equal(whole[where], some)


def test_pictures_stay_float32():
    time = np.arange(20) / 25
    values, _, _ = uniform(np.zeros((20, 4, 4, 3), np.float32), time, fs_hz=30, t0_s=0, t1_s=0.7)
    assert values.dtype == np.float32
    assert values.shape == (22, 4, 4, 3)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_samples_are_all_invalid(n):
    values, at, valid = uniform(np.zeros((n, 3)), np.arange(n) / 30, fs_hz=30, t0_s=0, t1_s=1)
    assert values.shape == (31, 3)
    assert at.size == 31
    assert not valid.any()


@pytest.mark.parametrize(
    ("values", "time", "message"), [([1.0, 2.0], [0.0], "first axis"), ([1.0, 2.0], [1.0, 1.0], "increase")]
)
def test_bad_input_is_named(values, time, message):
    with pytest.raises(ValueError, match=message):
        uniform(values, time, fs_hz=30, t0_s=0, t1_s=1)


def test_grid_is_absolute():
    first, second = grid(1.234, 3, fs_hz=30), grid(1.9, 4, fs_hz=30)
    assert set(second[second <= 3]) <= set(first)


def test_at_times():
    signal = Signal(np.array([[0.0, 1.0, np.nan, 3.0], [0.0, 2.0, 4.0, 6.0]]), np.arange(4.0), "bvp")
    out = at_times(signal, [-1, 0.5, 1.5, 3, 4])
    np.testing.assert_allclose(out[1], [np.nan, 1, 3, 6, np.nan])
    np.testing.assert_allclose(out[0, :3], [np.nan, 0.5, np.nan])
