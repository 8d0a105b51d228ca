"""Are the factors of a scene in the latents, each in a place of its own? And how well do baselines recompose images?

All metrics of disentanglement on images whose factors are drawn from a grid, beside codes whose worth is known.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.data.dataset import ImageDataset
from ergosum.decomposition.baselines.baseline import ImageBaseline
from ergosum.decomposition.segmentation import own_metrics
from ergosum.decomposition.task import HELD_OUT, OfImages
from ergosum.metrics.beta_vae import beta_vae
from ergosum.metrics.dci import dci
from ergosum.metrics.error import mse, psnr
from ergosum.metrics.factor_vae import factor_vae
from ergosum.metrics.mcc import mcc
from ergosum.metrics.mig import mig
from ergosum.metrics.principal import principal
from ergosum.metrics.references import reference_rows
from ergosum.metrics.sap import sap
from ergosum.metrics.segmentation import ari, covering, foreground_ari, objects_shown

__all__ = ["baseline_scores", "factor_scores", "on_grid"]

WIDTH = 64
"""Codes that are scored as they are; of more, their principal components are scored too, as many as this."""
PART = 100
"""Images coded at a time."""


@torch.no_grad()
def baseline_scores(task: OfImages, model: ImageBaseline, n: int, seed: int) -> dict[str, Any]:
    """How n held-out images are drawn again, and segmented where the model has masks.

    Keys: `mse`, `psnr`, and `mse_mean`, `psnr_mean` of the mean image; `fg_ari`, `ari`, `covering` of images that
    show two objects or more, and the same as the one row of `rows`.
    """
    if n < 2:
        raise ValueError(f"baseline_scores: expected n >= 2 images, got {n}.")
    data = task.held_out(n, Generator().manual_seed(HELD_OUT + seed))
    model.eval()
    made = torch.cat([model.recompose(model.encode(part)) for part in data.images.split(PART)])
    error = mse(made, data.images)
    mean_error = mse(data.images.mean(0, keepdim=True).expand_as(data.images), data.images)
    told = {
        "mse": error.mean().item(), "psnr": psnr(error).mean().item(),
        "mse_mean": mean_error.mean().item(), "psnr_mean": psnr(mean_error).mean().item(),
    } | own_metrics(task.metrics, made, data.images)  # fmt: skip
    scored = objects_shown(data.masks) >= 2
    if not hasattr(model, "masks") or not scored.any():
        return told
    found = torch.cat([model.masks(part) for part in data.images[scored].split(PART)])  # type: ignore[operator]
    true = data.masks[scored]
    segments = {"fg_ari": foreground_ari, "ari": ari, "covering": covering}
    shares = {name: metric(found, true).mean().item() for name, metric in segments.items()}
    return told | shares | {"rows": [{"row": type(model).__name__, **shares}]}


@torch.no_grad()
def factor_scores(task: OfImages, model: nn.Module, n: int = 5_000, seed: int = 0) -> dict[str, Any]:
    """What n held-out images' flattened latents, K D codes, tell of the scene's factors.

    Keys: `beta_vae`, `factor_vae`, `mig`, `mcc` (Spearman), `sap`, and `dci` with its three numbers. If there are more
    than 64 codes, the same of their 64 principal components, which are fitted on n other images: `mig_pca` and so
    on. `factor_rows`: the same numbers of the model, of an oracle, its permutation and rotation, of noise, and of the
    model's encoder with random weights. `factors`: names; `codes`: K D; `factor_n`: n.

    The factors are drawn from the grid that the training images are from: an image may have been seen (of `still`,
    20,000 stored ones are 8 % of the grid; of `shapes`, 3 %).

    Args:
        model: a decomposer or a baseline, whose `encode` is repeatable.
    Raises:
        ValueError: if the factors are not on a grid.
    """
    dataset = task.dataset()
    if not on_grid(dataset):
        raise ValueError(f"factor_scores: {task.name!r} has no factors on a grid; 'still' has some.")
    generator = Generator().manual_seed(HELD_OUT + seed)
    data, other = dataset.draw(n, generator), None
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        untrained = task.build()
    own = type(model).__name__ if isinstance(model, ImageBaseline) else "ours"
    encoders = {own: model, "random encoder": untrained}
    rows = []
    for name, encoder in encoders.items():
        codes = _codes(encoder, data.images)
        row = {"row": name, **_measured(codes, data.factors, seed)}
        if codes.shape[1] > WIDTH:
            other = dataset.draw(n, generator).images if other is None else other
            reduced = principal(_codes(encoder, other), WIDTH)(codes)
            row |= {f"{key}_pca": value for key, value in _measured(reduced, data.factors, seed).items()}
        rows.append(row | {"codes": codes.shape[1]})
    for name, codes in reference_rows(data.factors, generator).items():
        rows.append({"row": name, **_measured(codes, data.factors, seed), "codes": codes.shape[1]})
    scores = {key: value for key, value in rows[0].items() if key != "row"}
    return scores | {"factors": list(dataset.factors), "factor_n": n, "factor_rows": rows}


def on_grid(dataset: ImageDataset) -> bool:
    """Whether a dataset draws two or more factors from stated levels."""
    levels = getattr(dataset, "levels", ())
    if len(levels) < 2:
        return False
    drawn = dataset.draw(8, Generator().manual_seed(HELD_OUT)).factors
    return all(bool(torch.isin(value, level).all()) for value, level in zip(drawn.unbind(1), levels, strict=True))


def _codes(model: nn.Module, images: Tensor) -> Tensor:
    model.eval()
    return torch.cat([model.encode(part).flatten(1) for part in images.split(PART)])  # type: ignore[operator]


def _measured(codes: Tensor, factors: Tensor, seed: int) -> dict[str, Any]:
    """All metrics; every row of a table draws the same numbers. At 5,000 images batches are as many as published."""
    generator = Generator().manual_seed(seed)
    n = len(codes)
    importance = dci(codes, factors, generator)
    return {
        "beta_vae": beta_vae(codes, factors, generator, 2 * n, n),
        "factor_vae": factor_vae(codes, factors, generator, 2 * n, n),
        "mig": mig(codes, factors),
        "mcc": mcc(codes, factors),
        "sap": sap(codes, factors, generator),
        "dci": {key: getattr(importance, key) for key in ("disentanglement", "completeness", "informativeness")},
    }
