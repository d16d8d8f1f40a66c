"""An evaluation as lines, CSV, JSON and Markdown."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import config, factors, files, scores, trust
from vitalcam.errors import UsageError
from vitalcam.evaluate import Evaluation
from vitalcam.report import plain, tabular

_TOOLBOX = {"mae": "MAE", "rmse": "RMSE", "mape": "MAPE", "pearson": "Pearson", "snr_db": "SNR"}
_UNKNOWN = {0: "no window has one", 1: "one window is too few"}
_TITLES = {
    "mae": "MAE", "rmse": "RMSE", "mape": "MAPE %", "pearson": "r", "ccc": "CCC", "bias": "bias",
    "max_error": "max", "snr_db": "SNR dB", "macc": "MACC",
}  # fmt: skip
UNITS = {"heart_rate": "beats/min", "resp_rate": "breaths/min"}
_COVERAGES = np.arange(0.1, 1.01, 0.1)


def completeness(evaluation: Evaluation) -> list[str]:
    """How many recordings were scored, and for each other one why not."""
    lines = [f"{evaluation.name}: scored {evaluation.scored} of {evaluation.expected} recordings"]
    for name, reason in evaluation.failed.items():
        lines.append(f"  not scored: {name}: {reason.removeprefix(name.partition('/')[2] + ': ')}")
    return lines


def printed(evaluation: Evaluation, scored: Mapping[str, Any], by: Sequence[str] = ()) -> list[str]:
    """An evaluation as lines for a terminal: what was scored, the scores, those of the groups.

    Args:
        evaluation: its rows.
        scored: its `document`.
        by: attributes that this was made with.
    """
    lines = completeness(evaluation)
    for quantity, found in scored["quantities"].items():
        lines.append(f"{_heading(quantity, found)}; {_legend(found)}")
        lines += toolbox(found, evaluation.protocol.method) + answered(evaluation, quantity)
        lines += _groups(found.get("by", []), by)
    return lines


def toolbox(found: Mapping[str, Any], method: str) -> list[str]:
    """Scores in the words of the rPPG-Toolbox, one line each.

    Args:
        found: one of the quantities of a `document`.
        method: of the protocol.
    """
    how = {"fft": "FFT", "peak": "Peak"}[method]
    titles = {key: f"{how} {name} ({how} Label)" for key, name in _TOOLBOX.items()} | {"macc": "MACC"}
    units = {"mae": found["unit"], "rmse": found["unit"], "mape": "%", "snr_db": "(dB)"}
    return [f"{title}: {_in_words(found['metrics'][key], units.get(key, ''))}" for key, title in titles.items()]


def _in_words(score: Mapping[str, Any], unit: str) -> str:
    if score["value"] is None:
        return f"unknown, {_UNKNOWN.get(score['n'], 'the rates do not vary')}"
    error = "" if score["standard_error"] is None else f"+/- {_number(score['standard_error'])}"
    interval = _interval(score, ", 95 % {} to {}")
    return " ".join(filter(None, [_number(score["value"]), error, unit])) + interval


def _legend(found: Mapping[str, Any]) -> str:
    if found["windows"] == 1:
        return "one window has no spread"
    interval = "95 % interval drawing subjects" if found["subjects"] > 1 else "one subject has no interval"
    return f"+/- standard error, {interval}"


def _heading(quantity: str, found: Mapping[str, Any]) -> str:
    windows, subjects = (f"{found[key]} {key.removesuffix('s' * (found[key] == 1))}" for key in ("windows", "subjects"))
    return f"{quantity} ({found['unit']}), {windows} of {subjects}"


def answered(evaluation: Evaluation, quantity: str = "heart_rate") -> list[str]:
    """What became of the windows, in words; nothing where every one is answered and no confidence is known."""
    rows = evaluation.of(quantity)
    found = trust.answers(rows)
    if not any(math.isfinite(row.confidence) or row.null or row.reason for row in rows):
        return []
    within = f"within {trust.TOLERANCES[quantity]:g} {UNITS[quantity]}"
    lines = []
    if found["windows"]:
        lines.append(
            f"answered {_percent(found['answered'])} of {found['windows']:.0f} windows: {_percent(found['right'])} "
            f"right ({within}), {_percent(found['wrong'])} wrong"
        )
    if math.isfinite(found["at_risk"]):
        line = f"with the threshold at which {_percent(trust.RISK)} of the answers are wrong it would answer "
        error = trust.calibration_error(rows)
        known = f"; calibration error {error:.3f}" if math.isfinite(error) else ""
        lines.append(f"{line}{_percent(found['at_risk'])}{known}")
    if found["null_windows"]:
        lines.append(f"no number in {_percent(found['silent'])} of {found['null_windows']:.0f} windows without a pulse")
    return lines


def _percent(share: float | None) -> str:
    return "–" if share is None or math.isnan(share) else f"{100 * share:.3g} %"


def document(evaluation: Evaluation, by: Sequence[str] = ()) -> dict[str, Any]:
    """Everything about an evaluation as plain values that JSON can hold; unknown is None.

    Args:
        evaluation: its rows.
        by: attributes whose values get scores of their own, see `vitalcam.factors.groups`.
    """
    found: dict[str, Any] = plain.jsonable(
        {
            "name": evaluation.name,
            "protocol": config.to_dict(evaluation.protocol),
            "scored": evaluation.scored,
            "expected": evaluation.expected,
            "failed": evaluation.failed,
            "quantities": {quantity: _quantity(evaluation, quantity, by) for quantity in evaluation.quantities},
        }
    )
    return found


def _quantity(evaluation: Evaluation, quantity: str, by: Sequence[str]) -> dict[str, Any]:
    rows, profile = evaluation.of(quantity), evaluation.protocol.profile
    found = {
        "unit": UNITS[quantity],
        **_scores(rows, profile),
        "limits_of_agreement": scores.limits_of_agreement(rows),
        "risk_coverage": _curve(rows),
        "reliability": trust.reliability(rows),
        "calibration_error": trust.calibration_error(rows),
    }
    if by:
        groups = factors.groups(rows, by)
        found["by"] = [
            {**dict(zip(by, key, strict=True)), **_scores(group, profile, ["mae"])} for key, group in groups.items()
        ]
    return found


def _scores(rows: Sequence[scores.Row], profile: str, intervals_of: Sequence[str] = scores.INTERVALS) -> dict[str, Any]:
    """Scores with their intervals, and what became of the windows."""
    found, intervals = scores.scores(rows, profile=profile), scores.intervals(rows, intervals_of)
    metrics = {
        name: {"value": value, "standard_error": error if n > 1 else None, "n": n, "interval": intervals.get(name)}
        for name, (value, error, n) in found.metrics.items()
    }
    subjects = len({row.person for row in rows})
    return {"windows": len(rows), "subjects": subjects, "coverage": found.coverage, "answers": trust.answers(rows),
            "metrics": metrics}  # fmt: skip


def _curve(rows: Sequence[scores.Row]) -> list[dict[str, float]]:
    """Ten points of the risk-coverage curve; none where no estimate has a confidence."""
    if not any(math.isfinite(row.confidence) for row in rows):
        return []
    coverage, mae, wrong = trust.risk_coverage(rows)
    at = np.searchsorted(coverage, _COVERAGES - 1e-9)
    return [
        {"coverage": float(coverage[i]), "mae": float(mae[i]), "wrong": float(wrong[i])}
        for i in at
        if i < coverage.size
    ]


def markdown(evaluation: Evaluation, scored: Mapping[str, Any], by: Sequence[str] = ()) -> str:
    """The scores as tables.

    Args:
        evaluation: its rows.
        scored: its `document`.
        by: attributes that this was made with.
    """
    lines = [f"# {evaluation.name}", f"Profile {evaluation.protocol.profile}.", *completeness(evaluation)]
    for quantity, found in scored["quantities"].items():
        lines += [
            "",
            f"## {_heading(quantity, found)}",
            "",
            *(f"- {line}" for line in answered(evaluation, quantity) or [f"coverage {_percent(found['coverage'])}"]),
            "",
            *tabular.markdown(
                ["score", "value", "standard error", "95 % interval (subjects)", "n"],
                [
                    [_TITLES[name], *(_number(score[key]) for key in ("value", "standard_error")),
                     _interval(score) or "–", str(score["n"])]
                    for name, score in found["metrics"].items()
                ],
            ),
        ]  # fmt: skip
        limits = found["limits_of_agreement"]
        if limits["low"] is not None:
            lines += ["", f"95 % limits of agreement {_number(limits['low'])} to {_number(limits['high'])}."]
        groups = _groups(found.get("by", []), by)
        lines += ["", *groups] if groups else []
    return "\n".join(lines) + "\n"


def _groups(groups: Sequence[Mapping[str, Any]], by: Sequence[str]) -> list[str]:
    if not groups:
        return []
    names, shares = ("rmse", "pearson", "snr_db", "macc"), ("answered", "right", "wrong", "at_risk")
    titles = ("answered", "right", "wrong", f"answered at {_percent(trust.RISK)} wrong")
    columns = [*by, "MAE", *(_TITLES[name] for name in names), *titles, "windows", "subjects"]
    rows = []
    for group in groups:
        mae = group["metrics"]["mae"]
        cells = [*(str(group[name]) for name in by), " ".join(filter(None, [_number(mae["value"]), _interval(mae)]))]
        cells += [_number(group["metrics"][name]["value"]) for name in names]
        cells += [_percent(group["answers"][name]) for name in shares]
        rows.append([*cells, str(group["answers"]["windows"]), str(group["subjects"])])
    return tabular.markdown(columns, rows)


def _interval(score: Mapping[str, Any], form: str = "({} to {})") -> str:
    low, high = score["interval"] or (None, None)
    return form.format(_number(low), _number(high)) if low is not None else ""


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}" if abs(value) < 1 else f"{value:.2f}"


def comparison(first: Sequence[Evaluation], second: Sequence[Evaluation]) -> list[dict[str, Any]]:
    """Two models on the windows that both answered; see `vitalcam.scores.paired`.

    Args:
        first, second: one evaluation for each seed.

    Returns:
        for each quantity that both have: "quantity", the two names, the share of windows that each answered, what
        `paired` returns and, where each side is one evaluation, what `vitalcam.trust.more_right` does; unknown is None.

    Raises:
        UsageError: they were not evaluated in the same way, or have no window in common.
    """
    everything = [*first, *second]
    for one in everything[1:]:
        if one.protocol != everything[0].protocol:
            raise UsageError(
                f"{one.name}: was evaluated by another protocol than {everything[0].name}; evaluate it again"
            )
    shared = [name for name in everything[0].quantities if all(name in one.quantities for one in everything)]
    if not shared:
        raise UsageError("the evaluations have no quantity in common; evaluate what gives the same rate")
    lines = []
    for quantity in shared:
        line: dict[str, Any] = {"quantity": quantity, "unit": UNITS[quantity]}
        for side, ones in (("first", first), ("second", second)):
            coverage = [trust.answers(one.of(quantity))["answered"] for one in ones]
            line[f"{side}_name"] = ", ".join(dict.fromkeys(one.name for one in ones))
            line[f"{side}_seeds"], line[f"{side}_answered"] = len(ones), float(np.mean(coverage))
        found = scores.paired([one.of(quantity) for one in first], [one.of(quantity) for one in second])
        if len(everything) == 2:
            gain = trust.more_right(first[0].of(quantity), second[0].of(quantity))
            line |= dict(zip(("right", "right_low", "right_high"), gain, strict=True))
        lines.append(plain.jsonable({**line, **found}))
    return lines


def compared(line: Mapping[str, Any]) -> list[str]:
    """A comparison in words."""
    sides = [
        f"{line[f'{side}_name']} ({line[f'{side}_seeds']} seeds): MAE {_number(line[side])} {line['unit']}, "
        f"answered {_percent(line[f'{side}_answered'])}"
        for side in ("first", "second")
    ]
    interval = f"{_number(line['low'])} to {_number(line['high'])}"
    right = []
    if line.get("right") is not None:
        span = f"{_percent(line['right_low'])} to {_percent(line['right_high'])}"
        right = [f"of all windows the first is right in {_percent(line['right'])} more, 95 % {span}"]
    return [
        f"{line['quantity']}, {line['n']} windows of {line['subjects']} subjects that both answered",
        *sides,
        f"first minus second {_number(line['difference'])}, 95 % {interval} (drawing subjects)",
        *right,
        f"p over subjects: t {_number(line['t_subjects'])}, Wilcoxon {_number(line['wilcoxon_subjects'])}",
        f"p over windows, as if they were independent: t {_number(line['t'])}, Wilcoxon {_number(line['wilcoxon'])}",
    ]


def rows_csv(evaluation: Evaluation) -> str:
    """A line for each window; attributes have columns of their own, unknown is empty."""
    attributes = sorted(set().union(*(row.attributes for row in evaluation.rows)))
    fields = [field.name for field in dataclasses.fields(scores.Row) if field.name != "attributes"]
    rows = (
        [*(getattr(row, name) for name in fields), *(row.attributes.get(name) for name in attributes)]
        for row in evaluation.rows
    )
    return tabular.csv_text([*fields, *attributes], rows)


def write(evaluation: Evaluation, folder: Path, by: Sequence[str] = ()) -> dict[str, Any]:
    """Write ``rows.csv``, ``scores.md`` and, last, ``scores.json``.

    Returns:
        the `document`.

    Raises:
        OutputError: they cannot be written.
        UsageError: no recording has an attribute of ``by``.
    """
    scored = document(evaluation, by)
    files.write_text(folder / "rows.csv", rows_csv(evaluation))
    files.write_text(folder / "scores.md", markdown(evaluation, scored, by))
    files.write_text(folder / "scores.json", json.dumps(scored, indent=1, allow_nan=False) + "\n")
    return scored
