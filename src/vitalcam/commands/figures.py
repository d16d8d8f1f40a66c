"""`vitalcam figure`: the papers' figures from evaluations and recordings."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitalcam.commands import options
from vitalcam.commands.research import runner
from vitalcam.errors import UsageError

if TYPE_CHECKING:
    from vitalcam.person import Runner


def _drawable(_ctx: click.Context, _parameter: click.Parameter, path: Path) -> Path:
    """Find out before the work whether it can be drawn."""
    from vitalcam.report import look

    look.check_format(path)
    return path


_OUT = click.option(
    "--out", type=options.PLACE, required=True, metavar="FILE", callback=_drawable,
    help=".png, .svg or .pdf; a CSV goes beside it.",
)  # fmt: skip
_QUANTITY = click.option(
    "--quantity", type=click.Choice(["heart_rate", "resp_rate"]), default="heart_rate", show_default=True
)


@click.group()
def figure() -> None:
    """Draw a figure as the papers have them; the numbers that it shows go into a CSV beside it."""


@figure.command()
@click.argument("recording", type=options.FOLDER)
@click.option("--method", multiple=True, help="A classical method; may be repeated.")
@click.option("--model", multiple=True, help="A network of vitalcam models; may be repeated.")
@click.option("--weights", multiple=True, type=options.FILE, metavar="FILE", help="What vitalcam train made.")
@click.option("--wave", type=click.Choice(["bvp", "resp"]), default="bvp", show_default=True)
@click.option(
    "--from", "from_s", type=float, metavar="S", help="Start of what is shown; 10 s in the middle by default."
)
@click.option("--to", "to_s", type=float, metavar="S", help="Its end.")
@_OUT
def waveforms(
    recording: Path, method: tuple[str, ...], model: tuple[str, ...], weights: tuple[Path, ...], wave: str,
    from_s: float | None, to_s: float | None, out: Path,
) -> None:  # fmt: skip
    """True and estimated waves of RECORDING, a folder that vitalcam synth wrote."""
    from vitalcam.figures import waveforms as drawing
    from vitalcam.synth.recordings import read

    if (from_s is None) != (to_s is None):
        raise UsageError("--from and --to go together; give both, or neither for 10 s in the middle")
    runners: dict[str, Runner] = {name: runner(method=name) for name in method}
    runners |= {name: runner(model=name) for name in model}
    runners |= {str(path): runner(weights=path) for path in weights}
    stretch = (from_s, to_s) if from_s is not None and to_s is not None else None
    drawing.draw(read(recording), runners or {"pos": runner(method="pos")}, out, kind=wave, stretch_s=stretch)
    click.echo(out)


@figure.command()
@click.argument("recording", type=options.FOLDER)
@click.option(
    "--weights", multiple=True, type=options.FILE, required=True, metavar="FILE", help="FactorizePhys or MMRPhys."
)
@click.option("--wave", type=click.Choice(["bvp", "resp"]), default="bvp", show_default=True)
@_OUT
def attention(recording: Path, weights: tuple[Path, ...], wave: str, out: Path) -> None:
    """Where the true wave of RECORDING is in the embeddings of networks, attention off and on. Needs [train]."""
    from vitalcam.figures import attention as drawing
    from vitalcam.synth.recordings import read

    drawing.draw(read(recording), weights, out, kind=wave)
    click.echo(out)


@figure.command()
@click.argument("scores", type=options.FOLDER, nargs=-1, required=True)
@click.option("--by", required=True, metavar="A,B", help="Attributes, such as skin_type,scenario.")
@_QUANTITY
@_OUT
def factors(scores: tuple[Path, ...], by: str, quantity: str, out: Path) -> None:
    """Error against each factor of person and scene; SCORES are folders that vitalcam evaluate --out made."""
    from vitalcam.evaluate import read
    from vitalcam.figures import factors as drawing

    drawing.draw([read(folder) for folder in scores], [name for name in by.split(",") if name], out, quantity)
    click.echo(out)


@figure.command()
@click.argument("scores", type=options.FOLDER, nargs=-1, required=True)
@click.option("--threads", type=click.IntRange(1), default=1, show_default=True, help="That work on one clip.")
@_QUANTITY
@_OUT
def latency(scores: tuple[Path, ...], threads: int, quantity: str, out: Path) -> None:
    """Error against computing time, parameters as area; SCORES are folders that vitalcam evaluate --out made.

    The times are measured now, on this machine.
    """
    from vitalcam.evaluate import read
    from vitalcam.figures import latency as drawing

    runners = [_evaluated(folder, threads) for folder in scores]
    drawing.draw([read(folder) for folder in scores], runners, out, threads=threads, quantity=quantity)
    click.echo(out)


def _evaluated(folder: Path, threads: int) -> Runner:
    """What was evaluated into a folder."""
    from vitalcam.score_store import Kept

    door = Kept(folder / "rows").about().get("door") or {}
    if not door:
        raise UsageError(f"{folder}: does not say what was evaluated; evaluate again into another folder")
    return runner(**door, threads=threads)
