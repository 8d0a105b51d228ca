"""Principal components, fitted on one split and applied to another."""

import pytest
import torch

from ergosum.metrics.principal import Principal, principal


def made(rng, rows=400):
    """Three independent directions of standard deviation 3, 2 and 1 in eight codes."""
    axes = torch.linalg.qr(torch.randn(8, 8, generator=rng, dtype=torch.float64)).Q[:, :3]
    hidden = torch.randn(rows, 3, generator=rng, dtype=torch.float64) * torch.tensor([3.0, 2.0, 1.0])
    return 5 + hidden @ axes.T


def test_components_are_uncorrelated_with_falling_variance(rng):
    latents = made(rng)
    fitted = principal(latents, 3)
    assert isinstance(fitted, Principal) and fitted.axes.shape == (8, 3)
    torch.testing.assert_close(fitted(latents).T.cov(), fitted.variance.diag())
    assert (fitted.variance.diff() < 0).all()
    torch.testing.assert_close(fitted.axes.T @ fitted.axes, torch.eye(3, dtype=torch.float64))


def test_what_was_fitted_keeps_distances_on_rows_it_has_not_seen(rng):
    latents = made(rng)
    fitted = principal(latents[:300], 3)
    seen, kept = (torch.pdist(z) for z in (latents[300:], fitted(latents[300:])))
    torch.testing.assert_close(kept, seen)
    torch.testing.assert_close(fitted(latents[:300]).mean(0), torch.zeros(3, dtype=torch.float64))


def test_components_equal_those_of_scikit_learn_up_to_sign(rng):
    from sklearn.decomposition import PCA

    latents = made(rng)
    other = torch.from_numpy(PCA(3).fit_transform(latents.numpy()))
    torch.testing.assert_close(principal(latents, 3)(latents).abs(), other.abs())


def test_signs_do_not_depend_on_the_order_of_rows_and_precision_is_kept(rng):
    latents = made(rng)
    torch.testing.assert_close(principal(latents.flip(0), 3).axes, principal(latents, 3).axes)
    assert principal(latents.float(), 3)(latents.float()).dtype == torch.float32


def test_few_codes_keep_their_number_and_dead_ones_are_zero():
    latents = torch.cat([torch.arange(6.0)[:, None], torch.full((6, 2), 2.0)], 1)
    out = principal(latents, 64)(latents)
    assert out.shape == (6, 3) and out[:, 1:].abs().max() == 0


def test_wrong_shapes_are_refused(rng):
    with pytest.raises(ValueError, match="principal: expected"):
        principal(torch.zeros(4, 2, 3))
    with pytest.raises(ValueError, match="finite"):
        principal(torch.full((4, 2), torch.inf))
    with pytest.raises(ValueError, match=r"Principal: expected \(rows, 8\)"):
        principal(made(rng), 3)(torch.zeros(4, 7))
