r"""Sampling down a ladder of noise levels, of any energy or composition that has `at_noise`.

At a high noise level every density is a wide bump that is easy to draw from; the ladder leads from there to the data.
At each level the composed score takes the chains one step down (`reverse.py`), a kernel may then correct them towards
the density of the level, and importance weights may measure and mend what is left:

| composition | what the ladder needs |
|---|---|
| a single energy, `a \| b` of normalised energies | steps alone: noise passes through a mixture |
| `a & b`, weights, `a & ~b` | corrections and weights: a sum of noised energies is not that of the noised product |

The weights are those of sequential Monte Carlo, from level to level: with the step's kernel F and the noise's kernel B,

$$ w = \frac{p_{\sigma'}(x')\, B(x | x')}{p_\sigma(x)\, F(x' | x)}, \qquad E[w] = Z_{\sigma'} / Z_\sigma , $$

so that log Z of every level comes with the draws.

Source: Del Moral, Doucet, Jasra 2006 (weights with a backward kernel); Du et al. 2023, Reduce, Reuse, Recycle
(corrections at each level). Differs: B is the kernel that adds the noise.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy, Term, as_energy
from ergosum.samplers.chain import frozen
from ergosum.samplers.guards import expect_chains, expect_finite, expect_value, refuse_non_finite, refuse_ungrounded
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.importance import LogZ, expect_exact, log_mean, systematic
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.reverse import Ancestral, Reverse, check_levels, denoised
from ergosum.samplers.state import State, slope
from ergosum.samplers.tensors import expect_mask, gaussian
from ergosum.samplers.underdamped import UnderdampedLangevin
from ergosum.samplers.warmup import TARGETS
from ergosum.shapes import Batch

__all__ = ["UNITS", "NoiseLadder", "Particles", "Rung"]

UNITS: Mapping[type, int] = {Langevin: 2, Mala: 2, Hmc: 1, UnderdampedLangevin: 1}
"""The power of sigma that a kernel's step size is in: h of Langevin's step is a variance, epsilon of Hmc's a length."""

GAIN = 1.0
"""How fast the log of a step size follows the acceptance: a step that is always accepted grows by half."""


class Rung(NamedTuple):
    """One level of the ladder, after its corrections and before draws are resampled for the next.

    Attributes:
        n: 0 for the first level. sigma: the level; 0 for the last, denoised draws.
        x: (batch, *event). log_weight: (batch,), of importance, within each island; zeros without weights.
        ess: effective share of the draws by their weights before resampling, mean over islands, in (0, 1].
        effective: that of each island, (islands,).
        log_z: log Z of each island relative to the start, (islands,).
        acceptance: mean over the level's corrections, None without an accept test. step_size: of the correction, None
            without. gradients: taken at the level, per chain.
        ancestor: (batch,), which of the given draws each descends from.
    """

    n: int
    sigma: float
    x: Tensor
    log_weight: Tensor
    ess: float
    effective: Tensor
    log_z: Tensor
    acceptance: float | None
    step_size: float | None
    gradients: int
    ancestor: Tensor


class Particles(NamedTuple):
    """Where the ladder ended, and what each of its levels told.

    Attributes:
        x: (n, *event), draws with weights. log_weight: (n,), within islands. islands: how many; n without weights.
        levels: of the ladder. ess: of each level. log_z: of each level, relative to the first, or absolute if the start
            was given as an energy; empty without weights. Its error is between islands, nan of one alone.
        acceptance: of each level, None without accept tests. step_sizes: of the corrections. gradients: per chain.
    """

    x: Tensor
    log_weight: Tensor
    islands: int
    levels: tuple[float, ...]
    ess: tuple[float, ...]
    log_z: tuple[LogZ, ...]
    acceptance: tuple[float | None, ...]
    step_sizes: tuple[float | None, ...]
    gradients: int
    shares: Tensor

    def one_each(self, generator: Generator | None = None) -> Batch:
        """One draw of each island, by its weights: (islands, *event), independent of each other."""
        if self.islands == len(self.x):
            return self.x
        weight = self.log_weight.view(self.islands, -1).softmax(1)
        device = weight.device if generator is None else generator.device
        chosen = torch.multinomial(weight.to(device), 1, generator=generator).to(self.x.device)
        size = weight.shape[1]
        return self.x[chosen[:, 0] + size * torch.arange(self.islands, device=self.x.device)]

    def pooled(self, generator: Generator | None = None) -> Batch:
        """Draws of equal weight from all islands together, by their estimates of Z: (n, *event)."""
        return self.x if not self.log_z else self.x[systematic(self.shares, generator)]


@dataclass(frozen=True, kw_only=True)
class NoiseLadder:
    r"""Draws at the lowest level, by steps down the levels, corrections at each, and weights from each to the next.

    Args:
        levels: noise levels from high to low, > 0, see `reverse.levels`.
        reverse: the step down: `Ancestral` or `ProbabilityFlow`.
        correction: a kernel that acts at each level, the first included: `Mala`, `Hmc`, `Langevin` or another whose
            step size can be set, or None. Its `step_size` is in units of $\sigma^2$ (of $\sigma$ for `Hmc` and
            `UnderdampedLangevin`), for noise bounds how narrow a density can be. With an accept test it is adapted to
            the acceptance of `warmup.TARGETS` as the ladder goes down.
        corrections: steps of it at each level, >= 1.
        islands: groups of draws that are weighed and resampled among themselves, each with an estimate of Z of its own;
            0 for no weights. Draws lie island by island: for one good draw of each of 100 conditions, 100 islands.
        spread: in (0, 1]; an island is resampled where its weights have an effective share below it.
        denoise: end with the mean of the data given the last x, where the last level still shows as noise.
    Shape:
        x: (n, *event), n a multiple of the islands.
    Raises:
        ValueError: for a setting out of range, a kernel of no known unit, or weights with a step that has no density or
            a kernel that is not exact.
    Exact: with weights, as the number of draws grows; a single energy or a disjunction, as levels come closer.
    Cost: one gradient per level, and those of the corrections.
    """

    levels: tuple[float, ...]
    reverse: Reverse = field(default_factory=Ancestral)
    correction: Any = None
    corrections: int = 1
    islands: int = 0
    spread: float = 0.5
    denoise: bool = False

    def __post_init__(self) -> None:
        check_levels("NoiseLadder", self.levels)
        if self.corrections < 1 or self.islands < 0 or not 0 < self.spread <= 1:
            raise ValueError(
                f"NoiseLadder: expected corrections >= 1, islands >= 0 and 0 < spread <= 1, got {self.corrections}, "
                f"{self.islands} and {self.spread}; for none leave the correction away."
            )
        kernel = self.correction
        if kernel is not None and type(kernel) not in UNITS:
            raise ValueError(
                "NoiseLadder: expected a kernel whose step size has a known unit, "
                f"{', '.join(k.__name__ for k in UNITS)}, got {type(kernel).__name__}."
            )
        if getattr(kernel, "mask", None) is not None:
            raise ValueError("NoiseLadder: the kernel has a mask of its own; give mask= and known= when sampling.")
        if self.islands and kernel is not None:
            expect_exact("NoiseLadder with weights", kernel)
        if self.islands and not self.reverse.weighs:
            raise ValueError(
                f"NoiseLadder: weights need a step with a density, and {type(self.reverse).__name__} is a map; "
                "use Ancestral, or islands=0."
            )

    def descend(
        self,
        energy: Term,
        x: Batch,
        *,
        start: Energy | None = None,
        known: Tensor | None = None,
        mask: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Iterator[Rung]:
        r"""Yield every level, from the first, where the given x are, to the last.

        Args:
            energy: with `at_noise`. Known by its score alone it needs a correction without an accept test, and no
                weights.
            x: draws of the energy at the first level, or nearly, such as $N(mean, deviation^2 + \sigma_1^2)$.
            start: with weights, the energy that x are exact draws of, with log Z known; the first weights then take
                the draws to the first level, and log Z of each level is absolute.
            known: values of the coordinates that are given, like x or one event; mask: 1 where x is free, 0 where
                `known` holds, broadcastable to x. At each level the known values bear that level's noise. With weights,
                log Z is that of the joint density at the known values, averaged over their noise.
            generator: of all randomness; torch's global one by default.
        Raises:
            ValueError: for settings that do not fit the energy or x.
            NonFiniteError: at the first value that is not finite.
        """
        energy = as_energy(energy)
        self._expect(energy, x, start, known, mask)
        sigma, acting = self.levels[0], energy.at_noise(self.levels[0])
        given = None
        if known is not None and mask is not None:
            given = _Given(known.to(x).expand_as(x), mask.to(x.device).bool().expand_as(x))
            x = given.entered(x, sigma, generator)
        swarm = _Swarm(len(x), self.islands, x.device)
        state = State(x)
        if start is not None:
            state = _evaluated(acting, state)
            swarm.add(start(x).double() + start.log_z - state.energy.double())  # type: ignore[operator, union-attr]
        size = None if self.correction is None else float(self.correction.step_size)
        spent, ess = int(start is not None), torch.ones(max(1, self.islands))
        for n, following in enumerate((*self.levels[1:], None)):
            ess = swarm.resample(self.spread, generator)
            state = swarm.ordered(state)
            state, size, rate, taken = self._corrected(acting, state, sigma, size, given, n, generator)
            yield swarm.rung(n, sigma, state.x, ess, rate, size, spent + taken)
            if following is None:
                break
            fresh = state.gradient is None
            state = _evaluated(acting, state)
            refuse_non_finite("NoiseLadder", acting, state.x, state.x, state.energy, n)  # type: ignore[arg-type]
            ahead = energy.at_noise(following)
            moved = self.reverse.move(state.x, state.gradient, sigma, following, ahead, generator)  # type: ignore[arg-type]
            if given is not None:
                moved = given.bridged(moved, state.x, sigma, following, generator)
            after = State(moved)
            spent = self.reverse.gradients - (0 if fresh else 1)
            if self.islands:
                after = _evaluated(ahead, after)
                refuse_non_finite("NoiseLadder", ahead, state.x, moved, after.energy, n + 1)  # type: ignore[arg-type]
                ratio = self.reverse.log_ratio(
                    state.x, state.gradient, moved, sigma, following, None if given is None else given.free  # type: ignore[arg-type]
                )  # fmt: skip
                swarm.add(ratio + state.energy.double() - after.energy.double())  # type: ignore[union-attr]
                spent += 1
            else:
                expect_finite("NoiseLadder", moved, n + 1, ahead, state.x)
            sigma, acting, state = following, ahead, after
        if self.denoise:
            fresh = state.gradient is None
            state = _evaluated(acting, state)
            ended = denoised(state.x, state.gradient, sigma)  # type: ignore[arg-type]
            if given is not None:
                ended = torch.where(given.free, ended, given.values)
            yield swarm.rung(len(self.levels), 0.0, ended, ess, None, None, int(fresh))

    def sample(
        self,
        energy: Term,
        x: Batch,
        *,
        start: Energy | None = None,
        known: Tensor | None = None,
        mask: Tensor | None = None,
        generator: Generator | None = None,
    ) -> Particles:
        """Go down the whole ladder; arguments and errors as of `descend`."""
        energy = as_energy(energy)
        with frozen(energy):
            rungs = list(self.descend(energy, x, start=start, known=known, mask=mask, generator=generator))
        last, at_levels = rungs[-1], rungs[: len(self.levels)]
        within = last.log_weight.view(len(last.log_z), -1).log_softmax(1)
        shares = (within + last.log_z.log_softmax(0)[:, None]).flatten()
        return Particles(
            last.x,
            last.log_weight,
            self.islands or len(x),
            self.levels,
            tuple(r.ess for r in at_levels),
            tuple(map(_log_z, at_levels)) if self.islands else (),
            tuple(r.acceptance for r in at_levels),
            tuple(r.step_size for r in at_levels),
            sum(r.gradients for r in rungs),
            shares,
        )

    def _corrected(
        self, acting: Energy, state: State, sigma: float, size: float | None, given: "_Given | None", n: int,
        generator: Generator | None,
    ) -> tuple[State, float | None, float | None, int]:  # fmt: skip
        """The state after the level's corrections, the step size in units of the level, the acceptance, the cost."""
        if self.correction is None or size is None:
            return state, None, None, 0
        unit, target = sigma ** UNITS[type(self.correction)], TARGETS.get(type(self.correction))
        changes = {} if given is None else {"mask": given.free}
        kernel = replace(self.correction, step_size=size * unit, **changes)
        cost, rates = 0, []
        if state.gradient is None:
            state = kernel.init(acting, state.x)
            cost += int(state.gradient is not None)
        for _ in range(self.corrections):
            before = state.x
            state, info = kernel.step(acting, state, generator)
            refuse_non_finite("NoiseLadder", acting, before, state.x, info.energy, n)
            cost += getattr(kernel, "length", 1)
            if info.acceptance is not None and target is not None:
                rates.append(info.acceptance.mean().item())
                size = min(max(size * math.exp(GAIN * (rates[-1] - target)), 1e-12), 1e12)
                kernel = replace(kernel, step_size=size * unit)
        return state._replace(held=None), size, sum(rates) / len(rates) if rates else None, cost

    def _expect(
        self, energy: Energy, x: Tensor, start: Energy | None, known: Tensor | None, mask: Tensor | None
    ) -> None:
        refuse_ungrounded(energy)
        expect_chains("NoiseLadder", x)
        expect_finite("NoiseLadder", x, 0)
        if (known is None) != (mask is None):
            raise ValueError("NoiseLadder: expected known values and a mask of what is free, got one of the two.")
        if mask is not None and known is not None:
            expect_mask("NoiseLadder", mask)
            if not mask.bool().any():
                raise ValueError("NoiseLadder: the mask leaves no coordinate free; put 1 where x shall be sampled.")
            for what, held in (("mask", mask), ("known values", known)):
                sides = zip(held.shape[::-1], x.shape[::-1], strict=False)
                if held.ndim > x.ndim or any(h not in (1, w) for h, w in sides):
                    raise ValueError(
                        f"NoiseLadder: expected {what} that broadcast to x, {tuple(x.shape)}, got {tuple(held.shape)}."
                    )
            expect_finite("NoiseLadder", torch.where(mask.bool(), 0, known).flatten()[None], 0)
        if self.islands:
            expect_value("NoiseLadder with weights", energy)
            if len(x) % self.islands or len(x) < 2 * self.islands:
                raise ValueError(
                    f"NoiseLadder: expected draws in a multiple of {self.islands} islands, two or more each, got "
                    f"{len(x)}."
                )
        if start is not None and (not self.islands or start.log_z is None):
            raise ValueError(
                "NoiseLadder: a start is weighed, which needs islands >= 1 and an energy whose log_z is known, such as "
                "Gaussian; without, pass x alone."
            )


class _Given:
    """Coordinates that are known, which bear the noise of each level along one path of their own."""

    def __init__(self, values: Tensor, free: Tensor) -> None:
        self.values, self.free = torch.where(free, 0, values), free

    def entered(self, x: Tensor, sigma: float, generator: Generator | None) -> Tensor:
        """x with the known values noised to the first level."""
        return torch.where(self.free, x, torch.add(self.values, gaussian(x, generator), alpha=sigma))

    def bridged(self, x: Tensor, before: Tensor, sigma: float, following: float, generator: Generator | None) -> Tensor:
        """x with the known values at the next level, given their values and what they were at the level before."""
        share = (following / sigma) ** 2
        mean = self.values + share * (before - self.values)
        noise = math.sqrt(share * (sigma**2 - following**2))
        return torch.where(self.free, x, torch.add(mean, gaussian(x, generator), alpha=noise))


class _Swarm:
    """Weights of draws within islands, the islands' log Z, and where draws descend from."""

    def __init__(self, n: int, islands: int, device: torch.device) -> None:
        self.weighs = islands > 0
        self.islands = islands or 1
        self.log_weight = torch.zeros(self.islands, n // self.islands, dtype=torch.float64, device=device)
        self.log_z = torch.zeros(self.islands, dtype=torch.float64, device=device)
        self.ancestor = torch.arange(n, device=device)
        self.index: Tensor | None = None

    def add(self, log_weight: Tensor) -> None:
        """Weights of a step, (n,)."""
        before = self.log_weight.logsumexp(1)
        self.log_weight = self.log_weight + log_weight.view_as(self.log_weight)
        self.log_z = self.log_z + self.log_weight.logsumexp(1) - before

    def resample(self, spread: float, generator: Generator | None) -> Tensor:
        """Resample the islands whose weights spread; the effective share before, (islands,)."""
        self.index = None
        if not self.weighs:
            return torch.ones(1, device=self.log_z.device)
        size = self.log_weight.shape[1]
        share = 1 / self.log_weight.softmax(1).square().sum(1) / size
        poor = share < spread
        if poor.any():
            places = torch.arange(len(self.ancestor), device=poor.device).view(self.islands, size).clone()
            places[poor] = places[poor].gather(1, systematic(self.log_weight[poor], generator))
            self.log_weight = torch.where(poor[:, None], 0.0, self.log_weight)
            self.index = places.flatten()
            self.ancestor = self.ancestor[self.index]
        return share

    def ordered(self, state: State) -> State:
        """The state of the draws that were kept."""
        if self.index is None:
            return state
        value, gradient = state.energy, state.gradient
        return State(
            state.x[self.index],
            None if value is None else value[self.index],
            None if gradient is None else gradient[self.index],
        )

    def rung(
        self, n: int, sigma: float, x: Tensor, ess: Tensor, rate: float | None, size: float | None, cost: int
    ) -> Rung:
        """What a level tells."""
        flat = self.log_weight.flatten()
        return Rung(n, sigma, x, flat, ess.mean().item(), ess, self.log_z, rate, size, cost, self.ancestor)


def _evaluated(acting: Energy, state: State) -> State:
    """The state with energy and gradient."""
    return state if state.gradient is not None else State(state.x, *slope(acting, state.x))


def _log_z(rung: Rung) -> LogZ:
    """log Z at a level, with its error between islands, and how many of the given draws it rests on."""
    whole = log_mean(rung.log_z) if len(rung.log_z) > 1 else LogZ(rung.log_z.item(), math.nan, 1.0)
    within = rung.log_weight.view(len(rung.log_z), -1).log_softmax(1)
    share = (within + rung.log_z.log_softmax(0)[:, None]).flatten().exp()
    family = torch.zeros_like(share).index_add_(0, rung.ancestor, share)
    return LogZ(whole.value, whole.error, (1 / family.square().sum()).item())
