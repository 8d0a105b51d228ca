"""Digit sequences: the founding report's experiments, what they are compared with, and their ablations.

Each function returns an `Experiment`. Fine-tuning in (b) counts epochs of 60,000 pairs of frames (938 updates of 64),
as many as MNIST has digits. The sixteen epochs of (c), with three energies at a time, are of a stated subset, 6,400
pairs (100 updates), so that every recipe runs on two CPU cores.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Literal

from ergosum.data.render import FACTORS
from ergosum.data.sequences import DigitSequences
from ergosum.decomposer import InnerDescent
from ergosum.nets.encoders import StridedEncoder
from ergosum.nets.residual import ResidualEncoder, ResidualEnergy
from ergosum.nets.transport import Transport
from ergosum.nets.unet import UNetInnerProduct
from ergosum.part import Part
from ergosum.temporal.baselines.feedforward import FeedForwardTransport, FeedForwardUNet
from ergosum.temporal.model import TemporalDecomposer
from ergosum.temporal.objective import PredictionLoss
from ergosum.temporal.task import Prediction
from ergosum.training.experiment import Experiment, Optimiser

__all__ = ["HEADLINES", "recipes"]

EPOCH, SHORT_EPOCH = 938, 100
SOURCES = "digits+mnist"
CPU = "one thread of a 2-core x86-64 CPU with bfloat16"
HEADLINES = ("colour", "angle", "scale", "joint", "unsupervised")
"""What a person would train; the others are baselines and ablations of the tables."""


def recipes() -> dict[str, Callable[[], Experiment]]:
    """Recipe functions by name."""
    made: list[Callable[[], Experiment]] = []
    made += [partial(single, f) for f in FACTORS]
    made += [partial(shared, f) for f in ("colour", "scale", "angle")]
    made += [partial(unsupervised, n) for n in ("ours", "report")]
    made += [joint]
    made += [partial(feedforward, f, n) for n in ("unet", "transport") for f in FACTORS]
    made += [partial(report, f) for f in FACTORS]
    made += [partial(ablation, a, f) for a in ("none", "start", "step") for f in FACTORS]
    made += [partial(loss, o) for o in ("last", "all", "path")]
    return {make().name: make for make in made}


def single(factor: str) -> Experiment:
    """(a) One encoder and one energy for one factor, l = 1, N = 4; the other factors are frozen at random levels."""
    return Experiment(
        name=factor,
        shows=f"(a) one energy learns {factor} alone and can be steered both ways",
        cost=f"5 min on {CPU}",
        task=Part(
            Prediction,
            data=Part(DigitSequences, source=SOURCES, factors=(factor,), nuisance=FACTORS),
            model=Part(
                TemporalDecomposer,
                encoder=Part(StridedEncoder, width=32),
                energy=Part(Transport, width=32),
                components=(factor,),
                ramp=True,
                descent=Part(InnerDescent, steps=4, training_steps=1),
            ),
        ),
        optimiser=Optimiser(iterations=2000, precision="bf16"),
    )


def feedforward(factor: str, network: Literal["unet", "transport"] = "unet") -> Experiment:
    """A feed-forward predictor on the same pairs: a U-Net, or the transport energy's own network."""
    unet = network == "unet"
    return single(factor).but(
        name=f"feedforward-{network}-{factor}",
        shows=f"baseline: feed-forward {'U-Net of equal size' if unet else 'with the transport network'} learns "
        f"{factor}, equal training time",
        task={
            "model": Part(FeedForwardUNet, components=(factor,), width=33)
            if unet
            else Part(FeedForwardTransport, components=(factor,), width=32)
        },
        optimiser={"iterations": 2200 if unet else 2000},
    )


def _of_report(components: tuple[str, ...], latent: int) -> Part[TemporalDecomposer]:
    """The founding report's networks as it describes them, with unanchored energies."""
    return Part(
        TemporalDecomposer,
        encoder=Part(ResidualEncoder, width=64),
        energy=Part(ResidualEnergy, width=64),
        components=components,
        latent=latent,
        anchor="none",
        moves=False,
        descent=Part(InnerDescent, steps=4, step_size=1000.0, learned=True),
    )


def report(factor: str) -> Experiment:
    """The founding report's networks on one factor, equal training time."""
    return single(factor).but(
        name=f"report-{factor}",
        shows=f"baseline: the report's own networks, E(x; z), learn {factor}, equal training time",
        task={
            "data": {"nuisance": (), "signs": "forward", "continuous": False},
            "model": _of_report((factor,), 64),
        },
        optimiser={"iterations": 600, "batch": 32, "rate": 1e-3},
    )


def joint() -> Experiment:
    """One energy that is trained on all factors moving at once: the reference for composition."""
    return single("colour").but(
        name="joint",
        shows="reference: one energy trained on joint changes of all three factors",
        cost=f"8 min on {CPU}",
        task={"data": {"factors": FACTORS, "mode": "sparse"}, "model": {"components": ("colour+angle+scale",)}},
        optimiser={"iterations": 3000},
    )


def unsupervised(networks: Literal["ours", "report"] = "ours") -> Experiment:
    """(c) K = 3 energies, z_k in R^1, l = 2, N = 4 on lockstep sequences, 16 epochs: the negative control."""
    names = ("one", "two", "three")
    base = Experiment(
        name="unsupervised",
        shows="(c) three energies, no labels, lockstep data: they do not separate (negative control)",
        cost=f"8 min on {CPU}",
        task=Part(
            Prediction,
            data=Part(
                DigitSequences, source=SOURCES, mode="lockstep", start="fixed", signs="forward", continuous=False,
                lag=2, scale_min=0.1,
            ),
            model=Part(
                TemporalDecomposer,
                encoder=Part(StridedEncoder, width=32),
                energy=Part(Transport, width=32),
                components=names,
                latent=1,
                descent=Part(InnerDescent, steps=4, step_size=1 / 3, training_steps=1),
            ),
        ),
        optimiser=Optimiser(iterations=16 * SHORT_EPOCH, precision="bf16"),
    )  # fmt: skip
    if networks == "ours":
        return base
    return base.but(
        name="unsupervised-report",
        shows="(c) with the report's own networks, E(x; z): negative control",
        task={"model": _of_report(names, 1)},
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
    return single(factor).but(
        name=f"shared-{factor}",
        shows=f"(b) shared frozen encoder, energy fine-tuned on {factor} for {epochs} epoch(s)",
        cost=f"{epochs * 2.2:.0f} min on {CPU}, after {before}",
        task={"model": {"components": FACTORS, "latent": 1}, "active": (factor,), "freeze_encoder": True},
        optimiser={"iterations": epochs * EPOCH},
        run={"warm_start": f"runs/{before}"},
    )


def ablation(anchor: Literal["none", "start", "step"], factor: str) -> Experiment:
    """The same U-Net inner-product energy fixed, anchored once, or re-anchored in every step; N = 2."""
    return single(factor).but(
        name=f"anchor-{anchor}-{factor}",
        shows=f"ablation: U-Net inner-product energy, anchor = {anchor}, {factor}",
        cost=f"3 min on {CPU}",
        task={
            "model": {
                "encoder": Part(StridedEncoder, width=24),
                "energy": Part(UNetInnerProduct, width=24),
                "anchor": anchor,
                "ramp": anchor == "step",
                "descent": Part(InnerDescent, steps=2, learned=True),
            }
        },
        optimiser={"iterations": 500, "rate": 1e-3},
    )


def loss(on: Literal["last", "all", "path"], factor: str = "angle") -> Experiment:
    """Loss on the last step, on all, or on the path, for transport energies with h = 1/2; equal training time.

    On the path each step has its own network evaluation, on the others one serves all steps.
    """
    return single(factor).but(
        name=f"loss-{on}-{factor}",
        shows=f"ablation: transport energy, loss on {on}, {factor}",
        cost=f"3 min on {CPU}",
        task={
            "model": {
                "ramp": on == "path",
                "descent": Part(InnerDescent, steps=4, step_size=0.5, gradient="truncated"),
            },
            "objective": Part(PredictionLoss, on=on),
        },
        optimiser={"iterations": 350 if on == "path" else 1000},
    )


def seeds(experiment: Experiment, count: int = 3) -> list[Experiment]:
    """The same experiment under other seeds; the first keeps its name."""
    return [experiment] + [
        replace(experiment, name=f"{experiment.name}-seed{s}", run=replace(experiment.run, seed=s))
        for s in range(1, count)
    ]
