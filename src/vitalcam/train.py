"""One training loop for every network: on a CPU, on a GPU, in many processes (``torchrun``).

What distinguishes one training from another is data (`vitalcam.training.Training`), not code. The folder of a training
holds ``state.pt`` (all that is needed to go on after a kill as if nothing had happened), ``last.safetensors`` and,
where there is validation data, ``best.safetensors`` (weights with the training in their metadata), and
``metrics.jsonl``.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from vitalcam import __version__, config, files, losses
from vitalcam.errors import ConfigError, DataError, UsageError
from vitalcam.models._attention import FactorizedAttention
from vitalcam.training import Batch, Batches, Place, Training, device_named

_LOOK_EVERY = 10
"""Steps of the optimiser between looks at the loss, at which work may be saved: each look waits for the device."""
_NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm)


@dataclass(frozen=True)
class Progress:
    """How far a training is.

    Attributes:
        epoch, epochs: the present one, from 1, and all.
        step, steps: batches done, and in all.
        loss: mean of the epoch so far.
        steps_per_s: since the last report.
        waited: share of the time since then in which the loop waited for data.
        left_s: time left at that speed.
    """

    epoch: int
    epochs: int
    step: int
    steps: int
    loss: float
    steps_per_s: float
    waited: float
    left_s: float


def train(
    training: Training,
    batches: Batches,
    folder: Path,
    *,
    validation: Batches | None = None,
    about: Mapping[str, Any] | None = None,
    device: str = "",
    save_every_s: float = 60.0,
    progress: Callable[[Progress], None] | None = None,
    tensorboard: bool = False,
) -> Path:
    """Train a network, or go on where a training in this folder was interrupted.

    Args:
        training: how.
        batches: the data.
        folder: what is made; see above.
        validation: data whose loss chooses the best epoch.
        about: what the weights' metadata shall say about the data.
        device: as torch names it; a GPU where there is one, by default.
        save_every_s: at most so much work is lost by a kill.
        progress: is called now and then.
        tensorboard: write the numbers of ``metrics.jsonl`` for TensorBoard too, into ``tensorboard``.

    Returns:
        the weights after the last epoch.

    Raises:
        ConfigError: the folder holds another training.
        DataError: the loss is no number any more; what was saved before stays.
        WeightsError: the weights to start from do not fit.
        UsageError: there is no such device, or TensorBoard is asked for and not installed.
    """
    about = {"training": config.to_dict(training), "data": dict(about or {}), "steps": batches.steps}
    with _processes(device) as (place, where):
        run = _Run(training, batches, validation, folder, about, place, where)
        run.resume()
        with _board(folder, run.done) if tensorboard and place.rank == 0 else contextlib.nullcontext() as run.board:
            run.go(save_every_s, progress)
    return folder / "last.safetensors"


class _Run:
    """A training under way."""

    def __init__(
        self, training: Training, batches: Batches, validation: Batches | None, folder: Path,
        about: Mapping[str, Any], place: Place, device: torch.device,
    ) -> None:  # fmt: skip
        self.training, self.batches, self.validation, self.folder = training, batches, validation, folder
        self.about, self.place, self.device = about, place, device
        self.digest = config.digest(about)
        self.network = training.network().to(device)
        if device.type == "cpu":
            _channels_last(self.network)
        self.loss = losses.find(training.loss)
        self.fs_hz = training.spec.fs_hz
        self.per_epoch = batches.steps // training.accumulate * training.accumulate
        if not self.per_epoch:
            raise UsageError(f"accumulate is {training.accumulate}, but an epoch has {batches.steps} batches")
        self.optimiser, self.schedule = _optimiser(training, self.network, self.per_epoch // training.accumulate)
        self.forward: nn.Module = self.network
        if place.world > 1:
            self.forward = DistributedDataParallel(self.network)
        if training.bf16:
            _keep_float32(self.network, device.type)
        self.epoch, self.step = 1, 0
        self.total = torch.zeros((), device=device, dtype=torch.float64)
        self.best = math.inf
        self.board: Any = None
        torch.manual_seed(training.seed + place.rank)

    def go(self, save_every_s: float, progress: Callable[[Progress], None] | None) -> None:
        """Until the last epoch is done."""
        while self.epoch <= self.training.epochs:
            self.network.train()
            clock = _Clock(self, save_every_s, progress)
            for batch in clock.timed(self.batches.epoch(self.epoch, self.step)):
                self.take(batch)
                clock.tick()
                if self.step == self.per_epoch:
                    break
            self.finish_epoch()

    def take(self, batch: Batch) -> None:
        """One batch; the optimiser steps when enough have come together."""
        accumulate = self.training.accumulate
        last = (self.step + 1) % accumulate == 0
        alone = isinstance(self.forward, DistributedDataParallel) and not last
        with self.forward.no_sync() if alone else contextlib.nullcontext():  # type: ignore[operator]
            loss = self.loss_of(batch, teach=True)
            (loss / accumulate).backward()  # type: ignore[no-untyped-call]
        self.total += loss.detach()
        self.step += 1
        if last:
            self.optimiser.step()
            self.optimiser.zero_grad(set_to_none=True)
            if self.schedule is not None:
                self.schedule.step()

    def loss_of(self, batch: Batch, *, teach: bool) -> Tensor:
        """Loss of a batch; while teaching the network may see the truth, and its own term counts."""
        pictures = batch[0].to(self.device, non_blocking=True)
        waves = {name: wave.to(self.device, non_blocking=True) for name, wave in batch[1].items()}
        with torch.autocast(self.device.type, torch.bfloat16, enabled=self.training.bf16):
            outputs = self.forward(pictures, target=waves) if teach else self.network(pictures)
        loss = self.loss(outputs, waves, epoch=self.epoch, epochs=self.training.epochs, fs_hz=self.fs_hz)
        if teach and self.training.own_term:
            loss = loss + self.training.own_term * losses.reconstruction(self.network)  # type: ignore[arg-type]
        return loss

    def mean_loss(self) -> float:
        """Mean of the epoch so far over all processes.

        Raises:
            DataError: it is no number.
        """
        total = self.total.clone()
        if self.place.world > 1:
            distributed.all_reduce(total)
        loss = float(total) / max(self.step, 1) / self.place.world
        if not math.isfinite(loss):
            raise DataError(
                f"{self.folder}: the loss is {loss} in epoch {self.epoch}, by batch {self.step}; lr "
                f"{self.training.lr:g} may be too large, or the data hold NaN. What was saved before is still there"
            )
        return loss

    def finish_epoch(self) -> None:
        """Keep the weights and begin the next epoch."""
        row = {"epoch": self.epoch, "step": self.done, "loss": self.mean_loss()}
        better = False
        if self.validation is not None:
            row["validation"] = self.validate(self.validation)
            better = row["validation"] < self.best
            self.best = min(self.best, row["validation"])
        if self.place.rank == 0:
            self.write_weights("last", row)
            if better:
                self.write_weights("best", row)
            self.note(row)
        self.epoch, self.step = self.epoch + 1, 0
        self.total.zero_()
        self.save()

    @torch.no_grad()
    def validate(self, data: Batches) -> float:
        """Mean loss of other data; every process computes all of its share."""
        self.network.eval()
        total = torch.stack([self.loss_of(batch, teach=False) for batch in data.epoch(1, 0)]).mean()
        if self.place.world > 1:
            distributed.all_reduce(total)
        self.network.train()
        return float(total) / self.place.world

    @property
    def done(self) -> int:
        """Batches so far."""
        return (self.epoch - 1) * self.per_epoch + self.step

    def note(self, row: Mapping[str, Any]) -> None:
        """Append a line to the metrics."""
        with (self.folder / "metrics.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        if self.board is not None:
            for name in row.keys() - {"step"}:
                self.board.add_scalar(name, row[name], row["step"])
            self.board.flush()

    def write_weights(self, name: str, row: Mapping[str, Any]) -> None:
        """Weights with everything needed to use them and to say where they come from."""
        about = {**self.about, "digest": self.digest, "result": dict(row), "vitalcam": __version__}
        tensors = {key: tensor.detach().cpu().contiguous() for key, tensor in self.network.state_dict().items()}
        with files.whole(self.folder / f"{name}.safetensors") as part:
            save_file(tensors, part, metadata={"vitalcam": json.dumps(about)})

    def save(self) -> None:
        """Write what a resumed training needs; only between steps of the optimiser."""
        total = self.mean_loss() * self.step
        random = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]
        everyone: list[Any] = [random]
        if self.place.world > 1:
            everyone = [None] * self.place.world
            distributed.all_gather_object(everyone, random)
        if self.place.rank == 0:
            state = {
                "digest": self.digest, "epoch": self.epoch, "step": self.step, "total": total, "best": self.best,
                "network": self.network.state_dict(), "optimiser": self.optimiser.state_dict(),
                "schedule": self.schedule and self.schedule.state_dict(), "random": everyone,
            }  # fmt: skip
            with files.whole(self.folder / "state.pt") as part:
                torch.save(state, part)

    def resume(self) -> None:
        """Take up what was saved, if anything was."""
        path = self.folder / "state.pt"
        if not path.exists():
            if self.place.rank == 0:
                files.write_text(self.folder / "metrics.jsonl", "")
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        if state["digest"] != self.digest:
            raise ConfigError(
                f"{self.folder}: holds another training ({state['digest']}, this one is {self.digest}); "
                "give another folder, or the settings and data that it was begun with"
            )
        self.network.load_state_dict(state["network"])
        self.optimiser.load_state_dict(state["optimiser"])
        if self.schedule is not None:
            self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.step, self.best = state["epoch"], state["step"], state["best"]
        self.total.fill_(state["total"])
        if len(state["random"]) == self.place.world:
            cpu, *gpus = state["random"][self.place.rank]
            torch.set_rng_state(cpu.cpu())
            torch.cuda.set_rng_state_all([gpu.cpu() for gpu in gpus[: torch.cuda.device_count()]])
        if self.place.rank == 0:
            self._forget_later_metrics()

    def _forget_later_metrics(self) -> None:
        path = self.folder / "metrics.jsonl"
        lines = [line for line in path.read_text(encoding="utf-8").splitlines() if line.endswith("}")]
        files.write_text(path, "".join(f"{line}\n" for line in lines if json.loads(line)["step"] <= self.done))


class _Clock:
    """Says how an epoch goes and saves now and then."""

    def __init__(self, run: _Run, save_every_s: float, progress: Callable[[Progress], None] | None) -> None:
        self._run, self._save_every_s, self._progress = run, save_every_s, progress
        self._saved_s = self._looked_s = time.monotonic()
        self._looked_at, self._waited_s = run.step, 0.0

    def timed(self, batches: Iterator[Batch]) -> Iterator[Batch]:
        """The batches; the time until each is there is added up."""
        while True:
            asked_s = time.monotonic()
            batch = next(batches, None)
            if batch is None:
                return
            self._waited_s += time.monotonic() - asked_s
            yield batch

    def tick(self) -> None:
        """A batch is done."""
        run, every = self._run, self._run.training.accumulate
        if run.step % (every * _LOOK_EVERY) == 0 and run.step < run.per_epoch:
            self._look()
            if self._due():
                run.save()
                self._saved_s = time.monotonic()

    def _due(self) -> bool:
        """Whether it is time to save: the first process decides for all."""
        due = torch.tensor(float(time.monotonic() - self._saved_s >= self._save_every_s))
        if self._run.place.world > 1:
            due = due.to(self._run.device)
            distributed.broadcast(due, 0)
        return bool(due)

    def _look(self) -> None:
        run, now_s = self._run, time.monotonic()
        loss, spent_s = run.mean_loss(), max(now_s - self._looked_s, 1e-9)
        speed = (run.step - self._looked_at) / spent_s
        waited = self._waited_s / spent_s
        row = {"epoch": run.epoch, "step": run.done, "loss": loss, "steps_per_s": speed}
        if run.place.rank == 0:
            run.note({**row, "lr": run.optimiser.param_groups[0]["lr"], "waited": waited})
            if self._progress:
                steps, epochs = run.per_epoch * run.training.epochs, run.training.epochs
                left_s = (steps - run.done) / speed
                self._progress(Progress(run.epoch, epochs, run.done, steps, loss, speed, waited, left_s))
        self._looked_s, self._looked_at, self._waited_s = now_s, run.step, 0.0


def _board(folder: Path, step: int) -> Any:
    """A TensorBoard log that goes on after ``step``: what was written later, by a process that was killed, is dropped.

    Raises:
        UsageError: TensorBoard is not installed.
    """
    try:
        tensorboard: Any = importlib.import_module("torch.utils.tensorboard")  # has no types where it is not installed
    except ImportError as error:
        raise UsageError("a log for TensorBoard: install it first: pip install tensorboard") from error
    return tensorboard.SummaryWriter(str(folder / "tensorboard"), purge_step=step + 1)


def _optimiser(training: Training, network: nn.Module, steps: int) -> tuple[torch.optim.Optimizer, Any]:
    kind = torch.optim.Adam if training.optimiser == "adam" else torch.optim.AdamW
    optimiser = kind(network.parameters(), lr=training.lr, weight_decay=training.weight_decay)
    if training.schedule == "constant":
        return optimiser, None
    total = training.epochs * steps
    return optimiser, torch.optim.lr_scheduler.OneCycleLR(optimiser, training.lr, total_steps=total)


def _channels_last(network: nn.Module) -> None:
    """Lay 3-D convolutions out as a CPU computes them; else each would turn its pictures about, there and back."""
    for weight in network.parameters():
        if weight.dim() == 5:
            weight.data = weight.data.contiguous(memory_format=torch.channels_last_3d)


def _keep_float32(network: nn.Module, device_type: str) -> None:
    """Make norms and factorizations compute in float32 inside autocast."""
    for module in network.modules():
        if isinstance(module, (*_NORMS, FactorizedAttention)):
            module.forward = _exact(module.forward, device_type)  # type: ignore[method-assign]


def _exact(forward: Callable[..., Tensor], device_type: str) -> Callable[..., Tensor]:
    def exact(x: Tensor, *others: Any) -> Tensor:
        with torch.autocast(device_type, enabled=False):
            return forward(x.float(), *others)

    return exact


@contextlib.contextmanager
def _processes(device: str) -> Iterator[tuple[Place, torch.device]]:
    """Join the other processes, where ``torchrun`` started any; which one this is, and its device."""
    place = Place.here()
    name = device_named(device)
    if name == "cuda":
        torch.cuda.set_device(place.local)
    joined = place.world > 1 and not distributed.is_initialized()
    if joined:
        distributed.init_process_group("nccl" if name.startswith("cuda") else "gloo")
    try:
        yield place, torch.device(name)
        if joined:
            distributed.barrier()  # who leaves first must not take the other's connection away
    finally:
        if joined:
            distributed.destroy_process_group()
