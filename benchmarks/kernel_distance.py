"""What a kernel distance of recomposed images notices: what the images lack, or what nobody sees?

Kernel distances to other true images, by the shipped extractor, once all images are rounded to 255 levels of each
channel, and to fewer: of a card's recomposed images, of those that miss nothing, above `--good` dB, and of true images
that are changed on purpose: by white noise as large as what the good ones are off by, by more, by blur, by paling.

    python benchmarks/kernel_distance.py tetrominoes --n 200
"""

import argparse
from collections.abc import Sequence
from typing import Any

import torch
from torch import Generator, Tensor
from torch.nn import functional as F

from ergosum.decomposition.fidelity import LEVELS, kid_rows
from ergosum.decomposition.recombination import decompose
from ergosum.decomposition.task import HELD_OUT
from ergosum.metrics.error import mse, psnr
from ergosum.report.tables import as_text
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Table
from ergosum.zoo import Zoo

__all__ = ["changed", "main"]

ROUNDED = (255, 32, LEVELS, 8)
"""Steps of each channel that rounded images keep; with the first, nothing is lost that a file keeps."""


def changed(true: Tensor, made: Tensor, good: float, generator: Generator) -> dict[str, Tensor]:
    """Sets of images by what was done to them.

    Args:
        true, made: (n, channels, side, side) in [0, 1]. good: PSNR from which on an image misses nothing, in dB.
    """
    fine = psnr(mse(made, true)) > good
    off = (made - true)[fine].std().item() if fine.sum() > 1 else 0.0
    blurred = F.avg_pool2d(true, 3, 1, 1)
    noisy = lambda deviation: (true + deviation * torch.randn(true.shape, generator=generator)).clamp(0, 1)  # noqa: E731
    return {
        "recomposed": made,
        f"recomposed, above {good:g} dB": made[fine],
        f"true, noise of {off:.3f}, as these": noisy(off),
        "true, noise of 0.05": noisy(0.05),
        "true, blurred by a tenth": true.lerp(blurred, 0.1),
        "true, blurred by three tenths": true.lerp(blurred, 0.3),
        "true, paled by a tenth": 0.9 * true,
    }


@torch.no_grad()
def rows(card: str, n: int, seed: int, good: float) -> list[dict[str, Any]]:
    """Kernel distances of a card's images and of true ones."""
    experiment, loaded = load_predictor(card)
    task: Any = experiment.built()
    model: Any = loaded.eval()
    generator = Generator().manual_seed(HELD_OUT + seed)
    data = task.held_out(n, generator)
    made = torch.cat([decompose(model, part, generator).whole for part in data.images.split(64)])
    true, others = task.held_out(2 * n, generator).images.chunk(2)
    sets = changed(data.images, made.clamp(0, 1), good, generator)
    kept = {name: images for name, images in sets.items() if len(images) >= 4}
    features: Any = Zoo().classifier("features").features
    by_levels = [kid_rows(kept, true, others, features, seed, levels) for levels in ROUNDED]
    return [
        {"row": row[0]["row"]} | {f"{levels} levels": r["kid"] for levels, r in zip(ROUNDED, row, strict=True)}
        | {"largest error": max(r["kid_error"] for r in row)}
        for row in zip(*by_levels, strict=True)
    ]  # fmt: skip


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", help="card or run folder of a decomposition")
    parser.add_argument("--n", type=int, default=200, help="images of each set")
    parser.add_argument("--seed", type=int, default=0, help="of images and noise")
    parser.add_argument("--good", type=float, default=30.0, help="PSNR from which on nothing is missing, in dB")
    chosen = parser.parse_args(arguments)
    told = rows(chosen.card, chosen.n, chosen.seed, chosen.good)
    title = f"Kernel distance to true images, {chosen.card}, n = {chosen.n}, seed {chosen.seed}"
    columns = [f"{levels} levels" for levels in ROUNDED]
    print(as_text(Table(("row",), dict.fromkeys([*columns, "largest error"], 3), told, title)))


if __name__ == "__main__":
    main()
