"""Curves of a recipe: the loss of trainings over their epochs, or one score of each model over another."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam.figures import page, table
from vitalcam.recipes import Recipe
from vitalcam.reproduce import Outcome

Points = dict[str, list[tuple[float, float]]]
"""x and y by the name of what they are of."""


def points(recipe: Recipe, outcomes: Sequence[Outcome]) -> Points:
    """Points of the recipe's curve; what has no numbers has none."""
    curve = recipe.curve
    found: Points = {}
    if curve.x == "epoch":
        for outcome in outcomes:
            label = f"{outcome.cell.model}/{outcome.cell.train}#{outcome.cell.seed}"
            if outcome.losses:
                found[label] = [(float(k), loss) for k, loss in enumerate(outcome.losses, 1)]
        return found
    for model in dict.fromkeys(outcome.cell.model for outcome in outcomes):
        mine = [o.scores for o in outcomes if o.cell.model == model and {curve.x, curve.y} <= o.scores.keys()]
        if mine:
            found[model] = [(_mean(mine, curve.x), _mean(mine, curve.y))]
    return found


def _mean(given: Sequence[dict[str, Any]], score: str) -> float:
    return float(np.mean([scores[score][0] for scores in given]))


def write(recipe: Recipe, source: str, outcomes: Sequence[Outcome], stem: Path) -> list[Path]:
    """Draw ``STEM.curve.png`` and write its points beside it as CSV; nothing if there are no points.

    Raises:
        OutputError: they cannot be written.
    """
    found, curve = points(recipe, outcomes), recipe.curve
    if not found:
        return []
    picture = stem.with_name(f"{stem.name}.curve.png")
    with page(picture, width=7.0, height=4.5) as figure:
        axes = figure.add_subplot()
        for label, line in found.items():
            axes.plot(*np.array(line).T, marker="o", label=label)
        if curve.x != "epoch":
            axes.set_xscale("log")
        axes.set(xlabel=curve.x, ylabel=curve.y)
        axes.set_title(f"{recipe.title}\n{source}", fontsize=9, wrap=True)
        axes.legend()
    rows = [(label, x, y) for label, line in found.items() for x, y in line]
    return [table(picture, ["of", curve.x, curve.y], rows), picture]
