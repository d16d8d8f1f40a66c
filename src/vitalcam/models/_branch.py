"""Networks made of branches: convolutions, attention on the embeddings, convolutions down to one waveform.

FactorizePhys is one branch, MMRPhys one for the pulse and one for breathing; which is which is a table of `Layer` rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vitalcam.models._attention import AttentionSettings, FactorizedAttention
from vitalcam.models._blocks import Layer, check_frames, conv_stack, difference, instance_norm


@dataclass(frozen=True)
class Table:
    """The layers of a branch.

    Attributes:
        trunk: up to the embeddings that attention sees.
        head: behind them; a last convolution without norm gives the waveform.
        last: size of that convolution in rows and columns.
        upsample: how often each embedding is repeated in time before the last convolution.
    """

    trunk: tuple[Layer, ...]
    head: tuple[Layer, ...]
    last: int = 3
    upsample: int = 1

    def parameters(self, views: Sequence[slice]) -> int:
        """Trained numbers of a branch with attention, counted without building it."""
        embedded = self.trunk[-1].channels * len(views)
        trunks = sum(_count(view.stop - view.start, self.trunk) for view in views)
        head = _count(embedded, (*self.head, Layer(1, kernel=self.last)))
        return trunks + FactorizedAttention.parameters_for(embedded) + head


def _count(channels: int, layers: Sequence[Layer]) -> int:
    inputs = [channels, *(layer.channels for layer in layers)]
    return sum(layer.parameters(n) for layer, n in zip(layers, inputs[:-1], strict=True))


class Branch(nn.Module):
    """One waveform out of the channels that it may see.

    Args:
        table: its layers.
        views: channels that each trunk sees; the embeddings of several trunks are concatenated.
        settings: of its attention.
        dropout: probability.
    """

    def __init__(
        self, table: Table, views: Sequence[slice], settings: AttentionSettings, *, dropout: float = 0.1
    ) -> None:
        super().__init__()
        self.views = tuple(views)
        self.upsample = table.upsample
        self.trunks = nn.ModuleList(conv_stack(v.stop - v.start, table.trunk, dropout) for v in views)
        channels = table.trunk[-1].channels * len(views)
        self.attention = FactorizedAttention(channels, settings) if settings.attention != "none" else None
        self.head = conv_stack(channels, table.head, dropout)
        self.last = nn.Conv3d(table.head[-1].channels, 1, (3, table.last, table.last), padding=(1, 0, 0), bias=False)

    def embed(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Normalised differences (B, C, T, H, W) to embeddings (B, K, T', h, w), with attention where it is active."""
        e: Tensor = torch.cat([trunk(x[:, view]) for trunk, view in zip(self.trunks, self.views, strict=True)], dim=1)
        if self.attention is not None and self.attention.active:
            e = self.attention(e, target)
        return e

    def forward(self, x: Tensor, target: Tensor | None = None) -> Tensor:
        """Normalised differences (B, C, T, H, W) to a waveform (B, T)."""
        y = self.head(self.embed(x, target))
        y = y[:, :, :, None].expand(-1, -1, -1, self.upsample, -1, -1).flatten(2, 3)
        wave: Tensor = self.last(y)[:, 0, :, 0, 0]
        return wave


class BranchNetwork(nn.Module):
    """Differences of raw frames, every channel normalised over the clip, into branches.

    Args:
        branches: by the name of their waveform.
        channels: how many of the clip's channels are used: the first (RGB), the last (thermal, one) or all.
        frames_multiple: lengths of clip that the branches can give back.
    """

    def __init__(self, branches: Mapping[str, Branch], channels: int, *, frames_multiple: int = 1) -> None:
        super().__init__()
        self.branches = nn.ModuleDict(branches)
        self.used = slice(-1, None) if channels == 1 else slice(0, channels)
        self.frames_multiple = frames_multiple

    def differences(self, x: Tensor) -> Tensor:
        """What the branches see of raw frames (B, C, T, H, W)."""
        check_frames(x, self.frames_multiple, " + ".join(self.branches))
        return instance_norm(difference(x[:, self.used]))

    def forward(self, x: Tensor, *, target: Mapping[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Waveforms of raw frames.

        Args:
            x: (B, C, T, H, W), 0..255 or degrees; any affine scale gives the same.
            target: (B, T) each, the true waveforms; only TSFM looks at them.

        Returns:
            "bvp" and/or "resp": (B, T), arbitrary unit.

        Raises:
            UsageError: T cannot be given back, or TSFM is active and there is no target.
        """
        x, known = self.differences(x), target or {}
        return {name: branch(x, known.get(name)) for name, branch in self.branches.items()}

    def aux_loss(self) -> Tensor | None:
        """Mean relative error of the factorizations of the last training step, or None."""
        modules = [m for m in self.modules() if isinstance(m, FactorizedAttention)]
        losses = [loss for m in modules if (loss := m.aux_loss()) is not None]
        return torch.stack(losses).mean() if losses else None


def released_keys(name: str, table: Table, places: Sequence[str], head: str, *, trunks: int = 1) -> dict[str, str]:
    """What the authors call the tensors of a branch.

    Args:
        name: of the branch.
        table: its layers.
        places: where their files have its convolutions, in order: trunk after trunk, then the head's.
        head: where they have the attention (`fsam`) and the last convolution (`final_layer`).
        trunks: number of its trunks.

    Returns:
        Beginnings of our names, and of theirs.
    """
    own = [f"trunks.{i}.{at}" for i in range(trunks) for at in _positions(table.trunk)]
    own += [f"head.{at}" for at in _positions(table.head)]
    keys = {f"{ours}.conv.": f"{theirs}.conv_block_3d.0." for ours, theirs in zip(own, places, strict=True)}
    keys |= {
        "attention.squeeze.": f"{head}.fsam.pre_conv_block.",
        "attention.expand.0.": f"{head}.fsam.post_conv_block.0.conv.",
        "attention.expand.2.": f"{head}.fsam.post_conv_block.1.",
        "last.": f"{head}.final_layer.2.",
    }
    return {f"branches.{name}.{ours}": theirs for ours, theirs in keys.items()}


def _positions(layers: Sequence[Layer]) -> list[int]:
    """Where `conv_stack` puts the convolutions: each dropout takes a place."""
    return [i + sum(before.dropout for before in layers[:i]) for i in range(len(layers))]
