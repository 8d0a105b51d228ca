"""Offsets between conditions: found by regression where the truth is known, and taken by members."""

import math
import warnings

import pytest
import torch

from ergosum.compose import EqualPartitionWarning
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import Form
from ergosum.density.offsets import Offsets, absorb, fit_offsets
from ergosum.density.table import LEVELS, measure
from ergosum.energies.gaussian import Gaussian
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part

MEANS = torch.tensor([[1.0, 0.0], [-1.0, 0.5], [0.0, -1.5]], dtype=torch.float64)
SHARES = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)


class Shifted(LevelEnergy):
    """Three Gaussians of variance 1, each with a wrong constant that changes with the level; the prior has another."""

    def __init__(self):
        super().__init__((2,), form=Part(Form, body=Part(LevelMlp, width=4, blocks=1)), lowest=0.1, highest=4.0,
                         code=4, classes=3)  # fmt: skip
        self.double()
        self.fit(torch.randn(100, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64))

    @staticmethod
    def wrong(log_sigma, c):
        return torch.where(c < 0, 7.0, 4 * (c - 1)) - log_sigma

    def log_density(self, x, log_sigma, c):
        v = 1 + (2 * log_sigma).exp()
        each = -(x[:, None] - MEANS).square().sum(2) / (2 * v[:, None]) - v.log()[:, None]
        whole = (each + SHARES.log()).logsumexp(1)
        return torch.where(c < 0, whole, each.gather(1, c.clamp(min=0)[:, None])[:, 0]) + self.wrong(log_sigma, c)


@pytest.fixture(scope="module")
def fitted():
    rng = torch.Generator().manual_seed(0)
    family = Shifted()
    labels = torch.searchsorted(SHARES.cumsum(0), torch.rand(3000, generator=rng, dtype=torch.float64)).clamp(max=2)
    x = MEANS[labels] + torch.randn(3000, 2, generator=rng, dtype=torch.float64)
    losses = fit_offsets(family, x, labels, generator=rng)
    return family, x, labels, losses


def test_offsets_undo_the_constants_that_training_left(fitted):
    """The variance of a posterior is above .03 at every level: four standard errors of 3,000 draws are below .42."""
    family, _, _, losses = fitted
    found = family.offsets.value - family.offsets.value[:, 1:].mean(1, keepdim=True)
    for c in (0, 1, 2):
        torch.testing.assert_close(found[:, 1 + c], torch.full((LEVELS,), 4.0 * (1 - c)).double(), atol=0.42, rtol=0)
    # of the prior, up to the same constant: the mixture of the classes
    torch.testing.assert_close(found[:, 0], torch.full((LEVELS,), -7.0).double(), atol=0.42, rtol=0)
    assert (losses[1:] <= losses[:-1] + 0.05).all() and losses[0] > losses[-1], "classes are told apart at low noise"


def test_members_take_the_offsets_so_that_bayes_rule_and_shares_are_right(fitted):
    family, x, _, _ = fitted
    level = family.at_noise(0.1)
    value = torch.stack([level(torch.tensor(c))(x) for c in range(3)], 1)
    posterior = (SHARES.log() - value).softmax(1)
    exact = torch.stack([Gaussian(m, 1.01)(x) for m in MEANS], 1)
    assert (posterior - (SHARES.log() - exact).softmax(1)).abs().max() < 0.08
    one, two = (family(torch.tensor(c)) for c in (0, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("error", EqualPartitionWarning)
        both = one.at_noise(0.3).named("one") | two.at_noise(0.3).named("two")
        again = (one.named("a") | two.named("b")).at_noise(0.5)
    assert both.log_z is None and again.log_z is None
    with pytest.warns(EqualPartitionWarning):
        one.at_noise(0.3) | two.at_noise(0.5)
    with pytest.warns(EqualPartitionWarning):
        one.at_noise(0.3) | Gaussian(MEANS[0], 1.0)


def test_without_offsets_members_are_as_trained_and_a_disjunction_warns():
    family = Shifted()
    x, c = MEANS, torch.tensor(1)
    log_sigma = torch.full((3,), 0.3).double().log()
    torch.testing.assert_close(family.at_noise(0.3)(c)(x), -family.log_density(x, log_sigma, c.expand(3)))
    with pytest.warns(EqualPartitionWarning):
        family(c) | family(torch.tensor(0))


def test_between_levels_offsets_are_interpolated_in_the_log_of_the_level():
    held = Offsets(0.1, 10.0, 3)
    held.value[:, 1] = held.sigma.log().float()
    held.value[:, 2] = 5.0
    place = torch.tensor([0, 1, 2, -1])
    for sigma in (0.1, 0.37, 1.0, 10.0):
        expected = torch.tensor([0.0, torch.tensor(sigma).log().item(), 5.0, 0.0])
        torch.testing.assert_close(held.at(sigma, place), expected, atol=1e-5, rtol=1e-5)


def test_what_was_measured_of_log_z_may_be_absorbed(rng):
    """The constants that training left are log Z; afterwards they are gone, and a new measurement says so."""
    family = Shifted()
    wrong = family.wrong(torch.tensor(0.1).log(), torch.tensor(2)).item() + math.log(2 * math.pi)
    with pytest.raises(ValueError, match="a table that is filled"):
        absorb(family)
    measure(family, n=96, generator=rng)
    assert family.table.log_z[-1, 3].item() == pytest.approx(wrong, abs=4 * family.table.error[-1, 3].item())
    assert not family.normalised(0.1)
    done = absorb(family)
    assert len(done) == LEVELS and family.normalised(0.1) and family.at_noise(0.1).log_z == 0.0
    again = measure(family, n=96, generator=rng)
    assert (again.log_z.abs() <= 4 * 2**0.5 * again.error).all() and again.log_z.abs().max() < 0.5


def test_a_measurement_that_is_not_sure_is_not_absorbed(rng):
    family = Shifted()
    measure(family, n=64, generator=rng)
    family.table.error[4:] = 0.6
    before = family.offsets.value.clone()
    assert len(absorb(family)) == 4
    assert torch.equal(family.offsets.value[4:], before[4:]) and (family.offsets.value[:4] != 0).any()


def test_fitting_forgets_the_table_and_offsets_are_saved(fitted, rng):
    _, x, labels, _ = fitted
    family = Shifted()
    measure(family, n=16, islands=2, generator=rng)
    fit_offsets(family, x[:600], labels[:600], generator=rng)
    assert not family.table.measured
    other = Shifted()
    other.load_state_dict(family.state_dict())
    assert other.offsets.fitted and torch.equal(other.offsets.value, family.offsets.value)


def test_classes_that_no_constant_can_confuse_leave_it_as_it_is_above(rng):
    """Far apart at low noise, every constant fits: it stays near that of the level above, where it is determined."""
    family = Shifted()
    far = 10 * MEANS
    labels = torch.arange(3).repeat(500)
    x = far[labels] + torch.randn(1500, 2, generator=rng, dtype=torch.float64)
    family.log_density = lambda x, log_sigma, c: (  # type: ignore[method-assign]
        -(x - far[c.clamp(min=0)]).square().sum(1) / (2 * (1 + (2 * log_sigma).exp())) + 4.0 * c
    )
    losses = fit_offsets(family, x, labels, generator=rng)
    assert losses[0] > 0.02 and losses[-1] < 1e-6
    expected = torch.tensor([4.0, 0.0, -4.0], dtype=torch.float64)
    assert (family.offsets.value[:, 1:] - expected).abs().max() < 2


@pytest.mark.parametrize(
    ("labels", "message"),
    [([0, 0, 1, 1], r"got 3 classes with \[2, 2, 0\] of 4 samples"), ([-1] * 4, r"with \[0, 0, 0\]")],
)
def test_data_without_every_class_are_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        fit_offsets(Shifted(), torch.zeros(4, 2).double(), torch.tensor(labels))
