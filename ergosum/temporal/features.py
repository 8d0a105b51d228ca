r"""Energy of features: a frozen encoder sees the frame, and the energy is small where its features are those foretold.

$$ E(x; a, z) = \tfrac{s}{2} \| \phi(x) - \phi(a) - u(\phi(a), z) \|^2 $$

A U-Net u of the anchor's features foretells the change of features. In x the energy is no bowl: descent goes through
the encoder's Jacobian, $x \leftarrow x + h s J^T (\phi(a) + u - \phi(x))$, and the frame that it finds is the one that
the encoder takes for the foretold one, in as far as it tells frames apart.

Source: the idea of energies on top of a feature encoder is of Rombach et al. 2022 (latent diffusion), which decodes by
a network what is found by descent here. s is such that h = 1 is the longest step that cannot overshoot near a grey
frame.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import widen
from ergosum.nets.body import UNetBody
from ergosum.nets.classifier import ImageClassifier
from ergosum.part import Part
from ergosum.shapes import Batch, Images, PerSample
from ergosum.training.runfolder import CARDS, load_weights

__all__ = ["FeatureDistance", "FrozenFeatures"]


class FrozenFeatures(nn.Module):
    """The first convolutions of the shipped feature extractor, which was trained to tell datasets and damages of images
    (blurred, noisy, mixed). They are constants of the model, and saved with it.

    Args:
        depth: convolutions, 1 to 4, each of half the resolution of the one before.
    Shape:
        x: (batch, 3, side, side), brought to 64 pixels. Returns (batch, channels, 64 / 2^depth, 64 / 2^depth), of 24,
        48, 48 or 96 channels.
    Raises:
        ValueError: for another depth.
    """

    def __init__(self, depth: int = 2) -> None:
        super().__init__()
        if not 1 <= depth <= 4:
            raise ValueError(f"depth: expected 1 to 4 convolutions, got {depth!r}.")
        weights = load_weights(CARDS.parent / "features.safetensors")
        shipped = ImageClassifier(len(weights["head.bias"]))
        shipped.load_state_dict(weights)
        self.depth = depth
        for n in range(depth):
            for name in ("weight", "bias"):
                self.register_buffer(f"{name}{n}", getattr(shipped.convs[2 * n], name).detach().clone())

    @property
    def channels(self) -> int:
        """Of the maps."""
        return len(self._layer(self.depth - 1)[0])

    def _layer(self, n: int) -> tuple[Tensor, Tensor]:
        return getattr(self, f"weight{n}"), getattr(self, f"bias{n}")

    def forward(self, x: Images) -> Tensor:
        """Feature maps."""
        if x.shape[-1] != 64:
            x = F.interpolate(x, (64, 64), mode="bilinear", antialias=x.shape[-1] > 64)
        for n in range(self.depth):
            weight, bias = (v.to(x.dtype) for v in self._layer(n))
            x = F.silu(F.conv2d(x, weight, bias, stride=2, padding=1))
        return x


def _sharpest(encoder: nn.Module, side: int) -> float:
    """The largest squared singular value of an encoder's Jacobian at a grey frame, by power iteration."""
    x = torch.full((1, 3, side, side), 0.5)
    v = torch.randn(x.shape, generator=Generator().manual_seed(0))
    size = 0.0
    for _ in range(30):
        pushed = torch.func.jvp(encoder, (x,), (v / v.norm(),))[1]
        v = torch.func.vjp(encoder, x)[1](pushed)[0]
        size = v.norm().item()
    return size


class _Bound(Energy):
    def __init__(self, encoder: nn.Module, foretold: Tensor, scale: Tensor) -> None:
        super().__init__()
        self.encoder, self.foretold, self.scale = encoder, foretold, scale

    def forward(self, x: Batch) -> PerSample:
        return self.scale * (self.encoder(x) - self.foretold).square().flatten(1).sum(1) / 2


class FeatureDistance(Conditional):
    """The family of squared distances between a frame's features and those foretold.

    Args:
        code: width of z. width: channels of the U-Net at half of the features' resolution. side: canvas in pixels.
        encoder: frozen; gives maps (batch, channels, n, n), n a multiple of 4, and has `channels`.
    Cost: one U-Net evaluation per `bind`; of each gradient one evaluation of the encoder and its backward pass.
    """

    anchored = True
    scale: Tensor

    def __init__(
        self,
        code: int,
        width: int = 32,
        side: int = 28,
        encoder: Part[nn.Module] = Part(FrozenFeatures),  # noqa: B008
    ) -> None:
        super().__init__()
        self.encoder = encoder.build().requires_grad_(False)
        with torch.no_grad():
            maps = self.encoder(torch.zeros(1, 3, side, side))
        channels: int = self.encoder.channels  # type: ignore[assignment]
        self.body = UNetBody(channels, 4 * channels, code, width, maps.shape[-1])
        self.register_buffer("scale", torch.tensor(1 / _sharpest(self.encoder, side)))

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The distance to the features that the anchor's will change into."""
        if anchor is None:
            raise ValueError("FeatureDistance sees the features of its anchor; set model.anchor to 'start' or 'step'.")
        seen = self.encoder(anchor)
        change = F.pixel_shuffle(widen(self.body(seen, z)), 2)
        return _Bound(self.encoder, widen(seen) + change, self.scale)
