"""Where the true wave is in a network's embeddings, layer by layer, with attention off and on."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from torch import Tensor, nn

from vitalcam.errors import UsageError
from vitalcam.models._blocks import ConvTanhNorm
from vitalcam.models._branch import Branch, BranchNetwork
from vitalcam.types import Floats


@dataclass(frozen=True)
class Likeness:
    """Maps of one branch: how like the true wave the time course at each place is, from 0 to 1.

    Attributes:
        layers: (h, w) of each layer up to the embeddings, attention off.
        off, on: (h, w) of the embeddings without and with attention; ``on`` is None where there is none.
        r_off, r_on: correlation of the branch's wave with the true one.
    """

    layers: tuple[Floats, ...]
    off: Floats
    on: Floats | None
    r_off: float
    r_on: float | None


def likeness(network: nn.Module, video: Floats, truth: Mapping[str, Floats]) -> dict[str, Likeness]:
    """Absolute cosine similarity of embeddings with the true waves, averaged over the channels.

    Args:
        network: FactorizePhys or MMRPhys in eval mode; its settings are left as they are.
        video: (1, C, T, H, W), raw frames.
        truth: (T,) by name; branches without one are left out. TSFM, where it is on, is shown them too.

    Raises:
        UsageError: the network has no such embeddings.

    Source: the figures of Joshi et al., NeurIPS 2024 and 2025, which show it for the embeddings.
    """
    if not isinstance(network, BranchNetwork):
        raise UsageError(f"{type(network).__name__} has no embeddings of this kind; FactorizePhys and MMRPhys have")
    branches = cast(Mapping[str, Branch], network.branches)
    with torch.inference_mode():
        x = network.differences(torch.from_numpy(np.asarray(video, np.float32)))
        return {name: _likeness(branch, x, truth[name]) for name, branch in branches.items() if name in truth}


def _likeness(branch: Branch, x: Tensor, truth: Floats) -> Likeness:
    off, r_off, layers = _run(branch, x, truth, on=False)
    if branch.attention is None:
        return Likeness(layers, off, None, r_off, None)
    on, r_on, _ = _run(branch, x, truth, on=True)
    return Likeness(layers, off, on, r_off, r_on)


def _run(branch: Branch, x: Tensor, truth: Floats, *, on: bool) -> tuple[Floats, float, tuple[Floats, ...]]:
    """Map of the embeddings, correlation of the wave, maps of the layers."""
    seen: list[Floats] = []
    stages = [module for module in branch.trunks[0].modules() if isinstance(module, ConvTanhNorm)]
    hooks = [
        stage.register_forward_hook(lambda _, __, found: seen.append(similarity(found, truth))) for stage in stages
    ]
    attention = branch.attention
    settings = None if attention is None else attention.settings
    target = torch.from_numpy(np.asarray(truth, np.float32))[None]
    try:
        if attention is not None and settings is not None:
            attention.settings = dataclasses.replace(settings, attention_at_inference=on)
        embedded = similarity(branch.embed(x, target), truth)
        layers = tuple(seen)
        wave = branch(x, target)[0].numpy()
    finally:
        if attention is not None and settings is not None:
            attention.settings = settings
        for hook in hooks:
            hook.remove()
    return embedded, float(np.corrcoef(wave, truth)[0, 1]), layers


def similarity(embedded: Tensor, truth: Floats) -> Floats:
    """Absolute cosine similarity (h, w) of time courses (1, K, T', h, w) with a wave (T,), mean over the channels.

    Both are taken without their means; where T' is a part of T, the wave is averaged over as many frames.
    """
    wave = truth.reshape(embedded.shape[2], -1).mean(axis=1)
    wave = torch.from_numpy(np.asarray(wave - wave.mean(), np.float32))
    courses = embedded[0] - embedded[0].mean(dim=1, keepdim=True)
    found: Floats = torch.cosine_similarity(courses, wave[None, :, None, None], dim=1).abs().mean(dim=0).numpy()
    return found
