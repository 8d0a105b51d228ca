r"""Who says whether images show what they were drawn for: a reader that learns beside a codec, and through noise.

The encoder is no judge of what the decoder draws. It learns to read that, too, so that a cube drawn with round edges is
soon a cube to it, and the decoder has nothing more to learn. The judge reads true images and drawn ones under noise of
a known deviation. What differs by less than the noise it cannot tell apart, whatever it learns: a cube that is drawn as
cylinders look is a cylinder to it, for most such images are cylinders, and the decoder is told so.

A cross-entropy is never content: it asks for ever more contrast, until drawn images are plainer than true ones, and of
other colours. So a value counts only as far as it is read worse in what is drawn for it than in true images (`behind`).

Source: a network that reads what was asked for out of what was drawn, Chen et al. 2016 (InfoGAN, equation 5). Differs:
true images are read as well, and all through noise.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.concepts.encoder import centred_at, looking
from ergosum.nets.blocks import widen

__all__ = ["Judge", "drawn_so_far"]

WIDTH, THIN = 24, 8
KEEPS = 0.985
"""Share of what is remembered of earlier images after each update."""


class Judge(nn.Module):
    """Logits of named values in images under noise; nothing but training needs it, so that cards have no weights of it.

    Args:
        numbers: logits of an image, one for each value. channels: of an image. coarse: a quarter of its side.
        through: deviation of the noise, of pixels in [0, 1].
    Shape:
        images: (batch, channels, 4 coarse, 4 coarse) in [0, 1]. at: (batch, 2), x and y in -1 .. 1, of the place that
        is moved to the middle before the judge looks; None for none. Returns (batch, numbers).
    """

    read: Tensor

    def __init__(self, numbers: int, channels: int, coarse: int, through: float) -> None:
        super().__init__()
        self.register_buffer("read", torch.zeros(2, 2, numbers))  # true, drawn; sums of cross-entropies, counts
        self.through = through
        self.reads = looking(channels, WIDTH, THIN, coarse, numbers)

    def forward(self, images: Tensor, at: Tensor | None, generator: Generator) -> Tensor:
        """What is read."""
        noisy = images + self.through * torch.randn(images.shape, generator=generator).to(images)
        moved = noisy if at is None else centred_at(noisy, at)
        return widen(self.reads(2 * moved - 1))

    @torch.no_grad()
    def remember(self, entropies: Tensor, values: Tensor, drawn: bool) -> None:
        """Take note of how badly values are read in the true or the drawn images of an update.

        Shape:
            entropies: of what is read, (m,), and values: numbers of their logits, (m,), of all attributes together.
        """
        kept = self.read[int(drawn)].mul_(KEEPS)
        kept[0].index_add_(0, values, entropies.to(kept))
        kept[1].index_add_(0, values, torch.ones_like(entropies).to(kept))

    def behind(self, values: Tensor) -> Tensor:
        """max(0, 1 - t / d) of values (n,), t and d the mean cross-entropies with which each was read in true and in
        drawn images; 1 as long as it was not read in both.
        """
        sums, counts = self.read[:, 0], self.read[:, 1]
        true, drawn = sums / counts.clamp(min=1e-6)
        share = (drawn - true).clamp(min=0) / drawn.clamp(min=1e-12)
        return torch.where((counts > 0).all(0), share, 1.0)[values]


def drawn_so_far(error: Tensor, images: Tensor) -> Tensor:
    """max(0, 1 - 2r)^2, r the mean squared error of images (n, ...) as a share of that of their mean."""
    left = error / (images - images.mean(0)).square().mean()
    return (1 - 2 * left).clamp(min=0).square()


def as_new(module: Any, state: dict[str, Any], prefix: str, *rest: Any) -> None:
    """A judge or guesser that the weights which are loaded have nothing of, as those of cards, stays as it is."""
    for name, held in module.state_dict().items():
        if name.startswith(("judge.", "guesser.")):
            state.setdefault(prefix + name, held)
