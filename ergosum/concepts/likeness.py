r"""How far images are from true ones of the same values: from the nearest of K that are made with these.

A reader says whether values can be told, and is content with a cube in two colours. Here an image x that was asked to
show values v is compared with what it should be, all that v does not tell being as it likes:

$$ d(x, v) = \min_{k \le K} \sqrt{\|x - y_k\|^2 / N} , \qquad y_k \sim p(y | v) . $$

What is told in numbers counts where it is read: a solid that is half a pixel beside its place is wrong there, which
`place` tells, and would be far from every true one. True images are at some distance, too: K of them do not show
everything, and the reader is a little off. Theirs, read alike, is what draws are to be compared with; it differs with
what is shown, a large cube being further from others than a small ball.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.data.attributed import Attribute

__all__ = ["OTHERS", "distance", "distances", "nearest_true", "shows", "where_read"]

OTHERS = 32
"""K, true images that each is compared with."""
COMPARED = 100
"""Images of a set that are compared, at most."""
PIXELS = 50 * 32 * 32
"""Of images that are compared at once, in one channel."""


def shows(data: Any) -> bool:
    """Whether data make true images of given values; where an image holds several things and the values are those of
    one of them, they do not.
    """
    return hasattr(data, "showing") and getattr(data, "most", 1) == 1


def nearest_true(data: Any, values: Tensor, images: Tensor, generator: Generator) -> Tensor:
    """Of each image (n, channels, side, side) the nearest true one of its values (n, columns).

    Args:
        data: what makes true images, see `AttributedData`.
    """
    found, rows = [], max(1, PIXELS // images[0, 0].numel())
    for v, x in zip(values.split(rows), images.split(rows), strict=True):
        true = data.showing(v.repeat_interleave(OTHERS, 0), generator).images.unflatten(0, (len(v), OTHERS))
        nearest = (true - x[:, None]).square().flatten(2).mean(2).argmin(1)
        found.append(true[torch.arange(len(v)), nearest])
    return torch.cat(found)


def distances(data: Any, values: Tensor, images: Tensor, generator: Generator) -> Tensor:
    """d of each image (n, channels, side, side) and its values (n, columns): (n,), in [0, 1] as pixels are."""
    true = nearest_true(data, values, images, generator)
    return (images - true).square().flatten(1).mean(1).sqrt()


def where_read(attributes: Sequence[Attribute], values: Tensor, read: Tensor) -> Tensor:
    """Values (n, columns) that were asked for, with numbers as they were read (n, columns), where they were."""
    numbers = torch.cat([torch.full((a.width,), not a.values) for a in attributes]).to(values.device)
    return torch.where(numbers & ~read.isnan(), read, values)


def distance(data: Any, values: Tensor, images: Tensor, seed: int) -> float | None:
    """The root of the mean of d squared over the first images, `COMPARED` at most; None where the data cannot make any,
    or values are not told.
    """
    if not shows(data) or values.isnan().any() or not len(values):
        return None
    generator = Generator().manual_seed(seed)
    return distances(data, values[:COMPARED], images[:COMPARED], generator).square().mean().sqrt().item()
