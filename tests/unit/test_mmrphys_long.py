"""What MMRPhys has beyond the authors': looks in time that lie apart."""

import pytest
import torch

from vitalcam.models import mmrphys
from vitalcam.models._blocks import n_parameters


def reached(branch):
    """Frames that a sample of the wave is made of, norms aside, which see the whole clip."""
    stages = [m.conv for m in [*branch.trunks[0], *branch.head] if hasattr(m, "conv")]
    step, frames = 1, 2  # a difference is of two frames
    for conv in stages:
        frames += step * (conv.kernel_size[0] - 1) * conv.dilation[0]
        step *= conv.stride[0]
    return frames + 2  # the last convolution, behind the repetition


@pytest.mark.parametrize(("long", "frames"), [(False, {"bvp": 20, "resp": 44}), (True, {"bvp": 94, "resp": 100})])
@pytest.mark.parametrize("size_px", [9, 36, 72])
def test_what_a_sample_is_made_of(size_px, long, frames):
    network = mmrphys.build(f"{size_px}_rgb", long=long)
    assert {name: reached(branch) for name, branch in network.branches.items()} == frames


def test_it_costs_no_weights_and_keeps_the_length():
    network = mmrphys.build("9_rgb", long=True).eval()
    assert n_parameters(network) == mmrphys.VARIANTS["9_rgb"].parameters
    with torch.inference_mode():
        waves = network(torch.rand(1, 3, 180, 9, 9))
    assert {name: wave.shape for name, wave in waves.items()} == {"bvp": (1, 180), "resp": (1, 180)}
