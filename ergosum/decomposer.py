"""What every decomposer is: an encoder whose latents close K energies, and descent on their sum.

$$ x_n = x_{n-1} - h grad_x sum_k E_k(x_{n-1}; a, z_k) $$

Training differentiates through chosen steps of it. A system adds what its latents mean and where descent starts:
`temporal.TemporalDecomposer` predicts the next frame from the last, `decomposition.ImageDecomposer` finds an image in
noise.
"""

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import torch
from einops import reduce, repeat
from torch import Generator, Tensor, nn

from ergosum.compose import And
from ergosum.energy import Conditional, Energy
from ergosum.nets.experts import DrawnExperts
from ergosum.part import Part
from ergosum.samplers.chain import Info, Sampler, Varying, differentiable_steps, run
from ergosum.samplers.descent import Descent
from ergosum.samplers.guards import NonFiniteError, expect_finite, refuse_non_finite
from ergosum.shapes import Images, Latents

__all__ = ["Decomposer", "InnerDescent", "Trajectory"]


@dataclass(frozen=True, kw_only=True)
class InnerDescent:
    """The inner minimisation x <- x - h grad_x E(x)."""

    steps: int = 4
    """N, steps per image, >= 1."""
    training_steps: int = 0
    """Steps taken in training; 0 takes `steps`. One is enough where step size 1 lands on a bowl's minimum."""
    step_size: float = 1.0
    """h > 0 (for a learned step size: its start)."""
    learned: bool = False
    """Learn the step size."""
    clamp: bool = True
    """Keep x in [0, 1] after the last step."""
    noise: float = 0.0
    """Standard deviation of Gaussian noise added in each step, >= 0."""
    gradient: Literal["last", "truncated", "window", "full"] = "last"
    """Through which steps the loss is differentiated: the last alone, each step alone, the last `window`, or all."""
    window: int = 2
    """Steps kept with gradient = window, >= 1."""
    sampler: Part[Sampler] = field(default_factory=lambda: Part(Descent))
    """The step: a sampler that takes `step_size` (a float or a tensor) and `noise`."""

    def __post_init__(self) -> None:
        for name, low in {"steps": 1, "training_steps": 0, "noise": 0, "window": 1}.items():
            if not getattr(self, name) >= low:
                raise ValueError(f"descent.{name}: expected a number >= {low}, got {getattr(self, name)!r}.")
        if not self.step_size > 0:
            raise ValueError(f"descent.step_size: expected a number > 0, got {self.step_size!r}.")
        takes = inspect.signature(self.sampler.cls.step).parameters.values()  # type: ignore[attr-defined]
        if not any(p.name == "create_graph" or p.kind is inspect.Parameter.VAR_KEYWORD for p in takes):
            raise ValueError(
                f"descent.sampler: steps of {self.sampler.cls.__name__} cannot be differentiated; expected one whose "
                "step takes create_graph, such as Descent or Langevin."
            )
        known = ("last", "truncated", "window", "full")
        if self.gradient not in known:
            raise ValueError(f"descent.gradient: expected one of {', '.join(known)}, got {self.gradient!r}.")


class Trajectory(NamedTuple):
    """What descent went through.

    Shape:
        frames: N + 1 tensors (batch, 3, side, side), the start first. infos: N records. latents: (batch, K, D).
        masks: (batch, K, side, side), each component's share of every pixel, where energies are experts. posterior:
        mean and logarithm of the variance, (batch, K, stochastic) each, that the first numbers of stochastic latents
        were drawn from; the place of a slot is not drawn.
    """

    frames: list[Tensor]
    infos: list[Info]
    latents: Tensor
    masks: Tensor | None = None
    posterior: tuple[Tensor, Tensor] | None = None


class Folded(Energy):
    """K members of one family in one call: $sum_k E(x; a, z_k)$ with the components folded into the batch.

    Args:
        energy: with K codes per sample. repeats: frames to repeat for it, 1 for a family that folds by itself.
    """

    def __init__(self, energy: Energy, components: int, repeats: int) -> None:
        super().__init__()
        self.energy, self.components, self.repeats = energy, components, repeats

    def forward(self, x: Tensor) -> Tensor:
        folded = repeat(x, "batch ... -> (batch k) ...", k=self.repeats)
        return reduce(self.energy(folded), "(batch k) -> batch", "sum", k=self.components)

    def curvature(self) -> Tensor:
        """The second derivative of a sum of experts, (batch, 1, height, width)."""
        return self._precisions().sum(1)

    def masks(self) -> Tensor:
        """Shares of experts in the precision of every pixel, (batch, K, height, width)."""
        precisions = self._precisions()[:, :, 0]
        return precisions / precisions.sum(1, keepdim=True)

    def _precisions(self) -> Tensor:
        precision: Tensor = self.energy.precision  # type: ignore[assignment]
        return precision.unflatten(0, (-1, self.components))


def _stacked(experts: Sequence[Any]) -> DrawnExperts:
    """Experts of several families as those of one: of each sample all, one after the other."""
    mean, precision = (torch.stack([getattr(e, name) for e in experts], 1) for name in ("mean", "precision"))
    return DrawnExperts(mean.flatten(0, 1), precision.flatten(0, 1))


class Decomposer(nn.Module):
    """Encoder, K conditional energies and the descent on their sum; a system's decomposer derives from it.

    Args:
        encoder: reads latents. family: builds one of the energies. components: their names. tied: one network for all
            K (True) or one each. descent: inner minimisation. side: of an image in pixels.
    Raises:
        ValueError: without names, or with one twice.
    """

    def __init__(
        self,
        encoder: Callable[[], nn.Module],
        family: Callable[[], Conditional],
        components: Sequence[str],
        tied: bool,
        descent: InnerDescent,
        side: int,
    ) -> None:
        super().__init__()
        if not components or len(set(components)) != len(components):
            raise ValueError(f"components: expected one or more different names, got {tuple(components)}.")
        self.components, self.tied, self.descent, self.canvas = tuple(components), tied, descent, side
        self.encoder = encoder()
        self.energies = nn.ModuleList(family() for _ in range(1 if tied else len(components)))
        start = torch.tensor(float(descent.step_size)).log()
        self.log_step = nn.Parameter(start, requires_grad=descent.learned)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster, see docs/speed.md

    @property
    def anchored(self) -> bool:
        """Whether the energies are anchored to a frame."""
        return bool(self.energies[0].anchored)

    @property
    def curved(self) -> bool:
        """Whether the energies' curvature is known, so that one Newton step lands on their Gaussian part's minimum."""
        return bool(getattr(self.energies[0], "curved", False))

    def close(self, codes: Sequence[Tensor], anchor: Images | None, ks: Sequence[int]) -> Energy:
        """The sum of energies `ks`, each closed with its code and the anchor.

        Shape:
            codes: (batch, code) for each of `ks`.
        """
        anchor = anchor if self.anchored else None
        if self.tied:
            family: Conditional = self.energies[0]  # type: ignore[assignment]
            repeats = 1 if family.folds else len(ks)
            repeated = None if anchor is None else repeat(anchor, "batch ... -> (batch k) ...", k=repeats)
            return Folded(family.bind(torch.stack(list(codes), 1).flatten(0, 1), repeated), len(ks), repeats)
        bound = [self.energies[k].bind(code, anchor) for k, code in zip(ks, codes, strict=True)]  # type: ignore[operator]
        if all(isinstance(b, DrawnExperts) for b in bound):
            return Folded(_stacked(bound), len(bound), len(bound))
        return bound[0] if len(bound) == 1 else And(*bound)

    def steps_taken(self, steps: int | None = None) -> int:
        """N: as asked for, or as in training, or as always."""
        d = self.descent
        return steps or (d.training_steps if self.training and d.training_steps else d.steps)

    def sampler(self, energy: Energy | None = None) -> Sampler:
        """The descent step with its present step size; of experts a Newton step, which lands on the minimum."""
        d = self.descent
        newton = self.curved and isinstance(energy, Folded)
        return d.sampler.build(
            step_size=d.step_size / energy.curvature() if newton else self.log_step.exp(),  # type: ignore[union-attr]
            noise=d.noise,
        )

    def descend(
        self,
        start: Images,
        energy: Energy | Callable[[int, Tensor], Energy],
        latents: Latents,
        steps: int,
        generator: Generator | None,
        check: bool,
        posterior: tuple[Tensor, Tensor] | None = None,
    ) -> Trajectory:
        """Descend from `start` on an energy, or on one that changes with the step; in training mode the chosen steps
        can be differentiated.

        Args:
            check: raise at the first image that is not finite. N steps of descent are a function that was trained, and
                no chain: that a network's energy falls without bound beyond them is no fault.
        """
        d, closed = self.descent, energy if isinstance(energy, Energy) else None
        graph = differentiable_steps(d.gradient, steps, d.window) if self.training else (set(), set())
        varying = Varying(energy if closed is None else lambda n, x: closed)  # type: ignore[arg-type]
        frames, infos = [start], []
        sampler = self.sampler(closed)
        who = type(sampler).__name__
        if check:
            expect_finite(who, start, 0)
        for step in run(sampler, varying, start, steps, graph=graph, generator=generator, check=False):
            if check:
                refuse_non_finite(who, step.energy, frames[-1], step.x, step.info.energy, step.n)
            frames.append(step.x)
            infos.append(step.info)
        masks = closed.masks() if self.curved and isinstance(closed, Folded) else None
        return Trajectory(frames, infos, latents, masks, posterior)

    def where_non_finite(
        self, latents: Latents, energy_of: Callable[[int], Energy], start: Images, whole: Callable[[], object]
    ) -> str:
        """Which component first gives a non-finite energy or gradient at `start`: words for an error message."""
        if not torch.isfinite(latents).all():
            return "the encoder's latents"
        for k, name in enumerate(self.components):
            value, gradient = energy_of(k).value_and_gradient(start)
            if not (torch.isfinite(value).all() and torch.isfinite(gradient).all()):
                return f"component {name!r}"
        try:
            whole()
        except NonFiniteError as error:
            return f"the sum of all components ({error})"
        return "the loss alone"
