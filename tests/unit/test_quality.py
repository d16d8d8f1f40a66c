"""What a window looks like, on windows made of known parts; and the decision."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest

from vitalcam.methods import chrom, pos
from vitalcam.signal.quality import WEIGHTS, Evidence, Window, confidence, evidence, refusal, terms, weakness

FS = 30.0
TIME = np.arange(300) / FS
SKIN = np.array([180.0, 130.0, 110.0])
BLOOD = np.array([0.33, 0.77, 0.53])


def tone(bpm: float) -> np.ndarray:
    return np.sin(2 * np.pi * bpm / 60 * TIME)


def noise(seed: int = 0, size: float = 0.02) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, size, (TIME.size, 3))


def pulsing(wave: np.ndarray, amplitude: float = 0.004) -> np.ndarray:
    return SKIN * (1 - amplitude * BLOOD * wave[:, None]) + noise()


def window(rgb: np.ndarray, **other: object) -> Window:
    values: dict = {
        "wave": pos.waveform(rgb, fs_hz=FS),
        "checks": np.stack([chrom.waveform(rgb, fs_hz=FS)]),
        "regions": np.stack([pos.waveform(rgb + noise(k, 0.1), fs_hz=FS) for k in range(3)]),
        "background_rgb": 100 + noise(9),
        "position": np.zeros((TIME.size, 2)),
        **other,
    }
    return Window(
        fs_hz=FS,
        skin_rgb=rgb,
        luma=120.0,
        clipped=0.0,
        side_px=100.0,
        yaw=0.0,
        frame_rate_hz=30.0,
        jitter_s=0.0,
        **values,
    )


GOOD = window(pulsing(tone(72)))


def test_a_clean_pulse() -> None:
    seen = evidence(GOOD)
    assert seen.rate_bpm == pytest.approx(72, abs=0.2)
    assert seen.beats_bpm == pytest.approx(72, abs=0.3)
    assert seen.halves_bpm < 1
    assert seen.checks_bpm < 0.5
    assert seen.snr_db > 10
    assert seen.regions_r > 0.8
    assert seen.colour > 0.99
    assert seen.pulse_percent == pytest.approx(2 * 0.4 * BLOOD[1], rel=0.05)
    assert confidence(seen) > 0.95
    assert refusal(seen) is None
    assert all(type(value) is float for value in seen.features().values())


def test_a_sheen_has_the_other_colour() -> None:
    sheen = SKIN + 0.5 * tone(72)[:, None] + noise()
    assert evidence(window(sheen)).colour < -0.9


@pytest.mark.parametrize("bpm", [72, 36])
def test_motion_at_the_peak_or_at_half_of_it(bpm: float) -> None:
    sway = np.stack([0.01 * tone(bpm), np.zeros(TIME.size)], axis=1)
    seen = evidence(dataclasses.replace(GOOD, position=sway))
    assert seen.motion_percent == pytest.approx(2.0, rel=0.03)
    assert seen.motion_share > 0.95
    assert seen.motion_total_percent == pytest.approx(1 / np.sqrt(2), rel=0.05)
    assert odds(seen) < odds(evidence(GOOD)) - 0.5
    assert weakness(seen) == "motion"


def test_motion_elsewhere_says_little() -> None:
    sway = np.stack([0.01 * tone(150), np.zeros(TIME.size)], axis=1)
    seen = evidence(dataclasses.replace(GOOD, position=sway))
    assert seen.motion_percent < 0.1
    assert confidence(seen) == pytest.approx(confidence(evidence(GOOD)), abs=0.01)


def test_a_background_that_pulses_too() -> None:
    light = 100 * (1 + 0.002 * tone(72)[:, None]) + noise(9)
    seen = evidence(dataclasses.replace(GOOD, background_rgb=light))
    assert seen.background == pytest.approx(0.002 / (0.004 * BLOOD[1]), rel=0.05)
    assert seen.background_share > 0.9
    assert refusal(seen) == "flicker"
    assert refusal(evidence(GOOD)) is None


def test_light_that_wanders_speaks_against_a_rate() -> None:
    """Too many rates in it for the rule: half of its swing is at the pulse's, half of it elsewhere."""
    good = evidence(GOOD)
    wandering = 100 * (1 + 0.002 * (tone(72) + tone(30) + tone(110) + tone(150))[:, None]) + noise(9)
    seen = evidence(dataclasses.replace(GOOD, background_rgb=wandering))
    assert refusal(seen) is None
    assert odds(seen) < odds(good) - 2
    assert weakness(seen) == "flicker"
    still = evidence(dataclasses.replace(GOOD, background_rgb=100 + 20 * noise(9)))
    assert odds(still) == pytest.approx(odds(good), abs=0.2)


def test_noise_beside_a_faint_pulse_is_no_light() -> None:
    faint = evidence(window(pulsing(tone(72), 0.0006), background_rgb=100 + 2 * noise(9)))
    lit = dataclasses.replace(faint, background=0.6)
    assert 0.6 * faint.pulse_percent < 0.1
    assert odds(lit) > odds(faint) - 0.3


def test_more_than_blood_can_do_is_motion() -> None:
    assert refusal(evidence(window(pulsing(tone(72), 0.1)))) == "motion"


def odds(seen: Evidence) -> float:
    p = confidence(seen)
    return math.log(p / (1 - p)) if p > 0 else -math.inf


def test_halves_that_differ() -> None:
    changing = np.where(TIME < 5, tone(60), tone(90))
    assert evidence(window(pulsing(changing))).halves_bpm == pytest.approx(30, abs=2)


def test_regions_that_do_not_move_together() -> None:
    alone = np.stack([pos.waveform(SKIN + noise(k, 0.1), fs_hz=FS) for k in range(3)])
    seen = evidence(dataclasses.replace(GOOD, regions=alone))
    assert abs(seen.regions_r) < 0.3
    assert weakness(seen) == "no_pulse"


def test_a_cheek_that_was_not_seen_is_left_out() -> None:
    colours = np.stack([pulsing(tone(72)), np.full((TIME.size, 3), np.nan), pulsing(tone(72))])
    seen = evidence(dataclasses.replace(GOOD, regions=pos.waveform(colours, fs_hz=FS)))
    assert seen.regions_r > 0.9
    assert np.isnan(evidence(dataclasses.replace(GOOD, regions=pos.waveform(colours[:2], fs_hz=FS))).regions_r)


def test_no_background_is_no_evidence_against() -> None:
    seen = evidence(dataclasses.replace(GOOD, background_rgb=np.full((TIME.size, 3), np.nan)))
    assert np.isnan(seen.background)
    assert confidence(seen) == pytest.approx(confidence(evidence(GOOD)), abs=0.02)


@pytest.mark.parametrize("channels", [slice(2, 3), slice(0, 3)])
def test_black_skin_pixels_are_no_warning_and_no_pulse_of_blood(channels: slice) -> None:
    rgb = pulsing(tone(72))
    rgb[:, channels] = 0
    seen = evidence(window(rgb, regions=np.zeros((3, TIME.size))))
    assert np.isnan(seen.colour)
    assert terms(seen)[5:7].tolist() == [0, -1]  # what is unknown is at its worst
    assert odds(seen) < odds(evidence(GOOD)) - 0.5


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"frame_rate_hz": 11.0}, "low_fps"),
        ({"side_px": 19.0}, "small_face"),
        ({"yaw": -0.9}, "turned"),
        ({"luma": 5.0}, "dark"),
        ({"clipped": 0.6}, "clipped"),
    ],
)
def test_refusals(change: dict, reason: str) -> None:
    assert refusal(evidence(dataclasses.replace(GOOD, **change))) == reason


def test_a_second_harmonic_that_stands_higher_than_the_pulse() -> None:
    seen = evidence(window(pulsing(tone(66)), wave=0.7 * tone(66) + tone(132)))
    assert seen.rate_bpm == pytest.approx(66, abs=0.5)
    assert refusal(seen) is None
    assert confidence(seen, WEIGHTS["network"]) > 0.9


def test_the_octave_of_all_others_is_refused() -> None:
    seen = evidence(window(pulsing(tone(66)), wave=tone(132)))
    assert seen.rate_bpm == pytest.approx(132, abs=0.5)
    assert refusal(seen) == "disagreement"


def test_one_other_at_half_decides_nothing() -> None:
    checks = np.stack([tone(66), tone(132)])
    assert evidence(window(pulsing(tone(132)), wave=0.7 * tone(66) + tone(132), checks=checks)).rate_bpm > 120


@pytest.mark.parametrize(("swing_percent", "reason"), [(4.9, None), (5.1, "motion"), (math.nan, None)])
def test_a_head_that_swings_far_is_refused(swing_percent: float, reason: str | None) -> None:
    assert refusal(dataclasses.replace(evidence(GOOD), swing_percent=swing_percent)) == reason


def test_steps_at_half_of_the_rate_are_no_reason_to_refuse() -> None:
    """Whoever runs at 80 steps a minute may well have a pulse of 160; the crop goes with the head."""
    steps = np.stack([np.zeros(TIME.size), 0.04 * tone(36)], axis=1)
    seen = evidence(dataclasses.replace(GOOD, position=steps))
    assert seen.motion_percent == pytest.approx(8, rel=0.03)
    assert seen.swing_percent < 0.5
    assert refusal(seen) is None
    assert refusal(evidence(dataclasses.replace(GOOD, position=steps + 0.04 * tone(72)[:, None]))) == "motion"


def test_what_the_wave_shares_with_the_face_and_with_the_others_is_seen() -> None:
    """The phase to forehead and cheeks is kept by the pulse, and by nothing that one of them has alone."""
    pulse, rng = tone(72), np.random.default_rng(3)
    good = evidence(window(pulsing(pulse), wave=pulse))
    assert good.regions_phase > 0.95
    assert good.checks_height > 0.95
    noise = dataclasses.replace(window(pulsing(pulse), wave=pulse), regions=rng.standard_normal((3, pulse.size)))
    assert evidence(noise).regions_phase < 0.75
    other = dataclasses.replace(window(pulsing(pulse), wave=pulse), checks=np.stack([tone(100), tone(100)]))
    assert evidence(other).checks_height < 0.05
