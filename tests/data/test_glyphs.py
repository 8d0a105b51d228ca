"""Single grey images with their class: training and held-out ones never meet."""

import json

import pytest
import torch
from torch import Generator

from ergosum.data.dataset import store
from ergosum.data.glyphs import EDGE, Glyphs
from ergosum.data.sources import FASHION_FILES, load_digits


def draw(n=50, seed=0, **settings):
    return Glyphs(**settings).draw(n, Generator().manual_seed(seed))


def codes(images):
    return {image.numpy().tobytes() for image in images.images}


@pytest.mark.parametrize("side", [12, 28, 36])
@pytest.mark.parametrize("split", ["train", "test"])
def test_a_record_has_its_shapes_and_one_owner_per_pixel(side, split):
    p, data = draw(20, side=side, split=split), Glyphs(side=side, split=split)
    assert p.images.shape == (20, 3, side, side) and p.images.dtype == torch.float32
    assert 0 <= p.images.min() and p.images.max() <= 1
    assert p.factors.shape == (20, 1) and p.attributes.shape == (20, 1, 0) and p.factors.dtype == torch.float32
    assert p.masks.shape == (20, 2, side, side) and p.masks.dtype == torch.bool and (p.masks.sum(1) == 1).all()
    assert (data.side, data.objects, data.factors, data.attributes) == (side, 1, ("class",), ())
    assert torch.isin(p.factors[:, 0], data.levels[0]).all() and len(data.levels[0]) == 10


def test_images_are_the_sources_in_white_with_their_class():
    data, digits = Glyphs("digits", split="test"), load_digits("digits", "test")
    p = data.at(range(len(data)))
    assert len(data) == 400 and torch.equal(p.images, digits.images.expand(-1, 3, -1, -1))
    assert torch.equal(p.factors[:, 0].long(), digits.labels)
    assert torch.equal(
        Glyphs("digits", 36, "test").at([7]).images[:, :1], load_digits("digits", "test", 36).images[7:8]
    )


def test_the_glyph_is_what_has_a_fifth_of_the_maximum_and_a_black_image_has_none():
    p = draw()
    grey = p.images[:, 0]
    bright = grey >= EDGE * grey.amax((1, 2), keepdim=True)
    assert torch.equal(p.masks[:, 1], bright) and 0.1 < bright.float().mean() < 0.4
    data = Glyphs()
    data.digits = data.digits._replace(images=torch.zeros_like(data.digits.images))
    assert data.at([0]).masks[:, 0].all()


def test_training_and_held_out_images_share_none():
    train, test = (Glyphs(split=s) for s in ("train", "test"))
    every = [codes(data.at(range(len(data)))) for data in (train, test)]
    assert not every[0] & every[1] and len(every[0]) == len(train) and len(every[1]) == len(test)
    assert codes(draw()) <= every[0] and codes(draw(split="test")) <= every[1]
    assert codes(Glyphs("digits").draw(9, Generator().manual_seed(1))) <= every[0]


def test_every_image_is_equally_likely():
    n = 4000
    classes = draw(n).factors[:, 0].long().bincount(minlength=10) / n
    share = load_digits("digits", "train").labels.bincount() / 1397
    assert ((classes - share).abs() < 4 * (share * (1 - share) / n).sqrt()).all()


def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone():
    before = torch.random.get_rng_state()
    a, b, c = (draw(5, seed, side=36) for seed in (3, 3, 4))
    assert all(map(torch.equal, a, b)) and not torch.equal(a.images, c.images)
    assert torch.equal(before, torch.random.get_rng_state())


def test_a_image_does_not_depend_on_the_others_of_its_batch():
    data = Glyphs(side=20)
    together = data.at([3, 900, 5])
    assert all(map(torch.equal, data.at([900]), (v[1:2] for v in together)))


def test_stored_images_are_all_the_training_ones_before_any_comes_again(tmp_path):
    data = Glyphs("digits", 12)
    kept = store(data, 1400, folder=tmp_path)
    p, true = kept.batch(range(1400)), data.at(range(1397))
    shown = {v.tobytes() for v in (p.images[:1397] * 255).byte().numpy()}
    assert shown == {v.tobytes() for v in (true.images * 255).round().byte().numpy()}
    assert torch.equal(p.factors[:1397].sort(0).values, true.factors.sort(0).values)
    assert (p.masks.sum(1) == 1).all() and p.attributes.shape == (1400, 1, 0)
    about = json.loads((kept.folder / "about.json").read_text())
    assert about["set"] == "Glyphs" and about["settings"]["source"] == "digits" and about["factors"] == ["class"]


def test_other_parts_sides_and_sources_are_stored_under_other_names(tmp_path, no_mnist, small_fashion):
    (no_mnist / FASHION_FILES[0]).write_bytes(small_fashion["npz"])
    sets = Glyphs(), Glyphs(side=32), Glyphs(split="test"), Glyphs("fashion"), Glyphs("digits+fashion")
    assert len({store(data, 1, folder=tmp_path / "store").folder.name for data in sets}) == 5


def test_fashion_has_clothes_of_all_classes_and_its_own_held_out_ones(fashion):
    train, test = (Glyphs("fashion", split=s) for s in ("train", "test"))
    assert (len(train), len(test)) == (810, 90)
    p = train.draw(500, Generator().manual_seed(0))
    assert sorted(set(p.factors[:, 0].tolist())) == list(range(10)) and p.images.mean() > 0.2
    assert not codes(train.at(range(810))) & codes(test.at(range(90)))


@pytest.mark.parametrize(
    "settings, message",
    [({"side": 30}, "side: expected a multiple of 4, at least 12, got 30"), ({"side": 8}, "side"),
     ({"split": "all"}, "split: expected 'train' or 'test', got 'all'"), ({"source": "letters"}, "Unknown source")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        Glyphs(**settings)


def test_images_that_are_not_there_are_refused():
    with pytest.raises(ValueError, match="n >= 1"):
        draw(0)
    for wrong in ([400], [-1], torch.tensor([0, 1000])):
        with pytest.raises(IndexError, match=r"0 .. 399"):
            Glyphs(split="test").at(wrong)
