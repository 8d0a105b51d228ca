"""The algebra of energies against closed forms, and its evaluation against a loop."""

import copy
import itertools
import math
import warnings

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional as F

from ergosum.compose import (
    And,
    EqualPartitionWarning,
    Node,
    Not,
    Or,
    Scaled,
    TemperatureWarning,
    Terms,
    conjunction,
    disjunction,
    leaves,
    negation,
    scaled,
    terms,
)
from ergosum.energy import Closed, Conditional, Energy, Term, as_energy

GRID = torch.linspace(-4, 4, 41, dtype=torch.float64)[:, None]
X = torch.randn(5, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
H = 1e-5


def gaussian(mean=0.0, precision=1.0, name="g", log_z=None, temperature=1.0, calls=None):
    """$lambda / 2 ||x - m||^2$ of events of any shape."""

    def energy(x):
        if calls is not None:
            calls.append(name)
        return precision * (x - mean).square().reshape(len(x), -1).sum(1) / 2

    made = as_energy(energy).named(name)
    made.log_z, made.temperature = log_z, temperature
    return made


def log_z(precision):
    return 0.5 * math.log(2 * math.pi / precision)


def density(mean, precision):
    return (-precision / 2 * (GRID[:, 0] - mean).square() - log_z(precision)).exp()


def wavy(x):
    return (x.sin() + 0.1 * x.pow(4)).reshape(len(x), -1).sum(1)


def same(a, b, **tolerance):
    torch.testing.assert_close(a, b, **({"rtol": 0, "atol": 1e-12} | tolerance))


def same_shape(a, b):
    """Two energies differ by a constant."""
    gap = a(GRID) - b(GRID)
    same(gap, gap[:1].expand_as(gap))


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


class Family(Conditional):
    """$E(x; a, z) = sum (x - z w - a)^2 + x^4 / 10$, which counts the evaluations of its `network`."""

    def __init__(self, folds=False, anchored=False, condition_dims=1, dtype=torch.float64):
        super().__init__()
        self.folds, self.anchored, self.condition_dims, self.calls = folds, anchored, condition_dims, 0
        self.w = nn.Parameter(torch.linspace(0.5, 1.5, 6, dtype=dtype).view(2, 3))

    def bind(self, z, anchor):
        def energy(x):
            self.calls += 1
            assert self.folds or len(z) == len(x)
            code = z[:, None] * self.w[:1] if z.ndim == 1 else z @ self.w
            seen = x if anchor is None else x - anchor
            wide = (len(z) // len(x),)
            seen, own = seen.repeat_interleave(*wide, 0), x.repeat_interleave(*wide, 0)
            return (seen - code).square().sum(1) + own.pow(4).sum(1) / 10

        return as_energy(energy)


def codes(*shape, seed=1, dtype=torch.float64):
    return torch.randn(*shape, 2, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# Closed forms


def test_a_product_of_gaussians_adds_precisions_and_weighs_means():
    same_shape(gaussian(1, 2) & gaussian(-2, 3), gaussian((2 * 1 - 3 * 2) / 5, 5))


def test_a_weight_is_a_power_of_the_density():
    same_shape(0.5 * gaussian(1, 2) & 3 * gaussian(-2, 3), gaussian((1 * 1 - 9 * 2) / 10, 10))


def test_a_temperature_divides_the_precision():
    same_shape(gaussian(1, 2).at_temperature(4), gaussian(1, 0.5))
    same_shape(gaussian(1, 2) / 4, gaussian(1, 0.5))


def test_a_disjunction_is_a_mixture_and_its_weights_are_responsibilities():
    a, b = gaussian(1, 2), gaussian(-2, 3)
    mixed = disjunction(a, b, log_weights=[math.log(0.3) - log_z(2), math.log(0.7) - log_z(3)])
    parts = torch.stack([0.3 * density(1, 2), 0.7 * density(-2, 3)])
    same(mixed(GRID), -parts.sum(0).log())
    same(terms(mixed, GRID).weights, parts / parts.sum(0))


def test_a_wide_gaussian_within_a_narrow_one_is_taken_from_its_precision():
    narrow, wide = gaussian(1, 4), gaussian(-1, 2)
    same_shape(narrow & ~wide, gaussian((4 * 1 + 2 * 1) / 2, 2))
    same_shape(narrow & negation(wide, 0.5), gaussian((4 * 1 + 1 * 1) / 3, 3))


def test_a_bounded_negation_is_the_log_of_a_no_and_lies_within_bounds():
    energy = gaussian(0, 2)
    no = negation(energy, 1.5, margin=3.0)
    same(no(GRID), 1.5 * (3 - energy(GRID)).exp().log1p())
    far = torch.tensor([[1e4], [0.0]], dtype=torch.float64)
    same(no(far), torch.tensor([0.0, 1.5 * math.log1p(math.exp(3))], dtype=torch.float64))


def test_a_bounded_negation_has_no_step_where_it_turns_linear():
    steep = negation(as_energy(lambda x: x[:, 0]), margin=0.0)
    x = torch.linspace(-21, -19, 2001, dtype=torch.float64)[:, None]
    same(steep(x), (-x[:, 0]).exp().log1p())


@pytest.mark.parametrize("t", [0.1, 5.0])
def test_a_temperature_is_a_record_that_changes_no_value_and_units_are_those_of_every_term(quiet, t):
    a, b = (gaussian(m, p, temperature=t) for m, p in ((1, 2), (-2, 3)))
    plain = [gaussian(1, 2), gaussian(-2, 3)]
    ways = {
        "Or": lambda a, b, m: disjunction(a, b, log_weights=[-1.0, 0.5]),
        "bounded": lambda a, b, m: a & negation(b, 0.7, margin=m),
        "sum": lambda a, b, m: 0.3 * (a & ~b),
        "nested": lambda a, b, m: disjunction(disjunction(a, b, log_weights=[1, 0]), a & b, log_weights=[0, 2]),
    }
    for make in ways.values():
        raw, unit = make(a, b, 2 * t), make(a.in_units(), b.in_units(), 2)
        assert (raw.temperature, unit.temperature, raw.in_units().temperature) == (t, 1, 1)
        same(raw(GRID), make(*plain, 2 * t)(GRID))
        same(raw.in_units()(GRID), unit(GRID))
        assert unit.in_units() is unit


# Normal form


def test_twice_not_is_nothing_and_a_weight_of_one_neither():
    a, both = gaussian(), gaussian() & wavy
    assert ~~a is a and 1 * a is a and a.at_temperature(1) is a and 2 * (0.5 * a) is a and a.in_units() is a
    assert ~~both is both and 1.0 * both is both
    assert str(~negation(a, 0.5)) == "0.5*g"


def test_sums_flatten_whatever_stands_between():
    a, b, c = (gaussian(name=n) for n in "abc")
    for nested in (a & (b & c), (a & b) & c, And(And(a), And(And(b, c))), conjunction(a, b, c)):
        assert list(nested) == [a, b, c] and len(nested) == 3
    assert str(0.5 * (a & 4 * (b & ~c))) == "0.5*a & 2.0*b & 2.0*~c"
    assert str(And(Scaled(0.5, And(a, Scaled(4, And(b, Not(c))))), c)) == "0.5*a & 2.0*b & 2.0*~c & c"


def test_weights_of_weights_and_of_negations_are_one_weight():
    a = gaussian(name="a")
    assert [type(scaled(2, t)) for t in (0.3 * a, ~a, ~(3 * a))] == [Scaled, Not, Not]
    assert (2 * (3 * a)).weight == 6 and (2 * (3 * a)).term is a
    assert (2 * ~(3 * a)).alpha == 6 and (~(3 * a)).term is a
    kept = 2 * negation(3 * a, margin=1.0)
    assert isinstance(kept, Not) and kept.alpha == 2 and str(kept) == "2.0*~[1.0]3.0*a"
    assert str(~negation(a, margin=1.0)) == "~~[1.0]a"


def test_alternatives_flatten_and_their_weights_add_up(quiet):
    a, b, c, d = (gaussian(m, name=n) for n, m in zip("abcd", (-1.0, 0.0, 1.0, 2.0), strict=True))
    inner = disjunction(a, b, log_weights=[0.5, -1.0])
    outer = disjunction(inner, c, disjunction(d, log_weights=[3.0]), log_weights=[2.0, -4.0, 1.0])
    assert list(outer) == [a, b, c, d] and outer.log_weights == (2.5, 1.0, -4.0, 4.0)
    same(outer(GRID), -torch.stack([2 - inner(GRID), -4 - c(GRID), 4 - d(GRID)]).logsumexp(0))


def test_one_leaf_is_one_leaf_however_often_it_is_written():
    a, b, calls = gaussian(name="a", calls=(seen := [])), gaussian(name="b", calls=(seen)), seen
    energy = a & 0.5 * a & disjunction(a, b, log_weights=[0, 0]) & ~(2 * b)
    assert leaves(energy) == [a, b] and leaves(a) == [a]
    energy(X)
    assert calls == ["a", "b"]


# Partition functions


def test_known_partition_functions_make_equal_shares_without_a_warning(quiet):
    a, b = gaussian(1, 2, log_z=log_z(2)), gaussian(-2, 3, log_z=log_z(3))
    mixed = a | b
    same(mixed(GRID), -(density(1, 2) + density(-2, 3)).log())
    assert mixed.log_z == pytest.approx(math.log(2))
    lopsided = disjunction(a, b, log_weights=[0.5 - a.log_z, 1 - b.log_z])
    assert lopsided.log_z == pytest.approx(math.log(math.exp(0.5) + math.e))


def test_unknown_ones_are_named_once_at_the_line_that_composed():
    a, b, c = gaussian(name="a"), gaussian(name="b", log_z=0.3), gaussian(name="c")
    for compose in (lambda: a | b | c, lambda: disjunction(a, b) | c, lambda: a | Or(b, c), lambda: Or(a, b, c)):
        with pytest.warns(EqualPartitionWarning) as caught:
            mixed = compose()
        assert {w.filename for w in caught} == {__file__}
        assert {w.lineno for w in caught} == {compose.__code__.co_firstlineno}
        named = [str(w.message).partition(" is not known")[0].removeprefix("Or: log Z of ") for w in caught]
        assert sorted(", ".join(named).split(", ")) == ["a", "c"]
        assert mixed.log_weights == (0, -0.3, 0) and mixed.log_z is None


def test_given_weights_are_taken_without_a_warning(quiet):
    a, b = gaussian(name="a"), gaussian(name="b", log_z=0.5)
    assert disjunction(a, b, log_weights=[0.0, -1.0]).log_weights == (0, -1)
    assert disjunction(a, b, log_weights=torch.tensor([0.0, -1.0])).log_weights == (0, -1)
    assert disjunction(a, b, log_weights=[2.0, None]).log_weights == (2, -0.5)
    assert (disjunction(a, a, log_weights=[0, 1]) | b).log_weights == (0, 1, -0.5)
    assert disjunction(a).log_weights == (0,)


# Temperatures and grounds


def test_energies_of_different_temperatures_warn_where_they_are_composed_and_units_help():
    hot, cold = gaussian(1, 2, "hot", temperature=2.0), gaussian(-1, 3, "cold", temperature=0.5)
    for compose in (lambda: hot & cold, lambda: disjunction(hot, cold, log_weights=[0, 0]), lambda: And(~hot, cold)):
        with pytest.warns(TemperatureWarning, match=r"hot at T = 2, cold at T = 0.5.*a.in_units\(\)") as caught:
            assert compose().temperature == 1
        assert [(w.filename, w.lineno) for w in caught] == [(__file__, compose.__code__.co_firstlineno)]


def test_in_units_temperatures_agree(quiet):
    hot, cold = gaussian(1, 2, "hot", temperature=2.0, log_z=0.7), gaussian(-1, 3, "cold", temperature=0.5)
    both = hot.in_units() & ~cold.in_units() & (2 * hot.in_units())
    same(both(GRID), 1.5 * hot(GRID) - 2 * cold(GRID))
    assert both.temperature == 1 and (~~cold.in_units()).temperature == (2 * ~cold.in_units()).temperature == 1
    assert hot.in_units().log_z is None and (0.5 * hot).log_z is None
    again = (hot & hot).in_units()
    assert again.temperature == 1 and {t.temperature for t in again} == {1}
    assert (hot & 3 * hot).temperature == 2 and (0.5 * cold).temperature == 0.5


def test_what_has_no_finite_integral_by_itself_is_told():
    a, b = gaussian(name="a"), gaussian(name="b")
    either = disjunction(a, ~b, log_weights=[0, 0])
    told = {a: True, ~a: False, ~~a: True, a & ~b: True, either: False, a & either: True, 2 * either: False,
            ~a & 0.5 * ~b: False, And(Scaled(0.5, ~a)): False, ~a & ~b & a: True, ~(~a & ~b): True}  # fmt: skip
    for energy, grounded in told.items():
        assert energy.grounded is grounded, str(energy)


def test_what_cannot_be_composed_says_why():
    a, b = gaussian(name="a"), gaussian(name="b")
    refused = {
        r"And: expected at least one energy, got none": lambda: And(),
        r"Or: expected at least one energy, got none": lambda: disjunction(),
        r"Or: expected 2 log-weights, one per term, got 3": lambda: Or(a, b, log_weights=[0, 0, 0]),
        r"Or: expected finite log-weights, got 0.0, nan": lambda: Or(a, b, log_weights=[0, math.nan]),
        r"Not: expected a finite alpha > 0, got 0.0": lambda: negation(a, 0),
        r"Not: expected a finite margin, got inf": lambda: negation(a, margin=math.inf),
        r"Scaled: expected a finite weight > 0, got -1.0; a negation is written ~energy": lambda: -1 * a,
        r"Scaled: expected a finite weight > 0, got 0.0": lambda: 1e-200 * (1e-200 * a),
        r"Scaled: expected a finite weight > 0, got nan": lambda: math.nan * (a & b),
        r"Scaled: expected a finite weight > 0, got -2.0": lambda: -2 * ~a,
        r"at_temperature: expected a finite temperature > 0, got 0": lambda: a.at_temperature(0),
        r"at_temperature: expected a finite temperature > 0, got inf": lambda: a / math.inf,
        r"at_temperature: expected a finite temperature > 0, got nan": lambda: Family().at_temperature(math.nan),
    }
    for message, compose in refused.items():
        with pytest.raises(ValueError, match=message):
            compose()
    for compose in (lambda: a & 3, lambda: "a" | a, lambda: a * b):
        with pytest.raises(TypeError):
            compose()


def test_an_energy_of_another_shape_is_refused_rather_than_broadcast():
    for wrong in (lambda x: x.sum(), lambda x: x.sum(1, keepdim=True), lambda x: x):
        energy = as_energy(wrong).named("wrong")
        for evaluate in (energy.gradient, gaussian() & energy, (gaussian() & energy).gradient):
            with pytest.raises(ValueError, match=r"wrong: expected one energy per sample, shape \(5,\), got"):
                evaluate(X)


# Operators and functions


def test_operators_take_plain_callables_on_either_side_and_numbers_of_any_kind(quiet):
    a: Term = gaussian(1.0)
    same((a & wavy)(X), (wavy & a)(X))
    same(disjunction(a, wavy, log_weights=[0, 0])(X), -torch.logaddexp(-a(X), -wavy(X)))
    for half in (0.5, np.float64(0.5), np.float32(0.5), torch.tensor(0.5), 1 / 2):
        for energy in (half * (a & wavy), (a & wavy) * half):
            assert isinstance(energy, Energy)
            same(energy(X), 0.5 * (a(X) + wavy(X)))
    with pytest.raises(EqualPartitionWarning):
        wavy | a


def test_nodes_tell_what_they_hold():
    a, b = gaussian(name="a"), gaussian(name="b")
    both, either = a & b, disjunction(a, b, log_weights=[0, 0])
    assert "2 terms" in repr(both) and "2 terms" in repr(either) and str(a) == "a"
    assert all(isinstance(e, Node) and e.value(X).equal(e(X)) for e in (both, either, ~a, 2 * a))
    with pytest.raises(NotImplementedError):
        Node().join([])


# Gradients

A, B, C = gaussian(0.5, 2, "A"), gaussian(-1.0, 0.7, "B"), as_energy(wavy)
COMPOSED = {
    "And": lambda: A & C,
    "Or": lambda: disjunction(A, B, C, log_weights=[0.3, -1, 0]),
    "Not": lambda: A & negation(C, 0.3),
    "Not, bounded": lambda: A & negation(B, 1.3, margin=2.0),
    "Scaled": lambda: 0.3 * C,
    "nested": lambda: (
        2 * A & disjunction(A & C, ~B, log_weights=[1, -1]) & ~(0.2 * disjunction(A, 3 * B, log_weights=[0, 1]))
    ),
}
every_composition = pytest.mark.parametrize("name", COMPOSED)


@every_composition
@pytest.mark.parametrize("shape", [(5,), (5, 3), (5, 2, 2, 1)])
def test_gradients_are_finite_differences(name, shape):
    energy = COMPOSED[name]()
    x, d = (torch.randn(*shape, generator=torch.Generator().manual_seed(s), dtype=torch.float64) for s in (2, 3))
    slope = (energy(x + H * d) - energy(x - H * d)) / (2 * H)
    value, gradient = energy.value_and_gradient(x)
    same((gradient * d).reshape(5, -1).sum(1), slope, atol=1e-7)
    same(value, energy(x))


@every_composition
def test_terms_explain_the_composition(name):
    energy = COMPOSED[name]()
    told, held = terms(energy, X), leaves(energy)
    assert isinstance(told, Terms) and told.names == [str(leaf) for leaf in held]
    for k, leaf in enumerate(held):
        value, gradient = leaf.value_and_gradient(X)
        same(told.values[k], value)
        same(told.gradients[k], gradient)
        along = {other: v + H * (other is leaf) for other, v in zip(held, told.values, strict=True)}
        against = {other: v - H * (other is leaf) for other, v in zip(held, told.values, strict=True)}
        same(told.weights[k], (energy.joined(along) - energy.joined(against)) / (2 * H), atol=1e-9)
    value, gradient = energy.value_and_gradient(X)
    same(told.value, value)
    same(told.gradient, gradient)
    same(terms(energy, X[:, 0]).gradient, energy.gradient(X[:, 0]))
    assert not any(t.requires_grad for t in told[1:])


def test_terms_of_a_lone_energy_and_of_one_that_does_not_depend_on_x():
    told = terms(A, X)
    assert told.names == ["A"] and told.weights.equal(torch.ones(1, 5, dtype=torch.float64))
    same(told.gradient, A.gradient(X))
    flat = A & as_energy(lambda x: torch.full((len(x),), 2.0, dtype=x.dtype)).named("flat")
    assert terms(flat, X).gradients[1].abs().max() == 0
    same(terms(flat, X).gradient, flat.gradient(X))


@every_composition
def test_batch_mates_never_matter(name):
    energy = COMPOSED[name]()
    for i in range(len(X)):
        same(energy(X[i : i + 1]), energy(X)[i : i + 1])
        same(terms(energy, X[i : i + 1]).weights[:, 0], terms(energy, X).weights[:, i])


def test_the_order_of_the_terms_does_not_matter():
    parts = [A, 0.5 * C, negation(B, 0.1)]
    for order in itertools.permutations(range(3)):
        same(conjunction(*(parts[i] for i in order))(X), conjunction(*parts)(X))
        mixed = disjunction(*(parts[i] for i in order), log_weights=[float(i) for i in order])
        same(mixed(X), disjunction(*parts, log_weights=[0, 1, 2])(X))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@every_composition
def test_the_dtype_is_that_of_x(name, dtype):
    value, gradient = COMPOSED[name]().value_and_gradient(X.to(dtype))
    told = terms(COMPOSED[name](), X.to(dtype))
    assert value.dtype == gradient.dtype == dtype
    assert {t.dtype for t in told[1:]} == {dtype}


# One call for the members of a family

FOLDS = pytest.mark.parametrize("folds", [False, True])


def mixture_of(family, conditions, anchor=None):
    a, b, c = (family(z, anchor).named(n) for z, n in zip(conditions, "abc", strict=True))
    return a & 0.5 * disjunction(a, b & C, log_weights=[0.2, -1]) & negation(c, 0.3, margin=4.0), (a, b, c)


def looped(a, b, c):
    """The value of `mixture_of`, member by member."""
    a, b, c, known = a(X), b(X), c(X), C(X)
    return a - 0.5 * torch.logaddexp(0.2 - a, -1 - b - known) + 0.3 * F.softplus(4 - c, threshold=100)


@FOLDS
@pytest.mark.parametrize("anchored", [False, True])
@pytest.mark.parametrize("own", ["shared", "per sample", "mixed"])
def test_members_of_a_family_are_evaluated_in_one_call(folds, anchored, own):
    family = Family(folds, anchored)
    shapes = {"shared": [()] * 3, "per sample": [(5,)] * 3, "mixed": [(), (5,), (1,)]}[own]
    anchor = X.flip(0) if anchored else None
    energy, members = mixture_of(family, [codes(*s, seed=k) for k, s in enumerate(shapes)], anchor)
    value = energy(X)
    assert family.calls == 1
    same(value, looped(*members))
    assert family.calls == 4
    terms(energy, X)
    assert family.calls == 5
    told = terms(energy, X)
    same(told.value, value)
    same(told.gradient, energy.gradient(X))
    for k, member in enumerate((members[0], members[1])):
        same(told.gradients[told.names.index("ab"[k])], member.gradient(X))


@FOLDS
def test_single_precision_agrees_with_the_loop_to_a_millionth(folds):
    family, x = Family(folds, dtype=torch.float32), X.float()
    members = [family(codes(5, seed=k, dtype=torch.float32)) for k in range(4)]
    value, loop = conjunction(*members)(x), sum(m(x) for m in members)
    assert value.dtype == torch.float32
    torch.testing.assert_close(value, loop, rtol=1e-6, atol=0)


@FOLDS
def test_several_families_and_plain_energies_stand_in_one_composition(folds):
    one, two, labels = Family(folds), Family(folds), Family(folds, condition_dims=0)
    levels = torch.arange(5, dtype=torch.float64)
    parts = [one(codes(seed=0)), A, two(codes(seed=1)), one(codes(5, seed=2)), labels(levels[2]), two(codes(seed=3))]
    parts.append(labels(levels))
    value = conjunction(*parts)(X)
    assert one.calls == two.calls == labels.calls == 1
    same(value, sum(p(X) for p in parts))


@FOLDS
@pytest.mark.parametrize("anchored", [False, True])
def test_replicas_of_a_batch_share_its_conditions(folds, anchored):
    family = Family(folds, anchored)
    anchor = X.flip(0) if anchored else None
    energy = family(codes(5), anchor) & family(codes(seed=2), anchor)
    replicas = torch.cat([X, X + 1, X - 1])
    same(energy(replicas), torch.cat([energy(X), energy(X + 1), energy(X - 1)]))
    for wrong in (X[:3], replicas[:7]):
        with pytest.raises(ValueError, match=rf"one condition for each of 5 samples, but x has {len(wrong)}"):
            family(codes(5), anchor)(wrong)


def test_anchors_of_their_own_do_not_mix():
    family = Family(folds=True, anchored=True)
    parts = [family(codes(seed=k), X + k) for k in range(3)]
    value = conjunction(*parts)(X)
    assert family.calls == 1
    same(value, sum(p(X) for p in parts))


def test_a_family_is_closed_with_an_anchor_if_and_only_if_it_is_anchored():
    with pytest.raises(ValueError, match=r"Family is anchored, pass the frame.*family\(c, anchor\)"):
        Family(anchored=True)(codes())
    with pytest.raises(ValueError, match="Family is not anchored"):
        Family()(codes(), X)


@FOLDS
def test_batch_mates_do_not_matter_to_members_of_a_family(folds):
    family, z = Family(folds), codes(5)
    together = mixture_of(family, [z, codes(seed=5), -z])[0](X)
    for i in range(5):
        one = z[i : i + 1]
        same(mixture_of(family, [one, codes(seed=5), -one])[0](X[i : i + 1]), together[i : i + 1])


@FOLDS
def test_conditions_and_weights_learn_through_a_gradient(folds):
    family, z = Family(folds), codes(5).requires_grad_()
    shared = codes(seed=4).requires_grad_()

    def moved():
        energy = mixture_of(family, [z, shared, -z])[0]
        return energy.gradient(X, create_graph=True).square().sum()

    for held in (z, shared, family.w):
        (told,) = torch.autograd.grad(moved(), held)
        direction = torch.randn(held.shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
        with torch.no_grad():
            held += H * direction
            above = moved().detach()
            held -= 2 * H * direction
            below = moved().detach()
            held += H * direction
        torch.testing.assert_close((told * direction).sum(), (above - below) / (2 * H), rtol=1e-6, atol=1e-6)


def test_compositions_move_copy_and_save_like_any_module():
    family = Family(dtype=torch.float32)
    energy = mixture_of(family, [codes(dtype=torch.float32, seed=k) for k in range(3)])[0]
    before = energy(X.float())
    assert {k.rpartition(".")[2] for k in energy.state_dict()} == {"w", "c"}
    twin = copy.deepcopy(energy)
    assert len({id(leaf.family) for leaf in leaves(twin) if isinstance(leaf, Closed)}) == 1
    assert not {id(leaf) for leaf in leaves(twin)} & {id(leaf) for leaf in leaves(energy)}
    with torch.no_grad():
        next(twin.parameters()).zero_()
    assert not torch.allclose(twin(X.float()), before) and energy(X.float()).equal(before)
    twin.load_state_dict(energy.state_dict())
    assert twin(X.float()).equal(before) and twin.double()(X).dtype == torch.float64
    torch.testing.assert_close(twin(X), before.double(), rtol=1e-5, atol=1e-5)
    assert [p.shape for p in energy.parameters()] == [(2, 3)]


def test_conditions_are_saved_with_a_composition_and_those_that_learn_are_parameters():
    family, anchor = Family(anchored=True), X.flip(0)
    learning = nn.Parameter(codes(seed=3))
    energy = family(codes(seed=1), anchor) & 0.5 * family(learning, anchor)
    other = family(torch.zeros(2).double(), torch.zeros_like(X)) & 0.5 * family(torch.zeros_like(learning), X)
    assert energy.state_dict().keys() == other.state_dict().keys()
    other.load_state_dict(energy.state_dict())
    same(other(X), energy(X))
    assert {id(p) for p in energy.parameters()} == {id(family.w), id(learning)}
    energy(X).sum().backward()
    assert learning.grad is not None and learning.grad.abs().min() > 0


def test_empty_batches_pass_through_families_with_conditions_for_all():
    for folds in (False, True):
        family = Family(folds)
        energy = family(codes(seed=1)) & 0.5 * family(codes(seed=2)) & torch.ones(5).double() * A
        value, gradient = energy.value_and_gradient(X[:0])
        assert value.shape == (0,) and gradient.shape == (0, 3)
