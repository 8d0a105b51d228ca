"""One row for every public dataset of images: how to build it small, and what its constructor refuses."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import field_files as files

from ergosum.data import (
    Cars3D,
    Clevr,
    DSprites,
    Glyphs,
    HuggingFaceImages,
    ImageFolder,
    ImageShards,
    Mixed,
    MnistFiles,
    Mpi3D,
    MultiObject,
    Scenes,
    Shapes,
    Shapes3D,
    Tetrominoes,
)
from ergosum.data.record import ImageRecord
from ergosum.part import Part


class Row(NamedTuple):
    """A dataset under law.

    Attributes:
        make: the part that builds it; given a folder of images, for those that read one.
        wrong: arguments that its constructor must refuse, naming the argument (the first, if there are several).
        alone: image i of a record made again without its batch-mates; None where it cannot be asked for.
    """

    make: Callable[[Path], Part[Any]]
    wrong: Sequence[Mapping[str, Any]] = ()
    alone: Callable[[Any, ImageRecord, int], ImageRecord] | None = None


def _rendered(data: Any, drawn: ImageRecord, i: int) -> ImageRecord:
    return data.render(drawn.attributes[i : i + 1], drawn.factors[i : i + 1])


def _of_files(cls: Any, name: str, make: Callable[[Path], Path], **settings: Any) -> Callable[[Path], Part[Any]]:
    """The part of a dataset whose files are made once, beside the folder of images."""
    return lambda folder: Part(cls, path=files.once(folder.with_name(name), make), **settings)


IN_FILES = ({"side": 3}, {"split": "none"})
"""What every dataset of images in a file refuses."""
DATASETS: dict[str, Row] = {
    "Tetrominoes": Row(
        lambda _: Part(Tetrominoes, objects=(1, 3)),
        ({"objects": 0}, {"objects": 5}, {"side": 34}),
        lambda data, drawn, i: data.render(drawn.attributes[i : i + 1]),
    ),
    "Shapes": Row(
        lambda _: Part(Shapes, side=16),
        ({"objects": 9}, {"side": 15}),
        lambda data, drawn, i: data.from_factors(drawn.factors[i : i + 1]),
    ),
    "Shapes, several in colour": Row(
        lambda _: Part(Shapes, objects=(2, 4), colour=True, side=32), ({"objects": (3, 2)},), _rendered
    ),
    "Scenes": Row(
        lambda _: Part(Scenes, objects=(1, 3), side=16),
        ({"side": 15}, {"variant": "none"}, {"smooth": 3}, {"objects": 9}),
        _rendered,
    ),
    "Scenes, still": Row(lambda _: Part(Scenes, variant="still", side=16), ({"objects": 2},), _rendered),
    "Glyphs": Row(lambda _: Part(Glyphs, source="digits", side=12), ({"side": 13}, {"split": "none"})),
    "ImageFolder": Row(lambda folder: Part(ImageFolder, path=folder, side=8), ({"side": 3}, {"split": "none"})),
    "Mixed": Row(
        lambda _: Part(
            Mixed, sets=(Part(Glyphs, source="digits", side=36), Part(Tetrominoes, objects=(1, 3), side=36))
        ),
        ({"sets": (Part(Tetrominoes),)},),
    ),
    "DSprites": Row(_of_files(DSprites, "dsprites.npz", files.dsprites, side=16), IN_FILES),
    "Shapes3D": Row(_of_files(Shapes3D, "shapes.h5", files.shapes3d, side=12), IN_FILES),
    "Mpi3D": Row(_of_files(Mpi3D, "mpi3d.npz", files.mpi3d_file, side=8), IN_FILES),
    "Cars3D": Row(_of_files(Cars3D, "cars", files.cars3d, side=20), IN_FILES),
    "Clevr": Row(_of_files(Clevr, "clevr", files.clevr, side=16), (*IN_FILES, {"most": -1})),
    "MultiObject": Row(
        _of_files(MultiObject, "tetrominoes.tfrecords", files.multi_object),
        (*IN_FILES, {"count": -1}, {"most": -1}, {"window": (0, 0, 36)}),
    ),
    "MnistFiles": Row(_of_files(MnistFiles, "mnist", files.mnist_files), (*IN_FILES, {"names": ("a", "b")})),
    "HuggingFaceImages": Row(
        _of_files(HuggingFaceImages, "saved", lambda path: files.saved(path, train=files.table(60)), side=12),
        (*IN_FILES, {"image": "picture"}, {"label": "class"}),
    ),
    "ImageShards": Row(_of_files(ImageShards, "shards", files.shards, side=10), (*IN_FILES, {"names": ("a", "b")})),
}
