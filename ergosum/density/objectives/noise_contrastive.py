r"""Noise-contrastive estimation: tell data from samples of a known density, and the energy is normalised.

With $\nu$ samples of noise of density q for each sample of data, the classifier whose logit is

$$ G(x, c) = -E(x | c) - \log q(x) - \log \nu - \log \pi(c) $$

is best where $\exp(-E(x | c)) = p(x, c)$, *including its scale*: the additive constant of the energy, which every
network here has, is learned as log Z, so that log Z of the prior is 0 and that of class c is log p(c). Noise is a
Gaussian of the data's mean and covariance, its classes are uniform. It teaches where noise and data overlap, so it is
for codes and points of few dimensions; of images in pixels the classifier soon is always right and nothing is learned.

Source: Gutmann & Hyvärinen 2010. Differs: classes are part of what is told apart.
"""

from math import log
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.density.objective import Objective
from ergosum.density.objectives.starts import FromNoise, GaussianNoise, Start
from ergosum.part import Part
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.state import Sampler
from ergosum.training.task import Losses

__all__ = ["NoiseContrastive"]

LEAST = 1e-3
"""Added to the covariance, times the mean variance, so that directions without any have a density."""


class NoiseContrastive(Objective):
    """The classifier's cross-entropy.

    Args:
        ratio: samples of noise for each of the data, >= 1. spread: of the Gaussian, in its own deviations, > 0.
            data_noise: standard deviation of noise added to the data, >= 0, in units of x. classes: whether data have
            their conditions; without, all are of the prior. start, sampler, steps: how samples are drawn of what
            it has learned; training takes none.
    Raises:
        ValueError: for settings out of range; from losses, before the data were seen.
    """

    levels = False

    def __init__(
        self,
        ratio: int = 1,
        spread: float = 1.0,
        data_noise: float = 0.0,
        classes: bool = True,
        start: Part[Start] = Part(FromNoise, noise=Part(GaussianNoise)),  # noqa: B008
        sampler: Part[Sampler] = Part(Langevin, step_size=0.02),  # noqa: B008
        steps: int = 300,
    ) -> None:
        if ratio < 1 or not spread > 0 or not data_noise >= 0:
            raise ValueError(
                f"NoiseContrastive: expected ratio >= 1, spread > 0 and data_noise >= 0, got {ratio!r}, {spread!r} and "
                f"{data_noise!r}."
            )
        self.ratio, self.spread, self.data_noise, self.classes = ratio, spread, data_noise, classes
        self.start, self.sampler, self.steps = start.build(), sampler.build(), steps
        self.mean: Tensor | None = None
        self.root = torch.zeros(0, 0)

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take mean and covariance of data (n, *event)."""
        flat = x.flatten(1).double()
        size = flat.shape[1]
        centred = flat - flat.mean(0)
        covariance = centred.T @ centred / len(flat)
        floor = LEAST * covariance.diagonal().mean() + self.data_noise**2
        covariance = self.spread**2 * (covariance + floor * torch.eye(size, dtype=flat.dtype, device=x.device))
        self.mean, self.root = flat.mean(0).to(x), torch.linalg.cholesky(covariance).to(x)

    def noise(self, x: Tensor, generator: Generator) -> Tensor:
        """`ratio` samples of noise for each of x."""
        z = torch.randn(self.ratio * len(x), self.root.shape[0], generator=generator).to(x)
        assert self.mean is not None
        return (self.mean + z @ self.root.T).reshape(-1, *x.shape[1:])

    def log_noise(self, x: Tensor) -> Tensor:
        """$\\log q(x)$, (batch,)."""
        assert self.mean is not None
        z = torch.linalg.solve_triangular(self.root, (x.flatten(1) - self.mean).T, upper=False)
        return -z.square().sum(0) / 2 - self.root.diagonal().log().sum() - log(2 * torch.pi) * len(self.mean) / 2

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """The cross-entropy per sample of the data; the error is the share told wrongly."""
        if self.mean is None:
            raise ValueError("NoiseContrastive: expected fit(data) before the first loss, as the task does it.")
        c = c if self.classes else torch.full_like(c, -1)
        if self.data_noise:
            x = x + self.data_noise * torch.randn(x.shape, generator=generator).to(x)
        noise, count = self.noise(x, generator), getattr(family, "classes", 0)
        of_noise = c.repeat(self.ratio)
        if count > 1:
            drawn = torch.randint(count, of_noise.shape, generator=generator).to(c)
            of_noise = torch.where(of_noise < 0, of_noise, drawn)
        points, told = torch.cat([x, noise]), torch.cat([c, of_noise])
        share = torch.where(told < 0, 0.0, -log(max(1, count)))
        logit = -family.bind(told, None)(points) - self.log_noise(points) - log(self.ratio) - share
        right, wrong = logit[: len(x)], logit[len(x) :]
        loss = F.softplus(-right).mean() + self.ratio * F.softplus(wrong).mean()
        missed = ((right < 0).sum() + (wrong > 0).sum()) / len(logit)
        return Losses(loss, missed.detach(), health={"gap": (wrong.mean() - right.mean()).detach()})

    def state(self) -> dict[str, Tensor]:
        """The noise's mean and the root of its covariance."""
        return {} if self.mean is None else {"mean": self.mean, "root": self.root}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a noise."""
        if state:
            self.mean, self.root = state["mean"].clone(), state["root"].clone()
