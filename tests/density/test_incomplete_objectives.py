"""Learning from incomplete data: what is hidden has no say, and the truth is where learning rests."""

import math

import pytest
import torch
from torch import nn

from ergosum.data import Incomplete, LabelledImages, SaltAndPepper
from ergosum.density import DenoisingScore, Densities, Density, Landscape, LevelEnergy, MaskedScore, Pixels, Recovery
from ergosum.density.forms import InnerProduct, Level
from ergosum.density.objective import Given
from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.fills import Fills
from ergosum.energies import Gaussian
from ergosum.energy import Conditional
from ergosum.nets import LevelEncoder, LevelUNet
from ergosum.part import Part
from ergosum.samplers.langevin import Langevin

TRUE = 0.7


class Bell(Conditional):
    """N(m, 1) in every coordinate, noised exactly; m is learned."""

    condition_dims = 0
    lowest, highest, event = 0.05, 4.0, (6,)
    deviation = torch.ones(())

    def __init__(self, mean):
        super().__init__()
        self.m = nn.Parameter(torch.tensor(float(mean), dtype=torch.float64))

    def levels(self, n, generator):
        low, high = math.log(self.lowest), math.log(self.highest)
        return low + (high - low) * torch.rand(n, generator=generator, dtype=torch.float64)

    def noised(self, x, log_sigma, generator):
        z = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        return x + log_sigma.exp()[:, None] * z, z

    def placed(self, x, log_sigma):
        return x - self.m.detach(), Level(log_sigma.exp()[:, None], self.deviation.double())

    def log_density(self, x, log_sigma, c):
        v = 1 + (2 * log_sigma).exp()[:, None]
        return -((x - self.m) ** 2 / (2 * v) + v.log() / 2).sum(1)

    def bind(self, z, anchor):
        return self.member(self.m)

    def member(self, m):
        return Gaussian(m.detach().expand(6), torch.ones((), dtype=torch.float64))

    def at_noise(self, sigma):
        return Noised(self, sigma)


class Noised(Conditional):
    condition_dims = 0

    def __init__(self, family, sigma):
        super().__init__()
        self.family, self.sigma = family, sigma

    def bind(self, z, anchor):
        return self.family.bind(z, anchor).at_noise(self.sigma)


class Well(Conditional):
    """|x - m|^2 / 2 in every coordinate, whose m can be differentiated: an energy for chains."""

    condition_dims = 0

    def __init__(self, mean):
        super().__init__()
        self.m = nn.Parameter(torch.tensor(float(mean), dtype=torch.float64))

    def bind(self, z, anchor):
        from ergosum.energy import as_energy

        return as_energy(lambda x: ((x - self.m) ** 2).sum(1) / 2)


def incomplete(n, generator, hidden=0.5, fill=5.0):
    """Draws of the truth with coordinates hidden, filled with something far away."""
    x = TRUE + torch.randn(n, 6, generator=generator, dtype=torch.float64)
    known = torch.rand(n, 6, generator=generator) > hidden
    known[:, 0] = True
    return torch.where(known, x, fill), Given(known, torch.arange(n))


def slope_at(mean, objective, family, n=4000, seed=0, parts=20):
    """Mean gradient in m, and its standard error, over batches."""
    generator = torch.Generator().manual_seed(seed)
    found = []
    for _ in range(parts):
        model = family(mean)
        x, given = incomplete(n // parts, generator)
        told = objective().loss(model, x, torch.full((len(x),), -1), generator, 0.9, given)
        told.loss.backward()
        found.append(model.m.grad.item())
    g = torch.tensor(found)
    return g.mean().item(), g.std().item() / parts**0.5


def test_with_everything_known_it_is_denoising(rng):
    x = torch.randn(8, 6, generator=rng, dtype=torch.float64)
    given = Given(torch.ones(8, 6, dtype=torch.bool), torch.arange(8))
    one, other = torch.Generator().manual_seed(3), torch.Generator().manual_seed(3)
    masked = MaskedScore(begin=1.0).loss(Bell(0.2), x, torch.full((8,), -1), one, 0.5, given)
    whole = DenoisingScore(time=0.0).loss(Bell(0.2), x, torch.full((8,), -1), other, 0.5)
    assert masked.loss.item() == pytest.approx(whole.loss.item(), rel=1e-12)
    assert masked.reference.item() == pytest.approx(whole.reference.item(), rel=1e-12)


def test_hidden_coordinates_have_no_say_in_the_loss(rng):
    """The coordinates of the bell are independent, so a fill changes nothing but itself."""
    x, given = incomplete(16, rng)
    losses = []
    for fill in (x, torch.where(given.known, x, -3.0)):
        told = MaskedScore(begin=1.0).loss(
            Bell(0.2), fill, torch.full((16,), -1), torch.Generator().manual_seed(3), 0.5, given
        )
        losses.append(told.loss.item())
    assert losses[0] == pytest.approx(losses[1], rel=1e-12)


@pytest.mark.parametrize("begin", [1.0, 0.0])
def test_the_truth_is_where_masked_denoising_rests(begin):
    def objective():
        return MaskedScore(begin=begin, steps=6)

    mean, error = slope_at(TRUE, objective, Bell)
    assert abs(mean) < 4 * error
    for off in (-0.5, 0.5):
        mean, error = slope_at(TRUE + off, objective, Bell)
        assert mean * off > 0 and abs(mean) > 4 * error, "the gradient points home"


def test_the_truth_is_where_recovery_rests():
    kernel = Part(Langevin, step_size=0.2)
    contrast = Part(ContrastiveDivergence, sampler=kernel, steps=15, squares=0.0, data_noise=0.0)

    def objective():
        return Recovery(contrast)

    mean, error = slope_at(TRUE, objective, Well)
    # fifteen steps shrink what is left of a start (0 for synthesis, 5 for recovery) to .8^15 = 3.5 % of it
    assert abs(mean) < 4 * error + 0.035 * 5 * 6
    for off in (-1.0, 1.0):
        mean, error = slope_at(TRUE + off, objective, Well)
        assert mean * off > 0 and abs(mean) > 4 * error + 0.035 * 5 * 6


def test_recovery_moves_hidden_pixels_alone_and_goes_on_from_them(rng):
    objective = Recovery(Part(ContrastiveDivergence, sampler=Part(Langevin, step_size=0.1), steps=5, squares=0.0))
    x, given = incomplete(10, rng)
    told = objective.loss(Well(TRUE), x, torch.full((10,), -1), rng, 0.0, given)
    first = objective.fills.held.clone()
    assert (first[given.known] == x[given.known].float()).all()
    assert (first[~given.known] < 4.5).all() and told.health["fill"] > 0
    objective.loss(Well(TRUE), x, torch.full((10,), -1), rng, 0.0, given)
    assert objective.fills.held[~given.known].mean() < first[~given.known].mean() - 0.5


def test_fills_are_drawn_anew_every_few_visits_once_it_has_begun(rng):
    objective = MaskedScore(begin=0.5, every=3, steps=3)
    x, given = incomplete(10, rng)
    moved = []
    for progress in (0.1, 0.2, 0.6, 0.6, 0.6, 0.7, 0.7):
        before = objective.fills.held.clone()
        told = objective.loss(Bell(TRUE), x, torch.full((10,), -1), rng, progress, given)
        moved.append("fill" in told.health)
        if moved[-1]:
            assert (objective.fills.held[~given.known] != before[~given.known]).all()
        assert (objective.fills.held[given.known] == x[given.known].float()).all()
    assert moved == [False, False, False, True, False, False, True]
    state = objective.state()
    other = MaskedScore(begin=0.5, every=3, steps=3)
    other.load(state)
    assert torch.equal(other.fills.held, objective.fills.held) and (other.fills.visits == 7).all()


def test_fills_grow_with_the_rows_that_are_seen():
    fills = Fills()
    known = torch.tensor([[True, False]])
    x, visits = fills.fill(torch.tensor([[1.0, 2.0]]), Given(known, torch.tensor([4])))
    assert x.tolist() == [[1.0, 2.0]] and visits.tolist() == [0]
    fills.keep(torch.tensor([[1.0, 7.0]]), Given(known, torch.tensor([4])))
    x, visits = fills.fill(torch.tensor([[3.0, 2.0]]), Given(known, torch.tensor([4])))
    assert x.tolist() == [[3.0, 7.0]] and visits.tolist() == [1]


@pytest.mark.parametrize("objective", [MaskedScore, Recovery])
def test_whole_data_are_refused(objective, rng):
    with pytest.raises(ValueError, match="expected incomplete data"):
        objective().loss(Bell(0.0), torch.zeros(2, 6), torch.zeros(2), rng, 0.5)
    with pytest.raises(ValueError, match="learns from incomplete images"):
        Densities(data=Part(LabelledImages, source="digits", side=12), objective=Part(objective)).ready()
    with pytest.raises(ValueError, match="learns from whole images"):
        Densities(data=Part(Incomplete, data=Part(LabelledImages, source="digits", side=12), count=4)).ready()


@pytest.mark.parametrize("arguments", [{"begin": -0.1}, {"every": 0}, {"noise": 0.0}, {"steps": 1}])
def test_settings_out_of_range_are_refused(arguments):
    with pytest.raises(ValueError, match="MaskedScore: expected"):
        MaskedScore(**arguments)


@pytest.mark.parametrize("which", ["masked", "recovery"])
def test_the_task_learns_from_incomplete_images(which, rng):
    torch.manual_seed(0)
    data = Part(Incomplete, data=Part(LabelledImages, source="digits", side=12), mask=Part(SaltAndPepper, share=0.5),
                count=16)  # fmt: skip
    if which == "masked":
        family = Part(LevelEnergy, form=Part(InnerProduct, body=Part(LevelUNet, width=4), fine=True), code=8)
        objective = Part(MaskedScore, begin=0.0, every=1, steps=2)
    else:
        family = Part(Landscape, body=Part(LevelEncoder, width=4))
        objective = Part(Recovery, contrast=Part(ContrastiveDivergence), steps=2)
    task = Densities(data=data, model=Part(Density, space=Part(Pixels), family=family), objective=objective)
    task.ready()
    model = task.build()
    task.prepare(model)
    told = task.loss(model, task.batch(6, rng), rng, 0.5)
    told.loss.backward()
    assert told.loss.isfinite() and "fill" in told.health
    assert sum(p.grad.abs().sum() for p in model.parameters() if p.grad is not None) > 0
    assert task.state()["fills"].shape[1:] == (1, 12, 12)
