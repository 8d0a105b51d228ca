"""AUROC against counting pairs, and against scikit-learn."""

import pytest
import torch
from sklearn.metrics import roc_auc_score

from ergosum.metrics.auroc import auroc


def test_ties_count_half_as_counting_all_pairs_says():
    known, foreign = torch.tensor([1.0, 2.0, 2.0, 5.0]), torch.tensor([2.0, 0.0, 5.0])
    pairs = [(k > f) + 0.5 * (k == f) for k in known.tolist() for f in foreign.tolist()]
    assert auroc(known, foreign) == pytest.approx(sum(pairs) / 12)
    assert auroc(known, known) == 0.5 and auroc(torch.ones(3), torch.ones(4)) == 0.5


def test_it_is_the_area_that_scikit_learn_finds(rng):
    known, foreign = (torch.randn(n, generator=rng).mul(3).round() for n in (40, 70))  # many ties
    wanted = roc_auc_score([1] * 40 + [0] * 70, torch.cat([known + 1, foreign]))
    assert auroc(known + 1, foreign) == pytest.approx(wanted, abs=1e-12)
    assert auroc(foreign, known + 1) == pytest.approx(1 - wanted, abs=1e-12)


def test_scores_of_another_shape_are_refused():
    with pytest.raises(ValueError, match=r"expected scores \(n,\) and \(m,\), got \(3, 1\) and \(2,\)"):
        auroc(torch.ones(3, 1), torch.ones(2))
