"""Recipes of concepts."""

from collections.abc import Callable

from ergosum.concepts.codec import AttributeCodec
from ergosum.concepts.energy import ConceptEnergy
from ergosum.concepts.model import Concepts
from ergosum.concepts.space import AttributeCodes
from ergosum.concepts.task import ConceptDensities
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.density.forms import InnerProduct
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.space import Pixels
from ergosum.nets.levels import LevelMlp, LevelUNet
from ergosum.part import Part
from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.task import Task

__all__ = ["HEADLINES", "recipes"]

HEADLINES = ("concepts-latents", "concepts-scenes")


def recipes() -> dict[str, Callable[[], Experiment]]:
    """All recipes by name."""
    return {"concepts-latents": latents, "concepts-whole": whole, "concepts-scenes": scenes}


SCENES = Part(ConceptScenes, hold="both")


def latents() -> Experiment:
    """Concepts of scenes, in codes with a part for each attribute."""
    space = Part(AttributeCodes, codec=Part(AttributeCodec, place="place", rest=6), share=0.6, batch=32)
    task: Part[Task] = Part(ConceptDensities, data=SCENES, model=Part(Concepts, space=space))
    return Experiment(
        name="concepts-latents", shows="solids by shape, colour, size and place, in codes with a part for each",
        cost="not timed", task=task,
        optimiser=Optimiser(iterations=6000, batch=256, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def whole() -> Experiment:
    """Ablation: the same codes, whose parts may depend on each other."""
    family = Part(
        ConceptEnergy, independent=False, form=Part(InnerProduct, body=Part(LevelMlp, width=384, blocks=4)), code=128
    )
    made = latents()
    return made.but(
        name="concepts-whole", shows="ablation: solids in the same codes, under one energy of the whole code",
        task={"model": {"family": family}},
    )  # fmt: skip


def scenes() -> Experiment:
    """Concepts of scenes, in pixels."""
    family = Part(
        ConceptEnergy, independent=False, form=Part(InnerProduct, body=Part(LevelUNet, width=64), fine=True), code=128,
        lowest=0.02, highest=20.0,
    )  # fmt: skip
    task: Part[Task] = Part(
        ConceptDensities, data=SCENES, model=Part(Concepts, space=Part(Pixels), family=family),
        objective=Part(DenoisingScore, time=0.0), draws=16,
    )  # fmt: skip
    return Experiment(
        name="concepts-scenes", shows="solids by shape, colour, size and place, in pixels", cost="not timed", task=task,
        optimiser=Optimiser(iterations=12000, batch=64, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip
