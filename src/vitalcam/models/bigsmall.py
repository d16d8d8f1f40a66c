"""BigSmall: a sharp picture seldom and a tiny one always; pulse and breathing from their sum.

Paper: Narayanswamy et al., "BigSmall: Efficient Multi-Task Learning for Disparate Spatial and Temporal Physiological
Measurements", WACV 2024. The rows "mmr" are the adaptation used as a baseline in Joshi, Cho, "Efficient and Robust
Multidimensional Attention in Remote Physiological Sensing through Target Signal Constrained Factorization", 2025.
Checked against: the rPPG-Toolbox and MMRPhys.
"""

from __future__ import annotations

import dataclasses
import itertools

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitalcam.models._blocks import check_frames, difference, shift_frames, to_frames
from vitalcam.models._layers import chosen
from vitalcam.types import ModelSpec

SEGMENT = 3
"""Frames that share one sharp picture, and that are shifted together."""

SMALL_PX = 9

SPEC = ModelSpec(
    name="bigsmall",
    outputs=("bvp", "resp"),
    paper="Narayanswamy et al.: BigSmall: Efficient Multi-Task Learning for Disparate Spatial and Temporal "
    "Physiological Measurements, WACV 2024",
    size_px=144,
    frames=180,
    fs_hz=25.0,
    frames_multiple=SEGMENT,
    transform="raw",
    parameters=1_477_250,
    variants=("toolbox", "mmr", "mmr_rgbt"),
)
_MMR = dataclasses.replace(SPEC, size_px=72, parameters=1_477_262)
VARIANTS = {
    "toolbox": SPEC,
    "mmr": _MMR,
    "mmr_rgbt": dataclasses.replace(_MMR, channels={"rgb": 3, "thermal": 1}, parameters=1_476_682),
}
"""mmr_rgbt: the sharp picture is thermal, the tiny one in colour."""

RELEASED_KEYS = (
    {f"big.{place}.": f"big_conv{i}." for i, place in enumerate((0, 2, 6, 8, 12, 14), start=1)}
    | {f"small.{i}.": f"small_conv{i + 1}." for i in range(4)}
    | {f"heads.{task}.{place}.": f"{task}_fc{i}." for task in ("bvp", "resp") for i, place in ((1, 0), (2, 2))}
    | {"action_units.0.": "au_fc1.", "action_units.2.": "au_fc2."}
)


class BigSmall(nn.Module):
    """The network.

    The tiny picture is the area mean of the sharp one. The original has both prepared outside: the sharp one
    standardised, of the tiny one the normalised differences; here the network does so, hence it takes raw video.

    Args:
        spec: row of `VARIANTS`.
        normalised: batch norms on both inputs instead of the original's standardisation ("mmr").
    """

    def __init__(self, spec: ModelSpec, *, normalised: bool) -> None:
        super().__init__()
        self.split = "thermal" in spec.channels
        channels = spec.channels["thermal"] if self.split else spec.channels["rgb"]
        self.normalised = normalised
        if normalised:
            self.big_norm = nn.BatchNorm2d(channels)
            self.small_norm = nn.BatchNorm2d(spec.channels["rgb"])
        self.big = nn.Sequential(
            *_convs(channels, 32, 32), nn.Identity() if normalised else nn.AvgPool2d(2), nn.Dropout(0.25),
            *_convs(32, 32, 64), nn.AvgPool2d(2), nn.Dropout(0.5),
            *_convs(64, 64, 64), nn.AvgPool2d(4), nn.Dropout(0.5),
        )  # fmt: skip
        widths = (spec.channels["rgb"], 32, 32, 32, 64)
        self.small = nn.ModuleList(nn.Conv2d(a, b, 3, padding=1) for a, b in itertools.pairwise(widths))
        self.heads = nn.ModuleDict({task: _head(1) for task in spec.outputs})
        if not normalised:  # kept for the released files; nothing here trains or uses it
            self.action_units = _head(12).requires_grad_(False)

    def forward(self, x: Tensor, *, target: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Raw video (B, C, T, H, W), T a multiple of 3, to {"bvp": (B, T), "resp": (B, T)}."""
        check_frames(x, SEGMENT, "bigsmall")
        features = self.features(*self.inputs(x))
        return {task: head(features).reshape(x.shape[0], -1) for task, head in self.heads.items()}

    def inputs(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Sharp pictures (B·T / 3, C, H, W) and tiny ones (B·T, C, 9, 9) of raw video (B, C, T, H, W)."""
        colour, sharp = (x[:, :3], x[:, 3:]) if self.split else (x, x)
        side = x.shape[-1] // SMALL_PX
        tiny = functional.avg_pool3d(colour, (1, side, side))
        if self.normalised:
            first = to_frames(sharp[:, :, ::SEGMENT])
            return self.big_norm(first), self.small_norm(to_frames(difference(tiny)))
        first = to_frames(_standardised(sharp)[:, :, ::SEGMENT])
        return first, to_frames(_normalised_difference(tiny))

    def features(self, big: Tensor, small: Tensor) -> Tensor:
        """What both pictures say, (B·T, 5184), of sharp (B·T / 3, C, H, W) and tiny pictures (B·T, C, 9, 9)."""
        seldom: Tensor = self.big(big)
        for conv in self.small:
            small = torch.relu(conv(shift_frames(small, SEGMENT, wrap=True)))
        always = small.reshape(-1, SEGMENT, *small.shape[1:])
        return (always + seldom[:, None]).flatten(2).flatten(0, 1)

    def aux_loss(self) -> Tensor | None:
        """No training term of its own."""
        return None


def _convs(channels: int, between: int, out: int) -> list[nn.Module]:
    first, second = nn.Conv2d(channels, between, 3, padding=1), nn.Conv2d(between, out, 3, padding=1)
    return [first, nn.ReLU(), second, nn.ReLU()]


def _head(out: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(64 * SMALL_PX * SMALL_PX, 128), nn.ReLU(), nn.Linear(128, out))


def _standardised(x: Tensor) -> Tensor:
    """Each clip to zero mean and unit deviation."""
    variance, mean = torch.var_mean(x, dim=(1, 2, 3, 4), keepdim=True, correction=0)
    return (x - mean) / torch.sqrt(variance + 1e-12)


def _normalised_difference(x: Tensor) -> Tensor:
    """(next - this) / (next + this), over its deviation in the clip; zero for the last frame."""
    ahead, here = x[:, :, 1:], x[:, :, :-1]
    change = functional.pad((ahead - here) / (ahead + here + 1e-7), (0, 0, 0, 0, 0, 1))
    return change / torch.sqrt(change.var(dim=(1, 2, 3, 4), keepdim=True, correction=0) + 1e-12)


def build(variant: str = "") -> BigSmall:
    """The network of a row of `VARIANTS`, "toolbox" if none is named."""
    row = chosen(variant, VARIANTS)
    return BigSmall(VARIANTS[row], normalised=row != "toolbox")
