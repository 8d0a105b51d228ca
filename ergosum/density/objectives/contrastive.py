r"""Contrastive divergence: lower the energy of the data, raise that of samples of the model itself.

$$ \nabla_\theta \, KL(p_{data} \| p_\theta)
   = E_{data} \nabla_\theta E_\theta(x) - E_{p_\theta} \nabla_\theta E_\theta(x) $$

at temperature 1; the samples are the ends of short chains, and where these start (`starts.py`) tells the published
methods apart: on the data (CD-k), where earlier chains ended (persistent), or from noise (short-run). Added are the
squares of both energies, times a small weight, because the difference alone leaves their scale free.

Chains of a temperature T fit $exp(-E / T)$ to the data: the objective tells T, and the family that it trains records
it, so that `energy.in_units()` is E / T.

Source: Hinton 2002; Du & Mordatch 2019 (squares, buffer); Nijkamp et al. 2019 (short-run). Differs: restarts and
conditions are each chain's own; the squares carry one half of the weight each, as a mean over both.
"""

from math import isfinite
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.density.objective import Objective
from ergosum.density.objectives.starts import Replay, Start
from ergosum.energy import Energy
from ergosum.part import Part
from ergosum.samplers.chain import frozen, run
from ergosum.samplers.presets import ShortRun
from ergosum.samplers.state import Info, Sampler
from ergosum.training.task import DivergenceError, Losses

__all__ = ["ContrastiveDivergence"]


class ContrastiveDivergence(Objective):
    """The mean energy of data less that of samples, plus `squares` times the mean of both squared.

    Args:
        start: where chains start. sampler: takes their steps; one with a `temperature` tells it. steps: of every chain
            in an update, >= 1; 0 takes the sampler's own number. squares: weight, >= 0, per unit of the energy.
            data_noise: standard deviation of the noise added to the data, >= 0 in units of x, without which an energy
            can tell data from samples by pixels that never vary; None takes the sampler's own. classes: whether data
            and chains have their conditions; without, all are of the prior. bound: mean energies further than this
            from zero, or from each other, count as divergence.
    Raises:
        ValueError: for settings out of range. From losses, DivergenceError: beyond the bound.
    """

    levels = False

    def __init__(
        self,
        start: Part[Start] = Part(Replay),  # noqa: B008
        sampler: Part[Sampler] = Part(ShortRun, steps=20, step_size=1.0, noise=0.01, data_noise=0.03),  # noqa: B008
        steps: int = 0,
        squares: float = 0.1,
        data_noise: float | None = None,
        classes: bool = True,
        bound: float = 1e4,
    ) -> None:
        self.start, self.sampler = start.build(), sampler.build()
        self.steps = steps or getattr(self.sampler, "steps", 0)
        self.data_noise = getattr(self.sampler, "data_noise", 0.0) if data_noise is None else data_noise
        self.squares, self.classes, self.bound = squares, classes, bound
        for name in ("squares", "data_noise"):
            if not (isfinite(getattr(self, name)) and getattr(self, name) >= 0):
                raise ValueError(f"ContrastiveDivergence: expected {name} >= 0, got {getattr(self, name)!r}.")
        if self.steps < 1 or not bound > 0:
            raise ValueError(
                f"ContrastiveDivergence: expected steps >= 1 (a {type(self.sampler).__name__} has none of its own) and "
                f"bound > 0, got {steps!r} and {bound!r}."
            )

    @property
    def temperature(self) -> float | None:
        """T of the chains, so that data are distributed as $exp(-E / T)$; None of a descent without noise."""
        told = getattr(self.sampler, "temperature", 1.0)
        return round(float(told), 12) if isinstance(told, int | float) and told > 0 else None

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """The difference of energies; the error is its absolute value."""
        if not self.classes:
            c = torch.full_like(c, -1)
        data = x + self.data_noise * torch.randn(x.shape, generator=generator).to(x) if self.data_noise else x
        begun = self.start.begin(data, c, generator)
        made, health = self.sampled(family.bind(begun.c, None), begun.x, generator)
        health |= self.start.end(made)
        energies = family.bind(torch.cat([c, begun.c]), None)(torch.cat([data, made]))
        low, high = energies[: len(data)].mean(), energies[len(data) :].mean()
        gap = low - high
        self._watch(low, high)
        health = {"gap": gap.detach(), "data": low.detach(), **health}
        return Losses(gap + self.squares * energies.square().mean(), gap.detach().abs(), health=health)

    def sampled(self, energy: Energy, x: Tensor, generator: Generator) -> tuple[Tensor, dict[str, Tensor]]:
        """Ends of chains from x, and how they fared: mean norm of the gradient, root mean square of what moved, and
        acceptance or clipped share where the sampler has them.
        """
        end, told = x, []
        with frozen(energy):
            for step in run(self.sampler, energy, x, self.steps, generator=generator):
                end = step.x
                told.append(step.info)
        end = end.detach()
        health = {"gradient": _mean([i.gradient_norm for i in told]), "moved": (end - x).square().mean().sqrt()}
        for name in ("acceptance", "clipped"):
            if getattr(told[0], name) is not None:
                health[name] = _of(told, name)
        return end, health

    def _watch(self, low: Tensor, high: Tensor) -> None:
        worst = max(abs(low.item()), abs(high.item()), abs(low.item() - high.item()))
        if not worst <= self.bound:
            raise DivergenceError(
                f"energies of data and samples are {low.item():.3g} and {high.item():.3g} on average, beyond the bound "
                f"of {self.bound:g}"
            )

    def state(self) -> dict[str, Tensor]:
        """The chains."""
        return self.start.state()

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up chains."""
        self.start.load(state)


def _mean(values: list[Tensor]) -> Tensor:
    return torch.stack([v.to(torch.float32).mean() for v in values]).mean()


def _of(told: list[Info], name: str) -> Tensor:
    return _mean([getattr(i, name) for i in told])
