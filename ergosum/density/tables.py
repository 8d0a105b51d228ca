"""What a score of a density holds, as tables."""

from collections.abc import Mapping
from typing import Any

from ergosum.training.task import Table

__all__ = ["tables"]

DRAWS = {"sample_accuracy": 3, "kid": 4, "kid_error": 4, "kid_damage": 2, "nearest": 4, "copies": 3}
"""Columns of draws and their decimals: read as their class; kernel distance to held-out images, and that of features
which notice blur and noise; distance to the nearest training image, and the share of draws that lie nearer to one than
99 % of held-out images do."""
BAYES = {"accuracy": 4, "nll": 4, "ece": 4, "ece_of_widths": 4}
"""Columns of Bayes' rule: calibration in 15 bins of equal mass, and in 10 of equal width."""


def tables(scores: Mapping[str, Any]) -> list[Table]:
    """Draws, Bayes' rule, foreign images, likelihood and levels: those that were measured."""
    made: list[Table] = []
    if scores.get("rows"):
        made.append(Table(("row",), DRAWS, scores["rows"], "Draws, beside images that no density made"))
    if scores.get("accuracy") is not None:
        levels = ", ".join(f"{sigma:g}" for sigma in scores["posterior_levels"]) or "none"
        row = {"noise": levels, **{k: scores.get(k) for k in BAYES}}
        made.append(Table(("noise",), BAYES, [row], "Bayes' rule on held-out images"))
    if scores.get("posterior_tried"):
        title = "Bayes' rule on training images, which chose the levels of noise"
        made.append(Table((), {"sigma": 3, "accuracy": 4, "nll": 4}, scores["posterior_tried"], title))
    if scores.get("auroc_rows"):
        columns = {k: 3 for k in scores["auroc_rows"][0] if k != "set"}
        title = "Held-out images told from foreign ones (AUROC), and by scores without a density"
        made.append(Table(("set",), columns, scores["auroc_rows"], title))
    if scores.get("bits_per_dim") is not None:
        row = {"of": scores["bits_per_dim_of"], "bits": scores["bits_per_dim"], "nats": scores["nats_per_dim"]}
        made.append(Table(("of",), {"bits": 3, "nats": 3}, [row], "Minus the log-density per dimension"))
    if scores.get("level_bias"):
        columns = {"log Z": "level_bias", "+-": "level_bias_error", "ess": "ess"}
        rows = [
            {"sigma": float(sigma), **{name: (scores.get(key) or {}).get(sigma) for name, key in columns.items()}}
            for sigma in scores["level_bias"]
        ]
        title = "Every level: the log Z of any condition that is furthest from 0, in nats, and the least share of draws"
        made.append(Table((), {"sigma": 3, "log Z": 2, "+-": 2, "ess": 3}, rows, title))
    return made
