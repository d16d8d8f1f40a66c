"""Tables of the papers as recipes: one TOML file each, with its axes and the numbers that the paper printed.

paper = "…"                          title = "…"          notes = "what a reader must know"
[matrix]                             axes: model, train, test, seed; cells with train = test are left out
[models.NAME]                        fields of `vitalcam.training.Training`, and ``measure``: options when measuring
[training] and [by_data.SET]         fields for all models, and for all that are trained on a set
[protocol]                           fields of `vitalcam.evaluate.Protocol`
[expect]                             "MODEL/TRAIN/TEST" = {mae = [value, standard error], …}
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vitalcam import config
from vitalcam.errors import ConfigError, UnknownName
from vitalcam.evaluate import Protocol

_FOLDER = Path(__file__).parent
METRICS = ("mae", "rmse", "mape", "pearson", "snr_db", "macc")
"""Scores that a table may expect, in the order in which they are shown."""


@dataclass(frozen=True)
class Matrix:
    """Axes of a table."""

    model: tuple[str, ...]
    train: tuple[str, ...]
    test: tuple[str, ...]
    seed: tuple[int, ...] = (100,)


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

    def __post_init__(self) -> None:
        for name in self.matrix.model:
            if name not in self.models:
                raise UnknownName("model of this recipe", name, self.models)
        keys = {cell.key for cell in self.cells()}
        for key, scores in self.expect.items():
            if key.count("/") != 2:
                raise ConfigError(f"expect {key!r} is not of the form MODEL/TRAIN/TEST")
            for score in scores:
                if score not in METRICS:
                    raise UnknownName(f"score of {key!r}", score, METRICS)
        if not keys:
            raise ConfigError(f"{self.title}: the matrix has no cell in which train and test differ")

    def cells(self) -> list[Cell]:
        """All cells, the test sets of one training together."""
        axes = itertools.product(self.matrix.model, self.matrix.train, self.matrix.seed, self.matrix.test)
        return [Cell(model, train, test, seed) for model, train, seed, test in axes if train != test]

    def training_of(self, cell: Cell) -> dict[str, Any]:
        """Fields of the training that a cell needs."""
        model = {key: value for key, value in self.models[cell.model].items() if key != "measure"}
        return {**self.training, **model, **self.by_data.get(cell.train, {}), "seed": cell.seed}

    def measuring_options(self, cell: Cell) -> dict[str, Any]:
        """Options of the network that differ when it measures."""
        return dict(self.models[cell.model].get("measure", {}))


@dataclass(frozen=True)
class Cell:
    """One training and one test set."""

    model: str
    train: str
    test: str
    seed: int

    @property
    def key(self) -> str:
        """What the paper's numbers are found by."""
        return f"{self.model}/{self.train}/{self.test}"


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
        only: "AXIS=NAME" or "AXIS=NAME,NAME"; the axes are model, train, test, seed.

    Raises:
        ConfigError: it is not of that form.
        UnknownName: no cell has that name.
    """
    kept = list(cells)
    for choice in only:
        axis, _, text = choice.partition("=")
        if axis not in ("model", "train", "test", "seed") or not text:
            raise ConfigError(f"only {choice!r} is not of the form model=…, train=…, test=… or seed=…")
        there = {str(getattr(cell, axis)) for cell in cells}
        for name in text.split(","):
            if name not in there:
                raise UnknownName(axis, name, there)
        kept = [cell for cell in kept if str(getattr(cell, axis)) in text.split(",")]
    return kept
