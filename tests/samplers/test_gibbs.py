"""Gibbs with gradients against enumeration: all corners of a small cube, and what one step makes of them."""

from itertools import product

import pytest
import torch

from ergosum.energies.sat import Clauses
from ergosum.energy import as_energy
from ergosum.samplers.chain import State, sample
from ergosum.samplers.gibbs import GibbsWithGradients
from ergosum.samplers.tempering import ParallelTempering

D = 5
CORNERS = torch.tensor(list(product([0.0, 1.0], repeat=D)), dtype=torch.float64)


def ising():
    """Spins on a ring with fields of their own, as a polynomial of zeros and ones."""
    generator = torch.Generator().manual_seed(1)
    field, bond = (torch.randn(D, generator=generator, dtype=torch.float64) for _ in range(2))

    def energy(x):
        spin = 2 * x - 1
        return -(spin * field + bond * spin * spin.roll(1, 1)).sum(1)

    return as_energy(energy)


CLAUSES = Clauses([[1, 2, -3], [-1, -1, 4], [3, -4, 5], [-5, -2, -2], [2, 3, 4]], variables=D)
ENERGIES = {"Ising": ising(), "Clauses": CLAUSES, "curved": as_energy(lambda x: (x.sum(1) - 2.3).pow(4) + x[:, 0])}


def transition(kernel, energy):
    """The matrix of one step's probabilities between all corners, from the kernel's own proposal and acceptance."""
    matrix = torch.zeros(len(CORNERS), len(CORNERS), dtype=torch.float64)
    place = {tuple(corner.tolist()): k for k, corner in enumerate(CORNERS)}
    state = kernel.init(energy, CORNERS)
    chance = kernel.log_proposal(CORNERS, state.gradient).exp()
    for i in range(D):
        flipped = CORNERS.clone()
        flipped[:, i] = 1 - flipped[:, i]
        there = kernel.init(energy, flipped)
        back = kernel.log_proposal(flipped, there.gradient).exp()
        ratio = ((state.energy - there.energy) / kernel.temperature).exp() * back[:, i] / chance[:, i]
        move = torch.nan_to_num(chance[:, i] * ratio.clamp(max=1))
        for k, corner in enumerate(flipped):
            matrix[k, place[tuple(corner.tolist())]] += move[k]
    matrix += torch.diag(1 - matrix.sum(1))
    return matrix


KERNELS = {
    "gradients": GibbsWithGradients(),
    "cold": GibbsWithGradients(temperature=0.4),
    "differences": GibbsWithGradients(differences=True, temperature=0.7),
}


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("target", ENERGIES)
def test_its_stationary_law_is_the_target_by_enumeration(name, target):
    """pi P = pi to rounding, every corner is reached from every other, and P is a matrix of probabilities."""
    kernel, energy = KERNELS[name], ENERGIES[target]
    matrix = transition(kernel, energy)
    law = (-energy(CORNERS) / kernel.temperature).softmax(0)
    torch.testing.assert_close(law @ matrix, law, rtol=0, atol=1e-14)
    assert (matrix >= -1e-15).all() and (
        torch.linalg.matrix_power(matrix + torch.eye(len(matrix)).double(), 64) > 0
    ).all()


@pytest.mark.parametrize("name", KERNELS)
@pytest.mark.parametrize("target", ENERGIES)
def test_a_step_moves_as_its_transition_matrix_says(name, target, rng):
    """From each corner 4,000 chains: all 1,024 counts are within 5 binomial standard errors."""
    kernel, energy, n = KERNELS[name], ENERGIES[target], 4_000
    matrix = transition(kernel, energy)
    x = CORNERS.repeat_interleave(n, 0)
    end = sample(kernel, energy, x, 1, generator=rng).x
    powers = 2 ** torch.arange(D - 1, -1, -1, dtype=torch.float64)
    counts = torch.zeros_like(matrix).index_put_(
        ((x @ powers).long(), (end @ powers).long()), torch.ones(len(x)).double(), accumulate=True
    )
    error = (n * matrix * (1 - matrix)).clamp(min=0).sqrt()
    assert ((counts - n * matrix).abs() <= 5 * error + 1e-6).all()


@pytest.mark.parametrize(
    "kernel", [GibbsWithGradients(), GibbsWithGradients(differences=True)], ids=["gradients", "differences"]
)
def test_in_the_long_run_every_corner_has_its_share(kernel, rng):
    energy, n = ENERGIES["Ising"], 20_000
    law = (-energy(CORNERS)).softmax(0)
    start = CORNERS[law.multinomial(n, replacement=True, generator=rng)]
    end = sample(kernel, energy, start, 8, keep=8, generator=rng).x
    share = (end[:, None] == CORNERS).all(2).double().mean(0)
    assert ((share - law).abs() < 4.5 * (law * (1 - law) / n).sqrt()).all() and not torch.equal(end, start)


def test_fixed_variables_stay_and_the_others_follow_the_conditional(rng):
    energy, n = ENERGIES["Ising"], 20_000
    mask = torch.tensor([1, 1, 0, 0, 1])
    known = CORNERS[(CORNERS[:, 2] == 1) & (CORNERS[:, 3] == 0)]
    law = (-energy(known)).softmax(0)
    start = known[law.multinomial(n, replacement=True, generator=rng)]
    chain = sample(GibbsWithGradients(mask=mask), energy, start, 6, keep=6, generator=rng)
    assert torch.equal(chain.x[:, 2:4], start[:, 2:4])
    share = (chain.x[:, None] == known).all(2).double().mean(0)
    assert ((share - law).abs() < 4.5 * (law * (1 - law) / n).sqrt()).all()


def planted(variables, clauses, seed):
    """A random formula that a hidden assignment satisfies."""
    generator = torch.Generator().manual_seed(seed)
    hidden = torch.randint(2, (variables,), generator=generator)
    kept = []
    while len(kept) < clauses:
        place = torch.randperm(variables, generator=generator)[:3]
        sign = torch.randint(2, (3,), generator=generator)
        if (hidden[place] == sign).any():
            kept.append(((place + 1) * (2 * sign - 1)).tolist())
    return Clauses(kept, variables)


@pytest.mark.parametrize(("differences", "steps"), [(False, 800), (True, 150)])
def test_a_formula_is_satisfied_on_a_ladder_of_temperatures(differences, steps, rng):
    """40 variables, 120 clauses; from random assignments, which leave one clause of eight unsatisfied."""
    formula = planted(40, 120, 0)
    ladder = ParallelTempering(kernel=GibbsWithGradients(differences=differences), temperatures=(0.2, 0.35, 0.6))
    start = (torch.rand(20, 40, generator=rng) < 0.5).float()
    chain = sample(ladder, formula, start, steps, generator=rng)
    assert formula(start).min() > 5 and chain.energy.min() == 0 and (chain.energy.amin(0) <= 1).all()


def test_what_it_cannot_sample_is_refused():
    bowl = as_energy(lambda x: x.square().sum(1))
    with pytest.raises(ValueError, match="expected x of zeros and ones; round it"):
        sample(GibbsWithGradients(), bowl, torch.full((2, 3), 0.5), 1)
    with pytest.raises(ValueError, match="at least one free variable in every chain"):
        sample(GibbsWithGradients(mask=torch.zeros(3)), bowl, torch.zeros(2, 3), 1)
    with pytest.raises(ValueError, match="expected a temperature > 0, got 0"):
        GibbsWithGradients(temperature=0.0)
    state, _ = GibbsWithGradients().step(bowl, State(torch.zeros(2, 3)))
    assert state.n == 1 and state.energy is not None
