"""Takes of a plate: another heart, another stretch of it at another speed, another camera; for training only.

What a recording goes through is kept where it matters: flicker by the shutter's rows, automatic exposure, noise by the
amount of light, the tone curve with its clipping, frames that come late, a square that jumps after the face, and an
encoder that does not send what it takes for too small a change.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from vitalcam.errors import ConfigError
from vitalcam.signal.resample import uniform
from vitalcam.synth import acting, recordings, sensor, thermal
from vitalcam.synth.breath import Breathing
from vitalcam.synth.plates import Plate
from vitalcam.synth.pulse import Heart, pulse
from vitalcam.synth.scene import Scene
from vitalcam.types import Channels, Floats

Range = tuple[float, float]
_LEAD_S = 0.4  # frames before and after a clip, from which uneven ones are brought on time
_VALUES = 9  # of a pixel of a plate that a thermal camera saw too
_BLOCK_PX = 16.0  # of the camera, that an encoder treats alike
_TO_YUV = ((0.299, 0.587, 0.114), (-0.169, -0.331, 0.5), (0.5, -0.419, -0.081))
FINE_PX = 36
"""Smaller takes are area means of squares of this size, because an encoder sees no less."""


@dataclass(frozen=True)
class Shooting:
    """How takes of a plate differ. A pair is a range, even in the logarithm.

    Attributes:
        rate_bpm: of the heart; its profile and its variability are drawn by `Heart.sample`.
        irregular: share of takes with early beats, and share with atrial fibrillation.
        strength: of the pulse, in that of the person.
        stretch: speed of what happens, breath included; the pulse's own aside.
        side: of the square, in sides of the plate.
        jumps_per_s: how often the square jumps, as a tracker's does.
        mirrored: share of mirrored takes.
        brightness: of the picture, in that of a good exposure.
        cast: standard deviation of the logarithm of the balance of red and blue to green.
        gamma: of the tone curve, in that of sRGB.
        hunting: changes of exposure and balance by the camera's automatics; the plate's camera's where that is more.
        light: electrons at white, in those of the plate's camera.
        encoded: share of takes that went through an encoder.
        ignored: change (in levels, 0..255) up to which the encoder leaves a place as it was; beside x264, errors are of
            the size and the slowness of crf 8 at 0.25, of crf 23 at 0.7 and of crf 28 at 1.
        keys_s: time from one key frame to the next, at which all places are sent anew.
    """

    rate_bpm: Range = (40.0, 190.0)
    irregular: float = 0.03
    strength: Range = (0.4, 3.0)
    stretch: Range = (0.85, 1.2)
    side: Range = (0.85, 1.0)
    jumps_per_s: Range = (0.02, 1.0)
    mirrored: float = 0.5
    brightness: Range = (0.6, 1.5)
    cast: float = 0.08
    gamma: Range = (0.8, 1.25)
    hunting: Range = (0.001, 0.03)
    light: Range = (0.3, 2.0)
    encoded: float = 0.7
    ignored: Range = (0.15, 1.0)
    keys_s: Range = (1.0, 10.0)

    @classmethod
    def plain(cls) -> Shooting:
        """Nothing but another heart, another stretch and the noise of the plate's camera."""
        one = (1.0, 1.0)
        return cls(
            irregular=0.0, strength=one, stretch=one, side=(0.9, 0.9), jumps_per_s=(1e-6, 1e-6), mirrored=0.0,
            brightness=one, cast=0.0, gamma=one, hunting=(1e-6, 1e-6), light=one, encoded=0.0,
        )  # fmt: skip


@dataclass(frozen=True)
class Take:
    """One clip and its truth.

    Attributes:
        video: (C, T, H, W) float32, RGB 0..255, then degrees Celsius, as the channels were asked for; not rounded.
        bvp, resp: (T,) blood volume and volume of the lungs; bvp is 0 without a pulse.
        heart_rate, resp_rate: per minute, mean over the clip; NaN for the heart without a pulse.
        scene: the plate's, with the heart and the camera of the take.
        start_s: when it begins on the plate.
    """

    video: Tensor
    bvp: Floats
    resp: Floats
    heart_rate: float
    resp_rate: float
    scene: Scene
    start_s: float


@dataclass(frozen=True)
class _Clock:
    """When the camera of a take looks.

    Attributes:
        times_s: (T,) on the take's own clock.
        even: whether these are the times at which the clip wants its frames.
        start_s: where on the plate the clip begins.
        stretch: seconds of the plate in a second of the clip.
    """

    times_s: Floats
    even: bool
    start_s: float
    stretch: float

    @property
    def plate_s(self) -> Floats:
        """(T,) on the plate's clock."""
        return self.start_s + self.stretch * self.times_s


def shoot(
    plate: Plate,
    rng: np.random.Generator,
    *,
    frames: int,
    size_px: int,
    fs_hz: float,
    beats: bool = True,
    channels: Channels = "rgb",
    shooting: Shooting | None = None,
    device: torch.device | str = "cpu",
) -> Take:
    """Shoot one take.

    Args:
        plate: of whom.
        rng: of everything; equal states give equal takes.
        frames, size_px, fs_hz: length, side and rate of the clip.
        beats: whether the heart beats.
        channels: "rgb", "thermal" or "rgbt".
        shooting: how takes differ.
        device: where it is computed and stays.

    Raises:
        ConfigError: the plate is too short or too coarse, or no thermal camera saw it.
    """
    how, side_px = shooting or Shooting(), max(FINE_PX // size_px, 1) * size_px
    if side_px > plate.pixels.shape[-1]:
        raise ConfigError(f"plates of {plate.pixels.shape[-1]} px are too coarse for clips of {size_px} px")
    if channels != "rgb" and plate.pixels.shape[1] < _VALUES:
        raise ConfigError("no thermal camera saw these plates; make some with vitalcam plates --thermal")
    scene = _scene(plate.scene, beats, how, rng)
    clock = _clock(plate, scene, frames, fs_hz, how, rng)
    breath = _slower(plate.breath, 1 / clock.stretch)
    beat = pulse(scene.heart, breath, duration_s=plate.duration_s / clock.stretch, rng=rng)
    on_plate_s = clock.start_s / clock.stretch
    strength = _draw(rng, how.strength) * beats
    blood = strength * beat.at(on_plate_s + clock.times_s - np.array(plate.delays_s)[:, None])
    sent = with_blood(_light(plate, clock, device), torch.as_tensor(blood, dtype=torch.float32, device=device))
    seen, boxes = _cut(sent, clock.times_s, side_px, how, rng)
    cameras = []
    if channels != "thermal":
        cameras.append(_coloured(plate, scene, clock, seen[:, :3], boxes, how, rng))
    if channels != "rgb":
        above, size, wide_px = seen[:, 3], (side_px, side_px), plate.side_px * boxes[0, 2]
        degrees = thermal.develop(scene, above, clock.plate_s, size, rng, side_px=wide_px)
        degrees += scene.person.temperature_c
        cameras.append(torch.as_tensor(degrees, dtype=torch.float32, device=device)[:, None])
    shown = torch.cat(cameras, 1)
    shown = shown if clock.even else _on_time(shown, clock.times_s, frames, fs_hz)
    shown = torch.nn.functional.avg_pool2d(shown, side_px // size_px) if side_px > size_px else shown
    times = on_plate_s + np.arange(frames) / fs_hz
    return Take(
        video=shown.transpose(0, 1).contiguous(),
        bvp=beat.at(times) if beats else np.zeros(frames),
        resp=breath.at(times),
        heart_rate=float(beat.rate_at(times).mean()) if beats else float("nan"),
        resp_rate=float(breath.rate_at(times).mean()),
        scene=scene,
        start_s=clock.start_s,
    )


def _draw(rng: np.random.Generator, between: Range) -> float:
    """A number from a range, even in its logarithm."""
    low, high = between
    return float(low * (high / low) ** rng.random())


def _scene(scene: Scene, beats: bool, how: Shooting, rng: np.random.Generator) -> Scene:
    """The scene with the heart and the camera of a take."""
    kind, early_per_min = rng.random(), rng.uniform(2, 15)
    heart = Heart.sample(
        rng, rate_bpm=_draw(rng, how.rate_bpm), age_years=scene.heart.age_years,
        ectopic_per_min=float(early_per_min) if kind < how.irregular else 0.0,
        atrial_fibrillation=bool(kind > 1 - how.irregular),
    )  # fmt: skip
    camera = dataclasses.replace(
        scene.camera,
        electrons=scene.camera.electrons * _draw(rng, how.light),
        gamma=_draw(rng, how.gamma),
        hunting=max(scene.camera.hunting, _draw(rng, how.hunting)),
        seed=int(rng.integers(2**31)),
    )
    return dataclasses.replace(scene, heart=heart, camera=camera, pulse=beats)


def _clock(plate: Plate, scene: Scene, frames: int, fs_hz: float, how: Shooting, rng: np.random.Generator) -> _Clock:
    camera = scene.camera
    times: Floats = np.arange(frames) / fs_hz
    even = camera.fps_hz == fs_hz and not camera.jitter_s and not camera.dropped
    if not even:
        lasting = dataclasses.replace(scene, duration_s=frames / fs_hz + 2 * _LEAD_S)
        times = recordings.frame_times_s(lasting) - _LEAD_S
    longest = plate.duration_s / (times[-1] - times[0])
    if longest < how.stretch[0]:
        raise ConfigError(
            f"plates of {plate.duration_s:.1f} s are too short for clips of {frames / fs_hz:.1f} s at "
            f"{how.stretch[0]:g} of the speed; make longer plates or shorter clips"
        )
    stretch = _draw(rng, (how.stretch[0], min(how.stretch[1], longest)))
    start = rng.uniform(-stretch * times[0], plate.duration_s - stretch * times[-1])
    return _Clock(times, even, float(start), stretch)


def _slower(breath: Breathing, factor: float) -> Breathing:
    """Breathing that takes so many times as long, from time 0."""
    names = ("onset_s", "inspired_s", "held_s")
    return dataclasses.replace(breath, **{name: getattr(breath, name) * factor for name in names})


def _light(plate: Plate, clock: _Clock, device: torch.device | str) -> Tensor:
    """Values (T, 7 or 9, h, w) of a plate at the times of a clock, by straight lines between its frames."""
    place = np.clip(clock.plate_s * plate.fs_hz, 0, len(plate.pixels) - 1)
    low = np.minimum(place.astype(int), len(plate.pixels) - 2)
    first = int(low[0])
    near = plate.pixels[first : int(low[-1]) + 2].to(device).float()
    before = torch.as_tensor(low - first, device=device)
    part = torch.as_tensor(place - low, dtype=torch.float32, device=device)[:, None, None, None]
    return torch.lerp(near[before], near[before + 1], part)


def with_blood(plate: Tensor, waves: Tensor) -> Tensor:
    """What a plate (T, 7 or 9, h, w) sends with blood (2, T) that comes early and late.

    Returns:
        (T, 3, h, w) linear light; (T, 4, h, w) with a thermal camera, degrees Celsius above those of the person.
    """
    early, late = waves[:, :, None, None, None]
    blood = torch.lerp(early, late, plate[:, 6:7])
    light = plate[:, :3] + plate[:, 3:6] * blood
    return torch.cat([light, plate[:, 7:8] + plate[:, 8:9] * blood], 1) if plate.shape[1] == _VALUES else light


def _cut(
    picture: Tensor, times_s: Floats, size_px: int, how: Shooting, rng: np.random.Generator
) -> tuple[Tensor, Floats]:
    """Squares (T, C, size, size) from (T, C, h, h), and where they were (T, 3): x, y, side as shares of the picture."""
    whole = picture.shape[-1]
    duration_s = times_s[-1] - times_s[0]
    count = rng.poisson(_draw(rng, how.jumps_per_s) * duration_s)
    ends = np.searchsorted(times_s, np.sort(rng.uniform(times_s[0], times_s[-1], count)))
    mirrored = rng.random() < how.mirrored
    place: Floats = rng.uniform(0, 1, 2)
    side = _draw(rng, how.side)
    pieces, boxes = [], np.empty((len(picture), 3))
    for start, end in zip([0, *ends], [*ends, len(picture)], strict=True):
        corner = place * (1 - side)
        rows, columns = (_means(low * whole, side * whole, size_px, whole) for low in corner[::-1])
        if mirrored:
            columns = columns[::-1].copy()
        down, across = (torch.as_tensor(m, dtype=torch.float32, device=picture.device) for m in (rows, columns))
        pieces.append(down @ (picture[start:end] @ across.T))
        boxes[start:end] = *corner, side
        place = np.asarray(np.clip(place + rng.normal(0, 0.25, 2), 0, 1))
        side = float(np.clip(side * np.exp(rng.normal(0, 0.02)), *how.side))
    return torch.cat(pieces), boxes


def _means(low: float, side: float, cells: int, pixels: int) -> Floats:
    """Weights (cells, pixels) of pixels in the means over the cells of a side."""
    edges = low + side / cells * np.arange(cells + 1)
    covered = np.diff(np.clip(edges[:, None] - np.arange(pixels), 0, 1), axis=0)
    return np.asarray(covered / covered.sum(axis=1, keepdims=True))


def _coloured(
    plate: Plate, scene: Scene, clock: _Clock, linear: Tensor, boxes: Floats, how: Shooting, rng: np.random.Generator
) -> Tensor:
    """What is left of the squares (T, 3, n, n) after the camera and perhaps an encoder: values 0..255."""
    shown = _developed(plate, scene, clock, linear, boxes, how, rng)
    if rng.random() >= how.encoded:
        return shown
    place_px = round(_BLOCK_PX * linear.shape[-1] / (plate.side_px * boxes[0, 2]))
    coarse = {"ignored": _draw(rng, how.ignored), "key_s": _draw(rng, how.keys_s)}
    return encoded(shown, clock.times_s, rng, **coarse, place_px=max(place_px, 1))


def _developed(
    plate: Plate, scene: Scene, clock: _Clock, linear: Tensor, boxes: Floats, how: Shooting, rng: np.random.Generator
) -> Tensor:
    """What the camera of the take makes of the squares (T, 3, n, n): values 0..255."""
    size = linear.shape[-1]
    at = np.clip(np.rint(clock.plate_s * plate.fs_hz).astype(int), 0, len(plate.origin_px) - 1)
    middle = boxes[:, 1:2] + boxes[:, 2:] * (np.arange(size) + 0.5) / size
    row = (plate.origin_px[at, 1:] + plate.side_px * middle) / scene.camera.height
    flicker = acting.flicker(
        scene.lighting, clock.times_s[:, None] + scene.camera.rolling_s * row, scene.camera.exposure_s
    )
    gain = sensor.gains(scene, float(linear[0].mean()), clock.plate_s) * _draw(rng, how.brightness)
    gain[:, ::2] *= np.exp(rng.normal(0, how.cast, 2))
    flicker_, gain_ = (torch.as_tensor(g, dtype=torch.float32, device=linear.device) for g in (flicker, gain))
    noise = torch.Generator(linear.device).manual_seed(int(rng.integers(2**31)))
    lit = (linear * flicker_[:, None, :, None]).permute(0, 2, 3, 1)
    under = (plate.side_px * boxes[0, 2] / size) ** 2
    return sensor.develop(scene, lit, gain_, sensor.fresh_noise(noise), under).permute(0, 3, 1, 2)


def encoded(
    shown: Tensor, times_s: Floats, rng: np.random.Generator, *, ignored: float, key_s: float, place_px: int = 1
) -> Tensor:
    """What is left of pictures (T, 3, n, n) after an encoder: places stay as they were until they changed enough.

    A place is sent with an error as large as what is ignored, and key frames send every place. What red and blue have
    beside the luma is sent half as finely.

    Args:
        shown: values 0..255.
        times_s: (T,) of the pictures.
        rng: of errors and key frames.
        ignored: mean change of a place, in levels, that is never sent; twice that is always.
        key_s: from one key frame to the next.
        place_px: side of a place.
    """
    frames, _, n, _ = shown.shape
    place_px = next(side for side in range(place_px, 0, -1) if n % side == 0)
    to_yuv = torch.tensor(_TO_YUV, device=shown.device)
    yuv = torch.einsum("dc,tcyx->tdyx", to_yuv, shown)
    noise = torch.Generator(shown.device).manual_seed(int(rng.integers(2**31)))
    drawn = torch.rand((2, frames, 3, n // place_px, n // place_px), generator=noise, device=shown.device)
    step = ignored * torch.tensor([1.0, 2.0, 2.0], device=shown.device)[:, None, None]
    above, error = step * (1 + drawn[0]), _spread(step * (2 * drawn[1] - 1), place_px)
    key = np.diff(np.floor(times_s / key_s + rng.random()), prepend=-np.inf) > 0
    held, last = torch.empty_like(yuv), yuv[0]
    for t, now in enumerate(yuv):
        change = (now - last).abs()
        change = torch.nn.functional.avg_pool2d(change, place_px) if place_px > 1 else change
        sent = (change > above[t]) | bool(key[t])
        last = held[t] = torch.where(_spread(sent, place_px), now + error[t], last)
    return torch.einsum("dc,tcyx->tdyx", torch.linalg.inv(to_yuv), held).clamp(0, 255)


def _spread(places: Tensor, side: int) -> Tensor:
    """Places (..., m, m) to the pixels that they are made of."""
    return places.repeat_interleave(side, -1).repeat_interleave(side, -2) if side > 1 else places


def _on_time(shown: Tensor, times_s: Floats, frames: int, fs_hz: float) -> Tensor:
    """Pictures at uneven times brought onto the clock, as measuring does it."""
    end_s = (frames - 1) / fs_hz
    values, _, _ = uniform(shown.cpu().numpy(), times_s, fs_hz=fs_hz, t0_s=0, t1_s=end_s, max_gap_s=np.inf)
    return torch.from_numpy(values).to(shown.device)
