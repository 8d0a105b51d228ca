"""A density whose energies are mixtures of Gaussians in closed form, so that draws and scores can be checked."""

import math

import torch
from torch import nn

from ergosum.data.record import Labelled
from ergosum.density.model import Density
from ergosum.density.space import Space
from ergosum.energies.mixture import Mixture
from ergosum.energy import Conditional, as_energy

MEANS = torch.tensor([[-3.0, 0.0], [1.0, 2.5], [2.0, -2.0]])
VARIANCES = torch.tensor([0.2, 0.4, 0.1])
NAMES = ("left", "top", "right")


class ExactFamily(Conditional):
    """Three classes in the plane, equally likely, and their mixture.

    `near` < 1 brings them together until they overlap; `sharp` > 1 makes their energies too sure of the class.
    """

    condition_dims = 0
    log_z = 0.0
    lowest, highest = 0.02, 20.0

    def __init__(self, event=(2,), classes=3, sigma=0.0, sharp=1.0, near=1.0):
        super().__init__()
        self.event, self.sigma, self.sharp, self.near = event, sigma, sharp, near
        self.size = 2
        self.mean, self.deviation = torch.zeros(2), torch.tensor(2.5)
        chosen = [slice(None), *(slice(k, k + 1) for k in range(3))]
        self.mixtures = [Mixture(near * MEANS[c], VARIANCES[c]).at_noise(sigma) for c in chosen]

    def checked(self, sigma):
        if sigma and not self.lowest <= sigma <= self.highest:
            raise ValueError(f"sigma: expected a noise level from 0.02 to 20, got {sigma:g}.")
        return sigma or self.lowest

    def at_noise(self, sigma):
        return ExactFamily(sigma=math.hypot(self.sigma, self.checked(sigma)), sharp=self.sharp, near=self.near)

    def bind(self, z, anchor):
        def value(x):
            every = torch.stack([mixture(x) for mixture in self.mixtures])
            classes = self.sharp * every[1:] + (1 - self.sharp) * every[:1]
            return torch.cat([every[:1], classes]).gather(0, z[None] + 1)[0]

        return as_energy(value)

    def prior(self):
        return self(torch.tensor(-1)).named("prior")


class Plane(Space):
    """Points of the plane as images of four pixels by four, of which the first two say where."""

    event = (2,)

    def __init__(self, channels=1, side=28):
        super().__init__()

    def encode(self, images, generator=None):
        return 20 * images[:, 0, 0, :2] - 10

    def decode(self, x):
        images = torch.zeros(len(x), 1, 4, 4)
        images[:, 0, 0, :2] = (x + 10) / 20
        return images.clamp(0, 1)


class Exact(Density):
    """Density with the two."""

    def __init__(self, names=NAMES, sharp=1.0, near=1.0):
        nn.Module.__init__(self)
        self.names, self.channels, self.side = tuple(names), 1, 4
        self.space, self.family = Plane(), ExactFamily(sharp=sharp, near=near)


class Dots:
    """Images of points drawn from the classes."""

    names, side, channels = NAMES, 4, 1

    def __init__(self, split="train", near=1.0, count=1500):
        generator = torch.Generator().manual_seed(len(split))
        self.labels = torch.arange(count) % 3
        noise = torch.randn(count, 2, generator=generator) * VARIANCES[self.labels, None].sqrt()
        self.images = Plane().decode(near * MEANS[self.labels] + noise)

    def labelled(self, n, generator):
        rows = torch.randint(len(self.labels), (n,), generator=generator)
        return Labelled(self.images[rows], self.labels[rows])
