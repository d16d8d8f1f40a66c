"""Make a training's weights a model of the package, with its card; put results into the card; write the pages.

    python tools/ship_weights.py ship RUN/best.safetensors NAME --machine "1 H200" --data "..." --limit "..."
    python tools/ship_weights.py confidence NAME -2.79 0.29 ...
    python tools/ship_weights.py results NAME scores.json --title "..." --command "vitalcam evaluate ..."
    python tools/ship_weights.py pages

``ship`` writes NAME.onnx, checked against torch on clips of two lengths, and NAME.json into the package: what the
training's metadata say (recipe, data, seed, digest, result), and the hours that its metrics.jsonl adds up to.
``confidence`` puts weights into the card that tools/fit_confidence.py fitted on the model's own windows.
``results`` replaces a table of a card by what `vitalcam evaluate --out` wrote. ``pages`` writes docs/models/NAME.md for
every model of the package: what `vitalcam models NAME` prints.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import shlex
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vitalcam.config import to_dict
from vitalcam.errors import UsageError, VitalcamError
from vitalcam.export import export
from vitalcam.report import card
from vitalcam.runtime import card_of, plain_file
from vitalcam.signal import quality
from vitalcam.training import Training, about, trained

ROOT = Path(__file__).resolve().parents[1]
WEIGHTS = ROOT / "src" / "vitalcam" / "weights"
PAGES = ROOT / "docs" / "models"
MAX_BYTES = 3 << 20
"""What the networks of the package may weigh together."""


def ship(weights: Path, name: str, said: dict[str, Any], folder: Path) -> Path:
    """Write NAME.onnx and NAME.json.

    Args:
        weights: what `vitalcam train` wrote.
        name: of the model.
        said: what no file knows: "machine", "data", "limits", and where they differ "hours", "command", "frames";
            "half" for weights in half precision; "one_graph" for none besides, so that OpenVINO takes the same.
        folder: where.

    Returns:
        the card's file.

    Raises:
        UsageError: the network gives changes and no waves, or the package would grow too large.
    """
    training, network = trained(weights)
    if training.target != "wave":
        raise UsageError(
            f"{weights}: gives the change of a wave, which measuring does not sum up; train with target=wave"
        )
    noted = about(weights)
    spec = dataclasses.replace(
        training.spec, training_data=said["data"], licence="Apache-2.0", variants=(),
        frames=said.get("frames") or training.spec.frames,
    )  # fmt: skip
    graph, path, half = folder / f"{name}.onnx", folder / f"{name}.json", bool(said.get("half"))
    export(network, spec, graph, variant=training.variant, options=training.options, fp16_weights=half)
    known = {
        **{key: noted[key] for key in ("steps", "data", "digest", "result", "vitalcam")},
        "training": to_dict(training) | {"start": "/".join(Path(noted["training"]["start"]).parts[-2:])},
        "machine": said["machine"],
        "hours": said.get("hours") or hours(weights.parent / "metrics.jsonl"),
        "command": said.get("command") or command(training, noted["steps"]), "limits": said.get("limits", []),
    }  # fmt: skip
    if said.get("one_graph"):
        known["plain_sha256"] = ""
        plain_file(graph).unlink(missing_ok=True)
    path.write_text(json.dumps(json.loads(path.read_text()) | known, indent=1) + "\n", encoding="utf-8")
    size = sum(file.stat().st_size for one in folder.glob("*.json") for file in folder.glob(f"{one.stem}.*onnx"))
    if size > MAX_BYTES:
        raise UsageError(f"{folder}: its networks are {size} bytes, more than {MAX_BYTES}; leave one out")
    return path


def hours(metrics: Path) -> float:
    """How long the loop of a training ran, by its own notes of speed."""
    rows = [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]
    step, seconds = 0, 0.0
    for row in rows:
        if "steps_per_s" in row:
            seconds += (row["step"] - step) / row["steps_per_s"]
        step = row["step"]
    return seconds / 3600


def command(training: Training, steps: int) -> str:
    """What trains the same on synthetic people."""
    plain = Training(training.model, training.variant)
    chosen = {f.name: getattr(training, f.name) for f in dataclasses.fields(training) if f.name != "model"}
    changed = {key: value for key, value in chosen.items() if value != getattr(plain, key) or key == "seed"}
    flat = {f"options.{key}": value for key, value in changed.pop("options", {}).items()}
    settings = ({"variant": training.variant} if training.variant else {}) | flat | changed
    words = [f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in settings.items()]
    return shlex.join(["vitalcam", "train", training.model, *words, "--steps", str(steps), "--out", "FOLDER"])


def confidence(name: str, weights: Sequence[float], folder: Path) -> Path:
    """Put the weights of the confidence into a card; none for those that all networks share.

    Raises:
        UsageError: there is no such card, or they are not as many as the confidence has terms.
    """
    wanted = 1 + len(quality.SIGNS)
    if len(weights) not in (0, wanted):
        raise UsageError(f"{name}: {len(weights)} weights; the confidence has {wanted}, give all or none")
    return _rewritten(folder / f"{name}.json", lambda _: {"confidence_weights": list(weights)})


def _rewritten(path: Path, change: Callable[[dict[str, Any]], dict[str, Any]]) -> Path:
    """A card of the package with other values for some fields, by what it says now."""
    if not path.is_file():
        raise UsageError(f"{path}: no such card; ship the model first")
    fields = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(fields | change(fields), indent=1) + "\n", encoding="utf-8")
    return path


def results(name: str, scores: Path, title: str, call: str, folder: Path) -> Path:
    """Replace the tables of that title in a card by an evaluation's.

    Raises:
        UsageError: there is no such card, or the file is not an evaluation's.
    """
    try:
        found = json.loads(scores.read_text(encoding="utf-8"))["quantities"]
    except (OSError, ValueError, TypeError, KeyError):
        raise UsageError(f"{scores}: no scores; give the scores.json that vitalcam evaluate --out wrote") from None
    tables = [
        {"title": f"{title}: {quantity} ({scored['unit']})", "command": call, **_table(scored)}
        for quantity, scored in found.items()
    ]

    def replaced(fields: dict[str, Any]) -> dict[str, Any]:
        kept = [old for old in fields.get("results", []) if not old["title"].startswith(f"{title}: ")]
        return {"results": kept + tables}

    return _rewritten(folder / f"{name}.json", replaced)


def _table(scored: dict[str, Any]) -> dict[str, Any]:
    """All windows first, then each group."""
    groups = scored.get("by", [])
    names = [key for key in (groups[0] if groups else {}) if key not in scored and key != "by"]
    rows = [["all", *[""] * (len(names) - 1)] * bool(names) + _cells(scored)]
    rows += [[str(group[key]) for key in names] + _cells(group) for group in groups]
    columns = [*names, "MAE (95 % interval)", "answered", "right", "wrong", "at 5 % wrong", "windows", "people"]
    return {"columns": columns, "rows": rows}


def _cells(scored: dict[str, Any]) -> list[str]:
    mae, answers = scored["metrics"]["mae"], scored["answers"]
    interval = mae.get("interval")
    spread = f" ({interval[0]:.2f} to {interval[1]:.2f})" if interval and None not in interval else ""
    value = "–" if mae["value"] is None else f"{mae['value']:.2f}{spread}"
    shares = [
        "–" if answers[key] is None else f"{answers[key]:.0%}" for key in ("answered", "right", "wrong", "at_risk")
    ]
    return [value, *shares, str(answers["windows"]), str(scored["subjects"])]


def pages(folder: Path, out: Path) -> list[Path]:
    """Write the page of each model in a folder."""
    out.mkdir(parents=True, exist_ok=True)
    written = []
    for file in sorted(folder.glob("*.json")):
        page = out / f"{file.stem}.md"
        page.write_text(card.markdown(card_of(file.with_suffix(".onnx"))), encoding="utf-8")
        written.append(page)
    return written


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    actions = parser.add_subparsers(dest="action", required=True)
    make = actions.add_parser("ship", help="a model of the package from a training")
    make.add_argument("weights", type=Path)
    make.add_argument("name")
    make.add_argument("--machine", required=True, help="on which it was trained")
    make.add_argument("--data", required=True, help="on what, in a sentence")
    make.add_argument("--hours", type=float, help="of training; as metrics.jsonl adds up by default")
    make.add_argument("--frames", type=int, help="length of the clips, where it is not the network's own")
    make.add_argument("--command", help="that trains it; that of vitalcam train by default")
    make.add_argument("--half", action="store_true", help="weights in half precision")
    make.add_argument("--one-graph", action="store_true", help="no second graph for OpenVINO")
    make.add_argument("--limit", dest="limits", action="append", default=[], help="what it cannot do; again for more")
    trust = actions.add_parser("confidence", help="weights of the confidence, fitted on the model's own windows")
    trust.add_argument("name")
    trust.add_argument("values", type=float, nargs="*")
    fill = actions.add_parser("results", help="tables of a card from scores.json")
    fill.add_argument("name")
    fill.add_argument("scores", type=Path)
    fill.add_argument("--title", required=True)
    fill.add_argument("--command", required=True, help="that made scores.json")
    actions.add_parser("pages", help="docs/models of every model of the package")
    args = parser.parse_args()
    if args.action == "ship":
        print(ship(args.weights, args.name, vars(args), WEIGHTS))
    elif args.action == "confidence":
        print(confidence(args.name, args.values, WEIGHTS))
    elif args.action == "results":
        print(results(args.name, args.scores, args.title, args.command, WEIGHTS))
    print(*pages(WEIGHTS, PAGES), sep="\n")


if __name__ == "__main__":
    try:
        main()
    except VitalcamError as error:
        sys.exit(f"ship_weights: {error}")
