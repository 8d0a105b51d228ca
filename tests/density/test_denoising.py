"""Denoising score matching with the time score: the truth is where both are least, and only the second sees scales."""

import math

import pytest
import torch

from density.truth import Gaussians
from ergosum.density import DenoisingScore, LevelEnergy, Scalar
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part

MEANS, DEVIATIONS = torch.tensor([[0.5, -1.0, 0.0], [2.0, 0.0, 0.3]]), torch.tensor([0.4, 1.2])


def data(n, seed=0):
    generator = torch.Generator().manual_seed(seed)
    c = torch.randint(2, (n,), generator=generator)
    return MEANS[c] + DEVIATIONS[c, None] * torch.randn(n, 3, generator=generator), c


def gradients(family, objective, n=4000, parts=20):
    """Gradient of each weight of the form: mean over parts of the data and its standard error."""
    found = []
    for part in range(parts):
        x, c = data(n // parts, seed=part)
        family.zero_grad()
        objective.loss(family, x, c, torch.Generator().manual_seed(100 + part), 1.0).loss.backward()
        weights = (family.form.means, family.form.log_deviations, family.form.offset)
        found.append(torch.cat([torch.zeros(w.numel()) if w.grad is None else w.grad.flatten() for w in weights]))
    told = torch.stack(found)
    return told.mean(0), told.std(0) / math.sqrt(parts)


@pytest.mark.parametrize(("time", "even"), [(0.0, False), (1.0, False), (1.0, True)])
def test_the_truth_is_a_fixed_point(time, even):
    family = Gaussians(MEANS, DEVIATIONS)
    mean, error = gradients(family, DenoisingScore(time, even=even))
    # t-distributed with 19 degrees of freedom: 4.5 errors are passed by chance in 1 of 4,000 for each of ten
    assert (mean.abs() <= 4.5 * error + 1e-7).all()


def test_away_from_the_truth_it_points_home():
    away = torch.tensor([0.5, -0.5, 0.5])
    mean, error = gradients(Gaussians(MEANS + away, DEVIATIONS), DenoisingScore(0.0))
    assert (mean[:6].view(2, 3) * away.sign() > 4 * error[:6].view(2, 3)).all()
    for factor in (1.5, 1 / 1.5):
        mean, error = gradients(Gaussians(MEANS, DEVIATIONS * factor), DenoisingScore(0.0))
        assert (mean[6:8] * math.log(factor) > 2 * error[6:8]).all()


def test_what_no_gradient_in_x_shows_only_the_time_score_sees():
    """A factor of sigma / 5 on a density's offset: its gradient in x is as before, its change with the level is not."""

    def shifted(family):
        plain = family.log_density
        family.log_density = lambda x, clock, c: plain(x, clock, c) + 0.5 * clock * (c == 0)
        return family

    x, c = data(4000)
    losses = {}
    for time in (0.0, 1.0):
        for name, family in (("true", Gaussians(MEANS, DEVIATIONS)), ("false", shifted(Gaussians(MEANS, DEVIATIONS)))):
            terms = DenoisingScore(time).loss(family, x, c, torch.Generator().manual_seed(1), 1.0)
            losses[time, name] = terms.loss.item()
    assert losses[0.0, "true"] == pytest.approx(losses[0.0, "false"], abs=1e-6)
    # half the samples are off by .5 of D = 3, whatever the level: the mean square grows by (.5 / 3)^2 / 2
    assert losses[1.0, "false"] - losses[1.0, "true"] == pytest.approx((0.5 / 3) ** 2 / 2, rel=0.35)


def test_the_reference_is_the_gaussian_and_the_error_is_that_of_denoising():
    family = Gaussians(MEANS, DEVIATIONS)
    x, c = data(2000)
    terms = DenoisingScore(1.0).loss(family, x, c, torch.Generator().manual_seed(1), 1.0)
    assert terms.error < terms.reference < 1 and set(terms.health) == {"time"}
    assert terms.loss.item() == pytest.approx((terms.error + terms.health["time"]).item())


def test_the_time_score_begins_when_it_is_told_to():
    objective = DenoisingScore(2.0, begin=0.5)
    weights = [objective.weight(p) for p in (0.0, 0.5, 0.55, 0.7, 1.0)]
    assert weights == pytest.approx([0.0, 0.0, 1.0, 2.0, 2.0])
    terms = objective.loss(Gaussians(MEANS, DEVIATIONS), *data(8), torch.Generator().manual_seed(0), 0.2)
    assert not terms.health


@pytest.mark.parametrize("settings", [{"time": -1.0}, {"begin": 1.5}, {"time": math.nan}])
def test_settings_out_of_range_are_refused(settings):
    with pytest.raises(ValueError, match="expected time >= 0 and 0 <= begin <= 1"):
        DenoisingScore(**settings)


@pytest.mark.parametrize("high", [1.5, 15.0])
def test_evenly_weighed_the_noise_that_is_left_is_the_same_at_every_level(high):
    """Of a Gaussian: 1 of the first term, whatever the level, and 2 / D of the second."""
    family = LevelEnergy((4,), form=Part(Scalar, body=Part(LevelMlp, width=4, blocks=1)), lowest=0.9 * high,
                         highest=high, code=8)  # fmt: skip
    x = torch.randn(40_000, 4, generator=torch.Generator().manual_seed(0))
    told = DenoisingScore(even=True).loss(
        family, x, family.conditions.none(len(x)), torch.Generator().manual_seed(1), 1.0
    )
    # squares of 160,000 normal numbers for the first, a mean square of 40,000 for the second
    assert told.loss.item() == pytest.approx(1 + 2 / 4, abs=4 * (2 / 160_000) ** 0.5 + 4 * 3 / 40_000**0.5 * 0.5)
