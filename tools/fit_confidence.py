"""Fit the weights of `vitalcam.signal.quality.confidence` on painted people, with and without a pulse.

    python tools/fit_confidence.py collect evidence.npz --clips 400 --jobs 2
    python tools/fit_confidence.py fit evidence.npz

``collect`` renders clips at random (tone, size, amplitude, noise, motion, uneven light, flicker, frame rate, encoder;
hearts with natural variability), half of them without a pulse, measures them and keeps what each window looked like.
``fit`` prints the weights, and on clips that were not used for them the calibration error, the share of windows
answered, and the share of windows without a pulse that were answered. Everything here is synthetic.
"""

from __future__ import annotations

import argparse
import concurrent.futures
import dataclasses
import math
import multiprocessing
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam.pipeline import Settings, measure
from vitalcam.signal import quality
from vitalcam.synth.breath import Breath, breathing
from vitalcam.synth.painted import PaintedFace, PersonOnScreen, Scene, render
from vitalcam.synth.pulse import Heart, Pulse, pulse
from vitalcam.video.write import write_video

SECONDS = 20.0
FIELDS = [f.name for f in dataclasses.fields(quality.Evidence)]
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


def windows(seed: int) -> np.ndarray:
    """Rows of (seed, truth or NaN, evidence …) for one clip."""
    scene, times, encoder, lamp, heart = clip(seed)
    frames: Iterator[np.ndarray] = (lamp(f) for f in render(scene, times))
    settings = Settings(step_s=2.0)
    if encoder:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "clip.mp4"
            write_video(path, frames, times_s=times, **encoder)
            result = measure(path, settings)
    else:
        result = measure(zip(times, frames, strict=True), settings)
    rows = [
        [seed, _truth(heart, w.t0_s, w.t1_s), *(w.quality[name] for name in FIELDS)]
        for w in result.estimates
        if w.quantity == "heart_rate" and w.quality
    ]
    return np.array(rows, float).reshape(-1, 2 + len(FIELDS))


def _truth(heart: Pulse | None, t0_s: float, t1_s: float) -> float:
    return float("nan") if heart is None else 60 / float(np.diff(heart.between(t0_s, t1_s)).mean())


def collect(path: Path, clips: int, jobs: int, first: int) -> None:
    """Measure clips and save the rows."""
    parts = []
    context = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(jobs, mp_context=context) as pool:
        for i, part in enumerate(pool.map(windows, range(first, first + clips))):
            parts.append(part)
            if i % 20 == 19:
                np.savez(path, rows=np.concatenate(parts), fields=FIELDS)
                print(f"{i + 1} of {clips} clips, {sum(map(len, parts))} windows", flush=True)
    np.savez(path, rows=np.concatenate(parts), fields=FIELDS)


def fit(path: Path) -> None:
    """Fit the weights on three clips of four, report on the fourth."""
    from scipy.optimize import minimize

    rows = np.load(path)["rows"]
    seen = [quality.Evidence(*row[2:]) for row in rows]
    keep = np.array([quality.refusal(s) is None and math.isfinite(s.rate_bpm) for s in seen])
    rows, seen = rows[keep], [s for s, k in zip(seen, keep, strict=True) if k]
    x = np.column_stack([np.ones(len(seen)), [quality._terms(s) for s in seen]])
    right = np.abs(rows[:, 2] - rows[:, 1]) <= 5
    test = rows[:, 0].astype(int) // 2 % 4 == 0

    def loss(w: np.ndarray) -> float:
        z = x[~test] @ w
        return float(np.mean(np.logaddexp(0, np.where(right[~test], -z, z))) + 1e-3 * np.sum(w[1:] ** 2))

    bounds = [(None, None), *[(0, None)] * (x.shape[1] - 2), (None, 0)]  # only the last, motion, speaks against
    w = minimize(loss, np.zeros(x.shape[1]), method="L-BFGS-B", bounds=bounds).x
    print("_WEIGHTS =", tuple(round(float(v), 3) for v in w))
    p = 1 / (1 + np.exp(-x[test] @ w))
    report(p, right[test], np.isnan(rows[test, 1]))


def report(p: np.ndarray, right: np.ndarray, null: np.ndarray) -> None:
    """Calibration and coverage on windows that were not fitted."""
    bins = np.minimum((p * 10).astype(int), 9)
    error = sum(abs(p[bins == b].mean() - right[bins == b].mean()) * (bins == b).mean() for b in set(bins))
    print(f"windows {p.size}, without pulse {null.sum()}, calibration error {error:.3f}")
    for limit in (0.3, 0.5, 0.7, 0.9):
        told = p >= limit
        wrong = 1 - right[told & ~null].mean()
        print(
            f"confidence >= {limit}: answered {told[~null].mean():.1%} of windows with a pulse"
            f" ({wrong:.1%} of these wrong), {told[null].mean():.2%} of those without"
        )


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("action", choices=["collect", "fit"])
    parser.add_argument("path", type=Path)
    parser.add_argument("--clips", type=int, default=400)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--first", type=int, default=0, help="first seed")
    args = parser.parse_args()
    if args.action == "collect":
        collect(args.path, args.clips, args.jobs, args.first)
    else:
        fit(args.path)


if __name__ == "__main__":
    main()
