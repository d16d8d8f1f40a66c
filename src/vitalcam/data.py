"""Recordings as networks want them: the face cut out of every frame, on a uniform clock, beside the true waveforms.

`prepare` does so once and keeps the result on disk; `Clips` are the pieces that training sees. The face is followed,
cut and put on the clock by the same steps as when a video is measured.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vitalcam import clips, config, crops, files
from vitalcam.errors import ConfigError, DatasetError, UsageError, VitalcamError
from vitalcam.signal.filter import normalise
from vitalcam.signal.resample import uniform
from vitalcam.types import Bools, Channels, Clip, Floats, ModelSpec, Recording, Signal
from vitalcam.video.beside import beside

log = logging.getLogger(__name__)

WAVES = ("bvp", "resp")
"""Kinds of ground truth that are kept."""

_FORMAT = 3


@dataclass(frozen=True)
class Preparation:
    """What is kept of a recording.

    Attributes:
        size_px: side of the pictures; networks that want a whole fraction of it are served too.
        fs_hz: rate of the clock.
        channels: "rgb", "thermal", or "rgbt", which are both.
    """

    size_px: int = 72
    fs_hz: float = 30.0
    channels: Channels = "rgb"

    def __post_init__(self) -> None:
        if self.size_px < 1 or not 1 <= self.fs_hz <= 240:
            raise ConfigError(f"size_px is {self.size_px}, fs_hz {self.fs_hz}; they must be 1 or more, and 1 to 240")
        config.check_types(self)

    @classmethod
    def of(cls, spec: ModelSpec) -> Preparation:
        """What a network wants."""
        return cls(spec.size_px, spec.fs_hz, spec.sees)

    @property
    def digest(self) -> str:
        """Names the folder of what was prepared like this."""
        return config.digest({**config.to_dict(self), "format": _FORMAT})


@dataclass(frozen=True)
class Prepared:
    """One recording on a uniform clock.

    Attributes:
        dataset, subject, id, attributes: of the recording.
        fs_hz: rate of the clock.
        start: number of the first sample on it; sample i lies at i / fs_hz.
        frames: (T, H, W, C) uint16, 256ths of a grey level, of a degree Celsius (0..255) in a thermal channel.
        skin: (T, 3) float32, mean RGB of the skin, 0..255.
        valid: (T,) whether the face was seen.
        waves: true waveforms (T,) float32 by kind, NaN where unknown.
    """

    dataset: str
    subject: str
    id: str
    attributes: Mapping[str, Any]
    fs_hz: float
    start: int
    frames: NDArray[np.uint16]
    skin: Floats
    valid: Bools
    waves: Mapping[str, Floats]

    @property
    def time_s(self) -> Floats:
        """(T,)."""
        return (self.start + np.arange(len(self.valid))) / self.fs_hz

    def clip(self, run: slice, size_px: int) -> Clip:
        """A stretch as a method (size 1: the skin's mean colour) or a network takes it, values 0..255.

        Raises:
            UsageError: it was prepared in a size from which this one cannot be made.
        """
        pictures = self.skin[run, None, None] if size_px == 1 else self._pictures(run, size_px)
        return Clip(pictures, self.time_s[run], self.fs_hz, self.valid[run])

    def _pictures(self, run: slice, size_px: int) -> Floats:
        side = self.frames.shape[1]
        if side % size_px:
            raise UsageError(
                f"{self.id}: prepared with {side} px, which is no multiple of {size_px} px; prepare it again"
            )
        stored = self.frames[run]
        if side == size_px:
            return np.asarray(stored * np.float32(1 / crops.STEPS), np.float32)
        cells = stored.reshape(len(stored), size_px, side // size_px, size_px, side // size_px, -1)
        return np.asarray(cells.mean(axis=(2, 4), dtype=np.float32) / np.float32(crops.STEPS))


def prepare_one(recording: Recording, preparation: Preparation) -> Prepared:
    """Follow the face of a recording and put it and the true waveforms on the clock.

    Raises:
        DatasetError: a video that is wanted is missing, or there is no face in it.
        VideoError: it cannot be read.
    """
    _check_videos(recording, preparation)
    fs_hz, video, when = preparation.fs_hz, recording.videos["rgb"], ""
    if preparation.channels != "rgb":
        thermal = recording.videos["thermal"]
        video, when = beside(video, thermal), f" while {thermal.source} has pictures"
    face = crops.of_face(video, preparation.size_px, fs_hz, preparation.channels)
    if not face.valid.any():
        raise DatasetError(f"{recording.id}: no face was found in {video.source}{when}")
    span_s = face.start / fs_hz, (face.start + len(face.valid) - 1) / fs_hz
    waves = {kind: _wave(recording.signals[kind], fs_hz, span_s) for kind in WAVES if kind in recording.signals}
    return Prepared(
        recording.dataset, recording.subject, recording.id, dict(recording.attributes), fs_hz,
        face.start, face.pictures, face.skin, face.valid, waves,
    )  # fmt: skip


def _check_videos(recording: Recording, preparation: Preparation) -> None:
    has = ", ".join(recording.videos) or "none"
    if "rgb" not in recording.videos:
        raise DatasetError(f"{recording.id}: no RGB video (it has {has}); the face is found in RGB")
    if preparation.channels != "rgb" and "thermal" not in recording.videos:
        raise DatasetError(f"{recording.id}: no thermal video (it has {has}); {preparation.channels} needs one")


def _wave(signal: Signal, fs_hz: float, span_s: tuple[float, float]) -> Floats:
    values, _, _ = uniform(signal.values, signal.time_s, fs_hz=fs_hz, t0_s=span_s[0], t1_s=span_s[1])
    return values.astype(np.float32)


class Store:
    """Prepared recordings in a folder: for each, ``NAME.json`` (what became of it), pictures and signals.

    Args:
        folder: where they are.
        subjects: whose recordings it shows; None for everybody's.
    """

    def __init__(self, folder: Path, subjects: Container[str] | None = None) -> None:
        self.folder, self.subjects = folder, subjects

    @property
    def manifest(self) -> list[dict[str, Any]]:
        """What became of each recording, sorted by name: "status" is "ok", or "failed" with a "reason"."""
        cards = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(self.folder.glob("*.json"))]
        return [card for card in cards if self.subjects is None or card["subject"] in self.subjects]

    @property
    def refused(self) -> list[dict[str, Any]]:
        """Those of the manifest that cannot be used."""
        return [card for card in self.manifest if card["status"] != "ok"]

    def __iter__(self) -> Iterator[Prepared]:
        """Those that are ok; their pictures stay on disk until they are looked at."""
        for card in self.manifest:
            if card["status"] == "ok":
                yield self._load(card)

    def status(self, dataset: str, id: str) -> str:
        """Whether a recording is "ok", "failed", or "" for not tried yet."""
        path = self.folder / f"{file_name(dataset, id)}.json"
        return str(json.loads(path.read_text(encoding="utf-8"))["status"]) if path.exists() else ""

    def add(self, prepared: Prepared) -> None:
        """Keep a recording; its card comes last, so that it says that all is there."""
        name = file_name(prepared.dataset, prepared.id)
        with files.whole(self.folder / f"{name}.frames.npy") as part, part.open("wb") as file:
            np.save(file, prepared.frames)
        with files.whole(self.folder / f"{name}.npz") as part, part.open("wb") as file:
            np.savez(file, **{"skin": prepared.skin, "valid": prepared.valid, **prepared.waves})  # type: ignore[arg-type]
        known = {kind: int(np.isfinite(wave).sum()) for kind, wave in prepared.waves.items()}
        self._card(
            prepared.dataset, prepared.subject, prepared.id, status="ok", attributes=dict(prepared.attributes),
            fs_hz=prepared.fs_hz, start=prepared.start, frames=len(prepared.valid),
            frames_valid=int(prepared.valid.sum()), frames_known=known,
        )  # fmt: skip

    def refuse(self, recording: Recording, reason: str) -> None:
        """Note that a recording cannot be used."""
        self._card(recording.dataset, recording.subject, recording.id, status="failed", reason=reason)

    def _card(self, dataset: str, subject: str, id: str, **more: Any) -> None:
        card = {"dataset": dataset, "subject": subject, "id": id, **more}
        files.write_text(self.folder / f"{file_name(dataset, id)}.json", json.dumps(card, default=str, indent=1) + "\n")

    def _load(self, card: Mapping[str, Any]) -> Prepared:
        name = file_name(card["dataset"], card["id"])
        frames = np.load(self.folder / f"{name}.frames.npy", mmap_mode="r")
        with np.load(self.folder / f"{name}.npz") as arrays:
            rest = {key: arrays[key] for key in arrays.files}
        skin, valid = rest.pop("skin"), rest.pop("valid")
        return Prepared(
            card["dataset"], card["subject"], card["id"], card["attributes"], card["fs_hz"], card["start"],
            frames, skin, valid, rest,
        )  # fmt: skip


def prepare(
    recordings: Iterable[Recording], folder: Path, preparation: Preparation | None = None
) -> tuple[Store, list[str]]:
    """Prepare recordings on disk, or find them prepared; those that failed before are tried again.

    A process that is killed loses the recording it was at; several may work on different recordings at a time.

    Args:
        recordings: where they come from.
        folder: a folder in it, named by the digest of ``preparation``, takes the files.
        preparation: what is kept.

    Returns:
        the store, and for each recording that cannot be used a sentence that says why.

    Raises:
        DatasetError: two recordings have the same name.
        OutputError: the folder cannot be written.
    """
    preparation = preparation or Preparation()
    store = Store(folder / preparation.digest)
    names: set[str] = set()
    failed = []
    for recording in recordings:
        name = file_name(recording.dataset, recording.id)
        if name in names:
            raise DatasetError(f"two recordings of {recording.dataset!r} are called {recording.id!r}; ids must differ")
        names.add(name)
        if store.status(recording.dataset, recording.id) == "ok":
            continue
        try:
            store.add(prepare_one(recording, preparation))
        except VitalcamError as error:
            store.refuse(recording, str(error))
            failed.append(str(error))
            log.warning("not prepared: %s", error)
    log.info("prepared %d of %d recordings in %s", len(names) - len(failed), len(names), store.folder)
    return store, failed


def file_name(dataset: str, id: str) -> str:
    """How the files of a recording are called, without their ending."""
    return re.sub(r"[^\w.-]+", "_", f"{dataset}-{id}")


class Clips:
    """Pieces for training: pictures as the network wants them, and the true waveforms.

    Args:
        recordings: prepared.
        spec: card of the network.
        waves: kinds of waveform that must be known throughout; those that the network gives, by default.
        frames: length of a clip; that of the card by default.
        hop: from one clip to the next; the length by default.
        change: the target is the wave's change from sample to sample rather than the wave (DeepPhys, TS-CAN).

    Raises:
        UsageError: the recordings are of another rate.
        DatasetError: no recording has a stretch that is long enough.
    """

    def __init__(
        self, recordings: Iterable[Prepared], spec: ModelSpec, *, waves: Sequence[str] = (), frames: int = 0,
        hop: int = 0, change: bool = False,
    ) -> None:  # fmt: skip
        self.spec, self.waves, self.change = spec, tuple(waves or spec.outputs), change
        self.frames = frames or spec.frames
        self.recordings = list(recordings)
        for recording in self.recordings:
            check_rate(recording, spec)
        self.places = [place for i in range(len(self.recordings)) for place in self._cut(i, hop or self.frames)]
        if not self.places:
            raise DatasetError(
                f"none of {len(self.recordings)} recordings has {self.frames} frames in a row with a face and known "
                f"{' and '.join(self.waves)}; give longer recordings or shorter clips"
            )

    def _cut(self, i: int, hop: int) -> Iterator[tuple[int, int]]:
        recording = self.recordings[i]
        if any(kind not in recording.waves for kind in self.waves):
            return
        known = np.logical_and.reduce([recording.valid, *(np.isfinite(recording.waves[kind]) for kind in self.waves)])
        for run in clips.runs(known):
            yield from ((i, start) for start in range(run.start, run.stop - self.frames + 1, hop))

    def __len__(self) -> int:
        return len(self.places)

    def __getitem__(self, index: int) -> tuple[Floats, dict[str, Floats]]:
        """Pictures (C, T, H, W) float32 and waveforms (T,) float32, each of zero mean and unit deviation."""
        i, start = self.places[index]
        run = slice(start, start + self.frames)
        recording = self.recordings[i]
        pictures = clips.transform(recording.clip(run, self.spec.size_px).frames, self.spec.transform)
        waves = {kind: target(recording.waves[kind][run], change=self.change) for kind in self.waves}
        return np.ascontiguousarray(pictures.transpose(3, 0, 1, 2)), waves


def target(wave: Floats, *, change: bool) -> Floats:
    """What a network shall give: a wave (T,) of zero mean and unit deviation, or its change over the change's."""
    if change:
        wave = np.append(np.diff(wave), 0)
        return (wave / max(float(wave.std()), 1e-12)).astype(np.float32)
    return normalise(wave).astype(np.float32)


def check_rate(recording: Prepared, spec: ModelSpec) -> None:
    """Refuse a recording whose clock is not the network's.

    Raises:
        UsageError: says how to prepare it.
    """
    if abs(recording.fs_hz - spec.fs_hz) > 1e-6:
        raise UsageError(
            f"{recording.id}: prepared at {recording.fs_hz:g} Hz, but {spec.name} works at {spec.fs_hz:g} Hz; "
            f"prepare it with fs_hz={spec.fs_hz:g}"
        )
