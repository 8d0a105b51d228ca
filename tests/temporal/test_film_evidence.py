"""The evidence of sets of energies against integrals on a grid, and segmentations against all there are."""

import math
from itertools import pairwise, product

import pytest
import torch

from ergosum.temporal.control import Bank
from ergosum.temporal.film.evidence import ErrorModel, Fits, calibrated, fit_sets, weigh
from ergosum.temporal.film.explained import act_of
from ergosum.temporal.film.segments import CHANGES, FOREIGN, Segmentation
from ergosum.temporal.reading import blurred
from temporal.movers import Groups, images

MODEL = ErrorModel(math.log(2e-4), 0.0, 0.5, noise=1e-5, directions=20.0)
VALUES = torch.full((1,), 3.0 * 144)


@pytest.fixture
def two():
    """What `hue` and `slide` make of frames, with moves (batch, 2)."""
    act = act_of(Bank([Groups()]))
    return lambda frames, moves: act(frames, torch.cat([moves, torch.zeros(len(moves), 1)], 1))


def test_evidence_by_laplace_is_that_of_an_integral_over_the_moves(two, rng):
    start = images(1, seed=4)
    noise = 0.05 * blurred(torch.randn(1, 3, 12, 12, generator=rng), 1.0)
    target = two(start, torch.tensor([[0.2, -0.15]])) + noise
    fits = fit_sets(two, start, target, 2, steps=(6, 4))
    told = weigh(fits, MODEL, acts=0.3, speed=0.7)
    line = torch.linspace(-1.2, 1.2, 61)

    def integral(active):
        axes = [line if k in active else torch.zeros(1) for k in range(2)]
        moves = torch.cartesian_prod(*axes)
        made = two(start.expand(len(moves), -1, -1, -1), moves)
        error = blurred(made - target, 1.0).square().mean((1, 2, 3))
        likelihood = weigh(_fits_of(error), MODEL).peak[:, 0]
        prior = sum(
            -0.5 * (moves[:, k].double() / 0.7).square() - math.log(0.7 * math.sqrt(2 * math.pi)) for k in active
        )
        cell = float(line[1] - line[0]) ** len(active)
        chance = len(active) * math.log(0.3) + (2 - len(active)) * math.log(0.7)
        return float((likelihood + prior).logsumexp(0)) + math.log(cell) + chance

    wanted = torch.tensor([[integral(a) for a in ([], [0], [1], [0, 1])]])
    assert fits.sets.tolist() == [[False, False], [True, False], [False, True], [True, True]]
    assert (told.explained - wanted).abs().max() < 0.15  # nats: the curvature is that of Gauss and Newton
    torch.testing.assert_close(told.explained.softmax(1), wanted.double().softmax(1), atol=0.03, rtol=0)
    assert 0.02 < wanted.softmax(1).max() < 0.999  # the posterior is a choice, not a foregone one


def _fits_of(error):
    """Pairs of which only the error is known, with no energy acting."""
    n = len(error)
    return Fits(torch.zeros(1, 2, dtype=torch.bool), torch.zeros(n, 1, 2), torch.zeros(n, 1, 2, 2), error[:, None],
                torch.zeros(n, 1), VALUES.expand(n))  # fmt: skip


def test_what_leaves_more_than_is_expected_is_foreign_by_more_nats():
    error = torch.tensor([2e-4, 6e-4, 2e-3, 1e-2, 1e-1])
    told = weigh(_fits_of(error), MODEL)
    assert (told.nats.diff() > 0).all() and told.nats[0] < 0 < told.nats[3]
    expected = ((error.double() + 3e-7).log() - math.log(2e-4)) / 0.5
    torch.testing.assert_close(told.score.double(), expected, atol=1e-2, rtol=1e-3)


def test_calibration_finds_the_error_that_pairs_were_made_with(rng):
    n = 400
    change = torch.exp(-8 + 3 * torch.rand(n, generator=rng))
    error = torch.exp(-3 + 0.5 * change.log() + 0.4 * torch.randn(n, generator=rng))
    sets = torch.tensor([[False], [True]])
    moves, bend = torch.stack([torch.zeros(n, 1), torch.full((n, 1), 0.5)], 1), torch.full((n, 2, 1, 1), 50.0)
    left, made = torch.stack([error + change, error], 1), torch.stack([torch.zeros(n), change], 1)
    fits = Fits(sets, moves, bend, left, made, VALUES.expand(n))
    model = calibrated(fits, 0.0, 0.08)
    assert abs(model.slope - 0.5) < 0.1 and abs(model.spread - 0.4) < 0.08
    assert abs(float(model.expected(torch.tensor(1e-3))) - (-3 + 0.5 * math.log(1e-3))) < 0.1


def test_probabilities_and_the_best_path_are_those_of_all_segmentations(rng):
    steps, tau, acts = 4, 0.7, 0.3
    read = torch.tensor([0.5, 0.55, -0.4, 0.3])
    sharp = torch.tensor([30.0, 50.0, 40.0, 20.0]).double()
    peak = torch.tensor([[-3.0, 0.0], [-2.5, 0.2], [-2.0, 0.1], [-0.2, 0.3]]).double()
    foreign = torch.tensor([-4.0, -5.0, -3.0, 2.5]).double()
    moves = torch.stack([torch.zeros(steps, 1), read[:, None]], 1)
    precision = torch.stack([torch.zeros(steps, 1, 1).double(), sharp[:, None, None]], 1)
    weights = weigh(_one(moves), MODEL)._replace(peak=peak, precision=precision, foreign=foreign)
    paths = Segmentation(_one(moves), weights, MODEL, acts, tau)
    grid = torch.linspace(-4, 4, 4001).double()
    prior = -0.5 * (grid / tau).square() - math.log(tau * math.sqrt(2 * math.pi)) + math.log(8 / 4000)

    def part(first, last, row):
        length = last - first
        if row == 2:
            return float(foreign[first]) + math.log(FOREIGN) if length == 1 else -math.inf
        cut = (length - 1) * math.log(1 - CHANGES) + math.log(CHANGES) + length * math.log(1 - FOREIGN)
        if row == 0:
            return float(peak[first:last, 0].sum()) + cut + math.log(1 - acts)
        each = sum(peak[t, 1] - 0.5 * sharp[t] * (grid - read[t].double()).square() for t in range(first, last))
        return float((each + prior).logsumexp(0)) + cut + math.log(acts)

    found = {}
    for cuts in product([False, True], repeat=steps - 1):
        edges = [0, *(i + 1 for i, c in enumerate(cuts) if c), steps]
        spans = list(pairwise(edges))
        for rows in product(range(3), repeat=len(spans)):
            path = tuple((a, b, r) for (a, b), r in zip(spans, rows, strict=True))
            found[path] = sum(part(*p) for p in path)
    total = torch.tensor(list(found.values())).logsumexp(0)
    active, alone = torch.zeros(steps), torch.zeros(steps)
    for path, value in found.items():
        for first, last, row in path:
            active[first:last] += math.exp(value - total) * (row == 1)
            alone[first:last] += math.exp(value - total) * (row == 2)
    told, other = paths.probabilities()
    torch.testing.assert_close(told[:, 0], active, atol=2e-3, rtol=0)
    torch.testing.assert_close(other, alone, atol=2e-3, rtol=0)
    best = max(found, key=lambda path: found[path])
    assert paths.best() == [(a, b, r if r < 2 else -1) for a, b, r in best]


def _one(moves):
    """Fits of one energy whose moves are given."""
    n = len(moves)
    return Fits(torch.tensor([[False], [True]]), moves, torch.ones(n, 2, 1, 1), torch.full((n, 2), 1e-3),
                torch.full((n, 2), 1e-3), VALUES.expand(n))  # fmt: skip
