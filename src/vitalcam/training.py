"""What a training is: its settings, where its batches come from, and the weights that come out of it."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import math
import os
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from vitalcam import checkpoints, config, losses, registry
from vitalcam.clips import transform
from vitalcam.data import Clips, Preparation, target
from vitalcam.errors import ConfigError, UnknownName, UsageError, WeightsError
from vitalcam.runtime import Card, Model
from vitalcam.types import Floats, ModelSpec

if TYPE_CHECKING:
    from vitalcam.synth.clips import Batch as Shots
    from vitalcam.synth.clips import Plates

Batch = tuple[Tensor, Mapping[str, Tensor]]
"""Pictures (B, C, T, H, W) and true waveforms (B, T) each."""


@dataclass(frozen=True)
class Training:
    """How a network is trained; the defaults are those of FactorizePhys.

    Attributes:
        model, variant, options: what ``build`` of a module of `vitalcam.models` is called with.
        size_px: side of the pictures; 0 for what the network's card says.
        loss: a name of `vitalcam.losses`.
        own_term: weight of the network's own term, the error of its factorization.
        epochs: passes over the data.
        batch: clips in a batch, over all processes.
        accumulate: batches to a step of the optimiser.
        optimiser, lr, weight_decay: as torch has them.
        schedule: "onecycle" (up for 30 % of the steps, then down to a 250 000th) or "constant".
        bf16: compute in bfloat16 where that is safe; norms, factorization and loss stay in float32.
        seed: of the weights, the order of the clips and the dropout.
        target: "wave", or "change" for its change from sample to sample.
        null_share: share of the takes that show somebody without a pulse.
        start: file of weights to start from: our own, or the authors' (`vitalcam.checkpoints`).

    Raises:
        ConfigError: a value is out of its range.
        UnknownName: there is no such model, variant or loss.
    """

    model: str
    variant: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    size_px: int = 0
    loss: str = "neg_pearson"
    own_term: float = 0.0
    epochs: int = 10
    batch: int = 4
    accumulate: int = 1
    optimiser: Literal["adam", "adamw"] = "adam"
    lr: float = 1e-3
    weight_decay: float = 0.0
    schedule: Literal["onecycle", "constant"] = "onecycle"
    bf16: bool = False
    seed: int = 100
    target: Literal["wave", "change"] = "wave"
    null_share: float = 0.0
    start: str = ""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name} is {getattr(self, name)}; it must be 1 or more")
        if self.size_px < 0:
            raise ConfigError(f"size_px is {self.size_px}; it must be 1 or more, or 0 for the network's own")
        if not (self.lr > 0 and math.isfinite(self.lr)):
            raise ConfigError(f"lr is {self.lr}; it must be more than 0")
        if not 0 <= self.null_share < 1:
            raise ConfigError(f"null_share is {self.null_share}; it must be from 0 to less than 1")
        losses.find(self.loss)
        _ = self.spec

    @property
    def spec(self) -> ModelSpec:
        """Card of the network."""
        module = registry.find("models", self.model)
        if self.variant and self.variant not in module.VARIANTS:
            raise UnknownName(f"variant of {self.model}", self.variant, module.VARIANTS)
        spec: ModelSpec = module.VARIANTS[self.variant] if self.variant else module.SPEC
        return dataclasses.replace(spec, size_px=self.size_px) if self.size_px else spec

    def network(self) -> nn.Module:
        """The network, its weights as the seed has them or as ``start`` does.

        Raises:
            ConfigError: it cannot see pictures of ``size_px``.
        """
        torch.manual_seed(self.seed)
        options = {**self.options, **registry.sized(self.model, self.size_px)}
        network = registry.network(self.model, self.variant, options)
        if self.size_px:
            _check_size(network, self.spec)
        if self.start:
            self._begin_with(network, Path(self.start))
        return network

    def _begin_with(self, network: nn.Module, path: Path) -> None:
        tensors: Mapping[str, Tensor] = checkpoints.read(path)
        if tensors.keys() != network.state_dict().keys():  # then its names are perhaps the authors'
            found = checkpoints.load(path, model=self.model, variant=self.variant, fs_hz=self.spec.fs_hz)
            tensors = found.model.state_dict()
        _fill(network, tensors, path)


def _check_size(network: nn.Module, spec: ModelSpec) -> None:
    """Show a network a clip of the size that was asked for."""
    clip = torch.zeros(spec.clip_shape())
    was_training = network.training
    cannot = f"{spec.name} cannot see pictures of {spec.size_px} px"
    try:
        with torch.inference_mode():
            lengths = {wave.shape[1] for wave in network.eval()(clip).values()}
    except RuntimeError as error:
        raise ConfigError(f"{cannot}: {error}") from None
    finally:
        network.train(was_training)
    if lengths != {spec.frames}:
        raise ConfigError(
            f"{cannot}: of {spec.frames} frames it makes a wave of {', '.join(map(str, lengths))} samples"
        )


class Batches(Protocol):
    """Where training takes its batches from: clips on disk, or a generator of synthetic people."""

    steps: int
    """Batches in an epoch."""

    def epoch(self, number: int, start: int) -> Iterator[Batch]:
        """The batches of an epoch (from 1), from number ``start`` on: the same whenever it is asked."""


@dataclass(frozen=True)
class Place:
    """Which process this is, of how many."""

    rank: int = 0
    world: int = 1
    local: int = 0

    @classmethod
    def here(cls) -> Place:
        """What ``torchrun`` says."""
        given = os.environ.get
        return cls(int(given("RANK", 0)), int(given("WORLD_SIZE", 1)), int(given("LOCAL_RANK", 0)))


def device_named(name: str) -> str:
    """A device by its name; where that is empty, a GPU if there is one.

    Raises:
        UsageError: there is no such device.
    """
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if not name:
        return "cuda" if there else "cpu"
    kind, _, number = name.partition(":")
    if name != "cpu" and (kind != "cuda" or (name != kind and not number.isdecimal())):
        raise UsageError(f"--device {name}: unknown device; give cpu or cuda")
    if kind == "cuda" and int(number or 0) >= there:
        lacks = f"has {there} GPUs, the first is cuda:0" if there else "has no GPU; give cpu"
        raise UsageError(f"--device {name}: this PyTorch {lacks}")
    return name


class ClipBatches:
    """Clips in another order each epoch; of each batch, every process takes its share.

    Args:
        clips: the data.
        batch: clips in a batch over all processes; the clips left over at the end of an epoch wait for the next.
        seed: of the order; None for the order in which they are.
        workers: processes that read ahead.

    Raises:
        UsageError: there are fewer clips than a batch needs, or a batch cannot be shared evenly.
    """

    def __init__(self, clips: Clips, batch: int, *, seed: int | None, workers: int = 0) -> None:
        self.clips, self.batch, self.seed, self.workers = clips, batch, seed, workers
        self.place = _shared(batch)
        self.steps = len(clips) // batch
        if not self.steps:
            raise UsageError(f"{len(clips)} clips do not make a batch of {batch}; give more data or a smaller batch")

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """See `Batches`."""
        order = torch.arange(len(self.clips))
        if self.seed is not None:
            order = torch.randperm(len(order), generator=torch.Generator().manual_seed(self.seed * 1_000_003 + number))
        batches = order[: self.steps * self.batch].reshape(self.steps, self.batch)
        mine = batches[start:, self.place.rank :: self.place.world].tolist()
        loader: Any = torch.utils.data.DataLoader(
            self.clips,  # type: ignore[arg-type]
            batch_sampler=mine,
            num_workers=self.workers,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator(),  # else it would draw from the one that dropout draws from
        )
        yield from loader


class SyntheticBatches:
    """Takes of synthetic people (`vitalcam.synth.takes`), shot as they are needed; none is seen twice.

    Every take has a pulse, unless `Training.null_share` says otherwise: most losses standardise the waves, and would
    teach a network to whisper where there is none, not to be silent. `losses.pearson_spectral` teaches a flat spectrum.

    Args:
        training: gives batch, seed and target.
        steps: batches that count as an epoch.
        plates: what takes are shot of, such as a bank; by default they are rendered on the way, which is slower.
        seed: of the takes; that of the training by default. Fixed and with plates of their own they can validate.
        scenario: without ``plates``, names in `vitalcam.synth.scenarios.SCENARIOS`; all of the ladder by default.
        frames: of a clip; as the network's card says by default.
        device: where they are made.

    Raises:
        UsageError: a batch cannot be shared evenly, or the network wants heat, which these plates do not hold.
    """

    def __init__(
        self, training: Training, *, steps: int, plates: Plates | None = None, seed: int | None = None,
        scenario: Sequence[str] = (), frames: int = 0, device: str = "cpu",
    ) -> None:  # fmt: skip
        self.training, self.steps, self.scenario, self.device = training, steps, tuple(scenario), device
        self.seed = training.seed if seed is None else seed
        self.frames = frames or training.spec.frames
        self.place = _shared(training.batch)
        self._plates, self._channels = plates, Preparation.of(training.spec).channels
        if plates is not None and self._channels != "rgb" and not plates.recipe.thermal:
            name = training.spec.name
            raise UsageError(f"{name} sees heat, and these plates hold none; make some with vitalcam plates --thermal")

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """See `Batches`; a batch is made while the one before is used."""
        steps = range((number - 1) * self.steps + start, number * self.steps)
        with ThreadPoolExecutor(1) as ahead:
            waiting = deque[Future[Batch]]()
            for step in steps:
                waiting.append(ahead.submit(self._batch, step))
                if len(waiting) > 1:
                    yield waiting.popleft().result()
            yield from (made.result() for made in waiting)

    def _batch(self, step: int) -> Batch:
        spec, change = self.training.spec, self.training.target == "change"
        made = self._shot(step)
        truth = {"bvp": made.bvp.cpu().numpy(), "resp": made.resp.cpu().numpy()}
        waves = {kind: torch.tensor(np.stack([target(w, change=change) for w in truth[kind]])) for kind in spec.outputs}
        return self._transformed(made.video), waves

    def _shot(self, step: int) -> Shots:
        from vitalcam.synth import clips

        spec, share = self.training.spec, self.training.batch // self.place.world
        first = step * self.training.batch + self.place.rank * share
        return clips.shoot(
            self._source, range(first, first + share), frames=self.frames, size_px=spec.size_px, fs_hz=spec.fs_hz,
            seed=self.seed, null_share=self.training.null_share, channels=self._channels, device=self.device,
        )  # fmt: skip

    @functools.cached_property
    def _source(self) -> Plates:
        from vitalcam.synth import clips

        if self._plates is not None:
            return self._plates
        spec = self.training.spec
        return clips.rolling(
            self.scenario, frames=self.frames, size_px=spec.size_px, fs_hz=spec.fs_hz, seed=self.seed,
            thermal=self._channels != "rgb", device=self.device,
        )  # fmt: skip

    def _transformed(self, video: Tensor) -> Tensor:
        name = self.training.spec.transform
        if name == "raw":
            return video
        clips = (transform(clip.permute(1, 2, 3, 0).cpu().numpy(), name) for clip in video)
        return torch.stack([torch.from_numpy(clip).permute(3, 0, 1, 2) for clip in clips])


def _shared(batch: int) -> Place:
    place = Place.here()
    if batch % place.world:
        raise UsageError(f"a batch of {batch} cannot be shared by {place.world} processes; give a multiple")
    return place


def _fill(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    own, given = _shapes(network.state_dict()), _shapes(tensors)
    wrong = sorted(name for name in own.keys() | given.keys() if own.get(name) != given.get(name))
    if wrong:
        name = wrong[0]
        raise WeightsError(
            f"{path}: does not fit this network in {len(wrong)} tensors, the first is {name!r}: the network has "
            f"{own.get(name, 'none')}, the file {given.get(name, 'none')}; name the model and options it was made for"
        )
    network.load_state_dict(tensors)


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(tensor.shape) for name, tensor in tensors.items()}


def trained(path: Path, options: Mapping[str, Any] | None = None) -> tuple[Training, nn.Module]:
    """A network that `train` wrote, ready to measure, and how it was trained.

    Args:
        path: of its weights.
        options: of ``build`` that differ from those in training, such as ``attention_at_inference``.

    Raises:
        WeightsError: the file was not written by `train`, or is damaged.
    """
    training = config.build(Training, {**about(path)["training"], "start": ""})
    training = dataclasses.replace(training, options={**training.options, **(options or {})})
    return training, checkpoints.load(path, options=options).model


def about(path: Path) -> dict[str, Any]:
    """What `train` noted in the weights: "training", "data", "steps", "digest", "result" and "vitalcam", its version.

    Raises:
        WeightsError: the file was not written by `train`, or is damaged.
    """
    noted = checkpoints.noted_by_train(path)
    if "training" not in noted:
        raise WeightsError(f"{path}: holds no training of vitalcam; give last.safetensors or best.safetensors")
    return noted


class TrainedModel(Model):
    """A network that `vitalcam.train` wrote, as evaluation takes methods and models.

    Attributes:
        differenced: its waves are changes from sample to sample, to be summed up.

    Args:
        path: of its weights.
        device: as torch names it; a GPU where there is one, by default.
        options: see `trained`.
    """

    def __init__(self, path: Path, *, device: str = "", options: Mapping[str, Any] | None = None) -> None:
        training, network = trained(path, options)
        device = device_named(device)
        network.to(device)
        self.differenced = training.target == "change"
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        spec = dataclasses.replace(training.spec, file=path.name, sha256=sha256)

        def waves(video: Floats) -> list[Floats]:
            with torch.inference_mode():
                outputs = network(torch.from_numpy(video).to(device))
            return [outputs[name].float().cpu().numpy() for name in spec.outputs]

        super().__init__(Card(spec, path, {}), waves)
