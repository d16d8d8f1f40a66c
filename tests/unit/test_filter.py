"""Filters: what passes, what does not, and that nothing is shifted."""

import numpy as np
import pytest
from scipy import sparse
from scipy.sparse.linalg import spsolve

from vitalcam.signal import filter as filters

FS_HZ = 30.0
TIME_S = np.arange(600) / FS_HZ


def _tone(freq_hz, phase=0.0):
    return np.sin(2 * np.pi * freq_hz * TIME_S + phase)


@pytest.mark.parametrize("freq_hz", [0.75, 1.2, 2.0, 3.2])
@pytest.mark.parametrize("phase", [0.0, 0.8, 1.6, 2.4])
def test_band_passes_unchanged(freq_hz, phase):
    error = filters.bandpass(_tone(freq_hz, phase), 0.7, 4.0, fs_hz=FS_HZ) - _tone(freq_hz, phase)
    assert np.abs(error[90:-90]).max() < 0.1
    assert np.std(error[60:-60]) < 0.04
    assert np.abs(error).max() < 0.8


@pytest.mark.parametrize("freq_hz", [0.1, 0.3, 6.0, 9.0])
def test_outside_the_band_is_gone(freq_hz):
    out = filters.bandpass(_tone(freq_hz), 0.7, 4.0, fs_hz=FS_HZ)
    assert np.abs(out[60:-60]).max() < 0.06


def test_bandpass_ignores_offset_and_slope_and_keeps_leading_axes():
    x = np.stack([_tone(1.2), _tone(2.0, 1.0)]).reshape(2, 1, -1)
    out = filters.bandpass(x + 100 + 3 * TIME_S, 0.7, 4.0, fs_hz=FS_HZ)
    np.testing.assert_allclose(out, filters.bandpass(x, 0.7, 4.0, fs_hz=FS_HZ), atol=1e-9)
    np.testing.assert_allclose(out[1, 0], filters.bandpass(x[1, 0], 0.7, 4.0, fs_hz=FS_HZ), atol=1e-12)


def test_bandpass_spreads_nan_over_its_row_only():
    x = np.stack([_tone(1.2), _tone(1.2)])
    x[0, 5] = np.nan
    out = filters.bandpass(x, 0.7, 4.0, fs_hz=FS_HZ)
    assert np.isnan(out[0]).all()
    assert np.isfinite(out[1]).all()


@pytest.mark.parametrize("n", [1, 2, 3, 7])
def test_bandpass_of_very_short_waves_is_finite(n):
    assert np.isfinite(filters.bandpass(np.arange(n) ** 2.0, 0.7, 4.0, fs_hz=FS_HZ)).all()


@pytest.mark.parametrize(("n", "lam"), [(3, 10.0), (50, 100.0), (301, 10.0)])
def test_detrend_is_the_published_matrix(n, lam):
    x = np.random.default_rng(n).standard_normal((2, n)) + np.linspace(0, 5, n)
    second = sparse.diags([1.0, -2.0, 1.0], [0, 1, 2], shape=(n - 2, n))
    trend = np.stack([spsolve((sparse.eye(n) + lam**2 * second.T @ second).tocsc(), row) for row in x])
    np.testing.assert_allclose(filters.detrend(x, lam=lam), x - trend, atol=1e-8)


def test_detrend_halves_its_corner():
    corner_hz = FS_HZ / (2 * np.pi * 10)
    wave = np.sin(2 * np.pi * corner_hz * TIME_S)
    assert filters.detrend(wave, lam=100)[150:-150].max() == pytest.approx(0.5, abs=0.01)


def test_detrend_needs_finite_input():
    with pytest.raises(ValueError, match="NaN"):
        filters.detrend([1.0, np.nan, 2.0], lam=1)


def test_normalise():
    out = filters.normalise(np.stack([_tone(1.0) * 3 + 7, np.full(600, 0.1)]))
    assert out[0].std() == pytest.approx(1)
    assert out[0].mean() == pytest.approx(0, abs=1e-12)
    assert (out[1] == 0).all()


@pytest.mark.parametrize("n", [1, 2, 7, 97, 1000, 4097])
def test_fast_length_is_smooth_and_enough(n):
    size = rest = filters.fast_length(n)
    for prime in (2, 3, 5):
        while rest % prime == 0:
            rest //= prime
    assert rest == 1
    assert n <= size <= 2 * n
