"""Energies beside changes: where a conjunction with a closed-form minimum lies, and what stays as it was."""

import pytest
import torch
from torch import nn

from ergosum.energies import Gaussian, Mixture
from ergosum.energy import Energy, as_energy
from ergosum.samplers.guards import NonFiniteError
from ergosum.temporal import Bank, Beside
from ergosum.temporal.beside import _Near

T = 1e-3


class Brighter(nn.Module):
    """A predictor that brightens every pixel by a tenth per level."""

    components, knows_moves = ("scale",), True

    def predict(self, start, moves, active):
        return start + 0.1 * moves[:, 2].view(-1, 1, 1, 1)


class OfImages(Energy):
    """An energy of vectors as one of images."""

    def __init__(self, energy):
        super().__init__()
        self.energy = energy

    def forward(self, x):
        return self.energy(x.flatten(1))

    def at_noise(self, sigma):
        return OfImages(self.energy.at_noise(sigma))


@pytest.fixture
def frames(rng):
    return 0.3 + 0.4 * torch.rand(5, 3, 4, 4, generator=rng)


def bowl(strength, centre=0.5):
    return as_energy(lambda x: strength * (x - centre).square().flatten(1).sum(1) / 2)


def acting(energy, steps=12):
    return Beside(energy, temperature=T, steps=steps)


@pytest.mark.parametrize("strength", [0.01 / T, 1 / T, 1000 / T])
def test_a_bowl_beside_the_change_pulls_by_the_share_of_its_precision(frames, strength):
    expected = (frames / T + strength * 0.5) / (1 / T + strength)
    torch.testing.assert_close(acting(bowl(strength)).settled(frames), expected, rtol=0, atol=1e-4)


def test_the_weight_of_the_energy_is_a_factor_of_its_precision(frames):
    both = [acting(e).settled(frames) for e in (0.1 * bowl(1 / T), bowl(0.1 / T))]
    torch.testing.assert_close(*both)
    assert (both[0] - frames).abs().max() > 0.01


def test_an_energy_with_a_temperature_acts_in_units(frames):
    warm = bowl(1 / T)
    warm.temperature = 10.0
    torch.testing.assert_close(acting(warm).settled(frames), acting(bowl(0.1 / T)).settled(frames))


@pytest.mark.parametrize("steps", [1, 2, 3, 7])
def test_no_descent_ends_higher_than_it_began_whatever_the_curvature(frames, steps):
    rough = as_energy(lambda x: (1e3 * (40 * x).sin() + 1e5 * (x - 0.5) ** 4).flatten(1).sum(1))
    made = acting(rough, steps).settled(frames)
    whole = lambda x: _Near(frames, T)(x) + rough(x)  # noqa: E731
    assert (whole(made) <= whole(frames)).all()
    assert steps < 7 or (whole(made) < whole(frames)).all()


def test_each_frame_descends_on_its_own(frames):
    wave = acting(as_energy(lambda x: 1e3 * (20 * x).sin().flatten(1).sum(1)), 8)
    torch.testing.assert_close(wave.settled(frames)[:2], wave.settled(frames[:2]))


def test_it_acts_on_frames_that_move_and_leaves_the_others_to_the_bit(frames):
    bank = Bank([Brighter()], acting(bowl(1 / T, 0.0)))
    made = bank.advance(frames, {"scale": torch.tensor([1.0, 0.0, -1.0, 0.0, 1.0])})
    assert torch.equal(made[[1, 3]], frames[[1, 3]])
    torch.testing.assert_close(made[[0, 4]], (frames[[0, 4]] + 0.1) / 2, rtol=0, atol=1e-4)
    assert torch.equal(bank.advance(frames, {"scale": 0.0}), frames)


def test_a_timeline_keeps_to_it_in_every_frame(frames):
    pulled = Bank([Brighter()], acting(bowl(1 / T, 0.0))).play(torch.full((1, 3, 28, 28), 0.4), "scale:2")
    torch.testing.assert_close(pulled[0, :, 0, 0, 0], torch.tensor([0.4, 0.25, 0.175]), rtol=0, atol=1e-4)


def test_what_cannot_act_beside_a_change_is_refused(frames):
    class Score(Energy):
        has_value = False

    with pytest.raises(ValueError, match="only its gradient is known"):
        Beside(Score())
    with pytest.raises(ValueError, match="expected a finite temperature > 0, got 0"):
        Beside(bowl(1.0), temperature=0)
    with pytest.raises(ValueError, match="expected steps >= 1, got 0"):
        Beside(bowl(1.0), steps=0)
    with pytest.raises(NonFiniteError, match="Beside"):
        acting(as_energy(lambda x: x.log().flatten(1).sum(1))).settled(frames * 0)


def test_through_noise_a_gaussian_acts_as_the_noised_one(frames, rng):
    # E_z |x + s z - c|^2 / 2 (v + s^2) pulls as 1 / (v + s^2) does: z and -z cancel
    told = OfImages(Gaussian(torch.full((48,), 0.5), 0.01))
    joined = Beside(told, noise=0.2, temperature=T, steps=12, generator=rng)
    strength = 1 / (0.01 + 0.04)
    expected = (frames / T + strength * 0.5) / (1 / T + strength)
    torch.testing.assert_close(joined.settled(frames), expected, rtol=0, atol=1e-4)


def test_the_noise_is_drawn_from_the_generator_and_anew_each_time(frames):
    told = OfImages(Mixture(torch.stack([torch.full((48,), v) for v in (0.2, 0.8)]), 0.01))
    one, other = (Beside(told, 0.2, T, generator=torch.Generator().manual_seed(3)) for _ in range(2))
    first = one.settled(frames)
    assert torch.equal(first, other.settled(frames)) and not torch.equal(first, one.settled(frames))


def test_a_noise_level_that_an_energy_has_not_is_refused():
    with pytest.raises(ValueError, match="no notion of a noise level"):
        Beside(bowl(1.0), noise=0.1)
    with pytest.raises(ValueError, match="expected a finite noise >= 0, got -1"):
        Beside(bowl(1.0), noise=-1)
