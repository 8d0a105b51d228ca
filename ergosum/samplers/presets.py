"""Published recipes of Langevin dynamics, with the temperatures that they really run at.

With $x' = x - h g + s \\varepsilon$ a recipe samples $exp(-E / T)$ at $T = s^2 / 2 h$, up to clipping and to the bias
of its step. Most published ones are colder than 1e-4: noisy descents, whose energies are in units of their own.
Compose energies that were trained by different recipes as `a.in_units() & b.in_units()`.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Generator, Tensor

from ergosum.energy import Energy, Term
from ergosum.samplers.chain import run
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.state import Info, State
from ergosum.shapes import Batch

__all__ = ["ShortRun", "anatomy", "igebm", "jem", "short_run"]


@dataclass(frozen=True, kw_only=True)
class ShortRun:
    r"""K Langevin steps from uniform noise: with the noise off, a deterministic generator $x = M(z)$.

    `begin` draws the noise and `flow` takes the K steps. As a sampler, in `run` and `sample`, it is its Langevin
    kernel, one step at a time and as many as asked for: `sample(igebm(), energy, igebm().begin(shape), 60)`.

    $$ x_0 \sim U(low, high)^S, \qquad x' = x - h \nabla E(x) + s \varepsilon $$

    Args:
        steps: K >= 1. step_size: h. noise: s, in units of x. low, high: range of the start. clip, clamp, noise_first:
            as `Langevin`. data_noise: standard deviation of the noise that the recipe adds to its data.
    Raises:
        ValueError: if steps < 1, noise < 0, the step size is not positive, or low >= high.
    Exact: no; noisy descent unless the temperature of its energy is the recipe's.   Cost: one gradient per step.
    Source: Nijkamp, Hill, Zhu, Wu 2019 (short-run); the others below name their own.
    """

    exact: ClassVar[bool] = False

    steps: int
    step_size: float
    noise: float
    low: float = -1.0
    high: float = 1.0
    clip: float | None = None
    clamp: tuple[float, float] | None = None
    noise_first: bool = False
    data_noise: float = 0.0

    @property
    def temperature(self) -> float:
        """$T = s^2 / 2h$, the temperature that energies trained with this recipe are in."""
        return self.noise**2 / (2 * self.step_size)

    @property
    def kernel(self) -> Langevin:
        """The recipe's Langevin step."""
        return Langevin(
            step_size=self.step_size, temperature=self.temperature, clip=self.clip, clamp=self.clamp,
            noise_first=self.noise_first,
        )  # fmt: skip

    def __post_init__(self) -> None:
        if self.steps < 1 or not self.noise >= 0 or not self.low < self.high or not self.step_size > 0:
            raise ValueError(
                f"ShortRun: expected steps >= 1, step_size > 0, noise >= 0 and low < high, got steps {self.steps}, "
                f"step_size {self.step_size}, noise {self.noise}, low {self.low}, high {self.high}."
            )

    def init(self, energy: Energy, x: Batch) -> State:
        """As its kernel."""
        return self.kernel.init(energy, x)

    def step(
        self, energy: Energy, state: State, generator: Generator | None = None, create_graph: bool = False
    ) -> tuple[State, Info]:
        """One step of its kernel."""
        return self.kernel.step(energy, state, generator, create_graph)

    def begin(
        self, shape: tuple[int, ...], generator: Generator | None = None, dtype: torch.dtype = torch.float32
    ) -> Tensor:
        """Uniform noise to start from, (batch, *event), on the generator's device."""
        device = None if generator is None else generator.device
        noise = torch.rand(shape, generator=generator, dtype=dtype, device=device)
        return self.low + (self.high - self.low) * noise

    def flow(
        self,
        energy: Term,
        x: Batch,
        generator: Generator | None = None,
        gradient: Literal["none", "last", "full"] = "none",
    ) -> Batch:
        """K steps from x.

        Args:
            gradient: `none`; `last`: the last step can be differentiated with respect to the energy's weights; `full`:
                all steps, with respect to x as well, for reconstruction and interpolation through the chain.
        """
        everyone = set(range(1, self.steps + 1))
        graph = {"none": (set(), set()), "last": ({self.steps}, {self.steps}), "full": (everyone, set())}[gradient]
        for step in run(self.kernel, energy, x, self.steps, graph=graph, generator=generator):
            x = step.x
        return x

    def __str__(self) -> str:
        return f"{self.steps} steps of h = {self.step_size:g}, noise {self.noise:g}: T = {self.temperature:.3g}"


def igebm() -> ShortRun:
    """CIFAR-10 recipe: noise before the gradient, clipped, pixels in 0..1; T = 1.25e-6. Source: Du & Mordatch 2019."""
    return ShortRun(steps=60, step_size=10.0, noise=0.005, low=0.0, clip=0.01, clamp=(0.0, 1.0), noise_first=True)


def jem() -> ShortRun:
    """Pixels in -1..1; T = 5e-5. Source: Grathwohl et al. 2020."""
    return ShortRun(steps=20, step_size=1.0, noise=0.01, data_noise=0.03)


def short_run() -> ShortRun:
    """Pixels in -1..1; T = 5e-5. Source: Nijkamp et al. 2019."""
    return ShortRun(steps=100, step_size=1.0, noise=0.01, data_noise=0.03)


def anatomy(noise: float = 0.015) -> ShortRun:
    """The convergent recipe, T = 1: h = s^2 / 2, on persistent chains, data noise 2 s. Source: Nijkamp et al. 2020."""
    return ShortRun(steps=500, step_size=noise**2 / 2, noise=noise, data_noise=2 * noise)
