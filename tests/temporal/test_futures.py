"""Several futures: draws in the shares asked for, and frames that are the true operator's."""

import pytest
import torch
from scipy.stats import kstest
from torch import nn

from ergosum.compose import Or
from ergosum.data.render import FACTORS, render, turn_hue, warp
from ergosum.data.sequences import SPACING
from ergosum.data.sources import load_digits
from ergosum.energies.gaussian import Gaussian
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.reader import circular_difference, read_factors
from ergosum.nets.transport import Bowl
from ergosum.samplers.chain import run
from ergosum.samplers.mala import Mala
from ergosum.samplers.smc import tempered_smc
from ergosum.temporal.control import Bank
from ergosum.temporal.futures import alternatives, futures, futures_sheet, next_frame
from ergosum.training.runfolder import load_predictor

NAMES = ("hue", "turn", "turn_back", "grow")


class Steps(nn.Module):
    """Colour brightens the left half by 0.25 a level, angle the right half; scale halves the frame."""

    components = ("colour", "angle", "scale")

    def mean(self, start, moves, k):
        half = torch.zeros_like(start)
        width = start.shape[-1] // 2
        half[..., :width] = k == 0
        half[..., width:] = k == 1
        levels = moves[:, FACTORS.index(self.components[k])].view(-1, 1, 1, 1)
        return start * 0.5**levels if k == 2 else start + 0.25 * levels * half

    def predict(self, start, moves, active):
        return self.mean(start, moves, active[0])

    def encode(self, x):
        return torch.zeros(len(x), 3, 1)

    def bind(self, z, anchor, moves, fraction, active):
        return Bowl(self.mean(anchor, moves, active[0]))

    knows_moves = True


@pytest.fixture
def bank():
    return Bank([Steps()])


@pytest.fixture
def start():
    return torch.full((1, 3, 4, 4), 0.5)


@pytest.fixture(scope="module")
def cards():
    """The shipped colour and angle energies."""
    return Bank([load_predictor(f"digits-{f}")[1] for f in ("colour", "angle")])


@pytest.fixture(scope="module")
def seven():
    """A held-out 7 as it came, and as a red frame."""
    held_out = load_digits("digits", "test")
    digit = held_out.images[held_out.labels == 7][:1]
    return digit, render(digit, torch.tensor([[0.0, 0.0, 0.8]]))


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def test_a_formula_is_written_out_as_its_alternatives():
    told = {
        "hue": [("hue", 1.0, 1.0)],
        "hue | turn_back": [("hue", 0.5, 1.0), ("turn_back", 0.5, 1.0)],
        "hue & (turn | turn_back)": [("hue & turn", 0.5, 2.0), ("hue & turn_back", 0.5, 2.0)],
        "(0.9:hue | 0.1:turn) & 0.5*grow": [("hue & grow", 0.9, 1.5), ("turn & grow", 0.1, 1.5)],
        "(hue | turn) | grow": [("hue", 1 / 3, 1.0), ("turn", 1 / 3, 1.0), ("grow", 1 / 3, 1.0)],
        "2:(hue & turn) | 2*grow": [("hue & turn", 2 / 3, 2.0), ("grow", 1 / 3, 2.0)],
        "grow & (hue | 2:turn) & (turn_back | 3:grow)": [
            ("grow & hue & turn_back", 1 / 12, 3.0), ("grow & hue & grow", 3 / 12, 3.0),
            ("grow & turn & turn_back", 2 / 12, 3.0), ("grow & turn & grow", 6 / 12, 3.0),
        ],
    }  # fmt: skip
    for formula, expected in told.items():
        ways = alternatives(formula, NAMES)
        assert [(str(w), pytest.approx(w.share), pytest.approx(w.sharpness)) for w in ways] == expected, formula


def test_shares_that_are_given_replace_the_weights_of_a_formula():
    ways = alternatives("9:hue | turn", NAMES, (0.25, 0.75))
    assert [w.share for w in ways] == [0.25, 0.75]
    thirds = alternatives("hue | turn | grow", NAMES, (0.33, 0.33, 0.33))
    assert [w.share for w in thirds] == pytest.approx([1 / 3] * 3)


@pytest.mark.parametrize(
    ("formula", "shares", "message"),
    [
        ("hue | ~turn", None, "negation says what does not happen"),
        ("hue | tilt", None, "no energy is called 'tilt'"),
        ("hue | turn", (1.0,), "2 numbers > 0, one for each of hue, turn; got 1"),
        ("hue | turn", (1.0, 0.0), "2 numbers > 0"),
        ("hue | turn", (1.0, float("nan")), "2 numbers > 0"),
        ("hue | turn", (0.9, 0.3), r"shares: expected numbers of sum 1, got 0\.9, 0\.3, of sum 1\.2"),
        (" & ".join(["(hue | turn | grow)"] * 4), None, "at most 64 alternatives, got 81"),
    ],
)
def test_what_leaves_no_futures_is_refused(formula, shares, message):
    with pytest.raises(ValueError, match=message):
        alternatives(formula, NAMES, shares)


def test_settings_out_of_range_are_refused(bank, start):
    for wrong in ({"n": 0}, {"frames": 0}, {"temperature": 0.0}, {"temperature": float("inf")}, {"choose": "never"}):
        with pytest.raises(ValueError, match="expected"):
            futures(bank, "colour | angle", start, **wrong)
    with pytest.raises(ValueError, match="one frame to start from"):
        futures(bank, "colour | angle", start.repeat(2, 1, 1, 1))


def test_the_energy_of_the_next_frame_is_the_disjunction_of_the_banks_own_bowls(bank, start):
    x = torch.rand(5, 3, 4, 4, generator=seeded())
    bowls = bank.energies(start.expand(5, -1, -1, -1))
    expected = Or(bowls["colour"] / 0.01, bowls["angle_back"] / 0.01, log_weights=[0.0, 0.0])
    made = next_frame(bank, "colour | angle_back", start, temperature=0.01)
    torch.testing.assert_close(made.gradient(x), expected.gradient(x))
    difference = made(x) - expected(x)  # a constant: the partition function
    torch.testing.assert_close(difference, difference[:1].expand(5))
    assert made.log_z == pytest.approx(0, abs=1e-4) and str(made).count("|") == 1


def test_draws_have_the_means_variances_and_shares_of_the_mixture(bank, start):
    n, temperature = 4000, 0.01
    made = futures(bank, "0.3:colour | 0.7:(colour & angle)", start, n, None, temperature, generator=seeded())
    truth = torch.tensor([0.75, 0.75]), torch.tensor([0.5, 0.75])
    for k, variance in ((0, temperature), (1, temperature / 2)):
        own = made.frames[made.nearest[:, 0] == k, 1]
        halves = torch.stack([own[..., :2].flatten(), own[..., 2:].flatten()])
        size = halves.shape[1]
        expected = torch.stack([t[k] for t in truth])
        assert ((halves.mean(1) - expected).abs() < 4 * (variance / size) ** 0.5).all()
        assert ((halves.var(1) / variance - 1).abs() < 4 * (2 / size) ** 0.5).all()
    assert made.counts.sum() == n and made.p > 0.01 and made.counts[0] / n == pytest.approx(0.3, abs=0.03)
    torch.testing.assert_close(made.means[1, 1], bank.play(start, "colour+angle:1")[0, 1])


@pytest.mark.parametrize("shares", [(0.6, 0.4), (0.2, 0.3, 0.5)])
def test_the_p_of_right_draws_is_uniform(bank, start, shares):
    formula = " | ".join(("colour", "angle", "scale")[: len(shares)])
    p = [futures(bank, formula, start, 400, shares, generator=seeded(s)).p for s in range(80)]
    assert kstest(p, "uniform").pvalue > 1e-3


def test_the_same_seed_gives_the_same_bits(bank, start):
    one, other, third = (
        futures(bank, "colour | angle", start, 20, frames=2, generator=seeded(s)).frames for s in (1, 1, 2)
    )
    assert torch.equal(one, other) and not torch.equal(one, third)


def test_paths_keep_to_their_choice_or_choose_anew(bank, start):
    once = futures(bank, "colour_back | 3:angle", start, 400, frames=3, temperature=1e-6, generator=seeded())
    assert once.frames.shape == (400, 4, 3, 4, 4) and torch.equal(once.frames[:, 0], start.expand(400, -1, -1, -1))
    assert (once.nearest == once.nearest[:, :1]).all() and once.counts.sum() == 400
    ends = torch.stack([once.frames[once.nearest[:, 0] == k, -1].mean(0) for k in (0, 1)])
    torch.testing.assert_close(ends, once.means[:, -1], atol=1e-3, rtol=0)
    each = futures(bank, "colour_back | 3:angle", start, 400, frames=3, temperature=1e-6, choose="each",
                   generator=seeded())  # fmt: skip
    kept = (each.nearest == each.nearest[:, :1]).all(1).float().mean()
    assert each.counts.sum() == 1200 and kept == pytest.approx(0.25**3 + 0.75**3, abs=0.1) and each.p > 0.01


def test_every_frame_is_anchored_at_the_paths_own_last_one_with_its_noise(bank, start):
    made = futures(bank, "angle & scale", start, 500, frames=2, temperature=0.02, generator=seeded())
    variances = made.frames[:, 1:].transpose(0, 1).flatten(1).var(1)
    one, size = 0.02 / 2, made.frames[:, 1].numel()
    means = made.means[0, 1:].flatten(1).var(1, correction=0)  # the halves of the frame differ
    assert ((variances - means) / torch.tensor([one, one * 1.25]) - 1).abs().max() < 6 * (2 / size) ** 0.5


def test_alternatives_that_look_alike_are_told_apart_by_their_separation(bank, start):
    far = futures(bank, "colour | angle", start, 10, temperature=1e-4, generator=seeded()).separation
    assert far == pytest.approx((48 * 0.25**2 / 1e-4) ** 0.5, rel=1e-4)
    assert futures(bank, "colour | colour", start, 10, generator=seeded()).separation == 0


def test_a_local_sampler_stays_with_the_nearest_future_where_a_tempered_population_finds_both(bank, start):
    temperature, shares = 0.01, (0.3, 0.7)
    energy = next_frame(bank, "colour | angle", start, shares, temperature)
    means = torch.cat([bank.advance(start, {name: 1.0}) for name in ("colour", "angle")])

    def first(x):
        return (torch.cdist(x.flatten(1), means.flatten(1)).argmin(1) == 0).sum().item()

    chains = means[:1].lerp(means[1:], 0.4).expand(300, -1, -1, -1)
    for step in run(Mala(step_size=0.005), energy, chains, 200, generator=seeded()):
        chains = step.x
    assert first(chains) == 300  # instead of 90
    wide = Gaussian(means.mean(0), 0.02)
    found = tempered_smc(wide, energy, wide.draw(3200, seeded()), Mala(step_size=0.005), generator=seeded())
    assert first(found.x) / 3200 == pytest.approx(0.3, abs=4 * (0.21 / found.log_z.effective) ** 0.5)
    drawn = futures(bank, "colour | angle", start, 1600, shares, temperature, generator=seeded())
    assert first(drawn.frames[:, 1]) / 1600 == pytest.approx(0.3, abs=4 * (0.21 / 1600) ** 0.5)


def test_the_futures_of_trained_energies_are_the_true_ones_in_their_shares(cards, seven):
    digit, frame = seven
    hue, degrees, _ = SPACING
    true = torch.cat([turn_hue(frame, hue[None]), warp(frame, -degrees[None], torch.ones(1))])
    made = futures(cards, "colour | angle_back", frame, 1000, (0.7, 0.3), generator=seeded())
    assert made.p > 0.01 and made.separation > 100
    assert psnr(mse(made.means[:, 1], true)).min() > 35
    drawn = made.frames[:, 1].clamp(0, 1)
    nearest = torch.cdist(drawn.flatten(1), true.flatten(1)).argmin(1)
    assert torch.equal(nearest.bincount(), made.counts)
    assert psnr(mse(drawn, true[nearest])).min() > 33
    assert psnr(mse(true.mean(0, keepdim=True).expand_as(true), true)).max() < 28  # the ghost is none of them
    some = drawn[:24]
    read = read_factors(some, digit.expand(24, -1, -1, -1), render).factors
    turned = circular_difference(read[:, 1], torch.zeros(24), 360.0).abs() > degrees / 2
    recoloured = circular_difference(read[:, 0], torch.zeros(24), 2 * torch.pi).abs() > hue / 2
    assert torch.equal(turned, nearest[:24] == 1) and torch.equal(recoloured, nearest[:24] == 0)


def test_what_happens_together_happens_in_turn(cards, seven):
    _, frame = seven
    hue, degrees, _ = SPACING
    made = futures(cards, "colour & (angle | angle_back)", frame, 4, generator=seeded()).means[:, 1]
    true = torch.cat([turn_hue(warp(frame, s * degrees[None], torch.ones(1)), hue[None]) for s in (1, -1)])
    bowls = cards.energies(frame)
    between = (bowls["colour"].mean + bowls["angle"].mean) / 2  # where the sum of both bowls is least
    assert psnr(mse(made, true)).min() > 35 and psnr(mse(between.clamp(0, 1), true[:1])) < 28


@pytest.mark.parametrize("frames", [1, 3])
def test_a_sheet_shows_every_alternative(bank, frames):
    start = torch.full((1, 3, 28, 28), 0.5)
    wide = [
        futures_sheet(futures(bank, formula, start, 40, (1 / k,) * k, frames=frames, generator=seeded()))
        for k, formula in ((2, "colour | angle"), (3, "colour | angle | scale"))
    ]
    assert wide[1].height > wide[0].height > 28 * 3 * 3
