"""Sequences: energies of change, learned from pairs of frames and steered along timelines (the founding report)."""

from ergosum.temporal.baselines.feedforward import FeedForwardTransport, FeedForwardUNet
from ergosum.temporal.beside import Beside
from ergosum.temporal.control import Bank
from ergosum.temporal.features import FeatureDistance, FrozenFeatures
from ergosum.temporal.gaps import Filled, PathEnergy, PathSearch, fill
from ergosum.temporal.model import TemporalDecomposer
from ergosum.temporal.objective import PredictionLoss, PredictionObjective
from ergosum.temporal.task import PairData, Prediction, Predictor
from ergosum.temporal.timeline import Timeline, parse_timeline

__all__ = [
    "Bank",
    "Beside",
    "FeatureDistance",
    "FeedForwardTransport",
    "FeedForwardUNet",
    "Filled",
    "FrozenFeatures",
    "PairData",
    "PathEnergy",
    "PathSearch",
    "Prediction",
    "PredictionLoss",
    "PredictionObjective",
    "Predictor",
    "TemporalDecomposer",
    "Timeline",
    "fill",
    "parse_timeline",
]
