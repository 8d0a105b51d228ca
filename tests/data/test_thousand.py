"""The thousand digits of MNIST that ship: whose they are, and that they can be made again."""

import numpy as np
import torch

from ergosum.data import Glyphs, LabelledImages
from ergosum.data.sources import THOUSAND, at_hand, load_digits
from ergosum.data.thousand import choose, write


def test_they_are_a_hundred_of_each_class_and_twenty_are_held_out(no_mnist):
    train, test = load_digits("mnist-1000", "train"), load_digits("mnist-1000", "test")
    assert train.images.shape == (800, 1, 28, 28) and test.images.shape == (200, 1, 28, 28)
    assert train.labels.bincount().tolist() == [80] * 10 and test.labels.bincount().tolist() == [20] * 10
    assert train.images.dtype == torch.float32 and train.images.max() == 1 and at_hand("mnist-1000")
    seen = {image.numpy().tobytes() for image in torch.cat([train.images, test.images])}
    assert len(seen) == 1000
    assert len(Glyphs("mnist-1000")) == 800 and LabelledImages("mnist-1000").names[3] == "three"
    assert THOUSAND.stat().st_size < 200_000 and "Share Alike 3.0" in (THOUSAND.parent / "LICENCE.md").read_text()


def test_the_file_is_what_its_script_makes_to_the_bit(mnist, tmp_path):
    write(tmp_path / "again.npz", choose())
    again, held = np.load(tmp_path / "again.npz"), np.load(THOUSAND)
    assert set(again) == set(held) and all(np.array_equal(again[k], held[k]) for k in held)
    digits = load_digits("mnist", "train")
    rows = torch.from_numpy(held["rows"]).long()
    assert torch.equal((255 * digits.images[rows, 0]).round().byte(), torch.from_numpy(held["images"]))
    assert torch.equal(digits.labels[rows].byte(), torch.from_numpy(held["labels"])) and len(rows.unique()) == 1000
