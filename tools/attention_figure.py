"""Where the pulse is in a network's embeddings, with attention off and on, for each kind of attention.

    python tools/attention_figure.py OUT.png [--weights FILE|NAME ...]

The clip is synthetic: a painted face of known pulse, in front of a wall without. The number at each pixel of the
embeddings is the absolute cosine similarity of its time course with that pulse (both without their means), averaged
over the channels, as the papers' figures show it (`vitalcam.attention`). Without weights, a small network per kind of
attention is trained for a minute or two on a few such clips of other people; with weights, files or imported models,
the networks are theirs. The table that is printed has the mean of each map, and in brackets the correlation of the
network's wave with the pulse.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor

from vitalcam import checkpoints
from vitalcam.attention import likeness
from vitalcam.losses import Moment, neg_pearson
from vitalcam.models import mmrphys
from vitalcam.models._branch import BranchNetwork
from vitalcam.runtime import models_folder
from vitalcam.synth.painted import PersonOnScreen, Scene, render

matplotlib.use("agg")
from matplotlib import pyplot as plt

FS_HZ = 30.0
KINDS: Mapping[str, Mapping[str, str]] = {
    "no attention": {"attention": "none"},
    "FSAM": {"attention": "fsam"},
    "TSFM, paper form": {"attention": "tsfm"},
    "TSFM, released form": {"attention": "tsfm", "form": "released"},
    "GRBF": {"attention": "grbf"},
}


def clip(seed: int, *, size_px: int, frames: int) -> tuple[Tensor, Tensor]:
    """Video (1, 3, T, size, size) of a face filling the middle, and its pulse (1, T)."""
    rng = np.random.default_rng(seed)
    skin = 205 * rng.uniform(0.6, 1.1), 160 * rng.uniform(0.6, 1.1), 135 * rng.uniform(0.6, 1.1)
    person = PersonOnScreen(heart_rate_bpm=rng.uniform(50, 130), amplitude=0.015, centre=(0.5, 0.5), face_height=0.6)
    person = dataclasses.replace(person, face=dataclasses.replace(person.face, skin_rgb=skin))
    times_s = rng.uniform(0, 10) + np.arange(frames) / FS_HZ
    scene = Scene(width=4 * size_px, height=4 * size_px, people=(person,), noise_sigma=2.0, seed=seed)
    pictures = np.stack([p.reshape(size_px, 4, size_px, 4, 3).mean((1, 3)) for p in render(scene, times_s)])
    video = torch.from_numpy(pictures.astype(np.float32)).permute(3, 0, 1, 2)[None]
    return video, torch.from_numpy(person.bvp(times_s).astype(np.float32))[None]


def fit(network: BranchNetwork, films: list[tuple[Tensor, Tensor]], *, steps: int) -> list[float]:
    """Train on two clips at a time, in order; the losses (1 - r) of the steps."""
    optimiser = torch.optim.Adam(network.parameters(), lr=2e-3)
    losses = []
    for step in range(steps):
        pair = [films[(2 * step + i) % len(films)] for i in (0, 1)]
        x, truth = (torch.cat(parts) for parts in zip(*pair, strict=True))
        loss = neg_pearson(network(x, target={"bvp": truth})["bvp"], truth, Moment())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    return losses


def trained(options: Mapping[str, str], *, size_px: int, steps: int) -> BranchNetwork:
    """MMRPhys with one kind of attention, after a few steps on synthetic faces."""
    torch.manual_seed(0)
    network = mmrphys.build(f"{size_px}_rgb_bvp", **options).train()
    fit(network, [clip(seed, size_px=size_px, frames=120) for seed in range(1, 17)], steps=steps)
    return network.eval()


def networks(weights: list[str], size_px: int, steps: int) -> Iterator[tuple[str, BranchNetwork, int]]:
    """Name, network and size of its pictures, for each row of the figure."""
    for kind, options in KINDS.items() if not weights else ():
        yield kind, trained(options, size_px=size_px, steps=steps), size_px
    for name in weights:
        file = Path(name) if Path(name).exists() else models_folder() / f"{name}.safetensors"
        checkpoint = checkpoints.load(file)
        assert isinstance(checkpoint.model, BranchNetwork), f"{name}: has no embeddings of the kind shown here"
        yield file.stem, checkpoint.model, checkpoint.spec.size_px


def main() -> None:
    """Train or read, measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("--weights", nargs="*", default=[], help="files or imported models: FactorizePhys, MMRPhys")
    parser.add_argument("--steps", type=int, default=120, help="of training, where there are no files")
    parser.add_argument("--size-px", type=int, choices=(9, 36, 72), default=9, help="pictures of the trained networks")
    options = parser.parse_args()
    rows = list(networks(options.weights, options.size_px, options.steps))
    figure, axes = plt.subplots(3, len(rows), figsize=(2.1 * len(rows), 6.2), squeeze=False, layout="constrained")
    print("| network | attention off | attention on |\n| --- | --- | --- |")
    for (name, network, size_px), (picture, *panels) in zip(rows, axes.T, strict=True):
        x, pulse = clip(99, size_px=size_px, frames=120)
        found = likeness(network, x.numpy(), {"bvp": pulse[0].numpy()})["bvp"]
        picture.imshow(x[0, :, 0].permute(1, 2, 0).numpy() / 255)
        picture.set_title(name[:34], fontsize=9)
        shown = [(found.off, found.r_off), (found.on, found.r_on)]
        cells = ["" if m is None else f"{m.mean():.3f} ({r:.3f})" for m, r in shown]
        for panel, on, (values, r) in zip(panels, ("off", "on"), shown, strict=True):
            if values is None:
                panel.axis("off")
                continue
            image = panel.imshow(values, vmin=0, vmax=1, cmap="viridis")
            panel.set_title(f"attention {on}: {values.mean():.2f}\nwave r {r:.2f}", fontsize=8)
        print(f"| {name} | {cells[0]} | {cells[1]} |")
        for axis in (picture, *panels):
            axis.set(xticks=[], yticks=[])
    figure.colorbar(image, ax=axes[1:], shrink=0.7, label="absolute cosine similarity with the pulse")
    figure.suptitle("The pulse in the embeddings (synthetic clip)", fontsize=10)
    figure.savefig(options.out, dpi=110, pil_kwargs={"quality": 88} if options.out.suffix == ".jpg" else None)


if __name__ == "__main__":
    main()
