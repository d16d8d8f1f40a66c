"""Rewrites of an exported graph that might suit a runtime better, timed beside the graph as it is (one thread).

    python benchmarks/graphs.py factorizephys mmrphys:72_rgb mmrphys:36_rgb mmrphys:9_rgb

"sigmoid": tanh(x) = 2 sigmoid(2x) - 1, the outer 2 and 1 taken up by the instance norm behind it. "rows": a 3x3x3
convolution as three 2-D ones over the picture of all frames one below the other, each shifted by a frame. All give the
same numbers; what came of it is in docs/speed.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable

import numpy as np
import onnx
import torch
from models import Run, interleaved
from onnx import helper, numpy_helper

from vitalcam import registry
from vitalcam.export import example, prepared, to_onnx
from vitalcam.runtime import openvino_request, session

ROUNDS = 5


def main() -> None:
    """Print milliseconds and ratios for each network."""
    torch.set_num_threads(1)
    for name in sys.argv[1:]:
        module_name, _, variant = name.partition(":")
        module = registry.find("models", module_name)
        spec = module.VARIANTS[variant] if variant else module.SPEC
        torch.manual_seed(0)
        proto = to_onnx(prepared(module.build(variant)), spec, frames=24)
        video = example(spec, spec.frames)
        runs: dict[str, Run] = {}
        for label, rewrite in (("", lambda graph: graph), ("sigmoid", sigmoids), ("rows", rows)):
            changed = onnx.ModelProto()
            changed.CopyFrom(proto)
            blob = rewrite(changed).SerializeToString()
            graph, request = session(blob), openvino_request(blob)
            runs[f"onnxruntime {label}"] = lambda graph=graph, video=video: np.concatenate(
                graph.run(None, {"video": video})
            )
            runs[f"openvino {label}"] = lambda request=request, video=video: np.concatenate(
                list(request.infer([video]).values())
            )
        runs = {"torch": runs["onnxruntime "]} | runs  # the reference of `interleaved`: here the graph as it is
        medians, apart = interleaved(runs, ROUNDS)
        print(name)
        for label in list(runs)[1:]:
            plain = medians[f"{label.split()[0]} "]
            print(f"  {label:22} {medians[label]:6.1f} ms, {medians[label] / plain:.2f}, differs {apart[label]:.0e}")


def sigmoids(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Convolution, tanh, norm to convolution with twice the weights, sigmoid, norm with a quarter of its epsilon."""
    makers = {output: node for node in proto.graph.node for output in node.output}
    weights = {tensor.name: tensor for tensor in proto.graph.initializer}
    for norm in proto.graph.node:
        tanh = makers.get(norm.input[0]) if norm.op_type == "InstanceNormalization" else None
        if tanh is None or tanh.op_type != "Tanh":
            continue
        for name in makers[tanh.input[0]].input[1:]:
            weights[name].CopyFrom(numpy_helper.from_array(2 * numpy_helper.to_array(weights[name]), name))
        tanh.op_type = "Sigmoid"
        (epsilon,) = (attribute for attribute in norm.attribute if attribute.name == "epsilon")
        epsilon.f /= 4
    return proto


def rows(proto: onnx.ModelProto) -> onnx.ModelProto:
    """Every convolution to a multiple of 16 channels, where its frames can be stacked, as three 2-D ones."""
    shapes = {
        value.name: [d.dim_value for d in value.type.tensor_type.shape.dim]
        for value in onnx.shape_inference.infer_shapes(proto).graph.value_info
    }
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    for node in proto.graph.node:
        fits = node.op_type == "Conv" and _fits(node, weights[node.input[1]], shapes.get(node.input[0]))
        add = nodes.append
        if fits:
            _stacked(node, weights[node.input[1]], shapes[node.input[0]], proto.graph.initializer.append, add)
        else:
            add(node)
    del proto.graph.node[:]
    proto.graph.node.extend(nodes)
    return proto


def _attributes(node: onnx.NodeProto) -> tuple[list[int], list[int]]:
    found = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    return list(found.get("strides", [1, 1, 1])), list(found.get("pads", [0] * 6))


def _fits(node: onnx.NodeProto, weight: np.ndarray, shape: list[int] | None) -> bool:
    (stride_t, stride, _), pads = _attributes(node)
    if not shape or weight.shape[0] % 16 or weight.shape[2] != 3 or stride_t != 1 or pads[0] != 1:
        return False
    return shape[3] >= 5 and (shape[3] + 2 * pads[1]) % stride == 0


def _stacked(
    node: onnx.NodeProto,
    weight: np.ndarray,
    shape: list[int],
    keep: Callable[[onnx.TensorProto], None],
    add: Callable[[onnx.NodeProto], None],
) -> None:
    """Frame t of the result lies at row (t + 1) H; what lies between the frames is cut away."""
    (_, stride, _), (_, pad, _, *_) = _attributes(node)
    out, channels, _, kernel, _ = weight.shape
    (x, y), height, width = (node.input[0], node.output[0]), shape[3] + 2 * pad, shape[4]

    def const(label: str, value: object) -> str:
        keep(numpy_helper.from_array(np.ascontiguousarray(value), f"{y}_{label}"))
        return f"{y}_{label}"

    def op(kind: str, label: str, *inputs: str, **attributes: object) -> str:
        add(helper.make_node(kind, inputs, [f"{y}_{label}"], **attributes))
        return f"{y}_{label}"

    if pad:
        x = op("Pad", "padded", x, const("margins", [0, 0, 0, pad, 0, 0, 0, 0, pad, 0]))
    x = op("Reshape", "rows", x, const("in", [1, channels, -1, width]))
    taps = [
        op(
            "Conv", f"tap{i}", x, const(f"weight{i}", weight[:, :, i]), strides=[stride, stride],
            pads=[(2 - i) * height, pad, i * height + kernel - stride, pad],
        )
        for i in range(3)
    ]  # fmt: skip
    total = op("Add", "all", op("Add", "two", taps[0], taps[1]), taps[2])
    size = [1, out, -1, height // stride, (width + 2 * pad - kernel) // stride + 1]
    frames = op("Reshape", "frames", total, const("out", size))
    ends = [const("first", [1, 0]), const("end", [-1, (height - kernel) // stride + 1]), const("axes", [2, 3])]
    add(helper.make_node("Slice", [frames, *ends], [y]))


if __name__ == "__main__":
    main()
