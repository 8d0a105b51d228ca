"""Kernel distances of made images: true ones have none, and nothing that needs no model passes for true."""

import pytest
import torch
from torch.nn import functional as F

from ergosum import zoo
from ergosum.data.named import dataset
from ergosum.decomposition.fidelity import kid_rows

N = 100


@pytest.fixture(scope="module")
def extractor():
    return zoo.Zoo().classifier("features")


@pytest.fixture(scope="module", params=[("tetrominoes", 36, 3), ("scenes", 64, 4)], ids=lambda p: p[0])
def images(request):
    name, side, most = request.param
    data = dataset(name, side, (3, most)).build()
    return data.draw(3 * N, torch.Generator().manual_seed(0)).images.chunk(3)


def test_true_images_are_near_and_all_others_are_far(images, extractor):
    true, others, third = images
    noisy = (third + 0.2 * torch.randn(third.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    rows = {r["row"]: r for r in kid_rows({"third": third, "noisy": noisy}, true, others, extractor.features, 0)}
    for name in ("third", "other true images"):  # unbiased: zero within errors, either way
        assert abs(rows[name]["kid"]) < 4 * rows[name]["kid_error"]
    for name in ("noisy", "two images at half strength each", "mean image", "black"):
        assert rows[name]["kid"] > 4 * rows[name]["kid_error"], name
        assert rows[name]["kid"] > 10 * abs(rows["other true images"]["kid"]), name


def test_noise_that_nobody_sees_is_not_noticed_and_blur_is(images, extractor):
    true, others, third = images
    faint = (third + 0.01 * torch.randn(third.shape, generator=torch.Generator().manual_seed(1))).clamp(0, 1)
    sets = {"faint": faint, "blurred": F.avg_pool2d(third, 3, 1, 1)}
    rows = {r["row"]: r for r in kid_rows(sets, true, others, extractor.features, 0)}
    assert abs(rows["faint"]["kid"]) < 4 * rows["faint"]["kid_error"]
    assert rows["blurred"]["kid"] > 10 * rows["blurred"]["kid_error"]


def test_an_object_more_is_noticed(extractor):
    draw = lambda most, seed: dataset("scenes", 64, most).build().draw(  # noqa: E731
        N, torch.Generator().manual_seed(seed)
    ).images  # fmt: skip
    true, others, more = draw(3, 0), draw(3, 1), draw(4, 2)
    rows = kid_rows({"more": more}, true, others, extractor.features, 0)
    assert rows[0]["kid"] > 4 * rows[0]["kid_error"] > 0


def test_few_images_are_refused(extractor):
    x = torch.rand(3, 3, 36, 36)
    with pytest.raises(ValueError, match="at least two rows"):
        kid_rows({"x": x}, x, x, extractor.features, 0)


def test_images_at_half_strength_are_mixed_of_those_that_are_not_compared_with():
    flat = lambda x: x.flatten(1)[:, :50]  # noqa: E731
    draw = lambda seed: torch.rand(40, 3, 8, 8, generator=torch.Generator().manual_seed(seed))  # noqa: E731
    true, others = draw(0), 0.2 * draw(1)
    mixed = {"mixed": (others + others.roll(1, 0)) / 2}
    rows = {r["row"]: r["kid"] for r in kid_rows(mixed, true, others, flat, 0)}
    assert rows["two images at half strength each"] == rows["mixed"]
