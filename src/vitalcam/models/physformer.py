"""PhysFormer: attention over tubes of video, its queries and keys sharpened for change over time.

Paper: Yu et al., "PhysFormer: Facial Video-Based Physiological Measurement with Temporal Difference Transformer",
CVPR 2022. Checked against: the rPPG-Toolbox and FactorizePhys.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn
from torch.nn import functional

from vitalcam.models._blocks import check_frames, difference
from vitalcam.models._layers import TemporalDifferenceConv, chosen, conv_block, pool, repeat_in_time
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="physformer",
    outputs=("bvp",),
    paper="Yu et al.: PhysFormer: Facial Video-Based Physiological Measurement with Temporal Difference Transformer, "
    "CVPR 2022",
    size_px=128,
    frames=160,
    frames_multiple=4,
    transform="diff",
    parameters=7_380_865,
    variants=("toolbox", "diff"),
)
VARIANTS = {
    "toolbox": SPEC,
    "diff": dataclasses.replace(SPEC, size_px=72, transform="raw", parameters=7_380_871),
}
"""toolbox: differences are taken of the clip beforehand; diff: the network takes them itself, and pools once less."""

_WIDTH, _INNER, _HEADS, _BLOCKS = 96, 144, 4, 12
_THETA, _SHARPNESS, _DROPOUT = 0.7, 2.0, 0.1
_GRID = 4  # tokens along each side of the face

RELEASED_KEYS = (
    {"norm.": "input_norm.", "patch.": "patch_embedding.", "head.": "ConvBlockLast."}
    | {"decoder.0.": "upsample.", "decoder.1.": "upsample2."}
    | {f"stem.{place}.": f"Stem{i}." for i, place in enumerate((0, 2, 4))}
    | {
        f"blocks.{i}.{ours}": f"transformer{i // 4 + 1}.blocks.{i % 4}.{theirs}"
        for i in range(_BLOCKS)
        for ours, theirs in [
            ("query.", "attn.proj_q."), ("key.", "attn.proj_k."), ("value.", "attn.proj_v.0."), ("mix.", "proj."),
            ("norm_attention.", "norm1."), ("norm_forward.", "norm2."),
            ("forward_conv.0.", "pwff.fc1.0."), ("forward_conv.1.", "pwff.fc1.1."),
            ("forward_conv.3.", "pwff.STConv.0."), ("forward_conv.4.", "pwff.STConv.1."),
            ("forward_conv.6.", "pwff.fc2.0."), ("forward_conv.7.", "pwff.fc2.1."),
        ]
    }
)  # fmt: skip


class _Block(nn.Module):
    """Attention between all tokens, then a spatio-temporal forward layer; both add to their input."""

    def __init__(self) -> None:
        super().__init__()
        self.norm_attention = nn.LayerNorm(_WIDTH, eps=1e-6)
        self.query = nn.Sequential(TemporalDifferenceConv(_WIDTH, _THETA), nn.BatchNorm3d(_WIDTH))
        self.key = nn.Sequential(TemporalDifferenceConv(_WIDTH, _THETA), nn.BatchNorm3d(_WIDTH))
        self.value = nn.Conv3d(_WIDTH, _WIDTH, 1, bias=False)
        self.mix = nn.Linear(_WIDTH, _WIDTH)
        self.norm_forward = nn.LayerNorm(_WIDTH, eps=1e-6)
        self.forward_conv = nn.Sequential(
            nn.Conv3d(_WIDTH, _INNER, 1, bias=False), nn.BatchNorm3d(_INNER), nn.ELU(),
            nn.Conv3d(_INNER, _INNER, 3, padding=1, groups=_INNER, bias=False), nn.BatchNorm3d(_INNER), nn.ELU(),
            nn.Conv3d(_INNER, _WIDTH, 1, bias=False), nn.BatchNorm3d(_WIDTH),
        )  # fmt: skip

    def forward(self, tokens: Tensor) -> Tensor:
        """Tokens (B, N, 96), size unchanged."""
        tokens = tokens + self._dropped(self.mix(self._attend(_to_grid(self.norm_attention(tokens)))))
        return tokens + self._dropped(_to_tokens(self.forward_conv(_to_grid(self.norm_forward(tokens)))))

    def _dropped(self, change: Tensor) -> Tensor:
        return functional.dropout(change, _DROPOUT, self.training)

    def _attend(self, grid: Tensor) -> Tensor:
        q, k, v = (_to_heads(_to_tokens(part(grid))) for part in (self.query, self.key, self.value))
        dropout = _DROPOUT if self.training else 0.0
        mixed = functional.scaled_dot_product_attention(q, k, v, dropout_p=dropout, scale=1 / _SHARPNESS)
        return mixed.transpose(1, 2).flatten(2)


def _to_grid(tokens: Tensor) -> Tensor:
    """(B, N, C) to (B, C, N / 16, 4, 4)."""
    return tokens.mT.reshape(tokens.shape[0], tokens.shape[2], -1, _GRID, _GRID)


def _to_tokens(grid: Tensor) -> Tensor:
    """(B, C, T, 4, 4) to (B, 16 T, C)."""
    return grid.flatten(2).mT


def _to_heads(tokens: Tensor) -> Tensor:
    """(B, N, C) to (B, 4, N, C / 4)."""
    return tokens.reshape(tokens.shape[0], -1, _HEADS, _WIDTH // _HEADS).transpose(1, 2)


class PhysFormer(nn.Module):
    """The network.

    Args:
        differences: take and normalise the differences of consecutive frames first, of a picture of 72 px
            (otherwise 128 px).
    """

    def __init__(self, *, differences: bool = False) -> None:
        super().__init__()
        self.differences = differences
        self.norm = nn.BatchNorm3d(3) if differences else nn.Identity()
        self.stem = nn.Sequential(
            conv_block(3, _WIDTH // 4, (1, 5, 5)), nn.Identity() if differences else pool(1, 2),
            conv_block(_WIDTH // 4, _WIDTH // 2), pool(1, 2),
            conv_block(_WIDTH // 2, _WIDTH), pool(1, 2),
        )  # fmt: skip
        self.patch = nn.Conv3d(_WIDTH, _WIDTH, kernel_size=4, stride=4)
        self.blocks = nn.Sequential(*(_Block() for _ in range(_BLOCKS)))
        self.decoder = nn.Sequential(repeat_in_time(_WIDTH, _WIDTH), repeat_in_time(_WIDTH, _WIDTH // 2))
        self.head = nn.Conv1d(_WIDTH // 2, 1, kernel_size=1)

    def forward(self, x: Tensor, *, target: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Video (B, 3, T, H, W), T a multiple of 4, to {"bvp": (B, T)}."""
        check_frames(x, 4, "physformer")
        if self.differences:
            x = self.norm(difference(x))
        tokens = self.blocks(_to_tokens(self.patch(self.stem(x))))
        return {"bvp": self.head(self.decoder(_to_grid(tokens)).mean(dim=(3, 4))).flatten(1)}

    def aux_loss(self) -> Tensor | None:
        """No training term of its own."""
        return None


def build(variant: str = "") -> PhysFormer:
    """The network of a row of `VARIANTS`, "toolbox" if none is named."""
    return PhysFormer(differences=chosen(variant, VARIANTS) == "diff")
