"""Published models of images on the two datasets whose factors are known: the rows of the table of global factors.

Every recipe trains for the same CPU time, two minutes on one thread, which is what its number of updates
comes from. An update took 26 to 27 ms of beta-VAEs, 30 of FactorVAE, 64 of InfoGAN, 102 of MONet, 92 of slot attention
and 56 of additive decoders (first quartiles of 14, in turn, both cores at work). Half the usual width and batches of 32
give more updates in that time. Numbers of codes follow COMET's table (Du et al. 2021): 64 codes, or sets of latents
that together have as many or more.
"""

from typing import Any, Literal, NamedTuple

from ergosum.data.named import dataset
from ergosum.decomposition.baselines import Additive, BetaVae, FactorVae, InfoGan, Monet, SlotAttention
from ergosum.decomposition.task import Coding
from ergosum.part import Part
from ergosum.training.experiment import Experiment, Optimiser, Run

__all__ = ["ROWS", "SETS", "baseline"]

CPU = "one thread of a 2-core x86-64 CPU with bfloat16"
SETS = {
    "still": (dataset("still", 64, 3), "seven factors of light and camera"),
    "shapes": (dataset("shapes", 64, 1), "five factors of one white shape"),
}
"""Datasets of the table, and what is known of them."""


class Row(NamedTuple):
    """A model and how long it learns."""

    says: str
    model: Part[Any]
    iterations: int
    rate: float = 1e-3
    batch: int = 32
    clip: float = 0.0


def _vae(beta: float, latent: int, likelihood: Literal["gaussian", "bernoulli"] = "gaussian") -> Row:
    says = f"beta-VAE, beta = {beta:g}, D = {latent}, {likelihood.capitalize()}"
    return Row(says, Part(BetaVae, latent=latent, width=16, beta=float(beta), likelihood=likelihood), 4500, 2e-3)


ROWS = {
    "vae-b1-d64": _vae(1, 64),
    "vae-b4-d64": _vae(4, 64),
    "vae-b16-d64": _vae(16, 64),
    "vae-b4-d32": _vae(4, 32),
    "vae-b4-d256": _vae(4, 256),
    "vae-b1-d10": _vae(1, 10),
    "vae-b0.05-d64": _vae(0.05, 64),
    "vae-b4-d64-bernoulli": _vae(4, 64, "bernoulli"),
    "factor-vae": Row("FactorVAE, gamma = 10, D = 64", Part(FactorVae, latent=64, width=16, gamma=10.0), 4000),
    "info-gan": Row("InfoGAN, 64 codes", Part(InfoGan, latent=64, width=16, information=1.0), 1900),
    "monet": Row("MONet, K = 4, D = 16", Part(Monet, components=4, latent=16, width=16, beta=0.5, gamma=0.5), 1200,
                 batch=16, clip=1.0),
    "slot-attention": Row("slot attention, K = 4, D = 32", Part(SlotAttention, components=4, latent=32, width=16),
                          1300),
    "additive": Row("additive decoders, K = 4, D = 16", Part(Additive, components=4, latent=16, width=16), 2150, 2e-3),
}  # fmt: skip
"""The models of the table, for both datasets."""


def baseline(name: str, row: str) -> Experiment:
    """A published model, a row of `ROWS`, on `still` or `shapes`."""
    data, known = SETS[name]
    r = ROWS[row]
    return Experiment(
        name=f"{name}-{row}",
        shows=f"baseline: {r.says}; {known}",
        cost=f"2 min on {CPU}",
        task=Part(Coding, model=r.model, data=data, count=20_000),
        optimiser=Optimiser(
            iterations=r.iterations, batch=r.batch, rate=r.rate, clip=r.clip, ema=0.998, precision="bf16"
        ),
        run=Run(checkpoint_every=1000, log_every=50),
    )
