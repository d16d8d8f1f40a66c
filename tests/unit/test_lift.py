"""The chest's own motion: its rate is read beside a swaying body, and a body that only sways is refused."""

import dataclasses

import numpy as np
import pytest

from vitalcam import Settings
from vitalcam.signal import breath
from vitalcam.signal.lift import lift

FS_HZ = 30.0
BAND = {"fs_hz": FS_HZ, "low_hz": breath.LOW_HZ, "high_hz": breath.HIGH_HZ}
TIME_S = np.arange(600) / FS_HZ


def _wander(rng, deviation):
    """(T,) smooth, slow noise."""
    freq = np.fft.rfftfreq(4 * TIME_S.size, 1 / FS_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(4 * TIME_S.size)) / np.maximum(freq, 0.02)
    wave = np.fft.irfft(spectrum)[: TIME_S.size]
    return deviation * (wave - wave.mean()) / wave.std()


def _window(rng, *, breath_size=0.03, rate_hz=0.25, sway=0.003, rock=0.0, rock_hz=0.2, head=1.2):
    """A sitting body: breath lifts the chest and a little the head, and the trunk rocks and takes the head along."""
    air = np.sin(2 * np.pi * rate_hz * TIME_S + rng.uniform(0, 6))
    rocking = rock * np.sin(2 * np.pi * rock_hz * TIME_S + rng.uniform(0, 6))
    moved = _wander(rng, sway)
    noise = 1e-4 * rng.standard_normal((2, TIME_S.size))
    chest = moved + rocking - breath_size * air + noise[0]
    nod = moved + head * rocking - 0.2 * breath_size * air + _wander(rng, sway) + noise[1]
    position = np.stack([_wander(rng, sway), nod], axis=1)
    skin = 100 + 0.1 * rng.standard_normal((TIME_S.size, 3))
    return breath.Window(fs_hz=FS_HZ, position=position, skin_rgb=skin, chest=chest)


def _answer(window):
    seen = breath.evidence(window)
    if breath.refusal(seen) or breath.confidence(seen) < Settings().min_confidence:
        return None
    return seen.rate_per_min


@pytest.mark.parametrize("rate_per_min", [7, 12, 20, 32])
def test_the_rate_of_a_chest_is_answered(rate_per_min):
    answers = [_answer(_window(np.random.default_rng(seed), rate_hz=rate_per_min / 60)) for seed in range(20)]
    assert [a for a in answers if a is not None] == pytest.approx([rate_per_min] * 20, abs=1)


def test_a_network_that_finds_the_same_rate_makes_it_surer_and_another_rate_doubtful():
    window = _window(np.random.default_rng(4), breath_size=0.004)
    told = [
        breath.confidence(breath.evidence(dataclasses.replace(window, network=network)))
        for network in (np.cos(2 * np.pi * 0.25 * TIME_S), None, np.cos(2 * np.pi * 0.4 * TIME_S))
    ]
    assert told[0] > told[1] + 0.05
    assert told[1] > told[2] + 0.05


def test_breath_is_read_beside_a_body_that_rocks():
    seen = lift(*_traces(_window(np.random.default_rng(1), rock=0.03, head=1.0)), **BAND)
    assert 60 * seen.rate_hz == pytest.approx(15, abs=1)


def test_a_body_that_only_sways_or_rocks_is_answered_in_at_most_one_of_twenty():
    answered = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        rock, hz, head = rng.choice([0.0, 0.01, 0.05]), rng.uniform(0.1, 0.5), rng.uniform(0.8, 1.5)
        answered += _answer(_window(rng, breath_size=0, rock=rock, rock_hz=hz, head=head)) is not None
    assert answered <= 5


def test_what_head_and_chest_share_is_taken_off():
    window = _window(np.random.default_rng(2), breath_size=0, rock=0.05, head=1.0, sway=1e-3)
    assert lift(*_traces(window), **BAND).apart < 0.1
    assert lift(*_traces(_window(np.random.default_rng(2))), **BAND).apart > 0.6


def test_the_wave_rises_with_the_chest():
    window = _window(np.random.default_rng(3))
    assert np.corrcoef(lift(*_traces(window), **BAND).wave, -window.chest)[0, 1] > 0.9


def test_nothing_is_said_of_a_chest_that_does_not_move_or_is_not_there():
    still = dataclasses.replace(_window(np.random.default_rng(4)), chest=np.zeros(TIME_S.size))
    assert breath.evidence(still).chest is None
    assert breath.evidence(dataclasses.replace(still, chest=None)).chest is None


def test_the_evidence_reports_the_chest():
    found = breath.evidence(_window(np.random.default_rng(5))).features()
    assert {"chest_share", "chest_percent", "chest_apart", "chest_steadiness", "from_chest"} <= found.keys()
    assert found["chest_percent"] == pytest.approx(100 * 0.024 / np.sqrt(2), rel=0.3)


def _traces(window):
    return window.chest, window.position[:, 1]
