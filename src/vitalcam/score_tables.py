"""An evaluation as lines, CSV, JSON and Markdown."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import config, scores
from vitalcam.evaluate import Evaluation
from vitalcam.report import files
from vitalcam.types import Scores

_TOOLBOX = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE", "pearson": "Pearson", "snr_db": "SNR"}
_TITLES = {
    "mae": "MAE", "rmse": "RMSE", "mape": "MAPE %", "pearson": "r", "ccc": "CCC", "bias": "bias",
    "max_error": "max", "snr_db": "SNR dB", "macc": "MACC",
}  # fmt: skip
_UNITS = {"heart_rate": "beats/min", "resp_rate": "breaths/min"}
_COVERAGES = np.arange(0.1, 1.01, 0.1)


def completeness(evaluation: Evaluation) -> list[str]:
    """How many recordings were scored, and for each other one why not."""
    lines = [f"{evaluation.name}: scored {evaluation.scored} of {evaluation.expected} recordings"]
    return lines + [f"  not scored: {name}: {reason}" for name, reason in evaluation.failed.items()]


def toolbox(evaluation: Evaluation, quantity: str = "heart_rate") -> list[str]:
    """Scores in the words of the rPPG-Toolbox, one line each."""
    how = {"fft": "FFT", "peak": "Peak"}[evaluation.protocol.method]
    found = evaluation.scores(quantity).metrics
    lines = [
        f"{how} {name} ({how} Label): {found[key][0]} +/- {found[key][1]}{' (dB)' if key == 'snr_db' else ''}"
        for key, name in _TOOLBOX.items()
    ]
    return [*lines, f"MACC: {found['macc'][0]} +/- {found['macc'][1]}"]


def document(evaluation: Evaluation, by: Sequence[str] = ()) -> dict[str, Any]:
    """Everything about an evaluation as plain values that JSON can hold; unknown is None.

    Args:
        evaluation: its rows.
        by: attributes whose values get scores of their own.
    """
    plain: dict[str, Any] = _plain(
        {
            "name": evaluation.name,
            "protocol": config.to_dict(evaluation.protocol),
            "scored": evaluation.scored,
            "expected": evaluation.expected,
            "failed": evaluation.failed,
            "quantities": {quantity: _quantity(evaluation, quantity, by) for quantity in evaluation.quantities},
        }
    )
    return plain


def _quantity(evaluation: Evaluation, quantity: str, by: Sequence[str]) -> dict[str, Any]:
    rows = evaluation.of(quantity)
    found = {
        "unit": _UNITS[quantity],
        "windows": len(rows),
        "subjects": len({row.person for row in rows}),
        **_scores(evaluation.scores(quantity), scores.intervals(rows)),
        "limits_of_agreement": scores.limits_of_agreement(rows),
        "risk_coverage": _curve(rows),
        "reliability": scores.reliability(rows),
        "calibration_error": scores.calibration_error(rows),
    }
    if by:
        groups = scores.by(rows, by, profile=evaluation.protocol.profile)
        found["by"] = [{**dict(zip(by, key, strict=True)), **_scores(group)} for key, group in groups.items()]
    return found


def _scores(found: Scores, intervals: Mapping[str, tuple[float, float]] | None = None) -> dict[str, Any]:
    """Scores with their intervals, where there are any."""
    metrics = {
        name: {"value": value, "standard_error": error, "n": n, "interval": (intervals or {}).get(name)}
        for name, (value, error, n) in found.metrics.items()
    }
    return {"coverage": found.coverage, "metrics": metrics}


def _curve(rows: Sequence[scores.Row]) -> list[dict[str, float]]:
    """Ten points of the risk-coverage curve; none where no estimate has a confidence."""
    if not any(math.isfinite(row.confidence) for row in rows):
        return []
    coverage, risk = scores.risk_coverage(rows)
    at = np.searchsorted(coverage, _COVERAGES - 1e-9)
    return [{"coverage": float(coverage[i]), "mae": float(risk[i])} for i in at if i < coverage.size]


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, np.generic):
        return _plain(value.item())
    return None if isinstance(value, float) and not math.isfinite(value) else value


def markdown(evaluation: Evaluation, by: Sequence[str] = ()) -> str:
    """The scores as tables."""
    lines = [f"# {evaluation.name}", f"Profile {evaluation.protocol.profile}.", *completeness(evaluation)]
    for quantity, found in document(evaluation, by)["quantities"].items():
        lines += [
            "",
            f"## {quantity} ({found['unit']}), {found['windows']} windows of {found['subjects']} subjects",
            "",
        ]
        lines += [f"Coverage {_number(found['coverage'])}.", ""]
        lines += [
            "| score | value | standard error | 95 % interval (subjects) | n |",
            "| --- | --- | --- | --- | --- |",
        ]
        for name, score in found["metrics"].items():
            low, high = score["interval"] or (None, None)
            interval = f"{_number(low)} to {_number(high)}" if low is not None else "–"
            numbers = f"{_number(score['value'])} | {_number(score['standard_error'])} | {interval}"
            lines.append(f"| {_TITLES[name]} | {numbers} | {score['n']} |")
        lines += _groups(found.get("by", []), by)
    return "\n".join(lines) + "\n"


def _groups(groups: Sequence[Mapping[str, Any]], by: Sequence[str]) -> list[str]:
    if not groups:
        return []
    names = ("mae", "rmse", "pearson", "snr_db")
    columns = [*by, *(_TITLES[name] for name in names), "coverage", "n"]
    lines = ["", f"| {' | '.join(columns)} |", f"|{' --- |' * len(columns)}"]
    for group in groups:
        cells = [str(group[name]) for name in by]
        cells += [_number(group["metrics"][name]["value"]) for name in names]
        cells += [_number(group["coverage"]), str(group["metrics"]["mae"]["n"])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def rows_csv(evaluation: Evaluation) -> str:
    """A line for each window; attributes have columns of their own, unknown is empty."""
    attributes = sorted(set().union(*(row.attributes for row in evaluation.rows)))
    plain = [field.name for field in dataclasses.fields(scores.Row) if field.name != "attributes"]
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow([*plain, *attributes])
    for row in evaluation.rows:
        values = [_plain(getattr(row, name)) for name in plain] + [row.attributes.get(name) for name in attributes]
        table.writerow(["" if value is None else value for value in values])
    return text.getvalue()


def write(evaluation: Evaluation, folder: Path, by: Sequence[str] = ()) -> list[Path]:
    """Write ``rows.csv``, ``scores.md`` and, last, ``scores.json``.

    Raises:
        OutputError: they cannot be written.
        UsageError: no recording has an attribute of ``by``.
    """
    found = json.dumps(document(evaluation, by), indent=1, allow_nan=False) + "\n"
    return [
        files.write_text(folder / "rows.csv", rows_csv(evaluation)),
        files.write_text(folder / "scores.md", markdown(evaluation, by)),
        files.write_text(folder / "scores.json", found),
    ]
