"""What is wrong with a dataset of one's own is said before anything is trained, and by its name."""

import pytest
import torch
from torch import Generator

from ergosum.data.contract import check_clips, check_images, check_pairs
from ergosum.data.record import Clips, ImageRecord, Pairs
from ergosum.data.sequences import DigitSequences
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.training.loop import train


class Stripes:
    """A dataset of images in which one thing may be wrong."""

    factors, attributes, objects = ("phase",), ("x", "y"), 2

    def __init__(self, side: int = 16, wrong: str = "", split: str = "train"):
        self.side, self.wrong, self.settings = side + (wrong == "side"), wrong, {"side": side}
        if wrong == "settings":
            self.settings = {"side": torch.tensor(side)}
        if wrong == "missing":
            del self.settings

    def draw(self, n, generator):
        side = self.side
        images = torch.rand(n, 3, side, side, generator=generator)
        masks = torch.arange(3)[:, None, None] == (torch.arange(side) % 3).expand(n, 1, side, side)
        changed = {
            "grey": {"images": images[:, :1]}, "bytes": {"images": (255 * images).byte()},
            "255": {"images": 255 * images}, "double": {"images": images.double()}, "one": {"images": images[0]},
            "many": {"images": images.repeat(2, 1, 1, 1)}, "size": {"images": images[..., :-4, :-4]},
            "nobody": {"masks": masks & False}, "two": {"masks": masks | True},
            "floats": {"masks": masks.float()}, "no ground": {"masks": masks[:, 1:]},
            "factors": {"factors": torch.zeros(n, 2)}, "attributes": {"attributes": torch.zeros(n, 2, 1)},
        }.get(self.wrong, {})  # fmt: skip
        record = ImageRecord(images, torch.zeros(n, 1), masks, torch.zeros(n, 2, 2))._replace(**changed)
        return tuple(record) if self.wrong == "tuple" else record


IMAGES = {
    "grey": r"Stripes.draw, images: expected \(batch, 3, 16, 16\).*repeat the grey channel",
    "bytes": "images: expected float32 in 0 .. 1, got torch.uint8", "255": "values from .* x / 255",
    "double": "float32 .* torch.float64", "one": "add the batch", "many": "expected 2 images .* got 4",
    "size": r"got the shape \(2, 3, 12, 12\)", "nobody": "exactly one owner of every pixel.* 512 of 512",
    "two": "exactly one owner", "floats": "masks: expected Booleans, got torch.float32",
    "no ground": r"masks: expected the shape \(2, 3, 16, 16\), the background first; got \(2, 2, 16, 16\)",
    "factors": r"factors: expected the shape \(2, 1\)", "attributes": r"attributes: expected the shape \(2, 2, 2\)",
    "tuple": "Stripes.draw: expected images, factors, masks, attributes; missing: images",
    "missing": "Stripes: expected side.*missing: settings", "settings": "Stripes.settings: expected plain values",
    "side": "Stripes.side: expected 16, .*got 17",
}  # fmt: skip


@pytest.mark.parametrize("wrong", IMAGES)
def test_a_wrong_dataset_of_images_is_refused_before_a_run_folder_is_made(wrong, tmp_path):
    check_images(Stripes(), 16)
    recipe = find("tetrominoes").but(task={"data": Part(Stripes, wrong=wrong), "count": 8})
    with pytest.raises(ValueError, match=IMAGES[wrong]):
        next(train(recipe, tmp_path / "run", accelerator="cpu"))
    assert not (tmp_path / "run").exists()


class Brightening:
    """A dataset of pairs in which one thing may be wrong."""

    def __init__(self, canvas: int = 28, wrong: str = "", split: str = "train"):
        self.canvas, self.wrong = canvas, wrong

    def pairs(self, n, generator):
        start, none = 0.5 * torch.rand(n, 3, self.canvas, self.canvas, generator=generator), torch.zeros(n, 3)
        made = Pairs(start, start + 0.1, none, none, none, start[:, :1], torch.zeros(n, dtype=torch.long))
        changed = {
            "start": {"start": start[:, :, :20, :20]}, "target": {"target": 3 * start + 1},
            "moves": {"moves": none[:1]}, "labels": {"labels": 0}, "digits": {"digits": start[0, 0]},
        }.get(self.wrong, {})  # fmt: skip
        return made[:2] if self.wrong == "tuple" else made._replace(**changed)


PAIRS = {
    "start": r"Brightening.pairs, start: expected \(batch, 3, 28, 28\).*\(2, 3, 20, 20\)",
    "target": "Brightening.pairs, target: .*values from", "moves": r"moves: expected a tensor of 2 rows.* \(1, 3\)",
    "labels": "labels: expected a tensor of 2 rows.* int", "digits": r"digits: expected .* \(28, 28\)",
    "tuple": "Brightening.pairs: expected start, .*; missing: start",
}  # fmt: skip


@pytest.mark.parametrize("wrong", PAIRS)
def test_a_wrong_dataset_of_pairs_is_refused_before_a_run_folder_is_made(wrong, tmp_path):
    check_pairs(Brightening(), 28)
    recipe = find("angle").but(task={"data": Part(Brightening, wrong=wrong)})
    with pytest.raises(ValueError, match=PAIRS[wrong]):
        next(train(recipe, tmp_path / "run", accelerator="cpu"))
    assert not (tmp_path / "run").exists()


class Fading:
    """A dataset of clips in which one thing may be wrong."""

    factors = ("light",)

    def __init__(self, canvas: int = 28, wrong: str = "", split: str = "train"):
        self.canvas, self.wrong = canvas, wrong
        if wrong == "names":
            self.columns = ("red", "green", "blue")

    def clips(self, n, steps, generator):
        first = torch.rand(n, 1, 3, self.canvas, self.canvas, generator=generator)
        frames = first * 0.9 ** torch.arange(steps + 1)[:, None, None, None]
        speeds = torch.full((n, steps, 1), -1.0)
        changed = {
            "short": {"frames": frames[:, 1:]}, "size": {"frames": frames[..., :20, :20]},
            "range": {"frames": 2 * frames + 1}, "double": {"frames": frames.double()},
            "bytes": {"frames": (255 * frames).byte()}, "still": {"frames": frames[:, 0]},
            "per clip": {"speeds": speeds[:, 0]}, "NaN": {"speeds": speeds / 0 * 0}, "whole": {"speeds": speeds.long()},
            "list": {"speeds": [1.0]}, "NaN frames": {"frames": frames / 0 * 0},
        }.get(self.wrong, {})  # fmt: skip
        made = Clips(frames, speeds)._replace(**changed)
        return tuple(made) if self.wrong == "tuple" else made


CLIPS = {
    "short": r"Fading.clips, frames: expected the shape \(2, 4, 3, 28, 28\).*got \(2, 3, 3, 28, 28\)",
    "size": r"got \(2, 4, 3, 20, 20\)", "range": "Fading.clips, frames: .*values from", "double": "float32 .*float64",
    "bytes": "expected float32 in 0 .. 1, got torch.uint8", "still": r"got \(2, 3, 28, 28\)",
    "per clip": r"Fading.clips, speeds: expected the shape \(2, 3, 1\), one column for each name; got \(2, 1\)",
    "NaN": "speeds: expected finite float32, got NaN", "whole": "speeds: expected finite float32, got torch.int64",
    "list": "speeds: .* got list", "names": r"speeds: expected the shape \(2, 3, 3\)",
    "tuple": "Fading.clips: expected frames, speeds; missing: frames", "NaN frames": "frames: .*NaN or infinity",
}  # fmt: skip


@pytest.mark.parametrize("wrong", CLIPS)
def test_a_wrong_dataset_of_clips_is_refused(wrong):
    check_clips(Fading(), 28, 3)
    with pytest.raises(ValueError, match=CLIPS[wrong]):
        check_clips(Fading(wrong=wrong), 28, 3)
    with pytest.raises(ValueError, match="Stripes: expected factors, clips; missing: clips"):
        check_clips(Stripes(), 16)


def test_the_check_takes_no_random_number_of_the_training():
    before, data, generator = torch.random.get_rng_state(), DigitSequences(source="digits"), Generator().manual_seed(5)
    plain = data.pairs(3, Generator().manual_seed(5))
    check_pairs(data, 28)
    assert torch.equal(plain.start, data.pairs(3, generator).start)
    check_images(Stripes())
    assert torch.equal(before, torch.random.get_rng_state())
