"""Kernel distances of made pictures: true ones have none, and nothing that needs no model passes for true."""

import pytest
import torch

from ergosum import zoo
from ergosum.data.named import picture_set
from ergosum.evaluation.fidelity import kid_rows
from ergosum.settings import PictureSettings

N = 100


@pytest.fixture(scope="module")
def extractor():
    return zoo.extractor()


@pytest.fixture(scope="module", params=[("tetrominoes", 36, 3), ("scenes", 64, 4)], ids=lambda p: p[0])
def pictures(request):
    name, side, most = request.param
    data = picture_set(PictureSettings(name=name, side=side, fewest=3, most=most))
    return data.draw(3 * N, torch.Generator().manual_seed(0)).images.chunk(3)


def test_true_pictures_are_near_and_all_others_are_far(pictures, extractor):
    true, others, third = pictures
    noisy = (third + 0.2 * torch.randn(third.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    rows = {r["row"]: r for r in kid_rows({"third": third, "noisy": noisy}, true, others, extractor.features, 0)}
    for name in ("third", "other true pictures"):  # unbiased: zero within errors, either way
        assert abs(rows[name]["kid"]) < 4 * rows[name]["kid_error"]
    for name in ("noisy", "two pictures at half strength each", "mean picture", "black"):
        assert rows[name]["kid"] > 4 * rows[name]["kid_error"], name
        assert rows[name]["kid"] > 10 * abs(rows["other true pictures"]["kid"]), name


def test_an_object_more_is_noticed(extractor):
    draw = lambda most, seed: picture_set(PictureSettings(name="scenes", side=64, fewest=most, most=most)).draw(  # noqa: E731
        N, torch.Generator().manual_seed(seed)
    ).images  # fmt: skip
    true, others, more = draw(3, 0), draw(3, 1), draw(4, 2)
    rows = kid_rows({"more": more}, true, others, extractor.features, 0)
    assert rows[0]["kid"] > 4 * rows[0]["kid_error"] > 0


def test_few_pictures_are_refused(extractor):
    x = torch.rand(3, 3, 36, 36)
    with pytest.raises(ValueError, match="at least two rows"):
        kid_rows({"x": x}, x, x, extractor.features, 0)


def test_pictures_at_half_strength_are_mixed_of_those_that_are_not_compared_with():
    flat = lambda x: x.flatten(1)[:, :50]  # noqa: E731
    draw = lambda seed: torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(seed))  # noqa: E731
    true, others = draw(0), 0.2 * draw(1)
    mixed = {"mixed": (others + others.roll(1, 0)) / 2}
    rows = {r["row"]: r["kid"] for r in kid_rows(mixed, true, others, flat, 0)}
    assert rows["two pictures at half strength each"] == rows["mixed"]
