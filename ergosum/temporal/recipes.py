"""Digit sequences: the founding report's experiments, what they are compared with, and their ablations.

Each function returns an `Experiment`. Fine-tuning in (b) counts epochs of 60,000 pairs of frames (938 updates of 64),
as many as MNIST has digits. The sixteen epochs of (c), with three energies at a time, are of a stated subset, 6,400
pairs (100 updates), so that every recipe runs on two CPU cores.
"""

from dataclasses import replace
from typing import Literal

from ergosum.settings import (
    FACTORS,
    DataSettings,
    DescentSettings,
    Experiment,
    ModelSettings,
    ObjectiveSettings,
    OptimiserSettings,
)

__all__ = ["ablation", "feedforward", "joint", "loss", "report", "shared", "single", "unsupervised"]

EPOCH, SHORT_EPOCH = 938, 100
SOURCES = "digits+mnist"
CPU = "one thread of a 2-core x86-64 CPU with bfloat16"


def single(factor: str) -> Experiment:
    """(a) One encoder and one energy for one factor, l = 1, N = 4; the other factors are frozen at random levels."""
    return Experiment(
        name=factor,
        shows=f"(a) one energy learns {factor} alone and can be steered both ways",
        cost=f"5 min on {CPU}",
        data=DataSettings(source=SOURCES, factors=(factor,), nuisance=FACTORS),
        model=ModelSettings(components=(factor,)),
        descent=DescentSettings(steps=4, ramp=True, training_steps=1),
        optimiser=OptimiserSettings(iterations=2000, precision="bf16"),
    )


def feedforward(factor: str, network: Literal["unet", "transport"] = "unet") -> Experiment:
    """A feed-forward predictor on the same pairs: a U-Net, or the transport energy's own network."""
    base = single(factor)
    kind = "U-Net of equal size" if network == "unet" else "with the transport network"
    return base.but(
        name=f"feedforward-{network}-{factor}",
        shows=f"baseline: feed-forward {kind} learns {factor}, equal training time",
        predictor="feedforward",
        model={"energy": network, "width": 33 if network == "unet" else 32},
        optimiser={"iterations": 2200 if network == "unet" else 2000},
    )


def report(factor: str) -> Experiment:
    """The founding report's networks as it describes them, with unanchored energies, equal training time."""
    base = single(factor)
    return base.but(
        name=f"report-{factor}",
        shows=f"baseline: the report's own networks, E(x; z), learn {factor}, equal training time",
        data={"nuisance": (), "signs": "forward", "continuous": False},
        model={
            "energy": "residual",
            "encoder": "residual",
            "anchor": "none",
            "moves": False,
            "latent": 64,
            "width": 64,
        },
        descent=DescentSettings(steps=4, step_size=1000.0, learned=True),
        optimiser={"iterations": 600, "batch": 32, "rate": 1e-3},
    )


def joint() -> Experiment:
    """One energy that is trained on all factors moving at once: the reference for composition."""
    base = single("colour")
    return base.but(
        name="joint",
        shows="reference: one energy trained on joint changes of all three factors",
        cost=f"8 min on {CPU}",
        data={"factors": FACTORS, "mode": "sparse"},
        model={"components": ("colour+angle+scale",)},
        optimiser={"iterations": 3000},
    )


def unsupervised(networks: Literal["ours", "report"] = "ours") -> Experiment:
    """(c) K = 3 energies, z_k in R^1, l = 2, N = 4 on lockstep sequences, 16 epochs: the negative control."""
    lockstep = DataSettings(
        source=SOURCES, mode="lockstep", start="fixed", signs="forward", continuous=False, lag=2, scale_min=0.1
    )
    base = Experiment(
        name="unsupervised",
        shows="(c) three energies, no labels, lockstep data: they do not separate (negative control)",
        cost=f"8 min on {CPU}",
        data=lockstep,
        model=ModelSettings(components=("one", "two", "three"), latent=1),
        descent=DescentSettings(steps=4, step_size=1 / 3, training_steps=1),
        optimiser=OptimiserSettings(iterations=16 * SHORT_EPOCH, precision="bf16"),
    )
    if networks == "ours":
        return base
    return base.but(
        name="unsupervised-report",
        shows="(c) with the report's own networks, E(x; z): negative control",
        model={"energy": "residual", "encoder": "residual", "anchor": "none", "moves": False, "width": 64},
        descent=DescentSettings(steps=4, step_size=1000.0, learned=True),
        optimiser={"iterations": 3 * SHORT_EPOCH, "batch": 32, "rate": 1e-3},
    )


def shared(factor: str) -> Experiment:
    """(b) Encoder frozen from (c), energies initialised from (c), fine-tuned 1 / 2 / 8 epochs on one factor after
    another.

    The runs form a chain: colour starts from `runs/unsupervised`, scale from the colour run, angle from the scale run.
    """
    epochs, before = {
        "colour": (1, "unsupervised"), "scale": (2, "shared-colour"), "angle": (8, "shared-scale"),
    }[factor]  # fmt: skip
    base = single(factor)
    return base.but(
        name=f"shared-{factor}",
        shows=f"(b) shared frozen encoder, energy fine-tuned on {factor} for {epochs} epoch(s)",
        cost=f"{epochs * 2.2:.0f} min on {CPU}, after {before}",
        model={"components": FACTORS, "latent": 1},
        optimiser={"iterations": epochs * EPOCH},
        warm_start=f"runs/{before}",
        active=(factor,),
        freeze_encoder=True,
    )


def ablation(anchor: Literal["none", "start", "step"], factor: str) -> Experiment:
    """The same U-Net inner-product energy fixed, anchored once, or re-anchored in every step; N = 2."""
    base = single(factor)
    return base.but(
        name=f"anchor-{anchor}-{factor}",
        shows=f"ablation: U-Net inner-product energy, anchor = {anchor}, {factor}",
        cost=f"3 min on {CPU}",
        model={"energy": "unet", "anchor": anchor, "width": 24},
        descent=DescentSettings(steps=2, learned=True, ramp=anchor == "step"),
        optimiser={"iterations": 500, "rate": 1e-3},
    )


def loss(on: Literal["last", "all", "path"], factor: str = "angle") -> Experiment:
    """Loss on the last step, on all, or on the path, for transport energies with h = 1/2; equal training time.

    On the path each step has its own network evaluation, on the others one serves all steps.
    """
    base = single(factor)
    return base.but(
        name=f"loss-{on}-{factor}",
        shows=f"ablation: transport energy, loss on {on}, {factor}",
        cost=f"3 min on {CPU}",
        descent=DescentSettings(steps=4, step_size=0.5, ramp=on == "path", gradient="truncated"),
        objective=ObjectiveSettings(on=on),
        optimiser={"iterations": 350 if on == "path" else 1000},
    )


def seeds(experiment: Experiment, count: int = 3) -> list[Experiment]:
    """The same experiment under other seeds; the first keeps its name."""
    return [experiment] + [replace(experiment, name=f"{experiment.name}-seed{s}", seed=s) for s in range(1, count)]
