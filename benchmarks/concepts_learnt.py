"""The energies that the rows of `concepts.py` learn: in the codes of one run, in the same minutes each."""

import hashlib
import math
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from densities import timed
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.concepts import ConceptDensities, ConceptEnergy, Concepts, Values, WholeEnergy
from ergosum.data.attributed import Attribute, columns
from ergosum.density import InnerProduct
from ergosum.density.family import LevelEnergy
from ergosum.density.forms import Scalar
from ergosum.density.objective import Objective
from ergosum.density.objectives.contrastive import ContrastiveDivergence
from ergosum.density.objectives.denoising import DenoisingScore
from ergosum.density.objectives.starts import GaussianNoise, Replay
from ergosum.energy import Conditional, Energy, as_energy
from ergosum.nets.levels import LevelDense, LevelMlp
from ergosum.part import Part
from ergosum.samplers.guards import NonFiniteError
from ergosum.samplers.presets import ShortRun
from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.loop import train
from ergosum.training.runfolder import load_predictor, load_recipe, locate
from ergosum.training.task import DivergenceError, Losses

__all__ = ["LEARNT", "Codec", "codec_of", "learnt"]

CODE, WIDTH, BLOCKS = 128, 256, 3
"""Width of the code of level and condition, of layers, and residual blocks, of every network but that of the parts."""
LEVELS = Optimiser(batch=128, rate=2e-3, ema=0.998, clip=100.0)
CHAINS = Optimiser(batch=64, rate=7e-4, ema=0.995, clip=100.0)
REPLAY: Part[Any] = Part(
    ContrastiveDivergence, start=Part(Replay, size=2000, noise=Part(GaussianNoise)),
    sampler=Part(ShortRun, steps=10, step_size=0.02, noise=0.2), squares=0.001, bound=1e3,
)  # fmt: skip


class Static(Conditional):
    """$E(x | c) = -f(x, c)$ without noise levels, of values of attributes: what chains are trained with.

    Args:
        event, attributes, parts: as `WholeEnergy`. width: of a layer.
    """

    condition_dims = 1

    def __init__(
        self, event: tuple[int, ...], attributes: Sequence[Attribute] = (), parts: Any = (), width: int = 256
    ) -> None:
        super().__init__()
        self.event, self.conditions = event, Values(CODE, attributes)
        self.body = LevelDense(event, CODE, width, BLOCKS)

    def fit(self, x: Tensor) -> None:
        """Nothing of the data is held."""

    def bind(self, z: Tensor, anchor: Tensor | None) -> Energy:
        """A member."""
        return as_energy(lambda x: -self.body(x, F.silu(self.conditions(z))).numbers[:, 0])

    def prior(self) -> Energy:
        """The member without a condition."""
        return self(self.conditions.none(1)[0])


class Told(Values):
    """Values of which none is left out: what a classifier is to say."""

    def drop(self, c: Tensor, probability: float, generator: Generator) -> Tensor:
        """All of them."""
        return c


class Classifiers(LevelEnergy):
    """$-\\log p(c | x, \\sigma)$ of the values that c tells, each attribute by itself: a softmax of named values, a
    Gaussian of numbers. Arguments as `Static`.
    """

    def __init__(
        self, event: tuple[int, ...], attributes: Sequence[Attribute] = (), parts: Any = (), width: int = 256
    ) -> None:
        held = [Attribute(*a) for a in attributes]
        self.sizes = [2 * a.numbers or len(a.values) for a in held]
        form = Part(Scalar, body=Part(LevelDense, width=width, blocks=BLOCKS), outputs=sum(self.sizes))
        super().__init__(event, Part(Told, attributes=attributes), form, code=CODE)  # type: ignore[arg-type]
        self.columns, self.named = columns(held), [bool(a.values) for a in held]

    def log_density(self, x: Tensor, log_sigma: Tensor, c: Tensor) -> Tensor:
        """log p(c | x, sigma), (batch,)."""
        y, level = self.placed(x, log_sigma)
        code = self.coded(log_sigma, self.conditions.none(len(x)))
        said = self.form.body(self.form.seen(y, level), code).numbers.split(self.sizes, 1)  # type: ignore[operator]
        total = x.new_zeros(len(x))
        for own, column, named in zip(said, self.columns, self.named, strict=True):
            value = c[:, column].nan_to_num()
            if named:
                each = own.log_softmax(1).gather(1, value.long())[:, 0]
            else:
                mean, spread = own.chunk(2, 1)
                spread = spread.clamp(-5, 2)
                each = (-(((value - mean) / spread.exp()) ** 2) / 2 - spread - math.log(2 * math.pi) / 2).sum(1)
            total = total + torch.where(c[:, column].isnan().any(1), 0.0, each)
        return total


class Likelihood(Objective):
    """Minus the mean log-likelihood that classifiers of noisy points give the values."""

    def loss(self, family: Any, x: Tensor, c: Tensor, generator: Generator, progress: float) -> Losses:
        """At one level for each point."""
        log_sigma = family.levels(len(x), generator)
        noisy, _ = family.noised(x, log_sigma, generator)
        return Losses(-family.log_density(noisy, log_sigma, c).mean())


class Learns(NamedTuple):
    """What a row learns: its family of a width (none of the sum over parts), what trains it, and how."""

    family: Callable[[int], Part[Any]] | None
    objective: Part[Objective]
    optimiser: Optimiser


def one_energy(width: int) -> Part[Any]:
    """An energy of the whole code over noise levels."""
    form = Part(InnerProduct, body=Part(LevelMlp, width=width, blocks=BLOCKS))
    return Part(WholeEnergy, form=form, code=CODE)


LEARNT = {
    "parts": Learns(None, Part(DenoisingScore), LEVELS),
    "whole": Learns(one_energy, Part(DenoisingScore), LEVELS),
    "denoising": Learns(one_energy, Part(DenoisingScore, time=0.0), LEVELS),
    "cd": Learns(lambda width: Part(Static, width=width), REPLAY, CHAINS),
    "classifiers": Learns(lambda width: Part(Classifiers, width=width), Part(Likelihood), LEVELS),
}


class Codec(NamedTuple):
    """The run that the codes come from: its name, the model as it would be built anew, its images, and eight digits of
    its weights, so that what was learned in other codes is not taken for what is learned in these.
    """

    name: str
    model: Part[Any]
    data: Part[Any]
    digits: str


def codec_of(run: str, kind: str, support: str) -> Codec:
    """The autoencoder of a run or card, and its data, of another support where one is asked for.

    Raises:
        ValueError: if the run is none of codes in parts, its images are of another kind, or it saw pairs that the
            support leaves out.
    """
    task: Any = load_recipe(locate(run)).task
    model, data = task.get("model"), task.get("data")
    if model is None or not hasattr(model.build().space, "parts"):
        raise ValueError(
            f"--codec {run}: expected a run of concepts in codes with parts, such as of recipe concepts-latents."
        )
    coloured = "support" in data.settings()
    if coloured != (kind == "mnist"):
        raise ValueError(
            f"--data {kind}: the images of {run} are {data.cls.__name__}; expected another codec, or kind."
        )
    if support:
        if not coloured:
            raise ValueError(f"--support {support}: {data.cls.__name__} has none; leave it away.")
        if support == "partial" and data.get("support") != "partial":
            raise ValueError(f"--support partial: the codec of {run} has seen pairs that the support leaves out.")
        data = data.but(support=support)
    space = model.get("space").but(share=0.0, weights=str(locate(run).resolve()))
    weights = (locate(run) / "model.safetensors").read_bytes()
    return Codec(Path(run).name, model.but(space=space), data, hashlib.sha256(weights).hexdigest()[:8])


def count(model: nn.Module) -> int:
    """Weights."""
    return sum(p.numel() for p in model.parameters())


def family_of(learns: Learns, codec: Codec) -> Part[Any]:
    """The family of a row."""
    given: Part[Any] = codec.model.get("family")
    ours = given if given.cls is ConceptEnergy else Part(ConceptEnergy)
    return ours if learns.family is None else learns.family(WIDTH)


def learnt(name: str, codec: Codec, seed: int, minutes: float, runs: Path) -> tuple[Concepts, Any, dict[str, Any]]:
    """A trained model, its task, and what training cost; trained unless its run is there."""
    support = codec.data.settings().get("support", "")
    learns, out = LEARNT[name], runs / f"{name}-{codec.digits}-{support}{seed}-{minutes:g}"
    model = codec.model.but(family=family_of(learns, codec))
    task: Any = ConceptDensities(data=codec.data, model=model, objective=learns.objective, draws=0)
    told: dict[str, Any] = {"diverged": 0}
    if not (out / "run.json").is_file():
        shutil.rmtree(out, ignore_errors=True)
        run = Experiment(name=name, task=task, optimiser=learns.optimiser, run=Run(seed=seed, rollbacks=3))
        updates = max(4, round(60 * minutes / timed(run)))
        run = run.but(optimiser={"iterations": updates}, run={"checkpoint_every": max(1, updates // 4)})
        try:
            for _ in train(run, out, accelerator="cpu"):
                pass
        except (NonFiniteError, DivergenceError) as error:
            told = {"diverged": 1, "why": str(error)}
    if (out / "model.safetensors").is_file():
        made: Any = load_predictor(out, task=task)[1]
    else:  # diverged before the first checkpoint
        made = task.build().eval()
        task.prepare(made)
    state = torch.load(out / "checkpoint.pt", weights_only=True) if (out / "checkpoint.pt").is_file() else {}
    spent = {"cpu_seconds": state.get("cpu_seconds", 0.0), "updates": state.get("iteration", 0)}
    return made, task, {"weights": count(made.family), **spent, **told}
