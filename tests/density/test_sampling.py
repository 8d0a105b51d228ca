"""Draws of formulas over densities whose law is known."""

import warnings
from types import SimpleNamespace

import pytest
import torch

from density.exact import MEANS, NAMES, VARIANCES, Exact
from ergosum.compose import Or
from ergosum.density import DenoisingScore, Landscape
from ergosum.density.algebra import Complement, Lifted
from ergosum.density.chains import chain_recipe
from ergosum.density.formulas import meaning, vocabulary
from ergosum.density.objectives import ContrastiveDivergence, FromData, FromNoise, Jem, Replay
from ergosum.density.sampling import decoded, draw, drawing, of_condition, sample_densities, shown_at, shown_levels
from ergosum.energy import as_energy
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part
from ergosum.samplers.presets import ShortRun
from ergosum.training.runfolder import load_predictor

MODEL = Exact()
KNOWN = vocabulary([MODEL])


def drawn(formula, n, seed=0, shares=None, **options):
    generator = torch.Generator().manual_seed(seed)
    return draw([MODEL], meaning(formula, KNOWN, shares), n, generator, **options)


def counts(x):
    """How many points are nearest to each class."""
    return torch.cdist(x, MEANS).argmin(1).bincount(minlength=3).tolist()


def test_a_class_is_drawn_with_its_mean_and_variance():
    x = drawn("top", 400, steps=50).x
    error = (VARIANCES[1] / 400).sqrt().item()
    assert x.mean(0).tolist() == pytest.approx(MEANS[1].tolist(), abs=4 * error)
    # of n normal numbers the variance has a relative standard error of sqrt(2 / n); a ladder of 50 errs by 4 %
    assert x.var(0).tolist() == pytest.approx([VARIANCES[1].item()] * 2, rel=4 * (2 / 400) ** 0.5 + 0.04)


def test_alternatives_come_in_the_shares_asked_for_and_complements_without_what_they_exclude():
    """4 standard errors of a binomial share of 500."""
    for formula, shares, wanted in [
        ("left | right", (0.9, 0.1), (0.9, 0, 0.1)),
        ("0.2:top | 0.8:right", None, (0, 0.2, 0.8)),
        ("~left", None, (0, 0.5, 0.5)),
        ("~(left | top)", None, (0, 0, 1)),
    ]:
        told = counts(drawn(formula, 500, shares=shares, steps=25, corrections=0).x)
        for count, share in zip(told, wanted, strict=True):
            assert count / 500 == pytest.approx(share, abs=4 * (share * (1 - share) / 500) ** 0.5 + 0.01), formula


def test_a_conjunction_is_drawn_with_corrections_and_particles_are_kept_by_their_weights():
    """left & ~right over the prior: where left is, for what excludes right adds nothing there."""
    made = drawn("left & ~right", 30, particles=4, steps=20, corrections=1)
    assert counts(made.x) == [30, 0, 0] and len(made.ess) == 20 and 0 < min(made.ess) <= max(made.ess) <= 1
    assert len(drawn("left & ~right", 5, steps=3, corrections=0).x) == 5


def test_the_film_ends_with_the_draws_and_begins_near_the_mean_of_all():
    made = drawn("right", 7, steps=20, film=True)
    frames = shown_levels(MODEL, made)
    assert len(frames) == 21 and len(made.levels) == 20 and frames[0].shape == (7, 1, 4, 4)
    torch.testing.assert_close(frames[-1], MODEL.decode(made.x))
    assert (frames[0][:, 0, 0, :2] - 0.5).abs().max() < 0.1 < (frames[-1][:, 0, 0, 0] - 0.5).min() + 0.1


def test_the_same_seed_gives_the_same_draws_and_another_others():
    one, again, other = (drawn("top & left", 6, seed, steps=5, particles=2).x for seed in (1, 1, 2))
    assert torch.equal(one, again) and not torch.equal(one, other)


def test_what_signs_mean():
    for formula, kind in [("left & top", Lifted), ("~left", Complement), ("left | top", Or), ("2*left", Lifted)]:
        assert isinstance(meaning(formula, KNOWN), kind) and str(meaning(formula, KNOWN)).replace("2.0", "2") == formula
    x = torch.randn(9, 2)
    left, top, prior = (KNOWN[k].energy for k in ("left", "top", "prior"))
    for formula, wanted in [
        ("left & 0.5*top", lambda: left(x) + 0.5 * (top(x) - prior(x))),
        ("3*left", lambda: prior(x) + 3 * (left(x) - prior(x))),
        ("2*(left & top)", lambda: prior(x) + 2 * (left(x) - prior(x)) + 2 * (top(x) - prior(x))),
        ("left & ~top", lambda: left(x) + Complement(top, prior, 1 / 3)(x) - prior(x)),
        ("prior & left", lambda: left(x)),
        ("~~left", lambda: left(x)),
    ]:
        torch.testing.assert_close(meaning(formula, KNOWN)(x), wanted(), msg=formula)


@pytest.mark.parametrize(("formula", "shares", "said"), [
    ("middle", None, r"no energy is called 'middle' \(known: left, top, right, prior\)"),
    ("~prior", None, "~prior: nothing is left of the prior"),
    ("~(left | top | right)", None, "nothing is left"),
    ("~(left & top)", None, "known of classes one by one"),
    ("~(0.3:left | top)", None, "whatever its weights; leave them away"),
    ("~[2] left", None, "a margin bounds a plain negation"),
    ("left", (0.5, 0.5), "expected a formula of alternatives"),
    ("left | top", (0.5, 0.2, 0.3), "expected 2 numbers > 0, one for each of left, top; got 0.5, 0.2, 0.3"),
    ("left | top", (0.5, 0.0), "expected 2 numbers > 0"),
    ("left | top", (0.9, 0.3), r"shares: expected numbers of sum 1, got 0\.9, 0\.3, of sum 1\.2"),
])  # fmt: skip
def test_a_formula_without_a_meaning_is_told_in_one_line(formula, shares, said):
    with pytest.raises(ValueError, match=said):
        meaning(formula, KNOWN, shares)


@pytest.mark.parametrize(("options", "said"), [
    ({"n": 0}, "n: expected at least 1, got 0"),
    ({"n": 2, "steps": 1}, "steps: expected at least 2, got 1"),
    ({"n": 2, "particles": 0}, "particles: expected at least 1"),
    ({"n": 2, "corrections": -1}, "corrections: expected at least 0"),
    ({"n": 2, "sigma": 40.0}, "expected a noise level from 0.02 to 20, got 40"),
    ({"n": 2, "sigma": 20.0}, "a noise level below the highest, 20"),
])  # fmt: skip
def test_settings_out_of_range_are_told_in_one_line(options, said):
    with pytest.raises(ValueError, match=said):
        draw([MODEL], KNOWN["left"].energy, **options)


def test_conditions_are_told_by_name_or_number():
    assert [of_condition(KNOWN, NAMES, c) for c in ("", "top", "2", "prior")] == ["prior", "top", "right", "prior"]
    for names, given, said in [
        (NAMES, "3", r"expected a number 0 \.\. 2, or one of left, top, right, prior"),
        (NAMES, "-1", r"expected a number 0 \.\. 2"),
        (NAMES, "middle", "--condition middle"),
        ((), "1", "has no classes, only a prior"),
    ]:
        with pytest.raises(ValueError, match=said):
            of_condition(vocabulary([Exact(names)]), names, given)


def test_names_of_two_models_are_told_apart_where_they_collide():
    known = vocabulary([MODEL, Exact(("left", "other"))], ["runs/one", "runs/two"])
    assert list(known) == ["one.left", "top", "right", "prior", "two.left", "other", "two.prior"]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        energy = meaning("top & two.left", known)
    x = torch.randn(5, 2)
    lift = known["two.left"].energy(x) - known["two.prior"].energy(x)
    torch.testing.assert_close(energy(x), known["top"].energy(x) + lift)
    with pytest.raises(ValueError, match="expected names of one model"):
        meaning("~(top | other)", known)


def test_densities_of_other_spaces_do_not_compose():
    other = Exact()
    other.space.register_buffer("centre", torch.zeros(2))
    with pytest.raises(ValueError, match="a and b are densities of different things"):
        vocabulary([MODEL, other], ["a", "b"])


def test_what_the_command_shows_of_draws():
    class Reader:
        def classifier(self, name):
            assert name == "upright"
            return lambda images: images[:, 0, 0, :2].flip(1) @ torch.eye(2, 3)

    told = sample_densities([MODEL], "0.5:left | 0.5:top", 9, None, "", 12, 0.0, None, 1, 3, (), Reader(), True)
    assert told.image.width > 3 * 4 * 3 and len(told.film) == 13 and told.film[-1].size == told.film[0].size
    assert told.numbers["formula"] == "0.5:left | 0.5:top" and sum(told.numbers["read"].values()) == pytest.approx(1)
    assert told.numbers["corrections"] == 1 and len(told.tables) == 1
    alone = sample_densities([MODEL], "", 4, None, "1", 3, 0.0, None, 1, 3)
    assert alone.numbers["formula"] == "top" and not alone.tables
    with pytest.raises(ValueError, match="a formula or a condition"):
        sample_densities([MODEL], "left", 4, None, "1", 3, 0.0, None, 1, 3)


def test_energies_without_levels_are_drawn_by_the_chains_of_their_recipe():
    """A bowl about 0.4, of temperature 0.01: the ends of its chains have its mean and deviation 0.1."""
    sampler = Part(ShortRun, steps=20, step_size=0.05, noise=0.0316)
    objective = ContrastiveDivergence(sampler=sampler, start=Part(Replay, size=10, restart=0.1))
    recipe = chain_recipe(objective)
    assert recipe is not None and recipe.steps == 200 and chain_recipe(Jem()).steps == 400
    assert chain_recipe(ContrastiveDivergence(start=Part(FromNoise))).steps == 20
    assert chain_recipe(ContrastiveDivergence(start=Part(FromData))).steps == 400
    assert chain_recipe(DenoisingScore()) is None
    model = SimpleNamespace(family=Landscape((2,), body=Part(LevelMlp, width=4)), space=SimpleNamespace(event=(2,)))
    bowl = as_energy(lambda x: (x - 0.4).square().sum(1) / 2)
    generator = torch.Generator().manual_seed(0)
    made = draw([model], bowl, 800, generator, recipe=recipe, film=True)
    assert made.x.mean().item() == pytest.approx(0.4, abs=4 * 0.1 / 1600**0.5)
    # Langevin's own bias is h / 4 of the variance in units of the bowl, 1.3 %
    assert made.x.var().item() == pytest.approx(0.01, rel=4 * (2 / 1600) ** 0.5 + 0.013)
    assert len(made.film) <= 42 and torch.equal(made.film[-1], made.x) and made.film[0].abs().max() <= 1
    for options, said in [({}, "trained without chains"), ({"recipe": recipe, "sigma": 1.0}, "no noise levels: sigma")]:
        with pytest.raises(ValueError, match=said):
            draw([model], bowl, 3, generator, **options)


def test_draws_can_be_watched_on_their_way_down(rng):
    """The mnist-density card: what is yielded are the levels that the film has, and the end is that of `draw`."""
    density = load_predictor("mnist-density")[1]
    energy = density.energies()["three"]
    seen, running = [], drawing([density], energy, 2, torch.Generator().manual_seed(1), steps=3, film=True)
    while True:
        try:
            seen.append(next(running))
        except StopIteration as end:
            watched = end.value
            break
    whole = draw([density], energy, 2, torch.Generator().manual_seed(1), steps=3, film=True)
    assert torch.equal(watched.x, whole.x) and [passing.number for passing in seen] == [0, 1, 2, 3]
    assert [passing.sigma for passing in seen] == [*whole.levels, 0.0]
    for passing, x in zip(seen, whole.film, strict=True):
        assert torch.equal(passing.x, x)
    frames = shown_levels(density, whole)
    assert torch.equal(shown_at(density, seen[1].x, seen[1].sigma), frames[1])
    assert torch.equal(decoded(density, whole.x), frames[-1])
