r"""Score matching by denoising from incomplete data: the loss is of known pixels alone.

Noise is added to whole images, whose hidden pixels are filled, and the score is matched where the truth is known:

$$ \sum_p m_p \left( \sigma \partial_p L(x_\sigma) + z_p \right)^2 / \sum_p m_p $$

Masks differ from example to example, so that each pixel is known in some, and an energy does not see which: it learns
to denoise every pixel from its surroundings. Fills start as `fills.harmonic`; once the energy knows something, the
hidden pixels of an example are drawn anew by it, given the known ones, every few visits, from where they were: data
augmentation, with the energy as the imputer. With a whole image known this is `DenoisingScore` without time score.

Source: Vincent 2011 (denoising); Tanner & Wong 1987 (imputing by the present model). Differs: restricted to known
pixels, which fills that are wrong then mislead as inputs alone.
"""

import torch
from torch import Generator, Tensor

from ergosum.density.inpainting import completed
from ergosum.density.objective import Given, Objective
from ergosum.density.objectives.denoising import slopes
from ergosum.density.objectives.fills import Fills
from ergosum.training.task import Losses

__all__ = ["MaskedScore"]


class MaskedScore(Objective):
    """Denoising on known pixels, with hidden ones filled by the energy as it learns.

    Args:
        begin: share of training after which hidden pixels are drawn anew, 0 .. 1; 1 keeps the first fill. every: visits
            of an example between two draws, >= 1. noise: level from which hidden pixels are drawn anew, in units of
            the data's deviation, > 0. steps: levels on the way, >= 2; each costs as much as three updates or so.
    Raises:
        ValueError: for settings out of range, or without incomplete data.
    """

    incomplete = True

    def __init__(self, begin: float = 0.5, every: int = 6, noise: float = 0.6, steps: int = 4) -> None:
        if not 0 <= begin <= 1 or every < 1 or not noise > 0 or steps < 2:
            raise ValueError(
                f"MaskedScore: expected 0 <= begin <= 1, every >= 1, noise > 0 and steps >= 2, got {begin!r}, "
                f"{every!r}, {noise!r} and {steps!r}."
            )
        self.begin, self.every, self.noise, self.steps = begin, every, noise, steps
        self.fills = Fills()

    def loss(
        self, family: "torch.nn.Module", x: Tensor, c: Tensor, generator: Generator, progress: float,
        given: Given | None = None,
    ) -> Losses:  # fmt: skip
        """The masked loss at one level for each sample; the error is that of denoising known pixels, the reference the
        Gaussian's.
        """
        if given is None:
            raise ValueError("MaskedScore: expected incomplete data, such as `Incomplete`, which say what is known.")
        x, moved = self._filled(family, x, c, generator, progress, given)
        log_sigma = family.levels(len(x), generator)  # type: ignore[operator]
        noisy, z = family.noised(x, log_sigma, generator)  # type: ignore[operator]
        score, _ = slopes(family, noisy, log_sigma, c, change=False)
        share = given.known.to(x)
        share = share / share.flatten(1).sum(1).clamp_min(1).reshape(-1, *[1] * (x.ndim - 1))
        denoising = (share * (score + z).square()).flatten(1).sum(1)
        y, level = family.placed(noisy, log_sigma)  # type: ignore[operator]
        reference = (share * (z - level.sigma * y / level.spread**2).square()).flatten(1).sum(1)
        health = {} if moved is None else {"fill": moved}
        loss = denoising.mean()
        return Losses(loss, loss.detach(), reference.mean().detach(), health=health)

    @torch.no_grad()
    def _filled(
        self, family: "torch.nn.Module", x: Tensor, c: Tensor, generator: Generator, progress: float, given: Given
    ) -> tuple[Tensor, Tensor | None]:
        """The batch with its present fills, after those that are due were drawn anew; by how much these moved."""
        x, visits = self.fills.fill(x, given)
        due, moved = visits % self.every == 0, None
        if self.begin < 1 and progress >= self.begin and due.any():
            hidden = ~given.known[due]
            anew = completed(
                family(c[due]), x[due], ~hidden, lowest=family.lowest,  # type: ignore[arg-type]
                noise=self.noise * float(family.deviation), steps=self.steps, generator=generator,  # type: ignore[arg-type]
            )  # fmt: skip
            moved = ((anew - x[due]).abs() * hidden).sum() / hidden.sum().clamp_min(1)
            x = x.clone()
            x[due] = anew
        self.fills.keep(x, given)
        return x, moved

    def state(self) -> dict[str, Tensor]:
        """Fills, and how often each example was seen."""
        return self.fills.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up fills."""
        self.fills.load(state)
