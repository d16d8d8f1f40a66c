"""PhysNet: a 3-D convolutional encoder that halves time twice, and a decoder that gives it back.

Paper: Yu, Li, Zhao, "Remote Photoplethysmograph Signal Measurement from Facial Videos Using Spatio-Temporal
Networks", BMVC 2019. Checked against: the rPPG-Toolbox and FactorizePhys, on their released weights.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from vitalcam.models._blocks import check_frames, difference
from vitalcam.models._layers import chosen, conv_block, pool, spread_in_time
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="physnet",
    outputs=("bvp",),
    paper="Yu, Li, Zhao: Remote Photoplethysmograph Signal Measurement from Facial Videos Using Spatio-Temporal "
    "Networks, BMVC 2019",
    size_px=72,
    frames=128,
    frames_multiple=4,
    transform="diff",
    parameters=768_577,
    variants=("toolbox", "diff"),
)
VARIANTS = {
    "toolbox": SPEC,
    "diff": dataclasses.replace(SPEC, frames=160, transform="raw", parameters=768_583),
}
"""toolbox: differences are taken of the clip beforehand; diff: the network takes them itself and normalises them."""

_CONVS = (0, 2, 3, 5, 6, 8, 9, 11, 12)
RELEASED_KEYS = {f"encoder.{place}.": f"ConvBlock{i}." for i, place in enumerate(_CONVS, start=1)} | {
    "decoder.0.": "upsample.",
    "decoder.1.": "upsample2.",
    "head.": "ConvBlock10.",
}


class PhysNet(nn.Module):
    """The network.

    Args:
        channels: of the input.
        differences: take and normalise the differences of consecutive frames first.
    """

    def __init__(self, channels: int = 3, *, differences: bool = False) -> None:
        super().__init__()
        self.differences = differences
        self.norm = nn.BatchNorm3d(channels) if differences else nn.Identity()
        self.encoder = nn.Sequential(
            conv_block(channels, 16, (1, 5, 5)), pool(1, 2),
            conv_block(16, 32), conv_block(32, 64), pool(2, 2),
            conv_block(64, 64), conv_block(64, 64), pool(2, 2),
            conv_block(64, 64), conv_block(64, 64), pool(1, 2),
            conv_block(64, 64), conv_block(64, 64),
        )  # fmt: skip
        self.decoder = nn.Sequential(spread_in_time(64), spread_in_time(64))
        self.head = nn.Conv3d(64, 1, kernel_size=1)

    def forward(self, x: Tensor, *, target: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Video (B, C, T, H, W), T a multiple of 4, to {"bvp": (B, T)}."""
        check_frames(x, 4, "physnet")
        if self.differences:
            x = self.norm(difference(x))
        features = self.decoder(self.encoder(x)).mean(dim=(3, 4), keepdim=True)
        return {"bvp": self.head(features).flatten(1)}

    def aux_loss(self) -> Tensor | None:
        """No training term of its own."""
        return None


def build(variant: str = "", *, channels: int = 3) -> PhysNet:
    """The network of a row of `VARIANTS`, "toolbox" if none is named."""
    return PhysNet(channels, differences=chosen(variant, VARIANTS) == "diff")
