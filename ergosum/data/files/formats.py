"""The files that are read: by which class, what they hold, and where their owners publish them."""

from collections.abc import Callable
from typing import Any, NamedTuple

from ergosum.data.celeba import CelebA
from ergosum.data.clip_folder import ClipFolder
from ergosum.data.files import cars3d, clevr, dsprites, mnist_files, moving_mnist, mpi3d, multi_object, shapes3d
from ergosum.data.files.hugging_face import HuggingFaceImages
from ergosum.data.files.shards import ImageShards
from ergosum.data.folder import ImageFolder

__all__ = ["FORMATS", "Format"]


class Format(NamedTuple):
    """A form of files.

    Attributes:
        cls: what reads it. expects: the file or folder. gives: what a dataset of it tells. published: where its owner
            publishes it; "" for what people make themselves. extra: of the package, that it needs.
    """

    cls: Callable[..., Any]
    expects: str
    gives: str
    published: str = ""
    extra: str = ""


FORMATS = (
    Format(dsprites.DSprites, ".npz: imgs, latents_values, latents_classes", "factors, masks, classes",
           dsprites.ADDRESS),
    Format(shapes3d.Shapes3D, ".h5: images, labels", "factors, classes", shapes3d.ADDRESS, "data"),
    Format(mpi3d.Mpi3D, ".npz: images", "factors, classes", mpi3d.ADDRESS),
    Format(cars3d.Cars3D, "folder of .mat: im", "factors", cars3d.ADDRESS),
    Format(clevr.Clevr, "folder: images/, scenes/, masks/ where there", "objects, masks", clevr.ADDRESS),
    Format(
        multi_object.MultiObject, ".tfrecords of Tetrominoes, Multi-dSprites, Objects Room, CLEVR with masks",
        "objects, masks", multi_object.ADDRESS,
    ),
    Format(CelebA, "folder: list_attr_celeba.txt, img_align_celeba/", "attributes",
           "https://mmlab.ie.cuhk.edu.hk/projects/CelebA.html"),
    Format(
        mnist_files.MnistFiles, "folder of idx files (.gz or not), gzip/emnist-letters, or .npz: x_train, ..",
        "classes (EMNIST's by their digits and letters)", mnist_files.ADDRESS,
    ),
    Format(moving_mnist.MovingMnist, ".npy: (time, clips, side, side)", "clips", moving_mnist.ADDRESS),
    Format(HuggingFaceImages, "folder of save_to_disk, or .parquet", "classes", extra="data"),
    Format(ImageShards, ".tar of this machine, a folder of them, train-{0000..0012}.tar or train-*.tar", "classes"),
    Format(ImageFolder, "folder of images", "images"),
    Format(ClipFolder, "folder of films: frames, GIF, APNG, WebP, .npy; MP4 with the extra video", "clips"),
)  # fmt: skip
"""In the order in which they are listed."""
