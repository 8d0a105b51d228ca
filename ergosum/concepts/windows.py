r"""Energies of windows around objects: vectors whose numbers depend on each other, under values and a place.

Neighbouring pixels are nearly the same, so that most of the variance of windows lies in few directions. With the
eigenvectors V of their covariance and its eigenvalues $\lambda_i$, z = V^T (y - m),

$$ E(y, \sigma | c) = \sum_i \left[ \frac{z_i^2}{2 (\lambda_i + \sigma^2)}
   + \frac12 \log 2 \pi (\lambda_i + \sigma^2) \right] - g(z, \sigma, c) : $$

the correction g starts from the normal distribution that has the windows' covariance, at every level. V is a rotation,
so that noise on pixels is noise of the same deviation on z, and densities of y and z are the same number.

Of large windows most directions are hardly more than the noise of pixels. Where only the first k are `kept`, V has k
columns, g sees these, and what is left of y, in D - k directions that nobody needs to know, is an independent normal of
one deviation, that of their mean variance.

Source: `LevelEnergy`, whose one deviation becomes one for each direction.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from ergosum.concepts.energy import WholeEnergy
from ergosum.data.attributed import Attribute
from ergosum.density.forms import Form, InnerProduct, Level
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part
from ergosum.shapes import Batch, PerSample

__all__ = ["WindowEnergy"]

BODY: Part[Form] = Part(InnerProduct, body=Part(LevelMlp, width=256, blocks=3), fine=True)
"""Of a window."""
LEAST = 1e-3
"""Of deviations along a direction."""


class WindowEnergy(WholeEnergy):
    """`LevelEnergy` of vectors around the normal distribution of their covariance.

    Args:
        event: (D,). attributes: of the conditions. form, lowest, highest, code: as `WholeEnergy`. kept: k, 0 for all D.
    Attributes:
        basis: V, (D, k). deviations: square roots of the eigenvalues, falling, (k,); identity and ones until `fit`.
            beyond: deviation in every other direction, where there are any.
    Raises:
        ValueError: for k out of range.
    """

    basis: Tensor
    deviations: Tensor
    beyond: Tensor

    def __init__(
        self,
        event: tuple[int, ...],
        attributes: Sequence[Attribute] = (),
        form: Part[Form] = BODY,
        lowest: float = 0.02,
        highest: float = 16.0,
        code: int = 96,
        kept: int = 0,
    ) -> None:
        if not 0 <= kept <= event[0]:
            raise ValueError(f"kept: expected 0 to {event[0]} directions, got {kept!r}.")
        super().__init__(event, attributes, (), form, lowest, highest, code)
        self.kept = kept or event[0]
        self.left = event[0] - self.kept
        if self.left:
            self.form = form.build(event=(kept,), code=code)
            self.register_buffer("beyond", torch.ones(()))
        self.register_buffer("basis", torch.eye(event[0])[:, : self.kept].contiguous())
        self.register_buffer("deviations", torch.ones(self.kept))

    @torch.no_grad()
    def fit(self, x: Tensor) -> None:
        """Take mean, deviation and covariance from data (n, D).

        Raises:
            ValueError: if they have another shape, or are all the same.
        """
        super().fit(x)
        values, basis = torch.linalg.eigh((x - self.mean).double().T @ (x - self.mean).double() / len(x))
        values, basis = values.flip(0).clamp(min=LEAST**2), basis.flip(1)
        self.basis.copy_(basis[:, : self.kept])
        self.deviations.copy_(values[: self.kept].sqrt())
        if self.left:
            self.beyond.copy_(values[self.kept :].mean().sqrt())

    def log_density(self, x: Batch, log_sigma: Tensor, c: Tensor) -> PerSample:
        """$\\log p_\\sigma(x | c)$, as `LevelEnergy.log_density`."""
        y, level = self.placed(x, log_sigma)
        z, own = y @ self.basis, Level(level.sigma, self.deviations)
        told = self.anchor(z, own) + self.form(z, own, self.coded(log_sigma, c))
        if not self.left:
            return told
        variance = self.beyond**2 + level.sigma.reshape(len(y)) ** 2
        off = y.square().sum(1) - z.square().sum(1)
        return told - (off / variance + self.left * (2 * math.pi * variance).log()) / 2

    def anchor(self, y: Tensor, level: Level) -> PerSample:
        """Log-density of independent normals with the deviations of the level."""
        spread = level.spread
        return -((y / spread).square() / 2 + spread.log() + math.log(2 * math.pi) / 2).sum(1)
