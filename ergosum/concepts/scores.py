r"""All that is measured of concepts: whether what was asked for is there, in the shares that were asked for.

Every draw is read by the data's own reader, whose accuracy on true images stands beside it (`reader`).

- `and_seen`, `and_held_out`, `and_held_out_place`: share of draws of all attributes at once that are right in all, of
  combinations that training shows, of named values that it never shows together, and of a value and a place that it
  never shows together; `and_held_out_together` and so on of the attributes whose combinations are held out alone, where
  the data name these.
- `or_tv`: total variation between the shares that were asked for and those that are read, the largest of several
  formulas, as n draws tell it (each formula's `tv_exact` is what exact draws would have); `or_p` is the smallest p of
  their chi-square tests.
- `not_leak`: share of draws of a formula with `~a` that are read as a, or as nothing, the largest of several formulas;
  `not_tv`: total variation of their shares from those of the complement.
- `nested`: share of draws of formulas of all three signs that satisfy them; `nested_tv` of the combinations.
- `random`: the same of 30 random formulas of depth 3, n / 10 draws each, `random_least` of the worst; `random_p` is the
  share of them whose chi-square test against the enumeration of values has p above .01.
- `infer`: share of held-out images whose named values are read right by Bayes' rule, the least of all attributes;
  `infer_place`: median error of what is told in numbers, in pixels.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.concepts.inference import infer
from ergosum.concepts.likeness import COMPARED, distance, where_read
from ergosum.concepts.model import Concepts
from ergosum.concepts.sampling import NEAR, satisfied
from ergosum.data.attributed import Attribute, columns
from ergosum.density.algebra import lifted
from ergosum.density.formulas import Vocabulary, Worlds, meaning, vocabulary, worlds
from ergosum.density.sampling import CHUNK, decoded, draw
from ergosum.energy import Energy
from ergosum.nodes import silence
from ergosum.report.tables import target
from ergosum.training.task import Table

__all__ = [
    "TARGETS",
    "Asked",
    "Draws",
    "accuracies",
    "another_value",
    "conjunction",
    "conjunctions",
    "formula_row",
    "formulas",
    "of_exact_draws",
    "of_true_images",
    "random_formulas",
    "right",
    "score_concepts",
    "score_formulas",
    "shown_together",
    "tables",
    "variation",
]

TARGETS = {
    "and_seen": ("all attributes right, combinations that training shows", 0.90, True),
    "and_held_out": ("all right, values never shown together", 0.50, True),
    "and_held_out_together": ("those right whose combinations were never shown", 0.90, True),
    "and_held_out_place": ("all right, a value and a place never shown together", 0.85, True),
    "or_tv": ("shares of alternatives (total variation)", 0.03, False),
    "not_leak": ("draws that show what is excluded", 0.01, False),
    "not_tv": ("shares of what is not excluded (total variation)", 0.05, False),
    "random": ("30 random formulas of depth 3 satisfied", 0.90, True),
    "infer": ("values read in held-out images", 0.97, True),
}  # fmt: skip
"""What concepts are to reach."""
SHOWN = {
    "and_seen": "combinations that training shows", "and_held_out": "values never shown together",
    "and_held_out_place": "a value and a place never shown together",
}  # fmt: skip
"""What rows of conjunctions are called in tables."""
TRUE = 5_000_000
"""Seed of the true images that draws are compared with."""
RANDOM, DEPTH = 30, 3
"""Random formulas, and how many signs they have inside each other."""
Reader = Callable[[Tensor], Tensor]
Draws = Callable[[Energy, int], Tensor]
"""Images of an energy, so many."""


def right(attributes: Sequence[Attribute], read: Tensor, values: Tensor) -> Tensor:
    """Which attributes of images were read as they should be, (n, attributes) bool; where nothing was asked for, true.

    Shape:
        read, values: (n, columns).
    """
    told = []
    for attribute, column in zip(attributes, columns(attributes), strict=True):
        wanted, found = values[:, column], read[:, column]
        same = found[:, 0] == wanted[:, 0] if attribute.values else (found - wanted).norm(dim=1) <= NEAR
        told.append(same | wanted.isnan().any(1))
    return torch.stack(told, 1)


def conjunction(model: Concepts, values: Tensor) -> Energy:
    """The sum of what each of the values (n, columns) adds to the prior, one for each of n points."""
    terms = []
    for column in model.columns:
        condition = model.family.conditions.none(len(values))
        condition[:, column] = values[:, column]
        terms.append(model.family(condition))
    return lifted(*terms, prior=model.family(model.family.conditions.none(len(values))))


def variation(shares: Tensor, found: Tensor) -> float:
    """Total variation between two vectors of shares."""
    return float((shares.double() - found.double()).abs().sum() / 2)


def of_exact_draws(shares: Tensor, n: int) -> float:
    r"""Total variation that n draws which have exactly these shares are expected to show: of each share p the mean of
    $|\hat p - p| / 2$, about $\sqrt{p (1 - p) / (2 \pi n)}$.
    """
    shares = shares.double()
    return float((shares * (1 - shares) / (2 * torch.pi * n)).sqrt().sum())


def chi_square(shares: Tensor, counts: Tensor) -> float:
    """p of Pearson's test that counts come from shares; categories of share 0 count as one, expected to be empty."""
    from scipy.special import chdtrc

    n, shares, counts = counts.sum().double(), shares.double(), counts.double()
    real = shares > 0
    if counts[~real].sum() > 0:  # something that cannot be: the reader's or the model's error
        shares = torch.cat([shares[real] * (1 - 1 / n), torch.ones(1, dtype=torch.float64) / n])
        counts = torch.cat([counts[real], counts[~real].sum()[None]])
    else:
        shares, counts = shares[real], counts[real]
    statistic = ((counts - n * shares).square() / (n * shares)).sum()
    return float(chdtrc(max(1, len(shares) - 1), float(statistic)))


class Asked(NamedTuple):
    """A formula, with the shares of its alternatives if they are given, and what it excludes."""

    formula: str
    shares: tuple[float, ...] | None = None
    without: str = ""


def formulas(attributes: Sequence[Attribute]) -> dict[str, list[Asked]]:
    """Formulas of every kind, of the attributes with the most values; none without named ones."""
    named = sorted((a for a in attributes if a.values), key=lambda a: -len(a.values))
    if not named:
        return {"or": [], "not": [], "nested": []}
    first, second = named[0], named[1] if len(named) > 1 else named[0]
    a, b = first.values[1 % len(first.values)], first.values[2 % len(first.values)]
    if len(named) == 1:
        nested = [Asked(f"~({a} | {b})")] if len(first.values) > 2 else []
        either, none = [Asked(f"{a} | {b}"), Asked(f"{a} | {b}", (0.9, 0.1))], [Asked(f"~{a}", without=a)]
        return {"or": either, "not": none, "nested": nested}
    c = second.values[1 % len(second.values)]
    e = (named[2] if len(named) > 2 else first).values[0]
    d = e if len(named) > 2 else second.values[0]
    return {
        "or": [Asked(f"{a} | {b}"), Asked(f"{a} | {b}", (0.9, 0.1)), Asked(f"({a} | {b}) & {c}"),
               Asked(f"{a} | {c}", (0.5, 0.5))],
        "not": [Asked(f"~{a}", without=a), Asked(f"~{c}", without=c), Asked(f"~{a} & {c}", without=a)],
        "nested": [Asked(f"({a} | {c}) & ~({e} & {c})"), Asked(f"({a} & {c}) | (~{a} & {d})")],
    }  # fmt: skip


def random_formulas(
    attributes: Sequence[Attribute], known: Vocabulary, generator: Generator, count: int = RANDOM, depth: int = DEPTH
) -> list[Asked]:
    """Formulas of so many signs inside each other, of different named values, without double negations, none that
    says nothing or that nothing satisfies.
    """

    def pick(n: int) -> int:
        return int(torch.randint(n, (), generator=generator, device=generator.device))

    def grown(left: int, names: list[str], signs: str = "~&|") -> str:
        if left == 0:
            return names.pop(pick(len(names)))
        sign = signs[pick(len(signs))]
        if sign == "~":
            return f"~{grown(left - 1, names, '&|')}"
        return f"({grown(left - 1, names)} {sign} {grown(pick(left), names)})"

    every = [value for a in attributes for value in a.values]
    found: list[Asked] = []
    for _ in range(100 * count):
        text = grown(depth, list(every) * (1 + 2**depth // len(every)))
        try:
            with silence():  # what they are as densities is measured, not warned of
                meaning(text, known)
                held = worlds(text, known).formula > 0
        except ValueError:  # it contradicts itself, or says nothing
            continue
        if 0 < held.sum() < len(held):
            found.append(Asked(text))
        if len(found) == count:
            return found
    raise ValueError(f"random_formulas: of {100 * count} formulas of these attributes only {len(found)} can be drawn.")


def score_concepts(
    name: str,
    model: Concepts,
    data: Any,
    read: Reader,
    n: int,
    seed: int,
    draws: Draws | None = None,
    sampler: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Scores of n draws of each kind, and n held-out images; `targets` with whether they are met.

    Args:
        data: the test part, which shows all combinations. read: its reader, values (n, columns). draws: in place of the
            model's own. sampler: options of `density.sampling.draw`, such as corrections and particles.
    """
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    options = {"particles": 1, "corrections": None, **(sampler or {})}
    held = data.attributed(n, generator)
    attributes = model.attributes

    def drawn(energy: Energy, count: int) -> Tensor:
        return decoded(model, draw([model], energy, count, generator, **options).x)

    own = draws or drawn

    def together(values: Tensor) -> Tensor:
        particles = options["particles"]  # those of a draw are neighbours, and have its condition
        parts = values.split(max(1, CHUNK // particles))
        return torch.cat([own(conjunction(model, p.repeat_interleave(particles, 0)), len(p)) for p in parts])

    known = vocabulary([model])

    def of(one: Asked, count: int) -> Tensor:
        return own(meaning(one.formula, known, one.shares), count)

    told: dict[str, Any] = {"card": name, "n": n, "seed": seed, **{k: v for k, v in options.items() if v is not None}}
    told |= of_true_images(attributes, data, read, held)
    told |= conjunctions(attributes, data, read, held.values, together)
    told |= score_formulas(attributes, known, read, of, n, generator)
    told |= _inferred(model, held, generator)
    told["targets"] = [
        target(what, told[key], wanted, at_least)
        for key, (what, wanted, at_least) in TARGETS.items()
        if told.get(key) is not None
    ]
    return told


def score_formulas(
    attributes: Sequence[Attribute], known: Vocabulary, read: Reader, of: Callable[[Asked, int], Tensor], n: int,
    generator: Generator,
) -> dict[str, Any]:  # fmt: skip
    """Scores of n draws of every formula, and of n / 10 of random ones; arguments as of `formula_row`."""
    asked = formulas(attributes)
    told: dict[str, Any] = {}
    told["formulas"] = [
        {"kind": kind, **formula_row(one, known, attributes, read, of, n)}
        for kind, ones in asked.items()
        for one in ones
    ]
    rows = {kind: [row for row in told["formulas"] if row["kind"] == kind] for kind in asked}
    told |= {
        "or_tv": max((row["tv"] for row in rows["or"]), default=None),
        "or_p": min((row["p"] for row in rows["or"]), default=None),
        "not_leak": max((row["leak"] for row in rows["not"]), default=None),
        "not_tv": max((row["tv"] for row in rows["not"]), default=None),
        "nested": min((row["satisfied"] for row in rows["nested"]), default=None),
        "nested_tv": max((row["tv"] for row in rows["nested"]), default=None),
    }  # fmt: skip
    few = max(1, n // 10)
    several = sum(bool(a.values) for a in attributes) > 1  # of fewer, few formulas say anything
    with silence():
        given = random_formulas(attributes, known, generator) if several else []
        tried = [formula_row(one, known, attributes, read, of, few) for one in given]
    told["random_formulas"] = tried
    told |= {
        "random": sum(row["satisfied"] for row in tried) / len(tried) if tried else None,
        "random_least": min((row["satisfied"] for row in tried), default=None),
        "random_p": sum(row["p"] > 0.01 for row in tried) / len(tried) if tried else None,
    }
    return told


def accuracies(attributes: Sequence[Attribute], read: Tensor, values: Tensor) -> dict[str, float]:
    """Accuracy of each attribute, and of all at once."""
    ok = right(attributes, read, values)
    names = [a.name for a in attributes]
    return {**dict(zip(names, ok.float().mean(0).tolist(), strict=True)), "all": ok.all(1).float().mean().item()}


def another_value(attributes: Sequence[Attribute], values: Tensor) -> Tensor:
    """Values (n, columns) with the next value of the first named attribute."""
    changed = values.clone()
    for attribute, column in zip(attributes, columns(attributes), strict=True):
        if attribute.values:
            changed[:, column] = (changed[:, column] + 1) % len(attribute.values)
            break
    return changed


def of_true_images(attributes: Sequence[Attribute], data: Any, read: Reader, held: Any) -> dict[str, Any]:
    """`reader`, its accuracies on held-out images, and their distance from others; `another_value`, that of images that
    show another value of the first named attribute than they are compared for, and `mean_image`, that of their mean.
    """
    found = read(held.images)
    told: dict[str, Any] = {"reader": accuracies(attributes, found, held.values)}
    true = distance(data, where_read(attributes, held.values, found), held.images, TRUE)
    if true is not None:
        told["reader"]["distance"] = true
        other = another_value(attributes, held.values[:COMPARED])
        shown = data.showing(other, Generator().manual_seed(TRUE + 1)).images
        asked = where_read(attributes, held.values[:COMPARED], read(shown))
        told["another_value"] = {"distance": distance(data, asked, shown, TRUE)}
        mean = held.images.mean(0, keepdim=True).expand_as(held.images)
        told["mean_image"] = {"distance": distance(data, held.values, mean, TRUE)}
    return told


def shown_together(data: Any, values: Tensor) -> dict[str, Tensor]:
    """Which values (n, columns) training shows together, and which it does not, each (n,) bool."""
    pair = getattr(data, "held_out_pair", None)
    unseen = data.held_out(values) if hasattr(data, "held_out") else torch.zeros(len(values), dtype=torch.bool)
    if pair is None:
        return {"and_seen": ~unseen, "and_held_out": unseen}
    both = unseen & pair(values)
    return {"and_seen": ~unseen, "and_held_out": both, "and_held_out_place": unseen & ~both}


def conjunctions(
    attributes: Sequence[Attribute], data: Any, read: Reader, values: Tensor, draws: Callable[[Tensor], Tensor]
) -> dict[str, Any]:
    """Images of all attributes at once, read: shares that are right in all, by what training shows of them.

    Args:
        values: (n, columns), asked for. draws: images of some of them, one each. data: their `held_together` names the
            attributes whose combinations are held out, of which `together` tells alone.
    """
    made = draws(values)
    ok, rows = read(made), []
    asked = where_read(attributes, values, ok)
    told: dict[str, Any] = {}
    together = [n for n, a in enumerate(attributes) if a.name in getattr(data, "held_together", ())]
    for key, chosen in shown_together(data, values).items():
        if chosen.any():
            rows.append({"row": key, "n": int(chosen.sum()), **accuracies(attributes, ok[chosen], values[chosen])})
            told[key] = rows[-1]["all"]
            apart = distance(data, asked[chosen], made[chosen], TRUE)
            if apart is not None:
                rows[-1]["distance"] = apart
            if together:
                both = right(attributes, ok[chosen], values[chosen])[:, together].all(1)
                told[f"{key}_together"] = rows[-1]["together"] = both.float().mean().item()
    return told | {"conjunctions": rows}


def formula_row(
    asked: Asked,
    known: Any,
    attributes: Sequence[Attribute],
    read: Reader,
    draws: Callable[[Asked, int], Tensor],
    n: int,
) -> dict[str, Any]:
    """n draws of a formula: how many satisfy it, how far the shares of its worlds are from what was asked for (`tv`),
    and how far those of n exact draws would be (`tv_exact`).

    Args:
        draws: images of the formula, so many. known: the vocabulary that it is in.
    """
    wanted = worlds(asked.formula, known, asked.shares)
    values = torch.cat([read(draws(asked, min(CHUNK, n - at))) for at in range(0, n, CHUNK)])
    counts = _counted(wanted, known, attributes, values)
    shares = torch.cat([wanted.formula, torch.zeros(1, dtype=torch.float64)])
    row = {
        "formula": asked.formula, "shares": asked.shares, "n": n,
        "satisfied": satisfied(asked.formula, known, attributes, values).float().mean().item(),
        "tv": variation(shares, counts / n), "tv_exact": of_exact_draws(shares, n), "p": chi_square(shares, counts),
    }  # fmt: skip
    if asked.without:
        row["leak"] = 1 - satisfied(f"~{asked.without}", known, attributes, values).float().mean().item()
    return row


def _counted(wanted: Worlds, known: Any, attributes: Sequence[Attribute], values: Tensor) -> Tensor:
    """How many images are in each world, and last in how many nothing was read, which are in none, (worlds + 1,)."""
    names, seen = list(wanted.names), ~values.isnan().all(1)
    held = torch.stack([satisfied(name, known, attributes, values) for name in names], 1)[seen]
    of = torch.stack([wanted.names[name] for name in names], 1)
    return torch.cat([(held[:, None] == of[None]).all(2).sum(0), (~seen).sum()[None]])


def _inferred(model: Concepts, held: Any, generator: Generator) -> dict[str, Any]:
    """What Bayes' rule and descent read in held-out images."""
    x = torch.cat([model.encode(part) for part in held.images.split(CHUNK)])
    found = infer(model, x, generator)
    rows, least, errors = [], [], []
    for attribute, column in zip(model.attributes, model.columns, strict=True):
        apart = found.values[:, column] - held.values[:, column]
        if attribute.values:
            least.append((apart[:, 0] == 0).float().mean().item())
            rows.append({"attribute": attribute.name, "right": least[-1]})
        else:
            errors.append((apart * model.side).norm(dim=1).median().item())
            rows.append({"attribute": attribute.name, "pixels": errors[-1]})
    return {"infer": min(least, default=None), "infer_place": max(errors, default=None), "inferred": rows}


def tables(scores: dict[str, Any]) -> list[Table]:
    """Conjunctions, formulas, inference."""
    made = []
    if scores.get("conjunctions"):
        names = [k for k in scores["conjunctions"][0] if k not in ("row", "n")]
        rows = [{**row, "row": SHOWN.get(row["row"], row["row"])} for row in scores["conjunctions"]]
        rows.append({"row": "true images", "n": scores["n"], **scores["reader"]})
        for key, name in (("another_value", "true images of another value"), ("mean_image", "mean image")):
            if key in scores:
                rows.append({"row": name, "n": scores["n"], **scores[key]})
        title = "All attributes at once, read right"
        title += f"; distance of {COMPARED} of each, at most, from true images" if "distance" in names else ""
        decimals = {name: 4 if name == "distance" else 3 for name in names}
        made.append(Table(("row", "n"), decimals, rows, title))
    if scores.get("formulas"):
        title = "Formulas: satisfied, and how far the shares are from those asked for"
        rows = [{**row, "shares": ", ".join(f"{s:g}" for s in row["shares"] or ())} for row in scores["formulas"]]
        digits = {"satisfied": 3, "leak": 3, "tv": 3, "tv_exact": 3, "p": 3}
        made.append(Table(("formula", "shares"), digits, rows, title))
    if scores.get("inferred"):
        made.append(Table(("attribute",), {"right": 3, "pixels": 2}, scores["inferred"], "Read in held-out images"))
    return made
