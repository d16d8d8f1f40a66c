"""What a sliding window saves and what it costs in likeness: a second at a time, against the whole window every second.

Synthetic clips, painted and rendered, in still and in changing conditions. Every second the whole
window is run, and `Sliding` on what is new. For each clip and each limit of the drift: the correlation of the two waves
over the window but its first second, whose frames the window run whole sees with nothing before them: median, 5th
percentile and least of the windows (those that `Sliding` ran whole among them); the share of seconds in which it ran
the whole window; and multiply-adds as a part of those of a whole window every second.

    python benchmarks/streaming.py                             # random weights
    python benchmarks/streaming.py --weights FILE.pth FILE.pth  # trained ones, for three colours
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from vitalcam import checkpoints, registry
from vitalcam.export import prepared
from vitalcam.sliding import LIMIT, Sliding
from vitalcam.streaming import Window, export_streaming, sliding
from vitalcam.synth.painted import PersonOnScreen, Scene, render
from vitalcam.types import Floats, ModelSpec

NAMES = ["factorizephys:rgb", "mmrphys:9_rgb"]
RENDERED = ("still", "low_light", "webcam", "clouds", "talk", "rotate", "walk")
Path2d = Callable[[float], tuple[float, float]]


def sway(t: float) -> tuple[float, float]:
    """A head that never rests."""
    return 0.03 * np.sin(1.9 * t) + 0.01 * np.sin(6.9 * t), 0.02 * np.sin(1.3 * t)


def burst(t: float) -> tuple[float, float]:
    """A head that rests but for three seconds."""
    size = 0.05 if 10 < t < 13 else 0.004
    return size * np.sin(4.4 * t), size * np.sin(2.8 * t + 1)


PAINTED: dict[str, tuple[Path2d | None, Callable[[float], float] | None]] = {  # motion, light
    "still": (None, None),
    "light 2 %": (None, lambda t: 1 - 0.01 * (1 + np.sin(0.8 * t))),
    "light 60 %": (None, lambda t: 1 - 0.3 * (1 + np.sin(0.8 * t))),
    "light steps": (None, lambda t: 1.0 if t < 13 else 0.6),
    "sway": (sway, None),
    "burst": (burst, None),
}


def main() -> None:
    """Print a table for each network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES, help="networks, as module:variant")
    parser.add_argument("--weights", nargs="+", type=Path, help="files of trained weights in place of names")
    known = [*PAINTED, *(f"rendered {name}" for name in RENDERED)]
    parser.add_argument("--clips", nargs="+", choices=known, default=list(PAINTED), help="rendered: extra 'synth'")
    parser.add_argument("--seconds", type=int, default=22)
    parser.add_argument("--limits", type=float, nargs="+", default=[LIMIT], help="of the drift")
    parser.add_argument("--rounds", type=int, default=7, help="for the times; 0 for none")
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
    hop = round(spec.fs_hz / spec.frames_multiple) * spec.frames_multiple
    share = costs(network, spec, hop)
    print(f"{label}: window {spec.frames} frames, every {hop}; a piece costs {share:.2f} of a window", flush=True)
    if arguments.rounds:
        print(
            "  milliseconds of a window {:.1f}, of a piece {:.1f}".format(*times(network, spec, hop, arguments.rounds))
        )
    for name, video in clips(spec, arguments.seconds, arguments.clips):
        whole = [Window(network, spec).numpy({"video": part}) for part in windows(video, spec, hop)]
        for limit in arguments.limits:
            slide = sliding(network, spec, limit=limit)
            found = likeness(slide, whole, video, spec, hop)
            part = (slide.windows - 1) / (len(whole) - 1)
            cost = (share * slide.pieces + slide.windows - 1) / (len(whole) - 1)
            r = "; ".join(f"{k} {np.median(v):.4f} {np.quantile(v, 0.05):.4f} {min(v):.4f}" for k, v in found.items())
            print(f"  {name:20} limit {limit:4}: r {r}; whole {part:.2f}, cost {cost:.2f}", flush=True)


def clips(spec: ModelSpec, seconds: int, names: list[str]) -> Iterator[tuple[str, Floats]]:
    """Names and clips (1, 3, T, size_px, size_px)."""
    frames = round(seconds * spec.fs_hz)
    for name in names:
        if name in PAINTED:
            yield name, painted(*PAINTED[name], spec, np.arange(frames) / spec.fs_hz)
        else:
            yield name, rendered(name.removeprefix("rendered "), spec, frames)


def rendered(name: str, spec: ModelSpec, frames: int) -> Floats:
    """A clip of a person in a scenario."""
    from vitalcam.synth import clips, scenarios

    duration_s = frames / spec.fs_hz + 5
    scene = scenarios.sample(name, 7, identity=scenarios.TEST_IDENTITIES + 7, duration_s=duration_s)
    rng = np.random.default_rng(1)
    return clips.render([scene], frames=frames, size_px=spec.size_px, fs_hz=spec.fs_hz, rng=rng).video.numpy()


def painted(motion: Path2d | None, light: Callable[[float], float] | None, spec: ModelSpec, times_s: Floats) -> Floats:
    """A clip of a face that fills it."""
    person = PersonOnScreen(centre=(0.5, 0.5), face_height=0.8, heart_rate_bpm=77, resp_rate_bpm=14, motion=motion)
    finer = -(-144 // spec.size_px)
    side = spec.size_px * finer
    pictures = render(Scene(side, side, (person,), noise_sigma=2.0, light=light), times_s)
    shape = (spec.size_px, finer, spec.size_px, finer, 3)
    frames = [picture.reshape(shape).mean(axis=(1, 3), dtype=np.float32) for picture in pictures]
    return np.stack(frames).transpose(3, 0, 1, 2)[None].copy()


def windows(video: Floats, spec: ModelSpec, hop: int) -> Iterator[Floats]:
    """Windows of a clip."""
    for stop in range(spec.frames, video.shape[2] + 1, hop):
        yield video[:, :, stop - spec.frames : stop]


def likeness(
    slide: Sliding, whole: list[dict[str, Floats]], video: Floats, spec: ModelSpec, hop: int
) -> dict[str, list[float]]:
    """Correlation with each window but the first, by waveform."""
    slide.push(video[:, :, : spec.frames])
    found: dict[str, list[float]] = {name: [] for name in spec.outputs}
    for k, expected in enumerate(whole[1:]):
        start = spec.frames + k * hop
        for name, wave in slide.push(video[:, :, start : start + hop]).items():
            found[name].append(float(np.corrcoef(wave[hop:], expected[name][0, hop:])[0, 1]))
    return found


def costs(network: nn.Module, spec: ModelSpec, hop: int) -> float:
    """Multiply-adds of a piece as a part of those of a window."""
    slide = sliding(network, spec, limit=np.inf)
    taken = [counted(slide, np.random.default_rng(n), spec, n) for n in (spec.frames, hop)]
    return taken[1] / taken[0]


def counted(slide: Sliding, rng: np.random.Generator, spec: ModelSpec, frames: int) -> float:
    """Multiply-adds of a push."""
    with FlopCounterMode(display=False) as counter:
        slide.push(noise(rng, spec, frames))
    return float(counter.get_total_flops())


def times(network: nn.Module, spec: ModelSpec, hop: int, rounds: int) -> list[float]:
    """Medians of the milliseconds of a window and a piece in ONNX Runtime on one thread, which take turns."""
    rng, taken = np.random.default_rng(0), ([], [])
    with tempfile.TemporaryDirectory() as folder:
        export_streaming(network, spec, Path(folder) / "n.onnx")
        slide = Sliding.load(Path(folder) / "n.onnx")
    slide.push(noise(rng, spec, spec.frames))
    for _ in range(rounds):
        for limit, list_ms in zip((-1.0, np.inf), taken, strict=True):
            slide.limit, video = limit, noise(rng, spec, hop if limit > 0 else spec.frames)
            start = time.perf_counter()
            slide.push(video)
            list_ms.append(1e3 * (time.perf_counter() - start))
    return [statistics.median(list_ms) for list_ms in taken]


def noise(rng: np.random.Generator, spec: ModelSpec, frames: int) -> Floats:
    """A clip of noise."""
    shape = (1, sum(spec.channels.values()), frames, spec.size_px, spec.size_px)
    return rng.uniform(0, 255, shape).astype(np.float32)


if __name__ == "__main__":
    main()
