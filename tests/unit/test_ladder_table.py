"""The ladder's table: what it says is what the rows say."""

import csv
import importlib.util
import math
from importlib.resources import files
from pathlib import Path

import pytest

from vitalcam.evaluate import Evaluation
from vitalcam.scores import Row
from vitalcam.settings import Settings

PATH = Path(__file__).parents[2] / "tools" / "ladder_table.py"


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("ladder_table", PATH)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def evaluation(tool, error):
    rows = []
    for i, (scenario, null) in enumerate([("walk", False), ("still", False), ("still", True), ("still", False)]):
        for k in range(4):
            truth = math.nan if null else 70.0
            refused = null or k == 3
            rows.append(
                Row("synth", str(i), f"r{i}", "heart_rate", float(k), 10.0 + k, truth,
                    math.nan if refused else 70.0 + (error if scenario == "walk" else 1.0), confidence=0.1 * (9 - k),
                    attributes={"scenario": scenario}, wave_rate=70.0 + error, null=null)
            )  # fmt: skip
    return Evaluation("", tool.PROTOCOL, tuple(rows), 4, 4, {})


def test_scenarios_in_order_and_methods_beside_each_other(tool):
    found = tool.lines({"pos": evaluation(tool, 2.0), "chrom": evaluation(tool, 20.0)})
    assert [(row["scenario"], row["method"]) for row in found] == [
        ("still", "pos"), ("still", "chrom"), ("walk", "pos"), ("walk", "chrom"), ("all", "pos"), ("all", "chrom"),
    ]  # fmt: skip
    still, _, walk, lost, *_ = found
    assert (still["windows"], still["answered"], still["null_windows"], still["silent"]) == (8, 0.75, 4, 1)
    assert (walk["right"], walk["wrong"], walk["wave_mae"]) == (0.75, 0, 2)
    assert (lost["right"], lost["wrong"], lost["mae"], lost["more_right"]) == (0, 0.75, 20, -0.75)


def test_a_network_that_is_asked_for_by_its_path_has_its_name(tool):
    file = files("vitalcam.weights") / "mmrphys_9.onnx"
    assert tool.name_of(Settings(model=str(file))) == "mmrphys_9"
    assert tool.name_of(Settings(method="pos")) == "pos"


def test_it_is_written_as_tables_and_numbers(tool):
    found = tool.lines({"pos": evaluation(tool, 2.0), "chrom": evaluation(tool, 20.0)})
    text = tool.markdown(found, "ladder-1, two methods")
    assert text.startswith("# ladder-1, two methods")
    assert "| walk | 1 | 4 | 75 | 0 |" in text
    assert "| walk | -75 |" in text, "one person has no interval"
    lines = list(csv.DictReader(tool.table(found).splitlines()))
    assert lines[3]["mae"] == "20.0"
    assert lines[3]["more_right_low"] == ""
