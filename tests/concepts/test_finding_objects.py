"""Objects found in images: windows whose density is known, so that ratios, places and values have a closed form."""

import json
import math

import pytest
import torch

from ergosum.cli import main
from ergosum.concepts import ObjectDensities, Objects, WindowEnergy
from ergosum.concepts.finding import FoundObject, choose_object_levels, every_place, find
from ergosum.concepts.finding_scores import compared, finding_tables
from ergosum.data.attributed import Attribute
from ergosum.energy import Conditional, Energy
from ergosum.part import Part

SIDE, WINDOW, SPREAD, FLOOR = 16, 6, 0.1, 0.1
"""Sides, and deviations of windows and of the background."""
TINT = Attribute("tint", ("dark", "bright"))
ATTRIBUTES = (TINT, Attribute("place", numbers=2))


def bump(z: torch.Tensor) -> torch.Tensor:
    """Means (batch, WINDOW^2) of windows under conditions (batch, 5): a bump where the object is, of its sign."""
    line = torch.arange(WINDOW) - WINDOW / 2 + 0.5
    across = line - (z[:, 3, None] - 0.5)
    down = line - (z[:, 4, None] - 0.5)
    shape = torch.exp(-(down.square()[:, :, None] + across.square()[:, None]) / (2 * 1.2**2))
    return ((2 * z[:, 0] - 1)[:, None, None] * shape).flatten(1)


class Bumps(Conditional):
    """Windows of independent normals around a bump; of a tint that is not told, half of each."""

    condition_dims = 1
    lowest, highest, log_z = 0.02, 4.0, 0.0

    def __init__(self, variance: float = SPREAD**2) -> None:
        super().__init__()
        self.variance = variance
        self.deviation = torch.tensor(0.5)

    def checked(self, sigma: float) -> float:
        return sigma

    def bind(self, z, anchor) -> Energy:
        return Bump(z, self.variance)

    def at_noise(self, sigma: float) -> "Bumps":
        return Bumps(self.variance + sigma**2)


class Bump(Energy):
    remembers = False

    def __init__(self, z: torch.Tensor, variance: float) -> None:
        super().__init__()
        self.z, self.variance = z, variance

    def forward(self, y) -> torch.Tensor:
        z = self.z if self.z.ndim == 2 else self.z[None].expand(len(y), -1)
        each = []
        for tint in (0.0, 1.0):
            mean = bump(torch.cat([torch.full_like(z[:, :1], tint), z[:, 1:]], 1))
            square = (y - mean).square() / self.variance + math.log(2 * math.pi * self.variance)
            each.append(-square.sum(1) / 2)
        told = torch.where(z[:, 0] == 1, each[1], each[0])
        return -torch.where(z[:, 0].isnan(), torch.stack(each).logsumexp(0) - math.log(2), told)


def known(sigma: float = 0.05) -> Objects:
    """A model whose windows are bumps, on a floor of zeros, that reads at a level."""
    model = Objects(ATTRIBUTES, channels=1, side=SIDE, window=WINDOW)
    model.family.windows = Bumps()
    model.family.variance.fill_(FLOOR**2)
    model.best.fill_(sigma)
    return model


def drawn(model: Objects, values: torch.Tensor, generator: torch.Generator, spread: float = SPREAD) -> torch.Tensor:
    """Images (n, 1, SIDE, SIDE) of bumps with values (n, K, 3), in the middle of windows that do not overlap."""
    x = FLOOR * torch.randn(len(values), 1, SIDE, SIDE, generator=generator)
    told = model.family.told(values)
    for image, rows in zip(x, told, strict=True):
        for row in rows[~rows.isnan().any(1)]:
            top, left = (row[[2, 1]] * SIDE - WINDOW / 2).round().long().tolist()
            mean = bump(row[None]).view(WINDOW, WINDOW)
            noise = spread * torch.randn(WINDOW, WINDOW, generator=generator)
            image[0, top : top + WINDOW, left : left + WINDOW] = mean + noise
    return x


def test_the_odds_of_an_object_are_the_mean_over_places_of_the_known_ratios():
    model, sigma = known(), 0.05
    values = torch.tensor([[[1.0, 0.4, 0.6]], [[0.0, 0.7, 0.3]]])
    x = drawn(model, values, torch.Generator().manual_seed(0))
    found = find(model, x, torch.Generator().manual_seed(1), draws=1, most=1)
    noisy = x + sigma * torch.randn(x.shape, generator=torch.Generator().manual_seed(1))
    ground, own = FLOOR**2 + sigma**2, SPREAD**2 + sigma**2
    middle = torch.tensor([[0.0, 0, 0, 0.5, 0.5], [1.0, 0, 0, 0.5, 0.5]])
    for image, objects in zip(noisy[:, 0], found, strict=True):
        ratios = []
        for top in range(SIDE - WINDOW + 1):
            for left in range(SIDE - WINDOW + 1):
                y = image[top : top + WINDOW, left : left + WINDOW].flatten()
                none = torch.distributions.Normal(0, ground**0.5).log_prob(y).sum()
                one = torch.distributions.Normal(bump(middle), own**0.5).log_prob(y).sum(1).logsumexp(0) - math.log(2)
                ratios.append(one - none)
        wanted = torch.stack(ratios).logsumexp(0) - math.log(len(ratios))
        assert objects[0].log_odds == pytest.approx(wanted.item(), rel=1e-4)
        assert objects[0].log_odds > 0


def test_objects_are_found_to_parts_of_a_pixel_and_named_and_none_is_found_in_an_empty_image():
    model, generator = known(), torch.Generator().manual_seed(0)
    n = 12
    values = torch.full((n, 2, 3), math.nan)
    values[:, :, 0] = torch.randint(2, (n, 2), generator=generator).float()
    # the first at the top left, the second at the bottom right, at least seven pixels apart
    values[:, 0, 1:] = (3 + 2 * torch.rand(n, 2, generator=generator)) / SIDE
    values[:, 1, 1:] = (11 + 2 * torch.rand(n, 2, generator=generator)) / SIDE
    values[:4, 1] = math.nan  # one object
    values[0] = math.nan  # none
    found = find(model, drawn(model, values, generator), generator)
    assert [len(objects) for objects in found] == [0, 1, 1, 1] + [2] * 8
    told = compared(model, values, found)
    assert told["number"] == told["found"] == told["tint"] == told["within"] == 1 and told["extra"] == 0
    # an efficient estimate of a place errs by SPREAD / (norm of the derivative of a bump, 1.2 sqrt(pi) / 1.2 / sqrt 2)
    bound = math.hypot(SPREAD, 0.05) / (math.pi / 2) ** 0.5
    assert told["median"] < 3 * bound
    sure = [o.probabilities["tint"].max().item() for objects in found for o in objects]
    assert min(sure) > 0.999


def test_an_object_beside_another_is_found_in_what_the_first_leaves_over():
    model, generator = known(), torch.Generator().manual_seed(3)
    x = FLOOR * torch.randn(20, 1, SIDE, SIDE, generator=generator)
    line = torch.arange(SIDE) + 0.5
    for column, sign in ((5.5, 1.0), (9.5, -1.0)):  # four pixels apart: windows of six overlap
        x += sign * torch.exp(-((line[:, None] - 8.0) ** 2 + (line - column) ** 2) / (2 * 1.2**2))
    values = torch.tensor([[1.0, 5.5 / SIDE, 0.5], [0.0, 9.5 / SIDE, 0.5]]).expand(20, 2, 3)
    told = compared(model, values, find(model, x, generator))
    assert told["number"] >= 0.9 and told["found"] >= 0.95 and told["tint"] == 1


def test_what_is_found_is_taken_away_and_not_found_again():
    model, generator = known(), torch.Generator().manual_seed(0)
    spread = 0.3  # windows so loose that those half beside an object would pass for another one
    model.family.windows.variance = spread**2
    values = torch.tensor([[[1.0, 0.5, 0.5]]]).expand(12, 1, 3)
    found = find(model, drawn(model, values, generator, spread), generator)
    assert [len(objects) for objects in found] == [1] * 12


def test_levels_are_those_at_which_training_images_are_read_best():
    model, generator = known(), torch.Generator().manual_seed(0)
    values = torch.rand(32, 3, generator=generator) * 0.5 + 0.25
    values[:, 0] = (values[:, 0] > 0.5).float()
    x = drawn(model, values[:, None], generator)
    # of densities that are right every level is calibrated, and noise takes away what is known
    levels = choose_object_levels(model, x, values, generator).clone()
    assert levels[1] < 0.2 < levels[0]  # of the place; a tint, light or dark, is read as well in more of it
    model.family.windows.variance = 1e-4  # far too sure of itself, which noise mends
    assert choose_object_levels(model, x, values, generator)[1] > 0.05


def test_objects_found_are_compared_with_true_ones():
    model = known()
    one = torch.tensor([[1.0, 0.5, 0.5], [math.nan] * 3])
    wanted = torch.stack([one, torch.tensor([[1.0, 0.2, 0.2], [0.0, 0.8, 0.8]])])
    told = [torch.tensor([[1.0, 0.5 + 0.5 / SIDE, 0.5], [0.0, 0.1, 0.9]]), torch.tensor([[1.0, 0.8, 0.8 + 1.5 / SIDE]])]
    found = [[_object(row) for row in rows] for rows in told]
    made = compared(model, wanted, found)
    assert made["number"] == 0 and made["found"] == pytest.approx(2 / 3) and made["extra"] == 0.5
    assert made["median"] == pytest.approx(0.5) and made["within"] == 0.5 and made["tint"] == 0.5
    assert finding_tables({}) == []
    (table,) = finding_tables({"finding": {"two": made}})
    assert table.rows[0]["images"] == "two" and table.decimals["median"] == 2


def _object(row: torch.Tensor):
    return FoundObject(1.0, row, {"tint": torch.tensor([0.5, 0.5])})


def test_every_place_is_the_middle_of_a_whole_window():
    places = every_place(known())
    assert len(places) == (SIDE - WINDOW + 1) ** 2
    assert places.min() == WINDOW / 2 / SIDE and places.max() == 1 - WINDOW / 2 / SIDE
    within = known().family.told(torch.cat([torch.zeros(len(places), 1), places], 1))[:, 3:]
    assert within.unique().tolist() == [0.5]


def test_windows_are_told_where_in_their_middle_pixel_an_object_lies():
    told = known().family.told(torch.tensor([[1.0, 0.4, 0.6]]))
    # 6.4 and 9.6 pixels: windows begin at 3 and 7, their middles are at 6 and 10, objects .4 before and after these
    torch.testing.assert_close(told, torch.tensor([[1.0, 0.4, 0.6, 0.9, 0.1]]))


def test_training_always_tells_the_place_and_sometimes_the_values():
    task = ObjectDensities()
    values = torch.rand(400, 3, generator=torch.Generator().manual_seed(0)) * 0.5 + 0.25
    values[:, 0] = 1
    model = Objects(ATTRIBUTES, channels=1, side=SIDE, window=WINDOW)
    kept = task._conditions(model, values, torch.Generator().manual_seed(0))
    assert (kept[:, 1:] == values[:, 1:]).all()
    # nothing is told of .2; of the others one or both of tint and place, half and half: 1 - .2 - .8 / 4 tints
    assert kept[:, 0].isfinite().float().mean().item() == pytest.approx(0.6, abs=4.5 * (0.24 / 400) ** 0.5)


def test_what_is_found_is_told_row_by_row():
    task = ObjectDensities()
    model, generator = known(), torch.Generator().manual_seed(0)
    values = torch.tensor([[[1.0, 0.3, 0.3], [0.0, 0.7, 0.7]], [[math.nan] * 3] * 2])
    images = (drawn(model, values, generator) + 1) / 2
    made = task.infer(model, ["two.png", "none.png"], images, generator)
    assert [len(image["objects"]) for image in made.numbers["images"]] == [2, 0]
    assert {o["place"][0] < 0.5: o["tint"]["bright"] > 0.5 for o in made.numbers["images"][0]["objects"]} == {
        True: True, False: False,
    }  # fmt: skip
    assert [row["object"] for row in made.tables[0].rows] == ["1", "2", "none"]


def windows(n: int = 400) -> tuple[WindowEnergy, torch.Tensor]:
    """An untrained family that took mean and covariance of data (n, 5) whose numbers depend on each other."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(n, 5, generator=generator) @ torch.randn(5, 5, generator=generator) + 3
    family = WindowEnergy((5,), (Attribute("tint", ("dark", "bright")),))
    family.fit(x)
    return family, x


@pytest.mark.parametrize("sigma", [0.02, 0.5, 4.0])
def test_windows_start_from_the_normal_distribution_of_their_covariance(sigma):
    family, x = windows()
    gap = x - x.mean(0)
    covariance = gap.T @ gap / len(x) + sigma**2 * torch.eye(5)
    wanted = torch.distributions.MultivariateNormal(x.mean(0), covariance).log_prob(x[:20])
    energy = family.at_noise(sigma)(torch.zeros(1))
    torch.testing.assert_close(-energy(x[:20]), wanted, rtol=1e-4, atol=1e-3)
    slope = torch.linalg.solve(covariance, (x[:20] - x.mean(0)).T).T
    torch.testing.assert_close(energy.gradient(x[:20]), slope, rtol=1e-3, atol=1e-3)
    assert (family.deviations.diff() <= 0).all()
    torch.testing.assert_close(family.basis @ family.basis.T, torch.eye(5), rtol=0, atol=1e-5)


def test_what_windows_learn_is_the_gradient_of_one_energy():
    family, x = windows()
    for parameter in family.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    energy = family.double().at_noise(0.5)(torch.ones(1, dtype=torch.float64))
    assert torch.autograd.gradcheck(energy, x[:3].double().requires_grad_())


def test_directions_that_are_not_kept_are_independent_normals_whatever_is_learned():
    _, x = windows()
    family = WindowEnergy((5,), (Attribute("tint", ("dark", "bright")),), kept=2)
    family.fit(x)
    for parameter in family.parameters():
        torch.nn.init.normal_(parameter, std=0.2, generator=torch.Generator().manual_seed(parameter.numel()))
    sigma = 0.5
    energy = family.double().at_noise(sigma)(torch.ones(1, dtype=torch.float64))
    y = x[:6].double()
    gap = (x - x.mean(0)).double()
    values, every = torch.linalg.eigh(gap.T @ gap / len(x))
    beyond = values[:3].mean() + sigma**2  # of the mean variance in the three directions that are not kept
    for n, direction in enumerate(every.flip(1).T):
        told = energy(y + 0.7 * direction) - energy(y)
        z = (y - family.mean) @ direction
        normal = ((z + 0.7).square() - z.square()) / (2 * beyond)
        assert torch.allclose(told, normal, atol=1e-3) == (n >= 2)
    plain = WindowEnergy((5,), (), kept=2).double()  # nothing learned: normal, and normalised
    plain.fit(x.double())
    covariance = every[:, 3:] @ torch.diag(values[3:] + sigma**2) @ every[:, 3:].T
    covariance = covariance + beyond * every[:, :3] @ every[:, :3].T
    wanted = torch.distributions.MultivariateNormal(x.double().mean(0), covariance).log_prob(y)
    torch.testing.assert_close(-plain.at_noise(sigma)(torch.zeros(0, dtype=torch.float64))(y), wanted)
    with pytest.raises(ValueError, match="kept: expected 0 to 5 directions, got 6"):
        WindowEnergy((5,), (), kept=6)


def test_a_command_tells_the_objects_of_an_image(tmp_path, capsys):
    from ergosum.concepts.recipes import objects
    from ergosum.training.loop import train
    from tests.shrink import shrunk

    for _ in train(shrunk(objects()).but(optimiser={"iterations": 4, "batch": 8}), tmp_path / "run", accelerator="cpu"):
        pass
    assert main(["infer", str(tmp_path / "run"), "--n", "2", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)["images"]
    assert [image["image"] for image in told] == ["held-out image 1", "held-out image 2"]
    for one in (o for image in told for o in image["objects"]):
        assert one["log_odds"] > 0 and sum(one["colour"].values()) == pytest.approx(1, abs=1e-5)
    assert main(["infer", str(tmp_path / "run"), "--n", "1"]) == 0
    assert "Objects found" in capsys.readouterr().out


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="readings: expected 0 training images or more, got -1"):
        Part(ObjectDensities, readings=-1).build()
