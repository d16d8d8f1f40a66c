"""DeepPhys and TS-CAN reproduce the originals' outputs with the same weights."""

import numpy as np
import pytest
import torch
from reference import fill, fixture, n_numbers, seeded_input

from vitalcam.models import deepphys, tscan


@pytest.mark.parametrize("module", [deepphys, tscan])
def test_seeded_weights_give_the_original_wave(module):
    meta, expected = fixture(f"seeded__{module.SPEC.name}")
    model = fill(module.build(), module.RELEASED_KEYS, meta["keys"])
    assert n_numbers(model) == module.SPEC.parameters == 2_228_643
    frames = seeded_input(meta["shapes"][0])
    with torch.inference_mode():
        bvp = model(frames.movedim(0, 1)[None])["bvp"]
    np.testing.assert_allclose(bvp[0], expected["out"], atol=1e-5)
