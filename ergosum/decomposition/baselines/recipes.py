"""Published models of pictures on the two sets whose factors are known: the rows of the table of global factors.

Every recipe trains for the same CPU time, two minutes on one thread, which is what its number of updates
comes from. An update took 26 to 27 ms of beta-VAEs, 30 of FactorVAE, 64 of InfoGAN, 102 of MONet, 92 of slot attention
and 56 of additive decoders (first quartiles of 14, in turn, both cores at work). Half the usual width and batches of 32
give more updates in that time. Numbers of codes follow COMET's table (Du et al. 2021): 64 codes, or sets of latents
that together have as many or more.
"""

from typing import Literal, NamedTuple

from ergosum.settings import Experiment, OptimiserSettings, PictureSettings, RivalSettings

__all__ = ["ROWS", "rival"]

CPU = "one thread of a 2-core x86-64 CPU with bfloat16"
SETS = {
    "still": (PictureSettings(name="still", side=64, fewest=3, most=3), "seven factors of light and camera"),
    "shapes": (PictureSettings(name="shapes", side=64, fewest=1, most=1), "five factors of one white shape"),
}


class Row(NamedTuple):
    """A model and how long it learns."""

    predictor: str
    says: str
    rival: RivalSettings
    iterations: int
    rate: float = 1e-3
    batch: int = 32
    clip: float = 0.0


def _vae(beta: float, latent: int, likelihood: Literal["gaussian", "bernoulli"] = "gaussian") -> Row:
    says = f"beta-VAE, beta = {beta:g}, D = {latent}, {likelihood.capitalize()}"
    return Row("vae", says, RivalSettings(latent=latent, width=16, beta=beta, likelihood=likelihood), 4500, 2e-3)


ROWS = {
    "vae-b1-d64": _vae(1, 64),
    "vae-b4-d64": _vae(4, 64),
    "vae-b16-d64": _vae(16, 64),
    "vae-b4-d32": _vae(4, 32),
    "vae-b4-d256": _vae(4, 256),
    "vae-b1-d10": _vae(1, 10),
    "vae-b0.05-d64": _vae(0.05, 64),
    "vae-b4-d64-bernoulli": _vae(4, 64, "bernoulli"),
    "factor-vae": Row("factor_vae", "FactorVAE, gamma = 10, D = 64", RivalSettings(width=16, gamma=10.0), 4000),
    "info-gan": Row("info_gan", "InfoGAN, 64 codes", RivalSettings(width=16, information=1.0), 1900),
    "monet": Row("monet", "MONet, K = 4, D = 16", RivalSettings(components=4, latent=16, width=16, beta=0.5, gamma=0.5),
                 1200, batch=16, clip=1.0),
    "slot-attention": Row("slot_attention", "slot attention, K = 4, D = 32",
                          RivalSettings(components=4, latent=32, width=16), 1300),
    "additive": Row("additive", "additive decoders, K = 4, D = 16",
                    RivalSettings(components=4, latent=16, width=16), 2150, 2e-3),
}  # fmt: skip
"""The models of the table, for both sets."""


def rival(pictures: str, row: str) -> Experiment:
    """A published model, a row of `ROWS`, on `still` or `shapes`."""
    settings, known = SETS[pictures]
    r = ROWS[row]
    return Experiment(
        name=f"{pictures}-{row}",
        shows=f"baseline: {r.says}; {known}",
        cost=f"2 min on {CPU}",
        task="recomposition",
        predictor=r.predictor,  # type: ignore[arg-type]
        pictures=settings,
        rival=r.rival,
        optimiser=OptimiserSettings(
            iterations=r.iterations, batch=r.batch, rate=r.rate, clip=r.clip, ema=0.998, precision="bf16"
        ),
        checkpoint_every=1000,
        log_every=50,
    )
