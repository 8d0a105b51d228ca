"""Scores of control, with a predictor that obeys exactly and one that does nothing."""

import pytest
import torch
from torch import nn

from ergosum import zoo
from ergosum.data.render import FACTORS, render, turn_hue, warp
from ergosum.data.sequences import SPACING
from ergosum.temporal.control import Bank
from ergosum.temporal.scores import own_row, summarise
from ergosum.temporal.steering import composition, response, sample_starts, score_timelines, timelines, true_frames
from ergosum.temporal.timeline import parse_timeline


class Hue(nn.Module):
    """Turns the hue by the move: exact, since hue turns lose nothing. `gain` = 0 leaves the frame as it is."""

    components = ("colour",)

    def __init__(self, gain=1.0):
        super().__init__()
        self.gain = gain

    def predict(self, start, target=None, moves=None, active=None):
        return turn_hue(start.clamp(0, 1), self.gain * moves[:, 0] * SPACING[0])


class Angle(nn.Module):
    """Turns the frame itself, which blurs a little."""

    components = ("angle",)

    def predict(self, start, target=None, moves=None, active=None):
        return warp(start, moves[:, 1] * SPACING[1], torch.ones(len(start)))


@pytest.mark.parametrize("text", ["scale:2 colour:1", "colour+angle*0.5:-3"])
def test_true_frames_obey_the_timeline(text):
    timeline = parse_timeline(text)
    digits, start = sample_starts("digits", 3, 0, 3.0)
    truth = true_frames(digits, start, timeline)
    assert truth.frames.shape == (3, timeline.frames + 1, 3, 28, 28)
    for t in range(timeline.frames + 1):
        torch.testing.assert_close(truth.frames[:, t], render(digits.images, truth.factors[:, t]))
    told = torch.tensor([[m.get(f, 0.0) for f in FACTORS] for m in timeline])
    torch.testing.assert_close(truth.factors.diff(dim=1) / SPACING, told.expand(3, -1, -1), rtol=0, atol=1e-3)


def test_starts_leave_room_for_the_growth():
    for growth in (10.0, -10.0):
        _, start = sample_starts("digits", 100, 0, growth)
        end = start[:, 2] + 0.1 * growth
        assert min(start[:, 2].min(), end.min()) > 0.399 and max(start[:, 2].max(), end.max()) < 1.801


def test_the_timelines_are_all_pairs_in_three_shares_and_the_three_in_turn_both_ways():
    found = [str(t) for t in timelines(FACTORS)]
    assert len(found) == 11 and found[:3] == ["scale:3 colour:9", "scale:6 colour:6", "scale:9 colour:3"]
    assert found[-2:] == ["scale:4 colour:4 angle:4", "scale:-4 colour:-4 angle:-4"]
    assert all(t.frames == 12 for t in timelines(FACTORS))
    assert [str(t) for t in timelines(("angle",))] == ["angle:12"]


def test_an_obedient_predictor_scores_as_well_as_the_reader_reads():
    result = score_timelines(Bank([Hue()]), "digits", 4, 0)
    assert result["timeline_error"]["hue_deg"] < 0.5 and result["timeline_error"]["angle_deg"] < 1
    assert result["timeline_psnr"] > 50 and [r["timeline"] for r in result["timelines"]] == ["colour:12"]
    assert "identity" not in result


def test_a_predictor_that_does_nothing_errs_by_the_mean_of_what_was_ordered():
    result = score_timelines(Bank([Hue(0.0)]), "digits", 4, 0, [parse_timeline("colour:4")])
    level = torch.rad2deg(SPACING[0]).item()
    assert result["timeline_error"]["hue_deg"] == pytest.approx(level * (1 + 2 + 3 + 4) / 4, abs=0.5)


def test_errors_are_averaged_over_all_frames_of_timelines_of_any_length():
    result = score_timelines(
        Bank([Hue(0.0)]), "digits", 2, 0, [parse_timeline("colour:1"), parse_timeline("colour:-3")]
    )
    level = torch.rad2deg(SPACING[0]).item()
    assert result["timeline_error"]["hue_deg"] == pytest.approx(level * (1 + 1 + 2 + 3) / 4, abs=0.5)
    assert [r["hue_deg"] for r in result["timelines"]] == pytest.approx([level, 2 * level], abs=0.5)


def test_the_response_of_pure_moves_is_one_level_per_frame_of_their_own_factor():
    result = response(Bank([Hue(), Angle()]), "digits", 6, 0)
    matrix = torch.tensor(result["response"])
    assert result["response_rows"] == ["colour", "angle"] and result["response_factors"] == list(FACTORS)
    torch.testing.assert_close(matrix[:, :2], torch.eye(2), rtol=0, atol=0.1)
    torch.testing.assert_close(torch.tensor(result["response_signed"])[:, :2], torch.eye(2), rtol=0, atol=0.1)
    assert result["diagonal_share"] > 0.9 and result["reader_error"]["hue_deg"] < 0.1


def test_identity_is_scored_where_there_is_a_classifier():
    judged = score_timelines(
        Bank([Hue()]), "digits", 6, 0, [parse_timeline("colour:2")], zoo.Zoo().classifier("identity")
    )
    assert judged["identity"] == 1 and judged["timelines"][0]["identity"] == 1


class Additive(Hue):
    """A predictor that can also act as one of a sum, for which it needs latents, energies and a sampler."""

    def encode(self, x):
        return x

    def bind(self, z, anchor, moves, fraction, active):
        from ergosum.nets.transport import Bowl

        return Bowl(self.predict(anchor, moves=fraction * moves))

    def sampler(self):
        from ergosum.samplers.descent import Descent

        return Descent()


class AdditiveAngle(Additive):
    components = ("angle",)
    predict = Angle.predict


def test_composition_scores_every_way_of_moving_two_factors_at_once():
    rows = composition(Bank([Additive(), AdditiveAngle()]), "digits", 3, 0, frames=2)
    psnr = {r["row"]: r["psnr"] for r in rows}
    assert {r["factors"] for r in rows} == {"colour+angle"} and set(psnr) == {"copy", "split", "sum"}
    assert psnr["split"] > psnr["sum"] > psnr["copy"]


def test_the_summary_of_one_factor_holds_all_that_is_printed():
    result = summarise("card", Hue(), source="digits", n=4, seed=0)
    assert (result["factor"], result["n"], result["seed"], result["card"]) == ("colour", 4, 0, "card")
    assert result["skill"] > 0.999 and result["mse_copy"] > result["mse"]
    assert {r["row"] for r in result["rows"]} == {"blank", "copy", "mean image", "true operator", "card"}
    assert all(t["met"] for t in result["targets"] if t["name"] in ("colour skill", "timelines: hue [°]"))
    assert set(result["timeline_error"]) == {"hue_deg", "angle_deg", "log_scale"}


def test_only_a_decomposer_is_called_ours(tiny):
    assert own_row("runs/mine", tiny().built().build()) == "ours"
    assert own_row("runs/mine", tiny("feedforward-unet-colour").built().build()) == "mine" == own_row("mine", Hue())


def test_a_predictor_that_is_not_conditioned_on_the_move_is_scored_where_it_need_not_know():
    model = Hue()
    model.knows_moves = False
    result = summarise("card", model, source="digits", n=4, seed=0)
    assert {r["set"] for r in result["rows"]} == {"alone"} and result["skill"] > 0.999
    assert not {"response", "timelines", "composition"} & set(result) and result["targets"] == []


def test_gradients_are_added_only_where_every_energy_has_some():
    rows = composition(Bank([Additive(), Angle()]), "digits", 2, 0, frames=1)
    assert [r["row"] for r in rows] == ["copy", "split"]


def test_energies_without_factor_names_cannot_be_summarised():
    nameless = Hue()
    nameless.components = ("one", "two")
    with pytest.raises(ValueError, match=r"no energy named after a factor \(one, two\)"):
        summarise("card", nameless, source="digits", n=4, seed=0)
