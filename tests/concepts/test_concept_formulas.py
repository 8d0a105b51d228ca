"""What formulas of concepts mean, against densities that are known at every level."""

import warnings

import pytest
import torch

from ergosum.density.algebra import FLOOR, Combinations, Lifted, tree
from ergosum.density.formulas import meaning, vocabulary, worlds
from ergosum.formula import numbered
from tests.concepts.exact import exact

KNOWN = vocabulary([exact()])
WHOLE = vocabulary([exact(independent=False)])


def points(n: int = 64) -> torch.Tensor:
    return torch.randn(n, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64) * 2


def density(formula: str, x: torch.Tensor, known=KNOWN, sigma: float = 0.0, shares=None) -> torch.Tensor:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        energy = meaning(formula, known, shares)
    return (-(energy.at_noise(sigma) if sigma else energy)(x) - (energy.log_z or 0.0)).exp()


def truth(formula: str, x: torch.Tensor, sigma: float, shares=None) -> torch.Tensor:
    """The mixture of the worlds' densities, each with its share of the formula."""
    model = KNOWN["red"].owner
    made = worlds(formula, KNOWN, shares)
    total = torch.zeros(len(x), dtype=torch.float64)
    for number, share in enumerate(made.formula.tolist()):
        own = [name for name, holds in made.names.items() if holds[number]]
        kinds = {KNOWN[name].kind for name in made.names}
        # a world without a named value of a kind is all other values of that kind
        each = [[n for n in own if KNOWN[n].kind == kind] or others(kind, made.names) for kind in sorted(kinds)]
        total = total + share * mixed(model, each, x, sigma)
    return total


def others(kind: str, named) -> list[str]:
    return [n for n, e in KNOWN.items() if e.kind == kind and n not in named]


def mixed(model, each, x, sigma) -> torch.Tensor:
    """The density of x where each kind is one of several values, in proportion to their shares."""
    total, whole = torch.zeros(len(x), dtype=torch.float64), 0.0
    from itertools import product

    for names in product(*each):
        share = torch.tensor([KNOWN[n].share for n in names]).prod().item()
        condition = model.condition(**{KNOWN[n].kind: n for n in names}).double()
        family = model.family.at_noise(sigma) if sigma else model.family
        total, whole = total + share * (-family(condition)(x)).exp(), whole + share
    return total / whole if whole else total


@pytest.mark.parametrize("sigma", [0.0, 0.3, 2.0])
@pytest.mark.parametrize("formula", [
    "red", "red & box", "red | green", "0.9:red | 0.1:blue", "~red", "~(red | green)", "~red & box", "red & ~box",
    "~(red & box)", "(red | green) & box", "0.2:(red & box) | 0.8:blue", "red & ~blue", "(red | green) & ~red",
    "(red | box) & ~(blue & box)", "(red & box) | (~red & ball)", "~((red & box) | blue)", "~(~(red & box) & ~blue)",
    "(0.9:red | 0.1:box) & (ball | blue)",
])  # fmt: skip
def test_densities_of_independent_concepts_are_exact_at_every_level(formula, sigma):
    x = points()
    apart = (density(formula, x, sigma=sigma) - truth(formula, x, sigma)).abs()
    # a complement keeps a floor of the prior where nothing is left of it
    floor = FLOOR * density("prior", x, sigma=sigma) if "~" in formula else 0.0
    assert (apart <= 1e-5 * truth(formula, x, sigma) + 6 * floor + 1e-12).all()


def test_what_is_told_in_numbers_joins_a_mixture_of_combinations():
    x, tangled = points(), "(red | box) & ~(blue & box)"
    for sigma in (0.05, 1.0):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # everything is normalised
            one, both = (meaning(text, KNOWN).at_noise(sigma) for text in (tangled, f"{tangled} & at(0.3,0.6)"))
        assert one.log_z == both.log_z == 0.0
        place = KNOWN["red"].owner.at("at", [0.3, 0.6]).energy.at_noise(sigma)
        torch.testing.assert_close(both(x) - one(x), place(x) - KNOWN["prior"].energy.at_noise(sigma)(x))


def test_a_tangled_formula_is_a_mixture_where_kinds_are_independent_and_a_lift_elsewhere():
    tangled = "(red | box) & ~(blue & box)"
    assert isinstance(meaning(tangled, KNOWN), Combinations)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert isinstance(meaning(tangled, WHOLE), Lifted)
        assert isinstance(meaning("2*(red | box) & ~(blue & box)", KNOWN), Lifted)  # a weight is no mixture
    assert tree(meaning(tangled, KNOWN), points(4))[0][0] == f"and: {tangled}"
    with pytest.raises(ValueError, match="a column for each of 1 kinds and a row for each of 2 shares"):
        Combinations(KNOWN["prior"].energy, [[KNOWN["red"].energy]], torch.zeros(1, 1), torch.ones(2), [[0.5]])


def test_a_conjunction_of_values_is_the_sum_of_what_each_adds_to_the_prior():
    x = points()
    one = meaning("red & box", KNOWN)
    lift = meaning("red & box", WHOLE)
    assert not isinstance(one, Lifted) and isinstance(lift, Lifted)
    torch.testing.assert_close(one(x), lift(x))
    plain = KNOWN["red"].energy(x) + KNOWN["box"].energy(x)  # counts what both have in common twice
    torch.testing.assert_close(plain - one(x), KNOWN["prior"].energy(x))


def test_conjunctions_of_independent_concepts_are_normalised_and_others_are_not():
    for formula in ("red & box", "~red & box", "(red | green) & box"):
        assert meaning(formula, KNOWN).log_z is not None
    assert meaning("red & box", WHOLE).log_z is None
    assert meaning("2*red & box", KNOWN).log_z is None


def test_numbers_are_told_in_brackets():
    assert numbered("red & at(0.30, .6) | exp(-1.2): at(.3,0.6)") == [("at", (0.3, 0.6))]
    x = points()
    energy = meaning("at(0.30, 0.6) & red", KNOWN)
    assert str(energy) == "at(0.3,0.6) & red"
    model = KNOWN["red"].owner
    wanted = model.family(model.condition(colour="red", place=(0.3, 0.6)).double())(x)
    torch.testing.assert_close(energy(x), wanted)
    torch.testing.assert_close(meaning("place(0.3,0.6) & red", KNOWN)(x), wanted)


@pytest.mark.parametrize(("formula", "said"), [
    ("red & blue", r"red & blue: nothing satisfies this, .*its colour may be red, blue or another"),
    ("red & ~red", "nothing satisfies this"),
    ("box & (red & green)", "nothing satisfies this"),
    ("~(red | green | blue)", "nothing satisfies this|nothing is left"),
    ("purple", r"no energy is called 'purple' \(known: red, green"),
    ("at(0.3)", r"place: expected 2 numbers in \[0, 1\], got \[0.3\]"),
    ("at(0.3, 1.2)", r"expected 2 numbers in \[0, 1\]"),
    ("spot(0.3, 0.2)", r"no energy is called 'spot\(0.3,0.2\)'"),
    ("~at(0.3, 0.2)", "told in numbers and has no share"),
    ("~(0.2:red | green)", "whatever its weights; leave them away"),
])  # fmt: skip
def test_what_no_image_can_be_is_refused_in_one_line(formula, said):
    with pytest.raises(ValueError, match=said):
        meaning(formula, KNOWN)


def test_worlds_are_shares_of_what_was_asked_for():
    made = worlds("red | blue", KNOWN)
    told = {name: float(made.formula[holds].sum()) for name, holds in made.names.items()}
    assert told == pytest.approx({"red": 0.5, "blue": 0.5})
    made = worlds("~red & box", KNOWN)
    assert float(made.formula[made.names["red"]].sum()) == 0 and float(made.formula[made.names["box"]].sum()) == 1
    made = worlds("red | blue", KNOWN, (0.9, 0.1))
    assert float(made.formula[made.names["red"]].sum()) == pytest.approx(0.9)
    assert float(made.prior[made.names["red"]].sum()) == pytest.approx(0.5)


def test_what_several_tell_at_once_are_values_of_different_attributes():
    model = KNOWN["red"].owner
    red, blue, box = (KNOWN[name].energy for name in ("red", "blue", "box"))
    assert model.together([red, blue]) is None and model.together([red, model.family]) is None
    assert WHOLE["red"].owner.together([red, box]) is None  # of which no lift is a member
    assert torch.equal(model.together([red, box]).c.nan_to_num(-1), torch.tensor([0.0, 1, -1, -1]).double().to(red.c))
