"""Images unlike the data: ranks among held-out images, and what shipped models say of images that are not theirs."""

import json
import math

import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.cli import main
from ergosum.concepts import ConceptDensities
from ergosum.concepts.finding import search
from ergosum.concepts.unlike import (
    gradients,
    held_out_numbers,
    p_values,
    score_unlike,
    unlike_tables,
    unlikeness,
)
from ergosum.data.labelled import LabelledImages
from ergosum.part import Part
from ergosum.training.runfolder import load_predictor
from tests.concepts.exact import ATTRIBUTES, DEVIATION, exact
from tests.concepts.test_finding_objects import SIDE, WINDOW, drawn, known


def test_p_is_the_rank_among_held_out_images_times_the_numbers():
    held = {"density": [4.0, 1.0, 3.0, 2.0], "error": [0.1, 0.2, 0.3, 0.4]}
    found = {"density": torch.tensor([0.0, 3.0, 9.0, 1.5]), "error": torch.tensor([0.0, 0.0, 0.0, 0.35])}
    p, least = p_values(held, found)
    # as large: 4, 2 (a tie counts), 0, 3 and 4, 4, 4, 1 of four
    assert p.tolist() == pytest.approx([1.0, 1.0, 2 / 5, 4 / 5]) and least == pytest.approx(2 / 5)
    one, least = p_values({"density": held["density"]}, found)
    assert one.tolist() == pytest.approx([1.0, 3 / 5, 1 / 5, 4 / 5]) and least == pytest.approx(1 / 5)
    with pytest.raises(ValueError, match="expected as many numbers of each of density, error, got 4 of left"):
        p_values({"left": [1.0] * 4}, found)
    with pytest.raises(ValueError, match="got 2 of density, 1 of error"):
        p_values({"density": [1.0, 2.0], "error": [1.0]}, found)


@pytest.mark.parametrize("numbers", [1, 2, 3])
def test_p_of_images_like_the_held_out_ones_is_small_as_rarely_as_it_says(numbers):
    generator, trials, n = Generator().manual_seed(0), 2000, 19
    small = 0
    for _ in range(trials):  # numbers that depend on each other, as those of an image do
        common = torch.randn(n + 1, 1, generator=generator)
        x = common + torch.randn(n + 1, numbers, generator=generator)
        names = [str(k) for k in range(numbers)]
        p, least = p_values(
            {k: x[:n, j].tolist() for j, k in enumerate(names)}, {k: x[n:, j] for j, k in enumerate(names)}
        )
        small += int(p[0] <= least)
    # equal to k / 20 for one number, at most that for several; five deviations
    bound, spread = numbers / 20, 5 * math.sqrt(trials * 0.05 * numbers)
    assert small <= bound * trials + spread
    assert small >= 0.05 * trials - spread  # one number alone is beyond all others as often as that


class Known:
    """Points of the known concepts, as images."""

    def __init__(self, split: str = "train") -> None:
        assert split == "test"

    def attributed(self, n, generator):
        from tests.concepts.test_reading_concepts import Data

        return Data().attributed(n, generator)


def test_the_density_of_images_is_that_of_the_prior_with_the_least_noise():
    model = exact().float()
    images = Known("test").attributed(300, Generator().manual_seed(0)).images
    told = unlikeness(model, images, Generator().manual_seed(1))
    x, v = images.flatten(1)[:, :4], DEVIATION**2 + model.family.lowest**2
    wanted = torch.zeros(len(x))
    for axis, (middles, shares) in enumerate((((-2.0, 0.0, 2.0), (0.5, 0.3, 0.2)), ((-1.5, 1.5), (0.5, 0.5)))):
        each = torch.distributions.Normal(torch.tensor(middles), v**0.5).log_prob(x[:, axis, None])
        wanted -= (each + torch.tensor(shares).log()).logsumexp(1)
    wanted -= torch.distributions.Normal(0, (1 + model.family.lowest**2) ** 0.5).log_prob(x[:, 2:]).sum(1)
    # noise of .05 adds half of its share of the variance on each of two axes, hardly anything on the others
    assert (told["density"] - wanted).mean().item() == pytest.approx(0.05**2 / v, abs=0.05)
    assert torch.corrcoef(torch.stack([told["density"], wanted]))[0, 1] > 0.98
    assert told["error"].max() < 1e-10


def test_images_between_the_known_ones_are_unlike_by_their_density():
    model, data = exact().float(), Part(Known)
    held = held_out_numbers(lambda x, g: unlikeness(model, x, g), data, 199)
    assert {name: len(numbers) for name, numbers in held.items()} == {"density": 199, "error": 199}
    assert held["density"] == sorted(held["density"])
    between = torch.zeros(50, 1, 4, 4)
    between[:, 0, 0, :2] = torch.tensor([1.0, 0.0])  # between two colours and two shapes
    p, least = p_values(held, unlikeness(model, between, Generator().manual_seed(0)))
    assert (p <= least).all() and least == pytest.approx(0.01)
    off = Known("test").attributed(50, Generator().manual_seed(2)).images
    off[:, 0, 3] = 0.5  # what codes do not hold
    p, least = p_values(held, unlikeness(model, off, Generator().manual_seed(0)))
    assert (p <= least).all()


def test_what_is_not_at_hand_is_not_compared(monkeypatch):
    class Gone:
        def __init__(self, split="train"):
            raise FileNotFoundError("gone")

    assert held_out_numbers(lambda x, g: {}, Part(Gone), 9) is None
    assert score_unlike(lambda x, g: {}, Part(Gone), 9, 0, 9) == {} and unlike_tables({"unlike": {}}) == []


def test_gradients_go_from_one_colour_to_another():
    made = gradients(torch.zeros(40, 3, 16, 16), Generator().manual_seed(0))
    assert made.shape == (40, 3, 16, 16) and made.min() >= 0 and made.max() <= 1
    down, across = made.diff(dim=2), made.diff(dim=3)
    torch.testing.assert_close(down[:, :, :1].expand_as(down), down)  # planes
    torch.testing.assert_close(across[..., :1].expand_as(across), across)
    assert (down.abs().amax((1, 2, 3)) + across.abs().amax((1, 2, 3)) > 0.01).float().mean() > 0.9


def test_objects_leave_the_background_over_and_other_things_more():
    model, generator = known(), Generator().manual_seed(0)
    model.family.windows.variance = 0.02**2
    values = torch.tensor([[[1.0, 0.3, 0.3], [0.0, 0.7, 0.7]], [[1.0, 0.5, 0.5], [math.nan] * 3], [[math.nan] * 3] * 2])
    x = drawn(model, values, generator, 0.02)
    ring = x[2].clone()
    ring[:, 4:12, 4] = ring[:, 4:12, 11] = 1.0
    noise = torch.rand(ring.shape, generator=generator)
    found, left = search(model, torch.cat([x, ring[None], noise[None]]), generator)
    assert [len(objects) for objects in found[:3]] == [2, 1, 0]
    # one variance of the background for each pixel outside of windows, hardly any within, and of two objects half
    within = WINDOW**2 / SIDE**2
    for k, objects in enumerate((2, 1, 0)):
        outside, each = 1 - objects * within, max(1, objects)
        assert left[k].item() == pytest.approx(outside / each, abs=5 * (2 * outside / SIDE**2) ** 0.5 / each)
    assert left[3:].min() > 2 * left[:3].max()


SHIPPED = (pytest.param("concepts-latents", marks=pytest.mark.slow), "concepts-faces")  # solids are rendered first


@pytest.mark.parametrize("card", SHIPPED)
def test_a_shipped_model_tells_its_own_images_from_others(card):
    if card == "concepts-faces":
        pytest.importorskip("resvg_py", reason="faces are drawn with the extra: pip install 'ergosum[faces]'")
    experiment, model = load_predictor(card)
    task, generator = experiment.built(), Generator().manual_seed(7)
    assert isinstance(task, ConceptDensities)
    held, n = task.held_out_numbers(model, {}), 60
    data = task.data.build(split="test")
    own = data.attributed(199, generator).images
    p, least = p_values(held, task.unlikeness(model, own, generator))
    # m images beyond all held-out ones by one number: (1 / 2)^m; by either of two at most 2^(1 - m / 2): 1e-5 for 36
    assert int((p <= least).sum()) < 36
    digits = LabelledImages("digits", data.side, 3, split="test").images[:n]
    other = {"noise": torch.rand(own[:n].shape, generator=generator), "gradients": gradients(own[:n], generator),
             "digits": digits, "inverted": 1 - own[:n], "grey": torch.full_like(own[:n], 0.5)}  # fmt: skip
    for name, images in other.items():
        p, least = p_values(held, task.unlikeness(model, images, generator))
        assert (p <= least).float().mean() > 0.98, name


def test_the_command_says_which_images_are_unlike(tmp_path, capsys, quick_scores):
    pytest.importorskip("resvg_py", reason="faces are drawn with the extra: pip install 'ergosum[faces]'")
    experiment, _ = load_predictor("concepts-faces")
    own = experiment.built().data.build(split="test").attributed(3, Generator().manual_seed(11)).images
    noise = torch.rand(2, 3, 32, 32, generator=Generator().manual_seed(0))
    for number, image in enumerate(torch.cat([own, noise])):
        pixels = (255 * image).round().byte().movedim(0, 2).numpy()
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    assert main(["infer", "concepts-faces", "--start", str(tmp_path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [image["unlike"] for image in told["images"]] == [False] * 3 + [True] * 2
    assert all(image["p"] > 0.01 for image in told["images"][:3]) and told["share"] == pytest.approx(0.01)
    assert set(told["images"][0]["unlikeness"]) == {"density", "error"} and told["held_out"] == 199
    assert main(["infer", "concepts-faces", "--start", str(tmp_path)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 of 5 unlike what this model was trained on") and "at most 1.0% are" in lines[0]
    assert [line.strip() for line in lines[1:3]] == ["3.png", "4.png"]
    assert "like the data" in lines[4] and "NO" not in lines[5] and "NO" in lines[9] and "0.010" in lines[9]


def test_held_out_numbers_are_kept_with_the_scores_or_measured(monkeypatch):
    task = ConceptDensities()
    kept = {"density": [1.0, 2.0]}
    assert task.held_out_numbers(exact(), {"unlike": {"held_out": kept}}) == kept
    monkeypatch.setattr("ergosum.concepts.task.held_out_numbers", lambda of, data, n: {"measured": [n]})
    assert task.held_out_numbers(exact(), {}) == {"measured": [199]}


def test_the_score_has_the_share_of_each_set_that_is_called_unlike():
    model = exact().float()
    told = score_unlike(lambda x, g: unlikeness(model, x, g), Part(Known), 40, 0, 99)
    shares = {row["set"]: row["unlike"] for row in told["rows"]}
    assert shares["held out"] <= 0.5 and shares["uniform"] > 0.9 and shares["gradient"] > 0.9
    (table,) = unlike_tables({"unlike": told})
    assert table.rows == told["rows"] and len(ATTRIBUTES) == 3
