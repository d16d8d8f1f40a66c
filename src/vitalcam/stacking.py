"""A graph's 3-D convolutions as sums of 2-D ones, which ONNX Runtime computes by much faster kernels.

The frames of a clip, one below the other, are one tall picture: (1, C, T, H, W) seen as (1, C, T·H, W), without a copy.
A 3-D convolution is the sum of three 2-D ones over that picture, each shifted by a frame, or one where it looks at one
frame at a time; what comes out across the border of two frames is cut away. The numbers are the same but for rounding.
What it gains is in docs/speed.md.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from vitalcam.types import Floats

LANES = 16
"""Channels that ONNX Runtime's 2-D kernels compute at a time."""
_TRIED_CLIPS = 25  # an odd number of the shortest clips tells lengths that are always even from those that are not
_END = 1 << 40


def stacked(proto: onnx.ModelProto, *, frames_multiple: int = 1) -> onnx.ModelProto:
    """A copy of a graph whose 3-D convolutions are rewritten where that gains; equal to it if none is.

    Args:
        proto: with an input (1, C, T, H, W); it is not changed.
        frames_multiple: what T is always a multiple of; a stride of 2 in time can only be rewritten on even lengths.
    """
    copy = onnx.ModelProto()
    copy.CopyFrom(proto)
    graph = copy.graph
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    shapes = _shapes(copy, _TRIED_CLIPS * frames_multiple)
    users = Counter(name for node in graph.node for name in node.input)
    tanhs = {node.input[0]: node for node in graph.node if node.op_type == "Tanh" and users[node.input[0]] == 1}
    nodes: list[onnx.NodeProto] = []
    done: set[str] = set()
    for node in graph.node:
        conv = _Conv.of(node, weights, shapes)
        if conv is not None:
            tanh = tanhs.get(conv.result)
            _Writer(graph, nodes, conv.result).write(conv, tanh.output[0] if tanh else "")
            done |= {tanh.output[0]} if tanh else set()
        elif node.output[0] not in done:
            nodes.append(node)
    if len(nodes) > len(graph.node):
        _replace(graph, nodes)
    return copy


@dataclass(frozen=True)
class _Conv:
    """A convolution that can be rewritten.

    Attributes:
        source, result: names of its tensors.
        weight, bias: (M, C, 3 or 1, k, k) and (M,) or None.
        shape: of the source.
        stride_t, stride, pad: of time, of rows and columns, zeros around those.
    """

    source: str
    result: str
    weight: Floats
    bias: Floats | None
    shape: tuple[int, ...]
    stride_t: int
    stride: int
    pad: int

    @classmethod
    def of(
        cls, node: onnx.NodeProto, weights: Mapping[str, Floats], shapes: Mapping[str, tuple[int, ...]]
    ) -> _Conv | None:
        """What a node is, if it can be rewritten and that gains."""
        weight, shape = weights.get(node.input[1]) if node.op_type == "Conv" else None, shapes.get(node.input[0])
        said: dict[str, Any] = {item.name: helper.get_attribute_value(item) for item in node.attribute}
        strides, pads = said.get("strides", [1, 1, 1]), said.get("pads", [0] * 6)
        if weight is None or shape is None or weight.ndim != 5 or said.get("group", 1) > 1:
            return None
        usual = max(said.get("dilations", [1])) == 1 and strides[1] == strides[2] and pads[:3] == pads[3:]
        square = weight.shape[3] == weight.shape[4] and pads[1] == pads[2]
        out, channels, taps = weight.shape[:3]
        even = strides[0] == 1 or (taps == 3 and strides[0] == 2 - shape[2] % 2)
        in_time = taps in (1, 3) and pads[0] == taps // 2 and even
        fills = channels < LANES or channels % LANES == 0
        gains = fills and (out >= 12 and channels >= 8 if taps == 3 else out >= 8 and weight.shape[3] > 1)
        if not (usual and square and in_time and gains):
            return None
        bias = weights[node.input[2]] if len(node.input) > 2 else None
        return cls(node.input[0], node.output[0], weight, bias, shape, strides[0], strides[1], pads[1])


class _Writer:
    """Writes the nodes that stand for one convolution.

    Args:
        graph: takes their constants.
        nodes: takes them.
        name: begins all their names.
    """

    def __init__(self, graph: onnx.GraphProto, nodes: list[onnx.NodeProto], name: str) -> None:
        self._graph, self._nodes, self._name = graph, nodes, name

    def write(self, conv: _Conv, after_tanh: str) -> None:
        """The convolution, and the tanh behind it where the tensor behind that is named: it is fused so."""
        out, channels, _, kernel, _ = conv.weight.shape
        height, width = conv.shape[3:]
        lanes = -(-out // LANES) * LANES
        pitch = -(-(height + conv.pad) // conv.stride) * conv.stride  # rows of a frame; the zeros above the next serve
        source = self._padded(conv, pitch - height - conv.pad)
        sources, lead, extra = self._in_time(conv, source)
        pictures = {
            name: self._reshaped(f"{name}_rows", name, [1, channels, -1, width]) for name in dict.fromkeys(sources)
        }
        weight = np.pad(conv.weight, [(0, lanes - out)] + [(0, 0)] * 4)
        bias = [] if conv.bias is None else [self._constant("bias", np.pad(conv.bias, (0, lanes - out)))]
        taps = [
            self._op(
                "Conv", f"tap{i}", pictures[name], self._constant(f"weight{i}", weight[:, :, i]), *bias[: i == 0],
                strides=[conv.stride] * 2,
                pads=[lead[i] * pitch, conv.pad, (extra - lead[i]) * pitch + kernel - conv.stride, conv.pad],
            )
            for i, name in enumerate(sources)
        ]  # fmt: skip
        total, *others = taps
        for i, tap in enumerate(others):
            total = self._op("Add", f"sum{i}", total, tap)
        if after_tanh:
            total = self._op("Tanh", "tanh", total)
        rows, columns = ((size + 2 * conv.pad - kernel) // conv.stride + 1 for size in (height, width))
        frames = self._reshaped("frames", total, [1, lanes, -1, pitch // conv.stride, columns])
        begin = self._constant("begin", [0, lead[len(lead) // 2], 0])
        end, axes = self._constant("end", [out, -1 if extra else _END, rows]), self._constant("axes", [1, 2, 3])
        self._nodes.append(helper.make_node("Slice", [frames, begin, end, axes], [after_tanh or conv.result]))

    def _padded(self, conv: _Conv, below: int) -> str:
        """Frames with zeros above and below."""
        if not (conv.pad or below):
            return conv.source
        margins = [0, 0, 0, conv.pad, 0, 0, 0, 0, below, 0]
        return self._op("Pad", "padded", conv.source, self._constant("margins", margins))

    def _in_time(self, conv: _Conv, source: str) -> tuple[list[str], list[int], int]:
        """Which frames each tap sees, by how many it is moved down, and frames of the result over those of a tap."""
        taps = conv.weight.shape[2]
        if conv.stride_t == 1:
            return [source] * taps, [*reversed(range(taps))], taps - 1
        end, axis, step = self._constant("last", [_END]), self._constant("time", [2]), self._constant("step", [2])
        even, odd = (
            self._op("Slice", name, source, self._constant(f"{name}_first", [first]), end, axis, step)
            for first, name in enumerate(("even", "odd"))
        )
        return [odd, even, odd], [1, 0, 0], 1

    def _reshaped(self, label: str, source: str, shape: list[int]) -> str:
        return self._op("Reshape", label, source, self._constant(f"{label}_shape", shape))

    def _constant(self, label: str, value: Any) -> str:
        name = f"{self._name}_{label}"
        self._graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _op(self, kind: str, label: str, *inputs: str, **attributes: Any) -> str:
        name = f"{self._name}_{label}"
        self._nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        return name


def _shapes(proto: onnx.ModelProto, frames: int) -> dict[str, tuple[int, ...]]:
    """Shapes of a graph's tensors for a clip of so many frames, as they come out when it is run."""
    import onnxruntime

    told = onnx.ModelProto()
    told.CopyFrom(proto)
    del told.graph.output[:]
    names = [name for node in told.graph.node for name in node.output if name]
    told.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    entry = told.graph.input[0]
    shape = [d.dim_value or frames for d in entry.type.tensor_type.shape.dim]
    session = onnxruntime.InferenceSession(told.SerializeToString(), providers=["CPUExecutionProvider"])
    found = session.run(names, {entry.name: np.zeros(shape, np.float32)})
    return {entry.name: tuple(shape)} | {name: np.shape(value) for name, value in zip(names, found, strict=True)}


def _replace(graph: onnx.GraphProto, nodes: list[onnx.NodeProto]) -> None:
    """Other nodes, without what only the former ones used."""
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.initializer if tensor.name in used]
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    graph.node.extend(nodes)
    graph.initializer.extend(kept)
