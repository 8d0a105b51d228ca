"""Published models of pictures on the two sets whose factors are known: the rows of the table of global factors.

Every recipe trains for the same CPU time, about four minutes on one thread, which is what its number of updates comes
from. An update took 87 ms of beta-VAEs, 94 of FactorVAE, 123 of InfoGAN, 104 of MONet, 143 of slot attention and 146 of
additive decoders (first quartiles of 23, in turn, both cores at work). Sizes follow COMET's table (Du et al. 2021): 64
codes, or sets of latents that together have as many or more.
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
    batch: int = 64
    clip: float = 0.0


def _vae(beta: float, latent: int, likelihood: Literal["gaussian", "bernoulli"] = "gaussian") -> Row:
    says = f"beta-VAE, beta = {beta:g}, D = {latent}, {likelihood.capitalize()}"
    return Row("vae", says, RivalSettings(latent=latent, beta=beta, likelihood=likelihood), 2750)


ROWS = {
    "vae-b1-d64": _vae(1, 64),
    "vae-b4-d64": _vae(4, 64),
    "vae-b16-d64": _vae(16, 64),
    "vae-b4-d32": _vae(4, 32),
    "vae-b4-d256": _vae(4, 256),
    "vae-b4-d64-bernoulli": _vae(4, 64, "bernoulli"),
    "factor-vae": Row("factor_vae", "FactorVAE, gamma = 10, D = 64", RivalSettings(gamma=10.0), 2550),
    "info-gan": Row("info_gan", "InfoGAN, 64 codes", RivalSettings(information=1.0), 1950, 32),
    "monet": Row("monet", "MONet, K = 4, D = 16", RivalSettings(components=4, latent=16, width=16, beta=0.5, gamma=0.5),
                 2300, 16, clip=1.0),
    "slot-attention": Row("slot_attention", "slot attention, K = 4, D = 32", RivalSettings(components=4, latent=32),
                          1680, 32),
    "additive": Row("additive", "additive decoders, K = 4, D = 16", RivalSettings(components=4, latent=16), 1640),
}  # fmt: skip
"""The models of the table, for both sets."""


def rival(pictures: str, row: str) -> Experiment:
    """A published model, a row of `ROWS`, on `still` or `shapes`."""
    settings, known = SETS[pictures]
    r = ROWS[row]
    return Experiment(
        name=f"{pictures}-{row}",
        shows=f"baseline: {r.says}; {known}",
        cost=f"4 min on {CPU}",
        task="recomposition",
        predictor=r.predictor,  # type: ignore[arg-type]
        pictures=settings,
        rival=r.rival,
        optimiser=OptimiserSettings(
            iterations=r.iterations, batch=r.batch, rate=1e-3, clip=r.clip, ema=0.998, precision="bf16"
        ),
        checkpoint_every=1000,
        log_every=50,
    )
