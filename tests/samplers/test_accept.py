"""The accept test at the ends of its range, in every precision, and masks that are no masks."""

import pytest
import torch

from ergosum.energy import as_energy
from ergosum.samplers import (
    Descent,
    GibbsWithGradients,
    Hmc,
    Langevin,
    Mala,
    ParallelTempering,
    UnderdampedLangevin,
    tensors,
)
from ergosum.samplers.chain import State, sample
from ergosum.samplers.mala import DIVERGENT, accept
from ergosum.samplers.tensors import accepted, expect_mask

PRECISIONS = [torch.float16, torch.bfloat16, torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", PRECISIONS)
def test_what_cannot_be_is_never_accepted(dtype, rng):
    """A ratio of exp(-200) in a million tests; in bfloat16 one u in 512 is exactly 0."""
    assert not accepted(torch.full((1_000_000,), -200.0, dtype=dtype), rng).any()
    assert accepted(torch.zeros(1_000_000, dtype=dtype), rng).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_uniform_number_of_zero_accepts_nothing_that_is_less_likely_than_itself(dtype, monkeypatch):
    monkeypatch.setattr(tensors, "uniform", lambda x, generator: torch.zeros_like(x))
    least = torch.finfo(dtype).eps / 2
    ratio = torch.tensor([least / 4, least, 1.0], dtype=torch.float64).log().to(dtype)
    assert accepted(torch.tensor([-200.0, *ratio], dtype=dtype), None).tolist() == [False, False, True, True]


@pytest.mark.parametrize("p", [0.25, 1e-3])
@pytest.mark.parametrize("dtype", PRECISIONS)
def test_a_proposal_is_accepted_as_often_as_its_ratio_says(dtype, p, rng):
    n = 400_000
    share = accepted(torch.full((n,), p, dtype=torch.float64).log().to(dtype), rng).double().mean().item()
    exact = torch.tensor(p).log().to(dtype).double().exp().item()
    assert abs(share - exact) < 4 * (p * (1 - p) / n) ** 0.5


LADDER = ParallelTempering(kernel=Mala(step_size=0.05), temperatures=(1.0, 1.1))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32])
@pytest.mark.parametrize(
    "kernel", [Mala(step_size=0.05), Hmc(step_size=0.2, length=3), LADDER], ids=lambda k: type(k).__name__
)
def test_no_draw_lies_behind_a_wall(kernel, dtype, rng):
    """Flat within 1, a wall of height 200 beyond; in bfloat16, 7.4 % of MALA's draws were behind it."""
    walled = as_energy(lambda x: torch.where(x.abs() > 1, 200.0, 0.0).to(x.dtype).sum(1) + 0 * x.sum(1))
    chain = sample(kernel, walled, torch.zeros(2_000, 1, dtype=dtype), 200, generator=rng)
    assert chain.draws.dtype == dtype and (chain.draws.abs() <= 1).all() and chain.draws.abs().amax() > 0.9


def test_a_transition_is_divergent_from_the_threshold_on():
    """1000 units of temperature, as Stan counts; what is not finite is divergent and refused."""
    told = torch.tensor([-999.0, -1001.0, torch.nan, torch.inf, -torch.inf, 0.0])
    x = torch.zeros(6, 1)
    state, proposal = (State(x + k, torch.zeros(6) + k, x + k) for k in (0, 1))
    following, probability, divergent = accept(state, proposal, told, torch.Generator().manual_seed(0))
    assert DIVERGENT == 1000 and divergent.tolist() == [False, True, True, True, True, False]
    assert probability.tolist() == [0, 0, 0, 0, 0, 1] and following.x.flatten().tolist() == [0, 0, 0, 0, 0, 1]


MASKED = {
    "Descent": lambda mask: Descent(mask=mask),
    "Langevin": lambda mask: Langevin(step_size=0.5, mask=mask),
    "Mala": lambda mask: Mala(step_size=0.5, mask=mask),
    "Hmc": lambda mask: Hmc(step_size=0.5, mask=mask),
    "UnderdampedLangevin": lambda mask: UnderdampedLangevin(step_size=0.5, mask=mask),
    "GibbsWithGradients": lambda mask: GibbsWithGradients(mask=mask),
}


@pytest.mark.parametrize("name", MASKED)
def test_a_mask_is_of_zeros_and_ones(name):
    for bad in (0.5, -1.0, float("nan")):
        with pytest.raises(ValueError, match=f"{name}: expected a mask of booleans, or of 1 where x may move"):
            MASKED[name](torch.tensor([1.0, bad]))
    for good in (torch.tensor([1.0, 0.0]), torch.tensor([True, False]), torch.tensor([1, 0]), None):
        MASKED[name](good)
        expect_mask(name, good)


@pytest.mark.parametrize("name", [name for name in MASKED if name not in ("Descent", "GibbsWithGradients")])
@pytest.mark.parametrize("dtype", [torch.bool, torch.int64, torch.float64])
def test_the_same_mask_in_every_type_gives_the_same_draws(name, dtype):
    draws = []
    for mask in (torch.tensor([1.0, 0.0]), torch.tensor([1, 0]).to(dtype)):
        generator = torch.Generator().manual_seed(0)
        bowl = lambda x: x.square().sum(1) / 2  # noqa: E731
        draws.append(sample(MASKED[name](mask), bowl, torch.ones(3, 2), 5, generator=generator).draws)
    assert torch.equal(*draws)
