"""Parts that several networks share: the conditioned residual block and the coordinate grid."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

__all__ = ["ConditionedBlock", "coordinates", "reduced", "widen"]


class ConditionedBlock(nn.Module):
    """Residual block whose inner features are scaled and shifted by a code (feature-wise linear modulation).

    $x + c_2(silu(c_1(silu(x)) (1 + g(z)) + b(z)))$, with `g`, `b` zero at the start, so that an untrained block
    ignores its code. No normalisation: a second derivative passes through the block when an energy is trained.

    Args:
        channels: of x. code: width of z. kernel: side of the convolutions, odd.
    Shape:
        x: (batch, channels, height, width). z: (batch, code), or one for each place, (batch, code, height, width).
        Returns the shape of x.
    """

    def __init__(self, channels: int, code: int, kernel: int = 3) -> None:
        super().__init__()
        self.first = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.second = nn.Conv2d(channels, channels, kernel, padding=kernel // 2)
        self.modulation = nn.Linear(code, 2 * channels)
        nn.init.zeros_(self.modulation.weight)
        nn.init.zeros_(self.modulation.bias)
        nn.init.zeros_(self.second.bias)  # type: ignore[arg-type]
        with torch.no_grad():
            self.second.weight.mul_(0.1)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        """One residual update of x under code z."""
        gain, bias = modulating(self.modulation, z).chunk(2, 1)
        return x + self.second(F.silu(self.first(F.silu(x)) * (1 + gain) + bias))


def modulating(layer: nn.Linear, z: Tensor) -> Tensor:
    """What a layer makes of codes (batch, code), the same at all places, or of codes of each, (batch, code, h, w)."""
    return layer(z)[:, :, None, None] if z.ndim == 2 else layer(z.movedim(1, -1)).movedim(-1, 1)


def coordinates(side: int) -> Tensor:
    """Pixel centres as (1, 2, side, side): x then y, from -1 to 1."""
    line = torch.linspace(-1, 1, side)
    return torch.stack(torch.meshgrid(line, line, indexing="xy"))[None]


def reduced(side: int, factor: int) -> int:
    """The side of maps that are `factor` times coarser than an image of `side` pixels.

    Raises:
        ValueError: unless `side` is a multiple of `factor`.
    """
    if side < factor or side % factor:
        raise ValueError(f"side: expected a multiple of {factor} pixels, got {side!r}.")
    return side // factor


def widen(x: Tensor) -> Tensor:
    """Half precision (of autocast) as float32; wider tensors as they are."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
