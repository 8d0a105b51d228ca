r"""Experts that see the image: $E(x; z) = \frac12 \sum_p a_p(z) (x_p - m_p(z))^2 + C(x; z)$.

Gaussian experts fix what a component looks like whatever else is there. C, a small convolutional energy of the image,
lets it answer to the others: shadows that fall on it, edges where it is covered. C is bounded, so that the
sum has a minimum as experts have; descent with the experts' curvature as its scale comes near it in a few steps.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.energy import Conditional, Energy
from ergosum.nets.blocks import widen
from ergosum.nets.experts import DrawnExperts, ExpertDecoder
from ergosum.part import Part
from ergosum.shapes import Batch, PerSample

__all__ = ["RefinedExperts"]


class _Refined(Energy):
    def __init__(self, experts: DrawnExperts, net: "RefinedExperts", z: Tensor) -> None:
        super().__init__()
        self.mean, self.precision = experts.mean, experts.precision
        self.experts, self.net, self.z = experts, net, z

    def forward(self, x: Batch) -> PerSample:
        return self.experts(x) + self.net.answer(x, self.z)


class RefinedExperts(Conditional):
    """Experts of another family, and C: two convolutions of which the first, of half resolution, is modulated by z.

    Args:
        experts: `ExpertDecoder` or `GlobalExperts`, which get the same code and side. code: width of z. width:
            channels. side: of an image in pixels, even.
    Shape:
        z: (batch, code). x: (batch, 3, side, side), side even.
    """

    curved = True

    def __init__(self, code: int, side: int, experts: Part[Conditional] = Part(ExpertDecoder), width: int = 32) -> None:  # noqa: B008
        super().__init__()
        self.experts = experts.build(code=code, side=side)
        self.placed = bool(getattr(self.experts, "placed", False))
        self.stem = nn.Conv2d(3, width, 4, stride=2, padding=1)
        self.gains = nn.Linear(code, 2 * width)
        self.mix = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Conv2d(width, 1, 1, bias=False)
        nn.init.normal_(self.head.weight, std=1e-2)

    def answer(self, x: Batch, z: Tensor) -> PerSample:
        """C(x; z), a sum over places of saturated features."""
        gain, bias = self.gains(z)[:, :, None, None].chunk(2, 1)
        h = torch.tanh(self.stem(x) * (1 + gain) + bias)
        return widen(self.head(F.silu(self.mix(h)))).flatten(1).sum(1)

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """The experts that the latents describe, and C with the same latents."""
        drawn = self.experts.bind(z, anchor)
        assert isinstance(drawn, DrawnExperts)
        return _Refined(drawn, self, z)
