"""What every sampler obeys, and what the one loop promises."""

from dataclasses import fields, replace

import pytest
import torch
from cases import CONDITION, ENERGIES, IMAGE
from kernels import ROWS
from torch import Generator

from ergosum.compose import negation
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import as_energy
from ergosum.samplers.annealed import Annealed
from ergosum.samplers.chain import Chain, Info, Sampler, State, Step, Varying, run, sample, start
from ergosum.samplers.descent import Descent
from ergosum.samplers.guards import NonFiniteError, UnboundedError
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.presets import ShortRun, anatomy, igebm, jem, short_run
from ergosum.samplers.tally import Tally
from ergosum.samplers.tempering import Ladder, ParallelTempering
from ergosum.samplers.tensors import along
from ergosum.samplers.underdamped import UnderdampedLangevin
from ergosum.samplers.warmup import warm_up

every_sampler = pytest.mark.parametrize("name", ROWS)
BOWL = as_energy(lambda x: x.square().flatten(1).sum(1) / 2)


def seeded(seed=0):
    return Generator().manual_seed(seed)


def made(name):
    return ROWS[name].make(0.1, 1.0)


def begin(name):
    """Where chains start: images, of zeros and ones for samplers of those."""
    return IMAGE.round() if ROWS[name].binary else IMAGE


def landscape(name):
    """A composition closed with conditions per sample, which replicas and neighbours cannot share."""
    plain = name in ("ParallelTempering", "GibbsWithGradients, differences")
    return ENERGIES["as_energy" if plain else "And"](CONDITION)


@every_sampler
def test_the_same_generator_gives_the_same_bits_and_the_global_one_is_left_alone(name):
    energy = landscape(name)
    before = torch.random.get_rng_state()
    a, b, c = (sample(made(name), energy, begin(name), 3, generator=seeded(s)).draws for s in (0, 0, 1))
    assert torch.equal(a, b)
    assert torch.equal(a, c) != ROWS[name].noisy
    assert torch.equal(before, torch.random.get_rng_state())


@every_sampler
def test_a_step_tells_energy_and_slope_where_it_started_and_leaves_its_input_alone(name):
    energy, x = landscape(name), begin(name).clone()
    step = next(run(made(name), energy, x, 1, generator=seeded()))
    assert torch.equal(x, begin(name)) and isinstance(step, Step) and isinstance(step.info, Info)
    assert step.x.shape == IMAGE.shape and step.x.dtype == IMAGE.dtype
    if name != "Langevin, clipped":  # its noise comes first
        torch.testing.assert_close(step.info.energy[: len(x)], energy(begin(name)))
        if name != "GibbsWithGradients, differences":  # it takes differences instead
            slope = energy.gradient(begin(name)).flatten(1).norm(dim=1)
            torch.testing.assert_close(step.info.gradient_norm[: len(x)], slope)
    assert (step.info.acceptance is not None) == ROWS[name].accepts == (step.info.divergent is not None)


@every_sampler
def test_going_on_from_a_state_is_the_same_as_never_stopping(name):
    energy, one, two = landscape(name), seeded(), seeded()
    whole = sample(made(name), energy, begin(name), 8, generator=one)
    first = sample(made(name), energy, begin(name), 5, generator=two)
    second = sample(made(name), energy, first.state, 3, generator=two)
    assert torch.equal(whole.x, second.x)
    torch.testing.assert_close(whole.energy, torch.cat([first.energy, second.energy]))


@every_sampler
def test_only_what_the_mask_frees_moves(name):
    if not ROWS[name].masks:
        pytest.skip("its kernel has the mask")
    mask = torch.zeros(3, 12, 12, dtype=torch.float64)
    mask[:, :6] = 1
    kept = sample(replace(made(name), mask=mask), landscape(name), begin(name), 5, generator=seeded()).x
    assert torch.equal(kept[..., 6:, :], begin(name)[..., 6:, :]) and not torch.equal(kept, begin(name))


@every_sampler
def test_one_chain_does_not_hear_of_another(name):
    """A first chain that stands somewhere else leaves the second as it is, given the same noise."""
    other = begin(name).clone()
    other[0] = 1 - other[0]
    a, b = (sample(made(name), as_energy(lambda x: (x - 0.3).pow(4).flatten(1).sum(1)), x, 4, generator=seeded()).x
            for x in (begin(name), other))  # fmt: skip
    torch.testing.assert_close(a[1:], b[1:], rtol=1e-12, atol=1e-12)


@every_sampler
def test_a_sampler_is_a_frozen_record_with_init_and_step(name):
    sampler = made(name)
    assert isinstance(sampler, Sampler)
    with pytest.raises(AttributeError):
        sampler.kernel = sampler.step_size = 1.0


@every_sampler
def test_a_gradient_is_taken_as_often_as_promised(name):
    calls = []
    counted = as_energy(lambda x: (calls.append(len(x)), x.square().flatten(1).sum(1) / 2)[1])
    sampler = made(name)
    list(run(sampler, counted, begin(name), 4, generator=seeded()))
    if isinstance(sampler, Hmc):
        per_step = None if sampler.jitter else sampler.length
    else:
        per_step = 2 if name == "GibbsWithGradients, differences" else 1
    carried = 0 if isinstance(sampler, Descent | Langevin) else 1
    if isinstance(sampler, Annealed):
        carried = 2  # once more where a level begins
    if per_step == 2:
        carried = 2
    if per_step:
        assert len(calls) == 4 * per_step + carried
    if isinstance(sampler, ParallelTempering):
        assert set(calls) == {3 * len(IMAGE)}, "all replicas in one call"


def test_sample_keeps_what_it_was_asked_to():
    whole = sample(Mala(step_size=0.5), BOWL, torch.ones(2, 3), 20, generator=seeded())
    some = sample(Mala(step_size=0.5), BOWL, torch.ones(2, 3), 20, keep=3, discard=5, generator=seeded())
    assert (
        torch.equal(some.draws, whole.draws[7::3]) and whole.draws.shape == (20, 2, 3) and whole.energy.shape == (20, 2)
    )
    assert isinstance(whole, Chain)
    assert whole.acceptance.shape == (2,) and whole.clipped is None and whole.swaps is None
    assert (whole.divergent == 0).all() and torch.equal(whole.x, whole.state.x)
    assert whole.ess().shape == whole.rhat().shape == whole.mcse().shape == (3,)
    with pytest.raises(ValueError, match="of 5 steps, every 3th after the first 4 keeps nothing"):
        sample(Mala(step_size=0.5), BOWL, torch.ones(2, 3), 5, keep=3, discard=4)


@every_sampler
@pytest.mark.parametrize("keep", [1, 3])
def test_the_energy_of_a_chain_is_that_of_its_draws(name, keep):
    energy = landscape(name)
    chain = sample(made(name), energy, begin(name), 7, keep=keep, discard=1, generator=seeded())
    torch.testing.assert_close(chain.energy, torch.stack([energy(x) for x in chain.draws]))


@every_sampler
def test_only_steps_that_are_kept_count_for_the_acceptance(name):
    """The mean over steps 6 to 20 alone, and the count of divergent transitions likewise."""
    if not ROWS[name].accepts:
        pytest.skip("it accepts nothing")
    x = begin(name)
    chain = sample(made(name), BOWL, x, 20, discard=5, generator=seeded())
    steps = [s.info for s in run(made(name), BOWL, x, 20, generator=seeded())]
    kept = torch.stack([info.acceptance for info in steps[5:]]).mean(0)
    torch.testing.assert_close(chain.acceptance, kept)
    assert not torch.equal(kept, torch.stack([info.acceptance for info in steps]).mean(0))
    assert torch.equal(chain.divergent, torch.stack([info.divergent for info in steps[5:]]).sum(0))


def test_a_tally_adds_up_what_was_told_and_passes_over_what_was_not(rng):
    """Over more steps than are added up at once; numbers that are not told do not count."""
    tally, numbers = Tally(), torch.randn(150, 3, generator=rng)
    numbers[::7, 1] = torch.nan
    for row in numbers:
        tally.add((row, None))
    torch.testing.assert_close(tally.total(0), numbers.nansum(0))
    torch.testing.assert_close(tally.mean(0), numbers.nanmean(0))
    assert tally.mean(1) is None and tally.total(1) is None


def test_progress_is_shown_on_request_and_changes_no_draw(capfd, monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")
    quiet = sample(Mala(step_size=0.5), BOWL, torch.ones(2, 3), 20, generator=seeded())
    assert capfd.readouterr() == ("", "")
    loud = sample(Mala(step_size=0.5), BOWL, torch.ones(2, 3), 20, generator=seeded(), progress=True)
    out, err = capfd.readouterr()
    assert out == "" and "Mala" in err and "energy" in err
    assert torch.equal(quiet.draws, loud.draws)


def test_a_plain_callable_can_be_sampled():
    chain = sample(Langevin(step_size=0.1), lambda x: x.square().sum(1), torch.ones(2, 2), 3, generator=seeded())
    assert chain.draws.shape == (3, 2, 2) and chain.acceptance is None


@every_sampler
def test_a_chain_that_leaves_the_finite_numbers_says_where(name):
    """NaN in the second chain only, from a term with a name."""
    if ROWS[name].binary:
        pytest.skip("its chains stay on zeros and ones")
    bad = as_energy(lambda x: torch.where(x.flatten(1)[:, 0] > 5, torch.nan, x.flatten(1).sum(1))).named("cliff")
    x = torch.zeros(2, 3)
    x[1, 0] = 6
    with pytest.raises(NonFiniteError, match=r"chain 1, term cliff"):
        list(run(made(name), BOWL & bad, x, 3, generator=seeded()))


def test_a_start_that_is_not_finite_is_refused():
    with pytest.raises(NonFiniteError, match="the start is not finite at step 0, chain 1"):
        list(run(Langevin(step_size=0.1), BOWL, torch.tensor([[0.0], [torch.inf]]), 3))


def test_an_exact_sampler_refuses_absurd_proposals_and_counts_them():
    """Outside of a box the energy is infinite or not a number: chains stay inside, and the count is told."""
    box = as_energy(lambda x: torch.where((x.abs() > 1).any(1), torch.nan, 0 * x.sum(1)))
    chain = sample(Mala(step_size=0.5), box, torch.zeros(50, 2), 40, generator=seeded())
    assert (chain.draws.abs() <= 1).all() and chain.divergent.sum() > 100


def test_a_composition_that_falls_without_bound_is_stopped():
    wide, narrow = (Gaussian(torch.zeros(2), torch.full((2,), v)) for v in (1.0, 0.1))
    for sampler in (Langevin(step_size=0.05), Descent(step_size=0.05)):
        with pytest.raises(UnboundedError, match=r"at step \d+ .* in gaussian & ~gaussian the negation outweighs"):
            list(run(sampler, wide & ~narrow, torch.ones(4, 2), 500, generator=seeded()))
    list(run(Langevin(step_size=0.02), narrow & ~wide, torch.ones(4, 2), 500, generator=seeded()))
    list(run(Langevin(step_size=0.02), wide & negation(narrow, margin=1.0), torch.ones(4, 2), 500, generator=seeded()))


@every_sampler
def test_a_lone_negation_is_refused(name):
    with pytest.raises(ValueError, match="a negation alone has no finite integral"):
        next(run(made(name), ~BOWL, IMAGE, 1))


@every_sampler
def test_an_energy_of_the_wrong_shape_is_refused(name):
    with pytest.raises(ValueError, match=r"one energy per sample, shape \(\d,\)"):
        next(run(made(name), lambda x: x.square().flatten(1), torch.ones(3, 2), 1))


def test_the_energy_may_change_from_step_to_step():
    """`Varying` gives a sampler that carries its gradient the energy of each step."""
    growing = Varying(lambda n, x: as_energy(lambda y: n * y.square().sum(1)))
    for sampler in (Mala(step_size=1e-6), Langevin(step_size=1e-6)):
        told = torch.stack(
            [s.info.energy[0] / 3 for s in run(sampler, growing, torch.ones(2, 3), 3, generator=seeded())]
        )
        torch.testing.assert_close(told, torch.tensor([1.0, 2.0, 3.0]), rtol=0.02, atol=0)


def test_clipping_and_clamping_are_told_and_kept():
    steep = as_energy(lambda x: 100 * x[:, 0] + 0.001 * x[:, 1])
    sampler = Langevin(step_size=1.0, temperature=0.0, clip=0.5, clamp=(-1.0, 1.0))
    chain = sample(sampler, steep, torch.zeros(2, 2), 4)
    torch.testing.assert_close(chain.clipped, torch.tensor([0.5, 0.5]))
    torch.testing.assert_close(
        chain.draws[:, 0], torch.tensor([[-0.5, -0.001], [-1, -0.002], [-1, -0.003], [-1, -0.004]])
    )


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Descent(step_size=-1.0), "Descent: expected a step size > 0, got -1; a negative one climbs"),
        (lambda: Descent(step_size=torch.tensor([1.0, 0.0])), "Descent: expected a step size > 0, got 0"),
        (lambda: Descent(step_size=float("nan")), "Descent: expected a step size > 0, got nan"),
        (lambda: Descent(noise=-0.1), "Descent: expected noise >= 0"),
        (lambda: ShortRun(steps=5, step_size=-1.0, noise=0.1), "step_size > 0"),
        (lambda: Langevin(step_size=0.0), "Langevin: expected a step size > 0, got 0"),
        (lambda: Langevin(step_size=0.1, temperature=-1.0), "temperature >= 0"),
        (lambda: Mala(step_size=-1.0), "Mala: expected a step size > 0"),
        (lambda: Mala(step_size=1.0, temperature=0.0), "temperature > 0, got 0"),
        (lambda: Mala(step_size=float("nan")), "expected a step size > 0, got nan"),
        (lambda: Hmc(step_size=1.0, length=0), "length >= 1"),
        (lambda: Hmc(step_size=1.0, jitter=2.0), r"jitter in 0\.\.1"),
        (lambda: Hmc(step_size=1.0, mass=torch.tensor([1.0, 0.0])), "every mass > 0"),
        (lambda: Annealed(kernels=(), temperatures=(), steps=1), "one kernel for each level"),
        (lambda: ParallelTempering(kernel=Mala(step_size=1.0), temperatures=(2.0, 1.0)), "two increasing temperatures"),
        (lambda: ParallelTempering(kernel=Langevin(step_size=1.0), temperatures=(1.0, 2.0)), "an exact kernel"),
        (lambda: ShortRun(steps=0, step_size=1.0, noise=0.1), "expected steps >= 1"),
        (lambda: warm_up(Mala(step_size=1.0), BOWL, IMAGE, 0), "expected steps >= 1 and a target"),
        (lambda: warm_up(Mala(step_size=torch.ones(3)), BOWL, IMAGE), "one step size for all chains"),
    ],
)
def test_a_setting_out_of_range_is_refused(build, message):
    with pytest.raises(ValueError, match=message):
        build()


@every_sampler
def test_a_sampler_refuses_a_temperature_or_a_mask_out_of_range(name):
    sampler = made(name)
    if "temperature" in {field.name for field in fields(sampler)}:
        with pytest.raises(ValueError, match="temperature"):
            replace(sampler, temperature=-1.0)
    if ROWS[name].masks:
        with pytest.raises(ValueError, match="expected a mask of booleans"):
            replace(sampler, mask=torch.tensor(0.5))


PER_CHAIN = {
    "RandomWalk": lambda h, t: replace(ROWS["RandomWalk"].make(1.0, 1.0), scale=h, temperature=t),
    "Langevin": lambda h, t: Langevin(step_size=h, temperature=t),
    "Mala": lambda h, t: Mala(step_size=h, temperature=t),
    "Hmc": lambda h, t: Hmc(step_size=h, length=3, temperature=t),
    "UnderdampedLangevin": lambda h, t: UnderdampedLangevin(step_size=h, temperature=t),
}


@pytest.mark.parametrize("name", PER_CHAIN)
def test_step_sizes_and_temperatures_may_be_one_per_chain(name):
    """Each chain moves as it does where all chains have its own step size and temperature."""
    h, t = [0.1, 0.5, 1.0], [1.0, 2.0, 0.5]
    x = torch.randn(3, 4, generator=seeded(), dtype=torch.float64)
    together = sample(PER_CHAIN[name](torch.tensor(h), torch.tensor(t)), BOWL, x, 6, generator=seeded(1)).draws
    for chain in range(3):
        alone = sample(PER_CHAIN[name](h[chain], t[chain]), BOWL, x, 6, generator=seeded(1)).draws
        torch.testing.assert_close(together[:, chain], alone[:, chain], rtol=1e-6, atol=1e-6)
        other = sample(PER_CHAIN[name](h[chain - 1], t[chain - 1]), BOWL, x, 6, generator=seeded(1)).draws
        assert not torch.allclose(together[:, chain], other[:, chain])


def test_a_number_per_chain_is_laid_along_its_chain():
    h, x = torch.tensor([0.1, 0.5, 1.0]), torch.zeros(3, 4)
    assert along(h, x).shape == (3, 1) and along(0.5, x) == 0.5 and along(torch.tensor(2.0), x).ndim == 0


def test_start_carries_energy_and_masked_gradient():
    state = start(BOWL, torch.ones(2, 3), torch.tensor([1.0, 0.0, 0.0]))
    assert (
        isinstance(state, State) and state.energy.tolist() == [1.5, 1.5] and state.gradient.tolist() == [[1, 0, 0]] * 2
    )


def test_published_recipes_run_at_their_temperatures():
    assert [r().temperature for r in (igebm, jem, short_run, anatomy)] == pytest.approx([1.25e-6, 5e-5, 5e-5, 1.0])
    assert "T = 1.25e-06" in str(igebm()) and igebm().kernel.clip == 0.01 and igebm().kernel.noise_first
    assert anatomy(0.0075).temperature == pytest.approx(1.0)


def test_a_short_run_without_noise_is_a_generator_that_can_be_differentiated():
    recipe = ShortRun(steps=5, step_size=0.1, noise=0.0)
    weight = torch.tensor(2.0, requires_grad=True)
    energy = as_energy(lambda x: weight * x.square().sum(1) / 2)
    z = recipe.begin((3, 2), seeded()).requires_grad_()
    assert z.min() >= -1 and z.max() <= 1
    x = recipe.flow(energy, z, gradient="full")
    torch.testing.assert_close(x, z * 0.8**5)
    slope, bend = torch.autograd.grad(x.sum(), [z, weight])
    torch.testing.assert_close(slope, torch.full_like(slope, 0.8**5))
    torch.testing.assert_close(bend, (z * 5 * 0.8**4 * -0.1).sum().detach())
    last = recipe.flow(energy, z.detach(), gradient="last")
    torch.testing.assert_close(torch.autograd.grad(last.sum(), weight)[0], (z * 0.8**4 * -0.1).sum().detach())
    assert not recipe.flow(energy, z.detach()).requires_grad


@pytest.mark.parametrize("recipe", [igebm(), jem(), short_run(), anatomy()], ids=str)
def test_a_published_recipe_is_a_sampler_whose_steps_are_its_kernel_s(recipe):
    energy = as_energy(lambda x: (x - 0.5).square().flatten(1).sum(1))
    x = recipe.begin((3, 1, 4, 4), seeded())
    chain = sample(recipe, energy, x, 20, generator=seeded(1))
    kernel = sample(recipe.kernel, energy, x, 20, generator=seeded(1))
    assert chain.draws.shape == (20, 3, 1, 4, 4) and torch.equal(chain.draws, kernel.draws)
    torch.testing.assert_close(chain.energy, torch.stack([energy(draw) for draw in chain.draws]))
    flown = recipe.flow(energy, x, seeded(1))
    assert torch.equal(flown, sample(recipe, energy, x, recipe.steps, generator=seeded(1)).x)


@every_sampler
def test_a_generator_is_optional(name):
    """Without one, torch's own is used: seeded alike, it gives the same draws."""
    with torch.random.fork_rng():
        draws = []
        for _ in range(2):
            torch.random.default_generator.manual_seed(5)
            draws.append(sample(made(name), landscape(name), begin(name), 2).draws)
    assert torch.equal(*draws) and igebm().begin((2, 3)).shape == (2, 3)


def test_walkers_of_the_ladder_are_never_lost():
    ladder = ParallelTempering(kernel=Hmc(step_size=0.5, length=2), temperatures=(1.0, 1.5, 2.0, 3.0))
    x = torch.randn(6, 2, generator=seeded())
    for step in run(ladder, BOWL, x, 30, generator=seeded()):
        held = step.state.held
        assert isinstance(held, Ladder) and torch.equal(held.walker.sort(0).values[:, 0], torch.arange(4))
        torch.testing.assert_close(step.state.energy, BOWL(step.state.x))
        torch.testing.assert_close(step.state.gradient, step.state.x)
        tried = ~step.info.swaps.isnan()
        assert tried.tolist() == [(r - step.n) % 2 == 0 for r in range(3)]


def test_a_slope_that_is_not_finite_stops_the_run_even_where_the_energy_is():
    cusp = as_energy(lambda x: x.square().sum(1).sqrt()).named("cusp")
    for sampler in (Mala(step_size=0.1), Hmc(step_size=0.1), Langevin(step_size=0.1, clamp=(0.0, 1.0))):
        with pytest.raises(NonFiniteError, match="chain 0, term cusp"):
            list(run(sampler, BOWL & cusp, torch.zeros(3, 2), 3, generator=seeded()))
    with pytest.raises(NonFiniteError, match=r"none of 20 proposals was accepted|not finite"):
        alone = as_energy(lambda x: torch.where(x.sum(1) == 0, 0.0, torch.nan) + 0 * x.sum(1))
        warm_up(Mala(step_size=0.1), alone, torch.zeros(3, 2), 20, generator=seeded())


def test_what_a_mask_holds_may_be_singular_and_a_state_may_come_without_the_mask():
    energy = as_energy(lambda x: x[:, 0].square() / 2 + x[:, 1].abs().sqrt())
    x, mask = torch.tensor([[1.0, 0.0]] * 4), torch.tensor([1.0, 0.0])
    for sampler in (Mala(step_size=0.5, mask=mask), Hmc(step_size=0.5, length=3, mask=mask)):
        chain = sample(sampler, energy, x, 20, generator=seeded())
        assert (chain.draws[..., 1] == 0).all() and chain.acceptance.min() > 0.5
    free = sample(Mala(step_size=0.5), BOWL, torch.ones(4, 2), 5, generator=seeded())
    kept = sample(Mala(step_size=0.5, mask=mask), BOWL, free.state, 5, generator=seeded())
    assert torch.equal(kept.x[:, 1], free.x[:, 1]) and not torch.equal(kept.x[:, 0], free.x[:, 0])


LADDER = ParallelTempering(kernel=Mala(step_size=0.1), temperatures=(1.0, 2.0))


@pytest.mark.parametrize(
    "sampler", [Mala(step_size=0.1), Hmc(step_size=0.3), Langevin(step_size=0.1, clip=1.0), LADDER]
)
def test_events_may_be_single_numbers(sampler):
    assert sample(sampler, lambda x: x.square() / 2, torch.zeros(4), 8, generator=seeded()).draws.shape == (8, 4)
    step = next(run(sampler, lambda x: x.square() / 2, torch.ones(4), 1, generator=seeded()))
    assert step.info.gradient_norm.ndim == 1


@pytest.mark.parametrize(
    "sampler",
    [
        Langevin(step_size=torch.full((4,), 0.1).double()),
        Mala(step_size=torch.full((4,), 0.1).double()),
        Mala(step_size=0.1, mask=torch.ones(2).double()),
        Hmc(step_size=0.1, mass=torch.ones(2).double()),
        Hmc(step_size=0.1, temperature=torch.ones(4).double()),
    ],
)
def test_chains_keep_their_precision_whatever_the_settings_have(sampler):
    chain = sample(sampler, BOWL, torch.zeros(4, 2), 3, generator=seeded())
    assert chain.draws.dtype == torch.float32


def test_a_ladder_goes_on_with_its_own_temperatures_and_refuses_another_number_of_replicas(rng):
    x = torch.randn(20_000, 1, generator=rng, dtype=torch.float64)
    first = sample(
        ParallelTempering(kernel=Mala(step_size=0.5), temperatures=(1.0, 2.0)), BOWL, x, 30, keep=30, generator=rng
    )
    other = ParallelTempering(kernel=Mala(step_size=0.5), temperatures=(3.0, 8.0))
    kept = sample(other, BOWL, first.state, 60, keep=60, generator=rng).x
    assert abs((kept.square().mean() - 3).item()) < 4 * 3 * (2 / 20_000) ** 0.5
    three = ParallelTempering(kernel=Mala(step_size=0.5), temperatures=(1.0, 2.0, 3.0))
    with pytest.raises(ValueError, match="a state of 3 replicas, got one of 2"):
        sample(three, BOWL, first.state, 2)


def test_a_ladder_takes_settings_for_every_chain_and_keeps_no_replicas_in_its_draws():
    mask = (torch.arange(8).reshape(4, 2) % 2).float()
    kernel = Mala(step_size=torch.full((4,), 0.1), mask=mask)
    chain = sample(
        ParallelTempering(kernel=kernel, temperatures=(1.0, 2.0)), BOWL, torch.ones(4, 2), 6, generator=seeded()
    )
    assert (chain.draws[..., 0] == 1).all() and chain.draws.shape == (6, 4, 2)
    assert chain.draws.untyped_storage().nbytes() == 4 * 6 * 4 * 2


def test_annealing_follows_another_energy_from_its_state():
    annealed = Annealed.over(Mala(step_size=0.5), 5, temperatures=(2.0, 1.0))
    first = sample(annealed, BOWL, torch.zeros(50, 2), 20, generator=seeded())
    far = as_energy(lambda x: (x - 50).square().sum(1) / 2)
    assert (sample(annealed, far, first.state, 200, generator=seeded()).x - 50).abs().max() < 6


def test_samplers_that_hold_others_refuse_what_they_cannot_hold():
    ladder = ParallelTempering(kernel=Mala(step_size=0.1), temperatures=(1.0, 2.0))
    annealed = Annealed.over(Mala(step_size=0.5), 5, temperatures=(2.0, 1.0))
    for sampler in (ladder, annealed):
        with pytest.raises(ValueError, match="cannot follow one that varies"):
            next(run(sampler, Varying(lambda n, x: BOWL), torch.zeros(2, 1), 1))
    with pytest.raises(ValueError, match="expected plain kernels"):
        Annealed(kernels=(ladder,), temperatures=(1.0,), steps=1)
    with pytest.raises(ValueError, match="expected Mala or Hmc, got Langevin"):
        warm_up(Langevin(step_size=0.1), BOWL, torch.zeros(2, 1))


def test_a_varying_energy_goes_on_counting():
    seen = []
    growing = Varying(lambda n, x: (seen.append(n), BOWL)[1])
    first = sample(Langevin(step_size=0.1), growing, torch.zeros(2, 1), 3, generator=seeded())
    sample(Langevin(step_size=0.1), growing, first.state, 2, generator=seeded())
    assert seen == [1, 2, 3, 4, 5]


def test_a_state_of_another_sampler_is_taken_up_from_its_x():
    first = sample(Langevin(step_size=0.1), BOWL, torch.zeros(3, 2), 3, generator=seeded())
    annealed = Annealed.over(Mala(step_size=0.5), 5, temperatures=(2.0, 1.0))
    ladder = ParallelTempering(kernel=Mala(step_size=0.1), temperatures=(1.0, 2.0))
    for sampler in (Mala(step_size=0.1), Hmc(step_size=0.1), UnderdampedLangevin(step_size=0.1), annealed, ladder):
        assert sample(sampler, BOWL, first.state, 2, generator=seeded()).draws.shape == (2, 3, 2)


def test_a_warm_up_that_falls_without_bound_is_stopped():
    with pytest.raises(UnboundedError):
        warm_up(Mala(step_size=0.5), BOWL & negation(BOWL, alpha=1.5), torch.ones(4, 2), 400, generator=seeded())


def test_chains_run_in_inference_mode_too():
    with torch.inference_mode():
        chain = sample(Mala(step_size=0.1), BOWL, torch.zeros(3, 2), 4, generator=seeded())
    assert torch.equal(chain.draws, sample(Mala(step_size=0.1), BOWL, torch.zeros(3, 2), 4, generator=seeded()).draws)


def test_an_energy_that_torch_cannot_differentiate_is_named():
    flat = as_energy(lambda x: torch.zeros(len(x))).named("flat")
    with pytest.raises(ValueError, match="flat: the value does not depend on x"):
        next(run(Langevin(step_size=0.1), flat, torch.zeros(3, 2), 1))
