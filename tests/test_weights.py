"""Weights, negation strengths and shares that are tensors: one per sample, or learning."""

import copy
import math

import pytest
import torch
from torch import nn

from ergosum.compose import And, Not, Or, Scaled, disjunction, negation, scaled, terms
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import as_energy
from ergosum.formula import parse_formula

X = torch.randn(6, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
A = Gaussian(torch.zeros(2).double(), 0.5).named("a")
B = as_energy(lambda x: (x - 1).pow(4).sum(1)).named("b")
H = 1e-6


def learning(*values):
    return nn.Parameter(torch.tensor(values[0] if len(values) == 1 else values, dtype=torch.float64))


def same(a, b):
    torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)


LEARNING = {
    "weight": lambda w: A & w * B,
    "weight on the right": lambda w: A & B * w,
    "weight of a sum": lambda w: w * (A & B),
    "weight of a weight": lambda w: 2 * (w * (0.5 * A)),
    "weight of a negation": lambda w: A & w * ~B,
    "strength": lambda w: A & negation(B, w),
    "strength of a weighted term": lambda w: A & negation(0.3 * B, w),
    "negation of a weight": lambda w: A & ~(w * B),
    "twice not": lambda w: ~negation(A, w) & B,
    "strength, bounded": lambda w: A & negation(B, w, margin=2.0),
    "shares": lambda w: disjunction(A, B, log_weights=w.log() * torch.tensor([1.0, 2.0]).to(w)),
}


@pytest.mark.parametrize("name", LEARNING)
def test_a_weight_that_learns_has_the_gradient_of_finite_differences(name):
    def moved(w):
        energy = LEARNING[name](w)
        return energy(X).sum() + energy.gradient(X, create_graph=True).square().sum()

    w = learning(0.7)
    (told,) = torch.autograd.grad(moved(w), w)
    with torch.no_grad():
        w += H
        above = moved(w).detach()
        w -= 2 * H
        below = moved(w).detach()
    assert told.item() == pytest.approx(((above - below) / (2 * H)).item(), rel=1e-6)


@pytest.mark.parametrize("name", [n for n in LEARNING if n != "shares"])
def test_a_parameter_is_registered_trains_is_saved_and_moves(name):
    w = learning(0.7)
    energy = LEARNING[name](w)
    assert [p is w for p in energy.parameters()] == [True]
    assert any(v.equal(w) for v in energy.state_dict().values())
    optimiser = torch.optim.SGD(energy.parameters(), lr=0.01)
    before = energy(X).detach()
    for _ in range(2):  # a product computed once would be stale, and its graph gone
        optimiser.zero_grad()
        energy(X).mean().backward()
        optimiser.step()
    assert (energy(X) - before).abs().max() > 1e-6
    same(energy(X), LEARNING[name](w.item())(X))
    twin = copy.deepcopy(energy)
    with torch.no_grad():
        w += 1
    same(twin(X), LEARNING[name](w.item() - 1)(X))
    assert next(copy.deepcopy(energy).float().parameters()).dtype == torch.float32


def test_shares_that_learn_are_registered_and_are_log_weights():
    held = nn.Parameter(torch.tensor([-0.7, 0.4], dtype=torch.float64))
    energy = disjunction(A, B, log_weights=held)
    same(energy(X), disjunction(A, B, log_weights=held.tolist())(X))
    assert next(energy.parameters()) is held and energy.log_z is None
    assert str(disjunction(A, B, log_weights=nn.Parameter(torch.zeros(2)))) == "1:a | 1:b"
    energy(X).sum().backward()
    assert held.grad is not None and held.grad.sum().item() == pytest.approx(-len(X))
    same(terms(energy, X).weights, terms(disjunction(A, B, log_weights=held.tolist()), X).weights)


def test_a_disjunction_with_shares_that_learn_is_one_term_of_a_larger_one(recwarn):
    held = nn.Parameter(torch.zeros(2).double())
    inner = Or(A, B, log_weights=held)
    outer = inner | A
    assert outer.parts[0] is inner and not recwarn.list  # its weights are given, and nothing is assumed
    same(outer(X), -torch.stack([-inner(X), -A(X) - A.log_z]).logsumexp(0))
    with torch.no_grad():
        held += 1
    same(outer(X), -torch.stack([-inner(X), -A(X) - A.log_z]).logsumexp(0))


PER_SAMPLE = {
    "weight": lambda w: A & w * B,
    "weight of a sum": lambda w: w * (A & B),
    "strength": lambda w: A & negation(B, w),
    "strength, bounded": lambda w: A & negation(B, w, margin=2.0),
    "shares": lambda w: disjunction(A, B, log_weights=torch.stack([w.log(), -w]) if isinstance(w, torch.Tensor)
                                    else [math.log(w), -w]),
}  # fmt: skip


@pytest.mark.parametrize("name", PER_SAMPLE)
def test_weights_per_sample_are_those_of_each_sample(name):
    weights = torch.linspace(0.2, 3.0, len(X), dtype=torch.float64)
    energy = PER_SAMPLE[name](weights)
    apart = [PER_SAMPLE[name](w.item()) for w in weights]
    same(energy(X), torch.cat([e(X[i : i + 1]) for i, e in enumerate(apart)]))
    same(energy.gradient(X), torch.cat([e.gradient(X[i : i + 1]) for i, e in enumerate(apart)]))
    same(energy(torch.cat([X, X + 1])), torch.cat([energy(X), energy(X + 1)]))  # replicas share them
    assert any(v.shape[-1:] == (6,) for v in energy.state_dict().values())
    same(terms(energy, X).gradient, energy.gradient(X))
    with pytest.raises(ValueError, match="one weight for each of 6 samples, but x has 4"):
        energy(X[:4])
    assert "<6 weights>" in str(energy)


def test_weights_take_the_dtype_of_the_values():
    w = torch.linspace(0.2, 3.0, len(X), dtype=torch.float64)
    for energy in (w * B, B & negation(B, w), Or(B, B, log_weights=torch.stack([w, w])), learning(2.0) * B):
        assert energy(X.float()).dtype == energy.gradient(X.float()).dtype == torch.float32


def test_plain_numbers_in_tensors_merge_like_numbers():
    energy = torch.tensor(0.5) * (torch.tensor(4.0) * A)
    assert isinstance(energy, Scaled) and energy.weight == 2.0 and (torch.tensor(2.0) * ~A).alpha == 2.0


def test_what_is_no_weight_is_refused():
    refused = {
        r"Scaled: expected a finite weight > 0, got -1.0; a negation is written": lambda: learning(-1.0) * A,
        r"Scaled: expected a finite weight > 0, got nan": lambda: scaled(torch.tensor([1.0, math.nan]), A),
        r"Scaled: .* shape \(\) or \(batch,\), got torch.float32 of shape \(2, 1\)": lambda: torch.ones(2, 1) * A,
        r"Scaled: .* float tensor .* got torch.int64": lambda: torch.ones(2).long() * A,
        r"Not: expected a finite alpha > 0, got 0.0": lambda: Not(A, torch.tensor([1.0, 0.0])),
        r"Or: expected 2 log-weights, one per term, got 3": lambda: Or(A, B, log_weights=nn.Parameter(torch.ones(3))),
        r"Or: expected finite log-weights of shape": lambda: Or(A, B, log_weights=torch.full((2, 3), math.inf)),
        r"Or: expected numbers or None in a list": lambda: Or(A, B, log_weights=[learning(1.0), None]),
        r"Or: expected numbers or None in a list of": lambda: Or(A, B, log_weights=[torch.ones(2), 0.0]),
    }
    for message, compose in refused.items():
        with pytest.raises(ValueError, match=message):
            compose()


def test_weights_pass_through_noise_levels_and_units_as_they_are():
    w, hot = learning(0.7), Gaussian(torch.zeros(2).double(), 0.5)
    hot.temperature = 2.0
    for make in (lambda e: w * e & e, lambda e: e & negation(e, w), lambda e: Or(e, e, log_weights=learning(0.1, -1))):
        energy = make(hot)
        same(energy.at_noise(0.3)(X), make(hot.at_noise(0.3))(X))
        same(energy.in_units()(X), make(hot.in_units())(X))
        assert energy.in_units().temperature == 1
    assert next((w * hot).at_noise(0.3).parameters()) is w
    assert next((w * hot).in_units().parameters()) is w


def test_formulas_hold_a_scalar_weight_by_its_value():
    energy = learning(0.7) * A & negation(B, learning(0.25))
    assert str(energy) == "0.7*a & 0.25*~b"
    same(parse_formula(str(energy), {"a": A, "b": B})(X), energy(X))
    assert isinstance(And(A, 0.5 * B).in_units(), And)
