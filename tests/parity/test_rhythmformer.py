"""RhythmFormer reproduces the original's output with the same weights."""

import numpy as np
import pytest
import torch
from reference import fill, fixture, n_numbers, seeded_input

from vitalcam.errors import UsageError
from vitalcam.models import rhythmformer


def test_seeded_weights_give_the_original_wave():
    meta, expected = fixture("seeded__rhythmformer")
    model = fill(rhythmformer.build(), rhythmformer.RELEASED_KEYS, meta["keys"])
    assert n_numbers(model) == 3_326_017
    with torch.inference_mode():
        bvp = model(seeded_input(meta["shapes"][0]).transpose(1, 2))["bvp"]
    np.testing.assert_allclose(bvp, expected["out"], atol=1e-3)


def test_clips_shorter_than_the_attention_needs_are_refused():
    with pytest.raises(UsageError, match="at least 24 frames, got 16"):
        rhythmformer.build()(torch.zeros(1, 3, 16, 128, 128))
