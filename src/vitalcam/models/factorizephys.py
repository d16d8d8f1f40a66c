"""FactorizePhys: differences of frames through 3-D convolutions, with attention by matrix factorization (FSAM).

Paper: Jitesh Joshi, Sos S. Agaian, Youngjun Cho, "FactorizePhys: Matrix Factorization for Multidimensional Attention in
    Remote Physiological Sensing", NeurIPS 2024.
Checked against: https://github.com/PhysiologicAILab/FactorizePhys by the outputs of its released weights (those are
    Responsible-AI licensed and not part of this package).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vitalcam.models._attention import AttentionSettings
from vitalcam.models._blocks import Layer
from vitalcam.models._branch import Branch, BranchNetwork, Table, released_keys
from vitalcam.models._layers import chosen
from vitalcam.types import ModelSpec

PAPER = "Joshi, Agaian, Cho: FactorizePhys. NeurIPS 2024"
CODE = "https://github.com/PhysiologicAILab/FactorizePhys"

_72 = Table(
    trunk=(
        Layer(8, pad=1),
        Layer(12, stride=2),
        Layer(12, dropout=True),
        Layer(12),
        Layer(16, stride=2),
        Layer(16, dropout=True),
        Layer(16),
        Layer(16),
        Layer(16, dropout=True),
    ),
    head=(Layer(12), Layer(8)),
)
_128 = Table(
    trunk=(
        Layer(8),
        Layer(12, stride=2),
        Layer(12, dropout=True),
        Layer(12, stride=2),
        Layer(16),
        Layer(16, dropout=True),
    ),
    head=(Layer(16, stride=2), Layer(16), Layer(16, dropout=True), Layer(12, kernel=4), Layer(8)),
)
_TABLES = {72: _72, 128: _128}
_ROWS: dict[str, tuple[dict[str, int], int, int]] = {  # variant: channels, size_px, frames
    "rgb": ({"rgb": 3}, 72, 160),
    "thermal": ({"thermal": 1}, 72, 160),
    "rgbt": ({"rgb": 3, "thermal": 1}, 72, 160),
    "rgb_128": ({"rgb": 3}, 128, 160),
    "rgb_128_240": ({"rgb": 3}, 128, 240),
}


def build(variant: str = "", *, dropout: float = 0.1, **options: Any) -> BranchNetwork:
    """The network, untrained.

    Args:
        variant: a name of `VARIANTS`; empty for "rgb".
        dropout: share of values that are left out.
        options: fields of `AttentionSettings`.

    Raises:
        UnknownName: there is no such variant.
        ConfigError: there is no such option, or no such value of it.
    """
    channels, size_px, _ = _ROWS[chosen(variant, _ROWS)]
    settings = AttentionSettings.of(build, options)
    n = sum(channels.values())
    return BranchNetwork({"bvp": Branch(_TABLES[size_px], [slice(0, n)], settings, dropout=dropout)}, n)


def _spec(channels: Mapping[str, int], size_px: int, frames: int) -> ModelSpec:
    return ModelSpec(
        name="factorizephys",
        outputs=("bvp",),
        paper=PAPER,
        channels=channels,
        size_px=size_px,
        fs_hz=30.0,
        frames=frames,
        transform="raw",
        parameters=_TABLES[size_px].parameters([slice(0, sum(channels.values()))]),
        code_url=CODE,
        variants=tuple(_ROWS),
    )


RELEASED_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"attention": "none"})


def released_layouts(variant: str) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """How the authors' two repositories, which split the layers differently, name the tensors.

    Returns:
        What `build` has to be told, and beginnings of our names and of theirs.
    """
    table = _TABLES[VARIANTS[variant].size_px]
    extractor, head = "rppg_feature_extractor.FeatureExtractor", "rppg_head"
    final = [f"{head}.final_layer.{i}" for i in (0, 1)]
    splits = (((0, 1, 2, 4, 5, 6), (0, 1, 2)), ((0, 1, 2, 4), (0, 1, 3, 4, 5)))
    places = (
        [f"{extractor}.{i}" for i in early] + [f"{head}.conv_block.{i}" for i in late] + final for early, late in splits
    )
    return [({}, released_keys("bvp", table, place, head)) for place in places]


VARIANTS = {variant: _spec(*row) for variant, row in _ROWS.items()}
SPEC = VARIANTS["rgb"]
