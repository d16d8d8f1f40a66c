"""The figures of the papers, drawn from evaluations and recordings; each with a CSV of the numbers that it shows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitalcam import files
from vitalcam.report import look, tabular


@contextmanager
def page(path: Path, *, width: float, height: float) -> Iterator[Any]:
    """A matplotlib figure of that size in inches, which is written when the block ends well.

    Raises:
        UsageError: the name ends in none of .png, .pdf, .svg.
        OutputError: the file cannot be written.
    """
    look.check_format(path)
    from matplotlib.figure import Figure

    with look.style():
        figure = Figure(figsize=(width, height), dpi=120, facecolor="white", layout="constrained")
        yield figure
        look.save(figure, path)


def table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Path:
    """Write the numbers of a figure beside it, as CSV, to six digits; unknown ones are empty."""
    short = ([float(f"{value:.6g}") if isinstance(value, float) else value for value in row] for row in rows)
    return files.write_text(path.with_suffix(".csv"), tabular.csv_text(columns, short))
