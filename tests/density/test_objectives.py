"""What every objective without noise levels obeys, on Gaussians in closed form."""

import math

import pytest
import torch

from density.bells import Bells
from ergosum.density import Densities, Density, Landscape, LevelEnergy
from ergosum.density.functionals import HingeLoss
from ergosum.density.objectives import (
    ContrastiveDivergence,
    DenoisingScore,
    Discriminative,
    FromData,
    FromNoise,
    GaussianNoise,
    Jem,
    NoiseContrastive,
    Replay,
    SlicedScoreMatching,
)
from ergosum.nets import LevelDense
from ergosum.part import Part
from ergosum.samplers import Langevin, Mala
from ergosum.training.task import DivergenceError

WIDE = Part(GaussianNoise, deviation=1.0)
MALA = Part(Mala, step_size=0.3)


def contrastive(start, steps=1, **settings):
    return ContrastiveDivergence(start=start, sampler=MALA, steps=steps, squares=0.0, **settings)


CASES = {
    "FromData": (lambda: contrastive(Part(FromData)), ("mean", "width")),
    "FromNoise": (lambda: contrastive(Part(FromNoise, noise=WIDE), 20), ("mean", "width")),
    "Replay": (lambda: contrastive(Part(Replay, size=200, noise=WIDE, restart=0.0), 3), ("mean", "width")),
    "ContrastiveDivergence, prior": (
        lambda: contrastive(Part(FromNoise, noise=WIDE), 20, classes=False), ("mean", "width", "weight")),
    "SlicedScoreMatching": (lambda: SlicedScoreMatching(data_noise=0.0), ("mean", "width")),
    "SlicedScoreMatching, prior": (
        lambda: SlicedScoreMatching(data_noise=0.0, directions=2, classes=False), ("mean", "width", "weight")),
    "NoiseContrastive": (lambda: NoiseContrastive(ratio=2), ("mean", "width", "weight")),
    "Discriminative": (lambda: Discriminative(), ("mean", "weight")),
    "Jem": (
        lambda: Jem(chains=Part(ContrastiveDivergence, start=Part(FromNoise, noise=WIDE), sampler=MALA, steps=20,
                                squares=0.0)), ("mean", "width", "weight")),
}  # fmt: skip
"""Objectives with exact chains and the parameters that they learn."""

AWAY = {
    "mean": torch.tensor([[0.25, -0.2], [-0.2, 0.25]]),
    "width": torch.tensor(0.25),
    "weight": torch.tensor([0.5, -0.5]),
}
every = pytest.mark.parametrize("name", CASES)


def slopes(objective, family, truth, rng, repeats=10, n=200):
    """The gradients of a loss on fresh data of the truth, (repeats, numbers) by parameter."""
    found = {k: [] for k, _ in family.named_parameters()}
    for _ in range(repeats):
        x, c = truth.draw(n, rng)
        loss = objective.loss(family, x, c, rng, 0.5).loss
        for (k, _), g in zip(
            family.named_parameters(),
            torch.autograd.grad(loss, list(family.parameters()), allow_unused=True, materialize_grads=True),
            strict=True,
        ):
            found[k].append(g.flatten())
    return {k: torch.stack(v) for k, v in found.items()}


def made(name, truth, family, rng):
    objective = CASES[name][0]()
    objective.fit(truth.draw(4000, rng)[0])
    if name == "Replay":  # its chains settle on the energy as it stands
        for _ in range(20):
            objective.loss(family, *truth.draw(200, rng), rng, 0.0)
    return objective


@every
def test_the_truth_is_a_fixed_point(name, rng):
    """Every number of the mean gradient is 0 within 4.5 of its standard errors (t, 10 repeats)."""
    truth = Bells()
    objective = made(name, truth, truth, rng)
    for told in slopes(objective, truth, truth, rng, 10).values():
        error = told.std(0) / math.sqrt(len(told))
        assert (told.mean(0).abs() <= 4.5 * error + 1e-12).all()


@every
@pytest.mark.parametrize("parameter", ["mean", "width", "weight"])
def test_from_elsewhere_the_gradient_points_home(name, parameter, rng):
    if parameter not in CASES[name][1]:
        pytest.skip("not what it learns")
    truth, family = Bells(), Bells()
    with torch.no_grad():
        getattr(family, parameter).add_(AWAY[parameter])
    objective = made(name, truth, family, rng)
    told = slopes(objective, family, truth, rng, 6)[parameter]
    along = told @ AWAY[parameter].flatten().double()
    assert along.mean() > 4.5 * along.std() / math.sqrt(len(along)) > 0


@pytest.mark.parametrize("name", [n for n in CASES if n not in ("Replay",)])
def test_the_gradient_is_that_of_finite_differences(name, rng):
    """With chains held where they ended: contrastive divergence does not differentiate through them."""
    family = Bells()
    with torch.no_grad():
        for k, p in family.named_parameters():
            p.add_(AWAY[k])
    objective = made(name, Bells(), family, rng)
    chains = getattr(objective, "chains", objective)
    if isinstance(chains, ContrastiveDivergence):
        end = torch.randn(32, 2, generator=rng, dtype=torch.float64)
        chains.sampled = lambda energy, x, generator: (end, {})
    x, c = Bells().draw(32, rng)

    def loss(mean, width, weight):
        told = torch.func.functional_call(
            _Asked(family, objective), {"family.mean": mean, "family.width": width, "family.weight": weight}, (x, c)
        )
        return told

    inputs = tuple(p.detach().clone().requires_grad_() for p in (family.mean, family.width, family.weight))
    assert torch.autograd.gradcheck(loss, inputs, eps=1e-6, atol=1e-6)


class _Asked(torch.nn.Module):
    def __init__(self, family, objective):
        super().__init__()
        self.family, self.objective = family, objective

    def forward(self, x, c):
        return self.objective.loss(self.family, x, c, torch.Generator().manual_seed(3), 0.5).loss


@every
def test_the_same_seed_gives_the_same_bits_and_health_is_finite(name, rng):
    truth, told = Bells(), []
    for _ in range(2):
        generator = torch.Generator().manual_seed(5)
        terms = made(name, truth, truth, generator).loss(truth, *truth.draw(64, generator), generator, 0.5)
        told.append(terms.loss.item())
        assert all(v.shape == () and torch.isfinite(v) and not v.requires_grad for v in terms.health.values())
        assert terms.error.item() >= 0 and not terms.error.requires_grad
    assert told[0] == told[1]


@pytest.mark.parametrize("start", [FromData, FromNoise, Replay])
def test_an_update_lowers_the_energy_of_data_and_raises_that_of_samples(start, rng):
    """The sign: energies of the same data and samples, before and after one small step against the gradient."""
    truth, family = Bells(), Bells()
    with torch.no_grad():
        family.mean += 1.0
    objective, ends = contrastive(Part(start), 3), []
    kept = objective.sampled
    objective.sampled = lambda *a: ends.append(kept(*a)) or ends[-1]
    x, c = truth.draw(200, rng)
    loss = objective.loss(family, x, c, rng, 0.0).loss
    gradients = torch.autograd.grad(loss, list(family.parameters()))
    made, before = ends[0][0], [family.bind(c, None)(v).mean() for v in (x, ends[0][0])]
    if start is FromNoise or start is Replay:
        assert torch.equal(loss.detach(), (before[0] - before[1]).detach())
    with torch.no_grad():
        for p, g in zip(family.parameters(), gradients, strict=True):
            p -= 1e-3 * g
    after = [family.bind(c, None)(v).mean() for v in (x, made)]
    assert (after[0] - after[1]) < (before[0] - before[1])
    assert after[0] < before[0] if start is not FromData else True


def test_squares_pull_the_scale_of_energies_to_zero_and_noise_moves_the_data(rng):
    truth = Bells()
    x, c = truth.draw(64, rng)
    plain, squared = contrastive(Part(FromData)), contrastive(Part(FromData))
    squared.squares = 0.5
    one, two = (o.loss(truth, x, c, torch.Generator().manual_seed(1), 0.0) for o in (plain, squared))
    assert two.loss > one.loss and two.health["data"] == one.health["data"]
    noisy = contrastive(Part(FromData), data_noise=0.3).loss(truth, x, c, torch.Generator().manual_seed(1), 0.0)
    assert noisy.health["data"] > one.health["data"]


def test_energies_beyond_the_bound_are_divergence(rng):
    truth = Bells()
    x, c = truth.draw(16, rng)
    with pytest.raises(DivergenceError, match=r"beyond the bound of 0\.1"):
        contrastive(Part(FromData), bound=0.1).loss(truth, x, c, rng, 0.0)


def test_the_temperature_of_the_chains_is_told():
    assert ContrastiveDivergence().temperature == pytest.approx(5e-5)
    assert ContrastiveDivergence(sampler=Part(Langevin, step_size=0.1, temperature=0.0), steps=1).temperature is None
    assert Jem().temperature == ContrastiveDivergence().temperature


def test_what_chains_train_is_in_units_of_their_temperature(rng):
    cold = Part(ContrastiveDivergence, sampler=Part(Langevin, step_size=0.1, temperature=0.25), steps=1)
    body = Part(LevelDense, width=4)
    model = Part(Density, names=("a", "b"), side=12, family=Part(Landscape, body=body))
    built = Densities(model=model, objective=cold).build()
    energy, x = built.energies()["a"], torch.randn(3, *built.family.event, generator=rng)
    assert energy.temperature == 0.25
    torch.testing.assert_close(energy.in_units()(x), energy(x) / 0.25)


def test_a_family_of_the_other_kind_is_refused():
    levels = {LevelEnergy: "without noise levels, Landscape", Landscape: "over noise levels, LevelEnergy"}
    for objective, family in ((Part(ContrastiveDivergence), LevelEnergy), (Part(DenoisingScore), Landscape)):
        model = Part(Density, names=("a", "b"), side=12, family=Part(family))
        with pytest.raises(ValueError, match=rf"family {levels[family]}; got {family.__name__} as model\.family"):
            Densities(model=model, objective=objective).build()


def test_of_normalised_energies_nothing_but_the_data_counts(rng):
    """Noise-contrastive estimation learns log Z: energies off by a constant are brought back by it."""
    truth, family = Bells(), Bells()
    objective = made("NoiseContrastive", truth, truth, rng)
    with torch.no_grad():
        family.weight += 1.0
    told = slopes(objective, family, truth, rng, 6)["weight"].sum(1)
    assert told.mean() > 4.5 * told.std() / math.sqrt(6)


def test_noise_is_a_gaussian_of_the_data(rng):
    truth, objective = Bells(), NoiseContrastive(ratio=50)
    x, _ = truth.draw(4000, rng)
    objective.fit(x)
    made, n = objective.noise(x, rng), 50 * 4000
    spread = x.T.cov()
    assert (made.mean(0) - x.mean(0)).abs().max() < 4.5 * spread.diagonal().max().sqrt() / math.sqrt(n)
    torch.testing.assert_close(made.T.cov(), spread, rtol=0.03, atol=0.005)
    gaussian = torch.distributions.MultivariateNormal(objective.mean, scale_tril=objective.root)
    torch.testing.assert_close(objective.log_noise(x), gaussian.log_prob(x))
    with pytest.raises(ValueError, match=r"expected fit\(data\)"):
        NoiseContrastive().loss(truth, *truth.draw(4, rng), rng, 0.0)


def test_a_classifier_may_be_trained_by_any_functional_and_skips_what_has_no_class(rng):
    truth = Bells()
    x, c = truth.draw(64, rng)
    hinge = Discriminative(functional=Part(HingeLoss, margin=2.0))
    whole, half = hinge.loss(truth, x, c, rng, 0.0), torch.where(torch.arange(64) < 32, c, -1)
    torch.testing.assert_close(
        hinge.loss(truth, x, half, rng, 0.0).loss, hinge.loss(truth, x[:32], c[:32], rng, 0.0).loss
    )
    assert whole.error == (truth.energies(x).argmin(1) != c).double().mean()
    with pytest.raises(ValueError, match="expected labels, got none"):
        hinge.loss(truth, x, torch.full_like(c, -1), rng, 0.0)


@pytest.mark.parametrize(
    "make",
    [
        lambda: ContrastiveDivergence(squares=-1.0),
        lambda: ContrastiveDivergence(data_noise=math.nan),
        lambda: ContrastiveDivergence(sampler=Part(Mala, step_size=0.1)),
        lambda: ContrastiveDivergence(bound=0.0),
        lambda: Replay(size=0),
        lambda: Replay(restart=1.5),
        lambda: GaussianNoise(deviation=0.0),
        lambda: SlicedScoreMatching(directions=0),
        lambda: NoiseContrastive(ratio=0),
        lambda: Jem(weight=-1.0),
    ],
)
def test_settings_out_of_range_are_refused(make):
    with pytest.raises(ValueError, match="expected"):
        make()
