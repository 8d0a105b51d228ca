r"""A sparse dictionary of one-parameter groups, fitted to the statistics of clips by alternating exact steps.

$$ \min_{\theta, z}  mean_i  ( e_i - 2 z_i^T \theta^T h_i + z_i^T \theta^T G_i \theta z_i ) / (e_i + floor)
   + price \|z_i\|_0 $$

Speeds z given $\theta$: every set of at most `most` components in closed form, the best stays. Generators $\theta$
given z: one linear system. The price grows from nothing, so that a component that nobody uses yet is not switched off.
Sparsity is what tells the factors apart; without a price any rotation of the dictionary fits as well.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.temporal.discovery.library import Library, Statistics
from ergosum.temporal.reading import FLOOR, subsets

__all__ = ["Dictionary", "Fitting", "fit", "lift", "prune", "refit", "speeds"]

UNIT = 0.1
"""Root mean square change, over clips, pixels and channels, that speed 1 of a fresh component makes."""
RAMP = 15
"""Rounds over which the price grows to its full height."""


class Dictionary(NamedTuple):
    """Components found.

    Shape:
        theta: (J, K), generators in the library's basis, float64. objective: what it came to. worth: (K,), what the
        objective loses when a component is left out and the others are fitted anew; empty where nobody asked.
    """

    theta: Tensor
    objective: float
    worth: tuple[float, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Fitting:
    """How a dictionary is fitted.

    Raises:
        ValueError: if a setting is out of range.
    """

    price: float = 0.05
    """Relative error that an active component must save, 0 < price < 1."""
    most: int = 3
    """Components that are active in one clip, at most, >= 1."""
    restarts: int = 20
    """Random dictionaries to start from, >= 1."""
    rounds: int = 40
    """Alternations of each, >= 1."""
    clips: int = 600
    """Clips that restarts look at, >= 1; the best few are fitted to all."""
    few: int = 5
    """Distinct dictionaries that are fitted to all clips, and in richer bases, >= 1."""
    spare: float = 0.03
    """A component that is worth less than this share of the change is left out, 0 .. 1."""

    def __post_init__(self) -> None:
        for name in ("most", "restarts", "rounds", "clips", "few"):
            if getattr(self, name) < 1:
                raise ValueError(f"fitting.{name}: expected an integer >= 1, got {getattr(self, name)!r}.")
        for name in ("price", "spare"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"fitting.{name}: expected 0 .. 1, got {getattr(self, name)!r}.")


def speeds(theta: Tensor, kept: Statistics, price: float, most: int) -> tuple[Tensor, Tensor]:
    """The best sparse speeds of every clip, and what each costs: (N, K) and (N,)."""
    components = theta.shape[1]
    gram = torch.einsum("jk,njl,lm->nkm", theta, kept.gram, theta)
    cross = kept.cross @ theta
    scale = kept.energy + FLOOR
    best = kept.energy / scale
    found = torch.zeros_like(cross)
    chosen = list(subsets(components, most))
    for size in range(1, min(most, components) + 1):
        sets = torch.tensor([s for s in chosen if len(s) == size])
        block = gram[:, sets[:, :, None], sets[:, None, :]]
        block = block + 1e-9 * torch.eye(size, dtype=block.dtype)
        right = cross[:, sets]
        z = torch.linalg.solve(block, right[..., None])[..., 0]
        left = (kept.energy[:, None] - (z * right).sum(2)).clamp_min(0)
        cost, which = (left / scale[:, None] + price * size).min(1)
        better = cost < best
        best = torch.where(better, cost, best)
        rows = torch.zeros_like(found).scatter_(1, sets[which], z[torch.arange(len(z)), which])
        found = torch.where(better[:, None], rows, found)
    return found, best


def refit(theta: Tensor, kept: Statistics, fitting: Fitting, rounds: int, ridge: float = 1e-5) -> Dictionary:
    """A dictionary after more rounds at the full price."""
    mean = kept.gram.mean(0)
    for _ in range(rounds):
        z, _ = speeds(theta, kept, fitting.price, fitting.most)
        theta = _normalised(_solved(theta, z, kept, ridge), mean)
    return Dictionary(theta, speeds(theta, kept, fitting.price, fitting.most)[1].mean().item())


def fit(kept: Statistics, components: int, fitting: Fitting, generator: Generator) -> list[Dictionary]:
    """Dictionaries from random starts, distinct ones by objective, the best first: at most `fitting.few`.

    Args:
        kept: of at least as many clips as there are components. components: K, >= 1.
    Raises:
        ValueError: if there are too few clips.
    """
    if len(kept.energy) < components:
        raise ValueError(f"discovery: expected at least {components} clips that move, got {len(kept.energy)}.")
    kept = kept.first(fitting.clips)
    mean = kept.gram.mean(0)
    floor = 1e-6 * mean.diagonal().mean() * torch.eye(len(mean), dtype=mean.dtype)
    factor = torch.linalg.cholesky(mean + floor)

    def random(count: int) -> Tensor:
        draws = torch.randn(len(mean), count, generator=generator, dtype=torch.float64)
        return _normalised(torch.linalg.solve(factor.T, draws), mean)

    found = []
    for _ in range(fitting.restarts):
        theta, last = random(components), float("inf")
        for turn in range(fitting.rounds):
            z, cost = speeds(theta, kept, fitting.price * min(1.0, turn / RAMP), fitting.most)
            theta = _normalised(_solved(theta, z, kept, 1e-6), mean)
            unused = (z != 0).sum(0) == 0
            if turn < RAMP and unused.any():
                theta[:, unused] = random(int(unused.sum()))
            if turn > RAMP + 5 and abs(last - cost.mean().item()) < 1e-7:
                break
            last = cost.mean().item()
        found.append(Dictionary(theta, speeds(theta, kept, fitting.price, fitting.most)[1].mean().item()))
    return _distinct(sorted(found, key=lambda d: d.objective))[: fitting.few]


def lift(theta: Tensor, poor: Library, rich: Library) -> Tensor:
    """The same generators in a richer basis.

    Raises:
        ValueError: if the rich basis lacks a monomial of the poor one.
    """
    if poor.place_degree > rich.place_degree or poor.colour_degree > rich.colour_degree:
        raise ValueError("lift: expected a basis that holds the other, got lower degrees.")
    lifted = theta.new_zeros(rich.size, theta.shape[1])
    for axis in range(2):
        for i, power in enumerate(poor.places):
            lifted[axis * len(rich.places) + rich.places.index(power)] = theta[axis * len(poor.places) + i]
    before, begins = 2 * len(poor.places), 2 * len(rich.places)
    for channel in range(3):
        for i, power in enumerate(poor.colours):
            at = begins + channel * len(rich.colours) + rich.colours.index(power)
            lifted[at] = theta[before + channel * len(poor.colours) + i]
    return lifted


def prune(found: Dictionary, kept: Statistics, fitting: Fitting, rounds: int = 15) -> tuple[Dictionary, list[float]]:
    """Leave out components, one after another, for as long as one is worth less than `fitting.spare`.

    Returns:
        The dictionary with each component's worth, and the worths of those that were left out, in turn; the last
        component stays, whatever it is worth.
    """
    theta, objective, dropped = found.theta, found.objective, []
    while True:
        components = theta.shape[1]
        if components == 1:
            alone = (kept.energy / (kept.energy + FLOOR)).mean().item()
            return Dictionary(theta, objective, (alone - objective,)), dropped
        without = [
            refit(theta[:, [j for j in range(components) if j != k]], kept, fitting, rounds)
            for k in range(components)
        ]  # fmt: skip
        worth = [w.objective - objective for w in without]
        least = min(range(components), key=worth.__getitem__)
        if worth[least] > fitting.spare:
            return Dictionary(theta, objective, tuple(worth)), dropped
        dropped.append(worth[least])
        theta, objective = without[least].theta, without[least].objective


def _solved(theta: Tensor, z: Tensor, kept: Statistics, ridge: float) -> Tensor:
    """The generators that fit best to given speeds."""
    basis, components = theta.shape
    weight = 1 / (kept.energy + FLOOR)
    outer = torch.einsum("n,nk,nm->kmn", weight, z, z).flatten(0, 1) @ kept.gram.flatten(1)
    system = outer.view(components, components, basis, basis).permute(0, 2, 1, 3).reshape(components * basis, -1)
    right = ((weight[:, None] * z).T @ kept.cross).reshape(-1)
    ridge = ridge * system.diagonal().mean().item() + 1e-12  # components that nothing uses give a system of zeros
    system = system + ridge * torch.eye(len(system), dtype=system.dtype)
    return torch.linalg.solve(system, right).view(components, basis).T


def _normalised(theta: Tensor, mean: Tensor) -> Tensor:
    """Generators scaled so that speed 1 changes the mean clip by `UNIT`."""
    size = torch.einsum("jk,jl,lk->k", theta, mean, theta).clamp_min(1e-12).sqrt()
    return theta / size * UNIT


def _distinct(found: list[Dictionary]) -> list[Dictionary]:
    kept: list[Dictionary] = []
    for one in found:
        if all(abs(one.objective - other.objective) > 2e-4 for other in kept):
            kept.append(one)
    return kept
