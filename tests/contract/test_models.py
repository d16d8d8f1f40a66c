"""What every network in the folder promises, checked for each of its variants."""

import pytest
import torch

from vitalcam import registry
from vitalcam.errors import UnknownName, UsageError
from vitalcam.models._blocks import n_parameters

NAMES = registry.names("models")
ROWS = [(name, variant) for name in NAMES for variant in registry.find("models", name).VARIANTS]
DEFAULTS = [(name, registry.find("models", name).SPEC) for name in NAMES]


LEAST_FRAMES = {"rhythmformer": 24}  # it compares 40 regions


def frames_for(spec):
    """The length of a short clip that a network takes."""
    return -(-LEAST_FRAMES.get(spec.name, 12) // spec.frames_multiple) * spec.frames_multiple


def clip(spec, clips=2, frames=0):
    """Random frames (B, C, T, H, W); a transform "a+b" stacks two videos in the channels."""
    channels = sum(spec.channels.values()) * len(spec.transform.split("+"))
    g = torch.Generator().manual_seed(0)
    return 255 * torch.rand(clips, channels, frames or frames_for(spec), spec.size_px, spec.size_px, generator=g)


def waves(spec, x):
    g = torch.Generator().manual_seed(1)
    return {name: torch.randn(x.shape[0], x.shape[2], generator=g) for name in spec.outputs}


def model(name, variant=""):
    torch.manual_seed(0)
    return registry.find("models", name).build(variant)


@pytest.mark.parametrize("name", NAMES)
def test_is_described(name):
    module = registry.find("models", name)
    assert "Paper:" in module.__doc__
    assert "Checked against:" in module.__doc__ or "There is no public code of it" in module.__doc__
    assert module.SPEC in module.VARIANTS.values()
    for spec in module.VARIANTS.values():
        assert spec.name == name
        assert spec.variants == tuple(module.VARIANTS)
        assert spec.paper


@pytest.mark.parametrize(("name", "variant"), ROWS)
def test_card_has_the_number_of_parameters(name, variant):
    module = registry.find("models", name)
    with torch.device("meta"):
        assert n_parameters(module.build(variant)) == module.VARIANTS[variant].parameters


@pytest.mark.parametrize(("name", "variant"), ROWS)
def test_gives_a_wave_of_the_length_of_the_clip(name, variant):
    spec = registry.find("models", name).VARIANTS[variant]
    x = clip(spec, clips=1)
    with torch.inference_mode():
        given = model(name, variant).eval()(x)
    assert set(given) == set(spec.outputs)
    for wave in given.values():
        assert wave.shape == (1, x.shape[2])
        assert torch.isfinite(wave).all()
        assert wave.std() > 0


@pytest.mark.parametrize(("name", "spec"), DEFAULTS)
def test_trains(name, spec):
    network, x = model(name).train(), clip(spec)
    given = network(x, target=waves(spec, x))
    assert {key: wave.shape for key, wave in given.items()} == {key: x.shape[::2][:2] for key in spec.outputs}
    aux = network.aux_loss()
    loss = sum((wave * target).mean() for wave, target in zip(given.values(), waves(spec, x).values(), strict=True))
    (loss if aux is None else loss + aux).backward()
    for key, parameter in network.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, key
            assert torch.isfinite(parameter.grad).all(), key


@pytest.mark.parametrize(("name", "spec"), DEFAULTS)
def test_a_seed_fixes_it_and_looking_does_not_change_it(name, spec):
    network, x = model(name).eval(), clip(spec, clips=1)
    before = {key: tensor.clone() for key, tensor in network.state_dict().items()}
    with torch.inference_mode():
        first, again, other = network(x), network(x), model(name).eval()(x)
    for key, wave in first.items():
        assert torch.equal(wave, again[key])
        assert torch.equal(wave, other[key])
    assert all(torch.equal(tensor, before[key]) for key, tensor in network.state_dict().items())


@pytest.mark.parametrize(("name", "spec"), DEFAULTS)
def test_clips_of_a_batch_do_not_see_each_other(name, spec):
    network, x = model(name).eval(), clip(spec)
    with torch.inference_mode():
        together, alone = network(x), network(x[1:])
    for key, wave in together.items():
        torch.testing.assert_close(wave[1:], alone[key], atol=1e-3, rtol=1e-3)


@pytest.mark.parametrize(("name", "spec"), [row for row in DEFAULTS if row[1].frames_multiple > 1])
def test_a_length_that_it_cannot_give_back_is_refused(name, spec):
    with pytest.raises(UsageError, match=f"multiple of {spec.frames_multiple} frames"):
        model(name).eval()(clip(spec, frames=frames_for(spec) + 1))


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_variant_is_refused(name):
    with pytest.raises(UnknownName, match="there are"):
        model(name, "nonesuch")
