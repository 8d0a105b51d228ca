"""Recipes of densities."""

from collections.abc import Callable

from ergosum.data.frames import FramesOfDigits
from ergosum.data.incomplete import Incomplete
from ergosum.data.labelled import LabelledData, LabelledImages
from ergosum.data.masks import SaltAndPepper
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import InnerProduct
from ergosum.density.model import Density
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.masked import MaskedScore
from ergosum.density.space import Codes, Pixels
from ergosum.density.task import Densities
from ergosum.nets.autoencoder import Autoencoder
from ergosum.nets.levels import LevelUNet
from ergosum.part import Part
from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.task import Task

__all__ = ["HEADLINES", "recipes"]

HEADLINES = ("density", "mnist-density", "mnist-density-pixels", "frames-density")


def recipes() -> dict[str, Callable[[], Experiment]]:
    """All recipes by name."""
    return {
        "density": density,
        "mnist-density": mnist_density,
        "mnist-density-pixels": mnist_density_pixels,
        "incomplete-digits": incomplete_digits,
        "mnist-incomplete": mnist_incomplete,
        "frames-density": frames_density,
    }


def in_codes(source: str, latent: int = 24, share: float = 0.4) -> Part[Task]:
    """A density of the codes of an autoencoder that is trained first."""
    space = Part(Codes, codec=Part(Autoencoder, latent=latent), share=share)
    return Part(
        Densities, data=Part(LabelledImages, source=source), model=Part(Density, space=space),
        objective=Part(DenoisingScore),
    )  # fmt: skip


def in_pixels(data: Part[LabelledData], width: int = 64, levels: tuple[float, float] = (0.02, 20.0)) -> Part[Task]:
    """A density of images: denoising alone, whose classes are brought to one scale after training."""
    form = Part(InnerProduct, body=Part(LevelUNet, width=width), fine=True)
    family = Part(LevelEnergy, form=form, lowest=levels[0], highest=levels[1])
    return Part(
        Densities, data=data, model=Part(Density, space=Part(Pixels), family=family),
        objective=Part(DenoisingScore, time=0.0), drop=0.2,
    )  # fmt: skip


def behind_masks(source: str, share: float = 0.5, count: int = 2000) -> Part[Task]:
    """A density of images that nobody saw whole: a share of the pixels of each of `count` examples is hidden."""
    family = Part(
        LevelEnergy, form=Part(InnerProduct, body=Part(LevelUNet, width=32), fine=True), lowest=0.03, highest=5.0
    )
    mask = Part(SaltAndPepper, share=share)
    data = Part(Incomplete, data=Part(LabelledImages, source=source), mask=mask, count=count)
    return Part(Densities, data=data, model=Part(Density, space=Part(Pixels), family=family),
                objective=Part(MaskedScore), drop=0.5)  # fmt: skip


def density() -> Experiment:
    """Normalised energies of the bundled digits, in codes."""
    return Experiment(
        name="density", shows="normalised energies of images, in codes: sample, classify, compose",
        cost="3 CPU minutes", task=in_codes("digits"),
        optimiser=Optimiser(iterations=2500, batch=128, rate=1.5e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def mnist_density() -> Experiment:
    """Normalised energies of MNIST, in codes."""
    return Experiment(
        name="mnist-density", shows="normalised energies of MNIST's digits, in 24 codes",
        cost="30 CPU minutes", task=in_codes("mnist", share=0.3),
        optimiser=Optimiser(iterations=12000, batch=256, rate=1.5e-3, ema=0.999, clip=100.0), run=Run(),
    )  # fmt: skip


def mnist_density_pixels() -> Experiment:
    """Energies of MNIST over noise levels, in pixels."""
    return Experiment(
        name="mnist-density-pixels", shows="energies of MNIST's digits over noise levels, in pixels",
        cost="30 CPU minutes", task=in_pixels(Part(LabelledImages, source="mnist")),
        optimiser=Optimiser(iterations=8000, batch=64, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def incomplete_digits() -> Experiment:
    """Energies of the bundled digits, half of whose pixels are hidden in every example."""
    return Experiment(
        name="incomplete-digits", shows="energies of digits of which half the pixels are hidden",
        cost="3 CPU minutes", task=behind_masks("digits", count=1000),
        optimiser=Optimiser(iterations=500, batch=64, rate=3e-3, ema=0.99, clip=100.0), run=Run(),
    )  # fmt: skip


def mnist_incomplete() -> Experiment:
    """Energies of MNIST's digits, half of whose pixels are hidden in every example."""
    return Experiment(
        name="mnist-incomplete", shows="energies of MNIST's digits of which half the pixels are hidden",
        cost="10 CPU minutes", task=behind_masks("mnist"),
        optimiser=Optimiser(iterations=2000, batch=64, rate=3e-3, ema=0.99, clip=100.0), run=Run(),
    )  # fmt: skip


def frames_density() -> Experiment:
    """Energies of frames over noise levels, in pixels: what stays real where frames change."""
    frames: Part[LabelledData] = Part(FramesOfDigits, source="mnist")  # type: ignore[assignment]
    return Experiment(
        name="frames-density", shows="energies of frames of digits over noise levels, to join to energies of change",
        cost="13 CPU minutes", task=in_pixels(frames, 48, (0.03, 10.0)).but(drop=0.5),
        optimiser=Optimiser(iterations=4000, batch=32, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip
