"""Films as users have them: frames, animated images, arrays, videos; and what is no film, told in one line."""

import io
import math
import sys
import types

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.data import film_file
from ergosum.data.film_file import UnreadableFilm, films_in, frame_files, read_film

SIDE, TIME = 16, 12


def walk(time=TIME, height=SIDE, width=SIDE):
    """A bright patch that wanders over noise of few colours: (time, height, width, 3), bytes."""
    noise = np.random.default_rng(0).integers(0, 4, (height, width, 3), dtype=np.uint8) * 20
    frames = np.repeat(noise[None], time, 0)
    for t in range(time):
        frames[t, 4:9, t % (width - 4) : t % (width - 4) + 4] = (250, 40 + 10 * t, 0)
    return frames


def as_tensor(frames):
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def album(folder, frames, name="frame{}.png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, frame in enumerate(frames):
        Image.fromarray(frame).save(folder / name.format(number))
    return folder


def animated(path, frames, **options):
    first, *rest = [Image.fromarray(frame) for frame in frames]
    first.save(path, save_all=True, append_images=rest, **{"duration": 80, **options})
    return path


def saved(path, array):
    if path.suffix == ".npz":
        np.savez_compressed(path, array)
    else:
        np.save(path, array)
    return path


KINDS = {
    "folder": lambda at, x: album(at / "walk", x),
    "gif": lambda at, x: animated(at / "a.gif", x),
    "png": lambda at, x: animated(at / "a.png", x),
    "webp": lambda at, x: animated(at / "a.webp", x, lossless=True),
    "tiff": lambda at, x: animated(at / "a.tiff", x),
    "bytes": lambda at, x: saved(at / "a.npy", x),
    "bytes, channels first": lambda at, x: saved(at / "a.npz", x.transpose(0, 3, 1, 2)),
    "floats": lambda at, x: saved(at / "a.npy", x.astype(np.float64) / 255),
    "floats, channels first": lambda at, x: saved(at / "a.npy", x.transpose(0, 3, 1, 2).astype(np.float32) / 255),
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_film_gives_the_frames_that_were_saved(kind, tmp_path):
    film = read_film(KINDS[kind](tmp_path, walk()), SIDE)
    assert film.frames.dtype == torch.float32 and film.frames.is_contiguous()
    torch.testing.assert_close(film.frames, as_tensor(walk()), rtol=0, atol=1e-6)
    assert film.placement == ((SIDE, SIDE), (0, 0, SIDE, SIDE), 1) and film.seconds.shape == (TIME,)
    stored = kind in ("gif", "png", "webp")
    assert film.seconds.sub(0.08).abs().max() < 1e-6 if stored else film.seconds.isnan().all()
    assert [path.name for path in films_in(tmp_path)] == ["walk" if kind == "folder" else f"a.{film_suffix(tmp_path)}"]


def film_suffix(folder):
    return next(path.suffix[1:] for path in folder.iterdir())


@pytest.mark.parametrize("kind", ["folder", "gif", "tiff", "bytes", "floats"])
def test_the_middle_square_is_kept_and_resized_and_its_place_is_told(kind, tmp_path):
    frames = walk(height=24, width=40)
    film = read_film(KINDS[kind](tmp_path, frames), 8)
    assert film.placement == ((40, 24), (8, 0, 32, 24), 1)
    wanted = [Image.fromarray(x[:, 8:32]).resize((8, 8), Image.Resampling.LANCZOS) for x in frames]
    slack = 0.03 if kind == "floats" else 1e-6  # of bytes, what rows resized first leave of a range is cut
    torch.testing.assert_close(film.frames, as_tensor(np.stack(wanted)), rtol=0, atol=slack)
    assert film.placement.to_original(film.frames).shape == (TIME, 3, 24, 40)


def test_arrays_of_grey_frames_have_three_equal_channels(tmp_path):
    grey = walk()[..., 0]
    for number, array in enumerate((grey, grey[..., None], grey[:, None], grey.astype(np.float32) / 255)):
        frames = read_film(saved(tmp_path / f"{number}.npy", array), SIDE).frames
        assert torch.equal(frames, as_tensor(np.stack([grey] * 3, 3)))
    lit = read_film(saved(tmp_path / "bool.npy", grey > 100), SIDE).frames
    assert set(lit.unique().tolist()) == {0.0, 1.0}
    several = tmp_path / "several.npz"
    np.savez(several, speeds=np.zeros(3), frames=walk())
    assert torch.equal(read_film(several, SIDE).frames, as_tensor(walk()))


def test_frames_are_in_natural_order_and_what_is_no_frame_is_passed_over(tmp_path):
    folder = album(tmp_path / "walk", walk(12))
    (folder / ".frame0.png").write_text("hidden")
    (folder / "notes.txt").write_text("hello")
    album(folder / "inner", walk(2))
    animated(folder / "preview.gif", walk())
    assert [path.name for path in frame_files(folder)] == [f"frame{t}.png" for t in range(12)]
    assert torch.equal(read_film(folder, SIDE).frames, as_tensor(walk(12)))
    named = [path.relative_to(tmp_path).as_posix() for path in films_in(tmp_path)]
    assert named == ["walk", "walk/preview.gif", "walk/inner"]


def test_a_folder_of_frames_is_a_film_and_one_still_image_beside_films_is_not(tmp_path):
    album(tmp_path / "a", walk(3))
    assert list(films_in(tmp_path / "a")) == [tmp_path / "a"]
    Image.fromarray(walk()[0]).save(tmp_path / "cover.png")
    saved(tmp_path / "b10.npy", walk())
    saved(tmp_path / "b2.npy", walk())
    assert [path.name for path in films_in(tmp_path)] == ["b2.npy", "b10.npy", "a"]
    with pytest.raises(FileNotFoundError, match="No such folder of films"):
        next(films_in(tmp_path / "none"))


def dots(size=8):
    """A red dot at the left, then a green one at the right, transparent elsewhere; then both far down."""
    frames = np.zeros((3, size, size, 4), np.uint8)
    frames[0, 2, 1] = (255, 0, 0, 255)
    frames[1, 2, 6] = (0, 255, 0, 255)
    frames[2, 6, 1:7] = (0, 0, 255, 255)
    return frames


def test_what_a_frame_leaves_standing_and_makes_transparent_is_as_a_viewer_shows_it(tmp_path):
    apart = read_film(animated(tmp_path / "a.gif", dots(), disposal=2), 8).frames
    torch.testing.assert_close(apart, as_tensor(dots()[..., :3]), rtol=0, atol=0)
    grey = read_film(tmp_path / "a.gif", 8, background=0.4).frames
    assert grey[1, :, 2, 6].tolist() == [0, 1, 0] and (grey[:, :, 0] - 0.4).abs().max() < 1e-6
    over = read_film(animated(tmp_path / "b.png", dots(), disposal=0, blend=1), 8).frames
    torch.testing.assert_close(over, as_tensor(dots()[..., :3].cumsum(0).astype(np.uint8)), rtol=0, atol=0)


def test_equal_frames_are_kept_and_a_still_for_older_viewers_is_no_frame(tmp_path):
    frames = walk(4)[[0, 0, 1, 1, 1, 2]]
    for film in (
        album(tmp_path / "a", frames),
        saved(tmp_path / "a.npy", frames),
        animated(tmp_path / "a.tif", frames),
    ):
        assert torch.equal(read_film(film, SIDE).frames, as_tensor(frames))
    stored_once = read_film(animated(tmp_path / "a.gif", frames), SIDE)
    assert len(stored_once.frames) == 3
    torch.testing.assert_close(stored_once.seconds, torch.tensor([0.16, 0.24, 0.08]))
    cover = animated(tmp_path / "b.png", np.concatenate([255 - frames[:1], walk(3)]), default_image=True)
    assert torch.equal(read_film(cover, SIDE).frames, as_tensor(walk(3)))


def changed(t, **places):
    frames = walk().astype(np.float32) / 255
    frames[t, 3, 3, 0] = places["to"]
    return frames


def object_array():
    array = np.empty(3, dtype=object)
    array[:] = [walk(1)[0]] * 3
    return array


def packed(**arrays):
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    return buffer.getvalue()


BAD = {
    "one frame": (lambda p: album(p, walk(1)), "has one frame only"),
    "one gif": (lambda p: animated(p.with_suffix(".gif"), walk(1)), "has one frame only"),
    "one row": (lambda p: saved(p.with_suffix(".npy"), walk(1)), "has one frame only"),
    "no frame": (lambda p: album(p, []), "has no frames"),
    "no row": (lambda p: saved(p.with_suffix(".npy"), walk()[:0]), "has no frames"),
    "sizes": (
        lambda p: album(album(p, walk(3)), walk(1, 20, 24), "frame9{}.png"),
        "the first has 16x16 pixels, frame 4 24x20",
    ),
    "pages": (lambda p: pages(p.with_suffix(".tiff")), "the first has 16x16 pixels, frame 2 20x20"),
    "still": (lambda p: album(p, walk(1)[[0, 0, 0]]), "no frame differs from the next"),
    "black": (lambda p: saved(p.with_suffix(".npy"), 0 * walk()), "every frame is black"),
    "grey": (lambda p: saved(p.with_suffix(".npy"), 0 * walk() + 99), "every frame is one colour"),
    "NaN": (lambda p: saved(p.with_suffix(".npy"), changed(3, to=math.nan)), "frame 4 holds NaN or infinity"),
    "infinity": (lambda p: saved(p.with_suffix(".npz"), changed(0, to=math.inf)), "frame 1 holds NaN or infinity"),
    "range": (lambda p: saved(p.with_suffix(".npy"), changed(1, to=255.0)), "frame 2 holds floats from 0 to 255"),
    "whole numbers": (lambda p: saved(p.with_suffix(".npy"), walk().astype(np.int32)), "numbers are int32; expected"),
    "0 and 1": (lambda p: saved(p.with_suffix(".npy"), walk() // 200), "bytes 0 and 1 alone"),
    "flat": (lambda p: saved(p.with_suffix(".npy"), walk()[0, 0]), r"shape is \(16, 3\); expected \(time, H, W\)"),
    "channels": (lambda p: saved(p.with_suffix(".npy"), np.zeros((5, 16, 16, 4))), r"shape is \(5, 16, 16, 4\)"),
    "narrow": (lambda p: saved(p.with_suffix(".npy"), np.zeros((5, 3, 16))), "frames have 16x3 pixels; expected at le"),
    "small": (lambda p: animated(p.with_suffix(".gif"), walk(3, 3, 5)), "5x3 pixels; expected at least 4x4"),
    "objects": (lambda p: saved(p.with_suffix(".npy"), object_array()), "it holds Python objects"),
    "several": (lambda p: written(p.with_suffix(".npz"), packed(a=walk(), b=walk())), "called frames; it holds a, b"),
    "empty npy": (lambda p: written(p.with_suffix(".npy"), b""), "no array of NumPy|No data left"),
    "text npz": (lambda p: written(p.with_suffix(".npz"), b"hello"), "is no array of NumPy"),
    "text gif": (lambda p: written(p.with_suffix(".gif"), b"hello"), "is none of PNG"),
    "zero bytes": (lambda p: written(p.with_suffix(".gif"), b""), "is none of PNG"),
    "text": (lambda p: written(p.with_suffix(".txt"), b"hello"), "is none of PNG"),
    "broken frame": (
        lambda p: written(album(p, walk(4)) / "frame2.png", b"no image").parent,
        r"its frame frame2.png: it is none of PNG",
    ),
    "half a frame": (lambda p: halved(album(p, walk(4)) / "frame1.png").parent, r"its frame frame1.png: "),
}  # fmt: skip


def written(path, content):
    path.write_bytes(content)
    return path


def halved(path):
    return written(path, path.read_bytes()[: path.stat().st_size // 2])


def pages(path):
    Image.fromarray(walk(1)[0]).save(path, save_all=True, append_images=[Image.fromarray(walk(1, 20, 20)[0])])
    return path


@pytest.mark.parametrize("wrong", BAD)
def test_what_is_no_film_is_refused_in_one_line(wrong, tmp_path):
    make, reason = BAD[wrong]
    path = make(tmp_path / "x")
    with pytest.raises(UnreadableFilm, match=reason) as caught:
        read_film(path, SIDE)
    assert "\n" not in str(caught.value) and str(caught.value).startswith(f"{path} could not be read as a film: ")
    assert caught.value.reason and not caught.value.reason.endswith(".")


def test_a_missing_film_and_settings_out_of_range_are_told(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"No such film: .*none\.gif"):
        read_film(tmp_path / "none.gif", SIDE)
    film = saved(tmp_path / "a.npy", walk())
    with pytest.raises(ValueError, match="side: expected at least 4"):
        read_film(film, 3)
    with pytest.raises(ValueError, match=r"background: expected a grey in 0 .. 1"):
        read_film(film, SIDE, background=2)


@pytest.mark.parametrize("suffix", [".gif", ".png", ".webp", ".npy", ".npz", ".tiff"])
def test_damaged_files_give_a_film_or_one_clear_error_and_nothing_else(suffix, tmp_path):
    make = saved if suffix in film_file.ARRAYS else animated
    whole = make(tmp_path / f"whole{suffix}", walk(5)).read_bytes()
    generator = np.random.default_rng(1)
    refused = 0
    for trial in range(60):
        content = bytearray(whole[: generator.integers(len(whole))] if trial % 2 else whole)
        for place in generator.integers(len(content), size=trial % 4 and 6) if content else ():
            content[place] = generator.integers(256)
        path = written(tmp_path / f"x{suffix}", bytes(content))
        assert set(films_in(tmp_path)) <= {path, tmp_path / f"whole{suffix}", tmp_path}
        try:
            film = read_film(path, SIDE)
        except UnreadableFilm as error:
            refused += 1
            assert "\n" not in str(error)
        else:
            assert film.frames.shape[1:] == (3, SIDE, SIDE) and film.frames.isfinite().all()
    assert refused >= 20


def test_a_film_that_is_too_long_is_refused_before_more_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(film_file, "MOST_FRAMES", 5)
    assert len(read_film(saved(tmp_path / "a.npy", walk(5)), SIDE).frames) == 5
    seen = []
    monkeypatch.setattr(film_file, "_array_square", lambda *a: seen.append(a) or _square(*a))
    with pytest.raises(UnreadableFilm, match="more than 5 frames, the most that are read at 16 pixels; cut it"):
        read_film(saved(tmp_path / "b.npy", walk(12)), SIDE)
    assert len(seen) == 6
    monkeypatch.setattr(film_file, "MOST_FRAMES", 20_000)
    monkeypatch.setattr(film_file, "_MOST_VALUES", 3 * 3 * SIDE * SIDE)
    with pytest.raises(UnreadableFilm, match="more than 3 frames"):
        read_film(tmp_path / "a.npy", SIDE)
    monkeypatch.setattr(film_file, "_MOST_UNPACKED", 1000)
    with pytest.raises(UnreadableFilm, match=r"array unpacks to 9,344 bytes; at most 1,000"):
        read_film(saved(tmp_path / "c.npz", walk(12)), SIDE)
    (tmp_path / "d").mkdir()
    Image.new("1", (9000, 9000)).save(tmp_path / "d" / "0.png")
    with pytest.raises(UnreadableFilm, match=r"its frame 0.png: (9000x9000 pixels|it claims too many)"):
        read_film(tmp_path / "d", SIDE)


_square = film_file._array_square


def encode(path, frames, codec):
    av = pytest.importorskip("av", reason="videos need PyAV: pip install 'ergosum[video]'")
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=10)
        stream.width, stream.height, stream.pix_fmt = frames.shape[2], frames.shape[1], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(frame), format="rgb24")))
        container.mux(stream.encode())
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm", "a.avi"])
def test_videos_give_their_frames(name, tmp_path):
    codec = {"a.mkv": "ffv1", "a.webm": "libvpx"}.get(name, "mpeg4")
    smooth = np.zeros((TIME, 32, 48, 3), np.uint8)
    for t in range(TIME):
        smooth[t, 8:24, 8 + t : 24 + t] = 200
    film = read_film(encode(tmp_path / name, smooth, codec), 32)
    assert film.frames.shape == (TIME, 3, 32, 32) and film.placement == ((48, 32), (8, 0, 40, 32), 1)
    assert (film.frames - as_tensor(smooth[:, :, 8:40])).abs().mean() < 0.02  # lossy
    torch.testing.assert_close(film.seconds, torch.full((TIME,), 0.1))
    assert list(films_in(tmp_path)) == [tmp_path / name]
    halved(tmp_path / name)
    try:
        assert len(read_film(tmp_path / name, 32).frames) < TIME
    except UnreadableFilm as error:
        assert "\n" not in str(error)


def test_a_video_that_is_none_names_no_other_file(tmp_path):
    pytest.importorskip("av", reason="videos need PyAV: pip install 'ergosum[video]'")
    secret = encode(tmp_path / "secret.mp4", walk(), "mpeg4")
    (tmp_path / "x.mp4").write_text(f"#EXTM3U\n#EXTINF:1,\n{secret}\n#EXT-X-ENDLIST\n")
    (tmp_path / "y.avi").write_text(f"ffconcat version 1.0\nfile {secret}\n")
    for name in ("x.mp4", "y.avi"):
        with pytest.raises(UnreadableFilm, match="it is no video that can be read"):
            read_film(tmp_path / name, SIDE)


def test_videos_are_read_as_what_their_name_says(tmp_path, monkeypatch):
    asked = []

    class Reader(types.ModuleType):
        FFmpegError = RuntimeError

        def open(self, path, format=None):
            asked.append(format)
            raise RuntimeError("no video")

    monkeypatch.setitem(sys.modules, "av", Reader("av"))
    for name, kind in film_file.VIDEOS.items():
        with pytest.raises(UnreadableFilm, match="it is no video that can be read: no video"):
            read_film(written(tmp_path / f"a{name}", b"#EXTM3U"), SIDE)
        assert asked[-1] == kind is not None


def test_without_the_extra_a_video_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UnreadableFilm, match=r"pip install 'ergosum\[video\]'"):
        read_film(written(tmp_path / "a.mp4", b"00"), SIDE)
