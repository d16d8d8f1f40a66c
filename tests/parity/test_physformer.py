"""PhysFormer reproduces the originals' outputs with the same weights."""

import numpy as np
import pytest
import torch
from reference import fill, fixture, n_numbers, seeded_input

from vitalcam.models import physformer


@pytest.mark.parametrize(("variant", "name", "total"), [("toolbox", "", 7_380_865), ("diff", "_diff", 7_380_871)])
def test_seeded_weights_give_the_original_wave(variant, name, total):
    meta, expected = fixture(f"seeded__physformer{name}")
    model = fill(physformer.build(variant), physformer.RELEASED_KEYS, meta["keys"])
    assert n_numbers(model) == total == physformer.VARIANTS[variant].parameters
    x = seeded_input(meta["shapes"][0])
    with torch.inference_mode():
        if variant == "diff":  # the fixture's last frame is not a copy: take its differences as they are
            model.differences = False
            x = model.norm(x[:, :, 1:] - x[:, :, :-1])
        bvp = model(x)["bvp"]
    np.testing.assert_allclose(bvp, expected["out"], atol=1e-3)
