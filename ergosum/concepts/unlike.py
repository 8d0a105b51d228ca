r"""Images unlike those that a model learned from, told by numbers of theirs that are beyond those of held-out images.

In codes an image is unlike for either of two reasons: its code is unlikely, `density`, -log p(z) under the prior at
the lowest noise level in nats; or the code does not hold it, `error`, the mean squared error of what is decoded. In
pixels the first is all. Where objects are found in windows, it is what these leave over (`finding.search`).

With N held-out images and k numbers, of which $r_j$ held-out images have as large a j-th one,

$$ p = \min(1, \; k \min_j \frac{1 + r_j}{N + 1}) . $$

Whatever the density is, an image drawn like the held-out ones has $P(p \le \alpha) \le \alpha$: its rank among N + 1
exchangeable images is uniform, and one of k such shares is below $\alpha / k$ at most k times as often as each. An
image is called unlike where p is the least that there can be, $k / (N + 1)$: one of its numbers is beyond all N.

Source: the marginal conformal p-value of Bates, Candès, Lei, Romano & Sesia 2023; Bonferroni's bound for k of them.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.concepts.model import Concepts
from ergosum.density.foreign import foreign_sets
from ergosum.part import Part
from ergosum.training.task import Table

__all__ = ["Numbers", "gradients", "held_out_numbers", "p_values", "score_unlike", "unlike_tables", "unlikeness"]

Numbers = Mapping[str, Tensor]
"""By name, a number (n,) for each of n images; larger ones are less like the data."""
Of = Callable[[Tensor, Generator], Numbers]
"""What gives the numbers of images."""
DRAWS = 4
"""Of noise, for each image."""
CHUNK = 256
"""Images that are looked at together."""
HELD_OUT = 3_000_000
"""Seed of the held-out images that others are compared with."""


@torch.no_grad()
def unlikeness(model: Concepts, images: Tensor, generator: Generator | None = None) -> dict[str, Tensor]:
    """`density` of images (n, channels, side, side) in [0, 1], and `error` where they are decoded from codes."""
    parts = [_unlikeness(model, part, generator) for part in images.split(CHUNK)]
    return {name: torch.cat([part[name] for part in parts]) for name in parts[0]}


def _unlikeness(model: Concepts, images: Tensor, generator: Generator | None) -> dict[str, Tensor]:
    points, sigma = model.encode(images), model.family.checked(model.family.lowest)
    member = model.family.at_noise(sigma)(model.family.conditions.none(1)[0])
    noise = [torch.randn(points.shape, generator=generator).to(points) for _ in range(DRAWS)]
    density = torch.stack([member(points + sigma * z) for z in noise]).mean(0)
    if model.space.direct:
        return {"density": density}
    return {"density": density, "error": (model.decode(points) - images).square().flatten(1).mean(1)}


def held_out_numbers(of: Of, data: Part[Any], n: int) -> dict[str, list[float]] | None:
    """The numbers of n held-out images, from small to large; None if the data are not at hand.

    Args:
        of: gives the numbers of images. data: gets `split`.
    """
    generator = Generator().manual_seed(HELD_OUT)
    try:
        images = data.build(split="test").attributed(n, generator).images
    except (OSError, ValueError, ImportError):
        return None
    return {name: sorted(number.tolist()) for name, number in of(images, generator).items()}


def p_values(held_out: Mapping[str, Sequence[float]], found: Numbers) -> tuple[Tensor, float]:
    """p of images (n,) by the numbers that held-out images have as well, and the least that there can be.

    Raises:
        ValueError: if these have none of them, or not as many of each.
    """
    common = [name for name in found if held_out.get(name)]
    counts = {len(held_out[name]) for name in common}
    if len(counts) != 1:
        told = ", ".join(f"{len(numbers)} of {name}" for name, numbers in held_out.items()) or "none"
        raise ValueError(f"held-out images: expected as many numbers of each of {', '.join(found)}, got {told}.")
    (count,) = counts
    shares = []
    for name in common:
        known = torch.tensor(sorted(held_out[name]))
        as_large = count - torch.searchsorted(known, found[name].to(known).contiguous())
        shares.append((1 + as_large) / (1 + count))
    return (len(common) * torch.stack(shares).amin(0)).clamp(max=1.0), len(common) / (1 + count)


def score_unlike(of: Of, data: Part[Any], n: int, seed: int, held_out: int) -> dict[str, Any]:
    """`held_out`, the numbers of so many images, and `rows`: the share that is called unlike of n others that are held
    out, and of n of each set that is none of the data (`density.foreign`, and gradients).
    """
    known = held_out_numbers(of, data, held_out)
    if known is None:
        return {}
    generator = Generator().manual_seed(1_000_000 + seed)
    test = data.build(split="test")
    images = test.attributed(n, generator).images
    sets = foreign_sets(images, n, generator, str(getattr(test, "source", "")))
    sets = {"held out": images, "gradient": gradients(images, generator)} | sets
    rows = []
    for name, shown in sets.items():
        p, least = p_values(known, of(shown, generator))
        rows.append({"set": name, "unlike": (p <= least).double().mean().item(), "n": len(shown)})
    return {"held_out": known, "rows": rows}


def gradients(images: Tensor, generator: Generator) -> Tensor:
    """Images that change from one colour to another in some direction, as an empty sky does, as many and as large."""
    n, channels, side = images.shape[:3]
    one, other = torch.rand(2, n, channels, 1, 1, generator=generator)
    turn = 2 * math.pi * torch.rand(n, 1, 1, 1, generator=generator)
    line = torch.linspace(-0.5, 0.5, side)
    along = 0.5 + (turn.cos() * line + turn.sin() * line[:, None]) / math.sqrt(2)
    return one + (other - one) * along


def unlike_tables(scores: Mapping[str, Any]) -> list[Table]:
    """A row for each set of images."""
    rows = scores.get("unlike", {}).get("rows", [])
    title = "Images called unlike those that the model learned from: share of n of each set"
    return [Table(("set",), {"unlike": 3, "n": 0}, rows, title)] if rows else []
