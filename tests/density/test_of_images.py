"""Energies of images: a density's, seen from pixels in [0, 1], as it acts beside changes."""

import pytest
import torch

from ergosum.cli import main
from ergosum.density import Codes, Density, Landscape, LevelEnergy, Pixels, Scalar
from ergosum.nets.autoencoder import Autoencoder
from ergosum.nets.levels import LevelEncoder
from ergosum.part import Part


@pytest.fixture
def images(rng):
    return torch.rand(4, 3, 12, 12, generator=rng)


def over_levels(space=Part(Pixels)):  # noqa: B008
    torch.manual_seed(0)
    form = Part(Scalar, body=Part(LevelEncoder, width=4)) if space.cls is Pixels else Part(Scalar)
    return Density(("a", "b"), 3, 12, space, Part(LevelEnergy, form=form)).eval()


def test_an_energy_of_images_is_that_of_their_points_at_twice_their_noise(images):
    model = over_levels()
    for sigma in (0.02, 0.5):
        direct = model.family.at_noise(2 * sigma)(torch.tensor(-1))(2 * images - 1)
        torch.testing.assert_close(model.of_images().at_noise(sigma)(images), direct)
    torch.testing.assert_close(model.of_images()(images), model.energies()["prior"](2 * images - 1))


def test_of_a_class_it_says_how_surely_an_image_is_of_it(images):
    model = over_levels()
    told = model.energies()
    direct = told["b"](2 * images - 1) - told["prior"](2 * images - 1)
    torch.testing.assert_close(model.of_images("b")(images), direct, atol=1e-3, rtol=1e-5)
    levels = model.family.at_noise(0.4)
    noised = levels(torch.tensor(1))(2 * images - 1) - levels(torch.tensor(-1))(2 * images - 1)
    torch.testing.assert_close(model.of_images("b").at_noise(0.2)(images), noised, atol=1e-3, rtol=1e-5)
    with pytest.raises(ValueError, match="There is no class 'c'; expected one of a, b"):
        model.of_images("c")


def test_of_a_classifier_it_is_minus_the_logarithm_of_its_probability(images):
    torch.manual_seed(0)
    family = Part(Landscape, body=Part(LevelEncoder, width=4))
    model = Density(("real", "worn"), 3, 12, Part(Pixels), family)
    logits = -model.family.energies(2 * images - 1)
    torch.testing.assert_close(model.of_images("real")(images), -logits.log_softmax(1)[:, 0], atol=1e-6, rtol=1e-5)
    assert not model.has_levels and over_levels().has_levels


def test_in_codes_it_is_differentiated_through_the_encoder_and_has_no_noise_of_images(images):
    model = over_levels(Part(Codes, codec=Part(Autoencoder, latent=3, width=4), share=0.0))
    told = model.of_images()
    x = images.clone().requires_grad_()
    (expected,) = torch.autograd.grad(model.family.prior()(model.encode(x)).sum(), x)
    torch.testing.assert_close(told.gradient(images), expected)
    assert expected.abs().max() > 0
    with pytest.raises(ValueError, match="noise of images is none of codes"):
        told.at_noise(0.1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory, learn):
    """Tiny runs of both recipes of frames."""
    folder = tmp_path_factory.mktemp("frames")
    for recipe in ("frames-density", "frames-real"):
        learn(folder / recipe, recipe)
    return folder


def control(*arguments):
    return main(["control", "digits-angle", "--timeline", "angle:2", *map(str, arguments)])


@pytest.mark.parametrize("what", ["frames-density:0.1", "frames-density:3@0.1", "real=frames-real:30"])
def test_control_takes_what_acts_beside_the_change(runs, tmp_path, what, capsys):
    name, equals, rest = what.rpartition("=")
    assert control("--out", tmp_path / "alone.png") == 0
    for out in ("one.png", "again.png"):
        assert control("--with", f"{name}{equals}{runs / rest}", "--out", tmp_path / out) == 0
    alone, one, again = ((tmp_path / f).read_bytes() for f in ("alone.png", "one.png", "again.png"))
    assert one == again != alone


@pytest.mark.parametrize(
    ("what", "told"),
    [("frames-density", "expected RUN:WEIGHT"), ("frames-density:much", "expected RUN:WEIGHT"),
     ("frames-density:-1", "expected a finite weight > 0, got -1"), ("frames-density:0.1@99", "expected a noise level"),
     ("four_=frames-density:1", "There is no class 'four_'")],
)  # fmt: skip
def test_what_cannot_act_beside_a_change_is_one_clear_line(runs, tmp_path, what, told, capsys):
    name, equals, rest = what.rpartition("=")
    assert control("--with", f"{name}{equals}{runs / rest}", "--out", tmp_path / "x.png") == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not (tmp_path / "x.png").exists()


def test_a_model_without_an_energy_of_images_is_refused(tmp_path, capsys):
    assert control("--with", "digits-scale:0.1", "--out", tmp_path / "x.png") == 1
    assert "digits-scale has no energy of images to act beside a change" in capsys.readouterr().err
