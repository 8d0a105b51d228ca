"""The whole score of a card or run as one dict: what `ergosum score --json` prints."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ergosum.baselines.trivial import trivial
from ergosum.control import Bank
from ergosum.data.sources import load_digits
from ergosum.evaluation.control import composition, response, score_timelines
from ergosum.evaluation.score import as_predict, score_row, test_set
from ergosum.settings import FACTORS

__all__ = ["SKILL_TARGETS", "summarise"]

SKILL_TARGETS = {"colour": 0.98, "angle": 0.97, "scale": 0.90}
TIMELINE_TARGETS = {"hue_deg": ("hue [°]", 10.0), "angle_deg": ("angle [°]", 10.0), "log_scale": ("log-scale", 0.10)}


def summarise(
    card: str,
    predictor: nn.Module,
    *,
    source: str,
    n: int,
    seed: int,
    companions: Mapping[str, nn.Module] | None = None,
    beside: Mapping[str, Mapping[str, nn.Module]] | None = None,
    reference: nn.Module | None = None,
    classify: Callable[[Tensor], Tensor] | None = None,
    control: bool = True,
) -> dict[str, Any]:
    """Score a predictor on held-out digits.

    Args:
        n: sequences for the table; an eighth of it, at least 8, for each timeline and response.
        companions: predictors for factors that this one lacks, so that control can be scored on all three.
        beside: trained baselines, name -> factor -> predictor. reference: energies trained on joint changes.
    Returns:
        card, factor, source, n, seed; mse, mse_copy, skill, psnr on the `mixed` set (means over the card's factors);
        rows (the table); response, diagonal_share, timeline_error, identity, composition; targets with `met`.
    """
    factors = [f for f in predictor.components if f in FACTORS]  # type: ignore[union-attr]
    if not factors:
        raise ValueError(
            f"{card} holds no energy named after a factor ({', '.join(predictor.components)}); "  # type: ignore[arg-type]
            "`ergosum report` shows what its energies do."
        )
    canvas = getattr(predictor, "canvas", 28)
    mean_digit = load_digits(source, "train", canvas).images.mean(0, keepdim=True)
    rows: list[dict[str, Any]] = []
    for factor in factors:
        k = list(predictor.components).index(factor)  # type: ignore[arg-type]
        for kind in ("mixed", "alone"):
            tests = test_set(factor, source, n, seed, kind, canvas)
            named = dict(trivial(mean_digit))
            for name, by_factor in (beside or {}).items():
                # the report's own networks know neither other factors nor the way back
                if factor in by_factor and not (kind == "mixed" and not by_factor[factor].model.moves):  # type: ignore[union-attr]
                    named[name] = as_predict(by_factor[factor])
            named["ours"] = as_predict(predictor, [k])
            rows += [{"factor": factor, **score_row(r, p, tests, classify)} for r, p in named.items()]
    own = [r for r in rows if r["row"] == "ours" and r["set"] == "mixed"]
    mean = lambda key: sum(r[key] for r in own) / len(own)  # noqa: E731
    result: dict[str, Any] = {
        "card": card, "factor": "+".join(factors), "source": source, "n": n, "seed": seed,
        "mse": mean("mse"), "mse_copy": mean("mse_copy"), "skill": mean("skill"), "psnr": mean("psnr"),
    }  # fmt: skip
    targets = [_target(f"{r['factor']} skill", r["skill"], SKILL_TARGETS[r["factor"]], True) for r in own]
    if control:
        few = max(8, n // 8)
        bank = Bank([*(companions or {}).values(), predictor])
        result["bank"] = {f: (card if f in factors else _owner(f, companions or {})) for f in bank.factors}
        result |= response(bank, source, 4 * few, seed)
        result |= score_timelines(bank, source, few, seed, classify=classify)
        result["composition"] = composition(
            bank, source, 2 * few, seed, reference=Bank([reference]) if reference else None
        )
        targets.append(_target("diagonal share", result["diagonal_share"], 0.95, True))
        targets += [
            _target(f"timelines: {name}", result["timeline_error"][k], t, False)
            for k, (name, t) in TIMELINE_TARGETS.items()
        ]
        if "identity" in result:
            targets.append(_target("identity", result["identity"], 0.95, True))
        targets += _against_joint(result["composition"])
    targets += _against_feedforward(rows)
    result["rows"], result["targets"] = rows, targets
    return result


def _owner(factor: str, companions: Mapping[str, nn.Module]) -> str:
    return next((name for name, p in companions.items() if factor in p.components), "")  # type: ignore[operator]


def _target(name: str, value: float, target: float, at_least: bool) -> dict[str, Any]:
    met = value >= target if at_least else value <= target
    return {"name": name, "value": value, "target": target, "at_least": at_least, "met": bool(met)}


def _against_feedforward(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One frame: at most 0.5 dB below the feed-forward U-Net; twelve frames: not below it."""
    found = []
    mixed = {(r["factor"], r["row"]): r for r in rows if r["set"] == "mixed"}
    for (factor, name), row in mixed.items():
        if name == "feed-forward U-Net":
            ours = mixed[factor, "ours"]
            found.append(_target(f"{factor} PSNR over feed-forward, 1 frame", ours["psnr"] - row["psnr"], -0.5, True))
            found.append(
                _target(f"{factor} PSNR over feed-forward, 12 frames", ours["psnr_12"] - row["psnr_12"], 0.0, True)
            )
    return found


def _against_joint(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Composed: at most 3 dB below energies trained on the joint change."""
    errors = [
        _target(f"{r['factors']} at once: {name}", r[key], target, False)
        for r in rows
        if r["row"] == "split"
        for key, (name, target) in TIMELINE_TARGETS.items()
    ]
    psnr = {(r["factors"], r["row"]): r["psnr"] for r in rows}
    groups = sorted({g for g, row in psnr if row == "trained jointly"})
    return errors + [
        _target(f"{g} at once, PSNR over joint training", psnr[g, "split"] - psnr[g, "trained jointly"], -3.0, True)
        for g in groups
    ]


@torch.no_grad()
def assignment(predictor: nn.Module, source: str, n: int, seed: int) -> dict[str, Any]:
    """How unlabelled energies share the factors: response of each alone, and the share under the best assignment.

    Chance level of the share is one over the number of factors; a value near 1 would mean that they separated.
    """
    from scipy.optimize import linear_sum_assignment

    from ergosum.data.render import render
    from ergosum.data.sequences import SPACING, SequenceData
    from ergosum.metrics.reader import read_factors
    from ergosum.metrics.response import levels_moved
    from ergosum.settings import DataSettings

    settings = DataSettings(source=source, mode="lockstep", start="fixed", signs="forward", continuous=False,
                            scale_min=0.1, lag=2)  # fmt: skip
    data = SequenceData(settings, "test")
    generator = torch.Generator().manual_seed(seed)
    pairs = data.pairs(n, generator)
    keep = pairs.before[:, 2] >= 0.4  # smaller digits cannot be read
    pairs = type(pairs)(*(v[keep] for v in pairs))
    rows = []
    for k in range(len(predictor.components)):  # type: ignore[arg-type]
        frames = predictor.predict(pairs.start, moves=pairs.moves, active=[k])  # type: ignore[operator]
        read = read_factors(frames, pairs.digits, render, (0.1, 2.0)).factors
        rows.append(levels_moved(pairs.before, read, SPACING).abs().mean(0) / 2)
    matrix = torch.stack(rows)
    share = matrix / matrix.sum(1, keepdim=True).clamp_min(1e-9)
    first, second = linear_sum_assignment(-share.numpy())
    return {
        "response": matrix.tolist(), "response_rows": list(predictor.components), "response_factors": list(FACTORS),  # type: ignore[arg-type]
        "assigned_share": share[first, second].mean().item(),
        "assignment": {predictor.components[int(i)]: FACTORS[int(j)] for i, j in zip(first, second, strict=True)},  # type: ignore[index]
    }  # fmt: skip
