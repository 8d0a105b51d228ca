"""Scores of movers: one that knows the truth, in units of its own, scores like the true operator; others do not."""

import pytest
import torch

from ergosum.data.record import Clips
from ergosum.data.render import turn_hue, warp
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.metrics.mcc import mcc
from ergosum.part import Part
from ergosum.temporal.discovery.scores import LOG_UNIT, natural_speeds, score_clips, score_mover, separation

DATA = Part(DigitSequences, mode="single")
ORDER, UNITS = [2, 0, 1], torch.tensor([-0.5, 4.0, 0.1])


class Knowing:
    """Looks the true speeds up by the frames' bits; its components are in another order, with other units and signs.

    `alike` lets every component do what all do, `fickle` gives each image a sign of its own.
    """

    components = ("a", "b", "c")

    def __init__(self, data=DATA, n=64, seed=0, alike=False, fickle=False):
        pairs = data.build(split="test", source="digits").pairs(n, torch.Generator().manual_seed(seed))
        self.known = {self.key(x): v for x, v in zip(pairs.target, natural_speeds(pairs), strict=True)}
        self.alike, self.fickle = alike, fickle

    @staticmethod
    def key(frame):
        return frame.numpy().tobytes()

    def read(self, start, target):
        moves = torch.stack([self.known[self.key(x)] for x in target])[:, ORDER] * UNITS
        return self.sign(start) * moves if self.fickle else moves

    def act(self, start, moves):
        moves = self.sign(start) * moves if self.fickle else moves
        speeds = torch.zeros(len(start), 3)
        speeds[:, ORDER] = (moves / UNITS).sum(1, keepdim=True).expand(-1, 3) if self.alike else moves / UNITS
        turned = warp(start, speeds[:, 1] * SPACING[1], (speeds[:, 2] * LOG_UNIT).exp())
        return turn_hue(turned.clamp(0, 1), speeds[:, 0] * SPACING[0])

    def sign(self, start):
        return 1.0 - 2.0 * (1000 * start.sum((1, 2, 3)) % 2).floor()[:, None]


def test_a_mover_that_knows_the_truth_scores_like_the_true_operator_whatever_its_units_and_signs():
    score = score_mover(Knowing(), DATA, "digits", 64, 0)
    truth = score["references"]["truth"]
    assert score["mcc"] == pytest.approx(1) and score["mcc_pearson"] == pytest.approx(1)
    assert score["match"] == ORDER and score["signs"] == [-1, 1, 1] and score["kept"] == 3
    for key in ("diagonal_share", "assigned_share"):
        assert score[key] > 0.85 and score[key] == pytest.approx(truth[key], abs=0.02)
    for f, most in (("colour", 0.05), ("angle", 0.2), ("scale", 0.3)):
        assert score["transfer_error"][f] == pytest.approx(truth["transfer_error"][f], abs=1e-3)
        assert score["transfer_error"][f] < most and score["skill"][f] == pytest.approx(truth["skill"][f], abs=1e-4)
    assert score["skill"]["colour"] > 0.99 and 0.8 < score["skill"]["mean"] < 1


def test_components_that_all_do_the_same_share_no_better_than_chance():
    score = score_mover(Knowing(alike=True), DATA, "digits", 64, 0)
    assert score["diagonal_share"] == pytest.approx(1 / 3, abs=0.08)
    assert score["assigned_share"] < 0.6 and score["transfer_spill"]["colour"] > 0.8


def test_a_sign_of_each_image_s_own_is_seen_by_correlation_and_transfer_but_not_by_skill():
    score = score_mover(Knowing(fickle=True), DATA, "digits", 64, 0)
    assert score["mcc"] < 0.4 and score["skill"]["mean"] > 0.8 and score["diagonal_share"] > 0.85
    assert max(score["transfer_error"].values()) > 0.6


def test_separation_is_the_metric_with_its_pairing(rng):
    speeds = torch.randn(200, 3, generator=rng)
    moves = torch.randn(200, 5, generator=rng)
    moves[:, 3] = -speeds[:, 0].exp()  # monotone, downwards
    found = separation(moves, speeds)
    assert found["mcc"] == pytest.approx(mcc(moves, speeds)) and found["mcc"] > found["mcc_pearson"]
    assert found["mcc_pearson"] == pytest.approx(mcc(moves, speeds, "pearson"))
    assert found["match"][3] == 0 and found["signs"][3] == -1 and found["match"].count(None) == 2
    assert found["signs"].count(0) == 2
    assert found["spearman"][3][0] == pytest.approx(-1)
    few = separation(moves[:, 3:4], speeds)
    assert few["mcc"] == pytest.approx(1 / 3)


def test_a_factor_that_never_moves_counts_for_nothing():
    data = DATA.but(factors=("colour", "angle"))
    score = score_mover(Knowing(data), data, "digits", 64, 0)
    assert score["mcc"] == pytest.approx(1) and set(score["skill"]) == {"colour", "angle", "mean"}
    assert score["diagonal_share"] > 0.85 and score["match"][0] is None


def test_clips_are_scored_by_separation_and_skill_and_without_speeds_by_skill_alone(rng):
    class Brighter:
        components = ("one", "two")

        def read(self, start, target):
            return (target - start).mean((2, 3))[:, :2]

        def act(self, start, moves):
            return start + torch.cat([moves, torch.zeros(len(moves), 1)], 1)[:, :, None, None]

    speeds = 0.05 * torch.randn(20, 3, 2, generator=rng)
    colours = torch.cat([speeds, torch.zeros(20, 3, 1)], 2).cumsum(1) + 0.5
    frames = torch.cat([torch.full((20, 1, 3), 0.5), colours], 1)[..., None, None].expand(-1, -1, -1, 12, 12)
    score = score_clips(Brighter(), Clips(frames, speeds), ("red", "green"))
    assert score["mcc"] == pytest.approx(1) and score["skill"]["mean"] == pytest.approx(1, abs=1e-6)
    assert score["skill"]["red"] is None, "red never moves alone here"
    blind = score_clips(Brighter(), Clips(frames, torch.zeros(20, 3, 0)))
    assert set(blind) == {"kept", "active", "skill"} and set(blind["skill"]) == {"mean"}
    still = score_clips(Brighter(), Clips(frames[:, :1].expand(-1, 4, -1, -1, -1), torch.zeros(20, 3, 0)))
    assert still["skill"]["mean"] is None
    with pytest.raises(ValueError, match="expected 2 names"):
        score_clips(Brighter(), Clips(frames, speeds), ("red",))
    with pytest.raises(ValueError, match="expected frames"):
        score_clips(Brighter(), Clips(frames, speeds[:, 1:]))


def test_what_cannot_be_scored_is_refused_in_one_line():
    with pytest.raises(ValueError, match="n >= 64"):
        score_mover(Knowing(), DATA, "digits", 10, 0)

    class Broken(Knowing):
        def read(self, start, target):
            return torch.full((len(start), 3), torch.nan)

    with pytest.raises(ValueError, match=r"Broken.read: expected finite moves \(64, 3\)"):
        score_mover(Broken(), DATA, "digits", 64, 0)
    with pytest.raises(ValueError, match="expected frames of scale"):
        score_mover(Knowing(), DATA.but(scale_min=0.2, scale_max=0.4), "digits", 64, 0)
    with pytest.raises(ValueError, match="at least one factor whose speed varies"):
        separation(torch.rand(4, 2), torch.ones(4, 2))
    with pytest.raises(ValueError, match="expected moves"):
        separation(torch.rand(4, 2), torch.ones(3, 2))


def test_pictures_show_bundled_digits_where_the_card_s_own_are_not_at_hand(monkeypatch):
    from ergosum.recipes import find
    from ergosum.temporal.discovery import figures

    asked = []
    monkeypatch.setattr(figures, "source_at_hand", lambda source: asked.append(source) or "digits")
    task = find("discovered").but(task={"data": {"source": "mnist"}}).built()
    assert figures.held_out_clips(task, 2, 0, steps=2).shape[:2] == (2, 3) and asked == ["mnist"]
