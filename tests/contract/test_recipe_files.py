"""What every recipe that comes with the package promises."""

import pytest

from vitalcam import config, recipes
from vitalcam.training import Training

NAMES = recipes.names()


@pytest.mark.parametrize("name", NAMES)
def test_every_cell_can_be_built(name):
    recipe = recipes.load(name)
    assert recipe.paper.strip()
    for cell in recipe.cells():
        training = config.build(Training, recipe.training_of(cell))
        assert "bvp" in training.spec.outputs
        options = {**training.options, **recipe.measuring_options(cell)}
        config.build(Training, {**recipe.training_of(cell), "options": options}).network()


@pytest.mark.parametrize("name", NAMES)
def test_what_the_paper_printed_belongs_to_a_cell(name):
    recipe = recipes.load(name)
    cells = {cell.key for cell in recipe.cells()}
    assert recipe.expect
    assert set(recipe.expect) <= cells
    for scores in recipe.expect.values():
        assert all(0 < len(score) <= 2 and all(isinstance(v, float | int) for v in score) for score in scores.values())


def test_the_numbers_are_the_papers():
    """Read off the papers, independently of the files."""
    cross = recipes.load("factorizephys_cross").expect
    assert len(cross) == 45
    assert cross["factorizephys/UBFC-rPPG/PURE"]["mae"] == [0.48, 0.17]
    assert cross["physnet/iBVP/PURE"]["rmse"] == [19.12, 3.93]
    assert recipes.load("factorizephys_fsam").expect["base/UBFC-rPPG/iBVP"]["macc"] == [0.54, 0.01]
    assert recipes.load("physfsunet_ablation").expect["physfsunet/PURE/MMPD"] == {"mae": [7.58]}
