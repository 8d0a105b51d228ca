r"""Which concepts are in an image: Bayes' rule over named values, and descent where an attribute is told in numbers.

$$ p(v | x) \propto \pi_v \exp(-E_\sigma(x + \sigma z | v)), \qquad
   \hat p = \arg\min_p \frac 1M \sum_m E_\sigma(x + \sigma z_m | p) $$

with the same noise for all values of an attribute, nothing told of the others. At which level an attribute is read best
is found on training images, once, and kept with the model.

Source: Bayes' rule over energies as in Du, Li & Mordatch 2020, section 3.5 (concept inference), which sums energies of
classes without their scale.
"""

from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.concepts.model import Concepts

__all__ = ["Inferred", "choose_levels", "infer", "noisiest"]

DRAWS = 8
"""Of noise, for each image."""
CANDIDATES = 8
"""Levels that are tried, evenly in log sigma."""
UPPER = 1.5
"""The highest of them, in deviations of the data."""
GRID = 9
"""Starts of a descent, along each side."""
STEPS = 40
RATE = 0.03
"""Of descent in the numbers, by Adam."""
CHUNK = 4096
"""Noisy points under one condition that are evaluated together."""


class Inferred(NamedTuple):
    """What is read in images.

    Attributes:
        probabilities: of each attribute with named values, (n, values). numbers: of each attribute told in numbers,
            (n, numbers). values: a table as of `data/attributed.py`, (n, columns), of the likeliest.
    """

    probabilities: dict[str, Tensor]
    numbers: dict[str, Tensor]
    values: Tensor


@torch.no_grad()
def infer(model: Concepts, x: Tensor, generator: Generator | None = None, draws: int = DRAWS) -> Inferred:
    """Values of all attributes of points of the model's space.

    Args:
        x: (n, *event). draws: of noise for each image, averaged over.
    """
    probabilities, numbers = {}, {}
    values = torch.full((len(x), model.family.conditions.width), torch.nan)
    for number, (attribute, column) in enumerate(zip(model.attributes, model.columns, strict=True)):
        sigma = model.family.checked(float(model.best[number]))
        noisy = torch.stack([x + sigma * torch.randn(x.shape, generator=generator).to(x) for _ in range(draws)])
        if attribute.values:
            found = _log_densities(model, number, noisy, sigma) + _log_shares(model, number)
            probabilities[attribute.name] = found.softmax(1)
            values[:, column] = found.argmax(1, keepdim=True).float()
        else:
            numbers[attribute.name] = values[:, column] = _descended(model, number, noisy, sigma)
    return Inferred(probabilities, numbers, values)


@torch.no_grad()
def choose_levels(model: Concepts, x: Tensor, values: Tensor, generator: Generator | None = None) -> Tensor:
    """The level at which each attribute of training images is read best, kept in `model.best`, (attributes,), of named
    values the highest that is as good (`noisiest`); one that they do not tell keeps its own.

    Args:
        x: (n, *event). values: (n, columns), of training images.
    """
    family = model.family
    low, high = family.lowest, min(family.highest, UPPER * float(family.deviation))
    levels = torch.linspace(0, 1, CANDIDATES).mul(torch.tensor(high / low).log()).exp().mul(low).tolist()
    for number, (attribute, column) in enumerate(zip(model.attributes, model.columns, strict=True)):
        known = ~values[:, column].isnan().any(1)
        if not known.any():
            continue
        own, truth = x[known], values[known][:, column]
        errors: list[float] = []
        losses: list[Tensor] = []
        for sigma in levels:
            noisy = (own + sigma * torch.randn(own.shape, generator=generator).to(own))[None]
            if attribute.values:
                told = _log_densities(model, number, noisy, family.checked(sigma)) + _log_shares(model, number)
                losses.append(F.cross_entropy(told, truth[:, 0].long(), reduction="none"))
            else:
                found = _descended(model, number, noisy, family.checked(sigma))
                errors.append((found - truth).square().sum(1).sqrt().median().item())
        chosen = noisiest(torch.stack(losses)) if losses else min(range(len(levels)), key=errors.__getitem__)
        model.best[number] = family.checked(levels[chosen])
    return model.best


def noisiest(losses: Tensor) -> int:
    """The last of levels, from low to high, at which images are read as well as at the best one: the mean of what is
    lost more, image by image, is at most its standard error. Noise hides what is not the value's but the renderer's.

    Source: the one-standard-error rule of Breiman, Friedman, Olshen & Stone 1984, section 3.4.3, here of differences.
    Shape:
        losses: (levels, n).
    """
    more = losses - losses[losses.mean(1).argmin()]
    error = more.std(1) / more.shape[1] ** 0.5
    return int((more.mean(1) <= error).nonzero().max())


def _log_shares(model: Concepts, number: int) -> Tensor:
    """log of the share of each value of an attribute."""
    before = sum(len(a.values) for a in model.attributes[:number])
    return model.shares[before : before + len(model.attributes[number].values)].clamp(min=1e-12).log()


def _log_densities(model: Concepts, number: int, noisy: Tensor, sigma: float) -> Tensor:
    """Log-densities (n, values) under each value of an attribute, averaged over noise, of points (draws, n, *event)."""
    column, family = model.columns[number], model.family.at_noise(sigma)
    found = []
    for value in range(len(model.attributes[number].values)):
        condition = model.family.conditions.none(1)[0]
        condition[column] = value
        member = family(condition)
        each = torch.cat([-member(part) for part in noisy.flatten(0, 1).split(CHUNK)])
        found.append(each.view(noisy.shape[:2]).mean(0))
    return torch.stack(found, 1)


def _descended(model: Concepts, number: int, noisy: Tensor, sigma: float) -> Tensor:
    """The numbers (n, k) of an attribute at which points (draws, n, *event) are likeliest: the best of a grid, then
    descent.
    """
    attribute, column = model.attributes[number], model.columns[number]
    line = (torch.arange(GRID) + 0.5) / GRID
    starts = torch.cartesian_prod(*[line] * attribute.numbers).view(-1, attribute.numbers)
    n, best = noisy.shape[1], torch.full((noisy.shape[1],), torch.inf)
    found = torch.zeros(n, attribute.numbers)
    for start in starts:
        energy = _energy(model, column, noisy[:1], sigma, start.expand(n, -1))
        better = energy < best
        best, found = torch.where(better, energy, best), torch.where(better[:, None], start, found)
    with torch.enable_grad():
        p = found.clone().requires_grad_()
        optimiser = torch.optim.Adam([p], lr=RATE)
        for step in range(STEPS):
            optimiser.param_groups[0]["lr"] = RATE * (1 - step / STEPS)
            optimiser.zero_grad()
            (gradient,) = torch.autograd.grad(_energy(model, column, noisy, sigma, p).sum(), p)
            p.grad = gradient
            optimiser.step()
            with torch.no_grad():
                p.clamp_(0, 1)
    return p.detach()


def _energy(model: Concepts, column: slice, noisy: Tensor, sigma: float, numbers: Tensor) -> Tensor:
    """Energies (n,) of points (draws, n, *event) where an attribute has numbers (n, k), averaged over noise."""
    draws, n = noisy.shape[:2]
    rows: list[Any] = []
    for points, own in zip(noisy.split(max(1, CHUNK // n)), [numbers] * draws, strict=False):
        condition = model.family.conditions.none(n)
        condition = torch.cat([condition[:, : column.start], own, condition[:, column.stop :]], 1)
        member = model.family.at_noise(sigma)(condition.repeat(len(points), 1))
        rows.append(member(points.flatten(0, 1)).view(len(points), n))
    return torch.cat(rows).mean(0)
