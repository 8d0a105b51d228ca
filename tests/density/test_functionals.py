"""What every loss functional obeys, and the value of each by hand."""

import math

import pytest
import torch

from ergosum.density.functionals import (
    EnergyLoss,
    Functional,
    HingeLoss,
    LogLoss,
    Lvq2Loss,
    Margin,
    MceLoss,
    NllLoss,
    PerceptronLoss,
    SquareExponentialLoss,
    SquareSquareLoss,
    offending,
)

BY_HAND = {
    "EnergyLoss": (EnergyLoss(), 0.9),
    "PerceptronLoss": (PerceptronLoss(), 0.9 - 0.4),
    "HingeLoss": (HingeLoss(margin=0.7), 0.7 + 0.9 - 0.4),
    "LogLoss": (LogLoss(), math.log(1 + math.exp(0.9 - 0.4))),
    "Lvq2Loss": (Lvq2Loss(delta=2.0), (0.9 - 0.4) / (2.0 * 0.4)),
    "MceLoss": (MceLoss(scale=0.5), 1 / (1 + math.exp(-(0.9 - 0.4) / 0.5))),
    "SquareSquareLoss": (SquareSquareLoss(margin=0.7), 0.9**2 + (0.7 - 0.4) ** 2),
    "SquareExponentialLoss": (SquareExponentialLoss(gamma=3.0), 0.9**2 + 3 * math.exp(-0.4)),
    "NllLoss": (NllLoss(beta=2.0), 0.9 + math.log(math.exp(-1.8) + math.exp(-0.8) + math.exp(-2.4)) / 2),
}
"""Each functional, and its value of the energies (0.9, 0.4, 1.2) where the first answer is right."""

every = pytest.mark.parametrize("name", BY_HAND)
margins = pytest.mark.parametrize("name", [n for n, (f, _) in BY_HAND.items() if isinstance(f, Margin)])


def of(name):
    return BY_HAND[name][0]


def table(rng, n=6, answers=5):
    """Energies in 0.2 .. 2.2 and right answers."""
    energies = 0.2 + 2 * torch.rand(n, answers, generator=rng, dtype=torch.float64)
    return energies, torch.randint(answers, (n,), generator=rng)


@every
def test_the_value_is_the_one_by_hand(name):
    functional, value = BY_HAND[name]
    energies = torch.tensor([[0.9, 0.4, 1.2]], dtype=torch.float64)
    assert functional(energies, torch.tensor([0])).item() == pytest.approx(value, rel=1e-12)


@every
def test_the_gradient_is_that_of_finite_differences(name, rng):
    energies, answer = table(rng)
    energies.requires_grad_()
    assert torch.autograd.gradcheck(lambda e: of(name)(e, answer), (energies,), eps=1e-7, atol=1e-5)


@every
def test_the_right_answer_is_never_pushed_up_and_no_wrong_one_pulled_down(name, rng):
    energies, answer = table(rng, 200)
    energies.requires_grad_()
    (slope,) = torch.autograd.grad(of(name)(energies, answer).sum(), energies)
    right = torch.nn.functional.one_hot(answer, 5).bool()
    assert (slope[right] >= 0).all() and (slope[right] > 0).any() and (slope[~right] <= 0).all()


@every
def test_only_energies_and_the_right_answer_count_and_not_their_order_or_the_rest_of_the_batch(name, rng):
    energies, answer = table(rng)
    whole = of(name)(energies, answer)
    order = torch.randperm(5, generator=rng)
    torch.testing.assert_close(of(name)(energies[:, order], order.argsort()[answer]), whole)
    for i in range(len(answer)):
        torch.testing.assert_close(of(name)(energies[i : i + 1], answer[i : i + 1])[0], whole[i])


@every
def test_flat_energies_are_a_minimum_exactly_where_the_functional_says_that_they_may_be(name):
    """Over energies in 0 .. 30 of two answers; every infimum is 0 there, up to exp(-30)."""
    grid = torch.linspace(0, 30, 601, dtype=torch.float64)
    right, wrong = torch.meshgrid(grid, grid, indexing="ij")
    loss = of(name)(torch.stack([right, wrong], -1).flatten(0, 1), torch.zeros(601**2, dtype=torch.int64))
    lowest = loss.min().item()
    flat = loss.view(601, 601).diagonal().min().item()
    assert abs(lowest) < 1e-9
    assert (flat - lowest < 1e-9) == of(name).collapses
    assert of(name).collapses or flat > 0.1


def test_the_hinge_is_quiet_from_its_margin_on():
    hinge, answer = HingeLoss(margin=0.5), torch.tensor([0])
    assert hinge(torch.tensor([[1.0, 1.5]]), answer).item() == 0
    assert hinge(torch.tensor([[1.0, 1.4]]), answer).item() == pytest.approx(0.1)


def test_likelihood_is_that_of_a_softmax_and_tends_to_the_perceptron(rng):
    energies, answer = table(rng)
    softmax = torch.nn.functional.cross_entropy(-energies, answer, reduction="none")
    torch.testing.assert_close(NllLoss()(energies, answer), softmax)
    cold = NllLoss(beta=1e4)(energies, answer)
    torch.testing.assert_close(cold, PerceptronLoss()(energies, answer), atol=math.log(5) / 1e4, rtol=0)


def test_quantisation_gives_up_what_is_far_from_right():
    loss, answer = Lvq2Loss(delta=0.5), torch.tensor([0])
    for right, told in ((0.9, 0.0), (1.25, 0.5), (1.5, 1.0), (9.0, 1.0)):
        assert loss(torch.tensor([[right, 1.0]]), answer).item() == pytest.approx(told)
    assert loss(torch.zeros(1, 2), answer).item() == 0
    with pytest.raises(ValueError, match="energies >= 0, got -1"):
        loss(torch.tensor([[1.0, -1.0]]), answer)


@margins
def test_of_a_continuous_answer_only_candidates_further_than_epsilon_are_wrong(name):
    """Candidates at 0, 0.1, 0.2 and 1 from the right one: the lowest of those further than 0.15 counts."""
    settings = {**vars(of(name)), "epsilon": 0.15}
    functional = type(of(name))(**settings)
    energies = torch.tensor([[0.9, 0.1, 0.4, 1.2]], dtype=torch.float64)
    distance = torch.tensor([[0.0, 0.1, 0.2, 1.0]], dtype=torch.float64)
    value = functional(energies, torch.tensor([0]), distance).item()
    assert value == pytest.approx(BY_HAND[name][1])
    near = functional(energies, torch.tensor([0]), torch.zeros_like(distance) + distance.clamp(max=0.2))
    assert near.item() == pytest.approx(value)
    with pytest.raises(ValueError, match=r"no answer further than epsilon = 0\.15"):
        functional(energies, torch.tensor([0]), distance / 10)


def test_the_most_offending_answer_is_the_best_of_the_wrong_ones():
    energies = torch.tensor([[3.0, 1.0, 2.0], [3.0, 1.0, 2.0]])
    assert offending(energies, torch.tensor([1, 0])).tolist() == [2.0, 1.0]


def test_a_functional_of_your_own_says_what_it_costs(rng):
    class Worst(Functional):
        def of(self, energies, answer, distance):
            return energies.amax(1) - energies.amin(1)

    assert Worst()(*table(rng)).shape == (6,)


@pytest.mark.parametrize(
    ("energies", "answer", "told"),
    [
        (torch.zeros(2, 1), torch.tensor([0, 0]), r"answers >= 2\), got shape \(2, 1\)"),
        (torch.zeros(2, 3), torch.tensor([0]), r"shape \(2,\), got \(1,\)"),
        (torch.zeros(2, 3), torch.tensor([0.0, 1.0]), "int64 answer"),
        (torch.zeros(2, 3), torch.tensor([-1, 0]), r"answers 0 \.\. 2, got -1 \.\. 0; a sample without a label"),
        (torch.full((2, 3), torch.nan), torch.tensor([0, 0]), "not finite"),
    ],
)
def test_what_does_not_fit_is_told_in_one_line(energies, answer, told):
    with pytest.raises(ValueError, match=told):
        HingeLoss()(energies, answer)


@pytest.mark.parametrize(
    "make",
    [
        lambda: HingeLoss(margin=0.0),
        lambda: SquareSquareLoss(margin=-1.0),
        lambda: SquareExponentialLoss(gamma=0.0),
        lambda: Lvq2Loss(delta=0.0),
        lambda: MceLoss(scale=-1.0),
        lambda: NllLoss(beta=0.0),
        lambda: LogLoss(epsilon=-1.0),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match=r"expected .* >=? 0, got"):
        make()
