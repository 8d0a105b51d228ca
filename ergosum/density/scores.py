"""All that can be measured of a trained density, beside rows that need no density."""

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from torch import Generator, Tensor

from ergosum.density.chains import chain_recipe
from ergosum.density.foreign import foreign_sets, plain_scores
from ergosum.density.model import Density
from ergosum.density.posterior import choose_levels, log_densities, nll, posterior
from ergosum.density.sampling import decoded, draw_classes
from ergosum.density.table import measure
from ergosum.metrics.auroc import auroc
from ergosum.metrics.bits import bits_per_dimension
from ergosum.metrics.calibration import ece, equal_width
from ergosum.metrics.identity import accuracy
from ergosum.metrics.kid import kid
from ergosum.metrics.nearest import copies
from ergosum.report.tables import target
from ergosum.training.task import Shelf

__all__ = ["TARGETS", "score_density"]

MEASURED = 32
"""Draws of each condition that log Z of the levels is measured with where it never was."""
CHOOSING = 2000
"""Training images that levels of Bayes' rule are chosen on, at most."""
FEWEST = 20
"""Images that a kernel distance needs: two for each of ten parts."""
TARGETS = {
    "mnist": {
        "sample_accuracy": ("samples of a class read as it", 0.97, True),
        "accuracy": ("Bayes' rule on held-out images", 0.97, True),
        "ece": ("its calibration error", 0.02, False),
        "auroc_fashion": ("Fashion-MNIST told from digits (AUROC)", 0.98, True),
    },
}  # fmt: skip
"""What densities are to reach, by source."""


KEYS = ("sample_accuracy", "kid", "kid_error", "kid_damage", "kid_damage_error", "nearest", "copies")
"""What is measured of every row of images."""


class Held(NamedTuple):
    """Images with their labels, of one part of the data."""

    images: Tensor
    labels: Tensor


def score_density(
    name: str, task: Any, model: Density, n: int, seed: int, source: str = "", shelf: Shelf | None = None
) -> dict[str, Any]:
    """Scores on n held-out images and n draws; `targets` with whether they are met.

    `sample_accuracy`: draws of a class that a reader of digits takes for it. `accuracy`, `nll`, `ece`: of Bayes' rule.
    `auroc`: of the likelihood, known images against foreign sets. `bits_per_dim`: at the lowest level. `kid`: kernel
    distance of draws to held-out images, `kid_damage` that of features which notice blur and noise. `rows`: the same of
    what learned nothing. `level_bias`, `ess`: of every level, log Z in nats and the effective share of draws that it is
    known from. What cannot be measured is None.

    Args:
        name: of the run or card. source: data to score on, where these take one. shelf: where the reader of digits is;
            without it nothing is read, and there are no kernel distances.
    """
    generator = torch.Generator().manual_seed(1_000_000 + seed)
    data = task.data.but(source=source) if source and task.takes_source else task.data
    training, test = _held(data.build(split="train"), generator), _held(data.build(split="test"), generator, n)
    known_as = str(data.get("source")) if task.takes_source else task.source
    told: dict[str, Any] = {"card": name, "source": known_as, "n": n, "seed": seed, "tested": len(test.labels)}
    judge = _judge(task, model, shelf)
    told |= _samples(task, model, training, test, n, generator, judge)
    told |= _classified(model, training, test, generator)
    told |= _likelihood(model, training, test, n, generator, known_as)
    told |= _levels(model, generator)
    flat = told | {f"auroc_{k}": v for k, v in told["auroc"].items()}
    told["targets"] = [
        target(what, flat[key], wanted, at_least)
        for key, (what, wanted, at_least) in TARGETS.get(known_as, {}).items()
        if flat.get(key) is not None
    ]
    return told


def _held(data: Any, generator: Generator, n: int | None = None) -> Held:
    """n images of a part of the data, or at most 60,000; each once where they are held in memory."""
    if hasattr(data, "images") and hasattr(data, "labels"):
        order = torch.randperm(len(data.labels), generator=generator)
        order = order if n is None else order[: min(n, len(order))]
        return Held(data.images[order], data.labels[order])
    drawn = data.labelled(n or CHOOSING, generator)
    return Held(drawn.images, drawn.labels)


class Judge(NamedTuple):
    """What looks at images: features that kernel distances are of, others that were trained to notice blur and noise,
    and who says which class, where there is one.
    """

    features: Callable[[Tensor], Tensor]
    damage: Callable[[Tensor], Tensor]
    read: Callable[[Tensor], Tensor] | None


def _judge(task: Any, model: Density, shelf: Shelf | None) -> Judge | None:
    """The shipped classifier that knows images of this kind."""
    if shelf is None:
        return None
    general = shelf.classifier("features")
    damage = lambda x: general.features(x.expand(-1, 3, -1, -1))  # type: ignore[operator]  # noqa: E731
    if not task.of_digits:
        return Judge(damage, damage, None)
    reader = shelf.classifier("upright")
    return Judge(reader.features, damage, reader)  # type: ignore[arg-type]


def _samples(
    task: Any, model: Density, training: Held, test: Held, n: int, generator: Generator, judge: Judge | None
) -> dict[str, Any]:
    """Draws of every class, beside blank and mean images, copies of training images, and true ones."""
    labels = torch.arange(n) * max(1, len(model.names)) // n
    told: dict[str, Any] = {}
    made = _drawn(task, model, labels, generator)
    copied = training.images[_of_class(training.labels, labels, generator, model)]
    mean = _mean_images(training, model)
    sets = {
        "ours": made,
        "blank": torch.zeros_like(copied),
        "mean image": mean[labels] if model.names else mean.expand_as(copied),
        "copies of training images": copied,
        "true images": test.images,
    }
    rows = []
    for row, images in sets.items():
        if images is None:
            continue
        own = test.labels if row == "true images" else labels
        rows.append({"row": row, **_judged(images, own, training, test, judge, bool(model.names))})
    told["rows"] = rows
    ours = next((r for r in rows if r["row"] == "ours"), {})
    for key in KEYS:
        told[key] = ours.get(key)
    true = rows[-1]
    told["reader_accuracy"], told["nearest_true"] = true["sample_accuracy"], true["nearest"]
    told["kid_true"] = true["kid"]
    return told


def _judged(
    images: Tensor, labels: Tensor, training: Held, test: Held, judge: Judge | None, classes: bool
) -> dict[str, Any]:
    """What a row of images comes to."""
    found: dict[str, Any] = dict.fromkeys(KEYS)
    near = copies(images, training.images, test.images)
    found |= {"nearest": near.distance, "copies": near.share}
    if judge is None:
        return found
    with torch.no_grad():
        if judge.read is not None and classes:
            found["sample_accuracy"] = accuracy(judge.read, images, labels)
        if min(len(images), len(test.images)) >= FEWEST:
            # true images are compared with other true ones, of the training part
            shown = training.images[: len(images)] if images is test.images else images
            for key, of in {"kid": judge.features, "kid_damage": judge.damage}.items():
                made = kid(_in_parts(of, shown), _in_parts(of, test.images), torch.Generator().manual_seed(0))
                found |= {key: made.mean, f"{key}_error": made.error}
    return found


def _drawn(task: Any, model: Density, labels: Tensor, generator: Generator) -> Tensor | None:
    """Draws of each label; None of a family that has neither noise levels nor chains."""
    recipe = chain_recipe(task.objective)
    if not hasattr(model.family, "lowest") and recipe is None:
        return None
    c = labels if model.names else torch.full_like(labels, -1)
    return decoded(model, draw_classes(model, c, generator, recipe=recipe).x)


def _of_class(known: Tensor, labels: Tensor, generator: Generator, model: Density) -> Tensor:
    """A training image for each label, of its class where there are classes."""
    order = torch.randperm(len(known), generator=generator)
    if not model.names:
        return order[torch.arange(len(labels)) % len(order)]
    found = torch.empty_like(labels)
    for c in labels.unique():
        own, places = order[known[order] == c], (labels == c).nonzero()[:, 0]
        pool = own if len(own) else order
        found[places] = pool[torch.arange(len(places)) % len(pool)]
    return found


def _mean_images(training: Held, model: Density) -> Tensor:
    """The mean of every class, or of all."""
    if not model.names:
        return training.images.mean(0, keepdim=True)
    whole = training.images.mean(0)
    each = [training.images[training.labels == c] for c in range(len(model.names))]
    return torch.stack([part.mean(0) if len(part) else whole for part in each])


def _classified(model: Density, training: Held, test: Held, generator: Generator) -> dict[str, Any]:
    """Bayes' rule at the levels that training images chose."""
    keys = ("accuracy", "nll", "ece", "ece_of_widths", "posterior_levels", "posterior_tried")
    if len(model.names) < 2:
        return dict.fromkeys(keys)
    chosen = Held(training.images[:CHOOSING], training.labels[:CHOOSING])
    found = choose_levels(model, _points(model, chosen.images), chosen.labels, generator)
    told = log_densities(model, _points(model, test.images), found.levels, generator)
    read = posterior(told)
    alike = bool((read == read[:1]).all())  # as of a family that has not learned
    return {
        "accuracy": (read.argmax(1) == test.labels).double().mean().item(),
        "nll": nll(read, test.labels),
        "ece": None if alike else ece(read, test.labels),
        "ece_of_widths": None if alike else ece(read, test.labels, 10, equal_width),
        "posterior_levels": list(found.levels),
        "posterior_tried": [
            {"sigma": levels[0], "accuracy": hit, "nll": nats} for levels, hit, nats in found.tried
        ],
    }  # fmt: skip


def _likelihood(
    model: Density, training: Held, test: Held, n: int, generator: Generator, source: str
) -> dict[str, Any]:
    """Bits per dimension, and foreign sets told from known images."""
    family = model.family
    levels = (family.lowest,) if hasattr(family, "lowest") else ()
    fit = _recomposed(model, training.images[:CHOOSING])
    scores: dict[str, Callable[[Tensor], Tensor]] = {
        "likelihood": lambda images: _likely(model, images, levels, fit, generator),
        **plain_scores(training.images),
    }
    in_codes = fit > LOSSLESS
    if in_codes:
        scores["codes alone"] = lambda images: _likely(model, images, levels, 0.0, generator)
    sets = foreign_sets(test.images, n, generator, source)
    known = {score: of(test.images) for score, of in scores.items()}
    rows = []
    for foreign, images in sets.items():
        told = {score: auroc(known[score], of(images)) for score, of in scores.items()}
        rows.append({"set": foreign, **told})
    nats = known["codes alone" if in_codes else "likelihood"]
    width = 1.0 if in_codes else 2 / 255
    level = f"at noise {levels[0]:g}" if levels else "without noise"
    return {
        "auroc": {row["set"]: row["likelihood"] for row in rows},
        "auroc_rows": rows,
        "bits_per_dim": bits_per_dimension(nats, family.size, width) if levels else None,
        "bits_per_dim_of": f"a {'code' if in_codes else 'pixel of 256 values'} {level}",
        "nats_per_dim": -nats.double().mean().item() / family.size if levels else None,
    }


def _levels(model: Density, generator: Generator) -> dict[str, Any]:
    """log Z of every level, its error and the effective share of draws; measured now if they never were."""
    if not hasattr(model.family, "table"):
        return dict.fromkeys(("level_bias", "level_bias_error", "ess"))
    if not model.family.table.measured:
        measure(model.family, n=MEASURED, generator=generator)
    return model.family.table.scores()


LOSSLESS = 1e-8
"""Mean squared error of recomposed images below which points of the space are the images themselves."""


def _likely(model: Density, images: Tensor, levels: tuple[float, ...], fit: float, generator: Generator) -> Tensor:
    r"""Log-density of the prior (n,), and of codes with that of the image given them, a Gaussian about what the codes
    decode to with the mean squared error of training images: $-\|x - D(z)\|^2 / 2 s^2$.
    """
    points = _points(model, images)
    told = log_densities(model, points, levels, generator)[..., -1].mean(0)
    if fit <= LOSSLESS:
        return told
    apart = (decoded(model, points) - images).square().flatten(1).sum(1)
    return told - apart / (2 * fit) - images[0].numel() * math.log(2 * math.pi * fit) / 2


@torch.no_grad()
def _recomposed(model: Density, images: Tensor) -> float:
    """Mean squared error of images decoded from their points."""
    return (decoded(model, _points(model, images)) - images).square().mean().item()


def _in_parts(of: Callable[[Tensor], Tensor], images: Tensor) -> Tensor:
    return torch.cat([of(part) for part in images.split(512)])


@torch.no_grad()
def _points(model: Density, images: Tensor) -> Tensor:
    return torch.cat([model.encode(part) for part in images.split(512)])
