"""What descent does on a bowl, and through which steps a trajectory can be differentiated."""

import pytest
import torch
from cases import CONDITION, IMAGE

from ergosum.energy import as_energy, summed
from ergosum.nets.transport import Bowl
from ergosum.samplers.chain import State, Varying, differentiable_steps, run
from ergosum.samplers.descent import Descent
from ergosum.samplers.tensors import gaussian, masked

START = torch.tensor([[0.3, -0.8], [1.1, 0.4]], dtype=torch.float64)
STEPS = 4


def test_step_size_one_lands_on_the_mean_of_a_bowl():
    state, _ = Descent(step_size=1.0).step(Bowl(CONDITION.anchor), State(IMAGE))
    torch.testing.assert_close(state.x, CONDITION.anchor)


@pytest.mark.parametrize("h", [0.1, 0.5, 1.5])
def test_descent_closes_in_on_a_bowl_by_one_minus_h_per_step(h):
    bowl = Bowl(CONDITION.anchor)
    steps = list(run(Descent(step_size=h), bowl, IMAGE, 5))
    assert [s.n for s in steps] == [1, 2, 3, 4, 5]
    for step in steps:
        expected = CONDITION.anchor + (1 - h) ** step.n * (IMAGE - CONDITION.anchor)
        torch.testing.assert_close(step.x, expected)


def test_noise_has_the_stated_standard_deviation(rng):
    flat = as_energy(lambda x: 0 * x.flatten(1).sum(1))
    n = 20_000
    state, _ = Descent(noise=0.3).step(flat, State(torch.zeros(n, 1)), generator=rng)
    assert abs(state.x.std().item() - 0.3) < 4 * 0.3 / (2 * n) ** 0.5  # four standard errors of a standard deviation


def _loss(theta, gradient, window=2):
    """Squared distance of the N-step map to a point; the energy bends with theta."""
    bent = as_energy(lambda x: (x.square() / 2 + theta * (3 * x).cos()).sum(1))
    graph = differentiable_steps(gradient, STEPS, window)
    steps = run(Descent(step_size=0.3), bent, START, STEPS, graph=graph)
    return (list(steps)[-1].x - 0.2).square().sum()


def _slope(gradient, window=2):
    theta = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    (slope,) = torch.autograd.grad(_loss(theta, gradient, window), theta)
    return slope.item()


def test_the_full_gradient_is_that_of_the_whole_map():
    h = 1e-5
    up, down = (_loss(torch.tensor(0.2 + s, dtype=torch.float64), "last").item() for s in (h, -h))
    assert _slope("full") == pytest.approx((up - down) / (2 * h), rel=1e-7)


def test_with_the_loss_on_the_last_step_last_and_truncated_agree():
    assert _slope("last") == pytest.approx(_slope("truncated"), rel=1e-12)
    assert _slope("last") != pytest.approx(_slope("full"), rel=1e-2)


def test_a_window_of_all_steps_is_full_and_a_window_of_one_is_last():
    assert _slope("window", STEPS) == pytest.approx(_slope("full"), rel=1e-12)
    assert _slope("window", STEPS + 3) == pytest.approx(_slope("full"), rel=1e-12)
    assert _slope("window", 1) == pytest.approx(_slope("last"), rel=1e-12)
    assert len({round(_slope("window", m), 9) for m in range(1, STEPS + 1)}) == STEPS


def test_only_the_chosen_steps_build_a_graph():
    theta = torch.tensor(0.2, dtype=torch.float64, requires_grad=True)
    bent = as_energy(lambda x: theta * x.square().sum(1))
    built = {}
    for mode in ("last", "truncated", "window", "full"):
        steps = run(Descent(step_size=0.1), bent, START, 4, graph=differentiable_steps(mode, 4, 2))
        built[mode] = [s.x.requires_grad for s in steps]
    no, yes = False, True
    assert built == {"last": [no, no, no, yes], "truncated": [yes] * 4, "window": [no, no, yes, yes], "full": [yes] * 4}


def test_the_energy_of_a_step_may_be_anchored_where_the_step_starts():
    shift = torch.ones(2, 3)
    steps = list(run(Descent(), Varying(lambda n, x: Bowl(x + n * shift)), torch.zeros(2, 3), 3))
    assert [s.x[0, 0].item() for s in steps] == [1, 3, 6]


def test_noise_is_zero_where_a_mask_holds(rng):
    noise = gaussian(torch.zeros(4, 2), rng, torch.tensor([1.0, 0.0]))
    assert (noise[:, 1] == 0).all() and (noise[:, 0] != 0).all()


def test_sums_go_over_all_but_the_batch_and_masks_hide_what_is_not_finite():
    assert summed(torch.ones(3, 2, 4)).tolist() == [8, 8, 8] and summed(torch.ones(3)).tolist() == [1, 1, 1]
    slope = torch.tensor([[1.0, torch.nan]])
    assert masked(slope, torch.tensor([1.0, 0.0])).tolist() == [[1, 0]] and masked(slope, None) is slope
