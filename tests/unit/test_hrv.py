"""Heart rate variability: textbook values, refusals, and a floor that Monte Carlo confirms."""

import numpy as np
import pytest
from scipy import signal as scipy_signal

from vitalcam.signal import peaks, spectrum
from vitalcam.signal.hrv import _lomb, hrv, lf_hf, timing_noise_ms

FS_HZ = 30.0


def _beats(ibi_s):
    return np.concatenate([[0.3], 0.3 + np.cumsum(ibi_s)])


def _varied(n, spread_s=0.03, seed=0):
    return 0.85 + spread_s * np.random.default_rng(seed).standard_normal(n)


def test_measures_are_the_textbooks():
    ibi = _varied(200)
    got = hrv(_beats(ibi), noise_floor_ms=0.0)
    steps = np.diff(ibi)
    assert got["mean_ibi"][0] == pytest.approx(1000 * ibi.mean())
    assert got["sdnn"][0] == pytest.approx(1000 * ibi.std(ddof=1), rel=2e-3)
    assert got["rmssd"][0] == pytest.approx(1000 * np.sqrt(np.mean(steps**2)), rel=2e-3)
    assert got["pnn50"][0] == pytest.approx(100 * np.mean(np.abs(steps) > 0.05))
    assert all(value is not None and reason is None for value, _, reason in got.values())


@pytest.mark.parametrize(
    ("seconds", "given"),
    [(8, []), (12, ["mean_ibi"]), (25, ["mean_ibi", "sdnn", "rmssd"]), (70, ["mean_ibi", "sdnn", "rmssd", "pnn50"])],
)
def test_short_recordings_give_less(seconds, given):
    got = hrv(_beats(_varied(round(seconds / 0.85))), noise_floor_ms=2.0)
    assert [name for name, (value, _, _) in got.items() if value is not None] == given
    assert all(reason == "too_short" for name, (_, _, reason) in got.items() if name not in given)


@pytest.mark.parametrize("floor_ms", [30.0, float("nan")])
def test_below_twice_the_floor_is_refused(floor_ms):
    got = hrv(_beats(_varied(200, 0.01)), noise_floor_ms=floor_ms)
    assert got["mean_ibi"][0] is not None
    assert {got[name][2] for name in ("sdnn", "rmssd", "pnn50", "lf_hf")} == {"noise_floor"}


def test_metronome_is_refused_even_without_noise():
    got = hrv(np.arange(60) * 0.8, noise_floor_ms=0.0)
    assert got["rmssd"] == (None, "ms", "noise_floor")


def test_too_many_gaps_are_refused():
    beat = _beats(_varied(120))
    keep = np.ones(beat.size, dtype=bool)
    keep[30:70] = False
    assert hrv(beat[keep], noise_floor_ms=1.0)["rmssd"][2] == "low_quality"


@pytest.mark.parametrize("beat", [[], [1.0], [1.0, 2.0]])
def test_no_beats_no_numbers(beat):
    assert all(value is None for value, _, _ in hrv(beat, noise_floor_ms=1.0, duration_s=300).values())


def test_floor_is_taken_out_without_bias():
    truth, seen = [], []
    for seed in range(200):
        ibi = _varied(60, 0.03, seed)
        error = 0.005 * np.random.default_rng(1000 + seed).standard_normal(61)
        got = hrv(_beats(ibi) + error, noise_floor_ms=5 * np.sqrt(6))
        truth.append((np.mean(np.diff(ibi) ** 2), ibi.var(ddof=1)))
        seen.append((got["rmssd"][0] ** 2 / 1e6, got["sdnn"][0] ** 2 / 1e6))
    np.testing.assert_allclose(np.mean(seen, axis=0), np.mean(truth, axis=0), rtol=0.03)


@pytest.mark.parametrize(("bpm", "sigma", "fs_hz"), [(60, 0.3, 30), (60, 0.7, 30), (90, 0.5, 30), (75, 0.5, 25)])
def test_predicted_noise_is_what_monte_carlo_gives(bpm, sigma, fs_hz):
    seen, predicted = [], []
    for seed in range(10):
        clean = np.sqrt(2) * np.sin(2 * np.pi * bpm / 60 * np.arange(40 * fs_hz) / fs_hz)
        wave = clean + sigma * np.random.default_rng(seed).standard_normal(clean.size)
        steps = np.diff(peaks.ibi(peaks.beats(wave, fs_hz=fs_hz))[1])
        seen.append(1000 * np.sqrt(np.nanmean(steps**2)))
        snr = float(spectrum.snr_db(wave, fs_hz=fs_hz, f_hz=bpm / 60))
        predicted.append(timing_noise_ms(snr, heart_rate_hz=bpm / 60, fs_hz=fs_hz))
    assert np.mean(predicted) == pytest.approx(np.mean(seen), rel=0.25)


def test_predicted_jitter_is_what_monte_carlo_gives():
    seen = []
    for seed in range(10):
        jitter = 0.01 * np.random.default_rng(seed).standard_normal(1200)
        wave = np.sin(2 * np.pi * 1.1 * (np.arange(1200) / FS_HZ + jitter))
        steps = np.diff(peaks.ibi(peaks.beats(wave, fs_hz=FS_HZ))[1])
        seen.append(1000 * np.sqrt(np.nanmean(steps**2)))
    predicted = timing_noise_ms(60, heart_rate_hz=1.1, fs_hz=FS_HZ, jitter_s=0.01)
    assert predicted == pytest.approx(np.mean(seen), rel=0.2)


@pytest.mark.parametrize("sigma", [0.05, 0.3, 0.8])
@pytest.mark.parametrize("bpm", [55, 72, 110])
def test_regular_pulse_never_has_variability(sigma, bpm):
    phase = 2 * np.pi * bpm / 60 * np.arange(1800) / FS_HZ
    for seed in range(5):
        noise = sigma * np.random.default_rng(seed).standard_normal(1800)
        wave = np.sin(phase) + 0.3 * np.sin(2 * phase + 0.7) + noise
        beat = peaks.beats(wave, fs_hz=FS_HZ)
        value, _, reason = hrv(beat, noise_floor_ms=peaks.timing_noise_ms(wave, beat, fs_hz=FS_HZ))["rmssd"]
        assert value is None
        assert reason in ("noise_floor", "low_quality")


@pytest.mark.parametrize(("low_s", "high_s"), [(0.04, 0.02), (0.02, 0.04)])
def test_lf_hf_is_the_ratio_of_powers(low_s, high_s):
    time = np.arange(300) * 0.8
    ibi = 0.8 + low_s * np.sin(2 * np.pi * 0.1 * time) + high_s * np.sin(2 * np.pi * 0.25 * time)
    assert lf_hf(time, ibi) == pytest.approx((low_s / high_s) ** 2, rel=0.1)
    assert np.isnan(lf_hf(time[:5], ibi[:5]))


def test_periodogram_is_lombs():
    rng = np.random.default_rng(0)
    time = np.sort(rng.uniform(0, 100, 120))
    x = rng.standard_normal(120)
    freq = np.linspace(0.04, 0.4, 50)
    np.testing.assert_allclose(_lomb(time, x, freq), scipy_signal.lombscargle(time, x, 2 * np.pi * freq), rtol=1e-6)
