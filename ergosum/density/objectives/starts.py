"""Where the chains of a contrastive update start: on the data, where earlier chains ended, or from noise.

A start gives a batch of points and their conditions, and takes the points back where the chains ended. A class of your
own with the methods of `Start` is a start as well.
"""

from dataclasses import dataclass
from typing import NamedTuple, Protocol

import torch
from torch import Generator, Tensor

from ergosum.part import Part

__all__ = ["FromData", "FromNoise", "GaussianNoise", "Noise", "Replay", "Start", "UniformNoise"]


class Chains(NamedTuple):
    """Where chains start, (batch, *event), and their conditions, (batch,)."""

    x: Tensor
    c: Tensor


class Noise(Protocol):
    """A distribution that chains start from."""

    def draw(self, like: Tensor, generator: Generator) -> Tensor:
        """As many points, of the same shape, type and device."""
        ...


@dataclass(frozen=True, kw_only=True)
class UniformNoise:
    """Each number uniform in low .. high: images of noise, for energies of pixels."""

    low: float = -1.0
    """In units of x."""
    high: float = 1.0
    """In units of x, > low."""

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"UniformNoise: expected low < high, got {self.low} and {self.high}.")

    def draw(self, like: Tensor, generator: Generator) -> Tensor:
        """Uniform points."""
        return self.low + (self.high - self.low) * torch.rand(like.shape, generator=generator).to(like)


@dataclass(frozen=True, kw_only=True)
class GaussianNoise:
    """Each number normal: for energies of standardised codes, and for interpolation between starts."""

    deviation: float = 1.0
    """In units of x, > 0."""
    mean: float = 0.0
    """In units of x."""

    def __post_init__(self) -> None:
        if not self.deviation > 0:
            raise ValueError(f"GaussianNoise: expected deviation > 0, got {self.deviation}.")

    def draw(self, like: Tensor, generator: Generator) -> Tensor:
        """Normal points."""
        return self.mean + self.deviation * torch.randn(like.shape, generator=generator).to(like)


class Start:
    """What a start offers."""

    def begin(self, x: Tensor, c: Tensor, generator: Generator) -> Chains:
        """Starts for as many chains as there are data.

        Shape:
            x: data, (batch, *event). c: their conditions, (batch,).
        """
        raise NotImplementedError

    def end(self, x: Tensor) -> dict[str, Tensor]:
        """Take back where the chains that began last have ended; what there is to tell of them, by name."""
        return {}

    def state(self) -> dict[str, Tensor]:
        """What a resumed run needs."""
        return {}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a stored state."""


class FromData(Start):
    """The data themselves: CD-k. Chains stay near the data, and so does what they teach.

    Source: Hinton 2002 (contrastive divergence).
    """

    def begin(self, x: Tensor, c: Tensor, generator: Generator) -> Chains:
        """The data and their conditions."""
        return Chains(x, c)


class FromNoise(Start):
    """Fresh noise each time, with the conditions of the data: short-run chains, whose energy is a generator.

    Args:
        noise: what it is drawn from.
    Source: Nijkamp, Hill, Zhu, Wu 2019 (non-persistent short-run).
    """

    def __init__(self, noise: Part[Noise] = Part(UniformNoise)) -> None:  # noqa: B008
        self.noise = noise.build()

    def begin(self, x: Tensor, c: Tensor, generator: Generator) -> Chains:
        """Noise."""
        return Chains(self.noise.draw(x, generator), c)


class Replay(Start):
    """Where earlier chains ended, out of a buffer; each chain starts anew from noise with a small probability.

    A chain keeps the condition that it began with: a chain of one class is never continued as one of another. Slots of
    the buffer that no chain has been in yet start from noise.

    Args:
        size: chains in the buffer, >= 1. restart: probability of a new start, of every chain by itself, 0 .. 1.
        noise: what new chains start from.
    Raises:
        ValueError: for settings out of range, or a batch larger than the buffer.
    Source: Tieleman 2008 (persistent chains); Du & Mordatch 2019 (buffer of 10,000 with 5 % restarts).
    """

    def __init__(
        self,
        size: int = 10_000,
        restart: float = 0.05,
        noise: Part[Noise] = Part(UniformNoise),  # noqa: B008
    ) -> None:
        if size < 1 or not 0 <= restart <= 1:
            raise ValueError(f"Replay: expected size >= 1 and 0 <= restart <= 1, got {size!r} and {restart!r}.")
        self.size, self.restart, self.noise = size, restart, noise.build()
        self.x: Tensor | None = None
        self.c = torch.zeros(0, dtype=torch.int64)
        self.age = torch.zeros(0, dtype=torch.int64)
        self.slots = torch.zeros(0, dtype=torch.int64)

    def begin(self, x: Tensor, c: Tensor, generator: Generator) -> Chains:
        """Chains out of different slots; new ones get noise and the conditions of the data."""
        if len(x) > self.size:
            raise ValueError(f"Replay: expected a batch of at most size = {self.size}, got {len(x)}; enlarge the size.")
        if self.x is None:
            self.x = torch.zeros((self.size, *x.shape[1:]), dtype=x.dtype, device=x.device)
            self.c = torch.zeros((self.size, *c.shape[1:]), dtype=c.dtype, device=c.device)
            self.age = torch.zeros(self.size, dtype=torch.int64, device=x.device)
        self.slots = torch.randperm(self.size, generator=generator)[: len(x)].to(x.device)
        anew = torch.rand(len(x), generator=generator).to(x.device) < self.restart
        self.age[self.slots[anew]] = 0
        fresh = self.age[self.slots] == 0
        noise = self.noise.draw(x, generator)
        self.c[self.slots[fresh]] = c[fresh]
        start = torch.where(fresh.reshape(-1, *[1] * (x.ndim - 1)), noise, self.x[self.slots])
        return Chains(start, self.c[self.slots])

    def end(self, x: Tensor) -> dict[str, Tensor]:
        """Put the chains back into their slots; tells their mean age in updates."""
        assert self.x is not None
        self.x[self.slots] = x
        self.age[self.slots] += 1
        return {"age": self.age[self.slots].to(x.dtype).mean()}

    def state(self) -> dict[str, Tensor]:
        """The buffer: points, conditions and ages."""
        return {} if self.x is None else {"x": self.x, "c": self.c, "age": self.age}

    def load(self, state: dict[str, Tensor]) -> None:
        """Take up a buffer.

        Raises:
            ValueError: if it has another size.
        """
        if not state:
            self.x = None
            return
        if len(state["x"]) != self.size:
            raise ValueError(f"Replay: expected a buffer of {self.size} chains, got one of {len(state['x'])}.")
        self.x, self.c, self.age = (state[name].clone() for name in ("x", "c", "age"))
