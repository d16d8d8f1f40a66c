"""From torch to ONNX: one file that takes clips of any length, and a card beside it that says what it is.

The graph is rewritten for ONNX Runtime (`vitalcam.stacking`). As that makes OpenVINO slower, the graph as it was lies
beside it where the two differ (NAME.plain.onnx).

Nothing is written unless ONNX Runtime and torch agree on it.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from vitalcam import files
from vitalcam.errors import OutputError, UsageError
from vitalcam.models._attention import FactorizedAttention
from vitalcam.runtime import in_one_line, plain_file, session
from vitalcam.stacking import stacked
from vitalcam.types import Floats, ModelSpec

OPSET = 17
TOLERANCE = 1e-4
"""Largest difference between the two runtimes, in standard deviations of the waveform."""
MAX_FRAMES = 1 << 16
"""Of a clip that a graph takes; ONNX wants a bound."""
_FOLDED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose3d)
_NEW_IN_18 = {"noop_with_empty_axes", "num_outputs", "keep_aspect_ratio_policy", "antialias"}


def export(
    model: nn.Module,
    spec: ModelSpec,
    path: Path,
    *,
    variant: str = "",
    options: Mapping[str, Any] | None = None,
    attention: bool = False,
    fp16_weights: bool = False,
    torch_weights: bool = False,
) -> ModelSpec:
    """Write a network as ``path`` (.onnx) with its card (.json) beside it.

    Args:
        model: as a module of `vitalcam.models` builds it; it is not changed.
        spec: its card; ``spec.name`` is that module.
        path: file to write; its stem becomes the model's name.
        variant, options: what ``build`` of that module was called with, so that it can be built again.
        attention: attend by factorization (FSAM, GRBF) when measuring; the papers do not.
        fp16_weights: round the weights to half precision, for a file of half the size. It still computes in single
            precision.
        torch_weights: write the weights for torch as well (.safetensors); these are not rounded.

    Returns:
        the card: ``spec`` with the name, file and checksum.

    Raises:
        UsageError: attention is asked of a network that has none, or that needs a target for it.
        OutputError: ONNX Runtime does not agree with torch, or the file cannot be written.
    """
    network = prepared(model, attention=attention, fp16_weights=fp16_weights)
    step = spec.frames_multiple
    lengths = step * -(-48 // step), step * -(-80 // step)
    plain = to_onnx(network, spec, frames=lengths[0])
    protos = {path: stacked(plain, frames_multiple=step), plain_file(path): plain}
    if protos[path] == plain:
        del protos[plain_file(path)]
    for proto in protos.values() if fp16_weights else ():
        _store_halves(proto)
    blobs = {file: proto.SerializeToString() for file, proto in protos.items()}
    for blob in blobs.values():
        for frames in lengths:
            compare(network, blob, spec, frames=frames)
    sha256 = {file: hashlib.sha256(blob).hexdigest() for file, blob in blobs.items()}
    card = dataclasses.replace(spec, name=path.stem, file=path.name, sha256=sha256[path])
    origin = {"model": spec.name, "variant": variant, "options": dict(options or {}), "attention": attention}
    origin["plain_sha256"] = sha256.get(plain_file(path), "")
    for file, blob in blobs.items():
        files.write_bytes(file, blob)
    if torch_weights:
        files.write_bytes(path.with_suffix(".safetensors"), _safetensors(model))
    files.write_text(path.with_suffix(".json"), json.dumps(dataclasses.asdict(card) | origin, indent=2) + "\n")
    return card


def prepared(model: nn.Module, *, attention: bool = False, fp16_weights: bool = False) -> nn.Module:
    """A copy of the model as it will measure: in eval mode, attention set, weights rounded where asked.

    Raises:
        UsageError: attention is asked of a network that has none, or whose attention needs a target.
    """
    kept = [v for m in model.modules() for v in vars(m).values() if isinstance(v, Tensor) and not v.is_leaf]
    network = copy.deepcopy(model, {id(v): v.detach() for v in kept}).eval()  # of the last training step; not copyable
    network.requires_grad_(False).cpu()
    factorized = [m for m in network.modules() if isinstance(m, FactorizedAttention)]
    if attention and not factorized:
        raise UsageError("attention=True: this network has no factorized attention; export it without")
    if attention and any(module.settings.attention == "tsfm" for module in factorized):
        raise UsageError(
            "attention=True: TSFM attends to a known waveform, there is none to measure with; export without"
        )
    for module in factorized:
        module.settings = dataclasses.replace(module.settings, attention_at_inference=attention)
    if fp16_weights:
        _fold_norms(network)
        for parameter in network.parameters():
            parameter.copy_(parameter.half())
    return network


def _fold_norms(network: nn.Module) -> None:
    """Take batch norms up into the convolutions before them, as the exporter would: what is rounded then stays so."""
    for block in [module for module in network.modules() if isinstance(module, nn.Sequential)]:
        for i, (conv, norm) in enumerate(itertools.pairwise(block)):
            if type(conv) in _FOLDED and isinstance(norm, nn.modules.batchnorm._BatchNorm):
                block[i] = fuse_conv_bn_eval(conv, norm, transpose=type(conv) is nn.ConvTranspose3d)  # type: ignore[type-var]
                block[i + 1] = nn.Identity()


class _Tuple(nn.Module):
    """A network that gives its waveforms in the order of its card, as ONNX wants it."""

    def __init__(self, network: nn.Module, names: tuple[str, ...]) -> None:
        super().__init__()
        self.network, self.names = network, names

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        waves = self.network(x)
        return tuple(waves[name] for name in self.names)


def to_onnx(network: nn.Module, spec: ModelSpec, *, frames: int) -> onnx.ModelProto:
    """The graph of a network: input "video" (1, C, T, H, W) with free T, an output (1, T) for each waveform."""
    count = torch.export.Dim("count", min=max(frames // spec.frames_multiple // 2, 2), max=MAX_FRAMES)
    lengths = {"x": {2: spec.frames_multiple * count}}
    video = torch.from_numpy(example(spec, frames))
    return graph(_Tuple(network, spec.outputs), {"video": video}, spec.outputs, lengths)


def graph(
    network: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], lengths: Mapping[str, Any]
) -> onnx.ModelProto:
    """The graph of a module that gives a tuple.

    Args:
        network: it.
        inputs: examples, by their names in the graph.
        outputs: names of what it gives.
        lengths: which axes are free, by the names of its arguments (`torch.export.Dim`).
    """
    with _quiet():
        program = torch.onnx.export(
            network,
            tuple(inputs.values()),
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_shapes=dict(lengths),
            opset_version=OPSET + 1,
            dynamo=True,
            verbose=False,
        )
    assert program is not None
    proto: onnx.ModelProto = program.model_proto
    _forget_origin(proto)
    _lower(proto)
    onnx.checker.check_model(proto, full_check=True)
    return proto


def compare(network: nn.Module, blob: bytes, spec: ModelSpec, *, frames: int) -> float:
    """Largest difference of the two runtimes on a random clip, in standard deviations of the waveform.

    Raises:
        OutputError: it is above `TOLERANCE`, or ONNX Runtime does not take this length.
    """
    video = example(spec, frames)
    with torch.inference_mode():
        expected = network(torch.from_numpy(video))
    try:
        found = session(blob).run(list(spec.outputs), {"video": video})
    except Exception as error:  # of onnxruntime's own types
        raise OutputError(
            f"{spec.name}: ONNX Runtime cannot take {frames} frames ({in_one_line(error)}); nothing was written"
        ) from error
    expected = {name: expected[name].numpy() for name in spec.outputs}
    return agreed(expected, dict(zip(spec.outputs, found, strict=True)), f"{spec.name}: at {frames} frames")


def agreed(expected: Mapping[str, Floats], found: Mapping[str, Floats], where: str) -> float:
    """Largest difference of what ONNX Runtime found from what torch did, in standard deviations of each array.

    Raises:
        OutputError: it is above `TOLERANCE`; ``where`` begins the message.
    """
    worst = 0.0
    for name, value in expected.items():
        gap = float(np.abs(found[name] - value).max() / max(value.std(), 1e-12))
        if not gap <= TOLERANCE:
            raise OutputError(
                f"{where} ONNX Runtime and torch differ in {name} by {gap:.1e} of its deviation (at most "
                f"{TOLERANCE:.0e} is allowed); nothing was written"
            )
        worst = max(worst, gap)
    return worst


def example(spec: ModelSpec, frames: int) -> Floats:
    """A random clip (1, C, T, H, W) in the range that the spec's transform gives."""
    shape = spec.clip_shape(frames)
    rng = np.random.default_rng(frames)
    if spec.transform == "raw":
        return rng.uniform(0, 255, shape).astype(np.float32)
    return rng.standard_normal(shape, dtype=np.float32)


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's remarks on itself are not for the user."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)


def _forget_origin(proto: onnx.ModelProto) -> None:
    """Drop what the exporter notes of the source code: paths and stack traces."""
    graph = proto.graph
    del proto.metadata_props[:]
    for item in (graph, *graph.node, *graph.input, *graph.output, *graph.value_info, *graph.initializer):
        item.doc_string = ""
        del item.metadata_props[:]


def _lower(proto: onnx.ModelProto) -> None:
    """From operator set 18, the exporter's lowest, to 17, for which onnx's own converter lacks adapters.

    Of the operators that 18 changed our networks use three. Reductions take their axes as an attribute again; what
    reductions, splits and resizes may say since 18 is dropped, since it is said by default. The checker refuses
    whatever else would not fit, and the comparison with torch what would change a number.
    """
    constants = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    for node in proto.graph.node:
        if node.op_type in ("ReduceMean", "ReduceMax", "ReduceMin", "ReduceL2") and len(node.input) == 2:
            axes = constants[node.input.pop()]
            node.attribute.append(onnx.helper.make_attribute("axes", axes.tolist()))
        kept = [attribute for attribute in node.attribute if attribute.name not in _NEW_IN_18]
        del node.attribute[:]
        node.attribute.extend(kept)
    used = {name for node in proto.graph.node for name in node.input}
    weights = [tensor for tensor in proto.graph.initializer if tensor.name in used]
    del proto.graph.initializer[:]
    proto.graph.initializer.extend(weights)
    opset = next(entry for entry in proto.opset_import if entry.domain == "")
    opset.version = OPSET


def _store_halves(proto: onnx.ModelProto) -> None:
    """Store every weight that half precision holds exactly as such, with a cast in front of its use."""
    casts = []
    for tensor in proto.graph.initializer:
        value = numpy_helper.to_array(tensor)
        if value.dtype != np.float32 or value.size < 64 or not np.array_equal(value.astype(np.float16), value):
            continue
        name = tensor.name
        tensor.CopyFrom(numpy_helper.from_array(value.astype(np.float16), f"{name}_half"))
        casts.append(onnx.helper.make_node("Cast", [f"{name}_half"], [name], to=onnx.TensorProto.FLOAT))
    nodes = [*casts, *proto.graph.node]
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)


def _safetensors(network: nn.Module) -> bytes:
    from safetensors.torch import save

    return bytes(save({name: tensor.contiguous() for name, tensor in network.state_dict().items()}))
