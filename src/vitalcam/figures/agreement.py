"""An evaluation in four pictures: scatter, Bland-Altman, reliability of the confidence, risk against coverage."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import scores, trust
from vitalcam.evaluate import Evaluation
from vitalcam.figures import page, table
from vitalcam.report.look import COLOURS
from vitalcam.score_tables import UNITS
from vitalcam.scores import Row

_DOTS = {"s": 16, "color": COLOURS[0], "alpha": 0.5, "linewidth": 0}
_SAID = {"heart_rate": "heart rate", "resp_rate": "breathing rate"}


def write(evaluation: Evaluation, quantity: str, folder: Path) -> list[Path]:
    """Write the pictures, each with a CSV; those that there is nothing to show in are left out.

    They are ``QUANTITY.scatter.png``, ``.bland_altman.png`` and, where there are confidences, ``.reliability.png`` and
    ``.risk_coverage.png``.

    Raises:
        OutputError: they cannot be written.
    """
    rows = evaluation.of(quantity)
    written = []
    if scores.answered(rows):
        written += [_scatter, _bland_altman]
    if trust.reliability(rows):
        written += [_reliability, _risk_coverage]
    paths = [folder / f"{quantity}.{draw.__name__.lstrip('_')}.png" for draw in written]
    for draw, path in zip(written, paths, strict=True):
        draw(rows, path, evaluation.name)
    return paths


def _pairs(rows: Sequence[Row]) -> tuple[list[Row], Any, Any]:
    """The answered windows of known rate, their estimates and their true rates."""
    kept = scores.answered(rows)
    return kept, *scores.rates(kept)


def _scatter(rows: Sequence[Row], path: Path, name: str) -> None:
    kept, estimate, truth = _pairs(rows)
    quantity = kept[0].quantity
    unit, within = UNITS[quantity], trust.TOLERANCES[quantity]
    found = scores.scores(rows).metrics
    low, high = min(estimate.min(), truth.min()) - within, max(estimate.max(), truth.max()) + within
    with page(path, width=5.6, height=5.6) as figure:
        ax = figure.add_subplot()
        ends = np.array([low, high])
        ax.fill_between(
            ends, ends - within, ends + within, color="0.92", linewidth=0, label=f"within {within:g} {unit}"
        )
        ax.plot(ends, ends, color="0.5", lw=1, label="equal")
        ax.scatter(truth, estimate, **_DOTS)
        ax.set(xlim=ends, ylim=ends, aspect="equal")
        ax.set(xlabel=f"true {_SAID[quantity]} ({unit})", ylabel=f"estimated {_SAID[quantity]} ({unit})")
        ax.legend(loc="upper left")
        said = f"{len(kept)} of {sum(math.isfinite(row.truth) for row in rows)} windows answered"
        ax.set_title(f"{name}\n{said}, MAE {found['mae'][0]:.2f}, r {found['pearson'][0]:.3f}")
    table(path, ["subject", "recording", "t0_s", "true", "estimated"],
          [(r.subject, r.recording, r.t0_s, r.truth, r.estimate) for r in kept])  # fmt: skip


def _bland_altman(rows: Sequence[Row], path: Path, name: str) -> None:
    kept, estimate, truth = _pairs(rows)
    quantity = kept[0].quantity
    limits = scores.limits_of_agreement(rows)
    mean, difference = (estimate + truth) / 2, estimate - truth
    with page(path, width=7.2, height=4.4) as figure:
        ax = figure.add_subplot()
        ax.scatter(mean, difference, **_DOTS)
        for key, said in (("bias", "bias"), ("low", "lower limit"), ("high", "upper limit")):
            if math.isfinite(limits[key]):
                ax.axhline(limits[key], color="0.3", lw=1.2, ls="-" if key == "bias" else "--")
                place = {"xycoords": ("axes fraction", "data"), "annotation_clip": False, "va": "center", "size": 9}
                ax.annotate(f"{said} {limits[key]:+.1f}".replace("-", "−"), (1.01, limits[key]), **place)
        unit = UNITS[quantity]
        ax.set(xlabel=f"mean of true and estimated {_SAID[quantity]} ({unit})", ylabel=f"estimated − true ({unit})")
        people = len({row.person for row in kept})
        ax.set_title(f"{name}\nbias and 95 % limits of agreement: {len(kept)} windows of {people} people")
    table(path, ["subject", "recording", "t0_s", "mean", "difference"],
          [(r.subject, r.recording, r.t0_s, m, d) for r, m, d in zip(kept, mean, difference, strict=True)])  # fmt: skip


def _reliability(rows: Sequence[Row], path: Path, name: str) -> None:
    lines = trust.reliability(rows)
    within = f"{trust.TOLERANCES[rows[0].quantity]:g} {UNITS[rows[0].quantity]}"
    with page(path, width=5.2, height=5.8) as figure:
        ax, below = figure.subplots(2, 1, sharex=True, height_ratios=(4, 1))
        ax.plot([0, 1], [0, 1], color="0.5", lw=1, label="as sure as right")
        x, y = ([line[key] for line in lines] for key in ("confidence", "right"))
        ax.plot(x, y, "o-", color=COLOURS[0], lw=1.4, clip_on=False, label="windows by confidence")
        ax.set(xlim=(0, 1), ylim=(-0.02, 1.02), ylabel=f"share within {within}")
        ax.legend(loc="best")
        ax.set_title(f"{name}\nreliability of the confidence: calibration error {trust.calibration_error(rows):.3f}")
        below.bar([line["low"] for line in lines], [line["n"] for line in lines], width=0.1, align="edge",
                  color=COLOURS[4], edgecolor="white")  # fmt: skip
        below.set(xlabel="confidence", ylabel="windows")
    table(path, list(lines[0]), [list(line.values()) for line in lines])


def _risk_coverage(rows: Sequence[Row], path: Path, name: str) -> None:
    coverage, mae, wrong = trust.risk_coverage(rows)
    here = trust.answers(rows)
    at_risk = here["at_risk"]
    with page(path, width=6.4, height=5.6) as figure:
        top, below = figure.subplots(2, 1, sharex=True)
        top.plot(100 * coverage, 100 * wrong, color=COLOURS[0], lw=1.6)
        top.axhline(100 * trust.RISK, color="0.5", lw=1, ls="--")
        top.annotate(f"{100 * trust.RISK:g} % wrong: answers {100 * at_risk:.0f} %", (99, 100 * trust.RISK), (0, 4),
                     textcoords="offset points", ha="right", size=9, color="0.3")  # fmt: skip
        below.plot(100 * coverage, mae, color=COLOURS[0], lw=1.6)
        if here["answered"] > 0:
            error = scores.scores(rows).metrics["mae"][0]
            for ax, y in ((top, 100 * here["wrong"] / here["answered"]), (below, error)):
                ax.plot(100 * here["answered"], y, "D", color=COLOURS[1], ms=7, mec="0.25", clip_on=False, zorder=3,
                        label="as it answers now")  # fmt: skip
            top.legend(loc="upper left")
        top.set(ylabel="wrong answers (%)", xlim=(0, 100), ylim=(-2, max(12, 110 * wrong.max())))
        below.set(xlabel="windows answered, the surest first (%)", ylabel=f"MAE ({UNITS[rows[0].quantity]})")
        below.set_ylim(0, 1.1 * max(mae.max(), 1))
        top.set_title(f"{name}\nrisk against coverage, {here['windows']:.0f} windows of known rate")
    table(path, ["coverage", "mae", "wrong"], zip(coverage.tolist(), mae.tolist(), wrong.tolist(), strict=True))
