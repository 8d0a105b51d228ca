"""Hidden pixels are drawn given the known ones, in pixels and in codes."""

import json

import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.cli.inpaint import start_image
from ergosum.data import BoxMask, SaltAndPepper
from ergosum.data.labelled import LabelledImages
from ergosum.density import Codes, DenoisingScore, Densities, Density, InnerProduct, Landscape, LevelEnergy, Pixels
from ergosum.density.inpainting import Fit, completed, inpaint, inpainted
from ergosum.energies import Gaussian
from ergosum.nets import Autoencoder, LevelEncoder, LevelUNet
from ergosum.part import Part
from ergosum.training.experiment import Experiment, Optimiser
from ergosum.training.loop import train

PIXELS = Part(LevelEnergy, form=Part(InnerProduct, body=Part(LevelUNet, width=4), fine=True), code=8, highest=4.0)


@pytest.fixture
def flat():
    """An energy of 12 x 12 images that is a Gaussian of independent pixels of mean 0.25 and deviation 0.1 (in x)."""
    torch.manual_seed(0)
    model = Density(names=("a", "b"), side=12, space=Part(Pixels), family=PIXELS)
    model.family.mean.fill_(-0.5)
    model.family.deviation.fill_(0.1)
    return model.eval()


class Stripes(torch.nn.Module):
    """A decoder whose two codes are the intensities of the left and the right half."""

    latent = 2

    def encode(self, images, generator=None):
        return torch.stack([images[..., :6].mean((1, 2, 3)), images[..., 6:].mean((1, 2, 3))], 1)

    def decode(self, codes):
        halves = codes[:, :, None].expand(-1, -1, 6).flatten(1)
        return halves[:, None, None].expand(-1, 1, 12, -1)


def test_hidden_coordinates_follow_the_conditional_law(rng):
    """A Gaussian of correlation rho: y given x has mean rho x and variance 1 - rho^2."""
    rho, n = 0.8, 4000
    energy = Gaussian(torch.zeros(2, dtype=torch.float64), torch.tensor([[1, rho], [rho, 1]], dtype=torch.float64))
    x = torch.tensor([[1.5, 0.0]], dtype=torch.float64).repeat(n, 1)
    known = torch.tensor([True, False]).expand(n, 2)
    made = completed(energy, x, known, lowest=0.02, noise=6.0, steps=20, corrections=2, generator=rng)
    assert (made[:, 0] == 1.5).all()
    assert made[:, 1].mean().item() == pytest.approx(rho * 1.5, abs=4 * (1 - rho**2) ** 0.5 / n**0.5 + 0.05)
    assert made[:, 1].var().item() == pytest.approx(1 - rho**2, abs=4 * (1 - rho**2) * (2 / n) ** 0.5 + 0.05)


def test_known_pixels_stay_and_hidden_ones_follow_the_density(flat, rng):
    images = torch.full((3, 1, 12, 12), 0.9)
    known = SaltAndPepper(0.5).known(images.shape, rng)
    made = inpaint(flat, images, known, n=8, steps=20, generator=rng)
    assert made.shape == (8, 3, 1, 12, 12)
    mask = known.expand(8, 3, 1, 12, 12)
    assert (made[mask] == 0.9).all()
    hidden = made[~mask]
    assert hidden.mean().item() == pytest.approx(0.25, abs=4 * 0.05 / len(hidden) ** 0.5 + 0.002)
    assert hidden.std().item() == pytest.approx(0.05, rel=0.1)


def test_what_is_hidden_does_not_matter(flat):
    images = torch.rand(2, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    known = BoxMask(2, 2, 5, 5).known(images.shape)
    one, other = (
        inpaint(flat, torch.where(known, images, value), known, steps=4, generator=torch.Generator().manual_seed(2))
        for value in (0.0, 1.0)
    )
    assert torch.equal(one, other)


def test_codes_are_drawn_that_fit_the_known_pixels(rng):
    """Half of the left half is known: the left code follows it, the right one the density of codes."""
    torch.manual_seed(0)
    family = Part(LevelEnergy, code=8, highest=8.0)
    model = Density(side=12, space=Part(Codes, codec=Part(Stripes), share=0.0), family=family).eval()
    model.space.centre.fill_(0.5)
    model.space.spread.fill_(0.1)
    images = torch.zeros(1, 1, 12, 12)
    images[..., :6] = 0.7
    known = torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    known[..., :3] = True
    made = inpaint(model, images, known, n=60, steps=25, corrections=2, generator=rng)[:, 0, 0]
    assert (made[:, :, :3] == 0.7).all()
    # 36 known pixels of deviation 0.1 against a prior of deviation 0.1: the mean is 36/37 of the way
    assert made[:, 0, 4].mean().item() == pytest.approx(0.5 + 0.2 * 36 / 37, abs=0.01)
    assert made[:, 0, 8].mean().item() == pytest.approx(0.5, abs=4 * 0.1 / 60**0.5)
    assert made[:, 0, 8].std().item() == pytest.approx(0.1, rel=0.4)


def test_fit_is_the_squared_error_of_known_pixels():
    images, known = torch.full((1, 1, 12, 12), 0.5), torch.zeros(1, 1, 12, 12, dtype=torch.bool)
    known[..., 0, :2] = True
    fit = Fit(Stripes().decode, images, known, 0.1)
    assert fit(torch.tensor([[0.8, 0.0]])).item() == pytest.approx(2 * 0.3**2 / (2 * 0.01), rel=1e-5)
    wide = fit.at_noise(1.0)(torch.tensor([[0.8, 0.0]])).item()
    assert wide == pytest.approx(2 * 0.3**2 / (2 * (0.01 + 0.09)), rel=1e-5)


def test_a_sheet_and_its_numbers(flat):
    image = torch.rand(1, 1, 12, 12, generator=torch.Generator().manual_seed(1))
    made = inpainted(flat, image, BoxMask(2, 2, 6, 6), condition="b", n=2, steps=3)
    assert made.numbers["hidden"] == pytest.approx(0.25)
    assert set(made.numbers["difference"]) == {"one draw", "median", "harmonic"}
    assert made.image.width > 5 * 12
    again = inpainted(flat, image, BoxMask(2, 2, 6, 6), condition="1", n=2, steps=3)
    assert again.numbers["difference"] == made.numbers["difference"]


@pytest.mark.parametrize(
    "options, said",
    [
        ({"condition": "c"}, "--condition c: expected 0 .. 1 or a, b"),
        ({"condition": "2"}, "--condition 2: expected"),
        ({"n": 0}, "n: expected one draw or more"),
        ({"steps": 1}, "n >= 2"),
    ],
)
def test_bad_settings_are_refused(flat, options, said):
    with pytest.raises(ValueError, match=said):
        inpainted(flat, torch.zeros(1, 1, 12, 12), BoxMask(2, 2, 6, 6), **options)


def test_a_density_without_noise_levels_is_refused():
    model = Density(side=12, space=Part(Pixels), family=Part(Landscape, body=Part(LevelEncoder, width=4)))
    with pytest.raises(ValueError, match="Landscape has no noise levels"):
        inpaint(model, torch.zeros(1, 1, 12, 12), BoxMask(2, 2, 6, 6).known((1, 1, 12, 12)))


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a density of digits that has seen three batches."""
    folder = tmp_path_factory.mktemp("density") / "run"
    task = Part(
        Densities, data=Part(LabelledImages, source="digits", side=12),
        model=Part(Density, space=Part(Pixels), family=PIXELS),
        objective=Part(DenoisingScore, time=0.0), draws=0,
    )  # fmt: skip
    experiment = Experiment(name="tiny", task=task, optimiser=Optimiser(iterations=3, batch=8))
    list(train(experiment, folder))
    return folder


def command(run, tmp_path, *options):
    return ["inpaint", str(run), "--out", str(tmp_path / "out.png"), "--steps", "3", *options]


@pytest.mark.parametrize("mask", ["random:0.5", "box:2,2,6,6", "block:6", "file"])
def test_the_command_writes_a_sheet(run, tmp_path, capsys, mask):
    if mask == "file":
        image = Image.new("L", (24, 24), 255)
        image.paste(0, (0, 0, 12, 24))
        image.save(tmp_path / "mask.png")
        mask = str(tmp_path / "mask.png")
    assert main(command(run, tmp_path, "--start", "digits:7@1", "--mask", mask, "--condition", "seven", "--json")) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["n"] == 4 and told["condition"] == "seven" and 0.2 < told["hidden"] < 0.6
    with Image.open(tmp_path / "out.png") as image:
        assert image.width > 7 * 12


def test_an_image_file_is_brought_to_the_size_of_the_density(run, tmp_path, capsys):
    Image.new("RGB", (40, 30), (200, 100, 0)).save(tmp_path / "own.png")
    assert main(command(run, tmp_path, "--start", str(tmp_path / "own.png"), "--mask", "box:0,0,4,4")) == 0
    out, said = capsys.readouterr()
    assert "harmonic" in out and "11% of the pixels hidden" in said
    assert start_image(str(tmp_path / "own.png"), 3, 12).shape == (1, 3, 12, 12)
    assert start_image(str(tmp_path / "own.png"), 1, 12).mean().item() == pytest.approx(100 / 255, abs=0.01)


@pytest.mark.parametrize(
    "options, said",
    [
        (("--start", "digits:7", "--mask", "box:8,8,8,8"), "expected a box within images of 12x12"),
        (("--start", "digits:7", "--mask", "none.png"), "no such image"),
        (("--start", "none.png", "--mask", "random:0.5"), "No such image"),
        (("--start", "digits:eleven", "--mask", "random:0.5"), "there is no class 'eleven'"),
        (("--start", "digits:7@9999", "--mask", "random:0.5"), "there are only"),
        (("--start", "digits:7", "--mask", "random:0.5", "--condition", "ten"), "--condition ten: expected 0 .. 9"),
        (("--start", "digits:7", "--mask", "random:0.5", "--n", "0"), "expected one draw or more"),
        (("--start", "digits:7", "--mask", "frames:1"), "FrameMask: expected clips"),
    ],
)
def test_bad_input_is_one_line(run, tmp_path, capsys, options, said):
    assert main(command(run, tmp_path, *options)) == 1
    error = capsys.readouterr().err
    assert said in error and len(error.strip().splitlines()) == 1


def test_a_run_of_another_system_is_refused(trained, tmp_path, capsys):
    assert main(command(trained, tmp_path, "--start", "digits:7", "--mask", "random:0.5")) == 1
    assert "has no density that hidden pixels could be drawn from" in capsys.readouterr().err


def test_an_autoencoders_density_is_inpainted_too(rng):
    torch.manual_seed(0)
    space = Part(Codes, codec=Part(Autoencoder, latent=4, width=4), share=0.0)
    model = Density(side=12, space=space, family=Part(LevelEnergy, code=8)).eval()
    made = inpaint(model, torch.rand(2, 1, 12, 12, generator=rng), BoxMask(2, 2, 4, 4).known((2, 1, 12, 12)), n=2,
                   steps=3, generator=rng)  # fmt: skip
    assert made.shape == (2, 2, 1, 12, 12) and made.isfinite().all()
