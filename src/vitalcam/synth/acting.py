"""How a scene unfolds: pulse, breath, pose, face and light at any times, identical for equal scenes.

Wandering is a sum of sines with random phases, so that it can be asked for at any time in any order.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitalcam.synth.breath import Breathing, breathing
from vitalcam.synth.pulse import Pulse, pulse
from vitalcam.synth.scene import Lighting, Movement, Scene
from vitalcam.types import Floats


@dataclass(frozen=True)
class Pose:
    """Pose and face at T times; angles in radians, lengths in decimetres.

    Attributes:
        yaw, pitch, roll: (T,) turned to the person's left, up, and clockwise as seen.
        offset_dm: (T, 3) of the head from its place: right, up, towards the camera.
        chest_dm: (T,) lift of the chest.
        actions: name of a facial action to its strength (T,), 0..1.
        shake: (T, 2) shift of the picture as a share of its width.
    """

    yaw: Floats
    pitch: Floats
    roll: Floats
    offset_dm: Floats
    chest_dm: Floats
    actions: dict[str, Floats]
    shake: Floats


class Wander:
    """Smooth noise of unit variance with a falling spectrum between two frequencies, at any times."""

    def __init__(
        self, rng: np.random.Generator, low_hz: float, high_hz: float, *, fall: float = 1.0, n: int = 24
    ) -> None:
        self.hz = np.geomspace(low_hz, high_hz, n) * rng.uniform(0.95, 1.05, n)
        self.phase = rng.uniform(0, 2 * np.pi, n)
        size = self.hz ** (0.5 - fall)  # a geometric grid holds f per step
        self.size = size * np.sqrt(2 / np.sum(size**2))

    def __call__(self, times_s: Floats) -> Floats:
        """Values (T,) at times (T,)."""
        return np.asarray(np.sin(2 * np.pi * np.multiply.outer(times_s, self.hz) + self.phase) @ self.size)


def physiology(scene: Scene) -> tuple[Pulse, Breathing]:
    """Pulse and breathing of a scene; what the heart does is there even in a null twin, where nobody can see it."""
    rng = np.random.default_rng([scene.seed, 1])
    breath = breathing(scene.breath, duration_s=scene.duration_s + 1, rng=rng)
    return pulse(scene.heart, breath, duration_s=scene.duration_s + 1, rng=rng), breath


def pose(movement: Movement, breath: Breathing, times_s: Floats) -> Pose:
    """Pose and face at times (T,)."""
    rng = np.random.default_rng([movement.seed, 2])
    sway = [Wander(rng, 0.03, 2.0, fall=1.3)(times_s) for _ in range(6)]
    talking, words = _speech(rng, movement, breath, times_s)
    swing = _swing(rng, movement.turn_hz)(times_s)
    nodding = _swing(rng, movement.nod_hz)(times_s)
    gliding = _swing(rng, movement.glide_hz)(times_s)
    nods = [Wander(rng, 0.3, 3.0, fall=0.8)(times_s) * talking for _ in range(3)]
    angle = np.radians(movement.sway_deg)
    yaw = angle * sway[0] + np.radians(movement.turn_deg) * swing + 0.06 * nods[0]
    pitch = 0.7 * angle * sway[1] + np.radians(movement.nod_deg) * nodding + 0.05 * nods[1]
    roll = 0.5 * angle * sway[2] + 0.03 * nods[2]
    offset = movement.sway_dm * np.stack(sway[3:], -1)
    offset[:, 0] += movement.glide_dm * gliding
    offset += _steps(rng, movement, times_s)
    offset[:, 1] += 0.012 * breath.at(times_s)
    shake = np.stack([Wander(rng, 0.5, 8.0, fall=0.8)(times_s) for _ in range(2)], -1) * movement.shake
    actions = words | _smiles(rng, movement, times_s) | _blinks(rng, movement, times_s)
    return Pose(yaw, pitch, roll, offset, 0.05 * breath.at(times_s), actions, shake)


def _swing(rng: np.random.Generator, hz: float) -> Wander:
    """A to and fro that keeps about its rate."""
    return Wander(rng, 0.85 * hz, 1.15 * hz, n=5)


def _steps(rng: np.random.Generator, movement: Movement, times_s: Floats) -> Floats:
    """Bobbing (T, 3): up and down with every step, to the sides with every second."""
    lag = 0.3 * Wander(rng, 0.05, 0.5)(times_s)
    phase = 2 * np.pi * movement.steps_hz * times_s + lag + rng.uniform(0, 6)
    drift = Wander(rng, 0.05, 0.4)(times_s)
    up = np.cos(phase) + 0.25 * np.cos(2 * phase + 1)
    side = 0.7 * np.sin(phase / 2)
    return movement.step_dm * np.stack([side + 0.5 * drift, up, 0.8 * drift + 0.2 * up], -1)


def _speech(
    rng: np.random.Generator, movement: Movement, breath: Breathing, times_s: Floats
) -> tuple[Floats, dict[str, Floats]]:
    """How much is being said at times (T,), on the way out of breath, and what the mouth does."""
    out = 1 / (1 + np.exp(6 * breath.flow_at(times_s)))
    pause = 1 / (1 + np.exp(-4 * (Wander(rng, 0.1, 0.6)(times_s) + 0.8)))
    talking = movement.talk * out * pause
    syllable = [np.clip(0.5 + 0.6 * Wander(rng, 2.0, 7.0, fall=0.5)(times_s), 0, 1.4) for _ in range(5)]
    jaw, funnel, stretch, upper, pucker = syllable
    words = {"jawOpen": 0.32 * jaw, "mouthFunnel": 0.4 * funnel, "mouthPucker": 0.3 * pucker}
    for side in ("Left", "Right"):
        words |= {f"mouthStretch{side}": 0.3 * stretch, f"mouthUpperUp{side}": 0.3 * upper}
        words[f"mouthLowerDown{side}"] = 0.35 * jaw
    words["browInnerUp"] = 0.5 * np.clip(Wander(rng, 0.1, 1.5)(times_s), 0, 2)
    return talking, {name: talking * value for name, value in words.items()}


def _smiles(rng: np.random.Generator, movement: Movement, times_s: Floats) -> dict[str, Floats]:
    strength = movement.smile / (1 + np.exp(-5 * (Wander(rng, 0.02, 0.2)(times_s) - 0.3)))
    sides = {"mouthSmileLeft": 0.7 * strength, "mouthSmileRight": 0.7 * strength}
    return sides | {"cheekSquintLeft": 0.5 * strength, "cheekSquintRight": 0.5 * strength}


def _blinks(rng: np.random.Generator, movement: Movement, times_s: Floats) -> dict[str, Floats]:
    closed = np.zeros_like(times_s)
    if movement.blinks_per_min > 0:
        mean_s = 60 / movement.blinks_per_min
        for onset in np.cumsum(0.4 + rng.exponential(max(mean_s - 0.4, 0.1), 200)):
            since = times_s - onset
            closed += np.where((since > 0) & (since < 0.26), np.sin(np.pi * np.clip(since / 0.26, 0, 1)) ** 2, 0)
    return {"eyeBlinkLeft": np.clip(closed, 0, 1), "eyeBlinkRight": np.clip(closed, 0, 1)}


@dataclass(frozen=True)
class Light:
    """Light at T times, 1 where nothing changes it.

    Attributes:
        all: (T,) gain of everything.
        lamp: (T,) gain of the lamp, flicker aside.
        screen: (T, 3) light of the screen, about 1.
    """

    all: Floats
    lamp: Floats
    screen: Floats


def light(lighting: Lighting, times_s: Floats) -> Light:
    """Slow changes of the light at times (T,); flicker depends on the shutter, see `flicker`."""
    rng = np.random.default_rng([lighting.seed, 3])
    clouds = np.exp(lighting.clouds * Wander(rng, 0.02, 0.5, fall=1.5)(times_s))
    passing = 1 / (1 + np.exp(-8 * (Wander(rng, 0.05, 0.8, fall=1.0)(times_s) - 0.7)))
    cuts = np.cumsum(rng.exponential(1.5, 200))
    scenes = rng.uniform(0.3, 1.7, (201, 3))
    screen = scenes[np.searchsorted(cuts, times_s)] * (1 + 0.2 * Wander(rng, 0.3, 6.0)(times_s))[:, None]
    return Light(clouds, 1 - lighting.shadow * passing, np.clip(screen, 0, None))


def flicker(lighting: Lighting, starts_s: Floats, exposure_s: float) -> Floats:
    """Mean of the flickering lamp over exposures that begin at some times, any shape."""
    if lighting.flicker == 0:
        return np.ones_like(starts_s)
    angle = 2 * np.pi * lighting.flicker_hz
    wave = (np.sin(angle * (starts_s + exposure_s)) - np.sin(angle * starts_s)) / (angle * exposure_s)
    return np.asarray(1 + lighting.flicker * wave)
