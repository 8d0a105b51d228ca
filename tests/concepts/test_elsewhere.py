"""Images made elsewhere: another floor exchanged, light from the other side mirrored, places mirrored back."""

import json
import math

import pytest
import torch
from PIL import Image
from torch import Generator

from ergosum.cli import main
from ergosum.concepts.elsewhere import (
    LEAST,
    adapted,
    elsewhere_tables,
    elsewhere_targets,
    exchanged,
    floor_of,
    restored,
    score_elsewhere,
)
from ergosum.data import ConceptScenes
from ergosum.data.attributed import Attribute, Attributed
from ergosum.data.scene_reader import SceneReader
from ergosum.part import Part
from ergosum.training.runfolder import load_predictor

ATTRIBUTES = (Attribute("side", ("left", "right")), Attribute("place", numbers=2))
SIDE = 8
KNOWN = torch.full((3, SIDE, SIDE), 0.5) * torch.linspace(0.6, 1.0, SIDE)  # lit from the right
FOREIGN = torch.tensor([0.8, 0.6, 0.4])[:, None, None] * torch.linspace(1.0, 0.7, SIDE).expand(3, SIDE, SIDE)  # left
DARK = 0.5


class Rooms:
    """A green point in a room, and its shadow beside it: at its left, in the other room at its right."""

    attributes, side, channels = ATTRIBUTES, SIDE, 3
    elsewhere = ("other", "unknown")

    def __init__(self, split="train", variant="usual"):
        if variant == "unknown":
            raise ImportError("no such renderer here")
        self.floor, self.shift = (KNOWN, -1) if variant == "usual" else (FOREIGN, 1)

    def attributed(self, n, generator):
        at = torch.randint(1, SIDE - 1, (n, 2), generator=generator)
        images = self.floor.repeat(n, 1, 1, 1)
        for image, (x, y) in zip(images, at.tolist(), strict=True):
            image[:, y, x] = torch.tensor([0.1, 0.9, 0.1])
            image[:, y, x + self.shift] *= DARK
        values = torch.cat([(at[:, :1] > SIDE / 2).float(), (at + 0.5) / SIDE], 1)
        return Attributed(images, values)


class Model:
    attributes, side = ATTRIBUTES, SIDE


def greenest(images):
    found = (images[:, 1] - images[:, 0]).flatten(1).argmax(1)
    return torch.stack([found % SIDE, found // SIDE], 1)


def read(images):
    """Values of images of the known room: the place, and at which side of the point its shadow falls."""
    at = greenest(images)
    rows = torch.arange(len(images))
    beside = [images[rows, 0, at[:, 1], (at[:, 0] + step).clamp(0, SIDE - 1)] for step in (-1, 1)]
    return torch.cat([(beside[0] > beside[1]).float()[:, None], (at + 0.5) / SIDE], 1)


def unlike(images, generator):
    """How far from the floor of the known room, at the right of the point."""
    at, rows = greenest(images), torch.arange(len(images))
    right = (at[:, 0] + 1).clamp(max=SIDE - 1)
    return {"far": (images[rows, 0, at[:, 1], right] - KNOWN[0, at[:, 1], right]).abs()}


def test_another_floor_is_exchanged_and_shadows_and_things_stay():
    floor, own = torch.full((3, 4, 4), 0.5), torch.tensor([0.7, 0.6, 0.4])[:, None, None].expand(3, 4, 4)
    image = own.clone()
    image[:, 1, 1] *= 0.5  # in shadow
    image[:, 2, 2] = torch.tensor([0.4, 0.4, 0.4])  # grey, which the floor is not
    made = exchanged(image[None], own, floor)[0]
    wanted = floor.clone()
    wanted[:, 1, 1] = 0.25
    wanted[:, 2, 2] = 0.4
    torch.testing.assert_close(made, wanted)
    with pytest.raises(ValueError, match="expected images of two channels or more, got grey ones"):
        exchanged(image[None, :1], own[:1], floor[:1])


def test_images_are_mirrored_where_their_light_is_and_only_there():
    for variant, mirrored in (("usual", False), ("other", True)):
        images, values = Rooms(variant=variant).attributed(40, Generator().manual_seed(0))
        made = adapted(images, KNOWN, unlike, Generator().manual_seed(0))
        assert made.mirrored == mirrored
        told = restored(read(made.images), ATTRIBUTES, made.mirrored)
        assert torch.equal(told[:, 1:], values[:, 1:]) and (told[:, 0] == 0).all()
        ground = made.images[:, :, 0]  # no point in the first row: the known floor, whichever way it was turned
        torch.testing.assert_close(ground, KNOWN[:, 0].expand_as(ground))


def test_what_cannot_be_adapted_is_refused():
    few = Rooms().attributed(LEAST - 1, Generator().manual_seed(0)).images
    with pytest.raises(ValueError, match=f"expected {LEAST} images of one place, .* got {LEAST - 1}"):
        adapted(few, KNOWN, unlike, Generator())
    turned = (Attribute("angle", numbers=1),)
    assert torch.equal(restored(torch.ones(2, 1), turned, False), torch.ones(2, 1))
    with pytest.raises(ValueError, match="expected places of two numbers, got angle of 1"):
        restored(torch.ones(2, 1), turned, True)
    values = torch.tensor([[1.0, 0.25, 0.75]])
    assert restored(values, ATTRIBUTES, True).tolist() == [[1.0, 0.75, 0.75]] and values[0, 1] == 0.25


def test_scores_tell_what_adapting_is_worth_and_leave_out_what_cannot_be_drawn():
    with pytest.warns(UserWarning, match="images of 'unknown' are left out of the score, .*: no such renderer here"):
        told = score_elsewhere(Model(), Part(Rooms), lambda x: torch.cat([1 - read(x)[:, :1], read(x)[:, 1:]], 1),
                               unlike, 50, 0)  # fmt: skip
    assert [(row["variant"], row["images"]) for row in told["elsewhere"]] == [
        ("other", "as they are"), ("other", "adapted"),
    ]  # fmt: skip
    before, after = told["elsewhere"]
    assert after["place"] == before["place"] == 0 and after["mirrored"]
    record = Rooms(variant="other").attributed(50, Generator().manual_seed(0))
    right = record.values[:, 0].mean().item()  # what calls every side right is right so often, as it is and adapted
    assert math.isclose(after["side"], right, abs_tol=1e-6) and math.isclose(before["side"], 1 - right, abs_tol=1e-6)
    assert told["infer_elsewhere"] == after["side"]
    (wanted,) = elsewhere_targets(told)
    assert wanted["met"] == (after["side"] >= 0.9)
    assert elsewhere_tables(told)[0].rows == told["elsewhere"] and not elsewhere_tables({})
    assert score_elsewhere(Model(), Part(ConceptlessRooms), read, unlike, 8, 0) == {}
    with pytest.warns(UserWarning, match="left out"):
        few = score_elsewhere(Model(), Part(Rooms), read, unlike, 2, 0)["elsewhere"]
    assert [row["n"] for row in few] == [LEAST] * 2  # as many as a median needs


class ConceptlessRooms(Rooms):
    elsewhere = ()


def test_a_card_reads_another_room(tmp_path, capsys, monkeypatch):
    for name, few in (("GRID", 5), ("STEPS", 25)):
        monkeypatch.setattr(f"ergosum.concepts.inference.{name}", few)
    monkeypatch.setattr("ergosum.concepts.task.floor_of", lambda data: floor_of(data.but(count=64)))
    images, values = (x.squeeze(1) for x in ConceptScenes(count=12, split="test", variant="other").at(torch.arange(12)))
    for number, image in enumerate((255 * images).round().byte().permute(0, 2, 3, 1).numpy()):
        Image.fromarray(image).save(tmp_path / f"{number:02d}.png")
    given = ["infer", "concepts-latents", "--start", str(tmp_path), "--json"]
    names, gaps = load_predictor("concepts-latents")[1].attributes[1].values, []
    for extra in ([], ["--adapt"]):
        assert main([*given, *extra]) == 0
        told = json.loads(capsys.readouterr().out)["images"]
        places = torch.tensor([one["place"] for one in told])
        gaps.append((32 * (places - values[:, 3:])).norm(dim=1).median().item())
    assert gaps[1] < 1 < gaps[0]
    assert [max(one["colour"], key=one["colour"].get) for one in told] == [names[int(v)] for v in values[:, 1]]
    assert main(given[:-1]) == 0 and "--adapt may make them readable" in capsys.readouterr().out
    assert main([*given[:-1], "--adapt"]) == 0 and "--adapt" not in capsys.readouterr().out
    (tmp_path / "00.png").rename(tmp_path / "00.bak")
    for number in range(1, 5):
        (tmp_path / f"{number:02d}.png").unlink()
    assert main([*given, "--adapt"]) == 1
    assert "expected 8 images of one place" in capsys.readouterr().err


def test_another_renderer_draws_the_same_solids():
    with pytest.raises(ValueError, match="expected images by the ray caster, got MuJoCo's"):
        SceneReader("mujoco")
    try:
        other = ConceptScenes(count=6, split="test", variant="mujoco").at(torch.arange(6))
    except (ImportError, RuntimeError) as error:  # no MuJoCo, or no OpenGL
        pytest.skip(str(error))
    own = ConceptScenes(count=6, split="test").at(torch.arange(6))
    assert torch.equal(own.values, other.values)
    gap = (own.images - other.images).abs().mean((1, 2, 3))
    assert (gap > 0.003).all() and (gap < 0.1).all()


def test_reading_an_image_draws_none_of_the_training_s(tmp_path, monkeypatch, capsys):
    Image.new("RGB", (32, 32), (90, 90, 90)).save(tmp_path / "a.png")
    monkeypatch.setattr("ergosum.concepts.inference.STEPS", 2)
    monkeypatch.setattr(ConceptScenes, "at", lambda self, rows: pytest.fail("20,000 images are drawn to read one"))
    assert main(["infer", "concepts-latents", "--start", str(tmp_path)]) == 0
    assert "a.png" in capsys.readouterr().out
