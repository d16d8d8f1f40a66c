"""The command line: it reads what is asked for, calls, and prints. Data go to stdout, everything else to stderr.

Exit codes: 0 something was measured and nothing failed; 1 something failed; 2 wrong usage; 3 nothing failed, but there
is no number that can be trusted; 130 interrupted.
"""

from __future__ import annotations

import errno
import importlib
import math
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vitalcam import __version__
from vitalcam.commands import options
from vitalcam.errors import ConfigError, MissingExtra, UsageError, VitalcamError
from vitalcam.settings import Settings

if TYPE_CHECKING:
    from vitalcam.batch import Outcome, Task
    from vitalcam.commands.asked import Asked
    from vitalcam.manifest import Manifest

_FILE = options.PLACE
_DEFAULT = Settings().resolved()

_ELSEWHERE = {
    **dict.fromkeys(("models", "weights"), "models"),
    "demo": "demo",
    "synth": "synth",
    "plates": "plates",
    "figure": "figures",
    **dict.fromkeys(("prepare", "train", "evaluate", "compare", "recipes", "reproduce"), "research"),
}
"""Commands that live in `vitalcam.commands`, and their files."""

_EXTRAS = {**dict.fromkeys(("torch", "safetensors", "onnx", "onnxscript"), "train"), "anny": "synth"}
"""Packages that the base install lacks, and the extras that bring them."""


class _Commands(click.Group):
    """Turns our errors into one line and an exit code; imports a command's file when it is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_ELSEWHERE])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _ELSEWHERE:
            return super().get_command(ctx, cmd_name)
        module = importlib.import_module(f"vitalcam.commands.{_ELSEWHERE[cmd_name]}")
        command: click.Command = getattr(module, cmd_name)
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            if not Path(args[0]).suffix and not Path(args[0]).exists():
                raise
            raise click.UsageError(f"{error.message} Did you mean: vitalcam measure {args[0]}", ctx) from None

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            _tell("interrupted")
            ctx.exit(130)
        except ConfigError as error:
            _tell(self._by_option(ctx, str(error)))
            ctx.exit(2)
        except VitalcamError as error:
            _tell(str(error))
            ctx.exit(2 if isinstance(error, UsageError) else 1)
        except ModuleNotFoundError as error:
            if error.name not in _EXTRAS:
                raise
            _tell(str(MissingExtra(f"{ctx.invoked_subcommand} (which needs {error.name})", _EXTRAS[error.name])))
            ctx.exit(2)
        except OSError as error:
            if error.errno == errno.EPIPE or error.filename is not None:
                raise
            _drop_stdout()
            _tell(f"stdout: cannot be written: {error.strerror or error}; choose another place")
            ctx.exit(1)

    def _by_option(self, ctx: click.Context, message: str) -> str:
        """What is said of a setting, said of the option that sets it."""
        command = self.get_command(ctx, ctx.invoked_subcommand or "")
        setters = {p.name: p.opts[0] for p in command.params if isinstance(p, click.Option)} if command else {}
        name, _, rest = message.partition(" is ")
        return f"{setters[name]} is {rest}" if name in setters else message


def _drop_stdout() -> None:
    """What is left in the buffer would fail once more when the interpreter ends."""
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, message="vitalcam %(version)s")
def main() -> None:
    """Heart rate, breathing and the pulse wave out of ordinary video of a face."""


def _faces(_: click.Context, __: click.Parameter, text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit() or int(text) < 1:
        raise click.BadParameter(f"{text!r} is not a number of faces; give 1 or more, or all")
    return int(text)


def _positive(_: click.Context, __: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value > 0):
        raise click.BadParameter(f"{value:g} is not a number above 0")
    return value


@main.command(no_args_is_help=True)
@click.argument("sources", nargs=-1, metavar="SOURCE...")
@click.option(
    "--method", default="", metavar="NAME", show_default=_DEFAULT.method or False,
    help="Measure by a classical method; see vitalcam methods.",
)  # fmt: skip
@click.option(
    "--model", default="", metavar="NAME", show_default=_DEFAULT.model or False,
    help="Measure by a network; see vitalcam models.",
)  # fmt: skip
@click.option(
    "--backend", type=click.Choice(["onnx", "openvino", "torch"]), default="onnx", show_default=True,
    help="What runs the network.",
)  # fmt: skip
@click.option("--faces", default="1", show_default=True, callback=_faces, metavar="N|all", help="Faces to follow.")
@click.option("--window", "window_s", default=10.0, show_default=True, metavar="S", help="Length of a window.")
@click.option("--resp-window", "resp_window_s", default=30.0, show_default=True, metavar="S", help="For breathing.")
@click.option("--step", "step_s", default=1.0, show_default=True, metavar="S", help="Distance of windows.")
@click.option(
    "--min-confidence", default=0.8, show_default=True, metavar="0..1", help="Give a number from this confidence on."
)
@click.option(
    "--fps", "fps_hz", type=float, callback=_positive, metavar="HZ",
    help="Frames are this many per second, whatever they say.",
)  # fmt: skip
@click.option(
    "--thermal", type=options.FILE, metavar="NAME.npy",
    help="What a thermal camera saw beside it: an array, its times in NAME_times.csv.",
)  # fmt: skip
@click.option(
    "--seconds", "camera_s", type=float, callback=_positive, metavar="S",
    help="How long to use a camera.  [default: 30]",
)  # fmt: skip
@click.option(
    "--json", is_flag=False, flag_value="-", metavar="[FILE]",
    help="JSON, one object for each input; without a FILE (.json, .jsonl) on stdout.",
)  # fmt: skip
@click.option("--csv", type=_FILE, metavar="FILE", help="Waveforms; beside it .windows.csv and .ibi.csv.")
@click.option("--bids", type=_FILE, metavar="DIR", help="Waveforms into a BIDS data set.")
@click.option("--edf", type=_FILE, metavar="FILE", help="Waveforms as EDF+ (extra edf).")
@click.option("--figure", type=_FILE, metavar="FILE", help="Everything in one picture: .png, .pdf or .svg.")
@click.option("--neurokit", is_flag=True, help="Name CSV columns as NeuroKit2 does.")
@click.option("--out", type=_FILE, metavar="DIR", help="All formats and a manifest into a folder.")
@click.option("--resume", is_flag=True, help="With --out: leave out what is done already.")
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Inputs at a time.")
@click.option("--quiet", "-q", is_flag=True, help="No progress and no notes.")
@click.pass_context
def measure(ctx: click.Context, /, **given: Any) -> None:
    """Measure videos: files, folders of images, folders of videos, patterns, cameras (0, /dev/video0).

    Nothing is written unless asked for. Exit code 0: measured; 1: an input failed; 2: wrong usage; 3: nothing failed,
    but no number can be trusted.
    """
    from vitalcam.commands.asked import Asked

    ctx.exit(_measure(Asked(**given)))


@main.command()
def methods() -> None:
    """List the methods."""
    from rich.table import Table
    from rich.text import Text

    from vitalcam import registry
    from vitalcam.report import terminal

    table = Table("method", "gives", "paper", box=None, pad_edge=False)
    for name in registry.names("methods"):
        spec = registry.find("methods", name).SPEC
        table.add_row(name, ", ".join(spec.outputs), Text(spec.paper))
    terminal.console().print(table)


def _measure(asked: Asked) -> int:
    from vitalcam import batch
    from vitalcam.commands import asked as asking
    from vitalcam.report import plain

    asked = asking.with_stray_source(asked)
    plan = asking.plan(asked)
    tasks = plan.tasks
    for note in plan.notes:
        _say(asked, note)
    if asked.out and not tasks[0].outputs.edf:
        _say(asked, 'no EDF files: for these, pip install "vitalcam[edf]"')
    outcomes: list[Outcome] = []
    try:
        for outcome in _outcomes(asked, tasks, plan.manifest):
            outcomes.append(outcome)
            _report_one(asked, outcome, len(tasks))
    except KeyboardInterrupt:
        hint = "; go on with --resume" if asked.out else ""
        _tell(f"interrupted with {len(outcomes)} of {len(tasks)} inputs done{hint}")
        return 130
    finally:
        order = {task.source: number for number, task in enumerate(tasks)}
        outcomes.sort(key=lambda outcome: order[outcome.task.source])
        if asked.json_file and outcomes:
            plain.write_documents([o.document for o in outcomes], asked.json_file, one=len(tasks) == 1)
    _say_written(asked, outcomes, len(tasks))
    _report_all(asked, outcomes)
    return batch.exit_code(outcomes)


def _outcomes(asked: Asked, tasks: list[Task], manifest: Manifest | None) -> Iterator[Outcome]:
    """Outcomes as they come: those from before first, then the new ones, each noted in the manifest."""
    from vitalcam import batch
    from vitalcam.report import progress

    before = {task: manifest.before(task) for task in tasks} if manifest and asked.resume else {}
    yield from (outcome for outcome in before.values() if outcome)
    todo = [task for task in tasks if not before.get(task)]
    if len(todo) < len(tasks):
        _say(asked, f"{len(tasks) - len(todo)} of {len(tasks)} inputs were done before")
    with (
        progress.bar(quiet=asked.quiet, files=len(todo)) as tick,
        batch.workers(min(asked.jobs, len(todo) or 1)) as pool,
    ):
        alone = tick if len(todo) == 1 else None
        for done, outcome in enumerate(batch.run(todo, executor=pool, progress=alone), 1):
            if manifest:
                manifest.add(outcome)
            if tick and not alone:
                tick(done, len(todo))
            yield outcome


def _report_one(asked: Asked, outcome: Outcome, count: int) -> None:
    from vitalcam.report import plain

    if outcome.error:
        _tell(outcome.error)
    if asked.json == "-":
        click.echo(plain.indented(outcome.document) if count == 1 else outcome.document)
    if outcome.error or outcome.done_before or count > 1:
        return
    for path in (outcome.task.outputs.edf, outcome.task.outputs.bids):
        if path and not any(Path(name).is_relative_to(path) for name in outcome.files):
            _say(asked, f"{path}: not written, there is no waveform")


def _say_written(asked: Asked, outcomes: list[Outcome], count: int) -> None:
    """Name the files; those of many inputs are in the manifest."""
    written = [name for o in outcomes if count == 1 and not o.done_before for name in o.files]
    if asked.json_file:
        written.append(str(asked.json_file))
    if written:
        _say(asked, f"wrote {', '.join(written)}")


def _report_all(asked: Asked, outcomes: list[Outcome]) -> None:
    from collections import Counter

    from vitalcam.report import terminal

    if asked.json != "-":
        if len(outcomes) == 1 and outcomes[0].summary:
            click.echo(outcomes[0].summary)
        elif not (len(outcomes) == 1 and outcomes[0].error):
            terminal.console().print(terminal.table((outcome.task.source, outcome.lines) for outcome in outcomes))
    if len(outcomes) > 1:
        counts = Counter(outcome.status for outcome in outcomes)
        _say(asked, ", ".join(f"{counts[status]} {status}" for status in ("measured", "abstained", "failed")))


def _say(asked: Asked, note: str) -> None:
    if not asked.quiet:
        _tell(note)


def _tell(message: str) -> None:
    """A line on stderr. Not by click, which would write through a progress bar rather than above it."""
    sys.stderr.write(f"vitalcam: {message}\n")
