"""Which images of a folder are held out."""

import os
import shutil

import pytest

from ergosum.data.split import content_digest, split_files


def files(folder, count, size=100):
    folder.mkdir(exist_ok=True)
    for i in range(count):
        (folder / f"{i:04d}.png").write_bytes(f"{i} ".encode() * size)
    return sorted(folder.iterdir())


def contents(paths):
    return {p.read_bytes() for p in paths}


def test_about_a_tenth_is_held_out_and_every_file_is_on_one_side(tmp_path):
    every = files(tmp_path / "a", 2000)
    train, test = split_files(every)
    assert sorted(train + test) == every and train == sorted(train) and test == sorted(test)
    assert abs(len(test) - 200) < 4 * (2000 * 0.1 * 0.9) ** 0.5
    assert split_files(every) == (train, test)


def test_copies_and_new_names_are_on_the_side_of_the_first(tmp_path):
    train, test = split_files(files(tmp_path / "a", 60))
    for i, path in enumerate([*train, *test]):
        shutil.copy(path, tmp_path / "a" / f"z{i * 7 % 60:02d}.jpg")
    again = split_files(sorted((tmp_path / "a").iterdir()))
    assert [len(side) for side in again] == [2 * len(train), 2 * len(test)]
    assert contents(again[0]) == contents(train) and contents(again[1]) == contents(test)


def test_files_stay_on_their_side_when_others_come_and_go(tmp_path):
    every = files(tmp_path / "a", 400)
    train, test = split_files(every)
    fewer = split_files(every[::3])
    assert set(fewer[0]) <= set(train) and set(fewer[1]) <= set(test)


@pytest.mark.parametrize("count", range(2, 12))
def test_of_a_few_files_one_is_held_out_and_one_is_left_to_train_on(tmp_path, count):
    for first in range(0, 40, 8):
        train, test = split_files(files(tmp_path / "a", 60)[first : first + count])
        assert train and test


def test_a_folder_of_one_image_cannot_be_split(tmp_path):
    paths = files(tmp_path / "a", 1)
    shutil.copy(paths[0], tmp_path / "a" / "copy.png")
    with pytest.raises(ValueError, match="at least two different images to hold some out, got 1"):
        split_files(sorted((tmp_path / "a").iterdir()))


def test_large_files_are_told_apart_by_their_size_and_ends(tmp_path):
    whole = bytes(2**21)
    for name, content in {
        "a": whole,
        "b": whole,
        "c": whole + b"\0",
        "d": b"\1" + whole[1:],
        "e": whole[1:] + b"\1",
    }.items():
        (tmp_path / name).write_bytes(content)
    digests = {name: content_digest(tmp_path / name) for name in "abcde"}
    assert digests["a"] == digests["b"] and len(set(digests.values())) == 4


def test_a_file_that_cannot_be_opened_is_known_by_its_name(tmp_path):
    path = tmp_path / os.fsdecode(b"\xff.png")
    assert (
        content_digest(path) == content_digest(tmp_path / "sub" / path.name) != content_digest(tmp_path / "other.png")
    )
