"""Where chains start: data, noise, and the replay buffer."""

import math

import pytest
import torch

from ergosum.density.objectives import FromData, FromNoise, GaussianNoise, Replay, UniformNoise
from ergosum.part import Part

X = torch.zeros(50, 3)


def visit(start, rng, n=50, label=0):
    """One update whose chains end one further than they started."""
    begun = start.begin(torch.zeros(n, 3), torch.full((n,), label), rng)
    told = start.end(begun.x + 1)
    return begun, told


def test_data_and_noise(rng):
    x, c = torch.rand(5, 3, generator=rng), torch.arange(5)
    assert torch.equal(FromData().begin(x, c, rng).x, x)
    begun = FromNoise(noise=Part(UniformNoise, low=2.0, high=3.0)).begin(torch.zeros(1000, 3), torch.arange(1000), rng)
    assert begun.x.min() >= 2 and begun.x.max() <= 3 and begun.x.std() > 0.25
    assert torch.equal(begun.c, torch.arange(1000))
    made = GaussianNoise(deviation=2.0, mean=1.0).draw(torch.zeros(4000, 3), rng)
    assert abs(made.mean() - 1) < 4 * 2 / math.sqrt(12000) and abs(made.std() - 2) < 4 * 2 / math.sqrt(24000)
    with pytest.raises(ValueError, match="low < high"):
        UniformNoise(low=1.0, high=1.0)


def test_chains_go_on_where_they_ended_with_the_class_that_they_began_with(rng):
    start = Replay(size=50, restart=0.0)
    first, _ = visit(start, rng, label=3)
    where = start.slots.clone()
    again, told = visit(start, rng, label=7)
    assert (again.c == 3).all()
    torch.testing.assert_close(again.x[start.slots.argsort()], (first.x + 1)[where.argsort()])
    assert told["age"] == 2 and (start.age == 2).all()


def test_each_chain_starts_anew_by_itself_with_its_probability(rng):
    """Of 40 x 50 visits, restarts are binomial; and no batch restarts as a whole."""
    start = Replay(size=50, restart=0.2, noise=Part(UniformNoise, low=-0.5, high=0.5))
    visit(start, rng)
    counts = []
    for n in range(40):
        begun, _ = visit(start, rng, label=n + 1)
        anew = begun.c == n + 1
        assert (begun.x[anew].abs() <= 0.5).all(), "a new start is noise"
        assert (begun.x[~anew] >= 0.5).all(), "an old chain has moved"
        counts.append(anew.sum().item())
    share, error = sum(counts) / 2000, math.sqrt(0.2 * 0.8 / 2000)
    assert abs(share - 0.2) < 4 * error
    assert 0 < max(counts) < 30


def test_slots_are_different_and_those_never_visited_start_from_noise(rng):
    start = Replay(size=1000, restart=0.0)
    for n in range(4):
        before = (start.age == 0).sum().item() if start.x is not None else 1000
        begun, _ = visit(start, rng, label=n)
        assert len(set(start.slots.tolist())) == 50
        assert (begun.c == n).sum() == before - (start.age == 0).sum().item()


def test_the_buffer_is_saved_with_the_run(rng):
    one, other = Replay(size=60), Replay(size=60)
    assert one.state() == {}
    for n in range(3):
        visit(one, rng, label=n)
    other.load({k: v.clone() for k, v in one.state().items()})
    a, b = (visit(s, torch.Generator().manual_seed(9))[0] for s in (one, other))
    assert torch.equal(a.x, b.x) and torch.equal(a.c, b.c)
    other.load({})
    assert other.state() == {}
    with pytest.raises(ValueError, match="a buffer of 7 chains, got one of 60"):
        Replay(size=7).load(one.state())


def test_a_batch_must_fit_the_buffer(rng):
    with pytest.raises(ValueError, match="at most size = 10, got 50; enlarge"):
        Replay(size=10).begin(X, torch.zeros(50, dtype=torch.int64), rng)
