"""Networks at work: a model's name and a clip in, waveforms out. ONNX Runtime does it; OpenVINO or torch on request."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import importlib.resources
import importlib.util
import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from vitalcam import registry
from vitalcam.clips import transform
from vitalcam.errors import MissingExtra, UnknownName, UsageError, WeightsError
from vitalcam.signal import quality
from vitalcam.types import Clip, Floats, ModelSpec

Backend = Literal["onnx", "openvino", "torch"]
_BACKENDS: Mapping[Backend, tuple[str, str, tuple[str, ...]]] = {
    "onnx": ("ONNX Runtime", "", ()),
    "openvino": ("OpenVINO", "openvino", ("openvino",)),
    "torch": ("torch", "train", ("torch", "safetensors")),
}
"""Name, extra, and the packages that it brings."""
_Waves = Callable[[Floats], list[Floats]]


class Model:
    """A network with its weights.

    Attributes:
        spec: its card.

    Args:
        card: what is known of it.
        waves: turns a prepared clip (1, C, T, H, W) into a waveform (1, T) for each of the card's outputs.
    """

    def __init__(self, card: Card, waves: _Waves) -> None:
        self.spec = card.spec
        self._waves = waves

    @classmethod
    def load(cls, name: str | Path, *, backend: Backend = "onnx", threads: int = 0) -> Model:
        """A model by its name, or by the path of its .onnx file with the card beside it.

        Args:
            name: one of `available`, or a path.
            backend: "onnx"; "openvino", faster, with the extra ``openvino``; or "torch"
                for the network itself, which needs the extra ``train`` and a .safetensors file.
            threads: that work on one clip; 0 for as many as this process has cores.

        Raises:
            UnknownName: there is no such model; the message lists those there are.
            UsageError: there is no such file, it is no model file, or it has no torch weights and these are asked for.
            WeightsError: its file is damaged, or something of it is missing.
            MissingExtra: OpenVINO or torch is asked for and not installed.
        """
        card = card_of(name)
        _check_backend(card, backend)
        _check_confidence(card)
        threads = threads or _cores()
        run = {"onnx": _onnx, "openvino": _openvino, "torch": _torch}[backend]
        return cls(card, run(card, threads))

    def run(self, clip: Clip) -> dict[str, Floats]:
        """Waveforms of a clip that the model's own transform has not been applied to.

        Args:
            clip: frames (T, H, W, C) as the card wants them; `valid` is not looked at.

        Returns:
            a waveform (T,) for each of the card's outputs, arbitrary unit.

        Raises:
            UsageError: size, channels, length or transform do not fit; one line says which and what would.
        """
        _check(clip, self.spec)
        video = transform(clip.frames, self.spec.transform).transpose(3, 0, 1, 2)[None]
        waves = self._waves(np.ascontiguousarray(video, dtype=np.float32))
        return {name: wave[0] for name, wave in zip(self.spec.outputs, waves, strict=True)}

    __call__ = run


@dataclasses.dataclass(frozen=True)
class Card:
    """A model's file with what its card says.

    Attributes:
        spec: what it eats and gives.
        file: the .onnx file.
        origin: module, variant and options that the network is built with, for torch.
    """

    spec: ModelSpec
    file: Path
    origin: Mapping[str, Any]

    @classmethod
    def of(cls, fields: Mapping[str, Any], folder: Path) -> Card:
        """A card from a table of values, as `vitalcam.export` writes it.

        Raises:
            WeightsError: the table lacks what every card has.
        """
        known = {field.name for field in dataclasses.fields(ModelSpec)}
        values: dict[str, Any] = {
            key: tuple(v) if isinstance(v, list) else v for key, v in fields.items() if key in known
        }
        missing = {"name", "outputs", "file", "sha256"} - set(values)
        if missing:
            raise WeightsError(f"{folder}: a card lacks {min(missing)!r}; export or import the model again")
        spec = ModelSpec(**({"paper": ""} | values))
        return cls(spec, folder / spec.file, {k: v for k, v in fields.items() if k not in known})

    def content(self) -> bytes:
        """The model file.

        Raises:
            WeightsError: it is not there, or is not the file that the card speaks of.
        """
        return checked(self.file, self.spec.sha256)

    def plain_content(self) -> bytes:
        """The graph as it was before it was rewritten for ONNX Runtime, where that lies beside; else the model file.

        Raises:
            WeightsError: it is not the file that the card speaks of.
        """
        file, sha256 = plain_file(self.file), str(self.origin.get("plain_sha256", ""))
        return checked(file, sha256) if sha256 and file.exists() else self.content()


def plain_file(file: Path) -> Path:
    """Where the graph of a model file lies as it was before it was rewritten for ONNX Runtime."""
    return file.with_suffix(".plain.onnx")


def checked(file: Path, sha256: str) -> bytes:
    """Content of a model file whose checksum its card gives.

    Raises:
        WeightsError: it cannot be read, or is not what the card speaks of.
    """
    try:
        content = file.read_bytes()
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read ({error.strerror}); export or import the model again") from error
    if hashlib.sha256(content).hexdigest() != sha256:
        raise WeightsError(f"{file}: differs from the checksum on its card; export or import the model again")
    return content


def available() -> list[ModelSpec]:
    """Cards of the models that come with the package and those in the user's folder, by name."""
    return [card.spec for _, card in sorted(_cards().items())]


def bundled() -> list[ModelSpec]:
    """Cards of the models that come with the package, by name."""
    return [_read_card(file).spec for file in _files(_package())]


def models_folder() -> Path:
    """Where the user's models are: ``models`` in VITALCAM_HOME, or in the user's data folder."""
    home = os.environ.get("VITALCAM_HOME")
    if home:
        return Path(home) / "models"
    import platformdirs

    return Path(platformdirs.user_data_dir("vitalcam")) / "models"


def _cards() -> dict[str, Card]:
    """All cards by name; a user's model hides a bundled one of its name."""
    cards = [_read_card(file) for folder in (_package(), models_folder()) for file in _files(folder)]
    return {card.spec.name: card for card in cards}


def _package() -> Path:
    return Path(str(importlib.resources.files("vitalcam.weights")))


def _files(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.json"))


def card_fields(file: Path) -> dict[str, Any]:
    """What a card says.

    Raises:
        WeightsError: it cannot be read or is no card.
    """
    try:
        fields = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise WeightsError(f"{file}: not a model card ({error}); export or import the model again") from error
    if not isinstance(fields, dict):
        raise WeightsError(f"{file}: not a model card; export or import the model again")
    return fields


def _read_card(file: Path) -> Card:
    return Card.of(card_fields(file), file.parent)


def card_of(name: str | Path) -> Card:
    """The card of a model, by the name or path that `Model.load` takes.

    Raises:
        UnknownName: there is no such model.
        UsageError: there is no such file, or it is no model file.
        WeightsError: it is damaged.
    """
    path = Path(name)
    if path.suffix == ".onnx":
        if not path.exists():
            raise UsageError(f"{path}: no such file; check the path")
        return _read_card(path.with_suffix(".json"))
    cards = _cards()
    if str(name) in cards:
        return cards[str(name)]
    if path.is_file():
        raise UsageError(f"{path}: is not a model; give a name, or an .onnx file with its .json card beside it")
    raise UnknownName("model", str(name), cards)


def check(name: str | Path, backend: Backend = "onnx") -> None:
    """Find out before the work whether a model and what shall run it are there; raises as `Model.load` does."""
    card = card_of(name)
    card.content()
    _check_backend(card, backend)


def _check_backend(card: Card, backend: Backend) -> None:
    _require(backend)
    weights = _torch_weights(card)
    if backend == "torch" and not weights.exists():
        raise UsageError(f"{weights}: is not there; export the model with its torch weights, or let ONNX run it")


def _require(backend: Backend) -> None:
    name, extra, packages = _BACKENDS[backend]
    if not all(map(importlib.util.find_spec, packages)):
        raise MissingExtra(f"models by {name}", extra)


def _torch_weights(card: Card) -> Path:
    return card.file.with_suffix(".safetensors")


def _check(clip: Clip, spec: ModelSpec) -> None:
    frames, height, width, channels = clip.frames.shape
    wanted = sum(spec.channels.values())
    if clip.transform != "raw":
        raise UsageError(f"{spec.name}: wants untransformed clips, got one that is {clip.transform!r}")
    if channels != wanted:
        kinds = " + ".join(f"{n} {kind}" for kind, n in spec.channels.items())
        raise UsageError(f"{spec.name}: wants {wanted} channels ({kinds}), got {channels}")
    if (height, width) != (spec.size_px, spec.size_px):
        raise UsageError(f"{spec.name}: wants frames of {spec.size_px} x {spec.size_px} px, got {width} x {height}")
    if frames % spec.frames_multiple or frames < 2:
        raise UsageError(
            f"{spec.name}: a clip must have a multiple of {spec.frames_multiple} frames (at least 2), got {frames}; "
            "cut or pad it"
        )


def _check_confidence(card: Card) -> None:
    """Raise WeightsError unless the card's weights of the confidence, if there are any, are what is wanted now."""
    weights, wanted = card.spec.confidence_weights, 1 + len(quality.SIGNS)
    numbers = isinstance(weights, tuple) and all(isinstance(w, int | float) for w in weights)
    if not numbers or len(weights) not in (0, wanted):
        raise WeightsError(
            f"{card.file}: the 'confidence_weights' of its card are not {wanted} numbers, as this vitalcam wants them; "
            "take them out of the card, or fit them again"
        )


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def session(content: bytes, threads: int = 1) -> Any:
    """An ONNX Runtime session whose idle threads sleep."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4  # what it has to say comes back as an exception
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def in_one_line(error: Exception) -> str:
    """The message of an error from elsewhere."""
    return " ".join(str(error).split())


def _onnx(card: Card, threads: int) -> _Waves:
    content = card.content()
    try:
        graph = session(content, threads)
    except Exception as error:  # onnxruntime raises types of its own that share no base
        why = in_one_line(error)
        raise WeightsError(f"{card.file}: ONNX Runtime cannot load it ({why}); import the model again") from error
    (entry,) = graph.get_inputs()

    def waves(video: Floats) -> list[Floats]:
        try:
            found: list[Floats] = graph.run(list(card.spec.outputs), {entry.name: video})
        except Exception as error:  # a clip too short for the network ends here
            frames, why = video.shape[2], in_one_line(error)
            raise UsageError(f"{card.spec.name}: cannot take a clip of {frames} frames ({why})") from error
        return found

    return waves


def openvino_request(content: bytes, threads: int = 1) -> Any:
    """A request to OpenVINO for the waveforms of one clip, in single precision.

    Raises:
        MissingExtra: OpenVINO is not installed.
    """
    _require("openvino")
    openvino: Any = importlib.import_module("openvino")  # has no types
    core = openvino.Core()
    options = {"INFERENCE_NUM_THREADS": threads, "INFERENCE_PRECISION_HINT": "f32", "PERFORMANCE_HINT": "LATENCY"}
    return core.compile_model(core.read_model(content), "CPU", options).create_infer_request()


def _openvino(card: Card, threads: int) -> _Waves:
    content = card.plain_content()
    try:
        request = openvino_request(content, threads)
    except RuntimeError as error:
        why = in_one_line(error)
        raise WeightsError(f"{card.file}: OpenVINO cannot load it ({why}); let ONNX run it") from error

    def waves(video: Floats) -> list[Floats]:
        try:
            found = request.infer([video])
        except RuntimeError as error:  # a clip too short for the network ends here
            frames, why = video.shape[2], in_one_line(error)
            raise UsageError(f"{card.spec.name}: cannot take a clip of {frames} frames ({why})") from error
        return [found[name] for name in card.spec.outputs]

    return waves


def _torch(card: Card, threads: int) -> _Waves:
    import torch
    from safetensors.torch import load_file

    origin = card.origin
    if "model" not in origin:
        raise WeightsError(f"{card.file}: its card does not say which network it is; let ONNX run it")
    options = dict(origin.get("options", {}))
    if origin.get("attention"):
        options["attention_at_inference"] = True
    network = registry.network(origin["model"], origin.get("variant", ""), options).eval()
    network.load_state_dict(load_file(_torch_weights(card)))

    def waves(video: Floats) -> list[Floats]:
        torch.set_num_threads(threads)
        with torch.inference_mode():
            outputs = network(torch.from_numpy(video))
        return [outputs[name].numpy() for name in card.spec.outputs]

    return waves
