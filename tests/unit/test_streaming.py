"""Pieces of a clip with carried statistics give what the whole window gives, for less work."""

import json

import numpy as np
import onnxruntime
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitalcam import streaming
from vitalcam.errors import OutputError, UsageError
from vitalcam.export import example
from vitalcam.models import factorizephys, mmrphys, physnet
from vitalcam.runtime import Model
from vitalcam.types import Clip

CASES = {
    "factorizephys": (factorizephys, "rgb", 48, 8),
    "factorizephys_128": (factorizephys, "rgb_128", 36, 8),
    "mmrphys_9": (mmrphys, "9_rgb", 96, 16),
    "mmrphys_36": (mmrphys, "36_rgb", 72, 12),
    "mmrphys_72_bvp": (mmrphys, "72_rgb_bvp", 48, 11),
    "mmrphys_late": (mmrphys, "9_rgbt_late", 96, 20),
}


def built(module, variant):
    torch.manual_seed(0)
    return module.build(variant).eval().requires_grad_(False)


def noisy_face(spec, frames, seed=0):
    """A still picture with a pulse in it, flicker of the sensor, slow light: (1, C, T, H, W), 0 to 255."""
    rng = np.random.default_rng(seed)
    channels, side = sum(spec.channels.values()), spec.size_px
    t = np.arange(frames) / 30
    picture = rng.uniform(60, 180, (1, channels, 1, side, side))
    depth = rng.uniform(0.002, 0.01, (1, channels, 1, side, side))
    pulse = (np.sin(2 * np.pi * 1.2 * t) + 0.3 * np.sin(2 * np.pi * 2.4 * t))[None, None, :, None, None]
    light = 1 + 0.02 * np.sin(2 * np.pi * 0.25 * t)[None, None, :, None, None]
    noise = rng.normal(0, 1, (1, channels, frames, side, side))
    return torch.from_numpy((picture * light * (1 + depth * pulse) + noise).astype(np.float32))


def correlation(a, b):
    return float(np.corrcoef(a.numpy().ravel(), b.numpy().ravel())[0, 1])


def worst(found, expected):
    return float((found - expected).abs().max() / expected.std())


@pytest.mark.parametrize("case", CASES)
def test_a_window_is_the_network(case):
    module, variant, frames, _ = CASES[case]
    network = built(module, variant)
    video = torch.from_numpy(example(module.VARIANTS[variant], frames))
    found, expected = streaming.Window(network)(video), network(video)
    assert set(found) == {*expected, "statistics"}
    for name, wave in expected.items():
        assert worst(found[name], wave) < 1e-4


@pytest.mark.parametrize("case", CASES)
def test_pieces_with_the_statistics_of_the_window_are_the_window(case):
    module, variant, frames, hop = CASES[case]
    network = built(module, variant)
    video = noisy_face(module.VARIANTS[variant], frames)
    chunk = streaming.Chunk(network)
    left, right = chunk.halo_frames
    assert frames - left - right > hop
    found = streaming.stitched(chunk, video, streaming.Window(network)(video)["statistics"], hop=hop)
    for name, wave in network(video).items():
        assert worst(found[name], wave[:, left:-right]) < 1e-4


def test_the_halo_of_two_branches_is_a_multiple_of_their_step():
    assert streaming.Chunk(built(mmrphys, "9_rgb")).halo_frames == (24, 24)


@pytest.mark.parametrize(("module", "variant"), [(factorizephys, "rgb"), (mmrphys, "9_rgb_bvp")])
def test_the_halo_is_no_larger_than_needed(module, variant):
    """What stands in its outermost frames still matters."""
    chunk = streaming.Chunk(built(module, variant))
    frames = sum(chunk.halo_frames) + 1
    video = noisy_face(module.VARIANTS[variant], frames)
    statistics = streaming.Window(chunk.network)(video)["statistics"]
    (before,) = chunk(video, statistics)["bvp"]
    for end in (0, -1):
        changed = video.clone()
        changed[:, :, end] = changed[:, :, end].flip(-1)
        assert abs(float(chunk(changed, statistics)["bvp"] - before)) > 1e-4


@pytest.mark.parametrize("case", ["factorizephys", "mmrphys_9", "mmrphys_36"])
def test_the_statistics_of_the_window_before_will_do(case):
    module, variant, frames, hop = CASES[case]
    network = built(module, variant)
    video = noisy_face(module.VARIANTS[variant], 2 * frames)
    before, now = video[:, :, :frames], video[:, :, frames:]
    chunk = streaming.Chunk(network)
    left, right = chunk.halo_frames
    found = streaming.stitched(chunk, now, streaming.Window(network)(before)["statistics"], hop=hop)
    for name, wave in network(now).items():
        assert correlation(found[name], wave[:, left:-right]) >= 0.99


@pytest.mark.parametrize(
    ("module", "variant", "hop", "ratio"),
    [
        (factorizephys, "rgb", 30, 0.40),
        (mmrphys, "9_rgb", 32, 0.45),
        (mmrphys, "36_rgb", 32, 0.45),
    ],
)
def test_a_second_costs_a_fraction_of_a_window(module, variant, hop, ratio):
    """Multiply-adds as they are run, not as they are believed."""
    network, spec = built(module, variant), module.VARIANTS[variant]
    chunk, window = streaming.Chunk(network), streaming.Window(network)
    video = noisy_face(spec, spec.frames)
    statistics = window(video)["statistics"]
    with FlopCounterMode(display=False) as whole:
        network(video)
    with FlopCounterMode(display=False) as piece:
        chunk(video[:, :, : hop + sum(chunk.halo_frames)], statistics)
    assert piece.get_total_flops() < ratio * whole.get_total_flops()


@pytest.mark.parametrize("case", ["factorizephys", "mmrphys_9"])
def test_both_forms_in_onnx(case, tmp_path):
    module, variant, frames, hop = CASES[case]
    network, spec = built(module, variant), module.VARIANTS[variant]
    card = streaming.export_streaming(network, spec, tmp_path / "mine.onnx", variant=variant)
    assert {file.name for file in tmp_path.iterdir()} == {"mine.onnx", "mine_chunk.onnx", "mine.json"}
    about = json.loads((tmp_path / "mine.json").read_text())["streaming"]
    left, right = about["halo_frames"]
    video = noisy_face(spec, frames).numpy()
    window = onnxruntime.InferenceSession(tmp_path / card.file)
    piece = onnxruntime.InferenceSession(tmp_path / about["file"])
    *waves, statistics = window.run([*card.outputs, "statistics"], {"video": video})
    starts = range(0, frames - left - right, hop)
    inputs = [{"video": video[:, :, at : at + left + hop + right], "statistics": statistics} for at in starts]
    pieces = [piece.run(list(card.outputs), each) for each in inputs]
    for i, wave in enumerate(waves):
        found, expected = np.concatenate([p[i] for p in pieces], axis=1), wave[:, left:-right]
        assert np.abs(found - expected).max() < 1e-3 * expected.std()
    model = Model.load(tmp_path / "mine.onnx", threads=1)
    time_s = np.arange(frames) / spec.fs_hz
    clip = Clip(video[0].transpose(1, 2, 3, 0), time_s, spec.fs_hz, np.ones(frames, bool))
    np.testing.assert_allclose(model.run(clip)[card.outputs[0]], waves[0][0], rtol=1e-4, atol=1e-5)


def test_nothing_is_written_when_the_runtimes_disagree(tmp_path, monkeypatch):
    monkeypatch.setattr(streaming, "TOLERANCE", 1e-12)
    with pytest.raises(OutputError, match=r"on a chunk of \d+ frames .* nothing was written"):
        streaming.export_streaming(built(mmrphys, "9_rgb_bvp"), mmrphys.VARIANTS["9_rgb_bvp"], tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())


def test_what_sees_the_whole_window_is_refused():
    with pytest.raises(UsageError, match="PhysNet has no streaming form"):
        streaming.Window(physnet.build())
    with pytest.raises(UsageError, match="attention_at_inference sees the whole window"):
        streaming.Chunk(mmrphys.build("9_rgb", attention_at_inference=True))


@pytest.mark.parametrize("frames", [48, 53])
def test_a_chunk_that_does_not_fit_is_refused(frames):
    network = built(mmrphys, "9_rgb")
    video = noisy_face(mmrphys.VARIANTS["9_rgb"], 56)
    statistics = streaming.Window(network)(video)["statistics"]
    with pytest.raises(UsageError, match=f"multiple of 4 frames, more than the 48 of its halo; got {frames}"):
        streaming.Chunk(network)(video[:, :, :frames], statistics)
