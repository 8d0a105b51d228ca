"""One row for every public dataset of clips: how to build it small, and what its constructor refuses."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import field_files as files

from ergosum.data import ClipFolder, DigitSequences, MovingMnist, MovingScenes, MovingShapes
from ergosum.part import Part


class Row(NamedTuple):
    """A dataset of clips under law.

    Attributes:
        make: the part that builds it; given a folder of films, for those that read one.
        wrong: arguments that its constructor must refuse, naming the argument (the first, if there are several).
    """

    make: Callable[[Path], Part[Any]]
    wrong: Sequence[Mapping[str, Any]] = ()


CLIPS: dict[str, Row] = {
    "DigitSequences": Row(lambda _: Part(DigitSequences, canvas=16, mode="sparse"), ({"canvas": 13}, {"mode": "none"})),
    "DigitSequences, one factor": Row(lambda _: Part(DigitSequences, canvas=16, factors=("angle",))),
    "ClipFolder": Row(
        lambda folder: Part(ClipFolder, path=folder, canvas=12),
        ({"canvas": 3}, {"split": "none"}, {"steps": 0}, {"background": 2.0}),
    ),
    "MovingMnist": Row(
        lambda folder: Part(
            MovingMnist, path=files.once(folder.with_name("moving_mnist.npy"), files.moving_mnist), canvas=16
        ),
        ({"canvas": 3}, {"split": "none"}),
    ),
    "MovingShapes": Row(
        lambda _: Part(MovingShapes, canvas=12),
        ({"canvas": 13}, {"factors": ("hue",)}, {"factors": ()}, {"kinds": ("circle",)}, {"mode": "laplace"},
         {"objects": 4}, {"split": "none"}),
    ),
    "MovingShapes, several in colour": Row(
        lambda _: Part(MovingShapes, canvas=16, objects=2, colour=True, mode="sparse", factors=("x", "turn"))
    ),
    "MovingScenes": Row(
        lambda _: Part(MovingScenes, canvas=16, smooth=1),
        ({"canvas": 17}, {"factors": ("depth",)}, {"nuisance": ("depth",)}, {"variant": "lighting"}, {"mode": "none"},
         {"smooth": 3}, {"objects": 9}, {"split": "none"}),
    ),
    "MovingScenes, still": Row(
        lambda _: Part(MovingScenes, canvas=16, variant="still", mode="sparse", nuisance=("light intensity",))
    ),
}  # fmt: skip
