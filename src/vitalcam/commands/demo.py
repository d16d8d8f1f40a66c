"""`vitalcam demo`: a synthetic person of known pulse is measured as any video is."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitalcam.commands import options

if TYPE_CHECKING:
    from vitalcam.batch import Progress
    from vitalcam.types import Result, Video


@click.command()
@click.option(
    "--out",
    type=options.PLACE,
    default=Path(),
    show_default="this folder",
    metavar="DIR",
    help="Where the figure goes.",
)
@click.option("--heart-rate", type=click.FloatRange(45, 180), metavar="BPM", help="Paint a face of this rate instead.")
@click.option("--seconds", type=click.FloatRange(10, 300), metavar="S", help="Paint a face for so long instead.")
@click.pass_context
def demo(ctx: click.Context, out: Path, heart_rate: float | None, seconds: float | None) -> None:
    """Measure a synthetic person, say what is true of it, draw the figure; no video is needed.

    The person is rendered and comes with the package. With --heart-rate or --seconds a simple face is painted instead.
    """
    from vitalcam import files, report
    from vitalcam.report import progress, terminal

    path = out / "vitalcam-demo.png"
    files.probe(path)
    rendered = heart_rate is None and seconds is None
    video, known = _rendered() if rendered else _painted(heart_rate or 72.0, seconds or 30.0)
    with progress.bar(quiet=False) as tick:
        result = _measured(video, tick)
    report.write_figure(result, path)
    click.echo(report.summary(result))
    click.echo(known)
    click.echo(f"vitalcam: wrote {path}", err=True)
    ctx.exit(0 if terminal.measured(result) else 3)


def _measured(video: Video, tick: Progress | None) -> Result:
    from vitalcam.pipeline import Stream

    return Stream(video, progress=(lambda t: tick(t, video.duration_s)) if tick else None).result


def _rendered() -> tuple[Video, str]:
    from vitalcam import example
    from vitalcam.video.read import open_video

    truth = example.truth()
    video = dataclasses.replace(open_video(example.CLIP), source="demo: a rendered face, synthetic, no real person")
    return video, _truth("rendered", truth.heart_rate_bpm, truth.resp_rate_bpm)


def _painted(heart_rate_bpm: float, seconds: float) -> tuple[Video, str]:
    import numpy as np

    from vitalcam.synth.painted import PersonOnScreen, Scene, render
    from vitalcam.video.read import open_video

    times_s = np.arange(round(seconds * 30)) / 30
    breaths_bpm = 15.0
    person = PersonOnScreen(heart_rate_bpm, breaths_bpm)
    video = open_video(zip(times_s.tolist(), render(Scene(people=(person,)), times_s), strict=True))
    video = dataclasses.replace(video, source="demo: a painted face, not a person", duration_s=seconds)
    return video, _truth("painted", heart_rate_bpm, breaths_bpm)


def _truth(how: str, heart_rate_bpm: float, resp_rate_bpm: float) -> str:
    return f"  {'truth':<12} {heart_rate_bpm:.1f} beats/min, {resp_rate_bpm:.1f} breaths/min, as {how}"
