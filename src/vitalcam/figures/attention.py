"""Where the true wave is in the embeddings of networks, with attention off and on, for a recording."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vitalcam import checkpoints, clips
from vitalcam.attention import Likeness, likeness
from vitalcam.data import Prepared
from vitalcam.errors import DatasetError
from vitalcam.evaluate import on_clock
from vitalcam.figures import page, table
from vitalcam.types import Floats, Recording


def maps(recording: Recording | Prepared, weights: Path, *, kind: str = "bvp") -> tuple[Floats, Likeness]:
    """First picture (H, W, C) of a clip in the middle of a recording, and its maps.

    Args:
        recording: with its truth.
        weights: of FactorizePhys or MMRPhys, by ``vitalcam train`` or by the papers' code.
        kind: "bvp" or "resp".

    Raises:
        WeightsError: the file is of no network.
        DatasetError: there is no clip of that length with a face and a known wave.
        UsageError: the network has no such embeddings.
    """
    found = checkpoints.load(weights)
    network, spec = found.model, found.spec
    prepared = on_clock(recording, spec)
    truth = prepared.waves.get(kind, np.full(len(prepared.valid), np.nan))
    run = max(clips.runs(prepared.valid & np.isfinite(truth)), key=lambda r: r.stop - r.start, default=slice(0, 0))
    if run.stop - run.start < spec.frames or kind not in spec.outputs:
        what = f"{spec.frames} frames in a row with a face and a known {kind}"
        raise DatasetError(f"{prepared.id}: has no {what}, or {weights.name} does not give it")
    start = (run.start + run.stop - spec.frames) // 2
    part = slice(start, start + spec.frames)
    frames = prepared.clip(part, spec.size_px).frames
    video = np.ascontiguousarray(frames.transpose(3, 0, 1, 2)[None])
    return frames[0], likeness(network, video, {kind: np.asarray(truth[part], float)})[kind]


def draw(recording: Recording | Prepared, weights: Sequence[Path], path: Path, *, kind: str = "bvp") -> Path:
    """Draw a row for each network (picture, attention off, attention on) and write the figure with its CSV.

    Args:
        recording: with its truth.
        weights: of FactorizePhys or MMRPhys.
        path: .png, .svg or .pdf.
        kind: "bvp" or "resp".

    Raises:
        WeightsError, DatasetError, UsageError: see `maps`.
    """
    found = [(file, *maps(recording, file, kind=kind)) for file in weights]
    top = max(float(values.max()) for *_, one in found for values in (one.off, one.on) if values is not None)
    with page(path, width=7.4, height=0.9 + 2.3 * len(found)) as figure:
        axes = figure.subplots(len(found), 3, squeeze=False)
        for (picture, *panels), (file, frame, one) in zip(axes, found, strict=True):
            picture.imshow(np.clip(frame[..., :3] / 255, 0, 1))
            name = f"{file.parent.name}/{file.stem}" if file.stem in ("last", "best") else file.stem
            picture.set_ylabel(name[:34], fontsize=8.5)
            image = _panels(panels, one, top)
            for axis in (picture, *panels):
                axis.set(xticks=[], yticks=[])
        figure.colorbar(image, ax=axes[:, 1:], label=f"absolute cosine similarity with the true {kind}", shrink=0.8)
        figure.suptitle(f"{kind} in the embeddings: {recording.id}", x=0.01, ha="left", fontsize=10.5)
    return table(path, ["weights", "attention", "row", "column", "similarity", "wave_r"], _numbers(found))


def _panels(panels: Sequence[Any], one: Likeness, top: float) -> Any:
    image = None
    for ax, said, values, r in ((panels[0], "off", one.off, one.r_off), (panels[1], "on", one.on, one.r_on)):
        if values is None:
            ax.set_axis_off()
            ax.text(0.5, 0.5, "no attention", transform=ax.transAxes, ha="center", color="0.4")
            continue
        image = ax.imshow(values, vmin=0, vmax=top, cmap="viridis")
        ax.set_title(f"attention {said}: mean {values.mean():.2f}\nwave r {r:.2f}", fontsize=9)
    return image


def _numbers(found: Sequence[tuple[Path, Floats, Likeness]]) -> list[tuple[Any, ...]]:
    return [
        (str(file), said, int(row), int(column), float(value), r)
        for file, _, one in found
        for said, values, r in (("off", one.off, one.r_off), ("on", one.on, one.r_on))
        if values is not None
        for (row, column), value in np.ndenumerate(values)
    ]
