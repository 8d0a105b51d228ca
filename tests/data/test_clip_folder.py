"""Folders of films as users have them: of all kinds and lengths, some broken."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.data import clip_folder
from ergosum.data.clip_folder import ClipFolder

SIDE = 8


def film(tag, time=9):
    """A film whose frame t has the red `tag` in its first row and the green 10 t in its second: bytes."""
    frames = np.full((time, SIDE, SIDE, 3), 30, np.uint8)
    frames[:, 0, :, 0], frames[:, 1, :, 1] = tag, 10 * np.arange(time)[:, None]
    return frames


def album(path, frames):
    path.mkdir(parents=True)
    for t, frame in enumerate(frames):
        Image.fromarray(frame).save(path / f"{t}.png")
    return path


def gif(path, frames):
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest)
    return path


@pytest.fixture
def mixed(tmp_path):
    """Four films that can be used, and six that cannot."""
    at = tmp_path / "films"
    album(at / "a", film(10))
    gif(at / "b.gif", film(20, 6))
    np.save(at / "c.npy", film(30, 25))
    album(at / "deep" / "d", film(40, 5))
    album(at / "short", film(50, 4))
    album(at / "one", film(60, 1))
    np.save(at / "still.npy", film(70)[[0, 0, 0, 0, 0]])
    np.save(at / "nan.npy", np.full((9, SIDE, SIDE), np.nan))
    (at / "text.gif").write_text("hello")
    (album(at / "broken", film(80)) / "3.png").write_bytes(b"")
    (at / "notes.txt").write_text("hello")
    return at


def rng(seed=0):
    return Generator().manual_seed(seed)


def tags(clips):
    return (255 * clips.frames[:, 0, 0, 0, 0]).round().int().tolist()


def times(clips):
    return (25.5 * clips.frames[:, :, 1, 1, 0]).round().int()


def test_clips_are_windows_of_the_films_and_bad_films_are_counted_and_named(mixed):
    data = ClipFolder(mixed, SIDE)
    made = data.clips(800, 4, rng())
    assert made.frames.shape == (800, 5, 3, SIDE, SIDE) and made.speeds.shape == (800, 4, 0)
    assert set(tags(made)) == {10, 20, 30, 40} and (times(made).diff(dim=1) == 1).all()
    assert {path.name: reason for path, reason in data.skipped.items()} == {
        "short": "it has 4 frames; clips of 4 steps need 5", "one": "it has one frame only; expected two or more",
        "still.npy": "no frame differs from the next; expected some change",
        "nan.npy": "frame 1 holds NaN or infinity",
        "text.gif": "it is none of PNG, JPEG, BMP, GIF, TIFF, PPM, WEBP",
        "broken": "its frame 3.png: it is none of PNG, JPEG, BMP, GIF, TIFF, PPM, WEBP",
    }  # fmt: skip
    assert len(data) == 10 and ClipFolder(mixed, SIDE).check() == 4
    assert [tags(made).count(tag) for tag in (10, 20, 30, 40)] == [200] * 4
    long = times(made)[[tag == 30 for tag in tags(made)], 0]
    assert set(long.tolist()) == set(range(21)), "every window of a long film is taken"
    exact = torch.from_numpy(film(30, 25)).permute(0, 3, 1, 2).float() / 255
    first = tags(made).index(30)
    start = int(times(made)[first, 0])
    torch.testing.assert_close(made.frames[first], exact[start : start + 5])


def test_every_film_comes_before_any_comes_again(tmp_path):
    for k in range(7):
        album(tmp_path / str(k), film(10 * k + 10))
    made = ClipFolder(tmp_path, SIDE, steps=2).clips(14, 2, rng(1))
    assert sorted(tags(made)[:7]) == sorted(tags(made)[7:]) == [10 * k + 10 for k in range(7)]
    assert tags(made) != sorted(tags(made))


def test_the_same_generator_gives_the_same_clips_whatever_was_read_before(mixed, monkeypatch):
    before = torch.random.get_rng_state()
    fresh = ClipFolder(mixed, SIDE).clips(20, 4, rng(5)).frames
    used = ClipFolder(mixed, SIDE)
    used.check()
    assert torch.equal(fresh, used.clips(20, 4, rng(5)).frames)
    assert not torch.equal(fresh, used.clips(20, 4, rng(6)).frames)
    assert torch.equal(before, torch.random.get_rng_state())


def test_what_is_kept_in_memory_is_bounded_and_a_film_is_read_once_for_a_batch(mixed, monkeypatch):
    read = []
    original = clip_folder.read_film
    monkeypatch.setattr(
        clip_folder, "read_film", lambda path, *a, **k: read.append(path.name) or original(path, *a, **k)
    )
    data = ClipFolder(mixed, SIDE)
    wanted = data.clips(50, 4, rng(1)).frames
    assert len(read) == 10
    data.clips(50, 4, rng(2))
    assert len(read) == 10, "what was read is kept"
    monkeypatch.setattr(clip_folder, "_KEPT", 1)
    read.clear()
    small = ClipFolder(mixed, SIDE)
    assert torch.equal(small.clips(50, 4, rng(1)).frames, wanted)
    assert len(small._kept) == 1 and len(read) < 20


def test_longer_clips_pass_over_films_that_are_too_short_for_them(mixed):
    data = ClipFolder(mixed, SIDE)
    assert set(tags(data.clips(40, 8, rng()))) == {10, 30} and len(data.skipped) == 6
    assert set(tags(data.clips(80, 1, rng()))) == {10, 20, 30, 40}
    with pytest.raises(ValueError, match=r"steps: no film in .* has 26 frames; the longest has 25"):
        data.clips(1, 25, rng())


def test_held_out_films_are_never_in_training_not_even_as_copies(tmp_path):
    for k in range(30):
        album(tmp_path / "a" / f"{k:02d}", film(8 * k + 8, 3))
    train, test = (ClipFolder(tmp_path / "a", SIDE, steps=1, split=part) for part in ("train", "test"))
    sides = [set(tags(part.clips(60, 1, rng()))) for part in (train, test)]
    assert not sides[0] & sides[1] and len(sides[0] | sides[1]) == 30 and 1 <= len(test) < 10
    shutil.copytree(test.films[0], tmp_path / "a" / "zz")
    shutil.copytree(train.films[0], tmp_path / "a" / "zzz")
    again = [ClipFolder(tmp_path / "a", SIDE, steps=1, split=part) for part in ("train", "test")]
    assert [set(tags(part.clips(64, 1, rng()))) for part in again] == sides
    assert train.digest() != test.digest() and train.settings["split"] == "train"


def test_one_film_is_a_dataset_of_its_windows(mixed):
    for path in (mixed / "c.npy", mixed / "a", mixed / "b.gif"):
        assert len(ClipFolder(path, SIDE)) == 1 and len(ClipFolder(path, SIDE).clips(9, 4, rng()).frames) == 9
    with pytest.raises(ValueError, match="at least two different films"):
        ClipFolder(mixed / "c.npy", split="train")


def test_a_missing_an_empty_and_a_useless_folder_are_told_apart(tmp_path):
    with pytest.raises(FileNotFoundError, match="No such folder of films"):
        ClipFolder(tmp_path / "none")
    with pytest.raises(FileNotFoundError, match=r"No films in .*expected sub-folders of frames"):
        ClipFolder(tmp_path)
    np.save(tmp_path / "x.npy", film(1)[:1])
    with pytest.raises(OSError, match=r"Not one of the 1 films in .* could be used; the first: .*x\.npy: it has"):
        ClipFolder(tmp_path).clips(2, 4, rng())


@pytest.mark.parametrize(
    "wrong, reason",
    [({"canvas": 3}, "canvas: expected at least 4"), ({"steps": 0}, "steps: expected an integer >= 1"),
     ({"split": "held"}, "split: expected 'all', 'train' or 'test', got 'held'"),
     ({"background": -1}, "background: expected a grey")],
)  # fmt: skip
def test_settings_out_of_range_are_refused(mixed, wrong, reason):
    with pytest.raises(ValueError, match=reason):
        ClipFolder(mixed, **wrong)


def test_what_cannot_be_drawn_is_refused(mixed):
    for n, steps in ((0, 4), (3, 0)):
        with pytest.raises(ValueError, match="expected n >= 1 clips of steps >= 1"):
            ClipFolder(mixed).clips(n, steps, rng())


def test_a_film_that_is_gone_is_passed_over(mixed):
    data = ClipFolder(mixed, SIDE)
    shutil.rmtree(mixed / "a")
    assert 10 not in tags(data.clips(40, 4, rng())) and "No such film" in data.skipped[mixed / "a"]
