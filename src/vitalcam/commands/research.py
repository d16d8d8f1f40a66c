"""`prepare`, `train`, `evaluate`, `compare`, `recipes`, `reproduce`: the research bench on the command line."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vitalcam.commands import options
from vitalcam.errors import DataError, DatasetError, UnknownName, UsageError

if TYPE_CHECKING:
    from vitalcam.data import Clips
    from vitalcam.evaluate import Evaluation
    from vitalcam.person import Runner
    from vitalcam.recipes import Recipe
    from vitalcam.reproduce import Outcome, Source
    from vitalcam.train import Progress
    from vitalcam.training import Batches, SyntheticBatches, Training
    from vitalcam.types import ModelSpec, Recording

_TAKES = 4  # of each plate that chooses the best epoch


def recordings(folder: Path, shard: slice = options.EVERYTHING) -> Iterator[Recording]:
    """Recordings below a folder and its symbolic links, as `vitalcam synth` writes them, sorted by path.

    Args:
        folder: where to look.
        shard: which of them, in the order of their paths.

    Raises:
        DatasetError: there are none.
    """
    from vitalcam.synth.recordings import read

    found = folders(folder)
    if not found:
        raise DatasetError(f"{folder}: holds no recordings (folders with a scene.json); make some with vitalcam synth")
    return (read(path) for path in found[shard])


def folders(folder: Path) -> list[Path]:
    """The recordings' own folders, sorted; of several links to one it is taken once."""
    found: dict[str, Path] = {}
    seen = set()
    for path, inner, files in os.walk(folder, followlinks=True):
        real = os.path.realpath(path)
        if real in seen:  # links may lead round and round
            inner.clear()
        elif "scene.json" in files:
            found[real] = Path(path)
        seen.add(real)
        inner.sort()
    return sorted(found.values())


@click.command(cls=options.Resumable)
@click.argument("folder", type=options.FOLDER)
@click.option("--out", type=options.PLACE, required=True, metavar="DIR", help="Where prepared recordings go.")
@click.option("--size", "size_px", type=int, default=72, show_default=True, metavar="PX", help="Side of the crops.")
@click.option("--fps", "fs_hz", type=float, default=30.0, show_default=True, metavar="HZ")
@click.pass_context
def prepare(ctx: click.Context, folder: Path, out: Path, size_px: int, fs_hz: float) -> None:
    """Cut the faces out of the recordings in FOLDER, ready for training; what is done is not done again."""
    import logging

    from vitalcam import data

    logging.basicConfig(format="vitalcam: %(message)s")  # of a recording that cannot be prepared
    store, failed = data.prepare(recordings(folder), out, data.Preparation(size_px, fs_hz))
    tried, refused = len(store.manifest), len(store.refused)
    click.echo(f"{store.folder}: {tried - refused} of {tried} recordings are ready")
    ctx.exit(1 if failed else 0)


@click.command(cls=options.Resumable)
@click.argument("model")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option(
    "--data", "prepared", type=options.FOLDER, metavar="DIR", help="What prepare made; else synthetic people."
)
@click.option(
    "--plates", type=options.FOLDER, metavar="DIR", help="What plates made: synthetic people without waiting."
)
@click.option(
    "--validation", type=options.FOLDER, metavar="DIR", help="Prepared recordings that choose the best epoch."
)
@click.option("--steps", type=click.IntRange(1), default=100, show_default=True, help="Of synthetic people, per epoch.")
@click.option("--out", type=options.PLACE, required=True, metavar="DIR", help="Weights, log and checkpoints.")
@click.option("--device", default="", help="cpu or cuda; a GPU where there is one.")
@click.option("--tensorboard", is_flag=True, help="A log for TensorBoard too, which must be installed.")
def train(
    model: str, settings: tuple[str, ...], prepared: Path | None, plates: Path | None, validation: Path | None,
    steps: int, out: Path, device: str, tensorboard: bool,
) -> None:  # fmt: skip
    """Train MODEL, or go on where a training in the same --out was interrupted. Needs [train].

    KEY=VALUE sets what `vitalcam.training.Training` lists: epochs=10 lr=0.001 loss=neg_pearson variant=rgb seed=100 …
    """
    from vitalcam import config, registry

    model = registry.check("models", model)  # what needs no torch first: a typo is told from a missing extra
    from vitalcam.train import train as run
    from vitalcam.training import ClipBatches, SyntheticBatches, Training

    _keep_memory(device)
    if prepared and plates:
        raise UsageError("give one of --data and --plates")
    training = config.build(Training, config.with_overrides({"model": model}, settings))
    batches: Batches
    held_out: Batches | None = None
    about: dict[str, str] = {}
    if prepared:
        batches = ClipBatches(_clips(prepared, training.spec), training.batch, seed=training.seed)
    elif plates:
        batches, held_out, about = _takes(training, plates, steps, device or "cpu")
    else:
        batches = SyntheticBatches(training, steps=steps, device=device or "cpu")
    if validation:
        held_out = ClipBatches(_clips(validation, training.spec), training.batch, seed=None)
        about.pop("validation", None)  # plates of that name are not used
    path = run(
        training, batches, out, validation=held_out, about=about, device=device, progress=_told, tensorboard=tensorboard
    )
    click.echo(f"{path}: trained; evaluate it with: vitalcam evaluate FOLDER --weights {path}")


def _keep_memory(device: str) -> None:
    """Refuse a device that there is not; on a CPU, training makes and drops the same large arrays at every step."""
    from vitalcam import allocator
    from vitalcam.training import device_named

    if device_named(device) == "cpu":
        allocator.keep_memory()


def _takes(
    training: Training, folder: Path, steps: int, device: str
) -> tuple[SyntheticBatches, SyntheticBatches | None, dict[str, str]]:
    """Batches of takes for training and, where there are plates for it, for validation: always the same few of each."""
    from vitalcam.synth.plates import Bank
    from vitalcam.training import SyntheticBatches

    bank = Bank(folder / "training")
    taught = SyntheticBatches(training, steps=steps, plates=bank, device=device)
    if not (folder / "validation").exists():
        return taught, None, {"plates": bank.digest}
    kept = Bank(folder / "validation")
    few = max(_TAKES * len(kept) // training.batch, 1)
    held_out = SyntheticBatches(training, steps=few, plates=kept, seed=0, device=device)
    return taught, held_out, {"plates": bank.digest, "validation": kept.digest}


def _clips(folder: Path, spec: ModelSpec) -> Clips:
    from vitalcam.data import Clips, Store

    if not any(folder.glob("*.json")):
        raise DatasetError(f"{folder}: holds no prepared recordings; make some with vitalcam prepare")
    return Clips(Store(folder), spec)


def _told(now: Progress) -> None:
    click.echo(
        f"epoch {now.epoch} of {now.epochs}, step {now.step} of {now.steps}: loss {now.loss:.4f}, "
        f"{now.steps_per_s:.2f} steps/s, {now.left_s:.0f} s left",
        err=True,
    )


@click.command(cls=options.Resumable)
@click.argument("folder", type=options.FOLDER)
@click.option("--method", default="", help="A classical method.")
@click.option("--model", default="", help="A network of vitalcam models.")
@click.option("--weights", type=options.FILE, metavar="FILE", help="What vitalcam train made.")
@click.option("--pipe", is_flag=True, help="The whole pipe with its refusals and confidences.")
@click.option("--profile", default="vitalcam", show_default=True, help="Whose evaluation.")
@click.option("--rate", type=click.Choice(["fft", "peak"]), default="fft", show_default=True)
@click.option("--window", "window_s", type=float, default=0.0, show_default=True, metavar="S", help="0 for the whole.")
@click.option(
    "--step", "step_s", type=float, default=0.0, show_default=True, metavar="S", help="0 for one after the other."
)
@click.option("--by", default="", metavar="A,B", help="Attributes whose values get scores of their own.")
@click.option(
    "--shard", default="1/1", callback=options.shard, metavar="I/N", help="Every N-th recording from the I-th on."
)
@click.option("--out", type=options.PLACE, metavar="DIR", help="Rows, scores, figures; an interrupted call goes on.")
@click.pass_context
def evaluate(
    ctx: click.Context, /, folder: Path, profile: str, rate: Any, window_s: float, step_s: float, by: str,
    shard: slice, out: Path | None, **what: Any,
) -> None:  # fmt: skip
    """Score a method, a network or the whole pipe on the recordings in FOLDER.

    Processes and machines that share --out can each take a --shard; once all are done, the same call without --shard
    makes the tables.
    """
    from vitalcam import score_tables
    from vitalcam.evaluate import Protocol
    from vitalcam.evaluate import evaluate as run

    protocol = Protocol(profile=profile, method=rate, window_s=window_s, step_s=step_s)
    attributes = [name for name in by.split(",") if name]
    given: Iterable[Recording] = recordings(folder, shard)
    if attributes and shard == options.EVERYTHING:
        given = _with_attributes(given, attributes)
    rows = out / "rows" if out else None
    door = {key: str(what[key]) for key in ("method", "model", "weights") if what[key]} or {"method": "pos"}
    found = run(given, _evaluated(**what), protocol, folder=rows, door=door)
    if shard == options.EVERYTHING:
        scored = _write(found, out, attributes) if out else score_tables.document(found, attributes)
        click.echo("\n".join(score_tables.printed(found, scored, attributes)))
    else:
        click.echo("\n".join(score_tables.completeness(found)))
    ctx.exit(1 if found.failed else 0)


def _with_attributes(given: Iterable[Recording], names: list[str]) -> list[Recording]:
    """The recordings; refuses before the work an attribute that none of them has."""
    from vitalcam import factors, scores

    found = list(given)
    for name in names:
        factors.resolve([scores.plain_attributes(recording.attributes) for recording in found], name)
    return found


def _write(found: Evaluation, out: Path, by: list[str]) -> dict[str, Any]:
    from vitalcam import score_tables
    from vitalcam.figures import agreement

    scored = score_tables.write(found, out, by)
    drawn = [path for quantity in found.quantities for path in agreement.write(found, quantity, out)]
    click.echo(f"vitalcam: wrote {out / 'scores.md'}, beside it rows.csv, scores.json, {len(drawn)} figures", err=True)
    return scored


def _evaluated(method: str, model: str, weights: Path | None, pipe: bool) -> Any:
    """A runner, or settings for the whole pipe."""
    from vitalcam.settings import Settings

    if sum(map(bool, (method, model, weights))) > 1 or (pipe and weights):
        raise UsageError("give one of --method, --model and --weights; --pipe goes with the first two")
    if pipe:
        return Settings(method=method, model=model)
    return runner(method=method, model=model, weights=weights)


def runner(*, method: str = "", model: str = "", weights: Path | str | None = None, threads: int = 0) -> Runner:
    """A method, a network by its name or one that was trained; POS where nothing is said.

    Args:
        method, model, weights: at most one of them.
        threads: for a network; 0 for as many as there are cores.

    Raises:
        UnknownName: there is no such method or model.
        WeightsError: the weights cannot be used.
    """
    from vitalcam.pipeline import Classical
    from vitalcam.runtime import Model

    if weights:
        import torch

        from vitalcam.training import TrainedModel

        if threads:
            torch.set_num_threads(threads)
        return TrainedModel(Path(weights))
    return Model.load(model, threads=threads) if model else Classical(method or "pos")


@click.command()
@click.argument("first", type=options.FOLDER, nargs=-1, required=True)
@click.option(
    "--against", "second", type=options.FOLDER, multiple=True, required=True, metavar="DIR", help="The other model."
)
@click.option("--out", type=options.PLACE, metavar="FILE", help="The same as JSON.")
def compare(first: tuple[Path, ...], second: tuple[Path, ...], out: Path | None) -> None:
    """Whether the model of FIRST errs less than that of --against; each is a folder that evaluate --out made.

    Several folders on a side are seeds of one model: give FIRST more than once, and --against too.
    """
    import json

    from vitalcam import files, score_tables
    from vitalcam.evaluate import read

    lines = score_tables.comparison([read(folder) for folder in first], [read(folder) for folder in second])
    for line in lines:
        click.echo("\n".join(score_tables.compared(line)))
    if out:
        files.write_text(out, json.dumps(lines, indent=1) + "\n")


@click.command()
def recipes() -> None:
    """List the tables of the papers that reproduce runs."""
    from vitalcam import recipes as all_recipes

    for name in all_recipes.names():
        recipe = all_recipes.load(name)
        click.echo(f"{name:24} {len(recipe.cells()):3} cells  {recipe.title}")


def _cell_told(outcome: Outcome) -> None:
    click.echo(f"{outcome.cell.keys[-1]}: {outcome.missing or 'done'}", err=True)


@click.command(cls=options.Resumable)
@click.argument("name")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--only", multiple=True, metavar="AXIS=NAME", help="Some cells: model, train, test, split or seed.")
@click.option("--score", "wanted", multiple=True, help="Show these, such as rmse or resp_mae; the files have all.")
@click.option("--plates", type=options.FOLDER, metavar="DIR", help="For ladder_…: what plates made, to train on.")
@click.option("--data", "ladder", type=options.FOLDER, metavar="DIR", help="For ladder_…: ladder-1, to test on.")
@click.option("--people", type=click.IntRange(1), default=16, show_default=True, help="In each stand-in.")
@click.option("--seconds", type=float, default=20.0, show_default=True, help="Of each of their recordings.")
@click.option(
    "--out", type=options.PLACE, required=True, metavar="DIR", help="Stand-ins, trainings, scores and tables."
)
@click.option("--device", default="", help="cpu or cuda; a GPU where there is one.")
@click.option("--workers", default=0, show_default=True, help="Processes that read clips ahead.")
@click.option("--done", is_flag=True, help="Run nothing: the table of what is done.")
def reproduce(
    name: str, settings: tuple[str, ...], only: tuple[str, ...], wanted: tuple[str, ...], plates: Path | None,
    ladder: Path | None, people: int, seconds: float, out: Path, device: str, workers: int,
    done: bool,
) -> None:  # fmt: skip
    """Run the recipe NAME on synthetic stand-ins of the papers' data sets: ours, the paper's, the difference.

    Recipes called ladder_… train on takes of --plates and are tested on the other scene factors of --data.

    What is done is kept in --out and not done again; the recipes may share one. The table goes to NAME.md and NAME.csv
    there, with all scores. KEY=VALUE changes the recipe: training.epochs=1 matrix.seed=[1,2]. Needs [train].
    """
    from vitalcam import recipes as all_recipes

    for score in wanted:
        if score not in all_recipes.SCORES:
            raise UnknownName("score", score, all_recipes.SCORES)
    recipe = all_recipes.load(name, settings)
    from vitalcam import paper_tables
    from vitalcam import reproduce as bench

    _keep_memory(device)
    source = _source(recipe, plates, ladder, out, people, seconds)
    how: dict[str, Any] = {"only": only, "device": device, "workers": workers, "run": not done}
    outcomes = bench.reproduce(recipe, source, out, **how, told=None if done else _cell_told)
    click.echo(paper_tables.markdown(recipe, source, outcomes, wanted or paper_tables.HEADLINES))
    for path in paper_tables.write(recipe, source, outcomes, out, Path(name).stem):
        click.echo(f"written: {path}", err=True)
    if not done and all(outcome.missing for outcome in outcomes):
        raise DataError(f"{name}: no cell has numbers; the list under the table says why")


def _source(recipe: Recipe, plates: Path | None, ladder: Path | None, out: Path, people: int, seconds: float) -> Source:
    """Both halves of the ladder, or stand-ins for the papers' data sets."""
    from vitalcam.halves import TAKES, Halves
    from vitalcam.standins import StandIns

    if TAKES not in recipe.matrix.train:
        if plates or ladder:
            raise UsageError("--plates and --data are for recipes of the ladder; leave them out")
        return StandIns(out / "standins", people=people, duration_s=seconds)
    if not (plates and ladder):
        raise UsageError("recipes of the ladder need both --plates and --data")
    return Halves(plates, ladder, out / "halves")
