"""The whole score of a predictor as one dict: what `ergosum score --json` prints."""

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import default_source, load_digits
from ergosum.decomposer import Decomposer
from ergosum.metrics.error import mse
from ergosum.temporal.assignment import assignment
from ergosum.temporal.baselines.trivial import Predict, trivial
from ergosum.temporal.control import Bank
from ergosum.temporal.moves import Metric, as_predict, score_row, test_set
from ergosum.temporal.steering import composition, response, score_timelines
from ergosum.temporal.targets import targets
from ergosum.training.task import Shelf

if TYPE_CHECKING:
    from ergosum.temporal.task import Prediction

__all__ = ["companions", "own_row", "score_predictor", "summarise"]

Beside = Mapping[str, Mapping[str, nn.Module]]
Classify = Callable[[Tensor], Tensor]
SHIPPED = {"feed-forward U-Net": "feedforward-unet", "report's networks": "report"}
"""Baselines that ship, trained for each factor: the name of their rows, and that of their weights."""
HELD_OUT = 1_000_000
"""Seeds of held-out pairs of a dataset of one's own start here."""
SIDE = 28
"""Canvas that everything that ships was trained on."""


def score_predictor(
    name: str, task: "Prediction", model: nn.Module, n: int, seed: int, source: str, shelf: Shelf | None
) -> dict[str, Any]:
    """Everything that can be measured of a model of sequences.

    Energies named after factors are scored on these (`summarise`); those with other names are assigned to factors
    (`assignment`); a dataset of one's own, whose factors nobody knows, gives the error beside that of copying.

    Raises:
        ValueError: for an energy of joint changes, which is a reference itself.
    """
    if not issubclass(task.data.cls, DigitSequences):  # type: ignore[arg-type]
        return _score_pairs(name, task, model, n, seed)
    source = source or default_source()
    if any("+" in c for c in model.components):  # type: ignore[union-attr]
        raise ValueError(f"{name} learned joint changes; it is the reference that composition is scored against.")
    held = tuple(c for c in model.components if c in FACTORS)  # type: ignore[union-attr]
    if not held:
        result = {"card": name, "source": source, "n": n, "seed": seed}
        return result | assignment(model, task.data, source, n, seed)
    ships = shelf if task.canvas == SIDE else None
    known = "fashion" not in source.split("+")  # the classifier knows digits
    return summarise(
        name,
        model,
        source=source,
        n=n,
        seed=seed,
        companions=companions(held, ships),
        beside=_shipped(ships) if isinstance(model, Decomposer) else {},
        reference=None if ships is None else ships.card("digits-joint"),
        classify=shelf.classifier("identity") if shelf is not None and known else None,
        metrics={metric.cls.__name__: metric.build() for metric in task.metrics},
    )


def _score_pairs(name: str, task: "Prediction", model: nn.Module, n: int, seed: int) -> dict[str, Any]:
    """Errors of single predictions on n pairs of a dataset of one's own, of its part `test` if it has one, beside those
    of copying; and the task's own metrics, which `metrics` lists.
    """
    pairs = task.data.build(split="test", device="cpu").pairs(n, torch.Generator().manual_seed(HELD_OUT + seed))
    made = model.predict(pairs.start, pairs.target, pairs.moves)  # type: ignore[operator]
    own = {m.cls.__name__: m.build()(made, pairs.target).mean().item() for m in task.metrics}
    return {
        "card": name, "source": task.source, "n": n, "seed": seed,
        "error": mse(made, pairs.target).mean().item(), "reference": mse(pairs.start, pairs.target).mean().item(),
        **own, "metrics": list(own),
    }  # fmt: skip


def companions(held: tuple[str, ...], shelf: Shelf | None) -> dict[str, nn.Module]:
    """Cards for the factors that are not among the given ones."""
    found = {f"digits-{f}": shelf.card(f"digits-{f}") for f in FACTORS if f not in held} if shelf is not None else {}
    return {name: model for name, model in found.items() if model is not None}


def _shipped(shelf: Shelf | None) -> Beside:
    """Trained baselines that ship: name -> factor -> predictor."""
    found: dict[str, dict[str, nn.Module]] = {}
    for (row, weights), factor in product(SHIPPED.items(), FACTORS):
        model = None if shelf is None else shelf.card(f"{weights}-{factor}")
        if model is not None:
            found.setdefault(row, {})[factor] = model
    return found


def summarise(
    card: str,
    predictor: nn.Module,
    *,
    source: str,
    n: int,
    seed: int,
    companions: Mapping[str, nn.Module] | None = None,
    beside: Beside | None = None,
    reference: nn.Module | None = None,
    classify: Classify | None = None,
    metrics: Mapping[str, Metric] | None = None,
    control: bool = True,
) -> dict[str, Any]:
    """Score a predictor on held-out digits.

    Args:
        n: sequences for the table; an eighth of it, at least 8, for each timeline and response.
        companions: predictors for factors that this one lacks, so that control can be scored on all three.
        beside: trained baselines, name -> factor -> predictor. reference: energies trained on joint changes.
        metrics: more columns of the table, by name. control: whether to steer too; a predictor that is not conditioned
            on the move cannot be steered, and is scored on the `alone` set only.
    Returns:
        card, row (the name of the predictor's own rows), factor, source, n, seed; mse, mse_copy, skill, psnr on the
        `mixed` set (means over the card's factors); rows (the table); response, diagonal_share, timeline_error,
        identity, composition; targets with `met`.
    """
    factors = [f for f in predictor.components if f in FACTORS]  # type: ignore[union-attr]
    if not factors:
        raise ValueError(
            f"{card} holds no energy named after a factor ({', '.join(predictor.components)}); "  # type: ignore[arg-type]
            "`ergosum report` shows what its energies do."
        )
    own, conditioned = own_row(card, predictor), getattr(predictor, "knows_moves", True)
    kinds = ("mixed", "alone") if conditioned else ("alone",)
    canvas = getattr(predictor, "canvas", SIDE)
    mean_digit = load_digits(source, "train", canvas).images.mean(0, keepdim=True)
    rows: list[dict[str, Any]] = []
    for factor, kind in product(factors, kinds):
        tests = test_set(factor, source, n, seed, kind, canvas)
        ours = as_predict(predictor, [list(predictor.components).index(factor)])  # type: ignore[arg-type]
        named = {**trivial(mean_digit), **_baselines(beside or {}, factor, kind), own: ours}
        rows += [{"factor": factor, **score_row(r, p, tests, classify, metrics)} for r, p in named.items()]
    headline = [r for r in rows if r["row"] == own and r["set"] == kinds[0]]
    result: dict[str, Any] = {
        "card": card, "row": own, "factor": "+".join(factors), "source": source, "n": n, "seed": seed,
        **{key: sum(r[key] for r in headline) / len(headline) for key in ("mse", "mse_copy", "skill", "psnr")},
    }  # fmt: skip
    if control and conditioned:
        bank = Bank([*(companions or {}).values(), predictor])
        owners = {f: name for name, p in (companions or {}).items() for f in p.components}  # type: ignore[union-attr]
        result["bank"] = {f: card if f in factors else owners.get(f, "") for f in bank.factors}
        result |= _steered(bank, source, max(8, n // 8), seed, Bank([reference]) if reference else None, classify)
    result["rows"], result["targets"] = rows, targets(result, rows, own)
    return result


def own_row(card: str, predictor: nn.Module) -> str:
    """Name of a predictor's rows: `ours` for energies, the run's own name for anything beside them."""
    return "ours" if isinstance(predictor, Decomposer) else Path(card).name


def _baselines(beside: Beside, factor: str, kind: str) -> dict[str, Predict]:
    """Trained baselines of a factor; those that know neither other factors nor the way back on the `alone` set only."""
    by_name = {name: by_factor[factor] for name, by_factor in beside.items() if factor in by_factor}
    return {name: as_predict(p) for name, p in by_name.items() if kind == "alone" or p.knows_moves}


def _steered(
    bank: Bank, source: str, few: int, seed: int, reference: Bank | None, classify: Classify | None
) -> dict[str, Any]:
    """What the factor reader finds of single energies, timelines and several factors at once."""
    return {
        **response(bank, source, 4 * few, seed),
        **score_timelines(bank, source, few, seed, classify=classify),
        "composition": composition(bank, source, 2 * few, seed, reference=reference),
    }
