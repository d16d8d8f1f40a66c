"""What each method and network says of the benchmark ladder, scenario by scenario: the whole pipe, as it measures.

    python tools/ladder_table.py LADDER OUT --methods pos,chrom,green --models NAME,... [--split validation]

LADDER holds recordings of ``vitalcam synth ladder-1``. Each is measured once by each method, in windows of 10 s every
second as `vitalcam measure` has them; the rows are kept in OUT, so that a call that was interrupted goes on, and
``--shard I/N`` shares the work between processes. OUT/ladder.csv has every number, OUT/ladder.md the tables; a method
is compared with the first one on the windows of the same people. Everything here is synthetic.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path

from vitalcam import factors, files, metrics, scores, trust
from vitalcam.commands.options import EVERYTHING, every_nth
from vitalcam.commands.research import recordings
from vitalcam.errors import VitalcamError
from vitalcam.evaluate import Evaluation, Protocol, evaluate
from vitalcam.report import tabular
from vitalcam.runtime import card_of
from vitalcam.scores import Row
from vitalcam.settings import Settings
from vitalcam.synth import scenarios
from vitalcam.types import Recording

PROTOCOL = Protocol(window_s=10.0, step_s=1.0)
ALL = "all"
TABLES = {
    "right": ("answered right, within 5 beats/min (% of windows)", "{:.0f}", 100),
    "wrong": ("answered wrong (% of windows)", "{:.0f}", 100),
    "at_risk": ("answered if the threshold let 5 % of the answers be wrong (% of windows)", "{:.0f}", 100),
    "mae": ("MAE of what was answered (beats/min)", "{:.2f}", 1),
    "wave_mae": ("MAE of the wave's rate in every window, refused or not (beats/min)", "{:.2f}", 1),
    "confidence": ("mean confidence", "{:.2f}", 1),
    "snr_db": ("SNR of the wave (dB)", "{:.1f}", 1),
    "macc": ("MACC of the wave", "{:.2f}", 1),
    "silent": ("windows of null twins without a number (%)", "{:.0f}", 100),
}
"""Columns of the CSV that have a table of their own: title, form, factor."""


def chosen(folder: Path, split: str, shard: slice) -> list[Recording]:
    """Recordings of one split, or of all."""
    found = [r for r in recordings(folder) if split == ALL or scenarios.split(int(r.attributes["identity"])) == split]
    return found[shard]


def name_of(settings: Settings) -> str:
    """Name of what measures, for columns and folders: that of a network, which may be asked for by its path."""
    return card_of(settings.model).spec.name if settings.model else settings.method


def measured(given: Sequence[Recording], settings: Settings, out: Path) -> Evaluation:
    """Rows of one method, from its folder where they are there."""
    name = name_of(settings)
    found = evaluate(given, settings, PROTOCOL, folder=out / name)
    for id, reason in found.failed.items():
        print(f"{name}: not scored: {id}: {reason}", flush=True)
    print(f"{name}: {found.scored} of {found.expected} recordings", flush=True)
    return found


def line(name: str, scenario: str, rows: Sequence[Row], first: Sequence[Row]) -> dict[str, object]:
    """One row of the CSV."""
    found = scores.scores(rows).metrics
    low, high = scores.intervals(rows, ["mae"])["mae"]
    wave = [abs(row.wave_rate - row.truth) for row in rows if math.isfinite(row.truth)]
    trusted = [row.confidence for row in rows if math.isfinite(row.truth)]
    gain, gain_low, gain_high = trust.more_right(rows, first)
    return {
        "scenario": scenario, "method": name, "people": len({row.person for row in rows}), **trust.answers(rows),
        "mae": found["mae"][0], "mae_low": low, "mae_high": high, "wave_mae": metrics.mean_and_error(wave)[0],
        "confidence": metrics.mean_and_error(trusted)[0], "calibration_error": trust.calibration_error(rows),
        "snr_db": found["snr_db"][0], "macc": found["macc"][0], "more_right": gain, "more_right_low": gain_low,
        "more_right_high": gain_high,
    }  # fmt: skip


def lines(evaluations: dict[str, Evaluation]) -> list[dict[str, object]]:
    """A row for each scenario and method, and for all scenarios together."""
    groups = {
        name: {ALL: one.of("heart_rate")}
        | {key: rows for (key,), rows in factors.groups(one.of("heart_rate"), ["scenario"]).items()}
        for name, one in evaluations.items()
    }
    reference = next(iter(groups))
    order = [name for name in (*scenarios.LADDER, ALL) if name in groups[reference]]
    return [
        line(name, scenario, mine[scenario], groups[reference][scenario])
        for scenario in order
        for name, mine in groups.items()
        if scenario in mine
    ]


def markdown(found: Sequence[dict[str, object]], title: str) -> str:
    """A table for each of `TABLES`: scenarios down, methods across; and what the first method is compared with."""
    methods = list(dict.fromkeys(str(row["method"]) for row in found))
    order = list(dict.fromkeys(str(row["scenario"]) for row in found))
    cells = {(str(row["scenario"]), str(row["method"])): row for row in found}
    text = [f"# {title}"]
    for column, (said, form, factor) in TABLES.items():
        count = "null_windows" if column == "silent" else "windows"
        rows = [
            [scenario, *(str(cells[scenario, methods[0]][name]) for name in ("people", count)),
             *(_said(cells.get((scenario, method)), column, form, factor) for method in methods)]
            for scenario in order
        ]  # fmt: skip
        text += ["", f"## {said}", "", *tabular.markdown(["scenario", "people", "windows", *methods], rows)]
    return "\n".join([*text, *_compared(cells, order, methods)]) + "\n"


def _said(row: dict[str, object] | None, column: str, form: str, factor: float) -> str:
    value = float(str(row[column])) if row else math.nan
    return form.format(factor * value) if math.isfinite(value) else "–"


def _compared(cells: dict[tuple[str, str], dict[str, object]], order: list[str], methods: list[str]) -> list[str]:
    others = methods[1:]
    if not others:
        return []
    rows = [[scenario, *(_gain(cells.get((scenario, method))) for method in others)] for scenario in order]
    title = f"## answered right more often than {methods[0]} (% of windows, 95 % interval over people)"
    return ["", title, "", *tabular.markdown(["scenario", *others], rows)]


def _gain(row: dict[str, object] | None) -> str:
    mean, low, high = (_said(row, f"more_right{end}", "{:+.0f}", 100) for end in ("", "_low", "_high"))
    return mean if low == "–" else f"{mean} ({low} to {high})"


def table(found: Sequence[dict[str, object]]) -> str:
    """All numbers as CSV; unknown is empty."""
    return tabular.csv_text(list(found[0]), (row.values() for row in found))


def main() -> None:
    """Measure what is missing, then write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ladder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--split", choices=("validation", "test", ALL), default="validation")
    parser.add_argument("--methods", default="", help="classical methods, by comma")
    parser.add_argument("--models", default="", help="networks of vitalcam models, or paths of .onnx files, by comma")
    parser.add_argument(
        "--shard", type=every_nth, default="1/1", metavar="I/N", help="measure every Nth recording only; no tables"
    )
    options = parser.parse_args()
    everything = [Settings(method=name) for name in options.methods.split(",") if name]
    everything = [Settings(model=name) for name in options.models.split(",") if name] + everything
    if not everything:
        parser.error("give --methods or --models")
    given = chosen(options.ladder, options.split, options.shard)
    rows = options.out / "rows"
    evaluations = {name_of(settings): measured(given, settings, rows) for settings in everything}
    if options.shard != EVERYTHING:
        return
    found = lines(evaluations)
    title = f"ladder-1, {options.split}: {len(given)} recordings (synthetic)"
    files.write_text(options.out / "ladder.csv", table(found))
    print(files.write_text(options.out / "ladder.md", markdown(found, title)))


if __name__ == "__main__":
    try:
        main()
    except VitalcamError as error:
        sys.exit(f"ladder_table: {error}")
