"""One row for every public name: what each energy, network, sampler and metric needs to stand before the laws.

Energies and networks are rough (no weight is left at its zero start) and in float64, so that a law that fails, fails.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ergosum.compose import And, Or, Scaled, negation
from ergosum.data.render import render
from ergosum.data.sequences import SPACING
from ergosum.energy import Energy, as_energy
from ergosum.metrics.equivariance import equivariance_error
from ergosum.metrics.error import mse, psnr, skill
from ergosum.metrics.identity import accuracy, identity_kept
from ergosum.metrics.reader import circular_difference, factor_errors, read_factors
from ergosum.metrics.response import diagonal_share, levels_moved
from ergosum.metrics.sharpness import gradient_energy, sharpness
from ergosum.nets.blocks import ConditionedBlock
from ergosum.nets.body import UNetBody
from ergosum.nets.classifier import DigitClassifier
from ergosum.nets.encoders import StridedEncoder
from ergosum.nets.residual import ResidualEncoder, ResidualEnergy
from ergosum.nets.transport import Bowl, Transport
from ergosum.nets.unet import UNetInnerProduct

ROOMS = ("nets", "samplers", "metrics", "energies", "energy", "compose", "formula")
BATCH, SIDE, CODE = 3, 12, 5


def public_names() -> dict[str, str]:
    """Every name in an `__all__` of the rooms under law: name -> module."""
    found = {}
    for room in ROOMS:
        module = import_module(f"ergosum.{room}")
        inside = [m.name for m in iter_modules(getattr(module, "__path__", []), f"ergosum.{room}.")]
        for path in inside or [f"ergosum.{room}"]:
            found |= dict.fromkeys(import_module(path).__all__, path)
    return found


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def rough(net: nn.Module, seed: int = 0) -> nn.Module:
    generator = torch.Generator().manual_seed(seed)
    for weight in net.double().parameters():
        spread = 1.0 / max(1, weight[0].numel()) ** 0.5 if weight.ndim > 1 else 0.1
        weight.data = spread * torch.randn(weight.shape, generator=generator, dtype=torch.float64)
    return net


class Condition(NamedTuple):
    """What closes a family: latents and anchors, one per sample."""

    z: Tensor
    anchor: Tensor


CONDITION = Condition(2 * noise(BATCH, CODE, seed=1) - 1, noise(BATCH, 3, SIDE, SIDE, seed=2))

FAMILIES: dict[str, Callable[[], nn.Module]] = {
    "Transport": lambda: rough(Transport(CODE, 4, SIDE)),
    "UNetInnerProduct": lambda: rough(UNetInnerProduct(CODE, 4, SIDE)),
    "UNetInnerProduct, no anchor": lambda: rough(UNetInnerProduct(CODE, 4, SIDE, anchored=False)),
    "ResidualEnergy": lambda: rough(ResidualEnergy(CODE, 4, SIDE)),
    "ResidualEnergy, anchored": lambda: rough(ResidualEnergy(CODE, 4, SIDE, anchored=True)),
}


def _quartic(x: Tensor) -> Tensor:
    return (x - 0.3).pow(4).flatten(1).sum(1)


def _closed(family: str) -> Callable[[Condition], Energy]:
    return lambda c: FAMILIES[family]().bind(c.z, c.anchor)  # type: ignore[operator]


def _members(family: str) -> Callable[[Condition], Energy]:
    """Two members of one family, which are evaluated in one call: one for each sample, one for all."""

    def build(c: Condition) -> Energy:
        made = FAMILIES[family]()
        anchor = c.anchor if made.anchored else None
        return made(c.z, anchor) & 0.5 * made(noise(CODE, seed=8), anchor)

    return build


ENERGIES: dict[str, Callable[[Condition], Energy]] = {
    **{name: _closed(name) for name in FAMILIES},
    "Bowl": lambda c: Bowl(c.anchor),
    "as_energy": lambda c: as_energy(_quartic),
    "And": lambda c: And(Bowl(c.anchor), as_energy(_quartic), _closed("UNetInnerProduct")(c)),
    "Or": lambda c: Or(0.02 * Bowl(c.anchor), 0.05 * as_energy(_quartic), log_weights=(0.5, -0.3)),
    "Not": lambda c: Bowl(c.anchor) & negation(_closed("UNetInnerProduct")(c), 0.3),
    "Not, bounded": lambda c: Bowl(c.anchor) & negation(_quartic, 2.0, margin=15.0),
    "Scaled": lambda c: Scaled(0.7, as_energy(_quartic)),
    "Closed": _members("UNetInnerProduct"),
    "Closed, folded": _members("ResidualEnergy, anchored"),
}
"""Closed with the conditions of a batch, each gives one energy per sample."""

IMAGE = noise(BATCH, 3, SIDE, SIDE, seed=3)
CANVAS = noise(BATCH, 3, 28, 28, seed=4)

NETS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "StridedEncoder": (lambda: StridedEncoder(6, 3, 4), (IMAGE,)),
    "ResidualEncoder": (lambda: ResidualEncoder(6, 3, 4), (IMAGE,)),
    "DigitClassifier": (lambda: DigitClassifier(4), (CANVAS,)),
    "UNetBody": (lambda: UNetBody(3, 7, CODE, 4, SIDE), (IMAGE, CONDITION.z)),
    "ConditionedBlock": (lambda: ConditionedBlock(3, CODE), (IMAGE, CONDITION.z)),
}
"""Networks and what they take; each row of a batch passes on its own."""


class Measure(NamedTuple):
    """A metric as a function of the gap between prediction and truth: its best value, and whether a gap raises it."""

    best: float
    rises: bool
    of: Callable[[float], float]


_TRUE = noise(4, 3, 28, 28, seed=5).float()
_OTHER = noise(4, 3, 28, 28, seed=6).float()
_LABELS = torch.arange(10).repeat(2)
_DIGIT = F.avg_pool2d((noise(4, 1, 28, 28, seed=7).float() > 0.7).float(), 3, 1, 1)
_DIGIT[..., :8, :], _DIGIT[..., 20:, :], _DIGIT[..., :8], _DIGIT[..., 20:] = 0, 0, 0, 0
_FACTORS = torch.tensor([[1.0, 25.0, 0.9], [6.0, -170.0, 1.3], [3.0, 100.0, 0.7], [0.0, 0.0, 1.0]])


def _mixed(gap: float) -> Tensor:
    return (1 - gap) * _TRUE + gap * _OTHER


def _blurred(gap: float) -> Tensor:
    return (1 - gap) * _TRUE + gap * F.avg_pool2d(_TRUE, 3, 1, 1)


def _answers(gap: float) -> Tensor:
    """Images whose pixels are logits that err on a share `gap` of the labels."""
    wrong = torch.arange(len(_LABELS)) < round(gap * len(_LABELS))
    return F.one_hot(torch.where(wrong, (_LABELS + 1) % 10, _LABELS), 10).float()[:, :, None, None]


def _pixels(images: Tensor) -> Tensor:
    return images.flatten(1)


def _match(gap: float) -> float:
    """How well a digit is recognised under up to a fifth of noise."""
    frames = torch.lerp(render(_DIGIT, _FACTORS), _OTHER, gap / 2)
    return read_factors(frames, _DIGIT, render).match.mean().item()


METRICS: dict[str, Measure] = {
    "mse": Measure(0, True, lambda g: mse(_mixed(g), _TRUE).sum().item()),
    "psnr": Measure(100, False, lambda g: psnr(mse(_mixed(g), _TRUE)).mean().item()),
    "skill": Measure(1, False, lambda g: skill(mse(_mixed(g), _TRUE).sum().item(), mse(_OTHER, _TRUE).sum().item())),
    "equivariance_error": Measure(0, True, lambda g: equivariance_error(_mixed(g)[None], _TRUE[None]).item()),
    "sharpness": Measure(1, False, lambda g: sharpness(_blurred(g), _TRUE)),
    "gradient_energy": Measure(
        gradient_energy(_TRUE).sum().item(), False, lambda g: gradient_energy(_blurred(g)).sum().item()
    ),
    "accuracy": Measure(1, False, lambda g: accuracy(_pixels, _answers(g), _LABELS)),
    "identity_kept": Measure(1, False, lambda g: identity_kept(_pixels, _answers(g), _answers(0), _LABELS)),
    "factor_errors": Measure(0, True, lambda g: factor_errors(_FACTORS + g, _FACTORS).amin().item()),
    "circular_difference": Measure(
        0, True, lambda g: circular_difference(_FACTORS[:, 0] + g, _FACTORS[:, 0], 6.5).abs().amin().item()
    ),
    "levels_moved": Measure(0, True, lambda g: levels_moved(_FACTORS, _FACTORS + g * SPACING, SPACING).amin().item()),
    "diagonal_share": Measure(1, False, lambda g: diagonal_share((1 - g) * torch.eye(3) + g * torch.ones(3, 3))),
    "read_factors": Measure(1, False, _match),
}

ELSEWHERE = {
    "Energy": "laws/test_energies.py",
    "Conditional": "laws/test_energies.py",
    "Term": "test_compose.py",
    "Terms": "test_compose.py",
    "EqualPartitionWarning": "test_compose.py",
    "TemperatureWarning": "test_compose.py",
    "conjunction": "test_compose.py",
    "disjunction": "test_compose.py",
    "negation": "test_compose.py",
    "scaled": "test_compose.py",
    "leaves": "test_compose.py",
    "terms": "test_compose.py",
    "FormulaError": "test_formula.py",
    "parse": "test_formula.py",
    "show": "test_formula.py",
    "Info": "laws/test_samplers.py",
    "Step": "laws/test_samplers.py",
    "State": "laws/test_samplers.py",
    "NonFiniteError": "laws/test_samplers.py",
    "UnboundedError": "laws/test_samplers.py",
    "Varying": "laws/test_samplers.py",
    "sample": "laws/test_samplers.py",
    "start": "laws/test_samplers.py",
    "along": "laws/test_samplers.py",
    "ShortRun": "laws/test_samplers.py",
    "igebm": "laws/test_samplers.py",
    "jem": "laws/test_samplers.py",
    "short_run": "laws/test_samplers.py",
    "anatomy": "laws/test_samplers.py",
    "Ladder": "laws/test_samplers.py",
    "warm_up": "laws/test_samplers.py",
    "leapfrog": "laws/test_stationarity.py",
    "TARGETS": "laws/test_stationarity.py",
    "gaussian": "laws/test_descent.py",
    "accept": "laws/mutants.py",
    "ess": "metrics/test_diagnostics.py",
    "rhat": "metrics/test_diagnostics.py",
    "mcse": "metrics/test_diagnostics.py",
    "Chain": "laws/test_samplers.py",
    "Sampler": "laws/test_samplers.py",
    "differentiable_steps": "laws/test_descent.py",
    "run": "laws/test_descent.py",
    "coordinates": "laws/test_nets.py",
    "widen": "laws/test_nets.py",
    "Reading": "metrics/test_reader.py",
    "Gaussian": "laws/closed_forms.py",
    "Mixture": "laws/closed_forms.py",
    "Ring": "laws/closed_forms.py",
    "Funnel": "laws/closed_forms.py",
    "DoubleWell": "laws/closed_forms.py",
    "Box": "laws/closed_forms.py",
    "Experts": "laws/closed_forms.py",
    "Masked": "laws/closed_forms.py",
    "Clauses": "laws/closed_forms.py",
    "rejection": "laws/test_closed_forms.py",
    "fits": "laws/test_closed_forms.py",
    "positive": "laws/test_closed_forms.py",
    "real": "laws/test_closed_forms.py",
    "agreement": "energies/test_experts.py",
    "Agreement": "energies/test_experts.py",
    "composite": "energies/test_masks.py",
}
"""Records, abstract classes and parts: the file that says what holds for them."""


def family(row: str) -> str:
    """The public name that a row is about."""
    return row.partition(",")[0]
