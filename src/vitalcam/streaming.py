"""FactorizePhys and MMRPhys on a stream: most of the network runs on what is new, not on the whole window again.

These networks see time locally, but for one thing: every layer normalises its channels over the window. Here a network
is cut behind its costly layers. `Front`, those layers, takes a piece of video with some frames more, and statistics to
normalise with; `Back`, the cheap rest, takes what the front gave for all frames of a window and normalises with the
window's own. `Window` is both, on the window's own statistics, and tells them. `vitalcam.sliding` puts them together.
docs/streaming.md says how like the whole window that is, and what it saves.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from vitalcam import files
from vitalcam.errors import UsageError
from vitalcam.export import MAX_FRAMES, agreed, example, graph, prepared
from vitalcam.models._blocks import ConvTanhNorm, difference, instance_norm
from vitalcam.models._branch import Branch, BranchNetwork
from vitalcam.sliding import EPS, LIMIT, Arrays, Plan, Sliding, onnx_part, statistics
from vitalcam.types import Floats, ModelSpec

BACK_SHARE = 0.1
"""Largest part of the multiply-adds behind the cut."""


class Cut:
    """A branch in two: stages of convolutions, each after a norm, in front of the cut and behind it.

    Attributes:
        step: frames for each of the features at the cut.
        lead, trail: how many frames the features of a piece depend on before it, and how many at a window's end change
            when it goes on; multiples of the step.
        layers: numbers of channels of the norms in front.

    Args:
        branch: it.
        size_px: side of the picture, which decides what a layer costs.
    """

    def __init__(self, branch: Branch, size_px: int) -> None:
        self.branch = branch
        trunks = [_convolutions(trunk) for trunk in branch.trunks]
        self._stages = [*zip(*trunks, strict=True), *((conv,) for conv in _convolutions(branch.head))]
        self._depth = _depth(self._stages, size_px)
        front = self._stages[: self._depth]
        self._steps = list(_steps(front))
        self.step = self._steps[-1]
        reach = sum(
            step * (stage[0].kernel_size[0] // 2) * stage[0].dilation[0]
            for step, stage in zip(self._steps, front, strict=False)
        )
        self.lead, self.trail = _up(reach, self.step), _up(reach + 1, self.step)  # a difference needs the next frame
        self.layers = tuple(sum(conv.in_channels for conv in stage) for stage in front)

    def front(self, x: Tensor, given: Tensor | None = None) -> tuple[Tensor, Tensor]:
        """The costly layers.

        Args:
            x: differences (1, C, T, H, W).
            given: statistics (2, N) to normalise with; those of x itself if there are none.

        Returns:
            features at the cut (1, K, T / step, h, w), and mean and variance of each frame before each norm (2, N, T).
        """
        moments, parts = [], [x[:, view] for view in self.branch.views]
        shares = iter(() if given is None else torch.split(given, list(self.layers), dim=1))
        for stage, step in zip(self._stages[: self._depth], self._steps, strict=False):
            parts = _joined(parts, stage)
            found = torch.cat([_moments(part) for part in parts], dim=1)
            known = _known(found) if given is None else next(shares)
            own = torch.split(known, [part.shape[1] for part in parts], dim=1)
            parts = [torch.tanh(conv(_normal(part, s))) for conv, part, s in zip(stage, parts, own, strict=True)]
            moments.append(_repeated(found, step))
        return torch.cat(parts, dim=1), torch.cat(moments, dim=1)

    def back(self, features: Tensor) -> Tensor:
        """Features of a window (1, K, T / step, h, w) to its wave (1, T)."""
        parts = list(torch.split(features, [conv.out_channels for conv in self._stages[self._depth - 1]], dim=1))
        for stage in self._stages[self._depth :]:
            parts = _joined(parts, stage)
            parts = [torch.tanh(conv(instance_norm(part))) for conv, part in zip(stage, parts, strict=True)]
        y = _repeated(instance_norm(torch.cat(parts, dim=1)), self.branch.upsample)
        wave: Tensor = self.branch.last(y)[:, 0, :, 0, 0]
        return wave


class _Piece(nn.Module):
    """Part of a network as ONNX wants it: tensors in, a tuple out, both with names.

    Attributes:
        network: it.
        inputs, names: of what it takes and gives.
        cuts: its branches by the names of their waves.
    """

    inputs: tuple[str, ...]
    names: tuple[str, ...]

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__()
        self.network = _local(network)
        branches = cast(Mapping[str, Branch], self.network.branches)
        self.cuts = {name: Cut(branches[name], spec.size_px) for name in spec.outputs}

    def differences(self, video: Tensor) -> Tensor:
        """Of the channels that the network uses."""
        return difference(video[:, self.network.used])

    def numpy(self, inputs: Arrays) -> dict[str, Floats]:
        """The same on arrays, by name."""
        with torch.inference_mode():
            found = self(*(torch.from_numpy(np.ascontiguousarray(inputs[name])) for name in self.inputs))
        return {name: value.numpy() for name, value in zip(self.names, found, strict=True)}


class Window(_Piece):
    """The whole network: "video" (1, C, T, H, W) to waves (1, T), and what the front of each branch gave."""

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__(network, spec)
        self.inputs, self.names = ("video",), (*spec.outputs, *_names(spec, "features"), *_names(spec, "moments"))

    def forward(self, video: Tensor) -> tuple[Tensor, ...]:
        """Waves, features, moments."""
        x = self.differences(video)
        features, moments = zip(*(cut.front(x) for cut in self.cuts.values()), strict=True)
        waves = (cut.back(found) for cut, found in zip(self.cuts.values(), features, strict=True))
        return (*waves, *features, *moments)


class Front(_Piece):
    """The costly layers on the last frames of a window.

    Attributes:
        halo_frames: how many frames are given beside the new ones: those that these depend on, and those that had
            stood at the window's end, where there was nothing to see beyond.
    """

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__(network, spec)
        self.inputs = ("video", "statistics")
        self.names = (*_names(spec, "features"), *_names(spec, "moments"))
        self.halo_frames = _up(max(cut.lead + cut.trail for cut in self.cuts.values()), spec.frames_multiple)

    def forward(self, video: Tensor, statistics: Tensor) -> tuple[Tensor, ...]:
        """Features and moments without the frames that only served others."""
        x = self.differences(video)
        shares = torch.split(statistics, [sum(cut.layers) for cut in self.cuts.values()], dim=1)
        found = [self._inner(cut, x, given) for cut, given in zip(self.cuts.values(), shares, strict=True)]
        features, moments = zip(*found, strict=True)
        return (*features, *moments)

    def _inner(self, cut: Cut, x: Tensor, given: Tensor) -> tuple[Tensor, Tensor]:
        """A branch is shown no more than it needs itself."""
        features, moments = cut.front(x[:, :, self.halo_frames - cut.lead - cut.trail :], given)
        return features[:, :, cut.lead // cut.step :], moments[:, :, cut.lead :]


class Back(_Piece):
    """The rest: features of a window to waves (1, T)."""

    def __init__(self, network: nn.Module, spec: ModelSpec) -> None:
        super().__init__(network, spec)
        self.inputs, self.names = _names(spec, "features"), spec.outputs

    def forward(self, *features: Tensor) -> tuple[Tensor, ...]:
        """Waves."""
        return tuple(cut.back(found) for cut, found in zip(self.cuts.values(), features, strict=True))


def sliding(network: nn.Module, spec: ModelSpec, *, frames: int = 0, limit: float = LIMIT) -> Sliding:
    """A network, run by torch, on a window that slides.

    Args:
        network: FactorizePhys or MMRPhys in eval mode, without attention while measuring.
        spec: its card.
        frames: of the window; as the card says if not given.
        limit: how far the statistics may drift before the whole window is run.

    Raises:
        UsageError: the network does not see time locally, or the window's length does not fit it.
    """
    window, front, back = Window(network, spec), Front(network, spec), Back(network, spec)
    return Sliding(window.numpy, front.numpy, back.numpy, plan(front, spec), frames or spec.frames, limit=limit)


def plan(front: Front, spec: ModelSpec) -> Plan:
    """What has to be known of the parts of a network."""
    layers = {name: cut.layers for name, cut in front.cuts.items()}
    return Plan(spec.outputs, spec.frames_multiple, front.halo_frames, layers)


def export_streaming(
    model: nn.Module, spec: ModelSpec, path: Path, *, variant: str = "", options: Mapping[str, Any] | None = None
) -> ModelSpec:
    """Write all parts for ONNX Runtime: ``NAME.onnx``, ``NAME_front.onnx``, ``NAME_back.onnx``, the card ``NAME.json``.

    ``NAME.onnx`` is a model like any other, which gives features and moments beside its waves. `Sliding.load` puts the
    parts together.

    Args:
        model: FactorizePhys or MMRPhys; it is not changed.
        spec: its card.
        path: NAME.onnx.
        variant, options: what ``build`` of its module was called with.

    Raises:
        UsageError: the network does not see time locally.
        OutputError: ONNX Runtime does not agree with torch, or a file cannot be written.
    """
    network = prepared(model)
    pieces = Window(network, spec), Front(network, spec), Back(network, spec)
    about = plan(pieces[1], spec)
    shortest = about.halo_frames + 2 * spec.frames_multiple
    blobs = [_graph(piece, _examples(pieces[0], spec, shortest), spec) for piece in pieces]
    for frames in (shortest, shortest + 2 * spec.frames_multiple):
        given = _examples(pieces[0], spec, frames)
        for piece, blob in zip(pieces, blobs, strict=True):
            inputs = {name: given[name] for name in piece.inputs}
            agreed(piece.numpy(inputs), onnx_part(blob)(inputs), f"{spec.name}: at {frames} frames")
    paths = [path.with_name(f"{path.stem}{part}.onnx") for part in ("", "_front", "_back")]
    sums = [hashlib.sha256(blob).hexdigest() for blob in blobs]
    card = dataclasses.replace(spec, name=path.stem, file=path.name, sha256=sums[0])
    streaming = {"halo_frames": about.halo_frames, "layers": about.layers}
    streaming |= {part: (paths[i].name, sums[i]) for i, part in ((1, "front"), (2, "back"))}
    origin = {"model": spec.name, "variant": variant, "options": dict(options or {}), "attention": False}
    for file, blob in zip(paths, blobs, strict=True):
        files.write_bytes(file, blob)
    fields = dataclasses.asdict(card) | origin | {"streaming": streaming}
    files.write_text(path.with_suffix(".json"), json.dumps(fields, indent=2) + "\n")
    return card


def _examples(window: Window, spec: ModelSpec, frames: int) -> dict[str, Floats]:
    """Something for every input of the parts."""
    video = example(spec, frames)
    found = window.numpy({"video": video})
    return found | {"video": video, "statistics": statistics(found, spec.outputs)}


def _graph(piece: _Piece, given: Arrays, spec: ModelSpec) -> bytes:
    inputs = {name: torch.from_numpy(given[name]) for name in piece.inputs}
    count = torch.export.Dim("count", min=given["video"].shape[2] // spec.frames_multiple - 1, max=MAX_FRAMES)
    step = {"video": spec.frames_multiple}
    if isinstance(piece, Back):
        step = {f"{name}_features": spec.frames_multiple // cut.step for name, cut in piece.cuts.items()}
    free = {name: {2: n * count if n > 1 else count} for name, n in step.items()}
    lengths = {"features": tuple(free.values())} if isinstance(piece, Back) else dict.fromkeys(piece.inputs) | free
    blob: bytes = graph(piece, inputs, piece.names, lengths).SerializeToString()
    return blob


def _local(network: nn.Module) -> BranchNetwork:
    if not isinstance(network, BranchNetwork):
        raise UsageError(f"{type(network).__name__} has no streaming form; FactorizePhys and MMRPhys have")
    for branch in cast(Mapping[str, Branch], network.branches).values():
        if branch.attention is not None and branch.attention.settings.attention_at_inference:
            raise UsageError("attention_at_inference sees the whole window; stream without")
    return network


def _convolutions(stack: nn.Module) -> list[nn.Conv3d]:
    return [layer.conv for layer in stack.children() if isinstance(layer, ConvTanhNorm)]


def _depth(stages: list[tuple[nn.Conv3d, ...]], size_px: int) -> int:
    """Behind how many stages at most `BACK_SHARE` of the multiply-adds is left."""
    costs = np.array(list(_costs(stages, size_px)))
    return 1 + int(np.argmax(1 - costs.cumsum() / costs.sum() <= BACK_SHARE))


def _costs(stages: list[tuple[nn.Conv3d, ...]], size_px: int) -> Iterator[float]:
    """Multiply-adds of each stage, in a frame."""
    steps = _steps(stages)
    next(steps)
    for stage, step in zip(stages, steps, strict=True):
        conv = stage[0]
        size_px = (size_px + 2 * int(conv.padding[1]) - conv.kernel_size[1]) // conv.stride[1] + 1
        yield sum(conv.weight.numel() for conv in stage) * size_px**2 / step


def _steps(stages: list[tuple[nn.Conv3d, ...]]) -> Iterator[int]:
    """Frames from one value to the next before the first stage and behind each."""
    step = 1
    yield step
    for stage in stages:
        yield (step := step * stage[0].stride[0])


def _joined(parts: list[Tensor], stage: tuple[nn.Conv3d, ...]) -> list[Tensor]:
    """Where several trunks meet, their channels lie side by side."""
    return parts if len(parts) == len(stage) else [torch.cat(parts, dim=1)]


def _moments(x: Tensor) -> Tensor:
    """Mean and variance (2, C, T) of each frame of one clip (1, C, T, H, W)."""
    mean = x.mean(dim=(3, 4), keepdim=True)
    return torch.cat([mean.flatten(2), (x - mean).square().mean(dim=(3, 4))])


def _known(moments: Tensor) -> Tensor:
    """Mean and 1 / deviation (2, C) over all frames."""
    mean, variance = moments
    centred = mean - (whole := mean.mean(dim=1, keepdim=True))
    return torch.stack([whole[:, 0], (variance.mean(dim=1) + centred.square().mean(dim=1) + EPS).rsqrt()])


def _normal(x: Tensor, statistics: Tensor) -> Tensor:
    mean, inverse = statistics[..., None, None, None]
    normal: Tensor = (x - mean) * inverse
    return normal


def _repeated(x: Tensor, times: int) -> Tensor:
    """Each frame (., C, T, ...) that often."""
    return x[:, :, :, None].expand(-1, -1, -1, times, *(-1,) * (x.ndim - 3)).flatten(2, 3)


def _names(spec: ModelSpec, what: str) -> tuple[str, ...]:
    return tuple(f"{name}_{what}" for name in spec.outputs)


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple
