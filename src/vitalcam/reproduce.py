"""Run a recipe: train what is missing, evaluate, measure costs. `vitalcam.paper_tables` sets it beside the paper.

A cell is done when its folder has scores; what was interrupted goes on. A cell whose data are not there, or whose
training failed, is shown with the reason. Trainings that recipes share are done once.
"""

from __future__ import annotations

import dataclasses
import json
import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from vitalcam import config, files, recipes, score_tables
from vitalcam.cost import cost, machine
from vitalcam.data import Clips, Preparation, Store
from vitalcam.errors import DataError, UsageError
from vitalcam.evaluate import evaluate
from vitalcam.person import Runner
from vitalcam.pipeline import Classical
from vitalcam.recipes import Cell, Recipe
from vitalcam.recipes.splits import Split
from vitalcam.train import train
from vitalcam.training import ClipBatches, TrainedModel, Training
from vitalcam.types import ModelSpec

log = logging.getLogger(__name__)

Score = tuple[float, float]

_NOT_RUN = "not run yet"
_PREFIXES = {"heart_rate": "", "resp_rate": "resp_"}


class Source(Protocol):
    """Where the data sets of a recipe come from.

    Attributes:
        name: of the source, for the reader: the sets themselves, or stand-ins for them.
    """

    name: str

    def store(self, dataset: str, preparation: Preparation) -> Store | None:
        """A set as it was prepared, or None if it is not there."""


@dataclass(frozen=True)
class Outcome:
    """What became of a cell.

    Attributes:
        scores: value and standard error by name; empty if there are none.
        missing: why not.
        scored, expected: recordings.
        people: who trained and who was tested, where one set was divided.
        place: folder of its rows and scores.
        losses: of its training, one for each epoch.
    """

    cell: Cell
    scores: dict[str, Score] = field(default_factory=dict)
    missing: str = ""
    scored: int = 0
    expected: int = 0
    people: str = ""
    place: Path | None = None
    losses: tuple[float, ...] = ()


def reproduce(
    recipe: Recipe,
    source: Source,
    folder: Path,
    *,
    only: Iterable[str] = (),
    device: str = "",
    workers: int = 0,
    run: bool = True,
    told: Callable[[Outcome], None] | None = None,
) -> list[Outcome]:
    """Run the cells of a recipe.

    Args:
        recipe: what to run.
        source: of the data.
        folder: trainings and scores; cells that are done are not run again.
        only: which cells; see `vitalcam.recipes.chosen`.
        device: as torch names it.
        workers: processes that read clips ahead.
        run: False for what is done already alone.
        told: is called with each outcome as it comes.

    Returns:
        an outcome for each cell, done or missing.
    """
    outcomes = []
    networks = {cell.model: cell for cell in recipe.cells() if not recipe.method_of(cell.model)}
    sizes_px = frozenset(_training(recipe, cell).spec.size_px for cell in networks.values())
    for cell in recipes.chosen(recipe.cells(), only):
        outcomes.append(_Cell(recipe, source, folder, cell, device, workers, sizes_px, run).outcome())
        if told:
            told(outcomes[-1])
    return outcomes


@dataclass(frozen=True)
class _Cell:
    """One cell at work."""

    recipe: Recipe
    source: Source
    folder: Path
    cell: Cell
    device: str
    workers: int
    sizes_px: frozenset[int]
    run: bool

    def outcome(self) -> Outcome:
        method = self.recipe.method_of(self.cell.model)
        return self._of_method(method) if method else self._of_network()

    def _of_method(self, method: str) -> Outcome:
        """A classical method learns nothing and sees the mean colour of the skin, which is kept at every size."""
        runner = Classical(method)
        about = {"method": method, "source": self.source.name, "test": self.cell.test}
        place = self._place({**about, "protocol": config.to_dict(self.recipe.protocol)})
        if not (place / "scores.json").exists():
            if not self.run:
                return Outcome(self.cell, missing=_NOT_RUN)
            try:
                self._score(self._store(self.cell.test, runner.spec), runner, place)
            except (DataError, UsageError) as error:
                return Outcome(self.cell, missing=str(error))
        return self._read(None, place, {})

    def _of_network(self) -> Outcome:
        training = _training(self.recipe, self.cell)
        try:
            costs = self._costs(training) if self.recipe.cost else {}
        except (DataError, UsageError) as error:
            return Outcome(self.cell, missing=str(error))
        if not self.cell.train:
            return Outcome(self.cell, costs, missing="" if costs else _NOT_RUN)
        split = config.to_dict(self._split) if self._split else None
        sets = {"source": self.source.name, "train": self.cell.train, "split": split}
        trained = self.folder / "trainings" / config.digest({"training": config.to_dict(training), **sets})
        about = {"trained": trained.name, "test": self.cell.test, "protocol": config.to_dict(self.recipe.protocol)}
        about["measure"] = self.recipe.measuring_options(self.cell)
        place = self._place(about)
        if not (place / "scores.json").exists():
            if not self.run:
                return Outcome(self.cell, costs, missing=_NOT_RUN)
            try:
                self._train_and_score(training, trained, place)
            except (DataError, UsageError) as error:
                return Outcome(self.cell, costs, missing=str(error))
        return self._read(trained, place, costs)

    def _place(self, about: dict[str, Any]) -> Path:
        return self.folder / "cells" / config.digest(about)

    @property
    def _split(self) -> Split | None:
        return self.recipe.split(self.cell.split, self.cell.train) if self.cell.split else None

    def _train_and_score(self, training: Training, trained: Path, place: Path) -> None:
        train_on, test_on, people = self._sides(training.spec)
        weights = trained / "last.safetensors"
        if not (trained / "done").exists():
            clips = Clips(train_on, training.spec, change=training.target == "change")
            batches = ClipBatches(clips, training.batch, seed=training.seed, workers=self.workers)
            about = {"source": self.source.name, "train": self.cell.train, "clips": len(clips), "people": people}
            weights = train(training, batches, trained, about=about, device=self.device)
            files.write_text(trained / "done", "")
        model = TrainedModel(weights, device=self.device, options=self.recipe.measuring_options(self.cell))
        self._score(test_on, model, place, people)

    def _score(self, test_on: Store, what: Runner, place: Path, people: str = "") -> None:
        files.write_text(place / "people.txt", people)
        found = evaluate(test_on, what, self.recipe.protocol, folder=place / "rows")
        for line in score_tables.completeness(found)[1:]:
            log.warning("%s %s", self.cell.key, line.strip())
        score_tables.write(found, place)

    def _sides(self, spec: ModelSpec) -> tuple[Store, Store, str]:
        """Recordings to train on and to test on, and how they were divided."""
        train_on, test_on = self._store(self.cell.train, spec), self._store(self.cell.test, spec)
        if self._split is None:
            return train_on, test_on, ""
        sides = self._split.of(card["subject"] for card in train_on.manifest)
        words = (
            f"{self.cell.train}, {self.cell.split}: {len(sides.train)} people train, {len(sides.test)} others are "
            f"tested ({sides.rule}): {' '.join(sides.test)}"
        )
        return Store(train_on.folder, sides.train), Store(train_on.folder, sides.test), words

    def _store(self, dataset: str, spec: ModelSpec) -> Store:
        size_px = max(size for size in self.sizes_px if size % spec.size_px == 0)
        store = self.source.store(dataset, dataclasses.replace(Preparation.of(spec), size_px=size_px))
        if store is None:
            raise DataError(f"no data of {dataset}")
        return store

    def _costs(self, training: Training) -> dict[str, Score]:
        """Costs of the network as it measures, on this machine."""
        options = {**training.options, **self.recipe.measuring_options(self.cell)}
        about = {"model": training.model, "variant": training.variant, "options": options, "machine": machine()}
        path = self.folder / "costs" / f"{config.digest(about)}.json"
        if not path.exists():
            if not self.run:
                return {}
            network = dataclasses.replace(training, options=options, start="").network()
            files.write_text(path, json.dumps({**about, "costs": cost(network, training.spec)}, indent=1) + "\n")
        costs = json.loads(path.read_text(encoding="utf-8"))["costs"]
        return {name: (value, np.nan) for name, value in costs.items()}

    def _read(self, trained: Path | None, place: Path, costs: dict[str, Score]) -> Outcome:
        found = json.loads((place / "scores.json").read_text(encoding="utf-8"))
        scores = {
            prefix + name: (score["value"], np.nan if score["standard_error"] is None else score["standard_error"])
            for quantity, prefix in _PREFIXES.items()
            for name, score in found["quantities"].get(quantity, {}).get("metrics", {}).items()
            if score["value"] is not None
        }
        missing = "" if scores else "no recording could be scored"
        people = (place / "people.txt").read_text(encoding="utf-8")
        losses = _losses(trained) if trained else ()
        counts = found["scored"], found["expected"]
        return Outcome(self.cell, {**scores, **costs}, missing, *counts, people, place, losses)


def _training(recipe: Recipe, cell: Cell) -> Training:
    return config.build(Training, recipe.training_of(cell), where=f"models.{cell.model}.")


def _losses(trained: Path) -> tuple[float, ...]:
    """Mean loss of each epoch: the last that was noted of it; none where the training is kept no more."""
    path = trained / "metrics.jsonl"
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    by_epoch = {row["epoch"]: float(row["loss"]) for row in map(json.loads, lines)}
    return tuple(by_epoch[epoch] for epoch in sorted(by_epoch))
