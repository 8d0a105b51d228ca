"""The bare groups that a search finds, without a network: what the search alone is worth, and what it needs.

With other settings of the search they are baselines: `Fitting(most=1)` is winner-takes-all, `Fitting(price=0)` has no
sparsity, and data in which all factors move in lockstep are the negative control: one clock, one component.
"""

import torch
from torch import Generator, Tensor

from ergosum.data.contract import ClipData
from ergosum.part import Part
from ergosum.temporal.discovery.group import transform
from ergosum.temporal.discovery.library import Library
from ergosum.temporal.discovery.search import Found, Search
from ergosum.temporal.reading import read_moves

__all__ = ["GroupMover", "search_groups"]


class GroupMover:
    """Reads moves by descent on the groups' energies, and moves frames by the groups.

    Args:
        found: groups of a search. library: their basis. price: relative error, 0 .. 1, that a move must save to be
            read. most: moves at once that are looked for.
    """

    def __init__(self, found: Found, library: Library, price: float = 0.03, most: int = 3) -> None:
        self.theta, self.library, self.price, self.most = found.theta, library, price, most
        self.components = tuple(f"group{k}" for k in range(found.theta.shape[1]))

    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """The sparse moves that lead from `start` to `target`."""
        read = read_moves(self.act, start, target, len(self.components), price=self.price, most=self.most, delta=0.05)
        return read.moves

    @torch.no_grad()
    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """Frames along the groups, all components at once."""
        return transform(start, moves, self.theta, self.library)


def search_groups(data: Part[ClipData], search: Search, library: Library, price: float = 0.03) -> GroupMover:
    """Groups found in clips of the training data; the search's seed is that of the clips too."""
    generator = Generator().manual_seed(1000 * search.seed)
    clips = data.build(split="train", device="cpu").clips(search.clips, search.steps, generator)
    return GroupMover(search(clips.frames, library), library, price, search.fitting.get("most"))
