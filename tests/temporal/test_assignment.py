"""Unlabelled energies: those that each move one factor are told apart, those that all do the same are not."""

import pytest
import torch
from torch import nn

from ergosum.data.render import turn_hue, warp
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.part import Part
from ergosum.temporal.assignment import assignment


class Apart(nn.Module):
    """One energy turns the frame, one turns the hue; `alike` makes both do both. It notes the moves it gets."""

    components = ("one", "two")

    def __init__(self, alike=False):
        super().__init__()
        self.alike, self.moves, self.sides = alike, set(), set()

    def predict(self, start, target=None, moves=None, active=None):
        self.moves |= set(moves.unique().tolist())
        self.sides.add(start.shape[-1])
        if self.alike or active == [0]:
            start = warp(start, moves[:, 1] * SPACING[1], torch.ones(len(start)))
        if self.alike or active == [1]:
            start = turn_hue(start.clamp(0, 1), moves[:, 0] * SPACING[0])
        return start


@pytest.mark.parametrize("lag, canvas", [(2, 28), (3, 28), (1, 32)])
def test_lag_and_canvas_are_those_of_the_training(lag, canvas):
    model = Apart()
    result = assignment(model, Part(DigitSequences, lag=lag, canvas=canvas), "digits", 12, 0)
    assert model.moves == {float(lag)} and model.sides == {canvas}
    assert result["response_rows"] == ["one", "two"] and result["response_factors"] == ["colour", "angle", "scale"]
    matrix = torch.tensor(result["response"])
    torch.testing.assert_close(matrix, torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]), rtol=0, atol=0.15)
    assert result["assignment"] == {"one": "angle", "two": "colour"} and result["assigned_share"] > 0.9


def test_energies_that_do_the_same_share_no_better_than_chance_allows():
    lockstep = Part(
        DigitSequences, mode="lockstep", start="fixed", signs="forward", continuous=False, lag=2, scale_min=0.1
    )
    result = assignment(Apart(alike=True), lockstep, "digits", 12, 0)
    assert result["assigned_share"] == pytest.approx(0.5, abs=0.1)
