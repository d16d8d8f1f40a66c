"""Training clips straight from the generator: batched, on any device, nothing touches the disk.

A clip is what the measuring side would cut out of a recording of the same scene: a square about the face, shrunk.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vitalcam.errors import ConfigError
from vitalcam.synth import scenarios, sensor, thermal
from vitalcam.synth.film import Film, Window
from vitalcam.synth.scene import Scene
from vitalcam.types import Floats

CROP = 1.5
"""Side of the square, in sides of the face's box, as `vitalcam.face.sample` cuts it."""

_STILL = 0.05  # the square stays while the face moves less than this share of its side


@dataclass(frozen=True)
class Batch:
    """B clips of T frames with their truth.

    Attributes:
        video: (B, C, T, H, W) float32, RGB 0..255, then degrees Celsius where a thermal camera was asked for.
        bvp, resp: (B, T) blood volume and volume of the lungs; bvp is 0 in null clips.
        heart_rate, resp_rate: (B,) per minute, mean over the clip; NaN for the heart rate of null clips.
        scenes: what was rendered.
        start_s: (B,) when each clip begins in its scene.
    """

    video: Tensor
    bvp: Tensor
    resp: Tensor
    heart_rate: Tensor
    resp_rate: Tensor
    scenes: tuple[Scene, ...]
    start_s: tuple[float, ...]


def batches(
    n: int,
    *,
    scenario: str | Sequence[str] = scenarios.LADDER,
    batch: int = 4,
    frames: int = 160,
    size_px: int = 72,
    fs_hz: float = 30.0,
    seed: int = 0,
    identities: int = 500,
    clips_per_identity: int = 8,
    null_share: float = 0.1,
    channels: str = "rgb",
    device: torch.device | str = "cpu",
) -> Iterator[Batch]:
    """Yield ``n`` batches of clips, equal for equal arguments.

    Args:
        n: number of batches.
        scenario: name or names in `vitalcam.synth.scenarios.SCENARIOS`; each clip draws one of them.
        batch: clips in a batch.
        frames: of a clip.
        size_px: side of a frame: 72, 36, 9.
        fs_hz: rate of the frames.
        seed: of everything.
        identities: people to draw from, below `scenarios.TEST_IDENTITIES`.
        clips_per_identity: clips in a row that show the same person, who is costly to make.
        null_share: share of clips without a pulse.
        channels: "rgb", "thermal" or "rgbt".
        device: where clips are rendered and stay.
    """
    if not 0 < identities <= scenarios.TEST_IDENTITIES:
        raise ConfigError(f"identities is {identities}; training people are 1 to {scenarios.TEST_IDENTITIES}")
    names = [scenario] if isinstance(scenario, str) else list(scenario)
    rng = np.random.default_rng([seed, 12])
    made = 0
    for _ in range(n):
        scenes = []
        for _ in range(batch):
            if made % clips_per_identity == 0:
                identity = int(rng.integers(identities))
            name, number = names[int(rng.integers(len(names)))], int(rng.integers(2**31))
            scene = scenarios.sample(name, number, identity=identity, duration_s=frames / fs_hz + 4, wide=True)
            scenes.append(scene if rng.random() >= null_share else scene.null_twin())
            made += 1
        yield render(scenes, frames=frames, size_px=size_px, fs_hz=fs_hz, channels=channels, device=device, rng=rng)


def render(
    scenes: Sequence[Scene],
    *,
    frames: int = 160,
    size_px: int = 72,
    fs_hz: float = 30.0,
    channels: str = "rgb",
    device: torch.device | str = "cpu",
    rng: np.random.Generator,
) -> Batch:
    """Render one clip of each scene, starting at a random time; arguments as for `batches`."""
    starts = [float(rng.uniform(0, 4)) for _ in scenes]
    times = [start + np.arange(frames) / fs_hz for start in starts]
    films = [Film(scene, detail_px=size_px / CROP, device=device) for scene in scenes]
    noise = torch.Generator(device).manual_seed(int(rng.integers(2**31)))
    clips = [_clip(film, t, size_px, channels, noise, rng) for film, t in zip(films, times, strict=True)]
    pairs = list(zip(films, times, strict=True))
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
    film: Film, times_s: Floats, size_px: int, channels: str, noise: torch.Generator, rng: np.random.Generator
) -> Tensor:
    """One clip (C, T, H, W)."""
    window = _window(film.face_px(times_s), size_px, rng)
    linear, patches = film.render(times_s, window)
    parts = []
    if channels != "thermal":
        gain = sensor.gains(film.scene, float(linear[0].mean()), times_s)
        normal = lambda x: torch.randn(x.shape, generator=noise, device=x.device)  # noqa: E731
        under = (window.side_px[0] / size_px) ** 2
        gain_ = torch.as_tensor(gain, dtype=torch.float32, device=linear.device)
        parts.append(sensor.develop(film.scene, linear, gain_, normal, under))
    if channels != "rgb":
        degrees = thermal.temperatures(film, patches, times_s, window)
        seen = thermal.develop(film, degrees, times_s, window.size, rng)
        parts.append(torch.as_tensor(seen, dtype=torch.float32, device=linear.device)[..., None])
    return torch.cat(parts, -1).permute(3, 0, 1, 2)


def _window(face_px: Floats, size_px: int, rng: np.random.Generator) -> Window:
    """The square that follows a face (T, 3), a little off and of a little other size, as a detector's would be."""
    side = CROP * float(np.median(face_px[:, 2])) * float(np.exp(rng.normal(0, 0.06)))
    off = rng.normal(0, 0.03, 2) * side
    origin, held = np.empty((len(face_px), 2)), face_px[0, :2]
    for row, centre in zip(origin, face_px[:, :2], strict=True):
        if np.abs(centre - held).max() > _STILL * side / CROP:
            held = centre
        row[:] = held + off - side / 2
    return Window(origin, (side, side), (size_px, size_px), finer=2 if size_px >= 36 else 4)
