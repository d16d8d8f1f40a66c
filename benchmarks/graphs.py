"""Rewrites of an exported graph that might suit a runtime better, timed beside the graph as it is (one thread).

    python benchmarks/graphs.py factorizephys mmrphys:72_rgb mmrphys:36_rgb mmrphys:9_rgb

"sigmoid": tanh(x) = 2 sigmoid(2x) - 1, the outer 2 and 1 taken up by the instance norm behind it. "stacked": what
export writes for ONNX Runtime (`vitalcam.stacking`). All give the same numbers; what came of it is in docs/speed.md.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial

import numpy as np
import onnx
import torch
from models import Run, interleaved
from onnx import numpy_helper

from vitalcam import registry
from vitalcam.export import example, prepared, to_onnx
from vitalcam.runtime import openvino_request, session
from vitalcam.stacking import stacked

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
        rewrites: dict[str, Callable[[onnx.ModelProto], onnx.ModelProto]] = {
            "": lambda graph: graph,
            "sigmoid": sigmoids,
            "stacked": partial(stacked, frames_multiple=spec.frames_multiple),
        }
        for label, rewrite in rewrites.items():
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


if __name__ == "__main__":
    main()
