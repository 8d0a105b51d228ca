"""Recipes of densities."""

from collections.abc import Callable
from functools import partial

from ergosum.data.frames import FramesOfDigits, WornFrames
from ergosum.data.incomplete import Incomplete
from ergosum.data.labelled import LabelledData, LabelledImages
from ergosum.data.masks import SaltAndPepper
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import InnerProduct
from ergosum.density.landscape import Landscape
from ergosum.density.logits import LevelLogits
from ergosum.density.model import Density
from ergosum.density.objective import Objective
from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.denoising_jem import DenoisingJem
from ergosum.density.objectives.discriminative import Discriminative
from ergosum.density.objectives.jem import Jem
from ergosum.density.objectives.masked import MaskedScore
from ergosum.density.objectives.noise_contrastive import NoiseContrastive
from ergosum.density.objectives.sliced import SlicedScoreMatching
from ergosum.density.objectives.starts import FromData, FromNoise, GaussianNoise, Replay, Start
from ergosum.density.space import Codes, Pixels
from ergosum.density.task import Densities
from ergosum.energy import Conditional
from ergosum.nets.autoencoder import Autoencoder
from ergosum.nets.levels import LevelDense, LevelEncoder, LevelMlp, LevelUNet
from ergosum.part import Part
from ergosum.samplers.presets import ShortRun
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
        **{name: partial(classic, name) for name in CLASSIC},
        "incomplete-digits": incomplete_digits,
        "mnist-incomplete": mnist_incomplete,
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
        objective=Part(DenoisingScore, time=0.0), drop=0.2, draws=16,
    )  # fmt: skip


def behind_masks(source: str, share: float = 0.5, count: int = 2000) -> Part[Task]:
    """A density of images that nobody saw whole: a share of the pixels of each of `count` examples is hidden."""
    family = Part(
        LevelEnergy, form=Part(InnerProduct, body=Part(LevelUNet, width=32), fine=True), lowest=0.03, highest=5.0
    )
    mask = Part(SaltAndPepper, share=share)
    data = Part(Incomplete, data=Part(LabelledImages, source=source), mask=mask, count=count)
    return Part(Densities, data=data, model=Part(Density, space=Part(Pixels), family=family),
                objective=Part(MaskedScore), drop=0.5, draws=0)  # fmt: skip


def drawn(start: Part[Start], steps: int) -> Part[Objective]:
    """Contrastive divergence by chains at temperature 1, in nats, of standardised codes."""
    chains = Part(ShortRun, steps=steps, step_size=0.02, noise=0.2)
    return Part(ContrastiveDivergence, start=start, sampler=chains, squares=0.001, bound=1e3)


def _logits() -> Part[Conditional]:
    """A family over noise levels whose classes are logits of one network."""
    return Part(LevelLogits, form=Part(InnerProduct, body=Part(LevelMlp, width=256, blocks=3)), lowest=0.05)


NOISE: Part[Start] = Part(FromNoise, noise=Part(GaussianNoise))
CLASSIC: dict[str, tuple[str, Part[Objective]]] = {
    "cd": ("chains of ten steps from the data (CD-10)", drawn(Part(FromData), 10)),
    "pcd": ("persistent chains with a replay buffer", drawn(Part(Replay, size=2000, noise=Part(GaussianNoise)), 10)),
    "short-run": ("chains of thirty steps from noise: a generator", drawn(NOISE, 30)),
    "jem": ("a classifier whose logits are a density, by chains", Part(Jem, chains=drawn(NOISE, 20))),
    "jem-without-chains": ("a classifier whose logits are a density, by denoising", Part(DenoisingJem)),
    "nce": ("noise-contrastive estimation: normalised, without chains", Part(NoiseContrastive)),
    "ssm": ("sliced score matching: no chains, no noise levels", Part(SlicedScoreMatching, data_noise=0.2)),
}
"""What the classic objectives show, and the objective; all learn energies of the codes of an autoencoder."""


UPDATES = {"short-run": 1200}
"""Where fewer than 2,500: of MNIST the gap of energies of short-run chains grew without bounds from about 1,700 on."""


def classic(name: str, source: str = "digits") -> Experiment:
    """Energies by a classic objective, in codes that an autoencoder learns first; other images by `--task.data.source`.

    Args:
        name: of `CLASSIC`.
    """
    shows, objective = CLASSIC[name]
    static = Part(Landscape, body=Part(LevelDense, width=256, blocks=2))
    family = _logits() if name == "jem-without-chains" else static
    return Experiment(
        name=name, shows=f"{shows}; of digits, in codes", cost="not timed",
        task=Part(
            Densities, data=Part(LabelledImages, source=source),
            model=Part(Density, space=Part(Codes, codec=Part(Autoencoder, latent=24), share=0.35), family=family),
            objective=objective,
        ),
        optimiser=Optimiser(iterations=UPDATES.get(name, 2500), batch=64, rate=7e-4, ema=0.995, clip=100.0),
        run=Run(rollbacks=3),
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
        cost="7 CPU minutes", task=in_pixels(frames, 48, (0.03, 10.0)).but(drop=0.5),
        optimiser=Optimiser(iterations=1900, batch=32, rate=2e-3, ema=0.998, clip=100.0), run=Run(),
    )  # fmt: skip


def frames_real() -> Experiment:
    """Ablation: energies that tell true frames from worn ones, where a density knows true ones alone."""
    model = Part(Density, space=Part(Pixels), family=Part(Landscape, body=Part(LevelEncoder, width=24)))
    return Experiment(
        name="frames-real", shows="ablation: energies that tell frames of digits from worn ones",
        cost="3 CPU minutes",
        task=Part(Densities, data=Part(WornFrames, source="mnist"), model=model, objective=Part(Discriminative)),
        optimiser=Optimiser(iterations=1200, batch=64, rate=2e-3, ema=0.99, clip=100.0), run=Run(),
    )  # fmt: skip
