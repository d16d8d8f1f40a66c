"""physFSUNet: picture and change fused, shifted and gated convolutions on the way down, and a way up in time.

There is no public code of it; this is a reconstruction. The paper fixes the kinds of layers, their order in words, the
inputs of the two stems and 831 thousand parameters, but no widths. Taken from PhysNet, whose size the paper likens its
own to: widths 16, 32, 64, the first kernel 1x5x5, the decoder. Guessed so that the count comes out: 3x3 read as
3x3x3, no bias before a batch norm, a decoder with 256 hidden units, gates of one 1x1x1 convolution, alpha = beta = 1/2
(RhythmFormer's). Other widths would fit the count as well.

The row "literal" follows the paper's sentences on the order of layers. "fast" pools before the first shifted
convolutions, as PhysNet does, for a third of the multiply-adds. "small" is ours, for measuring as the video plays:
"fast" with half the widths, half the rows and columns behind the first convolutions, and a second wave, the breath's.
The other rows are the paper's ablations.

Paper: Cen, Fu, Hong, "Robust and Generalizable Heart Rate Estimation via Deep Learning for Remote Photoplethysmography
in Complex Scenarios", 2025. Its gate is EfficientPhys' (Liu et al., WACV 2023), its shift TSM's (Lin et al., ICCV
2019), the differences are RhythmFormer's (Zou et al., 2025).
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from vitalcam import config
from vitalcam.errors import ConfigError
from vitalcam.models._blocks import check_frames, instance_norm, soft_mask, temporal_shift
from vitalcam.models._layers import chosen, conv_block, neighbour_differences, pool, spread_in_time
from vitalcam.types import ModelSpec

_LEVEL = ("conv", "conv", "gate")
LITERAL = (*_LEVEL, "halve space", *_LEVEL, "halve", "drop") * 2
FAST = (
    "halve space", *_LEVEL, "halve", "drop",
    *_LEVEL, "halve", "drop", "conv", "conv", "halve space", "conv", "conv",
)  # fmt: skip


_STEMS = ("both", "raw", "diff")
_STEPS = frozenset(LITERAL)


@dataclass(frozen=True)
class Settings:
    """What distinguishes the rows.

    Attributes:
        order: layers between stem and decoder.
        stem: inputs that are used: "both", "raw" or "diff".
        shift: channels are shifted in time before each convolution.
        gates: features are masked; otherwise the gates are left out.
        even_change: differences of each clip are brought to unit deviation. This is not in the paper; without it the
            network learned nothing in the few hundred steps that a CPU affords (docs/results.md).
        width: numbers of channels, in those above.
        stride: of the first convolutions in rows and columns, so that they alone see the whole picture.
        breathing: a second wave, the breath's, out of the same features.
    """

    order: tuple[str, ...] = LITERAL
    stem: str = "both"
    shift: bool = True
    gates: bool = True
    even_change: bool = False
    width: float = 1.0
    stride: int = 1
    breathing: bool = False

    def __post_init__(self) -> None:
        if self.stem not in _STEMS:
            raise ConfigError(f"stem is {self.stem!r}; it must be one of {', '.join(_STEMS)}")
        if unknown := sorted(set(self.order) - _STEPS):
            raise ConfigError(f"order has {unknown[0]!r}; its steps are {', '.join(sorted(_STEPS))}")
        if not 0 < self.width <= 4:
            raise ConfigError(f"width is {self.width}; it must be more than 0 and at most 4")
        if self.stride < 1:
            raise ConfigError(f"stride is {self.stride}; it must be at least 1")

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the waves."""
        return ("bvp", "resp") if self.breathing else ("bvp",)

    def channels(self, paper: int) -> int:
        """Width of a layer, of its number of channels in the paper."""
        return max(round(self.width * paper), 1)


_ROWS = {
    "literal": (Settings(), 831_477),
    "fast": (Settings(order=FAST), 831_347),
    "small": (Settings(order=FAST, even_change=True, width=0.5, stride=2, breathing=True), 209_980),
    "raw_only": (Settings(stem="raw"), 812_757),
    "diff_only": (Settings(stem="diff"), 816_357),
    "no_shift": (Settings(shift=False), 831_477),
    "no_gates": (Settings(gates=False), 831_217),
}

SPEC = ModelSpec(
    name="physfsunet",
    outputs=("bvp",),
    paper="Cen, Fu, Hong: Robust and Generalizable Heart Rate Estimation via Deep Learning for Remote "
    "Photoplethysmography in Complex Scenarios, arXiv:2507.07795, 2025",
    size_px=72,
    frames=160,
    frames_multiple=4,
    transform="standardized",
    parameters=831_477,
    variants=tuple(_ROWS),
)
VARIANTS = {
    name: dataclasses.replace(SPEC, parameters=parameters, outputs=row.outputs)
    for name, (row, parameters) in _ROWS.items()
}


class _Stem(nn.Module):
    """Differential frame fusion: I = a·S21(R) + b·S22(a·R + b·D), R from the frames, D from their differences.

    Args:
        settings: "raw" is S21(R) alone, "diff" S22(D) alone.
        alpha: a, weight of the picture.
        beta: b, weight of the change.
    """

    def __init__(self, settings: Settings, *, alpha: float = 0.5, beta: float = 0.5) -> None:
        super().__init__()
        self.used, self.even, self.alpha, self.beta = settings.stem, settings.even_change, alpha, beta
        first, second = settings.channels(16), settings.channels(32)
        if self.used != "diff":
            self.raw = conv_block(3, first, (1, 5, 5), stride=settings.stride, bias=False)
            self.pure = conv_block(first, second, bias=False)
        if self.used != "raw":
            self.change = conv_block(12, first, (1, 5, 5), stride=settings.stride, bias=False)
            self.mixed = conv_block(first, second, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, 3, T, H, W) to (B, 32 · width, T, H, W)."""
        fused: Tensor
        if self.used == "raw":
            fused = self.pure(self.raw(x))
        elif self.used == "diff":
            fused = self.mixed(self.change(self._differences(x)))
        else:
            raw, change = self.raw(x), self.change(self._differences(x))
            fused = self.alpha * self.pure(raw) + self.beta * self.mixed(self.alpha * raw + self.beta * change)
        return fused

    def _differences(self, x: Tensor) -> Tensor:
        steps = neighbour_differences(x)
        return instance_norm(steps) if self.even else steps


class _ShiftedConv(nn.Module):
    """A convolution, batch norm and ReLU on channels of which a third comes from each neighbouring frame."""

    def __init__(self, channels: int, out: int, *, shift: bool) -> None:
        super().__init__()
        self.conv = conv_block(channels, out, bias=False)
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W) to (B, C', T, H, W)."""
        features: Tensor = self.conv(temporal_shift(x) if self.shift else x)
        return features


class _Gate(nn.Module):
    """Features times a mask that they give themselves; its mean over each frame is 1/2 (the paper's equation 4).

    Read to the letter the mask comes from what enters the block. We take it from what the convolutions give, as the
    code does that the equation cites.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(channels, 1, kernel_size=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, T, H, W), size unchanged."""
        return x * soft_mask(self.conv(x))


class PhysFSUNet(nn.Module):
    """The network.

    Args:
        settings: order of layers and what is left out.
    """

    def __init__(self, settings: Settings) -> None:
        super().__init__()
        self.outputs = settings.outputs
        self.stem = _Stem(settings)
        self.trunk = _trunk(settings)
        width, hidden = settings.channels(64), settings.channels(256)
        self.spread = nn.Sequential(spread_in_time(width, bias=False), spread_in_time(width, bias=False))
        # dense layers of each frame; as such torch 2.13 would give wrong gradients to a batch norm of 1x1 pictures
        self.head = nn.Sequential(
            nn.Conv1d(width, hidden, 1), nn.ReLU(), nn.Dropout(0.2), nn.Conv1d(hidden, len(self.outputs), 1)
        )

    def forward(self, x: Tensor, *, target: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Standardised video (B, 3, T, H, W), T a multiple of 4, to {"bvp": (B, T)}, with "resp" if asked for."""
        check_frames(x, SPEC.frames_multiple, "physfsunet")
        features = self.spread(self.trunk(self.stem(x))).mean(dim=(3, 4))
        return dict(zip(self.outputs, self.head(features).unbind(1), strict=True))

    def aux_loss(self) -> Tensor | None:
        """No training term of its own."""
        return None


def _trunk(settings: Settings) -> nn.Sequential:
    """The layers between stem and decoder; the widths are 32, 32, 64, 64 …, times the settings'."""
    layers: list[nn.Module] = []
    channels, *rest = (settings.channels(paper) for paper in (32, 32, *(64,) * 7))
    widths = iter(rest)
    for step in settings.order:
        if step == "conv":
            out = next(widths)
            layers.append(_ShiftedConv(channels, out, shift=settings.shift))
            channels = out
        elif step == "gate" and settings.gates:
            layers.append(_Gate(channels))
        elif step == "drop":
            layers.append(nn.Dropout3d(0.2))
        elif step.startswith("halve"):
            layers.append(pool(1 if step == "halve space" else 2, 2))
    return nn.Sequential(*layers)


def build(variant: str = "", **options: Any) -> PhysFSUNet:
    """The network of a row of `VARIANTS`, "literal" if none is named.

    Args:
        variant: the row.
        options: fields of `Settings` in place of the row's, such as ``stem="raw"``.

    Raises:
        UnknownName: there is no such row.
        ConfigError: there is no such field, or no such value of it.
    """
    settings, _ = _ROWS[chosen(variant, _ROWS)]
    return PhysFSUNet(config.build(Settings, {**dataclasses.asdict(settings), **options}))
