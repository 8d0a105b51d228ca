"""Factors of images as attributes: words where there are some, numbers where there are many levels."""

import field_files as files
import pytest
import torch

from ergosum.data import AttributedImages, DSprites, Glyphs, Shapes, Shapes3D, Tetrominoes
from ergosum.data.attributed import told
from ergosum.part import Part

rng = torch.Generator().manual_seed


def test_values_are_the_words_of_the_levels(tmp_path):
    part = Part(Shapes3D, path=files.shapes3d(tmp_path / "s.h5"), side=12)
    data = AttributedImages(part, factors=("shape", "wall hue"))
    assert [a.name for a in data.attributes] == ["shape", "wall_hue"]
    assert data.attributes[1].values[:2] == ("wall_red", "wall_orange")
    images, values = data.attributed(40, rng(0))
    drawn = part.build(split="train").draw(40, rng(0))
    assert torch.equal(images, drawn.images) and torch.equal(values[:, 0], drawn.factors[:, 4])
    assert torch.equal(values[:, 1], (drawn.factors[:, 1] > 0).float())
    assert told(data.attributes, shape="sphere")[0] == 2


def test_factors_without_words_have_numbered_names_or_are_numbers(tmp_path):
    part = Part(DSprites, path=files.dsprites(tmp_path / "d.npz"), side=16)
    data = AttributedImages(part, factors=("scale", "x"), numbers=("x",), channels=1, split="test")
    assert data.attributes[0].values == ("scale_0", "scale_1") and data.attributes[1].numbers == 1
    images, values = data.attributed(30, rng(1))
    drawn = part.build(split="test").draw(30, rng(1))
    assert images.shape == (30, 1, 16, 16) and torch.allclose(images, drawn.images[:, :1])
    assert torch.equal(values[:, 0], (drawn.factors[:, 1] > 0.75).float())
    assert torch.allclose(values[:, 1], drawn.factors[:, 3])
    many = AttributedImages(Part(Shapes, side=16))
    assert [a.numbers for a in many.attributes] == [0, 0, 0, 0, 0] and len(many.attributes[2].values) == 40
    few = AttributedImages(Part(Glyphs, source="digits", side=12))
    assert few.attributes[0].values[3] == "class_3"


def test_more_than_forty_levels_are_told_by_a_number(tmp_path):
    part = Part(DSprites, path=files.dsprites(tmp_path / "d.npz"), side=16)
    part.build()
    data = AttributedImages(part, factors=("x",))
    assert data.attributes[0].numbers == 0
    from ergosum.data.attributed_images import MOST_WORDS, _attribute

    assert _attribute("x", torch.arange(MOST_WORDS + 1.0), (), False).numbers == 1


def test_what_cannot_be_told_is_refused(tmp_path):
    part = Part(Shapes3D, path=files.shapes3d(tmp_path / "s.h5"), side=12)
    for changes, said in [
        ({"images": Part(Tetrominoes)}, "images: Tetrominoes has no factors with levels"),
        ({"factors": ("colour",)}, "factors: there is no 'colour'; expected some of floor hue"),
        ({"numbers": ("colour",)}, "numbers: there is no 'colour'"),
        ({"channels": 2}, "channels: expected 1"),
    ]:
        with pytest.raises(ValueError, match=said):
            AttributedImages(**({"images": part} | changes))

    class Twice(Shapes):
        words = {"shape": ("a", "b", "c"), "scale": ("c", "d", "e", "f", "g", "h")}  # noqa: RUF012

    with pytest.raises(ValueError, match="factors: 'c' is a value of two"):
        AttributedImages(Part(Twice, side=16))

    class Strange(Shapes):
        def draw(self, n, generator):
            record = super().draw(n, generator)
            return record._replace(factors=record.factors + 0.5)

    with pytest.raises(ValueError, match=r"shape: Strange drew .*\.5, which is none of its levels"):
        AttributedImages(Part(Strange, side=16)).attributed(2, rng(0))
