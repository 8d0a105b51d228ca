"""One row for every public name: what each energy, network, sampler and metric needs to stand before the laws.

Energies and networks are rough (no weight is left at its zero start) and in float64, so that a law that fails, fails.
"""

import math
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
from ergosum.metrics.beta_vae import beta_vae
from ergosum.metrics.counting import count_accuracy
from ergosum.metrics.dci import dci
from ergosum.metrics.equivariance import equivariance_error
from ergosum.metrics.error import mse, psnr, skill
from ergosum.metrics.factor_vae import factor_vae
from ergosum.metrics.identity import accuracy, identity_kept
from ergosum.metrics.mcc import mcc
from ergosum.metrics.mig import mig, mutual_information
from ergosum.metrics.reader import circular_difference, factor_errors, read_factors
from ergosum.metrics.response import diagonal_share, levels_moved
from ergosum.metrics.sap import sap
from ergosum.metrics.segmentation import ari, covering, foreground_ari, matched_iou
from ergosum.metrics.sharpness import gradient_energy, sharpness
from ergosum.metrics.ssim import ssim
from ergosum.metrics.swap import swap_consistency
from ergosum.nets.blocks import ConditionedBlock
from ergosum.nets.body import UNetBody
from ergosum.nets.broadcast import BroadcastDecoder
from ergosum.nets.classifier import DigitClassifier, PictureClassifier
from ergosum.nets.comet import CometEnergy, RecurrentEncoder
from ergosum.nets.encoders import StridedEncoder
from ergosum.nets.experts import DrawnExperts, ExpertDecoder, GlobalExperts
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.nets.refined import RefinedExperts
from ergosum.nets.residual import Block, ResidualEncoder, ResidualEnergy
from ergosum.nets.slots import SlotEncoder
from ergosum.nets.transport import Bowl, Transport
from ergosum.nets.unet import UNetInnerProduct

ROOMS = ("nets", "baselines", "samplers", "metrics", "energies", "energy", "compose", "formula")
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
    "CometEnergy": lambda: rough(CometEnergy(CODE, 4, SIDE)),
    "CometEnergy, placed": lambda: rough(CometEnergy(CODE, 4, SIDE, position=True)),
    "ExpertDecoder": lambda: rough(ExpertDecoder(CODE, 4, SIDE)),
    "GlobalExperts": lambda: rough(GlobalExperts(CODE, 4, SIDE)),
    "RefinedExperts": lambda: rough(RefinedExperts(GlobalExperts(CODE, 4, SIDE), CODE, 4)),
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
    "DrawnExperts": lambda c: DrawnExperts(c.anchor, 0.1 + c.anchor[:, :1]),
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


class _Asked(nn.Module):
    """An encoder asked for three components."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x, 3)


NETS: dict[str, tuple[Callable[[], nn.Module], tuple[Tensor, ...]]] = {
    "StridedEncoder": (lambda: StridedEncoder(6, 3, 4), (IMAGE,)),
    "ResidualEncoder": (lambda: ResidualEncoder(6, 3, 4), (IMAGE,)),
    "DigitClassifier": (lambda: DigitClassifier(4), (CANVAS,)),
    "PictureClassifier": (lambda: PictureClassifier(5, 4), (CANVAS,)),
    "RecurrentEncoder": (lambda: _Asked(RecurrentEncoder(5, 4)), (CANVAS,)),
    "SlotEncoder": (lambda: _Asked(SlotEncoder(9, 4, SIDE)).eval(), (IMAGE,)),
    "Block": (lambda: Block(3, 4, CODE), (IMAGE, CONDITION.z)),
    "UNetBody": (lambda: UNetBody(3, 7, CODE, 4, SIDE), (IMAGE, CONDITION.z)),
    "PyramidEncoder": (lambda: PyramidEncoder(6, 3, 4, 32), (noise(BATCH, 3, 32, 32, seed=12),)),
    "PyramidDecoder": (lambda: PyramidDecoder(CODE, 3, 4, 32), (CONDITION.z,)),
    "BroadcastDecoder": (lambda: BroadcastDecoder(CODE, 4, 4, SIDE), (CONDITION.z,)),
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


_GRID = torch.cartesian_prod(*[torch.arange(5.0)] * 3).repeat(4, 1)
_SEGMENTS = torch.arange(4).repeat_interleave(4).repeat(2, 16, 1)
_MASKS = F.one_hot(_SEGMENTS, 4).movedim(3, 1).bool()
_SWAPPED = torch.tensor([True, False, False])


def _codes(gap: float) -> Tensor:
    """The factors of `_GRID`, five levels each, under noise of up to five levels times the gap."""
    return _GRID + 10 * gap * (noise(500, 3, seed=8) - 0.5)


def _seeded(metric: Callable[..., float], gap: float) -> float:
    generator = torch.Generator().manual_seed(0)
    return metric(_codes(3 * gap), _GRID, generator, train=200, evaluate=400, batch=8)


def _dci(part: str) -> Callable[[float], float]:
    return lambda g: getattr(dci(_codes(g), _GRID, torch.Generator().manual_seed(0)), part)


def _segments(gap: float) -> Tensor:
    return torch.where(noise(2, 16, 16, seed=10) < gap, (_SEGMENTS + 1) % 4, _SEGMENTS)


def _swap(gap: float) -> float:
    own, donor, other = noise(3, 6, 3, 2, seed=11)
    target = torch.where(_SWAPPED[:, None], donor, own)
    return swap_consistency(own, donor, torch.lerp(target, other, gap), _SWAPPED).consistency


def _miscounted(gap: float) -> Tensor:
    return _LABELS + (torch.arange(len(_LABELS)) < round(gap * len(_LABELS)))


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
    "beta_vae": Measure(1, False, lambda g: _seeded(beta_vae, g)),
    "factor_vae": Measure(1, False, lambda g: _seeded(factor_vae, g)),
    "mig": Measure(1, False, lambda g: mig(_codes(g), _GRID)),
    "mcc": Measure(1, False, lambda g: mcc(_codes(g), _GRID)),
    "sap": Measure(1, False, lambda g: sap(_codes(g), _GRID, torch.Generator(), "correlation")),
    "dci, disentanglement": Measure(1, False, _dci("disentanglement")),
    "dci, completeness": Measure(1, False, _dci("completeness")),
    "dci, informativeness": Measure(1, False, _dci("informativeness")),
    "mutual_information": Measure(
        math.log(10), False, lambda g: mutual_information(_miscounted(g)[:, None], _LABELS[:, None]).item()
    ),
    "ari": Measure(1, False, lambda g: ari(_segments(g), _MASKS).mean().item()),
    "foreground_ari": Measure(1, False, lambda g: foreground_ari(_segments(g), _MASKS).mean().item()),
    "covering": Measure(1, False, lambda g: covering(_segments(g), _MASKS).mean().item()),
    "matched_iou": Measure(1, False, lambda g: matched_iou(_segments(g), _MASKS).mean().item()),
    "ssim": Measure(1, False, lambda g: ssim(_mixed(g), _TRUE).mean().item()),
    "swap_consistency": Measure(1, False, _swap),
    "count_accuracy": Measure(1, False, lambda g: count_accuracy(_miscounted(g), _LABELS)),
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
    "expect_finite": "laws/test_guards.py",
    "expect_shape": "laws/test_guards.py",
    "plus": "laws/test_guards.py",
    "refuse_non_finite": "laws/test_guards.py",
    "refuse_ungrounded": "laws/test_guards.py",
    "uniform": "laws/test_guards.py",
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
    "masked": "laws/test_descent.py",
    "slope": "samplers/test_scores.py",
    "resumed": "samplers/test_states.py",
    "Level": "samplers/test_annealed.py",
    "Tally": "laws/test_samplers.py",
    "accepted": "samplers/test_accept.py",
    "expect_mask": "samplers/test_accept.py",
    "FallGuard": "laws/test_guards.py",
    "TrainingModeWarning": "laws/test_guards.py",
    "coupling": "laws/test_guards.py",
    "expect_chains": "laws/test_guards.py",
    "expect_value": "samplers/test_scores.py",
    "FewDrawsWarning": "test_partition.py",
    "LogZ": "samplers/test_importance.py",
    "between": "samplers/test_importance.py",
    "draws_of": "samplers/test_importance.py",
    "expect_exact": "samplers/test_importance.py",
    "gap": "samplers/test_importance.py",
    "log_mean": "samplers/test_importance.py",
    "systematic": "samplers/test_importance.py",
    "told": "samplers/test_importance.py",
    "Population": "samplers/test_smc.py",
    "tempered_smc": "samplers/test_smc.py",
    "summed": "laws/test_descent.py",
    "accept": "laws/mutants.py",
    "ess": "metrics/test_diagnostics.py",
    "rhat": "metrics/test_diagnostics.py",
    "mcse": "metrics/test_diagnostics.py",
    "binned": "metrics/test_codes.py",
    "levels": "metrics/test_codes.py",
    "paired": "metrics/test_codes.py",
    "seed": "metrics/test_codes.py",
    "split": "metrics/test_codes.py",
    "standardised": "metrics/test_codes.py",
    "draw_groups": "metrics/test_sharing.py",
    "draw_pairs": "metrics/test_sharing.py",
    "correlations": "metrics/test_mcc.py",
    "Dci": "metrics/test_dci.py",
    "Principal": "metrics/test_principal.py",
    "principal": "metrics/test_principal.py",
    "reference_rows": "metrics/test_references.py",
    "objects_shown": "metrics/test_segmentation.py",
    "segment_labels": "metrics/test_segmentation.py",
    "Kid": "metrics/test_kid.py",
    "kid": "metrics/test_kid.py",
    "squared_mmd": "metrics/test_kid.py",
    "Swap": "metrics/test_swap.py",
    "connected_count": "metrics/test_counting.py",
    "object_count": "metrics/test_counting.py",
    "Chain": "laws/test_samplers.py",
    "Sampler": "laws/test_samplers.py",
    "differentiable_steps": "laws/test_descent.py",
    "run": "laws/test_descent.py",
    "PLACE": "test_decomposition.py",
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
    "FeedForward": "evaluation/test_baselines.py",
    "Predict": "evaluation/test_baselines.py",
    "trivial": "evaluation/test_baselines.py",
    "Rival": "baselines/test_rivals.py",
    "Practice": "baselines/test_rivals.py",
    "frozen": "baselines/test_rivals.py",
    "BetaVae": "baselines/test_rivals.py",
    "FactorVae": "baselines/test_rivals.py",
    "InfoGan": "baselines/test_rivals.py",
    "Monet": "baselines/test_rivals.py",
    "SlotAttention": "baselines/test_rivals.py",
    "Additive": "baselines/test_rivals.py",
    "permuted": "baselines/test_vae_terms.py",
}
"""Records, abstract classes and parts: the file that says what holds for them."""


def family(row: str) -> str:
    """The public name that a row is about."""
    return row.partition(",")[0]
