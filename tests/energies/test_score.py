"""Energies given by a score alone compose where no value is needed, and say so where one is."""

import pytest
import torch
from torch import nn

from ergosum.compose import disjunction, leaves, negation, terms
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.score import Score, as_score
from ergosum.energy import as_energy

X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
A, B = Gaussian(torch.ones(3).double(), 0.5).named("a"), as_energy(lambda x: x.pow(4).sum(1)).named("b")
S = as_score(lambda x: 2 * (1 - x)).named("s")
"""The score of A."""

NO_VALUE = "no energy value: only a score; use Langevin, not an exact kernel"

COMPOSED = {
    "alone": lambda a: a,
    "sum": lambda a: a & B,
    "weight": lambda a: 0.3 * a,
    "negation": lambda a: B & ~(0.2 * a),
    "beside a disjunction": lambda a: a & disjunction(A, B, log_weights=[0, 1]) & negation(B, margin=2.0),
    "all": lambda a: 0.5 * (a & 3 * B) & ~negation(a, 0.4) & a.at_temperature(2.0),
    "per sample": lambda a: torch.linspace(1, 2, 5).double() * a & B,
}


def same(a, b):
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", COMPOSED)
def test_the_gradient_of_a_composition_is_the_one_it_would_have_with_values(name):
    told, true = COMPOSED[name](S), COMPOSED[name](A)
    assert not told.has_value and true.has_value and told.grounded and told.log_z is None
    same(told.gradient(X), true.gradient(X))
    with torch.inference_mode():
        same(told.gradient(X), true.gradient(X))
    assert not told.gradient(X).requires_grad and told.gradient(X[:0]).shape == (0, 3)


@pytest.mark.parametrize("name", COMPOSED)
def test_a_value_is_refused(name):
    energy = COMPOSED[name](S)
    for ask in (energy, energy.value, energy.value_and_gradient):
        with pytest.raises(ValueError, match=NO_VALUE):
            ask(X)


def test_what_needs_a_value_is_refused_when_it_is_composed():
    for compose in (lambda: S | A, lambda: disjunction(A, B & 0.5 * S), lambda: A & negation(S, margin=1.0)):
        with pytest.raises(ValueError, match=r"s: no energy value, only a score.*Scores compose with & and weights"):
            compose()


def test_terms_know_all_but_the_values():
    told, true = terms(0.5 * S & ~(0.1 * B), X), terms(0.5 * A & ~(0.1 * B), X)
    for key in ("gradients", "weights", "gradient"):
        same(getattr(told, key), getattr(true, key))
    assert told.names == ["s", "b"] and told.values[0].isnan().all() and told.value.isnan().all()
    same(told.values[1], true.values[1])


def test_a_network_that_gives_a_score_learns_through_the_gradient():
    net = nn.Linear(3, 3).double()
    energy = 0.5 * Score(net) & A
    (told,) = torch.autograd.grad(energy.gradient(X, create_graph=True).square().sum(), net.weight)
    pull = -0.5 * net(X) + A.gradient(X)
    (true,) = torch.autograd.grad(pull.square().sum(), net.weight)
    same(told, true)
    assert len(list(energy.parameters())) == 2 and str(energy) == "0.5*linear & a"


def test_a_score_with_a_noise_level_is_taken_to_another_one():
    energy = as_score(lambda x, sigma: (1 - x) / (0.5 + sigma**2), noise=1.0).named("s")
    same(energy.gradient(X), A.at_noise(1.0).gradient(X))
    fine = (energy & 0.5 * A).at_noise(0.3)
    same(fine.gradient(X), (A & 0.5 * A).at_noise(0.3).gradient(X))
    assert str(fine) == "s & 0.5*a" and len(leaves(fine)) == 2
    with pytest.raises(ValueError, match="s: Score has no notion of a noise level"):
        (S & A).at_noise(0.3)


def test_what_is_no_score_is_refused():
    with pytest.raises(TypeError, match="got int"):
        as_score(3)
    with pytest.raises(ValueError, match=r"of the shape of x, \(5, 3\), got \(5,\)"):
        as_score(lambda x: x.sum(1)).gradient(X)
