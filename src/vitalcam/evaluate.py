"""How well a method, a network or the whole pipe measures recordings of known truth.

All come through the same door: recordings in, a `Row` for each window out, one file for each recording. An evaluation
that was killed goes on where it was; one that could not score a recording says which and why.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitalcam import clips, config, metrics
from vitalcam.data import Preparation, Prepared, Store, check_rate, file_name, prepare_one
from vitalcam.errors import ConfigError, DatasetError, VitalcamError
from vitalcam.person import Runner
from vitalcam.pipeline import Stream
from vitalcam.report import files
from vitalcam.scores import Row, scores
from vitalcam.settings import Settings
from vitalcam.signal.resample import uniform
from vitalcam.types import Estimate, Floats, Recording, Scores

log = logging.getLogger(__name__)

QUANTITIES = {"bvp": "heart_rate", "resp": "resp_rate"}
"""The rate that is read off each kind of wave."""

_CLASSICAL_S = 10.0
_MIN_PIECE_S = 2.0
_MIN_KNOWN = 0.5
_MIN_SAMPLES = 32


@dataclass(frozen=True)
class Protocol:
    """How waves are made and rates are read off them.

    Attributes:
        profile: whose evaluation code; a name of `vitalcam.metrics.PROFILES`.
        method: rate by the spectrum ("fft") or by the beats ("peak").
        window_s: windows of this length, one after the other; 0 for the whole recording.
        short_windows: keep the last window though it is shorter, as the published codes do.
        overlap: of the clips of a network, as a share of their length; at 0 clips follow each other and frames after
            the last whole one are left out, as in the published codes.

    Raises:
        UnknownName: there is no such profile.
        ConfigError: a value is out of its range.
    """

    profile: str = "vitalcam"
    method: Literal["fft", "peak"] = "fft"
    window_s: float = 0.0
    short_windows: bool = False
    overlap: float = 0.5

    def __post_init__(self) -> None:
        metrics.profile_named(self.profile)
        if not (self.window_s == 0 or 4.5 <= self.window_s <= 600):
            raise ConfigError(f"window_s is {self.window_s:g}; it must be 4.5 to 600 seconds, or 0 for the whole")
        if not 0 <= self.overlap < 1:
            raise ConfigError(f"overlap is {self.overlap:g}; it must be 0 or more and less than 1")


@dataclass(frozen=True)
class Evaluation:
    """What came out.

    Attributes:
        name: of what was evaluated.
        protocol: how.
        rows: windows of all recordings that were scored.
        scored, expected: numbers of recordings.
        failed: why a recording was not scored, by its name.
    """

    name: str
    protocol: Protocol
    rows: tuple[Row, ...]
    scored: int
    expected: int
    failed: dict[str, str]

    @property
    def quantities(self) -> list[str]:
        """Rates of which there are windows."""
        return [name for name in QUANTITIES.values() if any(row.quantity == name for row in self.rows)]

    def of(self, quantity: str) -> list[Row]:
        """Windows of one rate."""
        return [row for row in self.rows if row.quantity == quantity]

    def scores(self, quantity: str = "heart_rate") -> Scores:
        """Scores of one rate with the standard errors of the protocol's profile."""
        return scores(self.of(quantity), profile=self.protocol.profile)


def evaluate(
    recordings: Iterable[Recording | Prepared] | Store,
    what: Runner | Settings,
    protocol: Protocol | None = None,
    *,
    folder: Path | None = None,
) -> Evaluation:
    """Evaluate a method, a network, or with `Settings` the whole pipe, which may refuse to answer.

    Args:
        recordings: of a data set or of the generator, or prepared ones; the pipe needs the recordings themselves.
        what: is evaluated.
        protocol: how.
        folder: keeps the rows of each recording; those that are there are not computed again.

    Raises:
        ConfigError: the folder holds another evaluation.
    """
    protocol = protocol or Protocol()
    name = f"pipe {config.digest(what)}" if isinstance(what, Settings) else what.spec.name
    if folder:
        _claim(folder, what, protocol)
    rows: list[Row] = []
    failed: dict[str, str] = {}
    scored = 0
    if isinstance(recordings, Store):
        failed |= {_id(card["dataset"], card["id"]): card["reason"] for card in recordings.refused}
    for recording in recordings:
        done = _kept(folder, recording)
        try:
            found = done if done is not None else _rows(recording, what, protocol)
        except VitalcamError as error:
            failed[_id(recording.dataset, recording.id)] = str(error)
            log.warning("not scored: %s", error)
            continue
        if folder and done is None:
            _keep(folder, recording, found)
        rows += found
        scored += 1
    return Evaluation(name, protocol, tuple(rows), scored, scored + len(failed), failed)


def _id(dataset: str, id: str) -> str:
    return f"{dataset}/{id}"


def _rows(recording: Recording | Prepared, what: Runner | Settings, protocol: Protocol) -> list[Row]:
    if isinstance(what, Settings):
        if isinstance(recording, Prepared):
            raise ConfigError(f"{recording.id}: the pipe measures videos; give recordings that are not prepared")
        return list(_pipe_rows(recording, what, protocol))
    if isinstance(recording, Recording):
        size_px = 36 if what.spec.size_px == 1 else what.spec.size_px  # a skin mean needs no fine pictures
        recording = prepare_one(recording, Preparation(size_px, what.spec.fs_hz))
    return list(_wave_rows(recording, what, protocol))


def predict(recording: Prepared, runner: Runner, *, overlap: float = 0.5) -> dict[str, Floats]:
    """Waves of a whole recording: clip after clip, put together.

    Args:
        recording: prepared at the runner's rate.
        runner: a method or a network.
        overlap: see `Protocol`.

    Returns:
        (T,) for each of the runner's outputs, NaN where no clip reached.
    """
    check_rate(recording, runner.spec)
    waves = {name: clips.Stitcher(recording.fs_hz) for name in runner.spec.outputs}
    for run in clips.runs(recording.valid):
        for piece in _pieces(run, runner, recording.fs_hz, overlap):
            for name, wave in runner.run(recording.clip(piece, runner.spec.size_px)).items():
                waves[name].add(piece.start, wave)
    return {name: stitcher.wave(0, len(recording.valid)) for name, stitcher in waves.items()}


def _pieces(run: slice, runner: Runner, fs_hz: float, overlap: float) -> Iterator[slice]:
    """Clips of a stretch without gaps; the last one ends with it, unless clips may not overlap."""
    spec = runner.spec
    length = spec.frames or round(_CLASSICAL_S * fs_hz)
    whole = run.stop - run.start
    if whole < length and overlap > 0:
        length = whole // spec.frames_multiple * spec.frames_multiple
        if length < _MIN_PIECE_S * fs_hz:
            return
    starts = list(range(run.start, run.stop - length + 1, max(round(length * (1 - overlap)), 1)))
    if overlap > 0 and starts and starts[-1] + length < run.stop:
        starts.append(run.stop - length)
    yield from (slice(start, start + length) for start in starts)


def _wave_rows(recording: Prepared, runner: Runner, protocol: Protocol) -> Iterator[Row]:
    differenced = bool(getattr(runner, "differenced", False))
    for kind, wave in predict(recording, runner, overlap=protocol.overlap).items():
        if kind in QUANTITIES and kind in recording.waves:
            for window in _windows(wave.size, recording.fs_hz, protocol):
                yield _wave_row(recording, kind, wave, window, protocol, differenced)


def _windows(n: int, fs_hz: float, protocol: Protocol) -> list[slice]:
    length = round(protocol.window_s * fs_hz) or n
    windows = [slice(start, min(start + length, n)) for start in range(0, n, length)]
    return [w for w in windows if w.stop - w.start == length or protocol.short_windows]


def _wave_row(
    recording: Prepared, kind: str, wave: Floats, window: slice, protocol: Protocol, differenced: bool
) -> Row:
    """Rates of the longest stretch of a window in which both waves are known."""
    truth = np.asarray(recording.waves[kind], float)
    t0_s, t1_s = ((recording.start + i) / recording.fs_hz for i in (window.start, window.stop))
    row = Row(
        recording.dataset, recording.subject, recording.id, QUANTITIES[kind], t0_s, t1_s, math.nan, math.nan,
        attributes=recording.attributes,
    )  # fmt: skip
    known = np.isfinite(truth[window])
    enough = max(_MIN_KNOWN * (window.stop - window.start), _MIN_SAMPLES)
    if known.sum() < enough:
        return dataclasses.replace(row, reason="no_truth")
    both = max(clips.runs(known & np.isfinite(wave[window])), key=lambda r: r.stop - r.start, default=slice(0, 0))
    if both.stop - both.start < enough:
        return dataclasses.replace(
            row, truth=_rate(truth[window][known], kind, recording.fs_hz, protocol), reason="gap"
        )
    use = slice(window.start + both.start, window.start + both.stop)
    rate = _rate(truth[use], kind, recording.fs_hz, protocol)
    how: Any = {"fs_hz": recording.fs_hz, "profile": protocol.profile, "kind": kind}
    found = metrics.prepare(wave[use], differenced=differenced, **how)
    return dataclasses.replace(
        row,
        truth=rate,
        estimate=metrics.rate(found, method=protocol.method, **how),
        snr_db=metrics.snr_db(found, rate, **how) if math.isfinite(rate) else math.nan,
        macc=metrics.macc(found, metrics.prepare(truth[use], **how)),
    )


def _rate(truth: Floats, kind: str, fs_hz: float, protocol: Protocol) -> float:
    """True rate; NaN for a wave that does not move: somebody without a pulse."""
    if np.ptp(truth) == 0:
        return math.nan
    how: Any = {"fs_hz": fs_hz, "profile": protocol.profile, "kind": kind}
    return metrics.rate(metrics.prepare(truth, **how), method=protocol.method, **how)


def _pipe_rows(recording: Recording, settings: Settings, protocol: Protocol) -> Iterator[Row]:
    """What `vitalcam.measure` says about the whole, or about each window, also those that it has nothing to say of."""
    step_s = protocol.window_s
    if step_s:
        settings = dataclasses.replace(settings, window_s=step_s, step_s=step_s)
    result = Stream(recording.videos["rgb"], settings).result
    if "duration_s" not in result.video:
        raise DatasetError(f"{recording.id}: the video has no frames")
    end_s = float(result.video["duration_s"])
    if not step_s:
        for whole in (result.heart_rate, result.resp_rate):
            yield from _pipe_row(recording, dataclasses.replace(whole, t0_s=0.0, t1_s=end_s), protocol)
        return
    given = {round(estimate.t1_s / step_s): estimate for estimate in result.estimates}
    silence = Estimate("heart_rate", None, "beats/min", 0.0, 0.0, 0.0, "no_face")
    for k in range(1, int(end_s / step_s + 1e-6) + 1):
        window = dataclasses.replace(given.get(k, silence), t0_s=(k - 1) * step_s, t1_s=k * step_s)
        yield from _pipe_row(recording, window, protocol)


def _pipe_row(recording: Recording, estimate: Estimate, protocol: Protocol) -> Iterator[Row]:
    kind = next(kind for kind, quantity in QUANTITIES.items() if quantity == estimate.quantity)
    if kind not in recording.signals:
        return
    signal, fs_hz = recording.signals[kind], 30.0
    wave, _, known = uniform(signal.values, signal.time_s, fs_hz=fs_hz, t0_s=estimate.t0_s, t1_s=estimate.t1_s)
    enough = known.sum() >= max(_MIN_KNOWN * known.size, _MIN_SAMPLES)
    yield Row(
        recording.dataset, recording.subject, recording.id, estimate.quantity, estimate.t0_s, estimate.t1_s,
        truth=_rate(wave[known], kind, fs_hz, protocol) if enough else math.nan,
        estimate=math.nan if estimate.value is None else estimate.value,
        confidence=estimate.confidence, reason=estimate.reason or "", attributes=recording.attributes,
    )  # fmt: skip


def _claim(folder: Path, what: Runner | Settings, protocol: Protocol) -> None:
    """Make the folder this evaluation's, or refuse if it is another's."""
    about = {
        "protocol": config.to_dict(protocol),
        "what": config.to_dict(what if isinstance(what, Settings) else what.spec),
    }
    path = folder / "evaluation.json"
    if not path.exists():
        files.write_text(path, json.dumps(about, indent=1) + "\n")
    elif json.loads(path.read_text(encoding="utf-8")) != about:
        raise ConfigError(f"{folder}: holds another evaluation (see evaluation.json); give another folder")


def _kept(folder: Path | None, recording: Recording | Prepared) -> list[Row] | None:
    path = folder and folder / f"{file_name(recording.dataset, recording.id)}.rows.json"
    return read_rows(path) if path and path.exists() else None


def _keep(folder: Path, recording: Recording | Prepared, rows: Sequence[Row]) -> None:
    plain = [
        {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in dataclasses.asdict(row).items()}
        for row in rows
    ]
    text = "[\n" + ",\n".join(json.dumps(row, default=str) for row in plain) + "\n]\n"
    files.write_text(folder / f"{file_name(recording.dataset, recording.id)}.rows.json", text)


def read_rows(path: Path) -> list[Row]:
    """Rows of one recording from their file."""
    rows: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"))
    known: list[dict[str, Any]] = [{k: math.nan if v is None else v for k, v in row.items()} for row in rows]
    return [Row(**row) for row in known]
