"""Tables of the papers as recipes: one TOML file each, with its axes and the numbers that the paper printed.

paper = "…"                          title = "…"          notes = "what a reader must know"
[matrix]                             axes: model, train, test, seed, split; a cell trains on one set and tests on
                                     another, and with a split on one set divided; without sets only costs are measured
[splits.NAME]                        by data set: fields of `vitalcam.recipes.splits.Split`
[models.NAME]                        fields of `vitalcam.training.Training`; ``measure``: options when measuring;
                                     ``by_data``: fields for those trained on a set; or of a classical method its name
                                     alone, ``method``: it is tested once, whatever the seeds
[training] and [by_data.SET]         fields for all models, and for all that are trained on a set
[protocol]                           fields of `vitalcam.evaluate.Protocol`
cost = true                          what each network costs is measured on this machine too
[paired]                             two models whose seeds are compared: fields of `Paired`
[[claims]]                           what a paper says of two models, to be judged by our numbers: fields of `Claim`
[curve]                              what is drawn: fields of `Curve`
[expect]                             KEY = {mae = [value, standard error], …}

A KEY is MODEL for costs, MODEL/TRAIN/TEST for the mean over seeds and splits, and for one of them
MODEL/TRAIN/TEST/SPLIT, MODEL/TRAIN/TEST#SEED or both; MODEL/TRAIN/* is the mean over the sets tested on, MODEL/*/* over
all cells of a model.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitalcam import config
from vitalcam.errors import ConfigError, UnknownName
from vitalcam.evaluate import Protocol
from vitalcam.recipes.splits import Split

_FOLDER = Path(__file__).parent
_AXES = ("model", "train", "test", "split", "seed")
_KEY = re.compile(r"[^/#]+/[^/#]+/[^/#]+(/[^/#]+)?(#\d+)?")
METRICS = ("mae", "rmse", "mape", "pearson", "snr_db", "macc")
COSTS = ("parameters", "gmac", "size_mb", "cpu_ms", "gpu_ms", "memory_mb")
"""Of a network for one clip: trained parameters, 10^9 multiply-adds, megabytes of its float32 tensors, milliseconds;
the papers' memory is of their own GPU and is never measured here."""
SCORES = (*METRICS, *(f"resp_{name}" for name in METRICS), *COSTS)
"""What a table may expect, in the order in which it is shown; ``resp_`` is breathing."""


@dataclass(frozen=True)
class Matrix:
    """Axes of a table."""

    model: tuple[str, ...]
    train: tuple[str, ...] = ()
    test: tuple[str, ...] = ()
    seed: tuple[int, ...] = (100,)
    split: tuple[str, ...] = ()


@dataclass(frozen=True)
class Paired:
    """Two models whose scores over the seeds are compared by a paired t-test.

    Attributes:
        models: the two, or none.
        p: what the paper printed, by score.
    """

    models: tuple[str, ...] = ()
    p: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if len(self.models) not in (0, 2):
            raise ConfigError(f"paired.models names {len(self.models)} models; give two")


@dataclass(frozen=True)
class Claim:
    """What a paper says of two models; `vitalcam.claims` judges it by the mean absolute errors.

    Attributes:
        says: in a few words.
        where: paper and table.
        better, than: models of the recipe.
        within: 0 where the first is said to err less; else both are said to be alike, and this is the difference per
            minute that is taken for none.
    """

    says: str
    where: str
    better: str
    than: str
    within: float = 0.0


@dataclass(frozen=True)
class Curve:
    """What is drawn, if anything.

    Attributes:
        x: a score or cost, of which each model has one point; or "epoch", over which the loss of trainings is drawn.
        y: a score, or "loss".
    """

    x: str = ""
    y: str = ""

    def __post_init__(self) -> None:
        if (self.x, self.y) in (("", ""), ("epoch", "loss")):
            return
        if self.x == "epoch" or self.y == "loss":
            raise ConfigError(f"curve of {self.y!r} over {self.x!r}: it is loss over epoch, or one score over another")
        for name in (self.x, self.y):
            if name not in SCORES:
                raise UnknownName("score of the curve", name, SCORES)


@dataclass(frozen=True)
class Recipe:
    """A table of a paper; the fields are those of its file."""

    paper: str
    title: str
    matrix: Matrix
    models: Mapping[str, Any]
    training: Mapping[str, Any] = field(default_factory=dict)
    by_data: Mapping[str, Any] = field(default_factory=dict)
    protocol: Protocol = field(default_factory=Protocol)
    expect: Mapping[str, Any] = field(default_factory=dict)
    notes: str = ""
    splits: Mapping[str, Any] = field(default_factory=dict)
    cost: bool = False
    paired: Paired = field(default_factory=Paired)
    claims: tuple[Claim, ...] = ()
    curve: Curve = field(default_factory=Curve)

    def __post_init__(self) -> None:
        claimed = (name for claim in self.claims for name in (claim.better, claim.than))
        for name in (*self.matrix.model, *self.paired.models, *claimed):
            if name not in self.models:
                raise UnknownName("model of this recipe", name, self.models)
        for name in self.matrix.split:
            if name not in self.splits:
                raise UnknownName("split of this recipe", name, self.splits)
            for dataset in self.splits[name]:
                self.split(name, dataset)
        for key, scores in self.expect.items():
            if not (_KEY.fullmatch(key) or (self.cost and key in self.models)):
                raise ConfigError(f"expect {key!r} is not of the form MODEL/TRAIN/TEST[/SPLIT][#SEED]")
            for score in scores:
                if score not in SCORES:
                    raise UnknownName(f"score of {key!r}", score, SCORES)
        if not self.cells():
            raise ConfigError(f"{self.title}: the matrix has no cell in which train and test differ")

    def cells(self) -> list[Cell]:
        """All cells, the test sets of one training together."""
        matrix = self.matrix
        if self.cost and not matrix.train:
            return [Cell(model) for model in matrix.model]
        axes = itertools.product(matrix.model, matrix.train, matrix.split or ("",), matrix.seed, matrix.test)
        return [
            Cell(model, train, test, seed, split)
            for model, train, split, seed, test in axes
            if not (self.method_of(model) and seed != matrix.seed[0])
            and (train == test and train in self.splits[split] if split else train != test)
        ]

    def split(self, name: str, dataset: str) -> Split:
        """How a set is divided.

        Raises:
            ConfigError: the file says it wrongly.
        """
        return config.build(Split, self.splits[name][dataset], where=f"splits.{name}.{dataset}.")

    def method_of(self, model: str) -> str:
        """The classical method that a model is; empty for a network."""
        return str(self.models[model].get("method", ""))

    def training_of(self, cell: Cell) -> dict[str, Any]:
        """Fields of the training that a cell needs."""
        model = dict(self.models[cell.model])
        model.pop("measure", None)
        own = model.pop("by_data", {}).get(cell.train, {})
        return {**self.training, **model, **self.by_data.get(cell.train, {}), **own, "seed": cell.seed}

    def measuring_options(self, cell: Cell) -> dict[str, Any]:
        """Options of the network that differ when it measures."""
        return dict(self.models[cell.model].get("measure", {}))


@dataclass(frozen=True)
class Cell:
    """One training and one test set, or a network whose cost is measured."""

    model: str
    train: str = ""
    test: str = ""
    seed: int = 100
    split: str = ""

    @property
    def key(self) -> str:
        """What the paper's numbers are found by, over all seeds and splits."""
        return f"{self.model}/{self.train}/{self.test}" if self.train else self.model

    @property
    def keys(self) -> list[str]:
        """All keys that this cell counts towards, the widest first."""
        if not self.train:
            return [self.key]
        parts = [f"{self.key}/{self.split}"] if self.split else []
        wide = [self.model, f"{self.model}/*/*", f"{self.model}/{self.train}/*", self.key, *parts]
        return [*wide, *(f"{key}#{self.seed}" for key in (self.key, *parts))]


def names() -> list[str]:
    """Names of the recipes that come with the package."""
    return sorted(path.stem for path in _FOLDER.glob("*.toml"))


def load(name: str | Path, overrides: Iterable[str] = ()) -> Recipe:
    """A recipe by its name or from a file of the user's.

    Args:
        name: of `names`, or the path of a .toml file.
        overrides: such as ``training.epochs=1`` or ``matrix.seed=[1,2,3]``.

    Raises:
        UnknownName: there is no such recipe, or it names a model that it does not describe.
        ConfigError: a key is unknown or has a wrong value; the message names file and key.
    """
    path = Path(name)
    if path.suffix != ".toml":
        if str(name) not in names():
            raise UnknownName("recipe", str(name), names())
        path = _FOLDER / f"{name}.toml"
    values = config.with_overrides(config.read_toml(path), overrides)
    try:
        return config.build(Recipe, values)
    except ConfigError as error:
        raise ConfigError(f"{path}: {error}") from None


def chosen(cells: Sequence[Cell], only: Iterable[str]) -> list[Cell]:
    """The cells that ``only`` asks for.

    Args:
        cells: of a recipe.
        only: "AXIS=NAME" or "AXIS=NAME,NAME"; the axes are model, train, test, split, seed.

    Raises:
        ConfigError: it is not of that form.
        UnknownName: no cell has that name.
    """
    kept = list(cells)
    for choice in only:
        axis, _, text = choice.partition("=")
        if axis not in _AXES or not text:
            raise ConfigError(f"only {choice!r} is not of the form {'=… or '.join(_AXES)}=…")
        there = {str(getattr(cell, axis)) for cell in cells}
        for name in text.split(","):
            if name not in there:
                raise UnknownName(axis, name, there)
        kept = [cell for cell in kept if str(getattr(cell, axis)) in text.split(",")]
    return kept
