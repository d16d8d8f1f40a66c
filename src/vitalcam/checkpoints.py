"""Trained weights from elsewhere: which network a file is of, and how to make it a model of ours.

A file names its tensors. Each module of `vitalcam.models` says what its authors call them (`RELEASED_KEYS`, or
`released_layouts` where that depends on the variant); a file is recognised if its names and shapes are exactly those of
one of our networks. What a file cannot say is taken from the caller, else from the authors' habits of naming files,
else asked for.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import logging
import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from vitalcam import files, registry
from vitalcam.errors import MissingExtra, UsageError, WeightsError
from vitalcam.runtime import models_folder
from vitalcam.types import ModelSpec

if TYPE_CHECKING:
    from torch import Tensor, nn

_LOG = logging.getLogger(__name__)

Shape = tuple[int, ...]

_REFUSED = {  # a tensor that only such a file has: why it cannot be used
    "Block1.3.mamba.A_log": "PhysMamba, whose selective scan has no network here; it cannot be imported",
    "rsp_feature_extractor.rsp_feature_extractor.3.conv_block_3d.0.weight": "an interim MMRPhys of which nobody "
    "published the strides; use another of its checkpoints",
}
_SIZES_PX = {"deepphys": (36, 72, 96), "tscan": (36, 72, 96, 128)}  # of networks whose dense layer depends on it
_RATES_HZ = {
    "PURE": 30.0,
    "UBFC-rPPG": 30.0,
    "MA-UBFC": 30.0,
    "iBVP": 30.0,
    "SCAMPS": 30.0,
    "MMPD": 30.0,
    "BP4D": 25.0,
}  # what the authors trained on, as file names begin with it
_NAMED = (  # in a file's name: what it says
    (r"(?i)tscan|ts-can", "model", "tscan"),
    (r"(?i)deepphys", "model", "deepphys"),
    (r"HighRes", "frames", 240),
    (r"HighSpatialRes", "frames", 160),
)
_LETTERS_PX = {"L": 72, "M": 36, "S": 9}


@dataclass(frozen=True)
class Layout:
    """The tensors that a file has if it is of one of our networks.

    Attributes:
        model, variant, options: what builds it.
        keys: their names of the tensors, and ours.
        shapes: by their names.
        unused: how the names of tensors begin that the file may have besides; they are left out.
        size_px: side of the pictures where neither the variant nor the options say it.
    """

    model: str
    variant: str
    options: Mapping[str, Any]
    keys: Mapping[str, str]
    shapes: Mapping[str, Shape]
    unused: str = ""
    size_px: int = 0

    @property
    def released_attention(self) -> bool:
        """Whether the authors trained it with factorized attention, which is not quite that of their papers."""
        return any(ours != theirs and "attention.squeeze." in ours for theirs, ours in self.keys.items())

    @property
    def spec(self) -> ModelSpec:
        """Card of the network."""
        spec: ModelSpec = registry.find("models", self.model).VARIANTS[self.variant]
        return dataclasses.replace(spec, size_px=self.size_px or self.options.get("size_px", spec.size_px))

    def __str__(self) -> str:
        options = "".join(f" {key}={value}" for key, value in self.options.items())
        return f"{self.model}:{self.variant}{options}"


@dataclass(frozen=True)
class Checkpoint:
    """A file brought into a network of ours.

    Attributes:
        model: the network with the file's weights, in eval mode.
        spec: its card.
        variant, options: what built it.
        notes: what the reader should know of how it was understood, one sentence each.
    """

    model: nn.Module
    spec: ModelSpec
    variant: str
    options: Mapping[str, Any]
    notes: tuple[str, ...]


def import_checkpoint(file: Path, *, name: str = "", attention: bool = False, **said: Any) -> ModelSpec:
    """Make a released or a trained file a model that `measure` takes by its name.

    Args:
        file: .pth, .pt, .ckpt or .safetensors.
        name: of the model; the file's own if not given.
        attention: attend by factorization when measuring.
        said: what the file cannot say; see `load`.

    Returns:
        the card, as it lies in the user's folder of models beside the ONNX file and the weights.

    Raises:
        WeightsError: see `load`; or there is already a model of that name.
        OutputError: the models folder cannot be written, or ONNX Runtime and torch do not agree.
    """
    from vitalcam.export import export

    checkpoint = load(file, **said)
    path = models_folder() / f"{name or re.sub(r'[^a-z0-9]+', '_', file.stem.lower()).strip('_')}.onnx"
    if path.exists():
        raise WeightsError(f"{path}: there is a model of that name; give another with name=")
    files.probe(path)
    for note in checkpoint.notes:
        _LOG.warning("%s: %s", file.name, note)
    return export(
        checkpoint.model,
        checkpoint.spec,
        path,
        variant=checkpoint.variant,
        options=checkpoint.options,
        attention=attention,
        torch_weights=True,
    )


def load(
    file: Path,
    *,
    model: str = "",
    variant: str = "",
    size_px: int = 0,
    fs_hz: float = 0.0,
    transform: str = "",
    licence: str = "",
    training_data: str = "",
    options: Mapping[str, Any] | None = None,
) -> Checkpoint:
    """Read a file into the network that it is of.

    Args:
        file: .pth, .pt, .ckpt or .safetensors.
        model, variant, size_px: which network, where several have the same tensors.
        fs_hz: frame rate that it was trained at.
        transform: what its frames were put through; the network's own if not given.
        licence: of the weights; "unknown" if not given.
        training_data: what it was trained on.
        options: of ``build``, e.g. ``first_pad`` of an old MMRPhys, ``attention``, ``rank`` or ``steps``.

    What `vitalcam train` noted in a file of its own need not be said.

    Raises:
        WeightsError: the file is damaged, is of no network of ours, or does not say enough; one line says what to do.
    """
    state = read(file)
    noted = noted_by_train(file).get("training", {})
    habits = {} if noted else _habits(file.stem)  # what train noted is known, whatever the file is called
    shapes = {key: tuple(v.shape) for key, v in state.items()}
    fits = [_noted_layout(file, noted, shapes)] if noted else recognise(shapes, str(file))
    layout = _choose(file, fits, {"model": model, "variant": variant, "size_px": size_px}, habits)
    fs_hz = fs_hz or habits.get("fs_hz", 0.0) or (layout.spec.fs_hz if noted else 0.0)
    if not fs_hz:
        raise WeightsError(f"{file}: neither the file nor its name says at what frame rate it was trained; give fs_hz=")
    built = _options(layout, habits, options or {})
    network = _build(file, layout.model, layout.variant, built)
    ours = network.state_dict()
    network.load_state_dict({key: state[theirs].reshape(ours[key].shape) for theirs, key in layout.keys.items()})
    spec = dataclasses.replace(
        layout.spec,
        fs_hz=fs_hz,
        transform=transform or layout.spec.transform,
        licence=licence or "unknown",
        training_data=training_data or habits.get("training_data", ""),
        parameters=sum(p.numel() for p in network.parameters() if p.requires_grad),
    )
    notes = [] if noted else list(_notes(file, layout, state, habits))
    if spec.licence == "unknown":
        notes.append("its licence is unknown; find out before you share what it gives")
    if noted.get("target") == "change":
        notes.append("trained on the wave's change from sample to sample: what it gives is a slope, not a wave")
    return Checkpoint(network.eval(), spec, layout.variant, built, tuple(notes))


def noted_by_train(file: Path) -> dict[str, Any]:
    """What `vitalcam train` noted in a file: its settings ("training"), data, result …; empty for others' files."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as opened:
            noted: dict[str, Any] = json.loads((opened.metadata() or {})["vitalcam"])
    except (OSError, SafetensorError, KeyError, ValueError):
        return {}
    return noted


def read(file: Path) -> dict[str, Tensor]:
    """Tensors of a file by name, without the prefix that `DataParallel` adds; nothing in the file is executed.

    Raises:
        WeightsError: it is damaged, is not a table of tensors, or holds numbers that are not finite.
        MissingExtra: torch is not installed.
    """
    if not file.is_file():
        raise WeightsError(f"{file}: there is no such file")
    if not file.stat().st_size:
        raise WeightsError(f"{file}: is empty; get the file again")
    try:
        import torch
        from safetensors.torch import load_file
    except ImportError:
        raise MissingExtra("importing weights", "train") from None
    try:
        if file.suffix == ".safetensors":
            content = load_file(file)
        else:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Detected pickle protocol")  # the error says what matters
                content = torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise WeightsError(f"{file}: cannot be read: {error.strerror or error}") from None
    except Exception as error:  # a damaged file ends in any of a dozen types
        what = f"is damaged or holds more than tensors ({type(error).__name__})"
        raise WeightsError(
            f"{file}: cannot be read as weights: it {what if _is_checkpoint(file) else 'is no checkpoint of PyTorch'}; "
            "get the file again, or save the state_dict of a network"
        ) from None
    for key in ("state_dict", "model_state_dict", "model"):
        content = content[key] if isinstance(content, dict) and isinstance(content.get(key), dict) else content
    if not isinstance(content, dict) or not content or not all(isinstance(v, torch.Tensor) for v in content.values()):
        raise WeightsError(f"{file}: holds no table of tensors; give a file of a network's state_dict")
    for key, tensor in content.items():
        if not torch.isfinite(tensor).all():
            raise WeightsError(f"{file}: {key} has values that are not finite; get the file again")
    return {str(key).removeprefix("module."): tensor for key, tensor in content.items()}


def _is_checkpoint(file: Path) -> bool:
    """Whether a file begins as a checkpoint does: PyTorch writes zip archives, and once wrote pickles."""
    with file.open("rb") as opened:
        start = opened.read(2)
    return file.suffix == ".safetensors" or b"PK".startswith(start) or start[:1] == b"\x80"


def recognise(shapes: Mapping[str, Shape], source: str = "weights") -> list[Layout]:
    """The layouts that have exactly these tensors; several where networks differ in more than their tensors.

    Args:
        shapes: of the tensors, by their names without ``module.``.
        source: the file, for the message.

    Raises:
        WeightsError: there is none; the message has the tensors that are missing and unexpected in the nearest.
    """
    for key, reason in _REFUSED.items():
        if key in shapes:
            raise WeightsError(f"{source}: is {reason}")
    fits = [layout for layout in layouts() if not any(_differences(layout, shapes))]
    if not fits:
        raise WeightsError(f"{source}: {_nearest(shapes)}")
    return fits


@functools.cache
def layouts() -> tuple[Layout, ...]:
    """Every layout that there is: those of the authors' files, and our own."""
    return tuple(layout for name in registry.names("models") for layout in _layouts_of(name))


def _noted_layout(file: Path, noted: Mapping[str, Any], shapes: Mapping[str, Shape]) -> Layout:
    """The layout of what `vitalcam train` wrote, which says what it is."""
    import torch

    model, size_px = registry.check("models", noted["model"]), noted.get("size_px", 0)
    variant = noted.get("variant") or next(iter(registry.find("models", model).VARIANTS))
    options = {**noted.get("options", {}), **registry.sized(model, size_px)}
    with torch.device("meta"):
        ours = _build(file, model, variant, options).state_dict()
    known = {key: tuple(v.shape) for key, v in ours.items()}
    layout = Layout(model, variant, options, {key: key for key in ours}, known, size_px=size_px)
    if any(_differences(layout, shapes)):
        raise WeightsError(f"{file}: says it is {layout}, but has not its tensors; it is damaged")
    return layout


def _layouts_of(name: str) -> Iterator[Layout]:
    import torch

    from vitalcam.models._layers import released_key

    module = registry.find("models", name)
    sized = [{"size_px": px} for px in _SIZES_PX[name]] if name in _SIZES_PX else [{}]
    unused = getattr(module, "RELEASED_UNUSED", "")
    for variant in module.VARIANTS:
        for options in getattr(module, "RELEASED_OPTIONS", sized):
            with torch.device("meta"):
                ours = {key: tuple(v.shape) for key, v in module.build(variant, **options).state_dict().items()}
            for extra, table in _tables(module, variant):
                keys = {released_key(key, table): key for key in ours}
                shapes = {theirs: ours[key] for theirs, key in keys.items()}
                yield Layout(name, variant, {**options, **extra}, keys, shapes, unused)


def _tables(module: ModuleType, variant: str) -> list[tuple[dict[str, Any], dict[str, str]]]:
    """Options and names of each way of naming a variant's tensors; the last is ours."""
    own: tuple[dict[str, Any], dict[str, str]] = ({}, {})
    if hasattr(module, "released_layouts"):
        return [*module.released_layouts(variant), own]
    return [({}, module.RELEASED_KEYS), own] if hasattr(module, "RELEASED_KEYS") else [own]


def _differences(layout: Layout, shapes: Mapping[str, Shape]) -> tuple[list[str], list[str], list[str]]:
    """Names that the file lacks, that the layout does not know, and whose shapes differ."""
    missing = [key for key in layout.shapes if key not in shapes]
    unexpected = [
        key for key in shapes if key not in layout.shapes and not (layout.unused and key.startswith(layout.unused))
    ]
    other = [key for key, shape in layout.shapes.items() if key in shapes and _core(shapes[key]) != _core(shape)]
    return missing, unexpected, other


def _core(shape: Shape) -> Shape:
    """A shape without trailing ones: a 1x1 convolution is the same for pictures and for clips."""
    return _core(shape[:-1]) if shape and shape[-1] == 1 else shape


def _nearest(shapes: Mapping[str, Shape]) -> str:
    nearest = min(layouts(), key=lambda layout: sum(map(len, _differences(layout, shapes))))
    missing, unexpected, other = _differences(nearest, shapes)
    if len(missing) + len(other) > len(nearest.shapes) / 2:
        return f"no network here has its {len(shapes)} tensors (the first is {min(shapes)!r}); see `vitalcam models`"
    parts = [
        f"{len(keys)} {what} ({', '.join(keys[:3])}{', …' if len(keys) > 3 else ''})"
        for what, keys in (("missing", missing), ("unexpected", unexpected), ("of another shape", other))
        if keys
    ]
    return f"nearest to {nearest}, but tensors are " + ", ".join(parts) + "; it cannot be imported"


def _choose(file: Path, fits: Iterable[Layout], wanted: Mapping[str, Any], habits: Mapping[str, Any]) -> Layout:
    """The one layout meant of those that fit: what the caller says must hold, what the name says may help."""
    left = list({str(layout): layout for layout in fits}.values())
    between = ", ".join(sorted(map(str, left)))
    for key, value in wanted.items():
        left = [layout for layout in left if not value or _trait(layout, key) == value]
    if not left:
        asked = ", ".join(f"{key}={value!r}" for key, value in wanted.items() if value)
        raise WeightsError(f"{file}: is {between}, and not {asked}")
    for key in ("model", "size_px", "frames"):
        named = [layout for layout in left if _trait(layout, key) == habits.get(key)]
        left = named if len(left) > 1 and named else left
    if len(left) > 1:
        raise WeightsError(
            f"{file}: its tensors do not say which of {between} it is; give model=, variant= or size_px="
        )
    return left[0]


def _trait(layout: Layout, key: str) -> Any:
    return getattr(layout if key in ("model", "variant") else layout.spec, key)


def _habits(stem: str) -> dict[str, Any]:
    """What the authors' habits of naming files say; empty for a name of other habits."""
    said: dict[str, Any] = {name: value for pattern, name, value in _NAMED if re.search(pattern, stem)}
    for dataset, fs_hz in _RATES_HZ.items():
        if re.match(rf"(?:\w+__)?{dataset}_", stem):
            said |= {"training_data": dataset, "fs_hz": fs_hz}
    if match := re.search(r"x\d+x(72|36|9)(?!\d)", stem):
        said["size_px"] = int(match[1])
    elif match := re.search(r"MMRPhys(?:([LMS])[NEL]F)?_", stem):
        said["size_px"] = _LETTERS_PX[match[1] or "L"]
    if match := re.search(r"SFSAM_Label|SFSAM_RBF|(?<!S)FSAM", stem):
        said["attention"] = {"SFSAM_Label": "tsfm", "SFSAM_RBF": "grbf", "FSAM": "fsam"}[match[0]]
    if match := re.search(r"T-KAB|TK-AB|K-TAB", stem):
        said["mapping"] = match[0].lower().replace("-", "_")
    if said.get("attention") == "fsam" and "FactorizePhys" in stem:
        said["residual"] = "_Res" in stem
    return said


def _options(layout: Layout, said: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """Options of ``build``: those of the layout, how its attention works as far as its name said, what we were told."""
    if not layout.released_attention:
        return {**layout.options, **told}
    habits = {key: said[key] for key in ("attention", "mapping", "residual") if key in said}
    return {**layout.options, "form": "released", **habits, **told}


def _build(file: Path, model: str, variant: str, options: Mapping[str, Any]) -> nn.Module:
    try:
        return registry.network(model, variant, options)
    except UsageError as error:
        raise WeightsError(f"{file}: {model}:{variant} cannot be built so: {error}") from None


def _notes(file: Path, layout: Layout, state: Mapping[str, Tensor], habits: Mapping[str, Any]) -> Iterator[str]:
    """How a file that does not say it was understood."""
    if habits:
        yield "read from its name: " + ", ".join(f"{key} {value}" for key, value in habits.items())
    left_out = [key for key in state if key not in layout.keys]
    if left_out:
        yield f"{sum(state[key].numel() for key in left_out)} numbers of {layout.unused}* are not used"
    if "first_pad" in layout.options:
        yield "MMRPhys as of November 2024: first convolution padded by 1; say options={'first_pad': 0} if it is not"
    if "mmrphys" in file.stem.lower() and layout.model == "factorizephys":
        yield "named MMRPhys but of FactorizePhys' layers; those of October 2024 had a dilation that no file records"
