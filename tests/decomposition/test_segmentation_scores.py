"""Which images are put together, and which components are exchanged, when decompositions are scored."""

import pytest
import torch

from ergosum import zoo
from ergosum.data.named import dataset
from ergosum.decomposition.composites import all_matched, compatible, composite_scores
from ergosum.decomposition.recipes import recipes
from ergosum.decomposition.scores import tables
from ergosum.decomposition.segmentation import _unobtrusive, decomposition_scores
from ergosum.training.runfolder import load_predictor


def _square(x, y, size=2, side=8):
    mask = torch.zeros(side, side, dtype=torch.bool)
    mask[y : y + size, x : x + size] = True
    return mask


def test_images_are_put_together_if_no_object_hides_more_than_a_fifth_of_another():
    left = torch.stack([_square(0, 0), _square(0, 4)])
    right = torch.stack([_square(5, 0), _square(5, 4)])
    over = torch.stack([_square(1, 0), _square(5, 5)])  # hides halves of both
    objects = torch.stack([left, right, over])
    one, two = compatible(objects, 10, torch.Generator().manual_seed(0))
    assert sorted(zip(one.tolist(), two.tolist(), strict=True)) == [(0, 1)]


def test_at_most_as_many_pairs_as_asked_for():
    apart = torch.stack([_square(x, 0, 1)[None] for x in range(6)])
    one, two = compatible(apart, 7, torch.Generator().manual_seed(0))
    assert len(one) == 7 and len(set(zip(one.tolist(), two.tolist(), strict=True))) == 7 and (one < two).all()


def test_a_donor_is_not_the_image_itself_hides_least_and_has_something_to_give():
    ground = torch.ones(8, 8, dtype=torch.bool)
    rows = [
        (_square(0, 0), _square(4, 0)),
        (_square(4, 4), _square(0, 0)),  # its second would cover the first one's first
        (_square(4, 4), _square(4, 6, 2)),
        (_square(2, 4), torch.zeros(8, 8, dtype=torch.bool)),  # an empty second hides nothing, but gives nothing
    ]
    hard = torch.stack([torch.stack([ground, a, b]).flatten(1) for a, b in rows]).float()
    assert _unobtrusive(hard, 2, globals=1)[0] == 2


def test_a_trained_card_swaps_counts_and_looks_true_and_random_weights_do_not():
    experiment, card = load_predictor("tetrominoes")
    task, features = experiment.built(), zoo.Zoo().classifier("features").features
    torch.manual_seed(0)
    models = {"card": card, "random": task.build()}
    told = {k: decomposition_scores(task, m, 24, 0, features) for k, m in models.items()}
    assert told["card"]["count_accuracy"] >= 0.8 > 0.5 > told["random"]["count_accuracy"]
    assert told["card"]["count_matched"] >= 0.6 and told["random"]["count_matched"] == 0
    assert told["card"]["swap_consistency"] > 0.4 and told["card"]["swap_arrival"] > 0.7
    assert told["card"]["kid"] < 2 and told["card"]["kid_recombined"] < 3
    assert told["random"]["kid"] > 5 and told["random"]["kid_recombined"] > 5


def test_an_encoder_that_says_the_same_of_every_image_has_nothing_to_swap():
    small = {"encoder": {"width": 4}, "energy": {"width": 4}}
    task = recipes()["comet-tetrominoes-small"]().but(task={"model": small}).built()
    torch.manual_seed(0)
    model = task.build()
    torch.nn.init.zeros_(model.encoder.head.weight)
    told = decomposition_scores(task, model, 8, 0)
    assert told["swap_share"] == told["swap_arrival"] == told["swap_consistency"] == 0


def test_a_small_object_behind_a_large_one_is_hidden_whichever_comes_first():
    small, large = _square(2, 2, 1)[None], _square(0, 0, 6)[None]
    for objects in (torch.stack([small, large]), torch.stack([large, small])):
        assert not len(compatible(objects, 10, torch.Generator().manual_seed(0))[0])


def test_random_weights_may_count_well_and_match_no_object_and_the_score_says_so():
    experiment, card = load_predictor("tetrominoes")
    before = torch.random.get_rng_state()
    told = composite_scores(experiment.built(), card, 24, torch.Generator().manual_seed(0))
    assert torch.equal(before, torch.random.get_rng_state())
    ours, *untrained = told["composite_rows"]
    assert (ours["count_accuracy"], ours["count_matched"]) == (told["count_accuracy"], told["count_matched"])
    assert [row["row"] for row in untrained] == [f"random weights, seed {k}" for k in range(3)]
    assert max(row["count_accuracy"] for row in untrained) > 0.8 and all(not row["count_matched"] for row in untrained)
    assert told["count_random"] == sum(row["count_accuracy"] for row in untrained) / 3 and told["matched_random"] == 0


def test_composites_of_two_datasets_are_counted_by_the_objects_that_each_has():
    experiment, card = load_predictor("tetrominoes")
    mixed = experiment.but(task={"data": dataset("tetrominoes+digits", 36, 3)}).built()
    told = composite_scores(mixed, card, 24, torch.Generator().manual_seed(0))
    rows = told["composite_by_objects"]
    assert [row["objects"] for row in rows] == [4, 6], "two digits hide each other, a digit and three pieces need not"
    assert sum(row["composites"] for row in rows) == told["composites"]
    for key in ("count_accuracy", "count_matched"):
        whole = sum(row["composites"] * row[key] for row in rows) / told["composites"]
        assert told[key] == pytest.approx(whole)
    assert rows[1]["count_accuracy"] > 0.8, "pieces alone, as the card knows them"
    named = [table for table in tables(told) if "by their number" in table.title]
    assert [table.rows for table in named] == [rows]
    alone = composite_scores(experiment.built(), card, 24, torch.Generator().manual_seed(0))
    assert alone["composite_by_objects"] == []


def test_an_object_is_matched_by_a_segment_of_its_own_that_covers_more_than_half():
    ground, a, b = torch.zeros(8, 8, dtype=torch.bool), _square(0, 0, 4), _square(4, 4, 4)
    objects = torch.stack([a, b])[None]
    segments = torch.stack([~(a | b), a, b])[None].float()
    assert all_matched(segments, objects).tolist() == [True]
    assert all_matched(segments[:, [2, 0, 1]], objects).tolist() == [True], "in any order"
    both = torch.stack([~(a | b), a | b, ground])[None].float()
    assert all_matched(both, objects).tolist() == [False], "one segment for two objects"
    half = a & (torch.arange(8) < 2)  # 8 of 16 pixels are no more than half
    assert all_matched(torch.stack([~(half | b), half, b])[None].float(), objects).tolist() == [False]
    most = a & (torch.arange(8)[:, None] > 0)  # 12 of 16
    assert all_matched(torch.stack([~(most | b), most, b])[None].float(), objects).tolist() == [True]
    twice = torch.stack([a, a])[None]  # the same place twice asks for two segments
    assert all_matched(segments, twice).tolist() == [False]
    assert all_matched(segments, torch.stack([a, ground])[None]).tolist() == [True], "what is not there asks for none"


def test_units_that_hardly_differ_are_no_part_of_swaps(monkeypatch):
    """Images are their latents, read again with noise of 1e-3, which is all that ever differs in the last unit."""
    from types import SimpleNamespace

    from ergosum.decomposition import segmentation

    noise = torch.Generator().manual_seed(1)
    latents = torch.randn(200, 4, 3, generator=torch.Generator().manual_seed(0))
    latents[:, 3] = 1e-3 * torch.randn(200, 3, generator=noise)
    model = SimpleNamespace(placed=False, globals=0)
    monkeypatch.setattr(segmentation, "recompose", lambda model, part, generator: part)
    monkeypatch.setattr(
        segmentation, "encode_best", lambda model, x, *rest: x + 1e-3 * torch.randn(x.shape, generator=noise)
    )
    told, images = segmentation._swaps(model, latents, torch.zeros(200, 4, 1, 1), noise)
    assert told["swap_dead"] == 1 and len(images) == 600
    assert told["swap_share"] > 0.99 and told["swap_arrival"] > 0.99
    latents[:, 1:] = 0
    told, images = segmentation._swaps(model, latents, torch.zeros(200, 4, 1, 1), noise)
    assert told == {"swap_share": 0, "swap_arrival": 0, "swap_consistency": 0, "swap_dead": 4} and not len(images)


def test_a_single_unit_has_no_swaps():
    from types import SimpleNamespace

    from ergosum.decomposition import segmentation

    model = SimpleNamespace(placed=True, globals=1)
    told, images = segmentation._swaps(model, torch.rand(9, 2, 5), torch.rand(9, 2, 4, 4), torch.Generator())
    assert told == {"swap_share": None, "swap_arrival": None, "swap_consistency": None, "swap_dead": 0}
    assert not len(images)
