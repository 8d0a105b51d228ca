"""All that can be measured of a run on single images, a decomposer's or a baseline's, and its tables."""

import warnings
from collections.abc import Iterator, Mapping, Sized
from typing import Any

from torch import nn

from ergosum.decomposition.baselines.baseline import ImageBaseline
from ergosum.decomposition.factors import baseline_scores, factor_scores, on_grid
from ergosum.decomposition.fidelity import Features
from ergosum.decomposition.segmentation import decomposition_scores
from ergosum.decomposition.task import OfImages
from ergosum.report.tables import target
from ergosum.training.task import Shelf, Table

__all__ = ["TARGETS", "score_images", "tables"]

PER_IMAGE = 25
"""Images whose factors are looked for, for each of the n that are recomposed."""
TARGETS = {
    "tetrominoes": {"fg_ari": ("foreground ARI", 0.95), "count_accuracy": ("objects of two images counted", 0.8)},
    "scenes": {
        "fg_ari": ("foreground ARI", 0.90),
        "count_accuracy": ("objects of two images counted", 0.8),
        "ari_apart": ("ARI, shadows told apart", 0.90),
        "covering_apart": ("covering, shadows told apart", 0.82),
        "fg_ari_apart": ("foreground ARI, shadows told apart", 0.96),
    },
}
"""What decomposers are to reach, by dataset."""
SEGMENTS = {"fg_ari": 3, "ari": 3, "covering": 3}
"""Columns of segmentations and their decimals."""
SHADOWS = SEGMENTS | {"ari_with_shadows": 3, "covering_with_shadows": 3}
"""Columns of segmentations of scenes with shadows."""
RECOMPOSED = {"mse": 5, "mse_mean": 5, "psnr": 2, "ssim": 3, "sharpness": 3, "swap_consistency": 3, "swap_share": 3,
              "swap_arrival": 3}  # fmt: skip
"""Columns of images recomposed and recombined."""
COMPOSITES = {"count_accuracy": 3, "count_matched": 3}
"""Columns of counts of composites."""
COMPOSITES_APART = {"count_accuracy_apart": 3, "count_matched_apart": 3}
"""The same of masks without shadows."""
FIDELITY = {"kid": 4, "kid_error": 4}
"""Columns of kernel distances to true images."""
FACTORS = {"beta_vae": 3, "factor_vae": 3, "mig": 3, "mcc": 3, "sap": 3, "disentanglement": 3, "completeness": 3,
           "informativeness": 3}  # fmt: skip
"""Columns of what latents tell of a scene's factors."""


def score_images(
    name: str, task: OfImages, model: nn.Module, n: int, seed: int, shelf: Shelf | None = None
) -> dict[str, Any]:
    """Scores on n held-out images, and where factors are known on 25 n more; `targets` with whether they are met.

    Args:
        name: of the run or card. shelf: where the classifier is whose features give kernel distances; None leaves
            these out.
    """
    held_out = task.dataset("test")
    if isinstance(held_out, Sized) and len(held_out) < n:
        warnings.warn(
            f"Only {len(held_out)} images of {task.name} are held out: some of the {n} that are scored are repeated.",
            stacklevel=2,
        )
    told: dict[str, Any] = {"card": name, "source": task.name, "n": n, "seed": seed}
    if isinstance(model, ImageBaseline):
        told |= baseline_scores(task, model, n, seed)
    else:
        features: Features | None = None if shelf is None else shelf.classifier("features").features  # type: ignore[assignment]
        told |= decomposition_scores(task, model, n, seed, features)  # type: ignore[arg-type]
        wanted = TARGETS.get(task.name, {})
        told["targets"] = [
            target(what, told[key], least, True)
            for key, (what, least) in wanted.items()
            if told.get(key) is not None
        ]  # fmt: skip
    if on_grid(task.dataset()):
        told |= factor_scores(task, model, PER_IMAGE * n, seed)
    return told


def tables(scores: Mapping[str, Any]) -> list[Table]:
    """Segmentation, shadows, recomposition, composites, kernel distances, factors: those that were measured."""
    made = []
    if scores.get("fg_ari") is not None:
        made.append(Table(("row",), SEGMENTS, scores["rows"], "Segmentation of images that show two objects or more"))
    if "shadow_rows" in scores:
        told = "Against masks of solids alone, and of solids with the shadows that they cast"
        made.append(Table(("row",), SHADOWS, scores["shadow_rows"], told))
    if "mse_mean" in scores:
        own = dict.fromkeys(scores.get("metrics", ()), 4)
        made.append(Table(("card",), RECOMPOSED | own, [scores], "Recomposition and recombination"))
    if scores.get("count_accuracy") is not None:
        told = f"Two images in one: {scores['composites']} composites, decomposed again into as many slots as they need"
        columns = COMPOSITES | (COMPOSITES_APART if "count_matched_apart" in scores else {})
        made.append(Table(("row",), columns, scores.get("composite_rows", [{"row": "ours", **scores}]), told))
        if scores.get("composite_by_objects"):
            title = "The same composites of the model, by their number of objects"
            made.append(Table(("objects", "composites"), columns, scores["composite_by_objects"], title))
    if "kid_rows" in scores:
        made.append(Table(("row",), FIDELITY, scores["kid_rows"], "Kernel distance to held-out images"))
    if "factor_rows" in scores:
        rows = list(_of_codes(scores["factor_rows"]))
        made.append(Table(("row",), FACTORS, rows, "Latents against the true factors"))
    return made


def _of_codes(rows: list[Mapping[str, Any]]) -> Iterator[Mapping[str, Any]]:
    """A line for the codes of every row, and one for their principal components where these were scored."""
    for row in rows:
        yield {**row, **row["dci"]}
        if "dci_pca" in row:
            yield {"row": "its components", **{k: row.get(f"{k}_pca") for k in FACTORS}, **row["dci_pca"]}
