"""`vitalcam plates`: film to train on, rendered once and shot many times."""

from __future__ import annotations

from pathlib import Path

import click

from vitalcam.commands import options


@click.command(cls=options.Resumable)
@click.option("--out", type=options.PLACE, required=True, metavar="DIR", help="Where the plates go.")
@click.option("--count", "-n", type=click.IntRange(1), default=400, show_default=True, help="Plates that teach.")
@click.option("--validation", type=click.IntRange(0), default=40, show_default=True, help="That choose the best epoch.")
@click.option("--size", "size_px", type=click.IntRange(36), default=36, show_default=True, metavar="PX")
@click.option("--seconds", type=click.FloatRange(1, 600), default=12.0, show_default=True, metavar="S")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True)
@click.option("--thermal", is_flag=True, help="A thermal camera films too.")
@click.option("--scenario", multiple=True, metavar="NAME", help="By default all of the ladder but the thermal.")
def plates(
    out: Path, count: int, validation: int, size_px: int, seconds: float, seed: int, thermal: bool,
    scenario: tuple[str, ...],
) -> None:  # fmt: skip
    """Render plates for `vitalcam train --plates DIR`: synthetic people with the pulse left open. Needs [train].

    Every training clip is another take of one: another heart, speed, crop and camera. What is there is left alone, so
    an interrupted call can be repeated, and a larger --count adds more.
    """
    from vitalcam import files
    from vitalcam.report import progress
    from vitalcam.synth.plates import Recipe, fill

    files.probe(out, folder=True)
    recipe = Recipe(size_px, seconds, scenario=scenario or Recipe.scenario, seed=seed, thermal=thermal)
    made = fill(out, recipe, count, validation=validation)
    for card in progress.counted(made, "plates", count + validation):
        click.echo(card)
