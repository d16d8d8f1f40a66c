"""`vitalcam models` and `vitalcam weights`: which networks there are, and how to add one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vitalcam.commands import options

if TYPE_CHECKING:
    from vitalcam.types import ModelSpec


@click.command()
@click.argument("name", required=False)
def models(name: str | None) -> None:
    """List the networks that measure can use, or show the card of one."""
    from vitalcam import runtime
    from vitalcam.report import card
    from vitalcam.report.terminal import console

    if name is not None:
        click.echo(card.markdown(runtime.card_of(name)), nl=False)
        return
    cards = runtime.available()
    console().print(_table(cards) if cards else _NONE)


_NONE = "there are no models yet; add one with: vitalcam weights import FILE"


def _table(specs: list[ModelSpec]) -> Any:
    from rich.table import Table
    from rich.text import Text

    from vitalcam.report import card

    table = Table("model", "parameters", "input", "gives", "licence", "trained on", box=None, pad_edge=False)
    for spec in specs:
        known = card.facts(spec)
        row = (spec.name, *(known[key] for key in ("parameters", "input", "gives", "licence", "trained on")))
        table.add_row(*(Text(cell) for cell in row))
    return table


@click.group()
def weights() -> None:
    """Add networks that others trained."""


@weights.command("import")
@click.argument("file", type=options.FILE)
@click.option("--name", default="", help="Name of the model; the file's own by default.")
@click.option("--attention", is_flag=True, help="Attend by factorization when measuring; the papers do not.")
@click.option("--fps", "fs_hz", type=float, default=0.0, metavar="HZ", help="Frame rate that it was trained at.")
@click.option("--model", default="", help="Which network, where several have the same tensors.")
@click.option("--variant", default="", help="Which of its variants.")
@click.option("--size", "size_px", type=int, default=0, metavar="PX", help="Side of the crop that it takes.")
@click.option("--transform", default="", help="What its frames were put through.")
@click.option("--first-pad", type=click.IntRange(0, 1), help="Padding of an old MMRPhys' first convolution.")
@click.option("--licence", default="", help="Licence of the weights.")
@click.option("--data", "training_data", default="", help="What it was trained on.")
def import_(file: Path, name: str, attention: bool, first_pad: int | None, **said: Any) -> None:
    """Make a checkpoint (.pth, .pt, .ckpt, .safetensors) a model for: vitalcam measure --model NAME. Needs [train]."""
    import logging

    from vitalcam.checkpoints import import_checkpoint

    logging.basicConfig(format="vitalcam: %(message)s")
    if first_pad is not None:
        said["options"] = {"first_pad": first_pad}
    card = import_checkpoint(file, name=name, attention=attention, **said)
    click.echo(f"{card.name}: {card.parameters:,} parameters; use it with: vitalcam measure VIDEO --model {card.name}")
