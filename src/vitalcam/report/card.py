"""A model's card for reading: what it is, how it was trained, what it can do. `docs/models/` holds the same text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitalcam.report import tabular
from vitalcam.runtime import Card
from vitalcam.types import ModelSpec


def facts(spec: ModelSpec) -> dict[str, str]:
    """What is known of any model, in words."""
    kinds = " + ".join(f"{n} {kind}" for kind, n in spec.channels.items())
    length = f", clips of {spec.frames} frames" if spec.frames else ""
    return {
        "parameters": f"{spec.parameters:,}",
        "input": f"{kinds} at {spec.size_px} px, {spec.fs_hz:g} Hz{length}, {spec.transform}",
        "gives": ", ".join(spec.outputs),
        "licence": spec.licence,
        "trained on": spec.training_data or "not said",
        "paper": spec.paper,
        "code": spec.code_url,
        "file": spec.file,
        "sha256": spec.sha256,
    }


def markdown(card: Card) -> str:
    """The card as Markdown; sections of which nothing is known are left out."""
    origin = card.origin
    lines = [f"# {card.spec.name}", ""]
    lines += [f"- {name}: {text}" for name, text in facts(card.spec).items() if text]
    lines += _training(origin)
    if limits := origin.get("limits"):
        lines += ["", "## Limits", "", *(f"- {limit}" for limit in limits)]
    for found in origin.get("results", []):
        lines += [
            "",
            f"## {found['title']}",
            "",
            f"    {found['command']}",
            "",
            *tabular.markdown(found["columns"], found["rows"]),
        ]
    return "\n".join(lines) + "\n"


def _training(origin: Mapping[str, Any]) -> list[str]:
    if "training" not in origin:
        return []
    said = {
        "time": f"{origin['hours']:.2f} hours on {origin['machine']}, {origin['steps']} batches an epoch",
        "result": ", ".join(f"{name} {value:.4g}" for name, value in origin["result"].items()),
        "data": ", ".join(f"{name} {value}" for name, value in origin["data"].items()),
        "digest of recipe and data": origin["digest"],
        "vitalcam": origin["vitalcam"],
    }
    recipe = ", ".join(f"{name} {value}" for name, value in origin["training"].items() if value not in ("", {}, 0.0))
    lines = [
        "",
        "## Training",
        "",
        f"- recipe: {recipe}",
        *(f"- {name}: {text}" for name, text in said.items() if text),
    ]
    return [*lines, "", "Again:", "", f"    {origin['command']}"]
