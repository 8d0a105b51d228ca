r"""Contrastive learning from incomplete data: what is recovered against what is synthesised.

Two kinds of chains run in each update. One starts from noise and synthesises an example $a_i$; the other starts from an
incomplete example and moves its hidden pixels alone, to a recovered one $b_i$. The likelihood of the known pixels then
rises along

$$ \frac 1 n \sum_i \nabla_\theta E_\theta(a_i) - \frac 1 n \sum_i \nabla_\theta E_\theta(b_i), $$

so the loss is the energy of what was recovered less that of what was synthesised. (Written for f = -E, as in the
source, the two terms change places.) It is contrastive divergence whose data are the recovered examples, and is built
so.

Source: Xie, Zhu, Wu 2017, 2019 (spatial-temporal generative ConvNets, learning from incomplete data). Differs: an
example's hidden pixels go on from where they were at its last visit.
"""

from dataclasses import replace
from typing import Any

from torch import Generator, Tensor

from ergosum.density.objective import Given, Objective
from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.fills import Fills
from ergosum.density.objectives.starts import FromNoise
from ergosum.part import Part
from ergosum.samplers.chain import frozen, run
from ergosum.training.task import Losses

__all__ = ["Recovery"]


class Recovery(Objective):
    """Chains that recover incomplete examples, and the contrast of these with synthesised ones.

    Args:
        contrast: synthesis and the loss; the chains that recover take the steps of its sampler, which must have a mask.
            steps: of every chain that recovers, >= 0; 0 takes as many as the synthesis.
    Raises:
        ValueError: for settings out of range, or without incomplete data. DivergenceError: as the contrast.
    """

    levels = False
    incomplete = True

    def __init__(
        self,
        contrast: Part[ContrastiveDivergence] = Part(ContrastiveDivergence, start=Part(FromNoise)),  # noqa: B008
        steps: int = 0,
    ) -> None:
        if steps < 0:
            raise ValueError(f"Recovery: expected steps >= 0, got {steps!r}.")
        self.contrast = contrast.build()
        self.steps = steps or self.contrast.steps
        self.kernel: Any = getattr(self.contrast.sampler, "kernel", self.contrast.sampler)
        if not hasattr(self.kernel, "mask"):
            raise ValueError(f"Recovery: expected a sampler that has a mask, got {type(self.kernel).__name__}.")
        self.fills = Fills()

    @property
    def temperature(self) -> float | None:
        """T of the chains."""
        return self.contrast.temperature

    def loss(
        self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float, given: Given | None = None
    ) -> Losses:
        """The contrast's loss of recovered examples; beside its health, by how much hidden pixels moved."""
        if given is None:
            raise ValueError("Recovery: expected incomplete data, such as `Incomplete`, which say what is known.")
        begun, _ = self.fills.fill(x, given)
        recovered = self.recovered(family(c), begun, given.known, generator)
        self.fills.keep(recovered, given)
        hidden = ~given.known
        moved = ((recovered - begun).abs() * hidden).sum() / hidden.sum().clamp_min(1)
        told = self.contrast.loss(family, recovered, c, generator, progress)
        return told._replace(health={**told.health, "fill": moved})

    def recovered(self, energy: Any, x: Tensor, known: Tensor, generator: Generator) -> Tensor:
        """Ends of chains that move hidden pixels alone."""
        kernel = replace(self.kernel, mask=~known)
        with frozen(energy):
            for step in run(kernel, energy, x, self.steps, generator=generator):
                x = step.x
        return x.detach()

    def state(self) -> dict[str, Tensor]:
        """Fills, and the contrast's chains."""
        return {**self.fills.state(), **{f"contrast.{k}": v for k, v in self.contrast.state().items()}}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up fills and chains."""
        self.fills.load(state)
        self.contrast.load({k.removeprefix("contrast."): v for k, v in state.items() if k.startswith("contrast.")})
