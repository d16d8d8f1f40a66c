"""Every classical method: finds the pulse, in the same sense, whatever the gain, the same every time."""

import numpy as np
import pytest

from vitalcam import registry
from vitalcam.signal import spectrum
from vitalcam.signal.filter import bandpass
from vitalcam.types import ModelSpec

FS_HZ = 30.0
BLOOD = np.array([0.33, 0.77, 0.53])
SKIN = np.array([180.0, 125.0, 100.0])
METHODS = registry.names("methods")


def _pulse(bpm, n):
    phase = 2 * np.pi * bpm / 60 * np.arange(n) / FS_HZ
    return np.sin(phase) + 0.3 * np.sin(2 * phase + 0.7)


def _trace(bpm, n=450, seed=0, motion=0.01, noise=0.08):
    """Mean skin colour: more blood is darker; swaying changes the light on all channels alike."""
    rng = np.random.default_rng(seed)
    time = np.arange(n) / FS_HZ
    sway = motion * np.sin(2 * np.pi * 0.23 * time + 1)
    light = 1 + sway[:, None] - 0.004 * BLOOD * _pulse(bpm, n)[:, None]
    return SKIN * light + noise * rng.standard_normal((n, 3))


def _find(name):
    return registry.find("methods", name)


def test_the_classics_are_there():
    assert set(METHODS) >= {"green", "ica", "pca", "chrom", "pbv", "pos", "lgi", "omit"}


@pytest.mark.parametrize("name", METHODS)
def test_card(name):
    method = _find(name)
    assert isinstance(method.SPEC, ModelSpec)
    assert method.SPEC.name == name
    assert method.SPEC.outputs == ("bvp",)
    assert method.SPEC.size_px == 1
    assert "Paper:" in method.__doc__
    assert "Source" in method.waveform.__doc__ or name == "green"


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("bpm", [50, 72, 100, 140, 185])
def test_finds_the_pulse(name, bpm):
    wave = _find(name).waveform(_trace(bpm), fs_hz=FS_HZ)
    freq, power = spectrum.power(wave, fs_hz=FS_HZ, low_hz=0.65, high_hz=4.0)
    assert 60 * spectrum.peak(freq, power)[0] == pytest.approx(bpm, abs=1)


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("fs_hz", [25.0, 30.0])
def test_more_blood_is_up(name, fs_hz):
    n = 450
    phase = 2 * np.pi * 1.2 * np.arange(n) / fs_hz
    pulse = np.sin(phase) + 0.3 * np.sin(2 * phase + 0.7)
    light = SKIN * (1 - 0.004 * BLOOD * pulse[:, None]) + 0.03 * np.random.default_rng(0).standard_normal((n, 3))
    wave = bandpass(_find(name).waveform(light, fs_hz=fs_hz), 0.65, 4, fs_hz=fs_hz)
    assert np.corrcoef(wave, pulse)[0, 1] > 0.9


@pytest.mark.parametrize("name", METHODS)
def test_gain_does_not_change_the_shape(name):
    rgb, method = _trace(72), _find(name)
    a, b = (method.waveform(gain * rgb, fs_hz=FS_HZ) for gain in (1.0, 0.37))
    assert np.corrcoef(a, b)[0, 1] == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("name", METHODS)
def test_leading_axes_and_determinism(name):
    method = _find(name)
    rgb = np.stack([_trace(60, seed=1), _trace(90, seed=2)]).reshape(2, 1, 450, 3)
    together = method.waveform(rgb, fs_hz=FS_HZ)
    assert together.shape == (2, 1, 450)
    for k in range(2):
        alone = method.waveform(rgb[k, 0], fs_hz=FS_HZ)
        np.testing.assert_allclose(together[k, 0], alone, atol=1e-7 * np.abs(alone).max())
        np.testing.assert_array_equal(alone, method.waveform(rgb[k, 0], fs_hz=FS_HZ))


@pytest.mark.parametrize("name", METHODS)
@pytest.mark.parametrize("rgb", [np.full((100, 3), 90.0), np.zeros((100, 3)), _trace(72, n=20)])
def test_dull_input_gives_finite_output(name, rgb):
    wave = _find(name).waveform(rgb, fs_hz=FS_HZ)
    assert wave.shape == (len(rgb),)
    assert np.isfinite(wave).all()


@pytest.mark.parametrize("name", ["chrom", "pos", "pbv"])
def test_light_that_flickers_on_the_pulse_is_cancelled(name):
    n = 600
    flicker = 0.01 * np.sin(2 * np.pi * 1.7 * np.arange(n) / FS_HZ)
    light = 1 + flicker[:, None] - 0.004 * BLOOD * _pulse(72, n)[:, None]
    rgb = SKIN * light + 0.03 * np.random.default_rng(0).standard_normal((n, 3))
    freq, power = spectrum.power(_find(name).waveform(rgb, fs_hz=FS_HZ), fs_hz=FS_HZ, low_hz=0.65, high_hz=4.0)
    assert 60 * spectrum.peak(freq, power)[0] == pytest.approx(72, abs=1)
