"""What the 2-D networks of the family share: a look at neighbouring frames that costs nothing, and a soft mask.

Sources: temporal shift of Lin et al., ICCV 2019, as used by TS-CAN (Liu et al., NeurIPS 2020) and BigSmall
(Narayanswamy et al., WACV 2024); normalised soft mask of DeepPhys (Chen and McDuff, ECCV 2018, equation 6).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


def temporal_shift(x: Tensor, *, wrap: bool = False, time: int = 2, channel: int = 1) -> Tensor:
    """Give a third of the channels the next frame and a third the previous one; the rest stays where it is.

    Thirds are floored, so of 32 channels 10 look ahead, 10 look back and 12 stay.

    Args:
        x: any tensor with a time and a channel axis, (B, C, T, H, W) by default.
        wrap: the first and last frame are neighbours; otherwise beyond the ends there are zeros.
        time: axis of time.
        channel: axis of channels.

    Returns:
        A tensor like ``x``.
    """
    n_channels = x.shape[channel]
    third = n_channels // 3
    ahead, behind, still = x.split([third, third, n_channels - 2 * third], dim=channel)
    last = ahead.shape[time] - 1
    beyond_end, beyond_start = ahead.narrow(time, 0, 1), behind.narrow(time, last, 1)
    if not wrap:
        beyond_end, beyond_start = torch.zeros_like(beyond_end), torch.zeros_like(beyond_start)
    ahead = torch.cat([ahead.narrow(time, 1, last), beyond_end], dim=time)
    behind = torch.cat([beyond_start, behind.narrow(time, 0, last)], dim=time)
    return torch.cat([ahead, behind, still], dim=channel)


class TemporalShift(nn.Module):
    """`temporal_shift` for frames folded into the batch, within segments that do not see each other.

    Args:
        segment: frames of a segment; the number of frames given must be a multiple of it.
        wrap: the first and last frame of a segment are neighbours.
    """

    def __init__(self, segment: int, *, wrap: bool = False) -> None:
        super().__init__()
        self.segment = segment
        self.wrap = wrap

    def forward(self, frames: Tensor) -> Tensor:
        """Shift frames (n * segment, C, H, W); the shape stays."""
        segments = frames.unflatten(0, (-1, self.segment))
        return temporal_shift(segments, wrap=self.wrap, time=1, channel=2).flatten(0, 1)


class AttentionGate(nn.Module):
    """Where to look: a mask from one 1x1 convolution, with mean 1/2 over each frame.

    mask = g / (2 mean(g)) with g = sigmoid(conv(features)), the mean taken over the pixels of a frame.

    Args:
        channels: channels of the features.
        dims: 2 for features (N, C, H, W), 3 for features (B, C, T, H, W).
    """

    def __init__(self, channels: int, *, dims: int = 2) -> None:
        super().__init__()
        self.conv = (nn.Conv2d if dims == 2 else nn.Conv3d)(channels, 1, kernel_size=1)

    def forward(self, features: Tensor) -> Tensor:
        """The mask of these features: their shape with one channel."""
        gate = torch.sigmoid(self.conv(features))
        return 0.5 * gate / gate.mean(dim=(-2, -1), keepdim=True)
