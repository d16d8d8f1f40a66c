"""CPU and memory of measuring, by stage and size, growth with length, and a peer beside it where one is installed.

    python benchmarks/measure.py                      # 480p, 720p, 1080p of 60 s; 480p of 300 s and 600 s
    python benchmarks/measure.py --sizes 480 --lengths 60

Every figure is of whole processes run in turn (start included), medians of ``--rounds``; ratios are of runs side by
side in this very call. The clips are painted people in H.264, kept in ``--cache`` between calls. Run it on a quiet
machine.
"""

from __future__ import annotations

import argparse
import importlib.util
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

SIZES = {480: (640, 480), 720: (1280, 720), 1080: (1920, 1080)}

STAGES = {
    "start": "import vitalcam.pipeline",
    "decode": "from vitalcam.video.read import open_video\nfor _ in open_video(path): pass",
    "detect": """
from vitalcam.face.track import Tracker
from vitalcam.video.read import open_video
tracker = Tracker(1)
for frame in open_video(path): tracker.push(frame)""",
    "crop": """
from vitalcam.face.sample import Background, Sampler
from vitalcam.face.track import Tracker
from vitalcam.video.read import open_video
tracker, sampler, background = Tracker(1), Sampler(), Background()
for frame in open_video(path):
    for face in tracker.push(frame):
        if face.state != "lost": sampler.push(frame, face, background.push(frame, [face]))""",
    "all": "import vitalcam\nprint(vitalcam.measure(path).heart_rate.value)",
}

PEERS = {
    "vitallens": "import vitallens\nprint(vitallens.VitalLens(method='pos')(path)[0]['vitals'].keys())",
    "rppg": "import rppg\nprint(rppg.Model().process_video(path)['hr'])",
}


def clip(folder: Path, size: int, seconds: int) -> Path:
    """A painted person of 72 beats/min, made once, by a process of its own: a child counts its parent's memory too."""
    path = folder / f"{size}p_{seconds}s.mp4"
    if not path.exists():
        print(f"rendering {path.name} …", file=sys.stderr)
        painter = multiprocessing.get_context("spawn").Process(target=paint, args=(path, SIZES[size], seconds))
        painter.start()
        painter.join()
    return path


def paint(path: Path, size: tuple[int, int], seconds: int) -> None:
    """Write the clip."""
    from vitalcam.synth.painted import PersonOnScreen, Scene, render
    from vitalcam.video.write import write_video

    times = np.arange(seconds * 30) / 30
    scene = Scene(*size, (PersonOnScreen(72.0),), noise_sigma=2.0)
    write_video(path, render(scene, times), fps_hz=30, crf=20)


def run(code: str, path: Path) -> tuple[float, float, float]:
    """Wall seconds, CPU seconds and peak memory (MB) of a fresh process."""
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", f"path = {str(path)!r}\n{code}"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.read()
    errors = process.stderr.read().decode()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{path.name}: {errors}")
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def medians(code: str, path: Path, rounds: int) -> tuple[float, ...]:
    """Medians of `run`."""
    return tuple(statistics.median(column) for column in zip(*(run(code, path) for _ in range(rounds)), strict=True))


def stages(folder: Path, sizes: list[int], rounds: int) -> None:
    """CPU seconds of each stage for a minute of video."""
    print("\nCPU seconds for 60 s of video, each stage on top of those before it")
    print(f"{'':8}" + "".join(f"{name:>10}" for name in (*STAGES, "rest")) + f"{'wall':>10}{'x real':>10}{'MB':>8}")
    for size in sizes:
        path = clip(folder, size, 60)
        results = {name: medians(code, path, rounds) for name, code in STAGES.items()}
        cpu = {name: result[1] for name, result in results.items()}
        parts = [
            cpu["start"], cpu["decode"], cpu["detect"] - cpu["decode"], cpu["crop"] - cpu["detect"], cpu["all"],
            cpu["all"] - cpu["crop"],
        ]  # fmt: skip
        wall, _, memory = results["all"]
        line = "".join(f"{part:10.2f}" for part in parts)
        print(f"{size}p".ljust(8) + line + f"{wall:10.2f}{60 / wall:10.1f}{memory:8.0f}")


def lengths(folder: Path, seconds: list[int], rounds: int) -> None:
    """Speed and memory against length at 480p."""
    print("\n480p by length\n  seconds    wall s     CPU s    x real        MB   MB / first")
    first = None
    for length in seconds:
        wall, cpu, memory = medians(STAGES["all"], clip(folder, 480, length), rounds)
        first = first or memory
        print(f"{length:9d}{wall:10.2f}{cpu:10.2f}{length / wall:10.1f}{memory:10.0f}{memory / first:13.3f}")


def networks(folder: Path, rounds: int) -> None:
    """The networks of the package that see colour alone, and POS, over the default, run in turn on the same clip."""
    from vitalcam.runtime import bundled

    print("\n480p 60 s, over the default\n" + f"{'by':20}{'wall':>8}{'CPU':>8}{'memory':>8}{'x real':>8}")
    path = clip(folder, 480, 60)
    choices = {spec.name: f"model={spec.name!r}" for spec in bundled() if spec.sees == "rgb"} | {"pos": "method='pos'"}
    for name, choice in choices.items():
        code = f"import vitalcam\nvitalcam.measure(path, vitalcam.Settings({choice}))"
        pairs = [(run(code, path), run(STAGES["all"], path)) for _ in range(rounds)]
        ratios = "".join(f"{statistics.median(a[i] / b[i] for a, b in pairs):8.2f}" for i in range(3))
        print(f"{name:20}{ratios}{60 / statistics.median(a[0] for a, _ in pairs):8.1f}")


def peers(folder: Path, rounds: int) -> None:
    """Ours over theirs, run in turn on the same clip."""
    path = clip(folder, 480, 60)
    for name, code in PEERS.items():
        if importlib.util.find_spec(name) is None:
            print(f"\n{name}: not installed, not compared")
            continue
        pairs = [(run(STAGES["all"], path), run(code, path)) for _ in range(rounds)]
        ratios = [statistics.median(a[i] / b[i] for a, b in pairs) for i in range(3)]
        print(f"\nvitalcam / {name}, 480p 60 s: wall {ratios[0]:.2f}, CPU {ratios[1]:.2f}, memory {ratios[2]:.2f}")


def main() -> None:
    """Run from the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="*", default=list(SIZES))
    parser.add_argument("--lengths", type=int, nargs="*", default=[10, 60, 300, 600])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--cache", type=Path, default=Path(tempfile.gettempdir()) / "vitalcam-bench")
    args = parser.parse_args()
    args.cache.mkdir(parents=True, exist_ok=True)
    stages(args.cache, args.sizes, args.rounds)
    lengths(args.cache, args.lengths, args.rounds)
    networks(args.cache, args.rounds)
    peers(args.cache, args.rounds)


if __name__ == "__main__":
    main()
