"""Words for tensor shapes, used in every public signature.

`Batch` is a batch of events (images, points) of any shape; `PerSample` one number for each of them; `Latents` the
`K` codes of width `D` that close `K` energies; `Frames` a batch of sequences of images.
"""

from jaxtyping import Float
from torch import Tensor

__all__ = ["Batch", "Factors", "Frames", "Images", "Latents", "PerSample"]

Batch = Float[Tensor, "batch *event"]
PerSample = Float[Tensor, "batch"]
Latents = Float[Tensor, "batch components latent"]
Images = Float[Tensor, "batch channels height width"]
Frames = Float[Tensor, "batch time channels height width"]
Factors = Float[Tensor, "batch time factors"]
