r"""Whether probabilities mean what they say: of what is told with confidence 0.8, eight tenths should be right.

$$ ECE = \sum_b \frac{n_b}{n} | accuracy_b - confidence_b | $$

over bins b of the confidence, which is the largest probability. The value depends on the bins: `equal_mass` has as many
samples in each, `equal_width` cuts the range 0 .. 1 evenly, which leaves most bins of a good classifier nearly empty.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.metrics.arrays import Values, tensors

__all__ = ["ece", "equal_mass", "equal_width"]

SLACK = 1e-3
"""By how much the probabilities of a sample may miss one, as rounding in half precision does."""


def equal_mass(confidence: Tensor, bins: int) -> Tensor:
    """The bin, 0 .. bins - 1, of each of n confidences, about n / bins in each; equal ones share their middle bin."""
    ordered = confidence.sort().values
    least, most = (torch.searchsorted(ordered, confidence, right=right) for right in (False, True))
    middle = (least + most - 1).double() / 2  # rank, from 0, the mean one of those that are equal
    return ((middle + 0.5) * bins / len(confidence)).long().clamp(0, bins - 1)


def equal_width(confidence: Tensor, bins: int) -> Tensor:
    """The bin, 0 .. bins - 1, of each confidence, where bin b holds those above b / bins and up to (b + 1) / bins."""
    return ((confidence * bins).ceil() - 1).long().clamp(0, bins - 1)


def ece(
    probabilities: Values,
    labels: Values,
    bins: int = 15,
    into: Callable[[Tensor, int], Tensor] = equal_mass,
) -> float:
    """Expected calibration error of class probabilities: 0 where confidence is accuracy in every bin.

    It says nothing of accuracy: the shares of the classes, told of every sample, have none. So probabilities that are
    the same for all samples are refused.

    Args:
        probabilities: (n, classes), each row of sum one. labels: (n,), whole numbers. bins: >= 1; 15 and 10 are common.
        into: what puts confidences into bins, `equal_mass` or `equal_width`, or your own.
    Raises:
        ValueError: for wrong shapes, rows that are no probabilities or all the same, labels beyond the classes.
    Source: Naeini, Cooper & Hauskrecht 2015 (equal mass); Guo et al. 2017 (equal width).
    """
    told, right = tensors("ece", probabilities=probabilities, labels=labels)
    if told.ndim != 2 or not len(told) == len(right) > 0 or right.ndim != 1 or told.shape[1] < 2 or bins < 1:
        raise ValueError(
            f"ece: expected probabilities (n, two classes or more), labels (n,) and bins >= 1, got "
            f"{tuple(told.shape)}, {tuple(right.shape)} and {bins}."
        )
    if (told < -SLACK).any() or (told.sum(1) - 1).abs().max() > SLACK:
        raise ValueError("ece: expected rows of probabilities that sum to one; pass logits through a softmax.")
    if right.min() < 0 or right.max() >= told.shape[1]:
        raise ValueError(
            f"ece: expected labels 0 .. {told.shape[1] - 1}, got {right.min().item():g} .. {right.max().item():g}."
        )
    if len(told) > 1 and (told == told[:1]).all():
        raise ValueError("ece: the same probabilities for every sample; how sure they are says nothing.")
    confidence, answer = told.double().max(1)
    hit = (answer == right).double()
    held = F.one_hot(into(confidence, bins), bins).double()
    return ((held.T @ (hit - confidence)).abs().sum() / len(told)).item()
