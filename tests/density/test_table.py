"""The table of log Z by level: against families whose log Z is known, and what it says where nothing is known."""

import math
import warnings

import pytest
import torch

from ergosum.compose import EqualPartitionWarning
from ergosum.data.labelled import LabelledImages
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import Form
from ergosum.density.model import Density
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.space import Codes
from ergosum.density.table import LEVELS, LevelRow, LevelTable, NotNormalisedWarning, grid, measure
from ergosum.density.task import Densities
from ergosum.nets.autoencoder import Autoencoder
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part
from ergosum.samplers.langevin import Langevin

SIGMAS = 4


class Known(Form):
    """Adds a constant of the condition, and a bowl: the member is a Gaussian whose log Z is known.

    Args:
        constant, bowl: at the lowest level; both fade with the level.
    """

    def __init__(self, event, code, constant=0.0, bowl=0.0):
        super().__init__(event, code, Part(LevelMlp, width=8, blocks=1))
        self.constant, self.bowl, self.size = constant, bowl, event[0]

    def shares(self, level):
        return (level.gate**2).flatten()

    def forward(self, y, level, code):
        fading = self.shares(level)
        return fading * self.constant - fading * self.bowl * (y / level.spread).square().sum(1) / 2

    def log_z(self, sigma):
        """Of a family of mean 0 and deviation 1."""
        fading = 1 / (1 + sigma**2)
        return fading * self.constant - self.size / 2 * math.log(1 + fading * self.bowl)


def made(size=3, classes=2, **known):
    family = LevelEnergy((size,), form=Part(Known, **known), lowest=0.05, highest=8.0, code=8, classes=classes)
    return family.double()


def test_a_family_that_is_normalised_is_found_to_be(rng):
    family = made()
    table = measure(family, n=64, generator=rng)
    assert table is family.table and isinstance(table, LevelTable) and table.measured
    torch.testing.assert_close(table.log_z, torch.zeros(LEVELS, 3).double(), atol=1e-6, rtol=0)
    assert (table.ess > 0.999).all() and table.good().all()
    assert all(family.normalised(s) for s in (0.05, 0.3, 1.7, 8.0))
    left, right = (family(torch.tensor(c)).named(f"c{c}") for c in (0, 1))
    assert family.at_noise(0.3)(torch.tensor(0)).log_z == 0.0
    with warnings.catch_warnings():
        warnings.simplefilter("error", EqualPartitionWarning)
        assert (left.at_noise(0.3) | right.at_noise(0.3)).log_z == pytest.approx(math.log(2))


@pytest.mark.parametrize("known", [{"constant": 2.5}, {"bowl": 1.5}, {"constant": -1.0, "bowl": 0.5}])
def test_log_z_is_that_of_the_member_at_every_level(known, rng):
    family = made(**known)
    table = measure(family, n=128, islands=16, generator=rng)
    truth = torch.tensor([family.form.log_z(s) for s in table.sigma.tolist()])[:, None].double()
    assert ((table.log_z - truth).abs() <= SIGMAS * table.error + 1e-6).all()
    assert table.error.max() < 0.2
    assert table.good().tolist() == [
        bool(abs(t) <= 1) for t in truth[:, 0]
    ] or ((truth.abs() - 1).abs() < SIGMAS * table.error.max()).any()  # fmt: skip


def test_a_level_is_normalised_where_those_of_the_table_beside_it_are():
    family = made()
    table = family.table
    assert not table.measured and not family.normalised(0.3) and list(table.rows()) == []
    table.log_z.fill_(0.2), table.error.fill_(0.1), table.ess.fill_(0.9)
    table.log_z[5, 1] = -1.4
    sigma = table.sigma.tolist()
    assert not family.normalised(sigma[5]) and family.normalised(sigma[4]) and family.normalised(sigma[6])
    assert not family.normalised((sigma[4] * sigma[5]) ** 0.5) and not family.normalised(sigma[6] * 1.01)
    assert family.normalised((sigma[2] * sigma[3]) ** 0.5)
    row = list(table.rows())[5]
    assert isinstance(row, LevelRow) and row.log_z == pytest.approx(-1.4) and not row.normalised
    told = table.scores()
    assert set(told) == {"level_bias", "level_bias_error", "ess"} and len(told["ess"]) == LEVELS
    assert told["level_bias"][f"{sigma[5]:.3g}"] == pytest.approx(-1.4)
    assert set(LevelTable(0.1, 1.0, 2).scores().values()) == {None}
    assert family.at_noise(sigma[5]).log_z is None and family.at_noise(sigma[4]).log_z == 0.0


@pytest.mark.parametrize(("what", "value"), [("error", 0.7), ("ess", 0.01)])
def test_an_estimate_that_is_not_sure_does_not_count(what, value):
    table = LevelTable(0.1, 1.0, 2)
    table.log_z.fill_(0.0), table.error.fill_(0.1), table.ess.fill_(0.9)
    assert table.good().all()
    getattr(table, what)[3, 0] = value
    assert table.good().tolist() == [n != 3 for n in range(LEVELS)]


def test_whoever_needs_normalised_energies_is_told_what_the_table_says():
    table = LevelTable(0.1, 1.0, 2)
    with pytest.warns(NotNormalisedWarning, match=r"likelihood: .* sigma = 0.5: .* never measured"):
        assert not table.expect(0.5, "likelihood")
    table.log_z.fill_(0.0), table.error.fill_(0.1), table.ess.fill_(0.9)
    table.log_z[-1, 1] = 12.0
    with pytest.warns(NotNormalisedWarning, match=r"off by up to 12 \+- 0.1 nats at sigma 0.1, from 90%"):
        assert not table.expect(0.1, "likelihood")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert table.expect(0.5, "likelihood")


def test_the_table_is_saved_with_the_family_and_an_older_family_has_none(rng):
    family, other = made(), made()
    measure(family, n=16, islands=2, generator=rng)
    other.load_state_dict(family.state_dict())
    assert torch.equal(other.table.error, family.table.error) and other.table.measured
    older = {k: v for k, v in family.state_dict().items() if not k.startswith(("table.", "offsets."))}
    fresh = made()
    fresh.load_state_dict(older)
    assert not fresh.table.measured and not fresh.offsets.fitted


def test_the_same_generator_gives_the_same_table_and_conditions_may_be_measured_apart():
    family = made(constant=1.0, bowl=0.3)
    one, two = (
        measure(family, n=32, islands=16, between=2, generator=torch.Generator().manual_seed(1)).log_z.clone()
        for _ in range(2)
    )
    assert torch.equal(one, two)
    apart = measure(family, n=32, islands=16, between=2, together=32, generator=torch.Generator().manual_seed(1))
    assert apart.log_z.shape == (LEVELS, 3)
    assert ((apart.log_z - one).abs() < SIGMAS * 2**0.5 * apart.error + 1e-6).all()


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="islands >= 2 and between >= 1"):
        measure(made(), islands=1)
    with pytest.raises(ValueError, match="an exact kernel"):
        measure(made(), correction=Langevin(step_size=0.1))
    assert grid(0.1, 10.0)[0] == pytest.approx(10.0) and grid(0.1, 10.0)[-1] == pytest.approx(0.1)


@pytest.mark.parametrize("time", [pytest.param(0.0, marks=pytest.mark.slow), 1.0])
def test_training_ends_with_a_table_of_what_is_left_after_offsets(time, rng):
    """Offsets of classes are fitted where denoising alone has left each on a scale of its own."""
    space = Part(Codes, codec=Part(Autoencoder, latent=3, width=4))
    family = Part(LevelEnergy, form=Part(Known, constant=-3.0), code=8, lowest=0.1, highest=6.0)
    task = Densities(
        data=Part(LabelledImages, source="digits", side=12), model=Part(Density, space=space, family=family),
        objective=Part(DenoisingScore, time=time), draws=16,
    )  # fmt: skip
    model = task.build().eval()
    assert task.finish(model, rng) and model.family.table.measured and model.family.offsets.fitted
    assert model.family.table.log_z.abs().max() < 0.5 and model.family.normalised(0.1)
    assert (model.family.offsets.value[-1, 1:] - 3).abs().max() < 0.5
    silent = Densities(data=Part(LabelledImages, source="digits", side=12), draws=0)
    assert not silent.finish(model, rng)
