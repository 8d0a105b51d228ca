import pytest
import torch
from torch import Generator

from ergosum.concepts.codec import AttributeCodec, corners
from ergosum.data.attributed import Attribute
from ergosum.data.concept_scenes import ConceptScenes

ATTRIBUTES = (Attribute("colour", ("red", "blue", "green")), Attribute("place", numbers=2))


def test_a_part_for_each_attribute_and_one_for_the_rest():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, place="place", side=16)
    assert [(p.start, p.stop) for p in codec.parts] == [(0, 3), (3, 5), (5, 8)] and codec.latent == 8
    images = torch.rand(5, 3, 16, 16)
    codes = codec.encode(images)
    assert codes.shape == (5, 8) and codec.decode(codes).shape == images.shape
    assert not torch.equal(codec.encode(images, Generator().manual_seed(0)), codes)


def test_values_say_where_parts_lie():
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, side=16)
    values = torch.tensor([[0.0, 0.5, 1.0], [2.0, torch.nan, torch.nan], [torch.nan, 0.0, 0.0]])
    centre, deviation = codec.towards(values)
    torch.testing.assert_close(centre[0, :3], corners(torch.tensor([0]), 3)[0])
    torch.testing.assert_close(centre[0, 3:5], torch.tensor([0.0, 3**0.5]))
    assert (centre[1, 3:] == 0).all() and (centre[2, :3] == 0).all()
    assert deviation[0].tolist() == pytest.approx([0.3] * 3 + [0.05] * 2 + [1] * 3)
    assert deviation[2].tolist() == pytest.approx([1] * 3 + [0.05] * 2 + [1] * 3)


def test_corners_have_mean_0_and_deviation_1():
    every = corners(torch.arange(8), 8)
    torch.testing.assert_close(every.mean(0), torch.zeros(8), atol=1e-6, rtol=0)
    torch.testing.assert_close(every.square().mean(0), torch.ones(8))


def test_where_something_is_moves_it():
    """Shifting the place by whole steps of the grid shifts what depends on it alone, away from the edges."""
    torch.manual_seed(0)
    codec = AttributeCodec(ATTRIBUTES, rest=3, width=4, place="place", side=16)
    codec.decoder.stem.weight.data[:, :14] = 0  # the coordinates of the image itself
    codec.decoder.out.weight.data[:, :, [0, 2]] = 0  # a last layer that sees one point
    codec.decoder.out.weight.data[:, :, :, [0, 2]] = 0
    z = torch.randn(1, 8)
    moved = z.clone()
    moved[0, 3] += 12**0.5 * 2 / 7 / 2  # two of seven steps between the eight points of half the image's side
    here, there = codec.decode(z), codec.decode(moved)
    torch.testing.assert_close(there[..., 2:], here[..., :-2], atol=1e-5, rtol=0)


def test_it_learns_to_put_what_is_told_into_its_parts():
    torch.manual_seed(0)
    data = ConceptScenes(count=64)
    codec, generator = AttributeCodec(data.attributes, place="place", width=8, rest=2), Generator().manual_seed(0)
    optimiser = torch.optim.Adam(codec.parameters(), 3e-3)
    first = None
    for _ in range(150):
        batch = data.attributed(16, generator)
        loss, error = codec.loss(batch.images, batch.values, generator, 2e-5)
        first = error if first is None else first
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert error < 0.5 * first
    batch = data.attributed(64, generator)
    apart = (codec.encode(batch.images) - codec.towards(batch.values)[0])[:, codec.parts[3]].square().mean()
    alone = codec.towards(batch.values)[0][:, codec.parts[3]].var()
    assert apart < 0.5 * alone  # the place is read


def test_a_place_must_be_an_attribute_of_two_numbers():
    with pytest.raises(ValueError, match="expected the name of an attribute of two numbers, or none, got 'colour'"):
        AttributeCodec(ATTRIBUTES, place="colour")
