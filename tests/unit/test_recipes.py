"""Recipes: read strictly, expanded, run, resumed, set beside the paper."""

import dataclasses
import math

import pytest
import torch
from _prepared import prepared

from vitalcam import recipes
from vitalcam.data import Store
from vitalcam.errors import ConfigError, UnknownName
from vitalcam.reproduce import compare, markdown, reproduce

TEXT = """
paper = "Nobody: Nothing. 2026"
title = "A small table"

[matrix]
model = ["with", "without"]
train = ["A", "B"]
test = ["A", "B"]

[training]
epochs = 1
batch = 2
lr = 3e-3
model = "mmrphys"
variant = "9_rgb_bvp"

[protocol]
window_s = 5

[by_data.B]
epochs = 2

[models.with]
options = {attention = "fsam"}
measure = {attention_at_inference = true}

[models.without]
options = {attention = "none"}

[expect]
"with/A/B" = {mae = [0.5, 0.1], pearson = [0.9]}
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "small.toml"
    path.write_text(TEXT)
    return path


class Made:
    """Two sets of made recordings; what else is asked for is not there."""

    name = "made patches"

    def __init__(self, folder):
        self.folder = folder
        self.asked = []
        rates = {"A": (60, 84, 108), "B": (72, 96, 120)}
        for name, given in rates.items():
            for i, rate in enumerate(given):
                Store(folder / name).add(prepared(f"{name}{i}", rate, 12.0))

    def store(self, dataset, preparation):
        self.asked.append((dataset, preparation.size_px, preparation.fs_hz))
        return Store(self.folder / dataset) if dataset in ("A", "B") else None


def test_cells_and_their_trainings(file):
    recipe = recipes.load(file)
    assert [cell.key for cell in recipe.cells()] == ["with/A/B", "with/B/A", "without/A/B", "without/B/A"]
    first, second, *_ = recipe.cells()
    assert recipe.training_of(first)["epochs"] == 1
    assert recipe.training_of(second)["epochs"] == 2
    assert recipe.training_of(first)["seed"] == 100
    assert "measure" not in recipe.training_of(first)
    assert recipe.measuring_options(first) == {"attention_at_inference": True}


def test_overrides_and_choices(file):
    recipe = recipes.load(file, ["training.epochs=7", "matrix.seed=[1, 2]", "protocol.profile=toolbox-current"])
    assert len(recipe.cells()) == 8
    assert recipe.training_of(recipe.cells()[0])["epochs"] == 7
    assert recipe.protocol.profile == "toolbox-current"
    assert {cell.key for cell in recipes.chosen(recipe.cells(), ["model=with", "train=A"])} == {"with/A/B"}
    assert len(recipes.chosen(recipe.cells(), ["model=with,without", "seed=1"])) == 4


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        ("matrix.modle=['with']", ConfigError, r"small\.toml: unknown key 'matrix\.modle'; did you mean 'model'"),
        ("matrix.model=['wiht']", UnknownName, "did you mean 'with'"),
        ("protocol.profile=toolbox", UnknownName, "evaluation profile"),
        ("matrix.train='A'", ConfigError, r"small\.toml: key 'matrix\.train': expected tuple"),
        ("expect.'with/A'={mae=[1]}", ConfigError, "MODEL/TRAIN/TEST"),
        ("expect.x={mae=[1]}", ConfigError, "MODEL/TRAIN/TEST"),
        ("titel=x", ConfigError, "did you mean 'title'"),
        ("nonsense", ConfigError, "not of the form key=value"),
    ],
)
def test_bad_recipes_name_the_key(file, change, error, says):
    with pytest.raises(error, match=says):
        recipes.load(file, [change])


def test_other_mistakes(file, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'factorizephys_cross'"):
        recipes.load("factorizephys_cros")
    with pytest.raises(ConfigError, match="give the path of a TOML file"):
        recipes.load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"models\.with\.epoch"):
        reproduce(recipes.load(file, ["training.epoch=1"]), Made(tmp_path), tmp_path / "runs")
    with pytest.raises(UnknownName, match="unknown train 'C'"):
        recipes.chosen(recipes.load(file).cells(), ["train=C"])
    with pytest.raises(ConfigError, match=r"model=…, train=…"):
        recipes.chosen([], ["modell=with"])
    with pytest.raises(ConfigError, match="no cell in which train and test differ"):
        recipes.load(file, ["matrix.train=['A']", "matrix.test=['A']"])


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The small table on made data, with a set that is not there."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("recipe")
    (folder / "small.toml").write_text(TEXT)
    recipe = recipes.load(folder / "small.toml", ["matrix.test=['A', 'B', 'C']", "matrix.train=['A']"])
    source = Made(folder / "data")
    return recipe, source, folder, reproduce(recipe, source, folder / "runs", device="cpu")


def test_every_cell_is_run_or_says_what_is_missing(run):
    _, source, folder, outcomes = run
    assert [(o.cell.key, o.missing) for o in outcomes] == [
        ("with/A/B", ""), ("with/A/C", "no data of C"), ("without/A/B", ""), ("without/A/C", "no data of C"),
    ]  # fmt: skip
    assert all(o.scores["mae"][0] < 30 and (o.scored, o.expected) == (3, 3) for o in outcomes if not o.missing)
    assert outcomes[0].scores != outcomes[2].scores
    assert set(source.asked) == {("A", 9, 30.0), ("B", 9, 30.0), ("C", 9, 30.0)}
    assert len(list((folder / "runs" / "trainings").iterdir())) == 2


def test_what_is_done_is_not_done_again(run, monkeypatch):
    recipe, source, folder, outcomes = run

    def never(*_, **__):
        raise AssertionError

    monkeypatch.setattr("vitalcam.reproduce.train", never)
    monkeypatch.setattr("vitalcam.reproduce.evaluate", never)
    told = []
    again = reproduce(recipe, source, folder / "runs", device="cpu", told=told.append)
    assert again == outcomes == told


def test_ours_beside_the_papers(run):
    recipe, source, _, outcomes = run
    lines = compare(recipe, outcomes, ("mae", "pearson"))
    first = lines[0]
    assert (first.key, first.score, first.paper) == ("with/A/B", "mae", (0.5, 0.1))
    assert first.difference == pytest.approx(outcomes[0].scores["mae"][0] - 0.5)
    assert math.isnan(lines[2].ours)
    assert lines[4].paper is None
    text = markdown(recipe, source, outcomes)
    assert "Data: made patches. 2 of 4 cells have numbers." in text
    assert (
        f"| with/A/B | mae | {first.ours:.2f} ± {first.error:.2f} | 1 | 0.50 ± 0.10 | {first.difference:+.2f} |" in text
    )
    assert "- with/A/C: no data of C" in text
    assert "| with/A/C | mae | missing | 0 | – | – |" in text


def test_seeds_are_put_together(run):
    recipe, _, _, outcomes = run
    one = outcomes[0]
    other = dataclasses.replace(
        one, cell=dataclasses.replace(one.cell, seed=7), scores={"mae": (one.scores["mae"][0] + 2, 0.1)}
    )
    [line] = compare(recipe, [one, other])
    assert line.seeds == 2
    assert line.ours == pytest.approx(one.scores["mae"][0] + 1)
    assert line.error == pytest.approx(1.0)


def test_a_training_that_cannot_be_is_a_missing_cell(file, tmp_path):
    recipe = recipes.load(file, ["training.batch=500", "matrix.train=['A']"])
    outcomes = reproduce(recipe, Made(tmp_path), tmp_path / "runs", device="cpu")
    assert [outcome.missing.split(";")[0] for outcome in outcomes] == ["6 clips do not make a batch of 500"] * 2
