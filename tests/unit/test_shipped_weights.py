"""The package's own networks and their cards; the tool that makes them, on a training that is made up."""

from __future__ import annotations

import dataclasses
import json
import shlex
from pathlib import Path

import numpy as np
import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import save_file

from vitalcam import config, runtime
from vitalcam.cli import main
from vitalcam.errors import UsageError
from vitalcam.export import example
from vitalcam.report import card
from vitalcam.signal import quality
from vitalcam.training import Training

ROOT = Path(__file__).parents[2]
WEIGHTS = ROOT / "src" / "vitalcam" / "weights"
OURS = [file.stem for file in sorted(WEIGHTS.glob("*.json"))]


@pytest.fixture(scope="module")
def tool():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tools"))
        import ship_weights

        yield ship_weights


@pytest.fixture(scope="module")
def training():
    return Training("mmrphys", "9_rgb", loss="neg_pearson", epochs=2, batch=8, seed=7)


@pytest.fixture(scope="module")
def run(training, tmp_path_factory):
    """What a training leaves: weights and its notes."""
    folder = tmp_path_factory.mktemp("run")
    write_weights(folder, training)
    rows = [{"step": 10, "steps_per_s": 2.0}, {"step": 20, "steps_per_s": 1.0}, {"step": 25}]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return folder


def write_weights(folder, training):
    about = {
        "training": config.to_dict(training), "data": {"people": "made up"}, "steps": 25, "digest": "0123456789ab",
        "result": {"epoch": 2, "step": 25, "loss": 0.5}, "vitalcam": "0.0.0",
    }  # fmt: skip
    state = {name: tensor.contiguous() for name, tensor in training.network().state_dict().items()}
    save_file(state, folder / "last.safetensors", metadata={"vitalcam": json.dumps(about)})


@pytest.fixture(scope="module")
def shipped(tool, run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("weights")
    said = {"machine": "a desk", "data": "nobody", "limits": ["knows nothing"], "frames": 300}
    return tool.ship(run / "last.safetensors", "ours", said, folder)


def test_it_gives_the_waves_of_the_training(shipped, training):
    model = runtime.Model.load(shipped.with_suffix(".onnx"))
    assert (model.spec.frames, model.spec.licence, model.spec.training_data) == (300, "Apache-2.0", "nobody")
    video = example(model.spec, 60)
    with torch.inference_mode():
        expected = training.network().eval()(torch.from_numpy(video))
    for name, (wave,) in zip(model.spec.outputs, model._waves(video), strict=True):
        np.testing.assert_allclose(wave, expected[name][0], atol=1e-4 * float(expected[name].std()))


def test_a_small_one_is_one_graph_in_half_precision(tool, run, training, shipped, tmp_path):
    said = {"machine": "a desk", "data": "nobody", "half": True, "one_graph": True}
    small = tool.ship(run / "last.safetensors", "ours", said, tmp_path).with_suffix(".onnx")
    assert small.stat().st_size < 0.65 * shipped.with_suffix(".onnx").stat().st_size
    assert not runtime.plain_file(small).exists()
    card_ = runtime.card_of(small)
    assert card_.plain_content() == card_.content()
    video = example(card_.spec, 60)
    with torch.inference_mode():
        expected = training.network().eval()(torch.from_numpy(video))
    (bvp, _) = runtime.Model.load(small)._waves(video)
    np.testing.assert_allclose(bvp[0], expected["bvp"][0], atol=0.05 * float(expected["bvp"].std()))


def test_the_card_says_how_it_was_made(shipped):
    known = json.loads(shipped.read_text())
    assert known["hours"] == pytest.approx((10 / 2 + 10 / 1) / 3600)
    assert known["command"] == (
        "vitalcam train mmrphys variant=9_rgb epochs=2 batch=8 seed=7 --steps 25 --out FOLDER"
    )  # fmt: skip
    text = card.markdown(runtime.card_of(shipped.with_suffix(".onnx")))
    for words in ("seed 7", "on a desk", "digest of recipe and data: 0123456789ab", "- knows nothing", known["sha256"]):
        assert words in text


@pytest.mark.parametrize(
    "changes",
    [{"bf16": True, "lr": 2e-5}, {"options": {"attention": "fsam", "rank": 2, "attention_at_inference": False}}],
)
def test_the_command_trains_the_same_again(tool, training, changes):
    changed = dataclasses.replace(training, **changes)
    _, _, model, *words = shlex.split(tool.command(changed, 25))
    settings = words[: words.index("--steps")]
    assert config.build(Training, config.with_overrides({"model": model}, settings)) == changed


def test_results_replace_those_of_the_same_title(tool, shipped, tmp_path):
    def scores(mae):
        answers = {"answered": 0.5, "right": 0.4, "wrong": 0.1, "at_risk": None, "windows": 9}
        part = {"answers": answers, "subjects": 3, "metrics": {"mae": {"value": mae, "interval": [1.0, 3.0]}}}
        found = {"unit": "beats/min", **part, "by": [{"scenario": "still", **part}]}
        path = tmp_path / "scores.json"
        path.write_text(json.dumps({"quantities": {"heart_rate": found}}))
        return path

    for mae in (5.0, 2.0):
        tool.results(shipped.stem, scores(mae), "Ladder", "vitalcam evaluate FOLDER", shipped.parent)
    page = tool.pages(shipped.parent, tmp_path / "pages")[0].read_text()
    assert page.count("## Ladder: heart_rate (beats/min)") == 1
    assert "| still | 2.00 (1.00 to 3.00) | 50% | 40% | 10% | – | 9 | 3 |" in page
    assert "    vitalcam evaluate FOLDER" in page


@pytest.mark.parametrize("content", ["", "[]", "{}"])
def test_what_is_no_evaluation_leaves_the_card_as_it_was(tool, shipped, tmp_path, content):
    before = shipped.read_bytes()
    path = tmp_path / "scores.json"
    path.write_text(content)
    with pytest.raises(UsageError, match=r"scores\.json: no scores; give the"):
        tool.results(shipped.stem, path, "Ladder", "vitalcam evaluate FOLDER", shipped.parent)
    assert shipped.read_bytes() == before


def test_a_card_takes_weights_of_the_confidence(tool, shipped):
    weights = [0.5] * (1 + len(quality.SIGNS))
    tool.confidence(shipped.stem, weights, shipped.parent)
    assert runtime.card_of(shipped.with_suffix(".onnx")).spec.confidence_weights == tuple(weights)
    with pytest.raises(UsageError, match="2 weights; the confidence has 15"):
        tool.confidence(shipped.stem, [1.0, 2.0], shipped.parent)
    with pytest.raises(UsageError, match=r"nobody\.json: no such card"):
        tool.confidence("nobody", weights, shipped.parent)


def test_what_it_started_from_is_on_the_card_without_where_it_lay(tool, training, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    for folder, start in ((first, ""), (second, str(first / "last.safetensors"))):
        folder.mkdir()
        write_weights(folder, dataclasses.replace(training, start=start))
        (folder / "metrics.jsonl").write_text("")
    path = tool.ship(second / "last.safetensors", "ours", {"machine": "a desk", "data": "nobody"}, tmp_path)
    assert "start first/last.safetensors" in card.markdown(runtime.card_of(path.with_suffix(".onnx")))
    assert str(tmp_path) not in path.read_text()


def test_a_network_of_changes_is_refused(tool, tmp_path):
    write_weights(tmp_path, Training("mmrphys", "9_rgb", target="change"))
    with pytest.raises(UsageError, match="train with target=wave"):
        tool.ship(tmp_path / "last.safetensors", "ours", {"machine": "", "data": ""}, tmp_path)


def test_pages_are_what_the_command_prints(monkeypatch, tmp_path):
    monkeypatch.setenv("VITALCAM_HOME", str(tmp_path))
    assert sorted(file.stem for file in (ROOT / "docs" / "models").glob("*.md")) == OURS
    for name in OURS:
        printed = CliRunner().invoke(main, ["models", name]).stdout
        assert (ROOT / "docs" / "models" / f"{name}.md").read_text(encoding="utf-8") == printed


def test_the_networks_of_the_package_are_whole_and_small(monkeypatch, tmp_path):
    monkeypatch.setenv("VITALCAM_HOME", str(tmp_path))
    assert sum(file.stat().st_size for name in OURS for file in WEIGHTS.glob(f"{name}.*onnx")) <= 3 << 20
    for name in OURS:
        model = runtime.Model.load(name)
        assert model.spec.licence == "Apache-2.0"
        waves = model._waves(example(model.spec, 25 * model.spec.frames_multiple))
        assert all(np.isfinite(wave).all() and wave.std() > 0 for wave in waves)
