"""Divergences in closed form, and what the terms of VAEs say."""

import math

import pytest
import torch

from ergosum.decomposition.baselines import BetaVae, FactorVae, Monet
from ergosum.decomposition.baselines.factor_vae import permuted
from ergosum.decomposition.bottleneck import divergence


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_the_divergence_in_closed_form_is_the_mean_of_log_ratios():
    mean, log_variance = torch.tensor([[0.7, -1.2, 0.0]]), torch.tensor([[-1.0, 0.4, -3.0]])
    n = 200_000
    z = mean + (log_variance / 2).exp() * torch.randn(n, 3, generator=seeded())
    ratio = ((z**2 - (z - mean) ** 2 / log_variance.exp() - log_variance) / 2).sum(1)
    assert divergence(mean, log_variance).item() == pytest.approx(
        ratio.mean().item(), abs=4 * ratio.std().item() / n**0.5
    )
    assert divergence(torch.zeros(2, 5), torch.zeros(2, 5)).tolist() == [0, 0]


@pytest.fixture
def images():
    return torch.rand(6, 3, 16, 16, generator=seeded(1))


def weighted(images, **settings):
    torch.manual_seed(0)
    return BetaVae(5, 4, side=16, **settings).objective(images, seeded())


def test_the_gaussian_loss_is_the_squared_distance_of_a_whole_image_and_beta_counts_nats(images):
    free, made = weighted(images, beta=0.0)
    assert free.item() == pytest.approx((made - images).square().sum((1, 2, 3)).mean().item(), rel=1e-5)
    torch.manual_seed(0)
    nats = divergence(*BetaVae(5, 4, side=16).posterior(images)).mean().item()
    assert (weighted(images, beta=4.0)[0] - free).item() == pytest.approx(4 * nats, rel=1e-2)


def test_bernoulli_s_loss_is_the_cross_entropy(images):
    loss, made = weighted(images, beta=0.0, likelihood="bernoulli")
    entropy = -(images * made.log() + (1 - images) * (1 - made).log()).sum((1, 2, 3)).mean()
    assert loss.item() == pytest.approx(entropy.item(), rel=1e-4)


def test_permuted_codes_keep_each_code_s_values_and_lose_their_company():
    z = torch.arange(512.0)[:, None].expand(-1, 3)
    mixed = permuted(z, seeded())
    assert torch.equal(mixed.sort(0).values, z)
    assert torch.corrcoef(mixed.T).triu(1).abs().max() < 4 / 512**0.5


def test_a_discriminator_that_is_right_measures_the_total_correlation():
    """Of two normal codes with correlation r it is -log(1 - r^2) / 2; the discriminator's logit is the log-ratio."""
    r, n = 0.8, 200_000
    e = torch.randn(n, 2, generator=seeded())
    z = torch.stack([e[:, 0], r * e[:, 0] + (1 - r**2) ** 0.5 * e[:, 1]], 1)
    joint = -(z[:, 0] ** 2 - 2 * r * z[:, 0] * z[:, 1] + z[:, 1] ** 2) / (2 * (1 - r**2)) - math.log(1 - r**2) / 2
    logit = joint + z.square().sum(1) / 2
    assert logit.mean().item() == pytest.approx(-math.log(1 - r**2) / 2, abs=4 * logit.std().item() / n**0.5)


def test_gamma_weighs_what_the_discriminator_says(images):
    losses = []
    for gamma in (0.0, 1.0, 2.0):
        torch.manual_seed(0)
        losses.append(FactorVae(5, 4, gamma=gamma, side=16).objective(images, seeded())[0])
    assert (losses[2] - losses[1]).item() == pytest.approx((losses[1] - losses[0]).item(), rel=0.05, abs=1e-3)


def test_monet_s_surprise_is_zero_at_best_and_its_masks_cost_nothing_where_they_agree(images):
    """All in the first part, drawn exactly: no surprise. Another deviation pays three logarithms per pixel."""
    torch.manual_seed(0)
    model = Monet(2, 4, 4, beta=0.0, gamma=1.0, side=16)

    def drawn(first):
        certain = torch.full((6, 2, 16, 16), -60.0)
        certain[:, 0 if first else 1] = 0.0
        model._attend = lambda x: certain
        model._draw = lambda z: (images[:, None].expand(-1, 2, -1, -1, -1), certain)
        return model.objective(images, seeded())[0].item()

    assert drawn(True) == pytest.approx(0, abs=1e-3)
    assert drawn(False) == pytest.approx(3 * 256 * math.log(0.11 / 0.09), rel=1e-4)
