"""Layers of the batch-normalised family: PhysNet, physFSUNet, PhysFormer, RhythmFormer. Tensors are (B, C, T, H, W)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitalcam.errors import UnknownName


def chosen(variant: str, variants: Iterable[str]) -> str:
    """The variant asked for; the first if none was.

    Raises:
        UnknownName: there is no such variant; the message lists those there are.
    """
    known = list(variants)
    if variant and variant not in known:
        raise UnknownName("variant", variant, known)
    return variant or known[0]


def conv_block(
    channels: int, out: int, kernel: tuple[int, int, int] = (3, 3, 3), *, stride: int = 1, bias: bool = True
) -> nn.Sequential:
    """Convolution, batch norm, ReLU; of rows and columns every `stride`-th is kept. Kernels are odd."""
    frames, rows, columns = (size // 2 for size in kernel)
    conv = nn.Conv3d(channels, out, kernel, (1, stride, stride), (frames, rows, columns), bias=bias)
    return nn.Sequential(conv, nn.BatchNorm3d(out), nn.ReLU())


def pool(time: int, space: int) -> nn.MaxPool3d:
    """Largest value of each box of that many frames, rows and columns."""
    return nn.MaxPool3d((time, space, space))


def spread_in_time(channels: int, *, bias: bool = True) -> nn.Sequential:
    """Twice as many frames by a transposed convolution, batch norm, ELU."""
    spread = nn.ConvTranspose3d(channels, channels, (4, 1, 1), (2, 1, 1), (1, 0, 0), bias=bias)
    return nn.Sequential(spread, nn.BatchNorm3d(channels), nn.ELU())


def repeat_in_time(channels: int, out: int) -> nn.Sequential:
    """Twice as many frames by repetition, a convolution along time, batch norm, ELU."""
    conv = nn.Conv3d(channels, out, (3, 1, 1), padding=(1, 0, 0))
    return nn.Sequential(nn.Upsample(scale_factor=(2, 1, 1)), conv, nn.BatchNorm3d(out), nn.ELU())


def neighbour_differences(x: Tensor) -> Tensor:
    """The four steps between the frames t-2 … t+2 about each frame t; beyond the ends the end frame is repeated.

    Args:
        x: (B, C, T, H, W).

    Returns:
        (B, 4 C, T, H, W): step into t-1, into t, out of t, out of t+1.

    Source: Zou et al., RhythmFormer, Pattern Recognition 2025, fusion stem; physFSUNet takes it over.
    """
    first, last = x[:, :, :1], x[:, :, -1:]
    padded = torch.cat([first, first, x, last, last], dim=2)
    steps = padded[:, :, 1:] - padded[:, :, :-1]
    return torch.cat([steps[:, :, i : i + x.shape[2]] for i in range(4)], dim=1)


class TemporalDifferenceConv(nn.Module):
    """3x3x3 convolution minus a share of what its two outer time slices give for a picture that stands still.

    y(t) = conv(x)(t) - theta · x(t) · (sum of the first and last time slice of the kernel). Both terms are one
    convolution, whose middle weight is lowered accordingly.

    Args:
        channels: of input and output.
        theta: the share.

    Source: Yu et al., PhysFormer, CVPR 2022, equation 1.
    """

    def __init__(self, channels: int, theta: float) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, channels, 3, padding=1, bias=False)
        self.theta = theta

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W), size unchanged."""
        weight = self.conv.weight
        outer = weight[:, :, ::2].sum(dim=(2, 3, 4))[..., None, None, None]
        return functional.conv3d(x, weight - self.theta * functional.pad(outer, (1,) * 6), padding=1)


def released_key(key: str, table: Mapping[str, str]) -> str:
    """The name that a tensor has in the authors' files.

    Args:
        key: its name in ours.
        table: beginnings of our names and what stands for them in theirs; the longest that fits is replaced.

    >>> released_key("stem.0.weight", {"stem.": "Stem", "stem.0.": "Stem0.0."})
    'Stem0.0.weight'
    """
    fits = [ours for ours in table if key.startswith(ours)]
    ours = max(fits, key=len, default="")
    return table.get(ours, "") + key.removeprefix(ours)
