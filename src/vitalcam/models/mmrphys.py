"""MMRPhys: FactorizePhys slimmed, with a second branch for breathing, for three sizes of picture and two cameras.

Paper: Jitesh Joshi, Youngjun Cho, "Efficient and Robust Multidimensional Attention in Remote Physiological Sensing
    through Target Signal Constrained Factorization", 2025.
Checked against: https://github.com/PhysiologicAILab/MMRPhys (MIT) by the outputs of its released weights. The authors'
    names are L, M, S (72, 36, 9 px) and N, E, L (no, early, late fusion): LEF is "72_rgb", SNF "9_rgbt_none". Their MLF
    does not run (a kernel is larger than its input); "36_rgbt_late" is what its tables mean.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from vitalcam.models._attention import AttentionSettings
from vitalcam.models._blocks import Layer
from vitalcam.models._branch import Branch, BranchNetwork, Table, released_keys
from vitalcam.models._layers import chosen
from vitalcam.types import ModelSpec

PAPER = "Joshi, Cho: Efficient and Robust Multidimensional Attention in Remote Physiological Sensing through Target \
Signal Constrained Factorization. 2025"
CODE = "https://github.com/PhysiologicAILab/MMRPhys"

_BVP_TRUNKS = {
    72: (
        Layer(8, stride=2),
        Layer(12, dropout=True),
        Layer(16),
        Layer(16, stride=2),
        Layer(16),
        Layer(16, dropout=True),
    ),
    36: (Layer(8, pad=1), Layer(12, dropout=True), Layer(16), Layer(16, stride=2), Layer(16), Layer(16, dropout=True)),
    9: (
        Layer(8, pad=1),
        Layer(12, pad=1, dropout=True),
        Layer(16, pad=1),
        Layer(16, pad=1),
        Layer(16, pad=1),
        Layer(16, dropout=True),
    ),
}
_RESP_TRUNKS = {
    72: (
        Layer(16),
        Layer(16, stride=2, stride_t=2),
        Layer(16, dropout=True),
        Layer(16),
        Layer(16, stride=2, stride_t=2),
        Layer(16, dropout=True),
        Layer(16),
    ),
    36: (
        Layer(16, pad=1),
        Layer(16, stride_t=2),
        Layer(16, dropout=True),
        Layer(16),
        Layer(16, stride=2, stride_t=2),
        Layer(16, dropout=True),
        Layer(16),
    ),
    9: (
        Layer(16, pad=1),
        Layer(16, pad=1, stride_t=2),
        Layer(16, pad=1, dropout=True),
        Layer(16, pad=1),
        Layer(16, pad=1, stride_t=2),
        Layer(16, pad=1, dropout=True),
        Layer(16, pad=1),
    ),
}
_APART = {  # frames between the looks in time, in the trunk and in the head of a network built "long"
    "bvp": ((1, 2, 4, 8, 16, 8), (4, 2)),
    "resp": ((1, 1, 1, 1, 1, 2, 4), (4,)),
}
_RGB, _THERMAL, _ALL = slice(0, 3), slice(3, 4), slice(0, 4)
_VIEWS = {  # what the trunks of each branch see
    "rgb": {"bvp": [_RGB], "resp": [_RGB]},
    "thermal": {"bvp": [slice(0, 1)], "resp": [slice(0, 1)]},
    "rgbt_early": {"bvp": [_ALL], "resp": [_ALL]},
    "rgbt_late": {"bvp": [_RGB, _THERMAL], "resp": [_RGB, _THERMAL]},
    "rgbt_none": {"bvp": [_RGB], "resp": [_THERMAL]},
}
_CHANNELS = {"rgb": {"rgb": 3}, "thermal": {"thermal": 1}}
_TASKS = {"": ("bvp", "resp"), "_bvp": ("bvp",), "_resp": ("resp",)}


@dataclass(frozen=True)
class Row:
    """One variant.

    Attributes:
        size_px: side of the picture.
        sees: a key of `_VIEWS`: modality and fusion.
        tasks: its branches.
    """

    size_px: int
    sees: str
    tasks: tuple[str, ...]

    @property
    def channels(self) -> dict[str, int]:
        """Modalities and their numbers of channels."""
        return _CHANNELS.get(self.sees, {"rgb": 3, "thermal": 1})

    def table(self, task: str) -> Table:
        """Layers of one branch."""
        late = len(_VIEWS[self.sees][task]) > 1
        if task == "resp":
            return Table(_RESP_TRUNKS[self.size_px], (Layer(16, stride=2),), last=4, upsample=4)
        stride = 1 if self.size_px == 9 else 2
        return Table(_BVP_TRUNKS[self.size_px], (Layer(16 if late else 12, stride=stride), Layer(8)))


def _looking_far(table: Table, trunk: tuple[int, ...], head: tuple[int, ...]) -> Table:
    """The same layers, their looks so many frames apart."""
    trunk_ = tuple(dataclasses.replace(layer, apart_t=n) for layer, n in zip(table.trunk, trunk, strict=True))
    head_ = tuple(dataclasses.replace(layer, apart_t=n) for layer, n in zip(table.head, head, strict=True))
    return dataclasses.replace(table, trunk=trunk_, head=head_)


_ROWS = {
    f"{size_px}_{sees}{suffix}": Row(size_px, sees, tasks)
    for size_px in (72, 36, 9)
    for sees in _VIEWS
    for suffix, tasks in _TASKS.items()
    if sees != "rgbt_none" or len(tasks) > 1  # one branch without fusion is a row of one camera
}
RELEASED_OPTIONS: tuple[dict[str, Any], ...] = ({}, {"attention": "none"})
RELEASED_UNUSED = "rBP_head."  # a head for blood pressure in the files of no and late fusion


def build(
    variant: str = "", *, dropout: float = 0.1, first_pad: int | None = None, resp_rank: int = 4, long: bool = False,
    **options: Any,
) -> BranchNetwork:  # fmt: skip
    """The network, untrained.

    Args:
        variant: a name of `VARIANTS`; empty for "72_rgb".
        dropout: share of values that are left out.
        first_pad: zeros around the pictures before the first convolution of the BVP branch, which the authors had in
            November 2024 and two of their files need.
        resp_rank: in place of the rank, for breathing.
        long: (ours, not the authors') move the three looks that a convolution takes in time apart, so that a wave's
            sample is made of 3.8 s of the pulse and of 4.0 s of breathing rather than of 0.8 and 1.8 s at 25 Hz, at the
            same number of weights.
        options: fields of `AttentionSettings`. Attention is "fsam" unless said otherwise: the paper's "tsfm", done as
            it is written, shows the network its target while training (docs/fidelity.md).

    Raises:
        UnknownName: there is no such variant.
        ConfigError: there is no such option, or no such value of it.
    """
    row = _ROWS[chosen(variant, _ROWS)]
    settings = AttentionSettings.of(build, options)
    branches = {}
    for task in row.tasks:
        table = row.table(task)
        if task == "bvp" and first_pad is not None:
            first, *others = table.trunk
            table = dataclasses.replace(table, trunk=(dataclasses.replace(first, pad=first_pad), *others))
        table = _looking_far(table, *_APART[task]) if long else table
        own = dataclasses.replace(settings, rank=resp_rank) if task == "resp" else settings
        branches[task] = Branch(table, _VIEWS[row.sees][task], own, dropout=dropout)
    return BranchNetwork(branches, sum(row.channels.values()), frames_multiple=_multiple(row))


def _multiple(row: Row) -> int:
    return 4 if "resp" in row.tasks else 1


def _spec(row: Row) -> ModelSpec:
    both = len(row.tasks) == 2
    return ModelSpec(
        name="mmrphys",
        outputs=row.tasks,
        paper=PAPER,
        channels=row.channels,
        size_px=row.size_px,
        fs_hz=25.0 if both else 30.0,
        frames=180 if both else 160,
        frames_multiple=_multiple(row),
        transform="raw",
        parameters=sum(row.table(task).parameters(_VIEWS[row.sees][task]) for task in row.tasks),
        code_url=CODE,
        variants=tuple(_ROWS),
    )


def released_layouts(variant: str) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """How the authors' files name the tensors: today, and where BVP is all there is, as of November 2024.

    Returns:
        What `build` has to be told, and beginnings of our names and of theirs.
    """
    row = _ROWS[variant]
    cameras = ("rgb_", "thermal_") if row.sees == "rgbt_late" else ("",)
    keys: dict[str, str] = {}
    if "bvp" in row.tasks:
        keys |= _bvp_keys(row, cameras, (0, 1, 3), (0, 1, 2))
    if "resp" in row.tasks:
        keys |= _branch_keys(row, "resp", cameras, ("rBr_head", "conv_block"), ((0, 1, 2), (0, 1, 2, 4), (0,)))
    if row.tasks != ("bvp",) or row.size_px != 72 or len(cameras) > 1:
        return [({}, keys)]
    return [({}, keys), ({"first_pad": 1}, _bvp_keys(row, cameras, (0, 1, 3, 4, 5), (1,)))]


def _bvp_keys(row: Row, cameras: tuple[str, ...], first: tuple[int, ...], then: tuple[int, ...]) -> dict[str, str]:
    return _branch_keys(row, "bvp", cameras, ("rppg_head", "conv_layer"), (first, then, (0, 1)))


def _branch_keys(
    row: Row, task: str, cameras: tuple[str, ...], head: tuple[str, str], at: tuple[tuple[int, ...], ...]
) -> dict[str, str]:
    """Names of a branch, whose layers they split over an extractor, a part of the head, and its end."""
    places = []
    for camera in cameras:
        extractor = f"{camera}{'bvp' if task == 'bvp' else 'rsp'}_feature_extractor"
        block = f"{head[0]}.{head[1]}{'_' + camera.rstrip('_') if camera else ''}"
        places += [f"{extractor}.{extractor}.{i}" for i in at[0]] + [f"{block}.{i}" for i in at[1]]
    places += [f"{head[0]}.final_layer.{i}" for i in at[2]]
    return released_keys(task, row.table(task), places, head[0], trunks=len(cameras))


VARIANTS = {variant: _spec(row) for variant, row in _ROWS.items()}
SPEC = VARIANTS["72_rgb"]
