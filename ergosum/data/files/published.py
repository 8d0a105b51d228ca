"""Files as their owners publish them: by name, with what tells a whole file from a damaged one.

A file that has the name of a published one must have its digest, too. It is read whole for this once; that it was
right is remembered in the cache for as long as its size and time stay the same.
"""

import hashlib
import os
from pathlib import Path
from typing import Literal, NamedTuple

from ergosum.data.cache import cache_folder
from ergosum.data.files.reading import UnreadableFile

__all__ = ["PUBLISHED", "Published", "verify"]

MPI3D = "https://github.com/rr-learning/disentanglement_dataset"


class Published(NamedTuple):
    """A published file.

    Attributes:
        algorithm: of the digest, sha256 or md5 of the file; git is the name of the file's content in the owner's
            repository, the SHA-1 of its length and its bytes. address: where it is published.
    """

    name: str
    algorithm: Literal["sha256", "md5", "git"]
    digest: str
    address: str


PUBLISHED = (
    Published(
        "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz", "git", "d98996d3f8ee1550e06b9d4ed78d0beb478910d5",
        "https://github.com/google-deepmind/dsprites-dataset",
    ),
    Published(
        "3dshapes.h5", "sha256", "0a0f6ed98baff276a50f3a081a7434d788da63cb135a98189b2a5b5769be1785",
        "https://github.com/google-deepmind/3d-shapes",
    ),
    Published("mpi3d_toy.npz", "md5", "55889cb7c7dfc655d6e0277beee88868", MPI3D),
    Published("mpi3d_realistic.npz", "md5", "59a6225b88b635365f70c91b3e52f70f", MPI3D),
    Published("mpi3d_real.npz", "md5", "0f33f609918fb5c97996692f91129802", MPI3D),
    Published(
        "mnist_test_seq.npy", "sha256", "c2a3e8d3939c001ab77bf543f130157424efa486bb4d0974d2cebb773b13f8b3",
        "https://www.cs.toronto.edu/~nitish/unsupervised_video/",
    ),
)  # fmt: skip
"""dSprites by its owner's repository; 3D Shapes and Moving MNIST by the checksums of TensorFlow Datasets; MPI3D by
those of disent, since its owners give none."""


def verify(path: Path, what: str) -> None:
    """Compare a file with the published one of its name, if there is one.

    Raises:
        UnreadableFile: if its digest is another.
    """
    known = next((k for k in PUBLISHED if k.name == path.name), None)
    if known is None:
        return
    about = path.stat()
    state = f"{path.resolve()} {about.st_size} {about.st_mtime_ns} {known.digest}"
    seen = cache_folder("verified") / hashlib.sha256(os.fsencode(state)).hexdigest()[:32]
    if seen.exists():
        return
    found = _digest(path, known.algorithm, about.st_size)
    if found != known.digest:
        raise UnreadableFile(
            path, what, f"its {known.algorithm} digest is {found}, that of the published {known.name} {known.digest}; "
            f"download it again ({known.address}), or rename it if it is yours",
        )  # fmt: skip
    seen.touch()


def _digest(path: Path, algorithm: str, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size) if algorithm == "git" else hashlib.new(algorithm)
    with path.open("rb") as file:
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()
