"""Copies are told from new images."""

import pytest
import torch

from ergosum.metrics.nearest import Copies, copies, nearest


def test_distances_are_those_of_all_pairs(rng):
    samples, images = torch.rand(300, 1, 5, 5, generator=rng), torch.rand(70, 1, 5, 5, generator=rng)
    pairs = torch.cdist(samples.flatten(1).double(), images.flatten(1).double()) / 5
    distance, index = nearest(samples, images)
    torch.testing.assert_close(distance.double(), pairs.min(1).values, atol=1e-6, rtol=0)
    assert (index == pairs.argmin(1)).all()


def test_a_copy_is_at_no_distance_however_bright_it_is(rng):
    images = 100 + torch.rand(50, 784, generator=rng)
    assert nearest(images[:5], images)[0].tolist() == [0] * 5
    alike = 100 + 1e-3 * torch.rand(50, 784, generator=rng)  # of squares in float32 nothing is left to tell them by
    assert nearest(alike[:1], torch.cat([alike[:1], alike[:3] + 1]))[0].tolist() == [0]


def test_copies_are_told_and_new_images_are_not(rng):
    draw = lambda n: torch.randn(n, 20, generator=rng, dtype=torch.float64)  # noqa: E731
    training, held_out = draw(400), draw(1000)
    made = copies(training[:100] + 0.01 * draw(100), training, held_out)
    assert isinstance(made, Copies) and made.share == 1 and made.distance < 0.02 < 0.5 < made.reference
    new = copies(draw(1000), training, held_out)
    # of two samples of one law: 4 standard errors of a share of .01, each from 1,000
    assert new.share == pytest.approx(0.01, abs=4 * (2 * 0.01 * 0.99 / 1000) ** 0.5)
    assert new.distance == pytest.approx(new.reference, rel=0.05)


def test_images_of_another_shape_and_held_out_images_that_were_trained_on_are_refused(rng):
    x = torch.rand(4, 9, generator=rng)
    with pytest.raises(ValueError, match=r"expected \(n, \*event\) and \(m, \*event\), got \(4, 9\) and \(4, 8\)"):
        nearest(x, x[:, :8])
    with pytest.raises(ValueError, match="keep them apart"):
        copies(x, x, x)
