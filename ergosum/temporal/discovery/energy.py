r"""Transport energies that start as a shared group and end free.

$$ E(x; a, z) = 1/2 \| x - m(a, z) \|^2,   m(a, z) = M (c_z (a \circ (s_z + g \phi))) + g r,   g = min(1, |z|) $$

$s_z$ and $c_z$ are where a one-parameter group takes pixels from and how it colours them (`group.transform`), the same
for all images. A U-Net that sees the anchor a and the move z adds a flow $\phi$, a colour matrix $M = 1 + g C$ per
pixel and a residual r, which differ from image to image. It starts near nothing, so that the meaning of z is the
group's; at z = 0 the frame stays as it is. One network learns one component: z is the sum of its code.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.nets.blocks import widen
from ergosum.nets.transport import Transport
from ergosum.part import Part
from ergosum.temporal.discovery.group import recoloured, sources
from ergosum.temporal.discovery.library import Library

__all__ = ["GroupTransport"]


class GroupTransport(Transport):
    """The family of one discovered component.

    Args:
        code: width of the move's code, of which all columns but one are 0. library: of the basis. width: channels of
            the U-Net at half resolution. side: canvas in pixels.
    """

    def __init__(self, code: int, library: Part[Library] = Part(Library), width: int = 32, side: int = 28) -> None:  # noqa: B008
        super().__init__(code, width, side)
        self.library = library.build()
        self.generator = nn.Parameter(torch.zeros(self.library.size))
        """The component's own generator in the library's basis; it learns where the training releases it."""
        self.released = False

    def mean(self, z: Tensor, anchor: Tensor) -> Tensor:
        """$m(a, z)$, shape of the anchor."""
        move = z.sum(1, keepdim=True)
        gain = move.abs().clamp(max=1)[:, :, None, None]
        maps = self.body(anchor, z)
        residual = F.pixel_shuffle(maps[:, :12], 2)
        maps = F.interpolate(widen(maps[:, 12:]), size=anchor.shape[-2:], mode="bilinear", align_corners=True)
        flow, colour = (gain * maps[:, :2]).permute(0, 2, 3, 1), (gain * maps[:, 2:]).unflatten(1, (3, 3))
        generator = self.generator if self.released else self.generator.detach()
        both = move * generator
        border = 2 * len(self.library.places)
        wide = widen(anchor)
        grid = sources(wide, both[:, :border].unflatten(1, (2, -1)), self.library) + 0.5 * flow
        moved = F.grid_sample(wide, grid, mode="bicubic", padding_mode="border", align_corners=True)
        moved = recoloured(moved, both[:, border:].unflatten(1, (3, -1)), self.library)
        return moved + torch.einsum("bijhw,bjhw->bihw", colour, moved) + 0.5 * gain * widen(residual)
