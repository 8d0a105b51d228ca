"""White shapes over a full grid of factors, and coloured ones behind each other."""

import math

import pytest
import torch
from torch import Generator

from ergosum.data.dataset import grid
from ergosum.data.shapes import LEVELS, Shapes

SINGLE = Shapes()
MANY = Shapes((2, 5), colour=True)
SETS = [SINGLE, MANY, Shapes((2, 4)), Shapes(1, colour=True, side=32)]
FORMS = grid(LEVELS[:3], torch.arange(720))


def at(i, j, forms=FORMS):
    """Masks of all forms at level i of x and j of y."""
    place = torch.stack([LEVELS[3][i], LEVELS[4][j]]).expand(len(forms), 2)
    return SINGLE.from_factors(torch.cat([forms, place], 1)).masks[:, 1]


def one(shape=0, scale=1.0, orientation=0.0, x=0.5, y=0.5):
    return SINGLE.from_factors(torch.tensor([[shape, scale, orientation, x, y]])).masks[0, 1]


def test_the_grid_has_all_combinations_of_dsprites_and_its_last_factor_turns_fastest():
    assert [len(v) for v in LEVELS] == [3, 6, 40, 32, 32] and math.prod(map(len, LEVELS)) == 737_280
    assert len(torch.unique(grid(LEVELS, torch.arange(737_280)), dim=0)) == 737_280
    first, second, last = grid(LEVELS, torch.tensor([0, 1, 737_279]))
    assert torch.equal(first, torch.stack([v[0] for v in LEVELS])) and second[4] == LEVELS[4][1]
    assert torch.equal(last, torch.stack([v[-1] for v in LEVELS]))
    with pytest.raises(ValueError, match=r"0 .. 737279"):
        grid(LEVELS, torch.tensor([737_280]))


@pytest.mark.parametrize("data", SETS, ids=lambda d: str(d.settings))
def test_masks_part_the_image_and_colours_are_exact(data):
    p = data.draw(60, Generator().manual_seed(0))
    assert (p.masks.sum(1) == 1).all() and p.images.shape[-1] == data.side
    present = ~p.attributes.isnan().any(2)
    assert torch.equal(p.masks[:, 1:].flatten(2).any(2), present)
    colours = p.attributes[..., 5:] if data.colour else torch.ones(60, data.objects, 3)
    background = p.factors if data.colour else torch.zeros(60, 1)
    paint = torch.cat([background[:, None].expand(-1, 1, 3), colours.nan_to_num(0)], 1)
    assert torch.equal(p.images, torch.einsum("nohw,noc->nchw", p.masks.float(), paint))


@pytest.mark.parametrize("data", SETS, ids=lambda d: str(d.settings))
def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone(data):
    before = torch.random.get_rng_state()
    a, b, c = (data.draw(4, Generator().manual_seed(s)) for s in (3, 3, 4))
    assert all(torch.equal(x.nan_to_num(9), y.nan_to_num(9)) for x, y in zip(a, b, strict=True))
    assert not torch.equal(a.images, c.images) and torch.equal(before, torch.random.get_rng_state())


def test_rendering_gives_the_drawn_images_and_one_does_not_depend_on_the_others():
    p = MANY.draw(8, Generator().manual_seed(1))
    assert torch.equal(MANY.render(p.attributes, p.factors).images, p.images)
    assert torch.equal(MANY.render(p.attributes[5:6], p.factors[5:6]).images[0], p.images[5])


def test_one_level_of_x_or_y_is_one_pixel():
    corner = at(0, 0)
    for i, j in ((1, 0), (0, 1), (9, 22), (31, 31)):
        moved = torch.zeros_like(corner)
        moved[:, j:, i:] = corner[:, : 64 - j, : 64 - i]
        assert torch.equal(at(i, j), moved)


def test_no_shape_touches_the_edge_and_area_grows_with_the_square_of_the_scale():
    for i, j in ((0, 0), (0, 31), (31, 0), (31, 31)):
        masks = at(i, j)
        assert not (masks[:, [0, -1]].any() or masks[:, :, [0, -1]].any())
    area = at(16, 16).sum((1, 2)).float().view(3, 6, 40).mean(2)
    torch.testing.assert_close(area / area[:, -1:], (LEVELS[1] ** 2).expand(3, -1), rtol=0, atol=0.02)
    torch.testing.assert_close(area[:2, -1], torch.tensor([21.8**2, math.pi * 15.3 * 8.3]), rtol=0.01, atol=0)


def test_orientation_turns_counter_clockwise_and_symmetric_shapes_come_back_early():
    for shape in range(3):
        upright = one(shape, x=16 / 31, y=16 / 31)[1:, 1:]  # centred on a pixel, so that turns keep the raster
        for quarters in range(1, 4):
            turned = one(shape, orientation=quarters * math.pi / 2, x=16 / 31, y=16 / 31)[1:, 1:]
            assert torch.equal(turned, torch.rot90(upright, quarters))
    forms = at(16, 16).view(3, 6, 40, 64, 64)
    assert torch.equal(forms[0, :, :10], forms[0, :, 10:20]) and torch.equal(forms[1, :, :20], forms[1, :, 20:])
    hearts = forms[2, -1].flatten(1)
    assert len(torch.unique(hearts, dim=0)) == 40


def test_a_heart_stands_on_its_tip_and_has_a_notch():
    rows = one(2).sum(1)
    assert rows[rows > 0][-1] <= 3 and rows.argmax() < 32
    top = one(2)[int((rows > 0).byte().argmax())].nonzero()[:, 0]
    assert (top.diff() > 1).any()


def test_later_shapes_are_in_front():
    near, far = torch.tensor([[0, 0.6, 0, 0.5, 0.5, 1, 0, 0.0]]), torch.tensor([[0, 1, 0, 0.5, 0.5, 0, 1, 0.0]])
    both = Shapes(2, colour=True).render(torch.stack([far, near], 1))
    hidden = Shapes(2, colour=True).render(torch.stack([near, far], 1))
    assert both.images[0, :, 32, 32].tolist() == [1, 0, 0] and both.masks[0, 1:].flatten(1).any(1).all()
    assert hidden.images[0, :, 32, 32].tolist() == [0, 1, 0] and not hidden.masks[0, 1].any()


def test_every_shape_keeps_three_tenths_of_its_pixels_where_shapes_overlap():
    p = MANY.draw(200, Generator().manual_seed(0))
    whole = Shapes(1, colour=True).render(p.attributes.flatten(0, 1)[:, None]).masks[:, 1].sum((1, 2))
    seen = p.masks[:, 1:].flatten(0, 1).sum((1, 2))
    assert (seen >= 0.3 * whole).all() and (seen < 0.5 * whole).any()


def test_single_shapes_are_drawn_from_the_grid_and_several_from_all_places_where_they_are_whole():
    p = SINGLE.draw(300, Generator().manual_seed(0))
    for i, values in enumerate(LEVELS):
        assert torch.isin(p.factors[:, i], values).all() and len(p.factors[:, i].unique()) > len(values) // 2
    assert torch.equal(p.attributes[:, 0], p.factors) and p.images.unique().tolist() == [0, 1]
    several = MANY.draw(300, Generator().manual_seed(0))
    assert not (several.masks[:, 1:, [0, -1]].any() or several.masks[:, 1:, :, [0, -1]].any())
    assert several.attributes[..., 3].nan_to_num(0.5).min() < 0 and several.factors.max() <= 0.5


@pytest.mark.parametrize(
    "settings, message",
    [({"objects": 9}, "1 .. 8"), ({"objects": (0, 2)}, "objects"), ({"side": 8}, "side: expected at least 16")],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Shapes(**settings)


def test_what_cannot_be_drawn_is_refused_with_the_reason():
    with pytest.raises(ValueError, match="use render"):
        MANY.from_factors(torch.zeros(1, 5))
    for shape, scale, message in ((3, 1, "shape 0 .. 2, got 3"), (0, 0, "scale"), (0, 2, "scale")):
        with pytest.raises(ValueError, match=message):
            SINGLE.from_factors(torch.tensor([[shape, scale, 0.0, 0.0, 0.0]]))
    with pytest.raises(ValueError, match=r"expected factors \(n, 5\)"):
        SINGLE.from_factors(torch.zeros(2, 4))
    with pytest.raises(ValueError, match="grey"):
        MANY.render(torch.full((1, 5, 8), torch.nan), torch.tensor([[1.5]]))
    with pytest.raises(ValueError, match="expected attributes"):
        MANY.render(torch.zeros(1, 5, 5))
    with pytest.raises(ValueError, match=r"expected factors \(1, 1\)"):
        MANY.render(torch.zeros(1, 5, 8), torch.zeros(1, 2))
