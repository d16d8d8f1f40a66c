"""Where the pulse is in a network's embeddings, with attention off and on, for each kind of attention.

    python tools/attention_figure.py OUT.png [--weights FILE ...]

The clip is synthetic: a painted face of known pulse, in front of a wall without. The number at each pixel of the
embeddings is the absolute cosine similarity of its time course with that pulse (both without their means), averaged
over the channels, as the papers' figures show it. Without files, a small network per kind of attention is trained for
a minute or two on a few such clips of other people; with files, the networks are theirs. The table that is printed has
the mean of each map, and in brackets the correlation of the network's wave with the pulse.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Iterator
from pathlib import Path

import matplotlib
import numpy as np
import torch
from torch import Tensor

from vitalcam import checkpoints
from vitalcam.losses import Moment, neg_pearson
from vitalcam.models import mmrphys
from vitalcam.models._branch import BranchNetwork
from vitalcam.synth.painted import PersonOnScreen, Scene, render

matplotlib.use("agg")
from matplotlib import pyplot as plt

FS_HZ = 30.0
KINDS = ("none", "fsam", "tsfm", "grbf")


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


def trained(kind: str, *, steps: int) -> BranchNetwork:
    """MMRPhys for 36 px with one kind of attention, after a few steps on synthetic faces."""
    torch.manual_seed(0)
    network = mmrphys.build("36_rgb_bvp", attention=kind).train()
    fit(network, [clip(seed, size_px=36, frames=120) for seed in range(1, 17)], steps=steps)
    return network.eval()


def networks(files: list[Path], steps: int) -> Iterator[tuple[str, BranchNetwork, int]]:
    """Name, network and size of its pictures, for each row of the figure."""
    for kind in () if files else KINDS:
        yield kind, trained(kind, steps=steps), 36
    for file in files:
        checkpoint = checkpoints.load(file)
        assert isinstance(checkpoint.model, BranchNetwork), f"{file}: has no embeddings of the kind shown here"
        yield file.stem, checkpoint.model, checkpoint.spec.size_px


def similarity(e: Tensor, pulse: Tensor) -> Tensor:
    """Absolute cosine similarity (h, w) of embeddings (1, K, T, h, w) with a pulse (1, T), mean over the channels."""
    y = pulse[0] - pulse.mean()
    e = e[0] - e[0].mean(dim=1, keepdim=True)
    return torch.cosine_similarity(e, y[None, :, None, None], dim=1).abs().mean(dim=0)


def maps(network: BranchNetwork, x: Tensor, pulse: Tensor) -> list[tuple[Tensor, float]]:
    """Similarity, and correlation of the wave with the pulse, with attention off and, where there is attention, on."""
    branch = network.branches["bvp"]
    found = []
    with torch.inference_mode():
        for on in (False, True) if branch.attention is not None else (False,):
            if branch.attention is not None:
                settings = branch.attention.settings
                branch.attention.settings = dataclasses.replace(settings, attention_at_inference=on)
            e = branch.embed(network.differences(x), pulse)
            wave = network(x, target={"bvp": pulse})["bvp"]
            found.append((similarity(e, pulse), 1 - neg_pearson(wave, pulse, Moment()).item()))
    return found


def main() -> None:
    """Train or read, measure, print, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument(
        "--weights", type=Path, nargs="*", default=[], help="released files of FactorizePhys or MMRPhys"
    )
    parser.add_argument("--steps", type=int, default=120, help="of training, where there are no files")
    options = parser.parse_args()
    rows = list(networks(options.weights, options.steps))
    figure, axes = plt.subplots(len(rows), 3, figsize=(7.5, 2.4 * len(rows)), squeeze=False, layout="constrained")
    print("| network | attention off | attention on |\n| --- | --- | --- |")
    for (name, network, size_px), (picture, *panels) in zip(rows, axes, strict=True):
        x, pulse = clip(99, size_px=size_px, frames=120)
        picture.imshow(x[0, :, 0].permute(1, 2, 0).numpy() / 255)
        picture.set_ylabel(name[:34], fontsize=8)
        means = ["", ""]
        for i, (panel, (found, r)) in enumerate(zip(panels, maps(network, x, pulse), strict=False)):
            image = panel.imshow(found.numpy(), vmin=0, vmax=1, cmap="viridis")
            means[i] = f"{found.mean():.3f} ({r:.3f})"
            panel.set_title(f"attention {'on' if i else 'off'}: mean {found.mean():.3f}", fontsize=8)
            figure.colorbar(image, ax=panel, shrink=0.8)
        print(f"| {name} | {means[0]} | {means[1]} |")
        for axis in (picture, *panels):
            axis.set(xticks=[], yticks=[])
        if not means[1]:
            panels[1].axis("off")
    figure.suptitle("Absolute cosine similarity of embeddings with the pulse (synthetic clip)", fontsize=10)
    figure.savefig(options.out, dpi=130)


if __name__ == "__main__":
    main()
