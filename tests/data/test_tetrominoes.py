"""Pieces of four cells in six colours that never overlap."""

import pytest
import torch
from torch import Generator

from ergosum.data.tetrominoes import CELL, COLOURS, PIECES, SIDE, Tetrominoes


def draw(n=100, seed=0, **settings):
    return Tetrominoes(**settings).draw(n, Generator().manual_seed(seed))


def alone(shape=3, colour=0, x=10, y=10):
    return Tetrominoes(1).render(torch.tensor([[[shape, colour, x, y]]], dtype=torch.float32))


def connected(cells):
    """Whether filled cells hang together by their sides."""
    filled = {tuple(c) for c in cells.nonzero().tolist()}
    seen, waiting = set(), [next(iter(filled))]
    while waiting:
        r, c = waiting.pop()
        if (r, c) in filled - seen:
            seen.add((r, c))
            waiting += [(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)]
    return seen == filled


def test_there_are_seventeen_different_connected_pieces_of_four_cells_in_the_upper_left():
    assert PIECES.shape == (17, 3, 3) and len({tuple(p.flatten().tolist()) for p in PIECES}) == 17
    assert (PIECES.sum((1, 2)) == 4).all() and all(connected(p) for p in PIECES)
    assert PIECES.any(2)[:, 0].all() and PIECES.any(1)[:, 0].all()


def test_every_quarter_turn_of_a_piece_is_a_piece():
    for piece in PIECES:
        turn = torch.rot90(piece)
        turn = turn.roll([-int(turn.any(1).byte().argmax()), -int(turn.any(0).byte().argmax())], (0, 1))
        assert any(torch.equal(turn, other) for other in PIECES)


@pytest.mark.parametrize("settings", [{}, {"objects": (1, 4)}, {"objects": 2, "side": 40}])
def test_masks_part_the_image_and_pieces_keep_all_their_pixels(settings):
    p = draw(**settings)
    assert (p.masks.sum(1) == 1).all()
    present = ~p.attributes.isnan().any(2)
    assert torch.equal(p.masks[:, 1:].sum((2, 3)), present * 4 * CELL**2)
    assert torch.equal(present.any(0), torch.ones(p.attributes.shape[1], dtype=torch.bool))


def test_every_number_of_pieces_from_fewest_to_most_is_drawn_and_those_there_come_first():
    present = ~draw(objects=(1, 4)).attributes.isnan().any(2)
    assert sorted(set(present.sum(1).tolist())) == [1, 2, 3, 4]
    assert (present.byte().diff(dim=1) != 1).all()


def test_a_pieces_pixels_have_its_colour_and_the_rest_is_black():
    p = draw()
    for k in range(3):
        colours = COLOURS[p.attributes[:, k, 1].long()]
        mask = p.masks[:, 1 + k, None]
        assert torch.equal((p.images * mask).sum((2, 3)), 100 * colours)
        assert torch.equal(p.images * mask, colours[:, :, None, None] * mask)
    assert (p.images * p.masks[:, :1]).abs().max() == 0


def test_shapes_colours_and_places_are_all_drawn():
    p = draw(2000)
    shape, colour, x, y = p.attributes.flatten(0, 1).unbind(1)
    counts = shape.long().bincount(minlength=17).double()
    assert ((counts - 6000 / 17).abs() < 4.5 * (6000 / 17) ** 0.5).all()  # shapes stay uniform although some fit less
    assert sorted(set(colour.tolist())) == list(range(6))
    assert x.min() == 0 and y.min() == 0 and x.max() == y.max() == SIDE - 2 * CELL


def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone():
    before = torch.random.get_rng_state()
    a, b, c = (draw(5, seed) for seed in (3, 3, 4))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True)) and not torch.equal(a.images, c.images)
    assert torch.equal(before, torch.random.get_rng_state())


def test_rendering_gives_the_drawn_images_and_one_does_not_depend_on_the_others():
    p = draw(6, objects=(1, 3))
    assert torch.equal(Tetrominoes((1, 3)).render(p.attributes).images, p.images)
    assert torch.equal(Tetrominoes(3).render(p.attributes[4:5]).images[0], p.images[4])


def test_every_attribute_changes_what_it_names_and_nothing_else():
    rest = alone()
    assert torch.equal(alone(x=13).masks, rest.masks.roll(3, 3))
    assert torch.equal(alone(y=4).masks, rest.masks.roll(-6, 2))
    assert torch.equal(alone(colour=4).masks, rest.masks) and not torch.equal(alone(colour=4).images, rest.images)
    cells = alone(shape=9).masks[0, 1, 10:25, 10:25].unfold(0, CELL, CELL).unfold(1, CELL, CELL)
    assert torch.equal(cells.all(3).all(2), PIECES[9]) and torch.equal(cells.any(3).any(2), PIECES[9])


def test_a_larger_side_adds_a_black_frame():
    p = draw(200, side=40)
    inside = torch.zeros(40, 40, dtype=torch.bool)
    inside[2:37, 2:37] = True
    assert p.images[..., ~inside].max() == 0 and p.images.shape[-1] == 40
    assert torch.equal(p.images[..., 2:37, 2:37], draw(200).images)


@pytest.mark.parametrize(
    "settings, message",
    [({"objects": 0}, r"objects: expected a number 1 .. 4"), ({"objects": (3, 2)}, "objects"),
     ({"objects": (1, 2, 3)}, "objects"), ({"objects": 5}, "got 5"), ({"side": 34}, "side: expected at least 35")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Tetrominoes(**settings)


@pytest.mark.parametrize(
    "rows, message",
    [([[17, 0, 0, 0]], "shape 0 .. 16, got 17"), ([[0, 6, 0, 0]], "colour"), ([[0.5, 0, 0, 0]], "shape"),
     ([[3, 0, 21, 0]], "leaves the image"), ([[3, 0, 0.5, 0]], "whole pixels"), ([[3, 0, 0]], "attributes")],
)  # fmt: skip
def test_pieces_that_cannot_be_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        Tetrominoes(1).render(torch.tensor([rows], dtype=torch.float32))
    with pytest.raises(ValueError, match="overlap"):
        Tetrominoes(2).render(torch.tensor([[[0.0, 0, 3, 3], [0, 1, 12, 12]]]))
    with pytest.raises(ValueError, match="n >= 1"):
        draw(0)
