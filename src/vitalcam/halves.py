"""Training on one half of the scene factors and testing on the other, for `vitalcam.reproduce`.

Takes of plates whose scenario is taught are shot once and kept as prepared recordings, which every network, ablation
and seed shares. They vary in heart, speed and stretch of the plate alone (`Shooting.plain`): all else that takes can
vary, such as flicker, hunting or an encoder, would bring in factors of the other half. Tested are recordings of
ladder-1 that nobody chose anything by (``split`` "test"), with a pulse.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from vitalcam import config, crops
from vitalcam.data import Preparation, Prepared, Store, prepare
from vitalcam.errors import DatasetError
from vitalcam.synth import recordings, scenarios
from vitalcam.synth.plates import Bank
from vitalcam.synth.takes import Shooting, shoot

if TYPE_CHECKING:
    from vitalcam.types import Recording

TAUGHT = ("still", "slow_breath", "dark_skin", "compressed", "warm_light", "clouds", "talk", "glide")
UNTAUGHT = ("recovery", "webcam", "low_light", "flicker", "rotate", "walk", "exercise")
"""Each kind of factor is on both sides, and what is harder of its kind is tested: of motion talk and glide against
rotate, walk and exercise; of light warm_light and clouds against low_light and flicker; of cameras compressed against
webcam; of hearts and lungs slow_breath against recovery. Skin and a still face are taught, for every tested recording
shows some skin. Chosen before anything was trained."""

TAKES = "takes"
SETS = {"taught": TAUGHT, "untaught": UNTAUGHT}
"""Sets to test on, by their scenarios; to train on there is `TAKES`."""

_DATASET = "takes of plates"


class Halves:
    """A source for `vitalcam.reproduce`.

    Args:
        plates: folder that `vitalcam plates` made.
        ladder: folder of ladder-1, as `vitalcam synth` writes it; perhaps in part.
        folder: where takes and prepared recordings are kept; what is there is not made again.
        frames: of a take.
        seed: of the takes.

    Raises:
        DatasetError: there are no plates.
    """

    def __init__(self, plates: Path, ladder: Path, folder: Path, *, frames: int = 180, seed: int = 0) -> None:
        self._bank = Bank(plates / "training")
        self.ladder, self.folder, self.frames, self.seed = ladder, folder, frames, seed
        self._numbers = [k for k in range(len(self._bank)) if self._bank[k].scene.scenario in TAUGHT]
        shown = [self._bank[k].scene.digest for k in self._numbers]
        self._digest = config.digest({"plates": shown, "frames": frames, "seed": seed})
        self.name = f"one take of each of {len(shown)} plates of taught scenarios ({self._digest}); ladder-1"

    def store(self, dataset: str, preparation: Preparation) -> Store | None:
        """Takes, or recordings of one half of ladder-1, prepared; None if there is none of that name."""
        if dataset == TAKES:
            return self._takes(preparation)
        return self._tested(dataset, preparation) if dataset in SETS else None

    @functools.cache  # noqa: B019 (a source lives as long as the run)
    def _takes(self, preparation: Preparation) -> Store:
        if not self._numbers:
            raise DatasetError(
                f"{self._bank.folder}: no plate is of {', '.join(TAUGHT)}; make more with vitalcam plates"
            )
        if preparation.channels != "rgb":
            raise DatasetError(f"ladder-1 is in RGB alone but for one scenario; wanted is {preparation.channels}")
        if self._bank.recipe.size_px < preparation.size_px:
            raise DatasetError(
                f"plates are of {self._bank.recipe.size_px} px, wanted are {preparation.size_px} px; make them with "
                f"vitalcam plates --size {preparation.size_px}"
            )
        store = Store(self.folder / f"takes-{self._digest}" / preparation.digest)
        for number in self._numbers:
            id = f"{number:05d}"
            if not store.status(_DATASET, id):
                store.add(self._take(number, id, preparation))
        return store

    def _take(self, number: int, id: str, preparation: Preparation) -> Prepared:
        """One take of a plate; its pictures as `Prepared` keeps them."""
        take = shoot(
            self._bank[number], np.random.default_rng([self.seed, 16, number]), frames=self.frames,
            size_px=preparation.size_px, fs_hz=preparation.fs_hz, shooting=Shooting.plain(),
        )  # fmt: skip
        video = take.video.permute(1, 2, 3, 0).numpy()
        return Prepared(
            _DATASET, str(take.scene.identity), id, {"scenario": take.scene.scenario}, preparation.fs_hz, 0,
            np.rint(video * crops.STEPS).clip(0, 2**16 - 1).astype(np.uint16),
            video.mean(axis=(1, 2)), np.ones(self.frames, bool),
            {"bvp": take.bvp.astype(np.float32), "resp": take.resp.astype(np.float32)},
        )  # fmt: skip

    @functools.cache  # noqa: B019
    def _tested(self, dataset: str, preparation: Preparation) -> Store:
        found = list(self._recordings(SETS[dataset]))
        wanted = len(SETS[dataset]) * scenarios.LADDER_CLIPS // 2
        if len(found) != wanted:
            raise DatasetError(
                f"{self.ladder}: holds {len(found)} of the {wanted} recordings of ladder-1 to test on; make them with "
                f"vitalcam synth ladder-1 --out {self.ladder}"
            )
        return prepare(found, self.folder / dataset, preparation)[0]

    def _recordings(self, kinds: tuple[str, ...]) -> Iterator[Recording]:
        for path in sorted(self.ladder.glob("*/scene.json")):
            about = json.loads(path.read_text(encoding="utf-8"))
            if about["split"] == "test" and about["scenario"] in kinds and "-null-" not in path.parent.name:
                yield recordings.read(path.parent)
