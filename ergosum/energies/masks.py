r"""Segmentation masks as energies.

$$ E(x) = sum_p m_p (x_p - f_p)^2 $$

An image f that insists on itself where its mask is 1 and leaves the rest free. Where the masks of several partition
the image, so that each pixel has exactly one, the minimum of their sum is the composite $sum_k m_k f_k$.

Remark 1 of the source says that compositions of energies, $argmin_x sum_k E(x, z_k)$, are a strict superset of
compositions of masks, $sum_k m_k(z_k) f_k(z_k)$ with masks in {0, 1}. The remark holds, but not by the proof it gives:

- "Any function of the form sum m f is equivalent to argmin sum m (x - f)^2" needs the masks to partition the image,
  which its definition does not ask for. Where two masks overlap the energies average ((2 + 3) / 2) and the composition
  adds (2 + 3); where none covers, every x is a minimum and the composition is 0. For a known number K of components,
  $E(x, z) = (x - K m(z) f(z))^2$ gives the sum of any masks. It is also one function E for all components, while masks
  $m_k$ carry their index: then the energies must carry it, too, or z.
- Its counter-example are $(x - 2)^2, (x - 3)^2, (x - 4)^2$ in one dimension. The minimum of the first and second is at
  2.5, of the first and third at 3; the text at hand prints "=" between the two, which must be "not equal". The two
  alone do not exclude masks: one that drops the first component (m = 0), and gives 2.5 for the second and 3 for the
  third, fits both. The third pair, at 3.5, excludes masks that partition: of each pair exactly one would be on, which
  three components cannot do. It does not exclude masks that may overlap: means are sums of halves, 1 + 1.5, 1 + 2,
  1.5 + 2. Those are excluded by a single component, at 2 and not at 1, if the number of components may vary.
- For a fixed number, energies of unequal precision (`Experts`) are outside of all masks: $sum_k g_k(z_k)$ is additive,
  so exchanging one component changes x by the same whatever the others are; a weighted average does not.

Source: Du, Li, Sharma, Tenenbaum, Mordatch 2021, section 4, remark 1.
"""

import math

import torch
from torch import Tensor

from ergosum.energies.arguments import fits, level, real
from ergosum.energies.quadratic import Quadratic
from ergosum.energy import Energy, alike

__all__ = ["Masked", "composite"]


class Masked(Quadratic, Energy):
    """$sum_p m_p (x_p - f_p)^2$: an image where its mask is, nothing elsewhere.

    By itself it has a density only if no pixel is free, and `log_z` only then; a sum of several whose masks cover the
    image has one. There is no one half in it, as in the source: it is `Experts` with precision 2 m.

    Args:
        mask: m, (*event,), in [0, 1]. image: f, (*event,).
    Shape:
        x: (batch, *event). Returns (batch,).
    Exact: log_z where it exists.   Cost: O(D).
    Raises:
        ValueError: if mask and image are no float tensors of one shape, the mask leaves [0, 1], or x does not fit.
    """

    mask: Tensor
    image: Tensor

    def __init__(self, mask: Tensor, image: Tensor) -> None:
        super().__init__()
        image = real("Masked", "an image", image)
        mask = real("Masked", "a mask", mask).to(image)
        if mask.shape != image.shape:
            raise ValueError(f"Masked: expected a mask of the image's shape {tuple(image.shape)}, "
                             f"got {tuple(mask.shape)}; expand it over the channels.")  # fmt: skip
        if not ((mask >= 0) & (mask <= 1)).all():
            raise ValueError(f"Masked: expected a mask in [0, 1], got {mask.min().item():g} to {mask.max().item():g}.")
        self.register_buffer("mask", mask)
        self.register_buffer("image", image)
        if (mask > 0).all():
            self.log_z = (math.pi / mask.detach().double()).log().sum().item() / 2

    @property
    def size(self) -> int:
        """D, the number of coordinates."""
        return self.mask.numel()

    def at_noise(self, sigma: float) -> "Masked":
        """Exact up to a constant: the precision 2 m becomes $2 m / (1 + 2 m sigma^2)$, and what is free stays free."""
        return alike(Masked(self.mask / (1 + 2 * level("Masked", sigma) * self.mask), self.image), self)

    def pulled(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Squared distance to the image under the mask, and $2 m (x - f)$."""
        fits("Masked", x, self.image.shape)
        gap = x - self.image
        pull = self.mask * gap
        return (gap * pull).flatten(1).sum(1), 2 * pull


def composite(*parts: Masked) -> Tensor:
    """The minimum of the sum, (*event,): $sum_k m_k f_k / sum_k m_k$, the segments put together where masks partition.

    Raises:
        ValueError: without parts, if shapes differ, or if a pixel is under no mask, where every x is a minimum.
    """
    shapes = {tuple(p.mask.shape) for p in parts}
    if len(shapes) != 1:
        came = f"shapes {sorted(shapes)}" if shapes else "none"
        raise ValueError(f"composite: expected masked images on one event shape, got {came}.")
    masks = torch.stack([p.mask for p in parts])
    total = masks.sum(0)
    if (total == 0).any():
        raise ValueError(
            f"composite: expected masks that cover the image, got {int((total == 0).sum())} elements under none, where "
            "every x is a minimum; add a background whose mask is there."
        )
    return (masks * torch.stack([p.image for p in parts])).sum(0) / total
