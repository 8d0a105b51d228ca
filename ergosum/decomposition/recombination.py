"""Images decomposed into components, and recombined.

Everything here is descent on sums of energies: of all components the image, of one the component alone, of components
of two images a recombination, of twice as many an image with twice the objects.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.calibration import scale_of
from ergosum.compose import And, Scaled
from ergosum.data.images_given import as_images
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.shadows import masks_without_shadows
from ergosum.nets.slots import PLACE
from ergosum.samplers.chain import run
from ergosum.samplers.descent import Descent
from ergosum.shapes import Images, Latents

__all__ = [
    "ATTEMPTS",
    "Decomposed",
    "Share",
    "by_unit",
    "combine",
    "decompose",
    "encode_best",
    "energy_scale",
    "masks_of",
    "recombine",
    "recompose",
    "refuse_unlike",
]

ATTEMPTS = 4
"""How often an encoder with places looks at an image."""
NEAR = 9
"""Side of the square of pixels over which errors are averaged to tell where something was missed."""


class Decomposed(NamedTuple):
    """Images decomposed.

    Shape:
        latents: (batch, K, D). whole: (batch, 3, side, side), recomposed. masks: (batch, K, side, side), shares that
        sum to one at every pixel. alone: (batch, K, 3, side, side), each component's own minimum. shadows: (batch, K,
        side, side), if they were asked for: the part of the first mask that is in each component's shadow.
    """

    latents: Latents
    whole: Images
    masks: Tensor
    alone: Tensor
    shadows: Tensor | None = None


@torch.no_grad()
def decompose(
    model: ImageDecomposer,
    images: Images,
    generator: Generator | None = None,
    components: int | None = None,
    shadows: bool = False,
) -> Decomposed:
    """Latents, recomposition, masks and components of images.

    Args:
        images: floats in 0 .. 1, or bytes 0 .. 255, of the side of the model's canvas.
        generator: of the noise that descents start from. components: K, if another than was trained with.
        shadows: give every shadow to the ground, see `masks_without_shadows`.
    Shape:
        images: (batch, 3, side, side).
    Raises:
        TypeError, ValueError: if images are of another kind, shape, layout or range (see `as_images`), or the model has
        no ground that shadows could fall on.
    """
    images = as_images(images, model.canvas)
    latents = encode_best(model, images, generator, components)
    alone = [recompose(model, latents, generator, [k]) for k in range(latents.shape[1])]
    made = Decomposed(
        latents, recompose(model, latents, generator), masks_of(model, latents, images), torch.stack(alone, 1)
    )
    if not shadows:
        return made
    told = masks_without_shadows(model, latents, images)
    return made._replace(masks=told.masks, shadows=told.shadows)


@torch.no_grad()
def encode_best(
    model: ImageDecomposer,
    images: Images,
    generator: Generator | None = None,
    components: int | None = None,
    attempts: int = ATTEMPTS,
) -> Latents:
    """Latents (batch, K, D) of images by iterative refinement: of several attempts those that recompose an image best.

    The first attempt of an encoder with places starts from evenly spread ones. Each other attempt starts from the
    places that were found, but for one component that holds little, which starts where the image is recomposed worst.
    Other encoders, whose latents are always the same, are asked once.

    Raises:
        TypeError, ValueError: if `components` < 1, or images are none that can be decomposed (see `as_images`).
    """
    images = as_images(images, model.canvas)
    if components is not None and components < 1:
        raise ValueError(f"components: expected at least 1, got {components}.")
    found = model.eval().encode(images, components=components)
    if not model.placed:
        return found
    missed, masks = _missed(model, found, images, generator)
    failures = torch.zeros(len(images), dtype=torch.long, device=images.device)
    for _ in range(attempts - 1 if masks.shape[1] > model.globals else 0):
        places = _elsewhere(found, missed, masks[:, model.globals :], failures)
        other = model.encode(images, components=components, places=places)
        other_missed, other_masks = _missed(model, other, images, generator)
        better = other_missed.sum((1, 2)) < missed.sum((1, 2))
        chosen = better[:, None, None]
        found, missed = torch.where(chosen, other, found), torch.where(chosen, other_missed, missed)
        masks = torch.where(chosen[..., None], other_masks, masks)
        failures = torch.where(better, 0, failures + 1)
    return found


def _missed(
    model: ImageDecomposer, latents: Latents, images: Images, generator: Generator | None
) -> tuple[Tensor, Tensor]:
    """Squared error of every pixel of the recomposed images, (batch, side, side), and masks."""
    path = model(torch.rand(images.shape, generator=generator).to(images), generator=generator, latents=latents)
    assert path.masks is not None
    return (path.frames[-1].clamp(0, 1) - images).square().sum(1), path.masks


def _elsewhere(latents: Latents, missed: Tensor, masks: Tensor, failures: Tensor) -> Tensor:
    """Where components start to look again, (batch, K, 2): where they were, but for one.

    That one is the component that holds least, or after two failures in a row the one that holds second least, and so
    on; it goes to where most is missed around, or after an odd number of failures to the second such place.

    Shape:
        missed: (batch, side, side). masks: of components with a place, (batch, placed, side, side).
    """
    side, placed = missed.shape[-1], masks.shape[1]
    around = F.avg_pool2d(missed[:, None], NEAR, 1, NEAR // 2, count_include_pad=False)[:, 0]
    worst = around.flatten(1).argmax(1)
    line = torch.arange(side, device=missed.device)
    far = ((line - (worst // side)[:, None]).abs() > NEAR)[:, :, None] | (
        (line - (worst % side)[:, None]).abs() > NEAR
    )[:, None]
    second = (around * far).flatten(1).argmax(1)
    goal = torch.where(failures % 2 > 0, second, worst)
    least = masks.flatten(2).sum(2).argsort(1).gather(1, (failures // 2 % placed)[:, None])[:, 0]
    places = latents[..., -PLACE : 2 - PLACE].clone()
    rows = torch.arange(len(places), device=places.device)
    places[rows, least + latents.shape[1] - placed] = torch.stack([goal % side, goal // side], 1) * (2 / (side - 1)) - 1
    return places


@torch.no_grad()
def recompose(
    model: ImageDecomposer, latents: Latents, generator: Generator | None = None, active: Sequence[int] | None = None
) -> Images:
    """The image at the bottom of the (active) components' energies, found from noise; pixels in [0, 1]."""
    shape = (len(latents), 3, model.canvas, model.canvas)
    noise = torch.rand(shape, generator=generator).to(latents.device)
    return model.eval()(noise, generator=generator, active=active, check=True, latents=latents).frames[-1].clamp(0, 1)


@torch.no_grad()
def masks_of(model: ImageDecomposer, latents: Latents, images: Images) -> Tensor:
    """Each component's share in every pixel, (batch, K, side, side).

    For experts, shares of the precision. For other energies the size of $grad_x E_k$ at the image, summed over
    channels and normalised over components: where a component would change the image is what it is about.
    """
    bound = [model.bind(latents, None, active=[k]) for k in range(latents.shape[1])]
    if model.curved:
        strength = [b.curvature()[:, 0] for b in bound]  # type: ignore[operator]
    else:
        strength = [b.gradient(images).abs().sum(1) for b in bound]
    total = torch.stack(strength, 1)
    return total / total.sum(1, keepdim=True).clamp(min=torch.finfo(total.dtype).tiny)


def combine(*latents: Latents, globals: int = 0) -> Latents:
    """All components of several images in one set; of the first `globals` components only the first image's.

    Shape:
        latents: (batch, K_i, D) each. Returns (batch, K, D).
    Raises:
        ValueError: if batches or widths differ.
    """
    shapes = {(len(z), z.shape[2]) for z in latents}
    if len(shapes) != 1:
        raise ValueError(f"combine: expected latents of one batch and width, got {sorted(shapes)}.")
    first, *others = latents
    return torch.cat([first, *(z[:, globals:] for z in others)], 1)


def by_unit(latents: Latents) -> Latents:
    """Latents by what can be exchanged between images: components; of a single component, its D numbers.

    A view, so that what is written into it is in the latents.

    Shape:
        latents: (batch, K, D). Returns (batch, K, D), or (batch, D, 1) if K = 1.
    """
    return latents if latents.shape[1] > 1 else latents.transpose(1, 2)


class Share(NamedTuple):
    """What one model gives to an image that several make: components (all if None) of its latents, and a weight.

    Shape:
        latents: (batch, K, D).
    """

    model: ImageDecomposer
    latents: Latents
    active: Sequence[int] | None = None
    weight: float = 1.0


def energy_scale(
    model: ImageDecomposer, images: Images, generator: Generator | None = None, noise: float = 0.1
) -> float:
    """The weight that brings a model's energy to unit temperature on its own images (see `calibrate.scale_of`).

    Models trained apart have energies of any scale; in an uncalibrated sum the one of the larger scale decides alone.
    A single image is noised twice.
    """
    images = images if len(images) > 1 else images.repeat(2, 1, 1, 1)
    latents = encode_best(model, images, generator)
    return scale_of(model.bind(latents, None), images, noise=noise, generator=generator).weight


def refuse_unlike(models: Sequence[ImageDecomposer]) -> None:
    """Refuse models whose energies cannot be added: other canvases, or experts with energies of another kind.

    Raises:
        ValueError: which ones they are.
    """
    if len({(m.canvas, m.curved) for m in models}) != 1:
        kinds = [f"{type(m.energies[0]).__name__} on {m.canvas} x {m.canvas} pixels" for m in models]
        raise ValueError(f"Energies to add: expected one canvas, and experts with experts, got {' and '.join(kinds)}.")


@torch.no_grad()
def recombine(shares: Sequence[Share], generator: Generator | None = None) -> tuple[Images, Tensor]:
    """The image at the bottom of a sum of several models' components, and each component's share of its pixels.

    Experts take Newton steps, of which one lands on the minimum; other energies descend with each model's step size.

    Shape:
        Returns (batch, 3, side, side) in [0, 1], and (batch, all components, side, side).
    Raises:
        ValueError: as `refuse_unlike`, or if batches differ.
    """
    refuse_unlike([s.model for s in shares])
    side, batch = shares[0].model.canvas, len(shares[0].latents)
    if any(len(s.latents) != batch for s in shares):
        raise ValueError(f"recombine: expected latents of one batch, got {[len(s.latents) for s in shares]}.")
    curved = shares[0].model.curved
    terms, alone = [], []
    for s in shares:
        model = s.model.eval()
        unit = s.weight * (1.0 if curved else model.log_step.exp().item())
        terms.append(Scaled(unit, model.bind(s.latents, None, active=s.active)))
        chosen = range(s.latents.shape[1]) if s.active is None else s.active
        alone += [(unit, model.bind(s.latents, None, active=[k])) for k in chosen]
    energy = And(*terms)
    x = torch.rand((batch, 3, side, side), generator=generator)
    steps = max(s.model.descent.steps for s in shares)
    strength = torch.stack([unit * one.curvature()[:, 0] for unit, one in alone], 1) if curved else None  # type: ignore[operator]
    sampler = Descent(step_size=1.0 if strength is None else 1 / strength.sum(1, keepdim=True))
    for step in run(sampler, energy, x, steps, check=True):
        x = step.x
    if strength is None:
        strength = torch.stack([unit * one.gradient(x).abs().sum(1) for unit, one in alone], 1)
    return x.clamp(0, 1), strength / strength.sum(1, keepdim=True).clamp(min=torch.finfo(strength.dtype).tiny)
