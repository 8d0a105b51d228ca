"""Control of factors, with predictors whose moves are known in closed form."""

import pytest
import torch
from torch import nn

from ergosum.data.render import FACTORS, render
from ergosum.data.sources import load_digits
from ergosum.decomposer import InnerDescent
from ergosum.nets.encoders import StridedEncoder
from ergosum.nets.residual import ResidualEnergy
from ergosum.nets.transport import Bowl, Transport
from ergosum.part import Part
from ergosum.samplers.descent import Descent
from ergosum.temporal import TemporalDecomposer
from ergosum.temporal.composition import pulls
from ergosum.temporal.control import Bank, as_moves
from ergosum.temporal.timeline import parse_timeline
from ergosum.training.runfolder import load_predictor


class Shift(nn.Module):
    """Component k brightens every pixel by `amounts[k]` per level of its factor; `double` first doubles the frame."""

    def __init__(self, components, amounts, double=False):
        super().__init__()
        self.components, self.amounts, self.double, self.calls = components, amounts, double, []

    def _amount(self, moves, k):
        return self.amounts[k] * moves[:, FACTORS.index(self.components[k])].view(-1, 1, 1, 1)

    def predict(self, start, moves, active):
        self.calls.append((active, moves))
        return start * (2 if self.double else 1) + self._amount(moves, active[0])

    def encode(self, x):
        return torch.zeros(len(x), len(self.components), 1)

    def bind(self, z, anchor, moves, fraction, active):
        return Bowl(anchor + fraction * self._amount(moves, active[0]))

    def sampler(self):
        return Descent()


def small(factor, side, energy=Part(Transport, width=4), **arguments):  # noqa: B008
    """An untrained decomposer of one factor."""
    return TemporalDecomposer(Part(StridedEncoder, width=4), energy, (factor,), 2, side=side, **arguments)


@pytest.fixture(scope="module")
def bank_of_cards():
    """The shipped colour and angle energies."""
    return Bank([load_predictor(f"digits-{f}")[1] for f in ("colour", "angle")])


@pytest.fixture(scope="module")
def frame():
    """A held-out digit, red and upright."""
    return render(load_digits("digits", "test").images[:1], torch.tensor([[0.0, 0.0, 0.9]]))


@pytest.fixture
def start():
    return torch.full((2, 3, 4, 4), 0.1)


def test_factors_that_move_together_act_in_the_order_written(start):
    bank = Bank([Shift(("colour",), [0.1]), Shift(("scale",), [0.0], double=True)])
    one = bank.advance(start, {"colour": 1.0, "scale": 1.0})
    other = bank.advance(start, {"scale": 1.0, "colour": 1.0})
    torch.testing.assert_close(one, torch.full_like(start, 0.4))
    torch.testing.assert_close(other, torch.full_like(start, 0.3))


def test_each_energy_sees_its_own_factor_alone_and_one_that_does_not_move_is_not_asked(start):
    both = Shift(("colour", "scale"), [0.1, 0.2])
    Bank([both]).advance(start, {"scale": -2.0, "colour": 0.0})
    ((active, moves),) = both.calls
    assert active == [1] and moves.tolist() == [[0.0, 0.0, -2.0]] * 2


@pytest.mark.parametrize("substeps", [1, 4])
def test_as_one_sum_the_displacements_add_up(start, substeps):
    bank = Bank([Shift(("colour",), [0.1]), Shift(("angle", "scale"), [0.5, 0.2])])
    made = bank.advance(start, {"colour": 1.0, "scale": 2.0}, "sum", substeps)
    torch.testing.assert_close(made, start + 0.1 + 2 * 0.2)


def test_a_timeline_is_played_from_the_start_frame_on(start):
    bank = Bank([Shift(("colour",), [0.1]), Shift(("scale",), [0.05])])
    film = bank.play(start, parse_timeline("colour:2 colour+scale:-1"))
    assert film.shape == (2, 4, 3, 4, 4) and torch.equal(film[:, 0], start)
    torch.testing.assert_close(film[0, :, 0, 0, 0], torch.tensor([0.1, 0.2, 0.3, 0.15]))


def test_a_factor_without_energy_is_refused_before_anything_moves(start):
    colour = Shift(("colour",), [0.1])
    with pytest.raises(ValueError, match="No energy for angle, scale; this bank holds colour"):
        Bank([colour]).play(start, parse_timeline("colour:1 angle+scale:1"))
    assert colour.calls == []


def test_of_two_energies_for_a_factor_the_later_counts_and_none_is_refused(start):
    bank = Bank([Shift(("colour", "scale"), [0.1, 0.1]), Shift(("colour",), [0.3])])
    assert bank.factors == ("colour", "scale")
    torch.testing.assert_close(bank.advance(start, {"colour": 1.0}), start + 0.3)
    with pytest.raises(ValueError, match="at least one predictor, got none"):
        Bank([])


def test_moves_by_name_become_columns_in_the_order_of_the_factors():
    assert as_moves({"scale": 3, "colour": -1.5}, 2).tolist() == [[-1.5, 0.0, 3.0]] * 2


def test_an_energy_that_is_not_conditioned_on_the_move_refuses_to_go_backwards():
    predictor = small("colour", 12, Part(ResidualEnergy, width=4), anchor="none", moves=False)
    start = torch.zeros(1, 3, 12, 12)
    assert Bank([predictor]).advance(start, {"colour": 1.0}).shape == start.shape
    with pytest.raises(ValueError, match="one level forwards, not -1"):
        Bank([predictor]).advance(start, {"colour": -1.0})


def test_energies_whose_step_does_not_land_are_not_summed():
    bank = Bank([small(f, 12, descent=Part(InnerDescent, step_size=0.5)) for f in ("colour", "angle")])
    with pytest.raises(ValueError, match="lands on their minimum"):
        bank.advance(torch.zeros(1, 3, 12, 12), {"colour": 1.0, "angle": 1.0}, "sum")


def test_predictors_of_two_canvases_are_not_mixed():
    with pytest.raises(ValueError, match="one canvas"):
        Bank([small("colour", 12), small("angle", 16)])


def test_following_a_sum_adds_the_displacements_of_its_terms_and_anchors_each_step_anew(bank_of_cards, frame):
    expected = frame
    for _ in range(2):
        energies = bank_of_cards.energies(expected, 0.5)
        assert set(energies) == {"colour", "colour_back", "angle", "angle_back"}
        expected = (expected - sum(energies[f].gradient(expected) for f in ("colour", "angle"))).clamp(0, 1)
    film = bank_of_cards.follow(frame, "colour & angle", 1, substeps=2)
    assert film.shape == (1, 2, 3, 28, 28) and torch.equal(film[:, 0], frame)
    torch.testing.assert_close(film[:, 1], expected)


def test_following_one_energy_is_the_same_as_advancing_by_its_substeps(bank_of_cards, frame):
    film = bank_of_cards.follow(frame, "colour", 1, substeps=1)
    torch.testing.assert_close(film[:, 1], bank_of_cards.advance(frame, {"colour": 1}))
    back = bank_of_cards.follow(frame, "colour_back", 1, substeps=1)
    torch.testing.assert_close(back[:, 1], bank_of_cards.advance(frame, {"colour": -1}))


def test_following_refuses_what_has_no_ground(bank_of_cards, frame):
    with pytest.raises(ValueError, match="negation alone"):
        bank_of_cards.follow(frame, "~colour", 1)
    with pytest.raises(ValueError, match="frames >= 1"):
        bank_of_cards.follow(frame, "colour", 0)


def test_pulls_are_shares_of_minus_the_gradient(bank_of_cards, frame):
    names, maps = pulls(bank_of_cards, "colour & 0.5*angle", frame)
    energies = bank_of_cards.energies(frame)
    pull = torch.stack([-energies["colour"].gradient(frame), -0.5 * energies["angle"].gradient(frame)])
    assert names == ["colour", "angle"] and maps.min() >= 0 and maps.max() <= 1
    torch.testing.assert_close(maps, 0.5 + 0.5 * pull / pull.abs().max())


def test_a_timeline_may_be_given_as_text(bank_of_cards, frame):
    told = bank_of_cards.play(frame, parse_timeline("colour:1 angle:-1"))
    assert torch.equal(bank_of_cards.play(frame, "colour:1 angle:-1"), told)


def test_still_frames_stay_as_they_are_to_the_bit(start):
    played = Bank([Shift(("colour",), [0.1])]).play(start, "colour:1 still:2 colour:-1")
    assert played.shape[1] == 5
    assert torch.equal(played[:, 1], played[:, 2]) and torch.equal(played[:, 2], played[:, 3])
    torch.testing.assert_close(played[:, 4], start)
