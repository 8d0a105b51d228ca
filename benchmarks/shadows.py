"""Where are shadows told from the objects that cast them, and where not?

Held-out scenes of a card, decomposed and scored against masks of solids alone, with the masks as the energies have them
and with shadows told apart:

- as they are drawn; as bytes; with white noise, which hides what little hue a grey solid has;
- the same scenes by MuJoCo's renderer, which the card has never seen, with shadows and without (none may be found where
  there is none). Where MuJoCo or OpenGL is missing these rows are left out, and the reason is printed.

Seeds of the images are others than those that the constants of `ergosum/decomposition/shadows.py` were chosen on.

    python benchmarks/shadows.py scenes-objects --n 320
"""

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from ergosum.data.mujoco_scenes import MujocoScenes
from ergosum.data.scenes import Scenes
from ergosum.decomposition.recombination import encode_best, masks_of
from ergosum.decomposition.shadows import masks_without_shadows
from ergosum.decomposition.task import HELD_OUT, load_decomposer
from ergosum.metrics.segmentation import ari, covering, foreground_ari
from ergosum.report.tables import as_text
from ergosum.training.task import Table

__all__ = ["main", "scored"]

FIRST = 2_000
"""Added to the seed of held-out images."""
METRICS = {"fg_ari": foreground_ari, "ari": ari, "covering": covering}
COLUMNS = dict.fromkeys((*METRICS, *(f"{name}_apart" for name in METRICS), "shadow_iou"), 3)


@torch.no_grad()
def scored(model: Any, images: Tensor, masks: Tensor, shadows: Tensor, generator: Generator) -> dict[str, float]:
    """Segmentation metrics of a model's masks and of those without shadows, and the overlap of shadows.

    Shape:
        images: (n, 3, side, side). masks: (n, 1 + objects, side, side), bool. shadows: (n, objects, side, side), bool.
    """
    before, apart, cast = [], [], []
    for part in images.split(64):
        latents = encode_best(model, part, generator)
        told = masks_without_shadows(model, latents, part)
        before.append(masks_of(model, latents, part))
        apart.append(told.masks)
        cast.append(told.with_shadows.argmax(1) != told.masks.argmax(1))
    rows = {"": torch.cat(before), "_apart": torch.cat(apart)}
    result = {f"{name}{k}": f(v, masks).mean().item() for k, v in rows.items() for name, f in METRICS.items()}
    found, true = torch.cat(cast), shadows.any(1)
    if true.any():
        result["shadow_iou"] = ((found & true).sum() / (found | true).sum()).item()
    return result


def images_of(scenes: Scenes, n: int, seed: int, noises: Sequence[float]) -> Iterator[tuple[str, Any, Tensor, Tensor]]:
    """Rows: what was done to the images, their record, the images, and their shadows."""
    data = scenes.draw(n, Generator().manual_seed(HELD_OUT + FIRST + seed))
    shadows = scenes.shadows(data.attributes, data.factors)
    yield "as drawn", data, data.images, shadows
    yield "as bytes", data, (255 * data.images).round() / 255, shadows
    generator = Generator().manual_seed(seed)
    for noise in noises:
        noisy = data.images + noise * torch.randn(data.images.shape, generator=generator)
        yield f"noise of {noise:g}", data, noisy.clamp(0, 1), shadows
    if scenes.variant == "toy":
        return
    try:
        other = MujocoScenes(scenes)
    except (ImportError, RuntimeError) as error:
        print(f"Without MuJoCo's renderer: {error}")
        return
    drawn = other.render(data.attributes, data.factors)
    yield "MuJoCo", drawn, drawn.images, shadows & drawn.masks[:, :1]
    drawn = other.render(data.attributes, data.factors, shadows=False)
    yield "MuJoCo, no shadows", drawn, drawn.images, torch.zeros_like(shadows)


def main(arguments: Sequence[str] | None = None) -> list[dict[str, Any]]:
    """Print the table, and return its rows."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("card", help="card or run folder of a decomposition of scenes")
    parser.add_argument("--n", type=int, default=320, help="images")
    parser.add_argument("--seed", type=int, default=0, help="of images and noise")
    parser.add_argument("--noise", type=float, nargs="*", default=[0.01, 0.03], help="standard deviations of noise")
    chosen = parser.parse_args(arguments)
    task, model = load_decomposer(chosen.card)
    scenes: Any = task.dataset("test")
    rows = []
    began = time.process_time()
    for name, record, images, shadows in images_of(scenes, chosen.n, chosen.seed, chosen.noise):
        told = scored(model, images, record.masks, shadows, Generator().manual_seed(chosen.seed))
        rows.append({"row": name, **told})
    title = f"Shadows told apart, {chosen.card}, n = {chosen.n}, seed {chosen.seed}"
    print(as_text(Table(("row",), COLUMNS, rows, title)))
    print(f"{(time.process_time() - began) / 60:.1f} CPU minutes")
    return rows


if __name__ == "__main__":
    main()
