"""Every network goes through ONNX Runtime as through torch, at lengths that the exporter did not see."""

import pytest
import torch

from vitalcam import registry
from vitalcam.errors import UsageError
from vitalcam.export import TOLERANCE, compare, example, export, prepared, to_onnx
from vitalcam.models import mmrphys

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
        export(network, spec, tmp_path / f"{attend}.onnx", attention=attend, lengths=(24, 40))
    assert (tmp_path / "True.onnx").stat().st_size > (tmp_path / "False.onnx").stat().st_size


def test_attention_to_a_target_cannot_be_kept():
    with pytest.raises(UsageError, match="TSFM attends to a known waveform"):
        prepared(mmrphys.build("9_rgb_bvp", attention="tsfm"), attention=True)
