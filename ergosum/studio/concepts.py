"""Concepts: formulas of classes and attributes, drawn level by level, a reader's verdict, and each term's energy."""

import io
import math
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from ergosum.studio.change import arrays
from ergosum.studio.pictures import as_url
from ergosum.studio.place import Place
from ergosum.studio.table import Event, Fields, Refused, command_line, written

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from ergosum.training.task import Samples

__all__ = ["Concepts", "ConceptsState"]

BEGIN = {
    "concepts-faces": "(smiling | glasses) & ~(long_hair & smiling)",
    "concepts-latents": "(red | blue) & cube & ~small",
    "concepts-objects": "at(0.3,0.6) & at(0.7,0.4)",
    "concepts-scenes": "red & cylinder",
    "mnist-density": "three | seven & ~zero",
}
"""Formulas to begin with, by card."""
MOST = 36
"""Draws, at most."""
TASKS = (
    "ergosum.density.task.Densities",
    "ergosum.concepts.task.ConceptDensities",
    "ergosum.concepts.objects.ObjectDensities",
)


@dataclass(frozen=True)
class ConceptsState:
    """A density by card or run, a formula of its names, and how it is drawn."""

    model: str
    formula: str
    n: int
    steps: int
    seed: int


class Drawn(NamedTuple):
    """A picture of all draws, the film as PNG files, the draws, and what is read in each."""

    image: "Image.Image"
    film: list[bytes]
    draws: Any
    captions: list[str]
    formula: str


class Concepts:
    """The table of that name."""

    name = "concepts"
    formats = ("png", "gif", "npz")
    slow = False

    def options(self, place: Place) -> dict[str, Any]:
        """Densities, and the state to begin with."""
        models = place.models.of_system(lambda task, told: task in TASKS)
        first = next((card for card in ("concepts-latents", "concepts-mnist", "mnist-density") if card in models), "")
        first = first or next(iter(models), "")
        return {"models": models, "begin": {"model": first, "formula": BEGIN.get(first, "prior"), "n": 16, "steps": 30},
                "formulas": BEGIN}  # fmt: skip

    def state(self, told: Mapping[str, Any]) -> ConceptsState:
        """The checked state; no formula is the prior's."""
        fields = Fields(told)
        state = ConceptsState(
            model=fields.text("model", "mnist-density"),
            formula=fields.text("formula", "prior") or "prior",
            n=fields.whole("n", 16, 1, MOST),
            steps=fields.whole("steps", 30, 2, 120),
            seed=fields.whole("seed", 0, 0, 10**6),
        )
        fields.done()
        return state

    def run(self, state: ConceptsState, place: Place) -> Generator[Event, None, Drawn]:
        """What can be named, draws at every level, then the verdict and the tree of energies."""
        from ergosum.density.formulas import vocabulary
        from ergosum.density.sampling import decoded, shown_at
        from ergosum.formula import FormulaError
        from ergosum.zoo import Zoo

        try:
            experiment, model = place.models.load(state.model)
        except (ValueError, OSError) as error:
            raise Refused(str(error), "model") from error
        task: Any = experiment.built()
        density: Any = model
        if not hasattr(task, "sampling"):
            raise Refused(f"{state.model} is no density; choose one of {', '.join(TASKS)}.", "model")
        yield Event("names", {**_names(density), "side": density.side})
        known = vocabulary([density])
        running = task.sampling(
            [density], state.formula, n=state.n, steps=state.steps, seed=state.seed, runs=[state.model], shelf=Zoo()
        )
        every = max(1, state.steps // 30)
        try:
            while True:
                passing = next(running)
                last = passing.sigma == 0
                if passing.number % every == 0 or last:
                    x = passing.x[: state.n]
                    images = decoded(density, x) if last else shown_at(density, x, passing.sigma)
                    told = {"n": len(images), "side": density.side, "columns": _columns(len(images))}
                    yield Event("draws", {**told, "image": as_url(_joined(images)), "sigma": round(passing.sigma, 4)})
        except StopIteration as end:
            made: Samples = end.value
        except FormulaError as error:
            names = ", ".join(known)
            told = str(error)
            raise Refused(told if len(told) < 400 else f"{told[:380]} ... Names: {names[:200]}", "formula") from error
        except ValueError as error:
            raise Refused(str(error), "formula") from error
        judge = "the data's own reader" if getattr(density, "attributes", ()) else "a classifier of digits"
        yield Event("verdict", _verdict(made, judge))
        draws = made.draws.numpy() if made.draws is not None else None
        return Drawn(made.image, [_png(frame) for frame in made.film], draws, list(made.captions), state.formula)

    def encode(self, result: Drawn, suffix: str) -> bytes:
        """The picture, how it was drawn, or the draws."""
        from PIL import Image

        from ergosum.report.animation import save_animation, save_strip

        if suffix == "npz":
            return arrays(draws=result.draws, captions=result.captions, formula=result.formula)
        if suffix == "gif":
            frames = [Image.open(io.BytesIO(frame)).convert("RGB") for frame in result.film]
            return written(lambda path: save_animation(frames, path), ".gif")
        return written(lambda path: save_strip(result.image, path), ".png")

    def python(self, state: ConceptsState, place: Place) -> str:
        """A script that writes grid.png."""
        model = place.models.told(state.model)
        return "\n".join(
            [
                "from ergosum.report.animation import save_strip",
                "from ergosum.training.runfolder import load_predictor",
                "from ergosum.zoo import Zoo",
                "",
                f"experiment, model = load_predictor({model!r})",
                "made = experiment.built().sample(",
                f"    [model], {state.formula!r}, n={state.n}, steps={state.steps}, seed={state.seed}, "
                f"runs=[{model!r}], shelf=Zoo()",
                ")",
                'save_strip(made.image, "grid.png")',
                "",
            ]
        )

    def command(self, state: ConceptsState, place: Place) -> str:
        """`ergosum sample` with these settings."""
        words = ["ergosum", "sample", state.formula, "--model", place.models.told(state.model), "--n", str(state.n)]
        return command_line(*words, "--steps", str(state.steps), "--seed", str(state.seed), "--out", "grid.png")


def _names(density: Any) -> dict[str, Any]:
    """What a formula may name, by kind, and which numbers tell a place."""
    attributes = getattr(density, "attributes", ())
    if not attributes:
        return {"kinds": {"class": list(density.names)}, "places": [], "numbers": []}
    return {
        "kinds": {a.name: list(a.values) for a in attributes if a.values},
        "places": ["at" for a in attributes if a.numbers == 2],
        "numbers": [a.name for a in attributes if a.numbers not in (0, 2)],
    }


def _columns(n: int) -> int:
    return max(1, math.ceil(math.sqrt(n)))


def _joined(images: "Tensor") -> "Image.Image":
    """Images side by side in rows, pixel by pixel."""
    from PIL import Image

    from ergosum.report.strips import pixels

    tiles = pixels(images)
    columns, side = _columns(len(tiles)), tiles.shape[1]
    whole = Image.new("RGB", (columns * side, -(-len(tiles) // columns) * side))
    for number, tile in enumerate(tiles):
        whole.paste(Image.fromarray(tile), (number % columns * side, number // columns * side))
    return whole


def _verdict(made: "Samples", judge: str) -> dict[str, Any]:
    """What is read in each draw, whether that was asked for, and each term's energy."""
    good = list(made.good)
    told = [g for g in good if g is not None]
    return {
        "captions": list(made.captions), "good": good, "satisfied": sum(told) / len(told) if told else None,
        "judge": "the model itself, by Bayes' rule," if "Bayes" in made.numbers.get("judge", "") else judge,
        "terms": [[len(line) - len(line.lstrip()), line.strip(), round(value, 2)] for line, value in made.terms],
        "formula": made.numbers["formula"],
    }  # fmt: skip


def _png(frame: "Image.Image") -> bytes:
    buffer = io.BytesIO()
    frame.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()
