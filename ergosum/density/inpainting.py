r"""Hidden pixels drawn from a density, given the known ones.

In pixels, a known pixel is a known number: the ladder of noise levels keeps it at its value plus the level's noise, and
moves the rest. Steps down the ladder alone hardly heed the known pixels, whose noise hides them where hidden ones are
decided; trajectories of Hamiltonian Monte Carlo at each level mend that, and few of them do (for two coordinates of
correlation .8, one of which is known: .69 of 1.2 without, 1.02 with four Langevin steps at each of 20 levels, 1.19 with
one trajectory of four, at the same cost).

In codes nothing is known directly. A code z is as likely as its density says, times how well its image fits:

$$ E(z) + \| m (D(z) - x) \|^2 / 2 s^2 $$

with m the mask of known pixels, D the decoder and s the error that a decoder makes anyway. On the ladder s grows with
the noise level. The image is that of the code, with the known pixels put back: what the decoder cannot draw is not
recovered.
"""

import torch
from torch import Generator, Tensor

from ergosum.data.fills import harmonic
from ergosum.data.masks import Mask, check_known
from ergosum.density.model import Density
from ergosum.energy import Energy, summed
from ergosum.metrics.hidden_error import hidden_error
from ergosum.report.strips import sheet
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.ladder import NoiseLadder
from ergosum.samplers.mala import Mala
from ergosum.samplers.reverse import levels
from ergosum.shapes import Batch, PerSample
from ergosum.training.task import Samples, Table

__all__ = ["Fit", "completed", "inpaint", "inpainted"]

STRIDE, LENGTH = 0.5, 4
"""Steps of a trajectory in units of the level, to begin with, and how many."""
FIT = 0.1
"""s, in units of intensity: about what the autoencoders' images of held-out digits miss by."""
SPREAD = 0.3
"""How much of a level's noise, in units of standardised codes, is allowed for in their images' intensities."""


class Fit(Energy):
    r"""How well the image of a code fits known pixels: $\sum_p m_p (D(z)_p - x_p)^2 / 2 s^2$.

    At noise level sigma, s becomes $\sqrt{s^2 + (0.3 \sigma)^2}$: an approximation, not the energy of noised codes, so
    draws through it are those of the lowest level's energy as far as its corrections get there.

    Args:
        decode: codes (batch, D) -> images (batch, C, side, side). images, known: one for each of a batch, in [0, 1],
            and Booleans of their shape. deviation: s > 0.
    """

    remembers = False

    def __init__(self, decode: object, images: Tensor, known: Tensor, deviation: float = FIT) -> None:
        super().__init__()
        self.decode, self.deviation = decode, deviation
        self.register_buffer("images", images)
        self.register_buffer("known", known)

    def forward(self, x: Batch) -> PerSample:
        """(batch,)."""
        gap = torch.where(self.known, self.decode(x) - self.images, 0)  # type: ignore[operator, arg-type]
        return summed(gap**2) / (2 * self.deviation**2)

    def at_noise(self, sigma: float) -> "Fit":
        """With the deviation of the level."""
        wide = (self.deviation**2 + (SPREAD * sigma) ** 2) ** 0.5
        return Fit(self.decode, self.images, self.known, wide)  # type: ignore[arg-type]


def completed(
    energy: Energy,
    x: Tensor,
    known: Tensor,
    *,
    lowest: float,
    noise: float,
    steps: int,
    corrections: int = 1,
    generator: Generator | None = None,
) -> Tensor:
    """Hidden numbers drawn anew from an energy with noise levels, given the known ones.

    Args:
        x: where hidden ones start, (batch, *event), beside the known ones; noise of deviation `noise` is added to all.
            known: Booleans of its shape. lowest: the last level. steps: levels, >= 2. corrections: trajectories at
            each level, >= 0.
    Returns:
        x with the hidden numbers replaced by the mean of the data given the last level.
    """
    kernel = {"correction": Hmc(step_size=STRIDE, length=LENGTH), "corrections": corrections} if corrections else {}
    ladder = NoiseLadder(levels=levels(lowest, noise, steps), denoise=True, **kernel)
    device = x.device if generator is None else generator.device
    noisy = x + noise * torch.randn(x.shape, generator=generator, device=device).to(x)
    return ladder.sample(energy, noisy, known=x, mask=~known, generator=generator).x


def inpaint(
    model: Density,
    images: Tensor,
    known: Tensor,
    c: Tensor | None = None,
    *,
    n: int = 1,
    steps: int = 20,
    corrections: int = 1,
    noise: float = 0.0,
    generator: Generator | None = None,
) -> Tensor:
    """Draws of images whose known pixels are given.

    Args:
        images: (batch, C, side, side) in [0, 1], anything at hidden pixels. known: Booleans, True where a pixel is
            known, see `data.masks`. c: conditions, one for all or one for each; None for the prior's. n: draws of each.
            steps: noise levels, >= 2. corrections: trajectories at each level, >= 0. noise: level to start from, in
            units of the space; 0 takes four times the deviation of the data.
    Returns:
        (n, batch, C, side, side) in [0, 1]; known pixels are as given.
    Raises:
        ValueError: if the mask does not fit, hides nothing or all of an image, or the density has no noise levels.
    Source: Lugmayr et al. 2022 (RePaint) and Song et al. 2021 (known pixels noised at each level). Differs: corrections
        by trajectories at each level instead of going back up.
    """
    family = model.family
    if not hasattr(family, "lowest"):
        raise ValueError(
            f"inpaint: {type(family).__name__} has no noise levels to start from; use a density over noise levels."
        )
    mask = check_known("inpaint", known, images).repeat(n, 1, 1, 1)
    shown = torch.where(mask, images.repeat(n, 1, 1, 1), 0)
    conditions = (
        family.conditions.none(len(shown))
        if c is None
        else _for_each(c, len(images), family).repeat(n, *[1] * family.condition_dims)
    )
    member = family(conditions)
    wide = noise or 4 * float(family.deviation)
    wide = min(wide, family.highest)
    centre = family.mean.expand(len(shown), *family.event)
    if model.space.direct:
        x = torch.where(mask, model.encode(shown), centre)
        made = model.decode(
            completed(member, x, mask, lowest=family.lowest, noise=wide, steps=steps, corrections=corrections,
                      generator=generator)
        )  # fmt: skip
    else:
        device = None if generator is None else generator.device
        z = centre + wide * torch.randn(centre.shape, generator=generator, device=device).to(centre)
        ladder = NoiseLadder(
            levels=levels(family.lowest, wide, steps), correction=Mala(step_size=0.1), corrections=max(1, corrections)
        )
        total = member & Fit(model.decode, shown, mask)
        made = model.decode(ladder.sample(total, z, generator=generator).x)
    return torch.where(mask, shown, made).detach().unflatten(0, (n, len(images)))


def _for_each(c: Tensor, batch: int, family: object) -> Tensor:
    """One condition for each of a batch."""
    alone = c.ndim == family.condition_dims  # type: ignore[attr-defined]
    return c.expand(batch, *c.shape) if alone else c


def inpainted(
    model: Density,
    image: Tensor,
    mask: Mask,
    *,
    condition: str = "",
    n: int = 4,
    steps: int = 20,
    corrections: int = 1,
    seed: int = 0,
) -> Samples:
    """One image with its hidden pixels drawn n times: a sheet, and how far the draws are from what the image has there.

    Args:
        image: (1, C, side, side) in [0, 1]. mask: what it hides. condition: number or name of a class; empty for none.
            n: >= 1. steps, corrections: as `inpaint`. seed: of mask and draws.
    Raises:
        ValueError: for settings out of range, an unknown class, or a mask that does not fit.
    """
    if n < 1:
        raise ValueError(f"n: expected one draw or more, got {n}.")
    generator = Generator().manual_seed(seed)
    known = check_known("inpaint", mask.known(tuple(image.shape), generator), image)
    c = _condition(model, condition)
    model.eval()
    draws = inpaint(model, image, known, c, n=n, steps=steps, corrections=corrections, generator=generator)[:, 0]
    smooth = harmonic(image, known)
    found = {"one draw": hidden_error(draws, image.expand_as(draws), known.expand_as(draws)).mean().item()}
    for name, made in (("median", draws.median(0, keepdim=True).values), ("harmonic", smooth)):
        found[name] = hidden_error(made, image, known).item()
    numbers = {"hidden": 1 - known.float().mean().item(), "condition": condition, "n": n, "seed": seed,
               "space": type(model.space).__name__.lower(), "difference": found}  # fmt: skip
    given = torch.where(known, image, 0.35)
    frames = torch.cat([image, given, smooth, draws])
    colour = frames if frames.shape[1] == 3 else frames.mean(1, keepdim=True).expand(-1, 3, -1, -1)
    titles = ["image", "given", "harmonic", *(f"draw {k + 1}" for k in range(n))]
    told = Table(
        ("fill",), {"difference": 4}, [{"fill": k, "difference": v} for k, v in found.items()],
        "mean difference from the image's own hidden pixels, 0 .. 1",
    )  # fmt: skip
    return Samples(sheet([("", colour)], titles, max(1, 112 // model.side), boxed=()), numbers, (told,))


def _condition(model: Density, text: str) -> Tensor | None:
    """A class by name or number."""
    if not text:
        return None
    names = model.names
    number = names.index(text) if text in names else int(text) if text.isdecimal() else -1
    if not 0 <= number < len(names):
        known = f"0 .. {len(names) - 1} or {', '.join(names)}" if names else "none: this density has no classes"
        raise ValueError(f"--condition {text}: expected {known}.")
    return torch.tensor(number)
