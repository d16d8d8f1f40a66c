"""FactorizePhys and MMRPhys on a stream: each second only what is new, not the whole window again.

These networks see time locally, but for one thing: every layer normalises its channels over the window. `Window` gives
the waves of a whole window and the statistics it normalised with; `Chunk` takes those statistics and a piece of video
with some frames more on either side, the halo, and gives the waves of the piece. With the statistics of the very
window these are the window's; with those of an earlier one they are close while light and face stay as they were.
docs/streaming.md says how close, what it saves and when to renew the statistics.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor, nn

from vitalcam.errors import OutputError, UsageError
from vitalcam.export import TOLERANCE, compare, example, graph, prepared, to_onnx, write
from vitalcam.models._blocks import ConvTanhNorm, difference
from vitalcam.models._branch import Branch, BranchNetwork
from vitalcam.runtime import session
from vitalcam.types import ModelSpec

_EPS = 1e-5  # of `instance_norm`
_Norm = Callable[[Tensor], Tensor]


class Window(nn.Module):
    """A network that also gives the statistics it normalised with.

    Args:
        network: without attention while measuring; its dropout never acts here.

    Raises:
        UsageError: the network does not see time locally.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = _local(network)

    def forward(self, video: Tensor) -> dict[str, Tensor]:
        """Waves and statistics of one clip.

        Args:
            video: (1, C, T, H, W), raw frames.

        Returns:
            "bvp" and/or "resp": (1, T); "statistics": (2, N), mean and 1 / deviation of each channel of each layer.
        """
        norm = _Measure()
        x = norm(difference(video[:, self.network.used]))
        waves = {name: _wave(branch, x, norm) for name, branch in _branches(self.network).items()}
        return waves | {"statistics": torch.cat(norm.found, dim=1)}


class Chunk(nn.Module):
    """A network on a piece of a clip, normalised with the statistics of a window.

    Attributes:
        halo_frames: how many frames it needs before and after those whose waves it gives.
        frames_multiple: of the piece's length, and of its place in the clip relative to the window's start.

    Args:
        network: without attention while measuring; its dropout never acts here.

    Raises:
        UsageError: the network does not see time locally.
    """

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = _local(network)
        self.frames_multiple = self.network.frames_multiple
        reaches = [_reach(branch) for branch in _branches(self.network).values()]
        after = max(right for _, right in reaches) + 1  # a difference needs the next frame
        self.halo_frames = tuple(_up(n, self.frames_multiple) for n in (max(left for left, _ in reaches), after))

    def forward(self, video: Tensor, statistics: Tensor) -> dict[str, Tensor]:
        """Waves of the frames within the halo.

        Args:
            video: (1, C, T, H, W), raw frames.
            statistics: (2, N), of a `Window`.

        Returns:
            "bvp" and/or "resp": (1, T - sum(halo_frames)).

        Raises:
            UsageError: nothing is left within the halo, or T is no multiple of `frames_multiple`.
        """
        self._check(video.shape[2])
        norm = _Given(statistics)
        x = norm(difference(video[:, self.network.used]))
        return {name: self._inner(branch, x, norm) for name, branch in _branches(self.network).items()}

    def _inner(self, branch: Branch, x: Tensor, norm: _Norm) -> Tensor:
        """A branch is shown no more than it needs itself."""
        left, right = (_up(n, branch.upsample) for n in _reach(branch))
        stop = x.shape[2] - self.halo_frames[1] + right
        wave = _wave(branch, x[:, :, self.halo_frames[0] - left : stop], norm)
        return wave[:, left:-right]

    def _check(self, frames: int) -> None:
        if torch.onnx.is_in_onnx_export():
            return
        if frames <= sum(self.halo_frames) or frames % self.frames_multiple:
            raise UsageError(
                f"a chunk must have a multiple of {self.frames_multiple} frames, more than the {sum(self.halo_frames)} "
                f"of its halo; got {frames}"
            )


def stitched(chunk: Chunk, video: Tensor, statistics: Tensor, *, hop: int) -> dict[str, Tensor]:
    """Waves of a clip piece by piece.

    Args:
        chunk: the network.
        video: (1, C, T, H, W), raw frames.
        statistics: (2, N).
        hop: frames of a piece without its halo.

    Returns:
        "bvp" and/or "resp": (1, T - sum(halo_frames)), from frame `halo_frames[0]` on.

    Raises:
        UsageError: the clip, or a piece, does not fit the network.
    """
    halo = sum(chunk.halo_frames)
    starts = range(0, max(video.shape[2] - halo, 1), hop)
    pieces = [chunk(video[:, :, start : start + hop + halo], statistics) for start in starts]
    return {name: torch.cat([piece[name] for piece in pieces], dim=1) for name in pieces[0]}


def export_streaming(
    model: nn.Module, spec: ModelSpec, path: Path, *, variant: str = "", options: Mapping[str, Any] | None = None
) -> ModelSpec:
    """Write both forms for ONNX Runtime: ``NAME.onnx``, ``NAME_chunk.onnx`` and the card ``NAME.json``.

    ``NAME.onnx`` is a model like any other: "video" (1, C, T, H, W) to waves (1, T), and with them "statistics"
    (2, N). ``NAME_chunk.onnx`` takes "video" and "statistics" and gives the waves within the halo. The card's
    "streaming" says which halo, and the chunk's file and checksum.

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
    window, chunk = Window(network), Chunk(network)
    both = dataclasses.replace(spec, outputs=(*spec.outputs, "statistics"))
    frames = _up(sum(chunk.halo_frames) + 16, spec.frames_multiple)
    blob = to_onnx(window, both, frames=frames).SerializeToString()
    chunk_blob = _chunk_graph(window, chunk, spec, frames)
    for length in (frames, frames + 2 * spec.frames_multiple):
        compare(window, blob, both, frames=length)
        _compare_chunk(window, chunk, chunk_blob, spec, length)
    chunk_path = path.with_name(f"{path.stem}_chunk.onnx")
    card = dataclasses.replace(spec, name=path.stem, file=path.name, sha256=_sha256(blob))
    streaming = {"file": chunk_path.name, "sha256": _sha256(chunk_blob), "halo_frames": chunk.halo_frames}
    origin = {"model": spec.name, "variant": variant, "options": dict(options or {}), "attention": False}
    write(chunk_path, chunk_blob)
    write(path, blob)
    fields = dataclasses.asdict(card) | origin | {"streaming": streaming}
    write(path.with_suffix(".json"), (json.dumps(fields, indent=2) + "\n").encode())
    return card


class _Measure:
    """`instance_norm` of one clip that keeps what it normalised with, (2, C) a layer."""

    def __init__(self) -> None:
        self.found: list[Tensor] = []

    def __call__(self, x: Tensor) -> Tensor:
        centred = x - (mean := x.mean(dim=(2, 3, 4), keepdim=True))
        inverse = (centred.square().mean(dim=(2, 3, 4), keepdim=True) + _EPS).rsqrt()
        self.found.append(torch.stack([mean.flatten(), inverse.flatten()]))
        return centred * inverse


class _Given:
    """The same with what is given: layer after layer takes its share."""

    def __init__(self, statistics: Tensor) -> None:
        self.statistics, self.taken = statistics, 0

    def __call__(self, x: Tensor) -> Tensor:
        share = self.statistics[:, self.taken : self.taken + x.shape[1]]
        self.taken += x.shape[1]
        mean, inverse = share[..., None, None, None]
        normal: Tensor = (x - mean) * inverse
        return normal


def _local(network: nn.Module) -> BranchNetwork:
    if not isinstance(network, BranchNetwork):
        raise UsageError(f"{type(network).__name__} has no streaming form; FactorizePhys and MMRPhys have")
    for branch in _branches(network).values():
        if branch.attention is not None and branch.attention.settings.attention_at_inference:
            raise UsageError("attention_at_inference sees the whole window; stream without")
    return network


def _branches(network: BranchNetwork) -> dict[str, Branch]:
    return cast(dict[str, Branch], dict(network.branches.items()))


def _wave(branch: Branch, x: Tensor, norm: _Norm) -> Tensor:
    """What `Branch.forward` gives without attention, (1, T), with another norm."""
    trunks = zip(branch.trunks, branch.views, strict=True)
    embedded = torch.cat([_stack(trunk, x[:, view], norm) for trunk, view in trunks], dim=1)
    y = _stack(branch.head, embedded, norm)
    y = y[:, :, :, None].expand(-1, -1, -1, branch.upsample, -1, -1).flatten(2, 3)
    wave: Tensor = branch.last(y)[:, 0, :, 0, 0]
    return wave


def _stack(stack: nn.Module, x: Tensor, norm: _Norm) -> Tensor:
    for layer in _layers(stack):
        x = norm(torch.tanh(layer.conv(x)))
    return x


def _layers(stack: nn.Module) -> list[ConvTanhNorm]:
    return [layer for layer in stack.children() if isinstance(layer, ConvTanhNorm)]


def _reach(branch: Branch) -> tuple[int, int]:
    """How many differences before and after a frame its wave depends on."""
    reach, step = branch.last.kernel_size[0] // 2, 1
    for layer in _layers(branch.trunks[0]) + _layers(branch.head):
        reach += step * (layer.conv.kernel_size[0] // 2)
        step *= layer.conv.stride[0]
    return reach + step - 1, reach  # a frame is given the embedding of the multiple of `step` before it


def _up(n: int, multiple: int) -> int:
    return -(-n // multiple) * multiple


class _ChunkTuple(nn.Module):
    """A chunk that gives its waves in the order of its card, as ONNX wants it."""

    def __init__(self, chunk: Chunk, names: tuple[str, ...]) -> None:
        super().__init__()
        self.chunk, self.names = chunk, names

    def forward(self, video: Tensor, statistics: Tensor) -> tuple[Tensor, ...]:
        waves = self.chunk(video, statistics)
        return tuple(waves[name] for name in self.names)


def _chunk_graph(window: Window, chunk: Chunk, spec: ModelSpec, frames: int) -> bytes:
    least = sum(chunk.halo_frames) // spec.frames_multiple + 1
    count = torch.export.Dim("count", min=least, max=1 << 16)
    lengths = {"video": {2: spec.frames_multiple * count}, "statistics": None}
    inputs = dict(zip(("video", "statistics"), _inputs(window, spec, frames), strict=True))
    blob: bytes = graph(_ChunkTuple(chunk, spec.outputs), inputs, spec.outputs, lengths).SerializeToString()
    return blob


def _inputs(window: Window, spec: ModelSpec, frames: int) -> tuple[Tensor, Tensor]:
    video = torch.from_numpy(example(spec, frames))
    with torch.no_grad():
        return video, window(video)["statistics"]


def _compare_chunk(window: Window, chunk: Chunk, blob: bytes, spec: ModelSpec, frames: int) -> None:
    video, statistics = _inputs(window, spec, frames)
    with torch.no_grad():
        expected = chunk(video, statistics)
    found = session(blob).run(list(spec.outputs), {"video": video.numpy(), "statistics": statistics.numpy()})
    for name, wave in zip(spec.outputs, found, strict=True):
        worst = float(np.abs(wave - expected[name].numpy()).max() / expected[name].std())
        if not worst <= TOLERANCE:
            raise OutputError(
                f"{spec.name}: on a chunk of {frames} frames ONNX Runtime and torch differ in {name} by {worst:.1e} of "
                f"the signal's deviation (at most {TOLERANCE:.0e} is allowed); nothing was written"
            )


def _sha256(blob: bytes) -> str:
    return hashlib.sha256(blob).hexdigest()
