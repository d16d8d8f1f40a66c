"""Our numbers beside the paper's: as text, CSV, and where a figure is meant as a curve."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from vitalcam import claims, curves, files
from vitalcam.recipes import COSTS, SCORES, Paired, Recipe
from vitalcam.reproduce import Outcome, Score, Source

HEADLINES = ("mae", "resp_mae", *COSTS)
"""What is shown unless asked otherwise."""


@dataclass(frozen=True)
class Line:
    """Ours beside the paper's; NaN or None where unknown.

    Attributes:
        key: see `vitalcam.recipes`.
        score: name of the score.
        ours: mean over the runs.
        error: its standard error: of one run that of the profile; of several seeds by their spread; of different sets
            or people that of the mean of independent numbers.
        runs: how many.
        paper: value and standard error, or None.
        missing: why some of ours are not there.
    """

    key: str
    score: str
    ours: float
    error: float
    runs: int
    paper: Score | None
    missing: str = ""

    @property
    def difference(self) -> float:
        """Ours minus the paper's."""
        return self.ours - self.paper[0] if self.paper else np.nan


def compare(recipe: Recipe, outcomes: Sequence[Outcome], wanted: Sequence[str] = HEADLINES) -> list[Line]:
    """Lines of the table, in the order of the outcomes.

    Args:
        recipe: gives the paper's numbers.
        outcomes: of `vitalcam.reproduce.reproduce`.
        wanted: scores; those of a key that neither the paper nor we have are left out.
    """
    groups: dict[str, list[Outcome]] = {}
    for outcome in outcomes:
        for key in outcome.cell.keys:
            if key == outcome.cell.key or key in recipe.expect:
                groups.setdefault(key, []).append(outcome)
    lines = []
    for key, group in groups.items():
        there = set(recipe.expect.get(key, {})).union(*(_scores(outcome) for outcome in group))
        shown = [score for score in wanted if score in there] or list(wanted[:1])
        lines += [_line(recipe, key, score, group) for score in shown]
    return lines


def _scores(outcome: Outcome) -> set[str]:
    """What is shown though the paper has no number: of a cell with people, its costs are not."""
    return outcome.scores.keys() - set(COSTS if outcome.cell.train else ())


def _line(recipe: Recipe, key: str, score: str, group: Sequence[Outcome]) -> Line:
    expected = recipe.expect.get(key, {}).get(score)
    paper = (float(expected[0]), float(expected[1]) if len(expected) > 1 else np.nan) if expected else None
    given = [outcome for outcome in group if score in outcome.scores]
    missing = "; ".join(dict.fromkeys(outcome.missing for outcome in group if outcome.missing))
    return Line(
        key, score, *_mean([outcome.scores[score] for outcome in given], _apart(given)), len(given), paper, missing
    )


def _apart(given: Sequence[Outcome]) -> bool:
    """Whether the runs tested different people, rather than the same with other seeds."""
    return len({(o.cell.test, o.cell.split) for o in given}) > 1


def _mean(given: Sequence[Score], apart: bool) -> Score:
    if len(given) < 2:
        return given[0] if given else (np.nan, np.nan)
    values, errors = np.array(given).T
    spread = np.sqrt(np.square(errors).sum()) / values.size if apart else values.std(ddof=1) / np.sqrt(values.size)
    return float(values.mean()), float(spread)


def markdown(recipe: Recipe, source: Source, outcomes: Sequence[Outcome], wanted: Sequence[str] = HEADLINES) -> str:
    """The table, with who was tested, the paired test, and what is missing under it."""
    lines = compare(recipe, outcomes, wanted)
    done = [outcome for outcome in outcomes if outcome.scores and not outcome.missing]
    text = [f"# {recipe.title}", recipe.paper.strip(), *([recipe.notes.strip()] if recipe.notes else [])]
    text += [f"Data: {source.name}. {len(done)} of {len(outcomes)} cells have numbers.", ""]
    text += claims.lines(recipe, outcomes) if recipe.claims else _beside(lines)
    text += _paired_lines(recipe.paired, outcomes) if recipe.paired.models else []
    people = [f"- {words}" for words in dict.fromkeys(outcome.people for outcome in outcomes) if words]
    text += ["", "People, nobody on both sides:", *people] if people else []
    gaps = dict.fromkeys(f"- {line.key}: {line.missing}" for line in lines if line.missing)
    return "\n".join([*text, *(["", "Missing:", *gaps] if gaps else [])]) + "\n"


def _beside(lines: Sequence[Line]) -> list[str]:
    """Ours beside the paper's."""
    text = ["| cell | score | ours | runs | paper | difference |", "| --- | --- | --- | --- | --- | --- |"]
    for line in lines:
        ours = "missing" if line.missing and not line.runs else _pair((line.ours, line.error))
        difference = "–" if np.isnan(line.difference) else _signed(line.difference)
        text.append(f"| {line.key} | {line.score} | {ours} | {line.runs} | {_pair(line.paper)} | {difference} |")
    return text


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.2f}"


def _signed(value: float) -> str:
    return ("+" if value >= 0 else "") + _number(value)


def _pair(score: Score | None) -> str:
    if score is None or np.isnan(score[0]):
        return "–"
    return _number(score[0]) if np.isnan(score[1]) else f"{_number(score[0])} ± {_number(score[1])}"


def _paired_lines(wanted: Paired, outcomes: Sequence[Outcome]) -> list[str]:
    first, second = wanted.models
    text = ["", f"Paired t-test over the seeds, {first} minus {second}:", ""]
    text += ["| score | difference | seeds | p | p, paper |", "| --- | --- | --- | --- | --- |"]
    for row in claims.paired(wanted.models, outcomes):
        p = "–" if np.isnan(row["p"]) else f"{row['p']:.4f}"
        paper = f"{wanted.p[row['score']]:.4f}" if row["score"] in wanted.p else "–"
        text.append(f"| {row['score']} | {_signed(row['difference'])} | {row['seeds']} | {p} | {paper} |")
    return [*text, "", *_over_people(wanted.models, outcomes)]


def _over_people(models: Sequence[str], outcomes: Sequence[Outcome]) -> list[str]:
    """Seeds are not people: the same comparison over the people."""
    found = claims.over_people(models, outcomes)
    if not found:
        return []
    return [
        f"Over the {found['subjects']} people, mean absolute error: {found['difference']:+.2f}, 95 % interval "
        f"{found['low']:+.2f} to {found['high']:+.2f}, p {found['t_subjects']:.4f}."
    ]


def csv_text(lines: Sequence[Line]) -> str:
    """A row for each line; unknown is empty."""
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["key", "score", "ours", "error", "runs", "paper", "paper_error", "difference", "missing"])
    for line in lines:
        numbers = [line.ours, line.error, line.runs, *(line.paper or (np.nan, np.nan)), line.difference]
        table.writerow([line.key, line.score, *("" if np.isnan(n) else n for n in numbers), line.missing])
    return text.getvalue()


def write(recipe: Recipe, source: Source, outcomes: Sequence[Outcome], folder: Path, name: str) -> list[Path]:
    """Write ``NAME.md`` and ``NAME.csv`` with all scores, and where the recipe has a curve its points and picture.

    Raises:
        OutputError: they cannot be written.
    """
    written = [
        files.write_text(folder / f"{name}.md", markdown(recipe, source, outcomes, SCORES)),
        files.write_text(folder / f"{name}.csv", csv_text(compare(recipe, outcomes, SCORES))),
    ]
    if recipe.curve.x:
        written += curves.write(recipe, source.name, outcomes, folder / name)
    return written
