"""Digit identity: is it still the same digit?"""

from collections.abc import Callable

import torch
from torch import Tensor

from ergosum.shapes import Images

__all__ = ["accuracy", "identity_kept"]


@torch.no_grad()
def accuracy(classify: Callable[[Tensor], Tensor], images: Images, labels: Tensor) -> float:
    """Share of images whose largest logit is the label. Shape: logits (batch, classes), labels (batch,)."""
    return (classify(images).argmax(1) == labels).float().mean().item()


def identity_kept(classify: Callable[[Tensor], Tensor], predicted: Images, true: Images, labels: Tensor) -> float:
    """Accuracy on predicted frames over accuracy on the true frames they stand for.

    Raises:
        ValueError: if the classifier gets no true frame right, so that it cannot judge.
    """
    reference = accuracy(classify, true, labels)
    if reference == 0:
        raise ValueError("identity_kept: the classifier recognises none of the true frames.")
    return accuracy(classify, predicted, labels) / reference
