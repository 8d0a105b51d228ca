"""Formulas: text and composition say the same, and nothing else can be said."""

import warnings
from functools import reduce

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from ergosum.compose import (
    And,
    EqualPartitionWarning,
    Named,
    Not,
    Or,
    Scaled,
    conjunction,
    disjunction,
    leaves,
    negation,
    terms,
)
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import as_energy
from ergosum.formula import DEPTH, FormulaError, UnknownNameError, parse_formula, show
from ergosum.samplers.guards import refuse_ungrounded

X = torch.randn(4, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
PLAIN = {
    "a": lambda x: (x - 1).square().sum(1),
    "b": lambda x: 0.3 * (x + 1).square().sum(1),
    "male.face": lambda x: x.sin().sum(1),
    "d-2": lambda x: x.abs().sum(1),
}
NAMES = {name: as_energy(function).named(name) for name, function in PLAIN.items()}
quickly = settings(max_examples=100, deadline=None, derandomize=True)

numbers = st.one_of(st.sampled_from([0.5, 1.0, 2.0]), st.floats(0.05, 8))
trees = st.recursive(
    st.sampled_from(list(PLAIN)),
    lambda inner: st.one_of(
        st.tuples(st.just("&"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("|"), st.lists(inner, min_size=2, max_size=3), st.none()),
        st.lists(inner, min_size=1, max_size=3).flatmap(
            lambda parts: st.tuples(
                st.just("|"), st.just(parts), st.lists(st.floats(-3, 3), min_size=len(parts), max_size=len(parts))
            )
        ),
        st.tuples(st.just("~"), inner, numbers, st.none() | st.floats(-4, 4)),
        st.tuples(st.just("*"), numbers, inner),
    ),
    max_leaves=8,
)


@pytest.fixture(autouse=True)
def assumed_equal():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", EqualPartitionWarning)
        yield


def composed(tree, by_class=False):
    """The composition of a tree: in normal form, or node by node."""
    if isinstance(tree, str):
        return NAMES[tree]
    if tree[0] == "*":
        return (Scaled if by_class else lambda w, t: w * t)(tree[1], composed(tree[2], by_class))
    if tree[0] == "~":
        return (Not if by_class else negation)(composed(tree[1], by_class), *tree[2:])
    parts = [composed(t, by_class) for t in tree[1]]
    if tree[0] == "&":
        return And(*parts) if by_class else reduce(lambda a, b: a & b, parts)
    return (Or if by_class else disjunction)(*parts, log_weights=tree[2])


def value_of(tree):
    """The energy of a tree, evaluated as it is written."""
    if isinstance(tree, str):
        return PLAIN[tree](X)
    if tree[0] == "*":
        return tree[1] * value_of(tree[2])
    if tree[0] == "~":
        energy, margin = value_of(tree[1]), tree[3]
        return tree[2] * (-energy if margin is None else F.softplus(margin - energy, threshold=500))
    values = torch.stack([value_of(t) for t in tree[1]])
    if tree[0] == "&":
        return values.sum(0)
    return -(torch.tensor(tree[2] or [0.0] * len(values), dtype=torch.float64)[:, None] - values).logsumexp(0)


def near(a, b):
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-9)


@quickly
@given(trees)
def test_a_composition_is_written_and_read_back(tree):
    try:
        energy = composed(tree)
    except ValueError:
        assume(False)
        raise
    text = show(energy)
    again = parse_formula(text, NAMES)
    assert show(again) == text == str(energy)
    near(energy(X), value_of(tree))
    near(again(X), energy(X))
    assert again.grounded == energy.grounded


@quickly
@given(trees)
def test_normal_form_changes_no_value(tree):
    try:
        energy = composed(tree, by_class=True)
    except ValueError:
        assume(False)
        raise
    near(energy(X), value_of(tree))
    near(parse_formula(show(energy), NAMES)(X), value_of(tree))


SIGNS = "ab&|~*:()[]-+.,0123456789 e\n\té∞$_'"
PIECES = [*SIGNS, *NAMES, "exp(", "exp(-1e400):", "1e999", "~[", "0:", "1e-320*", "9e307*", "exp(1e308):"]
VALID = [
    "a & ~b",
    "male.face & (a | ~d-2)",
    "0.5*a & ~[1.5] 0.3*(b & a)",
    "0.25:a | exp(-1.5):b | 1:d-2",
    "~~a & ((2*(a | b)))",
]


def reads_or_points(text):
    """Every text is read, or refused with a mark under one of its characters or its end."""
    try:
        parse_formula(text, NAMES)(X)
    except FormulaError as error:
        *_, line, mark = str(error).split("\n")
        assert mark.strip() == "^" and 0 <= mark.index("^") - 2 <= len(text) == len(line) - 2
        assert f"at character {mark.index('^') - 1}:" in str(error)


@quickly
@given(
    st.sampled_from(VALID),
    st.lists(st.tuples(st.integers(0, 40), st.integers(0, 2), st.sampled_from(PIECES)), max_size=4),
)
def test_a_damaged_formula_is_read_or_refused_where_it_is_damaged(text, damages):
    for place, removed, added in damages:
        text = text[:place] + added + text[place + removed :]
    reads_or_points(text)


@quickly
@given(st.lists(st.sampled_from(PIECES), max_size=12).map("".join) | st.text(max_size=12))
def test_any_text_is_read_or_refused(text):
    reads_or_points(text)


@pytest.mark.parametrize("text", VALID)
def test_every_beginning_of_a_formula_is_read_or_refused(text):
    for end in range(len(text) + 1):
        reads_or_points(text[:end])


@pytest.mark.parametrize(
    "text, what, mark",
    [
        ("", "expected a name, a number, '~' or '(', but the formula ends", 0),
        ("a & ", "expected a name, a number, '~' or '(', but the formula ends", 3),
        ("a & (b | )", "expected a name, a number, '~' or '(', got ')'", 9),
        ("a b", "expected '&', '|' or the end, got 'b'", 2),
        ("(a & b", "expected ')', but the formula ends", 6),
        ("a & c", "no energy is called 'c' (known: a, b, male.face, d-2)", 4),
        ("a &\n\t§b", "cannot read '§'", 5),
        ("0*a", "expected a finite weight > 0, got '0'", 0),
        ("a | 0:b", "expected a finite weight > 0, got '0'", 4),
        ("exp(1e999):a | b", "expected a finite weight, got 'exp(1e999):'", 0),
        ("2 a", "expected '*', got 'a'", 2),
        ("a & -2*b", "expected a name, a number, '~' or '(', got '-'", 4),
        ("~[x]a", "expected a margin, a number, got 'x'", 2),
        ("~[1 a", "expected ']', got 'a'", 4),
        ("~[1e999]a", "Not: expected a finite margin, got inf", 0),
        ("a & 1e200*1e200*b", "Scaled: expected a finite weight > 0, got inf", 4),
        ("exp(1e308):(exp(1e308):a | b) | b", "Or: expected finite log-weights, got inf, 1e+308, 0.0", 0),
    ],
)
def test_what_cannot_be_read_is_pointed_at(text, what, mark):
    with pytest.raises(FormulaError) as error:
        parse_formula(text, NAMES)
    message, line, under = str(error.value).split("\n")
    assert message.startswith(f"Formula: {what}") and message.endswith(f" at character {mark + 1}:")
    assert line == "  " + text.replace("\n", " ").replace("\t", " ") and under == "  " + " " * mark + "^"


def test_all_names_that_stand_for_nothing_are_told():
    with pytest.raises(UnknownNameError) as error:
        parse_formula("a & (c | ~e | 2*c)", {"a": NAMES["a"]})
    assert error.value.names == ("c", "e") and error.value.known == ("a",)
    assert "no energy is called 'c'" in str(error.value)


def test_not_binds_before_and_and_and_before_or():
    a, b, c, d = NAMES.values()
    read = parse_formula("a | b & ~male.face & 0.5*d-2", NAMES)
    assert isinstance(read, Or) and read.parts[0] is a
    near(read(X), -torch.logaddexp(-a(X), c(X) - b(X) - d(X) / 2))
    assert show(parse_formula("((a)) & (b & ~(~(male.face)))", NAMES)) == "a & b & male.face"
    assert show(parse_formula("  0.50 * ( a&2*b ) ", NAMES)) == "0.5*a & b"


def test_weights_are_read_and_written_without_loss():
    a, b = NAMES["a"], NAMES["b"]
    for weights in ([0.0, -1.5], [-900.0, 2.0], [1e-17, 0.1]):
        energy = disjunction(a, b, log_weights=weights)
        assert parse_formula(show(energy), NAMES).log_weights == tuple(weights)
    read = parse_formula("0.25:a | .75:(b | 2:a) | exp(+1E0):b", NAMES)
    torch.testing.assert_close(torch.tensor(read.log_weights).exp(), torch.tensor([0.25, 0.75, 1.5, 2.718282]))
    assert show(disjunction(a, b, log_weights=[-0.6931471805599453, 0])) == "0.5:a | 1:b"
    assert show(disjunction(a, log_weights=[0]) & b) == "(1:a) & b"


def test_a_formula_without_weights_warns_where_it_is_parsed_and_one_with_weights_does_not():
    known = {"p": as_energy(PLAIN["a"]), "q": as_energy(PLAIN["b"])}
    with pytest.warns(EqualPartitionWarning, match="log Z of p, q is not known") as caught:
        parse_formula("p | q", known)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert show(parse_formula("1:p | 1:q", known)) == "1:p | 1:q"
        known["p"].log_z, known["q"].log_z = 0.5, 0.25
        assert parse_formula("p | q", known).log_weights == (-0.5, -0.25)
        assert parse_formula("p | 1:q", known).log_weights == (-0.5, 0)
        assert show(parse_formula("p | 1:q", known)) == "p | 1:q"


def test_names_stand_for_callables_energies_and_compositions():
    count = []

    def once(x):
        count.append(len(x))
        return x.square().sum(1)

    names = {"once": once, "pair": NAMES["a"] & NAMES["b"], "größe": PLAIN["a"]}
    energy = parse_formula("once & 2*once & pair & ~0.1*größe", names)
    assert show(energy) == "once & 2.0*once & pair & 0.1*~größe"
    energy(X)
    assert count == [4]
    assert parse_formula("once", names).name == "once" and as_energy(once).named("other").name == "other"


def test_nothing_is_evaluated_and_nesting_is_bounded():
    for text in ("__import__('os').system('true')", "a.__class__", "NAMES", "a & (lambda: 1)()", "a ** 2", "exp(1)"):
        with pytest.raises(FormulaError):
            parse_formula(text, NAMES)
    for deep in ("(" * DEPTH + "a" + ")" * DEPTH, "~" * DEPTH + "a", "0.99*" * DEPTH + "a", "~[1]" * DEPTH + "a"):
        assert torch.isfinite(parse_formula(deep, NAMES)(X)).all()
        with pytest.raises(FormulaError, match=f"expected at most {DEPTH} nested signs"):
            parse_formula(
                ("~(" if deep[0] == "(" else deep[: deep.index("a") // DEPTH]) + deep + ")" * (deep[0] == "("), NAMES
            )
    with pytest.raises(FormulaError):
        parse_formula("(" * 100_000, NAMES)
    assert len(list(parse_formula(" & ".join(["a"] * 2000), NAMES))) == 2000


def test_a_conjunction_of_one_is_written_as_that_one():
    either = disjunction(NAMES["a"], NAMES["b"], log_weights=[1, 2])
    assert show(And(either)) == show(conjunction(either)) == show(either)


def test_reading_a_formula_leaves_the_energies_as_they_are():
    one, other = as_energy(PLAIN["a"]), as_energy(PLAIN["b"]).named("mine")
    before = [(e.name, str(e)) for e in (one, other)]
    read = parse_formula("p & ~(0.5*q)", {"p": one, "q": other})
    assert show(read) == "p & 0.5*~q" and terms(read, X).names == ["p", "q"]
    assert [(e.name, str(e)) for e in (one, other)] == before
    assert leaves(read) == [one, other]


def test_one_energy_under_two_names_is_written_with_both_and_evaluated_once():
    count = []

    def energy(x):
        count.append(len(x))
        return x.square().sum(1)

    held = as_energy(energy)
    names = {"p": held, "q": held}
    read = parse_formula("p & q | 0.3*q", names)
    assert show(read) == "p & q | 0.3*q" == show(parse_formula(show(read), names))
    near(read(X), -torch.logaddexp(-2 * held(X), -0.3 * held(X)))
    assert len(count) == 3 and leaves(read) == [held] and terms(read, X).names == ["p"]
    assert show(parse_formula("q", names)) == "q" and show(parse_formula("2*p & p", names)) == "2.0*p & p"


def test_a_named_composition_is_written_by_its_name_unless_it_merges_with_what_stands_around():
    a, b, c = NAMES["a"], NAMES["b"], NAMES["d-2"]
    names = {"sum": a & b, "half": 0.5 * a, "either": disjunction(a, b, log_weights=[0, 1]), "no": ~a, "d-2": c}
    assert show(parse_formula("sum & ~half & d-2", names)) == "sum & ~half & d-2"
    assert show(parse_formula("~~no & d-2", names)) == "~a & d-2"
    merged = parse_formula("1:d-2 | either", names)
    assert show(merged) == "1:d-2 | 1:a | exp(1.0):b" and len(merged) == 3
    near(parse_formula("0.3*sum & ~no", names)(X), 0.3 * (a(X) + b(X)) + a(X))
    renamed = parse_formula("other", {"other": parse_formula("sum", names)})
    assert show(renamed) == "other" and isinstance(renamed, Named) and renamed.term.parts == (a, b)


def test_negations_may_come_first_and_alone_are_no_density():
    a, b, c = NAMES["a"], NAMES["b"], NAMES["d-2"]
    for energy in (~a & ~b & c, parse_formula("~a & ~b & d-2", NAMES), parse_formula("(~a & ~b) & d-2", NAMES)):
        near(energy(X), c(X) - a(X) - b(X))
        assert energy.grounded and show(energy) == "~a & ~b & d-2"
    alone = parse_formula("~a & 0.5*~b", NAMES)
    assert not alone.grounded
    near(alone(X), -a(X) - 0.5 * b(X))
    with pytest.raises(ValueError, match="a negation alone has no finite integral and cannot be sampled"):
        refuse_ungrounded(alone)
    assert parse_formula("~(~a & ~b)", NAMES).grounded and show(parse_formula("~(~a & 2*~b)", NAMES)) == "a & 2.0*b"


def test_a_named_energy_has_the_gradient_and_the_log_z_of_its_own():
    known = Gaussian(torch.zeros(2).double(), 0.5)
    read = parse_formula("p", {"p": known})
    value, gradient = read.value_and_gradient(X)
    near(gradient, known.gradient(X))
    near(value, known(X))
    assert read.log_z == known.log_z and parse_formula("0.5*p", {"p": known}).log_z == known.log_z_at(2.0)
    known.temperature = 2.0
    unit = parse_formula("p & p", {"p": known}).in_units()
    near(unit(X), known(X))
    assert show(unit) == "0.5*p & 0.5*p"
