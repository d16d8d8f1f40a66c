"""Blocks that several networks share. Tensors are (B, C, T, H, W); networks of 2-D convolutions see (B·T, C, H, W)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from vitalcam.errors import UsageError


def difference(x: Tensor) -> Tensor:
    """Next frame minus this frame; zero for the last, which the original trainers compare with a copy of itself.

    Args:
        x: (B, C, T, H, W).

    Returns:
        (B, C, T, H, W).
    """
    return torch.cat([x[:, :, 1:], x[:, :, -1:]], dim=2) - x


def instance_norm(x: Tensor) -> Tensor:
    """Every channel of every clip to zero mean and unit variance; eps 1e-5, nothing learned, nothing remembered."""
    if x.dim() == 5 and not x.is_contiguous() and x.is_contiguous(memory_format=torch.channels_last_3d):
        # a batch norm of each clip; torch's instance norm would turn them channels first, and the next layer back
        clips = (torch.batch_norm(clip, None, None, None, None, True, 0.0, 1e-5, False) for clip in x.chunk(len(x)))
        return torch.cat(list(clips))
    return torch.instance_norm(x, None, None, None, None, True, 0.0, 1e-5, torch.backends.cudnn.enabled)


def check_frames(x: Tensor, multiple: int, name: str) -> None:
    """Refuse a clip (B, C, T, H, W) whose length is no multiple of `multiple`; a graph on its way to ONNX is not asked.

    Raises:
        UsageError: says which lengths will do.
    """
    if not torch.onnx.is_in_onnx_export() and x.shape[2] % multiple:
        raise UsageError(f"{name}: a clip must have a multiple of {multiple} frames, got {x.shape[2]}; cut or pad it")


def to_frames(x: Tensor) -> Tensor:
    """(B, C, T, H, W) to (B·T, C, H, W)."""
    return x.transpose(1, 2).flatten(0, 1)


def to_clips(x: Tensor, clips: int) -> Tensor:
    """(B·T, C, H, W) to (B, C, T, H, W), B = `clips`."""
    return x.reshape(clips, -1, *x.shape[1:]).transpose(1, 2)


def temporal_shift(x: Tensor, *, wrap: bool = False) -> Tensor:
    """Let a third of the channels see the next frame and a third the previous one.

    Args:
        x: (B, C, T, H, W); C // 3 channels look ahead, C // 3 behind, the rest stay.
        wrap: beyond its ends a clip continues with its other end rather than with zeros.

    Returns:
        (B, C, T, H, W).

    Source: Lin et al., ICCV 2019; thirds as in Liu et al., NeurIPS 2020 (wrapping in BigSmall, 2024).
    """
    fold = x.shape[1] // 3
    ahead, behind, still = x[:, :fold], x[:, fold : 2 * fold], x[:, 2 * fold :]
    first, last = ahead[:, :, :1], behind[:, :, -1:]
    if not wrap:
        first, last = torch.zeros_like(first), torch.zeros_like(last)
    ahead = torch.cat([ahead[:, :, 1:], first], dim=2)
    behind = torch.cat([last, behind[:, :, :-1]], dim=2)
    return torch.cat([ahead, behind, still], dim=1)


def shift_frames(x: Tensor, segment: int, *, wrap: bool = False) -> Tensor:
    """`temporal_shift` inside each run of `segment` frames of (B·T, C, H, W)."""
    clips = x.reshape(-1, segment, *x.shape[1:]).transpose(1, 2)
    return temporal_shift(clips, wrap=wrap).transpose(1, 2).flatten(0, 1)


def soft_mask(gate: Tensor) -> Tensor:
    """Sigmoid of a map, scaled over each frame so that its values sum to half the number of pixels.

    Args:
        gate: (..., H, W), before the sigmoid.

    Returns:
        (..., H, W), mean 0.5.

    Source: Chen and McDuff, ECCV 2018, eq. 6.
    """
    mask = torch.sigmoid(gate)
    pixels = gate.shape[-2] * gate.shape[-1]
    return mask / mask.sum(dim=(-2, -1), keepdim=True) * pixels * 0.5


def n_parameters(model: nn.Module) -> int:
    """Number of trained numbers."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


@dataclass(frozen=True)
class Layer:
    """A row of a network's table: Conv3d without bias, tanh, instance norm; time is padded so that it keeps its length.

    Attributes:
        channels: of the output.
        stride: of rows and columns.
        pad: zeros around rows and columns.
        kernel: size in rows and columns; 3 in time.
        stride_t: stride in time.
        apart_t: frames between its three looks in time (dilation).
        dropout: whole channels are dropped behind it while training.
    """

    channels: int
    stride: int = 1
    pad: int = 0
    kernel: int = 3
    stride_t: int = 1
    apart_t: int = 1
    dropout: bool = False

    def parameters(self, channels: int) -> int:
        """Trained numbers of it behind a layer of that many channels."""
        return 3 * self.kernel**2 * channels * self.channels


class ConvTanhNorm(nn.Module):
    """What a `Layer` describes."""

    def __init__(self, channels: int, layer: Layer) -> None:
        super().__init__()
        self.conv = nn.Conv3d(
            channels,
            layer.channels,
            (3, layer.kernel, layer.kernel),
            (layer.stride_t, layer.stride, layer.stride),
            (layer.apart_t, layer.pad, layer.pad),
            (layer.apart_t, 1, 1),
            bias=False,
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, C', T', H', W')."""
        return instance_norm(torch.tanh(self.conv(x)))


def conv_stack(channels: int, layers: Sequence[Layer], dropout: float) -> nn.Sequential:
    """The layers of a table, one after the other."""
    stack: list[nn.Module] = []
    for layer in layers:
        stack.append(ConvTanhNorm(channels, layer))
        if layer.dropout:
            stack.append(nn.Dropout3d(dropout))
        channels = layer.channels
    return nn.Sequential(*stack)
