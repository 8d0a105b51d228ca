r"""Codes that grow by a part: an attribute is added, and what was drawn before stays to the bit.

Older codes $z_{<k}$, with decoder $D_{k-1}$, are frozen. A new codec has a part $z_k$ for the new attribute and a rest
of its own; its decoder $S_k$ sees the parts of all attributes, the older ones as their own encoders find them where the
new images do not tell them. Of the new attribute's values one is *neutral*, that of all images before; then

$$ D_k(z) = p(\text{neutral} | z_k)\, D_{k-1}(z_{<k}) + (1 - p(\text{neutral} | z_k))\, S_k(z_a, z_k), $$

with $z_a$ the parts of the older attributes, and p the probability of the corner that a part was drawn around
(`codec.py`). At the neutral corner of n values the other ones have
$p \le (n - 1) \exp(-1 / (s^2 \frac{1}{n} (1 - \frac{1}{n})))$, at most $10^{-19}$, so that p(neutral) is 1 in floats
and the image is that of $D_{k-1}$ in every bit. Nothing older is ever trained again, so that nothing can be forgotten.

Source: columns that are added beside frozen ones, Rusu et al. 2016 (progressive networks); the gate is ours.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.concepts.code_parts import corners, probabilities
from ergosum.concepts.codec import AttributeCodec
from ergosum.concepts.space import AttributeCodes
from ergosum.data.attributed import Attribute
from ergosum.part import Part
from ergosum.training.task import Losses

__all__ = ["GrownCodes"]


class GrownCodes(AttributeCodes):
    """Older codes, frozen, and beside them a part for one more attribute, with a rest of its own.

    Args:
        codec: of the new part; gets `attributes`, `beside`, `channels`, `side`. share, weights, divergence, batch: as
            `AttributeCodes`. attributes: the new one. neutral: number of its value that all older images have.
            before: the older codes, whose weights stay theirs. beside: their attributes. channels, side: of an image.
    Shape:
        points: (batch, D), first the older code, then the new part and its rest.
    """

    def __init__(
        self,
        codec: Part[Any] = Part(AttributeCodec),  # noqa: B008
        share: float = 0.8,
        weights: str = "",
        divergence: float = 2e-5,
        batch: int = 64,
        attributes: Sequence[Attribute] = (),
        neutral: int = 0,
        before: Any = None,
        beside: Sequence[Attribute] = (),
        channels: int = 3,
        side: int = 32,
    ) -> None:
        super().__init__(codec.but(beside=tuple(beside)), share, weights, divergence, batch, attributes, channels, side)
        self._before = (before,)  # in a tuple, so that its weights are counted and saved once, where they belong
        self.neutral, self.columns = neutral, sum(a.width for a in beside)
        old = before.event[0] if before is not None else 0
        self.own = slice(old, old + self.codec.latent)
        self.event = (self.own.stop,)
        if before is not None:
            self.parts = (*before.parts, *(slice(old + p.start, old + p.stop) for p in self.codec.parts))

    @property
    def before(self) -> Any:
        """The older codes."""
        return self._before[0]

    def encode(self, images: Tensor, generator: Generator | None = None) -> Tensor:
        """Points of images: what each encoder finds."""
        older = self.before.encode(images, generator)
        codes = self.codec.encode(images, generator, self.before.shown(older))
        return torch.cat([older, (codes - self.centre) / self.spread], 1)

    def decode(self, x: Tensor) -> Tensor:
        """Images of points: the older decoder's where the new part is neutral, the new one's elsewhere, clamped."""
        older, codes = x[:, : self.own.start], x[:, self.own] * self.spread + self.centre
        anew = self.codec.decode(codes, self.before.shown(older)).clamp(0, 1)
        gate = self.gate(codes)[:, None, None, None]
        return (1 - gate) * self.before.decode(older) + gate * anew

    def gate(self, codes: Tensor) -> Tensor:
        """1 - p(neutral) of the new codec's codes, (batch,): exactly 0 at the neutral corner."""
        return 1 - probabilities(codes[:, self.codec.parts[0]])[:, self.neutral]

    def neutral_point(self, n: int) -> Tensor:
        """Points of the new part where it is neutral, its rest at the mean, (n, new part and rest)."""
        codes = self.centre.repeat(n, 1)
        part, count = self.codec.parts[0], self.codec.parts[0].stop
        codes[:, part] = corners(torch.tensor([self.neutral]), count).to(codes)
        return (codes - self.centre) / self.spread

    def beside(self, images: Tensor, values: Tensor) -> Tensor:
        """Parts of the older attributes as the new decoder sees them: where values are told, of these."""
        with torch.no_grad():
            return self.before.shown(self.before.encode(images), values[:, : self.columns])

    def shown(self, x: Tensor, values: Tensor | None = None) -> Tensor:
        """The parts of all attributes, as `AttributeCodes.shown`."""
        told = (None, None) if values is None else (values[:, : self.columns], values[:, self.columns :])
        older = self.before.shown(x[:, : self.own.start], told[0])
        return torch.cat([older, super().shown(x[:, self.own], told[1])], 1)

    def told(self, images: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Standardised codes of the new part and its rest, that a density learns."""
        codes = self.codec.told(images, values[:, self.columns :], generator, self.beside(images, values))
        return (codes - self.centre) / self.spread

    @torch.no_grad()
    def posterior(self, images: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and deviation of the new part and its rest."""
        parts = [
            self.codec.posterior(a, b[:, self.columns :], self.beside(a, b))
            for a, b in zip(images.split(500), values.split(500), strict=True)
        ]
        return torch.cat([mean for mean, _ in parts]), torch.cat([deviation for _, deviation in parts])

    def drawn(self, mean: Tensor, deviation: Tensor, values: Tensor, generator: Generator) -> Tensor:
        """Standardised codes of the new part and its rest, of known posteriors."""
        return super().drawn(mean, deviation, values[:, self.columns :], generator)

    def told_loss(self, images: Tensor, values: Tensor, generator: Generator, progress: float) -> Losses:
        """The new codec's loss after a share of training; the reference is the error of the mean image."""
        images, values = images[: self.batch], values[: self.batch]
        loss, error = self.codec.loss(
            images, values[:, self.columns :], generator, self.divergence, self.beside(images, values),
            progress / self.share,
        )  # fmt: skip
        return Losses(loss, error, (images - images.mean(0)).square().mean().detach())
