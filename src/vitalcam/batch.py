"""Many inputs: which there are, what becomes of each, what was done before."""

from __future__ import annotations

import dataclasses
import glob
import hashlib
import itertools
import logging
import multiprocessing
import os
import re
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import connection
from pathlib import Path
from typing import Literal

from vitalcam import files
from vitalcam.errors import UsageError, VitalcamError
from vitalcam.report import bids, plain, terminal
from vitalcam.report.outputs import Outputs
from vitalcam.settings import Settings
from vitalcam.types import Result, Video

log = logging.getLogger(__name__)

Status = Literal["measured", "abstained", "failed"]
Progress = Callable[[float, float], None]
"""Is called with the seconds done and the seconds in all (NaN where unknown)."""

VIDEO_SUFFIXES = frozenset({
    ".3gp", ".avi", ".flv", ".m2ts", ".m4v", ".mjpeg", ".mjpg", ".mkv", ".mov", ".mp4", ".mpeg", ".mpg", ".mts",
    ".ogv", ".ts", ".webm", ".wmv", ".y4m",
})  # fmt: skip
"""Files that are measured when a folder is given; a file that is named is tried whatever it is called."""

_NAME_BYTES = 120  # most systems allow 255, of which BIDS and a file that is being written take some 70


@dataclass(frozen=True)
class Task:
    """One input and what is wanted of it.

    Attributes:
        source: path, or camera as a number or device.
        name: of its files and of its subject.
        thermal: path of the thermal video beside it, for a network that sees heat.
        camera_s: how long a camera is measured.
        document: whether the outcome shall hold the JSON.
    """

    source: str
    name: str
    settings: Settings = field(default_factory=Settings)
    outputs: Outputs = field(default_factory=Outputs)
    fps_hz: float | None = None
    thermal: Path | None = None
    camera_s: float = 30.0
    document: bool = False


@dataclass(frozen=True)
class Outcome:
    """What became of a task, in words.

    Attributes:
        error: one line, where it failed.
        lines: for the table.
        summary: for the terminal.
        document: the result as one line of JSON, where it was asked for.
        files: that were written.
        done_before: it was taken from the manifest.
    """

    task: Task
    status: Status
    error: str = ""
    lines: tuple[terminal.Line, ...] = ()
    summary: str = ""
    document: str = ""
    files: tuple[str, ...] = ()
    done_before: bool = False


def exit_code(outcomes: Iterable[Outcome]) -> int:
    """0 if something was measured and nothing failed, 1 if any failed, 3 if all were abstained from."""
    statuses = {outcome.status for outcome in outcomes}
    return 1 if "failed" in statuses else 0 if "measured" in statuses else 3


def is_camera(source: str) -> bool:
    """Whether a source names a camera rather than a file."""
    return source.startswith("/dev/video") or (source.isdigit() and not Path(source).exists())


def expand(sources: Iterable[str]) -> tuple[list[str], list[str]]:
    """The inputs that were meant: patterns and folders of videos are opened up, a folder of images stays one input.

    Returns:
        The inputs, each once, and what a user should know, one sentence for each folder that was opened up.

    Raises:
        UsageError: an input is an empty word, which would mean the current folder.
    """
    inputs: dict[str, str] = {}
    notes: list[str] = []
    for source in sources:
        if not source.strip():
            raise UsageError("an input is empty; give a video, a folder (. for this one) or a camera")
        for name in _matches(source) or [source]:
            videos = _videos_in(Path(name))
            if videos:
                notes.append(f"{name}: a folder of videos; measuring the {len(videos)} in it")
            for each in videos or [name]:
                inputs.setdefault(absolute(each), each)
    return list(inputs.values()), notes


def names(sources: Iterable[str], taken: Mapping[str, str] | None = None) -> dict[str, str]:
    """A name for each source that no other has: its stem, and as much of its path as it takes.

    Args:
        sources: the inputs.
        taken: names from before by absolute path; those paths keep them, no other gets them.

    >>> names(["a/vid.avi", "b/vid.avi", "c.mp4", "c.mov"])
    {'a/vid.avi': 'a_vid', 'b/vid.avi': 'b_vid', 'c.mp4': 'c.mp4', 'c.mov': 'c.mov'}
    """
    sources, taken = list(sources), taken or {}
    chosen = {source: taken[absolute(source)] for source in sources if absolute(source) in taken}
    used = set(map(_key, taken.values()))
    for depth in range(2 * max((len(Path(absolute(s)).parts) for s in sources), default=0)):
        candidates = {source: _candidate(source, depth) for source in sources if source not in chosen}
        counts = Counter(map(_key, candidates.values()))
        fits = {s: name for s, name in candidates.items() if counts[_key(name)] == 1 and _key(name) not in used}
        chosen |= fits
        used |= set(map(_key, fits.values()))
    for number, source in enumerate((s for s in sources if s not in chosen), 1):
        numbers = (f"{_candidate(source, 0)}_{n}" for n in itertools.count(number))
        chosen[source] = next(name for name in numbers if _key(name) not in used)
        used.add(_key(chosen[source]))
    return {source: chosen[source] for source in sources}


def measure_one(task: Task, progress: Progress | None = None) -> Outcome:
    """Measure one input and write its files; whatever goes wrong is an outcome, so that the others go on."""
    try:
        result = _measure(task, progress)
        written = task.outputs.write(result, task.name)
    except VitalcamError as error:
        return _failed(task, str(error))
    except OSError as error:
        return _failed(task, f"cannot be read: {error.strerror or error}")
    except Exception as error:  # one bad input of a thousand must not end the others
        log.debug("%s", task.source, exc_info=True)
        return _failed(task, f"unexpected {type(error).__name__}: {error}; please report it")
    return Outcome(
        task,
        "measured" if terminal.measured(result) else "abstained",
        lines=terminal.lines(result),
        summary=terminal.summary(result),
        document=plain.to_json(result) if task.document else "",
        files=tuple(map(str, written)),
    )


def run(
    tasks: Iterable[Task], *, executor: Executor | None = None, progress: Progress | None = None
) -> Iterator[Outcome]:
    """Measure inputs here one after the other, or in the workers of an executor; outcomes as they come."""
    if executor is None:
        yield from (measure_one(task, progress) for task in tasks)
        return
    with _without_interrupts():  # workers that start now inherit it: the parent decides when they end
        futures = {executor.submit(measure_one, task): task for task in tasks}
    for future in as_completed(futures):
        yield _outcome(future, futures[future])


@contextmanager
def workers(count: int) -> Iterator[Executor | None]:
    """Processes to measure in, or None for one; on an error or an interrupt they end at once."""
    if count == 1:
        yield None
        return
    executor = ProcessPoolExecutor(count, multiprocessing.get_context("spawn"), _start_worker)
    try:
        yield executor
    except BaseException:
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    finally:
        executor.shutdown(cancel_futures=True)


def _measure(task: Task, progress: Progress | None) -> Result:
    from vitalcam.pipeline import Stream, opened

    video = opened(task.source, task.thermal, fps_hz=task.fps_hz)
    if is_camera(task.source):
        video = _first(video, task.camera_s)
    tick = (lambda time_s: progress(time_s, video.duration_s)) if progress else None
    return Stream(video, task.settings, tick).result


def _first(video: Video, seconds: float) -> Video:
    return dataclasses.replace(
        video,
        duration_s=seconds,
        frames=lambda: itertools.takewhile(lambda frame: frame.time_s < seconds, video.frames()),
    )


def _failed(task: Task, message: str) -> Outcome:
    said = " ".join(message.split())
    said = said if task.source in said else f"{task.source}: {said}"
    document = plain.dumps({"source": task.source, "error": said}) if task.document else ""
    line = terminal.Line(heart_rate=f"failed: {said.removeprefix(f'{task.source}: ')}")
    return Outcome(task, "failed", said, (line,), document=document)


def _outcome(future: Future[Outcome], task: Task) -> Outcome:
    try:
        return future.result()
    except BrokenProcessPool:
        return _failed(task, "its worker ended early, perhaps for want of memory; try fewer --jobs, with --resume")
    except Exception as error:
        return _failed(task, f"its worker failed ({type(error).__name__}: {error})")


def _start_worker() -> None:
    """A worker that is told to end, or whose parent is gone, takes its unfinished files with it."""

    def end(*_: object) -> None:
        files.discard_unfinished()
        os._exit(1)

    def end_with_parent() -> None:
        if parent := multiprocessing.parent_process():
            connection.wait([parent.sentinel])
            end()

    signal.signal(signal.SIGTERM, end)
    threading.Thread(target=end_with_parent, daemon=True).start()


@contextmanager
def _without_interrupts() -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _matches(source: str) -> list[str]:
    if not glob.has_magic(source) or os.path.lexists(source):
        return []
    return sorted(glob.glob(source, recursive=True))  # noqa: PTH207  (Path.glob refuses absolute patterns)


def _videos_in(folder: Path) -> list[str]:
    with suppress(OSError):  # what cannot be looked at fails when it is measured, as one of many
        if folder.is_dir():
            found = (path for path in folder.iterdir() if path.suffix.lower() in VIDEO_SUFFIXES)
            return sorted(str(path) for path in found if path.is_file() and not path.name.startswith("."))
    return []


def _candidate(source: str, depth: int) -> str:
    """The stem at depth 0, then with its suffix, then with one more folder before it, and so on."""
    path = Path(source)
    if is_camera(source):
        return f"camera{path.name.removeprefix('video')}"
    folders, with_suffix = divmod(depth, 2)
    above = path.absolute().parent.parts[1:]
    parts = [*above[max(len(above) - folders, 0) :], path.name if with_suffix else path.stem]
    return _short(re.sub(r"[^\w.-]", "_", "_".join(parts)))


def _short(name: str) -> str:
    """A name that is too long for a file system loses its end to a hash of the whole."""
    whole = name.encode(errors="surrogatepass")
    if len(whole) <= _NAME_BYTES:
        return name
    digest = hashlib.sha256(whole).hexdigest()[:8]
    return f"{whole[: _NAME_BYTES - 9].decode(errors='ignore')}_{digest}"


def _key(name: str) -> str:
    """Names with the same key would share a BIDS subject, or a file where letter case does not count."""
    return bids.label(name).lower()


def absolute(source: str) -> str:
    """What tells a source from all others: its absolute path; a camera is as it is named."""
    return source if is_camera(source) else str(Path(source).absolute())
