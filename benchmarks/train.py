"""Time of a training step: `vitalcam.train` against the plain loop of the authors' trainers, in turns.

    python benchmarks/train.py --originals DIR                  FactorizePhys and MMRPhys, float32 and bfloat16
    python benchmarks/train.py --plates BANK --rounds 0         how long the loop waits for takes

DIR holds the authors' repositories FactorizePhys and MMRPhys, under their own names; without it our own networks in
their `released` form stand for theirs. The plain loop does what their trainers do: it repeats the last frame,
normalises the waves of the whole batch, and reads the loss after every step.

Each loop is a process of its own, since `vitalcam train` sets the C library's allocator (`vitalcam.allocator`), which
holds for a whole process; theirs keeps the default. Rounds go in turns: while one loop runs the others wait. All learn
the same batch of noise, which lies ready, so data cost nothing. Printed are milliseconds of a step, smallest and median
of the rounds, and the ratios to the original. Time of the processor counts less what else the machine does; on a GPU
read the clock.

With --plates (what `vitalcam plates` made) our bfloat16 loop, the one that asks for data most often, is fed with takes,
each seen once, as `vitalcam train --plates` does. "waited" is the share of the time in which it had none.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import torch
from models import ONE_FRAME_MORE, authors_network
from torch import Tensor, nn

from vitalcam import allocator, losses
from vitalcam.synth.plates import Bank
from vitalcam.train import train
from vitalcam.training import Batch, SyntheticBatches, Training

MODELS = {
    "factorizephys": Training("factorizephys", "rgb", options={"attention": "fsam"}, epochs=1),
    "mmrphys": Training("mmrphys", "72_rgb_bvp", options={"attention": "tsfm"}, epochs=1),
}
ORIGINALS = {  # file in the folder of their repositories, what makes the network, and its waveform of x and the truth y
    "factorizephys": (
        "FactorizePhys/neural_methods/model/FactorizePhys/FactorizePhys.py",
        "FactorizePhys(160, {'MD_FSAM': True, 'MD_INFERENCE': False, 'MD_RESIDUAL': True}, 3)",
        lambda network, x, y: network(x)[0],
    ),
    "mmrphys": (
        "MMRPhys/neural_methods/model/MMRPhys/MMRPhysLEF.py",
        "MMRPhysLEF(160, {'MD_FSAM': True, 'TASKS': ['BVP']}, 3)",
        lambda network, x, y: network(x, label_bvp=y)[0],
    ),
}
LOOPS = ("original", "ours", "ours bf16")
Spent = dict[str, float]


def main() -> None:
    """Print the table, or be one of the loops."""
    arguments = parse()
    torch.set_num_threads(arguments.threads)
    if arguments.loop:
        run(arguments)
        return
    names = arguments.model or list(MODELS)
    print(f"{arguments.device}, torch {torch.__version__}, {arguments.threads} threads, batch {arguments.batch}")
    if arguments.rounds:
        print("| network | loop | processor, ms: min, median | ratio | clock, ms: min, median | ratio | memory, MB |")
        print("|---|---|---|---|---|---|---|")
        for name in names:
            print("\n".join(compared(name, arguments)), flush=True)
    for name in names if arguments.plates else ():
        print(f"{name}: waited {waited(name, arguments):.3f} of the time", flush=True)


def parse() -> argparse.Namespace:
    """What was asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--model", choices=MODELS, action="append")
    parser.add_argument("--originals", type=Path, help="folder with the authors' repositories")
    parser.add_argument("--plates", type=Path, help="what `vitalcam plates` made")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=3, help="of a loop in a round")
    parser.add_argument("--rounds", type=int, default=5, help="0 for no table")
    parser.add_argument("--takes", type=int, default=21, help="steps with takes, 11 or more")
    parser.add_argument("--loop", choices=LOOPS, help=argparse.SUPPRESS)
    return parser.parse_args()


def compared(name: str, arguments: argparse.Namespace) -> list[str]:
    """The rows of a network: its loops as processes, which run in turns."""
    command = [sys.executable, __file__, *sys.argv[1:], "--threads", str(arguments.threads), "--model", name, "--loop"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(arguments.threads)}
    loops = {
        loop: subprocess.Popen([*command, loop], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
                               env=environment)
        for loop in LOOPS
    }  # fmt: skip
    rounds: dict[str, list[Spent]] = {loop: [] for loop in loops}
    for _ in range(arguments.rounds):
        for loop, process in loops.items():
            rounds[loop].append(asked(process))
    for process in loops.values():
        process.communicate()
    return [row(name, loop, rounds[loop], rounds["original"]) for loop in loops]


def asked(process: subprocess.Popen[str]) -> Spent:
    """Let a loop run a round; what it took."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit("a loop ended early; its error is above")
    spent: Spent = json.loads(answer)
    return spent


def row(name: str, loop: str, rounds: list[Spent], originals: list[Spent]) -> str:
    """A line of the table."""
    cells = []
    for clock in ("cpu_ms", "wall_ms"):
        own, theirs = ([spent[clock] for spent in all_rounds] for all_rounds in (rounds, originals))
        low, middle = min(own), statistics.median(own)
        cells += [f"{low:.0f}, {middle:.0f}", f"{low / min(theirs):.2f}, {middle / statistics.median(theirs):.2f}"]
    return f"| {name} | {loop} | {' | '.join(cells)} | {rounds[-1]['memory_mb']:.0f} |"


class Rounds:
    """The same batch again and again; a round begins when a line comes in, and what it took goes out as a line."""

    def __init__(self, batch: Batch, rounds: int, each: int, out: IO[str]) -> None:
        self.batch, self.rounds, self.each, self.out = batch, rounds, each, out
        self.steps = 1 + rounds * each + 1  # a first one to warm up, and a last one so that the last round is told

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        """See `vitalcam.training.Batches`."""
        yield self.batch
        for _ in range(self.rounds):
            if not sys.stdin.readline():
                raise SystemExit("nobody asks any more")
            cpu_s, wall_s = time.process_time(), self.now_s()
            for _ in range(self.each):
                yield self.batch
            wall_s, cpu_s = self.now_s() - wall_s, time.process_time() - cpu_s
            spent = {"cpu_ms": 1e3 * cpu_s / self.each, "wall_ms": 1e3 * wall_s / self.each, "memory_mb": memory_mb()}
            print(json.dumps(spent), file=self.out, flush=True)
        yield self.batch

    @staticmethod
    def now_s() -> float:
        """The clock, once a GPU is done."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        return time.perf_counter()


def memory_mb() -> float:
    """The most that this process has needed; NaN where that is not told."""
    try:
        import resource
    except ImportError:  # Windows
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run(arguments: argparse.Namespace) -> None:
    """Be a loop."""
    [name] = arguments.model[-1:]
    training = dataclasses.replace(MODELS[name], batch=arguments.batch)
    rounds = Rounds(noise(training), arguments.rounds, arguments.steps, sys.stdout)
    if arguments.loop == "original":
        plain(name, training, rounds, arguments)
    else:
        ours(dataclasses.replace(training, bf16="bf16" in arguments.loop), rounds, arguments.device)


def noise(training: Training) -> Batch:
    """A batch of noise with a sine for the truth."""
    spec = training.spec
    pictures = 255 * torch.rand(training.batch, 3, spec.frames, spec.size_px, spec.size_px)
    wave = torch.sin(torch.arange(spec.frames) / spec.fs_hz * 8).repeat(training.batch, 1)
    return pictures, {"bvp": wave}


def ours(training: Training, batches: Rounds | SyntheticBatches, device: str) -> list[float]:
    """What `vitalcam train` does; the shares of waiting that it notes every ten steps."""
    if device == "cpu":
        allocator.keep_memory()
    with tempfile.TemporaryDirectory() as folder:
        train(training, batches, Path(folder), device=device)
        lines = (Path(folder) / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [noted["waited"] for noted in map(json.loads, lines) if "waited" in noted]


def plain(name: str, training: Training, batches: Rounds, arguments: argparse.Namespace) -> None:
    """What the authors' trainers do."""
    file, expression, wave_of = ORIGINALS[name]
    released = dataclasses.replace(training, options={**training.options, "form": "released"}).network()
    if arguments.originals:
        network: nn.Module = authors_network(f"{arguments.originals / file}:{expression}", released, None)
    else:
        network, wave_of = released, lambda network, x, y: network(x, target={"bvp": y})["bvp"]
    network.to(arguments.device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=training.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, training.lr, total_steps=batches.steps)
    loss_of = losses.find("neg_pearson_released")
    for pictures, waves in batches.epoch(1, 0):
        x, truth = pictures.to(arguments.device), standardised(waves["bvp"].to(arguments.device))
        if arguments.originals:
            x = eval(ONE_FRAME_MORE, {"torch": torch, "x": x})
        optimiser.zero_grad()
        loss = loss_of({"bvp": standardised(wave_of(network, x, truth))}, {"bvp": truth})
        loss.backward()
        optimiser.step()
        schedule.step()
        loss.item()


def standardised(x: Tensor) -> Tensor:
    """By mean and deviation of the whole batch."""
    return (x - x.mean()) / x.std()


def waited(name: str, arguments: argparse.Namespace) -> float:
    """Share of waiting with takes of plates, in the last ten steps noted: the very first take is always awaited."""
    training = dataclasses.replace(MODELS[name], batch=arguments.batch, bf16=True)
    bank = Bank(arguments.plates / "training")
    batches = SyntheticBatches(training, steps=arguments.takes, plates=bank, device=arguments.device)
    return ours(training, batches, arguments.device)[-1]


if __name__ == "__main__":
    main()
