"""Painted faces at random, with and without a pulse, as recordings: a cheap source of many hearts for the confidence.

Tone, size, amplitude, noise, motion, uneven light, flicker, frame rate and encoder vary; hearts have natural
variability. Clips of an even seed have no pulse.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam.synth.breath import Breath, breathing
from vitalcam.synth.painted import PaintedFace, PersonOnScreen, Scene, render
from vitalcam.synth.pulse import Heart, Pulse, pulse
from vitalcam.types import Recording, Signal
from vitalcam.video.read import open_video
from vitalcam.video.write import write_video

SECONDS = 20.0
_TRUTH_HZ = 60.0
TONES = [(232, 190, 165), (205, 160, 135), (170, 120, 92), (128, 84, 62), (86, 56, 42)]


def clip(seed: int) -> tuple[Scene, Any, dict[str, Any], Callable[[np.ndarray], np.ndarray], Pulse | None]:
    """A scene, the times of its frames, how it is encoded, the light that falls on it, and its pulse if it has one."""
    rng = np.random.default_rng(seed)
    person_pulse = _pulse(rng) if seed % 2 else None
    tone = TONES[rng.integers(len(TONES))]
    fps = float(rng.choice([15, 24, 25, 29.97, 30, 60], p=[0.1, 0.15, 0.15, 0.2, 0.3, 0.1]))
    motion = _motion(rng)
    person = PersonOnScreen(
        heart_rate_bpm=None,
        pulse=None if person_pulse is None else person_pulse.at,
        amplitude=float(np.exp(rng.uniform(np.log(0.0015), np.log(0.012)))),
        face_height=float(rng.uniform(0.3, 0.75)),
        motion=motion,
        face=PaintedFace(skin_rgb=tone),
    )
    scene = Scene(
        320, 240, (person,), noise_sigma=float(rng.uniform(0.5, 5)), light=_light(rng), seed=seed,
        background=tuple(rng.uniform(30, 200, 3)),
    )  # fmt: skip
    times = np.arange(int(SECONDS * fps)) / fps
    if rng.random() < 0.2:
        times = np.cumsum(np.maximum(1 / fps * (1 + 0.3 * rng.standard_normal(times.size)), 0.2 / fps))
    encoder: dict[str, Any] = {"crf": int(rng.integers(14, 34))} if rng.random() < 0.6 else {}
    return scene, times, encoder, _lamp(rng), person_pulse


def _pulse(rng: np.random.Generator) -> Pulse:
    """A heart with the variability of the living: its rate drifts and no two beats are alike."""
    heart = Heart.sample(rng, rate_bpm=float(rng.uniform(48, 180)))
    return pulse(heart, breathing(Breath.sample(rng), duration_s=SECONDS + 1, rng=rng), duration_s=SECONDS + 1, rng=rng)


def _motion(rng: np.random.Generator) -> Callable[[float], tuple[float, float]] | None:
    kind = rng.choice(["still", "sway", "tone", "jitter"], p=[0.35, 0.25, 0.25, 0.15])
    if kind == "still":
        return None
    size = float(np.exp(rng.uniform(np.log(0.004), np.log(0.12))))
    rates = rng.uniform(0.05, 0.5, 4) if kind == "sway" else rng.uniform(0.7, 3.0, 1 if kind == "tone" else 6)
    phases, angle = rng.uniform(0, 2 * np.pi, rates.size), rng.uniform(0, np.pi)

    def shift(t: float) -> tuple[float, float]:
        d = size * float(np.mean(np.sin(2 * np.pi * rates * t + phases)))
        return d * math.cos(angle), d * math.sin(angle)

    return shift


def _light(rng: np.random.Generator) -> Callable[[float], float] | None:
    kind = rng.choice(["constant", "drift", "flicker", "dim"], p=[0.5, 0.2, 0.15, 0.15])
    depth, rate = float(rng.uniform(0.002, 0.05)), float(rng.uniform(0.7, 3.2))
    level = float(rng.uniform(0.12, 0.4)) if kind == "dim" else 1.0
    rate = float(rng.uniform(0.02, 0.2)) if kind == "drift" else rate
    if kind in ("constant", "dim"):
        return lambda t: level
    return lambda t: 1 + depth * math.sin(2 * math.pi * rate * t)


def _lamp(rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Light that falls off across the picture, in colour: what makes motion look like a pulse."""
    slope = rng.uniform(-0.8, 0.8, 2) * rng.choice([0, 1])
    tint = 1 + rng.uniform(-0.15, 0.15, 3)
    gain: np.ndarray | None = None

    def light(picture: np.ndarray) -> np.ndarray:
        nonlocal gain
        if gain is None:
            y, x = np.mgrid[-0.5 : 0.5 : picture.shape[0] * 1j, -0.5 : 0.5 : picture.shape[1] * 1j]
            gain = (np.clip(1 + slope[0] * x + slope[1] * y, 0.2, None)[..., None] ** tint).astype(np.float32)
        return np.clip(picture * gain, 0, 255).astype(np.uint8)

    return light


def recording(seed: int, path: Path) -> Recording:
    """A clip; ``path`` (.mp4) holds the video of those that are encoded."""
    scene, times, encoder, lamp, heart = clip(seed)
    frames = (lamp(frame) for frame in render(scene, times))
    if encoder:
        write_video(path, frames, times_s=times, **encoder)
    video = open_video(path if encoder else zip(times, frames, strict=True))
    clock = np.arange(round(SECONDS * _TRUTH_HZ)) / _TRUTH_HZ
    bvp = np.zeros(clock.size) if heart is None else heart.at(clock)
    return Recording(
        "painted", str(seed), "painted", f"painted-{seed}", {"rgb": video},
        {"bvp": Signal(bvp, clock, "bvp"), "resp": Signal(scene.people[0].breath(clock), clock, "resp")},
    )  # fmt: skip
