"""Error against what is known of person and scene."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import factors, scores, trust
from vitalcam.errors import UsageError
from vitalcam.evaluate import Evaluation
from vitalcam.figures import page, table
from vitalcam.report.look import COLOURS, MARKERS
from vitalcam.score_tables import UNITS


@dataclass(frozen=True)
class Point:
    """One evaluation at one level of a factor; NaN where nothing was answered, or there are too few people."""

    factor: str
    level: str
    name: str
    mae: float
    low: float
    high: float
    answered: float
    windows: int
    people: int


def points(evaluations: Sequence[Evaluation], names: Sequence[str], quantity: str) -> list[Point]:
    """Mean absolute errors with 95 % intervals that draw people, for every level of every factor.

    Raises:
        UnknownName: there is no such attribute.
        UsageError: an evaluation has no such quantity.
    """
    rows = labelled(evaluations, quantity)
    return [
        _point(factor, level, title, group)
        for factor in names
        for title, windows in rows.items()
        for (level,), group in factors.groups(windows, [factor]).items()
    ]


def _point(factor: str, level: str, name: str, rows: Sequence[scores.Row]) -> Point:
    found = trust.answers(rows)
    low, high = scores.intervals(rows, ["mae"])["mae"]
    people = len({row.person for row in rows if math.isfinite(row.truth)})
    mae = scores.scores(rows).metrics["mae"][0]
    return Point(factor, level, name, mae, low, high, found["answered"], int(found["windows"]), people)


def labelled(evaluations: Sequence[Evaluation], quantity: str) -> dict[str, list[scores.Row]]:
    """Windows of each evaluation by its name, numbered where two have the same.

    Raises:
        UsageError: an evaluation has no such quantity.
    """
    names = [one.name for one in evaluations]
    found = {}
    for i, (name, one) in enumerate(zip(names, evaluations, strict=True)):
        if quantity not in one.quantities:
            raise UsageError(f"{name}: has no {quantity} (it has {', '.join(one.quantities) or 'nothing'})")
        found[f"{name} ({names[: i + 1].count(name)})" if names.count(name) > 1 else name] = one.of(quantity)
    return found


def draw(evaluations: Sequence[Evaluation], names: Sequence[str], path: Path, quantity: str = "heart_rate") -> Path:
    """Draw a panel for each factor and write it with its CSV.

    Args:
        evaluations: of the same recordings.
        names: of attributes, see `vitalcam.factors.groups`.
        path: .png, .svg or .pdf.
        quantity: "heart_rate" or "resp_rate".

    Raises:
        UnknownName: there is no such attribute.
        UsageError: an evaluation has no such quantity, or the name of the file is none of a figure.
    """
    found = points(evaluations, names, quantity)
    titles = list(dict.fromkeys(p.name for p in found))
    levels = {factor: list(dict.fromkeys(p.level for p in found if p.factor == factor)) for factor in names}
    lines = [len(levels[factor]) * max(len(titles), 1.4) for factor in names]
    with page(path, width=8.4, height=1.0 + 0.75 * len(names) + 0.24 * sum(lines)) as figure:
        axes = figure.subplots(len(names), 1, squeeze=False, sharex=True, height_ratios=[n + 1 for n in lines])[:, 0]
        for ax, factor in zip(axes, names, strict=True):
            _panel(ax, [p for p in found if p.factor == factor], levels[factor], titles)
            ax.set_title(factor.rsplit(".", 1)[-1].replace("_", " "))
            ax.annotate("answered", (1.01, 1), (0, 6), xycoords="axes fraction", textcoords="offset points", size=8.5)
        axes[0].set_xlim(left=0)
        axes[-1].set_xlabel(f"mean absolute error ({UNITS[quantity]}), with 95 % interval over people")
        if len(titles) > 1:
            handles, said = axes[0].get_legend_handles_labels()
            figure.legend(handles, said, loc="outside upper left", ncols=min(len(titles), 4))
    columns = [field.name for field in dataclasses.fields(Point)]
    return table(path, columns, map(dataclasses.astuple, found))


def _panel(ax: Any, found: Sequence[Point], levels: Sequence[str], titles: Sequence[str]) -> None:
    width = 0.7 / len(titles)
    for k, title in enumerate(titles):
        mine = [p for p in found if p.name == title]
        y = np.array([levels.index(p.level) for p in mine]) + (k - (len(titles) - 1) / 2) * width
        colour, marker = COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)]
        x = np.array([p.mae for p in mine])
        ax.hlines(y, [p.low for p in mine], [p.high for p in mine], color=colour, lw=1.6)
        ax.plot(x, y, marker, color=colour, ms=6, label=title, clip_on=False)
        for p, at in zip(mine, y, strict=True):
            said = (
                f"{100 * p.answered:.0f} % of {p.windows} windows, {p.people} people" if p.windows else "no true rate"
            )
            ax.annotate(said, (1.01, at), xycoords=("axes fraction", "data"), va="center", size=7.5, color="0.3",
                        annotation_clip=False)  # fmt: skip
    ax.set_yticks(range(len(levels)), levels)
    ax.set_ylim(len(levels) - 0.5, -0.5)
    ax.grid(axis="x", color="0.92")
    ax.set_axisbelow(True)
