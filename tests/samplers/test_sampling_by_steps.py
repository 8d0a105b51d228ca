"""A run that is watched step by step is the run that is not."""

import pytest
import torch

from ergosum.energies.gaussian import Gaussian
from ergosum.report.sampling import sample_plane, sampling_plane
from ergosum.samplers.chain import finished, sample, sampling
from ergosum.samplers.mala import Mala

ENERGY = Gaussian(torch.zeros(2).double(), 1.0)


def test_steps_are_yielded_as_they_are_taken_and_the_chain_is_returned():
    x, options = torch.ones(5, 2).double(), {"keep": 2, "discard": 3}
    seen = []

    def watched():
        chain = yield from sampling(
            Mala(step_size=0.2), ENERGY, x, 11, generator=torch.Generator().manual_seed(1), **options
        )
        return chain

    running = watched()
    while True:
        try:
            seen.append(next(running))
        except StopIteration as end:
            chain = end.value
            break
    whole = sample(Mala(step_size=0.2), ENERGY, x, 11, generator=torch.Generator().manual_seed(1), **options)
    assert [step.n for step in seen] == list(range(1, 12))
    assert torch.equal(chain.draws, torch.stack([step.x for step in seen[3:]][1::2]))
    assert torch.equal(chain.draws, whole.draws) and torch.equal(chain.energy, whole.energy)


def test_finished_returns_what_a_generator_returns():
    def counting():
        yield 1
        yield 2
        return "end"

    assert finished(counting()) == "end"


@pytest.mark.parametrize("sampler", ["mala", "langevin", "half-noise"])
def test_the_plane_shows_density_and_start_before_the_first_step(sampler):
    running = sampling_plane("ring & 0.5*~box", sampler, steps=20, chains=7, seed=3)
    grid, start = next(running)
    assert grid.probability.sum().item() == pytest.approx(1) and start.shape == (7, 2)
    first = next(running)
    assert first.n == 1 and first.x.shape == (7, 2)
    running.close()
    whole = sample_plane("ring & 0.5*~box", sampler, steps=20, chains=7, seed=3)
    watched = finished(sampling_plane("ring & 0.5*~box", sampler, 20, 7, 3))
    assert torch.equal(watched.chain.draws, whole.chain.draws) and watched.numbers == whole.numbers


def test_a_film_of_the_plane_has_a_point_where_each_chain_is():
    run = sample_plane("box", "mala", steps=50, chains=2, seed=0)
    film = run.film(most=5)
    assert len(film) == 5 and {frame.size for frame in film} == {(320, 320)}
    for frame, draws in ((film[0], run.chain.draws[0]), (film[-1], run.chain.draws[-1])):
        for x, y in draws.tolist():
            place = round((x / 4 + 1) * 160), round((1 - y / 4) * 160)
            assert max(frame.getpixel(place)) < 80, "ink"
