"""Each metric of images, segments, features and components against scikit-learn, SciPy or NumPy on lopsided samples:
small and large objects, dim and bright images of unequal sides, components of unequal units, rare classes."""

import colorsys
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import ndimage, stats
from scipy.spatial import distance
from sklearn.metrics import accuracy_score, adjusted_rand_score, jaccard_score, mean_squared_error
from sklearn.metrics.pairwise import polynomial_kernel

from ergosum.metrics import (
    accuracy,
    ari,
    circular_difference,
    connected_count,
    count_accuracy,
    covering,
    diagonal_share,
    equivariance_error,
    factor_errors,
    foreground_ari,
    gradient_energy,
    identity_kept,
    kid,
    levels_moved,
    matched_iou,
    mse,
    object_count,
    objects_shown,
    psnr,
    read_factors,
    sharpness,
    skill,
    squared_mmd,
    ssim,
    swap_consistency,
)

RANDOM = np.random.default_rng(0)
SCALE = np.array([0.1, 1.0, 0.4, 0.7])[:, None, None, None]
"""Intensities of each image, unequal."""
TRUE = SCALE * ndimage.gaussian_filter(RANDOM.random((4, 3, 17, 26)), (0, 0, 1, 1))
PREDICTED = TRUE + SCALE**2 * RANDOM.normal(size=TRUE.shape) / 10


def scenes():
    """A large background, one large object and three small ones, the last absent from some; segments that leak."""
    true = np.zeros((6, 18, 24), int)
    for scene, n in zip(true, range(6), strict=True):
        scene[2:13, 3 + n : 14 + n] = 1
        scene[14:16, 1:4], scene[15, 10:20] = 2, 3
        scene[0, : n // 2 * 3] = 4
    moved = np.roll(true, (1, 2), (1, 2))
    found = np.where(RANDOM.random(true.shape) < 0.15, RANDOM.integers(0, 7, true.shape), (moved + 3) % 5)
    return true, found


SCENES, FOUND = scenes()


def overlaps(true, found):
    """Intersection over union of every object shown with every segment."""
    return np.array(
        [[jaccard_score(true.ravel() == k, found.ravel() == s) for s in np.unique(found)]
         for k in np.unique(true[true > 0])]
    )  # fmt: skip


def test_rand_indices_equal_those_of_scikit_learn():
    both = [adjusted_rand_score(t.ravel(), f.ravel()) for t, f in zip(SCENES, FOUND, strict=True)]
    assert ari(FOUND, SCENES).tolist() == pytest.approx(both, abs=1e-12)
    fore = [adjusted_rand_score(t[t > 0], f[t > 0]) for t, f in zip(SCENES, FOUND, strict=True)]
    assert foreground_ari(FOUND, SCENES).tolist() == pytest.approx(fore, abs=1e-12)


def test_covering_and_matched_overlap_equal_those_of_jaccard_scores():
    tables = [overlaps(t, f) for t, f in zip(SCENES, FOUND, strict=True)]
    areas = [np.unique(t[t > 0], return_counts=True)[1] for t in SCENES]
    assert covering(FOUND, SCENES).tolist() == pytest.approx([t.max(1).mean() for t in tables])
    weighted = [np.average(t.max(1), weights=a) for t, a in zip(tables, areas, strict=True)]
    assert covering(FOUND, SCENES, weighted=True).tolist() == pytest.approx(weighted)
    matched = [
        max(t[range(len(t)), list(chosen)].mean() for chosen in permutations(range(t.shape[1]), len(t))) for t in tables
    ]
    assert matched_iou(FOUND, SCENES).tolist() == pytest.approx(matched)
    assert objects_shown(SCENES).tolist() == [len(t) for t in tables]


@pytest.mark.parametrize("minimum", [1, 7, 40])
def test_counts_equal_those_of_numpy_and_of_labelled_patches(minimum):
    sizes = [np.unique(f, return_counts=True)[1] for f in FOUND]
    assert object_count(FOUND, minimum).tolist() == [(np.sort(s)[:-1] >= minimum).sum() for s in sizes]
    kept = [(f[f != 2], f.shape) for f in FOUND]
    known = [(np.unique(f, return_counts=True)[1] >= minimum).sum() for f, _ in kept]
    assert object_count(FOUND, minimum, background=2).tolist() == known
    patches = [ndimage.label(t > 0, np.ones((3, 3)))[0] for t in SCENES]
    counted = [(np.bincount(p.ravel())[1:] >= minimum).sum() for p in patches]
    assert connected_count(SCENES > 0, minimum).tolist() == counted
    told, true = RANDOM.poisson(2, (2, 80))  # too many and too few
    assert count_accuracy(told, true) == pytest.approx(accuracy_score(true, told))


def test_pixel_errors_equal_those_of_scikit_learn():
    errors = [mean_squared_error(t.ravel(), p.ravel()) for t, p in zip(TRUE, PREDICTED, strict=True)]
    assert mse(PREDICTED, TRUE).tolist() == pytest.approx(errors)
    decibels = [20 * np.log10(255 / np.sqrt(mean_squared_error(255 * t.ravel(), 255 * p.ravel())))
                for t, p in zip(TRUE, PREDICTED, strict=True)]  # fmt: skip
    assert psnr(mse(PREDICTED, TRUE)).tolist() == pytest.approx(decibels)
    assert psnr(mse(255 * PREDICTED, 255 * TRUE), peak=255).tolist() == pytest.approx(decibels)
    assert skill(errors[1], errors[3]) == pytest.approx((errors[3] - errors[1]) / errors[3])


def test_equivariance_error_equals_the_city_block_distance_of_later_frames():
    true, made = (x.reshape(1, 4, *x.shape[1:]) for x in (TRUE, PREDICTED))
    known = distance.cityblock(true[0, 1:].ravel(), made[0, 1:].ravel())
    assert equivariance_error(made, true).tolist() == pytest.approx([known])


def test_sharpness_equals_squared_differences_of_numpy():
    def energy(images):
        return np.mean(np.diff(images, axis=3) ** 2, (1, 2, 3)) + np.mean(np.diff(images, axis=2) ** 2, (1, 2, 3))

    assert gradient_energy(TRUE).tolist() == pytest.approx(energy(TRUE).tolist())
    assert sharpness(PREDICTED, TRUE) == pytest.approx(energy(PREDICTED).mean() / energy(TRUE).mean())


@pytest.mark.parametrize("peak", [1.0, 3.0])
def test_similarity_equals_that_of_gaussian_windows_of_scipy(peak):
    def local(values):
        whole = ndimage.gaussian_filter(values, (0, 0, 1.5, 1.5), truncate=5 / 1.5)
        return whole[:, :, 5:-5, 5:-5]

    x, y, c1, c2 = PREDICTED, TRUE, (0.01 * peak) ** 2, (0.03 * peak) ** 2
    mx, my = local(x), local(y)
    vx, vy, cov = local(x * x) - mx**2, local(y * y) - my**2, local(x * y) - mx * my
    known = (2 * mx * my + c1) * (2 * cov + c2) / ((mx**2 + my**2 + c1) * (vx + vy + c2))
    assert ssim(x, y, peak).tolist() == pytest.approx(known.mean((1, 2, 3)).tolist(), abs=1e-9)


def test_accuracy_and_kept_identity_equal_those_of_scikit_learn_on_rare_classes():
    labels = RANDOM.choice(4, 300, p=[0.7, 0.2, 0.08, 0.02])
    logits = [np.eye(4)[labels] + s * RANDOM.normal(size=(300, 4)) for s in (0.3, 1.0)]
    known = [accuracy_score(labels, x.argmax(1)) for x in logits]
    assert accuracy(torch.nn.Identity(), logits[1], labels) == pytest.approx(known[1])
    assert identity_kept(torch.nn.Identity(), logits[1], logits[0], labels) == pytest.approx(known[1] / known[0])


def test_circles_and_levels_equal_angles_of_complex_numbers():
    a, b = RANDOM.uniform(-9, 9, (2, 50))
    known = np.angle(np.exp(2j * np.pi * (a - b) / 5)) * 5 / (2 * np.pi)
    np.testing.assert_allclose(circular_difference(a, b, 5.0).numpy(), known, atol=1e-12)
    before, after = RANDOM.uniform(0.5, 300, (2, 40, 3))
    hue = np.angle(np.exp(1j * (after - before)[:, 0]))
    angle = np.rad2deg(np.angle(np.exp(1j * np.deg2rad(after - before)[:, 1])))
    levels = np.stack([hue / 0.3, angle / 20, (after - before)[:, 2] / -0.1], 1)
    np.testing.assert_allclose(levels_moved(before, after, np.array([0.3, 20, -0.1])).numpy(), levels, atol=1e-9)
    wrong = np.abs(np.stack([np.rad2deg(hue), angle, np.log(after / before)[:, 2]], 1))
    np.testing.assert_allclose(factor_errors(after, before).numpy(), wrong, atol=1e-9)


def test_hue_equals_that_of_the_colour_model_of_python():
    colours = RANDOM.random((12, 3)) * [1.0, 0.5, 0.9]
    frames = np.ones((12, 3, 6, 6)) * colours[:, :, None, None]
    read = read_factors(frames, np.ones((12, 1, 6, 6)), lambda d, f: d.expand(-1, 3, -1, -1)).factors[:, 0]
    np.testing.assert_allclose(read.numpy() / (2 * np.pi), [colorsys.rgb_to_hsv(*c)[0] for c in colours], atol=1e-6)


def test_the_diagonal_share_equals_that_of_rows_that_are_divided_by_their_own_sums():
    response = RANDOM.normal(size=(5, 5)) * np.array([[100.0], [1], [0.1], [5], [20]])
    rows = np.abs(response) / np.abs(response).sum(1, keepdims=True)
    assert diagonal_share(response) == pytest.approx(np.trace(rows) / 5)


def test_the_kernel_distance_equals_that_of_scikit_learn_and_its_error_that_of_scipy():
    x, y = RANDOM.normal(size=(90, 5)) * [0.1, 1, 2, 0.5, 1], RANDOM.gamma(2.0, size=(71, 5)) - 1

    def distance(a, b):
        xx, yy, xy = (polynomial_kernel(p, q, degree=3, gamma=1 / 5, coef0=1) for p, q in ((a, a), (b, b), (a, b)))
        m, n = len(a), len(b)
        apart = xx[~np.eye(m, dtype=bool)].sum() / (m * (m - 1)) + yy[~np.eye(n, dtype=bool)].sum() / (n * (n - 1))
        return apart - 2 * xy.mean()

    assert squared_mmd(x, y).item() == pytest.approx(distance(x, y))
    generator = torch.Generator().manual_seed(1)
    orders = [torch.randperm(len(rows), generator=generator).numpy() for rows in (x, y)]
    cut = [np.array_split(rows[order], 7) for rows, order in zip((x, y), orders, strict=True)]
    values = [distance(a, b) for a, b in zip(*cut, strict=True)]
    told = kid(x, y, torch.Generator().manual_seed(1), parts=7)
    assert told.mean == pytest.approx(np.mean(values)) and told.error == pytest.approx(stats.sem(values))


def test_swap_consistency_equals_its_formula_with_components_of_unequal_units():
    unit = np.array([1.0, 30.0, 0.02, 4.0])[:, None]
    own, donor = RANDOM.normal(size=(2, 60, 4, 3)) * unit
    swapped = RANDOM.random((60, 4)) < [0.5, 0.2, 0.7, 0.1]
    swapped[:, 1] &= ~swapped.all(1)
    again = np.where(swapped[:, :, None], 0.7 * donor + 0.3 * own, own) + 0.1 * unit * RANDOM.normal(size=own.shape)
    moved = missed = apart = total = 0.0
    for k in range(4):
        scale = np.mean([distance.sqeuclidean(a, b) for a, b in zip(own[:, k], donor[:, k], strict=True)])
        for n in range(60):
            step = distance.sqeuclidean(again[n, k], own[n, k]) / scale
            total += step
            if swapped[n, k]:
                moved += step
                missed += distance.sqeuclidean(again[n, k], donor[n, k]) / scale
                apart += distance.sqeuclidean(own[n, k], donor[n, k]) / scale
    told = swap_consistency(own, donor, again, swapped)
    known = moved / total, 1 - np.sqrt(missed / apart)
    assert (told.share, told.arrival) == pytest.approx(known) and told.consistency == pytest.approx(known[0] * known[1])
