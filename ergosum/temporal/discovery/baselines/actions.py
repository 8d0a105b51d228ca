r"""Latent actions: a pair of frames passes through a narrow bottleneck, and a forward model makes the second of the
first and what came through.

$$ z = q(a, b), \qquad \hat b = m(a, z) $$

The forward model m is the transport energy's own network, so that nothing but the bottleneck differs from energies.
Source: the idea of LAPO (Schmidt & Jiang 2024) and of Genie's action model (Bruce et al. 2024), without their networks.
"""

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F

from ergosum.nets.blocks import widen
from ergosum.nets.transport import Transport
from ergosum.temporal.discovery.baselines.encoder import OddPairEncoder
from ergosum.temporal.discovery.baselines.learning import PairModel, losses_of, relative_error
from ergosum.training.task import Losses

__all__ = ["ContinuousActions", "DiscreteActions"]


def _moved(forward: Transport, start: Tensor, code: Tensor, still: Tensor) -> Tensor:
    """Frames after the action; those that stand still stay as they are."""
    return torch.where(still[:, None, None, None], start, widen(forward.mean(code, start)))


class ContinuousActions(PairModel):
    r"""K numbers, of which noise and a price keep as few bits as will do.

    $z = \mu(a, b) + \sigma \varepsilon$; loss: relative error, plus `kl` times
    $\frac12 \sum_k (\mu_k^2 + \sigma_k^2 - \log \sigma_k^2 - 1)$, plus `l1` times $\sum_k |\mu_k|$. Both weights
    rise from 0 over the first half of the training: charged at once, actions vanish before anything has used them.

    Args:
        components: names of the K moves. width: channels of the forward model. kl, l1: weights, >= 0. side: of a frame
            in pixels.
    """

    def __init__(
        self,
        components: tuple[str, ...] = ("one", "two", "three"),
        width: int = 24,
        kl: float = 1e-4,
        l1: float = 5e-3,
        side: int = 28,
    ) -> None:
        super().__init__(components)
        if kl < 0 or l1 < 0:
            raise ValueError(f"ContinuousActions: expected kl and l1 >= 0, got {kl!r} and {l1!r}.")
        self.kl, self.l1, self.canvas = kl, l1, side
        self.encoder = OddPairEncoder(len(components), 32, side)
        self.model = Transport(len(components), width, side)
        self.log_variance = nn.Parameter(torch.full((len(components),), -4.0))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, start: Tensor, target: Tensor, generator: Generator, progress: float) -> Losses:
        """Error of the forward model on a noisy action, and the prices of the bottleneck."""
        mean = widen(self.encoder(torch.cat([start, target], 1)))
        noise = torch.randn(mean.shape, generator=generator).to(mean)
        made = self.model.mean(mean + (self.log_variance / 2).exp() * noise, start)
        divergence = (mean.square() + self.log_variance.exp() - self.log_variance - 1).sum(1) / 2
        prices = self.kl * divergence.mean() + self.l1 * mean.abs().sum(1).mean()
        loss = relative_error(made, start, target).mean() + min(1.0, 2 * progress) * prices
        return losses_of(loss, made, start, target)

    @torch.no_grad()
    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """The means of the actions."""
        return self.encoder(torch.cat([start, target], 1))

    @torch.no_grad()
    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """What the forward model makes of the moves."""
        return _moved(self.model, start, moves, (moves == 0).all(1))


class DiscreteActions(PairModel):
    r"""One of `codes` actions, by vector quantisation.

    The encoder's vector e, of length 1, is replaced by the nearest of the codebook, likewise, with the gradient passed
    straight through; loss: relative error, plus $\|sg(e) - c\|^2 + \beta \|e - sg(c)\|^2$ (sg: no gradient). A code
    that nothing chose in 50 updates starts anew at a random vector of the batch.

    Actions have neither sign nor size. To compare them with signed factors, codes are paired without labels: those of
    (a, b) and of (b, a) are opposites, so the pairing is the one that most often held in training. Each pair is one
    component, read as 1, -1 or 0; speeds are lost in it, and a correlation with graded speeds stays below 1.

    Args:
        codes: size of the codebook, an even number. latent: width of its vectors. width: channels of the forward model.
        commitment: beta, >= 0. side: of a frame in pixels.
    """

    swapped: Tensor
    idle: Tensor

    def __init__(
        self, codes: int = 8, latent: int = 8, width: int = 24, commitment: float = 0.25, side: int = 28
    ) -> None:
        if codes < 2 or codes % 2:
            raise ValueError(f"DiscreteActions: expected an even number of codes >= 2, got {codes!r}.")
        super().__init__(tuple(f"pair{k}" for k in range(codes // 2)))
        self.commitment, self.canvas = commitment, side
        self.encoder = OddPairEncoder(latent, 32, side)
        self.model = Transport(latent, width, side)
        self.codebook = nn.Parameter(torch.empty(codes, latent))
        nn.init.normal_(self.codebook)
        self.register_buffer("swapped", torch.zeros(codes, codes))
        self.register_buffer("idle", torch.zeros(codes))
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, start: Tensor, target: Tensor, generator: Generator, progress: float) -> Losses:
        """Error of the forward model on the chosen code, and the losses of the codebook."""
        vectors = self._vectors(start, target)
        chosen = self._nearest(vectors)
        if self.training:
            self._note(vectors.detach(), chosen, generator)
        codes = self.unit[chosen]
        made = self.model.mean(vectors + (codes - vectors).detach(), start)
        fit = F.mse_loss(codes, vectors.detach()) + self.commitment * F.mse_loss(vectors, codes.detach())
        return losses_of(relative_error(made, start, target).mean() + fit, made, start, target)

    def opposites(self) -> list[tuple[int, int]]:
        """The pairing of codes under which swapping the two frames most often swapped the codes of a pair."""
        counts = (self.swapped + self.swapped.T).tolist()

        def best(left: tuple[int, ...]) -> tuple[float, list[tuple[int, int]]]:
            if not left:
                return 0.0, []
            first, rest = left[0], left[1:]
            found = [(other, *best(tuple(c for c in rest if c != other))) for other in rest]
            other, worth, pairs = max(found, key=lambda option: option[1] + counts[first][option[0]])
            return worth + counts[first][other], [(first, other), *pairs]

        return best(tuple(range(len(counts))))[1]

    @torch.no_grad()
    def read(self, start: Tensor, target: Tensor) -> Tensor:
        """1 or -1 in the column of the pair that the chosen code belongs to."""
        chosen = self._nearest(self._vectors(start, target))
        signed = torch.zeros(len(self.codebook), len(self.components), device=start.device)
        for k, (first, second) in enumerate(self.opposites()):
            signed[first, k], signed[second, k] = 1.0, -1.0
        return signed[chosen]

    @torch.no_grad()
    def act(self, start: Tensor, moves: Tensor) -> Tensor:
        """What the forward model makes of the codes; of a pair the first acts for moves > 0, the second for < 0."""
        first, second = torch.tensor(self.opposites(), device=start.device).unbind(1)
        code = moves.clamp_min(0) @ self.unit[first] + (-moves).clamp_min(0) @ self.unit[second]
        return _moved(self.model, start, code, (moves == 0).all(1))

    @property
    def unit(self) -> Tensor:
        """The codebook with vectors of length 1."""
        return F.normalize(self.codebook, dim=1)

    def _vectors(self, start: Tensor, target: Tensor) -> Tensor:
        return F.normalize(widen(self.encoder(torch.cat([start, target], 1))), dim=1)

    def _nearest(self, vectors: Tensor) -> Tensor:
        return (vectors @ self.unit.T).argmax(1)

    @torch.no_grad()
    def _note(self, vectors: Tensor, chosen: Tensor, generator: Generator) -> None:
        """Count which codes swapped frames have, and start idle codes anew."""
        codes = len(self.codebook)
        pairs = chosen * codes + self._nearest(-vectors)  # the encoder is odd: swapped frames have minus the vector
        self.swapped.mul_(0.99).add_(pairs.bincount(minlength=codes**2).view(codes, codes))
        used = chosen.bincount(minlength=codes) > 0
        self.idle.copy_(torch.where(used, 0.0, self.idle + 1))
        for code in (self.idle > IDLE).nonzero()[:, 0].tolist():
            at = int(torch.randint(len(vectors), (), generator=generator))
            self.codebook[code] = vectors[at]
            self.idle[code] = 0


IDLE = 50
"""Updates after which a code that nothing chose starts anew."""
