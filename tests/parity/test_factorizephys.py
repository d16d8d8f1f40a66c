"""FactorizePhys with its released weights gives the waves that the authors' code gives."""

import pytest
import torch
from factorized import compare, raw_frames, released
from reference import fixture, n_numbers

from vitalcam.models import factorizephys

FP, MMR = "factorizephys__", "factorizephys_tsfm__"


@pytest.mark.parametrize(
    ("name", "file", "variant", "parameters"),
    [
        (FP + "PURE_FactorizePhys_Base", "fp", "rgb", 51_840),
        (FP + "PURE_FactorizePhys_FSAM", "fp", "rgb", 52_168),
        (FP + "PURE_FactorizePhys_FSAM_Res", "fp", "rgb", 52_168),
        (FP + "UBFC-rPPG_FactorizePhys_FSAM_Res_T-KAB", "fp", "rgb", 52_168),
        (FP + "UBFC-rPPG_FactorizePhys_FSAM_Res_TK-AB", "fp", "rgb", 52_168),
        (FP + "UBFC-rPPG_FactorizePhys_FSAM_Res_K-TAB", "fp", "rgb", 52_168),
        (FP + "iBVP_T_FactorizePhys_FSAM_Res", "fp", "thermal", 51_736),
        (FP + "iBVP_RGBT_FactorizePhys_FSAM_Res", "fp", "rgbt", 52_384),
        (FP + "UBFC-rPPG_Intra_FactorizePhys_FSAM_Res_HighRes", "fp", "rgb_128_240", 56_200),
        (MMR + "PURE_FactorizePhys_SFSAM_Label_Epoch9", "mmr", "rgb", 52_168),
        (MMR + "UBFC-rPPG_FactorizePhys_SFSAM_RBF_Epoch9", "mmr", "rgb", 52_168),
    ],
)
def test_released_weights_give_the_released_waves(name, file, variant, parameters):
    meta, expected = fixture(name)
    model = released(factorizephys, variant, meta, f"{file}__{name.split('__')[1]}.pth")
    assert n_numbers(model) == parameters
    compare(model, meta, expected, fs_hz=30)


def test_error_of_the_factorization_is_the_released_one():
    meta, expected = fixture(FP + "PURE_FactorizePhys_FSAM_Res")
    branch = released(factorizephys, "rgb", meta, "fp__PURE_FactorizePhys_FSAM_Res.pth").branches["bvp"]
    attention = branch.attention
    with torch.inference_mode():
        e = branch.embed(_differences(raw_frames(meta)))
        v = attention.squeeze(e - e.amin())
        error = torch.dist(v, attention.approximate(v))
    assert float(error) == pytest.approx(float(expected["appx_error"]), rel=1e-4)


def _differences(x):
    return factorizephys.build(attention="none").differences(x)
