"""Recipes of concepts."""

from collections.abc import Callable, Mapping
from typing import Any

from ergosum.concepts.codec import AttributeCodec
from ergosum.concepts.energy import ConceptEnergy, WholeEnergy
from ergosum.concepts.grown_codes import GrownCodes
from ergosum.concepts.grown_model import Grown
from ergosum.concepts.grown_task import GrownDensities
from ergosum.concepts.model import Concepts
from ergosum.concepts.object_model import Objects
from ergosum.concepts.objects import ObjectDensities
from ergosum.concepts.space import AttributeCodes
from ergosum.concepts.task import ConceptDensities
from ergosum.concepts.windows import WindowEnergy
from ergosum.data.avatars import Avatars
from ergosum.data.coloured_digits import ColouredDigits
from ergosum.data.concept_scenes import ConceptScenes
from ergosum.data.partly_told import PartlyTold
from ergosum.density.forms import InnerProduct
from ergosum.nets.levels import LevelMlp
from ergosum.part import Part
from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.task import Task

__all__ = ["HEADLINES", "recipes"]

HEADLINES = ("concepts-latents", "concepts-faces", "concepts-scenes", "concepts-objects")


def recipes() -> dict[str, Callable[[], Experiment]]:
    """All recipes by name."""
    return {
        "concepts-latents": latents,
        "concepts-whole": whole,
        "concepts-digits": digits,
        "concepts-mnist": mnist,
        "concepts-faces": faces,
        "concepts-scenes": scenes,
        "concepts-objects": objects,
        "concepts-place": place,
        "concepts-shape": shape,
        "concepts-colour": colour,
    }


SHARE = 6 / 7
"""Of the updates that the codec learns in."""
WIDE: Part[Any] = Part(ConceptEnergy, form=Part(InnerProduct, body=Part(LevelMlp, width=256, blocks=4)))
"""For a rest of many numbers."""


def in_parts(
    name: str, shows: str, data: Part[Any], codec: Part[Any], updates: int, divergence: float = 2e-5,
    share: float = SHARE, model: Mapping[str, Any] | None = None, cost: str = "not timed",
) -> Experiment:  # fmt: skip
    """Concepts in codes with a part for each attribute: most updates are the codec's, for little else is learned."""
    space = Part(AttributeCodes, codec=codec, share=share, divergence=divergence, batch=32)
    task: Part[Task] = Part(ConceptDensities, data=data, model=Part(Concepts, space=space, **(model or {})))
    return Experiment(
        name=name, shows=shows, cost=cost, task=task,
        optimiser=Optimiser(iterations=updates, batch=128, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


SCENES = Part(ConceptScenes, hold="both")


def latents() -> Experiment:
    """Concepts of scenes, in codes with a part for each attribute."""
    codec = Part(
        AttributeCodec, place="place", rest=4, tie=100.0, thin=16, legible=0.003, judge=0.1, hue="colour", hsic=0.1,
        closing=0.2,
    )  # fmt: skip
    return in_parts(
        "concepts-latents", "solids by shape, colour, size and place, in codes with a part for each",
        SCENES.but(count=60_000), codec, 12500, 5e-6, 0.88, cost="54 CPU minutes",
    )  # fmt: skip


def digits() -> Experiment:
    """Concepts of the bundled digits in colour, every pair of digit and colour shown."""
    return in_parts(
        "concepts-digits", "coloured digits by digit and colour, in codes with a part for each",
        Part(ColouredDigits, source="digits"), Part(AttributeCodec, rest=12, thin=16), 2100,
    )  # fmt: skip


def mnist() -> Experiment:
    """Concepts of coloured MNIST of which 81 of 100 pairs of digit and colour are never shown."""
    return in_parts(
        "concepts-mnist", "coloured MNIST, each digit in two of ten colours, drawn in all",
        Part(ColouredDigits, source="mnist", support="partial"),
        Part(AttributeCodec, rest=12, tie=5.0, thin=16, legible=0.02), 4000, 1e-4, 0.75, {"family": WIDE},
        cost="9 CPU minutes",
    )  # fmt: skip


def faces() -> Experiment:
    """Concepts of drawn faces, of which four of eight triples of smile, glasses and beard are never shown."""
    return in_parts(
        "concepts-faces", "drawn faces by smile, glasses, hair, beard and skin, in codes with a part for each",
        Part(Avatars, side=32, hold="latin"),
        Part(AttributeCodec, rest=12, tie=5.0, thin=16, legible=0.005, local=True), 12000, 1e-4, 0.75,
        {"family": WIDE}, cost="44 CPU minutes; its card took 66 in two runs",
    )  # fmt: skip


def whole() -> Experiment:
    """Ablation: the same codes, whose parts may depend on each other."""
    family = Part(WholeEnergy, form=Part(InnerProduct, body=Part(LevelMlp, width=384, blocks=4)))
    made = latents()
    return made.but(
        name="concepts-whole", shows="ablation: solids in the same codes, under one energy of the whole code",
        task={"model": {"family": family}},
    )  # fmt: skip


def scenes() -> Experiment:
    """Concepts of scenes, in pixels: windows of solids of every size over a background."""
    model = Part(Objects, window=18, moved=True, windows=Part(WindowEnergy, kept=192))
    task: Part[Task] = Part(ObjectDensities, data=SCENES, model=model, counts=1)
    return Experiment(
        name="concepts-scenes", shows="solids by shape, colour, size and place, in pixels", cost="15 CPU minutes",
        task=task, optimiser=Optimiser(iterations=20000, batch=128, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def objects() -> Experiment:
    """Objects at places, counted: windows of small solids over a background."""
    data = Part(ConceptScenes, only={"size": "small"}, count=6000)
    return Experiment(
        name="concepts-objects", shows="one to eight solids at places, from images of one", cost="3 CPU minutes",
        task=Part(ObjectDensities, data=data),
        optimiser=Optimiser(iterations=5000, batch=128, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def place() -> Experiment:
    """The first of three concepts that are learned one after another: where a purple cube is."""
    only = {"shape": "cube", "colour": "purple", "size": "medium"}
    data = Part(PartlyTold, data=Part(ConceptScenes, only=only, count=6000), told=("place",))
    codec = Part(AttributeCodec, place="place", rest=4, width=24, sleep=0.0, apart=0.0, recolour=0.8)
    return in_parts(
        "concepts-place", "purple cubes by their place, to which shape and colour can be added", data, codec, 2800
    )


def shape() -> Experiment:
    """The second: the shape of purple solids, whose places nobody tells."""
    only = {"colour": "purple", "size": "medium"}
    return grown("concepts-shape", "concepts-place", "shape", "cube", only, recolour=0.8)


def colour() -> Experiment:
    """The third: the colour of solids, whose places and shapes nobody tells."""
    return grown("concepts-colour", "concepts-shape", "colour", "purple", {"size": "medium"}, recolour=0.0)


def grown(name: str, before: str, told: str, neutral: str, only: dict[str, str], recolour: float) -> Experiment:
    """One more attribute for the model of a run."""
    data = Part(PartlyTold, data=Part(ConceptScenes, only=only, count=6000), told=(told,))
    space = Part(
        GrownCodes,
        codec=Part(AttributeCodec, place="place", rest=4, width=24, sleep=0.0, apart=0.0, recolour=recolour),
        share=SHARE,
        batch=32,
    )
    model = Part(Grown, grown_from=f"runs/{before}", neutral=neutral, space=space)
    return Experiment(
        name=name, shows=f"{told} added to {before}, from images that tell nothing else; nothing older changes",
        cost="not timed", task=Part(GrownDensities, data=data, model=model),
        optimiser=Optimiser(iterations=2800, batch=128, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip
