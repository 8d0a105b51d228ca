"""Tiny files of the forms that the field's datasets are published in, for the tests of their readers.

Pixels are noise, so that no two images are alike, unless a form says otherwise.
"""

import gzip
import itertools
import json
import struct
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ergosum.data.files import mpi3d
from ergosum.data.files.tfrecord import crc32c
from ergosum.data.tetrominoes import COLOURS, Tetrominoes

GRID = (2, 3, 2, 2, 1, 2, 3)
"""Levels of a tiny MPI3D."""
mpi3d.GRIDS[int(np.prod(GRID))] = GRID


def noise(*shape, seed=0, high=256):
    return np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)


def dsprites(path, side=16, save=np.savez_compressed, **changes):
    """3 shapes, 2 scales, 3 orientations, 4 x 4 places."""
    classes = np.array(list(itertools.product([0], range(3), range(2), range(3), range(4), range(4))))
    levels = ([1], [1, 2, 3], [0.5, 1], [0, 2, 4], np.linspace(0, 1, 4), np.linspace(0, 1, 4))
    values = np.stack([np.array(level, float)[classes[:, k]] for k, level in enumerate(levels)], 1)
    arrays = {"imgs": noise(len(classes), side, side, high=2), "latents_classes": classes, "latents_values": values}
    save(path, **{k: v for k, v in (arrays | changes).items() if v is not None})
    return path


def shapes3d(path, side=12, chunks=(1, 12, 12, 3), **changes):
    """2 floors, 2 walls, 2 objects, 2 scales, 4 shapes, 3 orientations."""
    import h5py

    levels = ([0, 0.1], [0, 0.5], [0.2, 0.9], [0.75, 1.25], [0, 1, 2, 3], [-30, 0, 30])
    labels = np.array(list(itertools.product(*levels)), float)
    arrays = {"images": noise(len(labels), side, side, 3), "labels": labels} | changes
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if array is not None:
                file.create_dataset(name, data=array, chunks=chunks if name == "images" else None)
    return path


def mpi3d_file(path, save=np.savez, **changes):
    arrays = {"images": noise(int(np.prod(GRID)), 8, 8, 3)} | changes
    save(path, **{k: v for k, v in arrays.items() if v is not None})
    return path


def cars3d(folder, cars=10, listed=True, **changes):
    """Cars of 3 directions and 4 heights, 20 x 20 pixels."""
    from scipy.io import savemat

    folder.mkdir()
    names = [f"car_{k:03d}_mesh" for k in range(cars)]
    for k, name in enumerate(names):
        savemat(folder / f"{name}.mat", {"im": noise(20, 20, 3, 3, 4, seed=k)} | changes, do_compression=True)
    if listed:
        (folder / "list.txt").write_text("\n".join(reversed(names)) + "\n")
    return folder


def moving_mnist(path, **changes):
    """40 sequences of 9 frames: noise that moves."""
    np.save(path, changes.get("frames", noise(9, 40, 16, 16)))
    return path


def idx(array, kind=0x08):
    """The bytes of an idx file."""
    return bytes([0, 0, kind, array.ndim]) + struct.pack(f">{array.ndim}i", *array.shape) + array.tobytes()


def mnist_files(folder, prefix="", packed=True, images=None, labels=None):
    folder.mkdir()
    for k, (part, n) in enumerate((("train", 60), ("t10k", 30))):
        pixels = noise(n, 28, 28, seed=k) if images is None else images
        classes = np.arange(n, dtype=np.uint8) % 10 if labels is None else labels
        for name, content in (("images-idx3", idx(pixels)), ("labels-idx1", idx(classes))):
            file = folder / f"{prefix}{part}-{name}-ubyte"
            if packed:
                file.with_name(f"{file.name}.gz").write_bytes(gzip.compress(content, 1))
            else:
                file.write_bytes(content)
    return folder


def varint(n):
    out = b""
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


def field(number, content):
    """A field of a protocol buffer that has a length."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def encoded(features):
    """A tf.train.Example: bytes as single bytes, as the Multi-Object Datasets have them; floats packed."""
    entries = b""
    for name, value in features.items():
        if isinstance(value, bytes):
            inner = field(1, b"".join(b"\x0a\x01" + value[i : i + 1] for i in range(len(value))))
        else:
            inner = field(2, field(1, np.asarray(value, "<f4").tobytes()))
        entries += field(1, field(1, name.encode()) + field(2, inner))
    return field(1, entries)


def masked(content):
    value = crc32c(content)
    return struct.pack("<I", ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def framed(content):
    """A record of a TFRecord file."""
    length = struct.pack("<Q", len(content))
    return length + masked(length) + content + masked(content)


def tetrominoes(n=60, seed=0):
    """Examples of one to three pieces; piece 3 is never there."""
    drawn = Tetrominoes(objects=(1, 3)).draw(n, torch.Generator().manual_seed(seed))
    for image, masks, told in zip(drawn.images, drawn.masks, drawn.attributes, strict=True):
        there = ~told[:, 0].isnan()
        told = told.nan_to_num(0)
        yield {
            "image": (255 * image.permute(1, 2, 0)).byte().numpy().tobytes(),
            "mask": (255 * masks.byte()).numpy().tobytes(),
            "shape": [0, *told[:, 0]], "x": [0, *told[:, 2]], "y": [0, *told[:, 3]],
            "color": torch.cat([torch.zeros(1, 3), COLOURS[told[:, 1].long()]]).flatten(),
            "visibility": [1, *there.float()],
        }  # fmt: skip


def multi_object(path, examples=None, packed=True):
    content = b"".join(framed(encoded(told)) for told in (tetrominoes() if examples is None else examples))
    path.write_bytes(gzip.compress(content, 1) if packed else content)
    return path


def clevr(folder, masks=True, counts=(30, 12)):
    """Scenes of 1 to 3 objects, images of 24 x 16 pixels; object k of a mask fills column 5 + k."""
    for part, n in zip(("train", "val"), counts, strict=True):
        for kind in ("images", *(["masks"] if masks else []), "scenes"):
            (folder / kind / ("" if kind == "scenes" else part)).mkdir(parents=True, exist_ok=True)
        scenes = []
        for k in range(n):
            name = f"CLEVR_{part}_{k:06d}.png"
            Image.fromarray(noise(16, 24, 3, seed=1000 * (part == "val") + k)).save(folder / "images" / part / name)
            owners = np.zeros((16, 24), np.uint8)
            objects = []
            for i in range(k % 3 + 1):
                owners[:, 5 + i] = i + 1
                objects.append({
                    "shape": ("cube", "sphere", "cylinder")[(k + i) % 3], "color": ("gray", "yellow")[i % 2],
                    "size": ("small", "large")[k % 2], "material": ("rubber", "metal")[i % 2],
                    "3d_coords": [0.5 * i, -1.0, 0.35], "rotation": 10.0 * k, "pixel_coords": [5 + i, 8, 9.0],
                })  # fmt: skip
            if masks:
                Image.fromarray(owners).save(folder / "masks" / part / name)
            scenes.append({"image_filename": name, "image_index": k, "split": part, "objects": objects})
        listed = {"info": {"split": part, "scenes": "of CLEVR"}, "scenes": scenes}
        (folder / "scenes" / f"CLEVR_{part}_scenes.json").write_text(json.dumps(listed))
    return folder


def table(n, seed=0, label=True):
    """A dataset of Hugging Face's library, in memory."""
    import datasets

    images = [Image.fromarray(noise(12, 14, 3, seed=seed + k)) for k in range(n)]
    columns = {"image": images} | ({"label": [k % 3 for k in range(n)]} if label else {})
    features = {"image": datasets.Image()}
    if label:
        features["label"] = datasets.ClassLabel(names=["Cat", "dog-fish", "2 birds"])
    return datasets.Dataset.from_dict(columns, features=datasets.Features(features))


def saved(folder, **parts):
    """What `save_to_disk` writes: one table, or several parts."""
    import datasets

    datasets.disable_progress_bars()
    (datasets.DatasetDict(parts) if len(parts) > 1 else next(iter(parts.values()))).save_to_disk(str(folder))
    return folder


def shards(folder, n=60, label="cls", seed=0):
    """Two shards, by the library that made the form."""
    import webdataset

    folder.mkdir()
    with webdataset.ShardWriter(str(folder / "train-%04d.tar"), maxcount=(n + 1) // 2, verbose=0) as writer:
        for k in range(n):
            told = {"cls": {"cls": k % 3}, "json": {"json": {"label": k % 3}}, "": {}}[label]
            writer.write({"__key__": f"{k:05d}", "png": noise(10, 12, 3, seed=seed + k)} | told)
    return folder


def once(path: Path, make):
    """A file or folder that is made the first time that it is asked for."""
    return path if path.exists() else make(path)
