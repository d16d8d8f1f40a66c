"""Models are found, checked and run; what does not fit is refused in words."""

import dataclasses
import json
import sys

import numpy as np
import pytest
import torch

from vitalcam import runtime
from vitalcam.clips import transform
from vitalcam.errors import MissingExtra, UnknownName, UsageError, WeightsError
from vitalcam.export import export
from vitalcam.models import mmrphys
from vitalcam.types import Clip

VARIANT = "9_rgb"


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return mmrphys.build(VARIANT, attention="fsam")


@pytest.fixture(scope="module")
def home(network, tmp_path_factory):
    """A user's folder with one model."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "models").mkdir()
    export(
        network, mmrphys.VARIANTS[VARIANT], folder / "models" / "mine.onnx",
        variant=VARIANT, options={"attention": "fsam"}, torch_weights=True,
    )  # fmt: skip
    return folder


@pytest.fixture
def user(home, monkeypatch):
    monkeypatch.setenv("VITALCAM_HOME", str(home))
    return home / "models"


def clip(frames=40, side=9, channels=3, kind="raw"):
    pixels = np.random.default_rng(frames).uniform(0, 255, (frames, side, side, channels)).astype(np.float32)
    return Clip(pixels, np.arange(frames) / 25, 25.0, np.ones(frames, bool), transform=kind)


def test_the_users_models_are_listed(user):
    specs = {spec.name: spec for spec in runtime.available()}
    assert specs["mine"].outputs == ("bvp", "resp")
    assert specs["mine"].channels == {"rgb": 3}


@pytest.mark.parametrize("backend", ["onnx", "torch"])
def test_waves_are_the_networks(user, network, backend):
    model, video = runtime.Model.load("mine", backend=backend, threads=1), clip()
    x = torch.from_numpy(transform(video.frames, "raw")).permute(3, 0, 1, 2)[None]
    with torch.inference_mode():
        expected = network.eval()(x)
    for name, wave in model.run(video).items():
        assert wave.shape == (40,)
        np.testing.assert_allclose(wave, expected[name][0], atol=1e-4 * float(expected[name].std()))


def test_a_path_works_as_a_name(user):
    assert runtime.Model.load(user / "mine.onnx").spec == runtime.Model.load("mine").spec


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (clip(frames=42), "mine: a clip must have a multiple of 4 frames .* got 42; cut or pad it"),
        (clip(channels=1), r"mine: wants 3 channels \(3 rgb\), got 1"),
        (clip(side=36), "mine: wants frames of 9 x 9 px, got 36 x 36"),
        (clip(kind="diff"), "mine: wants untransformed clips, got one that is 'diff'"),
    ],
)
def test_clips_that_do_not_fit_are_refused(user, wrong, words):
    with pytest.raises(UsageError, match=words):
        runtime.Model.load("mine").run(wrong)


def test_an_unknown_name_lists_those_there_are(user):
    with pytest.raises(UnknownName, match="unknown model 'mina'; did you mean 'mine'"):
        runtime.Model.load("mina")


def copied(user, tmp_path, change=lambda card: card):
    for file in user.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    card = tmp_path / "mine.json"
    card.write_text(json.dumps(change(json.loads(card.read_text()))))
    return tmp_path / "mine.onnx"


def test_a_changed_file_is_noticed(user, tmp_path):
    file = copied(user, tmp_path)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(WeightsError, match=r"mine\.onnx: differs from the checksum on its card"):
        runtime.Model.load(file)


def test_torch_needs_to_know_which_network(user, tmp_path):
    file = copied(user, tmp_path, lambda card: {k: v for k, v in card.items() if k != "model"})
    with pytest.raises(WeightsError, match="its card does not say which network it is"):
        runtime.Model.load(file, backend="torch")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda card: {k: v for k, v in card.items() if k != "sha256"}, "a card lacks 'sha256'"),
        (lambda card: card | {"file": "gone.onnx"}, r"gone\.onnx: cannot be read \(No such file or directory\)"),
        (
            lambda card: card | {"confidence_weights": [1.0, 2.0]},
            r"mine\.onnx: the 'confidence_weights' of its card are not 15",
        ),
        (lambda card: card | {"confidence_weights": ["a"] * 15}, "are not 15 numbers"),
    ],
)
def test_damaged_cards_are_refused(user, tmp_path, change, words):
    with pytest.raises(WeightsError, match=words):
        runtime.Model.load(copied(user, tmp_path, change))


def test_torch_without_its_weights_says_so(user, tmp_path):
    file = copied(user, tmp_path)
    (tmp_path / "mine.safetensors").unlink()
    with pytest.raises(UsageError, match="export the model with its torch weights, or let ONNX run it"):
        runtime.Model.load(file, backend="torch")


def test_a_path_that_names_no_model_says_why(tmp_path):
    with pytest.raises(UsageError, match=r"nosuch\.onnx: no such file; check the path"):
        runtime.check(tmp_path / "nosuch.onnx")
    (tmp_path / "clip.mp4").write_text("a film")
    with pytest.raises(UsageError, match=r"clip\.mp4: is not a model; give a name, or an \.onnx file"):
        runtime.check(tmp_path / "clip.mp4")


def test_what_cannot_be_loaded_is_known_without_loading_it(user, tmp_path, monkeypatch):
    runtime.check("mine")
    runtime.check("mine", "torch")
    file = copied(user, tmp_path)
    (tmp_path / "mine.safetensors").unlink()
    with pytest.raises(UsageError, match="export the model with its torch weights"):
        runtime.check(file, "torch")
    file.write_bytes(b"damaged")
    with pytest.raises(WeightsError, match="differs from the checksum"):
        runtime.check(file)
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(MissingExtra, match="models by OpenVINO"):
        runtime.check("mine", "openvino")


def test_a_card_survives_its_file(user):
    stored = json.loads((user / "mine.json").read_text())
    spec = runtime.Card.of(stored, user).spec
    assert spec == dataclasses.replace(
        mmrphys.VARIANTS[VARIANT], name="mine", file="mine.onnx", sha256=stored["sha256"]
    )
