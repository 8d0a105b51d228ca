"""Gibbs with gradients: a sampler of binary variables that flips where the slope says that it is worth it."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy
from ergosum.samplers.guards import expect_shape, expect_value
from ergosum.samplers.mala import accept
from ergosum.samplers.state import Info, State, start
from ergosum.samplers.tensors import along, expect_mask
from ergosum.shapes import Batch

__all__ = ["GibbsWithGradients"]


@dataclass(frozen=True, kw_only=True)
class GibbsWithGradients:
    r"""Flip one of D binary variables, drawn with probability

    $$ q(i \mid x) \propto \exp(-d_i(x) / 2T), \qquad d_i(x) = (1 - 2 x_i)\, \partial_i E(x), $$

    where $d_i$ is what flipping i would change E by, to first order; accept with probability

    $$ \min\left(1, e^{-(E(y) - E(x)) / T}\, q(i \mid y) / q(i \mid x)\right). $$

    The target is exp(-E / T) on the 2^D corners of the cube, normalised by a sum over them. Where E has no slope, as
    `Clauses` between its thresholds, every variable is proposed as often as any other, which is still exact; with
    `differences` the true change of every flip stands in for the slope.

    Args:
        temperature: T > 0, one number or one per chain.
        differences: whether $\partial_i E$ is the difference $E(x_i = 1) - E(x_i = 0)$, the others as they are, instead
            of the gradient: exact, for energies without a useful slope, at D more evaluations per step.
        mask: 1 for variables that may flip, 0 for fixed ones, broadcastable to x.
    Shape:
        x: (batch, *event), of zeros and ones.
    Raises:
        ValueError: for a temperature that is not positive, a mask of other values than 0 and 1 or without a 1, an x
            that is not binary, or an energy that is known by its score alone.
    Exact: yes.   Cost: one gradient per step; D + 1 evaluations with `differences`.
    Source: Grathwohl, Swersky, Hashemi, Duvenaud, Maddison 2021, algorithm 1; with `differences` the
        locally balanced proposal with $g(t) = \sqrt t$ of Zanella 2020, section 3. Differs: a temperature and a mask.
    """

    exact: ClassVar[bool] = True

    temperature: float | Tensor = 1.0
    differences: bool = False
    mask: Tensor | None = None

    def __post_init__(self) -> None:
        lowest = torch.as_tensor(self.temperature).min().item()
        if not lowest > 0:
            raise ValueError(f"GibbsWithGradients: expected a temperature > 0, got {lowest}.")
        expect_mask("GibbsWithGradients", self.mask)

    def init(self, energy: Energy, x: Batch) -> State:
        """Energy and slopes at the start, which must be binary."""
        expect_value("GibbsWithGradients", energy)
        if not ((x == 0) | (x == 1)).all():
            raise ValueError("GibbsWithGradients: expected x of zeros and ones; round it, or draw (rand > 0.5).")
        if self.mask is not None and not self.mask.expand_as(x).flatten(1).any(1).all():
            raise ValueError("GibbsWithGradients: expected a mask with at least one free variable in every chain.")
        return self._met(energy, x)

    def step(self, energy: Energy, state: State, generator: Generator | None = None) -> tuple[State, Info]:
        """Propose one flip, accept or stay."""
        if state.energy is None or state.gradient is None:  # of a sampler that carries neither
            state = self.init(energy, state.x)._replace(n=state.n)
        x = state.x
        there = self.log_proposal(x, state.gradient)  # type: ignore[arg-type]
        device = x.device if generator is None else generator.device
        chosen = torch.multinomial(there.exp().to(device), 1, generator=generator).to(x.device)
        flipped = x.flatten(1).scatter(1, chosen, 1 - x.flatten(1).gather(1, chosen)).view_as(x)
        proposal = self._met(energy, flipped)
        back = self.log_proposal(flipped, proposal.gradient)  # type: ignore[arg-type]
        fall = (state.energy - proposal.energy) / along(self.temperature, state.energy)  # type: ignore[operator, arg-type]
        log_ratio = fall + (back - there).gather(1, chosen)[:, 0]
        following, taken, divergent = accept(state, proposal, log_ratio, generator)
        return following, Info(state.energy, state.gradient, taken, divergent)  # type: ignore[arg-type]

    def log_proposal(self, x: Batch, gradient: Tensor) -> Tensor:
        """$log q(i | x)$ of every variable, (batch, D), minus infinity for fixed ones."""
        change = (1 - 2 * x) * gradient / along(self.temperature, x)
        if self.mask is not None:
            change = torch.where(self.mask.to(x.device).bool(), change, torch.inf)
        return (-change / 2).flatten(1).log_softmax(1)

    def _met(self, energy: Energy, x: Batch) -> State:
        """The state at x, with slopes as the proposal takes them."""
        return self._differing(energy, x) if self.differences else start(energy, x)

    @torch.no_grad()
    def _differing(self, energy: Energy, x: Batch) -> State:
        flat = x.flatten(1)
        batch, size = flat.shape
        flips = flat.repeat(size, 1)  # all chains with the first variable flipped, then with the second ...
        rows = torch.arange(size * batch, device=x.device)
        flips[rows, rows // batch] = 1 - flips[rows, rows // batch]
        value = energy(x)
        expect_shape(value, x)
        rise = energy(flips.view(-1, *x.shape[1:])).view(size, batch).T - value[:, None]
        return State(x, value, ((1 - 2 * flat) * rise).view_as(x))
