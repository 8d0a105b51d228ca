r"""How a body becomes an energy: what it adds to a Gaussian's log-density.

With y = x - m, $v = s_d^2 + \sigma^2$, u = y / sqrt(v) of unit size, and (f, h) the body's field and number,

| form | added to $\log N(y; 0, v)$ |
|---|---|
| `InnerProduct` | $\frac{s_d}{\sigma} (\langle f, u \rangle + \frac{s_d}{\sqrt v} h)$ |
| `Scalar` | $\frac{s_d}{\sigma} \frac{s_d}{\sqrt v} h$ |
| `DenoiserDistance` | $\|y\|^2 / 2 v - \|y - D(y)\|^2 / 2 \sigma^2 + \frac{s_d}{\sigma} \frac{s_d}{\sqrt v} h$ |
| `Homogeneous` | $\frac{s_d}{2 \sigma} \langle r f(u / r), u \rangle + \frac{s_d}{\sigma} \frac{s_d}{\sqrt v} b$ |

with $r = \|u\| / \sqrt D$ and b of the level and condition alone. All vanish as sigma grows, so that every condition
ends in the same known Gaussian. The factors are those of EDM's preconditioned denoiser
$D(y) = \frac{s_d^2}{v} y + \frac{\sigma s_d}{\sqrt v} f$, whose score the inner product has where f's Jacobian is
symmetric and small: f is asked for numbers of unit size at every level.

Source: Karras et al. 2022 (preconditioning); Guth, Kadkhodaie & Simoncelli 2025 (inner product with a homogeneous
network); Du et al. 2023, Reduce, Reuse, Recycle (inner product and distance to a denoiser). Differs: the anchor, the
number h, and homogeneity by division with |u| instead of a network without biases.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from ergosum.energy import summed
from ergosum.nets.levels import Field, LevelBody, LevelMlp
from ergosum.part import Part

__all__ = ["DenoiserDistance", "Form", "Homogeneous", "InnerProduct", "Level", "Scalar"]

FINE = 8.0
"""Standard deviations of noise at which the second view of a noisy sample saturates."""


class Level(NamedTuple):
    """Noise levels of a batch, each (batch,) with dimensions of size one for the event: sigma, and the data's own
    deviation.
    """

    sigma: Tensor
    deviation: Tensor

    @property
    def spread(self) -> Tensor:
        """$\\sqrt{s_d^2 + \\sigma^2}$."""
        return (self.deviation**2 + self.sigma**2).sqrt()

    @property
    def ratio(self) -> Tensor:
        """$s_d / \\sigma$."""
        return self.deviation / self.sigma

    @property
    def gate(self) -> Tensor:
        """$s_d / \\sqrt v$, from 1 at no noise to 0."""
        return self.deviation / self.spread


class Form(nn.Module):
    """What a form offers: the correction (batch,) or (batch, outputs) in nats, of y (batch, *event) at its level.

    Args:
        event: shape of a sample. code: width of codes. body: network, gets `event`, `code`, `inputs`, `outputs`.
        fine: whether the body also sees $8 \\tanh(y / 8 \\sigma)$, in which noise has unit size at every level (images
            need it, where most pixels hold nothing but noise). outputs: numbers of the body.
    """

    def __init__(
        self,
        event: tuple[int, ...],
        code: int,
        body: Part[LevelBody] = Part(LevelMlp),  # noqa: B008
        fine: bool = False,
        outputs: int = 1,
    ) -> None:
        super().__init__()
        self.fine = fine
        self.body = body.build(event=event, code=code, inputs=2 if fine else 1, outputs=outputs)

    def seen(self, y: Tensor, level: Level) -> Tensor:
        """What the body sees of noisy samples."""
        u = y / level.spread
        return torch.cat([u, FINE * (y / (FINE * level.sigma)).tanh()], 1) if self.fine else u

    def number(self, told: Field, level: Level) -> Tensor:
        """The body's numbers in nats, (batch, outputs)."""
        return (level.ratio * level.gate).flatten(1) * told.numbers

    def forward(self, y: Tensor, level: Level, code: Tensor) -> Tensor:
        """The correction."""
        raise NotImplementedError


class InnerProduct(Form):
    """The field's inner product with the sample, and a number; arguments as `Form`."""

    def forward(self, y: Tensor, level: Level, code: Tensor) -> Tensor:
        """(batch,)."""
        told = self.body(self.seen(y, level), code)
        return summed(level.ratio * told.field * y / level.spread) + self.number(told, level)[:, 0]


class Scalar(Form):
    """The body's number alone: the cheapest energy, which a classifier's network can give; arguments as `Form`."""

    def forward(self, y: Tensor, level: Level, code: Tensor) -> Tensor:
        """(batch,)."""
        return self.number(self.body(self.seen(y, level), code), level)[:, 0]


class DenoiserDistance(Form):
    """The squared distance to what a denoiser makes of the sample; arguments as `Form`."""

    def forward(self, y: Tensor, level: Level, code: Tensor) -> Tensor:
        """(batch,)."""
        told = self.body(self.seen(y, level), code)
        denoised = level.gate**2 * y + level.sigma * level.gate * told.field
        gone = summed(((y - denoised) / level.sigma) ** 2)
        return (summed((y / level.spread) ** 2) - gone) / 2 + self.number(told, level)[:, 0]


class Homogeneous(Form):
    r"""Homogeneous of degree two in y, but for a number of the level and condition alone: $\langle y, \nabla E \rangle
    = 2 E$ up to that number; arguments as `Form`.

    Scaling a sample then scales its denoised image, so that nothing depends on contrast but the number.
    """

    def __init__(
        self,
        event: tuple[int, ...],
        code: int,
        body: Part[LevelBody] = Part(LevelMlp),  # noqa: B008
    ) -> None:
        super().__init__(event, code, body)
        self.offset = nn.Linear(code, 1)
        nn.init.zeros_(self.offset.weight)
        nn.init.zeros_(self.offset.bias)

    def forward(self, y: Tensor, level: Level, code: Tensor) -> Tensor:
        """(batch,)."""
        u = y / level.spread
        size = (summed(u**2) / u[0].numel() + 1e-12).sqrt().reshape(level.sigma.shape)
        told = self.body(u / size, code)
        product = summed(level.ratio * size * told.field * u) / 2
        return product + self.number(Field(None, self.offset(code)), level)[:, 0]
