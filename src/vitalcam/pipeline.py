"""The one pipe: frames, faces, clips, method or model, waveforms, rates, result.

`Session.push` takes frames as they come and gives estimates as soon as they are final; `Session.finish` gives the
result. `stream` and `measure` only call it, so a file, a camera and a live page are measured alike, and how frames are
grouped into pushes cannot change a number: everything is decided by the times of the frames.
"""

from __future__ import annotations

import dataclasses
import importlib.metadata
import math
from collections.abc import Callable, Iterator
from concurrent.futures import Executor
from typing import Any

import numpy as np

from vitalcam import __version__, config, registry
from vitalcam.errors import UsageError
from vitalcam.face.crop import area
from vitalcam.face.sample import Background
from vitalcam.face.track import Tracker
from vitalcam.person import LOOKAHEAD_S, Person, Runner
from vitalcam.runtime import Model
from vitalcam.settings import MIN_SIGNAL_S, Settings
from vitalcam.signal.quality import MIN_LUMA
from vitalcam.summary import face_result
from vitalcam.types import Bytes, Clip, Estimate, Face, Floats, Frame, ModelSpec, Reason, Result, Video
from vitalcam.video.beside import beside
from vitalcam.video.read import open_video
from vitalcam.video.thermal import open_thermal

__all__ = ["Classical", "Session", "Settings", "Stream", "measure", "stream"]

_THUMBNAIL_PX = 240


class Session:
    """A measurement under way.

    Args:
        settings: what was chosen.
        source: name of the source, for the result.

    Raises:
        UnknownName: there is no such method or model.
    """

    def __init__(self, settings: Settings | None = None, *, source: str = "") -> None:
        self.settings = (settings or Settings()).resolved()
        self.source = source
        self._runner = _runner(self.settings)
        self._pool = _pool(self._runner)
        self._tracker = Tracker(self.settings.faces)
        self._background = Background()
        self._people: dict[int, Person] = {}
        self._next = 0
        self._closed = False
        self._frames = _FrameLog()
        self._thumbnail: tuple[float, Bytes, dict[int, Floats]] | None = None

    @property
    def sees_heat(self) -> bool:
        """Whether what measures wants thermal pictures with the frames; where there are none is a gap."""
        return self._runner.spec.sees != "rgb"

    def push(self, *frames: Frame) -> list[Estimate]:
        """Take frames in, in order of time; give the estimates that became final."""
        if self._closed:
            raise ValueError("this session is finished; begin another for more frames")
        done: list[Estimate] = []
        for frame in frames:
            if not self._frames.count:
                self._next = math.floor(frame.time_s / self.settings.step_s) + 1
            done += self._advance(frame.time_s - LOOKAHEAD_S)
            self._frames.push(frame)
            faces = self._tracker.push(frame)
            seen = [face for face in faces if face.state != "lost"]
            background = self._background.push(frame, seen)
            self._frames.light(background)
            for face in faces:
                if face.id not in self._people:
                    self._people[face.id] = self._person(face.id, frame.time_s)
                self._people[face.id].push(frame, face, background)
            self._keep_thumbnail(frame, seen)
        return done

    def flush(self) -> list[Estimate]:
        """No more frames: give the estimates that are still open. Calling it again gives nothing."""
        if self._closed or not self._frames.count:
            return []
        self._closed = True
        end_s = self._frames.end_s
        for person in self._people.values():
            person.confirm()
        done = self._advance(end_s)
        if end_s - (self._next - 1) * self.settings.step_s > min(self.settings.step_s / 2, 1.0):
            done += self._step(end_s)
        for person in self._people.values():
            done += _of(person.close(end_s), person.id)
        return done

    def finish(self, *, warnings: tuple[str, ...] = (), info: dict[str, Any] | None = None) -> Result:
        """No more frames: the result.

        Args:
            warnings: what the source has to say.
            info: what is known about the video, for the result.
        """
        self.flush()
        people = sorted(self._people.values(), key=lambda p: -p.track.area_px_s)
        image, boxes = (self._thumbnail[1], self._thumbnail[2]) if self._thumbnail else (None, {})
        numbers = {person.id: number for number, person in enumerate(people, 1)}
        return Result(
            source=self.source,
            faces=tuple(face_result(person, numbers[person.id]) for person in people),
            warnings=(*warnings, *self._frames.warnings()),
            settings=config.to_dict(self.settings),
            digest=config.digest(self.settings),
            versions=_versions(self._runner.spec),
            video={**(info or {}), **self._frames.info()},
            thumbnail=image,
            thumbnail_boxes_px={numbers[id]: box for id, box in boxes.items()},
            no_face=self._frames.no_face(),
        )

    def _advance(self, t_s: float) -> list[Estimate]:
        done: list[Estimate] = []
        while self._next * self.settings.step_s <= t_s:
            done += self._step(self._next * self.settings.step_s)
            self._next += 1
        return done

    def _person(self, id: int, start_s: float) -> Person:
        return Person(id, self.settings, self._runner, start_s, self._pool)

    def _step(self, t_s: float) -> list[Estimate]:
        return [estimate for person in self._people.values() for estimate in _of(person.advance(t_s), person.id)]

    def _keep_thumbnail(self, frame: Frame, seen: list[Face]) -> None:
        """Keep the picture in which the best-seen face had its best score so far, checked when a face is detected."""
        score = max((face.score for face in seen if face.state == "detected"), default=0.0)
        if score <= (self._thumbnail[0] + 0.02 if self._thumbnail else 0.0):
            return
        scale = min(1.0, _THUMBNAIL_PX / max(frame.height, frame.width))
        size = max(1, round(frame.height * scale)), max(1, round(frame.width * scale))
        whole = np.array([0.0, 0.0, frame.width, frame.height])
        picture = np.clip(area(frame, whole, size), 0, 255).astype(np.uint8)
        self._thumbnail = score, picture, {face.id: face.box_px * scale for face in seen}


class _FrameLog:
    """Counts the frames and their times."""

    def __init__(self) -> None:
        self.count = 0
        self.size = (0, 0)
        self._first_s = self._last_s = 0.0
        self._brightest = math.nan

    @property
    def end_s(self) -> float:
        """When the last frame ends: its time and one typical step."""
        return self._last_s + (self._last_s - self._first_s) / max(self.count - 1, 1)

    def push(self, frame: Frame) -> None:
        if self.count and frame.time_s <= self._last_s:
            raise ValueError(f"frame {frame.index}: time {frame.time_s} s does not come after {self._last_s} s")
        if not self.count:
            self._first_s = frame.time_s
        self.count += 1
        self._last_s = frame.time_s
        self.size = frame.width, frame.height

    def light(self, rgb: Floats) -> None:
        """Note how bright the picture is."""
        self._brightest = float(np.fmax(self._brightest, rgb.mean()))

    def no_face(self) -> Reason:
        """Why no face was found, if none was."""
        if self.end_s - self._first_s < MIN_SIGNAL_S:
            return "too_short"
        return "dark" if self._brightest < MIN_LUMA else "no_face"

    def info(self) -> dict[str, Any]:
        span_s = self._last_s - self._first_s
        return {
            "width": self.size[0],
            "height": self.size[1],
            "frames": self.count,
            "duration_s": span_s,
            "frame_rate_hz": (self.count - 1) / span_s if span_s > 0 else math.nan,
        }

    def warnings(self) -> tuple[str, ...]:
        width, height = self.size
        if 0 < min(width, height) < 24:
            return (f"frames of {width}x{height} pixels are too small for a face: give a larger video",)
        return ()


def _of(estimates: list[Estimate], face: int) -> list[Estimate]:
    """The same with the face that they are of."""
    return [dataclasses.replace(estimate, face=face) for estimate in estimates]


class Stream:
    """Estimates as they become final, once; ``result`` reads what was not asked for yet.

    Args:
        video: where the frames come from.
        settings: what was chosen.
        progress: is called with the time of each frame.
    """

    def __init__(
        self, video: Video, settings: Settings | None = None, progress: Callable[[float], None] | None = None
    ) -> None:
        self.video = video
        thermal = video.channels == "rgbt"
        self.session = Session((settings or Settings()).resolved(thermal=thermal), source=video.source)
        if self.session.sees_heat != thermal:
            raise UsageError(_mismatch(self.session.settings, video))
        self._progress = progress
        self._result: Result | None = None
        self._estimates = self._run()

    def __iter__(self) -> Iterator[Estimate]:
        return self._estimates

    def _run(self) -> Iterator[Estimate]:
        for frame in self.video:
            yield from self.session.push(frame)
            if self._progress:
                self._progress(frame.time_s)
        yield from self.session.flush()
        self._result = self.session.finish(warnings=tuple(self.video.warnings), info=dict(self.video.info))

    @property
    def result(self) -> Result:
        """The result; frames that were not asked for yet are read first."""
        if self._result is None:
            for _ in self:
                pass
        assert self._result is not None
        return self._result


def stream(
    source: Any,
    settings: Settings | None = None,
    *,
    thermal: Any = None,
    fps_hz: float | None = None,
    times_s: Any = None,
) -> Stream:
    """Measure while frames come in.

    Args:
        source: whatever `vitalcam.video.read.open_video` takes: path, camera number, array, iterable of
            (time_s, (H, W, 3) uint8 RGB).
        settings: what was chosen.
        thermal: whatever `vitalcam.video.thermal.open_thermal` takes: what a thermal camera saw of the same field on
            the same clock, for a network that sees heat.
        fps_hz, times_s: times of the frames, where the source has none or they are wrong.

    Returns:
        an iterable of estimates, each given once it is final; ``face`` tells several faces apart. Its ``result`` is
        what `measure` returns.

    Raises:
        VideoError: the source cannot be read.
        UnknownName: there is no such method or model.
        UsageError: the network sees heat and there is no thermal video, or the other way about.
    """
    return Stream(opened(source, thermal, fps_hz=fps_hz, times_s=times_s), settings)


def measure(
    source: Any,
    settings: Settings | None = None,
    *,
    thermal: Any = None,
    fps_hz: float | None = None,
    times_s: Any = None,
    progress: Callable[[float], None] | None = None,
) -> Result:
    """Heart rate, breathing and pulse wave of the faces in a video; arguments and errors as for `stream`.

    Args:
        source: path, camera number, array or iterable.
        settings: what was chosen.
        thermal: the thermal video beside it.
        fps_hz, times_s: times of the frames, where the source has none or they are wrong.
        progress: is called with the time of each frame, in seconds.

    >>> vitalcam.measure("clip.mp4").heart_rate.value  # doctest: +SKIP
    71.9
    """
    return Stream(opened(source, thermal, fps_hz=fps_hz, times_s=times_s), settings, progress).result


def opened(source: Any, thermal: Any = None, *, fps_hz: float | None = None, times_s: Any = None) -> Video:
    """A colour video, with the thermal video beside it where there is one; arguments and errors as for `stream`."""
    video = open_video(source, fps_hz=fps_hz, times_s=times_s)
    return video if thermal is None else beside(video, open_thermal(thermal))


class Classical:
    """A classical method as a runner.

    Args:
        name: of the method.

    Raises:
        UnknownName: there is no such method.
    """

    def __init__(self, name: str) -> None:
        self._method = registry.find("methods", name)
        self.spec: ModelSpec = self._method.SPEC

    def run(self, clip: Clip) -> dict[str, Floats]:
        """The pulse wave (T,) of a clip of mean skin colours."""
        return {"bvp": self._method.waveform(clip.frames[:, 0, 0], fs_hz=clip.fs_hz)}


def _runner(settings: Settings) -> Runner:
    if not settings.model:
        return Classical(settings.method)
    model = Model.load(settings.model, backend=settings.backend)
    if "bvp" not in model.spec.outputs:
        raise UsageError(
            f"{settings.model}: gives {', '.join(model.spec.outputs)}; measuring needs a model that gives bvp"
        )
    return model


def _mismatch(settings: Settings, video: Video) -> str:
    """What to say where a video has no heat for a network that wants it, or heat that nothing looks at."""
    measures = settings.model or settings.method
    if video.channels == "rgbt":
        return f"{video.info['thermal']}: {measures} does not look at thermal video; give a network that does"
    return f"{measures}: sees heat, and {video.source} comes without a thermal video; give the one beside it"


def _pool(runner: Runner) -> Executor | None:
    """A thread for a network, which takes its time; a method is done sooner than it is handed over."""
    if runner.spec.kind == "method":
        return None
    from concurrent.futures import ThreadPoolExecutor  # loads what a method does not need

    return ThreadPoolExecutor(1, "network")


def _versions(spec: ModelSpec) -> dict[str, str]:
    packages = ("numpy", "scipy", "av", "onnxruntime")
    model = {spec.name: spec.sha256[:12]} if spec.sha256 else {}
    return {"vitalcam": __version__, **model, **{p: importlib.metadata.version(p) for p in packages}}
