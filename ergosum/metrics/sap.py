"""Separated attribute predictability: by how much does the best code predict each factor better than the next?"""

from typing import Literal

import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values
from ergosum.metrics.codes import levels, paired, seed, split
from ergosum.metrics.mcc import correlations

__all__ = ["sap"]

Predictor = Literal["thresholds", "svc", "correlation"]


def sap(
    latents: Values,
    factors: Values,
    generator: Generator | None = None,
    predictor: Predictor = "thresholds",
) -> float:
    r"""$\frac1F \sum_k (s_{(1)k} - s_{(2)k})$: the gap between the two codes that alone predict factor k best.

    0: no code, or two alike. Of an oracle it is 1 with squared correlations, and 1 - 1/levels with accuracies, since
    the runner-up guesses right that often. A single code is compared with a dead one, which guesses.

    Args:
        latents: (rows, codes). factors: (rows, factors), levels but for `correlation`.
        generator: of the split and the learners; PyTorch's default one if None.
        predictor: what one code's score is.
            `thresholds`: accuracy, averaged over levels, of as many intervals of the code as there are levels.
            `svc`: the same of a linear support vector machine, one level against the others; blind to the inner levels
            of an ordinal factor, and slow.
            `correlation`: squared correlation, for factors that are ordinal or continuous; draws nothing.
    Raises:
        ValueError: for wrong shapes, values that are not finite, factors without levels or of which none varies.
    Source: Kumar, Sattigeri & Balakrishnan 2018, section 3. Differs: the paper fits thresholds to discrete factors,
    disentanglement_lib the support vector machine (C = 0.01, balanced); the default is the paper's. Accuracies are
    judged on the third of the rows that was not fitted and are balanced in both.
    """
    if predictor not in ("thresholds", "svc", "correlation"):
        raise ValueError(f"sap: expected 'thresholds', 'svc' or 'correlation', got {predictor!r}.")
    z, known = paired(latents, factors, "sap")
    if z.shape[1] == 1:
        z = torch.cat([z, torch.zeros_like(z)], 1)
    if predictor == "correlation":
        score = correlations(z, known, "pearson").square()
    else:
        score = _accuracies(z, levels(known, "sap"), generator, predictor)
    best = score.topk(2, 0).values
    return (best[0] - best[1]).mean().item()


def _accuracies(z: Tensor, level: Tensor, generator: Generator | None, predictor: Predictor) -> Tensor:
    """Of every code alone for every factor: (codes, factors)."""
    from sklearn import config_context
    from sklearn.svm import LinearSVC
    from sklearn.tree import DecisionTreeClassifier
    from sklearn.utils.class_weight import compute_sample_weight

    fit, judge = split(len(z), generator)
    state = seed(generator)
    score = torch.zeros(z.shape[1], level.shape[1], dtype=torch.float64)
    columns = [x[:, None].numpy() for x in z.T.float().contiguous()]  # as trees want them, who then need not check them
    for k, y in enumerate(level.T):
        known, shown = y[fit].numpy(), torch.bincount(y[judge])
        weight = compute_sample_weight("balanced", known)  # once, and not with every tree
        for d, x in enumerate(columns):
            with config_context(assume_finite=True, skip_parameter_validation=True):
                if predictor == "svc":
                    model = LinearSVC(C=0.01, class_weight="balanced", random_state=state)
                    guess = model.fit(z[fit, d, None].numpy(), known).predict(z[judge, d, None].numpy())
                else:
                    model = DecisionTreeClassifier(max_leaf_nodes=int(y.max()) + 1, random_state=state)
                    model.fit(x[fit], known, weight, check_input=False)
                    guess = model.predict(x[judge], check_input=False)
            hit = torch.bincount(y[judge], weights=(torch.from_numpy(guess) == y[judge]).double())
            score[d, k] = (hit / shown)[shown > 0].mean()
    return score
