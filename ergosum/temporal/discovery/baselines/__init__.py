"""What discovered energies are compared with: other ways to find factors of change without labels."""

from ergosum.temporal.discovery.baselines.actions import ContinuousActions, DiscreteActions
from ergosum.temporal.discovery.baselines.encoder import OddPairEncoder
from ergosum.temporal.discovery.baselines.fields import ImageFields
from ergosum.temporal.discovery.baselines.groups import GroupMover, search_groups
from ergosum.temporal.discovery.baselines.learning import PairLearning, PairModel
from ergosum.temporal.discovery.baselines.scalars import ScalarMover, scalars
from ergosum.temporal.discovery.baselines.slow_vae import SlowVAE

__all__ = [
    "ContinuousActions", "DiscreteActions", "GroupMover", "ImageFields", "OddPairEncoder", "PairLearning", "PairModel",
    "ScalarMover", "SlowVAE", "scalars", "search_groups",
]  # fmt: skip
