"""Pictures taken apart: objects by slots and Gaussian experts, and COMET's networks as paper and code run them."""

from typing import Literal

from ergosum.settings import (
    DescentSettings,
    Experiment,
    ModelSettings,
    ObjectiveSettings,
    OptimiserSettings,
    PictureSettings,
)

__all__ = ["BIASES", "GLOBALS", "biases", "comet", "modalities", "other_scenes", "refined", "scenes_global",
           "scenes_objects", "shapes", "tetrominoes"]  # fmt: skip

CPU = "one thread of a 2-core x86-64 CPU with bfloat16"


def tetrominoes() -> Experiment:
    """Three Tetris pieces and a background: four Gaussian experts, found by slots that compete for places."""
    return Experiment(
        name="tetrominoes",
        shows="three pieces and a background, each an energy of its own, found without labels",
        cost=f"29 min on {CPU}",
        task="recomposition",
        pictures=PictureSettings(name="tetrominoes", side=36, fewest=3, most=3, count=20_000),
        model=ModelSettings(
            energy="experts", encoder="slots", anchor="none", components=("ground", "one", "two", "three"), tied=True,
            latent=35, width=32, moves=False,
        ),
        descent=DescentSettings(steps=1, training_steps=1),
        objective=ObjectiveSettings(area=0.0003, indecision=0.003, ramp=0.25),
        optimiser=OptimiserSettings(iterations=16_000, batch=32, rate=2e-3, precision="bf16", ema=0.999),
        checkpoint_every=1000,
        log_every=50,
    )  # fmt: skip


def refined() -> Experiment:
    """The same with experts that see the picture, in two steps of descent."""
    return tetrominoes().but(
        name="tetrominoes-refined",
        shows="three pieces and a background by experts with a convolutional energy that sees the picture",
        cost=f"0.2 s per update on {CPU}, not run to its end",
        model={"energy": "refined"},
        descent=DescentSettings(steps=2, training_steps=2),
    )


def scenes_objects() -> Experiment:
    """Three to five solids on a floor: an energy for the floor with its light, and one for each object."""
    return tetrominoes().but(
        name="scenes-objects",
        shows="three to five solids and their floor, each an energy of its own, found without labels",
        cost=f"103 min on {CPU}",
        pictures=PictureSettings(name="scenes", side=64, fewest=3, most=5, count=20_000),
        model={"components": ("ground", "one", "two", "three", "four", "five")},
        optimiser={"iterations": 28_000, "batch": 16, "rate": 1.5e-3},
    )


GLOBALS = {"scenes-global": (1, 10, 4e-5), "scenes-global-wide": (1, 64, 4e-6), "scenes-global-two": (2, 32, 4e-6)}
"""Energies of one scene's light and camera: how many, numbers of each, and the price of a nat."""


def scenes_global(name: str) -> Experiment:
    """One scene under any light and from any side: energies of the whole picture, with noisy numbers.

    Few numbers at a high price can be exchanged one by one; many at a low one tell more of the factors.

    Args:
        name: of `GLOBALS`.
    """
    components, numbers, price = GLOBALS[name]
    whose = "one energy" if components == 1 else "each of two energies"
    return tetrominoes().but(
        name=name,
        shows=f"light and camera of one scene in {numbers} noisy numbers of {whose}",
        cost=f"2 min on {CPU}",
        pictures={"name": "still", "side": 64},
        model={"encoder": "pyramid", "components": ("one", "two")[:components], "latent": numbers, "width": 16,
               "noisy": True, "grey": 0.5},
        objective=ObjectiveSettings(divergence=price),
        optimiser={"iterations": (3600, 2050)[components - 1]},
    )  # fmt: skip


def shapes() -> Experiment:
    """One white shape: an energy for the ground and one for the shape, whose place is coded apart from what it is."""
    return tetrominoes().but(
        name="shapes",
        shows="one white shape and its ground, an energy each; place, and what is left of five factors, in few numbers",
        cost=f"2 min on {CPU}",
        pictures={"name": "shapes", "side": 64, "fewest": 1, "most": 1},
        model={"components": ("ground", "one"), "latent": 8, "width": 16},
        objective={"indecision": 0.0},
        optimiser={"iterations": 1330},
    )


def other_scenes(pictures: Literal["lighting", "toy"]) -> Experiment:
    """The same of scenes under any light, or of other solids, from the weights of `scenes-objects`."""
    seen = "under light from anywhere" if pictures == "lighting" else "of other kinds"
    return scenes_objects().but(
        name=f"{pictures}-objects",
        shows=f"three to five solids {seen} and their floor, from the weights of scenes-objects",
        cost=f"11 min on {CPU}",
        warm_start="scenes-objects",
        pictures={"name": pictures},
        objective={"ramp": 0.0},
        optimiser={"iterations": 3000, "rate": 5e-4},
    )


def modalities() -> Experiment:
    """Digits and clothes in one training set: three energies, each of the whole picture."""
    return tetrominoes().but(
        name="modalities",
        cost=f"6 min on {CPU}",
        shows="digits and clothes taken apart by the same three energies, which can be exchanged between them",
        pictures={"name": "digits+fashion", "side": 32, "fewest": 1, "most": 1},
        model={"encoder": "pyramid", "components": ("one", "two", "three"), "latent": 16},
        objective=ObjectiveSettings(),
        optimiser={"iterations": 6000, "batch": 64, "rate": 2e-3},
    )


BIASES = {
    "none": {"encoder": "comet", "latent": 64, "position": False},
    "recurrent": {"encoder": "recurrent", "latent": 64, "position": False},
    "small": {"encoder": "recurrent", "latent": 16, "position": False},
    "position": {"encoder": "recurrent", "latent": 16, "position": True},
}
"""What turns COMET's components into objects, each with all before it (Du et al. 2021, Table 2)."""


def biases(
    pictures: Literal["tetrominoes", "scenes"], bias: str, preset: Literal["paper", "code"] = "code"
) -> Experiment:
    """COMET's networks of a quarter of their width with some of their biases, for four minutes of a CPU.

    Args:
        bias: the last of those that are on, of `BIASES`. preset: as of `comet`.
    """
    updates, most = {"tetrominoes": (1500, 3), "scenes": (1130, 5)}[pictures]
    paper = preset == "paper"
    return comet(preset).but(
        name=f"comet-{pictures}-{bias}" + ("-paper" if paper else ""),
        shows=f"COMET's networks at width 16: {bias}, loss on {'every step' if paper else 'the last step'}",
        cost=f"4 min on {CPU}",
        pictures={"name": pictures, "most": most},
        model={"components": ("one", "two", "three", "four", "five", "six")[: most + 1], "width": 16, **BIASES[bias]},
        descent={"steps": 5, "step_size": 1000.0},
        optimiser={"iterations": updates // (2 if paper else 1), "rate": 1e-3, "ema": 0.0},
    )


def comet(preset: Literal["paper", "code"]) -> Experiment:
    """COMET's networks on tetrominoes: loss on every step, as its paper says, or on the last, as its code does."""
    paper = preset == "paper"
    return tetrominoes().but(
        name=f"comet-{preset}",
        shows=f"COMET's networks, loss on {'every step (its paper)' if paper else 'the last step (its code)'}",
        cost="2.8 times comet-code's time per update" if paper else f"1.3 s per update on {CPU}, not run to its end",
        model={"energy": "comet", "encoder": "recurrent", "latent": 16, "width": 64, "position": True},
        descent=DescentSettings(steps=10, step_size=500.0, gradient="truncated" if paper else "last"),
        objective=ObjectiveSettings(on="all" if paper else "last"),
        optimiser={"iterations": 10_000, "batch": 16, "rate": 2e-4},
    )
