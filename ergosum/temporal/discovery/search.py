"""Search: from clips to a pruned dictionary of one-parameter groups, in a few seconds and without a label."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.part import Part
from ergosum.shapes import Frames
from ergosum.temporal.discovery.dictionary import Dictionary, Fitting, fit, lift, prune, refit, speeds
from ergosum.temporal.discovery.library import Library

__all__ = ["Found", "Search"]

Tell = Callable[[str], None]


class Found(NamedTuple):
    """What a search found.

    Attributes:
        theta: (J, K), generators, the worthiest component first; a move of 1 is the median speed of the clips in which
            the component acts, and its largest coefficient is positive.
        worth: what the objective loses without each component. dropped: worths of those that were left out, in turn.
        objective: relative error plus price of what is kept.
    """

    theta: Tensor
    worth: tuple[float, ...]
    dropped: tuple[float, ...]
    objective: float


@dataclass(frozen=True, kw_only=True)
class Search:
    """How components are searched for: poor basis first, with many restarts, then the rich one, then spares go.

    Raises:
        ValueError: if a setting is out of range.
    """

    components: int = 5
    """Components to start with, more than there are factors; spares are left out."""
    clips: int = 1000
    """Clips to look at, >= 2."""
    steps: int = 4
    """Moves of a clip, >= 1."""
    steady: bool = True
    """Each clip moves at one speed; False reads every step by itself."""
    fitting: Part[Fitting] = field(default_factory=lambda: Part(Fitting))
    """How the dictionary is fitted."""
    seed: int = 0
    """Seed of the restarts and of the clips."""

    def __post_init__(self) -> None:
        for name, low in (("components", 1), ("clips", 2), ("steps", 1)):
            if getattr(self, name) < low:
                raise ValueError(f"search.{name}: expected an integer >= {low}, got {getattr(self, name)!r}.")

    def __call__(self, frames: Frames, library: Library, tell: Tell = lambda _: None) -> Found:
        """Components of clips.

        Args:
            tell: is told of each stage, for a progress line.
        Shape:
            frames: (batch, time, 3, side, side).
        Raises:
            ValueError: if there are fewer clips that change than components, or no component explains anything.
        """
        fitting = self.fitting.build()
        changing = (frames[:, 1:] != frames[:, :-1]).flatten(1).any(1)
        if int(changing.sum()) < self.components:
            raise ValueError(
                f"discovery: expected at least {self.components} clips in which something changes, got "
                f"{int(changing.sum())} of {len(frames)}."
            )
        frames = frames[changing]
        poor = replace(library, colour_degree=min(1, library.colour_degree), place_degree=min(1, library.place_degree))
        tell(f"tangents of {len(frames)} clips")
        few = poor.statistics(frames, self.steady)
        tell(f"{fitting.restarts} dictionaries of {self.components}")
        found = fit(few, self.components, fitting, Generator().manual_seed(self.seed))
        tell("richer fields")
        many = few if poor == library else library.statistics(frames, self.steady)
        lifted = [refit(lift(refit(d.theta, few, fitting, 10).theta, poor, library), many, fitting, 20) for d in found]
        best = min(lifted, key=lambda d: d.objective)
        tell("spare components")
        kept, dropped = prune(best, many, fitting)
        if max(kept.worth) <= fitting.spare:
            raise ValueError(
                f"discovery: no component explains {fitting.spare:.0%} of what changes in the clips (the best one "
                f"{max(kept.worth):.1%}); they are too dim, noise, or no change in them is the same for all images."
            )
        return _ordered(kept, tuple(dropped), speeds(kept.theta, many, fitting.price, fitting.most)[0])


def _ordered(kept: Dictionary, dropped: tuple[float, ...], moves: Tensor) -> Found:
    """Components by worth, in units of their median speed, with a sign that does not depend on the start."""
    typical = torch.stack([z[z != 0].abs().median() if (z != 0).any() else z.new_ones(()) for z in moves.unbind(1)])
    largest = kept.theta.gather(0, kept.theta.abs().argmax(0, keepdim=True))[0]
    order = torch.tensor(sorted(range(len(typical)), key=lambda k: -kept.worth[k]))
    theta = (kept.theta * typical * largest.sign())[:, order].float()
    return Found(theta, tuple(kept.worth[k] for k in order.tolist()), dropped, kept.objective)
