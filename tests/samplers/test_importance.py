"""What importance weights have in common: their mean and its error, the path, resampling, kernels that are refused."""

import warnings

import pytest
import torch

from ergosum.energies.gaussian import Gaussian
from ergosum.energy import as_energy
from ergosum.samplers import (
    Annealed,
    Descent,
    Hmc,
    Langevin,
    Mala,
    ParallelTempering,
    UnderdampedLangevin,
    igebm,
    sample,
)
from ergosum.samplers.guards import NonFiniteError
from ergosum.samplers.importance import (
    FewDrawsWarning,
    LogZ,
    between,
    draws_of,
    expect_exact,
    gap,
    log_mean,
    systematic,
    told,
)


def double(*numbers):
    return torch.tensor(numbers, dtype=torch.float64)


def test_the_log_of_a_mean_and_its_error_are_those_of_the_weights(rng):
    weight = torch.rand(1_000, generator=rng, dtype=torch.float64)
    found = log_mean(weight.log() + 800)
    assert found.value == pytest.approx(weight.mean().log().item() + 800)
    assert found.error == pytest.approx((weight.std() / weight.mean() / 1_000**0.5).item())
    assert found.effective == pytest.approx((weight.sum() ** 2 / weight.square().sum()).item())


def test_of_correlated_weights_the_effective_sample_size_counts(rng):
    """An autoregressive chain with correlation r from step to step has (1 - r) / (1 + r) as many independent draws."""
    r, steps, chains = 0.8, 4_000, 8
    rows = [torch.randn(chains, generator=rng, dtype=torch.float64)]
    for _ in range(steps - 1):
        rows.append(r * rows[-1] + (1 - r**2) ** 0.5 * torch.randn(chains, generator=rng, dtype=torch.float64))
    log_weight = 0.3 * torch.stack(rows).flatten()
    naive, honest = log_mean(log_weight), log_mean(log_weight, (steps, chains))
    assert honest.value == naive.value
    assert honest.error / naive.error == pytest.approx(((1 + r) / (1 - r)) ** 0.5, rel=0.1)
    assert honest.effective / naive.effective == pytest.approx((1 - r) / (1 + r), rel=0.2)
    assert log_mean(torch.zeros(40), (10, 4)).error == 0


def test_the_path_leads_from_one_energy_to_the_other_whatever_their_units():
    a, b, x = Gaussian(double(0.0)), Gaussian(double(1.0), double(0.5)), double([0.3], [-2.0])
    b.temperature = 7.0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        middle = between(a, b, 0.25)
    torch.testing.assert_close(middle(x), 0.75 * a(x) + 0.25 * b(x))
    assert between(a, b, 1.0) is b
    torch.testing.assert_close(gap("bridge", a, b, x), a(x) - b(x))
    with pytest.raises(NonFiniteError, match=r"bridge: .* not a number at draw 1"):
        gap("bridge", a, as_energy(lambda x: torch.where(x[:, 0] < 0, torch.nan, 0.0)), x)


def test_draws_of_a_chain_come_with_its_shape():
    x = torch.zeros(3, 2)
    assert draws_of(x) == (x, None)
    chain = sample(Langevin(step_size=0.1), Gaussian(torch.zeros(2)), x, 5)
    flat, shape = draws_of(chain)
    assert shape == (5, 3) and torch.equal(flat.view(5, 3, 2), chain.draws)


def test_an_estimate_of_few_draws_is_told_in_one_line():
    with pytest.warns(
        FewDrawsWarning, match=r"^bridge: the estimate rests on 3.0 effective draws, .*; anneal\.$"
    ) as seen:
        told("bridge", LogZ(0.0, 0.1, 3.0), "anneal")
    assert len(seen) == 1 and "\n" not in str(seen[0].message)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert told("bridge", LogZ(0.0, 0.1, 30.0), "anneal") == LogZ(0.0, 0.1, 30.0)


@pytest.mark.parametrize("n", [7, 1_000])
def test_systematic_resampling_takes_each_as_often_as_its_share_rounded_up_or_down(n, rng):
    log_weight = 2 * torch.randn(3, n, generator=rng)
    index = systematic(log_weight, rng)
    for row, weights in zip(index, log_weight, strict=True):
        share = n * weights.double().softmax(0)
        count = torch.bincount(row, minlength=n)
        assert (count >= share.floor() - 1e-9).all() and (count <= share.ceil() + 1e-9).all() and len(row) == n


def test_systematic_resampling_is_unbiased(rng):
    log_weight = torch.tensor([0.0, -1.0, 2.0, -3.0]).repeat(20_000, 1)
    count = torch.nn.functional.one_hot(systematic(log_weight, rng), 4).double().sum(1)
    share = 4 * log_weight[0].softmax(0).double()
    error = (count.var(0) / len(count)).sqrt().clamp(min=1e-9)
    assert ((count.mean(0) - share).abs() < 4 * error + 1e-6).all()


@pytest.mark.parametrize(
    "sampler",
    [
        Langevin(step_size=0.1), Descent(), UnderdampedLangevin(step_size=0.1), igebm(),
        Annealed.over(Mala(step_size=0.1), 2, temperatures=(2.0, 1.0)),
        ParallelTempering(kernel=Mala(step_size=0.1), temperatures=(1.0, 2.0)),
    ],
    ids=lambda s: type(s).__name__,
)  # fmt: skip
def test_a_biased_kernel_is_refused_with_a_reason(sampler):
    with pytest.raises(ValueError, match=f"expected an exact kernel such as Mala.*got {type(sampler).__name__}"):
        expect_exact("annealed_importance", sampler)


def test_a_kernel_at_another_temperature_is_refused():
    for temperature in (3.0, torch.tensor([1.0, 3.0])):
        with pytest.raises(ValueError, match="expected a kernel at temperature 1, got Hmc at"):
            expect_exact("tempered_smc", Hmc(step_size=0.1, temperature=temperature))
    expect_exact("tempered_smc", Hmc(step_size=0.1, temperature=torch.ones(3)))
