"""MMRPhys with its released weights, and with weights that follow from a rule, gives what the authors' code gives."""

import numpy as np
import pytest
import torch
from factorized import compare, released
from reference import fill, fixture, n_numbers, seeded_input

from vitalcam.models import mmrphys
from vitalcam.models._blocks import instance_norm

BP4D = "mmrphys__BP4D_MMRPhys{}_SFSAM_Label_Fold1_Epoch4"


@pytest.mark.parametrize(
    ("name", "variant", "parameters", "options"),
    [
        ("mmrphys__UBFC-rPPG_MMRPhys_SFSAM_Label_Epoch9", "72_rgb_bvp", 37_480, {}),
        ("mmrphys__PURE_MMRPhys_SFSAM_Label_Epoch9", "72_rgb_bvp", 37_480, {"first_pad": 1}),
        (BP4D.format("LEF_BVP_RSP_RGBx180x72"), "72_rgb", 88_256, {}),
        (BP4D.format("LEF_BVP_RSP_RGBTx180x72"), "72_rgbt_early", 88_904, {}),
        (BP4D.format("LNF_BVP_RSP_RGBTx180x72"), "72_rgbt_none", 87_392, {}),
        (BP4D.format("LLF_BVP_RSP_RGBTx180x72"), "72_rgbt_late", 175_816, {}),
        (BP4D.format("MEF_BVP_RSP_Tx180x36"), "36_thermal", 86_960, {}),
        (BP4D.format("SEF_BVP_RSP_RGBx180x9"), "9_rgb", 88_256, {}),
    ],
)
def test_released_weights_give_the_released_waves(name, variant, parameters, options):
    meta, expected = fixture(name)
    model = released(mmrphys, variant, meta, f"mmr__{name.split('__')[1]}.pth", **options)
    assert n_numbers(model) == parameters
    compare(model, meta, expected, fs_hz=25 if "rsp" in expected else 30)


@pytest.mark.parametrize(
    ("name", "variant", "parameters"),
    [
        ("seeded__mmrphys_LEF_1ch_RSP", "72_thermal_resp", 49_584),
        ("seeded__mmrphys_SEF_4ch_BVP_RSP", "9_rgbt_early", 88_248),
        ("seeded__mmrphys_SLF_4ch_BVP_RSP", "9_rgbt_late", 174_648),
    ],
)
def test_seeded_weights_give_the_released_waves(name, variant, parameters):
    meta, expected = fixture(name)
    keys = [(key, shape) for key, shape in meta["keys"] if not key.startswith("rBP_head.")]
    model = fill(mmrphys.build(variant, attention="none"), mmrphys.released_layouts(variant)[0][1], keys)
    assert n_numbers(model) == parameters
    x = seeded_input(meta["shapes"][0])  # its last frame is no copy of the one before, so differences are taken here
    with torch.inference_mode():
        x = instance_norm(x[:, :, 1:] - x[:, :, :-1])
        for theirs, ours in (("bvp", "bvp"), ("rsp", "resp")):
            if theirs in expected:
                np.testing.assert_allclose(model.branches[ours](x), expected[theirs], atol=5e-5)


def test_the_wrong_padding_of_an_old_file_is_another_wave():
    """Both run, which is why the importer has to know."""
    meta, expected = fixture("mmrphys__PURE_MMRPhys_SFSAM_Label_Epoch9")
    model = released(mmrphys, "72_rgb_bvp", meta, "mmr__PURE_MMRPhys_SFSAM_Label_Epoch9.pth", first_pad=0)
    with pytest.raises(AssertionError):
        compare(model, meta, expected, fs_hz=30)
