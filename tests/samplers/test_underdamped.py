"""BAOAB against its own laws: exact on a Gaussian but for its momenta, and of second order elsewhere."""

import pytest
import torch

from ergosum.energies.gaussian import Gaussian
from ergosum.energy import as_energy
from ergosum.samplers.chain import State, run, sample
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.underdamped import UnderdampedLangevin

N = 20_000
SIGMAS = 4.0


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def z_of_variance(x, variance):
    return abs((x.square().mean().item() - variance) / (variance * (2 / x.numel()) ** 0.5))


@pytest.mark.parametrize("friction", [0.2, 5.0])
@pytest.mark.parametrize(
    ("h", "mass", "temperature"), [(0.3, 1.0, 1.0), (1.5, 1.0, 1.0), (1.5, 1.0, 0.4), (2.0, 4.0, 2.0)]
)
def test_on_a_gaussian_positions_are_exact_and_momenta_follow_their_law(h, mass, temperature, friction, rng):
    """From draws of Var x = T s^2, Var p = m T (1 - h^2 / 4 m s^2), uncorrelated, to the same, 15 steps on."""
    variance = 0.7
    law = mass * temperature * (1 - h**2 / (4 * mass * variance))
    assert law > 0
    x, p = (v**0.5 * torch.randn(N, 1, generator=rng, dtype=torch.float64) for v in (temperature * variance, law))
    kernel = UnderdampedLangevin(step_size=h, friction=friction, mass=mass, temperature=temperature)
    bowl = Gaussian(double(0.0), double(variance))
    state = kernel.init(bowl, x)._replace(held=p)
    chain = sample(kernel, bowl, state, 15, keep=15, generator=rng)
    end, momentum = chain.x, chain.state.held
    assert z_of_variance(end, temperature * variance) < SIGMAS and z_of_variance(momentum, law) < SIGMAS
    assert abs((end * momentum).mean()) < SIGMAS * (temperature * variance * law / N) ** 0.5
    moved = (end - x).square().mean().item()
    assert moved > 0.1 * variance * temperature, "it should have moved"


def test_the_law_is_reached_from_elsewhere(rng):
    kernel = UnderdampedLangevin(step_size=0.5, friction=1.0)
    energy = Gaussian(double(1.0, -2.0), double([2.0, 1.2], [1.2, 1.0]))
    x = sample(kernel, energy, torch.zeros(N, 2, dtype=torch.float64), 150, keep=150, generator=rng).x - energy.mean
    assert abs((x @ energy.precision * x).sum(1).mean().item() - 2) < SIGMAS * 2 / N**0.5
    assert (x.mean(0).abs() < SIGMAS * (energy.variance / N).sqrt()).all()


WAVY = as_energy(lambda x: (x.square() / 2 + (2 * x).cos()).sum(1))
"""Two wells, and curvatures from -3 to 5."""


def biases(kernel, chains, rng):
    """Of the mean of x^2 and, if there is a momentum, of p^2, from draws of the target: (bias, its standard error)."""
    grid = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
    density = (-WAVY(grid[:, None])).softmax(0)
    x = grid[density.multinomial(chains, replacement=True, generator=rng)][:, None]
    sums, counted = [torch.zeros(chains, dtype=torch.float64) for _ in range(2)], 0
    for step in run(kernel, WAVY, x, 150, generator=rng):
        if step.n > 50:
            held = step.state.held
            sums[0] += step.x[:, 0].square()
            sums[1] += 0 if held is None else held[:, 0].square()
            counted += 1
    truths = (density * grid.square()).sum().item(), 1.0
    each = [(s / counted - t) for s, t in zip(sums, truths, strict=True)]
    return [(e.mean().item(), e.std().item() / chains**0.5) for e in each]


def test_off_a_gaussian_momenta_are_biased_to_second_order_and_positions_far_less_than_langevin(rng):
    """Halving h divides the momenta's bias by 4. Overdamped dynamics with as much noise has h^2 / 2 for its step."""
    (x, p), (_, q) = (biases(UnderdampedLangevin(step_size=h), 40_000, rng) for h in (0.6, 0.3))
    ratio, error = p[0] / q[0], abs(p[0] / q[0]) * ((p[1] / p[0]) ** 2 + (q[1] / q[0]) ** 2) ** 0.5
    assert abs(ratio - 4) < SIGMAS * error + 0.3 and ratio - SIGMAS * error > 2.8, (ratio, error)
    overdamped, _ = biases(Langevin(step_size=0.18), 40_000, rng)
    assert abs(x[0]) < abs(overdamped[0]) / 5 and abs(overdamped[0]) > 10 * overdamped[1]


def test_without_friction_and_noise_it_is_leapfrog():
    """A step is a half kick, a move in two halves, and a half kick; the energy is kept to second order."""
    bowl, x, p = Gaussian(double(0.0)), double([1.0]), double([0.5])
    kernel = UnderdampedLangevin(step_size=0.1, friction=1e-12, temperature=0.0)
    start = kernel.init(bowl, x)._replace(held=p)
    state, _ = kernel.step(bowl, start)
    half = p - 0.05 * x
    torch.testing.assert_close(state.x, x + 0.1 * half, rtol=1e-9, atol=0)
    torch.testing.assert_close(state.held, half - 0.05 * state.x, rtol=1e-9, atol=0)


def test_masses_and_masks_are_per_coordinate(rng):
    kernel = UnderdampedLangevin(step_size=0.5, mass=double(1.0, 4.0), mask=double(1.0, 0.0))
    energy = Gaussian(double(0.0, 0.0), double([1.0, 0.8], [0.8, 1.0]))
    fixed = torch.full((N, 1), 1.5, dtype=torch.float64)
    free = 1.2 + 0.6 * torch.randn(N, 1, generator=rng, dtype=torch.float64)
    chain = sample(kernel, energy, torch.cat([free, fixed], 1), 40, keep=40, generator=rng)
    assert torch.equal(chain.x[:, 1:], fixed) and (chain.state.held[:, 1] == 0).all()
    assert z_of_variance(chain.x[:, 0] - 1.2, 0.36) < SIGMAS


def test_settings_out_of_range_are_refused_and_foreign_states_taken_up():
    for bad in ({"friction": 0.0}, {"friction": float("nan")}, {"mass": torch.tensor([1.0, 0.0])}):
        with pytest.raises(ValueError, match="friction > 0 and every mass > 0"):
            UnderdampedLangevin(step_size=0.1, **bad)
    with pytest.raises(ValueError, match="UnderdampedLangevin: expected a step size > 0"):
        UnderdampedLangevin(step_size=0.0)
    state, _ = UnderdampedLangevin(step_size=0.1).step(Gaussian(torch.zeros(2)), State(torch.ones(3, 2), n=4))
    assert state.n == 5 and state.held.shape == (3, 2)


def test_an_autocorrelation_follows_from_the_friction(rng):
    """On a flat energy a momentum is multiplied by exp(-gamma h) each step."""
    flat = as_energy(lambda x: 0 * x.sum(1))
    kernel = UnderdampedLangevin(step_size=0.5, friction=0.8)
    p = torch.randn(N, 1, generator=rng, dtype=torch.float64)
    state = kernel.init(flat, torch.zeros_like(p))._replace(held=p)
    following, _ = kernel.step(flat, state, rng)
    correlation = (p * following.held).mean() / p.square().mean()
    assert abs(correlation.item() - torch.tensor(-0.4).exp().item()) < SIGMAS / N**0.5
