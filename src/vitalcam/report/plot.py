"""The figure of a result: what was measured, when, how sure, and why not."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Mapping
from itertools import cycle
from pathlib import Path, PurePath
from typing import Any

from vitalcam.report import look, panels, words
from vitalcam.types import Bytes, Estimate, FaceResult, Floats, Result

_COLUMN_CHARACTERS = 78  # so wide are the columns of the head


def write_figure(result: Result, path: Path) -> Path:
    """Draw the result and write it as PNG, PDF or SVG, whole or not at all.

    Raises:
        UsageError: the name ends in none of these.
        OutputError: the file cannot be written.
    """
    look.check_format(path)
    return look.save(figure(result), path)


def figure(result: Result) -> Any:
    """A matplotlib figure of 1400 x 1000 pixels.

    It shows the waves, the rates with their confidence, the spectrogram of the pulse, a strip of what was refused and
    why, and a picture with the faces that were followed.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with look.style():
        fig = Figure(figsize=(14, 10), dpi=100, facecolor="white")
        FigureCanvasAgg(fig)
        _head(fig, result)
        face = result.faces[0] if result.faces else None
        if face is None or not (face.windows or face.signals):
            _nothing(fig, result.heart_rate)
            return fig
        _fill(fig, result, face)
        return fig


def _fill(fig: Any, result: Result, face: FaceResult) -> None:
    span = panels.span_s(result)
    excerpt = panels.excerpt(face, span)
    sides = {"left": 0.075, "right": 0.945, "wspace": 0.02, "width_ratios": (1, 0.011)}
    top = fig.add_gridspec(1, 2, top=0.80, bottom=0.685, **sides)
    grid = fig.add_gridspec(4, 2, top=0.625, bottom=0.04, hspace=0.4, height_ratios=(2.1, 1.8, 1.1, 0.6), **sides)
    waves, heart = fig.add_subplot(top[0, 0]), fig.add_subplot(grid[0, 0])
    below = [fig.add_subplot(grid[row, 0], sharex=heart) for row in (1, 2, 3)]
    heart.set_xlim(*span)  # before drawing: labels ask how much room they have
    panels.waves(waves, face, excerpt, whole=excerpt == span)
    marks = panels.rates(heart, result.faces, "heart_rate")
    panels.spectrogram(below[0], face, result.settings.get("window_s", 10.0))
    panels.rates(below[1], result.faces, "resp_rate")
    panels.strip(below[2], face)
    if excerpt != span:
        panels.mark(heart, excerpt)
    panels.clock_axis([heart, *below])
    bar = fig.colorbar(marks, cax=fig.add_subplot(grid[0, 1]))
    bar.set_label("confidence")
    bar.outline.set_edgecolor("0.4")


def _head(fig: Any, result: Result) -> None:
    fig.text(0.025, 0.962, PurePath(result.source).name or result.source, size=15, weight="bold", va="center")
    fig.text(0.025, 0.934, _about(result), size=9.5, color="0.35", va="center")
    face = result.faces[0] if result.faces else None
    _number(fig, 0.025, result.heart_rate, face)
    _number(fig, 0.43, result.resp_rate, face)
    if result.thumbnail is not None:
        _picture(fig, result.thumbnail, result.thumbnail_boxes_px)


def _about(result: Result) -> str:
    video, settings = result.video, result.settings
    rate_hz, duration_s = (video.get(key) or math.nan for key in ("frame_rate_hz", "duration_s"))
    others = [f"face {f.id}: {words.estimate(f.heart_rate, advice=False)}" for f in result.faces[1:4]]
    parts = [
        f"{video['width']} x {video['height']}" if video.get("width") else "",
        f"{rate_hz:.4g} frames/s" if math.isfinite(rate_hz) else "",
        words.length(duration_s) if math.isfinite(duration_s) else "",
        str(settings.get("model") or settings.get("method") or ""),
        f"vitalcam {result.versions.get('vitalcam', '')}".strip(),
        *others,
        f"and {len(result.faces) - 4} more" if len(result.faces) > 4 else "",
    ]
    return "  ·  ".join(part for part in parts if part)


def _number(fig: Any, x: float, estimate: Estimate, face: FaceResult | None) -> None:
    name = words.quantity(estimate.quantity)
    label = f"{name}, face {face.id}" if face else name
    fig.text(x, 0.905, label.capitalize(), size=10, color="0.35", va="center")
    if estimate.value is None:
        fig.text(x, 0.878, "no value", size=19, weight="bold", color=panels.REFUSED, va="center")
        why = textwrap.fill(words.estimate(estimate), _COLUMN_CHARACTERS)
        fig.text(x, 0.86, why, size=9.5, color="0.25", va="top")
        return
    fig.text(x, 0.878, words.number(estimate.value, estimate.unit), size=19, weight="bold", va="center")
    spread = words.spread(estimate)
    over_time = f"{spread} over time  ·  " if spread else ""
    fig.text(x, 0.85, f"{over_time}confidence {words.confidence(estimate.confidence)}", size=9.5, va="center")


def _picture(fig: Any, picture: Bytes, boxes_px: Mapping[int, Floats]) -> None:
    from matplotlib.patches import Rectangle

    ax = fig.add_axes((0.79, 0.84, 0.19, 0.145), anchor="NE")
    ax.imshow(picture, interpolation="lanczos")
    ax.set_axis_off()
    for (face_id, box), colour in zip(sorted(boxes_px.items()), cycle(look.COLOURS)):
        x0, y0, x1, y1 = map(float, box)
        ax.add_patch(Rectangle((x0 - 0.5, y0 - 0.5), x1 - x0, y1 - y0, fill=False, lw=2, edgecolor=colour))
        label = {"facecolor": colour, "edgecolor": "none", "pad": 1}
        ax.text(x0, y0, f" {face_id} ", size=8.5, color="white", va="bottom", ha="left", clip_on=True, bbox=label)


def _nothing(fig: Any, estimate: Estimate) -> None:
    from matplotlib.patches import Rectangle

    fig.add_artist(Rectangle((0.025, 0.04), 0.95, 0.77, transform=fig.transFigure, facecolor="0.96", edgecolor="0.8"))
    what, advice = words.estimate(estimate).split(": ", 1)
    fig.text(0.5, 0.45, f"Nothing to show: {what}.", size=16, ha="center", color="0.25")
    fig.text(0.5, 0.405, f"To measure: {advice}.", size=11, ha="center", color="0.4")
