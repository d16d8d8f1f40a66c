"""What the windows of an evaluation say: scores with their intervals, agreement, comparison in pairs.

Windows of one person are not independent. Intervals and tests therefore draw or average whole subjects; the standard
errors beside the scores are those of the profile, which do not.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam import metrics
from vitalcam.errors import UsageError
from vitalcam.metrics import Array
from vitalcam.types import Scores


@dataclass(frozen=True)
class Row:
    """One window of one recording.

    Attributes:
        dataset, subject, recording: where it comes from.
        quantity: "heart_rate" or "resp_rate".
        t0_s, t1_s: the window.
        truth: true rate per minute, NaN where unknown.
        estimate: estimated rate, NaN where there is none; then ``reason`` says why.
        snr_db: of the predicted wave about the true rate.
        macc: largest correlation of the predicted and the true wave.
        confidence: 0..1, NaN where the estimate came without.
        attributes: of person and scene.
        candidate: the rate that would be given if any confidence were enough, NaN where there is none.
        wave_rate: rate of the predicted wave, read off by the protocol whatever the pipe thinks of it.
        null: the true wave is known, and it is that of somebody without a pulse: any number is wrong.
    """

    dataset: str
    subject: str
    recording: str
    quantity: str
    t0_s: float
    t1_s: float
    truth: float
    estimate: float
    snr_db: float = math.nan
    macc: float = math.nan
    confidence: float = math.nan
    reason: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    candidate: float = math.nan
    wave_rate: float = math.nan
    null: bool = False

    @property
    def rate(self) -> float:
        """The rate that the confidence speaks of, whether it was given or not."""
        return self.candidate if math.isnan(self.estimate) else self.estimate

    @property
    def person(self) -> str:
        """The subject, told from those of other data sets."""
        return f"{self.dataset}/{self.subject}"


def plain_attributes(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """The attributes of a recording that are one value each, finite and fit for a table."""
    return {
        key: value
        for key, value in attributes.items()
        if isinstance(value, str | int) or (isinstance(value, float) and math.isfinite(value))
    }


def scores(rows: Sequence[Row], *, profile: str = "vitalcam") -> Scores:
    """Scores of rates and waves.

    Args:
        rows: windows of one quantity.
        profile: decides the standard errors; see `vitalcam.metrics`.

    Returns:
        metrics "mae", "rmse", "mape", "pearson", "ccc", "max_error", "bias", "snr_db", "macc", and the share of the
        windows of known truth that were answered.
    """
    estimate, truth = rates(rows)
    found = metrics.agreement(estimate, truth, profile=profile)
    for name in ("snr_db", "macc"):
        values = np.array([getattr(row, name) for row in rows], dtype=float)
        found[name] = (*metrics.mean_and_error(values), int(np.isfinite(values).sum()))
    known = np.isfinite(truth)
    coverage = float(np.isfinite(estimate[known]).mean()) if known.any() else math.nan
    return Scores(tuple(dataclasses.asdict(row) for row in rows), found, coverage)


def rates(rows: Sequence[Row]) -> tuple[Array, Array]:
    """Estimated and true rates (N,) of windows; NaN where unknown."""
    return np.array([row.estimate for row in rows], float), np.array([row.truth for row in rows], float)


def answered(rows: Sequence[Row]) -> list[Row]:
    """The windows of known rate that have an estimate."""
    return [row for row in rows if math.isfinite(row.estimate) and math.isfinite(row.truth)]


_STATISTICS: Mapping[str, Callable[[Array, Array], float]] = {
    "mae": lambda e, t: float(np.abs(e - t).mean()),
    "rmse": lambda e, t: float(np.sqrt(np.square(e - t).mean())),
    "mape": lambda e, t: float(100 * np.abs((e - t) / t).mean()),
    "bias": lambda e, t: float((e - t).mean()),
    "pearson": metrics.pearson,
    "ccc": metrics.ccc,
}

INTERVALS = (*_STATISTICS, "snr_db", "macc")
"""Scores that have intervals."""


def intervals(
    rows: Sequence[Row], names: Sequence[str] = INTERVALS, *, level: float = 0.95, draws: int = 1000
) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals of scores that draw whole subjects.

    Args:
        rows: windows of one quantity.
        names: which of `INTERVALS`.
        level: coverage.
        draws: number of resamplings.

    Returns:
        lower and upper bound of each; NaN with fewer than two subjects, or where the score itself is unknown.
    """
    kept = answered(rows)
    estimate, truth = rates(kept)
    people = [row.person for row in kept]

    def interval(statistic: Callable[[Array, Array], float]) -> tuple[float, float]:
        def of(drawn: NDArray[np.intp]) -> float:
            return statistic(estimate[drawn], truth[drawn])

        if not kept or math.isnan(statistic(estimate, truth)):
            return math.nan, math.nan
        return metrics.cluster_interval(of, people, level=level, draws=draws)

    found = {name: interval(_STATISTICS[name]) for name in names if name in _STATISTICS}
    for name in set(names) - found.keys():
        known = [row for row in rows if math.isfinite(getattr(row, name))]
        values = np.array([getattr(row, name) for row in known], dtype=float)
        found[name] = mean_interval(values, [row.person for row in known], level=level, draws=draws)
    return found


def mean_interval(
    values: Array, people: Sequence[str], *, level: float = 0.95, draws: int = 1000
) -> tuple[float, float]:
    """Bootstrap interval of a mean that draws whole subjects: of values (N,) and whose they are."""
    return metrics.cluster_interval(lambda drawn: float(values[drawn].mean()), people, level=level, draws=draws)


def limits_of_agreement(rows: Sequence[Row]) -> dict[str, float]:
    """Bias and 95 % limits of agreement where a subject has several windows.

    Returns:
        "bias", "low", "high", "sd" (within and between subjects together); NaN where there are too few.

    Source: Bland & Altman 2007, J. Biopharm. Stat. 17(4), section 3: variance components of a one-way analysis of the
        differences by subject.
    """
    kept = answered(rows)
    estimate, truth = rates(kept)
    difference = estimate - truth
    people = np.unique([row.person for row in kept], return_inverse=True)[1]
    counts = np.bincount(people) if kept else np.zeros(0)
    n, groups = difference.size, counts.size
    bias = float(difference.mean()) if n else math.nan
    if n == groups or groups < 2:
        simple = metrics.bland_altman(estimate, truth)
        return {key: simple[key] for key in ("bias", "low", "high", "sd")}
    means = np.bincount(people, difference) / counts
    within = float(np.square(difference - means[people]).sum() / (n - groups))
    between = float((counts * np.square(means - bias)).sum() / (groups - 1))
    each = (n - np.square(counts).sum() / n) / (groups - 1)
    sd = math.sqrt(within + max((between - within) / each, 0.0))
    return {"bias": bias, "low": bias - 1.96 * sd, "high": bias + 1.96 * sd, "sd": sd}


def paired(first: Sequence[Sequence[Row]], second: Sequence[Sequence[Row]]) -> dict[str, float]:
    """Whether one model errs less than another on the windows that both answered.

    Args:
        first, second: windows of one quantity by two models, once for each seed; the errors of the seeds are averaged
            for each window that all of them answered.

    Returns:
        "first" and "second", the mean absolute errors on those windows; their "difference" (first minus second),
        "low", "high" (95 %, drawing whole subjects), p-values "t" and "wilcoxon" over windows and "t_subjects" and
        "wilcoxon_subjects" over the means of subjects, and "n", "subjects". The first two p-values take windows for
        independent, which those of one person are not. NaN where there are too few.

    Raises:
        UsageError: they have no window in common.
    """
    ours, theirs = _errors(first), _errors(second)
    common = [place for place in ours if place in theirs]
    if not common:
        raise UsageError("the two evaluations have no window in common; evaluate both on the same recordings")
    errors = np.array([[ours[place], theirs[place]] for place in common])
    difference = errors[:, 0] - errors[:, 1]
    person = {_place(row): row.person for rows in first for row in rows}
    people = [person[place] for place in common]
    number = np.unique(people, return_inverse=True)[1]
    means = np.bincount(number, difference) / np.bincount(number)
    low, high = mean_interval(difference, people)
    return {
        "first": float(errors[:, 0].mean()), "second": float(errors[:, 1].mean()),
        "difference": float(difference.mean()), "low": low, "high": high, "t": t_test(difference),
        "wilcoxon": _wilcoxon(difference), "t_subjects": t_test(means), "wilcoxon_subjects": _wilcoxon(means),
        "n": difference.size, "subjects": means.size,
    }  # fmt: skip


_Place = tuple[str, str, str, float, float]


def shared(first: Sequence[Row], second: Sequence[Row]) -> list[tuple[Row, Row]]:
    """The windows of known rate that two evaluations have in common, answered or not."""
    others = {_place(row): row for row in second}
    found = [(row, others[_place(row)]) for row in first if _place(row) in others]
    return [pair for pair in found if all(math.isfinite(row.truth) for row in pair)]


def _place(row: Row) -> _Place:
    return row.dataset, row.recording, row.quantity, round(row.t0_s, 3), round(row.t1_s, 3)


def _errors(seeds: Sequence[Sequence[Row]]) -> dict[_Place, float]:
    """Mean absolute error over the seeds of each window that all of them answered."""
    found = [{_place(row): abs(row.estimate - row.truth) for row in answered(rows)} for rows in seeds]
    common = [place for place in found[0] if all(place in errors for errors in found)] if found else []
    return {place: sum(errors[place] for errors in found) / len(found) for place in common}


def t_test(difference: Array) -> float:
    """Two-sided p-value of a t-test that the mean of differences (N,) is 0; NaN for fewer than two or equal ones."""
    from scipy import stats

    if difference.size < 2 or np.ptp(difference) == 0:
        return math.nan
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def _wilcoxon(difference: Array) -> float:
    from scipy import stats

    return float(stats.wilcoxon(difference).pvalue) if np.any(difference) and difference.size > 1 else math.nan
