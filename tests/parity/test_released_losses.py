"""The released losses give the authors' values on synthetic signals."""

import numpy as np
import pytest
import torch
from reference import fixture

from vitalcam import losses


@pytest.fixture
def signals():
    meta, arrays = fixture("losses_synthetic")
    return meta["results"], torch.from_numpy(arrays["pred"]), torch.from_numpy(arrays["label"])


@pytest.mark.parametrize(
    ("name", "key"),
    [
        ("neg_pearson", "neg_pearson_timedim(PhysNetNegPearsonLoss.py)"),
        ("neg_pearson_released", "neg_pearson_batchdim(NegPearsonLoss.py)"),
        ("smooth_l1", "smooth_l1"),
        ("mean_square", "mse"),
    ],
)
def test_waveform_losses(signals, name, key):
    expected, prediction, truth = signals
    found = losses.find(name)({"bvp": prediction}, {"bvp": truth})
    np.testing.assert_allclose(found, expected[key], rtol=1e-5)


@pytest.mark.parametrize("i", range(4))
def test_rhythmformer_released(signals, i):
    results, prediction, truth = signals
    expected, prediction, truth = results["per_sample"][i], prediction[i : i + 1], truth[i : i + 1]
    total = losses.find("rhythmformer_released")({"bvp": prediction}, {"bvp": truth})
    np.testing.assert_allclose(total, expected["rf_total"], rtol=1e-5)
    later = losses.find("physfsunet_released")({"bvp": prediction}, {"bvp": truth}, epoch=15, epochs=30)
    time = losses.find("neg_pearson")({"bvp": prediction}, {"bvp": truth})
    terms = expected["rf_ce"] + expected["rf_hr_kl"]
    np.testing.assert_allclose(later, time + 1.5 ** (14 / 30) * terms, rtol=1e-5)


@pytest.mark.parametrize("i", range(4))
@pytest.mark.parametrize(("epoch", "weights"), [(1, (1, 1)), (11, (1, 1)), (12, (0.05, 5))])
def test_physformer_released(signals, i, epoch, weights):
    results, prediction, truth = signals
    expected, prediction, truth = results["per_sample"][i], prediction[i : i + 1], truth[i : i + 1]
    time = losses.find("neg_pearson")({"bvp": prediction}, {"bvp": truth})
    total = losses.find("physformer_released")({"bvp": prediction}, {"bvp": truth}, epoch=epoch)
    terms = expected["physformer_ce"] + expected["physformer_kl_std1"]
    np.testing.assert_allclose(total, weights[0] * time + weights[1] * terms, rtol=1e-5)


def test_the_released_cross_entropy_hardly_pulls(signals):
    """Its gradient on the fixture's first signal, and that of the true cross-entropy for comparison."""
    results, prediction, truth = signals

    def pull(name):
        x = prediction[:1].clone().requires_grad_()
        rate = losses.find(name)({"bvp": x}, {"bvp": truth[:1]})
        time = 0.2 * losses.find("neg_pearson")({"bvp": x}, {"bvp": truth[:1]})
        (gradient,) = torch.autograd.grad(rate - time, x)
        return gradient.abs().sum()

    np.testing.assert_allclose(pull("rhythmformer_released"), results["per_sample"][0]["grad_l1_of_ce"], rtol=1e-3)
    assert pull("rhythmformer") > 10 * pull("rhythmformer_released")
