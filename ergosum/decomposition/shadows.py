r"""Shadows told apart from the objects that cast them, by the light that is left on the ground; without training.

The energy of an object draws the object with its shadow, for nothing else explains both. But a shadow is the ground in
less light: the ground's colours g times one factor s. The ground in light of a strength $s \sim N(c, \tau^2)$, seen
with noise, has in every pixel the energy

$$ E(x; c) = \tfrac12 \|x - \hat s g\|^2 / \sigma^2
   + \tfrac12 \|g\|^2 (\hat s - c)^2 / (\sigma^2 + \tau^2 \|g\|^2) + \log Z, \qquad \hat s = x \cdot g / \|g\|^2, $$

that of a normal distribution with mean c g and covariance $\sigma^2 I + \tau^2 g g^T$: x may be off along g, as light
changes, but hardly across it. With c = 1 it is the ground in light, with one c < 1 for the whole image the shadows.
Beside them stand the objects' own experts $N(m_k, \omega^2 I)$. Bayes' rule weighs all of them in every pixel; as
prior serve the shares of precision, that of the ground held between 1/21 and 20/21 ($e^3$ to one), so that what the
image shows can overrule it.

Colour is all that tells a shadow from an object: a dark object of exactly the ground's hue is a shadow to this energy.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum.data.images_given import as_images
from ergosum.decomposition.model import ImageDecomposer
from ergosum.energy import Energy
from ergosum.shapes import Batch, Images, Latents, PerSample

__all__ = ["LitGround", "Unshaded", "in_any_light", "light_of", "masks_without_shadows", "refuse_shadowless",
           "tells_shadows"]  # fmt: skip

SPREAD = 0.1
"""Standard deviation of the strength of light among pixels that are all in light, or all in shadow."""
STEP = 1 / 255
"""Smallest standard deviation of noise: a step of an 8-bit image."""
OBJECT = 0.1
"""Standard deviation of an object's colours from what its expert draws."""
HELD = 3.0
"""Largest logarithm of the odds of the ground that the shares of precision alone may give."""
STRENGTHS = torch.linspace(0.2, 0.9, 36)
"""Strengths of the light that may be left in a shadow."""
WIDTH = 0.03
"""Standard deviation of the kernel that smooths counts of strengths."""
DARKEST = 1e-6
"""Least squared length of the ground's colour, below which there is no light to measure."""


class LitGround(Energy):
    """The energy of images of a ground in light of nearly one strength; normalised in every pixel.

    Args:
        ground: g, its colours in full light, (batch, channels, height, width). strength: c, (batch,). noise: sigma > 0
            of every channel, (batch,). spread: tau >= 0, of the strength from pixel to pixel.
    Shape:
        x: (batch, channels, height, width). Returns (batch,).
    """

    def __init__(self, ground: Tensor, strength: Tensor, noise: Tensor, spread: float = SPREAD) -> None:
        super().__init__()
        self.ground, self.spread = ground, spread
        self.strength, self.noise = strength[:, None, None], noise[:, None, None]

    def forward(self, x: Batch) -> PerSample:
        """The sum over pixels."""
        return self.at_pixels(x).flatten(1).sum(1)

    def at_pixels(self, x: Batch) -> Tensor:
        """The energy of every pixel, -log of its density, (batch, height, width)."""
        light, across = light_of(x, self.ground)
        bright = _bright(self.ground)
        quiet, along = self.noise**2, self.noise**2 + self.spread**2 * bright
        gap = across / quiet + bright * (light - self.strength) ** 2 / along
        return (gap + (x.shape[1] - 1) * quiet.log() + along.log() + x.shape[1] * math.log(2 * math.pi)) / 2


class Unshaded(NamedTuple):
    """Masks of objects without their shadows, and the shadows.

    Shape:
        masks: (batch, K, side, side), shares that sum to one at every pixel; the first, the ground's, has the shadows.
        shadows: (batch, K, side, side), the part of the ground's share that is in the shadow of each component; none in
        that of the ground. strength: (batch,), of the light left in shadows, 1 in full light. noise: (batch,), sigma.
    """

    masks: Tensor
    shadows: Tensor
    strength: Tensor
    noise: Tensor

    @property
    def with_shadows(self) -> Tensor:
        """Masks of objects with their shadows, (batch, K, side, side), shares that sum to one."""
        cast = self.shadows[:, 1:]
        return torch.cat([self.masks[:, :1] - cast.sum(1, keepdim=True), self.masks[:, 1:] + cast], 1)


def tells_shadows(model: ImageDecomposer) -> bool:
    """Whether a model has what `masks_without_shadows` asks for: experts, one of them the ground's, and a place for
    each of the others.
    """
    return model.curved and model.placed and model.globals == 1


def refuse_shadowless(model: ImageDecomposer) -> None:
    """Refuse a model that tells no shadows.

    Raises:
        ValueError: if `tells_shadows` does not hold.
    """
    if not tells_shadows(model):
        raise ValueError(
            "Shadows: expected a model of experts with one background and a place for every other component, such as "
            "scenes-objects."
        )


@torch.no_grad()
def masks_without_shadows(model: ImageDecomposer, latents: Latents, images: Images) -> Unshaded:
    """Masks of images' components in which every shadow is the ground's, by Bayes' rule in every pixel.

    The strength of the light left in an image's shadows is the most frequent one among pixels that objects hold and
    whose colour is the ground's; sigma is that of pixels which the ground holds, and a step of an 8-bit image at least.

    Args:
        images: floats in 0 .. 1, or bytes 0 .. 255, which the latents were read off.
    Shape:
        latents: (batch, K, D). images: (batch, 3, side, side).
    Raises:
        ValueError: if the model has no ground (see `tells_shadows`), or images are none (see `as_images`).
    """
    refuse_shadowless(model)
    x = as_images(images, model.canvas)
    bound = [model.bind(latents, None, active=[k]).energy for k in range(latents.shape[1])]
    means, precisions = (torch.stack([getattr(b, name) for b in bound], 1) for name in ("mean", "precision"))
    return _weighed(x, means, precisions[:, :, 0])


def _weighed(x: Images, means: Tensor, precisions: Tensor) -> Unshaded:
    """Bayes' rule over the ground in light, the ground in shadow and the objects.

    Shape:
        x: (batch, 3, side, side). means: (batch, K, 3, side, side). precisions: (batch, K, side, side).
    """
    odds = precisions[:, 0].log() - precisions[:, 1:].sum(1).log()
    among = precisions[:, 1:] / precisions[:, 1:].sum(1, keepdim=True)
    ground, strength, noise = _light(x, means[:, 0].clamp(0, 1), odds > 0)
    prior = odds.clamp(-HELD, HELD)
    each = F.logsigmoid(prior) - math.log(2)
    in_light = each - LitGround(ground, torch.ones_like(strength), noise).at_pixels(x)
    in_shadow = each - LitGround(ground, strength, noise).at_pixels(x)
    variance = (OBJECT**2 + noise**2)[:, None, None, None]
    gap = (x[:, None] - means[:, 1:]).square().sum(2) / variance
    own = F.logsigmoid(-prior)[:, None] + among.clamp(min=1e-12).log()
    own = own - (gap + x.shape[1] * (2 * math.pi * variance).log()) / 2
    share = torch.cat([in_light[:, None], in_shadow[:, None], own], 1).softmax(1)
    cast = share[:, 1:2] * among
    masks = torch.cat([share[:, :2].sum(1, keepdim=True), share[:, 2:]], 1)
    return Unshaded(masks, torch.cat([torch.zeros_like(cast[:, :1]), cast], 1), strength, noise)


def light_of(x: Batch, ground: Tensor) -> tuple[Tensor, Tensor]:
    """Strength of the light in which a ground looks most like x, and the squared distance that is left.

    Shape:
        x, ground: (batch, channels, height, width). Returns (batch, height, width), twice.
    """
    light = (x * ground).sum(1) / _bright(ground)
    return light, (x - light[:, None] * ground).square().sum(1)


def in_any_light(images: Images) -> Tensor:
    """Where images have the hue of their median colour, (batch, side, side), bool; needs no model.

    A pixel has it if a light brings the median colour as near to it as noise brings all but one in ten thousand.
    """
    x = as_images(images)
    colour = x.flatten(2).median(2).values[:, :, None, None].expand_as(x)
    across = light_of(x, colour)[1]
    noise = _noise(across, torch.ones_like(across, dtype=torch.bool))
    return across < -2 * math.log(1e-4) * noise[:, None, None] ** 2


def _bright(ground: Tensor) -> Tensor:
    return ground.square().sum(1).clamp(min=DARKEST)


def _light(x: Images, ground: Tensor, held: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The ground in the light of this image, the strength of light left in shadows, and the noise.

    Args:
        held: (batch, side, side), bool, pixels that the ground holds; where it holds none, all are taken.
    """
    held = held | ~held.flatten(1).any(1)[:, None, None]
    light, across = light_of(x, ground)
    full = _median(light, held).clamp(min=STEP)
    noise = _noise(across, held)
    left = light / full[:, None, None]
    weight = (-across / (2 * noise[:, None, None] ** 2)).exp() * ~held
    counts = [(weight * (-((left - strength) ** 2) / (2 * WIDTH**2)).exp()).flatten(1).sum(1) for strength in STRENGTHS]
    strength = STRENGTHS.to(x)[torch.stack(counts, 1).argmax(1)]
    return ground * full[:, None, None, None], strength, noise


def _noise(across: Tensor, where: Tensor) -> Tensor:
    """Sigma (batch,) for which squared distances across the ground's colour, of two channels, have the median seen."""
    return (_median(across, where) / (2 * math.log(2))).sqrt().clamp(min=STEP)


def _median(values: Tensor, where: Tensor) -> Tensor:
    return torch.where(where, values, torch.nan).flatten(1).nanmedian(1).values
