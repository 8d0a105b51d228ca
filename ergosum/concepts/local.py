r"""Objects at places: a background, and in a window around each place what an object changes there.

$$ E(x | c_1, p_1, ..., c_K, p_K) = E_{bg}(x) + \sum_k \left[ E_{obj}(x_{W(p_k)} | c_k) - E_{bg}(x_{W(p_k)}) \right] $$

With a background whose pixels are independent, the bracket takes the background out of a window and puts the density of
windows that hold one object in its place; minus the bracket is the log-ratio of "an object here" to "none". Where
windows do not overlap,

$$ p(x) = \prod_k p_{obj}(x_{W(p_k)} | c_k) \prod_{i \notin W} p_{bg}(x_i) : $$

a density, normalised if that of windows is, at every noise level, however many objects there are and though each was
seen alone; outside of the windows nothing but background has mass. Sums of energies of whole images are not that: K of
them hold the background K times, and in the window of one object K - 1 of them ask for none.

Where windows overlap, each later bracket is a lift over the same background: a product of densities, which holds only
as far as one window's part of the overlap is background, is not normalised, and at a noise level is not the noised
product.

Source: locality of conditional scores is what lets counts grow beyond those of training, Bradley et al. 2025
(projective composition). The windows over a known background are ours.
"""

import math

import torch
from torch import Tensor

from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Call, Conditional, Energy
from ergosum.shapes import Batch, PerSample
from ergosum.weights import tiled

__all__ = ["LocalLifts", "background_of", "corners", "cut"]

NEAR = 4.0
"""Robust deviations within which a pixel counts as background."""
STEP = 2 / 255
"""Of a pixel of images of 256 steps, in the space's units."""


def background_of(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and variance of each pixel where it is background, each (channels, side, side), of images (n, ...) in which
    it mostly is: the median, and the spread of what is within four robust deviations of it.

    Raises:
        ValueError: of fewer than three images.
    """
    if len(x) < 3:
        raise ValueError(f"background_of: expected three images or more, got {len(x)}.")
    mean = x.median(0).values
    off = (x - mean).abs()
    near = off <= NEAR * (1.4826 * off.median(0).values).clamp(min=STEP)
    variance = (off.square() * near).sum(0) / near.sum(0)
    return mean, variance + STEP**2 / 12  # of the rounding to steps


def corners(places: Tensor, window: int, side: int, moved: bool = False) -> Tensor:
    """First row and column of the windows around places x, y in [0, 1], int64 (..., 2); NaN counts as the middle.

    Args:
        moved: where no whole window lies around a place, take the nearest one that is whole.
    Raises:
        ValueError: for a place outside of the image, or around which no whole window lies unless it may be moved.
    """
    least = 0.0 if moved else window / 2 / side
    told = places[~places.isnan().any(-1)]
    wrong = told[((told < least - 1e-6) | (told > 1 - least + 1e-6)).any(1)]
    if len(wrong):
        at = ", ".join(f"{n:g}" for n in wrong[0].tolist())
        why = "" if moved else f", around which a window of {window} pixels lies in an image of {side}"
        raise ValueError(f"place: expected numbers from {least:g} to {1 - least:g}{why}, got {at}.")
    middle = places.nan_to_num(0.5).flip(-1) * side
    return (middle - window / 2).round().long().clamp(0, side - window)


def cut(images: Tensor, places: Tensor, window: int, moved: bool = False) -> Tensor:
    """Windows around places, moved as those of `corners`.

    Shape:
        images: (n, channels, side, side). places: (n, K, 2). Returns (n, K, channels, window, window).
    Raises:
        ValueError: as `corners`.
    """
    first = corners(places, window, images.shape[-1], moved)
    line = torch.arange(window, device=images.device)
    rows, across = first[..., 0, None] + line, first[..., 1, None] + line
    n = torch.arange(len(images), device=images.device)[:, None, None, None]
    return images.permute(0, 2, 3, 1)[n, rows[..., :, None], across[..., None, :]].movedim(-1, 2)


class LocalLifts(Energy):
    """A background with an object in each of several windows; see above.

    Args:
        background: of whole images, its pixels independent. windows: family over (channels w w,), of windows that hold
            one object, less the background's mean there, as vectors. places: x to the right and y down, in [0, 1]; NaN
            for an object that is not there. conditions: of the family, one for each object; its `condition_dims` is 1.
            window: w, in pixels. moved: whether a window at the border is moved inside.
    Shape:
        places: (n, K, 2). conditions: (n, K, width). x: (batch, channels, side, side), batch a multiple of n.
    Exact: log_z, 0 where windows do not overlap and the family is normalised.   Cost: one call of the family.
    Raises:
        ValueError: for shapes that do not fit, a place around which no whole window lies in the image, or a background
            with covariances.
    """

    remembers = False
    places: Tensor
    conditions: Tensor

    def __init__(
        self, background: Gaussian, windows: Conditional, places: Tensor, conditions: Tensor, window: int,
        moved: bool = False,
    ) -> None:  # fmt: skip
        super().__init__()
        if background.factor is not None:
            raise ValueError("LocalLifts: expected a background whose pixels are independent, got covariances.")
        if places.ndim != 3 or places.shape[2] != 2 or conditions.shape[:2] != places.shape[:2] or not places.shape[1]:
            raise ValueError(
                "LocalLifts: expected places (n, K, 2) of one object or more and conditions (n, K, width), got "
                f"{tuple(places.shape)} and {tuple(conditions.shape)}."
            )
        self.background, self.windows, self.window, self.moved = background, windows, window, moved
        self.register_buffer("places", places)
        self.register_buffer("conditions", conditions)
        self.temperature = windows.temperature
        self.log_z = windows.log_z if self.apart() >= window else None

    def apart(self) -> int:
        """How far the nearest two windows of an image are apart, in pixels, on the axis on which that is more; the side
        of the image if there is one alone.
        """
        one, other = torch.triu_indices(self.places.shape[1], self.places.shape[1], 1)
        first = corners(self.places, self.window, self.side, self.moved)
        gone = self.places.isnan().any(-1)
        distance = (first[:, one] - first[:, other]).abs().amax(-1)[~(gone[:, one] | gone[:, other])]
        return min(int(distance.min()), self.side) if len(distance) else self.side

    @property
    def side(self) -> int:
        """Of an image, in pixels."""
        return self.background.mean.shape[-1]

    def forward(self, x: Batch) -> PerSample:
        """The background's energy, less its part of each window, and the energy of the windows; in nats."""
        call = self.call(x)
        return call.value(call.family(call.c)(call.x))

    def call(self, x: Batch) -> Call:
        """That of the family of windows, for all objects."""
        call, total = self._ratios(x), self._grounds(x - self.background.mean).flatten(1).sum(1)
        return call._replace(value=lambda windows: total - call.value(windows).sum(1))

    def ratios(self, x: Batch) -> Tensor:
        """Of each object alone, log p(window | object) / p(window | background): minus its bracket above.

        Shape:
            x: (batch, channels, side, side). Returns (batch, K), 0 for an object that is not there.
        """
        call = self._ratios(x)
        return call.value(call.family(call.c)(call.x))

    def _ratios(self, x: Batch) -> Call:
        """The call that `ratios` rests on, and how they follow from it."""
        places = tiled(self.places, len(x), "LocalLifts", "set of places")
        conditions = tiled(self.conditions, len(x), "LocalLifts", "set of conditions")
        y = x - self.background.mean
        held = cut(torch.cat([y, self._grounds(y)], 1), places, self.window, self.moved)
        ours, grounds = (part.flatten(2) for part in held.chunk(2, 2))
        told = ~places.isnan().any(-1)

        def ratios(windows: Tensor) -> Tensor:
            return y.new_zeros(told.shape).masked_scatter(told, (grounds[told].sum(1) - windows).to(y))

        return Call(self.windows, conditions[told], ours[told], ratios)

    def _grounds(self, y: Batch) -> Batch:
        """The background's energy of each number, of y = x less its mean."""
        variance = self.background.variance
        return (y.square() / variance + (2 * math.pi * variance).log()) / 2

    def at_noise(self, sigma: float) -> "LocalLifts":
        """Background and windows at that level; exact where windows do not overlap."""
        background, windows = self.background.at_noise(sigma), self.windows.at_noise(sigma)
        return LocalLifts(background, windows, self.places, self.conditions, self.window, self.moved).named(self.name)
