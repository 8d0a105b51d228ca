"""What every dataset of images obeys: one row in `dataset_cases.py` puts a dataset before these laws."""

import numpy as np
import pytest
import torch
from dataset_cases import DATASETS
from PIL import Image
from torch import Generator

from ergosum.data.contract import check_images
from ergosum.data.dataset import _block, store
from ergosum.part import parameters
from ergosum.report.sheets import images

N = 12


def rng(seed=0):
    return Generator().manual_seed(seed)


def same(a, b):
    return all(torch.equal(x.nan_to_num(9), y.nan_to_num(9)) for x, y in zip(a, b, strict=True))


@pytest.fixture(scope="session")
def folder(tmp_path_factory):
    """Thirty images of noise, no two alike."""
    made = tmp_path_factory.mktemp("images")
    for k in range(30):
        pixels = np.random.default_rng(k).integers(0, 256, (12, 10, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(made / f"{k:02d}.png")
    return made


@pytest.fixture(params=DATASETS)
def row(request):
    return DATASETS[request.param]


@pytest.fixture
def part(row, folder):
    return row.make(folder)


@pytest.fixture
def data(part):
    return part.build()


def test_a_record_has_the_stated_shapes_and_images_are_floats_in_range(data):
    check_images(data)
    drawn = data.draw(N, rng())
    assert drawn.images.shape == (N, 3, data.side, data.side) and drawn.images.dtype == torch.float32
    assert drawn.images.min() >= 0 and drawn.images.max() <= 1 and drawn.images.amax() > drawn.images.amin()
    assert drawn.factors.shape == (N, len(data.factors)) and drawn.factors.isfinite().all()
    assert drawn.masks.shape == (N, 1 + data.objects, data.side, data.side) and drawn.masks.dtype == torch.bool
    assert drawn.attributes.shape == (N, data.objects, len(data.attributes))


def test_every_pixel_has_one_owner_and_an_absent_object_has_neither_pixel_nor_attribute(data):
    drawn = data.draw(N, rng())
    assert (drawn.masks.sum(1) == 1).all()
    absent = drawn.attributes.isnan()
    assert torch.equal(absent.any(2), absent.all(2)) or not data.attributes
    assert not drawn.masks[:, 1:][absent.any(2)].any()


def test_the_same_generator_draws_the_same_bits_and_the_global_one_is_left_alone(data):
    before = torch.random.get_rng_state()
    a, b, c = (data.draw(N, rng(seed)) for seed in (3, 3, 4))
    assert same(a, b) and not torch.equal(a.images, c.images)
    assert torch.equal(before, torch.random.get_rng_state())


def test_an_image_does_not_depend_on_its_batch_mates(row, data):
    drawn = data.draw(N, rng())
    if row.alone is not None:
        assert all(same(row.alone(data, drawn, i), (v[i : i + 1] for v in drawn)) for i in range(N))
    if hasattr(data, "at"):
        together = data.at([2, 0, 1])
        assert all(same(data.at([i]), (v[k : k + 1] for v in together)) for k, i in enumerate([2, 0, 1]))


def test_a_held_out_part_holds_no_image_of_the_other(part):
    if "split" not in parameters(part.cls):
        pytest.skip("drawn from generators: held-out images have seeds of their own")
    train, test = ({image.numpy().tobytes() for image in part.build(split=split).draw(40, rng(k)).images}
                   for k, split in enumerate(("train", "test")))  # fmt: skip
    assert len(train) > 1 and len(test) > 1 and not train & test


def test_what_cannot_be_drawn_is_refused(row, part, data):
    for n in (0, -1):
        with pytest.raises(ValueError, match="n >= 1"):
            data.draw(n, rng())
    for wrong in row.wrong:
        with pytest.raises(ValueError, match=next(iter(wrong))):
            part.but(**wrong).build()


def test_what_is_stored_is_read_back(data, tmp_path):
    kept, true = store(data, N, seed=5, folder=tmp_path), _block(data, 0, 5, "cpu")
    true = type(true)(*(v[:N] for v in true))
    back = kept.batch(range(N))
    assert same(back[1:], true[1:]) and (back.images - true.images).abs().max() <= 0.5 / 255 + 1e-6
    assert (kept.side, kept.objects, kept.factors, kept.attributes) == (
        data.side, data.objects, tuple(data.factors), tuple(data.attributes)
    )  # fmt: skip
    assert same(back, store(data, N, seed=5, folder=tmp_path).batch(range(N)))


def test_its_sheet_needs_nothing_of_its_own(part):
    sheet = np.asarray(images(part))
    assert min(sheet.shape[:2]) > 700 and not np.array_equal(sheet, np.asarray(images(part, seed=1)))
