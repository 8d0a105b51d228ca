"""Each metric of disentanglement against scikit-learn, SciPy or NumPy on a lopsided table (`lopsided.py`)."""

from itertools import permutations

import numpy as np
import pytest
import torch
from lopsided import table
from scipy import stats
from sklearn.decomposition import PCA
from sklearn.ensemble import ExtraTreesClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, mutual_info_score
from sklearn.preprocessing import LabelEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from ergosum.metrics import (
    beta_vae,
    binned,
    correlations,
    dci,
    factor_vae,
    mcc,
    mig,
    mutual_information,
    principal,
    sap,
)
from ergosum.metrics.codes import levels, seed, split, standardised
from ergosum.metrics.references import reference_rows
from ergosum.metrics.sharing import draw_groups, draw_pairs

CODES, FACTORS = table()
Z, V = CODES.numpy(), FACTORS.numpy()
DRAWN = {"train": 400, "evaluate": 500, "batch": 12}


def seeded(number=3):
    return torch.Generator().manual_seed(number)


def cut(values, bins):
    """Numbers of bins of equal width, by NumPy's edges."""
    edges = [np.histogram_bin_edges(x, bins) for x in values.T]
    return np.stack([np.clip(np.digitize(x, e[1:-1]), 0, bins - 1) for x, e in zip(values.T, edges, strict=True)], 1)


def test_levels_bins_and_standard_codes_equal_those_of_scikit_learn_and_numpy():
    ranks = np.stack([LabelEncoder().fit_transform(v) for v in V.T], 1)
    assert np.array_equal(levels(10 - 3 * FACTORS).numpy(), ranks.max(0) - ranks)
    assert np.array_equal(binned(CODES, 7).numpy(), cut(Z, 7))
    scaled = StandardScaler().fit_transform(Z) * np.sqrt((len(Z) - 1) / len(Z))
    np.testing.assert_allclose(standardised(CODES).numpy(), scaled, atol=1e-12)
    np.testing.assert_allclose(reference_rows(FACTORS)["oracle"].numpy(), stats.zscore(V, ddof=1), atol=1e-12)


def test_mutual_information_equals_that_of_scikit_learn():
    both = cut(Z, 20), V.astype(int)
    known = [[mutual_info_score(x, y) for y in both[1].T] for x in both[0].T]
    np.testing.assert_allclose(mutual_information(*both).numpy(), known, atol=1e-12)


@pytest.mark.parametrize("bins", [5, 20])
def test_mig_equals_gaps_of_information_over_each_factor_s_own_entropy(bins):
    gaps = []
    for v in V.T:
        known = sorted(mutual_info_score(x, v) for x in cut(Z, bins).T)
        gaps.append((known[-1] - known[-2]) / stats.entropy(np.unique(v, return_counts=True)[1]))
    assert mig(CODES, FACTORS, bins) == pytest.approx(np.mean(gaps), abs=1e-12)


@pytest.mark.parametrize(("name", "of"), [("spearman", stats.spearmanr), ("pearson", stats.pearsonr)])
def test_mcc_equals_the_best_of_all_one_to_one_pairings(name, of):
    size = np.array([[abs(of(x, v).statistic) for v in V.T] for x in Z.T])
    np.testing.assert_allclose(correlations(CODES, FACTORS, name).abs().numpy(), size, atol=1e-12)
    best = max(size[list(chosen), range(3)].mean() for chosen in permutations(range(5), 3))
    assert mcc(CODES, FACTORS, name) == pytest.approx(best, abs=1e-12)
    # the largest of each column is not one-to-one when one code knows two factors best
    shared = np.stack([V[:, 0] + 0.9 * V[:, 1], 0.2 * V[:, 0] + Z[:, 4], Z[:, 4]], 1)
    size = np.array([[abs(of(x, v).statistic) for v in V.T] for x in shared.T])
    best = max(size[list(chosen), range(3)].mean() for chosen in permutations(range(3)))
    assert mcc(shared, V, name) == pytest.approx(best, abs=1e-12) and best < size.max(0).mean() - 0.05


def test_dci_equals_entropies_of_importance_in_the_base_of_codes_and_of_factors():
    judged = dci(CODES, FACTORS, seeded())
    generator = seeded()
    fit, judge = (rows.numpy() for rows in split(len(Z), generator))
    importance, right, commonest = [], [], []
    for v in V.T:
        forest = ExtraTreesClassifier(10, max_features=1.0, min_samples_leaf=5, random_state=seed(generator))
        importance.append(forest.fit(Z[fit], v[fit]).feature_importances_)
        right.append(forest.score(Z[judge], v[judge]))
        commonest.append(np.mean(v[judge] == stats.mode(v[fit]).mode))
    table = np.stack(importance, 1)
    np.testing.assert_allclose(judged.importance.numpy(), table, atol=1e-12)
    pure = 1 - stats.entropy(table, base=3, axis=1)
    assert judged.disentanglement == pytest.approx(np.average(pure, weights=table.sum(1)), abs=1e-9)
    assert judged.completeness == pytest.approx(np.mean(1 - stats.entropy(table, base=5, axis=0)), abs=1e-9)
    assert judged.informativeness == pytest.approx(np.mean(right))
    assert judged.chance == pytest.approx(np.mean(commonest)) and 0.5 < judged.chance < 0.65


def test_sap_equals_gaps_of_balanced_accuracies_of_trees():
    generator = seeded()
    fit, judge = (rows.numpy() for rows in split(len(Z), generator))
    state, gaps = seed(generator), []
    for v in V.T:
        told = []
        for x in Z.T:
            tree = DecisionTreeClassifier(max_leaf_nodes=len(np.unique(v)), class_weight="balanced", random_state=state)
            tree.fit(x[fit, None], v[fit])
            told.append(balanced_accuracy_score(v[judge], tree.predict(x[judge, None])))
        gaps.append(np.sort(told)[-1] - np.sort(told)[-2])
    assert sap(CODES, FACTORS, seeded()) == pytest.approx(np.mean(gaps), abs=1e-12)


def test_sap_by_correlation_equals_gaps_of_squared_correlations():
    squared = np.sort([[stats.pearsonr(x, v).statistic ** 2 for v in V.T] for x in Z.T], 0)
    known = (squared[-1] - squared[-2]).mean()
    assert sap(CODES, FACTORS, predictor="correlation") == pytest.approx(known, abs=1e-12)


@pytest.mark.parametrize("standardise", [True, False])
def test_the_beta_vae_metric_equals_a_logistic_regression_on_mean_differences(standardise):
    generator = seeded()
    z = stats.zscore(Z, ddof=1) if standardise else Z
    made = []
    for rows, count in zip(split(len(Z), generator), (400, 500), strict=True):
        kept, first, second = (x.numpy() for x in draw_pairs(FACTORS[rows].long(), count, 12, generator))
        made.append((np.abs(z[rows][first] - z[rows][second]).mean(1), kept))
    learner = LogisticRegression(max_iter=1_000).fit(*made[0])
    known = learner.score(*made[1])
    assert beta_vae(CODES, FACTORS, seeded(), **DRAWN, standardise=standardise) == pytest.approx(known, abs=4e-3)


def test_the_factor_vae_metric_equals_votes_counted_by_hand():
    """Codes are in unequal units: variances that were not divided by those of all rows would give other votes."""
    generator = seeded()
    fit, judge = (rows.numpy() for rows in split(len(Z), generator))
    spread = np.var(Z[fit], axis=0, ddof=1)
    votes = []
    for rows, count in ((fit, 400), (judge, 500)):
        kept, drawn = (x.numpy() for x in draw_groups(FACTORS[rows].long(), count, 12, generator))
        stillest = (np.var(Z[rows][drawn], axis=1, ddof=1) / spread).argmin(1)
        votes.append([[np.sum((kept == k) & (stillest == d)) for d in range(5)] for k in range(3)])
    named = np.argmax(votes[0], 0)
    known = sum(votes[1][named[d]][d] for d in range(5) if np.sum(votes[0], 0)[d]) / 500
    assert factor_vae(CODES, FACTORS, seeded(), **DRAWN) == pytest.approx(known, abs=1e-12)


def test_drawn_rows_are_uniform_over_rows_that_have_a_partner():
    """Chi-square with probability 1e-4: rows, partners of one row, and rows of one group."""
    level = levels(FACTORS[:60])
    kept, first, second = draw_pairs(level, 6_000, 4, seeded())
    for k in range(3):
        counts = torch.bincount(level[:, k])
        partnered = (counts[level[:, k]] > 1).numpy()
        seen = np.bincount(first[kept == k].flatten(), minlength=60)
        assert seen[~partnered].sum() == 0 and stats.chisquare(seen[partnered]).pvalue > 1e-4
        rare = int(torch.where(counts > 2, counts, 99).argmin())
        members = (level[:, k] == rare).nonzero()[:, 0]
        others = second[kept == k][first[kept == k] == members[0]]
        assert stats.chisquare([int((others == m).sum()) for m in members[1:]]).pvalue > 1e-4
    kept, rows = draw_groups(level, 6_000, 4, seeded())
    largest = torch.bincount(level[:, 2]).argmax()
    inside = rows[(kept == 2) & (level[rows[:, 0], 2] == largest)].flatten()
    members = (level[:, 2] == largest).nonzero()[:, 0]
    assert stats.chisquare([int((inside == m).sum()) for m in members]).pvalue > 1e-4


def test_principal_components_equal_those_of_scikit_learn():
    told, known = principal(CODES, 3), PCA(3).fit(Z)
    np.testing.assert_allclose(told.variance.numpy(), known.explained_variance_, rtol=1e-9)
    np.testing.assert_allclose(told(CODES).abs().numpy(), np.abs(known.transform(Z)), atol=1e-9)
