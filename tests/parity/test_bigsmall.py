"""BigSmall reproduces the originals' outputs with the same weights."""

import numpy as np
import pytest
import torch
from reference import fill, fixture, n_numbers, seeded_input

from vitalcam.models import bigsmall


@pytest.mark.parametrize(("variant", "name", "total"), [("toolbox", "", 2_142_478), ("mmr", "_mmr", 1_477_262)])
def test_seeded_weights_give_the_original_outputs(variant, name, total):
    meta, expected = fixture(f"seeded__bigsmall{name}")
    model = fill(bigsmall.build(variant), bigsmall.RELEASED_KEYS, meta["keys"])
    assert n_numbers(model) == total
    big, small = (seeded_input(shape) for shape in meta["shapes"])
    with torch.inference_mode():
        if variant == "mmr":
            big, small = model.big_norm(big), model.small_norm(small)
        features = model.features(big[:: bigsmall.SEGMENT], small)
        for task, head in model.heads.items():
            np.testing.assert_allclose(head(features)[:, 0], expected[task], atol=1e-5)
        if variant == "toolbox":
            np.testing.assert_allclose(model.action_units(features), expected["au"], atol=1e-5)


def test_inputs_are_what_the_original_prepares():
    """Sharp: standardised first frames of three. Tiny: normalised differences of the area means."""
    x = torch.from_numpy(np.random.default_rng(1).uniform(50, 200, (1, 3, 6, 144, 144)).astype(np.float32))
    big, small = bigsmall.build().inputs(x)
    frames = x[0].movedim(0, 1).double().numpy()
    np.testing.assert_allclose(big, ((frames - frames.mean()) / frames.std())[::3], atol=1e-5)
    tiny = frames.reshape(6, 3, 9, 16, 9, 16).mean(axis=(3, 5))
    change = np.zeros_like(tiny)
    change[:-1] = (tiny[1:] - tiny[:-1]) / (tiny[1:] + tiny[:-1] + 1e-7)
    np.testing.assert_allclose(small, change / change.std(), atol=1e-3)
