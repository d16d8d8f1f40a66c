"""What every recipe that comes with the package promises."""

import functools
import json
import os
from pathlib import Path

import pytest
from _printed import place, scores

from vitalcam import config, recipes, registry
from vitalcam.training import Training

NAMES = recipes.names()
SHARED = Path(os.environ.get("VITALCAM_SHARED", Path(__file__).parents[3] / "shared"))
PRINTED = SHARED / "design" / "paper_results.json"

TABLES = {
    "factorizephys_mapping", "factorizephys_cross", "factorizephys_fsam", "factorizephys_rank", "factorizephys_seeds",
    "factorizephys_within", "factorizephys_scale", "factorizephys_modality", "factorizephys_cost", "mmrphys_constraint",
    "mmrphys_within", "mmrphys_cross", "mmrphys_bp4d", "mmrphys_scamps_bp4d", "mmrphys_figure6", "physfsunet_inner",
    "physfsunet_cross", "physfsunet_ablation", "physfsunet_cost", "physfsunet_figure3",
}  # fmt: skip
LADDER = {
    "ladder_attention", "ladder_constraint", "ladder_mapping", "ladder_rank", "ladder_physfsunet", "ladder_baselines",
}  # fmt: skip


def test_every_table_has_its_recipe():
    assert set(NAMES) == TABLES | LADDER


@pytest.mark.parametrize("name", sorted(LADDER))
def test_a_recipe_of_ours_judges_claims_with_three_seeds_on_what_was_not_taught(name):
    recipe = recipes.load(name)
    assert recipe.claims
    assert not recipe.expect, "the papers' numbers are of other data"
    assert {name for claim in recipe.claims for name in (claim.better, claim.than)} <= set(recipe.matrix.model)
    assert len(set(recipe.matrix.seed)) >= 3
    assert (recipe.matrix.train, recipe.matrix.test) == (("takes",), ("untaught",))


@functools.cache
def built(model, variant, options):
    """Each network once: many cells differ in their data only."""
    return registry.find("models", model).build(variant, **json.loads(options))


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_can_be_built(name):
    recipe = recipes.load(name)
    assert recipe.paper.strip()
    assert any(word in recipe.title for word in (", table", ", figure", "On the ladder"))
    for cell in recipe.cells():
        if recipe.method_of(cell.model):
            assert registry.find("methods", recipe.method_of(cell.model))
            continue
        training = config.build(Training, recipe.training_of(cell))
        assert "bvp" in training.spec.outputs
        for options in (training.options, {**training.options, **recipe.measuring_options(cell)}):
            assert built(training.model, training.variant, json.dumps(options))


@pytest.mark.parametrize("name", NAMES)
def test_what_the_paper_printed_belongs_to_a_cell(name):
    recipe = recipes.load(name)
    assert set(recipe.expect) <= {key for cell in recipe.cells() for key in cell.keys}
    assert recipe.expect or recipe.curve.x or recipe.claims
    numbers = [score for printed in recipe.expect.values() for score in printed.values()]
    assert all(0 < len(score) <= 2 and all(isinstance(v, float | int) for v in score) for score in numbers)


def test_the_folds_of_bp4d_share_nobody():
    recipe = recipes.load("mmrphys_bp4d")
    folds = [recipe.split(name, "BP4D+").test for name in recipe.matrix.split]
    everybody = {f"F{i:03}" for i in range(1, 83)} | {f"M{i:03}" for i in range(1, 59)}
    assert [len(fold) for fold in folds] == [46, 47, 47]
    assert set().union(*folds) == everybody
    sides = recipe.split("fold1", "BP4D+").of(everybody)
    assert len(sides.train) == 94
    assert not set(sides.train) & set(sides.test)


def test_the_numbers_are_the_papers():
    """Read off the papers, independently of the files."""
    cross = recipes.load("factorizephys_cross").expect
    assert len(cross) == 45
    assert cross["factorizephys/UBFC-rPPG/PURE"]["mae"] == [0.48, 0.17]
    assert cross["physnet/iBVP/PURE"]["rmse"] == [19.12, 3.93]
    assert recipes.load("factorizephys_fsam").expect["base/UBFC-rPPG/iBVP"]["macc"] == [0.54, 0.01]
    assert recipes.load("physfsunet_ablation").expect["physfsunet/PURE/MMPD"] == {"mae": [7.58]}
    assert recipes.load("factorizephys_seeds").expect["factorizephys/UBFC-rPPG/PURE#38"]["mae"] == [4.31, 1.86]
    assert recipes.load("factorizephys_cost").expect["physformer"]["parameters"] == [7_380_871]
    assert recipes.load("mmrphys_within").expect["mmrphys/PURE/PURE"]["pearson"] == [0.9991, 0.01]


@pytest.mark.skipif(not PRINTED.exists(), reason="the papers' numbers as one file are not here (VITALCAM_SHARED)")
def test_every_number_is_as_collected_and_none_is_left_out():
    collected = {
        (*place(record, score), score): value
        for record in json.loads(PRINTED.read_text())["results"]
        for score, value in scores(record).items()
        if place(record, score)
    }
    ours = {
        (name, key, score): value
        for name in NAMES
        for key, printed in recipes.load(name).expect.items()
        for score, value in printed.items()
    }
    again = {("physfsunet_ablation", "physfsunet/PURE/MMPD", "mae")}  # table II repeats in the tables of its parts
    assert ours.keys() - again == collected.keys()
    assert {where: value for where, value in ours.items() if where not in again and value != collected[where]} == {}
    assert len(collected) > 1500
