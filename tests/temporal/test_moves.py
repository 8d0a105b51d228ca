"""The table: what needs no training must score as it should."""

import pytest
import torch

from ergosum.data.render import FACTORS, render
from ergosum.data.sequences import SPACING
from ergosum.data.sources import load_digits
from ergosum.temporal.baselines.trivial import trivial
from ergosum.temporal.moves import STEPS, as_predict, roll_out, score_row, test_set

test_set.__test__ = False
KEYS = {"row", "set", "mse", "psnr", "skill", "psnr_12", "rollout_psnr", "sharpness", "sharpness_12", "identity",
        "ffrl", "ffrl_skill", "mse_copy"}  # fmt: skip


@pytest.fixture(scope="module")
def rows():
    return trivial(load_digits("digits", "train").images.mean(0, keepdim=True))


@pytest.fixture(scope="module")
def scored(rows):
    """The rows of each factor and test set on eight sequences."""
    sets = [test_set(f, "digits", 8, 0, kind) for f in FACTORS for kind in ("mixed", "alone")]
    return {(t.factor, t.name): {name: score_row(name, predict, t) for name, predict in rows.items()} for t in sets}


def test_every_row_has_every_key(scored):
    for by_name in scored.values():
        assert set(by_name) == {"blank", "copy", "mean image", "true operator"}
        for row in by_name.values():
            assert set(row) == KEYS and len(row["rollout_psnr"]) == STEPS and row["identity"] is None


def test_copying_has_no_skill_and_is_as_sharp_as_the_truth(scored):
    for by_name in scored.values():
        assert by_name["copy"]["skill"] == pytest.approx(0, abs=1e-6)
        assert by_name["copy"]["mse"] == pytest.approx(by_name["copy"]["mse_copy"])
        assert by_name["copy"]["ffrl"] > 0 and by_name["copy"]["ffrl_skill"] == pytest.approx(0, abs=1e-6)


def test_the_true_operator_beats_copying_and_a_blank_has_no_edges(scored):
    for by_name in scored.values():
        assert by_name["true operator"]["skill"] > 0.5 > by_name["copy"]["skill"]
        assert by_name["blank"]["sharpness"] == 0
    assert scored["colour", "mixed"]["true operator"]["skill"] > 0.999  # a turn of the hue loses nothing


def test_exact_predictions_have_skill_one_and_keep_their_identity():
    tests = test_set("angle", "digits", 4, 0)
    steps, flow = tests.main.digits.repeat_interleave(STEPS, 0), tests.flow.digits
    digits_of = {4 * STEPS: steps, 4: tests.main.digits}

    def exact(start, before, after):
        resting = (before[:, 2] == 1).all() and len(start) == 4 and (before[:, 0] == 0).all()
        return render(flow if resting else digits_of[len(start)], after)

    row = score_row("exact", exact, tests, classify=lambda x: torch.nn.functional.one_hot(
        tests.main.labels.repeat_interleave(STEPS), 10).float())  # fmt: skip
    assert row["skill"] == pytest.approx(1, abs=1e-5) and row["identity"] == 1
    assert row["psnr_12"] > 60 and row["sharpness_12"] == pytest.approx(1, abs=1e-3)
    assert row["ffrl"] == pytest.approx(0, abs=1e-2)


def test_in_the_mixed_set_one_factor_moves_and_all_start_anywhere():
    tests = test_set("scale", "digits", 16, 0, "mixed")
    moves = tests.main.factors.diff(dim=1) / SPACING
    assert tests.main.frames.shape == (16, STEPS + 1, 3, 28, 28)
    assert moves[..., :2].abs().max() == 0 and moves[..., 2].min() < 0 < moves[..., 2].max()
    torch.testing.assert_close(moves[..., 2].abs(), torch.ones(16, STEPS), rtol=0, atol=1e-3)
    assert tests.main.factors[:, 0].std(0).min() > 0


def test_in_the_alone_set_the_others_rest_and_the_factor_moves_forwards():
    tests = test_set("angle", "digits", 16, 0, "alone")
    assert (tests.main.factors[..., 0] == 0).all() and (tests.main.factors[..., 2] == 1).all()
    assert (tests.main.factors[..., 1].diff(dim=1) > 0).all()


def test_the_flow_protocol_turns_twenty_degrees_of_hue_ten_of_angle_and_a_tenth_of_scale():
    ends = {f: test_set(f, "digits", 2, 0).flow.factors[:, -1] for f in FACTORS}
    expected = {"colour": [7 * torch.pi / 9, 0, 1], "angle": [0, 70, 1], "scale": [0, 0, 1.7]}
    for factor, end in ends.items():
        torch.testing.assert_close(end, torch.tensor([expected[factor]] * 2, dtype=torch.float32))


def test_other_seeds_give_other_sequences_and_the_same_the_same():
    a, b, c = (test_set("angle", "digits", 3, s).main.frames for s in (0, 0, 1))
    assert torch.equal(a, b) and not torch.equal(a, c)


def test_a_roll_out_feeds_each_prediction_to_the_next():
    tests = test_set("angle", "digits", 2, 0)
    rolled = roll_out(lambda start, before, after: start / 2, tests.main)
    torch.testing.assert_close(rolled[:, 5], tests.main.frames[:, 0] / 2**5)


def test_a_predictor_gets_the_move_in_levels_and_its_component():
    seen = {}

    class Noting:
        def predict(self, start, moves, active):
            seen.update(moves=moves, active=active)
            return start

    before = torch.tensor([[0.0, 20.0, 1.0]])
    as_predict(Noting(), [2])(torch.zeros(1, 3, 4, 4), before, before + SPACING * torch.tensor([1.0, -2.0, 0.5]))
    torch.testing.assert_close(seen["moves"], torch.tensor([[1.0, -2.0, 0.5]]))
    assert seen["active"] == [2]


def test_no_sequences_and_unknown_sets_are_refused():
    with pytest.raises(ValueError, match="at least one sequence, got 0"):
        test_set("angle", "digits", 0, 0)
    with pytest.raises(ValueError, match="expected 'mixed' or 'alone', got 'both'"):
        test_set("angle", "digits", 1, 0, "both")
