"""Samplers broken on purpose, each in the way a published one was: the laws must catch them."""

from dataclasses import dataclass

import torch

from ergosum.samplers.chain import Info, State
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.mala import Mala, accept
from ergosum.samplers.tensors import gaussian


@dataclass(frozen=True, kw_only=True)
class WrongVariance(Mala):
    """Noise of variance 2h, but proposals weighed as if it were h."""

    def step(self, energy, state, generator=None):
        h = self.step_size
        noise = gaussian(state.x, generator)
        proposal = state.x - h * state.gradient + (2 * h) ** 0.5 * noise
        value, slope = energy.value_and_gradient(proposal)
        there = (proposal - state.x + h * state.gradient).square().flatten(1).sum(1) / (2 * h)
        here = (state.x - proposal + h * slope).square().flatten(1).sum(1) / (2 * h)
        log_ratio = state.energy - value + there - here
        following, taken, bad = accept(state, State(proposal, value, slope), log_ratio, generator)
        return following, Info(state.energy, state.gradient, taken, bad)


@dataclass(frozen=True, kw_only=True)
class SharedTest(Mala):
    """One accept test for the whole batch."""

    def step(self, energy, state, generator=None):
        h = self.step_size
        noise = gaussian(state.x, generator)
        proposal = state.x - h * state.gradient + (2 * h) ** 0.5 * noise
        value, slope = energy.value_and_gradient(proposal)
        there = noise.square().flatten(1).sum(1) / 2
        here = (state.x - proposal + h * slope).square().flatten(1).sum(1) / (4 * h)
        log_ratio = state.energy - value + there - here
        shared = torch.rand((), generator=generator, dtype=value.dtype).log()
        taken = shared < log_ratio
        wide = taken.reshape(-1, *[1] * (state.x.ndim - 1))
        following = State(torch.where(wide, proposal, state.x), torch.where(taken, value, state.energy),
                          torch.where(wide, slope, state.gradient), state.n + 1)  # fmt: skip
        return following, Info(state.energy, state.gradient, log_ratio.clamp(max=0).exp(), taken & False)


@dataclass(frozen=True, kw_only=True)
class InPlaceMomentum(Hmc):
    """The momentum is pushed in place, so that the kinetic energy at the start is that of the first half kick."""

    def step(self, energy, state, generator=None):
        momentum = gaussian(state.x, generator)
        pushed = momentum
        x, value, gradient = state.x, state.energy, state.gradient
        pushed -= 0.5 * self.step_size * gradient
        for n in range(self.length):
            x = x + self.step_size * pushed
            value, gradient = energy.value_and_gradient(x)
            if n < self.length - 1:
                pushed = pushed - self.step_size * gradient
        end = pushed - 0.5 * self.step_size * gradient
        kinetic = (momentum.square() - end.square()).flatten(1).sum(1) / 2
        log_ratio = state.energy - value + kinetic
        following, taken, bad = accept(state, State(x, value, gradient), log_ratio, generator)
        return following, Info(state.energy, state.gradient, taken, bad)
