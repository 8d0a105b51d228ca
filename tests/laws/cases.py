"""One row for every public name: what each energy, network and sampler needs to stand before the laws.

Energies and networks are rough (no weight is left at its zero start) and in float64, so that a law that fails, fails.
"""

from collections.abc import Callable
from importlib import import_module
from pkgutil import iter_modules
from typing import NamedTuple

import torch
from torch import Tensor, nn

from ergosum.compose import And, Or, Scaled, negation
from ergosum.energy import Energy, as_energy
from ergosum.nets.blocks import ConditionedBlock
from ergosum.nets.body import UNetBody
from ergosum.nets.broadcast import BroadcastDecoder
from ergosum.nets.classifier import DigitClassifier, ImageClassifier, UprightClassifier
from ergosum.nets.comet import CometEnergy, RecurrentEncoder
from ergosum.nets.encoders import StridedEncoder
from ergosum.nets.experts import DrawnExperts, ExpertDecoder, GlobalExperts
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.nets.refined import RefinedExperts
from ergosum.nets.residual import Block, ResidualEncoder, ResidualEnergy
from ergosum.nets.slots import SlotEncoder
from ergosum.nets.transport import Bowl, Transport
from ergosum.nets.unet import UNetInnerProduct
from ergosum.part import Part
from ergosum.temporal.features import FeatureDistance, FrozenFeatures

ROOMS = ("nets", "samplers", "energies", "energy", "compose", "formula")
EXPORTING = ("data", "decomposer", "training", "temporal", "temporal.discovery", "decomposition", "density", "concepts")
"""Rooms of which only what they export is under law."""
BATCH, SIDE, CODE = 3, 12, 5


def public_names() -> dict[str, str]:
    """Every name in an `__all__` of the rooms under law: name -> module."""
    found = {}
    for room in ROOMS:
        module = import_module(f"ergosum.{room}")
        inside = [m.name for m in iter_modules(getattr(module, "__path__", []), f"ergosum.{room}.")]
        for path in inside or [f"ergosum.{room}"]:
            found |= dict.fromkeys(import_module(path).__all__, path)
    for room in EXPORTING:
        found |= dict.fromkeys(import_module(f"ergosum.{room}").__all__, f"ergosum.{room}")
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
    "FeatureDistance": lambda: rough(FeatureDistance(CODE, 4, SIDE)),
    "UNetInnerProduct": lambda: rough(UNetInnerProduct(CODE, 4, SIDE)),
    "UNetInnerProduct, no anchor": lambda: rough(UNetInnerProduct(CODE, 4, SIDE, anchored=False)),
    "ResidualEnergy": lambda: rough(ResidualEnergy(CODE, 4, SIDE)),
    "CometEnergy": lambda: rough(CometEnergy(CODE, 4, SIDE)),
    "CometEnergy, placed": lambda: rough(CometEnergy(CODE, 4, SIDE, position=True)),
    "ExpertDecoder": lambda: rough(ExpertDecoder(CODE, 4, SIDE)),
    "GlobalExperts": lambda: rough(GlobalExperts(CODE, 4, SIDE)),
    "RefinedExperts": lambda: rough(RefinedExperts(CODE, SIDE, Part(GlobalExperts, width=4), 4)),
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
    "ImageClassifier": (lambda: ImageClassifier(5, 4), (CANVAS,)),
    "FrozenFeatures": (lambda: FrozenFeatures(2), (IMAGE,)),
    "UprightClassifier": (lambda: UprightClassifier(4), (CANVAS,)),
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

ELSEWHERE = {
    "AttributedImages": "data/test_attributed_images.py",
    "HalfNoise": "samplers/test_broken.py",
    "NoReverse": "samplers/test_broken.py",
    "SharedTest": "samplers/test_broken.py",
    "finished": "samplers/test_sampling_by_steps.py",
    "sampling": "samplers/test_sampling_by_steps.py",
    "Avatars": "data/test_avatars.py",
    "CelebA": "data/test_celeba.py",
    "WindowEnergy": "concepts/test_finding_objects.py",
    "AttributeCodec": "concepts/test_codec_in_parts.py",
    "AttributeCodes": "concepts/test_concepts_end_to_end.py",
    "ConceptDensities": "concepts/test_concepts_end_to_end.py",
    "ConceptEnergy": "concepts/test_energy_in_parts.py",
    "ToldPart": "concepts/test_energy_in_parts.py",
    "WholeEnergy": "concepts/test_energy_in_parts.py",
    "Concepts": "concepts/exact.py",
    "Grown": "concepts/test_growing.py",
    "GrownCodes": "concepts/test_growing.py",
    "GrownDensities": "concepts/test_growing.py",
    "GrownEnergy": "concepts/test_growing.py",
    "Call": "concepts/test_counting.py",
    "LocalLifts": "concepts/test_counting.py",
    "ObjectDensities": "concepts/test_counting.py",
    "Objects": "concepts/test_counting.py",
    "Values": "concepts/test_conditions_of_values.py",
    "ColouredDigits": "data/test_coloured_digits.py",
    "ConceptScenes": "data/test_concept_scenes.py",
    "PartlyTold": "data/test_partly_told.py",
    "numbered": "concepts/test_concept_formulas.py",
    "TrainedCodec": "density/test_trained_codec.py",
    "Autoencoder": "density/test_space.py",
    "Posterior": "density/test_space.py",
    "Field": "density/test_bodies.py",
    "LevelBody": "density/test_bodies.py",
    "LevelEncoder": "density/test_family.py",
    "LevelMlp": "density/test_family.py",
    "LevelUNet": "density/test_family.py",
    "Attributes": "density/test_conditions.py",
    "Classes": "density/test_conditions.py",
    "Vectors": "density/test_conditions.py",
    "Codes": "density/test_space.py",
    "Pixels": "density/test_space.py",
    "Density": "density/test_space.py",
    "DenoisingScore": "density/test_denoising.py",
    "DenoiserDistance": "density/test_family.py",
    "Homogeneous": "density/test_family.py",
    "InnerProduct": "density/test_family.py",
    "Scalar": "density/test_family.py",
    "LevelEnergy": "density/test_family.py",
    "Landscape": "density/test_landscape.py",
    "EnergyLoss": "density/test_functionals.py",
    "HingeLoss": "density/test_functionals.py",
    "LogLoss": "density/test_functionals.py",
    "Lvq2Loss": "density/test_functionals.py",
    "MceLoss": "density/test_functionals.py",
    "NllLoss": "density/test_functionals.py",
    "PerceptronLoss": "density/test_functionals.py",
    "SquareExponentialLoss": "density/test_functionals.py",
    "SquareSquareLoss": "density/test_functionals.py",
    "ContrastiveDivergence": "density/test_objectives.py",
    "Discriminative": "density/test_objectives.py",
    "Jem": "density/test_objectives.py",
    "NoiseContrastive": "density/test_objectives.py",
    "SlicedScoreMatching": "density/test_objectives.py",
    "FromData": "density/test_starts.py",
    "FromNoise": "density/test_starts.py",
    "GaussianNoise": "density/test_starts.py",
    "Replay": "density/test_starts.py",
    "UniformNoise": "density/test_starts.py",
    "DenoisingJem": "density/test_logits.py",
    "LevelLogits": "density/test_logits.py",
    "MaskedScore": "density/test_incomplete_objectives.py",
    "Recovery": "density/test_incomplete_objectives.py",
    "LevelDense": "density/test_logits.py",
    "LabelledImages": "data/test_labelled.py",
    "FramesOfDigits": "data/test_frames.py",
    "WornFrames": "data/test_frames.py",
    "Beside": "temporal/test_beside.py",
    "BlockMask": "data/test_hiding.py",
    "BoxMask": "data/test_hiding.py",
    "FrameMask": "data/test_hiding.py",
    "ImageMask": "data/test_hiding.py",
    "SaltAndPepper": "data/test_hiding.py",
    "StackedMask": "data/test_incomplete.py",
    "StackedClips": "data/test_incomplete.py",
    "Incomplete": "data/test_incomplete.py",
    "Filled": "temporal/test_path.py",
    "PathEnergy": "temporal/test_path.py",
    "PathSearch": "temporal/test_path.py",
    "fill": "temporal/test_path.py",
    "Energy": "laws/test_energies.py",
    "Quadratic": "energies/test_quadratic.py",
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
    "UnknownNameError": "test_formula.py",
    "Node": "test_compose.py",
    "Named": "test_formula.py",
    "Score": "energies/test_score.py",
    "as_score": "energies/test_score.py",
    "level": "test_noise_levels.py",
    "parse_formula": "test_formula.py",
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
    "Ancestral": "samplers/test_ladder.py",
    "NoiseLadder": "samplers/test_ladder.py",
    "Particles": "samplers/test_ladder.py",
    "ProbabilityFlow": "samplers/test_ladder.py",
    "Reverse": "samplers/test_ladder.py",
    "Rung": "samplers/test_ladder.py",
    "UNITS": "samplers/test_ladder.py",
    "denoised": "samplers/test_ladder.py",
    "levels": "samplers/test_ladder.py",
    "Denoiser": "density/test_denoiser.py",
    "VarianceExploding": "density/test_denoiser.py",
    "VariancePreserving": "density/test_denoiser.py",
    "from_denoiser": "density/test_denoiser.py",
    "from_diffusers": "density/test_denoiser.py",
    "absorb": "density/test_offsets.py",
    "fit_offsets": "density/test_offsets.py",
    "NotNormalisedWarning": "density/test_table.py",
    "LowNoiseWarning": "density/test_family.py",
    "measure": "density/test_table.py",
    "Population": "samplers/test_smc.py",
    "tempered_smc": "samplers/test_smc.py",
    "summed": "laws/test_descent.py",
    "accept": "laws/mutants.py",
    "Chain": "laws/test_samplers.py",
    "Sampler": "laws/test_samplers.py",
    "differentiable_steps": "laws/test_descent.py",
    "run": "laws/test_descent.py",
    "coordinates": "laws/test_nets.py",
    "reduced": "laws/test_nets.py",
    "widen": "laws/test_nets.py",
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
    "PLACE": "decomposition/test_recombination.py",
    "Conditional": "laws/test_energies.py",
    "Losses": "training/test_fit.py",
    "FeedForwardUNet": "temporal/test_baselines.py",
    "FeedForwardTransport": "temporal/test_baselines.py",
    "ImageBaseline": "decomposition/baselines/test_image_baselines.py",
    "BetaVae": "decomposition/baselines/test_image_baselines.py",
    "FactorVae": "decomposition/baselines/test_image_baselines.py",
    "InfoGan": "decomposition/baselines/test_image_baselines.py",
    "Monet": "decomposition/baselines/test_image_baselines.py",
    "SlotAttention": "decomposition/baselines/test_image_baselines.py",
    "Additive": "decomposition/baselines/test_image_baselines.py",
    "ImageDecomposer": "decomposition/test_recombination.py",
    "RecompositionLoss": "decomposition/test_recombination.py",
    "Decomposer": "test_decomposer.py",
    "InnerDescent": "test_decomposer.py",
    "Trajectory": "training/test_loop.py",
    "Bank": "temporal/test_control.py",
    "Discovered": "temporal/discovery/test_discovery.py",
    "Found": "temporal/discovery/test_discovery.py",
    "GroupTransport": "temporal/discovery/test_discovery.py",
    "Search": "temporal/discovery/test_discovery.py",
    "Fitting": "temporal/discovery/test_dictionary.py",
    "Library": "temporal/discovery/test_groups.py",
    "centre_of_canvas": "temporal/discovery/test_groups.py",
    "centre_of_mass": "temporal/discovery/test_groups.py",
    "PairData": "end_to_end/test_bring_your_own.py",
    "Predictor": "end_to_end/test_bring_your_own.py",
    "PredictionLoss": "temporal/test_objective.py",
    "PredictionObjective": "end_to_end/test_bring_your_own.py",
    "RecompositionObjective": "decomposition/test_objective_of_images.py",
    "TemporalDecomposer": "temporal/test_model.py",
    "Timeline": "temporal/test_timeline.py",
    "parse_timeline": "temporal/test_timeline.py",
    "DigitSequences": "laws/test_data.py",
    "Experiment": "training/test_experiment.py",
    "Optimiser": "training/test_experiment.py",
    "Run": "training/test_experiment.py",
    "Task": "training/test_fit.py",
    "Update": "training/test_fit.py",
    "fit": "training/test_fit.py",
    "train": "training/test_loop.py",
    "load_predictor": "training/test_runfolder.py",
    "Encoder": "end_to_end/test_bring_your_own.py",
    "PairEncoder": "temporal/test_model.py",
}
"""Records, abstract classes and parts: the file that says what holds for them."""


def family(row: str) -> str:
    """The public name that a row is about."""
    return row.partition(",")[0]
