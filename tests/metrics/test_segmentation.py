"""Segmentations whose scores are known."""

import pytest
import torch

from ergosum.metrics.segmentation import (
    ari,
    as_masks,
    covering,
    foreground_ari,
    matched_iou,
    objects_shown,
    segment_labels,
    with_background,
)

METRICS = {
    "ari": ari,
    "foreground_ari": foreground_ari,
    "covering": covering,
    "covering, weighted": lambda p, m: covering(p, m, weighted=True),
    "matched_iou": matched_iou,
}
every_metric = pytest.mark.parametrize("name", METRICS)


@pytest.fixture(scope="module")
def scenes():
    """Labels of 40 scenes of 16 x 16 in blocks of 4: background and four objects, the last absent from every other."""
    generator = torch.Generator().manual_seed(0)
    blocks = torch.randint(5, (40, 4, 4), generator=generator)
    blocks[:, 0] = torch.tensor([0, 1, 2, 3])
    blocks[::2][blocks[::2] == 4] = 0
    return blocks.repeat_interleave(4, 1).repeat_interleave(4, 2)


@pytest.fixture(scope="module")
def masks(scenes):
    return as_masks(scenes, 5)


@every_metric
def test_true_masks_are_perfect_under_any_numbers(name, scenes, masks, rng):
    renamed = torch.tensor([7, 0, 3, 12, 5])[scenes]
    for given in (scenes, renamed, 1000 * renamed, masks, masks[:, [3, 1, 4, 0, 2]], 0.2 + 0.1 * masks):
        assert METRICS[name](given, masks).tolist() == pytest.approx([1.0] * 40)


@every_metric
def test_numbers_of_segments_do_not_matter(name, scenes, masks, rng):
    labels = torch.randint(6, scenes.shape, generator=rng)
    renamed = torch.tensor([4, 2, 0, 5, 1, 3])[labels]
    torch.testing.assert_close(METRICS[name](labels, masks), METRICS[name](renamed, masks))


@every_metric
def test_images_are_judged_one_by_one(name, scenes, masks, rng):
    labels = torch.randint(6, scenes.shape, generator=rng)
    alone = torch.cat([METRICS[name](labels[i : i + 1], masks[i : i + 1]) for i in range(5)])
    torch.testing.assert_close(METRICS[name](labels[:5], masks[:5]), alone)


@every_metric
def test_a_single_segment_is_worth_no_more_than_its_overlap(name, scenes, masks):
    area = torch.stack([(scenes == k).float().mean((1, 2)) for k in range(1, 5)], 1).double()
    shown = (area > 0).sum(1)
    known = {
        "ari": 0 * shown,
        "foreground_ari": 0 * shown,
        "covering": area.sum(1) / shown,
        "covering, weighted": area.square().sum(1) / area.sum(1),
        "matched_iou": area.amax(1) / shown,
    }[name]
    for single in (torch.zeros_like(scenes), torch.zeros(40, 3, 16, 16), torch.full((40, 3, 16, 16), 0.3)):
        torch.testing.assert_close(METRICS[name](single, masks), known.double())


@pytest.mark.parametrize("name", ["ari", "foreground_ari"])
def test_random_labels_score_zero_within_error(name, scenes, masks, rng):
    scores = METRICS[name](torch.randint(5, scenes.shape, generator=rng), masks)
    assert scores.mean().abs() < 4 * scores.std() / len(scores) ** 0.5


@pytest.mark.parametrize("name", ["covering", "matched_iou"])
def test_random_labels_cover_little(name, scenes, masks, rng):
    """Each of five random segments shares at most about a fifth of an object and spreads over everything else."""
    assert METRICS[name](torch.randint(5, scenes.shape, generator=rng), masks).mean() < 0.2


def test_the_rand_index_equals_that_of_scikit_learn(scenes, masks, rng):
    from sklearn.metrics import adjusted_rand_score

    soft = torch.rand(40, 7, 16, 16, generator=rng) + 0.5 * torch.nn.functional.pad(masks, (0, 0, 0, 0, 0, 2))
    known = [adjusted_rand_score(t.flatten(), p.flatten()) for t, p in zip(scenes, soft.argmax(1), strict=True)]
    assert ari(soft, masks).tolist() == pytest.approx(known, abs=1e-12)
    assert ari(soft, scenes).tolist() == pytest.approx(known, abs=1e-12)
    fore = [adjusted_rand_score(t[t > 0], p[t > 0]) for t, p in zip(scenes, soft.argmax(1), strict=True)]
    assert foreground_ari(soft, masks).tolist() == pytest.approx(fore, abs=1e-12)


def test_partitions_into_pixels_are_the_same_as_themselves_and_a_single_true_segment_is_refused():
    pixels = torch.arange(16).view(1, 4, 4)
    assert ari(pixels, pixels).item() == 1 and ari(0 * pixels, pixels).item() == 0
    with pytest.raises(ValueError, match="1 of 1 images show fewer than 2 true segments"):
        ari(0 * pixels, 0 * pixels)


def test_leaks_into_the_background_cost_overlap_but_not_the_foreground_index():
    scene = torch.tensor([1, 1, 0, 0, 0, 0, 2, 2]).expand(1, 8, 8)
    leaky = torch.tensor([1, 1, 1, 1, 0, 0, 2, 2]).expand(1, 8, 8)
    masks = as_masks(scene, 3)
    assert foreground_ari(leaky, masks).item() == 1 and ari(leaky, masks).item() < 0.7
    assert covering(leaky, masks).item() == matched_iou(leaky, masks).item() == pytest.approx(0.75)


def test_covering_weighs_by_area_and_lets_objects_share_a_segment():
    scene = torch.tensor([1, 2, 2, 2, 0, 0, 0, 0]).expand(1, 8, 8)
    joined = (scene > 0).long()
    masks = as_masks(scene, 3)
    assert covering(joined, masks).item() == pytest.approx((0.25 + 0.75) / 2)
    assert covering(joined, masks, weighted=True).item() == pytest.approx(0.25 * 0.25 + 0.75 * 0.75)
    assert matched_iou(joined, masks).item() == pytest.approx(0.75 / 2)


def test_the_largest_soft_mask_wins_and_the_first_of_equals():
    soft = torch.tensor([[0.2, 0.5, 0.3], [0.4, 0.4, 0.2], [0.1, 0.1, 0.8]]).T[None, :, :, None]
    assert segment_labels(soft).flatten().tolist() == [1, 0, 2]
    assert segment_labels(soft > 0.3).flatten().tolist() == [1, 0, 2]


def test_images_with_too_few_objects_are_refused_and_can_be_told(masks):
    lone = masks[:2].clone()
    lone[0, 0] |= lone[0, 2:].any(0)
    lone[0, 2:] = False
    assert objects_shown(lone).tolist() == [1, 4]
    covering(masks[:2], lone)
    with pytest.raises(ValueError, match=r"1 of 2 images show fewer than 2 objects.*objects_shown"):
        foreground_ari(masks[:2], lone)
    empty = as_masks(torch.zeros(1, 16, 16, dtype=torch.long), 3)
    assert objects_shown(empty).tolist() == [0]
    for metric in (covering, matched_iou):
        with pytest.raises(ValueError, match="fewer than 1 objects"):
            metric(empty, empty)


@every_metric
def test_wrong_segments_are_refused(name, scenes, masks):
    metric = METRICS[name]
    for wrong, told in [
        (scenes.float(), "expected whole labels"),
        (scenes[0], "expected whole labels"),
        (scenes - 1, "negative"),
        (torch.full((40, 3, 16, 16), torch.nan), "finite"),
        (scenes[:, :8], "one size"),
        (scenes[:3], "one size"),
    ]:
        with pytest.raises(ValueError, match=told):
            metric(wrong, masks)


@pytest.mark.parametrize("metric", [ari, foreground_ari, covering, matched_iou, lambda p, m: objects_shown(m)])
def test_true_masks_must_be_a_partition(metric, scenes, masks):
    assert torch.equal(metric(scenes, masks.float()), metric(scenes, masks))
    with pytest.raises(ValueError, match="exactly one true mask"):
        metric(scenes, 0.9 * masks)
    with pytest.raises(ValueError, match=r"exactly one true mask.*with_background"):
        metric(scenes, masks[:, :-1])
    with pytest.raises(ValueError, match="exactly one true mask"):
        metric(scenes, torch.cat([masks, masks[:, 1:2]], 1))


@every_metric
def test_true_labels_say_the_same_as_true_masks(name, scenes, masks, rng):
    labels = torch.randint(6, scenes.shape, generator=rng)
    for true in (scenes, 1000 * scenes, scenes.to(torch.uint8).numpy(), masks.numpy(), masks.int()):
        assert torch.equal(METRICS[name](labels, true), METRICS[name](labels, masks))
    assert torch.equal(objects_shown(700 * scenes), objects_shown(masks))


def test_large_labels_without_a_background_have_none():
    """The smallest label of a true segmentation is not the background unless it is 0."""
    scene = torch.tensor([300, 300, 500, 500]).expand(1, 4, 4)
    assert objects_shown(scene).tolist() == [2] and covering(scene, scene).item() == 1
    assert foreground_ari(0 * scene, scene).item() == 0


def test_labels_become_masks_and_come_back(scenes, rng):
    masks = as_masks(scenes)
    assert masks.dtype == torch.bool and masks.shape == (40, 5, 16, 16) and (masks.sum(1) == 1).all()
    assert torch.equal(segment_labels(masks), scenes)
    assert as_masks(scenes, 7).shape[1] == 7 and as_masks(torch.rand(2, 9, 4, 4, generator=rng)).shape[1] == 9
    with pytest.raises(ValueError, match="asks for 5 masks, got count=4"):
        as_masks(scenes, 4)


def test_a_background_is_what_no_object_covers(masks):
    assert torch.equal(with_background(masks[:, 1:]), masks)
    assert torch.equal(with_background(masks[:, 1:].to(torch.uint8).numpy()), masks)
    with pytest.raises(ValueError, match="in two objects"):
        with_background(masks[:, [1, 1]])
    with pytest.raises(ValueError, match="of 0 and 1"):
        with_background(0.5 * masks)
