"""Whether the confidence of an evaluation can be trusted: what is answered, what is right, what is left unsaid.

A confidence speaks of the probability that a rate is right, that is within `TOLERANCES` of the truth. A pipe that
refuses a window still has a rate for it and a confidence; both count here, so that other thresholds than the one that
it was run with can be looked at.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from vitalcam.metrics import Array
from vitalcam.scores import Row, answered, mean_interval, shared

TOLERANCES = {"heart_rate": 5.0, "resp_rate": 3.0}
"""A rate counts as right within this error, per minute."""
RISK = 0.05
"""Share of wrong answers at which the coverage is looked up."""


def answers(rows: Sequence[Row]) -> dict[str, float]:
    """What became of the windows.

    Args:
        rows: windows of one quantity.

    Returns:
        "windows" (of known rate), and as shares of them "answered", "right", "wrong" and "at_risk", see
        `coverage_at_risk`; "null_windows" (of people without a pulse), and the share of them that got no number,
        "silent". NaN where there are none.
    """
    known = [row for row in rows if math.isfinite(row.truth)]
    given = answered(rows)
    good = sum(map(is_right, given))
    null = [row for row in rows if row.null]
    silent = sum(math.isnan(row.estimate) for row in null)
    return {
        "windows": len(known), "answered": _share(len(given), len(known)), "right": _share(good, len(known)),
        "wrong": _share(len(given) - good, len(known)), "at_risk": coverage_at_risk(rows),
        "null_windows": len(null), "silent": _share(silent, len(null)),
    }  # fmt: skip


def is_right(row: Row) -> bool:
    """Whether a window has an estimate within the tolerance of its true rate."""
    return abs(row.estimate - row.truth) <= TOLERANCES[row.quantity]


def more_right(first: Sequence[Row], second: Sequence[Row]) -> tuple[float, float, float]:
    """Share of windows answered rightly by one less that of another, over all windows of known rate that both have.

    Unlike a mean error over the answers it does not reward refusing what is hard.

    Returns:
        difference, and its 95 % interval that draws whole subjects; NaN where there are no such windows.
    """
    pairs = shared(first, second)
    gain = np.array([float(is_right(one)) - float(is_right(other)) for one, other in pairs])
    low, high = mean_interval(gain, [one.person for one, _ in pairs])
    return float(gain.mean()) if pairs else math.nan, low, high


def _share(part: int, whole: int) -> float:
    return part / whole if whole else math.nan


def risk_coverage(rows: Sequence[Row]) -> tuple[Array, Array, Array]:
    """Errors of the windows that would be answered if only the surest were, for every threshold.

    Returns:
        coverage (N,), rising to the share of the windows of known rate that have a rate; mean absolute error (N,) of
        those answered at it, per minute; and the share (N,) of them that is wrong. Windows without a confidence count
        as the least sure; windows of the same confidence are answered together.
    """
    kept = [row for row in rows if math.isfinite(row.rate) and math.isfinite(row.truth)]
    known = sum(math.isfinite(row.truth) for row in rows)
    trust = np.array([np.nan_to_num(row.confidence, nan=-1.0) for row in kept])
    order = np.argsort(-trust, kind="stable")
    error = np.array([abs(row.rate - row.truth) for row in kept])[order]
    wrong = error > TOLERANCES[kept[0].quantity] if kept else error
    count = np.arange(1, error.size + 1)
    last = np.append(np.diff(trust[order]) != 0, True)[: error.size]
    return (count / max(known, 1))[last], (np.cumsum(error) / count)[last], (np.cumsum(wrong) / count)[last]


def coverage_at_risk(rows: Sequence[Row], risk: float = RISK) -> float:
    """Largest share of the windows that can be answered with at most this share of wrong answers among them.

    The threshold of the confidence is the best for these very windows; NaN where no confidence or no rate is known.
    """
    if not any(math.isfinite(row.confidence) and math.isfinite(row.truth) for row in rows):
        return math.nan
    coverage, _, wrong = risk_coverage(rows)
    return float(coverage[wrong <= risk].max(initial=0.0))


def reliability(rows: Sequence[Row], *, bins: int = 10) -> list[dict[str, float]]:
    """How often the rates of each confidence are right: never in people without a pulse.

    Windows without a rate are left out, and those whose true rate is not known.

    Returns:
        for each bin of confidence that has windows: "low", "high", "confidence" (mean), "right" (share), "n".
    """
    trust, right = _judged(rows)
    place = _bins(trust, bins)
    return [
        {
            "low": k / bins, "high": (k + 1) / bins, "confidence": float(trust[place == k].mean()),
            "right": float(right[place == k].mean()), "n": int((place == k).sum()),
        }
        for k in np.unique(place)
    ]  # fmt: skip


def calibration_error(rows: Sequence[Row], *, bins: int = 10) -> float:
    """Mean distance of confidence and share of right rates, weighted by windows; NaN without confidences."""
    table = reliability(rows, bins=bins)
    n = sum(line["n"] for line in table)
    return sum(line["n"] * abs(line["confidence"] - line["right"]) for line in table) / n if n else math.nan


def chance_error(rows: Sequence[Row], *, bins: int = 10, draws: int = 200) -> float:
    """Calibration error that these confidences would show on average if they were exactly right; NaN without any.

    Of few windows it is far from 0. Windows are drawn one by one: those of one recording are alike, so that chance does
    more than this.
    """
    trust, _ = _judged(rows)
    if not trust.size:
        return math.nan
    rng, place = np.random.default_rng(0), _bins(trust, bins)
    drawn = rng.random((draws, trust.size)) < trust
    surplus = (drawn - trust) @ (place[:, None] == np.arange(bins))
    return float(np.abs(surplus).sum(axis=1).mean() / trust.size)


def _judged(rows: Sequence[Row]) -> tuple[Array, NDArray[np.bool_]]:
    """Confidences, and whether the rates were right, of the windows where both are known."""
    known = (row for row in rows if math.isfinite(row.truth) or row.null)
    kept = [row for row in known if math.isfinite(row.rate) and math.isfinite(row.confidence)]
    right = [abs(row.rate - row.truth) <= TOLERANCES[row.quantity] for row in kept]
    return np.array([row.confidence for row in kept]), np.array(right, bool)


def _bins(trust: Array, bins: int) -> NDArray[np.intp]:
    return np.minimum((trust * bins).astype(np.intp), bins - 1)
