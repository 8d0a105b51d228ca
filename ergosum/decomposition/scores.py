"""All that can be measured of a run on single pictures, ours or a published model's."""

from typing import Any

from torch import nn

from ergosum.baselines.rival import Rival
from ergosum.data.named import picture_set
from ergosum.evaluation.decomposition import decomposition_scores
from ergosum.evaluation.factors import factor_scores, on_grid, rival_scores
from ergosum.evaluation.fidelity import Features
from ergosum.evaluation.targets import target
from ergosum.settings import Experiment

__all__ = ["TARGETS", "score_pictures"]

PER_PICTURE = 25
"""Pictures whose factors are looked for, for each of the n that are recomposed."""
TARGETS = {
    "tetrominoes": {"fg_ari": ("foreground ARI", 0.95), "count_accuracy": ("objects of two pictures counted", 0.8)},
    "scenes": {"fg_ari": ("foreground ARI", 0.90), "count_accuracy": ("objects of two pictures counted", 0.8)},
}
"""What decomposers are to reach, by set."""


def score_pictures(
    name: str, experiment: Experiment, model: nn.Module, n: int, seed: int, features: Features | None = None
) -> dict[str, Any]:
    """Scores on n held-out pictures, and where factors are known on 25 n more; `targets` with whether they are met.

    Args:
        features: of pictures, for kernel distances; None leaves these out.
    """
    told: dict[str, Any] = {"card": name, "source": experiment.pictures.name, "n": n, "seed": seed}
    if isinstance(model, Rival):
        told |= rival_scores(experiment, model, n, seed)
    else:
        told |= decomposition_scores(experiment, model, n, seed, features)  # type: ignore[arg-type]
        wanted = TARGETS.get(experiment.pictures.name, {})
        told["targets"] = [
            target(what, told[key], least, True)
            for key, (what, least) in wanted.items()
            if told.get(key) is not None
        ]  # fmt: skip
    if on_grid(picture_set(experiment.pictures)):
        told |= factor_scores(experiment, model, PER_PICTURE * n, seed)
    return told
