"""Whether images were made or copied: how near samples lie to the images that a model was trained on.

A model that keeps its training images draws samples that lie nearer to them than new images of the same kind do.
Distances are the root of the mean squared difference of two images' pixels, in units of a pixel.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from ergosum.metrics.arrays import Values, tensors

__all__ = ["Copies", "copies", "nearest"]

CANDIDATES = 4
"""Images nearest to a sample as a product of matrices has it, among which the nearest is found."""
CHUNK = 256
"""Samples that are compared with all images at once, which bounds memory."""


class Copies(NamedTuple):
    """Samples beside held-out images, by the distance to the nearest training image.

    Attributes:
        distance, reference: median distance of samples, and of held-out images. share: of samples that lie nearer than
            99 % of the held-out images do; about 0.01 of new images, 1 of copies. Blurred samples lie near to much and
            raise it a little, though they are no copies: look at the pairs.
    """

    distance: float
    reference: float
    share: float


def copies(samples: Values, training: Values, held_out: Values) -> Copies:
    """Whether samples are copies of training images, told by how near held-out images come to them.

    Args:
        samples: (n, *event). training: (m, *event), what the model learned from. held_out: (k, *event), new images of
            the same kind, a hundred or more so that the nearest 1 % of them are some.
    Raises:
        ValueError: for wrong shapes, no images, values that are not finite, or held-out images that are training images
            themselves, which could tell no copies.
    """
    own, known, new = tensors("copies", samples=samples, training=training, held_out=held_out)
    if new.ndim < 2 or len(new) < 1:
        raise ValueError(f"copies: expected held-out images (n, *event), got {tuple(new.shape)}.")
    distance, reference = nearest(own, known)[0], nearest(new, known)[0]
    least = reference.quantile(0.01)
    if least <= 0:
        raise ValueError("copies: held-out images are among the training images; keep them apart.")
    return Copies(distance.median().item(), reference.median().item(), (distance < least).double().mean().item())


def nearest(samples: Values, images: Values) -> tuple[Tensor, Tensor]:
    """Distance (n,) of each sample to its nearest image, and which image that is (n,).

    Args:
        samples: (n, *event). images: (m, *event).
    Raises:
        ValueError: for wrong shapes, no images, or values that are not finite.
    """
    x, y = tensors("nearest", samples=samples, images=images)
    if x.ndim < 2 or x.shape[1:] != y.shape[1:] or not len(x) or not len(y):
        raise ValueError(f"nearest: expected (n, *event) and (m, *event), got {tuple(x.shape)} and {tuple(y.shape)}.")
    x, y = (v.flatten(1).to(torch.promote_types(v.dtype, torch.float32)) for v in (x, y))
    y = y.to(x.dtype)
    squares, few, found = y.square().sum(1), min(CANDIDATES, len(y)), []
    for part in x.split(CHUNK):
        # the product has rounding that would hide a copy among images like it: of a few the distance is taken plainly
        near = (squares - 2 * part @ y.T).topk(few, largest=False).indices
        gaps = (part[:, None] - y[near]).square().mean(2).sqrt()
        least = gaps.min(1)
        found.append((least.values, near.gather(1, least.indices[:, None])[:, 0]))
    return torch.cat([d for d, _ in found]), torch.cat([i for _, i in found])
