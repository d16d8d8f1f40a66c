"""Breathing: found where it modulates the pulse and moves the head, refused on noise (false answers are counted)."""

import numpy as np
import pytest

from vitalcam import Settings
from vitalcam.signal import breath, peaks

FS_HZ = 30.0


def _noise(rng, n, exponent):
    """Noise whose power falls with frequency to that exponent, of unit deviation."""
    freq = np.fft.rfftfreq(4 * n, 1 / FS_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(4 * n))
    spectrum[0] = 0
    spectrum[1:] *= freq[1:] ** (-exponent / 2)
    out = np.fft.irfft(spectrum)[n : 2 * n]
    return out / out.std()


def _sources(rng, *, seconds, depth, rate_hz=0.25):
    """What a face would give: pulse with slow drift of its rate and colour, head that wanders, breath of that depth."""
    n = round(seconds * FS_HZ)
    time = np.arange(n) / FS_HZ
    air = np.sin(2 * np.pi * rate_hz * time + rng.uniform(0, 6))
    phase = np.cumsum(1.15 + 0.02 * _noise(rng, n, 1.0) + 0.1 * depth * air) / FS_HZ
    wave = np.sin(2 * np.pi * phase) + 0.3 * np.sin(4 * np.pi * phase + 0.7)
    bvp = wave * (1 + depth * air) + 0.4 * rng.standard_normal(n)
    colour = 100 + 0.3 * wave + 0.6 * _noise(rng, n, rng.uniform(1, 2)) + 3 * depth * air
    position = 0.01 * np.stack([_noise(rng, n, 2.0), _noise(rng, n, 2.0) + 2 * depth * air], axis=1)
    found = breath.from_pulse(bvp, peaks.beats(bvp, fs_hz=FS_HZ), colour, fs_hz=FS_HZ)
    return found | breath.from_motion(position, fs_hz=FS_HZ)


def told(sources):
    """The rate, Hz, that is confident enough to be shown, and why there is none."""
    seen = breath.weigh(sources, fs_hz=FS_HZ)
    reason = breath.refusal(seen)
    if reason is None and breath.confidence(seen) < Settings().min_confidence:
        reason = breath.weakness(seen)
    return (seen.rate_per_min / 60, None) if reason is None else (None, reason)


@pytest.mark.parametrize("seconds", [15, 20, 30, 45])
def test_no_breath_is_answered_in_at_most_one_of_twenty(seconds):
    results = [told(_sources(np.random.default_rng(s), seconds=seconds, depth=0)) for s in range(120)]
    assert sum(rate is not None for rate, _ in results) <= 6
    assert {reason for _, reason in results} <= {None, "no_breath", "disagreement"}


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
@pytest.mark.parametrize("n_sources", [2, 3, 4])
def test_plain_noise_is_answered_in_at_most_one_of_twenty(exponent, n_sources):
    answered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        waves = {str(k): _noise(rng, 900, exponent) for k in range(n_sources)}
        answered += told(waves)[0] is not None
    assert answered <= 5


@pytest.mark.parametrize("per_min", [8, 12, 16, 22, 30])
def test_clear_breath_is_found(per_min):
    results = [
        told(_sources(np.random.default_rng(s), seconds=30, depth=0.25, rate_hz=per_min / 60)) for s in range(12)
    ]
    rates = np.array([60 * rate for rate, _ in results if rate is not None])
    assert rates.size >= 8
    assert np.mean(np.abs(rates - per_min) < 2) >= 0.9


def test_longer_windows_find_shallower_breath():
    found = [
        sum(told(_sources(np.random.default_rng(s), seconds=t, depth=0.1))[0] is not None for s in range(25))
        for t in (20, 60)
    ]
    assert found[1] >= found[0] + 5


def test_wave_follows_the_breath():
    got = breath.weigh(_sources(np.random.default_rng(3), seconds=30, depth=0.3), fs_hz=FS_HZ)
    assert breath.refusal(got) is None
    assert breath.confidence(got) > 0.8
    assert got.wave.std() == pytest.approx(1)
    spectrum = np.abs(np.fft.rfft(got.wave * np.hanning(got.wave.size)))
    assert np.fft.rfftfreq(got.wave.size, 1 / FS_HZ)[spectrum.argmax()] == pytest.approx(0.25, abs=0.04)


def test_one_source_alone_is_not_believed():
    rng = np.random.default_rng(0)
    strong = np.sin(2 * np.pi * 0.3 * np.arange(900) / FS_HZ)
    sources = {"motion": strong, "rate": _noise(rng, 900, 1), "amplitude": _noise(rng, 900, 1)}
    assert told(sources) == (None, "disagreement")


def test_sources_that_contradict_each_other_are_not_believed():
    time = np.arange(900) / FS_HZ
    one, other = np.sin(2 * np.pi * 0.2 * time), np.sin(2 * np.pi * 0.4 * time)
    assert told({"a": one, "b": one, "c": other, "d": other}) == (None, "disagreement")


@pytest.mark.parametrize(("n", "reason"), [(300, "too_short"), (900, "no_breath")])
def test_nothing_to_go_by(n, reason):
    flat = {"baseline": np.zeros(n), "motion": np.full(n, np.nan)}
    got = breath.weigh(flat, fs_hz=FS_HZ)
    assert (breath.refusal(got), breath.confidence(got), got.features()) == (reason, 0.0, {})
    assert got.wave.shape == (n,)
    assert breath.refusal(breath.weigh({}, fs_hz=FS_HZ)) == "too_short"


def test_sources_that_are_not_finite_are_left_out():
    bad = np.full((900, 2), np.nan)
    assert breath.from_motion(bad, fs_hz=FS_HZ) == {}
    wave = np.sin(2 * np.pi * np.arange(900) / FS_HZ)
    assert set(breath.from_pulse(wave, np.arange(3.0), bad[:, 0], fs_hz=FS_HZ)) == set()
    assert set(breath.from_pulse(wave, peaks.beats(wave, fs_hz=FS_HZ), wave, fs_hz=FS_HZ)) == {
        "baseline", "amplitude", "rate",
    }  # fmt: skip
