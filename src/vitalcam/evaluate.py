"""How well a method, a network or the whole pipe measures recordings of known truth.

All come through the same door: recordings in, a `Row` for each window out, one file for each recording. An evaluation
that was killed goes on where it was; one that could not score a recording says which and why.
"""

from __future__ import annotations

import dataclasses
import json
import logging
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import clips, config, evaluate_pipe
from vitalcam.data import Preparation, Prepared, Store, check_rate, prepare_one
from vitalcam.errors import ConfigError, DatasetError, VitalcamError
from vitalcam.person import Runner
from vitalcam.pipeline import Session
from vitalcam.protocol import LATE_S, QUANTITIES, Protocol, enough, longest
from vitalcam.runtime import Model
from vitalcam.score_store import Kept
from vitalcam.scores import Row, plain_attributes, scores
from vitalcam.settings import Settings
from vitalcam.types import Floats, ModelSpec, Recording, Scores

__all__ = ["Evaluation", "Protocol", "evaluate", "on_clock", "predict", "read"]

log = logging.getLogger(__name__)

_CLASSICAL_S = 10.0
_MIN_PIECE_S = 2.0
_SKIN_PX = 36  # a mean of the skin needs no fine pictures


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
    door: Mapping[str, str] | None = None,
) -> Evaluation:
    """Evaluate a method, a network, or with `Settings` the whole pipe, which may refuse to answer.

    Args:
        recordings: of a data set or of the generator, or prepared ones; the pipe needs the recordings themselves.
        what: is evaluated.
        protocol: how.
        folder: keeps the rows of each recording; those that are there are not computed again. Several processes may
            work on different recordings at a time.
        door: how to find a runner again, for the folder: "method", "model" or "weights" and its name or path.

    Raises:
        ConfigError: the folder holds another evaluation.
        UnknownName: the pipe is to use what there is not.
        DatasetError: two recordings have the same name.
    """
    protocol = protocol or Protocol()
    if isinstance(what, Settings):
        what = Session(what).settings  # with the name of what measures; refuses what there is not
        door = {"model": what.model} if what.model else {"method": what.method}
    kept = folder and Kept(folder)
    if kept:
        kept.claim({"what": _about(what)}, protocol, door)
    rows: list[Row] = []
    failed: dict[str, str] = {}
    names: set[str] = set()
    if isinstance(recordings, Store):
        failed |= {_id(card["dataset"], card["id"]): card["reason"] for card in recordings.refused}
    for recording in recordings:
        id = _id(recording.dataset, recording.id)
        if id in names:
            raise DatasetError(f"two recordings are called {id}; ids must differ")
        names.add(id)
        found = kept.rows(recording) if kept else None
        if found is None:
            try:
                found = _rows(recording, what, protocol)
            except VitalcamError as error:
                failed[id] = str(error)
                log.info("not scored: %s", error)
                continue
            if kept:
                kept.add(recording, found)
        rows += found
    name = f"pipe with {what.model or what.method}" if isinstance(what, Settings) else what.spec.name
    return Evaluation(name, protocol, tuple(rows), len(names - failed.keys()), len(names | failed.keys()), failed)


def _about(what: Runner | Settings) -> dict[str, Any]:
    """What is evaluated as plain values, down to the weights."""
    if not isinstance(what, Settings):
        return config.to_dict(what.spec)
    sha256 = Model.load(what.model, backend=what.backend).spec.sha256 if what.model else ""
    return {**config.to_dict(what), "sha256": sha256}


def _id(dataset: str, id: str) -> str:
    return f"{dataset}/{id}"


def _rows(recording: Recording | Prepared, what: Runner | Settings, protocol: Protocol) -> list[Row]:
    if isinstance(what, Settings):
        if isinstance(recording, Prepared):
            raise ConfigError(f"{recording.id}: the pipe measures videos; give recordings that are not prepared")
        found = list(evaluate_pipe.rows(recording, what, protocol))
    else:
        found = list(_wave_rows(on_clock(recording, what.spec), what, protocol))
    if not found:
        length = f"window of {protocol.window_s:g} s with " if protocol.window_s else ""
        raise DatasetError(f"{recording.id}: has no {length}ground truth of what was evaluated")
    return found


def on_clock(recording: Recording | Prepared, spec: ModelSpec) -> Prepared:
    """A recording prepared as a method or network wants it, if it is not prepared yet.

    Raises:
        DatasetError: a video that is wanted is missing, or there is no face in it.
    """
    if isinstance(recording, Prepared):
        return recording
    mean = Preparation(_SKIN_PX, spec.fs_hz)
    return prepare_one(recording, mean if spec.kind == "method" else Preparation.of(spec))


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
    """Rows of the windows of a recording, which are counted from its first frame, not from the first face."""
    fs_hz, before = recording.fs_hz, (recording.start, 0)
    differenced = bool(getattr(runner, "differenced", False))
    for kind, wave in predict(recording, runner, overlap=protocol.overlap).items():
        if kind not in QUANTITIES or kind not in recording.waves:
            continue
        truth = np.pad(np.asarray(recording.waves[kind], float), before, constant_values=np.nan)
        wave = np.pad(wave, before, constant_values=np.nan)
        for window in _windows(wave.size, fs_hz, protocol):
            if window.stop > recording.start:
                row = Row(
                    recording.dataset, recording.subject, recording.id, QUANTITIES[kind], window.start / fs_hz,
                    window.stop / fs_hz, math.nan, math.nan, attributes=plain_attributes(recording.attributes),
                )  # fmt: skip
                yield _judged(row, kind, wave[window], truth[window], fs_hz, protocol, differenced)


def _windows(n: int, fs_hz: float, protocol: Protocol) -> list[slice]:
    """Windows of n samples; the last may reach a little beyond them, or be short where the protocol allows it."""
    length = round(protocol.window_s * fs_hz) or n
    step = round(protocol.step_s * fs_hz) or length
    room = n if protocol.short_windows else n - length + round(LATE_S * fs_hz) + 1
    starts = range(0, max(room, 0), step)
    return [slice(start, min(start + length, n) if protocol.short_windows else start + length) for start in starts]


def _judged(
    row: Row, kind: str, wave: Floats, truth: Floats, fs_hz: float, protocol: Protocol, differenced: bool
) -> Row:
    """A row with the rates of the longest stretch in which the waves (T,) of its window are known."""
    known = np.isfinite(truth)
    if not enough(known):
        return dataclasses.replace(row, reason="no_truth")
    null = bool(np.ptp(truth[known]) == 0)
    both = longest(known & np.isfinite(wave))
    if both is None:
        rate = protocol.true_rate(truth[known], kind, fs_hz)
        return dataclasses.replace(row, truth=rate, reason="gap", null=null)
    found = protocol.prepared(wave[both], kind, fs_hz, differenced=differenced)
    snr_db, macc = protocol.likeness(found, truth[both], kind, fs_hz)
    rate, estimate = protocol.true_rate(truth[both], kind, fs_hz), protocol.rate(found, kind, fs_hz)
    return dataclasses.replace(
        row, truth=rate, estimate=estimate, wave_rate=estimate, snr_db=snr_db, macc=macc, null=null
    )


def read(folder: Path) -> Evaluation:
    """An evaluation that ``vitalcam evaluate --out`` wrote.

    Raises:
        DatasetError: there is none.
    """
    kept, path = Kept(folder / "rows"), folder / "scores.json"
    protocol = config.build(Protocol, kept.about()["protocol"])
    if not path.exists():
        raise DatasetError(f"{path}: is not there, so the evaluation was not finished; call vitalcam evaluate again")
    said = json.loads(path.read_text(encoding="utf-8"))
    rows = tuple(row for rows in kept.all_rows() for row in rows)
    return Evaluation(said["name"], protocol, rows, said["scored"], said["expected"], said["failed"])
