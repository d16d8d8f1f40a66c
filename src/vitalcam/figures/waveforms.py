"""True and estimated waves of one recording, beat by beat."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitalcam import evaluate
from vitalcam.data import Prepared
from vitalcam.errors import DatasetError
from vitalcam.figures import page, table
from vitalcam.person import Runner
from vitalcam.protocol import QUANTITIES, Protocol, longest
from vitalcam.report.look import COLOURS
from vitalcam.score_tables import UNITS
from vitalcam.signal.filter import normalise
from vitalcam.types import Floats, Recording

_MOST_LAG_S = 0.5
_SHOWN_S = 10.0


@dataclass(frozen=True)
class Pair:
    """An estimated wave beside the true one.

    Attributes:
        name: of the runner.
        time_s, truth, estimate: (T,) both filtered, of zero mean and unit deviation, the estimate moved by its lag.
        lag_s: by which the estimate comes late.
        correlation: of what is shown, after moving.
        true_rate, rate: per minute.
    """

    name: str
    time_s: Floats
    truth: Floats
    estimate: Floats
    lag_s: float
    correlation: float
    true_rate: float
    rate: float


def pair(
    recording: Recording | Prepared, runner: Runner, *, kind: str = "bvp", stretch_s: tuple[float, float] | None = None
) -> Pair:
    """Predict a recording with a runner and put its wave on the true one.

    Args:
        recording: with its truth.
        runner: a method or a network.
        kind: "bvp" or "resp".
        stretch_s: from and to; 10 s in the middle by default.

    Raises:
        DatasetError: there is no such wave, or none where it was asked for.
    """
    prepared = evaluate.on_clock(recording, runner.spec)
    fs_hz = prepared.fs_hz
    if kind not in prepared.waves or kind not in runner.spec.outputs:
        raise DatasetError(f"{recording.id}: {kind} is not in its truth, or {runner.spec.name} does not give it")
    wave = evaluate.predict(prepared, runner)[kind]
    truth = np.asarray(prepared.waves[kind], float)
    both = longest(np.isfinite(wave) & np.isfinite(truth))
    if both is None:
        raise DatasetError(f"{recording.id}: true and estimated {kind} are not known together for long enough")
    protocol = Protocol()
    estimate = protocol.prepared(wave[both], kind, fs_hz, differenced=bool(getattr(runner, "differenced", False)))
    true = protocol.prepared(truth[both], kind, fs_hz)
    lag = _lag(estimate, true, round(_MOST_LAG_S * fs_hz))
    time_s = prepared.time_s[both]
    middle = float(time_s.mean())
    from_s, to_s = stretch_s or (middle - _SHOWN_S / 2, middle + _SHOWN_S / 2)
    shown = (time_s >= from_s) & (time_s < to_s)
    if shown.sum() < 2 * fs_hz:
        raise DatasetError(
            f"{recording.id}: less than 2 s between {from_s:g} and {to_s:g} s; its waves are known from "
            f"{time_s[0]:.1f} to {time_s[-1]:.1f} s"
        )
    moved = np.roll(estimate, -lag)  # what comes round at the ends is at most half a second
    a, b = normalise(true[shown]), normalise(moved[shown])
    return Pair(
        runner.spec.name, time_s[shown], a, b, lag / fs_hz, float(np.mean(a * b)),
        protocol.rate(true[shown], kind, fs_hz), protocol.rate(estimate[shown], kind, fs_hz),
    )  # fmt: skip


def _lag(estimate: Floats, truth: Floats, most: int) -> int:
    """Samples by which an estimate comes late, where the two agree best."""

    def agreement(lag: int) -> float:
        return float(np.corrcoef(np.roll(estimate, -lag), truth)[0, 1])

    lags = sorted(range(-most, most + 1), key=abs)
    return max(lags, key=agreement) if np.ptp(truth) > 0 and np.ptp(estimate) > 0 else 0


def draw(
    recording: Recording | Prepared, runners: Mapping[str, Runner], path: Path, *, kind: str = "bvp",
    stretch_s: tuple[float, float] | None = None,
) -> Path:  # fmt: skip
    """Draw a panel for each runner and write the figure with its CSV.

    Args:
        recording: with its truth.
        runners: by the name that is shown.
        path: .png, .svg or .pdf.
        kind: "bvp" or "resp".
        stretch_s: see `pair`.

    Raises:
        DatasetError: see `pair`.
        UsageError: the name of the file is none of a figure.
    """
    pairs = {name: pair(recording, runner, kind=kind, stretch_s=stretch_s) for name, runner in runners.items()}
    unit = UNITS[QUANTITIES[kind]]
    with page(path, width=9.0, height=0.9 + 1.7 * len(pairs)) as figure:
        axes = figure.subplots(len(pairs), 1, squeeze=False, sharex=True)[:, 0]
        for k, (ax, (name, p)) in enumerate(zip(axes, pairs.items(), strict=True)):
            ax.plot(p.time_s, p.truth, color="0.35", lw=2.4, alpha=0.55, label="true")
            ax.plot(p.time_s, p.estimate, color=COLOURS[k % len(COLOURS)], lw=1.3, label="estimated")
            ax.set_yticks([])
            ax.spines["left"].set_visible(False)
            ax.set_title(f"{name}: {_said(p, unit)}")
        axes[0].legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=2)
        axes[-1].set_xlabel(f"time in {recording.id} (s)")
        axes[-1].set_xlim(pairs[next(iter(pairs))].time_s[[0, -1]])
    rows = [
        (name, float(t), float(a), float(b), p.lag_s, p.correlation, p.true_rate, p.rate)
        for name, p in pairs.items()
        for t, a, b in zip(p.time_s, p.truth, p.estimate, strict=True)
    ]
    columns = ["name", "time_s", "true", "estimated", "lag_s", "correlation", "true_rate_per_min", "rate_per_min"]
    return table(path, columns, rows)


def _said(p: Pair, unit: str) -> str:
    true = f"true {p.true_rate:.1f}" if math.isfinite(p.true_rate) else "no pulse in truth"
    return f"r {p.correlation:.2f} at a lag of {1e3 * p.lag_s:+.0f} ms, {p.rate:.1f} {unit} ({true})"
