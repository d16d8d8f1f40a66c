"""EfficientPhys gives what the authors' code gives: with SASN for weights by a rule, with FSAM for released ones."""

import numpy as np
import pytest
import torch
from factorized import raw_frames
from reference import checkpoint, fill, fixture, n_numbers, seeded_input

from vitalcam.models import efficientphys
from vitalcam.models._layers import released_key


@pytest.mark.parametrize(
    ("name", "variant"), [("seeded__efficientphys", "toolbox"), ("seeded__efficientphys_rgb_fp", "factorizephys")]
)
def test_gated_with_seeded_weights(name, variant):
    meta, expected = fixture(name)
    model = fill(efficientphys.build(variant), efficientphys.RELEASED_KEYS, meta["keys"])
    assert n_numbers(model) == 2_163_081 == efficientphys.VARIANTS[variant].parameters
    x = seeded_input(meta["shapes"][0])[:-1].transpose(0, 1)[None]
    with torch.inference_mode():
        bvp = model(x)["bvp"][0]
    # Their 61st frame is no copy of the 60th; four shifts carry what that changes back to frame 55.
    np.testing.assert_allclose(bvp[:55], expected["out"][:55], atol=1e-6)
    assert not np.allclose(bvp[55:], expected["out"][55:], atol=1e-4)


@pytest.mark.parametrize(
    ("wave", "options"),
    [
        ("bvp_noatt", {}),
        ("bvp_first", {"rows": 20, "attention_at_inference": True}),
        ("bvp_steady", {"rows": 1, "attention_at_inference": True}),
    ],
)
def test_factorized_with_released_weights(wave, options):
    meta, expected = fixture("efficientphys_fsam__PURE_EfficientPhys_FSAM")
    state = checkpoint("fp__PURE_EfficientPhys_FSAM.pth")
    model = efficientphys.build("fsam", form="released", **options).eval()
    assert n_numbers(model) == 140_655 == efficientphys.VARIANTS["fsam"].parameters
    ours = {
        k: (state.pop(released_key(k, efficientphys.RELEASED_KEYS)), v.shape) for k, v in model.state_dict().items()
    }
    assert not state
    model.load_state_dict({key: tensor.reshape(shape) for key, (tensor, shape) in ours.items()})
    x = raw_frames(meta).transpose(0, 1)[None]
    with torch.inference_mode():
        model(x[:, :, :20])  # theirs changes itself in its first forward pass
        bvp = model(x)["bvp"][0]
    np.testing.assert_allclose(bvp, expected[wave], atol=5e-5)
