"""The whole score of a card or run as one dict: what `ergosum score --json` prints."""

from collections.abc import Callable, Mapping
from itertools import product
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from ergosum.baselines.trivial import Predict, trivial
from ergosum.control import Bank
from ergosum.data.sources import load_digits
from ergosum.decomposer import Decomposer
from ergosum.evaluation.control import composition, response, score_timelines
from ergosum.evaluation.score import as_predict, score_row, test_set
from ergosum.evaluation.targets import targets
from ergosum.settings import FACTORS

__all__ = ["own_row", "summarise"]

Beside = Mapping[str, Mapping[str, nn.Module]]
Judge = Callable[[Tensor], Tensor]


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
    classify: Judge | None = None,
    control: bool = True,
) -> dict[str, Any]:
    """Score a predictor on held-out digits.

    Args:
        n: sequences for the table; an eighth of it, at least 8, for each timeline and response.
        companions: predictors for factors that this one lacks, so that control can be scored on all three.
        beside: trained baselines, name -> factor -> predictor. reference: energies trained on joint changes.
        control: whether to steer too; a predictor that is not told how far to move cannot be steered, and is scored on
        the `alone` set only.
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
    own, told = own_row(card, predictor), getattr(predictor, "knows_moves", True)
    kinds = ("mixed", "alone") if told else ("alone",)
    canvas = getattr(predictor, "canvas", 28)
    mean_digit = load_digits(source, "train", canvas).images.mean(0, keepdim=True)
    rows: list[dict[str, Any]] = []
    for factor, kind in product(factors, kinds):
        tests = test_set(factor, source, n, seed, kind, canvas)
        ours = as_predict(predictor, [list(predictor.components).index(factor)])  # type: ignore[arg-type]
        named = {**trivial(mean_digit), **_rivals(beside or {}, factor, kind), own: ours}
        rows += [{"factor": factor, **score_row(r, p, tests, classify)} for r, p in named.items()]
    headline = [r for r in rows if r["row"] == own and r["set"] == kinds[0]]
    result: dict[str, Any] = {
        "card": card, "row": own, "factor": "+".join(factors), "source": source, "n": n, "seed": seed,
        **{key: sum(r[key] for r in headline) / len(headline) for key in ("mse", "mse_copy", "skill", "psnr")},
    }  # fmt: skip
    if control and told:
        bank = Bank([*(companions or {}).values(), predictor])
        owners = {f: name for name, p in (companions or {}).items() for f in p.components}  # type: ignore[union-attr]
        result["bank"] = {f: card if f in factors else owners.get(f, "") for f in bank.factors}
        result |= _steered(bank, source, max(8, n // 8), seed, Bank([reference]) if reference else None, classify)
    result["rows"], result["targets"] = rows, targets(result, rows, own)
    return result


def own_row(card: str, predictor: nn.Module) -> str:
    """Name of a predictor's rows: `ours` for the system itself, the run's own name for anything beside it."""
    return "ours" if isinstance(predictor, Decomposer) else Path(card).name


def _rivals(beside: Beside, factor: str, kind: str) -> dict[str, Predict]:
    """Trained baselines of a factor; those that know neither other factors nor the way back on the `alone` set only."""
    by_name = {name: by_factor[factor] for name, by_factor in beside.items() if factor in by_factor}
    return {name: as_predict(p) for name, p in by_name.items() if kind == "alone" or p.model.moves}  # type: ignore[union-attr]


def _steered(
    bank: Bank, source: str, few: int, seed: int, reference: Bank | None, classify: Judge | None
) -> dict[str, Any]:
    """What the factor reader says about single energies, timelines and several factors at once."""
    return {
        **response(bank, source, 4 * few, seed),
        **score_timelines(bank, source, few, seed, classify=classify),
        "composition": composition(bank, source, 2 * few, seed, reference=reference),
    }
