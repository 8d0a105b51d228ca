"""Digit identity: is it still the same digit?"""

from collections.abc import Callable

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors

__all__ = ["accuracy", "identity_kept"]


def accuracy(classify: Callable[[Tensor], Tensor], images: Values, labels: Values) -> float:
    """Share of images whose largest logit is the label. A constant answer reaches the share of the commonest label.

    Args:
        classify: images as a tensor -> logits (batch, classes).
        images: (batch, *event). labels: (batch,), whole numbers.
    Raises:
        ValueError: for wrong shapes, and images or logits that are not finite.
    """
    answers, labels = _answers("accuracy", classify, images, labels)
    return (answers == labels).float().mean().item()


def identity_kept(classify: Callable[[Tensor], Tensor], predicted: Values, true: Values, labels: Values) -> float:
    """Accuracy on predicted frames over accuracy on the true frames they stand for.

    Raises:
        ValueError: if the classifier cannot judge, since it gets no true frame right or gives one answer to all while
            the labels differ; for wrong shapes and values that are not finite.
    """
    answers, known = _answers("identity_kept", classify, true, labels)
    reference = (answers == known).float().mean().item()
    if reference == 0:
        raise ValueError("identity_kept: the classifier recognises none of the true frames.")
    if (answers == answers[0]).all() and (known != known[0]).any():
        raise ValueError("identity_kept: the classifier gives the same answer to all true frames; it cannot judge.")
    return accuracy(classify, predicted, labels) / reference


@torch.no_grad()
def _answers(name: str, classify: Callable[[Tensor], Tensor], images: Values, labels: Values) -> tuple[Tensor, Tensor]:
    images, labels = tensors(name, images=images, labels=labels)
    (logits,) = tensors(name, logits=classify(images))
    if labels.ndim != 1 or logits.ndim != 2 or not len(images) == len(labels) == len(logits) > 0:
        raise ValueError(
            f"{name}: expected labels (batch,) and logits (batch, classes) of as many images, one or more; got "
            f"{tuple(labels.shape)}, {tuple(logits.shape)} and {len(images)} images."
        )
    return logits.argmax(1), labels
