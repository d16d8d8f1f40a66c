"""Time of a training step: `vitalcam.train` against a plain eager loop, in turns.

    python benchmarks/train.py                      # FactorizePhys and MMRPhys, float32 and bfloat16
    python benchmarks/train.py --device cuda --rounds 5 --steps 50

The plain loop stands for the originals' trainers, whose code is not here: it trains our own network in its `released`
form, normalises the waves of the whole batch, and reads the loss after every step, as they do. Times are medians over
the rounds, each of which runs all loops one after the other. "waited" is the share of the time in which our loop had
no data (known from 10 steps on); clips come from prepared files, made up of noise.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from vitalcam import losses
from vitalcam.data import Clips, Prepared, Store
from vitalcam.train import train
from vitalcam.training import Batch, ClipBatches, Training

MODELS = {
    "factorizephys": Training("factorizephys", "rgb", options={"attention": "fsam"}, epochs=1),
    "mmrphys": Training("mmrphys", "72_rgb_bvp", options={"attention": "tsfm"}, epochs=1),
}


def clips(folder: Path, training: Training, steps: int) -> Clips:
    """Prepared files of noise, enough for the steps."""
    spec, rng = training.spec, np.random.default_rng(0)
    frames = spec.frames * steps * training.batch
    store = Store(folder)
    pictures = rng.integers(0, 65535, (frames, spec.size_px, spec.size_px, 3), dtype=np.uint16)
    wave = np.sin(np.arange(frames) / spec.fs_hz * 8).astype(np.float32)
    valid = np.ones(frames, bool)
    skin = np.zeros((frames, 3), np.float32)
    store.add(Prepared("noise", "1", "1", {}, spec.fs_hz, 0, pictures, skin, valid, {"bvp": wave}))
    return Clips(store, spec)


class Timed:
    """Batches that note when each was asked for; the first ones are not counted."""

    def __init__(self, batches: ClipBatches, warm: int, device: str) -> None:
        self.batches, self.warm, self.device = batches, warm, device
        self.steps = batches.steps
        self.begun_s = 0.0

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        """See `vitalcam.training.Batches`."""
        for i, batch in enumerate(self.batches.epoch(number, start)):
            if i == self.warm:
                wait(self.device)
                self.begun_s = time.perf_counter()
            yield batch

    def step_s(self) -> float:
        """Time of a step since the warm ones; call it when the last is done."""
        wait(self.device)
        return (time.perf_counter() - self.begun_s) / (self.steps - self.warm)


def wait(device: str) -> None:
    """Until the device is done."""
    if device == "cuda":
        torch.cuda.synchronize()


def ours(training: Training, batches: Timed) -> tuple[float, float]:
    """Seconds a step, and share of waiting."""
    with tempfile.TemporaryDirectory() as folder:
        train(training, batches, Path(folder), device=batches.device)
        step_s = batches.step_s()
        rows = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return step_s, float(np.mean([row["waited"] for row in rows if "waited" in row] or [np.nan]))


def plain(training: Training, batches: Timed) -> float:
    """Seconds a step of the plain loop."""
    network = training.network().to(batches.device).train()
    optimiser = torch.optim.Adam(network.parameters(), lr=training.lr)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, training.lr, total_steps=batches.steps)
    loss_of = losses.find("neg_pearson_released")
    for pictures, waves in batches.epoch(1, 0):
        truth = waves["bvp"].to(batches.device)
        optimiser.zero_grad()
        found = network(pictures.to(batches.device), target={"bvp": truth})["bvp"]
        found, truth = ((x - x.mean()) / x.std() for x in (found, truth))
        loss = loss_of({"bvp": found}, {"bvp": truth})
        loss.backward()
        optimiser.step()
        schedule.step()
        loss.item()
    return batches.step_s()


def compare(name: str, args: argparse.Namespace, folder: Path) -> str:
    """One line of the table for each kind of loop."""
    training = dataclasses.replace(MODELS[name], batch=args.batch)
    data = clips(folder / name, training, args.steps + args.warm)

    def batches() -> Timed:
        return Timed(ClipBatches(data, args.batch, seed=0, workers=args.workers), args.warm, args.device)

    released = dataclasses.replace(training, options={**training.options, "form": "released"})
    seconds: dict[str, list[float]] = {"plain": [], "ours": [], "ours bf16": []}
    waited = []
    for _ in range(args.rounds):
        seconds["plain"].append(plain(released, batches()))
        for key, bf16 in (("ours", False), ("ours bf16", True)):
            step_s, share = ours(dataclasses.replace(training, bf16=bf16), batches())
            seconds[key].append(step_s)
            waited.append(share)
    base = statistics.median(seconds["plain"])
    times = ", ".join(
        f"{key} {1000 * statistics.median(s):.1f} ms ({statistics.median(s) / base:.2f})" for key, s in seconds.items()
    )
    return f"{name}, batch {args.batch}: {times}; waited {statistics.mean(waited):.3f}"


def main() -> None:
    """Read the arguments, print a line for each network."""
    parser = argparse.ArgumentParser(description="Time of a training step.")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument("--model", choices=MODELS, action="append")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--steps", type=int, default=20, help="of a loop in a round")
    parser.add_argument("--warm", type=int, default=3, help="steps before the clock starts")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    print(f"{args.device}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.model or MODELS:
            print(compare(name, args, Path(folder)))


if __name__ == "__main__":
    main()
