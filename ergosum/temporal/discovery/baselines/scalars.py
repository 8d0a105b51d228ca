"""The founding report's own proposal: K energies with one scalar each, trained on prediction alone.

An encoder reads the K scalars off both frames (the report's reads the first alone, which cannot tell which way a factor
will go), and descent on the sum of the energies must reach the second. Nothing asks a scalar to be sparse, or to mean
the same for every image.
"""

from typing import Literal

import torch
from torch import Tensor

from ergosum.decomposer import InnerDescent
from ergosum.nets.residual import ResidualEnergy
from ergosum.nets.transport import Transport
from ergosum.part import Part
from ergosum.temporal.discovery.baselines.encoder import OddPairEncoder
from ergosum.temporal.model import TemporalDecomposer
from ergosum.temporal.task import PairData, Prediction

__all__ = ["ScalarMover", "scalars"]


def scalars(data: Part[PairData], networks: Literal["ours", "report"] = "report", width: int = 64) -> Part[Prediction]:
    """The task: K = 3, one scalar each, on pairs of frames.

    Args:
        data: pairs of frames. networks: the report's energies $E(x; z)$ with four learned steps, or transport energies
            $E(x; a, z)$ of the mean of three. width: channels of the energies.
    """
    report = networks == "report"
    descent = (
        Part(InnerDescent, steps=4, step_size=1000.0, learned=True)
        if report
        else Part(InnerDescent, steps=4, step_size=1 / 3, training_steps=1)
    )
    return Part(
        Prediction,
        data=data,
        model=Part(
            TemporalDecomposer,
            encoder=Part(OddPairEncoder),
            energy=Part(ResidualEnergy if report else Transport, width=width),
            components=("one", "two", "three"),
            latent=1,
            anchor="none" if report else "start",
            moves=False,
            descent=descent,
        ),
    )


class ScalarMover:
    """Reads and sets the scalars of a decomposer whose latents have one number each.

    An energy whose scalar is 0 for all of a batch takes no part in it, so that one energy can act alone.

    Args:
        model: trained, with an encoder that reads pairs.
    Raises:
        ValueError: for another model.
    """

    def __init__(self, model: TemporalDecomposer) -> None:
        if model.latent != 1 or not model.reads_pairs:
            raise ValueError(
                "ScalarMover: expected a model whose encoder reads pairs, latent = 1; got "
                f"{type(model.encoder).__name__}, latent = {model.latent}."
            )
        self.model, self.components = model.eval(), model.components

    @torch.no_grad()
    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """The scalars that the encoder reads off both frames."""
        return self.model.encode(start, target)[..., 0]

    @torch.no_grad()
    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """Descent on the sum of the energies closed with these scalars."""
        active = (moves != 0).any(0).nonzero()[:, 0].tolist()
        if not active:
            return start
        latents = moves[..., None]
        energy = self.model.bind(latents, start, None, 1.0, active)
        return self.model.descend(start, energy, latents, self.model.steps_taken(), None, False).frames[-1]
