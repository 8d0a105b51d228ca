"""The discovered decomposer: energies of components that nobody named, acting in turn, and their moves read off frames.

Column k of `moves` belongs to component k alone; a move of 1 is a typical speed of the data it was found in.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ergosum.decomposer import InnerDescent, Trajectory
from ergosum.energy import Conditional
from ergosum.part import Part, parameters
from ergosum.shapes import Images
from ergosum.temporal.discovery.energy import GroupTransport
from ergosum.temporal.discovery.group import transform
from ergosum.temporal.discovery.library import Library
from ergosum.temporal.discovery.search import Found
from ergosum.temporal.model import TemporalDecomposer
from ergosum.temporal.reading import Reading, descend_moves, read_moves

__all__ = ["Discovered"]

CHUNK = 250
"""Pairs of frames read at once."""


class Discovered(TemporalDecomposer):
    """K energies of change, conditioned on one move each.

    Args:
        components: names of the K components. energy: the family of each; gets `code`, `side` and, if it takes it,
            `library`. library: the basis of the groups that they start from. price: relative error, 0 .. 1, that a move
            must save to be read. most: moves at once that are looked for. polish: descent steps on the energies
            themselves after those on the groups, >= 0. descent: the inner minimisation. side: of a frame in pixels.
    """

    theta: Tensor

    def __init__(
        self,
        components: tuple[str, ...] = ("one", "two", "three"),
        energy: Part[Conditional] = Part(GroupTransport),  # noqa: B008
        library: Part[Library] = Part(Library),  # noqa: B008
        price: float = 0.03,
        most: int = 3,
        polish: int = 1,
        descent: Part[InnerDescent] = Part(InnerDescent, steps=4, training_steps=1),  # noqa: B008
        side: int = 28,
    ) -> None:
        if not 0 <= price < 1:
            raise ValueError(f"price: expected 0 <= price < 1, got {price!r}.")
        if most < 1 or polish < 0:
            raise ValueError(f"most, polish: expected most >= 1 and polish >= 0, got {most!r} and {polish!r}.")
        if "library" in parameters(energy.cls) and "library" not in energy.arguments:
            energy = energy.but(library=library)
        super().__init__(
            energy=energy, components=components, factors=components, latent=0, ramp=True, descent=descent, side=side
        )
        self.library, self.price, self.most, self.polish = library.build(), price, most, polish
        self.register_buffer("theta", torch.zeros(self.library.size, len(components)))

    @torch.no_grad()
    def start_from(self, found: Found) -> None:
        """Take up the groups that a search found: each energy that has a generator starts as its own.

        Raises:
            ValueError: if they are not as many as there are components.
        """
        if found.theta.shape != self.theta.shape:
            raise ValueError(
                f"components: expected {found.theta.shape[1]} names, as many as the search kept, got "
                f"{len(self.components)} ({', '.join(self.components)}). `ergosum discover` names as many as it keeps."
            )
        self.theta.copy_(found.theta)
        for energy, generator in zip(self.energies, found.theta.unbind(1), strict=True):
            if isinstance(energy, GroupTransport):
                energy.generator.copy_(generator)

    def release(self, free: bool) -> None:
        """Whether the energies' own generators learn too."""
        for energy in self.energies:
            energy.released = free  # type: ignore[assignment]

    def by_group(self, start: Images, moves: Tensor) -> Images:
        """What the bare groups make of frames, all components at once."""
        return transform(start, moves, self.theta, self.library)

    def forward(
        self,
        start: Images,
        target: Images | None = None,
        moves: Tensor | None = None,
        generator: Generator | None = None,
        steps: int | None = None,
        active: Sequence[int] | None = None,
        check: bool = False,
    ) -> Trajectory:
        """Let the energies act in turn, each on the frames that it has to move.

        Args:
            moves: (batch, K); None reads them off `start` and `target`. steps: of one energy that acts on all frames;
            several in turn take one step each. Others: as `TemporalDecomposer`.
        """
        if moves is None:
            if target is None:
                raise ValueError(
                    "Discovered: expected moves (batch, K), or the later frame as target to read them off."
                )
            moves = self.read(start, target)
        turns = range(len(self.components)) if active is None else active
        one = torch.eye(len(self.components), device=moves.device)
        if len(turns) == 1 and bool((moves[:, turns[0]] != 0).all()):
            return super().forward(start, None, moves * one[turns[0]], generator, steps, turns, check)
        x, infos = start, []
        for k in turns:
            moving = moves[:, k] != 0
            if moving.any():
                own = moves[moving] * one[k]
                path = super().forward(x[moving], None, own, generator, 1, [k], check)
                x = x.index_put((moving,), path.frames[-1].to(x.dtype))
                infos += path.infos
        return Trajectory([start, x], infos, start.new_zeros(len(start), len(self.components), 0))

    def act(self, start: Images, moves: Tensor) -> Images:
        """Frames after moves (batch, K), components in turn."""
        return self.predict(start, moves=moves)

    def read(self, start: Images, target: Images) -> Tensor:
        """The moves (batch, K) that lead from `start` to `target`."""
        return self.reading(start, target).moves

    @torch.no_grad()
    def reading(self, start: Images, target: Images, polish: int | None = None) -> Reading:
        """Moves by descent: on the bare groups first, which are quick and smooth, then on the energies themselves,
        where that lowers the error.

        Args:
            polish: steps on the energies; None takes the model's own number.
        """
        parts = [
            self._reading(a, b, self.polish if polish is None else polish)
            for a, b in zip(start.split(CHUNK), target.split(CHUNK), strict=True)
        ]
        return Reading(*(torch.cat(v) for v in zip(*parts, strict=True)))

    def _reading(self, start: Images, target: Images, polish: int) -> Reading:
        read = read_moves(
            self.by_group, start, target, len(self.components), price=self.price, most=self.most, delta=0.05
        )
        if not polish or not read.moves.any():
            return read
        acting = read.moves != 0
        moves, curvature = descend_moves(
            self.act, start, target, read.moves, acting, polish, blur=0.5, delta=0.2, longest=0.3
        )
        error = (self.act(start, moves) - target).square().mean((1, 2, 3))
        before = (self.act(start, read.moves) - target).square().mean((1, 2, 3))
        better = error <= before
        return Reading(
            torch.where(better[:, None], moves, read.moves), torch.minimum(error, before), read.change, curvature
        )
