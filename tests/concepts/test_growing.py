"""A model of concepts that grows: what was there before stays in every bit, and what is added can be drawn with it."""

import json
import shutil

import pytest
import torch
from torch import Generator

from ergosum.cli import main
from ergosum.concepts import AttributeCodec, Grown, GrownCodes, GrownDensities, GrownEnergy, WholeEnergy
from ergosum.concepts import task as concepts_task
from ergosum.concepts.code_parts import corners
from ergosum.concepts.encoder import recoloured
from ergosum.concepts.recipes import colour, place, scenes, shape
from ergosum.data import ConceptScenes, PartlyTold
from ergosum.part import Part
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor, load_weights
from tests.shrink import shrunk

STAGES = ("place", "shape", "colour")


def small(recipe, before=""):
    changes = {"model": {"grown_from": str(before)}} if before else {}
    return shrunk(recipe()).but(optimiser={"iterations": 10, "batch": 16}, task={"draws": 16, **changes})


@pytest.fixture(scope="module")
def runs(tmp_path_factory, quick_scores):
    """Three tiny runs, each grown from the one before; the first is moved away when the last has been trained."""
    folder, before = tmp_path_factory.mktemp("grown"), ""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(concepts_task, "CALIBRATED", 40)  # images that levels are chosen on
        for name, recipe in zip(STAGES, (place, shape, colour), strict=True):
            for _ in train(small(recipe, before), folder / name, accelerator="cpu"):
                pass
            before = folder / name
    shutil.move(folder / "place", folder / "first")
    return {name: folder / ("first" if name == "place" else name) for name in STAGES}


@pytest.fixture(scope="module")
def models(runs):
    return {name: load_predictor(run)[1] for name, run in runs.items()}


def drawn(run, formula, n=3):
    experiment, model = load_predictor(run)
    return experiment.built().sample([model], formula, n=n, steps=5, seed=3)


def bits(made):
    return torch.frombuffer(bytearray(made.image.tobytes()), dtype=torch.uint8)


def test_older_weights_are_those_of_the_older_run(runs):
    for old, new in (("place", "shape"), ("shape", "colour")):
        before, after = load_weights(runs[old] / "model.safetensors"), load_weights(runs[new] / "model.safetensors")
        assert len(before) < len(after)
        assert all(torch.equal(after[f"before.{name}"], weight) for name, weight in before.items())


@pytest.mark.parametrize(("formula", "first"), [
    ("at(0.3,0.6)", 0), ("", 0), ("sphere & at(0.3,0.6)", 1), ("~cube", 1), ("sphere | cylinder", 1)
])  # fmt: skip
def test_what_could_be_drawn_before_is_the_same_in_every_bit(runs, formula, first):
    made = [drawn(runs[name], formula) for name in STAGES[first:]]
    for other in made[1:]:
        assert torch.equal(bits(other), bits(made[0])) and other.numbers == made[0].numbers
        assert [t.rows for t in other.tables] == [t.rows for t in made[0].tables]  # the energies among them


def test_the_gate_is_exactly_zero_where_a_new_part_is_neutral(models):
    model, generator = models["colour"], Generator().manual_seed(0)
    for old in (models["place"], models["shape"]):
        x = 2 * torch.randn(6, old.space.event[0], generator=generator)
        assert torch.equal(model.decode(model.completed(x)), old.decode(x))
    space, count = model.space, 8
    codes = torch.randn(count, space.codec.latent, generator=generator)
    codes[:, :count] = corners(torch.arange(count), count)
    gate = space.gate(codes)
    assert space.neutral == 5 and gate[5] == 0
    torch.testing.assert_close(gate[[0, 1, 2, 3, 4, 6, 7]], torch.ones(7), atol=1e-6, rtol=0)
    between = codes[:1].clone()
    between[:, :count] = corners(torch.tensor([0, 5]), count).mean(0)
    assert float(space.gate(between)) == pytest.approx(0.5, abs=1e-6)


def test_the_new_decoder_draws_where_the_new_part_is_not_neutral(models):
    model = models["colour"]
    x = model.completed(torch.randn(2, models["place"].space.event[0], generator=Generator().manual_seed(0)))
    red = x.clone()
    part = model.space.own.start + torch.arange(8)
    red[:, part] = ((corners(torch.tensor([1]), 8) - model.space.centre[:8]) / model.space.spread[:8]).expand(2, -1)
    own = red[:, model.space.own] * model.space.spread + model.space.centre
    beside = model.space.before.shown(red[:, : model.space.own.start])
    torch.testing.assert_close(model.decode(red), model.space.codec.decode(own, beside).clamp(0, 1))


def test_energies_add_up_and_the_older_ones_are_as_they_were(models):
    model, old = models["colour"], models["shape"]
    x = torch.randn(5, model.space.event[0], generator=Generator().manual_seed(0))
    for sigma in (0.0, 0.5, 10.0):
        told = model.condition(shape="sphere", place=(0.3, 0.6), colour="red")
        family, before, own = (f.at_noise(sigma) for f in (model.family, old.family, model.energy))
        parts = before(told[:3])(x[:, : old.space.event[0]]) + own(told[3:])(x[:, model.space.own])
        torch.testing.assert_close(family(told)(x), parts)
    torch.testing.assert_close(model.family.mean, torch.cat([old.family.mean, model.energy.mean]))


def test_the_levels_of_both_must_be_the_same():
    made = [WholeEnergy((2,), highest=highest) for highest in (15.0, 10.0)]
    with pytest.raises(ValueError, match=r"expected the levels of the older one, 0\.03 to 15, got 0\.03 to 10"):
        GrownEnergy(*made)


def test_what_a_formula_does_not_name_is_held_neutral(models):
    model, x = models["colour"], torch.randn(4, models["colour"].space.event[0])
    assert model.world(()) is model.before.before and model.world({"shape", "place"}) is model.before
    assert model.world({"shape", "colour"}) is model
    held = model.world({"colour"})
    assert held.attributes == model.attributes and held.names == model.names
    told, both = model.condition(colour="red"), model.condition(colour="red", shape="cube")
    torch.testing.assert_close(held.family(told)(x), model.family(both)(x))
    torch.testing.assert_close(held.family.prior()(x), model.family(model.condition(shape="cube"))(x))
    assert not torch.allclose(held.family(told)(x), model.family(told)(x))


def test_values_that_are_not_told_are_read_by_the_older_encoders(models):
    model, old = models["colour"], models["shape"]
    images = torch.rand(3, 3, 32, 32, generator=Generator().manual_seed(0))
    values = torch.full((3, 4), torch.nan)
    values[:, 3] = 1
    values[0, 2] = 2  # the first image's shape is told, a cylinder
    beside = model.space.beside(images, values)
    torch.testing.assert_close(beside[1:], old.space.shown(old.encode(images))[1:])
    torch.testing.assert_close(beside[0, 2:], corners(torch.tensor([2]), 3)[0])
    torch.testing.assert_close(beside[0, :2], old.space.shown(old.encode(images))[0, :2])


def test_a_run_that_stopped_goes_on_to_the_same_bits(runs, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(concepts_task, "FITTED", 64)
    recipe = small(shape, runs["place"]).but(task={"draws": 0})
    for _ in train(recipe, tmp_path / "whole", accelerator="cpu"):
        pass
    half = train(recipe, tmp_path / "half", accelerator="cpu")
    for _ in range(9):
        next(half)
    half.close()
    assert main(["train", "concepts-shape", "--out", str(tmp_path / "half"), "--resume", "--accelerator", "cpu"]) == 0
    whole, again = (load_weights(tmp_path / name / "model.safetensors") for name in ("whole", "half"))
    assert all(torch.equal(again[name], weight) for name, weight in whole.items())


def test_the_commands_work_on_what_has_grown(runs, tmp_path, capsys, monkeypatch):
    run, out = str(runs["colour"]), str(tmp_path / "x.png")
    assert main(["sample", "red & cube & at(0.3,0.6)", "--model", run, "--n", "2", "--steps", "4", "--json",
                 "--out", out]) == 0  # fmt: skip
    told = json.loads(capsys.readouterr().out)
    assert told["judge"] == "its reader" and set(told["read"]) == {"shape", "colour"}
    assert main(["sample", "red | blue", "--model", run, "--shares", "0.9,0.1", "--n", "2", "--steps", "4",
                 "--out", out]) == 0  # fmt: skip
    capsys.readouterr()
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 4)
    assert main(["score", run, "--n", "4", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    scores = scores if "and_seen" in scores else next(iter(scores.values()))
    assert {row["attribute"] for row in scores["inferred"]} == {"place", "shape", "colour"}
    assert set(scores["conjunctions"][0]) == {"row", "n", "place", "shape", "colour", "all"}
    assert main(["sample", "red", "--model", run, run, "--n", "2", "--out", out]) == 1
    assert "holds the older ones; give it alone" in capsys.readouterr().err


@pytest.mark.parametrize(("name", "kinds"), [("place", {}), ("shape", {"or": 2, "not": 1, "nested": 1})])
def test_what_tells_one_named_attribute_or_none_is_scored(runs, capsys, monkeypatch, name, kinds):
    monkeypatch.setattr("ergosum.density.sampling.LEVELS", 4)
    assert main(["score", str(runs[name]), "--n", "4", "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    scores = scores if "and_seen" in scores else next(iter(scores.values()))
    found = [row["kind"] for row in scores["formulas"]]
    assert {kind: found.count(kind) for kind in found} == kinds and (scores["or_tv"] is None) == (not kinds)
    assert main(["report", str(runs[name])]) == 0


@pytest.mark.parametrize(("change", "said"), [
    ({"model": {"neutral": "purple"}}, "neutral: expected images that tell one new attribute, and the value of it that "
                                       r"the older ones have, got 'purple' of shape \(sphere cube cylinder\)"),
    ({"data": {"told": ("place",)}}, "got 'cube' of none"),
    ({"data": {"told": ("shape", "colour")}}, r"got 'cube' of shape \(.*\), colour \(grey"),
    ({"data": {"data": {"side": 64}}}, "images of 3 channels and side 64, as the new ones are, got 3 and 32"),
    ({"model": {"grown_from": ""}}, "grown_from: expected a run folder or card of concepts, got none"),
    ({"model": {"grown_from": "mnist-density"}}, "grown_from: expected a run of concepts, got mnist-density"),
    ({"model": {"family": {"highest": 9.0}}}, "expected the levels of the older one"),
])  # fmt: skip
def test_what_cannot_grow_is_refused(runs, tmp_path, change, said):
    recipe = small(shape, runs["place"]).but(task=change)
    with pytest.raises(ValueError, match=said):
        next(train(recipe, tmp_path / "run", accelerator="cpu"))
    assert not (tmp_path / "run").exists()


def test_a_run_in_pixels_cannot_grow(tmp_path):
    for _ in train(shrunk(scenes()).but(optimiser={"iterations": 1}), tmp_path / "pixels", accelerator="cpu"):
        pass
    data = {"data": {"told": ("shape",)}}
    with pytest.raises(ValueError, match=r"expected a run of concepts in codes with parts.*got Pixels"):
        next(train(small(shape, tmp_path / "pixels").but(task=data), tmp_path / "run", accelerator="cpu"))


def test_weights_that_were_described_but_not_taken_up_are_refused(runs, tmp_path):
    described = load_predictor(runs["shape"])[0].but(optimiser={"iterations": 1})
    with pytest.raises(ValueError, match=r"model\.before: its weights have not been taken up; leave `before` out"):
        next(train(described, tmp_path / "run", accelerator="cpu"))


def test_only_what_is_new_learns(runs):
    task = small(colour, runs["shape"]).built()
    assert isinstance(task, GrownDensities)
    model = task.build().train()
    assert isinstance(model, Grown) and isinstance(model.space, GrownCodes) and not model.before.training
    learns = {name.split(".")[0] for name, p in model.named_parameters() if p.requires_grad}
    assert learns == {"space", "energy"} and len(set(model.state_dict())) == len(model.state_dict())


def test_a_new_codec_starts_where_the_older_one_ended(models, runs):
    """With the new part's columns at zero its decoder draws what the older one draws."""
    older, task = models["shape"].space.codec, small(colour, runs["shape"]).built()
    codec = task.build().space.codec
    codes, generator = torch.zeros(3, codec.latent), Generator().manual_seed(0)
    codes[:, 8:] = rest = torch.randn(3, 4, generator=generator)
    place, shapes = torch.randn(3, 2, generator=generator), corners(torch.arange(3), 3)
    images = torch.rand(2, 3, 32, 32, generator=generator)
    torch.testing.assert_close(
        codec.decode(codes, torch.cat([place, shapes], 1)), older.decode(torch.cat([shapes, rest], 1), place)
    )
    beside, less = torch.cat([place, shapes], 1)[:2], place[:2]
    torch.testing.assert_close(codec.encode(images, beside=beside)[:, -4:], older.encode(images, beside=less)[:, -4:])
    other = AttributeCodec(codec.attributes, beside=codec.beside, place="place", width=8, rest=4)
    before = {name: weight.clone() for name, weight in other.named_parameters()}
    other.start_from(older)
    assert all(torch.equal(weight, before[name]) for name, weight in other.named_parameters())


def test_recoloured_images_keep_greys_and_brightness():
    generator = Generator().manual_seed(0)
    grey = torch.rand(4, 1, 8, 8, generator=generator).expand(-1, 3, -1, -1)
    torch.testing.assert_close(recoloured(grey, 1.0, generator)[0], grey)
    images = torch.rand(400, 3, 4, 4, generator=generator)
    assert torch.equal(recoloured(images, 0.0, generator)[0], images)
    mixed, told = recoloured(images, 0.75, generator)
    changed = (mixed != images).flatten(1).any(1)
    assert abs(float(changed.float().mean()) - 0.75) < 4 * (0.75 * 0.25 / 400) ** 0.5 and torch.equal(changed, told)
    assert recoloured(images, 1.0, generator)[0].min() >= 0


@pytest.mark.parametrize(("settings", "said"), [
    ({"recolour": 1.5}, "recolour: expected a probability"),
    ({"recolour": 0.5, "channels": 1}, "got 0.5 of images of 1"),
])  # fmt: skip
def test_recolouring_needs_three_colours(settings, said):
    with pytest.raises(ValueError, match=said):
        AttributeCodec(ConceptScenes.attributes, width=4, **settings)


def test_a_part_of_another_code_is_seen_by_the_decoder():
    torch.manual_seed(0)
    attributes = ConceptScenes.attributes
    codec = AttributeCodec(attributes[:1], beside=attributes[3:], place="place", width=4, rest=1)
    assert codec.place == slice(0, 2) and codec.latent == 4 and codec.finder is None
    codes, beside = torch.randn(2, 4), torch.randn(2, 2)
    assert not torch.equal(codec.decode(codes, beside), codec.decode(codes, beside + 0.5))
    images = torch.rand(2, 3, 32, 32)
    assert not torch.equal(codec.encode(images, beside=beside), codec.encode(images, beside=beside + 0.5))
    values, order = torch.tensor([[0.0], [2.0]]), Generator().manual_seed(0)
    dreamt, told, others = codec.dream(codes, values, order, beside)
    assert dreamt.shape == (2, 3, 32, 32) and sorted(told[:, 0].tolist()) == [0, 2]
    assert {tuple(row) for row in others.tolist()} == {tuple(row) for row in beside.tolist()}
    assert PartlyTold(Part(ConceptScenes, count=4), told=("shape",)).attributes == attributes[:1]
