"""Networks: families of energies that a code closes, encoders that read codes, decoders that draw."""

from ergosum.nets.autoencoder import Autoencoder
from ergosum.nets.broadcast import BroadcastDecoder
from ergosum.nets.comet import CometEnergy, RecurrentEncoder
from ergosum.nets.encoders import Encoder, PairEncoder, StridedEncoder
from ergosum.nets.experts import ExpertDecoder, GlobalExperts
from ergosum.nets.levels import LevelDense, LevelEncoder, LevelMlp, LevelUNet
from ergosum.nets.pyramid import PyramidDecoder, PyramidEncoder
from ergosum.nets.refined import RefinedExperts
from ergosum.nets.residual import ResidualEncoder, ResidualEnergy
from ergosum.nets.slots import SlotEncoder
from ergosum.nets.transport import Transport
from ergosum.nets.unet import UNetInnerProduct

__all__ = [
    "Autoencoder", "BroadcastDecoder", "CometEnergy", "Encoder", "ExpertDecoder", "GlobalExperts", "LevelDense",
    "LevelEncoder", "LevelMlp", "LevelUNet", "PairEncoder", "PyramidDecoder", "PyramidEncoder", "RecurrentEncoder",
    "RefinedExperts", "ResidualEncoder", "ResidualEnergy", "SlotEncoder", "StridedEncoder", "Transport",
    "UNetInnerProduct",
]  # fmt: skip
