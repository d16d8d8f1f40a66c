"""Run a recipe: train what is missing, evaluate, and set our numbers beside the paper's.

A cell is done when its folder has scores; what was interrupted goes on. A cell whose data are not there, or whose
training failed, is shown with the reason.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np

from vitalcam import config, recipes, score_tables
from vitalcam.data import Clips, Preparation, Store
from vitalcam.errors import DataError, UsageError
from vitalcam.evaluate import evaluate
from vitalcam.recipes import Cell, Recipe
from vitalcam.report import files
from vitalcam.train import train
from vitalcam.training import ClipBatches, TrainedModel, Training

log = logging.getLogger(__name__)

Score = tuple[float, float]


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
    """

    cell: Cell
    scores: dict[str, Score] = field(default_factory=dict)
    missing: str = ""
    scored: int = 0
    expected: int = 0


def reproduce(
    recipe: Recipe,
    source: Source,
    folder: Path,
    *,
    only: Iterable[str] = (),
    device: str = "",
    workers: int = 0,
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
        told: is called with each outcome as it comes.

    Returns:
        an outcome for each cell, done or missing.
    """
    outcomes = []
    for cell in recipes.chosen(recipe.cells(), only):
        run = _Cell(recipe, source, folder, cell, device, workers)
        outcomes.append(run.outcome())
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

    def outcome(self) -> Outcome:
        training = config.build(Training, self.recipe.training_of(self.cell), where=f"models.{self.cell.model}.")
        sets = {"source": self.source.name, "train": self.cell.train}
        trained = self.folder / "trainings" / config.digest({"training": config.to_dict(training), **sets})
        about = {"trained": trained.name, "test": self.cell.test, "protocol": config.to_dict(self.recipe.protocol)}
        about["measure"] = self.recipe.measuring_options(self.cell)
        place = self.folder / "cells" / config.digest(about)
        if not (place / "scores.json").exists():
            try:
                self._run(training, trained, place)
            except (DataError, UsageError) as error:
                return Outcome(self.cell, missing=str(error))
        return self._read(place)

    def _run(self, training: Training, trained: Path, place: Path) -> None:
        preparation = Preparation(training.spec.size_px, training.spec.fs_hz)
        stores = {name: self.source.store(name, preparation) for name in (self.cell.train, self.cell.test)}
        for name, store in stores.items():
            if store is None:
                raise DataError(f"no data of {name}")
        weights = trained / "last.safetensors"
        if not (trained / "done").exists():
            clips = Clips(stores[self.cell.train] or [], training.spec, change=training.target == "change")
            batches = ClipBatches(clips, training.batch, seed=training.seed, workers=self.workers)
            about = {"source": self.source.name, "train": self.cell.train, "clips": len(clips)}
            weights = train(training, batches, trained, about=about, device=self.device)
            files.write_text(trained / "done", "")
        model = TrainedModel(weights, device=self.device, options=self.recipe.measuring_options(self.cell))
        found = evaluate(stores[self.cell.test] or [], model, self.recipe.protocol, folder=place / "rows")
        for line in score_tables.completeness(found)[1:]:
            log.warning("%s %s", self.cell.key, line.strip())
        score_tables.write(found, place)

    def _read(self, place: Path) -> Outcome:
        found = json.loads((place / "scores.json").read_text(encoding="utf-8"))
        metrics = found["quantities"].get("heart_rate", {}).get("metrics", {})
        scores = {
            name: (score["value"], np.nan if score["standard_error"] is None else score["standard_error"])
            for name, score in metrics.items()
            if score["value"] is not None
        }
        missing = "" if scores else "no recording could be scored"
        return Outcome(self.cell, scores, missing, found["scored"], found["expected"])


@dataclass(frozen=True)
class Line:
    """Ours beside the paper's; NaN or None where unknown.

    Attributes:
        key: "MODEL/TRAIN/TEST".
        score: name of the score.
        ours, error: mean over the seeds; its standard error (of the one seed: that of the profile).
        seeds: how many.
        paper: value and standard error, or None.
        missing: why there is none of ours.
    """

    key: str
    score: str
    ours: float
    error: float
    seeds: int
    paper: Score | None
    missing: str = ""

    @property
    def difference(self) -> float:
        """Ours minus the paper's."""
        return self.ours - self.paper[0] if self.paper else np.nan


def compare(recipe: Recipe, outcomes: Sequence[Outcome], scores: Sequence[str] = ("mae",)) -> list[Line]:
    """Lines of the table: every cell of the outcomes, in their order, seeds together."""
    lines = []
    for key in dict.fromkeys(outcome.cell.key for outcome in outcomes):
        mine = [outcome for outcome in outcomes if outcome.cell.key == key]
        for score in scores:
            expected = recipe.expect.get(key, {}).get(score)
            paper = (float(expected[0]), float(expected[1]) if len(expected) > 1 else np.nan) if expected else None
            given = [outcome.scores[score] for outcome in mine if score in outcome.scores]
            missing = "; ".join(dict.fromkeys(outcome.missing for outcome in mine if outcome.missing))
            lines.append(Line(key, score, *_over_seeds(given), len(given), paper, missing))
    return lines


def _over_seeds(given: Sequence[Score]) -> Score:
    if len(given) < 2:
        return given[0] if given else (np.nan, np.nan)
    values = np.array([value for value, _ in given])
    return float(values.mean()), float(values.std(ddof=1) / np.sqrt(values.size))


def markdown(recipe: Recipe, source: Source, outcomes: Sequence[Outcome], scores: Sequence[str] = ("mae",)) -> str:
    """The table, with what is missing under it."""
    lines = compare(recipe, outcomes, scores)
    done = [outcome for outcome in outcomes if outcome.scores]
    text = [f"# {recipe.title}", recipe.paper, *([recipe.notes] if recipe.notes else [])]
    text += [f"Data: {source.name}. {len(done)} of {len(outcomes)} cells have numbers.", ""]
    text += ["| cell | score | ours | seeds | paper | difference |", "| --- | --- | --- | --- | --- | --- |"]
    for line in lines:
        ours = "missing" if line.missing and not line.seeds else _pair((line.ours, line.error))
        paper, difference = (_pair(line.paper), f"{line.difference:+.2f}") if line.paper else ("–", "–")
        difference = "–" if np.isnan(line.difference) else difference
        text.append(f"| {line.key} | {line.score} | {ours} | {line.seeds} | {paper} | {difference} |")
    gaps = dict.fromkeys(f"- {line.key}: {line.missing}" for line in lines if line.missing)
    return "\n".join([*text, *(["", "Missing:", *gaps] if gaps else [])]) + "\n"


def _pair(score: Score | None) -> str:
    if score is None or np.isnan(score[0]):
        return "–"
    return f"{score[0]:.2f}" if np.isnan(score[1]) else f"{score[0]:.2f} ± {score[1]:.2f}"
