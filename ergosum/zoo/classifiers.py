"""Train the three classifiers that ship with the package.

`python -m ergosum.zoo.classifiers identity OUT.safetensors` makes the classifier of digit identity, on true frames with
random hue, angle and scale; `... upright OUT.safetensors` the reader of upright digits, in about five CPU minutes;
`... features OUT.safetensors` the feature extractor that compares sets of images.
"""

import math
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.data.dataset import store
from ergosum.data.named import dataset
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import load_digits
from ergosum.nets.classifier import DigitClassifier, ImageClassifier, UprightClassifier
from ergosum.training.runfolder import save_weights

__all__ = ["EXTRACTOR_OUTPUTS", "train_classifier", "train_extractor", "train_reader"]

MOST = 6
"""Objects in an image that the feature extractor learns from, at most."""
SETS = {"tetrominoes": (36, 4), "shapes": (64, MOST), "scenes": (64, MOST), "toy": (64, MOST),
        "lighting": (64, MOST), "still": (64, 3), "digits": (36, 1)}  # fmt: skip
"""Side and most objects of the datasets that the feature extractor tells apart."""
DAMAGES = ("none", "blurred", "noisy", "mixed")
"""What was done to images that the feature extractor learns to tell from true ones."""
EXTRACTOR_OUTPUTS = len(SETS) + MOST + len(DAMAGES)
Model = TypeVar("Model", bound=nn.Module)


def train_classifier(
    iterations: int = 2500, batch: int = 128, source: str = "digits+mnist", seed: int = 0
) -> DigitClassifier:
    """A classifier trained on frames with hue, angle and scale drawn at random, scale 0.4 .. 1.8."""
    torch.manual_seed(seed)
    model = DigitClassifier()
    data = DigitSequences(source=source)
    generator = Generator().manual_seed(seed)

    def objective() -> Tensor:
        pairs = data.pairs(batch, generator)
        # soften some frames, so that a little blur does not count as another digit
        frames = torch.where(
            torch.rand(batch, 1, 1, 1, generator=generator) < 0.3, F.avg_pool2d(pairs.start, 3, 1, 1), pairs.start
        )
        with torch.autocast("cpu", torch.bfloat16):
            logits = model(frames)
        return F.cross_entropy(logits.float(), pairs.labels)

    return _fit(model, objective, iterations)


def train_reader(
    iterations: int = 2000, batch: int = 128, sources: tuple[str, ...] = ("mnist", "digits"), seed: int = 0
) -> UprightClassifier:
    """A classifier of upright digits, of which the first source gives seven eighths of a batch if there are two.

    Digits are moved by up to 2 pixels, turned by up to 10 degrees and scaled by up to a tenth; some are softened, so
    that a little blur does not count as another digit.
    """
    torch.manual_seed(seed)
    model = UprightClassifier()
    sets = [load_digits(source, "train") for source in sources]
    generator = Generator().manual_seed(seed)
    least = batch // 8 if len(sets) > 1 else 0
    sizes = [batch - least * (len(sets) - 1)] + [least] * (len(sets) - 1)

    def objective() -> Tensor:
        rows = [torch.randint(len(s.labels), (n,), generator=generator) for s, n in zip(sets, sizes, strict=True)]
        images = torch.cat([s.images[r] for s, r in zip(sets, rows, strict=True)])
        labels = torch.cat([s.labels[r] for s, r in zip(sets, rows, strict=True)])
        moved = _moved(images, generator)
        soft = torch.rand(len(moved), 1, 1, 1, generator=generator) < 0.2
        logits = model(torch.where(soft, F.avg_pool2d(moved, 3, 1, 1), moved))
        return F.cross_entropy(logits, labels)

    _fit(model, objective, iterations)
    with torch.no_grad():
        seen = torch.cat([model.seen(s.images[: 8 * n]) for s, n in zip(sets, sizes, strict=True)])
        model.centre.copy_(seen.mean(0))
        model.spread.copy_(seen.std(0).clamp(min=0.05 * float(seen.std())))
    return model


def _moved(images: Tensor, generator: Generator) -> Tensor:
    """Images turned by up to 10 degrees, scaled by up to a tenth and moved by up to 2 pixels, each at random."""
    turn, scale, right, down = (2 * torch.rand(4, len(images), generator=generator) - 1).unbind()
    size, angle = 1 + 0.1 * scale, math.radians(10) * turn
    cos, sin, pixel = size * angle.cos(), size * angle.sin(), 2 / images.shape[-1]
    rows = torch.stack([cos, -sin, 2 * pixel * right, sin, cos, 2 * pixel * down], 1).view(-1, 2, 3)
    grid = F.affine_grid(rows, list(images.shape), align_corners=False)
    return F.grid_sample(images, grid, align_corners=False)


def train_extractor(iterations: int = 3000, batch: int = 84, count: int = 6000, seed: int = 0) -> ImageClassifier:
    """A classifier of images of all datasets: which one an image is from, how many objects it shows, and what was done
    to it.

    Half of the images are damaged: blurred, noisy, or mixed with another one.

    Args:
        batch: a multiple of six times the number of datasets. count: stored images of each dataset.
    """
    torch.manual_seed(seed)
    model = ImageClassifier(EXTRACTOR_OUTPUTS).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    stores = []
    for name, (side, most) in SETS.items():
        objects = most if name == "still" else (1, most)
        stores.append(store(dataset(name, side, objects).build(), count, seed=1))
    generator = Generator().manual_seed(seed)
    each = batch // len(stores)
    which = torch.arange(len(stores)).repeat_interleave(each)
    damage = (torch.arange(len(stores) * each) % 6 - 2).clamp(min=0)  # half of each set is as it came

    def objective() -> Tensor:
        drawn = [images.draw(each, generator) for images in stores]
        shown = torch.cat([d.masks[:, 1:].flatten(2).any(2).sum(1) for d in drawn])
        with torch.autocast("cpu", torch.bfloat16):
            logits = torch.cat([model(_damaged(d.images, damage[:each], generator)) for d in drawn])
        of_set, of_count, of_damage = logits.float().split([len(SETS), MOST, len(DAMAGES)], 1)
        counted = F.cross_entropy(of_count, shown.clamp(1, MOST) - 1)
        return F.cross_entropy(of_set, which) + counted + F.cross_entropy(of_damage, damage)

    _fit(model, objective, iterations)
    with torch.no_grad():
        pooled = torch.cat([model.pooled(images.images(torch.arange(min(1000, count)))) for images in stores])
        model.centre.copy_(pooled.mean(0))
        model.spread.copy_(pooled.std(0).clamp(min=0.1))
    return model


def _damaged(images: Tensor, damage: Tensor, generator: Generator) -> Tensor:
    """Images that are left, blurred over 3 pixels, noisy (deviation 0.1), or mixed with the next one by halves."""
    noise = 0.1 * torch.randn(images.shape, generator=generator)
    blurred, noisy = F.avg_pool2d(images, 3, 1, 1), (images + noise).clamp(0, 1)
    kinds = torch.stack([images, blurred, noisy, (images + images.roll(1, 0)) / 2])
    return kinds[damage, torch.arange(len(images))]


def _fit(model: Model, objective: Callable[[], Tensor], iterations: int) -> Model:
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 3e-3, iterations)
    for _ in range(iterations):
        optimiser.zero_grad()
        objective().backward()
        optimiser.step()
        schedule.step()
    return model.eval()


if __name__ == "__main__":
    makers: dict[str, Callable[[], nn.Module]] = {
        "identity": train_classifier, "upright": train_reader, "features": train_extractor
    }  # fmt: skip
    save_weights(Path(sys.argv[2]), makers[sys.argv[1]]().state_dict())
