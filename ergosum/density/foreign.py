"""Images that are none of the data: sets that a density is to tell from its own, and scores that need no density.

A score of one number does well on some sets for reasons that have nothing to do with the data: dark images on a dark
ground are likely to any density. So the sum of an image's pixels and its distance from the mean image stand beside it.
"""

from collections.abc import Callable, Mapping

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.data.sources import at_hand, centre, load_digits

__all__ = ["foreign_sets", "plain_scores"]


def foreign_sets(
    images: Tensor, n: int, generator: Generator, source: str = "", split: str = "test"
) -> dict[str, Tensor]:
    """n images of each set, made of held-out images of the data or drawn, and those of another source at hand.

    `rotated` by a right angle, to either side; `inverted`; `interpolated`, the mean of two images; `uniform` and
    `gaussian` noise, the latter with the mean and the deviation of every pixel of the data; `constant` grey.

    Args:
        images: held-out, (m, channels, side, side) in [0, 1]. source: of the data; Fashion-MNIST is foreign to digits,
            and digits to all others.
    Shape:
        of each: (n, channels, side, side) in [0, 1].
    """
    shape, rows = images.shape[1:], torch.randint(len(images), (2, n), generator=generator)
    one, two = images[rows[0]], images[rows[1]]
    half = n // 2
    rotated = torch.cat([one[:half].rot90(1, (2, 3)), one[half:].rot90(3, (2, 3))])
    noise = torch.randn(n, *shape, generator=generator)
    made = {
        "rotated": rotated,
        "inverted": 1 - one,
        "interpolated": (one + two) / 2,
        "uniform": torch.rand(n, *shape, generator=generator),
        "gaussian": (images.mean(0) + images.std(0) * noise).clamp(0, 1),
        "constant": torch.rand(n, 1, 1, 1, generator=generator).expand(n, *shape).contiguous(),
    }
    other = "digits" if source == "fashion" else "fashion"
    if source != other and at_hand(other):
        parts = ("train", "test") if other == "fashion" else (split,)  # none of Fashion-MNIST was seen
        found = torch.cat([load_digits(other, part).images for part in parts])  # type: ignore[arg-type]
        chosen = found[torch.randperm(len(found), generator=generator)[: max(n, 1)]]
        if shape[1] == shape[2]:
            made = {other: centre(chosen, shape[-1]).expand(-1, shape[0], -1, -1)} | made
    return made


def plain_scores(training: Tensor) -> Mapping[str, Callable[[Tensor], Tensor]]:
    """Scores of images without a density: `pixel sum` (darker is more known), and `mean image` (nearer is)."""
    mean = training.mean(0)
    return {
        "pixel sum": lambda images: -images.flatten(1).sum(1),
        "mean image": lambda images: -F.mse_loss(images, mean.expand_as(images), reduction="none").flatten(1).sum(1),
    }
