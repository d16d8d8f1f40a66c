"""Recipes: read strictly, expanded, run, resumed, set beside the paper."""

import dataclasses
import math

import pytest
import torch
from _prepared import prepared

from vitalcam import recipes
from vitalcam.claims import paired
from vitalcam.data import Store
from vitalcam.errors import ConfigError, DatasetError, UnknownName
from vitalcam.paper_tables import compare, markdown, write
from vitalcam.recipes.splits import Split
from vitalcam.reproduce import Outcome, reproduce

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
        ("expect.with/A/B/s/t={mae=[1]}", ConfigError, "MODEL/TRAIN/TEST"),
        ("expect.with/A/B#x={mae=[1]}", ConfigError, "MODEL/TRAIN/TEST"),
        ("expect.with/A/B={mea=[1]}", UnknownName, "did you mean 'mae'"),
        ("matrix.split=['folds']", UnknownName, "split of this recipe"),
        ("paired={models=['with']}", ConfigError, "names 1 models; give two"),
        ("paired={models=['with','wihtout']}", UnknownName, "did you mean 'without'"),
        ("curve={x='epoch', y='mae'}", ConfigError, "loss over epoch"),
        ("curve={x='cost', y='mae'}", UnknownName, "score of the curve"),
        ("titel=x", ConfigError, "did you mean 'title'"),
        ("nonsense", ConfigError, "not of the form key=value"),
    ],
)
def test_bad_recipes_name_the_key(file, change, error, says):
    with pytest.raises(error, match=says):
        recipes.load(file, [change])


def test_bad_splits_name_the_key(file):
    wrong = {"{frist=0.5}": r"splits\.half\.A\.frist", "{first=1.5}": "0 < first < 1", "{}": "one of them"}
    wrong |= {"{fold=[4,3]}": "1 <= K <= N", "{first=0.5, fold=[1,3]}": "one of them"}
    for rule, says in wrong.items():
        with pytest.raises(ConfigError, match=says):
            recipes.load(file, [f"splits.half={{A={rule}}}", "matrix.split=['half']"])


def test_people_are_divided_by_name_and_stay_on_one_side():
    people = [f"p{i}" for i in range(1, 11)] * 4
    sides = Split(first=0.7).of(people)
    assert sides.train == tuple(f"p{i}" for i in range(1, 8))
    assert sides.test == ("p8", "p9", "p10")
    folds = [Split(fold=(k, 3)).of(people) for k in (1, 2, 3)]
    assert sorted(name for fold in folds for name in fold.test) == sorted(set(people))
    assert all(not set(fold.train) & set(fold.test) for fold in folds)
    listed = Split(first=0.7, test=("p2", "p5", "p77")).of(people)
    assert (listed.test, listed.rule) == (("p2", "p5"), "the official list")
    assert Split(first=0.7, test=("F001",)).of(people) == sides, "a list of other people does not count"
    with pytest.raises(DatasetError, match="give more people"):
        Split(first=0.7).of(["p1"])


@pytest.mark.parametrize(
    ("share", "n", "train"), [(0.7, 10, 7), (0.7, 31, 21), (0.7, 42, 29), (0.6, 10, 6), (0.8, 33, 26)]
)
def test_shares_are_cut_off_as_in_the_papers(share, n, train):
    assert len(Split(first=share).of(map(str, range(n))).train) == train


def test_other_mistakes(file, tmp_path):
    with pytest.raises(UnknownName, match="did you mean 'factorizephys_cross'"):
        recipes.load("factorizephys_cros")
    with pytest.raises(ConfigError, match="give the path of a TOML file"):
        recipes.load(tmp_path / "none.toml")
    with pytest.raises(ConfigError, match=r"models\.with\.epoch"):
        reproduce(recipes.load(file, ["training.epoch=1"]), Made(tmp_path), tmp_path / "runs")
    with pytest.raises(UnknownName, match="unknown train 'C'"):
        recipes.chosen(recipes.load(file).cells(), ["train=C"])
    with pytest.raises(ConfigError, match=r"model=… or train=…"):
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


def test_what_is_done_can_be_shown_alone(run, file, tmp_path):
    _, source, folder, outcomes = run
    recipe = recipes.load(file, ["matrix.test=['B']", "matrix.train=['A']", "matrix.seed=[100, 7]"])
    shown = reproduce(recipe, source, folder / "runs", device="cpu", run=False)
    assert [o.missing for o in shown] == ["", "not run yet"] * 2
    assert shown[0] == outcomes[0]
    nothing = reproduce(recipes.load("factorizephys_cost"), source, tmp_path / "none", run=False)
    assert not any(o.scores for o in nothing)
    assert not (tmp_path / "none").exists()


def test_ours_beside_the_papers(run):
    recipe, source, _, outcomes = run
    lines = compare(recipe, outcomes, ("mae", "pearson"))
    assert [line.score for line in lines] == ["mae", "pearson", "mae", "mae", "pearson", "mae"]
    first = lines[0]
    assert (first.key, first.score, first.paper) == ("with/A/B", "mae", (0.5, 0.1))
    assert first.difference == pytest.approx(outcomes[0].scores["mae"][0] - 0.5)
    assert math.isnan(lines[2].ours)
    assert lines[3].paper is None
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
    [line] = compare(recipe, [one, other], ["mae"])
    assert line.runs == 2
    assert line.ours == pytest.approx(one.scores["mae"][0] + 1)
    assert line.error == pytest.approx(1.0)


def test_a_training_that_cannot_be_is_a_missing_cell(file, tmp_path):
    recipe = recipes.load(file, ["training.batch=500", "matrix.train=['A']"])
    outcomes = reproduce(recipe, Made(tmp_path), tmp_path / "runs", device="cpu")
    assert [outcome.missing.split(";")[0] for outcome in outcomes] == ["6 clips do not make a batch of 500"] * 2


def test_a_classical_method_is_tested_once_beside_the_networks(file, tmp_path, monkeypatch):
    asked = ["models.pos={method='pos'}", "matrix.model=['pos','with']", "matrix.seed=[1,2]", "matrix.train=['A']"]
    recipe = recipes.load(file, asked)
    assert [(cell.model, cell.seed) for cell in recipe.cells()] == [("pos", 1), ("with", 1), ("with", 2)]
    source = Made(tmp_path)
    for _ in range(2):
        [found] = reproduce(recipe, source, tmp_path / "runs", only=["model=pos"])
        assert (found.scored, found.missing, found.losses) == (3, "", ())
        assert found.scores["mae"][0] < 3
        monkeypatch.setattr("vitalcam.reproduce.evaluate", None)
    assert not (tmp_path / "runs" / "trainings").exists()
    with pytest.raises(UnknownName, match="did you mean 'pos'"):
        reproduce(recipes.load(file, [*asked, "models.pos.method=poss"]), source, tmp_path, only=["model=pos"])


def outcome(model, seed, mae, *, test="B", split=""):
    cell = recipes.Cell(model, "A", test, seed, split)
    return Outcome(cell, {"mae": (mae, 0.3), "rmse": (2 * mae, 0.4)})


def test_every_key_of_the_paper_has_its_line(file):
    wide = ["with/*/*", "with/A/*", "with/A/B", "with/A/B#1", "with/A/B#2"]
    asked = [f"expect.{key}={{mae=[1.0]}}" for key in wide]
    recipe = recipes.load(file, ["matrix.seed=[1,2]", "matrix.test=['B','C']", "matrix.train=['A']", *asked])
    outcomes = [outcome("with", 1, 2.0), outcome("with", 2, 4.0), outcome("with", 1, 6.0, test="C")]
    lines = {line.key: line for line in compare(recipe, outcomes)}
    assert set(lines) == {*wide, "with/A/C"}
    assert {key: (line.ours, line.runs) for key, line in lines.items()} == {
        "with/*/*": (4, 3), "with/A/*": (4, 3), "with/A/B": (3, 2), "with/A/B#1": (2, 1), "with/A/B#2": (4, 1),
        "with/A/C": (6, 1),
    }  # fmt: skip
    assert lines["with/A/B"].error == pytest.approx(1.0), "seeds: their spread"
    assert lines["with/A/*"].error == pytest.approx(0.3 / math.sqrt(3)), "other people: independent errors"
    assert lines["with/A/B#1"].error == 0.3


def test_folds_have_lines_and_a_mean(file):
    fold = "splits.{0}={{A={{fold=[{1},2]}}}}"
    asked = [fold.format("one", 1), fold.format("two", 2), "matrix.split=['one','two']", "matrix.train=['A']"]
    recipe = recipes.load(file, [*asked, "expect.with/A/A/one={mae=[1.0]}", "matrix.test=['A', 'B']"])
    assert recipe.cells()[0].keys == [
        "with", "with/*/*", "with/A/*", "with/A/A", "with/A/A/one", "with/A/A#100", "with/A/A/one#100",
    ]  # fmt: skip
    assert len(recipe.cells()) == 4, "a divided set is tested on itself only"
    outcomes = [outcome("with", 100, mae, test="A", split=name) for name, mae in (("one", 1.0), ("two", 3.0))]
    assert [(line.key, line.ours) for line in compare(recipe, outcomes)] == [("with/A/A", 2.0), ("with/A/A/one", 1.0)]


def test_the_paired_test_is_the_papers():
    """Table 5 of FactorizePhys as printed, EfficientPhys first; it gives p = 0.0014 for RMSE, of unrounded numbers."""
    rmse = {"e": [12.97, 14.09, 14.55, 14.52, 14.52, 14.41, 14.42, 14.52, 14.55, 14.51],
            "f": [7.64, 14.93, 10.22, 1.39, 3.08, 1.56, 9.63, 7.7, 6.61, 13.46]}  # fmt: skip
    outcomes = [outcome(model, seed, value / 2) for model, values in rmse.items() for seed, value in enumerate(values)]
    rows = {row["score"]: row for row in paired(("e", "f"), outcomes)}
    assert rows["rmse"]["p"] == pytest.approx(0.0014, abs=0.0003)
    assert rows["rmse"]["seeds"] == 10
    assert rows["rmse"]["difference"] == pytest.approx(14.306 - 7.622, abs=0.01)
    assert math.isnan(paired(("e", "f"), outcomes[:1] + outcomes[10:11])[0]["p"])


WITHIN = [
    "matrix.train=['A']", "matrix.test=['A']", "matrix.model=['with', 'without']", "matrix.split=['half']",
    "splits.half={A={first=0.67}}", "matrix.seed=[1,2]", "paired={models=['with','without'], p={mae=0.5}}",
    "curve={x='epoch', y='loss'}", "training.epochs=2", "models.with.by_data={A={lr=1e-3}}",
]  # fmt: skip


@pytest.fixture(scope="module")
def within(tmp_path_factory):
    """One set divided, two seeds, two models: what the tables of one set need."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("within")
    (folder / "small.toml").write_text(TEXT)
    recipe, source = recipes.load(folder / "small.toml", WITHIN), Made(folder / "data")
    return recipe, source, folder, reproduce(recipe, source, folder / "runs", device="cpu")


def test_one_set_is_divided_between_people(within):
    recipe, source, _, outcomes = within
    assert {(o.scored, o.expected, o.missing) for o in outcomes} == {(1, 1, "")}
    words = "A, half: 2 people train, 1 others are tested (the first 67% train): A2"
    assert {o.people for o in outcomes} == {words}
    assert words in markdown(recipe, source, outcomes)
    assert recipe.training_of(outcomes[0].cell)["lr"] == 1e-3


def test_what_is_written(within):
    recipe, source, folder, outcomes = within
    paths = write(recipe, source, outcomes, folder, "small")
    assert [path.name for path in paths] == ["small.md", "small.csv", "small.curve.csv", "small.curve.png"]
    text = paths[0].read_text()
    assert "Paired t-test over the seeds, with minus without" in text
    assert "| mae |" in text
    assert "Over the 1 people, mean absolute error" in text
    table = paths[1].read_text().splitlines()
    assert table[0] == "key,score,ours,error,runs,paper,paper_error,difference,missing"
    assert any(row.startswith("with/A/A,mae,") for row in table)
    curve = paths[2].read_text().splitlines()
    assert curve[0] == "of,epoch,loss"
    assert len(curve) == 1 + 4 * 2
    assert all(len(o.losses) == 2 and all(math.isfinite(loss) for loss in o.losses) for o in outcomes)
    assert paths[3].read_bytes()[:4] == b"\x89PNG"


def test_costs_need_no_data(file, tmp_path):
    asked = ["matrix.train=[]", "matrix.test=[]", "cost=true", "curve={x='parameters', y='gmac'}"]
    recipe = recipes.load(file, [*asked, "expect.with={parameters=[37000]}"])
    outcomes = reproduce(recipe, Made(tmp_path / "data"), tmp_path, device="cpu")
    first, second = (outcome.scores for outcome in outcomes)
    assert first["parameters"][0] == 37_480, "as MMRPhys has them with attention"
    assert second["parameters"][0] == 37_152
    assert first["size_mb"][0] == pytest.approx(4 * 37_480 / 1e6, rel=0.01)
    assert first["gmac"][0] > second["gmac"][0] > 0, "it attends when it measures"
    assert first["cpu_ms"][0] > 0
    lines = {(line.key, line.score): line for line in compare(recipe, outcomes)}
    assert lines["with", "parameters"].difference == 480
    assert "| with | parameters | 37,480 | 1 | 37,000 | +480.00 |" in markdown(
        recipe, Made(tmp_path / "data"), outcomes
    )
    assert reproduce(recipe, Made(tmp_path / "data"), tmp_path, device="cpu") == outcomes, "measured once"
    names = [path.name for path in write(recipe, Made(tmp_path / "data"), outcomes, tmp_path, "costs")]
    assert "costs.curve.csv" in names
