"""Published models of single images, for comparison: each codes an image as latents and draws it again."""

from ergosum.decomposition.baselines.additive import Additive
from ergosum.decomposition.baselines.baseline import ImageBaseline
from ergosum.decomposition.baselines.factor_vae import FactorVae
from ergosum.decomposition.baselines.info_gan import InfoGan
from ergosum.decomposition.baselines.monet import Monet
from ergosum.decomposition.baselines.slot_attention import SlotAttention
from ergosum.decomposition.baselines.vae import BetaVae

__all__ = ["Additive", "BetaVae", "FactorVae", "ImageBaseline", "InfoGan", "Monet", "SlotAttention"]
