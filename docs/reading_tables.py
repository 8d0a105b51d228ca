"""How well drawn faces are read: the table of docs/data.md, printed."""

import torch
from torch.nn import functional as F

from ergosum.data import Avatars
from ergosum.data.avatar_styles import STYLES


def blurred(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Images under a Gaussian, its standard deviation in pixels."""
    bell = torch.exp(-torch.arange(-4, 5.0).square() / (2 * sigma**2))
    kernel = (bell[:, None] * bell / bell.sum() ** 2).expand(3, 1, -1, -1)
    return F.conv2d(F.pad(images, (4,) * 4, mode="replicate"), kernel, groups=3)


def main() -> None:
    """Print a row for every style."""
    print("| style | as drawn | blur 0.5 px, noise 0.02 | blur 1 px, noise 0.05 | noise 0.1 |\n|---|---|---|---|---|")
    for style in STYLES:
        data, generator = Avatars(style, 32, split="test"), torch.Generator().manual_seed(6)
        images, values = data.attributed(200, generator)
        cells = []
        for sigma, noise in ((0.0, 0.0), (0.5, 0.02), (1.0, 0.05), (0.0, 0.1)):
            worn = blurred(images, sigma) if sigma else images
            worn = worn + noise * torch.randn(images.shape, generator=generator)
            cells.append(f"{(data.read(worn.clamp(0, 1)) == values).float().mean(0).min():.3f}")
        print(f"| `{style}` | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
