"""physFSUNet has no public code to compare with: its size, its equations and its symmetries are checked."""

import pytest
import torch

from vitalcam.errors import ConfigError, UnknownName, UsageError
from vitalcam.models import physfsunet
from vitalcam.models._layers import neighbour_differences


def settled(variant, video):
    """A model whose batch norms know this video, in eval mode; untrained ones would make the wave vanish."""
    torch.manual_seed(1)
    model = physfsunet.build(variant)
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm3d):
            module.momentum = None
    model(video)
    return model.eval()


@pytest.mark.parametrize("variant", physfsunet.VARIANTS)
def test_parameters(variant):
    model = physfsunet.build(variant)
    assert sum(p.numel() for p in model.parameters()) == physfsunet.VARIANTS[variant].parameters


def test_both_orders_print_as_831_thousand():
    assert [round(physfsunet.VARIANTS[v].parameters / 1000) for v in ("literal", "fast")] == [831, 831]


def test_differences_of_a_ramp_are_one_but_at_the_repeated_ends():
    ramp = torch.arange(6.0).reshape(1, 1, 6, 1, 1)
    steps = neighbour_differences(ramp)[0, :, :, 0, 0]
    assert steps.tolist() == [[0, 0, 1, 1, 1, 1], [0, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 0, 0]]


def test_stem_is_equation_3():
    torch.manual_seed(0)
    stem = physfsunet._Stem(physfsunet.Settings(), alpha=0.3, beta=0.6).eval()
    x = torch.randn(1, 3, 6, 8, 8)
    raw, change = stem.raw(x), stem.change(neighbour_differences(x))
    expected = 0.3 * stem.pure(raw) + 0.6 * stem.mixed(0.3 * raw + 0.6 * change)
    torch.testing.assert_close(stem(x), expected)


def test_gate_of_a_uniform_picture_is_one_half():
    gate = physfsunet._Gate(64)
    x = torch.randn(1, 64, 3, 1, 1).expand(-1, -1, -1, 5, 5)
    torch.testing.assert_close(gate(x), 0.5 * x)


@pytest.mark.parametrize("variant", ["literal", "fast", "diff_only", "no_shift"])
def test_a_later_video_gives_the_same_wave_later(variant):
    """Away from the ends; by a multiple of 4 frames, because time is halved twice."""
    video = torch.randn(1, 3, 148, 16, 16)
    model = settled(variant, video)
    with torch.inference_mode():
        early, late = model(video[:, :, :-8])["bvp"], model(video[:, :, 8:])["bvp"]
    assert (early[:, 68:80] - late[:, 60:72]).abs().max() < 1e-4 * early.std()


@pytest.mark.parametrize("size_px", [16, 32])
def test_gradients_are_those_of_the_numbers(size_px):
    """At 16 px the pictures shrink to one pixel, where torch's batch norm on a CPU takes gradients in another order."""
    torch.manual_seed(0)
    model = physfsunet.build("fast").double()
    for module in model.modules():
        if isinstance(module, torch.nn.Dropout | torch.nn.Dropout3d):
            module.p = 0.0
    video = torch.randn(2, 3, 16, size_px, size_px, dtype=torch.double)
    wave = torch.randn(2, 16, dtype=torch.double)

    def loss():
        return (model(video)["bvp"] - wave).square().mean()

    loss().backward()
    along = [torch.randn_like(p) for p in model.parameters()]
    slope = sum(float((a * p.grad).sum()) for a, p in zip(along, model.parameters(), strict=True))
    values = []
    with torch.no_grad():
        for step in (1e-7, -2e-7):
            for a, p in zip(along, model.parameters(), strict=True):
                p += step * a
            values.append(float(loss()))
    assert (values[0] - values[1]) / 2e-7 == pytest.approx(slope, rel=0.03)


def test_even_changes_do_not_depend_on_how_large_they_were():
    stem = physfsunet._Stem(physfsunet.Settings(stem="diff", even_change=True)).eval()
    x = torch.randn(1, 3, 12, 16, 16)
    torch.testing.assert_close(stem(x), stem(3 * x), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("variant", ["no_shift", "no_gates"])
def test_what_is_left_out_matters(variant):
    video = torch.randn(1, 3, 8, 16, 16)
    full = settled("literal", video)
    less = physfsunet.build(variant).eval()
    less.stem.load_state_dict(full.stem.state_dict())
    convs = [[m for m in net.trunk if isinstance(m, physfsunet._ShiftedConv)] for net in (full, less)]
    for mine, other in zip(*convs, strict=True):
        other.load_state_dict(mine.state_dict())
    with torch.inference_mode():
        features = [net.trunk(net.stem(video)) for net in (full, less)]
    assert (features[0] - features[1]).abs().max() > 0.1 * features[0].std()


@pytest.mark.parametrize(
    ("row", "options"),
    [("raw_only", {"stem": "raw"}), ("diff_only", {"stem": "diff"}), ("no_gates", {"gates": False})],
)
def test_an_ablation_is_an_option_too(row, options):
    named, built = physfsunet.build(row), physfsunet.build(**options)
    assert [*named.state_dict()] == [*built.state_dict()]
    assert [*physfsunet.build("fast", **options).stem.state_dict()] == [*named.stem.state_dict()]


def test_the_small_one_gives_pulse_and_breath_from_half_the_rows():
    model = physfsunet.build("small")
    video = torch.randn(1, 3, 16, 36, 36)
    assert model.stem(video).shape == (1, 16, 16, 18, 18)
    waves = model(video)
    assert {name: wave.shape for name, wave in waves.items()} == {"bvp": (1, 16), "resp": (1, 16)}
    assert tuple(waves) == physfsunet.VARIANTS["small"].outputs
    assert not torch.equal(waves["bvp"], waves["resp"])


def test_refusals():
    with pytest.raises(ConfigError, match="width is 0"):
        physfsunet.build(width=0)
    with pytest.raises(ConfigError, match="stride is 0"):
        physfsunet.build(stride=0)
    with pytest.raises(ConfigError, match="one of both, raw, diff"):
        physfsunet.build(stem="none")
    with pytest.raises(ConfigError, match="order has 'cnov'"):
        physfsunet.build(order=["cnov"])
    with pytest.raises(ConfigError, match="did you mean 'shift'"):
        physfsunet.build(shft=False)
    with pytest.raises(UsageError, match="multiple of 4 frames, got 7"):
        physfsunet.build()(torch.zeros(1, 3, 7, 16, 16))
    with pytest.raises(UnknownName, match="did you mean 'literal'"):
        physfsunet.build("litteral")
