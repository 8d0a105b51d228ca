"""Disentanglement, completeness, informativeness: what a learner of the factors looks at."""

import math
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values
from ergosum.metrics.codes import parted, seed

__all__ = ["Dci", "dci"]


class Dci(NamedTuple):
    """Three numbers in [0, 1], 1 is best; what the last of them is to be compared with; and the importances."""

    disentanglement: float
    """Does each code matter for one factor only?"""
    completeness: float
    """Does one code suffice for each factor?"""
    informativeness: float
    """Accuracy of the factors' prediction, averaged over factors. Read it against `chance`."""
    importance: Tensor
    """Of each code for each factor, (codes, factors); a factor's sum to 1, or are 0 if every code is dead."""
    chance: float
    """The informativeness of a representation of constants: the share of each factor's commonest level, averaged."""


def dci(latents: Values, factors: Values, generator: Generator | None = None, trees: int = 10, leaf: int = 5) -> Dci:
    r"""With importances $R_{dk}$ of code d for factor k, summing to 1 over codes:

    $D = \sum_d \rho_d (1 - H(R_{d \cdot}) / \log F)$ and $C = \frac1F \sum_k (1 - H(R_{\cdot k}) / \log D)$, where H
    is the entropy of a normalised row or column, and $\rho_d$ is code d's share of all importance.

    The learner is a forest of classification trees whose splits take the best of one random threshold per code, all
    codes competing (`max_features` is all), with impurity importances: of an oracle each tree splits on the one right
    code, and D = C = 1. Forests that withhold codes at each split spread importance over codes that say nothing;
    gradient boosting, which disentanglement_lib takes, costs a tree per level and round (minutes at 10,000 rows of 64
    codes and 7 factors, against seconds); searched thresholds cost five times as much and fit chance more.

    Representations of constants have D = C = 0 and informativeness `chance`, which is high for lopsided factors; with a
    single code C is 1 if it says anything.

    Args:
        latents: (rows, codes). factors: (rows, factors), levels; at least two vary. Two thirds of the rows are fitted,
            informativeness is judged on the others.
        generator: of the split and the forests; PyTorch's default one if None.
        trees: in each factor's forest. leaf: fewest rows in a leaf, so that importance is not credited to chance.
    Raises:
        ValueError: for wrong shapes, values that are not finite, factors without levels, fewer than two that vary.
    Source: Eastwood & Williams 2018, section 2 (learners there: lasso and random forest); trees of Geurts, Ernst &
    Wehenkel 2006. Differs: informativeness is an accuracy, as in disentanglement_lib, not an error.
    """
    x, level, fit, judge = (values.numpy() for values in parted(latents, factors, "dci", generator))

    from sklearn import config_context
    from sklearn.ensemble import ExtraTreesClassifier

    importance, accuracy, chance = [], [], []
    for y in level.T:
        forest = ExtraTreesClassifier(
            trees,
            max_features=1.0,  # type: ignore[arg-type]  # all codes; the checker knows the default's type only
            min_samples_leaf=leaf,
            random_state=seed(generator),
        )
        with config_context(assume_finite=True, skip_parameter_validation=True):
            forest.fit(x[fit], y[fit])
            guess = forest.predict(x[judge])
        importance.append(torch.from_numpy(forest.feature_importances_))
        accuracy.append(float((guess == y[judge]).mean()))
        chance.append(float((y[judge] == np.bincount(y[fit]).argmax()).mean()))
    table = torch.stack(importance, 1)
    weight = table.sum(1) / table.sum().clamp_min(1e-12)
    return Dci(
        disentanglement=(weight * _focus(table)).sum().item(),
        completeness=_focus(table.T).mean().item(),
        informativeness=sum(accuracy) / len(accuracy),
        importance=table,
        chance=sum(chance) / len(chance),
    )


def _focus(table: Tensor) -> Tensor:
    """1 - entropy of each row in units of its largest value; 0 for a row of zeros, else 1 for rows of one entry."""
    total = table.sum(1, keepdim=True)
    share = table / total.clamp_min(1e-12)
    most = max(math.log(table.shape[1]), 1e-12)
    return torch.where(total[:, 0] > 0, 1 + torch.special.xlogy(share, share).sum(1) / most, 0.0).clamp(0, 1)
