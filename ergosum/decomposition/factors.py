"""Are the factors of a scene in the latents, each in a place of its own? And what do models without energies recompose?

All metrics of disentanglement on pictures whose factors are drawn from a grid, beside codes whose worth is known.
"""

from typing import Any

import torch
from torch import Generator, Tensor, nn

from ergosum.baselines.rival import Rival
from ergosum.data.named import picture_set
from ergosum.data.pictures import PictureSet
from ergosum.evaluation.decomposition import HELD_OUT
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
from ergosum.runfolder import build
from ergosum.settings import Experiment

__all__ = ["factor_scores", "on_grid", "rival_scores"]

WIDTH = 64
"""Codes that are judged as they are; of more, their principal components are judged too, as many as this."""
PART = 100
"""Pictures coded at a time."""


@torch.no_grad()
def rival_scores(experiment: Experiment, model: Rival, n: int, seed: int) -> dict[str, Any]:
    """How n held-out pictures are drawn again, and segmented where the model has masks.

    Keys: `mse`, `psnr`, and `mse_mean`, `psnr_mean` of the mean picture; `fg_ari`, `ari`, `covering` of pictures that
    show two objects or more, and the same as the one row of `rows`.
    """
    if n < 2:
        raise ValueError(f"rival_scores: expected n >= 2 pictures, got {n}.")
    data = picture_set(experiment.pictures, split="test").draw(n, Generator().manual_seed(HELD_OUT + seed))
    model.eval()
    made = torch.cat([model.recompose(model.encode(part)) for part in data.images.split(PART)])
    error = mse(made, data.images)
    mean_error = mse(data.images.mean(0, keepdim=True).expand_as(data.images), data.images)
    told = {
        "mse": error.mean().item(), "psnr": psnr(error).mean().item(),
        "mse_mean": mean_error.mean().item(), "psnr_mean": psnr(mean_error).mean().item(),
    }  # fmt: skip
    judged = objects_shown(data.masks) >= 2
    if not hasattr(model, "masks") or not judged.any():
        return told
    found = torch.cat([model.masks(part) for part in data.images[judged].split(PART)])  # type: ignore[operator]
    true = data.masks[judged]
    segments = {"fg_ari": foreground_ari, "ari": ari, "covering": covering}
    shares = {name: metric(found, true).mean().item() for name, metric in segments.items()}
    return told | shares | {"rows": [{"row": experiment.predictor, **shares}]}


@torch.no_grad()
def factor_scores(experiment: Experiment, model: nn.Module, n: int = 5_000, seed: int = 0) -> dict[str, Any]:
    """What n held-out pictures' flattened latents, K D codes, tell of the scene's factors.

    Keys: `beta_vae`, `factor_vae`, `mig`, `mcc` (Spearman), `sap`, and `dci` with its three numbers. If there are more
    than 64 codes, the same of their 64 principal components, which are fitted on n other pictures: `mig_pca` and so
    on. `factor_rows`: the same numbers of the model, of an oracle, its permutation and rotation, of noise, and of the
    model's encoder with random weights. `factors`: names; `codes`: K D; `factor_n`: n.

    The factors are drawn from the grid that the training pictures are from: a picture may have been seen (of `still`,
    20,000 stored ones are 8 % of the grid; of `shapes`, 3 %).

    Args:
        model: a decomposer or a rival, whose `encode` is repeatable.
    Raises:
        ValueError: if the factors are not on a grid.
    """
    pictures = picture_set(experiment.pictures)
    if not on_grid(pictures):
        raise ValueError(f"factor_scores: {experiment.pictures.name!r} has no factors on a grid; 'still' has some.")
    generator = Generator().manual_seed(HELD_OUT + seed)
    data, other = pictures.draw(n, generator), None
    with torch.random.fork_rng(devices=[]):
        torch.set_rng_state(generator.get_state())
        untrained = build(experiment)
    encoders = {"ours" if experiment.predictor == "decomposer" else experiment.predictor: model,
                "random encoder": untrained}  # fmt: skip
    rows = []
    for name, encoder in encoders.items():
        codes = _codes(encoder, data.images)
        row = {"row": name, **_measured(codes, data.factors, seed)}
        if codes.shape[1] > WIDTH:
            other = pictures.draw(n, generator).images if other is None else other
            reduced = principal(_codes(encoder, other), WIDTH)(codes)
            row |= {f"{key}_pca": value for key, value in _measured(reduced, data.factors, seed).items()}
        rows.append(row | {"codes": codes.shape[1]})
    for name, codes in reference_rows(data.factors, generator).items():
        rows.append({"row": name, **_measured(codes, data.factors, seed), "codes": codes.shape[1]})
    scores = {key: value for key, value in rows[0].items() if key != "row"}
    return scores | {"factors": list(pictures.factors), "factor_n": n, "factor_rows": rows}


def on_grid(pictures: PictureSet) -> bool:
    """Whether a set draws two or more factors from stated levels."""
    levels = getattr(pictures, "levels", ())
    if len(levels) < 2:
        return False
    drawn = pictures.draw(8, Generator().manual_seed(HELD_OUT)).factors
    return all(bool(torch.isin(value, level).all()) for value, level in zip(drawn.unbind(1), levels, strict=True))


def _codes(model: nn.Module, pictures: Tensor) -> Tensor:
    model.eval()
    return torch.cat([model.encode(part).flatten(1) for part in pictures.split(PART)])  # type: ignore[operator]


def _measured(codes: Tensor, factors: Tensor, seed: int) -> dict[str, Any]:
    """All metrics; every row of a table draws the same numbers. At 5,000 pictures batches are as many as published."""
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
