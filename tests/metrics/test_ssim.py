"""Structural similarity in closed form and against scikit-image."""

import pytest
import torch

from ergosum.metrics.ssim import ssim


def wave(pace, shift=0.0, side=24):
    row = torch.arange(side, dtype=torch.float64)
    return 0.5 + 0.5 * torch.sin(pace * row[:, None] + 0.7 * pace * row + shift)


TRUE = torch.stack([wave(0.5), wave(0.9), wave(0.2)])[None]
PREDICTED = torch.stack([wave(0.5, 0.3), 0.6 * wave(0.9), torch.zeros(24, 24, dtype=torch.float64)])[None]
TOLD = [0.9328105163765286, 0.7791670415004882, 0.0034133131980225127]
"""scikit-image 0.26.0: structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
data_range=1)."""


def test_numbers_equal_those_of_scikit_image():
    alone = [ssim(PREDICTED[:, [c]], TRUE[:, [c]]).item() for c in range(3)]
    assert alone == pytest.approx(TOLD, abs=1e-12)
    assert ssim(PREDICTED, TRUE).item() == pytest.approx(sum(TOLD) / 3, abs=1e-12)


def test_numbers_equal_those_of_the_installed_scikit_image(rng):
    metrics = pytest.importorskip("skimage.metrics")
    x, y = torch.rand(2, 3, 2, 17, 30, generator=rng, dtype=torch.float64)
    told = [
        metrics.structural_similarity(a.numpy(), b.numpy(), channel_axis=0, gaussian_weights=True, sigma=1.5,
                                      use_sample_covariance=False, data_range=1.0)
        for a, b in zip(x, y, strict=True)
    ]  # fmt: skip
    assert ssim(x, y).tolist() == pytest.approx(told, abs=1e-12)


def test_identical_is_one_and_order_does_not_matter(rng):
    x, y = torch.rand(2, 4, 3, 16, 16, generator=rng)
    assert ssim(x, x).tolist() == pytest.approx([1.0] * 4)
    torch.testing.assert_close(ssim(x, y), ssim(y, x))


def test_constant_images_differ_by_brightness_alone():
    dark, light = (torch.full((1, 1, 12, 12), v) for v in (0.2, 0.6))
    known = (2 * 0.2 * 0.6 + 1e-4) / (0.2**2 + 0.6**2 + 1e-4)
    assert ssim(dark, light).item() == pytest.approx(known, rel=1e-5)
    assert ssim(255 * dark, 255 * light, peak=255.0).item() == pytest.approx(known, rel=1e-5)


def test_a_blank_or_an_inverted_texture_is_not_rewarded():
    assert ssim(torch.zeros_like(TRUE), TRUE).item() < 0.05
    assert ssim(1 - TRUE, TRUE).item() < 0


def test_wrong_shapes_are_refused():
    for a, b in [((1, 3, 16, 16), (1, 1, 16, 16)), ((3, 16, 16), (3, 16, 16)), ((1, 3, 10, 16), (1, 3, 10, 16))]:
        with pytest.raises(ValueError, match=r"ssim: expected (two equal|sides of 11)"):
            ssim(torch.zeros(a), torch.zeros(b))


def test_intensities_outside_of_the_range_are_refused():
    with pytest.raises(ValueError, match=r"true intensities in \[0, 1\], got \[0, 255\].*`peak`"):
        ssim(TRUE, 255 * TRUE.round())
    with pytest.raises(TypeError, match=r"ssim: `predicted` must hold floating-point intensities.*255"):
        ssim(TRUE.to(torch.uint8), TRUE)
