"""Accuracy against computing time on this machine, with parameters as area."""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import scores
from vitalcam.evaluate import Evaluation
from vitalcam.figures import page, table
from vitalcam.figures.factors import labelled
from vitalcam.person import Runner
from vitalcam.report.look import COLOURS, MARKERS
from vitalcam.score_tables import UNITS
from vitalcam.types import Clip

_CLASSICAL_FRAMES = 300
_AREA = 2e-3  # square points for a parameter
_SMALLEST = 24.0


@dataclass(frozen=True)
class Point:
    """One evaluated runner.

    Attributes:
        name: of the evaluation.
        parameters: trained ones.
        frames: of the clip that was timed.
        ms_per_clip, ms_low, ms_high: median time for it, first and third quartile.
        mae, low, high: error with its 95 % interval over people, per minute.
    """

    name: str
    parameters: int
    frames: int
    ms_per_clip: float
    ms_low: float
    ms_high: float
    mae: float
    low: float
    high: float


def milliseconds(runner: Runner, *, rounds: int = 15) -> tuple[int, list[float]]:
    """Number of frames of a clip, and the times in ms that the runner takes for it; two more runs warm up."""
    spec = runner.spec
    frames = spec.frames or _CLASSICAL_FRAMES
    shape = (frames, spec.size_px, spec.size_px, sum(spec.channels.values()))
    pictures = np.random.default_rng(0).uniform(60, 180, shape).astype(np.float32)
    clip = Clip(pictures, np.arange(frames) / spec.fs_hz, spec.fs_hz, np.ones(frames, bool))
    taken = []
    for _ in range(rounds + 2):
        start = time.perf_counter()
        runner.run(clip)
        taken.append(1e3 * (time.perf_counter() - start))
    return frames, taken[2:]


def points(evaluations: Sequence[Evaluation], runners: Sequence[Runner], quantity: str) -> list[Point]:
    """Measure what was evaluated, one after the other on this machine.

    Raises:
        UsageError: an evaluation has no such quantity.
    """
    found = []
    for (name, rows), runner in zip(labelled(evaluations, quantity).items(), runners, strict=True):
        frames, taken = milliseconds(runner)
        first, median, third = statistics.quantiles(taken, n=4)
        mae, interval = scores.scores(rows).metrics["mae"][0], scores.intervals(rows, ["mae"])["mae"]
        found.append(Point(name, runner.spec.parameters, frames, median, first, third, mae, *interval))
    return found


def machine() -> str:
    """The processor that the times are of."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:  # no Linux
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return f"{(names or [platform.processor() or platform.machine()])[0]}, {os.cpu_count()} cores"


def draw(
    evaluations: Sequence[Evaluation], runners: Sequence[Runner], path: Path, *, threads: int,
    quantity: str = "heart_rate",
) -> Path:  # fmt: skip
    """Measure, draw, and write the figure with its CSV.

    Args:
        evaluations: of the same recordings.
        runners: what each evaluated.
        path: .png, .svg or .pdf.
        threads: that the runners use, for the axis.
        quantity: "heart_rate" or "resp_rate".

    Raises:
        UsageError: an evaluation has no such quantity, or the name of the file is none of a figure.
    """
    found = points(evaluations, runners, quantity)
    with page(path, width=9.2, height=max(5.0, 0.8 + 0.6 * len(found))) as figure:
        ax = figure.add_subplot()
        ax.set_xscale("log")
        for k, p in enumerate(found):
            _mark(ax, p, COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)])
        ax.margins(x=0.25)
        ax.set_ylim(bottom=0)
        ax.xaxis.set_major_formatter(lambda x, _: f"{x:g}")
        how = f"{threads} thread{'s' * (threads > 1)}\n{machine()}"
        ax.set_xlabel(f"time of the method or network alone for a clip (ms, median), {how}")
        ax.set_ylabel(f"mean absolute error ({UNITS[quantity]}), 95 % interval")
        ax.set_title("Error against computing time; area: trained parameters")
        ax.grid(color="0.92")
        ax.set_axisbelow(True)
        figure.legend(loc="outside right center", labelspacing=1.2)
    columns = [field.name for field in dataclasses.fields(Point)]
    rows = [(*dataclasses.astuple(p), threads, machine()) for p in found]
    return table(path, [*columns, "threads", "machine"], rows)


def _mark(ax: Any, p: Point, colour: str, marker: str) -> None:
    size = f"{p.parameters:,}" if p.parameters else "no"
    said = f"{p.name}\n{size} parameters,\n{p.ms_per_clip:.3g} ms for {p.frames} frames"
    area = max(_AREA * p.parameters, _SMALLEST)
    ax.vlines(p.ms_per_clip, p.low, p.high, color=colour, lw=1.2, zorder=2)
    ax.scatter(p.ms_per_clip, p.mae, s=area, color=colour, marker=marker, alpha=0.75, edgecolor="0.25", zorder=3)
    ax.plot([], [], marker, color=colour, mec="0.25", label=said)
