"""One face through the pipe: samples, clips, waves, windows, and at the end everything about its person."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import Executor, Future
from types import ModuleType
from typing import Protocol

import numpy as np

from vitalcam.clips import Rows, Stitcher, runs
from vitalcam.face import sample
from vitalcam.face.sample import Crop, Sampler
from vitalcam.methods import chrom, green, pos
from vitalcam.settings import HEART_RATE_BPM, MIN_SIGNAL_S, RESP_RATE_PER_MIN, Settings
from vitalcam.signal import breath, quality
from vitalcam.signal.resample import uniform
from vitalcam.types import (
    N_CHANNELS,
    Bools,
    Clip,
    Estimate,
    Face,
    FaceTrack,
    Floats,
    Frame,
    ModelSpec,
    Reason,
    Signal,
)

LOOKAHEAD_S = 0.6
"""A window waits this long for the next detection: a box may be held 0.5 s, and if the face turns out to be lost, the
frames since it was last seen were never its own."""

RESP_STEP_S = 5.0
"""Distance of breathing windows."""

STALE_S = 1.5
"""A window whose last good sample is older than this says nothing about its end."""

_HOP = 0.75
"""Distance of a network's clips, as a share of their length: where they overlap, neither ends."""
_MIN_PIECE_S = 2.0
_MARGIN_S = 0.3


class Runner(Protocol):
    """A method or a model: its card, and what turns a clip into waveforms."""

    spec: ModelSpec

    def run(self, clip: Clip) -> dict[str, Floats]:
        """Waveforms (T,) by name."""


class Person:
    """Everything that is known about one face.

    Args:
        id: identity, from 1.
        settings: of the measurement.
        runner: method or model that turns clips into waves.
        start_s: when the face was first seen.
        pool: where the runner works while frames come in; it works in their stead without one.
    """

    def __init__(
        self, id: int, settings: Settings, runner: Runner, start_s: float, pool: Executor | None = None
    ) -> None:
        self.id = id
        self.start_s = start_s
        self.track = TrackLog(id)
        self.windows: list[Estimate] = []
        first = math.floor(start_s * runner.spec.fs_hz)
        self.waves = {name: Stitcher(runner.spec.fs_hz, first) for name in runner.spec.outputs}
        self.breath = Stitcher(runner.spec.fs_hz, first)
        self._settings = settings
        self._runner, self._pool = runner, pool
        self._weights = runner.spec.confidence_weights or quality.WEIGHTS[runner.spec.kind]
        self._fs_hz = runner.spec.fs_hz
        self._clip_s = runner.spec.frames / self._fs_hz or settings.window_s
        self._hop_s = settings.step_s if runner.spec.kind == "method" else _HOP * self._clip_s
        self._sampler = Sampler(sample.crop_px(runner.spec.size_px))
        self._shape = runner.spec.size_px, runner.spec.size_px, N_CHANNELS[runner.spec.sees]
        self._crops = Rows(math.prod(self._shape), self._clip_s + settings.step_s + 2, np.float32)
        longest_s = max(settings.window_s, settings.resp_window_s)
        self._rows = Rows(sample.N_COLUMNS, longest_s + 2 * self._hop_s + settings.step_s + 2)
        self._unconfirmed: list[tuple[float, Floats, Floats | None]] = []
        self._waiting: list[tuple[float, float]] = []
        self._due: list[tuple[float, float]] = []
        self._running: list[tuple[int, Future[dict[str, Floats]]]] = []
        self._cut_s = start_s
        self._resp_s = start_s
        self._seen_s = start_s
        self._skin: Floats = np.empty(0)
        self._on_clock: tuple[object, tuple[Floats, Floats, Bools]] = (
            None,
            (np.empty(0), np.empty(0), np.empty(0, bool)),
        )

    def push(self, frame: Frame, face: Face, background: Floats) -> None:
        """Take one frame in."""
        self.track.push(frame.time_s, face)
        if face.state == "lost":
            self._unconfirmed.clear()
            self._sampler.reset()
            return
        row, crop = self._sampler.push(frame, face, background)
        if face.state == "detected":
            self.confirm()
        self._seen_s = frame.time_s
        skin = row[: sample.REGIONS.stop]
        if np.isfinite(row[sample.SKIN]).all() and not np.array_equal(skin, self._skin, equal_nan=True):
            # a picture that is shown again says nothing new
            self._unconfirmed.append((frame.time_s, row, self._picture(frame, crop)))
        self._skin = skin

    def advance(self, t_s: float) -> list[Estimate]:
        """A window ends at ``t_s``: give the estimates that are final now."""
        if t_s - self.start_s < MIN_SIGNAL_S:
            return []
        self._waiting.append((t_s, self._seen_s))
        if t_s - self._cut_s < self._hop_s - 1e-9:
            return self._judged()
        return [*self._judged(wait=True), *self._settle(t_s)]

    def close(self, t_s: float) -> list[Estimate]:
        """The recording ends at ``t_s``: give what is still open."""
        if not self.windows and not self._waiting and not self._due:
            self._waiting.append((t_s, self._seen_s))
        done = [*self._judged(wait=True), *self._settle(t_s), *self._judged(wait=True)]
        if t_s - self._resp_s > RESP_STEP_S / 2 and t_s - self.start_s >= breath.MIN_DURATION_S:
            done.append(self._resp_rate(t_s))
            self.windows.append(done[-1])
        return done

    def confirm(self) -> None:
        """Trust the frames since the last detection, there being no more."""
        for time_s, row, shown in self._unconfirmed:
            self._rows.push(time_s, row)
            if shown is not None:
                self._crops.push(time_s, shown.ravel())
        self._unconfirmed.clear()

    def _picture(self, frame: Frame, crop: Crop) -> Floats | None:
        """What the network sees; a method sees the rows."""
        spec = self._runner.spec
        return None if spec.kind == "method" else sample.picture(frame, crop, spec.size_px, spec.sees)

    def signals(self) -> dict[str, Signal]:
        """The stitched waves from the first sight of the face on; NaN in gaps."""
        found = {}
        for name, stitcher in {**self.waves, "resp": self.breath}.items():
            wave = stitcher.wave()
            known = np.flatnonzero(np.isfinite(wave))
            if known.size:
                start, stop = int(known[0]), int(known[-1]) + 1
                times = (stitcher.first + np.arange(start, stop)) / self._fs_hz
                found[name] = Signal(wave[start:stop], times, name)
        return found

    def _settle(self, t_s: float) -> list[Estimate]:
        """Run the clips up to ``t_s``, for which windows waited; give these windows where that is done already."""
        while t_s - self._cut_s > self._clip_s:
            self._cut(self._cut_s + self._hop_s)
        if t_s > self._cut_s:
            self._cut(t_s)
        self._due, self._waiting = self._waiting, []
        return self._judged()

    def _judged(self, *, wait: bool = False) -> list[Estimate]:
        """The windows whose clips were run; none as long as one is under way, unless they are waited for."""
        if not wait and not all(future.done() for _, future in self._running):
            return []
        for start, future in self._running:
            self._stitch(start, future.result())
        self._running.clear()
        done = []
        for t_s, seen_s in self._due:
            done.append(self._heart_rate(t_s, seen_s))
            self.windows.append(done[-1])
            if t_s - self._resp_s >= RESP_STEP_S and t_s - self.start_s >= breath.MIN_DURATION_S:
                done.append(self._resp_rate(t_s))
                self.windows.append(done[-1])
        self._due.clear()
        return done

    def _cut(self, t_s: float) -> None:
        """Run the method or model on the clip that ends at ``t_s``, now or in the pool."""
        self._cut_s = t_s
        frames, time_s, valid = self._clip(max(t_s - self._clip_s, self.start_s), t_s)
        spec = self._runner.spec
        for run in runs(valid):
            first = run.start + (run.stop - run.start) % spec.frames_multiple
            if run.stop - first < _MIN_PIECE_S * self._fs_hz:
                continue
            part = slice(first, run.stop)
            clip = Clip(frames[part], time_s[part], self._fs_hz, valid[part], self.id)
            start = round(time_s[first] * self._fs_hz)
            if self._pool is None:
                self._stitch(start, self._runner.run(clip))
            else:
                self._running.append((start, self._pool.submit(self._runner.run, clip)))

    def _stitch(self, start: int, waves: dict[str, Floats]) -> None:
        for name, wave in waves.items():
            self.waves[name].add(start, wave)

    def _clip(self, t0_s: float, t1_s: float) -> tuple[Floats, Floats, Bools]:
        """Frames (T, H, W, C) on the uniform clock, their times, and which of them are not in a gap."""
        if self._runner.spec.kind == "method":
            values, time_s, valid = self._uniform(t0_s, t1_s)
            return values[:, None, None, sample.SKIN], time_s, valid
        times, crops = self._crops.between(t0_s - _MARGIN_S, t1_s + _MARGIN_S)
        frames, time_s, valid = uniform(crops, times, fs_hz=self._fs_hz, t0_s=t0_s, t1_s=t1_s)
        return frames.reshape(-1, *self._shape), time_s, valid

    def _uniform(self, t0_s: float, t1_s: float) -> tuple[Floats, Floats, Bools]:
        """Rows on the uniform clock; a column that is unknown anywhere is NaN throughout."""
        key = (t0_s, t1_s, self._rows.count)
        if self._on_clock[0] == key:
            return self._on_clock[1]
        times, rows = self._rows.between(t0_s - _MARGIN_S, t1_s + _MARGIN_S)
        known = np.isfinite(rows).all(axis=0)
        some, time_s, valid = uniform(rows[:, known], times, fs_hz=self._fs_hz, t0_s=t0_s, t1_s=t1_s)
        values = np.full((time_s.size, rows.shape[1]), np.nan)
        values[:, known] = some
        self._on_clock = key, (values, time_s, valid)
        return self._on_clock[1]

    def _heart_rate(self, t_s: float, seen_s: float) -> Estimate:
        """Heart rate over the window that ends at ``t_s``, when the face had last been seen at ``seen_s``."""
        t0_s = max(t_s - self._settings.window_s, self.start_s)
        window = self._window(t0_s, t_s, seen_s)
        if not isinstance(window, quality.Window):
            return Estimate("heart_rate", None, "beats/min", t0_s, t_s, 0.0, window, self._runner.spec.name)
        seen = quality.evidence(window)
        reason, (low, high) = quality.refusal(seen), HEART_RATE_BPM
        trust = quality.confidence(seen, self._weights) if reason is None else 0.0
        if reason is None and not (trust >= self._settings.min_confidence and low <= seen.rate_bpm <= high):
            reason = quality.weakness(seen)
        value = seen.rate_bpm if reason is None else None
        return Estimate(
            "heart_rate", value, "beats/min", t0_s, t_s, trust, reason, self._runner.spec.name, seen.features()
        )

    def _resp_rate(self, t_s: float) -> Estimate:
        """Breathing rate over the window that ends at ``t_s``, from the chest or else from pulse and motion."""
        self._resp_s = t_s
        t0_s = max(t_s - self._settings.resp_window_s, self.start_s)
        values, time_s, valid = self._uniform(t0_s, t_s)
        start = round(time_s[0] * self._fs_hz)
        waves = {name: stitcher.wave(start, start + time_s.size) for name, stitcher in self.waves.items()}
        known = valid & np.isfinite(list(waves.values())).all(axis=0)
        run = max(runs(known), key=lambda r: r.stop - r.start, default=slice(0, 0))
        if (run.stop - run.start) / self._fs_hz < breath.MIN_DURATION_S:
            short = t_s - self.start_s < breath.MIN_DURATION_S + 1
            missing: Reason = "too_short" if short else "gap"
            return Estimate("resp_rate", None, "breaths/min", t0_s, t_s, 0.0, missing, "fused")
        values, time_s, start = values[run], time_s[run], start + run.start
        rates = [w for w in self.windows if w.quantity == "heart_rate" and w.value is not None and w.t1_s > t0_s]
        window = breath.Window(
            fs_hz=self._fs_hz,
            position=values[:, [sample.X, sample.Y]],
            skin_rgb=values[:, sample.SKIN],
            bvp=waves["bvp"][run] if rates else None,
            heart_rate_hz=heart_rate_hz(rates, time_s) if rates else None,
            network=waves["resp"][run] if "resp" in waves else None,
            chest=None if np.isnan(values[:, sample.CHEST]).any() else values[:, sample.CHEST],
        )
        seen = breath.evidence(window)
        reason, (low, high) = breath.refusal(seen), RESP_RATE_PER_MIN
        trust = breath.confidence(seen) if reason is None else 0.0
        if reason is None and not (trust >= self._settings.min_confidence and low <= seen.rate_per_min <= high):
            reason = breath.weakness(seen)
        if reason is None:
            self.breath.add(start, seen.wave, signed=False)
        value = seen.rate_per_min if reason is None else None
        return Estimate("resp_rate", value, "breaths/min", t0_s, t_s, trust, reason, "fused", seen.features())

    def _window(self, t0_s: float, t1_s: float, seen_s: float) -> quality.Window | Reason:
        """What quality judges: the last stretch without a gap that is long enough; or why there is none."""
        times, _ = self._rows.between(t0_s, t1_s)
        if times.size < 2 or times[-1] < t1_s - STALE_S:
            return "no_face" if seen_s < t1_s - STALE_S else "frozen"
        if np.median(np.diff(times)) > 1 / quality.MIN_FRAME_RATE_HZ:
            return "low_fps"
        values, time_s, valid = self._uniform(t0_s, t1_s)
        start = round(time_s[0] * self._fs_hz)
        wave = self.waves["bvp"].wave(start, start + time_s.size)
        recent = [run for run in runs(valid & np.isfinite(wave)) if time_s[run.stop - 1] >= t1_s - STALE_S]
        long = [run for run in recent if (run.stop - run.start + 1) / self._fs_hz >= MIN_SIGNAL_S]
        if not long:
            return "too_short" if t1_s - self.start_s < MIN_SIGNAL_S else "gap"
        run = long[-1]
        values, time_s, wave = values[run], time_s[run], wave[run]
        skin = values[:, sample.SKIN]
        regions = values[:, sample.REGIONS].reshape(-1, 3, 3).transpose(1, 0, 2)
        steps = np.diff(times[times >= time_s[0] - 1e-9])
        means = values.mean(axis=0)
        return quality.Window(
            fs_hz=self._fs_hz,
            wave=wave,
            checks=np.stack([m.waveform(skin, fs_hz=self._fs_hz) for m in self._checks()]),
            regions=pos.waveform(regions, fs_hz=self._fs_hz),
            skin_rgb=skin,
            background_rgb=values[:, sample.BACKGROUND],
            position=values[:, [sample.X, sample.Y]],
            luma=float(means[sample.LUMA]),
            clipped=float(means[sample.CLIPPED]),
            side_px=float(means[sample.SIDE]),
            yaw=float(means[sample.YAW]),
            frame_rate_hz=float(1 / np.median(steps)),
            jitter_s=float(steps.std()),
        )

    def _checks(self) -> list[ModuleType]:
        return [m for m in (pos, chrom, green) if self._runner.spec.name != m.SPEC.name]


def heart_rate_hz(windows: Sequence[Estimate], time_s: Floats) -> Floats:
    """Heart rate (T,) at some times, between the middles of windows that have a value."""
    middle = [(w.t0_s + w.t1_s) / 2 for w in windows]
    return np.interp(time_s, middle, [(w.value or math.nan) / 60 for w in windows])


_STATES = ("detected", "held", "lost")


class TrackLog:
    """Where a face was in every frame since it was first seen."""

    def __init__(self, id: int) -> None:
        self.id = id
        self.area_px_s = 0.0
        self._rows = Rows(6, math.inf)
        self._last_s = math.nan

    def push(self, time_s: float, face: Face) -> None:
        """Add a frame."""
        box = np.full(4, np.nan) if face.state == "lost" else face.box_px
        self._rows.push(time_s, np.array([*box, face.score, _STATES.index(face.state)]))
        if face.state != "lost" and math.isfinite(self._last_s):
            self.area_px_s += face.side_px**2 * (time_s - self._last_s)
        self._last_s = time_s

    def track(self) -> FaceTrack:
        """The track so far."""
        time_s, rows = self._rows.between(-math.inf, math.inf)
        lost = rows[:, 5] == _STATES.index("lost")
        score = np.where(lost, np.nan, rows[:, 4])
        states = np.array(_STATES)[rows[:, 5].astype(int)]
        return FaceTrack(self.id, time_s.copy(), rows[:, :4].copy(), score, states)
