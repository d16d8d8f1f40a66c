"""What streaming saves and what it costs in likeness: pieces of a second against the whole window every second.

The clip is a painted face with noise and slowly changing light (``--light``, the swing of its gain). Every second the
whole window is run, and the new second alone, with its halo, on the statistics of the first window, of the window a
second before, or of the last one at most ``--refresh`` seconds ago. Likeness is the correlation of the pieces that lie
in a window, each on the statistics of its time, put together, with what the window gives for the same frames. Costs are
multiply-adds and, in ONNX Runtime on one thread, milliseconds of runs that take turns.

    python benchmarks/streaming.py                                        # random weights
    python benchmarks/streaming.py --weights FILE.pth FILE.pth            # trained ones, for three colours
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vitalcam import checkpoints, registry
from vitalcam.export import prepared
from vitalcam.runtime import session
from vitalcam.streaming import Chunk, Window, export_streaming
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import ModelSpec

NAMES = ["factorizephys:rgb", "mmrphys:36_rgb", "mmrphys:9_rgb"]


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, help="networks, as module:variant")
    parser.add_argument("--weights", nargs="+", type=Path, help="files of trained weights in place of names")
    parser.add_argument("--seconds", type=int, default=25)
    parser.add_argument("--refresh", type=int, default=10, help="seconds between two whole windows")
    parser.add_argument("--light", type=float, default=0.02)
    parser.add_argument("--rounds", type=int, default=7)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    for label, network, spec in networks(arguments):
        measure(label, prepared(network), spec, arguments)


def networks(arguments: argparse.Namespace) -> Any:
    """Label, network and card of each."""
    for file in arguments.weights or []:
        loaded = checkpoints.load(file)
        yield file.stem, loaded.model, loaded.spec
    for name in [] if arguments.weights else arguments.names:
        module_name, _, variant = name.partition(":")
        module = registry.find("models", module_name)
        torch.manual_seed(0)
        yield f"{name}, random weights", module.build(variant), module.VARIANTS[variant]


def measure(label: str, network: nn.Module, spec: ModelSpec, arguments: argparse.Namespace) -> None:
    """Print cost and likeness of one network."""
    window, chunk = Window(network), Chunk(network)
    hop = round(spec.fs_hz / spec.frames_multiple) * spec.frames_multiple
    video = painted(spec, arguments.seconds, arguments.light)
    print(f"{label}: window {spec.frames} frames, every {hop}; halo {chunk.halo_frames}")
    costs(network, window, chunk, spec, video, hop, arguments.rounds)
    for which, back in (("first", 10**6), ("before", 1), (f"at most {arguments.refresh} s old", arguments.refresh)):
        for name, found in likeness(window, chunk, spec, video, hop, back).items():
            print(f"  {name:4} statistics {which:18} r median {np.median(found):.5f}, least {min(found):.5f}")


def painted(spec: ModelSpec, seconds: int, light: float) -> Tensor:
    """The clip (1, 3, T, size_px, size_px), a face that fills it."""
    side = spec.size_px * -(-144 // spec.size_px)
    person = PersonOnScreen(centre=(0.5, 0.5), face_height=0.9)
    scene = Scene(side, side, (person,), noise_sigma=2.0, light=lambda t: 1 - light * (1 + np.sin(0.8 * t)) / 2)
    times_s = np.arange(round(seconds * spec.fs_hz)) / spec.fs_hz
    shape = (spec.size_px, side // spec.size_px, spec.size_px, side // spec.size_px, 3)
    frames = [picture.reshape(shape).mean(axis=(1, 3), dtype=np.float32) for picture in render(scene, times_s)]
    return torch.from_numpy(np.stack(frames).transpose(3, 0, 1, 2)[None].copy())


def likeness(
    window: Window, chunk: Chunk, spec: ModelSpec, video: Tensor, hop: int, back: int
) -> dict[str, list[float]]:
    """Correlation with each window that is full of pieces, by waveform; statistics are renewed every `back` windows."""
    left, right = chunk.halo_frames
    starts = list(range(0, video.shape[2] - spec.frames + 1, hop))
    whole = [window(video[:, :, at : at + spec.frames]) for at in starts]
    pieces = [
        chunk(
            video[:, :, at + spec.frames - hop - left - right : at + spec.frames], whole[k // back * back]["statistics"]
        )
        for k, at in enumerate(starts[1:])
    ]
    count = (spec.frames - left - right) // hop
    found: dict[str, list[float]] = {name: [] for name in spec.outputs}
    for k in range(count, len(starts)):
        for name in spec.outputs:
            stream = torch.cat([piece[name][0] for piece in pieces[k - count : k]])
            expected = whole[k][name][0, spec.frames - right - count * hop : spec.frames - right]
            found[name].append(float(np.corrcoef(stream, expected)[0, 1]))
    return found


def costs(
    network: nn.Module, window: Window, chunk: Chunk, spec: ModelSpec, video: Tensor, hop: int, rounds: int
) -> None:
    """Print multiply-adds and milliseconds of a window and of a piece."""
    whole, piece = video[:, :, : spec.frames], video[:, :, : hop + sum(chunk.halo_frames)]
    known = window(whole)["statistics"]
    macs = [counted(lambda: network(whole)), counted(lambda: chunk(piece, known))]
    with tempfile.TemporaryDirectory() as folder:
        export_streaming(network, spec, Path(folder) / "n.onnx")
        graphs = [session((Path(folder) / file).read_bytes()) for file in ("n.onnx", "n_chunk.onnx")]
    feeds = [{"video": whole.numpy()}, {"video": piece.numpy(), "statistics": known.numpy()}]
    times: list[list[float]] = [[], []]
    for _ in range(rounds):
        for graph, feed, taken in zip(graphs, feeds, times, strict=True):
            start = time.perf_counter()
            graph.run(list(spec.outputs), feed)
            taken.append(1e3 * (time.perf_counter() - start))
    for unit, (a, b) in (("GMAC", macs), ("ms", [statistics.median(t) for t in times])):
        print(f"  {unit:4} window {a:.3g}, piece {b:.3g}: {b / a:.2f} of it")


def counted(run: Any) -> float:
    """Multiply-adds of a run, 1e9."""
    with FlopCounterMode(display=False) as counter:
        run()
    return counter.get_total_flops() / 2e9


if __name__ == "__main__":
    main()
