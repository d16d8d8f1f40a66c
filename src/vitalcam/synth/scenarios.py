"""Named recipes of scenes, from easy to hard, and the fixed benchmark made of them."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from vitalcam.errors import UnknownName
from vitalcam.synth import people
from vitalcam.synth.breath import Breath
from vitalcam.synth.pulse import Heart
from vitalcam.synth.scene import Backdrop, Camera, Lighting, Movement, Scene
from vitalcam.synth.skin import LIGHTS

_STILL: dict[str, Any] = {
    "movement.sway_deg": (0.3, 1.2), "movement.sway_dm": (0.01, 0.04), "movement.blinks_per_min": (8.0, 22.0),
    "lighting.azimuth_deg": (-60.0, 60.0), "lighting.elevation_deg": (5.0, 55.0), "lighting.sharpness": (3.0, 20.0),
    "lighting.key": (0.3, 0.7), "lighting.fill": (0.3, 0.5), "camera.distance_dm": (5.5, 9.0),
    "camera.electrons": (4000.0, 12000.0), "backdrop.level": (0.08, 0.5), "heart.rate_bpm": (50.0, 105.0),
    "person.skin_type": (1, 4), "camera.width": 480, "camera.height": 360, "camera.focal": 4 / 3,
}  # fmt: skip

_WIDE: dict[str, Any] = {"camera.width": 640, "camera.height": 480, "camera.focal": 1.0}

SCENARIOS: dict[str, dict[str, Any]] = {
    "still": {},
    "recovery": {"heart.profile": "recovery", "heart.rate_bpm": (60.0, 85.0), "heart.change_bpm": (30.0, 70.0),
                 "heart.recovery_s": (15.0, 60.0), "breath.rate_per_min": (16.0, 28.0)},
    "slow_breath": {"breath.rate_per_min": (5.0, 9.0), "heart.rsa": (0.4, 0.7)},
    "compressed": {"camera.crf": (18.0, 28.0)},
    "webcam": {"camera.codec": "mjpeg", "camera.spectrum": "webcam", "camera.sharpening": (0.3, 1.0),
               "camera.hunting": (0.01, 0.04), "camera.jitter_s": (0.002, 0.006), "camera.dropped": (0.0, 0.05),
               "camera.fps_hz": (15.0, 30.0), "camera.electrons": (1500.0, 4000.0)} | _WIDE,
    "dark_skin": {"person.skin_type": (5, 6)},
    "low_light": {"lighting.level": (0.03, 0.12), "camera.exposure_s": (1 / 33, 1 / 31)},
    "warm_light": {"lighting.spectrum": "incandescent", "lighting.level": (0.2, 0.5)},
    "flicker": {"lighting.flicker": (0.1, 0.35), "lighting.flicker_hz": (99.8, 100.2), "lighting.screen": (0.02, 0.08)},
    "clouds": {"lighting.clouds": (0.1, 0.3), "lighting.shadow": (0.2, 0.6), "camera.hunting": (0.02, 0.06)},
    "talk": {"movement.talk": (0.7, 1.0), "movement.sway_deg": (2.0, 5.0), "movement.sway_dm": (0.08, 0.2),
             "movement.smile": (0.2, 0.8), "breath.speech": True},
    "rotate": {"movement.turn_deg": (10.0, 22.0), "movement.turn_hz": (0.1, 0.35), "movement.nod_deg": (0.0, 12.0)},
    "glide": {"movement.glide_dm": (0.4, 0.9), "camera.distance_dm": (6.5, 9.0),
              "movement.glide_hz": (0.15, 0.6), "movement.sway_deg": (1.0, 3.0)} | _WIDE,
    "walk": {"movement.step_dm": (0.12, 0.35), "movement.steps_hz": (1.6, 2.1), "movement.sway_deg": (2.0, 6.0),
             "movement.shake": (0.003, 0.01), "lighting.clouds": (0.05, 0.2), "lighting.shadow": (0.0, 0.25),
             "backdrop.moving": (0.6, 1.0), "heart.rate_bpm": (80.0, 115.0)},
    "exercise": {"movement.step_dm": (0.15, 0.45), "movement.steps_hz": (1.1, 2.6), "movement.sway_deg": (2.0, 5.0),
                 "movement.sway_dm": (0.1, 0.25), "heart.rate_bpm": (100.0, 175.0), "heart.profile": "drift",
                 "heart.change_bpm": (-10.0, 15.0), "breath.rate_per_min": (20.0, 35.0)} | _WIDE,
    "thermal": {"camera.thermal": True} | _WIDE,
}  # fmt: skip
"""What each scenario changes of a still scene; (low, high) is drawn evenly."""

LADDER = ("still", "recovery", "slow_breath", "compressed", "webcam", "dark_skin", "low_light", "warm_light", "flicker",
          "clouds", "talk", "rotate", "glide", "walk", "exercise", "thermal")  # fmt: skip
LADDER_CLIPS = 8
"""Recordings for each scenario of ladder-1; every fourth has its null twin beside it."""
TEST_IDENTITIES = 1_000_000
"""Identities from here on are for testing; no training draws them."""


def sample(
    scenario: str, seed: int, *, identity: int | None = None, duration_s: float = 20.0, wide: bool = False
) -> Scene:
    """Draw a scene.

    Args:
        scenario: name in SCENARIOS.
        seed: equal seeds give equal scenes.
        identity: number of the person; ``seed`` where it is None.
        duration_s: length.
        wide: draw heart rates of 40 to 190 and skin of all types whatever the scenario says: for training.

    Raises:
        UnknownName: no such scenario.
    """
    if scenario not in SCENARIOS:
        raise UnknownName("scenario", scenario, SCENARIOS)
    identity = seed if identity is None else identity
    rng = np.random.default_rng([seed, 4])
    wish = {name: _drawn(rng, value) for name, value in (_STILL | SCENARIOS[scenario]).items()}
    if wide:
        highest = 190 - max(wish.get("heart.change_bpm", 0.0), 0.0)
        wish |= {"heart.rate_bpm": float(rng.uniform(40, highest)), "person.skin_type": None}
    wish.setdefault("lighting.spectrum", str(rng.choice(sorted(LIGHTS))))
    seeds = {name: int(rng.integers(2**31)) for name in ("movement", "lighting", "backdrop", "camera")}
    part = functools.partial(_part, wish)
    person = people.sample(np.random.default_rng([identity, 5]), **part("person"))
    age = float(np.interp(person.shape.age, [0, 1, 2], [20, 25, 80]))
    whole = {name: int(value) for name, value in part("camera").items() if name == "crf"}
    return Scene(
        scenario=scenario,
        identity=identity,
        person=person,
        heart=Heart.sample(rng, **({"profile": "rest", "change_bpm": 0.0, "age_years": age} | part("heart"))),
        breath=Breath.sample(rng, **({"speech": False} | part("breath"))),
        movement=Movement(**part("movement"), seed=seeds["movement"]),
        lighting=Lighting(**part("lighting"), seed=seeds["lighting"]),
        backdrop=Backdrop(**part("backdrop"), seed=seeds["backdrop"]),
        camera=Camera(**(part("camera") | whole), seed=seeds["camera"]),
        duration_s=duration_s,
        seed=seed,
    )


def _part(wish: dict[str, Any], name: str) -> dict[str, Any]:
    return {key.split(".")[1]: value for key, value in wish.items() if key.startswith(name + ".")}


def _drawn(rng: np.random.Generator, value: Any) -> Any:
    if not isinstance(value, tuple):
        return value
    low, high = value
    return int(rng.integers(low, high + 1)) if isinstance(low, int) else float(rng.uniform(low, high))


def several(scenario: str, n: int, seed: int = 0, *, duration_s: float = 20.0, null_twins: bool = False) -> list[Scene]:
    """``n`` scenes of a scenario, each of another person: seeds from ``seed`` on, each with its null twin if asked."""
    scenes = [sample(scenario, seed + k, duration_s=duration_s) for k in range(n)]
    return [twin for scene in scenes for twin in (scene, scene.null_twin())] if null_twins else scenes


def ladder() -> list[Scene]:
    """All scenes of the benchmark ladder-1: the first of every scenario, then the second of every scenario, ..."""
    scenes = []
    for number in range(LADDER_CLIPS):
        for rung, scenario in enumerate(LADDER):
            scene = sample(scenario, TEST_IDENTITIES + rung * LADDER_CLIPS + number, duration_s=20.0)
            scenes += [scene, scene.null_twin()] if number % 4 == 0 else [scene]
    return scenes


def split(scene: Scene | int) -> str:
    """The part of the data that a scene or a person belongs to: "train", "validation" or "test"; no two share people.

    Of the eight recordings that each scenario of ladder-1 has, the first half is for validation.
    """
    identity = scene if isinstance(scene, int) else scene.identity
    if identity < TEST_IDENTITIES:
        return "train"
    return "validation" if (identity - TEST_IDENTITIES) % LADDER_CLIPS < LADDER_CLIPS // 2 else "test"
