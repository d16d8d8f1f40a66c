"""EfficientPhys: 2-D convolutions over frames that see their neighbours by temporal shift, with two kinds of attention.

Paper: Xin Liu, Brian Hill, Ziheng Jiang, Shwetak Patel, Daniel McDuff, "EfficientPhys: Enabling Simple, Fast and
    Accurate Camera-Based Cardiac Measurement", WACV 2023 (gates, SASN); with FSAM in place of the gates: Joshi, Agaian,
    Cho, "FactorizePhys", NeurIPS 2024.
Checked against: https://github.com/ubicomplab/rPPG-Toolbox and https://github.com/PhysiologicAILab/FactorizePhys (both
    Responsible-AI licensed) by their outputs for fixed weights. There the clips of a batch are one film, so that a
    clip's last difference is taken to the next clip; here each clip stands alone, which is the same for one clip.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitalcam.models._attention import AttentionSettings, FactorizedAttention
from vitalcam.models._blocks import check_frames, difference, shift_frames, soft_mask, to_clips, to_frames
from vitalcam.models._layers import chosen
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="efficientphys",
    outputs=("bvp",),
    paper="Liu, Hill, Jiang, Patel, McDuff: EfficientPhys. WACV 2023",
    size_px=72,
    frames=180,
    frames_multiple=10,
    transform="standardized",
    parameters=2_163_081,
    code_url="https://github.com/ubicomplab/rPPG-Toolbox",
    variants=("toolbox", "factorizephys", "fsam"),
)
_RAW = dataclasses.replace(SPEC, frames=160, frames_multiple=20, transform="raw")
VARIANTS = {
    "toolbox": SPEC,
    "factorizephys": dataclasses.replace(_RAW, code_url="https://github.com/PhysiologicAILab/FactorizePhys"),
    "fsam": dataclasses.replace(
        _RAW,
        parameters=140_655,
        paper="Joshi, Agaian, Cho: FactorizePhys. NeurIPS 2024",
        code_url="https://github.com/PhysiologicAILab/FactorizePhys",
    ),
}
"""toolbox: temporal shift within 10 frames of a standardized clip; factorizephys: within 20 of a raw one; fsam: with
factorized attention instead of gates."""

RELEASED_KEYS = (
    {f"convs.{i}.": f"motion_conv{i + 1}." for i in range(4)}
    | {f"gates.{i}.": f"apperance_att_conv{i + 1}." for i in range(2)}  # their spelling
    | {
        "norm.": "batch_norm.",
        "dense.": "final_dense_1.",
        "last.": "final_dense_2.",
        "attention.squeeze.": "feature_factorizer.pre_conv_block.",
        "attention.expand.0.": "feature_factorizer.post_conv_block.0.conv.",
        "attention.expand.2.": "feature_factorizer.post_conv_block.1.",
    }
)


class EfficientPhys(nn.Module):
    """What both kinds share: four convolutions behind temporal shifts, then two dense layers, frame by frame.

    Args:
        segment: frames within which the shift acts; a clip must have a multiple of it.
        flat: number of features that the dense layers see.
        channels: of the input.
    """

    def __init__(self, segment: int, flat: int, channels: int = 3) -> None:
        super().__init__()
        self.segment = segment
        self.norm = nn.BatchNorm2d(channels)
        widths = (channels, 32, 32, 64, 64)
        self.convs = nn.ModuleList(nn.Conv2d(widths[i], widths[i + 1], 3, padding=(i + 1) % 2) for i in range(4))
        self.drop = nn.Dropout(0.25)
        self.dense = nn.Linear(flat, 128)
        self.drop_dense = nn.Dropout(0.5)
        self.last = nn.Linear(128, 1)

    def forward(self, x: Tensor, *, target: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Waveform of a clip.

        Args:
            x: (B, C, T, H, W), H = W = 72 unless built for another size.
            target: (B, T), by name; only TSFM looks at it.

        Returns:
            "bvp": (B, T).

        Raises:
            UsageError: T is no multiple of the segment, or TSFM is active and there is no target.
        """
        check_frames(x, self.segment, "efficientphys")
        features = self.features(self.norm(to_frames(difference(x))), x.shape[0], target)
        y = self.last(self.drop_dense(torch.tanh(self.dense(features.flatten(1)))))
        return {"bvp": y.reshape(x.shape[0], -1)}

    def features(self, x: Tensor, clips: int, target: Mapping[str, Tensor] | None) -> Tensor:
        """Normalised differences (B·T, C, H, W) of `clips` clips to features (B·T, K, h, w)."""
        raise NotImplementedError

    def aux_loss(self) -> Tensor | None:
        """No training term of its own."""
        return None

    def _conv(self, i: int, x: Tensor) -> Tensor:
        return torch.tanh(self.convs[i](shift_frames(x, self.segment)))


class Gated(EfficientPhys):
    """With gates (SASN): a soft mask over the pixels of each frame behind each pair of convolutions.

    Args:
        segment: see `EfficientPhys`.
        channels: of the input.
        size_px: of the input.
    """

    def __init__(self, segment: int, channels: int = 3, size_px: int = 72) -> None:
        side = ((size_px - 2) // 2 - 2) // 2
        super().__init__(segment, 64 * side**2, channels)
        self.gates = nn.ModuleList(nn.Conv2d(width, 1, 1) for width in (32, 64))

    def features(self, x: Tensor, clips: int, target: Mapping[str, Tensor] | None) -> Tensor:
        """Two convolutions, mask, pooling; twice."""
        for pair, gate in enumerate(self.gates):
            x = self._conv(2 * pair + 1, self._conv(2 * pair, x))
            x = self.drop(functional.avg_pool2d(x * soft_mask(gate(x)), 2))
        return x


class Factorized(EfficientPhys):
    """With factorized attention on the last embeddings (64, 7, 7).

    In `paper` form the matrix of a clip has a row for each of its frames. The released module was given segments of
    20 frames, but overwrites that with 1 in its first forward pass: from the second on each frame is a matrix of one
    row, its approximation exact, and attention no more than its 1x1 convolutions. `rows` says which of the two.

    Args:
        segment: see `EfficientPhys`.
        settings: of the attention.
        channels: of the input.
        rows: of a matrix in `released` form: 1, or `segment` for the first forward pass of a fresh module.
    """

    def __init__(self, segment: int, settings: AttentionSettings, channels: int = 3, rows: int = 1) -> None:
        super().__init__(segment, 64 * 3 * 3, channels)
        self.settings = settings
        released = settings.form == "released"
        self.attention = (
            FactorizedAttention(64, settings, rows=rows if released else 0) if settings.attention != "none" else None
        )

    def features(self, x: Tensor, clips: int, target: Mapping[str, Tensor] | None) -> Tensor:
        """Convolutions with pooling behind all but the first, attention, pooling."""
        x = self.drop(functional.avg_pool2d(self._conv(1, self._conv(0, x)), 2))
        x = self.drop(functional.avg_pool2d(self._conv(2, x), 2))
        x = self.drop(functional.avg_pool2d(self._conv(3, x), 2))
        if self.attention is not None and self.attention.active:
            x = self._attend(self.attention, x, clips, (target or {}).get("bvp"))
        return functional.avg_pool2d(x, 2)

    def _attend(self, attention: FactorizedAttention, x: Tensor, clips: int, target: Tensor | None) -> Tensor:
        released = self.settings.form == "released"
        attended: Tensor = attention(x[:, :, None] if released else to_clips(x, clips), target)
        return to_frames(attended)

    def aux_loss(self) -> Tensor | None:
        """Relative error of the last training step's factorization, or None."""
        return self.attention.aux_loss() if self.attention is not None else None


def build(variant: str = "", *, channels: int = 3, rows: int = 1, size_px: int = 72, **options: Any) -> EfficientPhys:
    """The network, untrained.

    Args:
        variant: a name of `VARIANTS`; empty for "toolbox".
        channels: of the input.
        rows: see `Factorized`.
        size_px: of the input; the variant "fsam" takes 72 alone.
        options: fields of `AttentionSettings`, for the variant "fsam".

    Raises:
        UnknownName: there is no such variant.
        ConfigError: there is no such option, or no such value of it.
    """
    name = chosen(variant, VARIANTS)
    segment = VARIANTS[name].frames_multiple
    if name == "fsam":
        return Factorized(segment, AttentionSettings.of(build, options, steps=6), channels, rows)
    AttentionSettings.of(build, options)
    return Gated(segment, channels, size_px)
