"""PhysNet reproduces its released weights."""

import numpy as np
import pytest
import torch
from reference import checkpoint, fixture, n_numbers

from vitalcam.models import physnet
from vitalcam.models._layers import released_key


@pytest.mark.parametrize(
    ("variant", "name", "file", "parameters"),
    [
        ("toolbox", "physnet__PURE_PhysNet_DiffNormalized", "tb__PURE_PhysNet_DiffNormalized.pth", 768_577),
        ("diff", "physnet_diff__PURE_PhysNet", "fp__PURE_PhysNet.pth", 768_583),
    ],
)
def test_released_weights_give_the_released_wave(variant, name, file, parameters):
    meta, expected = fixture(name)
    model = physnet.build(variant).eval()
    assert n_numbers(model) == parameters == physnet.VARIANTS[variant].parameters
    state = checkpoint(file)
    model.load_state_dict({key: state.pop(released_key(key, physnet.RELEASED_KEYS)) for key in model.state_dict()})
    assert not state
    rng = np.random.default_rng(meta["seed"])
    x = (
        rng.standard_normal(meta["shape"], dtype=np.float32)
        if variant == "toolbox"
        else rng.random(meta["shape"], dtype=np.float32) * np.float32(255)
    )
    with torch.inference_mode():
        bvp = model(torch.from_numpy(x))["bvp"]
    np.testing.assert_allclose(bvp, expected["bvp"], atol=1e-4)
