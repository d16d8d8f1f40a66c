"""Export writes a file that both runtimes agree on, with its card, or nothing."""

import dataclasses
import hashlib
import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from vitalcam import export
from vitalcam.errors import OutputError, UsageError, WeightsError
from vitalcam.runtime import card_of
from vitalcam.types import ModelSpec

SPEC = ModelSpec(
    name="tiny", outputs=("bvp", "resp"), paper="none", size_px=4, frames_multiple=2, transform="standardized"
)


class Tiny(nn.Module):
    """Brightness as the pulse; its mean over pairs of frames as breathing."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv3d(3, 32, 3, padding=1)
        self.drop = nn.Dropout(0.5)

    def forward(self, x, *, target=None):
        y = self.drop(self.conv(x)).mean(dim=(1, 3, 4))
        pairs = y.reshape(x.shape[0], -1, 2).mean(dim=2, keepdim=True)
        return {"resp": pairs.expand(-1, -1, 2).flatten(1), "bvp": y}


@pytest.fixture(scope="module")
def tiny():
    torch.manual_seed(0)
    return Tiny()


@pytest.fixture(scope="module")
def written(tiny, tmp_path_factory):
    path = tmp_path_factory.mktemp("models") / "mine.onnx"
    return path, export.export(tiny, SPEC, path, variant="v", options={"width": 3})


def test_the_file_is_opset_17_and_takes_any_length(tiny, written):
    path, _ = written
    proto = onnx.load(path)
    assert [(o.domain, o.version) for o in proto.opset_import if o.domain == ""] == [("", 17)]
    session = onnxruntime.InferenceSession(path)
    video = np.random.default_rng(0).standard_normal((1, 3, 200, 4, 4), dtype=np.float32)
    with torch.inference_mode():
        expected = tiny.eval()(torch.from_numpy(video))
    found = dict(zip(SPEC.outputs, session.run(list(SPEC.outputs), {"video": video}), strict=True))
    for name, wave in found.items():
        np.testing.assert_allclose(wave, expected[name], atol=1e-6)


def test_the_file_says_nothing_of_where_it_was_made(written):
    content = written[0].read_bytes()
    assert b"site-packages" not in content
    assert b".py" not in content


def test_the_card_is_beside_it(written):
    path, card = written
    stored = json.loads(path.with_suffix(".json").read_text())
    assert card == dataclasses.replace(
        SPEC, name="mine", file="mine.onnx", sha256=hashlib.sha256(path.read_bytes()).hexdigest()
    )
    assert stored["sha256"] == card.sha256
    assert {k: stored[k] for k in ("model", "variant", "options", "attention")} == {
        "model": "tiny", "variant": "v", "options": {"width": 3}, "attention": False,
    }  # fmt: skip
    assert {file.name for file in path.parent.iterdir()} == {"mine.onnx", "mine.json"}


def test_the_model_itself_is_left_as_it_was(written, tiny):
    assert all(p.requires_grad for p in tiny.parameters())


def test_a_network_fresh_from_training_can_be_prepared(tiny):
    """Such a one may hold on to a tensor of its last step, which cannot be copied."""
    tiny.train().error = tiny(torch.randn(1, 3, 4, 4, 4))["bvp"].mean()
    copy = export.prepared(tiny)
    assert not copy.training
    torch.testing.assert_close(copy.state_dict(), tiny.state_dict())
    del tiny.error


def test_weights_in_half_precision_are_stored_as_such(tiny, written, tmp_path):
    path = tmp_path / "half.onnx"
    export.export(tiny, SPEC, path, fp16_weights=True)
    kinds = {t.data_type for t in onnx.load(path).graph.initializer if np.prod(t.dims) >= 64}
    assert kinds == {onnx.TensorProto.FLOAT16}
    assert path.stat().st_size < 0.65 * written[0].stat().st_size


def test_norms_behind_convolutions_are_rounded_with_them(tmp_path):
    """As the exporter would fold them, which made full precision of halves."""

    class Normed(nn.Module):
        def __init__(self):
            super().__init__()
            conv, spread = nn.Conv3d(3, 8, 3, padding=1), nn.ConvTranspose3d(8, 8, (1, 1, 3), padding=(0, 0, 1))
            self.body = nn.Sequential(conv, nn.BatchNorm3d(8), nn.ReLU(), spread, nn.BatchNorm3d(8))

        def forward(self, x):
            return {"bvp": self.body(x).mean(dim=(1, 3, 4))}

    torch.manual_seed(0)
    network, spec = Normed(), dataclasses.replace(SPEC, outputs=("bvp",))
    for _ in range(3):
        network(2 + 3 * torch.randn(2, 3, 8, 4, 4))
    export.export(network, spec, tmp_path / "half.onnx", fp16_weights=True)
    kinds = {t.data_type for t in onnx.load(tmp_path / "half.onnx").graph.initializer if np.prod(t.dims) >= 64}
    assert kinds == {onnx.TensorProto.FLOAT16}
    video = torch.tensor(export.example(spec, 48))
    rounded, exact = export.prepared(network, fp16_weights=True)(video)["bvp"], network.eval()(video)["bvp"]
    torch.testing.assert_close(rounded, exact, rtol=0, atol=0.01 * exact.detach().std().item())


def test_nothing_is_written_when_the_runtimes_disagree(tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", 1e-12)
    with pytest.raises(
        OutputError, match=r"at 48 frames ONNX Runtime and torch differ in bvp by .* nothing was written"
    ):
        export.export(tiny, SPEC, tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())


def test_a_graph_whose_length_was_frozen_is_refused(tiny, tmp_path, monkeypatch):
    """Here the graph is made without a free time axis."""
    real = torch.onnx.export
    monkeypatch.setattr(torch.onnx, "export", lambda *a, **k: real(*a, **(k | {"dynamic_shapes": None})))
    with pytest.raises(OutputError, match=r"ONNX Runtime cannot take 80 frames .* nothing was written"):
        export.export(tiny, SPEC, tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_is_named(tiny, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"file/x\.onnx: cannot be written: "):
        export.export(tiny, SPEC, tmp_path / "file" / "x.onnx")


class Wide(nn.Module):
    """With a convolution that is rewritten for ONNX Runtime."""

    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv3d(3, 8, 3, padding=1), nn.Tanh(), nn.Conv3d(8, 16, 3, padding=1), nn.Tanh())

    def forward(self, x):
        y = self.convs(x).mean(dim=(1, 3, 4))
        return {"resp": y, "bvp": -y}


def test_a_rewritten_graph_has_the_plain_one_beside_it_for_other_runtimes(tmp_path):
    card = export.export(Wide(), SPEC, tmp_path / "wide.onnx")
    known = card_of(tmp_path / "wide.onnx")
    assert hashlib.sha256(known.content()).hexdigest() == card.sha256
    counts = {
        kind: [node.op_type for node in onnx.load_from_string(content).graph.node].count("Conv")
        for kind, content in (("rewritten", known.content()), ("plain", known.plain_content()))
    }
    assert counts == {"rewritten": 4, "plain": 2}
    (tmp_path / "wide.plain.onnx").write_bytes(b"damaged")
    with pytest.raises(WeightsError, match=r"wide\.plain\.onnx: differs from the checksum"):
        known.plain_content()
    (tmp_path / "wide.plain.onnx").unlink()
    assert known.plain_content() == known.content()


def test_attention_is_refused_where_there_is_none(tiny, tmp_path):
    with pytest.raises(UsageError, match="no factorized attention"):
        export.export(tiny, SPEC, tmp_path / "x.onnx", attention=True)
