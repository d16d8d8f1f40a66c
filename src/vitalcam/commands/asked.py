"""What `measure` was asked for: whether it can be done, and the tasks that it makes."""

from __future__ import annotations

import dataclasses
import glob
from dataclasses import dataclass
from pathlib import Path

from vitalcam import batch, files, registry, runtime
from vitalcam.errors import UsageError
from vitalcam.manifest import Manifest
from vitalcam.report import bids
from vitalcam.report.outputs import Outputs
from vitalcam.settings import Settings


@dataclass(frozen=True)
class Asked:
    """What `measure` was asked for, as click gives it."""

    sources: tuple[str, ...]
    method: str
    model: str
    backend: str
    faces: int | None
    window_s: float
    resp_window_s: float
    step_s: float
    min_confidence: float
    thermal: Path | None
    fps_hz: float | None
    camera_s: float | None
    json: str | None
    csv: Path | None
    bids: Path | None
    edf: Path | None
    figure: Path | None
    neurokit: bool
    out: Path | None
    resume: bool
    jobs: int
    quiet: bool

    @property
    def json_file(self) -> Path | None:
        """Where the JSON goes, if not to stdout."""
        return None if self.json in (None, "-") else Path(str(self.json))


@dataclass(frozen=True)
class Plan:
    """What will be done.

    Attributes:
        tasks: one for each input.
        manifest: of the output folder, if there is one.
        notes: what a user should know of the inputs, one sentence each.
    """

    tasks: list[batch.Task]
    manifest: Manifest | None
    notes: list[str]


def plan(asked: Asked) -> Plan:
    """What `measure` shall do; nothing is measured or written yet but the empty manifest of a new folder.

    Raises:
        UsageError: it cannot be done as asked.
        WeightsError: the network's file is damaged.
        OutputError: a place cannot be written, or holds what is not ours.
    """
    settings = _settings(asked)
    inputs, notes = batch.expand(asked.sources)
    _refuse_odd(asked, inputs)
    _check_heat(asked, settings, inputs)
    if asked.out:
        files.probe(asked.out, folder=True)
    if asked.json_file:
        files.probe(asked.json_file)
    manifest = Manifest(asked.out) if asked.out else None
    tasks = _tasks(asked, settings, inputs, manifest)
    _refuse_clashes(asked, tasks)
    if manifest:
        manifest.begin(tasks, resume=asked.resume)
    return Plan(tasks, manifest, notes)


def with_stray_source(asked: Asked) -> Asked:
    """``--json clip.mp4``: the word after --json is an input unless it can be a JSON file."""
    word = "-" if asked.json is None else asked.json
    if not word.strip():
        raise UsageError("--json: the name is empty; give one, or leave it out for stdout")
    if word != "-" and Path(word).suffix.lower() not in (".json", ".jsonl"):
        if not (Path(word).exists() or glob.has_magic(word) or batch.is_camera(word)):
            raise UsageError(f"--json {word}: is no input, and a file for JSON must end in .json or .jsonl")
        asked = dataclasses.replace(asked, json="-", sources=(word, *asked.sources))
    if not asked.sources:
        raise UsageError("no input; give a video, a folder or a camera, see vitalcam measure --help")
    return asked


def _settings(asked: Asked) -> Settings:
    if asked.method and asked.model:
        raise UsageError(f"--method {asked.method} and --model {asked.model}: one of them measures; give one")
    names = ("method", "model", "backend", "faces", "window_s", "resp_window_s", "step_s", "min_confidence")
    settings = Settings(**{name: getattr(asked, name) for name in names}).resolved(thermal=bool(asked.thermal))
    if settings.model:
        runtime.check(settings.model, settings.backend)
        return settings
    registry.find("methods", settings.method)
    if settings.backend != "onnx":
        raise UsageError(f"--backend {settings.backend}: runs networks, {settings.method} is none; give one by --model")
    return settings


def _refuse_odd(asked: Asked, inputs: list[str]) -> None:
    """Raise UsageError for what does not go together."""
    if asked.resume and not asked.out:
        raise UsageError("--resume: needs the --out DIR of the run that it goes on with")
    if asked.neurokit and not (asked.csv or asked.out):
        raise UsageError("--neurokit: names columns of CSV; give --csv FILE or --out DIR too")
    if asked.camera_s and not any(map(batch.is_camera, inputs)):
        raise UsageError(f"--seconds {asked.camera_s:g}: is for cameras, and no input is one; files are measured whole")
    single = {"--csv": asked.csv, "--edf": asked.edf, "--figure": asked.figure}
    for option, path in single.items():
        if path and len(inputs) > 1:
            raise UsageError(f"{option} {path}: is one file, but there are {len(inputs)} inputs; use --out DIR")
    written = [path for path in (*single.values(), asked.json_file) if path and path.exists()]
    for path in written:
        if any(Path(name).exists() and path.samefile(name) for name in inputs):
            raise UsageError(f"{path}: is an input; give another name for the output")


def _check_heat(asked: Asked, settings: Settings, inputs: list[str]) -> None:
    """Raise UsageError unless a network that sees heat and a thermal video come together, for one input."""
    if bool(asked.thermal) != (bool(settings.model) and runtime.card_of(settings.model).spec.sees != "rgb"):
        if asked.thermal:
            raise UsageError(
                f"--thermal {asked.thermal}: {settings.model or settings.method} does not look at heat; "
                "give a network that does by --model, see vitalcam models"
            )
        raise UsageError(f"--model {settings.model}: sees heat; give the thermal video by --thermal FILE")
    if asked.thermal and (len(inputs) > 1 or batch.is_camera(inputs[0])):
        raise UsageError(f"--thermal {asked.thermal}: lies beside one video; give that one alone")


def _tasks(asked: Asked, settings: Settings, inputs: list[str], manifest: Manifest | None) -> list[batch.Task]:
    names = batch.names(inputs, manifest.names if manifest else None)
    return [
        batch.Task(
            source=source,
            name=names[source],
            settings=settings,
            outputs=_outputs(asked, names[source]),
            fps_hz=asked.fps_hz,
            thermal=asked.thermal,
            camera_s=asked.camera_s or batch.Task.camera_s,
            document=asked.json is not None,
        )
        for source in inputs
    ]


def _refuse_clashes(asked: Asked, tasks: list[batch.Task]) -> None:
    """Find out before the work whether everything can be written and nothing twice."""
    tasks[0].outputs.check()  # of the others only the names differ
    alone = (asked.json_file, asked.out and Manifest.path_in(asked.out))
    seen = set()
    for path in (*filter(None, alone), *(path for task in tasks for path in task.outputs.paths)):
        if path.resolve() in seen:
            raise UsageError(f"{path}: would be written twice; give each output and each input a name of its own")
        seen.add(path.resolve())
    if folder := tasks[0].outputs.bids:
        bids.check(folder, {task.name: task.source for task in tasks if not batch.is_camera(task.source)})


def _outputs(asked: Asked, name: str) -> Outputs:
    named = {"csv": asked.csv, "bids": asked.bids, "edf": asked.edf, "figure": asked.figure}
    base = Outputs.everything(asked.out, name) if asked.out else Outputs()
    return dataclasses.replace(base, **{k: v for k, v in named.items() if v}, neurokit=asked.neurokit)
