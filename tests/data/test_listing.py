"""What is listed of a folder, in which order, and how names are printed."""

import os
import subprocess

import pytest

from ergosum.data.listing import image_files, shown


def touch(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("")
    return path


def names(folder, report=None):
    return [os.fsencode(p.relative_to(folder)).decode("latin-1") for p in image_files(folder, report)]


def test_files_come_sorted_by_the_parts_of_their_names(tmp_path):
    for name in ("b.png", "a/z.jpg", "a.png", "a/b/c.TIF", "a0/x.webp", "B.gif", "notes.txt", "png"):
        touch(tmp_path / name)
    assert names(tmp_path) == ["B.gif", "a/b/c.TIF", "a/z.jpg", "a.png", "a0/x.webp", "b.png"]
    everything = [p for p in tmp_path.rglob("*") if p.is_file() and p.suffix]
    assert list(image_files(tmp_path)) == sorted(p for p in everything if p.suffix != ".txt")


def test_what_systems_and_archives_leave_behind_is_not_listed(tmp_path):
    for name in ("x.png", "._x.png", "__MACOSX/x.png", "__MACOSX/._x.png", ".trash/x.png", "more/.y.jpg"):
        touch(tmp_path / name)
    (tmp_path / "y.png").mkdir()
    touch(tmp_path / "y.png" / "z.png")
    os.mkfifo(tmp_path / "pipe.png")
    assert names(tmp_path) == ["x.png", "y.png/z.png"]


def test_links_are_followed_once_and_loops_end(tmp_path):
    touch(tmp_path / "real" / "x.png")
    (tmp_path / "real" / "up").symlink_to(tmp_path)
    (tmp_path / "again").symlink_to(tmp_path / "real")
    (tmp_path / "elsewhere").symlink_to(touch(tmp_path.parent / "elsewhere-of-links" / "y.png").parent)
    (tmp_path / "one.png").symlink_to(tmp_path / "real" / "x.png")
    (tmp_path / "gone.png").symlink_to(tmp_path / "nowhere.png")
    said = {}
    assert names(tmp_path, said.__setitem__) == ["again/x.png", "elsewhere/y.png", "one.png"]
    assert said == {tmp_path / "gone.png": "it cannot be looked into: No such file or directory"}


def test_a_folder_that_cannot_be_listed_is_named_and_the_others_are_read(tmp_path, monkeypatch):
    touch(tmp_path / "a" / "x.png"), touch(tmp_path / "b" / "x.png")
    listdir = os.listdir

    def guarded(path):
        if os.fspath(path).endswith("a"):
            raise PermissionError(13, "Permission denied", str(path))
        return listdir(path)

    monkeypatch.setattr(os, "listdir", guarded)  # root may list anything
    said = {}
    assert names(tmp_path, said.__setitem__) == ["b/x.png"]
    assert said == {tmp_path / "a": "it cannot be looked into: Permission denied"}
    assert names(tmp_path) == ["b/x.png"]


def test_a_thousand_folders_inside_each_other_are_walked(tmp_path):
    here = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1100):  # deeper than Python calls
        os.mkdir("d", dir_fd=here)
        below = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.close(os.open("x.png", os.O_CREAT, dir_fd=here))
    os.close(here)
    try:
        assert len(names(tmp_path)[0]) == 2 * 1100 + len("x.png")
    finally:  # Python's own clean-up calls itself for every folder
        subprocess.run(["rm", "-rf", tmp_path / "d"], check=True)


NAMES = {b"plain.png": "plain.png", "café ∑.png".encode(): "café ∑.png", b"\xe9.png": r"\xe9.png",
         b"a\nb\x1b[31m.png": r"a\nb\x1b[31m.png", b"\xff\xfe.jpg": r"\xff\xfe.jpg"}  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_names_are_bytes_and_are_shown_on_one_line(tmp_path, name):
    with open(os.fsencode(tmp_path) + b"/" + name, "w"):
        pass
    (path,) = image_files(tmp_path)
    assert os.fsencode(path.name) == name and shown(path.name) == NAMES[name]
    assert shown(path).encode().decode() == f"{tmp_path}/{NAMES[name]}"
