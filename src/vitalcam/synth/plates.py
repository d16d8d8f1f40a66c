"""Plates: pieces of film with the pulse left open, so that one costly rendering serves for many takes.

Light is linear in the blood: a plate keeps what a face sends while the blood stands still and what one unit of blood
adds to it. `vitalcam.synth.takes` lays other pulses over it, through other cameras. A bank is a folder of plates.
"""

from __future__ import annotations

import dataclasses
import functools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vitalcam import config, files
from vitalcam.errors import ConfigError, DatasetError, UnknownName
from vitalcam.synth import scenarios, thermal
from vitalcam.synth.breath import Breathing
from vitalcam.synth.film import Film, Window
from vitalcam.synth.scene import Scene
from vitalcam.types import Floats

CROP = 1.5
"""Side of the square about a face, in sides of the face's box, as `vitalcam.face.sample` cuts it."""
MARGIN = 1 / 9
"""How much more than the square a plate shows, so that squares may lie in it here or there."""
TRAINING = (0, scenarios.TEST_IDENTITIES * 9 // 10)
VALIDATION = (TRAINING[1], scenarios.TEST_IDENTITIES)
"""Identities of the people on plates: those that teach, those that choose the best epoch; from there on they test."""

_STILL = 0.05  # the square stays while the face moves less than this share of its side
_CHUNK = 60  # frames rendered together
_RECIPE = "recipe.json"
_OPEN = 256  # plates of a bank that are kept open: each holds a file, and a process may have about a thousand


@dataclass(frozen=True)
class Recipe:
    """What plates to make; number ``k`` of equal recipes is equal.

    Attributes:
        size_px: side of the squares to be cut from them; plates are `MARGIN` larger.
        duration_s, fs_hz: length and rate.
        scenario: names in `vitalcam.synth.scenarios.SCENARIOS`; a plate is of one of them.
        identities: people to draw from: this one to the one before that.
        seed: of everything.
        thermal: whether a thermal camera films too.

    Raises:
        ConfigError: the people are not for training.
        UnknownName: there is no such scenario.
    """

    size_px: int = 36
    duration_s: float = 12.0
    fs_hz: float = 30.0
    scenario: tuple[str, ...] = tuple(name for name in scenarios.LADDER if name != "thermal")
    identities: tuple[int, int] = TRAINING
    seed: int = 0
    thermal: bool = False

    def __post_init__(self) -> None:
        low, high = self.identities
        if not 0 <= low < high <= scenarios.TEST_IDENTITIES:
            raise ConfigError(
                f"identities is {self.identities}; people that are not for testing are 0 to {scenarios.TEST_IDENTITIES}"
            )
        for name in self.scenario:
            if name not in scenarios.SCENARIOS:
                raise UnknownName("scenario", name, scenarios.SCENARIOS)

    def scene(self, number: int) -> Scene:
        """What plate ``number`` shows."""
        rng = np.random.default_rng([self.seed, 14, number])
        identity, seed = int(rng.integers(*self.identities)), int(rng.integers(2**31))
        name = self.scenario[int(rng.integers(len(self.scenario)))]
        scene = scenarios.sample(name, seed, identity=identity, duration_s=self.duration_s, wide=True)
        return dataclasses.replace(scene, camera=dataclasses.replace(scene.camera, thermal=self.thermal))


@dataclass(frozen=True)
class Plate:
    """A piece of film with the pulse left open.

    Attributes:
        scene: what it shows; its heart does not beat yet.
        breath: how the person breathes on it.
        fs_hz: its rate; frame ``i`` was taken at ``i / fs_hz``.
        pixels: (T, 7, h, w) float16: linear light while the blood stands still, 3; what one unit of blood adds, 3; how
            much of the blood is late, 0..1. With a thermal camera (T, 9, h, w): degrees Celsius above those of the
            person while the blood stands still, and what one unit of blood adds.
        delays_s: of blood that is early, and late.
        origin_px: (T, 2) left upper corner in pixels of the camera.
        side_px: side in pixels of the camera.
    """

    scene: Scene
    breath: Breathing
    fs_hz: float
    pixels: Tensor
    delays_s: tuple[float, float]
    origin_px: Floats
    side_px: float

    @property
    def duration_s(self) -> float:
        """From the first frame to the last."""
        return (len(self.pixels) - 1) / self.fs_hz


def render(recipe: Recipe, number: int, device: torch.device | str = "cpu") -> Plate:
    """Render a plate."""
    scene = recipe.scene(number)
    film = Film(scene, detail_px=recipe.size_px / CROP, device=device)
    times = np.arange(round(recipe.duration_s * recipe.fs_hz)) / recipe.fs_hz
    window = square(film.face_px(times), recipe.size_px, np.random.default_rng([scene.seed, 15]), margin=MARGIN)
    pixels = torch.cat(list(_chunks(film, times, window)))
    return Plate(scene, film.breath, recipe.fs_hz, pixels, film.delays_s, window.origin_px, window.side_px[0])


def square(face_px: Floats, size_px: int, rng: np.random.Generator, margin: float = 0.0) -> Window:
    """The square that follows a face (T, 3), a little off and of a little other size, as a detector's would be.

    It is shown in ``size_px`` by ``size_px``, and with a margin in so many more.
    """
    side = CROP * float(np.median(face_px[:, 2])) * float(np.exp(rng.normal(0, 0.06)))
    centre, held = np.empty((len(face_px), 2)), face_px[0, :2]
    for row, there in zip(centre, face_px[:, :2], strict=True):
        if np.abs(there - held).max() > _STILL * side / CROP:
            held = there
        row[:] = held
    centre += rng.normal(0, 0.03, 2) * side
    shown = round(size_px * (1 + margin))
    side *= shown / size_px
    return Window(centre - side / 2, (side, side), (shown, shown), finer=2 if size_px >= 36 else 4)


def _chunks(film: Film, times_s: Floats, window: Window) -> Iterator[Tensor]:
    for start in range(0, times_s.size, _CHUNK):
        part = slice(start, start + _CHUNK + 1)  # the first frame of the next chunk fades into this one's last
        here = dataclasses.replace(window, origin_px=window.origin_px[part])
        whole, patches = film.plate(times_s[part], here)
        light = whole[:_CHUNK].permute(0, 3, 1, 2)
        added, late = light[:, 3:6], light[:, 6:]
        share = late.abs().sum(1, keepdim=True) / added.abs().sum(1, keepdim=True).clamp(min=1e-9)
        values = [light[:, :3], added, share.clamp(0, 1)]
        if film.scene.camera.thermal:
            values.append(thermal.plate(film, patches, times_s[part], here)[:_CHUNK].permute(0, 3, 1, 2))
        yield torch.cat(values, 1).half()


class Rolling:
    """Endless plates, rendered as they are needed; a few are at hand, and they are replaced one after the other.

    Args:
        recipe: of the plates.
        pool: how many are at hand.
        takes: clips for which a plate serves, on the average.
        device: where they are rendered and stay.
    """

    def __init__(self, recipe: Recipe, *, pool: int = 8, takes: int = 24, device: torch.device | str = "cpu") -> None:
        self.recipe, self._pool, self._takes = recipe, pool, takes
        self._rendered = functools.lru_cache(maxsize=pool + 1)(lambda number: render(recipe, number, device))

    def numbers(self, clip: int) -> range:
        """Plates that clip number ``clip`` may show."""
        first = clip // self._takes
        return range(first, first + self._pool)

    def __getitem__(self, number: int) -> Plate:
        return self._rendered(number)


class Bank:
    """Plates in a folder, read as they are needed.

    Args:
        folder: that `fill` made, perhaps in part.

    Raises:
        DatasetError: it holds no plates, or one that is asked for is damaged.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.recipe = folder, _recipe(folder)
        self._cards = sorted(folder.glob("[0-9]*.json"))
        if not self._cards:
            raise DatasetError(f"{folder}: holds no plates; make some with vitalcam plates")
        self._read = functools.lru_cache(maxsize=_OPEN)(self._opened)

    def __len__(self) -> int:
        return len(self._cards)

    @property
    def digest(self) -> str:
        """Names the plates there are."""
        recipe = config.to_dict(self.recipe)
        if not self.recipe.thermal:
            del recipe["thermal"]  # banks made before there were thermal ones keep their name
        return config.digest({"recipe": recipe, "plates": [card.name for card in self._cards]})

    def numbers(self, clip: int) -> range:
        """Plates that a clip may show: all."""
        return range(len(self))

    def __getitem__(self, number: int) -> Plate:
        return self._read(number)

    def _opened(self, number: int) -> Plate:
        card = self._cards[number]
        try:
            return _plate(card)
        except (OSError, EOFError, ValueError, TypeError, KeyError) as error:
            raise DatasetError(f"{card}: damaged ({error!r}); delete it and call vitalcam plates again") from None


def _plate(card: Path) -> Plate:
    about: dict[str, Any] = json.loads(card.read_text(encoding="utf-8"))
    frames = np.load(card.with_suffix(".npy"), mmap_mode="c")
    breath = about["breath"]
    arrays = {name: np.array(breath[name]) for name in ("onset_s", "inspired_s", "held_s", "depth")}
    return Plate(
        config.build(Scene, about["scene"]), Breathing(**arrays, speech=breath["speech"]), about["fs_hz"],
        torch.from_numpy(frames), tuple(about["delays_s"]), np.array(about["origin_px"]), about["side_px"],
    )  # fmt: skip


def fill(folder: Path, recipe: Recipe, n: int, *, validation: int = 0) -> Iterator[Path]:
    """Make two banks, ``training`` and ``validation``, of people that differ; the smaller one comes first.

    What is there is left alone: after a kill, or to have more of them, do it again.

    Args:
        folder: where.
        recipe: of the plates, but for the people.
        n: plates that teach.
        validation: plates that choose the best epoch.

    Yields:
        the file that says what a plate shows, as each is there.

    Raises:
        ConfigError: the folder holds plates of another recipe.
        OutputError: it cannot be written.
    """
    if validation:
        yield from _write(folder / "validation", dataclasses.replace(recipe, identities=VALIDATION), validation)
    yield from _write(folder / "training", dataclasses.replace(recipe, identities=TRAINING), n)


def _write(folder: Path, recipe: Recipe, n: int) -> Iterator[Path]:
    if not (folder / _RECIPE).exists():
        files.write_text(folder / _RECIPE, json.dumps(config.to_dict(recipe), indent=1))
    if _recipe(folder) != recipe:
        raise ConfigError(f"{folder}: holds plates of another recipe, see its {_RECIPE}; give another folder")
    for number in range(n):
        card = folder / f"{number:05d}.json"
        if not card.exists():
            _write_plate(card, render(recipe, number))
        yield card


def _write_plate(card: Path, plate: Plate) -> None:
    """The frames, and then the card, which says that all is there."""
    with files.whole(card.with_suffix(".npy")) as part, part.open("wb") as file:
        np.save(file, plate.pixels.numpy())
    breath = {
        name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in vars(plate.breath).items()
    }
    about = {
        "digest": plate.scene.digest, "fs_hz": plate.fs_hz, "side_px": plate.side_px, "delays_s": plate.delays_s,
        "scene": dataclasses.asdict(plate.scene), "breath": breath, "origin_px": plate.origin_px.round(3).tolist(),
    }  # fmt: skip
    files.write_text(card, json.dumps(about))


def _recipe(folder: Path) -> Recipe:
    try:
        return config.build(Recipe, json.loads((folder / _RECIPE).read_text(encoding="utf-8")))
    except OSError:
        raise DatasetError(f"{folder}: holds no plates; make some with vitalcam plates") from None
    except ValueError as error:
        raise DatasetError(
            f"{folder / _RECIPE}: damaged ({error}); delete {folder} and make its plates again"
        ) from None
