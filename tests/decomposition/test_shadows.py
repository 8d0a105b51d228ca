"""Shadows told apart: densities of a ground in light, Bayes' rule, and what scores and commands make of them."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator
from torch.distributions import MultivariateNormal

from ergosum.cli import main
from ergosum.data.scenes import Scenes
from ergosum.data.shadows import with_shadows
from ergosum.decomposition import ImageDecomposer
from ergosum.decomposition.batch import load_result
from ergosum.decomposition.recombination import decompose
from ergosum.decomposition.segmentation import patches, shadow_scores
from ergosum.decomposition.shadows import (
    HELD,
    OBJECT,
    SPREAD,
    STEP,
    LitGround,
    _weighed,
    in_any_light,
    light_of,
    masks_without_shadows,
    refuse_shadowless,
)
from ergosum.metrics.segmentation import ari, covering
from ergosum.nets import CometEnergy, RecurrentEncoder
from ergosum.part import Part
from ergosum.training.runfolder import load_predictor

SIDE = 24
GROUND = torch.tensor([0.6, 0.7, 0.8])
RED, BLUE = torch.tensor([0.7, 0.1, 0.1]), torch.tensor([0.1, 0.2, 0.9])


@pytest.fixture(scope="module")
def card():
    experiment, model = load_predictor("scenes-objects")
    data = experiment.built().held_out(12, Generator().manual_seed(1_000_077))
    return model, data, Scenes((3, 5)).shadows(data.attributes, data.factors)


def box(top, left, height, width):
    mask = torch.zeros(SIDE, SIDE, dtype=torch.bool)
    mask[top : top + height, left : left + width] = True
    return mask


def drawn(strength=0.5, noise=0.0, seed=0):
    """A ground with two solids and their shadows, which their experts hold: image, means, precisions, true masks."""
    solids = torch.stack([box(3, 3, 6, 6), box(13, 12, 7, 6)])
    shadows = torch.stack([box(7, 9, 3, 4), box(17, 18, 4, 4)])
    image = GROUND[:, None, None].expand(3, SIDE, SIDE).clone()
    means = [image.clone()]
    precisions = [torch.ones(SIDE, SIDE)]
    for solid, shadow, colour in zip(solids, shadows, (RED, BLUE), strict=True):
        image = torch.where(solid, colour[:, None, None], image)
        image = torch.where(shadow, strength * GROUND[:, None, None], image)
        mean = torch.where(shadow, strength * GROUND[:, None, None], colour[:, None, None])
        means.append(mean)
        precisions.append(torch.where(solid | shadow, 1000.0, 0.001))
    image = image + noise * torch.randn(image.shape, generator=Generator().manual_seed(seed))
    masks = torch.cat([~solids.any(0)[None], solids])
    return image[None], torch.stack(means)[None], torch.stack(precisions)[None], masks[None], shadows[None]


def test_the_ground_in_light_is_a_normal_density_along_its_own_colour():
    generator = Generator().manual_seed(0)
    ground = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    x = torch.rand(2, 3, 4, 5, generator=generator, dtype=torch.float64)
    strength, noise = torch.tensor([1.0, 0.4]).double(), torch.tensor([0.05, 0.3]).double()
    energy = LitGround(ground, strength, noise, 0.2)
    expected = torch.zeros(2, 4, 5, dtype=torch.float64)
    for n in range(2):
        g = ground[n].flatten(1).T
        covariance = noise[n] ** 2 * torch.eye(3) + 0.04 * g[:, :, None] * g[:, None]
        density = MultivariateNormal(strength[n] * g, covariance)
        expected[n] = -density.log_prob(x[n].flatten(1).T).view(4, 5)
    torch.testing.assert_close(energy.at_pixels(x), expected)
    torch.testing.assert_close(energy(x), expected.sum((1, 2)))


def test_the_best_light_is_the_one_that_leaves_least():
    ground, x = torch.rand(2, 1, 3, 6, 6, generator=Generator().manual_seed(1), dtype=torch.float64).unbind(0)
    light, across = light_of(x, ground)
    tried = torch.linspace(0, 8, 8001, dtype=torch.float64)
    left = (x - tried[:, None, None, None] * ground).square().sum(1)
    assert (across[0] <= left.amin(0) + 1e-12).all()
    assert (light[0].clamp(max=8) - tried[left.argmin(0)]).abs().max() <= 6e-4
    dark = torch.zeros(1, 3, 6, 6, dtype=torch.float64)
    assert torch.isfinite(light_of(x, dark)[0]).all(), "a black ground has no light to measure"


@pytest.mark.parametrize("strength", [0.3, 0.5, 0.8])
def test_shadows_are_the_ground_s_and_each_is_its_own_solid_s(strength):
    image, means, precisions, masks, shadows = drawn(strength)
    before = (precisions / precisions.sum(1, keepdim=True)).argmax(1)
    assert (before[0][shadows[0, 0]] == 1).all() and (before[0][shadows[0, 1]] == 2).all()
    made = _weighed(image, means, precisions)
    assert torch.equal(made.masks.argmax(1), masks.long().argmax(1))
    assert abs(made.strength.item() - strength) <= 0.021 and made.noise.item() == pytest.approx(STEP)
    assert torch.equal(made.shadows[:, 1:] > 0.5, shadows) and not made.shadows[:, 0].any()
    torch.testing.assert_close(made.masks.sum(1), torch.ones(1, SIDE, SIDE))
    torch.testing.assert_close(made.with_shadows.sum(1), torch.ones(1, SIDE, SIDE))
    assert torch.equal(made.with_shadows.argmax(1), with_shadows(masks, shadows).long().argmax(1))


def test_noise_is_measured_on_the_ground():
    """Two of three channels lie across the ground's colour: the median of their squared length is 2 ln 2 variances.

    The median of n exponential numbers of mean 2 s^2 is off by 2 s^2 / sqrt(n), so that s is off by a share of
    1 / (2 ln 2 sqrt(n)).
    """
    image, means, precisions, masks, _ = drawn(noise=0.05)
    made = _weighed(image, means, precisions)
    off = 1 / (2 * np.log(2) * masks[0, 0].sum().item() ** 0.5)
    assert abs(made.noise.item() / 0.05 - 1) < 4 * off


def test_the_shares_are_those_of_bayes_rule():
    """At one pixel that looks like a shadow or like a solid, computed anew from normal densities."""
    image, means, precisions, _, _ = drawn()
    image[0, :, 3, 3] = 0.5 * GROUND + torch.tensor([0.006, -0.004, 0.0])
    means[0, 1, :, 3, 3] = image[0, :, 3, 3] + 0.01
    precisions[0, :, 3, 3] = torch.tensor([1.0, 4.0, 2.0])
    made = _weighed(image, means, precisions)
    x, noise = image[0, :, 3, 3], made.noise.item()
    prior = 1 / 7
    assert abs(np.log(prior / (1 - prior))) < HELD
    along = noise**2 * torch.eye(3) + SPREAD**2 * GROUND[:, None] * GROUND
    own = (OBJECT**2 + noise**2) * torch.eye(3)
    weights = [
        prior / 2 * MultivariateNormal(GROUND, along).log_prob(x).exp(),
        prior / 2 * MultivariateNormal(made.strength * GROUND, along).log_prob(x).exp(),
        4 / 7 * MultivariateNormal(means[0, 1, :, 3, 3], own).log_prob(x).exp(),
        2 / 7 * MultivariateNormal(means[0, 2, :, 3, 3], own).log_prob(x).exp(),
    ]
    share = torch.stack(weights) / sum(weights)
    assert 0.02 < share[1] < 0.98, "neither is certain"
    expected = torch.stack([share[0] + share[1], share[2], share[3]])
    torch.testing.assert_close(made.masks[0, :, 3, 3], expected, rtol=1e-3, atol=1e-5)
    torch.testing.assert_close(made.shadows[0, 1:, 3, 3], share[1] * torch.tensor([4 / 6, 2 / 6]), rtol=1e-3, atol=1e-5)


def test_without_a_shadow_nothing_is_taken_from_the_solids():
    image, means, precisions, masks, shadows = drawn()
    image = torch.where(shadows.any(1, keepdim=True), GROUND[:, None, None], image)
    made = _weighed(image, means, precisions)
    assert torch.equal(made.masks.argmax(1), masks.long().argmax(1))
    assert not (made.shadows > 0.5).any()


def test_a_card_s_masks_are_better_without_shadows_and_better_with_them(card):
    model, data, shadows = card
    made = decompose(model, data.images, Generator().manual_seed(0))
    told = masks_without_shadows(model, made.latents, data.images)
    again = decompose(model, data.images, Generator().manual_seed(0), shadows=True)
    assert torch.equal(again.masks, told.masks) and torch.equal(again.shadows, told.shadows)
    assert torch.equal(again.latents, made.latents) and made.shadows is None
    assert ari(told.masks, data.masks).mean() > 0.98 > 0.9 > ari(made.masks, data.masks).mean()
    joined = with_shadows(data.masks, shadows)
    assert ari(told.with_shadows, joined).mean() > 0.98 > ari(made.masks, joined).mean()
    assert covering(told.with_shadows, joined).mean() > covering(made.masks, joined).mean() + 0.03
    in_bytes = (255 * data.images).round().byte()
    assert ari(masks_without_shadows(model, made.latents, in_bytes).masks, data.masks).mean() > 0.98


def test_scores_hold_true_masks_against_each_other(card):
    model, data, shadows = card
    made = decompose(model, data.images, Generator().manual_seed(0))
    told = shadow_scores(model, made.latents, made.masks, data, shadows, {"one": torch.zeros(12, 64, 64).long()})
    rows = {row["row"]: row for row in told["shadow_rows"]}
    alone, both = rows["true masks of solids"], rows["true masks of solids with shadows"]
    assert alone["ari"] == alone["covering"] == both["ari_with_shadows"] == both["covering_with_shadows"] == 1
    assert alone["ari_with_shadows"] == pytest.approx(both["ari"]) and 0.7 < both["ari"] < 0.95
    assert rows["one"]["ari"] == rows["one"]["ari_with_shadows"] == 0
    assert told["ari_with_shadows"] == rows["ours"]["ari_with_shadows"] > rows["ours"]["ari"]
    assert told["ari_apart"] == rows["ours, shadows told apart"]["ari"] > 0.98
    assert told["ari_apart_with_shadows"] == rows["ours, shadows told apart"]["ari_with_shadows"] > 0.98
    assert told["shadow_iou"] > 0.9
    floor = rows["our floor, the rest in connected patches"]
    assert floor["ari"] > 0.9 and floor["fg_ari"] < told["fg_ari_apart"] - 0.1, "colour alone finds no single solid"


def test_connected_patches_are_numbered_image_by_image():
    one, two = box(0, 0, 3, 3), box(10, 10, 4, 4)
    labels = patches(torch.stack([one | two, two]))
    assert labels[0][one].unique().tolist() == [1] and labels[0][two].unique().tolist() == [2]
    assert labels[1].unique().tolist() == [0, 1] and not labels[0][~(one | two)].any()


def test_a_floor_of_one_colour_is_found_in_any_light():
    image, _, _, masks, shadows = drawn(noise=0.01)
    found = in_any_light(image.clamp(0, 1))
    assert not found[masks[:, 1:].any(1)].any()
    assert found[shadows.any(1)].float().mean() > 0.9 and found[masks[:, 0]].float().mean() > 0.98


def test_a_model_without_a_ground_tells_no_shadows(tmp_path):
    model = ImageDecomposer(
        Part(RecurrentEncoder, width=8), Part(CometEnergy, width=4), components=("one", "two"), side=32
    )
    with pytest.raises(ValueError, match="one background and a place for every other"):
        refuse_shadowless(model)
    with pytest.raises(ValueError, match="one background"):
        masks_without_shadows(model, torch.zeros(1, 2, 16), torch.rand(1, 3, 32, 32))


def test_the_command_writes_shadows_and_keeps_jobs_apart(card, tmp_path, capsys):
    _, data, _ = card
    pixels = (255 * data.images[0].permute(1, 2, 0)).round().byte().numpy()
    Image.fromarray(pixels).save(tmp_path / "a.png")
    command = ["decompose", "scenes-objects", "--start", str(tmp_path / "a.png"), "--out", str(tmp_path / "out")]
    assert main([*command, "--shadows"]) == 0
    told = load_result(tmp_path / "out" / "a.png.npz")
    assert told.shadows is not None and told.shadows.shape == told.masks.shape == (6, 64, 64)
    assert (told.shadows.sum(0) <= told.masks[0] + 6 / 255).all() and told.shadows.sum() > 20
    assert ari(told.masks[None], data.masks[:1]).item() > 0.95
    wide = Image.open(tmp_path / "out" / "sheet.png").size
    capsys.readouterr()
    assert main(command) != 0 and "another job (shadows" in capsys.readouterr().err
    assert main([*command[:-1], str(tmp_path / "plain")]) == 0
    assert load_result(tmp_path / "plain" / "a.png.npz").shadows is None
    assert Image.open(tmp_path / "plain" / "sheet.png").size[1] < wide[1], "no row of shadows"
