"""Two models of a recipe compared, over the seeds and over the people, and what papers claim of them judged by that."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam import evaluate, metrics, scores
from vitalcam.recipes import SCORES, Claim, Recipe
from vitalcam.reproduce import Outcome
from vitalcam.scores import Row

ENOUGH_SEEDS = 3
"""Of fewer, no claim is judged."""

_SHOWN = {"mae": "MAE", "rmse": "RMSE", "snr_db": "SNR dB", "macc": "MACC"}


@dataclass(frozen=True)
class Judgement:
    """What our numbers say of a claim; NaN where there are too few.

    Attributes:
        seeds: that both models have.
        difference: of the mean absolute errors, first minus second, per minute.
        low, high: 95 % interval, drawing people.
        p_people, p_seeds: of paired t-tests over the people and over the seeds.
        macc: difference of the mean correlations with the true wave, and its interval; it decides nothing.
        verdict: "holds", "does not hold" or "open".
    """

    claim: Claim
    seeds: int = 0
    difference: float = np.nan
    low: float = np.nan
    high: float = np.nan
    p_people: float = np.nan
    p_seeds: float = np.nan
    macc: tuple[float, float, float] = (np.nan, np.nan, np.nan)
    verdict: str = "open"


def judge(claim: Claim, outcomes: Sequence[Outcome]) -> Judgement:
    """Judge a claim.

    A difference counts where its interval leaves out 0, at least `ENOUGH_SEEDS` seeds have it and all with the same
    sign; two models count as alike where the interval lies within what the claim takes for no difference, and as
    different where it lies outside. All else is open.
    """
    both = _both((claim.better, claim.than), outcomes)
    if not both:
        return Judgement(claim)
    first, second = (_rows(side) for side in zip(*both, strict=True))
    found = scores.paired(first, second)
    by_seed = np.array([one.scores["mae"][0] - other.scores["mae"][0] for one, other in both])
    numbers = found["difference"], found["low"], found["high"], found["t_subjects"], scores.t_test(by_seed)
    verdict = _verdict(claim, found["low"], found["high"], by_seed)
    return Judgement(claim, len(both), *numbers, _macc(first, second), verdict)


def _macc(first: Sequence[Sequence[Row]], second: Sequence[Sequence[Row]]) -> tuple[float, float, float]:
    """Difference of the mean correlations, first minus second, with its 95 % interval, drawing people."""
    signed = [(row, sign) for side, sign in ((first, 1), (second, -1)) for rows in side for row in rows]
    known = [(row, sign) for row, sign in signed if np.isfinite(row.macc)]
    values, signs = np.array([[row.macc, sign] for row, sign in known]).T

    def difference(drawn: NDArray[np.intp]) -> float:
        ours = signs[drawn] > 0
        return float(values[drawn][ours].mean() - values[drawn][~ours].mean())

    everything = np.arange(signs.size)
    return difference(everything), *metrics.cluster_interval(difference, [row.person for row, _ in known], draws=1000)


def _verdict(claim: Claim, low: float, high: float, by_seed: NDArray[Any]) -> str:
    if by_seed.size < ENOUGH_SEEDS or np.isnan(low):
        return "open"
    if claim.within:
        apart = low > claim.within or high < -claim.within
        return "holds" if -claim.within < low and high < claim.within else "does not hold" if apart else "open"
    if high < 0 and (by_seed < 0).all():
        return "holds"
    return "does not hold" if low > 0 and (by_seed > 0).all() else "open"


def lines(recipe: Recipe, outcomes: Sequence[Outcome]) -> list[str]:
    """The models with intervals, and the claims, as Markdown."""
    models = dict.fromkeys(outcome.cell.model for outcome in outcomes)
    given = {model: [o for o in outcomes if o.cell.model == model and _usable(o)] for model in models}
    text = [f"| model | seeds | {' | '.join(_SHOWN.values())} |", "| --- " * (2 + len(_SHOWN)) + "|"]
    text += [_model_line(model, ones) for model, ones in given.items()]
    everything = [outcome for ones in given.values() for outcome in ones]
    if everything:
        truth = np.array([row.truth for row in _rows(everything[:1])[0] if np.isfinite(row.truth)])
        blind = np.abs(truth - truth.mean()).mean()
        text += ["", f"Always to say the mean true rate of these {truth.size} windows would err by {blind:.1f}."]
    text += ["", "| claim | of | difference of MAE | seeds | p over people | p over seeds | of MACC | on our data |"]
    text += ["| --- " * 8 + "|", *(_claim_line(judge(claim, outcomes)) for claim in recipe.claims)]
    return [*text, "", "In brackets 95 % intervals, drawing people."]


def _model_line(model: str, given: Sequence[Outcome]) -> str:
    if not given:
        return f"| {model} | 0 |{' – |' * len(_SHOWN)}"
    spans = scores.intervals([row for rows in _rows(given) for row in rows], tuple(_SHOWN))
    cells = [f"{np.mean([o.scores[name][0] for o in given]):.2f} {_span(*spans[name])}" for name in _SHOWN]
    return f"| {model} | {len(given)} | {' | '.join(cells)} |"


def _claim_line(found: Judgement) -> str:
    difference = f"{found.difference:+.2f} {_span(found.low, found.high)}" if found.seeds else "–"
    macc = f"{found.macc[0]:+.3f} {_span(*found.macc[1:], digits=3)}" if found.seeds else "–"
    ps = ["–" if np.isnan(p) else f"{p:.3f}" for p in (found.p_people, found.p_seeds)]
    cells = [found.claim.says, found.claim.where, difference, str(found.seeds), *ps, macc, found.verdict]
    return f"| {' | '.join(cells)} |"


def _span(low: float, high: float, digits: int = 2) -> str:
    return "" if np.isnan(low) else f"[{low:.{digits}f}, {high:.{digits}f}]"


def paired(models: Sequence[str], outcomes: Sequence[Outcome]) -> list[dict[str, Any]]:
    """Paired t-test of two models over the seeds that both have, for each score.

    Returns:
        for each score: "score", "seeds", "difference" (mean of first minus second), "p" (two-sided; NaN with fewer
        than two seeds, or where all differences are equal).
    """
    both = _both(models, outcomes, judged=False)
    found = []
    for score in SCORES:
        pairs = [[side.scores[score][0] for side in sides] for sides in both if all(score in s.scores for s in sides)]
        if pairs:
            difference = np.subtract(*np.array(pairs).T)
            row = {"score": score, "seeds": len(pairs), "difference": float(difference.mean())}
            found.append({**row, "p": scores.t_test(difference)})
    return found


def over_people(models: Sequence[str], outcomes: Sequence[Outcome]) -> dict[str, float]:
    """The same over the people, their errors averaged over the seeds: `vitalcam.scores.paired`, or nothing."""
    first, second = ([o for o in outcomes if o.cell.model == model and _usable(o)] for model in models)
    return scores.paired(_rows(first), _rows(second)) if first and second else {}


def _both(models: Sequence[str], outcomes: Sequence[Outcome], *, judged: bool = True) -> list[tuple[Outcome, Outcome]]:
    """Outcomes of two models that differ in nothing else; with ``judged`` those alone whose windows are there."""
    first, second = (
        {dataclasses.replace(o.cell, model=""): o for o in outcomes if o.cell.model == model} for model in models
    )
    pairs = [(first[cell], second[cell]) for cell in first if cell in second]
    return [pair for pair in pairs if not judged or all(map(_usable, pair))]


def _usable(outcome: Outcome) -> bool:
    return outcome.place is not None and not outcome.missing


def _rows(outcomes: Sequence[Outcome]) -> list[list[Row]]:
    """Windows of the heart rate of each."""
    return [evaluate.read(outcome.place).of("heart_rate") for outcome in outcomes if outcome.place]
