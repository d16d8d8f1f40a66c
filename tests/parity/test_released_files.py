"""Every layout that the authors released is recognised, and every file of theirs that is here becomes its network."""

import json

import numpy as np
import pytest
import torch
from factorized import raw_frames
from reference import FOLDER, fixture

from vitalcam.checkpoints import load, recognise
from vitalcam.errors import WeightsError

MODELS = {
    "EfficientPhys_FSAM": ["efficientphys:fsam"],
    "FactorizePhysBig base": ["factorizephys:rgb_128 attention=none", "factorizephys:rgb_128_240 attention=none"],
    "FactorizePhysBig": ["factorizephys:rgb_128", "factorizephys:rgb_128_240"],
    "FactorizePhys base RGBT": ["factorizephys:rgbt attention=none"],
    "FactorizePhys base RGB": ["factorizephys:rgb attention=none"],
    "FactorizePhys base T": ["factorizephys:thermal attention=none"],
    "FactorizePhys +FSAM RGBT": ["factorizephys:rgbt"],
    "FactorizePhys +FSAM T": ["factorizephys:thermal"],
    "FactorizePhys": ["factorizephys:rgb"],
    "PhysNet Diff": ["physnet:diff"],
    "PhysNet": ["physnet:toolbox"],
}
MMRPHYS = {  # their name for it: ours, without size
    "LEF, BVP only, RGB, +FSAM": "rgb_bvp",
    "LEF BVP only, base": "rgb_bvp attention=none",
    "LEF, BVP+RSP, RGBT": "rgbt_early",
    "BVP+RSP RGB, base": "rgb attention=none",
    "BVP+RSP RGB, +FSAM": "rgb",
    "BVP+RSP T, base": "thermal attention=none",
    "BVP+RSP T, +FSAM": "thermal",
    "LLF BVP+RSP RGBT": "rgbt_late",
    "LNF/MNF/SNF base": "rgbt_none attention=none",
    "LNF/MNF/SNF +FSAM": "rgbt_none",
}
REFUSED = ("interim", "PhysMamba")
SEEDED = {
    "deepphys": ["deepphys:toolbox size_px=72", "tscan:toolbox size_px=72"],
    "tscan": ["deepphys:toolbox size_px=72", "tscan:toolbox size_px=72"],
    "efficientphys": ["efficientphys:factorizephys", "efficientphys:toolbox"],
    "efficientphys_rgb_fp": ["efficientphys:factorizephys", "efficientphys:toolbox"],
    "bigsmall": ["bigsmall:toolbox"],
    "bigsmall_mmr": ["bigsmall:mmr"],
    "physformer": ["physformer:toolbox"],
    "physformer_diff": ["physformer:diff"],
    "rhythmformer": ["rhythmformer:published"],
    "mmrphys_SLF_4ch_BVP_RSP": [f"mmrphys:{px}_rgbt_late attention=none" for px in (36, 72, 9)],
    "mmrphys_LEF_1ch_RSP": [f"mmrphys:{px}_thermal_resp attention=none" for px in (36, 72, 9)],
    "mmrphys_SEF_4ch_BVP_RSP": [f"mmrphys:{px}_rgbt_early attention=none" for px in (36, 72, 9)],
}


def listed():
    file = FOLDER / "state_dict_keys.json"
    if not file.exists():
        pytest.skip(f"no reference folder ({file}); set VITALCAM_SHARED to where it is")
    return json.loads(file.read_text())


def expected(title):
    """What a layout of their list is here."""
    if "OLD layout" in title:
        return ["mmrphys:72_rgb_bvp first_pad=1"]
    for theirs, ours in MMRPHYS.items():
        if "MMRPhys " in title and theirs in title:
            rest = ours.split(" ", 1)
            return sorted(" ".join([f"mmrphys:{px}_{rest[0]}", *rest[1:]]) for px in (72, 36, 9))
    return next(ours for theirs, ours in MODELS.items() if title.startswith(theirs))


def shapes(entry):
    return {key: tuple(shape) for key, shape in entry["keys"]}


def test_all_released_layouts_are_recognised():
    families = listed()["families"].values()
    assert len(families) == 26
    for family in families:
        if any(word in family["name"] for word in REFUSED):
            with pytest.raises(WeightsError, match=r"PhysMamba|interim MMRPhys"):
                recognise(shapes(family))
        else:
            assert sorted(map(str, recognise(shapes(family)))) == expected(family["name"]), family["name"]


def test_layouts_of_the_families_without_files_are_recognised():
    for name, family in listed()["seeded"].items():
        assert sorted(map(str, recognise(shapes(family)))) == SEEDED[name], name


def test_every_file_that_is_here_becomes_a_network():
    entries = listed()["families"].values()
    parameters = {entry["file"].rsplit("/")[-1]: family for family in entries for entry in family["checkpoints"]}
    files = sorted((FOLDER / "checkpoints").iterdir())
    assert files
    for file in files:
        checkpoint = load(file)
        family = parameters[file.name.split("__", 1)[1]]
        head = sum(int(np.prod(shape)) for key, shape in family["keys"] if key.startswith("rBP_head."))
        assert checkpoint.spec.parameters == family["numel"] - head, file.name
        assert checkpoint.spec.fs_hz == (25 if "BP4D" in file.name else 30)


@pytest.mark.parametrize(
    "name",
    ["PURE_MMRPhys_SFSAM_Label_Epoch9", "BP4D_MMRPhysSEF_BVP_RSP_RGBx180x9_SFSAM_Label_Fold1_Epoch4"],
)
def test_an_imported_network_gives_the_released_wave(name):
    meta, waves = fixture(f"mmrphys__{name}")
    with torch.inference_mode():
        bvp = load(FOLDER / "checkpoints" / f"mmr__{name}.pth").model(raw_frames(meta)[:1])["bvp"]
    np.testing.assert_allclose(bvp[0], waves["bvp"][0], atol=5e-5)
