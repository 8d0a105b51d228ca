"""Every reader of the field's files: it gives what the file holds, and says in one line how a file is wrong."""

import gzip
import hashlib
import json
import tarfile
import tracemalloc
import zipfile

import field_files as files
import numpy as np
import pytest
import torch
from PIL import Image

from ergosum import Ring
from ergosum.compose import Or
from ergosum.data import (
    Cars3D,
    Clevr,
    DSprites,
    HuggingFaceImages,
    ImageShards,
    MnistFiles,
    MovingMnist,
    Mpi3D,
    MultiObject,
    Shapes3D,
)
from ergosum.data.files import published, table
from ergosum.data.files.archive import as_bits
from ergosum.data.files.published import Published, verify
from ergosum.data.files.reading import UnreadableFile, needed
from ergosum.data.files.unpacked import unpacked
from ergosum.data.image_file import read_square
from ergosum.data.split import split_rows
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.decomposition.factors import on_grid
from ergosum.formula import parse_formula


def bytes_of(record):
    return (255 * record.images).round().byte().permute(0, 2, 3, 1).numpy()


def all_of(data):
    return data.at(range(len(data)))


# --- what the files hold


def test_sprites_have_their_own_pixels_and_factors(tmp_path):
    path = files.dsprites(tmp_path / "d.npz")
    held = np.load(path)
    for split in ("train", "test"):
        data = DSprites(path, side=16, split=split)
        record = all_of(data)
        assert np.array_equal(bytes_of(record)[..., 0], 255 * held["imgs"][data.rows])
        assert np.allclose(record.factors[:, 1:], held["latents_values"][data.rows, 2:], atol=1e-7)
        assert np.array_equal(record.factors[:, 0], held["latents_classes"][data.rows, 1])
        assert torch.equal(record.masks[:, 1], record.images[:, 0] > 0.5)
        assert on_grid(data)
    again = DSprites(path, side=16)
    drawn = again.labelled(50, torch.Generator().manual_seed(1))
    assert drawn.images.shape == (50, 1, 16, 16) and set(drawn.labels.tolist()) == {0, 1, 2}
    assert again.names == ("square", "ellipse", "heart")


@pytest.mark.parametrize("chunks", [(1, 12, 12, 3), (96, 4, 4, 3), None])
def test_rooms_have_their_own_pixels_and_labels_however_they_are_chunked(tmp_path, chunks):
    import h5py

    path = files.shapes3d(tmp_path / "s.h5", chunks=chunks)
    data = Shapes3D(path, side=12)
    with h5py.File(path) as held:
        rows = np.array([5, 0, 5, 3])
        record = data.at(rows)
        assert np.array_equal(bytes_of(record), held["images"][:][data.rows[rows]])
        assert np.allclose(record.factors, held["labels"][:][data.rows[rows]])
    assert on_grid(data) and data.words["floor hue"][1] == "floor_orange"


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_arms_are_told_by_their_order_in_both_kinds_of_archive(tmp_path, save):
    path = files.mpi3d_file(tmp_path / "m.npz", save)
    images = np.load(path)["images"].reshape(*files.GRID, 8, 8, 3)
    data = Mpi3D(path, side=8)
    record = all_of(data)
    places = tuple(record.factors.long().T.numpy())
    assert np.array_equal(bytes_of(record), images[places]) and on_grid(data)
    if save is np.savez:  # where it lies, so that nothing is unpacked
        assert str(data._images.filename) == str(path)


def test_cars_are_told_by_the_list_of_cars_and_the_place_in_their_arrays(tmp_path):
    from scipy.io import loadmat

    folder = files.cars3d(tmp_path / "cars")
    data = Cars3D(folder, side=20)
    record = data.at([0, 40, 99])
    for image, told in zip(bytes_of(record), record.factors.int().tolist(), strict=True):
        elevation, azimuth, car = told
        name = (folder / "list.txt").read_text().split()[car]
        assert np.array_equal(image, loadmat(folder / f"{name}.mat")["im"][:, :, :, azimuth, elevation])
    (folder / "list.txt").unlink()
    assert Cars3D(folder, side=20).files == sorted(data.files)


def test_tetrominoes_come_back_as_they_were_written(tmp_path):
    path = files.multi_object(tmp_path / "t.tfrecords")
    true = Tetrominoes(objects=(1, 3)).draw(60, torch.Generator().manual_seed(0))
    data = MultiObject(path)
    assert data.form.name == "Tetrominoes" and data.objects == 3 and data.side == 35
    assert data.attributes == ("x", "y", "shape", "color_0", "color_1", "color_2")
    record, rows = all_of(data), torch.from_numpy(data.rows)
    assert torch.equal(record.images, true.images[rows]) and torch.equal(record.masks, true.masks[rows])
    assert torch.equal(record.attributes[..., :3].nan_to_num(9), true.attributes[rows][..., [2, 3, 0]].nan_to_num(9))
    few = MultiObject(path, most=1)
    assert few.objects == 1 and all_of(few).masks.shape[1] == 2
    shown = (~true.attributes[..., 0].isnan()).sum(1)[torch.from_numpy(few.rows)]
    assert (shown == 1).all() and not all_of(few).attributes.isnan().any()
    assert len(MultiObject(path, count=20).rows) + len(MultiObject(path, count=20, split="test").rows) == 20
    part = MultiObject(path, side=10, window=(3, 5, 10)).at([0])
    assert torch.equal(part.images, true.images[rows[:1], :, 3:13, 5:15])
    assert torch.equal(part.masks, true.masks[rows[:1], :, 3:13, 5:15])


def test_an_object_moves_to_the_front_with_its_mask(tmp_path):
    told = dict(next(files.tetrominoes(1)))
    masks = np.zeros((4, 35, 35), np.uint8)
    masks[0], masks[0, :5], masks[3, :5] = 255, 0, 255
    told |= {"mask": masks.tobytes(), "visibility": [1, 0, 0, 1], "x": [0, 1, 2, 3]}
    data = MultiObject(files.multi_object(tmp_path / "t.tfrecords", [told] * 20), most=1)
    record = data.at([0])
    assert record.masks[0, 1, :5].all() and not record.masks[0, 1, 5:].any()
    assert record.attributes[0, 0, 0] == 3


def example_of(form):
    """A record of one of the other forms: object k of n fills column k of the image, the rest is ground."""
    height, width, grounds, n = {"multi_dsprites": (64, 64, 1, 3), "objects_room": (64, 64, 4, 3),
                                 "clevr": (240, 320, 1, 10)}[form]  # fmt: skip
    masks = np.zeros((grounds + n, height, width), np.uint8)
    left = (width - height) // 2
    masks[0] = 255
    for k in range(n):
        masks[0, :, left + k], masks[grounds + k, :, left + k] = 0, 255
    if grounds > 1:
        masks[1, :10], masks[0, :10] = masks[0, :10], 0
    told = {"image": files.noise(height, width, 3).tobytes(), "mask": masks.tobytes()}
    if form == "multi_dsprites":
        told["mask"] = masks.transpose(1, 2, 0).tobytes()
    if form != "objects_room":
        names = ["x", "y", "shape", "orientation", "scale", "visibility"]
        told |= {name: np.arange(1 + n) + 1 for name in names} | {"color": np.arange(3 * (1 + n))}
    if form == "clevr":
        told |= {name: np.arange(1 + n) for name in ("z", "rotation")}
        told |= {name: bytes(range(1 + n)) for name in ("size", "material", "shape", "color")}
        told |= {"pixel_coords": np.arange(3 * (1 + n)), "visibility": [1] * 9 + [0, 0]}
        del told["orientation"], told["scale"]
    return told


@pytest.mark.parametrize(
    ("form", "name", "objects", "width"),
    [
        ("multi_dsprites", "Multi-dSprites", 3, 8),
        ("objects_room", "Objects Room", 3, 0),
        ("clevr", "CLEVR with masks", 10, 11),
    ],
)
def test_the_other_forms_of_multi_object_are_told_by_their_features(tmp_path, form, name, objects, width):
    path = files.multi_object(tmp_path / "x.tfrecords", [example_of(form)] * 4, packed=form != "clevr")
    data = MultiObject(path)
    record = data.at([0])
    assert data.form.name == name and data.objects == objects and len(data.attributes) == width
    there = 8 if form == "clevr" else objects
    for k in range(there):
        column = torch.zeros_like(record.masks[0, 0])
        column[:, k] = True
        assert torch.equal(record.masks[0, 1 + k], column & ~record.masks[0, 0])
    assert not record.masks[0, 1 + there :].any()
    if width:
        assert record.attributes[0, :there].isfinite().all() and record.attributes[0, there:].isnan().all()
    if form == "clevr":
        assert record.attributes[0, 2, data.attributes.index("shape")] == 3


def test_scenes_have_their_objects_and_masks(tmp_path):
    folder = files.clevr(tmp_path / "clevr")
    data, held = Clevr(folder, side=16), Clevr(folder, side=16, split="test")
    assert (len(data), len(held), data.objects) == (30, 12, 3)
    record = data.at([4])  # two objects: sphere, cylinder
    assert np.array_equal(bytes_of(record)[0], read_square(data.files[4], 16).pixels)
    assert record.attributes[0, :2].tolist() == [
        [1, 0, 0, 0, 0, -1, pytest.approx(0.35), 40], [2, 7, 0, 1, 0.5, -1, pytest.approx(0.35), 40]
    ]  # fmt: skip
    assert record.attributes[0, 2].isnan().all()
    assert record.masks[0, 1].any(0).tolist() == [k == 1 for k in range(16)]  # column 5 of 24, cut at 4
    six = Clevr(folder, side=16, most=2)
    assert six.objects == 2 and len(six) == 20
    bare = Clevr(files.clevr(tmp_path / "bare", masks=False), side=16).at([4])
    assert bare.masks[:, 0].all() and torch.equal(bare.attributes.nan_to_num(9), record.attributes.nan_to_num(9))


def test_a_list_of_scenes_is_read_whatever_its_pieces(tmp_path, monkeypatch):
    folder = files.clevr(tmp_path / "clevr")
    whole = Clevr(folder, side=16)
    for piece in (1, 7, 100):
        monkeypatch.setattr("ergosum.data.files.clevr.PIECE", piece)
        assert np.array_equal(Clevr(folder, side=16)._attributes, whole._attributes, equal_nan=True)


def test_sequences_are_windows_of_the_array(tmp_path):
    path = files.moving_mnist(tmp_path / "m.npy")
    held = np.load(path)
    data = MovingMnist(path, canvas=16)
    frames = (255 * data.clips(30, 3, torch.Generator().manual_seed(0)).frames[:, :, 0]).round().byte().numpy()
    windows = {held[t : t + 4, i].tobytes(): (t, i) for t in range(6) for i in data.rows}
    found = {windows[clip.tobytes()] for clip in frames}
    assert len({t for t, _ in found}) == 6 and len({i for _, i in found}) > 15
    with pytest.raises(ValueError, match="steps: sequences have 9 frames, not 10"):
        data.clips(1, 9, torch.Generator())


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("prefix", ["", "emnist-digits-"])
def test_images_of_mnist_s_kind_have_their_classes(tmp_path, packed, prefix):
    folder = files.mnist_files(tmp_path / "m", prefix, packed)
    for k, (split, n) in enumerate((("train", 60), ("test", 30))):
        data = MnistFiles(folder, split=split)
        record, true = all_of(data), files.noise(n, 28, 28, seed=k)
        assert np.array_equal(bytes_of(record)[..., 0], true.swapaxes(1, 2) if prefix else true)
        assert record.factors[:, 0].tolist() == [i % 10 for i in range(n)]
        assert data.names[3] == "three" and len(data.names) == 10


SETS = {
    "byclass": (62, 0, {0: "zero", 9: "nine", 10: "A", 35: "Z", 36: "a", 61: "z"}),
    "bymerge": (47, 0, {10: "A", 36: "a", 37: "b", 38: "d", 43: "n", 44: "q", 46: "t"}),
    "balanced": (47, 0, {12: "C", 40: "f", 42: "h", 45: "r"}),
    "letters": (26, 1, {0: "A", 25: "Z"}),
}  # fmt: skip


@pytest.mark.parametrize("of", SETS)
def test_labels_of_emnist_are_named_as_its_mapping_names_them(tmp_path, of):
    count, first, some = SETS[of]
    labels = (first + np.arange(90) % count).astype(np.uint8)
    folder = files.mnist_files(tmp_path / "gzip", f"emnist-{of}-", images=files.noise(90, 28, 28), labels=labels)
    data = MnistFiles(folder)
    assert len(data.names) == count and {k: data.names[k] for k in some} == some
    assert all_of(data).factors[:, 0].tolist() == [k % count for k in range(90)]
    assert MnistFiles(folder, names=[f"n{k}" for k in range(count)]).names[0] == "n0"
    assert is_name(data.names) and len(set(data.names)) == count
    (folder / f"emnist-{of}-mapping.txt").write_text(
        "".join(f"{first + k} {65 + k if k < 26 else 97 + k - 26 if k < 52 else 48 + k - 52}\n" for k in range(count))
    )
    assert MnistFiles(folder).names[:2] == ("A", "B"), "a mapping beside the images is read"


def is_name(names):
    """Whether formulas can hold all of these."""
    return all(
        isinstance(parse_formula(f"{name} | other", {name: Ring(1.0, 0.1), "other": Ring(2.0, 0.1)}), Or)
        for name in names
    )


def test_one_set_of_a_folder_that_holds_several(tmp_path):
    folder = files.mnist_files(tmp_path / "gzip", "emnist-digits-")
    letters = files.mnist_files(tmp_path / "other", "emnist-letters-", labels=np.full(60, 26, np.uint8),
                                images=files.noise(60, 28, 28, seed=9))  # fmt: skip
    for file in letters.iterdir():
        file.rename(folder / file.name)
    with pytest.raises(ValueError, match="add how its names begin to the path, such as gzip/emnist-letters"):
        MnistFiles(folder)
    for path in (folder / "emnist-letters", f"{folder}/emnist-letters-"):
        data = MnistFiles(path)
        assert np.array_equal(bytes_of(all_of(data))[..., 0], files.noise(60, 28, 28, seed=9).swapaxes(1, 2))
        assert data.names[int(all_of(data).factors[0, 0])] == "Z"
    assert MnistFiles(folder / "emnist-digits").names[0] == "zero"
    with pytest.raises(FileNotFoundError, match=r"There is no folder .*emnist-bymerge"):
        MnistFiles(folder / "emnist-bymerge")


@pytest.mark.parametrize(
    ("text", "message"),
    [("0 48\n0 49\n", "a new label"), ("0 48\n1 48\n", "a new label"), ("0 33\n", "a digit or letter"),
     ("zero\n", "zero"), ("0 48\n", r"expected labels 0 \.\. 0 of its set, got 1")],
)  # fmt: skip
def test_a_damaged_mapping_of_labels_is_named(tmp_path, text, message):
    folder = files.mnist_files(tmp_path / "gzip", "emnist-digits-")
    (folder / "emnist-digits-mapping.txt").write_text(text)
    with pytest.raises(UnreadableFile, match=message):
        MnistFiles(folder)


def test_an_archive_of_mnist_s_kind_and_names_of_its_classes(tmp_path):
    arrays = {"x_train": files.noise(20, 28, 28), "y_train": np.arange(20) % 4, "x_test": files.noise(8, 28, 28),
              "y_test": np.arange(8) % 2}  # fmt: skip
    np.savez_compressed(tmp_path / "a.npz", **arrays)
    data = MnistFiles(tmp_path / "a.npz", split="test")
    assert np.array_equal(bytes_of(all_of(data))[..., 0], arrays["x_test"])
    assert data.names == tuple(f"class_{k}" for k in range(4)), "both parts have the classes of both"
    assert MnistFiles(tmp_path / "a.npz", names=list("abcd")).names == ("a", "b", "c", "d")


def test_mnist_itself_is_read_from_its_files(mnist):
    folder = mnist / "mnist" if (mnist / "mnist").is_dir() else mnist
    data = MnistFiles(folder, split="test")
    from ergosum.data.sources import load_digits

    true = load_digits("mnist", "test")
    record = data.at(range(200))
    assert torch.equal(record.images[:, :1], true.images[:200]) and len(data) == 10_000
    assert torch.equal(record.factors[:, 0].long(), true.labels[:200])


def test_a_saved_dataset_and_its_parquet_give_the_same_images(tmp_path):
    whole = files.table(60)
    saved = HuggingFaceImages(files.saved(tmp_path / "saved", train=whole), side=12)
    whole.to_parquet(str(tmp_path / "whole.parquet"))
    packed = HuggingFaceImages(tmp_path / "whole.parquet", side=12)
    assert torch.equal(all_of(saved).images, all_of(packed).images) and len(saved) == len(split_rows(60, "train"))
    image = files.noise(12, 14, 3, seed=int(saved.rows[0]))
    assert np.array_equal(bytes_of(saved.at([0]))[0], image[:, 1:13])
    assert saved.names == ("cat", "dog_fish", "label_2_birds") and saved.factors == ("label",)
    drawn = saved.labelled(20, torch.Generator().manual_seed(0))
    assert drawn.images.shape == (20, 3, 12, 12) and set(drawn.labels.tolist()) == {0, 1, 2}


def test_a_dataset_with_parts_is_divided_by_them(tmp_path):
    train, test = files.table(9), files.table(5, seed=100)
    files.saved(tmp_path / "saved", train=train, validation=test)
    (tmp_path / "parquet").mkdir()
    train.to_parquet(str(tmp_path / "parquet" / "train-00000-of-00001.parquet"))
    test.to_parquet(str(tmp_path / "parquet" / "test-00000-of-00001.parquet"))
    for folder in ("saved", "parquet"):
        for split, n, seed in (("train", 9, 0), ("test", 5, 100)):
            data = HuggingFaceImages(tmp_path / folder, side=12, split=split)
            assert len(data) == n
            assert np.array_equal(bytes_of(data.at([2]))[0], files.noise(12, 14, 3, seed=seed + 2)[:, 1:13])


@pytest.mark.parametrize("label", ["cls", "json", ""])
def test_examples_of_shards_have_their_images_and_classes(tmp_path, label):
    data = ImageShards(files.shards(tmp_path / "shards", label=label), side=10)
    assert len(data.files) == 2 and len(data) == len(split_rows(60, "train"))
    rows = np.array([40, 2, 2])
    record = data.at(rows)
    for image, row in zip(bytes_of(record), data.rows[rows], strict=True):
        assert np.array_equal(image, files.noise(10, 12, 3, seed=int(row))[:, 1:11])
    assert data.factors == (("class",) if label else ())
    if label:
        assert record.factors[:, 0].tolist() == [float(row % 3) for row in data.rows[rows]]
        assert ImageShards(tmp_path / "shards", names=("cat", "dog", "Big Bird")).names == ("cat", "dog", "big_bird")
    names = str(tmp_path / "shards" / "train-{0000..0001}.tar")
    assert ImageShards(names, side=10).files == data.files
    held = ImageShards(str(tmp_path / "shards" / "train-0000.tar"), 10, "test", tmp_path / "shards" / "train-0001.tar")
    assert len(held) == 30 and np.array_equal(bytes_of(held.at([0]))[0], files.noise(10, 12, 3, seed=30)[:, 1:11])


def test_shards_are_named_by_wildcards_and_not_by_addresses(tmp_path):
    folder = files.shards(tmp_path / "shards")
    data = ImageShards(f"{folder}/train-*.tar")
    assert data.files == [folder / "train-0000.tar", folder / "train-0001.tar"]
    assert ImageShards(f"{tmp_path}/{{shards,shards}}/train-000?.tar").files == 2 * data.files
    (folder / "odd [1].tar").write_bytes((folder / "train-0000.tar").read_bytes())
    assert ImageShards(folder / "odd [1].tar").files == [folder / "odd [1].tar"], "a file of that name comes first"
    with pytest.raises(FileNotFoundError, match=r"There is no shard .*val-\*\.tar; expected"):
        ImageShards(f"{folder}/val-*.tar")
    for address in ("https://host/train-{0000..0012}.tar", "s3://bucket/a.tar", "pipe:curl -s https://host/a.tar"):
        with pytest.raises(ValueError, match=r"expected \.tar files of this machine, got the address .* Download"):
            ImageShards(address)


def test_the_middle_square_is_taken_and_resized():
    pixels = files.noise(2, 20, 30, 3)
    pixels[:, :, :5], pixels[:, :, 25:] = 0, 0
    assert np.array_equal(table.squares(pixels, 20), pixels[:, :, 5:25])
    assert table.squares(pixels[..., 0], 8).shape == (2, 8, 8)


def test_every_image_comes_once_in_a_stream(tmp_path):
    data = DSprites(files.dsprites(tmp_path / "d.npz"), side=16)
    parts = list(data.stream(100))
    assert [len(part.images) for part in parts] == [100, 100, len(data) - 200]
    assert torch.equal(torch.cat([part.images for part in parts]), all_of(data).images)
    with pytest.raises(ValueError, match="batch: expected at least 1"):
        next(data.stream(0))
    with pytest.raises(IndexError, match=r"expected numbers 0 \.\. "):
        data.at([len(data)])


def test_a_tenth_of_the_rows_is_held_out_whatever_their_order():
    train, test = split_rows(100_000, "train"), split_rows(100_000, "test")
    assert np.array_equal(np.sort(np.concatenate([train, test])), np.arange(100_000))
    assert abs(len(test) - 10_000) < 5 * np.sqrt(100_000 * 0.09)
    for period in (2, 3, 10, 32, 40):  # as in grids of factors: every level has its tenth
        share = np.bincount(test % period, minlength=period) / np.bincount(np.arange(100_000) % period)
        assert np.abs(share - 0.1).max() < 5 * np.sqrt(0.09 * period / 100_000)
    assert np.array_equal(split_rows(1000, "test"), test[test < 1000]), "rows stay on their side when others are added"
    assert len(split_rows(2, "test")) == len(split_rows(2, "train")) == 1


# --- memory


def test_files_larger_than_memory_are_read_within_bounds(tmp_path):
    """Files of 11 to 25 MB, unpacked and read while Python and NumPy may hold 9 MB: bits, some blocks and a batch."""
    n = 6000
    classes = np.zeros((n, 6), np.int64)
    classes[:, 5] = np.arange(n) % 32
    images = np.broadcast_to(np.arange(64, dtype=np.uint8) % 2, (n, 64, 64))
    files.dsprites(tmp_path / "d.npz", imgs=images, latents_classes=classes, latents_values=classes.astype(float))
    files.moving_mnist(tmp_path / "m.npy", frames=np.zeros((20, 250, 64, 64), np.uint8))
    files.mpi3d_file(tmp_path / "p.npz", np.savez_compressed, images=np.zeros((144, 160, 160, 3), np.uint8))
    record = files.framed(files.encoded(next(files.tetrominoes(1))))
    with gzip.open(tmp_path / "t.tfrecords", "wb", 1) as file:
        for _ in range(450):  # 11 MB of records
            file.write(record)
    tracemalloc.start()
    try:
        for read in (
            lambda: DSprites(tmp_path / "d.npz").draw(8, torch.Generator()),
            lambda: MovingMnist(tmp_path / "m.npy").clips(8, 4, torch.Generator()),
            lambda: Mpi3D(tmp_path / "p.npz").draw(8, torch.Generator()),
            lambda: MultiObject(tmp_path / "t.tfrecords").draw(8, torch.Generator()),
        ):
            tracemalloc.reset_peak()
            read()
            assert tracemalloc.get_traced_memory()[1] < 9e6, read
    finally:
        tracemalloc.stop()


# --- what can be wrong


def cut(path, bytes_left=None):
    content = path.read_bytes()
    path.write_bytes(content[: bytes_left or len(content) * 2 // 3])
    return path


def flipped(path, place=0.5):
    content = bytearray(path.read_bytes())
    content[int(len(content) * place)] ^= 0x55
    path.write_bytes(bytes(content))
    return path


def text(path, content="no such thing"):
    path.write_text(content)
    return path


def no_shape(k):
    return {"latents_classes": np.full((288, 6), k)}


WRONG = [
    # DSprites
    (DSprites, lambda p: p / "none.npz", r"There is no file .*none.npz. dSprites \(.npz\) is published at https"),
    (DSprites, lambda p: p, "expected a file of dSprites .* got a folder"),
    (DSprites, lambda p: text(p / "d.npz"), "is not a zip file"),
    (DSprites, lambda p: cut(files.dsprites(p / "d.npz")), "is not a zip file"),
    (DSprites, lambda p: flipped(files.dsprites(p / "d.npz"), 0.1), "could not be read as dSprites"),
    (DSprites, lambda p: files.dsprites(p / "d.npz", imgs=None), "no array 'imgs'; it holds latents_classes, latents_"),
    (DSprites, lambda p: files.dsprites(p / "d.npz", latents_values=None), "no array 'latents_values'"),
    (DSprites, lambda p: files.dsprites(p / "d.npz", imgs=files.noise(288, 16, 16)), r"uint8\) 0 and 1, got bytes up"),
    (DSprites, lambda p: files.dsprites(p / "d.npz", imgs=np.zeros((288, 16, 16))), "0 and 1, got float64"),
    (DSprites, lambda p: files.dsprites(p / "d.npz", imgs=np.zeros((288, 16, 9), np.uint8)), r"imgs \(n, side, side\)"),
    (
        DSprites,
        lambda p: files.dsprites(p / "d.npz", imgs=np.zeros((7, 16, 16), np.uint8)),
        r"latents_classes \(7, 6\)",
    ),
    (DSprites, lambda p: files.dsprites(p / "d.npz", **no_shape(-1)), "classes that count from 0"),
    (DSprites, lambda p: files.dsprites(p / "d.npz", **no_shape(2)), "every class of the shape up to 2"),
    (DSprites, lambda p: files.dsprites(p / "d.npz", latents_classes=np.zeros((288, 6))), "in integers"),
    (
        DSprites,
        lambda p: files.dsprites(p / "d.npz", latents_values=np.array([{}] * 288)),
        "Python objects, which are nev",
    ),
    # Shapes3D
    (Shapes3D, lambda p: p / "none.h5", "3D Shapes .* is published at"),
    (Shapes3D, lambda p: text(p / "s.h5"), "could not be read as 3D Shapes"),
    (Shapes3D, lambda p: cut(files.shapes3d(p / "s.h5")), "truncated file"),
    (Shapes3D, lambda p: files.shapes3d(p / "s.h5", labels=None), "no 'labels'; it holds images"),
    (Shapes3D, lambda p: files.shapes3d(p / "s.h5", images=np.zeros((192, 12, 12, 3)), chunks=None), "bytes .*float64"),
    (Shapes3D, lambda p: files.shapes3d(p / "s.h5", images=files.noise(192, 12, 3), chunks=None), "side, side, 3"),
    (Shapes3D, lambda p: files.shapes3d(p / "s.h5", labels=np.zeros((9, 6))), r"expected labels \(192, 6\)"),
    (Shapes3D, lambda p: files.shapes3d(p / "s.h5", labels=np.ones((192, 6), int)), "labels in floats, got int64"),
    (Shapes3D, lambda p: files.shapes3d(p / "s.h5", labels=np.ones((192, 6))), "expected shapes 0, 1"),
    # Mpi3D
    (Mpi3D, lambda p: p / "none.npz", "MPI3D .* is published at"),
    (Mpi3D, lambda p: files.mpi3d_file(p / "m.npz", images=None, x=np.ones(3)), "no array 'images'; it holds x"),
    (Mpi3D, lambda p: files.mpi3d_file(p / "m.npz", images=files.noise(5, 8, 8, 3)), "expected 1,036,800 or 460,800"),
    (Mpi3D, lambda p: files.mpi3d_file(p / "m.npz", images=files.noise(144, 8, 8)), r"\(n, side, side, 3\)"),
    (Mpi3D, lambda p: files.mpi3d_file(p / "m.npz", images=np.zeros((144, 8, 8, 3))), "uint8.*float64"),
    (Mpi3D, lambda p: cut(files.mpi3d_file(p / "m.npz")), "is not a zip file"),
    # Cars3D
    (Cars3D, lambda p: p / "none", "There is no folder .*none. Cars3D .* is published at"),
    (Cars3D, lambda p: p, "no cars in .*: expected list.txt and .mat"),
    (Cars3D, lambda p: files.cars3d(p / "c", listed=False, im=np.ones(3)), "expected im .height, width, 3"),
    (Cars3D, lambda p: files.cars3d(p / "c", im=np.zeros((8, 8, 3, 3, 4))), "im in bytes .*float64"),
    (Cars3D, lambda p: [files.cars3d(p / "c"), cut(p / "c/car_003_mesh.mat")][0], "car_003_mesh.mat could not be read"),
    (
        Cars3D,
        lambda p: [files.cars3d(p / "c"), text(p / "c/list.txt", "a\nb")][0],
        "2 of the 2 cars of list.txt are mis",
    ),
    # MultiObject
    (MultiObject, lambda p: p / "none", "Multi-Object Datasets .* is published at"),
    (MultiObject, lambda p: text(p / "t.tfrecords"), "no TFRecord file: the checksum of its length differs"),
    (MultiObject, lambda p: text(p / "t.tfrecords", ""), "expected the features image and mask"),
    (MultiObject, lambda p: cut(files.multi_object(p / "t.tfrecords")), r"truncated or damaged within record \d+"),
    (MultiObject, lambda p: cut(files.multi_object(p / "t.tfrecords", packed=False), 30_000), "ends within record 1"),
    (
        MultiObject,
        lambda p: flipped(files.multi_object(p / "t.tfrecords", packed=False), 0.51),
        r"record \d+ is damaged: its checksum differs",
    ),
    (
        MultiObject,
        lambda p: files.multi_object(p / "t.tfrecords", [{"image": b"abc"}]),
        "image and mask of one of CLEVR",
    ),
    (
        MultiObject,
        lambda p: files.multi_object(p / "t.tfrecords", [{"image": b"a", "mask": b"b"}]),
        "expected an image of",
    ),
    (
        MultiObject,
        lambda p: files.multi_object(p / "t.tfrecords", [*files.tetrominoes(2), {"image": b"", "mask": b""}]),
        "record 2: expected 'image' in bytes|record 2: expected an image",
    ),
    # Clevr
    (Clevr, lambda p: p / "none", "CLEVR .* is published at"),
    (Clevr, lambda p: p, "There is no file .*CLEVR_train_scenes.json"),
    (Clevr, lambda p: scenes(p, "[1, 2]"), 'no list "scenes"'),
    (Clevr, lambda p: scenes(p, '{"scenes": []}'), "its list of scenes is empty"),
    (Clevr, lambda p: scenes(p, '{"scenes": [{"image_filename": "a.png", '), "ends within scene 0"),
    (
        Clevr,
        lambda p: scenes(p, '{"scenes": [{"image_filename": "../a.png"}]}'),
        "the name of a file .* got '../a.png'",
    ),
    (
        Clevr,
        lambda p: scenes(p, '{"scenes": [{"image_filename": "a.png", "objects": [{}]}]}'),
        "none of CLEVR's: KeyErr",
    ),
    (
        Clevr,
        lambda p: scenes(p, '{"scenes": [{"image_filename": "a.png"}]}'),
        "1 of 1 images of the list of scenes are",
    ),
    # MovingMnist
    (MovingMnist, lambda p: p / "none.npy", "Moving MNIST .* is published at"),
    (MovingMnist, lambda p: text(p / "m.npy"), "could not be read as Moving MNIST .*magic"),
    (
        MovingMnist,
        lambda p: cut(files.moving_mnist(p / "m.npy")),
        "truncated: 92,160 bytes of numbers are announced, 61",
    ),
    (MovingMnist, lambda p: files.moving_mnist(p / "m.npy", frames=np.zeros((9, 40, 16, 16))), "bytes .*got float64"),
    (
        MovingMnist,
        lambda p: files.moving_mnist(p / "m.npy", frames=files.noise(9, 40, 16)),
        r"\(time, clips, side, side",
    ),
    (
        MovingMnist,
        lambda p: files.moving_mnist(p / "m.npy", frames=files.noise(1, 40, 16, 16)),
        "one frame of each clip",
    ),
    # MnistFiles
    (MnistFiles, lambda p: p / "none", "There is no folder .*none. MNIST's kind"),
    (MnistFiles, lambda p: p, "no file of the images to train on; expected train-images-idx3-ubyte, or that with .gz"),
    (MnistFiles, lambda p: wrong_idx(p, lambda f: text(f)), "train-images-idx3-ubyte could not .* no idx file"),
    (MnistFiles, lambda p: wrong_idx(p, cut), "truncated: 47,040 bytes of numbers are announced, 31"),
    (MnistFiles, lambda p: wrong_idx(p, cut, packed=True), "end-of-stream marker was reached"),
    (MnistFiles, lambda p: wrong_idx(p, flipped, packed=True), "could not be read as MNIST's kind"),
    (MnistFiles, lambda p: files.mnist_files(p / "m", labels=np.zeros(9, np.uint8)), "expected 60 labels"),
    (MnistFiles, lambda p: files.mnist_files(p / "m", images=files.noise(60, 28)), r"images \(n, height, width\)"),
    (
        MnistFiles,
        lambda p: [files.mnist_files(p / "m"), text(p / "m/a-train-images-idx3-ubyte")][0],
        "expected one file",
    ),
    (MnistFiles, lambda p: files.dsprites(p / "d.npz"), "no array 'x_train'"),
    # HuggingFaceImages
    (HuggingFaceImages, lambda p: p / "none", "There is no folder or file"),
    (HuggingFaceImages, lambda p: p, "neither dataset_dict.json nor state.json, nor files"),
    (HuggingFaceImages, lambda p: text(p / "a.parquet"), "could not be read as a dataset of Hugging Face"),
    (HuggingFaceImages, lambda p: text(p / "a.csv"), r"expected a file \*.parquet"),
    (HuggingFaceImages, lambda p: saved_without(p, "image"), "none of its columns holds images: label"),
    (
        HuggingFaceImages,
        lambda p: files.saved(p / "s", a=files.table(3), b=files.table(3)),
        "no part 'train'; it has a, b",
    ),
    # ImageShards
    (ImageShards, lambda p: p / "none.tar", "There is no shard"),
    (ImageShards, lambda p: p, "There are no shards"),
    (ImageShards, lambda p: text(p / "a.tar"), "could not be read as a shard of WebDataset"),
    (ImageShards, lambda p: text(p / "a.tar.gz"), "it is packed"),
    (
        ImageShards,
        lambda p: cut(files.shards(p / "s") / "train-0001.tar").parent,
        "train-0001.tar could .* truncated or damaged",
    ),
    (ImageShards, lambda p: tar(p, {"a.cls": b"1"}), "holds not one image"),
    (ImageShards, lambda p: tar(p, {"a.png": b"1", "a.jpg": b"2"}), "two images have the name 'a'"),
    (ImageShards, lambda p: tar(p, {"a.png": b"1", "a.cls": b"x"}), "a.cls: expected a whole number"),
    (ImageShards, lambda p: tar(p, {"a.png": b"1", "a.cls": b"-3"}), "a.cls: expected a class 0"),
    (ImageShards, lambda p: tar(p, {"a.png": b"1", "a.json": b"{"}), "a.json: expected JSON"),
    (ImageShards, lambda p: tar(p, {"a.png": b"1", "a.cls": b"1", "b.png": b""}), "1 of 2 images have no class"),
]


def scenes(folder, content):
    (folder / "scenes").mkdir()
    text(folder / "scenes" / "CLEVR_train_scenes.json", content)
    return folder


def wrong_idx(folder, change, packed=False):
    made = files.mnist_files(folder / "m", packed=packed)
    change(made / f"train-images-idx3-ubyte{'.gz' if packed else ''}")
    return made


def saved_without(folder, column):
    return files.saved(folder / "s", train=files.table(3).remove_columns([column]))


def tar(folder, members):
    import io

    with tarfile.open(folder / "a.tar", "w") as archive:
        for name, content in members.items():
            told = tarfile.TarInfo(name)
            told.size = len(content)
            archive.addfile(told, io.BytesIO(content))
    return folder / "a.tar"


@pytest.mark.parametrize("number", range(len(WRONG)), ids=lambda k: f"{WRONG[k][0].__name__}-{k}")
def test_each_way_a_file_can_be_wrong_is_said_in_one_line(tmp_path, number):
    cls, make, told = WRONG[number]
    path = make(tmp_path)
    with pytest.raises((OSError, ValueError), match=told) as said:
        cls(path)
    assert "\n" not in str(said.value) and len(str(said.value)) < 500


def test_what_is_found_wrong_when_an_image_is_read_is_said_with_its_place(tmp_path):
    data = ImageShards(tar(tmp_path, {"a.png": b"1", "b.png": b"2"}))
    with pytest.raises(OSError, match=r"a\.tar, image . could not be read as an image"):
        data.draw(1, torch.Generator())
    folder = files.clevr(tmp_path / "clevr")
    Image.fromarray(np.full((16, 24), 9, np.uint8)).save(folder / "masks/train/CLEVR_train_000004.png")
    with pytest.raises(UnreadableFile, match="it names object 9; the scene has 2"):
        Clevr(folder).at([4])
    (folder / "masks/train/CLEVR_train_000004.png").unlink()
    with pytest.raises(FileNotFoundError, match="There is no mask"):
        Clevr(folder).at([4])
    with pytest.raises(ValueError, match=r"most: .* no scene of at most"):
        emptied = json.loads((folder / "scenes/CLEVR_train_scenes.json").read_text())
        emptied["scenes"] = emptied["scenes"][2:3]
        text(folder / "scenes/CLEVR_train_scenes.json", json.dumps(emptied))
        Clevr(folder, most=1)


def test_a_file_with_the_name_of_a_published_one_must_be_that(tmp_path, monkeypatch):
    path = files.dsprites(tmp_path / "known.npz")
    content = path.read_bytes()
    digests = {
        "sha256": hashlib.sha256(content).hexdigest(), "md5": hashlib.md5(content).hexdigest(),
        "git": hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest(),
    }  # fmt: skip
    for algorithm, digest in digests.items():
        right, wrong = (Published("known.npz", algorithm, d, "https://there") for d in (digest, digest[::-1]))
        monkeypatch.setattr(published, "PUBLISHED", (right,))
        DSprites(path)
        monkeypatch.setattr(published, "PUBLISHED", (wrong,))
        with pytest.raises(UnreadableFile, match=rf"its {algorithm} digest is {digest}.*https://there.*rename it"):
            DSprites(path)
    monkeypatch.setattr(published, "PUBLISHED", (right,))
    monkeypatch.setattr(published, "_digest", lambda *given: pytest.fail("it was right before"))
    verify(path, "it")
    flipped(path)
    monkeypatch.undo()
    monkeypatch.setattr(published, "PUBLISHED", (right,))
    with pytest.raises(UnreadableFile, match="digest is"):
        verify(path, "it")


def test_git_names_the_content_of_a_file_as_here(tmp_path):
    assert published._digest(text(tmp_path / "f", "what is up, doc?"), "git", 16) == (
        "bd9dbf5aae1a3862dd1526723246b20206e5fc37"
    )


def test_an_interruption_leaves_nothing_half_unpacked(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))

    def blocks(stop):
        yield {"a": np.ones((2, 3)), "b": np.zeros(2, np.uint8)}
        if stop:
            raise KeyboardInterrupt
        yield {"a": np.full((5, 3), 2.0), "b": np.ones(5, np.uint8)}

    with pytest.raises(KeyboardInterrupt):
        unpacked("x", lambda: blocks(True))
    assert list((tmp_path / "ergosum/unpacked").iterdir()) == []
    for _ in range(2):
        held = unpacked("x", lambda: blocks(False))
    assert held["a"].shape == (7, 3) and held["a"].sum() == 36 and held["b"].tolist() == [0, 0, 1, 1, 1, 1, 1]
    with pytest.raises(ValueError, match="not one image"):
        unpacked("y", lambda: iter(()))


def test_a_changed_file_is_unpacked_again(tmp_path):
    first = as_bits(files.dsprites(tmp_path / "d.npz"), "imgs")[0].tolist()
    images = 1 - files.noise(288, 16, 16, high=2)
    assert as_bits(files.dsprites(tmp_path / "d.npz", imgs=images), "imgs")[0].tolist() == [255 - b for b in first]


def test_an_array_column_by_column_is_refused_where_it_would_have_to_be_unpacked(tmp_path):
    images = np.asfortranarray(np.zeros((144, 8, 8, 3), np.uint8))
    with pytest.raises(UnreadableFile, match="stored column by column"):
        Mpi3D(files.mpi3d_file(tmp_path / "m.npz", np.savez_compressed, images=images))
    assert Mpi3D(files.mpi3d_file(tmp_path / "n.npz", images=images), side=8).at([0]).images.sum() == 0


def test_an_archive_that_names_a_path_is_not_followed(tmp_path):
    with zipfile.ZipFile(tmp_path / "m.npz", "w") as packed:
        packed.writestr("../images.npy", b"x")
    with pytest.raises(UnreadableFile, match=r"no array 'images'; it holds \.\./images"):
        Mpi3D(tmp_path / "m.npz")


def test_a_missing_library_is_named_with_the_command_that_installs_it():
    with pytest.raises(ImportError, match=r"X needs no_such_module: pip install 'ergosum\[data\]'"):
        needed("no_such_module", "data", "X")
