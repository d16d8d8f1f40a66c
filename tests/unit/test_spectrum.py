"""Spectra: frequencies between bins, signal-to-noise ratio, harmonics."""

import numpy as np
import pytest
from scipy import signal as scipy_signal

from vitalcam.signal import spectrum

FS_HZ = 30.0
BAND = {"low_hz": 0.65, "high_hz": 4.0}


def _pulse(bpm, seconds=10.0, second=0.35):
    phase = 2 * np.pi * bpm / 60 * np.arange(round(seconds * FS_HZ)) / FS_HZ
    return np.sin(phase + 0.5) + second * np.sin(2 * phase + 0.7)


@pytest.mark.parametrize("bpm", [45.0, 53.3, 72.0, 99.9, 150.2, 185.0])
def test_peak_lies_between_bins(bpm):
    freq, power = spectrum.power(_pulse(bpm, 12), fs_hz=FS_HZ, **BAND)
    assert 60 * spectrum.peak(freq, power)[0] == pytest.approx(bpm, abs=0.15)


def test_leading_axes_and_rows_agree():
    x = np.stack([_pulse(60), _pulse(90)]).reshape(2, 1, -1)
    freq, power = spectrum.power(x, fs_hz=FS_HZ, **BAND)
    found, height = spectrum.peak(freq, power)
    assert found.shape == height.shape == (2, 1)
    np.testing.assert_allclose(60 * found[:, 0], [60, 90], atol=0.2)


def test_height_of_a_tone():
    freq, power = spectrum.power(3 * np.sin(2 * np.pi * 1.5 * np.arange(900) / FS_HZ), fs_hz=FS_HZ, **BAND)
    assert spectrum.peak(freq, power)[1] == pytest.approx(9 / 4, rel=0.01)


def test_missing_samples_hardly_move_the_peak():
    x = _pulse(72)
    x[100:115] = np.nan
    freq, power = spectrum.power(x, fs_hz=FS_HZ, **BAND)
    assert 60 * spectrum.peak(freq, power)[0] == pytest.approx(72, abs=0.5)


@pytest.mark.parametrize("x", [np.zeros(300), np.full(300, np.nan), np.ones(2)])
def test_nothing_in_nothing_out(x):
    freq, power = spectrum.power(x, fs_hz=FS_HZ, **BAND)
    assert np.isnan(spectrum.peak(freq, power)[0])
    assert np.isnan(spectrum.snr_db(x, fs_hz=FS_HZ, f_hz=1.0))


@pytest.mark.parametrize("expected_db", [-6.0, 0.0, 6.0, 12.0])
def test_snr_is_the_ratio_that_was_put_in(expected_db):
    rng = np.random.default_rng(0)
    wave, n = _pulse(72, 60), 1800
    # White noise: of its power, band width / 15 Hz lies in the band; the windows hold 0.4 Hz of that.
    rest = (4.0 - 0.7 - 0.4) / 15
    sigma = np.sqrt(wave.var() / rest / 10 ** (expected_db / 10))
    got = [spectrum.snr_db(wave + sigma * rng.standard_normal(n), fs_hz=FS_HZ, f_hz=1.2) for _ in range(20)]
    extra = 0.4 / (4.0 - 0.7 - 0.4)  # noise inside the windows counts as signal
    mean_db = 10 * np.log10(np.mean(10 ** (np.array(got) / 10)))
    assert mean_db == pytest.approx(10 * np.log10(10 ** (expected_db / 10) + extra), abs=0.7)


def test_snr_of_a_short_clean_pulse_is_high():
    assert spectrum.snr_db(_pulse(72, 8), fs_hz=FS_HZ, f_hz=1.2) > 15


def test_share_is_nan_without_frequency():
    freq, power = spectrum.power(_pulse(72), fs_hz=FS_HZ, **BAND)
    assert np.isnan(spectrum.share(freq, power, np.nan))
    assert spectrum.share(freq, power, 1.2, half_width_hz=10) == pytest.approx(1)


@pytest.mark.parametrize("bpm", [50, 65, 80])
def test_strong_second_harmonic_is_recognised(bpm):
    phase = 2 * np.pi * bpm / 60 * np.arange(450) / FS_HZ
    x = 0.7 * np.sin(phase) + np.sin(2 * phase + 1) + 0.4 * np.sin(3 * phase)
    freq, power = spectrum.power(x, fs_hz=FS_HZ, **BAND)
    top = float(spectrum.peak(freq, power)[0])
    assert 60 * top == pytest.approx(2 * bpm, abs=1)
    assert 60 * spectrum.fundamental(freq, power, top) == pytest.approx(bpm, abs=1)


@pytest.mark.parametrize("bpm", [50, 100, 150, 185])
def test_fundamental_is_left_alone(bpm):
    x = _pulse(bpm, 15) + 0.3 * np.random.default_rng(bpm).standard_normal(450)
    freq, power = spectrum.power(x, fs_hz=FS_HZ, **BAND)
    top = float(spectrum.peak(freq, power)[0])
    assert spectrum.fundamental(freq, power, top) == top


@pytest.mark.parametrize("n", [128, 300, 451])
def test_periodogram_is_scipys(n):
    x = np.random.default_rng(n).standard_normal(n)
    size = 1 << (n - 1).bit_length()
    freq, power = spectrum.periodogram(x, fs_hz=FS_HZ)
    expected_freq, expected = scipy_signal.periodogram(x, fs=FS_HZ, nfft=size, detrend=False)
    np.testing.assert_allclose(freq, expected_freq)
    np.testing.assert_allclose(power, expected)
