r"""Constants that bring a family's conditions to one scale, level by level: $E(x, \sigma | c) - b_c(\sigma)$.

Denoising alone leaves every condition's energy with a constant of its own, which no score shows and every comparison of
conditions needs. Two ways to find it after training:

- `fit_offsets`: logistic regression on labelled data noised to each level, with the constants as the only unknowns,
  $p(c | x) \propto \pi_c \exp(b_c - E(x | c))$. Conditions then agree with each other, up to a constant of the level
  that all have in common. It needs forward passes alone, and holds in images, where log Z cannot be measured.
- `absorb`: minus the log Z that was measured (`table.py`), where its error is small. Members are then normalised.

Between levels constants are interpolated in log sigma.

Source: the regression is Platt's (1999) scaling with a slope of one, for several classes.
"""

import math
from typing import Any

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.density.table import LEVELS, as_new, grid

__all__ = ["Offsets", "absorb", "fit_offsets"]

RIDGE = 1e-4
"""Weight of b's squared distance from that of the level above, beside the mean log loss: where classes are so far apart
that every constant fits, it stays."""
NEWTON = 50


class Offsets(nn.Module):
    """b by level and condition; zero until fitted. Saved with the family.

    Args:
        lowest, highest: levels of the family. rows: conditions, the first of which is none.
    Attributes:
        sigma: (13,), from the highest. value: (13, rows), in nats. ready: whether they were fitted.
    """

    sigma: Tensor
    value: Tensor
    ready: Tensor

    def __init__(self, lowest: float, highest: float, rows: int) -> None:
        super().__init__()
        self.register_buffer("sigma", grid(lowest, highest))
        self.register_buffer("value", torch.zeros(LEVELS, rows))
        self.register_buffer("ready", torch.zeros((), dtype=torch.bool))
        self.register_load_state_dict_pre_hook(as_new)

    @property
    def fitted(self) -> bool:
        """Whether there are offsets."""
        return bool(self.ready)

    def at(self, sigma: float, place: Tensor) -> Tensor:
        """b of conditions at their places in the list of conditions, (batch,), at a level; 0 where the place is -1."""
        top, bottom = self.sigma[0].log().item(), self.sigma[-1].log().item()
        at = min(max((top - math.log(sigma)) / (top - bottom) * (LEVELS - 1), 0.0), LEVELS - 1.0)
        low = min(int(at), LEVELS - 2)
        row = torch.lerp(self.value[low], self.value[low + 1], at - low)
        return torch.where(place >= 0, row[place.clamp(min=0)], 0)


@torch.no_grad()
def fit_offsets(
    family: Any, x: Tensor, labels: Tensor, *, batch: int = 500, generator: Generator | None = None
) -> Tensor:
    """Fit the offsets of a family of classes on the labelled data of its training; the log loss by level, (13,).

    The offset of no condition is such that, on average over the data, the prior is the mixture of the classes. What was
    measured of log Z is forgotten, for it has changed.

    Args:
        family: a `LevelEnergy` with classes, or several attributes with named values, each a group that is fitted by
            itself. x: data as the family sees them, (n, *event); labels: (n, *dims), their conditions, each class at
            least once. batch: samples evaluated at once.
    Raises:
        ValueError: if a group has less than two classes, or one without data.
    Cost: 13 forward passes of all data for each class.
    """
    groups = family.conditions.groups(labels)
    if len(labels) != len(x) or not groups:
        raise ValueError(
            f"fit_offsets: expected data of two or more classes, a label each, got {len(x)} and {len(labels)}."
        )
    for rows, own in groups:
        counts = torch.bincount(own[own >= 0], minlength=len(rows))
        if len(rows) < 2 or (counts == 0).any():
            raise ValueError(
                f"fit_offsets: expected a family of two or more classes and data of each, got {len(rows)} classes with "
                f"{counts.tolist()} of {len(x)} samples; pass labelled data of every class."
            )
    held = [torch.zeros(len(rows), dtype=torch.float64) for rows, _ in groups]
    losses, table = [], []
    for sigma in family.offsets.sigma.tolist():
        log_sigma = torch.full((len(x),), math.log(sigma)).to(x)
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype).to(x.device)
        noisy = x + sigma * noise
        none = _log_density(family, noisy, log_sigma, 0, batch)
        row, total = torch.zeros(len(family.conditions.listed()), dtype=torch.float64), 0.0
        for number, (rows, own) in enumerate(groups):
            known = own >= 0
            share = torch.bincount(own[known], minlength=len(rows)).double()
            told = torch.stack([_log_density(family, noisy[known], log_sigma[known], r, batch) for r in rows], 1)
            logits = told + (share / share.sum()).log()
            b, loss = _regressed(logits, own[known], held[number])
            prior = ((logits + b).logsumexp(1) - none[known]).mean()
            if number == 0:
                row[0] = prior
            row[list(rows)] = b + row[0] - prior
            held[number], total = b, total + loss
        table.append(row)
        losses.append(total)
    family.offsets.value.copy_(torch.stack(table))
    family.offsets.ready.fill_(True)
    family.table.clear()
    return torch.tensor(losses)


@torch.no_grad()
def absorb(family: Any, error: float = 0.5) -> list[float]:
    """Take what the table has measured of log Z into the offsets; the levels at which that was done.

    At the levels where log Z of every condition is known within a standard error, members are normalised within it
    afterwards, and the table says so; the others stay as they were.

    Args:
        error: largest standard error, in nats.
    Raises:
        ValueError: if the table is not filled.
    """
    table, offsets = family.table, family.offsets
    if not table.measured:
        raise ValueError("absorb: expected a table that is filled; call density.table.measure first.")
    sure = (table.error <= error).all(1) & (table.ess >= 0.1).all(1)
    offsets.value[sure] -= table.log_z[sure]
    table.log_z[sure] = 0.0
    if sure.any():
        offsets.ready.fill_(True)
    return table.sigma[sure].tolist()


def _log_density(family: Any, x: Tensor, log_sigma: Tensor, row: int, batch: int) -> Tensor:
    """log p of all samples under one condition of the list, in float64."""
    c = family.conditions.listed()[row]
    parts = zip(x.split(batch), log_sigma.split(batch), strict=True)
    return torch.cat([family.log_density(a, s, c.expand(len(a), *c.shape)) for a, s in parts]).double()


def _regressed(logits: Tensor, labels: Tensor, before: Tensor) -> tuple[Tensor, float]:
    """The constants, of mean 0, that make the labels most likely, by Newton's method; the log loss."""
    told = F.one_hot(labels, logits.shape[1]).double()
    eye = torch.eye(logits.shape[1], dtype=torch.float64)

    def loss(b: Tensor) -> Tensor:
        return F.cross_entropy(logits + b, labels) + RIDGE * (b - before).square().sum()

    b = before.clone()
    for _ in range(NEWTON):
        p = (logits + b).softmax(1)
        gradient = (p - told).mean(0) + 2 * RIDGE * (b - before)
        curvature = torch.diag(p.mean(0)) - p.T @ p / len(p) + 2 * RIDGE * eye
        way, size = torch.linalg.solve(curvature, gradient), 1.0
        held = loss(b)
        while size > 1e-6 and not loss(b - size * way) <= held:
            size /= 2
        b = b - size * way
        if (size * way).abs().max() < 1e-9:
            break
    return b - b.mean(), F.cross_entropy(logits + b, labels).item()
