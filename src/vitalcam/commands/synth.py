"""`vitalcam synth`: synthetic people on disk, with their truth."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from vitalcam.commands import options

if TYPE_CHECKING:
    from vitalcam.synth.scene import Scene


@click.command(cls=options.Resumable)
@click.argument("scenario", required=False)
@click.option("--out", type=options.PLACE, metavar="DIR", help="Where the recordings go.")
@click.option("--count", "-n", type=click.IntRange(1), default=1, show_default=True, help="How many people.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Of the first; the others follow.")
@click.option("--seconds", type=click.FloatRange(1, 600), default=20.0, show_default=True, metavar="S")
@click.option("--null-twins", is_flag=True, help="Write beside each the same clip without a pulse.")
@click.option(
    "--shard",
    default="1/1",
    callback=options.shard,
    metavar="I/N",
    help="Write every Nth recording only, from the Ith on.",
)
@click.option("--split", type=click.Choice(["validation", "test"]), help="Of ladder-1 the half that is for this.")
def synth(
    scenario: str | None, out: Path | None, count: int, seed: int, seconds: float, null_twins: bool, shard: slice,
    split: str | None,
) -> None:  # fmt: skip
    """Write synthetic recordings of a SCENARIO, or of ladder-1, the fixed benchmark. Needs [synth].

    Without a SCENARIO, list them. What is complete is left as it is, so an interrupted call can be repeated, and
    several calls with different shards can share the work.
    """
    from vitalcam.synth import scenarios

    if scenario is None:
        click.echo("\n".join(["ladder-1", *scenarios.SCENARIOS]))
        return
    if out is None:
        raise click.UsageError("give --out DIR, the folder that the recordings go to")
    if split and scenario != "ladder-1":
        raise click.UsageError("--split is of ladder-1")
    if scenario == "ladder-1":
        scenes = [scene for scene in scenarios.ladder() if split in (None, scenarios.split(scene))]
    else:
        scenes = scenarios.several(scenario, count, seed, duration_s=seconds, null_twins=null_twins)
    _write(scenes[shard], out)


def _write(scenes: list[Scene], out: Path) -> None:
    from vitalcam import files
    from vitalcam.report import progress
    from vitalcam.synth import recordings

    files.probe(out / "scene.json")
    for scene in progress.counted(scenes, "recordings", len(scenes)):
        click.echo(recordings.write_scene(out / recordings.name(scene), scene))
