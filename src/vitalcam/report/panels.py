"""The panels of the figure. Each draws into a matplotlib axes and knows nothing of the others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import cycle, pairwise
from typing import Any

import numpy as np

from vitalcam.report import clock, words
from vitalcam.report.look import COLOURS, MARKERS
from vitalcam.settings import HEART_RATE_BPM, RESP_RATE_PER_MIN
from vitalcam.signal import spectrum
from vitalcam.types import Estimate, FaceResult, Floats, Result

REFUSED = "#B5460F"
CONFIDENCE_MAP = "viridis_r"
WHOLE_S, EXCERPT_S = 60.0, 30.0
"""Longer recordings show an excerpt of their waves: beats that cannot be told apart show nothing."""
_SHADE = {"facecolor": "0.9", "edgecolor": "0.75", "hatch": "///", "linewidth": 0, "zorder": 0}
_MARKS = {"cmap": CONFIDENCE_MAP, "vmin": 0.5, "vmax": 1.0, "edgecolor": "0.25", "linewidth": 0.5, "zorder": 3}
_FLOOR_DB = -20.0


def span_s(result: Result) -> tuple[float, float]:
    """From the start of the recording to the last thing that is known of it."""
    start = clock.start_s(result)
    ends = [signal.time_s[-1] for face in result.faces for signal in face.signals.values() if signal.time_s.size]
    ends += [face.windows[-1].t1_s for face in result.faces if face.windows]
    return start, float(max([start + clock.duration_s(result), *ends, start + 1.0]))


def excerpt(face: FaceResult, span: tuple[float, float]) -> tuple[float, float]:
    """The stretch whose waves are shown: all of a short recording, else around the surest heart-rate window."""
    if span[1] - span[0] <= WHOLE_S:
        return span
    known = [w for w in face.windows if w.quantity == "heart_rate" and w.value is not None]
    best = max(known, key=lambda w: w.confidence, default=None)
    start = (best.t0_s + best.t1_s - EXCERPT_S) / 2 if best else span[0]
    start = min(max(start, span[0]), span[1] - EXCERPT_S)
    return start, start + EXCERPT_S


def waves(ax: Any, face: FaceResult, stretch: tuple[float, float], *, whole: bool) -> None:
    """Pulse and breathing, one above the other, each scaled to its own size; gaps shaded with their reason."""
    time_s, signals = clock.waveforms(face)
    keep = (time_s >= stretch[0]) & (time_s <= stretch[1])
    ticks = {}
    rows = (("bvp", "pulse", face.heart_rate, COLOURS[0], 0.0), ("resp", "breathing", face.resp_rate, "#A65E00", -2.4))
    for name, said, rate, colour, level in rows:
        if name in signals and np.isfinite(signals[name][keep]).any():
            colour = "0.6" if rate.value is None else colour
            ax.plot(time_s[keep], level + _scaled(signals[name][keep]), color=colour, lw=1.1, solid_joinstyle="round")
            ticks[level] = f"{said}:\nnot trusted" if rate.value is None else said
    if not ticks:
        ax.text(0.5, 0.5, "no wave", transform=ax.transAxes, ha="center", va="center", color="0.4")
    ax.set_ylim(min(ticks, default=0.0) - 1.3, 1.3)
    ax.set_yticks(list(ticks), list(ticks.values()))
    ax.tick_params(axis="y", length=0)
    ax.set_xlim(*stretch)
    times = "" if whole else f" from {words.clock(stretch[0])} to {words.clock(stretch[1])}"
    ax.set_title(f"Waves of face {face.id}{times} (arbitrary units)")
    clock_axis([ax])
    for t0, t1 in clock.gaps(time_s[keep], signals["bvp"][keep]) if "bvp" in signals else []:
        _shade(ax, t0, t1, _gap_reason(face, t0, t1))


def rates(ax: Any, faces: Sequence[FaceResult], quantity: str) -> Any:
    """Rate over time: a mark in the middle of each window, darker where it is surer; refused stretches are shaded."""
    low, high = HEART_RATE_BPM if quantity == "heart_rate" else RESP_RATE_PER_MIN
    marks = ax.scatter([], [], c=[], **_MARKS)
    shown = []
    for face, marker in zip(faces, cycle(MARKERS)):
        known = [w for w in face.windows if w.quantity == quantity and w.value is not None]
        if not known:
            continue
        x, y = np.array([_middle(w) for w in known]), np.array([w.value for w in known])
        shown.append(y)
        marks = ax.scatter(x, y, s=_size(len(known)), c=[w.confidence for w in known], marker=marker, **_MARKS)
        if len(faces) > 1:
            ax.annotate(f"face {face.id}", (x[-1], y[-1]), (7, 0), textcoords="offset points", va="center", size=9)
    limits = (min(map(np.min, shown)), max(map(np.max, shown))) if shown else (low, high)
    margin = max(5.0, 0.25 * (limits[1] - limits[0]))
    ax.set_ylim(limits[0] - margin, limits[1] + margin)
    ax.grid(axis="y", color="0.92", zorder=0)
    ax.set_axisbelow(True)
    unit = "beats/min" if quantity == "heart_rate" else "breaths/min"
    ax.set_ylabel(unit)
    ax.set_title(f"{words.quantity(quantity).capitalize()}{' rate' * (quantity == 'resp_rate')} over time")
    who = f"face {faces[0].id}: " if len(faces) > 1 else ""
    for t0, t1, reason in _refused(faces[0], quantity):
        _shade(ax, t0, t1, who + words.reason(reason, advice=False))
    if not shown:
        ax.set_yticks([])
    return marks


def spectrogram(ax: Any, face: FaceResult, window_s: float) -> None:
    """Power of the pulse wave over time in decibels below each moment's peak, with the heart rates on it."""
    ax.set_ylabel("beats/min")
    ax.set_title(f"Spectrum of the pulse wave of face {face.id}, with the heart rate")
    time_s, signals = clock.waveforms(face)
    bvp = signals.get("bvp", np.empty(0))
    columns = _columns(time_s, bvp, window_s)
    if columns is not None:
        middle, freq_bpm, power_db = columns
        ax.pcolormesh(
            middle, freq_bpm, power_db.T, cmap="Greys", vmin=_FLOOR_DB, vmax=0, shading="nearest", rasterized=True
        )
    known = [w for w in face.windows if w.quantity == "heart_rate" and w.value is not None]
    for run in _runs(known):
        x, y = [_middle(w) for w in run], [w.value for w in run]
        ax.plot(x, y, color="white", lw=3.4, alpha=0.8)
        ax.plot(x, y, color=COLOURS[0], lw=1.8, marker="." if len(run) == 1 else None)
    ax.set_ylim(*HEART_RATE_BPM)
    for t0, t1 in clock.gaps(time_s, bvp):
        _shade(ax, t0, t1, _gap_reason(face, t0, t1))


def strip(ax: Any, face: FaceResult) -> None:
    """A row for each rate: its confidence where there is a value, hatched with the reason where there is none."""
    from matplotlib import colormaps

    colours = colormaps[CONFIDENCE_MAP]
    rows = ("heart_rate", "resp_rate")
    for row, quantity in enumerate(rows):
        windows = [w for w in face.windows if w.quantity == quantity]
        for window, (t0, t1) in zip(windows, _cells(windows), strict=True):
            if window.value is not None:
                colour = colours(np.clip((window.confidence - 0.5) / 0.5, 0, 1))
                ax.barh(row, t1 - t0, left=t0, height=0.8, color=colour, linewidth=0)
        for t0, t1, reason in _refused(face, quantity):
            ax.barh(row, t1 - t0, left=t0, height=0.8, facecolor="0.93", edgecolor="0.7", hatch="///", linewidth=0)
            _label(ax, t0, t1, row, words.reason(reason, advice=False))
    ax.set_ylim(1.5, -0.5)
    ax.set_yticks(range(len(rows)), [words.quantity(name) for name in rows])
    ax.tick_params(axis="y", length=0)
    ax.set_title(f"Quality of face {face.id}: filled as sure as above, hatched where no number is given")


def mark(ax: Any, stretch: tuple[float, float]) -> None:
    """Show which stretch the waves above are from."""
    ax.axvspan(*stretch, facecolor=COLOURS[0], alpha=0.12, linewidth=0, zorder=0)
    ax.text(sum(stretch) / 2, 0.97, "above", transform=ax.get_xaxis_transform(), ha="center", va="top", size=8.5)


def clock_axis(axes: Sequence[Any]) -> None:
    """Times under the lowest of some axes only, in seconds or minutes."""
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    for ax in axes:
        ax.tick_params(axis="x", labelbottom=ax is axes[-1])
    low, high = axes[-1].get_xlim()
    if high - low > 2 * WHOLE_S:
        axes[-1].xaxis.set_major_locator(MaxNLocator(nbins=10, steps=(1, 1.2, 1.5, 1.8, 2, 3, 6, 10)))
    long = high > 2 * WHOLE_S
    axes[-1].xaxis.set_major_formatter(FuncFormatter(lambda t, _: words.clock(t) if long else f"{t:g} s"))


def _columns(time_s: Floats, bvp: Floats, window_s: float) -> tuple[Floats, Floats, Floats] | None:
    """Middles (N,) in seconds, rates (F,) in beats/min and power (N, F) in dB of sliding windows; None without a wave.

    The first and last windows reach beyond the wave by half, so that the picture is as long as the wave.
    """
    if bvp.size < 2:
        return None
    fs_hz = 1 / float(time_s[1] - time_s[0])
    half = min(round(window_s * fs_hz), bvp.size) // 2
    step = max(round(fs_hz / 2), bvp.size // 600)
    padded = np.pad(bvp, half, constant_values=np.nan)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * half)[: bvp.size : step]
    low, high = HEART_RATE_BPM
    freq_hz, power = spectrum.power(pieces, fs_hz=fs_hz, low_hz=low / 60, high_hz=high / 60, grid_bpm=2.0)
    power[np.isnan(pieces).mean(axis=-1) > 0.5] = np.nan
    peak = power.max(axis=-1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        power_db = 10 * np.log10(power / peak)
    return time_s[::step], freq_hz * 60, power_db


def _scaled(values: Floats) -> Floats:
    """A wave about its middle, its usual size about 1, cut where a movement throws it far off."""
    middle = np.nanmedian(values)
    size = np.nanpercentile(np.abs(values - middle), 95) or 1.0
    return np.asarray(np.clip((values - middle) / size, -1.25, 1.25))


def _middle(window: Estimate) -> float:
    return (window.t0_s + window.t1_s) / 2


def _cells(windows: Sequence[Estimate]) -> list[tuple[float, float]]:
    """Stretches without overlap around the middles of overlapping windows; the outer ones reach to the ends."""
    middles = np.array([_middle(w) for w in windows])
    borders = [*(w.t0_s for w in windows[:1]), *((middles[1:] + middles[:-1]) / 2), *(w.t1_s for w in windows[-1:])]
    return [(float(a), float(b)) for a, b in pairwise(borders)]


def _refused(face: FaceResult, quantity: str) -> Iterator[tuple[float, float, str]]:
    """Stretches (start, end, reason) of neighbouring windows that were refused for the same reason."""
    whole = face.heart_rate if quantity == "heart_rate" else face.resp_rate
    windows = [w for w in face.windows if w.quantity == quantity] or [whole]
    start: float | None = None
    cells = _cells(windows)
    for k, (window, (t0, t1)) in enumerate(zip(windows, cells, strict=True)):
        start = t0 if start is None else start
        if k + 1 == len(windows) or windows[k + 1].reason != window.reason:
            if window.reason is not None:
                yield start, t1, window.reason
            start = None


def _runs(windows: Sequence[Estimate]) -> list[list[Estimate]]:
    """Windows in stretches without a refused one between them."""
    if not windows:
        return []
    middles = np.array([_middle(w) for w in windows])
    usual = np.median(np.diff(middles)) if middles.size > 1 else 0.0
    breaks = np.flatnonzero(np.diff(middles) > 1.5 * usual) + 1
    return [list(run) for run in np.split(np.array(windows, dtype=object), breaks)]


def _gap_reason(face: FaceResult, t0: float, t1: float) -> str:
    """Why there is no wave: the face was lost, or what the windows there say most often."""
    inside = (face.track.time_s >= t0) & (face.track.time_s < t1)
    if inside.any() and np.mean(face.track.state[inside] == "lost") > 0.5:
        return words.reason("no_face", advice=False)
    reasons = Counter(w.reason for w in face.windows if w.reason and w.t0_s < t1 and w.t1_s > t0)
    return words.reason(reasons.most_common(1)[0][0] if reasons else "gap", advice=False)


def _shade(ax: Any, t0: float, t1: float, text: str) -> None:
    ax.axvspan(t0, t1, **_SHADE)
    low, high = ax.get_ylim()
    _label(ax, t0, t1, (low + high) / 2, text)


def _label(ax: Any, t0: float, t1: float, y: float, text: str) -> None:
    """Text in a stretch, upright if it is too narrow, left out if there is no room either way."""
    limits, box = ax.get_xlim(), ax.get_window_extent()
    room, need = (t1 - t0) / max(limits[1] - limits[0], 1e-9) * box.width, 6.6 * len(text) + 10
    if room < need and (room < 16 or box.height < need):
        return
    ax.text(
        (t0 + t1) / 2, y, text, rotation=0 if room >= need else 90, ha="center", va="center", size=9, color="0.2",
        clip_on=True, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 1.5}, zorder=4,
    )  # fmt: skip


def _size(count: int) -> float:
    return float(np.clip(6000 / max(count, 1), 8, 42))
