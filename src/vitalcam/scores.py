"""What the windows of an evaluation say: scores with their intervals, by person and scene, by confidence, in pairs.

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

TOLERANCE_PER_MIN = 5.0
"""An estimate counts as right within this error; it is what a confidence speaks of."""


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

    @property
    def person(self) -> str:
        """The subject, told from those of other data sets."""
        return f"{self.dataset}/{self.subject}"


def scores(rows: Sequence[Row], *, profile: str = "vitalcam") -> Scores:
    """Scores of rates and waves.

    Args:
        rows: windows of one quantity.
        profile: decides the standard errors; see `vitalcam.metrics`.

    Returns:
        metrics "mae", "rmse", "mape", "pearson", "ccc", "max_error", "bias", "snr_db", "macc", and the share of the
        windows of known truth that were answered.
    """
    estimate, truth = _pairs(rows)
    found = metrics.agreement(estimate, truth, profile=profile)
    for name in ("snr_db", "macc"):
        values = np.array([getattr(row, name) for row in rows], dtype=float)
        found[name] = (*metrics.mean_and_error(values), int(np.isfinite(values).sum()))
    known = np.isfinite(truth)
    coverage = float(np.isfinite(estimate[known]).mean()) if known.any() else math.nan
    return Scores(tuple(dataclasses.asdict(row) for row in rows), found, coverage)


def _pairs(rows: Sequence[Row]) -> tuple[Array, Array]:
    return np.array([row.estimate for row in rows], float), np.array([row.truth for row in rows], float)


def _answered(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if math.isfinite(row.estimate) and math.isfinite(row.truth)]


_STATISTICS: Mapping[str, Callable[[Array, Array], float]] = {
    "mae": lambda e, t: float(np.abs(e - t).mean()),
    "rmse": lambda e, t: float(np.sqrt(np.square(e - t).mean())),
    "mape": lambda e, t: float(100 * np.abs((e - t) / t).mean()),
    "bias": lambda e, t: float((e - t).mean()),
    "pearson": lambda e, t: metrics.agreement(e, t)["pearson"][0],
    "ccc": lambda e, t: metrics.agreement(e, t)["ccc"][0],
}


def intervals(rows: Sequence[Row], *, level: float = 0.95, draws: int = 1000) -> dict[str, tuple[float, float]]:
    """Bootstrap intervals that draw whole subjects: "mae", "rmse", "mape", "bias", "pearson", "ccc".

    Returns:
        lower and upper bound of each; NaN with fewer than two subjects, or where the score itself is unknown.
    """
    kept = _answered(rows)
    estimate, truth = _pairs(kept)
    people = [row.person for row in kept]

    def interval(statistic: Callable[[Array, Array], float]) -> tuple[float, float]:
        def of(drawn: NDArray[np.intp]) -> float:
            return statistic(estimate[drawn], truth[drawn])

        if not kept or math.isnan(statistic(estimate, truth)):
            return math.nan, math.nan
        return metrics.cluster_interval(of, people, level=level, draws=draws)

    return {name: interval(statistic) for name, statistic in _STATISTICS.items()}


def by(rows: Sequence[Row], attributes: Sequence[str], *, profile: str = "vitalcam") -> dict[tuple[str, ...], Scores]:
    """Scores of the windows that share their attributes, sorted by them.

    Args:
        rows: windows of one quantity.
        attributes: names, such as "skin_color", "motion"; "dataset" and "subject" are always there.
        profile: decides the standard errors.

    Raises:
        UsageError: no recording has such an attribute; the message lists those there are.
    """
    known = {"dataset", "subject"}.union(*(row.attributes for row in rows))
    for name in attributes:
        if name not in known:
            raise UsageError(f"no recording has the attribute {name!r} (there are: {', '.join(sorted(known))})")
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        all_of_it = {"dataset": row.dataset, "subject": row.subject, **row.attributes}
        groups.setdefault(tuple(str(all_of_it.get(name, "unknown")) for name in attributes), []).append(row)
    return {key: scores(group, profile=profile) for key, group in sorted(groups.items())}


def risk_coverage(rows: Sequence[Row]) -> tuple[Array, Array]:
    """Mean error of the windows that would be answered if only the surest were.

    Returns:
        coverage (N,) rising to the share of windows that have an estimate, and the mean absolute error (N,) of those
        answered at it, per minute. Windows without a confidence count as the least sure.
    """
    kept = _answered(rows)
    known = sum(math.isfinite(row.truth) for row in rows)
    trust = np.array([np.nan_to_num(row.confidence, nan=-1.0) for row in kept])
    estimate, truth = _pairs(kept)
    error = np.abs(estimate - truth)[np.argsort(-trust, kind="stable")]
    count = np.arange(1, error.size + 1)
    return count / max(known, 1), np.cumsum(error) / count


def reliability(rows: Sequence[Row], *, bins: int = 10) -> list[dict[str, float]]:
    """How often the estimates of each confidence are right, that is within `TOLERANCE_PER_MIN`.

    Returns:
        for each bin of confidence that has windows: "low", "high", "confidence" (mean), "right" (share), "n".
    """
    kept = [row for row in _answered(rows) if math.isfinite(row.confidence)]
    trust = np.array([row.confidence for row in kept])
    estimate, truth = _pairs(kept)
    right = np.abs(estimate - truth) <= TOLERANCE_PER_MIN
    place = np.minimum((trust * bins).astype(int), bins - 1)
    return [
        {
            "low": k / bins, "high": (k + 1) / bins, "confidence": float(trust[place == k].mean()),
            "right": float(right[place == k].mean()), "n": int((place == k).sum()),
        }
        for k in np.unique(place)
    ]  # fmt: skip


def calibration_error(rows: Sequence[Row], *, bins: int = 10) -> float:
    """Mean distance of confidence and share of right estimates, weighted by windows; NaN without confidences."""
    table = reliability(rows, bins=bins)
    n = sum(line["n"] for line in table)
    return sum(line["n"] * abs(line["confidence"] - line["right"]) for line in table) / n if n else math.nan


def limits_of_agreement(rows: Sequence[Row]) -> dict[str, float]:
    """Bias and 95 % limits of agreement where a subject has several windows.

    Returns:
        "bias", "low", "high", "sd" (within and between subjects together); NaN where there are too few.

    Source: Bland & Altman 2007, J. Biopharm. Stat. 17(4), section 3: variance components of a one-way analysis of the
        differences by subject.
    """
    kept = _answered(rows)
    estimate, truth = _pairs(kept)
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


def paired(first: Sequence[Row], second: Sequence[Row]) -> dict[str, float]:
    """Whether one model errs less than another on the windows that both answered.

    Args:
        first, second: windows of one quantity by two models (or of several seeds, put together).

    Returns:
        "difference" of the mean absolute errors (first minus second), "low", "high" (95 %, drawing whole subjects),
        p-values "t" and "wilcoxon" over windows and "t_subjects" over the means of subjects, and "n", "subjects". The
        first two take windows for independent, which those of one person are not. NaN where there are too few.

    Raises:
        UsageError: they have no window in common.
    """
    errors = [{_place(row): abs(row.estimate - row.truth) for row in _answered(rows)} for rows in (first, second)]
    shared = [row for row in _answered(first) if _place(row) in errors[1]]
    if not shared:
        raise UsageError("the two evaluations have no window in common; evaluate both on the same recordings")
    difference = np.array([errors[0][_place(row)] - errors[1][_place(row)] for row in shared])
    people = np.unique([row.person for row in shared], return_inverse=True)[1]
    means = np.bincount(people, difference) / np.bincount(people)
    low, high = metrics.cluster_interval(lambda drawn: float(difference[drawn].mean()), people, draws=1000)
    return {
        "difference": float(difference.mean()), "low": low, "high": high, "t": _t_test(difference),
        "wilcoxon": _wilcoxon(difference), "t_subjects": _t_test(means), "n": difference.size, "subjects": means.size,
    }  # fmt: skip


def _place(row: Row) -> tuple[str, str, str, float]:
    return row.dataset, row.recording, row.quantity, round(row.t0_s, 3)


def _t_test(difference: Array) -> float:
    from scipy import stats

    if difference.size < 2 or np.ptp(difference) == 0:
        return math.nan
    return float(stats.ttest_1samp(difference, 0.0).pvalue)


def _wilcoxon(difference: Array) -> float:
    from scipy import stats

    return float(stats.wilcoxon(difference).pvalue) if np.any(difference) and difference.size > 1 else math.nan
