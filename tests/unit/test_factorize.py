"""The factorization core against linear algebra: what a low-rank approximation must do."""

import copy
import itertools

import pytest
import torch

from vitalcam.errors import ConfigError, UsageError
from vitalcam.models import _factorize as core
from vitalcam.models._attention import AttentionSettings, FactorizedAttention

T, N = 80, 60


def mixture(seed=0, clips=2, noise=0.2):
    """Non-negative (B, T, N): three waves, each in its own features, and noise."""
    g = torch.Generator().manual_seed(seed)
    t = torch.arange(T) / 30
    waves = torch.stack([1 + torch.sin(2 * torch.pi * hz * t) for hz in (1.2, 0.3, 2.5)], dim=1)
    return waves @ torch.rand(clips, 3, N, generator=g) ** 3 + noise * torch.rand(clips, T, N, generator=g)


def error(v, v_hat):
    return float(torch.linalg.matrix_norm(v - v_hat).norm())


def best(v, rank):
    """The smallest error that any approximation of that rank has."""
    return float(torch.linalg.svdvals(v)[:, rank:].norm())


@pytest.mark.parametrize("factorize", [core.nmf, core.smooth_nmf])
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_error_never_grows_in_paper_form(factorize, rank):
    v = mixture().double()
    errors = [error(v, factorize(v, rank, steps)) for steps in range(40)]
    assert all(after <= before * (1 + 1e-9) for before, after in itertools.pairwise(errors))
    assert errors[-1] < errors[0]


def test_smooth_nmf_settles_in_paper_form():
    v = mixture().double()
    errors = [error(v, core.smooth_nmf(v, 2, steps)) for steps in (0, 400, 800)]
    assert errors[1] - errors[2] < 0.02 * (errors[0] - errors[1])


def test_smooth_nmf_as_released_can_get_worse():
    v = torch.rand(1, 160, N, generator=torch.Generator().manual_seed(0))
    assert error(v, core.smooth_nmf_released(v, 1, 8)) > error(v, core.smooth_nmf_released(v, 1, 0))
    assert error(v, core.smooth_nmf(v, 1, 8)) < error(v, core.smooth_nmf(v, 1, 0))


@pytest.mark.parametrize("factorize", [core.nmf, core.nmf_released])
def test_rank_one_is_the_leading_singular_pair(factorize):
    v = mixture()
    u, s, vh = torch.linalg.svd(v, full_matrices=False)
    expected = u[:, :, :1] * s[:, None, :1] @ vh[:, :1]
    torch.testing.assert_close(factorize(v, 1, 12), expected, atol=1e-4, rtol=1e-4)


def test_each_rank_counts_in_paper_form():
    v = mixture()
    errors = [error(v, core.nmf(v, rank, 200)) for rank in (1, 2, 3)]
    assert errors[1] < 0.9 * errors[0]
    assert errors[2] < 0.9 * errors[1]
    assert all(best(v, rank) <= e * (1 + 1e-6) for rank, e in zip((1, 2, 3), errors, strict=True))
    assert errors[2] < 1.1 * best(v, 3)


def test_a_higher_rank_fits_better_after_the_usual_four_steps():
    v = mixture()
    assert error(v, core.nmf(v, 4, 4)) < error(v, core.nmf(v, 1, 4)) * 0.999


def test_no_rank_counts_as_released():
    v = mixture()
    torch.testing.assert_close(core.nmf_released(v, 8, 4), core.nmf_released(v, 1, 4), atol=1e-4, rtol=1e-4)


def test_projection_is_the_least_squares_multiple_of_the_target():
    v, target = mixture(), torch.randn(2, T, generator=torch.Generator().manual_seed(1))
    y = 1 + (target - target.amin(1, keepdim=True)) / (target.amax(1) - target.amin(1))[:, None]
    expected = y[..., None] @ torch.linalg.lstsq(y[..., None], v).solution
    torch.testing.assert_close(core.target_projection(v, target), expected, atol=1e-4, rtol=1e-4)
    v_hat = core.target_projection(v, target)
    torch.testing.assert_close(core.target_projection(v_hat, target), v_hat, atol=1e-5, rtol=1e-5)


def test_projection_is_what_iterating_with_the_target_as_only_estimator_gives():
    """Any start, any rank, any number of steps."""
    v = mixture().double()
    y = 1 + torch.rand(2, T, 1, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    y = 1 + (y - y.amin(1, keepdim=True)) / (y.amax(1) - y.amin(1))[:, None]
    for rank, steps in ((1, 0), (3, 4)):
        p = torch.rand(2, 1, rank, generator=torch.Generator().manual_seed(rank), dtype=torch.float64)
        q = v.mT @ (y @ p)
        for _ in range(steps):
            w = y @ p
            q = q * (v.mT @ w) / (q @ (w.mT @ w))
            p = p * (y.mT @ (v @ q)) / (y.mT @ (w @ (q.mT @ q)))
        w = y @ p
        q = q * (v.mT @ w) / (q @ (w.mT @ w))
        torch.testing.assert_close(w @ q.mT, core.target_projection(v, y[..., 0]))


def test_target_for_breathing_is_averaged_and_the_released_ends_are_pulled_to_zero():
    target = torch.full((1, 40), 3.0)
    proper, padded = (core.shorten_target(target, 10, released=r) for r in (False, True))
    assert torch.equal(proper, torch.full((1, 10), 3.0))
    assert torch.equal(padded[:, 1:], proper[:, 1:])
    assert float(padded[0, 0]) == pytest.approx(3 * 3 / 5)


@pytest.mark.parametrize(("rows", "columns"), [(160, 589), (45, 167)])
def test_bell_curves(rows, columns):
    phi = core.gaussians(rows, released=False, like=torch.zeros(1))
    assert phi.shape == (rows, columns)
    assert float(phi[6, 0]) == pytest.approx(0.6065307)  # one sigma from its centre


def attention(**options):
    torch.manual_seed(0)
    return FactorizedAttention(16, AttentionSettings(**options))


def embeddings():
    return torch.randn(2, 16, 20, 3, 3, generator=torch.Generator().manual_seed(3))


def test_time_is_a_row_in_paper_form_only():
    """A clip in which every feature is one wave times a constant has rank 1 if time is the row, and only then."""
    t = torch.arange(20.0)
    v = (1.5 + torch.sin(t))[None, None, :, None, None] * torch.rand(1, 8, 1, 3, 3)
    paper, released = (attention(form=form, steps=8).approximate(v) for form in ("paper", "released"))
    torch.testing.assert_close(paper, v, atol=1e-5, rtol=1e-5)
    assert not torch.allclose(released, v, atol=1e-2)


@pytest.mark.parametrize("mapping", ["tk_ab", "k_tab"])
def test_other_mappings_are_laid_out_alike_in_both_forms(mapping):
    v = torch.rand(2, 8, 20, 3, 3)
    paper, released = (attention(form=form, mapping=mapping).approximate(v) for form in ("paper", "released"))
    torch.testing.assert_close(paper, released, atol=1e-4, rtol=1e-4)


def test_a_clip_does_not_depend_on_its_neighbours_in_paper_form():
    e = embeddings()
    for form, alone in (("paper", True), ("released", False)):
        module = attention(form=form)
        apart = torch.cat([module(e[:1]), module(e[1:])])
        assert torch.allclose(module(e), apart, atol=1e-4) == alone


@pytest.mark.parametrize("factorize", [core.nmf, core.smooth_nmf])
def test_paper_form_trains_through_all_its_steps(factorize):
    v = torch.rand(1, 6, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(4)) + 0.1
    assert torch.autograd.gradcheck(lambda x: factorize(x, 2, 2), v.requires_grad_())


def test_gradient_as_released_is_a_projection_on_the_basis():
    v = mixture().double().requires_grad_()
    weight = torch.rand(2, T, N, dtype=torch.float64)
    gradient = torch.autograd.grad((core.nmf_released(v, 1, 20) * weight).sum(), v)[0]
    b = torch.linalg.svd(v.detach())[0][:, :, :1]
    torch.testing.assert_close(gradient, b @ (b.mT @ weight), atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("kind", ["fsam", "grbf"])
def test_error_is_a_training_term_in_paper_form(kind):
    module = attention(attention=kind)
    module(embeddings())
    loss = module.aux_loss()
    assert 0 < loss.item() < 1
    assert copy.deepcopy(module).aux_loss() is None
    loss.backward()
    assert module.squeeze[0].weight.grad.abs().sum() > 0
    released = attention(attention=kind, form="released")
    released(embeddings())
    assert released.aux_loss() is None


def test_without_residual_the_embeddings_are_not_added():
    e = embeddings()
    torch.testing.assert_close(attention()(e) - e, attention(residual=False)(e), atol=1e-5, rtol=1e-5)


def test_tsfm_without_a_target_is_refused():
    with pytest.raises(UsageError, match="pass target"):
        attention(attention="tsfm")(embeddings())


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attention": "sasn"}, "'sasn' is not one of none, fsam, tsfm, grbf"),
        ({"form": "original"}, "'original' is not one of paper, released"),
        ({"rank": 0}, "rank must be at least 1"),
        ({"attention": "tsfm", "mapping": "k_tab"}, "tsfm needs time as rows"),
    ],
)
def test_wrong_settings_are_refused(options, message):
    with pytest.raises(ConfigError, match=message):
        AttentionSettings(**options)
