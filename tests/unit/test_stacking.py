"""3-D convolutions as sums of 2-D ones: the same numbers, from graphs that ONNX Runtime computes faster."""

import numpy as np
import pytest
from onnx import TensorProto, checker, helper, numpy_helper

from vitalcam.runtime import session
from vitalcam.stacking import stacked

RNG = np.random.default_rng(0)


def graph(*convs, size=(9, 9), bias=False, tanh=True, channels=8, taps=3):
    """Convolutions one after the other: (channels, strides in time and space, padding, kernel)."""
    nodes, weights, x, entered = [], [], "video", channels
    for i, (out, stride_t, stride, pad, kernel) in enumerate(convs):
        inputs = [x, f"w{i}", *([f"b{i}"] if bias else [])]
        weight = RNG.standard_normal((out, channels, taps, kernel, kernel), dtype=np.float32) / kernel / channels**0.5
        weights.append(numpy_helper.from_array(weight, f"w{i}"))
        if bias:
            weights.append(numpy_helper.from_array(RNG.standard_normal(out, dtype=np.float32), f"b{i}"))
        strides, pads = [stride_t, stride, stride], [taps // 2, pad, pad] * 2
        nodes.append(helper.make_node("Conv", inputs, [f"c{i}"], strides=strides, pads=pads))
        if tanh:
            nodes.append(helper.make_node("Tanh", [f"c{i}"], [f"y{i}"]))
        x, channels = nodes[-1].output[0], out
    entry = helper.make_tensor_value_info("video", TensorProto.FLOAT, [1, entered, "T", *size])
    result = helper.make_tensor_value_info(x, TensorProto.FLOAT, [1, channels, "t", "h", "w"])
    made = helper.make_graph(nodes, "g", [entry], [result], weights)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def outcome(proto, video):
    return session(proto.SerializeToString()).run(None, {"video": video})[0]


@pytest.mark.parametrize("frames", [4, 20])
@pytest.mark.parametrize(
    ("conv", "size"),
    [
        ((16, 1, 1, 0, 3), (9, 9)),
        ((12, 1, 1, 1, 3), (9, 8)),
        ((16, 1, 2, 0, 3), (11, 11)),
        ((16, 1, 2, 1, 3), (9, 9)),
        ((20, 2, 2, 0, 3), (10, 10)),
        ((16, 2, 1, 1, 3), (9, 9)),
        ((16, 1, 1, 0, 4), (7, 6)),
        ((16, 1, 1, 2, 5), (7, 7)),
    ],
)
@pytest.mark.parametrize("bias", [False, True])
def test_the_numbers_are_the_same(conv, size, bias, frames):
    proto = graph(conv, size=size, bias=bias)
    rewritten = stacked(proto, frames_multiple=4)
    checker.check_model(rewritten, full_check=True)
    kinds = [node.op_type for node in rewritten.graph.node]
    assert kinds.count("Conv") == 3
    video = RNG.standard_normal((1, 8, frames, *size), dtype=np.float32)
    np.testing.assert_allclose(outcome(rewritten, video), outcome(proto, video), atol=1e-5)


@pytest.mark.parametrize("conv", [(8, 1, 2, 2, 5), (16, 1, 1, 2, 5), (12, 1, 3, 1, 3)])
@pytest.mark.parametrize("channels", [3, 12])
def test_a_convolution_that_looks_at_one_frame_at_a_time_is_one(conv, channels):
    proto = graph(conv, size=(12, 12), bias=True, channels=channels, taps=1)
    rewritten = stacked(proto, frames_multiple=4)
    assert [node.op_type for node in rewritten.graph.node].count("Conv") == 1
    assert numpy_helper.to_array(rewritten.graph.initializer[0]).ndim < 5
    video = RNG.standard_normal((1, channels, 12, 12, 12), dtype=np.float32)
    np.testing.assert_allclose(outcome(rewritten, video), outcome(proto, video), atol=1e-5)


def test_a_chain_without_tanh_and_with_strides_in_time_on_all_lengths_it_is_made_for():
    proto = graph((16, 2, 1, 1, 3), (16, 2, 1, 1, 3), tanh=False)
    rewritten = stacked(proto, frames_multiple=4)
    assert [node.op_type for node in rewritten.graph.node].count("Conv") == 6
    for frames in (4, 8, 12, 44):
        video = RNG.standard_normal((1, 8, frames, 9, 9), dtype=np.float32)
        np.testing.assert_allclose(outcome(rewritten, video), outcome(proto, video), atol=1e-5)


@pytest.mark.parametrize(
    "proto",
    [
        graph((16, 2, 1, 1, 3)),  # lengths may be odd
        graph((8, 1, 1, 1, 3)),  # half of what the fast kernel computes would be thrown away
    ],
)
def test_what_does_not_gain_or_cannot_be_is_left_as_it_is(proto):
    assert stacked(proto) == proto
