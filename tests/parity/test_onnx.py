"""Every network goes through ONNX Runtime as through torch, at lengths that the exporter did not see."""

import hashlib
import json
import sys

import numpy as np
import pytest
import torch

from vitalcam import registry, runtime
from vitalcam.errors import MissingExtra, UsageError, WeightsError
from vitalcam.export import TOLERANCE, compare, example, export, prepared, to_onnx
from vitalcam.models import mmrphys
from vitalcam.types import Clip

QUICK = {"factorizephys"}
NAMES = [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in registry.names("models")]


def settled(name, spec, frames):
    """An untrained network whose batch norms know the clip; otherwise the wave would vanish."""
    torch.manual_seed(0)
    network = registry.find("models", name).build()
    norms = [m for m in network.modules() if isinstance(m, torch.nn.modules.batchnorm._BatchNorm)]
    for norm in norms:
        norm.momentum = None
    if norms:
        network(torch.from_numpy(example(spec, frames)))
    return network


@pytest.mark.parametrize("name", NAMES)
def test_both_runtimes_agree(name):
    spec = registry.find("models", name).SPEC
    step = spec.frames_multiple
    frames = -(-24 // step) * step
    network = prepared(settled(name, spec, frames))
    blob = to_onnx(network, spec, frames=frames).SerializeToString()
    for length in (frames, frames + step, 3 * frames):
        assert compare(network, blob, spec, frames=length) <= TOLERANCE


@pytest.mark.parametrize("attention", ["fsam", pytest.param("grbf", marks=pytest.mark.slow)])
def test_attention_can_be_kept(attention, tmp_path):
    torch.manual_seed(0)
    spec, network = mmrphys.VARIANTS["9_rgb_bvp"], mmrphys.build("9_rgb_bvp", attention=attention)
    for attend in (False, True):
        export(network, spec, tmp_path / f"{attend}.onnx", attention=attend)
    assert (tmp_path / "True.onnx").stat().st_size > (tmp_path / "False.onnx").stat().st_size


def test_attention_to_a_target_cannot_be_kept():
    with pytest.raises(UsageError, match="TSFM attends to a known waveform"):
        prepared(mmrphys.build("9_rgb_bvp", attention="tsfm"), attention=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """The quickest network as a file."""
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("small") / "small.onnx"
    export(mmrphys.build("9_rgb"), mmrphys.VARIANTS["9_rgb"], file, variant="9_rgb")
    return file


def clip(frames):
    pixels = np.random.default_rng(frames).uniform(0, 255, (frames, 9, 9, 3)).astype(np.float32)
    return Clip(pixels, np.arange(frames) / 25, 25.0, np.ones(frames, bool), transform="raw")


def test_openvino_gives_what_onnx_runtime_gives(small):
    """Also for lengths that change from clip to clip, and without writing over what it gave before."""
    pytest.importorskip("openvino")
    ours, theirs = (runtime.Model.load(small, backend=backend, threads=1) for backend in ("openvino", "onnx"))
    clips = [clip(frames) for frames in (180, 40, 44, 180)]
    found = [ours.run(video) for video in clips]
    for video, waves in zip(clips, found, strict=True):
        for name, expected in theirs.run(video).items():
            assert waves[name].shape == expected.shape
            np.testing.assert_allclose(waves[name], expected, atol=TOLERANCE * float(expected.std()))


def test_openvino_may_be_missing(small, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match=r'models by OpenVINO: install the extra first: .*"vitalcam\[openvino\]"'):
        runtime.Model.load(small, backend="openvino")


def test_a_file_that_openvino_cannot_read_is_named(small, tmp_path):
    pytest.importorskip("openvino")
    broken = tmp_path / "small.onnx"
    broken.write_bytes(b"no graph")
    card = json.loads(small.with_suffix(".json").read_text())
    card["sha256"] = hashlib.sha256(b"no graph").hexdigest()
    broken.with_suffix(".json").write_text(json.dumps(card))
    with pytest.raises(WeightsError, match=r"small\.onnx: OpenVINO cannot load it .*; let ONNX run it"):
        runtime.Model.load(broken, backend="openvino")
