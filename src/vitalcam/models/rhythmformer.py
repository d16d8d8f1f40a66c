"""RhythmFormer: attention between those stretches of time and face that beat alike, on three scales of time.

Paper: Zou et al., "RhythmFormer: Extracting Patterned rPPG Signals based on Periodic Sparse Attention", Pattern
Recognition 2025. Checked against: the authors' code and the rPPG-Toolbox.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitalcam.errors import UsageError
from vitalcam.models._blocks import check_frames, to_clips, to_frames
from vitalcam.models._layers import TemporalDifferenceConv, chosen, neighbour_differences, repeat_in_time
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="rhythmformer",
    outputs=("bvp",),
    paper="Zou et al.: RhythmFormer: Extracting Patterned rPPG Signals based on Periodic Sparse Attention, Pattern "
    "Recognition 2025",
    size_px=128,
    frames=160,
    frames_multiple=8,
    transform="standardized",
    parameters=3_251_137,
    variants=("published",),
)
VARIANTS = {"published": SPEC}

MIN_FRAMES = 24
"""Shorter clips have fewer regions than the attention picks."""

_WIDTH, _INNER, _HEADS, _PICKED, _GRID = 64, 96, 4, 40, 4
_HEAD_WIDTH = _WIDTH // _HEADS
_THETA = 0.2

RELEASED_KEYS = (
    {"patch.": "patch_embedding.", "head.": "ConvBlockLast."}
    | {f"stem.{ours}.": f"Fusion_Stem.{theirs}."
       for ours, theirs in [("raw", "stem11"), ("change", "stem12"), ("mixed", "stem21"), ("pure", "stem22")]}
    | {f"stages.{i}.{ours}.": f"stages.{i}.{theirs}_layers."
       for i in range(3) for ours, theirs in [("shorten", "downsample"), ("lengthen", "upsample")]}
    | {f"stages.{i}.blocks.{j}.{ours}.": f"stages.{i}.blocks.{j}.{theirs}."
       for i in range(3) for j in range(2)
       for ours, theirs in [("norm_attention", "norm1"), ("norm_forward", "norm2"), ("forward_conv", "mlp"),
                            ("attention.query", "attn.proj_q"), ("attention.key", "attn.proj_k"),
                            ("attention.value", "attn.proj_v.0"), ("attention.place", "attn.lepe"),
                            ("attention.mix", "attn.output_linear"), ("attention.unused", "attn.qkv_linear")]}
)  # fmt: skip


class _Stem(nn.Module):
    """The picture and its change over five frames, a quarter as large, mixed half and half."""

    def __init__(self) -> None:
        super().__init__()
        self.raw, self.change = self._quarter(3), self._quarter(12)
        self.mixed, self.pure = self._conv(), self._conv()

    @staticmethod
    def _quarter(channels: int) -> nn.Sequential:
        conv = nn.Conv2d(channels, _WIDTH, 5, stride=2, padding=2)
        return nn.Sequential(conv, nn.BatchNorm2d(_WIDTH), nn.ReLU(), nn.MaxPool2d(3, stride=2, padding=1))

    @staticmethod
    def _conv() -> nn.Sequential:
        return nn.Sequential(nn.Conv2d(_WIDTH, _WIDTH, 3, padding=1), nn.BatchNorm2d(_WIDTH), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, 64, T, H / 4, W / 4)."""
        raw, change = self.raw(to_frames(x)), self.change(to_frames(neighbour_differences(x)))
        fused = 0.5 * self.mixed(0.5 * raw + 0.5 * change) + 0.5 * self.pure(change)
        return to_clips(fused, x.shape[0])


class _RegionAttention(nn.Module):
    """Each region of the clip attends to the 40 regions whose mean keys fit its mean query best.

    The face is a grid of 4 x 4 regions; a region is `region_frames` long.

    The published network also carries a projection that it never applies. It is kept, untrained, because it is in the
    files and in the published count of parameters (3,326,017).
    """

    def __init__(self, region_frames: int) -> None:
        super().__init__()
        self.region_frames = region_frames
        self.query = nn.Sequential(TemporalDifferenceConv(_WIDTH, _THETA), nn.BatchNorm3d(_WIDTH))
        self.key = nn.Sequential(TemporalDifferenceConv(_WIDTH, _THETA), nn.BatchNorm3d(_WIDTH))
        self.value = nn.Conv3d(_WIDTH, _WIDTH, 1, bias=False)
        self.place = nn.Conv3d(_WIDTH, _WIDTH, 3, padding=1, groups=_WIDTH)
        self.mix = nn.Conv3d(_WIDTH, _WIDTH, 1)
        self.unused = nn.Conv3d(_WIDTH, 3 * _WIDTH, 1).requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 64, T, H, W), size unchanged."""
        q, k, v = self.query(x), self.key(x), self.value(x)
        picked = self._pick(q.detach(), k.detach())
        queries, keys, values = (self._to_regions(part) for part in (q, k, v))
        near = functional.scaled_dot_product_attention(
            queries, self._gather(keys, picked), self._gather(values, picked), scale=_WIDTH**-0.5
        )
        mixed: Tensor = self.mix(self._from_regions(near, x) + self.place(v))
        return mixed

    def _pick(self, q: Tensor, k: Tensor) -> Tensor:
        """Numbers of the regions that each region attends to: (B, R, 40)."""
        size = (self.region_frames, q.shape[3] // _GRID, q.shape[4] // _GRID)
        mean_q, mean_k = (functional.avg_pool3d(part, size).flatten(2) for part in (q, k))
        return torch.topk(mean_q.mT @ mean_k, _PICKED, dim=-1).indices

    def _to_regions(self, x: Tensor) -> Tensor:
        """(B, 64, T, H, W) to (B, heads · R, places in a region, 16)."""
        b, _, _, h, w = x.shape
        cut = x.reshape(
            b, _HEADS, _HEAD_WIDTH, -1, self.region_frames, _GRID, h // _GRID, _GRID, w // _GRID
        )  # heads, width, then time, rows, columns as (region, place in it)
        return cut.permute(0, 1, 3, 5, 7, 4, 6, 8, 2).flatten(5, 7).flatten(1, 4)

    def _from_regions(self, regions: Tensor, like: Tensor) -> Tensor:
        """The inverse of `_to_regions`."""
        b, _, _, h, w = like.shape
        cut = regions.reshape(b, _HEADS, -1, _GRID, _GRID, self.region_frames, h // _GRID, w // _GRID, _HEAD_WIDTH)
        return cut.permute(0, 1, 8, 2, 5, 3, 6, 4, 7).reshape(like.shape)

    def _gather(self, regions: Tensor, picked: Tensor) -> Tensor:
        """(B, heads · R, P, 16) and the regions picked for each to what these hold: (B, heads · R, 40 P, 16)."""
        b, rows, places, width = regions.shape
        first = torch.arange(b * _HEADS, device=picked.device).reshape(b, _HEADS, 1, 1) * picked.shape[1]
        held = regions.reshape(-1, places * width).index_select(0, (picked[:, None] + first).flatten())
        return held.reshape(b, rows, _PICKED * places, width)


class _Block(nn.Module):
    """Attention between regions, then a spatio-temporal forward layer; both add to their input."""

    def __init__(self, region_frames: int) -> None:
        super().__init__()
        self.norm_attention = nn.BatchNorm3d(_WIDTH)
        self.attention = _RegionAttention(region_frames)
        self.norm_forward = nn.BatchNorm3d(_WIDTH)
        self.forward_conv = nn.Sequential(
            nn.Conv3d(_WIDTH, _INNER, 1), nn.BatchNorm3d(_INNER), nn.GELU(),
            nn.Conv3d(_INNER, _INNER, 3, padding=1), nn.BatchNorm3d(_INNER), nn.GELU(),
            nn.Conv3d(_INNER, _WIDTH, 1), nn.BatchNorm3d(_WIDTH),
        )  # fmt: skip

    def forward(self, x: Tensor) -> Tensor:
        """(B, 64, T, H, W), size unchanged."""
        x = x + self.attention(self.norm_attention(x))
        changed: Tensor = x + self.forward_conv(self.norm_forward(x))
        return changed


class _Stage(nn.Module):
    """Time halved `halvings` times, two blocks, time doubled as often."""

    def __init__(self, halvings: int) -> None:
        super().__init__()
        self.shorten = nn.Sequential(*(self._halve() for _ in range(halvings)))
        region_frames = max(4 >> halvings, 1)
        self.blocks = nn.Sequential(_Block(region_frames), _Block(region_frames))
        self.lengthen = nn.Sequential(*(repeat_in_time(_WIDTH, _WIDTH) for _ in range(halvings)))

    @staticmethod
    def _halve() -> nn.Sequential:
        return nn.Sequential(nn.BatchNorm3d(_WIDTH), nn.Conv3d(_WIDTH, _WIDTH, (2, 1, 1), (2, 1, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """(B, 64, T, H, W), size unchanged."""
        longer: Tensor = self.lengthen(self.blocks(self.shorten(x)))
        return longer


class RhythmFormer(nn.Module):
    """The network."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = _Stem()
        self.patch = nn.Conv3d(_WIDTH, _WIDTH, (1, 4, 4), (1, 4, 4))
        self.stages = nn.Sequential(_Stage(1), _Stage(2), _Stage(3))
        self.head = nn.Conv1d(_WIDTH, 1, kernel_size=1)

    def forward(self, x: Tensor, *, target: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Standardised video (B, 3, T, H, W), T a multiple of 8 and at least 24, to {"bvp": (B, T)}.

        Raises:
            UsageError: T will not do.
        """
        check_frames(x, SPEC.frames_multiple, "rhythmformer")
        if not torch.onnx.is_in_onnx_export() and x.shape[2] < MIN_FRAMES:
            raise UsageError(f"rhythmformer: a clip must have at least {MIN_FRAMES} frames, got {x.shape[2]}")
        features = self.stages(self.patch(self.stem(x))).mean(dim=(3, 4))
        return {"bvp": self.head(features).flatten(1)}

    def aux_loss(self) -> Tensor | None:
        """No training term of its own."""
        return None


def build(variant: str = "") -> RhythmFormer:
    """The network; there is one variant."""
    chosen(variant, VARIANTS)
    return RhythmFormer()
