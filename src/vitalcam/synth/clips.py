"""Training clips from the generator: batched, on any device; a plate is rendered once and many takes are shot of it.

A clip is what the measuring side would cut out of a recording of the same scene: a square about the face, shrunk.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from vitalcam.synth import plates, sensor, thermal
from vitalcam.synth.film import Film
from vitalcam.synth.plates import CROP, Plate
from vitalcam.synth.scene import Scene
from vitalcam.synth.takes import FINE_PX, Take
from vitalcam.synth.takes import shoot as shoot_take
from vitalcam.types import Channels, Floats

_SPARE = 1.3  # a plate lasts so many times as long as a clip, and some seconds more


@dataclass(frozen=True)
class Batch:
    """B clips of T frames with their truth.

    Attributes:
        video: (B, C, T, H, W) float32, RGB 0..255, then degrees Celsius where a thermal camera was asked for.
        bvp, resp: (B, T) blood volume and volume of the lungs; bvp is 0 in null clips.
        heart_rate, resp_rate: (B,) per minute, mean over the clip; NaN for the heart rate of null clips.
        scenes: what was filmed; of a take, the plate's with another heart and camera (`vitalcam.synth.takes`).
        start_s: (B,) when each clip begins in its scene.
    """

    video: Tensor
    bvp: Tensor
    resp: Tensor
    heart_rate: Tensor
    resp_rate: Tensor
    scenes: tuple[Scene, ...]
    start_s: tuple[float, ...]


class Plates(Protocol):
    """Where takes come from: `plates.Rolling`, `plates.Bank`."""

    recipe: plates.Recipe

    def numbers(self, clip: int) -> range:
        """Plates that a clip may show."""
        ...

    def __getitem__(self, number: int) -> Plate: ...


def batches(
    n: int,
    *,
    scenario: str | Sequence[str] = (),
    batch: int = 4,
    frames: int = 160,
    size_px: int = 72,
    fs_hz: float = 30.0,
    seed: int = 0,
    identities: int = plates.TRAINING[1],
    null_share: float = 0.1,
    channels: Channels = "rgb",
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Yield ``n`` batches of clips, takes of plates, equal for equal arguments.

    Args:
        n: number of batches.
        scenario: name or names in `vitalcam.synth.scenarios.SCENARIOS`; by default all of the ladder but the thermal.
        batch: clips in a batch.
        frames: of a clip.
        size_px: side of a frame: 72, 36, 9.
        fs_hz: rate of the frames.
        seed: of everything.
        identities: people to draw from, below `scenarios.TEST_IDENTITIES`.
        null_share: share of clips without a pulse.
        channels: "rgb", "thermal" or "rgbt".
        device: where clips are made and stay.
    """
    wish: dict[str, Any] = {"frames": frames, "size_px": size_px, "fs_hz": fs_hz, "seed": seed, "device": device}
    source = rolling(scenario, identities=identities, thermal=channels != "rgb", **wish)
    for number in range(n):
        clips = range(number * batch, (number + 1) * batch)
        yield shoot(source, clips, null_share=null_share, channels=channels, **wish)


def rolling(
    scenario: str | Sequence[str],
    *,
    frames: int,
    size_px: int,
    fs_hz: float,
    seed: int,
    identities: int = plates.TRAINING[1],
    thermal: bool = False,
    takes: int = 24,
    device: torch.device | str = "cpu",
) -> plates.Rolling:
    """Endless plates for clips as `batches` describes them, each for so many ``takes`` on the average."""
    names = (scenario,) if isinstance(scenario, str) else tuple(scenario)
    recipe = plates.Recipe(
        size_px=max(size_px, FINE_PX),
        duration_s=_SPARE * frames / fs_hz + 2,
        fs_hz=fs_hz,
        scenario=names or plates.Recipe.scenario,
        identities=(0, identities),
        seed=seed,
        thermal=thermal,
    )
    return plates.Rolling(recipe, takes=takes, device=device)


def shoot(
    source: Plates,
    clips: Sequence[int],
    *,
    frames: int,
    size_px: int,
    fs_hz: float,
    seed: int = 0,
    null_share: float = 0.0,
    channels: Channels = "rgb",
    device: torch.device | str = "cpu",
) -> Batch:
    """Shoot clips by their numbers, each of any plate; a number gives the same clip in whatever batch it is.

    Args:
        source: of plates.
        clips: numbers.
        frames, size_px, fs_hz, seed, null_share, channels, device: as for `batches`.
    """
    shot = []
    for clip in clips:
        rng = np.random.default_rng([seed, 13, clip])
        plate, beats = source[int(rng.choice(source.numbers(clip)))], bool(rng.random() >= null_share)
        shot.append(
            shoot_take(
                plate, rng, frames=frames, size_px=size_px, fs_hz=fs_hz, beats=beats, channels=channels, device=device
            )
        )
    return Batch(
        video=torch.stack([take.video for take in shot]),
        **_truth(shot, device),
        scenes=tuple(take.scene for take in shot),
        start_s=tuple(take.start_s for take in shot),
    )


def _truth(shot: Sequence[Take], device: torch.device | str) -> dict[str, Tensor]:
    names = ("bvp", "resp", "heart_rate", "resp_rate")
    columns = {name: np.array([getattr(take, name) for take in shot]) for name in names}
    return {name: torch.as_tensor(values, dtype=torch.float32, device=device) for name, values in columns.items()}


def render(
    scenes: Sequence[Scene],
    *,
    frames: int = 160,
    size_px: int = 72,
    fs_hz: float = 30.0,
    channels: Channels = "rgb",
    device: torch.device | str = "cpu",
    rng: np.random.Generator,
) -> Batch:
    """Render one clip of each scene as it is, starting at a random time; arguments as for `batches`."""
    latest = [max(min(4.0, scene.duration_s - frames / fs_hz), 0.0) for scene in scenes]
    starts = [float(rng.uniform(0, late)) for late in latest]
    times = [start + np.arange(frames) / fs_hz for start in starts]
    films = [Film(scene, detail_px=size_px / CROP, device=device) for scene in scenes]
    noise = torch.Generator(device).manual_seed(int(rng.integers(2**31)))
    pairs = list(zip(films, times, strict=True))
    clips = [_clip(film, t, size_px, channels, noise, rng) for film, t in pairs]
    bvp = [film.pulse.at(t) if film.scene.pulse else np.zeros(frames) for film, t in pairs]
    rate = [film.pulse.rate_at(t).mean() if film.scene.pulse else np.nan for film, t in pairs]
    tensor = functools.partial(torch.as_tensor, dtype=torch.float32, device=device)
    return Batch(
        video=torch.stack(clips),
        bvp=tensor(np.array(bvp)),
        resp=tensor(np.array([film.breath.at(t) for film, t in pairs])),
        heart_rate=tensor(np.array(rate)),
        resp_rate=tensor(np.array([film.breath.rate_at(t).mean() for film, t in pairs])),
        scenes=tuple(scenes),
        start_s=tuple(starts),
    )


def _clip(
    film: Film, times_s: Floats, size_px: int, channels: Channels, noise: torch.Generator, rng: np.random.Generator
) -> Tensor:
    """One clip (C, T, H, W)."""
    window = plates.square(film.face_px(times_s), size_px, rng)
    linear, patches = film.render(times_s, window)
    parts = []
    if channels != "thermal":
        gain = sensor.gains(film.scene, float(linear[0].mean()), times_s)
        under = (window.side_px[0] / size_px) ** 2
        gain_ = torch.as_tensor(gain, dtype=torch.float32, device=linear.device)
        parts.append(sensor.develop(film.scene, linear, gain_, sensor.fresh_noise(noise), under))
    if channels != "rgb":
        degrees = thermal.temperatures(film, patches, times_s, window)
        seen = thermal.develop(film.scene, degrees, times_s, window.size, rng, side_px=window.side_px[0])
        parts.append(torch.as_tensor(seen, dtype=torch.float32, device=linear.device)[..., None])
    return torch.cat(parts, -1).permute(3, 0, 1, 2)
