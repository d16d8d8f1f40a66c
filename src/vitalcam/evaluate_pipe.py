"""The whole pipe, evaluated: what `vitalcam measure` says at given times, also where it says nothing."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator

import numpy as np

from vitalcam.errors import DatasetError
from vitalcam.person import RESP_STEP_S
from vitalcam.pipeline import Stream
from vitalcam.protocol import LATE_S, QUANTITIES, Protocol, enough, longest
from vitalcam.runtime import card_of
from vitalcam.scores import Row, plain_attributes
from vitalcam.settings import HEART_RATE_BPM, RESP_RATE_PER_MIN, Settings
from vitalcam.signal import breath, quality
from vitalcam.signal.resample import uniform
from vitalcam.types import Estimate, Reason, Recording, Result, Signal, Video
from vitalcam.video.beside import beside

_FS_HZ = 30.0


def rows(recording: Recording, settings: Settings, protocol: Protocol) -> Iterator[Row]:
    """What the pipe says about the whole recording, or about each window.

    The windows of the protocol set the length of the pipe's windows for the heart rate; the pipe goes on in steps of
    its own, and its latest word at the end of each of the protocol's windows is what counts. Breathing has windows of
    the pipe's own length.

    Raises:
        DatasetError: the video has no frames.
        VideoError: it cannot be read.
    """
    settings = settings.resolved()
    if protocol.window_s:
        settings = dataclasses.replace(settings, window_s=protocol.window_s)
    truth = {kind: recording.signals[kind] for kind in QUANTITIES if kind in recording.signals}
    result = Stream(_video(recording, settings), settings).result
    if "duration_s" not in result.video or not result.video["frames"]:
        raise DatasetError(f"{recording.id}: the video has no frames")
    end_s = float(result.video["duration_s"])
    for kind, signal in truth.items():
        quantity = QUANTITIES[kind]
        if protocol.window_s:
            said = _at_windows(result, quantity, settings, protocol.step_s or protocol.window_s, end_s)
        else:
            whole = result.heart_rate if quantity == "heart_rate" else result.resp_rate
            said = iter([dataclasses.replace(whole, t0_s=0.0, t1_s=end_s)])
        yield from (_row(recording, signal, result, estimate, protocol) for estimate in said)


def _video(recording: Recording, settings: Settings) -> Video:
    """What the network sees of a recording.

    Raises:
        DatasetError: it has no thermal video and the network wants one.
    """
    video = recording.videos["rgb"]
    if not settings.model or card_of(settings.model).spec.sees == "rgb":
        return video
    if "thermal" not in recording.videos:
        raise DatasetError(f"{recording.id}: no thermal video, and {settings.model} sees heat")
    return beside(video, recording.videos["thermal"])


def _at_windows(result: Result, quantity: str, settings: Settings, step_s: float, end_s: float) -> Iterator[Estimate]:
    """The pipe's latest word at the end of each window that the recording has room for."""
    heart = quantity == "heart_rate"
    first_s, length_s = (settings.window_s,) * 2 if heart else (breath.MIN_DURATION_S, settings.resp_window_s)
    fresh_s = settings.step_s if heart else RESP_STEP_S
    given = [estimate for estimate in result.estimates if estimate.quantity == quantity]
    reason: Reason = result.no_face if heart or not result.faces else "too_short"
    silence = Estimate(quantity, None, "", 0.0, 0.0, 0.0, reason)
    for k in range(math.floor((end_s + LATE_S - first_s) / step_s) + 1):
        t_s = first_s + k * step_s
        latest = max((e for e in given if t_s - fresh_s < e.t1_s <= t_s + 1e-6), key=lambda e: e.t1_s, default=silence)
        yield dataclasses.replace(latest, t0_s=max(t_s - length_s, 0.0), t1_s=t_s)


def _row(recording: Recording, signal: Signal, result: Result, said: Estimate, protocol: Protocol) -> Row:
    kind, wave = signal.kind, result.signals.get(signal.kind)
    fs_hz = wave.fs_hz if wave and wave.time_s.size > 1 else _FS_HZ
    truth, time_s, known = uniform(signal.values, signal.time_s, fs_hz=fs_hz, t0_s=said.t0_s, t1_s=said.t1_s)
    sure = enough(known)
    row = Row(
        recording.dataset, recording.subject, recording.id, said.quantity, said.t0_s, said.t1_s,
        truth=protocol.true_rate(truth[known], kind, fs_hz) if sure else math.nan,
        estimate=math.nan if said.value is None else said.value,
        confidence=said.confidence, reason=said.reason or "", attributes=plain_attributes(recording.attributes),
        candidate=candidate(said), null=sure and bool(np.ptp(truth[known]) == 0),
    )  # fmt: skip
    if wave is None or not sure:
        return row
    found = np.interp(time_s, wave.time_s, wave.values, left=np.nan, right=np.nan)
    both = longest(known & np.isfinite(found))
    if both is None:
        return row
    prepared = protocol.prepared(found[both], kind, fs_hz)
    snr_db, macc = protocol.likeness(prepared, truth[both], kind, fs_hz)
    return dataclasses.replace(row, snr_db=snr_db, macc=macc, wave_rate=protocol.rate(prepared, kind, fs_hz))


def candidate(said: Estimate) -> float:
    """The rate behind the confidence, where only the confidence stood against it; NaN where something else did."""
    if said.value is not None:
        return said.value
    if said.quantity == "heart_rate":
        features = [field.name for field in dataclasses.fields(quality.Evidence)]
        if set(features) - said.quality.keys():
            return math.nan
        seen = quality.Evidence(**{name: said.quality[name] for name in features})
        rate, refused, (low, high) = seen.rate_bpm, quality.refusal(seen), HEART_RATE_BPM
    else:
        breathed = _breath(said)
        if breathed is None:
            return math.nan
        rate, refused, (low, high) = breathed.rate_per_min, breath.refusal(breathed), RESP_RATE_PER_MIN
    return rate if refused is None and low <= rate <= high else math.nan


def _breath(said: Estimate) -> breath.Evidence | None:
    """The evidence behind a breathing rate, without its wave; None where the window had none."""
    seen = said.quality
    if "rate_per_min" not in seen:
        return None
    sources = {name.removeprefix("from_"): value for name, value in seen.items() if name.startswith("from_")}
    return breath.Evidence(seen["rate_per_min"], seen["total"], seen["lead"], sources, seen["valid_s"], np.empty(0))
