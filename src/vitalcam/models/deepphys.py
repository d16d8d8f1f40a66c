"""DeepPhys: how the skin changes, looked at where the picture of the face says that it pays.

Paper: Chen, McDuff, "DeepPhys: Video-Based Physiological Measurement Using Convolutional Attention Networks",
ECCV 2018. Checked against: the rPPG-Toolbox. TS-CAN is the same network with shifted frames.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from vitalcam.models._blocks import check_frames, shift_frames, soft_mask, to_frames
from vitalcam.models._layers import chosen
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="deepphys",
    outputs=("bvp",),
    paper="Chen, McDuff: DeepPhys: Video-Based Physiological Measurement Using Convolutional Attention Networks, "
    "ECCV 2018",
    size_px=72,
    frames=180,
    transform="diff+standardized",
    parameters=2_228_643,
    variants=("toolbox",),
)
VARIANTS = {"toolbox": SPEC}

RELEASED_KEYS = {
    f"levels.{level}.{ours}.": f"{theirs}{number}."
    for level in (0, 1)
    for ours, theirs, number in [
        ("motion.0", "motion_conv", 2 * level + 1),
        ("motion.1", "motion_conv", 2 * level + 2),
        ("appearance.0", "apperance_conv", 2 * level + 1),
        ("appearance.1", "apperance_conv", 2 * level + 2),
        ("gate", "apperance_att_conv", level + 1),
    ]
} | {"heads.bvp.0.": "final_dense_1.", "heads.bvp.3.": "final_dense_2."}


class _Level(nn.Module):
    """Two convolutions of motion and two of appearance, and the mask that appearance lays on motion."""

    def __init__(self, channels: int, out: int, segment: int) -> None:
        super().__init__()
        self.motion = self._convs(channels, out)
        self.appearance = self._convs(channels, out)
        self.gate = nn.Conv2d(out, 1, kernel_size=1)
        self.segment = segment

    @staticmethod
    def _convs(channels: int, out: int) -> nn.ModuleList:
        return nn.ModuleList([nn.Conv2d(channels, out, 3, padding=1), nn.Conv2d(out, out, 3)])

    def forward(self, motion: Tensor, appearance: Tensor) -> tuple[Tensor, Tensor]:
        """Both (B·T, C, H, W) to (B·T, C', H - 2, W - 2)."""
        for conv in self.motion:
            motion = torch.tanh(conv(shift_frames(motion, self.segment) if self.segment else motion))
        for conv in self.appearance:
            appearance = torch.tanh(conv(appearance))
        return motion * soft_mask(self.gate(appearance)), appearance


class MotionAppearance(nn.Module):
    """The two-branch network of DeepPhys and TS-CAN.

    Args:
        size_px: side of the picture, which fixes the width of the dense layers.
        channels: of each of the two inputs.
        segment: frames are shifted within runs of this many (TS-CAN); 0 for not at all.
        tasks: a dense head for each of these waveforms.
        name: for messages.
    """

    def __init__(
        self, size_px: int, channels: int = 3, *, segment: int = 0, tasks: tuple[str, ...] = ("bvp",), name: str
    ) -> None:
        super().__init__()
        side = ((size_px - 2) // 2 - 2) // 2
        self.levels = nn.ModuleList([_Level(channels, 32, segment), _Level(32, 64, segment)])
        self.heads = nn.ModuleDict({task: self._head(64 * side * side) for task in tasks})
        self.segment, self.name = segment, name

    @staticmethod
    def _head(features: int) -> nn.Sequential:
        return nn.Sequential(nn.Linear(features, 128), nn.Tanh(), nn.Dropout(0.5), nn.Linear(128, 1))

    def forward(self, x: Tensor, *, target: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Differences and standardised video stacked (B, 2 C, T, H, W) to a waveform (B, T) for each task."""
        check_frames(x, self.segment or 1, self.name)
        motion, appearance = to_frames(x).chunk(2, dim=1)
        for level in self.levels:
            motion, appearance = (self._pooled(y) for y in level(motion, appearance))
        features = motion.flatten(1)
        return {task: head(features).reshape(x.shape[0], -1) for task, head in self.heads.items()}

    def _pooled(self, x: Tensor) -> Tensor:
        return functional.dropout(functional.avg_pool2d(x, 2), 0.25, self.training)

    def aux_loss(self) -> Tensor | None:
        """No training term of its own."""
        return None


def build(variant: str = "", *, size_px: int = SPEC.size_px, channels: int = 3) -> MotionAppearance:
    """The network; there is one variant."""
    chosen(variant, VARIANTS)
    return MotionAppearance(size_px, channels, name="deepphys")
