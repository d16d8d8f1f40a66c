"""Losses: known answers, invariances, gradients that lead to the true rate."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitalcam import losses
from vitalcam.errors import UnknownName, UsageError

SCALE_FREE = ["neg_pearson", "pearson_spectral", "smooth_l1", "physformer", "rhythmformer", "physfsunet"]

quick = settings(deadline=None, max_examples=30)


def tone(rate_bpm, n=300, fs_hz=30.0, phase=0.0):
    """A cosine (1, n) of that rate."""
    return torch.cos(2 * math.pi * rate_bpm / 60 * torch.arange(n) / fs_hz + phase)[None]


def noisy(seed, rate_bpm=75.0):
    return tone(rate_bpm, n=160) + 0.5 * torch.randn(1, 160, generator=torch.Generator().manual_seed(seed))


def noise(seed):
    return torch.randn(1, 300, generator=torch.Generator().manual_seed(seed))


@quick
@given(
    name=st.sampled_from(SCALE_FREE),
    seed=st.integers(0, 1000),
    scale=st.floats(0.05, 50),
    offset=st.floats(-5, 5),
)
def test_scale_and_offset_of_the_prediction_do_not_matter(name, seed, scale, offset):
    loss, prediction, truth = losses.find(name), noisy(seed), {"bvp": noisy(seed + 1)}
    first, second = (loss({"bvp": p}, truth) for p in (prediction, scale * prediction + offset))
    torch.testing.assert_close(first, second, rtol=1e-3, atol=1e-4)


@quick
@given(name=st.sampled_from(["neg_pearson", "pearson_spectral", "smooth_l1", "mean_square"]), seed=st.integers(0, 1000))
def test_zero_at_equality(name, seed):
    wave = noisy(seed)
    assert losses.find(name)({"bvp": wave}, {"bvp": wave.clone()}).abs() < 1e-5


@quick
@given(seed=st.integers(0, 1000))
def test_pearson_is_one_without_relation_and_two_for_the_opposite(seed):
    wave, loss = noisy(seed), losses.find("neg_pearson")
    torch.testing.assert_close(loss({"bvp": -wave}, {"bvp": wave}), torch.tensor(2.0))
    quarter = loss({"bvp": tone(60)}, {"bvp": tone(60, phase=math.pi / 2)})
    torch.testing.assert_close(quarter, torch.tensor(1.0), atol=1e-4, rtol=0)


def test_to_lose_the_pulse_costs_more_than_to_lose_its_second_harmonic():
    """Both by the same correlation, of the spectra by the divergence."""
    true = tone(55) + 0.47 * tone(110)
    without = [true - 0.8 * tone(55), true - 0.8 * 0.47 * tone(110)]
    plain, spectral = (
        [losses.find(name)({"bvp": wave}, {"bvp": true}).item() for wave in without]
        for name in ("neg_pearson", "pearson_spectral")
    )
    assert spectral[0] - plain[0] > 2 * (spectral[1] - plain[1])


def test_who_has_no_pulse_shall_get_no_tone():
    """Beside a constant truth the pearson term says nothing; the spectral one prefers noise, and leads there."""
    loss, nobody = losses.find("pearson_spectral"), {"bvp": torch.zeros(1, 300)}
    heard = {name: loss({"bvp": x}, nobody).item() for name, x in {"tone": tone(75), "noise": noise(1)}.items()}
    assert heard["noise"] < heard["tone"] - 0.2
    x = (tone(75) + 0.1 * noise(2)).requires_grad_()
    before = loss({"bvp": x}, nobody)
    (slope,) = torch.autograd.grad(before, x)
    assert loss({"bvp": x - 0.05 * slope / slope.abs().max()}, nobody) < before
    both = loss({"bvp": torch.cat([tone(75), tone(75)])}, {"bvp": torch.cat([tone(75), torch.zeros(1, 300)])})
    torch.testing.assert_close(both.item(), heard["tone"] / 2, atol=1e-3, rtol=0)


def test_the_batch_axis_form_of_one_clip_is_one_without_gradient():
    x = noisy(1).requires_grad_()
    loss = losses.find("neg_pearson_released")({"bvp": x}, {"bvp": noisy(1)})
    assert loss == 1
    assert torch.autograd.grad(loss, x)[0].abs().max() == 0


@pytest.mark.parametrize("name", losses.names())
def test_gradients_are_finite_even_of_a_flat_prediction(name):
    x = torch.cat([noisy(3), torch.zeros(1, 160)]).requires_grad_()
    truth = {"bvp": torch.cat([noisy(4), noisy(5)])}
    loss = losses.find(name)({"bvp": x}, truth, epoch=2, epochs=30)
    loss.backward()
    assert torch.isfinite(loss)
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("rate_bpm", [55.0, 72.0, 110.0, 140.0])
def test_soft_peak_finds_the_rate_of_a_tone(rate_bpm):
    found = 45 + losses.soft_peak(losses.rate_distribution(tone(rate_bpm), 30.0))
    assert abs(found.item() - rate_bpm) < 0.5


def test_divergence_of_two_rates_is_that_of_the_normals():
    a, b = (losses.rate_distribution(tone(rate, n=900), 30.0) for rate in (72.0, 78.0))
    torch.testing.assert_close(losses.rate_divergence(a, b), torch.tensor(36 / 18), rtol=0.01, atol=0)
    assert losses.rate_divergence(a, a) == 0


@pytest.mark.parametrize("name", ["rhythmformer", "physfsunet", "physformer"])
@pytest.mark.parametrize("start_bpm", [66.0, 78.0])
def test_descent_on_the_frequency_terms_reaches_the_true_rate(name, start_bpm):
    """A tone whose only parameter is its rate. The phase is a quarter off, so the waveform term has no say."""
    rate, true = torch.tensor(start_bpm, requires_grad=True), {"bvp": tone(72.0)}
    optimiser = torch.optim.Adam([rate], lr=0.3)
    for _ in range(60):
        optimiser.zero_grad()
        losses.find(name)({"bvp": tone(rate, phase=math.pi / 2)}, true).backward()
        optimiser.step()
    assert abs(rate.item() - 72) < 1.5


@pytest.mark.parametrize(("epoch", "weight"), [(1, 1.0), (15, 1.208), (30, 1.480)])
def test_physfsunet_weighs_the_rate_more_and_more(epoch, weight):
    assert losses.Moment(epoch, 30).rising(1.5) == pytest.approx(weight, abs=5e-4)
    outputs, targets = {"bvp": noisy(6)}, {"bvp": noisy(7)}
    total = losses.find("physfsunet")(outputs, targets, epoch=epoch, epochs=30)
    time = losses.find("neg_pearson")(outputs, targets)
    terms = losses.find("rhythmformer")(outputs, targets) - 0.2 * time
    torch.testing.assert_close(total, time + weight * terms, rtol=1e-3, atol=0)


def test_two_tasks_add_up():
    outputs, targets = {"bvp": noisy(1), "resp": noisy(2, 15)}, {"bvp": noisy(3), "resp": noisy(4, 15)}
    loss = losses.find("smooth_l1")
    parts = [loss({wave: outputs[wave]}, {wave: targets[wave]}) for wave in outputs]
    torch.testing.assert_close(loss(outputs, targets), sum(parts))


class _Network:
    def __init__(self, term):
        self.term = term

    def aux_loss(self):
        return self.term


def test_reconstruction_is_the_networks_own_term_or_nothing():
    assert losses.reconstruction(_Network(None)) == 0
    assert losses.reconstruction(_Network(torch.tensor(0.25))) == 0.25


def test_refusals():
    with pytest.raises(UnknownName, match="did you mean 'neg_pearson'"):
        losses.find("neg_person")
    with pytest.raises(UsageError, match="'rhythmformer' compares bvp; the model gives resp, the data resp"):
        losses.find("rhythmformer")({"resp": noisy(1)}, {"resp": noisy(2)})


@pytest.mark.parametrize("name", [name for name in losses.names() if name.endswith("_released")])
@pytest.mark.parametrize("rate_bpm", [33.0, 210.0])
def test_a_heart_outside_the_band_of_a_loss_has_a_loss_too(name, rate_bpm):
    prediction = noisy(0).requires_grad_()
    loss = losses.find(name)({"bvp": prediction}, {"bvp": tone(rate_bpm, n=160)})
    loss.backward()
    assert loss.isfinite()
    assert prediction.grad.isfinite().all()
