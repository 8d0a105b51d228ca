"""What remarks 2 and 3 of the source claim: checking is cheap, and a minimum of zero is a satisfying assignment."""

import doctest
from itertools import pairwise, product

import pytest
import torch
from torch.overrides import TorchFunctionMode

from ergosum.compose import And
from ergosum.energies import sat
from ergosum.energies.gaussian import Gaussian
from ergosum.energies.sat import Clauses


def formula(seed, clauses, variables):
    generator = torch.Generator().manual_seed(seed)
    place = torch.randint(1, variables + 1, (clauses, 3), generator=generator)
    return place * (2 * torch.randint(0, 2, (clauses, 3), generator=generator) - 1)


def assignments(variables):
    return torch.tensor(list(product((0.0, 1.0), repeat=variables)))


def holds(literals, assignment):
    """The truth of a formula, in plain Python."""
    return all(any((assignment[abs(i) - 1] > 0) == (i > 0) for i in clause) for clause in literals)


class Counter(TorchFunctionMode):
    """Counts the elements that operations write."""

    def __init__(self):
        super().__init__()
        self.written = 0

    def __torch_function__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.written += result.numel() if isinstance(result, torch.Tensor) else 0
        return result


def cost(clauses, variables):
    energy, x = Clauses(formula(0, clauses, variables), variables), torch.zeros(1, variables)
    with Counter() as counter, torch.no_grad():
        energy(x)
    return counter.written


@pytest.mark.parametrize("seed", range(6))
def test_the_least_energy_is_zero_exactly_if_the_formula_is_satisfiable(seed):
    literals = formula(seed, 6 + 8 * seed, 5)
    least = Clauses(literals, 5)(assignments(5)).min().item()
    satisfiable = any(holds(literals.tolist(), a) for a in assignments(5).tolist())
    assert (least == 0) == satisfiable


def test_both_kinds_of_formula_are_among_those_tried():
    least = [Clauses(formula(s, 6 + 8 * s, 5), 5)(assignments(5)).min().item() for s in range(6)]
    assert min(least) == 0 < max(least)


def test_all_signs_over_three_variables_leave_exactly_one_clause_unsatisfied():
    every = [[s * (i + 1) for i, s in enumerate(signs)] for signs in product((1, -1), repeat=3)]
    assert Clauses(every, 3)(assignments(3)).tolist() == [1.0] * 8


def test_each_clause_counts_once_if_none_of_its_literals_holds():
    literals = formula(7, 30, 6)
    one_by_one = sum(Clauses(clause[None], 6)(assignments(6)) for clause in literals)
    assert Clauses(literals, 6)(assignments(6)).equal(one_by_one)
    plain = [sum(not holds([c], a) for c in literals.tolist()) for a in assignments(6).tolist()]
    assert one_by_one.tolist() == plain


def test_an_evaluation_is_linear_in_clauses_and_does_not_depend_on_variables():
    costs = [cost(k, 50) for k in (100, 200, 300, 400)]
    steps = {b - a for a, b in pairwise(costs)}
    assert len(steps) == 1 and 0 < steps.pop() <= 100 * 20  # a handful of numbers for each of three literals
    assert cost(100, 50) == cost(100, 5000)


def test_the_sum_of_two_formulas_is_the_joined_formula():
    a, b = formula(8, 10, 5), formula(9, 15, 5)
    x = torch.randn(40, 5, generator=torch.Generator().manual_seed(0))
    joined = Clauses(torch.cat([a, b]), 5)
    assert And(Clauses(a, 5), Clauses(b, 5))(x).equal(joined(x))
    assert joined.literals.equal(torch.cat([a, b]))


def test_coordinates_are_rounded_and_clamped_to_truth_values():
    energy = Clauses([[1, 1, 1]], 1)
    assert energy(torch.tensor([[-3.0], [0.0], [0.5], [0.51], [1.0], [7.0]])).tolist() == [1, 1, 1, 0, 0, 0]


def test_its_gradient_is_zero_alone_and_in_compositions():
    energy, x = Clauses(formula(1, 5, 4), 4), torch.randn(6, 4, generator=torch.Generator().manual_seed(1))
    bowl = Gaussian(torch.zeros(4))
    assert energy.gradient(x).equal(torch.zeros(6, 4)) and And(energy, energy).gradient(x).equal(torch.zeros(6, 4))
    torch.testing.assert_close((energy & bowl).gradient(x), bowl.gradient(x))


@pytest.mark.parametrize(
    "literals, variables, message",
    [
        ([[1, 2]], 3, r"of shape \(K, 3\)"),
        ([[1.0, 2.0, 3.0]], 3, "expected whole numbers"),
        ([[1, 2, 0]], 3, "got 0; variables are counted from 1"),
        ([[1, -4, 2]], 3, "got -4"),
        ([[1, 1, 1]], 0, "at least one variable"),
        (torch.zeros(0, 3, dtype=torch.long), 3, "one clause"),
    ],
)
def test_formulas_that_cannot_be_read_are_refused(literals, variables, message):
    with pytest.raises(ValueError, match=message):
        Clauses(literals, variables)


def test_the_example_does_what_it_shows():
    done = doctest.testmod(sat, extraglobs={"torch": torch})
    assert done.attempted == 2 and done.failed == 0
