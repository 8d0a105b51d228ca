"""Energies over noise levels from logits, and what trains them without chains."""

import math

import pytest
import torch

from ergosum.density import DenoiserDistance, DenoisingJem, LevelEnergy, LevelLogits, Scalar
from ergosum.nets import LevelDense, LevelMlp
from ergosum.part import Part


def made(seed=0, **settings):
    torch.manual_seed(seed)
    family = LevelLogits((3,), classes=4, form=Part(Scalar, body=Part(LevelMlp, width=16, blocks=1)), **settings)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for weight in family.parameters():
            weight.add_(0.2 * torch.randn(weight.shape, generator=generator))
    return family


def points(rng, n=5):
    log_sigma = torch.empty(n).uniform_(-2, 2, generator=rng)
    return torch.randn(n, 3, generator=rng), log_sigma, torch.tensor([0, 1, 2, 3, -1])


def test_the_marginal_is_the_sum_over_classes_and_classes_are_a_softmax(rng):
    family = made()
    x, log_sigma, _ = points(rng)
    joint = family.joint(x, log_sigma)
    assert joint.shape == (5, 4)
    of_class = torch.stack([family.log_density(x, log_sigma, torch.full((5,), c)) for c in range(4)], 1)
    torch.testing.assert_close(of_class, joint + math.log(4))
    prior = family.log_density(x, log_sigma, torch.full((5,), -1))
    torch.testing.assert_close(prior, (of_class - math.log(4)).logsumexp(1))
    member = family.at_noise(0.5)(torch.tensor(2))
    torch.testing.assert_close(member(x), -family.log_density(x, torch.full((5,), math.log(0.5)), torch.full((5,), 2)))


def test_all_classes_end_in_the_same_gaussian(rng):
    family = made(highest=1e4)
    x = 1e4 * torch.randn(5, 3, generator=rng)
    far = torch.full((5,), math.log(1e4))
    joint = family.joint(x, far) + math.log(4)
    known = torch.distributions.Normal(0.0, math.hypot(1.0, 1e4)).log_prob(x).sum(1)
    torch.testing.assert_close(joint, known[:, None].expand(5, 4), atol=1e-2, rtol=0)


def test_a_field_is_shared_by_all_classes(rng):
    torch.manual_seed(0)
    family = LevelLogits((3,), classes=2)
    with torch.no_grad():
        family.form.body.head.bias.normal_(generator=rng)
    x, log_sigma, _ = points(rng)
    joint = family.joint(x, log_sigma)
    between = joint[:, 1] - joint[:, 0]
    size = family.form.number(family.form.body(x, torch.zeros(5, 128)), family.placed(x, log_sigma)[1])
    torch.testing.assert_close(between, size[:, 1] - size[:, 0], atol=1e-4, rtol=1e-4)
    y, level = family.placed(x, log_sigma)
    assert not torch.allclose(joint[:, 0], family.anchor(y, level) - math.log(2))


@pytest.fixture
def double():
    """Numbers of 64 bits unless told otherwise."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(before)


def test_its_gradient_is_that_of_finite_differences(rng, double):
    torch.manual_seed(0)
    form = Part(Scalar, body=Part(LevelDense, width=8))
    family, objective = LevelLogits((3,), classes=4, form=form, code=4), DenoisingJem(weight=0.3)
    x, c = torch.randn(6, 3, generator=rng), torch.tensor([0, 1, 2, 3, -1, 1])
    name = "family.form.body.numbers.weight"

    def loss(weight):
        return torch.func.functional_call(_Asked(family, objective), {name: weight}, (x, c))

    weight = family.form.body.numbers.weight.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (weight,), eps=1e-6, atol=1e-6)


class _Asked(torch.nn.Module):
    def __init__(self, family, objective):
        super().__init__()
        self.family, self.objective = family, objective

    def forward(self, x, c):
        return self.objective.loss(self.family, x, c, torch.Generator().manual_seed(3), 0.5).loss


def test_two_classes_are_learned_without_chains(rng):
    """Two narrow modes per class, at (+-1, +-1) with the class in the first sign: score and class are both found."""
    torch.manual_seed(0)
    form = Part(Scalar, body=Part(LevelDense, width=32))
    family = LevelLogits((2,), classes=2, lowest=0.1, highest=8.0, form=form, code=32)
    objective = DenoisingJem(weight=0.2)
    optimiser = torch.optim.Adam(family.parameters(), lr=1e-2)
    told = []
    for n in range(150):
        signs = torch.randint(2, (128, 2), generator=rng)
        x = (2 * signs - 1) + 0.1 * torch.randn(128, 2, generator=rng)
        terms = objective.loss(family, x, signs[:, 0], rng, n / 150)
        optimiser.zero_grad()
        terms.loss.backward()
        optimiser.step()
        told.append((terms.error / terms.reference).item())
    assert sum(told[-20:]) < 0.75 * sum(told[:20])
    probability = family.joint(x, torch.full((128,), math.log(0.1))).softmax(1)
    assert (probability.argmax(1) == signs[:, 0]).float().mean() > 0.97


def test_what_does_not_go_together_is_told(rng):
    with pytest.raises(ValueError, match="expected data with classes"):
        LevelLogits((3,))
    with pytest.raises(ValueError, match=r"LevelLogits: expected classes 0 \.\. 3"):
        made().log_density(torch.zeros(1, 3), torch.zeros(1), torch.tensor([4]))
    with pytest.raises(ValueError, match="expected weight >= 0"):
        DenoisingJem(weight=-1.0)
    family = LevelEnergy((3,), classes=2)
    with pytest.raises(ValueError, match="trains LevelLogits; got LevelEnergy"):
        DenoisingJem().loss(family, torch.zeros(2, 3), torch.zeros(2, dtype=torch.int64), rng, 0.0)
    with pytest.raises(ValueError, match="InnerProduct or Scalar"):
        LevelLogits((3,), classes=2, form=Part(DenoiserDistance))
