"""How every figure looks, and how it is written."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from vitalcam import files
from vitalcam.errors import UsageError

FORMATS = ("png", "pdf", "svg")
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9")  # Okabe and Ito: told apart by colour-blind readers
MARKERS = "o^sDvP"
_STYLE = {
    "font.size": 10,
    "axes.titlesize": 10.5,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.edgecolor": "0.4",
    "xtick.color": "0.3",
    "ytick.color": "0.3",
    "legend.frameon": False,
    "legend.fontsize": 9,
    "text.parse_math": False,  # a file name may hold dollar signs
    "svg.hashsalt": "vitalcam",  # the same file for the same figure
}


def check_format(path: Path) -> str:
    """The format that a file name asks for.

    Raises:
        UsageError: it is none that a figure can have.
    """
    name = path.suffix.lower().removeprefix(".")
    if name not in FORMATS:
        raise UsageError(f"{path}: a figure is one of .{', .'.join(FORMATS)}; give a name that ends so")
    return name


@contextmanager
def style() -> Iterator[None]:
    """What is drawn inside looks as all figures do."""
    import matplotlib

    with matplotlib.rc_context(_STYLE):
        yield


def save(figure: Any, path: Path) -> Path:
    """Write a matplotlib figure as PNG, PDF or SVG, whole or not at all.

    Raises:
        UsageError: the name ends in none of these.
        OutputError: the file cannot be written.
    """
    kind = check_format(path)
    with style(), files.whole(path) as part, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # a name in a script that the font lacks
        figure.savefig(part, format=kind, metadata={"Date": None} if kind == "svg" else None)
    return path
