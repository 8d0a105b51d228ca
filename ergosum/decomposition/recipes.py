"""Recipes for images: objects by slots and Gaussian experts, global factors, and COMET's networks as paper and code run
them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from ergosum.data.named import dataset
from ergosum.decomposer import InnerDescent
from ergosum.decomposition.baselines.recipes import ROWS, SETS, baseline
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.objective import RecompositionLoss
from ergosum.decomposition.task import Recomposition
from ergosum.nets import (
    CometEnergy,
    ExpertDecoder,
    GlobalExperts,
    PyramidEncoder,
    RecurrentEncoder,
    RefinedExperts,
    ResidualEncoder,
    SlotEncoder,
)
from ergosum.part import Part
from ergosum.training.experiment import Experiment, Optimiser, Run

__all__ = ["BIASES", "GLOBALS", "HEADLINES", "biases", "comet", "comet_long", "finer", "modalities", "other_scenes",
           "recipes", "refined", "scenes_global", "scenes_objects", "shapes", "tetrominoes"]  # fmt: skip

CPU = "one thread of a 2-core x86-64 CPU with bfloat16"
HEADLINES = ("tetrominoes", "scenes-objects", "scenes-global", "shapes", "modalities")
"""Recipes that a person would train; the others are ablations and rows of tables."""


def recipes() -> dict[str, Callable[[], Experiment]]:
    """All recipes for images by their names, baselines last."""
    made: list[Callable[[], Experiment]] = [tetrominoes, scenes_objects, finer, modalities, refined, shapes]
    made += [partial(scenes_global, name) for name in GLOBALS]
    made += [partial(other_scenes, name) for name in ("lighting", "toy")]
    made += [partial(comet, "paper"), partial(comet, "code"), comet_long]
    made += [partial(biases, name, bias) for name in ("tetrominoes", "scenes") for bias in BIASES]
    made += [partial(biases, "tetrominoes", "position", "paper")]
    made += [partial(baseline, name, row) for name in SETS for row in ROWS]
    return {make().name: make for make in made}


def tetrominoes() -> Experiment:
    """Three Tetris pieces and a background: four Gaussian experts, found by slots that compete for places."""
    model = Part(
        ImageDecomposer,
        encoder=Part(SlotEncoder, width=32),
        energy=Part(ExpertDecoder, width=32),
        components=("ground", "one", "two", "three"),
        latent=35,
        descent=Part(InnerDescent, steps=1, training_steps=1),
    )
    return Experiment(
        name="tetrominoes",
        shows="three pieces and a background, each an energy of its own, found without labels",
        cost=f"29 min on {CPU}",
        task=Part(
            Recomposition,
            data=dataset("tetrominoes", 36, 3),
            model=model,
            objective=Part(RecompositionLoss, foreground_area=0.0003, mask_entropy=0.003, warm_up=0.25),
            count=20_000,
        ),
        optimiser=Optimiser(iterations=16_000, batch=32, rate=2e-3, precision="bf16", ema=0.999),
        run=Run(checkpoint_every=1000, log_every=50),
    )


def refined() -> Experiment:
    """The same with experts that see the image, in two steps of descent."""
    return tetrominoes().but(
        name="tetrominoes-refined",
        shows="three pieces and a background by experts with a convolutional energy that sees the image",
        cost=f"0.2 s per update on {CPU}, not run to its end",
        task={
            "model": {
                "energy": Part(RefinedExperts, experts=Part(ExpertDecoder, width=32), width=32),
                "descent": {"steps": 2, "training_steps": 2},
            }
        },
    )


def scenes_objects() -> Experiment:
    """Three to five solids on a floor: an energy for the floor with its light, and one for each object."""
    return tetrominoes().but(
        name="scenes-objects",
        shows="three to five solids and their floor, each an energy of its own, found without labels",
        cost=f"103 min on {CPU}",
        task={
            "data": dataset("scenes", 64, (3, 5)),
            "model": {"components": ("ground", "one", "two", "three", "four", "five")},
        },
        optimiser={"iterations": 28_000, "batch": 16, "rate": 1.5e-3},
    )


GLOBALS = {"scenes-global": (1, 10, 4e-5), "scenes-global-wide": (1, 64, 4e-6), "scenes-global-two": (2, 32, 4e-6)}
"""Energies of one scene's light and camera: how many, numbers of each, and the KL weight."""


def scenes_global(name: str) -> Experiment:
    """One scene under any light and from any side: energies of the whole image, with stochastic latents.

    Few numbers at a high KL weight can be exchanged one by one; many at a low one tell more of the factors.

    Args:
        name: of `GLOBALS`.
    """
    components, numbers, weight = GLOBALS[name]
    whose = "one energy" if components == 1 else "each of two energies"
    return tetrominoes().but(
        name=name,
        shows=f"light and camera of one scene in {numbers} stochastic numbers of {whose}",
        cost=f"2 min on {CPU}",
        task={
            "data": dataset("still", 64, 3),
            "model": {
                "encoder": Part(PyramidEncoder, width=16),
                "energy": Part(GlobalExperts, width=16, grey=0.5),
                "components": ("one", "two")[:components],
                "latent": numbers,
                "stochastic": True,
            },
            "objective": Part(RecompositionLoss, kl_weight=weight),
        },
        optimiser={"iterations": (3600, 2050)[components - 1]},
    )


def shapes() -> Experiment:
    """One white shape: an energy for the ground and one for the shape, whose place is coded apart from what it is."""
    return tetrominoes().but(
        name="shapes",
        shows="one white shape and its ground, an energy each; place, and what is left of five factors, in few numbers",
        cost=f"2 min on {CPU}",
        task={
            "data": dataset("shapes", 64, 1),
            "model": {
                "encoder": {"width": 16},
                "energy": {"width": 16},
                "components": ("ground", "one"),
                "latent": 8,
            },
            "objective": {"mask_entropy": 0.0},
        },
        optimiser={"iterations": 1330},
    )


def other_scenes(name: Literal["lighting", "toy"]) -> Experiment:
    """The same of scenes under any light, or of other solids, from the weights of `scenes-objects`."""
    seen = "under light from anywhere" if name == "lighting" else "of other kinds"
    return scenes_objects().but(
        name=f"{name}-objects",
        shows=f"three to five solids {seen} and their floor, from the weights of scenes-objects",
        cost=f"11 min on {CPU}",
        task={"data": dataset(name, 64, (3, 5)), "objective": {"warm_up": 0.0}},
        optimiser={"iterations": 3000, "rate": 5e-4},
        run={"warm_start": "scenes-objects"},
    )


def finer() -> Experiment:
    """The scenes of `scenes-objects` at 128 pixels, from its weights: its networks know no side of an image."""
    return scenes_objects().but(
        name="scenes-objects-128",
        shows="three to five solids and their floor at 128 pixels, from the weights of scenes-objects",
        cost="37 min on one thread of a 2-core x86-64 CPU",
        task={"data": dataset("scenes", 128, (3, 5)), "objective": {"warm_up": 0.0}},
        optimiser={"iterations": 3500, "batch": 4, "rate": 5e-4, "precision": "32"},
        run={"warm_start": "scenes-objects", "checkpoint_every": 250},
    )


def modalities() -> Experiment:
    """Digits and Fashion-MNIST in one training set: three energies, each of the whole image."""
    return tetrominoes().but(
        name="modalities",
        cost=f"6 min on {CPU}",
        shows="digits and Fashion-MNIST decomposed by the same three energies, which can be exchanged between them",
        task={
            "data": dataset("digits+fashion", 32, 1),
            "model": {
                "encoder": Part(PyramidEncoder, width=32),
                "energy": Part(GlobalExperts, width=32),
                "components": ("one", "two", "three"),
                "latent": 16,
            },
            "objective": Part(RecompositionLoss),
        },
        optimiser={"iterations": 6000, "batch": 64, "rate": 2e-3},
    )


BIASES: dict[str, dict[str, Any]] = {
    "none": {"encoder": Part(ResidualEncoder, blocks=3), "latent": 64, "position": False},
    "recurrent": {"encoder": Part(RecurrentEncoder), "latent": 64, "position": False},
    "small": {"encoder": Part(RecurrentEncoder), "latent": 16, "position": False},
    "position": {"encoder": Part(RecurrentEncoder), "latent": 16, "position": True},
}
"""What turns COMET's components into objects, each with all before it (Du et al. 2021, Table 2)."""


def biases(name: Literal["tetrominoes", "scenes"], bias: str, preset: Literal["paper", "code"] = "code") -> Experiment:
    """COMET's networks of a quarter of their width with some of their biases, for four minutes of a CPU.

    Args:
        bias: the last of those that are on, of `BIASES`. preset: as of `comet`.
    """
    updates, most = {"tetrominoes": (1500, 3), "scenes": (1130, 5)}[name]
    paper, on = preset == "paper", BIASES[bias]
    return comet(preset).but(
        name=f"comet-{name}-{bias}" + ("-paper" if paper else ""),
        shows=f"COMET's networks at width 16: {bias}, loss on {'every step' if paper else 'the last step'}",
        cost=f"4 min on {CPU}",
        task={
            "data": dataset(name, 36, 3 if most == 3 else (3, most)),
            "model": {
                "encoder": on["encoder"].but(width=16),
                "energy": {"width": 16, "position": on["position"]},
                "components": ("one", "two", "three", "four", "five", "six")[: most + 1],
                "latent": on["latent"],
                "descent": {"steps": 5, "step_size": 1000.0},
            },
        },
        optimiser={"iterations": updates // (2 if paper else 1), "rate": 1e-3, "ema": 0.0},
    )


def comet(preset: Literal["paper", "code"]) -> Experiment:
    """COMET's networks on tetrominoes: loss on every step, as its paper says, or on the last, as its code does."""
    paper = preset == "paper"
    return tetrominoes().but(
        name=f"comet-{preset}",
        shows=f"COMET's networks, loss on {'every step (its paper)' if paper else 'the last step (its code)'}",
        cost="2.8 times comet-code's time per update" if paper else f"1.3 s per update on {CPU}, not run to its end",
        task={
            "model": {
                "encoder": Part(RecurrentEncoder, width=64),
                "energy": Part(CometEnergy, width=64, position=True),
                "latent": 16,
                "descent": Part(InnerDescent, steps=10, step_size=500.0, gradient="truncated" if paper else "last"),
            },
            "objective": Part(RecompositionLoss, on="all" if paper else "last"),
        },
        optimiser={"iterations": 10_000, "batch": 16, "rate": 2e-4},
    )


def comet_long() -> Experiment:
    """`comet-code` of half its width and two steps of descent, for as many updates as a CPU does in an hour or two."""
    return comet("code").but(
        name="comet-long",
        shows="COMET's networks at width 32, two steps of descent, 20,000 updates",
        cost="78 min on one thread of a 2-core x86-64 CPU",
        task={
            "model": {
                "encoder": {"width": 32}, "energy": {"width": 32}, "descent": {"steps": 2, "step_size": 1000.0}
            },
        },
        optimiser={"iterations": 20_000, "batch": 8, "rate": 1e-3, "precision": "32"},
    )  # fmt: skip
