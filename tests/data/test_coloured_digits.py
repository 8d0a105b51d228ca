"""Digits in ten colours: the three supports, and the reader."""

import pytest
import torch

from ergosum.data import ColouredDigits
from ergosum.zoo import Zoo


def drawn(n=4000, seed=0, **settings):
    data = ColouredDigits(**settings)
    return data, data.attributed(n, torch.Generator().manual_seed(seed))


def pairs(values):
    return {(int(digit), int(colour)) for digit, colour in values.tolist()}


def test_the_partial_support_shows_19_pairs_and_every_value():
    data, (_, values) = drawn(support="partial")
    seen = pairs(values)
    assert seen == {(y, y) for y in range(10)} | {(y, y + 1) for y in range(9)}
    assert not data.held_out(values).any()
    everything = torch.cartesian_prod(torch.arange(10.0), torch.arange(10.0))
    assert pairs(everything[~data.held_out(everything)]) == seen
    assert not data.held_out(torch.tensor([[3.0, torch.nan], [torch.nan, 3.0]])).any()


def test_the_other_supports_show_all_pairs():
    for support, own in (("uniform", 0.1), ("non-uniform", 0.5 * 0.5 + 0.5 * 0.1)):
        data, (_, values) = drawn(support=support)
        assert len(pairs(values)) == 100 and not data.held_out(values).any()
        share = (values[:, 0] == values[:, 1]).float()[values[:, 0] < 9].mean().item()
        assert abs(share - own) < 5 * (own * (1 - own) / 3500) ** 0.5  # about 0.9 of 4,000 are no nines
    assert len(pairs(drawn(support="partial", split="test")[1].values)) == 100


def test_the_parts_share_no_digit():
    train, test = (ColouredDigits(split=split) for split in ("train", "test"))
    assert (len(train), len(test)) == (1397, 400) and train.digest() != test.digest()


def test_the_reader_is_exact_on_true_images_and_heeds_what_it_sees():
    data, (images, values) = drawn(100, split="test")
    read = data.read(images, Zoo().classifier("upright"))
    assert torch.equal(read[:, 1], values[:, 1])
    assert (read[:, 0] == values[:, 0]).float().mean() > 0.9
    assert data.read(images)[:, 0].isnan().all()
    assert not torch.equal(data.read(images.flip(1))[:, 1], values[:, 1])
    assert data.read(torch.zeros(1, 3, 28, 28)).isnan().all()


def test_grey_undoes_the_colour():
    data, (images, _) = drawn(50)
    alike = [data.attributed(50, torch.Generator().manual_seed(0)).images, images]
    assert torch.equal(*alike)
    grey = data.grey(images)
    assert grey.shape == (50, 1, 28, 28)
    original = data._digits.labelled(50, torch.Generator().manual_seed(0)).images
    torch.testing.assert_close(grey, original, rtol=0, atol=1e-5)


def test_noise_leaves_the_colour():
    data, (images, values) = drawn(500)
    noise = 0.1 * torch.randn(images.shape, generator=torch.Generator().manual_seed(1))
    assert (data.read((images + noise).clamp(0, 1))[:, 1] == values[:, 1]).float().mean() > 0.99


@pytest.mark.parametrize(
    ("settings", "told"),
    [({"source": "fashion"}, "source: expected"), ({"support": "half"}, "support: expected"),
     ({"side": 13}, "side: expected a multiple of 4"), ({"split": "both"}, "split: expected")],
)  # fmt: skip
def test_a_wrong_setting_is_named(settings, told):
    with pytest.raises(ValueError, match=told) as error:
        ColouredDigits(**settings)
    assert "\n" not in str(error.value)


def test_images_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"images: expected \(n, 3, side, side\)"):
        ColouredDigits().read(torch.zeros(2, 1, 28, 28))
