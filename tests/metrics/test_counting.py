"""Counting objects in masks, labels and images."""

import pytest
import torch

from ergosum.metrics.counting import connected_count, count_accuracy, object_count

SCENE = torch.tensor(
    [[0, 0, 0, 0, 0, 0], [0, 1, 1, 0, 2, 0], [0, 1, 1, 0, 2, 0], [0, 0, 0, 0, 0, 0], [0, 3, 0, 0, 0, 1]]
)
SCENES = torch.stack([SCENE, SCENE * (SCENE == 1), torch.zeros_like(SCENE)])


def masks(labels):
    return torch.nn.functional.one_hot(labels).movedim(-1, 1).bool()


def test_segments_other_than_the_background_are_counted():
    assert object_count(SCENES).tolist() == [3, 1, 0]
    assert object_count(masks(SCENES), background=0).tolist() == [3, 1, 0]
    assert object_count(SCENES, minimum=2).tolist() == [2, 1, 0]


def test_the_background_is_the_largest_segment_unless_it_is_told():
    swapped = torch.tensor([2, 0, 1, 3])[SCENES]
    assert object_count(swapped).tolist() == [3, 1, 0]
    crowded = torch.tensor([[[0, 1, 1, 1]]])
    assert object_count(crowded, minimum=2).tolist() == [0] and object_count(crowded, 2, background=0).tolist() == [1]
    assert object_count(crowded, background=5).tolist() == [2]


def test_connected_patches_are_counted_within_each_image_over_edges_and_corners():
    assert connected_count(SCENES > 0).tolist() == [4, 2, 0]
    assert connected_count(SCENES > 0, minimum=2).tolist() == [2, 1, 0]
    diagonal = torch.eye(4, dtype=torch.bool)[None]
    assert connected_count(diagonal).tolist() == [1] and connected_count(diagonal, 5).tolist() == [0]
    assert connected_count(torch.ones(2, 3, 3, dtype=torch.bool)).tolist() == [1, 1]


def test_blank_images_count_nothing_and_score_nothing():
    blank = torch.zeros(3, 6, 6, dtype=torch.long)
    assert object_count(blank).tolist() == connected_count(blank > 0).tolist() == [0, 0, 0]
    assert count_accuracy(object_count(blank), torch.tensor([3, 2, 1])) == 0


def test_accuracy_is_the_share_of_right_counts():
    assert count_accuracy(torch.tensor([3, 1, 0, 2]), torch.tensor([3, 1, 2, 2])) == 0.75


def test_wrong_shapes_are_refused():
    with pytest.raises(ValueError, match="object_count: expected whole labels"):
        object_count(SCENES.float())
    with pytest.raises(ValueError, match="connected_count: expected Boolean"):
        connected_count(SCENES)
    with pytest.raises(ValueError, match="count_accuracy: expected"):
        count_accuracy(torch.tensor([1, 2]), torch.tensor([1]))
