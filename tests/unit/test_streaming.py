"""A window that slides gives what the whole window gives, for less work, or else runs all of it."""

import json

import numpy as np
import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from vitalcam import export, streaming
from vitalcam.errors import OutputError, UsageError, WeightsError
from vitalcam.export import example
from vitalcam.models import factorizephys, mmrphys, physnet
from vitalcam.runtime import Model
from vitalcam.sliding import Sliding, drift
from vitalcam.types import Clip

CASES = {
    "factorizephys": (factorizephys, "rgb", 48, 8),
    "factorizephys_128": (factorizephys, "rgb_128", 36, 8),
    "mmrphys_9": (mmrphys, "9_rgb", 96, 16),
    "mmrphys_36": (mmrphys, "36_rgb", 72, 12),
    "mmrphys_72_bvp": (mmrphys, "72_rgb_bvp", 48, 11),
    "mmrphys_late": (mmrphys, "9_rgbt_late", 96, 20),
    "mmrphys_long": (mmrphys, "9_rgb", 240, 16, {"long": True}),
}


def built(module, variant, options=None):
    torch.manual_seed(0)
    return module.build(variant, **options or {}).eval().requires_grad_(False)


def noisy_face(spec, frames, seed=0, light=0.02):
    """A still picture with a pulse in it, flicker of the sensor, slow light: (1, C, T, H, W), 0 to 255."""
    rng = np.random.default_rng(seed)
    channels, side = sum(spec.channels.values()), spec.size_px
    t = np.arange(frames) / 30
    picture = rng.uniform(60, 180, (1, channels, 1, side, side))
    depth = rng.uniform(0.002, 0.01, (1, channels, 1, side, side))
    pulse = (np.sin(2 * np.pi * 1.2 * t) + 0.3 * np.sin(2 * np.pi * 2.4 * t))[None, None, :, None, None]
    gain = 1 + light * np.sin(2 * np.pi * 0.25 * t)[None, None, :, None, None]
    noise = rng.normal(0, 1, (1, channels, frames, side, side))
    return (picture * gain * (1 + depth * pulse) + noise).astype(np.float32)


def correlation(a, b):
    return float(np.corrcoef(a, b)[0, 1])


def slid(slide, video, hop):
    """Waves of the last window, after it was filled at once and then pushed on."""
    found = slide.push(video[:, :, : slide.frames])
    for start in range(slide.frames, video.shape[2], hop):
        found = slide.push(video[:, :, start : start + hop])
    return found


@pytest.mark.parametrize("case", CASES)
def test_a_window_is_the_network(case):
    module, variant, frames, _, *options = CASES[case]
    network, spec = built(module, variant, *options), module.VARIANTS[variant]
    video = example(spec, frames)
    found = streaming.sliding(network, spec, frames=frames).push(video)
    expected = network(torch.from_numpy(video))
    assert set(found) == set(expected)
    for name, wave in expected.items():
        assert np.abs(found[name] - wave[0].numpy()).max() < 1e-4 * wave.std()


@pytest.mark.parametrize("case", CASES)
def test_a_piece_gives_what_the_window_gave_there(case):
    """With the statistics of the very window: halo, places in time and the window's end are right, frame by frame."""
    module, variant, frames, hop, *options = CASES[case]
    network, spec = built(module, variant, *options), module.VARIANTS[variant]
    window, front = streaming.Window(network, spec), streaming.Front(network, spec)
    video = noisy_face(spec, frames)
    whole = window.numpy({"video": video})
    known = streaming.statistics(whole, spec.outputs)
    found = front.numpy({"video": video[:, :, -hop - front.halo_frames :], "statistics": known})
    assert hop + front.halo_frames < frames
    for name, value in found.items():
        expected = whole[name][:, :, -value.shape[2] :]
        assert value.shape[2] * spec.frames_multiple >= hop
        assert np.abs(value - expected).max() < 1e-4 * max(expected.std(), 1)


@pytest.mark.parametrize("case", ["factorizephys", "mmrphys_9"])
def test_what_is_kept_is_not_changed_by_what_comes(case):
    """Only the last `trail` frames of a window are other when it goes on."""
    module, variant, frames, hop = CASES[case]
    network, spec = built(module, variant), module.VARIANTS[variant]
    window = streaming.Window(network, spec)
    video = noisy_face(spec, frames + hop)
    known = torch.from_numpy(streaming.statistics(window.numpy({"video": video}), spec.outputs))
    start = 0
    for cut in window.cuts.values():
        given = known[:, start : (start := start + sum(cut.layers))]
        x, longer = (window.differences(torch.from_numpy(video[:, :, :n])) for n in (frames, frames + hop))
        for part, step in zip(
            zip(cut.front(x, given), cut.front(longer, given), strict=True), (cut.step, 1), strict=True
        ):
            n = (frames - cut.trail) // step
            torch.testing.assert_close(part[0][:, :, :n], part[1][:, :, :n])
            assert not torch.allclose(part[0][:, :, n:], part[1][:, :, n : part[0].shape[2]])


@pytest.mark.parametrize(("module", "variant"), [(factorizephys, "rgb"), (mmrphys, "9_rgb_bvp")])
def test_the_halo_is_no_larger_than_needed(module, variant):
    """What stands in its first frame still matters."""
    network, spec = built(module, variant), module.VARIANTS[variant]
    front = streaming.Front(network, spec)
    video = noisy_face(spec, front.halo_frames + 2)
    known = streaming.statistics(streaming.Window(network, spec).numpy({"video": video}), spec.outputs)
    features = []
    for first in (video[:, :, :1], video[:, :, :1, :, ::-1]):
        changed = np.concatenate([first, video[:, :, 1:]], axis=2)
        features.append(front.numpy({"video": changed, "statistics": known})["bvp_features"][:, :, 0])
    assert np.abs(features[0] - features[1]).max() > 1e-4


@pytest.mark.parametrize("case", ["factorizephys", "mmrphys_9", "mmrphys_36"])
def test_a_sliding_window_is_like_the_whole_one(case):
    module, variant, frames, hop = CASES[case]
    network, spec = built(module, variant), module.VARIANTS[variant]
    video = noisy_face(spec, frames + 2 * hop)
    slide = streaming.sliding(network, spec, frames=frames, limit=np.inf)
    found = slid(slide, video, hop)
    assert (slide.windows, slide.pieces) == (1, 2)
    for name, wave in network(torch.from_numpy(video[:, :, -frames:])).items():
        assert correlation(found[name][24:], wave[0, 24:].numpy()) >= 0.995


def test_light_that_changes_has_the_whole_window_run():
    """The drift sees it, and the waves are the window's again."""
    network, spec = built(mmrphys, "9_rgb_bvp"), mmrphys.VARIANTS["9_rgb_bvp"]
    video = noisy_face(spec, 96)
    video[:, :, 80:] *= 0.6
    slide = streaming.sliding(network, spec, frames=80)
    found = slid(slide, video, 16)
    assert slide.windows == 2
    expected = network(torch.from_numpy(video[:, :, -80:]))["bvp"][0].numpy()
    assert np.abs(found["bvp"] - expected).max() < 1e-4 * expected.std()


def test_drift_is_what_it_says():
    """One layer of two channels and one of one: mean by a deviation, deviation by a factor."""
    plan = streaming.Plan(("bvp",), 1, 4, {"bvp": (2, 1)})
    then = np.array([[0.0, 0.0, 1.0], [2.0, 1.0, 1.0]])
    assert drift(then, then, plan) == 0
    assert drift(then + np.array([[0.5, 0, 0], [0, 0, 0]]), then, plan) == pytest.approx(np.sqrt(1 / 2))
    assert drift(then * [[1, 1, 1], [1, 1, np.e]], then, plan) == pytest.approx(1)


@pytest.mark.parametrize(
    ("module", "variant", "hop", "ratio"),
    [(factorizephys, "rgb", 30, 0.35), (mmrphys, "9_rgb", 24, 0.35), (mmrphys, "36_rgb", 24, 0.35)],
)
def test_a_second_costs_a_fraction_of_a_window(module, variant, hop, ratio):
    """Multiply-adds as they are run, not as they are believed."""
    network, spec = built(module, variant), module.VARIANTS[variant]
    slide = streaming.sliding(network, spec, limit=np.inf)
    video = noisy_face(spec, spec.frames + hop)
    taken = []
    for part in (video[:, :, : spec.frames], video[:, :, spec.frames :]):
        with FlopCounterMode(display=False) as counter:
            slide.push(part)
        taken.append(counter.get_total_flops())
    assert slide.pieces == 1
    assert taken[1] < ratio * taken[0]


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """Folder with all parts of a network of two branches."""
    folder = tmp_path_factory.mktemp("exported")
    network, spec = built(mmrphys, "9_rgb"), mmrphys.VARIANTS["9_rgb"]
    streaming.export_streaming(network, spec, folder / "mine.onnx", variant="9_rgb")
    return folder


def test_all_parts_in_onnx(exported):
    module, variant, frames, hop = CASES["mmrphys_9"]
    network, spec = built(module, variant), module.VARIANTS[variant]
    names = {"mine.onnx", "mine_front.onnx", "mine_back.onnx", "mine.json"}
    assert {file.name for file in exported.iterdir()} == names
    video = noisy_face(spec, frames + 2 * hop)
    slides = [Sliding.load(exported / "mine.onnx", frames=frames), streaming.sliding(network, spec, frames=frames)]
    for slide in slides:
        slide.limit = np.inf
    found, expected = (slid(slide, video, hop) for slide in slides)
    assert slides[0].plan == slides[1].plan
    assert slides[0].pieces == 2
    for name in spec.outputs:
        assert np.abs(found[name] - expected[name]).max() < 1e-3 * expected[name].std()


def test_the_whole_network_is_a_model_like_any_other(exported):
    module, variant, frames, _ = CASES["mmrphys_9"]
    network, spec = built(module, variant), module.VARIANTS[variant]
    video = noisy_face(spec, frames)
    clip = Clip(video[0].transpose(1, 2, 3, 0), np.arange(frames) / spec.fs_hz, spec.fs_hz, np.ones(frames, bool))
    found = Model.load(exported / "mine.onnx", threads=1).run(clip)
    for name, wave in network(torch.from_numpy(video)).items():
        np.testing.assert_allclose(found[name], wave[0], rtol=1e-4, atol=1e-4)


def test_files_that_are_not_what_the_card_says_are_refused(exported, tmp_path):
    for file in exported.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "mine_back.onnx").write_bytes(b"")
    with pytest.raises(WeightsError, match=r"mine_back\.onnx: differs from the checksum"):
        Sliding.load(tmp_path / "mine.onnx")
    (tmp_path / "mine.json").write_text(json.dumps({"name": "mine"}))
    with pytest.raises(WeightsError, match="says nothing of streaming"):
        Sliding.load(tmp_path / "mine.onnx")


def test_nothing_is_written_when_the_runtimes_disagree(tmp_path, monkeypatch):
    monkeypatch.setattr(export, "TOLERANCE", 1e-12)
    with pytest.raises(OutputError, match=r"at \d+ frames .* differ in .* nothing was written"):
        streaming.export_streaming(mmrphys.build("9_rgb"), mmrphys.VARIANTS["9_rgb"], tmp_path / "no.onnx")
    assert not list(tmp_path.iterdir())


def test_what_sees_the_whole_window_is_refused():
    spec = mmrphys.VARIANTS["9_rgb"]
    with pytest.raises(UsageError, match="PhysNet has no streaming form"):
        streaming.Window(physnet.build(), spec)
    with pytest.raises(UsageError, match="attention_at_inference sees the whole window"):
        streaming.Front(mmrphys.build("9_rgb", attention_at_inference=True), spec)


def test_frames_that_do_not_fit_are_refused():
    slide = streaming.sliding(built(mmrphys, "9_rgb"), mmrphys.VARIANTS["9_rgb"], frames=96)
    with pytest.raises(UsageError, match="multiple of 4 frames, got 10"):
        slide.push(example(mmrphys.VARIANTS["9_rgb"], 10))


def test_there_is_nothing_before_the_window_is_full_and_a_long_push_is_a_window():
    spec = mmrphys.VARIANTS["9_rgb_bvp"]
    slide = streaming.sliding(built(mmrphys, "9_rgb_bvp"), spec, frames=48)
    video = noisy_face(spec, 120)
    assert slide.push(video[:, :, :40]) == {}
    assert slide.push(video[:, :, 40:60])["bvp"].shape == (48,)
    slide.push(video[:, :, 60:])
    assert (slide.windows, slide.pieces) == (2, 0)
