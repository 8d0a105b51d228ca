"""Recipes of densities."""

from collections.abc import Callable

from ergosum.data.frames import FramesOfDigits, WornFrames
from ergosum.data.labelled import LabelledData, LabelledImages
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import InnerProduct
from ergosum.density.landscape import Landscape
from ergosum.density.model import Density
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.discriminative import Discriminative
from ergosum.density.space import Codes, Pixels
from ergosum.density.task import Densities
from ergosum.nets.autoencoder import Autoencoder
from ergosum.nets.levels import LevelEncoder, LevelUNet
from ergosum.part import Part
from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.task import Task

__all__ = ["HEADLINES", "recipes"]

HEADLINES = ("density", "mnist-density", "mnist-density-pixels", "frames-density", "frames-real")


def recipes() -> dict[str, Callable[[], Experiment]]:
    """All recipes by name."""
    return {
        "density": density,
        "mnist-density": mnist_density,
        "mnist-density-pixels": mnist_density_pixels,
        "frames-density": frames_density,
        "frames-real": frames_real,
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
        cost="20 CPU minutes", task=in_codes("mnist"),
        optimiser=Optimiser(iterations=12000, batch=256, rate=1.5e-3, ema=0.999, clip=100.0), run=Run(),
    )  # fmt: skip


def mnist_density_pixels() -> Experiment:
    """Energies of MNIST over noise levels, in pixels."""
    return Experiment(
        name="mnist-density-pixels", shows="energies of MNIST's digits over noise levels, in pixels",
        cost="30 CPU minutes", task=in_pixels(Part(LabelledImages, source="mnist")),
        optimiser=Optimiser(iterations=8000, batch=64, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def frames_density() -> Experiment:
    """Energies of frames over noise levels, in pixels: what stays real where frames change."""
    return Experiment(
        name="frames-density", shows="energies of frames of digits over noise levels, to join to energies of change",
        cost="13 CPU minutes", task=in_pixels(Part(FramesOfDigits, source="mnist"), 48, (0.03, 10.0)).but(drop=0.5),
        optimiser=Optimiser(iterations=4000, batch=32, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def frames_real() -> Experiment:
    """Energies that tell true frames from worn ones: what counters the blur of frames that change many times."""
    model = Part(Density, space=Part(Pixels), family=Part(Landscape, body=Part(LevelEncoder, width=24)))
    return Experiment(
        name="frames-real", shows="energies that tell frames of digits from worn ones, to join to energies of change",
        cost="4 CPU minutes",
        task=Part(Densities, data=Part(WornFrames, source="mnist"), model=model, objective=Part(Discriminative)),
        optimiser=Optimiser(iterations=2000, batch=64, rate=2e-3, ema=0.99, clip=100.0), run=Run(),
    )  # fmt: skip
