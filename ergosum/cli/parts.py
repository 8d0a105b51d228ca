"""`ergosum parts`: what a recipe may be made of."""

import inspect
from collections.abc import Callable
from typing import Any

from ergosum.cli.arguments import parser_for

__all__ = ["by_kind", "run"]


def run(arguments: list[str]) -> None:
    """List all parts by kind, with a line each."""
    parser = parser_for("parts", "List the parts that recipes and formulas are made of, by kind, with a line each.")
    parser.add_argument("kind", nargs="?", default="", help="list one kind alone, such as energy or sampler")
    chosen = parser.parse_args(arguments)
    from ergosum.cli.fields import first_line

    found = by_kind()
    if chosen.kind and chosen.kind not in found:
        raise ValueError(f"There is no kind {chosen.kind!r}; the kinds are {', '.join(found)}.")
    for kind, parts in found.items():
        if chosen.kind in ("", kind):
            print(f"{kind}:")
            for part in parts:
                print(f"  {part.__name__:24s} {first_line(part)}")


def kinds() -> dict[str, Any]:
    """What a class must be to be of a kind; the first that fits counts."""
    from ergosum.data.attributed import AttributedData
    from ergosum.data.contract import ClipData
    from ergosum.data.dataset import ImageDataset
    from ergosum.data.labelled import LabelledData
    from ergosum.data.masks import Mask
    from ergosum.decomposer import Decomposer
    from ergosum.decomposition.baselines.baseline import ImageBaseline
    from ergosum.density.conditions import Conditions
    from ergosum.density.denoiser import Schedule
    from ergosum.density.forms import Form
    from ergosum.density.functionals import Functional
    from ergosum.density.model import Density
    from ergosum.density.objective import Objective
    from ergosum.density.objectives import Noise, Start
    from ergosum.density.space import Codec, Space
    from ergosum.energy import Conditional, Energy
    from ergosum.nets.encoders import Encoder
    from ergosum.nets.levels import LevelBody
    from ergosum.samplers.chain import Sampler
    from ergosum.temporal.task import PairData, Predictor
    from ergosum.training.task import Task

    return {
        "task": Task,
        "energy family": Conditional,
        "encoder": Encoder,
        "dataset of pairs": PairData,
        "dataset of clips": ClipData,
        "dataset of images": ImageDataset,
        "dataset of labelled images": LabelledData,
        "dataset of images with attributes": AttributedData,
        "mask": Mask,
        "sampler": Sampler,
        "decomposer": Decomposer,
        "predictor of frames": Predictor,
        "baseline of images": ImageBaseline,
        "density": Density,
        "space of a density": Space,
        "codec": Codec,
        "condition": Conditions,
        "form of an energy": Form,
        "body of an energy": LevelBody,
        "objective of densities": Objective,
        "loss functional": Functional,
        "start of chains": Start,
        "noise schedule": Schedule,
        "energy": Energy,
        "noise of chains": Noise,
    }


def by_kind() -> dict[str, list[Callable[..., Any]]]:
    """All parts of the package: kind -> classes and functions. Objectives and metrics are told by where they lie."""
    from ergosum.part import exported, fits

    known = kinds()
    found: dict[str, list[Callable[..., Any]]] = {kind: [] for kind in [*known, "objective", "metric"]}
    for part in exported():
        module = part.__module__
        if module.startswith("ergosum.metrics"):
            if inspect.isfunction(part):
                found["metric"].append(part)
        elif module.endswith("objective"):
            found["objective"].append(part)
        else:
            kind = next((k for k, wanted in known.items() if fits(part, wanted)), None)
            if kind is not None:
                found[kind].append(part)
    return {kind: sorted(parts, key=lambda p: p.__name__) for kind, parts in found.items() if parts}
