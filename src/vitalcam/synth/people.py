"""Who is in front of the camera: one frozen description, drawn from a random generator."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from vitalcam.synth import mesh
from vitalcam.synth.skin import FITZPATRICK, PULSE

Colour = tuple[float, float, float]

HAIR: dict[str, Colour] = {
    "black": (0.012, 0.010, 0.009), "dark": (0.030, 0.020, 0.014), "brown": (0.075, 0.042, 0.024),
    "blond": (0.36, 0.25, 0.13), "red": (0.22, 0.075, 0.03), "grey": (0.28, 0.27, 0.26), "white": (0.6, 0.58, 0.55),
}  # fmt: skip
"""Linear reflectance of hair."""

EYES: dict[str, Colour] = {
    "brown": (0.045, 0.022, 0.012), "dark": (0.018, 0.011, 0.008), "hazel": (0.10, 0.07, 0.025),
    "green": (0.09, 0.13, 0.06), "blue": (0.10, 0.18, 0.28), "grey": (0.16, 0.19, 0.21),
}  # fmt: skip
"""Linear reflectance of the iris."""

HAIRCUTS = ("bald", "buzz", "short", "medium", "long")
BEARDS = ("none", "stubble", "moustache", "goatee", "full")
GLASSES = ("none", "thin", "thick")
_ORIGIN_POLES = np.array([(0.15, 0.15, 0.7), (0.1, 0.2, 0.7), (0.1, 0.45, 0.45), (0.2, 0.5, 0.3), (0.6, 0.2, 0.2),
                          (0.85, 0.05, 0.1)])  # fmt: skip


@dataclass(frozen=True)
class Person:
    """Everything about a person that does not change during a recording; colours are linear reflectances.

    Attributes:
        shape: of head and neck.
        skin_type: Fitzpatrick type 1..6, from the melanin.
        melanin, blood: volume fractions as in `vitalcam.synth.skin`.
        perfusion: relative change of the blood volume of the face with one unit of pulse.
        haircut, beard, glasses: names in HAIRCUTS, BEARDS, GLASSES.
        hair_rgb, eye_rgb, clothes_rgb, glasses_rgb: colours.
        hairline: how far the hairline has gone back, 0..1.
        mask: whether a surgical mask covers mouth and nose.
        makeup: opacity of foundation, 0 none; it hides the pulse under it.
        gloss: strength of the sheen of the skin, 1 is average.
        temperature_c: of the forehead.
        seed: of freckles, patches and strands.
    """

    shape: mesh.Shape
    skin_type: int
    melanin: float
    blood: float
    perfusion: float
    haircut: str
    beard: str
    glasses: str
    hair_rgb: Colour
    eye_rgb: Colour
    clothes_rgb: Colour
    glasses_rgb: Colour
    hairline: float
    mask: bool
    makeup: float
    gloss: float
    temperature_c: float
    seed: int


def sample(rng: np.random.Generator, *, skin_type: int | None = None) -> Person:
    """Draw a person.

    Args:
        rng: source of randomness; equal states give equal people.
        skin_type: Fitzpatrick type 1..6; any with equal probability where it is None.
    """
    kind = int(rng.integers(1, 7)) if skin_type is None else skin_type
    low, high = FITZPATRICK[kind]
    male = bool(rng.random() < 0.5)
    shape = _shape(rng, kind, male)
    hair, eyes = _colours(rng, kind, shape.age)
    return Person(
        shape=shape,
        skin_type=kind,
        melanin=float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        blood=float(np.exp(rng.uniform(np.log(0.018), np.log(0.05)))),
        perfusion=float(np.clip(PULSE * np.exp(rng.normal(0, 0.3)), 0.035, 0.115)),
        haircut=_pick(rng, HAIRCUTS, (0.12, 0.3, 0.38, 0.15, 0.05) if male else (0.01, 0.04, 0.2, 0.35, 0.4)),
        beard=_pick(rng, BEARDS, (0.5, 0.2, 0.08, 0.08, 0.14)) if male and shape.age > 0.7 else "none",
        glasses=_pick(rng, GLASSES, (0.72, 0.16, 0.12)),
        hair_rgb=hair,
        eye_rgb=eyes,
        clothes_rgb=_rgb(rng, 0.02, 0.6),
        glasses_rgb=_rgb(rng, 0.005, 0.15),
        hairline=float(rng.beta(1.2, 3) * (1 if male else 0.4)),
        mask=bool(rng.random() < 0.03),
        makeup=float(rng.uniform(0.2, 0.7)) if not male and rng.random() < 0.3 else 0.0,
        gloss=float(np.exp(rng.normal(0, 0.4))),
        temperature_c=float(rng.normal(34.6, 0.5)),
        seed=int(rng.integers(2**31)),
    )


def _pick(rng: np.random.Generator, names: tuple[str, ...], weights: tuple[float, ...]) -> str:
    return names[int(rng.choice(len(names), p=np.array(weights) / sum(weights)))]


def _rgb(rng: np.random.Generator, low: float, high: float) -> Colour:
    value, tint = np.exp(rng.uniform(np.log(low), np.log(high))), np.exp(rng.normal(0, 0.45, 3))
    red, green, blue = np.clip(value * tint, 0.004, 0.8)
    return float(red), float(green), float(blue)


def _shape(rng: np.random.Generator, kind: int, male: bool) -> mesh.Shape:
    pole = rng.dirichlet(4 * _ORIGIN_POLES[kind - 1] + 0.1)
    ages = (rng.uniform(0.5, 1), rng.uniform(1, 1.35), rng.uniform(1.35, 1.85))
    changes = []
    for name in mesh.details():
        spread = 0.16 if name.startswith(("head/", "forehead/", "neck/")) else 0.26
        changes.append((name, float(np.clip(rng.normal(0, spread), -0.6, 0.6))))
    return mesh.Shape(
        male=float(np.clip(male + rng.normal(0, 0.1) * (1 if not male else -1), 0, 1)),
        age=float(rng.choice(ages, p=[0.1, 0.6, 0.3])),
        weight=float(np.clip(rng.normal(1, 0.35), 0.3, 1.8)),
        origin=(float(pole[0]), float(pole[1]), float(pole[2])),
        details=tuple(changes),
    )


def _colours(rng: np.random.Generator, kind: int, age: float) -> tuple[Colour, Colour]:
    if age > 1.3 and rng.random() < (age - 1.2) * 1.3:
        hair = _pick(rng, ("grey", "white"), (0.6, 0.4))
    elif kind <= 2:
        hair = _pick(rng, ("dark", "brown", "blond", "red"), (0.25, 0.35, 0.3, 0.1))
    else:
        hair = _pick(rng, ("black", "dark", "brown"), (0.5, 0.4, 0.1))
    light = kind <= 2
    eyes = _pick(rng, tuple(EYES), (0.2, 0.05, 0.15, 0.15, 0.35, 0.1) if light else (0.5, 0.4, 0.07, 0.01, 0.01, 0.01))
    return HAIR[hair], EYES[eyes]
