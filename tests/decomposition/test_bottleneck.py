"""What stochastic latents cost, against closed forms."""

import math

import pytest
import torch

from ergosum.decomposer import InnerDescent
from ergosum.decomposition import ImageDecomposer, RecompositionLoss
from ergosum.decomposition.bottleneck import divergence, total_correlation
from ergosum.nets import ExpertDecoder, GlobalExperts, PyramidEncoder, SlotEncoder
from ergosum.nets.slots import PLACE
from ergosum.part import Part


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_divergence_is_torch_s():
    mean, log_variance = torch.randn(4, 2, 3, generator=seeded()), torch.randn(4, 2, 3, generator=seeded(1))
    q = torch.distributions.Normal(mean, (log_variance / 2).exp())
    expected = torch.distributions.kl_divergence(q, torch.distributions.Normal(0.0, 1.0)).sum((1, 2))
    torch.testing.assert_close(divergence(mean, log_variance), expected)
    assert divergence(torch.zeros(2, 5), torch.zeros(2, 5)).tolist() == [0, 0]


def test_total_correlation_grows_by_the_information_that_two_numbers_share():
    n, spread = 2000, 0.1
    free = torch.randn(n, 2, generator=seeded(), dtype=torch.float64)
    bound = torch.stack([free[:, 0], 0.9 * free[:, 0] + (1 - 0.81) ** 0.5 * free[:, 1]], 1)
    log_variance = torch.full((n, 2), math.log(spread), dtype=torch.float64)
    noise = spread**0.5 * torch.randn(n, 2, generator=seeded(1), dtype=torch.float64)
    apart, shared = (total_correlation(mean + noise, mean, log_variance, n).item() for mean in (free, bound))
    rho = 0.9 / (1 + spread)
    # the mean of n log-ratios of standard deviation about 1, twice; and the bias of n kernels, equal in both but for
    # terms of order 1 / n
    assert shared - apart == pytest.approx(-0.5 * math.log(1 - rho**2), abs=0.1)


def test_total_correlation_is_that_of_mixtures_of_the_batch_s_densities():
    mean, log_variance, z = (torch.randn(4, 3, generator=seeded(s), dtype=torch.float64) for s in range(3))
    terms = []
    for row in z:
        each = torch.distributions.Normal(mean, (log_variance / 2).exp()).log_prob(row).exp()  # of every number, by all
        joint, alone = each.prod(1).sum() / (4 * 10), each.sum(0) / (4 * 10)
        terms.append(joint.log() - alone.log().sum())
    torch.testing.assert_close(total_correlation(z, mean, log_variance, 10), torch.stack(terms).mean())


@pytest.fixture
def model():
    torch.manual_seed(0)
    return ImageDecomposer(
        Part(PyramidEncoder, width=4), Part(GlobalExperts, width=4), ("one", "two"), 3, stochastic=True,
        descent=Part(InnerDescent, steps=1), side=32,
    )  # fmt: skip


def test_stochastic_latents_are_drawn_in_training_and_means_otherwise(model):
    images, noise = (torch.rand(2, 3, 32, 32, generator=seeded(s)) for s in (0, 1))
    one, again, other = (model.train()(noise, images=images, generator=seeded(s)) for s in (2, 2, 3))
    assert torch.equal(one.latents, again.latents) and not torch.equal(one.latents, other.latents)
    mean, log_variance = one.posterior
    assert mean.shape == log_variance.shape == one.latents.shape == (2, 2, 3)
    told = model.eval()(noise, images=images, generator=seeded(2))
    assert told.posterior is None
    torch.testing.assert_close(told.latents, mean.detach())
    torch.testing.assert_close(model.encode(images), told.latents)


def test_the_kl_weight_counts_nats(model):
    images, noise = (torch.rand(4, 3, 32, 32, generator=seeded(s)) for s in (0, 1))
    path = model.train()(noise, images=images, generator=seeded(2))
    free = RecompositionLoss()(images, path, 100).loss
    said = RecompositionLoss(kl_weight=0.1)(images, path, 100).loss - free
    torch.testing.assert_close(said, 0.1 * divergence(*path.posterior).mean())
    shared = RecompositionLoss(tc_weight=0.1)(images, path, 100).loss - free
    torch.testing.assert_close(shared, 0.1 * total_correlation(path.latents, *path.posterior, 100))


def test_of_a_stochastic_slot_the_content_is_drawn_and_the_place_is_not():
    torch.manual_seed(0)
    model = ImageDecomposer(
        Part(SlotEncoder, width=4), Part(ExpertDecoder, width=4), ("ground", "one"), 4 + PLACE, stochastic=True,
        descent=Part(InnerDescent, steps=1), side=16,
    ).train()  # fmt: skip
    images = torch.rand(2, 3, 16, 16, generator=seeded())
    path = model(torch.rand(2, 3, 16, 16, generator=seeded(1)), images=images, generator=seeded(2))
    mean, log_variance = path.posterior
    assert path.latents.shape == (2, 2, 7) and mean.shape == log_variance.shape == (2, 2, 4)
    assert not torch.equal(path.latents[..., :4], mean) and path.latents[:, 1, -1].eq(1).all()
    RecompositionLoss(kl_weight=0.1, tc_weight=0.1)(images, path, 10).loss.backward()
    assert all(p.grad is not None for p in model.encoder.parameters())
    assert model.eval().encode(images).shape == (2, 2, 7)


def test_latents_start_with_the_variance_that_is_asked_for(model):
    """Where the network gives nothing, so that at first latents can be told apart."""
    torch.nn.init.zeros_(model.encoder.head[-1].weight)
    torch.nn.init.zeros_(model.encoder.head[-1].bias)
    images, noise = (torch.rand(2, 3, 32, 32, generator=seeded(s)) for s in (0, 1))
    _, log_variance = model.train()(noise, images=images, generator=seeded(2)).posterior
    assert (log_variance == model.initial_log_variance).all() and model.initial_log_variance == -4
