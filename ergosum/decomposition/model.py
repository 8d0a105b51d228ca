"""The image decomposer: latents of an image close K energies, and descent from noise on their sum finds it again.

$$ x_n = x_{n-1} - h grad_x sum_k E_k(x_{n-1}; z_k),   z_k = [Enc(x)]_k,   x_0 ~ U $$

Source: Du, Li, Sharma, Tenenbaum, Mordatch 2021, equation (1). Differs: experts take Newton steps; latents may be
stochastic, as those of a variational autoencoder.
"""

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from ergosum.decomposer import Decomposer, InnerDescent, Trajectory
from ergosum.energy import Conditional, Energy
from ergosum.nets.encoders import Encoder
from ergosum.nets.experts import ExpertDecoder, GlobalExperts
from ergosum.nets.slots import SlotEncoder
from ergosum.part import Part
from ergosum.samplers.tensors import gaussian
from ergosum.shapes import Images, Latents

__all__ = ["ImageDecomposer"]


class ImageDecomposer(Decomposer):
    """Encoder, K conditional energies and the descent from noise that recomposes them.

    Args:
        encoder: computes latents from an image; gets `outputs` or `latent`, `side`, and `stochastic` if it takes it.
        energy: the family of each component's energy; gets `code` and `side`.
        components: names of the K energies; where nothing is supervised any names, such as one, two, three.
        latent: numbers per latent z_k, >= 1 (an encoder with places: at least 4, since 3 are the place).
        tied: one network for all K components (True) or one each (False).
        stochastic: latents are normal: the encoder gives mean and log-variance, and training draws them.
        initial_log_variance: logarithm of their variance where the network gives 0; small, so that at first they can
            be told apart.
        descent: the inner minimisation.
        side: of an image in pixels.
    Raises:
        ValueError: if the arguments do not go together.
    """

    def __init__(
        self,
        encoder: Part[Encoder] = Part(SlotEncoder),  # noqa: B008
        energy: Part[Conditional] = Part(ExpertDecoder),  # noqa: B008
        components: tuple[str, ...] = ("one", "two", "three"),
        latent: int = 16,
        tied: bool = True,
        stochastic: bool = False,
        initial_log_variance: float = -4.0,
        descent: Part[InnerDescent] = Part(InnerDescent),  # noqa: B008
        side: int = 64,
    ) -> None:
        placed = getattr(encoder.cls, "placed", False)
        exchangeable = getattr(encoder.cls, "exchangeable", False)
        least = 4 if placed else 1
        if latent < least:
            raise ValueError(f"latent: expected an integer >= {least}, got {latent!r}.")
        if exchangeable and not tied:
            raise ValueError("tied: expected True with an encoder whose components are exchangeable.")
        if stochastic and exchangeable and not placed:
            raise ValueError(f"stochastic: expected False with {encoder.cls.__name__}, which gives no variance.")
        outputs = len(components) * latent * (2 if stochastic else 1)
        super().__init__(
            lambda: encoder.build(outputs=outputs, latent=latent, side=side, stochastic=stochastic),
            lambda: energy.build(code=latent, side=side),
            components, tied, descent.build(), side,
        )  # fmt: skip
        self.latent, self.stochastic, self.initial_log_variance = latent, stochastic, initial_log_variance
        self.exchangeable, self.placed = exchangeable, placed
        self._refuse_unlike(energy)

    def _refuse_unlike(self, energy: Part[Conditional]) -> None:
        """What encoder and energies ask of each other."""
        name, family = energy.cls.__name__, self.energies[0]
        if not self.tied and not isinstance(family, ExpertDecoder | GlobalExperts):
            raise ValueError(f"tied: expected True with {name}; only plain experts may have a network each.")
        if self.anchored:
            raise ValueError(f"energy: {name} is anchored to a frame; an image has none to start from.")
        if self.placed and not self.curved:
            raise ValueError(f"energy: expected experts with an encoder with places, got {name}.")
        if getattr(family, "placed", False) and not self.placed:
            raise ValueError(f"energy: {name} draws around places, which this encoder does not give.")

    @property
    def globals(self) -> int:
        """Background components: those of an encoder with places that have none."""
        return int(getattr(self.encoder, "globals", 0))

    def encode(
        self,
        images: Images,
        components: int | None = None,
        generator: Generator | None = None,
        places: Tensor | None = None,
    ) -> Latents:
        """Latents (batch, K, latent) of images; means of stochastic ones.

        Args:
            components: K, another than was trained with, for exchangeable components. generator: of the places where
                slots start to look in training. places: (batch, K, 2), x and y in -1 .. 1, where they start instead; no
                other encoder heeds it.
        Raises:
            ValueError: if an encoder with a fixed K is asked for another.
        """
        return self._read(images, components, generator, places)[0]

    def _read(
        self, images: Images, components: int | None, generator: Generator | None, places: Tensor | None
    ) -> tuple[Latents, Tensor]:
        """Latents, and the logarithm of the variance of those of their first numbers that are stochastic."""
        k, width = components or len(self.components), self.latent
        if self.exchangeable:
            told = self.encoder(images, k, generator, places) if self.placed else self.encoder(images, k, generator)
        elif k != len(self.components):
            raise ValueError(f"This encoder gives {len(self.components)} components of an image, not {k}.")
        else:
            told = self.encoder(images).unflatten(1, (k, -1))
        told = told.float()
        return told[..., :width], told[..., width:] + self.initial_log_variance

    def bind(self, latents: Latents, anchor: Images | None = None, *, active: Sequence[int] | None = None) -> Energy:
        """The sum of the (active) energies, closed with their latents.

        Shape:
            latents: (batch, K, latent).
        """
        ks = range(latents.shape[1]) if active is None else active
        return self.close([latents[:, k] for k in ks], anchor, ks)

    def forward(
        self,
        start: Images,
        images: Images | None = None,
        generator: Generator | None = None,
        steps: int | None = None,
        active: Sequence[int] | None = None,
        check: bool = False,
        latents: Latents | None = None,
    ) -> Trajectory:
        """Descend from `start`, noise as a rule; in training mode the chosen steps can be differentiated.

        Args:
            images: what the encoder looks at. latents: to use instead of what it reads. steps: N; default from the
                settings. active: components that act; all by default. check: raise at the first non-finite image.
        """
        posterior = None
        with torch.set_grad_enabled(self.training):
            if latents is None:
                latents, log_variance = self._read(start if images is None else images, None, generator, None)
                if self.stochastic and self.training:
                    mean, sure = latents.split([log_variance.shape[2], latents.shape[2] - log_variance.shape[2]], 2)
                    posterior = mean, log_variance
                    latents = torch.cat([mean + (log_variance / 2).exp() * gaussian(mean, generator), sure], 2)
            closed = self.bind(latents, active=active)
        return self.descend(start, closed, latents, self.steps_taken(steps), generator, check, posterior)

    @torch.no_grad()
    def locate(self, images: Images) -> str:
        """Which component first gives a non-finite energy or gradient: words for an error message."""
        generator = Generator().manual_seed(0)
        latents = self.encode(images, generator=generator)
        noise = torch.rand(images.shape, generator=Generator().manual_seed(0)).to(images)
        return self.where_non_finite(
            latents,
            lambda k: self.bind(latents, active=[k]),
            noise,
            lambda: self(noise, images, check=True, generator=Generator().manual_seed(0)),
        )
