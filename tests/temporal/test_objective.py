"""The objective of sequences in closed form."""

import pytest
import torch

from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.decomposer import Trajectory
from ergosum.metrics.decorrelation import decorrelation
from ergosum.metrics.orthogonality import squared_cosine
from ergosum.part import Part
from ergosum.temporal import Prediction, PredictionLoss, TemporalDecomposer


@pytest.fixture
def pairs(rng):
    return DigitSequences(source="digits", split="test").pairs(6, rng)


def path(pairs, *offsets, latents=None):
    """A trajectory whose steps miss the target by the given amounts."""
    frames = [pairs.start, *(pairs.target + o for o in offsets)]
    return Trajectory(frames, [], torch.zeros(6, 1, 2) if latents is None else latents)


@pytest.mark.parametrize("norm, expected", [("l2", 0.04), ("l1", 0.2)])
def test_the_last_step_alone_counts(pairs, norm, expected):
    terms = PredictionLoss(norm=norm)(pairs, path(pairs, 5.0, -0.2))
    assert terms.loss.item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("norm, expected", [("l2", (0.01 + 0.04) / 2), ("l1", 0.15)])
def test_all_steps_count_alike(pairs, norm, expected):
    terms = PredictionLoss(on="all", norm=norm)(pairs, path(pairs, 0.1, -0.2))
    assert terms.loss.item() == pytest.approx(expected, rel=1e-4)


def test_on_the_path_step_n_is_compared_with_the_frame_n_nths_of_the_way(pairs):
    way = [render(pairs.digits, pairs.before + n / 3 * SPACING * pairs.moves) for n in (1, 2, 3)]
    exact = Trajectory([pairs.start, *way], [], torch.zeros(6, 1, 2))
    assert PredictionLoss(on="path")(pairs, exact).loss.item() < 1e-9
    late = Trajectory([pairs.start, pairs.start, *way[1:]], [], torch.zeros(6, 1, 2))
    expected = (pairs.start - way[0]).square().mean().item() / 3
    assert PredictionLoss(on="path")(pairs, late).loss.item() == pytest.approx(expected, rel=1e-3)


def test_the_errors_beside_the_loss_are_plain_and_of_what_is_shown(pairs):
    terms = PredictionLoss(norm="l1")(pairs, path(pairs, 7.0))
    clamped = (pairs.target - 1).square().mean().item()
    assert terms.error.item() == pytest.approx(clamped, rel=1e-5)
    assert terms.reference.item() == pytest.approx((pairs.start - pairs.target).square().mean().item(), rel=1e-5)


@pytest.mark.parametrize("name, penalty", [("decorrelation", decorrelation), ("orthogonality", squared_cosine)])
def test_the_weight_of_a_penalty_multiplies_it(pairs, rng, name, penalty):
    latents = torch.randn(6, 2, 3, generator=rng)
    terms = PredictionLoss(**{name: 0.7})(pairs, path(pairs, 0.0, latents=latents))
    assert terms.loss.item() == pytest.approx(0.7 * penalty(latents).item(), rel=1e-5)


@pytest.mark.parametrize("model, got", [({"components": ("colour",)}, "1 with latents of 16"),
                                        ({"components": FACTORS, "latent": 1}, "3 with latents of 1")])  # fmt: skip
def test_right_angles_need_two_latents_of_two_numbers(model, got):
    with pytest.raises(ValueError, match=f"^objective.orthogonality: expected 0 unless.* got {got}"):
        Prediction(model=Part(TemporalDecomposer, **model), objective=Part(PredictionLoss, orthogonality=0.1))
