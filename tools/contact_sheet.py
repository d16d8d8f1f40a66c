"""Contact sheets of synthetic people: many people, each factor varied alone, each scenario over time.

python tools/contact_sheet.py people|factors|scenarios|thermal OUT.jpg [--seed N]
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib.image
import numpy as np
import torch

from vitalcam.synth import scenarios, sensor, thermal
from vitalcam.synth.film import Film, Window
from vitalcam.synth.people import BEARDS, GLASSES, HAIR, HAIRCUTS, Person
from vitalcam.synth.scene import Scene
from vitalcam.synth.skin import FITZPATRICK, LIGHTS

SIZE = 112
Picture = np.ndarray


def portrait(scene: Scene, times_s: Sequence[float] = (2.0,), size: int = SIZE, margin: float = 2.0) -> list[Picture]:
    """Pictures (size, size, 3) uint8 of a scene at some times, each cut about where the face was at the first."""
    times = np.asarray(times_s, float)
    film = Film(scene, detail_px=size / 2.5)
    x, y, side = film.face_px(times)[0]
    side *= margin
    origin = np.array([[x - side / 2, y - side / 2]])
    linear, _ = film.render(times, Window(origin, (side, side), (size, size)))
    gain = torch.as_tensor(sensor.gains(scene, float(linear[0].mean()), times), dtype=torch.float32)
    torch.manual_seed(0)
    return list(sensor.develop(scene, linear, gain, torch.randn_like).round().byte().numpy())


def changed(scene: Scene, part: str, **values: Any) -> Scene:
    """A scene with something of one part changed."""
    return dataclasses.replace(scene, **{part: dataclasses.replace(getattr(scene, part), **values)})


def plain(seed: int) -> Scene:
    """Somebody in even light, to vary things on."""
    scene = scenarios.sample("still", seed)
    light = dataclasses.replace(scene.lighting, spectrum="daylight", azimuth_deg=25.0, elevation_deg=30.0, key=0.5)
    who = {"beard": "none", "glasses": "none", "mask": False, "makeup": 0.0, "gloss": 1.0}
    return changed(dataclasses.replace(scene, lighting=light), "person", **who)


def shaped(person: Person, **values: Any) -> dict[str, Any]:
    """A change of shape, for `changed`."""
    return {"shape": dataclasses.replace(person.shape, **values)}


def factors(seed: int) -> list[list[Picture]]:
    """A row for each factor."""
    base = plain(seed)
    who = base.person
    turned = [("turn_deg", v) for v in (-35, -20, -8, 8, 20, 35)]
    rows = [
        [changed(base, "person", melanin=float(np.sqrt(low * high))) for low, high in FITZPATRICK.values()],
        [changed(base, "person", blood=v) for v in (0.012, 0.02, 0.03, 0.04, 0.055, 0.075)],
        [changed(base, "person", gloss=v) for v in (0, 0.5, 1, 1.5, 2.5, 4)],
        [changed(base, "person", **shaped(who, age=v)) for v in (0.3, 0.7, 1.0, 1.3, 1.6, 1.9)],
        [changed(base, "person", **shaped(who, male=v)) for v in (0, 0.2, 0.4, 0.6, 0.8, 1)],
        [changed(base, "person", **shaped(who, weight=v)) for v in (0, 0.4, 0.8, 1.2, 1.6, 2)],
        [changed(base, "person", haircut=v) for v in HAIRCUTS] + [changed(base, "person", hairline=0.9)],
        [changed(base, "person", hair_rgb=HAIR[v]) for v in ("black", "dark", "brown", "blond", "red", "white")],
        [changed(base, "person", beard=v) for v in BEARDS] + [changed(base, "person", mask=True)],
        [changed(base, "person", glasses=v) for v in GLASSES]
        + [changed(base, "person", makeup=v) for v in (0.2, 0.5, 0.8)],
        [changed(base, "lighting", spectrum=v) for v in LIGHTS],
        [changed(base, "lighting", azimuth_deg=v) for v in (-75.0, -45.0, -15.0, 15.0, 45.0, 75.0)],
        [changed(base, "lighting", elevation_deg=v) for v in (-30.0, 0.0, 20.0, 40.0, 60.0, 80.0)],
        [changed(base, "lighting", sharpness=v, key=0.8, fill=0.15) for v in (1.5, 3.0, 6.0, 12.0, 30.0, 80.0)],
        [changed(base, "lighting", level=v) for v in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003)],
    ]
    pictures = [[portrait(scene)[0] for scene in row] for row in rows]
    pictures.append(
        [portrait(changed(base, "movement", **{name: abs(v), "seed": 1 + (v > 0)}))[0] for name, v in turned]
    )
    talking = changed(base, "movement", talk=1.0, smile=1.0, seed=3)
    return [*pictures, portrait(talking, (1.0, 1.6, 2.3, 3.1, 4.0, 5.2))]


def everybody(seed: int, rows: int = 5, columns: int = 8) -> list[list[Picture]]:
    """Many people, all skin types, in their own light."""
    numbers = np.arange(seed, seed + rows * columns)
    scenes = [scenarios.sample("rotate", int(n), wide=True) for n in numbers]
    pictures = [portrait(scene)[0] for scene in scenes]
    return [pictures[k * columns : (k + 1) * columns] for k in range(rows)]


def every_scenario(seed: int) -> list[list[Picture]]:
    """A row for each scenario, five moments each."""
    times = (1.0, 4.0, 7.0, 10.0, 13.0)
    return [portrait(scenarios.sample(name, seed + k), times, margin=2.6) for k, name in enumerate(scenarios.SCENARIOS)]


def temperatures(seed: int) -> list[list[Picture]]:
    """Thermal pictures of some people, from 22 (black) to 37 degrees (white), in and out of a breath."""
    rows = []
    for number in range(seed, seed + 6):
        scene = scenarios.sample("thermal", number)
        film, times = Film(scene, detail_px=SIZE / 2.5), np.arange(6) * 0.8 + 1
        x, y, side = film.face_px(times)[0] * [1, 1, 2.2]
        window = Window(np.array([[x - side / 2, y - side / 2]]), (side, side), (SIZE, SIZE))
        seen = thermal.temperatures(film, film.render(times, window)[1], times, window)
        shown = thermal.develop(scene, seen, times, window.size, np.random.default_rng(0), side_px=side)
        grey = np.clip((shown - 22) / 15 * 255, 0, 255).astype(np.uint8)
        rows.append([np.repeat(picture[..., None], 3, -1) for picture in grey])
    return rows


SHEETS = {"people": everybody, "factors": factors, "scenarios": every_scenario, "thermal": temperatures}


def main() -> None:
    """Make one sheet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sheet", choices=SHEETS)
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=100)
    wish = parser.parse_args()
    rows = SHEETS[wish.sheet](wish.seed)
    picture = np.concatenate([np.concatenate(row, axis=1) for row in rows])
    matplotlib.image.imsave(wish.out, picture)
    print(f"{wish.out}: {len(rows)} rows")


if __name__ == "__main__":
    main()
