r"""Finding objects: where in an image they are, how many, and what they are, by energies that each saw one alone.

The log-ratio of "an object here" to "none" is known for the window around every place p (`LocalLifts.ratios`). With
places $p_1, ..., p_P$ alike likely, and as likely one more object as none, the odds that there is one are

$$ O = \frac 1P \sum_i \frac{p_{obj}(x_{W(p_i)} | p_i)}{p_{bg}(x_{W(p_i)})} . $$

While O > 1, an object is put at the best place, to a quarter of a pixel; its values follow from Bayes' rule in its
window; and it is taken out of the image, so that the next one is looked for in what is left over. All densities are
those of the image at a noise level, $x + \sigma z$, log-ratios averaged over z: at which level places and each
attribute are read best is found on training images, once, and kept with the model.

Source: objects one by one out of what is left over, as matching pursuit (Mallat & Zhang 1993, section 2). The ratio of
energies of windows as its criterion is ours.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.concepts.inference import noisiest
from ergosum.concepts.local import corners, cut

__all__ = ["FoundObject", "choose_object_levels", "find", "search"]

DRAWS = 2
"""Of noise, for each image."""
MOST = 8
"""Objects after which no more are looked for."""
FINE = 4
"""Parts of a pixel that places are told apart by."""
AROUND = 1.5
"""Pixels around the best window within which the place is looked for."""
CANDIDATES = 8
"""Levels that are tried, evenly in log sigma."""
UPPER = 1.5
"""The highest of them, in deviations of windows."""
CHUNK = 4
"""Images whose windows are all evaluated together."""


class FoundObject(NamedTuple):
    """An object in an image.

    Attributes:
        log_odds: log O of this object, in nats. values: its row of values, (columns,). probabilities: of each attribute
            with named values, (values,).
    """

    log_odds: float
    values: Tensor
    probabilities: dict[str, Tensor]


@torch.no_grad()
def find(
    model: Any,
    x: Tensor,
    generator: Generator | None = None,
    most: int = MOST,
    draws: int = DRAWS,
) -> list[list[FoundObject]]:
    """The objects in images, those first whose log-ratio is largest.

    Args:
        model: `Objects`. x: (n, *event), points of its space, on the background that it knows (`elsewhere.adapted` puts
            images of another one there). most: objects of an image, at most. draws: of noise for each image, averaged
            over.
    """
    return search(model, x, generator, most, draws)[0]


@torch.no_grad()
def search(
    model: Any,
    x: Tensor,
    generator: Generator | None = None,
    most: int = MOST,
    draws: int = DRAWS,
) -> tuple[list[list[FoundObject]], Tensor]:
    """The objects in images as `find`, and what they leave over, (n,): the mean square of the distance to the
    background in deviations of its pixels, for each object; without one as for one.
    """
    parts = [_found(model, part, generator, most, draws) for part in x.split(CHUNK)]
    left = torch.cat([rest for _, rest in parts]) - model.family.mean
    found = [row for rows, _ in parts for row in rows]
    objects = torch.tensor([max(1, len(row)) for row in found]).to(left)
    return found, (left.square() / model.family.variance).flatten(1).mean(1) / objects


def _found(
    model: Any, x: Tensor, generator: Generator | None, most: int, draws: int
) -> tuple[list[list[FoundObject]], Tensor]:
    """The objects, and the images less these."""
    sigma = float(model.best[_place(model)])
    found: list[list[FoundObject]] = [[] for _ in x]
    rest, active = x.clone(), torch.arange(len(x))
    grid = every_place(model)
    free = torch.ones(len(x), len(grid), dtype=torch.bool)
    for _ in range(most):
        noisy = noised(rest[active], sigma, draws, generator)
        told = _ratios(model, noisy, sigma, rows_at(model, grid)[None])
        told = told.masked_fill(~free[active], -torch.inf)
        odds, best = told.logsumexp(1) - math.log(len(grid)), told.argmax(1)
        going = odds > 0
        active, noisy, odds, best = active[going], noisy[:, going], odds[going], best[going]
        if not len(active):
            break
        rows = rows_at(model, _refined(model, noisy, sigma, grid[best]))
        rows, probabilities = _named(model, rest[active], rows, generator, draws)
        for number, image in enumerate(active.tolist()):
            own = {name: p[number] for name, p in probabilities.items()}
            found[image].append(FoundObject(odds[number].item(), rows[number], own))
        rest[active] = _without(model, rest[active], noisy[0], sigma, rows)
        away = (grid[None] - rows[:, None, model.family.place]).abs().amax(2) * model.side
        free[active] &= away >= model.family.window / 2
    return found, rest


def every_place(model: Any) -> Tensor:
    """The middles of all whole windows of an image, (places, 2)."""
    window, side = model.family.window, model.side
    line = (torch.arange(side - window + 1) + window / 2) / side
    return torch.cartesian_prod(line, line)


def rows_at(model: Any, places: Tensor) -> Tensor:
    """Values (n, columns) that tell a place (n, 2), and nothing else."""
    rows = torch.full((len(places), model.family.width), torch.nan)
    rows[:, model.family.place] = places
    return rows


def noised(x: Tensor, sigma: float, draws: int, generator: Generator | None) -> Tensor:
    """Images with noise, (draws, n, *event)."""
    return torch.stack([x + sigma * torch.randn(x.shape, generator=generator).to(x) for _ in range(draws)])


def _place(model: Any) -> int:
    """Which of the attributes is the place."""
    return next(n for n, a in enumerate(model.attributes) if a.numbers == 2)


def _ratios(model: Any, noisy: Tensor, sigma: float, values: Tensor) -> Tensor:
    """Log-ratios (n, K) of objects with values (n or 1, K, columns) in noisy images (draws, n, *event), averaged."""
    member = model.family(values).at_noise(sigma)
    return torch.stack([member.ratios(part) for part in noisy]).mean(0)


def _refined(model: Any, noisy: Tensor, sigma: float, places: Tensor) -> Tensor:
    """Places (n, 2) to parts of a pixel: the mean of those nearby, weighed by their ratios."""
    line = torch.arange(-AROUND, AROUND + 1e-6, 1 / FINE) / model.side
    least = model.family.window / 2 / model.side
    tries = (places[:, None] + torch.cartesian_prod(line, line)).clamp(least, 1 - least)
    values = rows_at(model, tries.flatten(0, 1)).unflatten(0, tries.shape[:2])
    weight = _ratios(model, noisy, sigma, values).softmax(1)
    return (weight[..., None] * tries).sum(1)


def _named(
    model: Any, x: Tensor, rows: Tensor, generator: Generator | None, draws: int
) -> tuple[Tensor, dict[str, Tensor]]:
    """Rows with the likeliest named values, and the probabilities of all, by Bayes' rule in the windows."""
    told, probabilities = rows.clone(), {}
    for number, (attribute, column) in enumerate(zip(model.attributes, model.columns, strict=True)):
        if attribute.values:
            sigma = float(model.best[number])
            each = value_ratios(model, noised(x, sigma, draws, generator), sigma, rows, number)
            probabilities[attribute.name] = p = (each + log_shares(model, number)).softmax(1)
            told[:, column] = p.argmax(1, keepdim=True).float()
    return told, probabilities


def value_ratios(model: Any, noisy: Tensor, sigma: float, rows: Tensor, number: int) -> Tensor:
    """Log-ratios (n, values) of objects with each value of an attribute, at the places of rows (n, columns)."""
    count, column = len(model.attributes[number].values), model.columns[number]
    values = rows[:, None].repeat(1, count, 1)
    values[..., column] = torch.arange(count).float()[:, None]
    return _ratios(model, noisy, sigma, values)


def log_shares(model: Any, number: int) -> Tensor:
    """log of the share of each value of an attribute."""
    before = sum(len(a.values) for a in model.attributes[:number])
    return model.shares[before : before + len(model.attributes[number].values)].clamp(min=1e-12).log()


def _without(model: Any, x: Tensor, noisy: Tensor, sigma: float, rows: Tensor) -> Tensor:
    """Images (n, *event) less what an object in each explains: its window's mean given the noisy window."""
    y, window = noisy - model.family.mean, model.family.window
    moved = model.family.moved
    windows = cut(y, rows[:, None, model.family.place], window, moved).flatten(1)
    member = model.family.windows.at_noise(sigma)(model.family.told(rows))
    explained = (windows - sigma**2 * member.gradient(windows)).unflatten(1, (-1, window, window))
    left = x.clone()
    for image, part, (top, start) in zip(
        left, explained, corners(rows[:, model.family.place], window, model.side, moved), strict=True
    ):
        image[:, top : top + window, start : start + window] -= part
    return left


@torch.no_grad()
def choose_object_levels(model: Any, x: Tensor, values: Tensor, generator: Generator | None = None) -> Tensor:
    """The levels at which the place and each other attribute are read best, by their log loss in training images of
    one object, of named values the highest that is as good (`noisiest`); kept in `model.best`, (attributes,).

    Args:
        x: (n, *event). values: (n, columns).
    """
    family = model.family
    low, high = family.lowest, min(family.highest, UPPER * float(family.deviation))
    levels = torch.linspace(0, 1, CANDIDATES).mul(math.log(high / low)).exp().mul(low).clamp(low, high).tolist()
    grid = every_place(model)
    wide = rows_at(model, grid)
    whole, own = (corners(at, family.window, model.side, family.moved) for at in (grid, values[:, None, family.place]))
    truth = (whole[None] == own).all(2).byte().argmax(1)
    bare = rows_at(model, values[:, family.place])
    for number, attribute in enumerate(model.attributes):
        losses = []
        for sigma in levels:
            noisy = noised(x, sigma, 1, generator)
            if attribute.values:
                told = value_ratios(model, noisy, sigma, bare, number) + log_shares(model, number)
                wanted = values[:, model.columns[number]][:, 0].long()
            else:
                told = torch.cat([_ratios(model, part, sigma, wide[None]) for part in noisy.split(CHUNK, 1)])
                wanted = truth
            losses.append(F.cross_entropy(told, wanted, reduction="none"))
        every = torch.stack(losses)
        model.best[number] = levels[noisiest(every) if attribute.values else int(every.mean(1).argmin())]
    return model.best
