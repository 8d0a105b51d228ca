"""The BetaVAE metric: can one tell from differences of codes which factor was held?"""

import torch
from torch import Generator, Tensor

from ergosum.metrics.arrays import Values
from ergosum.metrics.codes import parted, seed, standardised
from ergosum.metrics.sharing import draw_pairs

__all__ = ["beta_vae"]


def beta_vae(
    latents: Values,
    factors: Values,
    generator: Generator | None = None,
    train: int = 10_000,
    evaluate: int = 5_000,
    batch: int = 64,
    standardise: bool = True,
) -> float:
    r"""Accuracy with which a linear classifier names the held factor from $\frac1B \sum_b |z_b - z'_b|$.

    In a batch of B pairs of images one factor, a random one, is the same within every pair. 1 is best, 1 / (factors
    that vary) is chance. It rewards rotations: a linear classifier sees through many of them, so read it beside the
    number of a rotated oracle (`reference_rows`). A representation of constants scores chance.

    Args:
        latents: (rows, codes). factors: (rows, factors), levels; at least two vary.
        generator: of the split and the batches; PyTorch's default one if None.
        train, evaluate: batches that the classifier learns from and is judged on, from two thirds of the rows and
            from the others. batch: pairs in each.
        standardise: divide codes by their standard deviation first.
    Raises:
        ValueError: for wrong shapes, values that are not finite, factors without levels, fewer than two that vary.
    Source: Higgins et al. 2017, section 3; classifier and sizes as released in disentanglement_lib (logistic
    regression, L2 with C = 1). Differs: rows of a table take the place of a simulator and are split, since a classifier
    can learn chance differences of a finite table; codes are standardised (`standardise=False` for the released form),
    without which the L2 penalty punishes codes for their unit.
    """
    z, level, fit, judge = parted(latents, factors, "beta_vae", generator)
    if standardise:
        z = standardised(z)
    x, y = _differences(z[fit], level[fit], train, batch, generator)
    x_new, y_new = _differences(z[judge], level[judge], evaluate, batch, generator)

    from sklearn.linear_model import LogisticRegression

    classifier = LogisticRegression(max_iter=1_000, random_state=seed(generator)).fit(x.numpy(), y.numpy())
    return float((classifier.predict(x_new.numpy()) == y_new.numpy()).mean())


def _differences(
    z: Tensor, level: Tensor, count: int, batch: int, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    kept, first, second = draw_pairs(level, count, batch, generator)
    parts = [(z[a] - z[b]).abs().mean(1) for a, b in zip(first.split(256), second.split(256), strict=True)]
    return torch.cat(parts), kept
