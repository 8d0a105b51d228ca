"""A decomposer: an encoder that reads latents off a frame, and a bank of K energies that they close.

$$ x_n = x_{n-1} - h grad_x sum_k E_k(x_{n-1}; a, z_k),   z_k = [Enc(x_t)]_k $$

Descent starts at the frame $x_t$ and must reach the frame `lag` later. The anchor $a$ is nothing, $x_t$, or $x_{n-1}$;
after z_k comes, where it is known, the signed number of levels to move.
"""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from einops import reduce, repeat
from torch import Generator, Tensor, nn

from ergosum.compose import And
from ergosum.energy import Conditional, Energy
from ergosum.nets.comet import CometEnergy, RecurrentEncoder
from ergosum.nets.encoders import StridedEncoder
from ergosum.nets.experts import DrawnExperts, ExpertDecoder, GlobalExperts
from ergosum.nets.pyramid import PyramidEncoder
from ergosum.nets.refined import RefinedExperts
from ergosum.nets.residual import ResidualEncoder, ResidualEnergy
from ergosum.nets.slots import SlotEncoder
from ergosum.nets.transport import Transport
from ergosum.nets.unet import UNetInnerProduct
from ergosum.samplers.chain import Info, Varying, differentiable_steps, run
from ergosum.samplers.descent import Descent
from ergosum.samplers.guards import NonFiniteError
from ergosum.samplers.tensors import gaussian
from ergosum.settings import EXPERTS, FACTORS, DescentSettings, ModelSettings
from ergosum.shapes import Images, Latents

__all__ = ["Decomposer", "Trajectory"]

SURE = -4.0
"""Logarithm of the variance of noisy latents where their network gives 0, so that at first they can be told."""


class Trajectory(NamedTuple):
    """What descent went through.

    Shape:
        frames: N + 1 tensors (batch, 3, side, side), the start first. infos: N records. latents: (batch, K, D).
        masks: (batch, K, side, side), each component's share of every pixel, where energies are experts. posterior:
        mean and logarithm of the variance, (batch, K, noisy) each, that the first numbers of noisy latents were drawn
        from; the place of a slot is not noisy.
    """

    frames: list[Tensor]
    infos: list[Info]
    latents: Tensor
    masks: Tensor | None = None
    posterior: tuple[Tensor, Tensor] | None = None


class _Folded(Energy):
    """K members of one family in one call: $sum_k E(x; a, z_k)$ with the components folded into the batch.

    Args:
        energy: with K codes per sample. repeats: frames to repeat for it, 1 for a family that folds by itself.
    """

    def __init__(self, energy: Energy, components: int, repeats: int) -> None:
        super().__init__()
        self.energy, self.components, self.repeats = energy, components, repeats

    def forward(self, x: Tensor) -> Tensor:
        folded = repeat(x, "batch ... -> (batch k) ...", k=self.repeats)
        return reduce(self.energy(folded), "(batch k) -> batch", "sum", k=self.components)

    def curvature(self) -> Tensor:
        """The second derivative of a sum of experts, (batch, 1, height, width)."""
        return self._precisions().sum(1)

    def masks(self) -> Tensor:
        """Shares of experts in the precision of every pixel, (batch, K, height, width)."""
        precisions = self._precisions()[:, :, 0]
        return precisions / precisions.sum(1, keepdim=True)

    def _precisions(self) -> Tensor:
        precision: Tensor = self.energy.precision  # type: ignore[assignment]
        return precision.unflatten(0, (-1, self.components))


def _stacked(experts: Sequence[DrawnExperts]) -> DrawnExperts:
    """Experts of several families as those of one: of each sample all, one after the other."""
    mean, precision = (torch.stack([getattr(e, name) for e in experts], 1) for name in ("mean", "precision"))
    return DrawnExperts(mean.flatten(0, 1), precision.flatten(0, 1))


class Decomposer(nn.Module):
    """Encoder, K conditional energies and the descent that recomposes them.

    Args:
        model: networks. descent: inner minimisation. canvas: side of a frame in pixels.
    """

    def __init__(self, model: ModelSettings, descent: DescentSettings, canvas: int = 28) -> None:
        super().__init__()
        self.model, self.descent, self.canvas = model, descent, canvas
        self.components = model.components
        outputs = len(self.components) * model.latent * (2 if model.noisy else 1)
        channels = 6 if model.encoder == "pair" else 3
        if model.encoder in ("residual", "comet"):
            blocks = 3 if model.encoder == "comet" else 2
            self.encoder: nn.Module = ResidualEncoder(outputs, channels, model.width, blocks)
        elif model.encoder == "pyramid":
            self.encoder = PyramidEncoder(outputs, channels, model.width, canvas)
        elif model.encoder == "recurrent":
            self.encoder = RecurrentEncoder(model.latent, model.width)
        elif model.encoder == "slots":
            self.encoder = SlotEncoder(model.latent, model.width, canvas, model.globals, noisy=model.noisy)
        else:
            self.encoder = StridedEncoder(outputs, channels, model.width)
        count = 1 if model.tied else len(self.components)
        self.energies = nn.ModuleList(self._family(model) for _ in range(count))
        start = torch.tensor(float(descent.step_size)).log()
        self.log_step = nn.Parameter(start, requires_grad=descent.learned)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # faster, see docs/speed.md

    def _family(self, model: ModelSettings) -> Conditional:
        code = model.latent + (len(FACTORS) if model.moves else 0)
        anchored = model.anchor != "none"
        if model.energy == "transport":
            return Transport(code, model.width, self.canvas)
        if model.energy in EXPERTS:
            if model.encoder == "slots":
                experts: Conditional = ExpertDecoder(code, model.width, self.canvas)
            else:
                experts = GlobalExperts(code, model.width, self.canvas, model.grey)
            return RefinedExperts(experts, code, model.width) if model.energy == "refined" else experts
        if model.energy == "comet":
            return CometEnergy(code, model.width, self.canvas, model.position)
        if model.energy == "unet":
            return UNetInnerProduct(code, model.width, self.canvas, anchored)
        return ResidualEnergy(code, model.width, self.canvas, anchored)

    def _told(self, component: str) -> Tensor:
        """Which of the three moves a component is told: its own factor's, those of 'a+b', or all if it names none."""
        named = [f in component.split("+") for f in FACTORS]
        return torch.tensor(named if any(named) else [True] * len(FACTORS))

    def encode(
        self,
        start: Images,
        target: Images | None = None,
        components: int | None = None,
        generator: Generator | None = None,
        places: Tensor | None = None,
    ) -> Latents:
        """Latents (batch, K, latent) of a frame, or of a pair of frames for a pair encoder; means of noisy latents.

        Args:
            components: K, another than was trained with, for recurrent and slot encoders.
            generator: of the places where slots start to look in training. places: (batch, K, 2), x and y in -1 .. 1,
                where they start instead; no other encoder heeds it.
        Raises:
            ValueError: if a pair encoder gets no target, or an encoder with a fixed K is asked for another.
        """
        return self._read(start, target, components, generator, places)[0]

    def _read(
        self,
        start: Images,
        target: Images | None,
        components: int | None,
        generator: Generator | None,
        places: Tensor | None,
    ) -> tuple[Latents, Tensor]:
        """Latents, and the logarithm of the variance of those of their first numbers that are noisy."""
        k = components or len(self.components)
        width = self.model.latent
        if isinstance(self.encoder, SlotEncoder):
            said = self.encoder(start, k, generator, places).float()
            return said[..., :width], said[..., width:] + SURE
        if isinstance(self.encoder, RecurrentEncoder):
            said = self.encoder(start, k, generator).float()
            return said, said[..., :0]
        if k != len(self.components):
            raise ValueError(f"This encoder reads {len(self.components)} components off a picture, not {k}.")
        if self.model.encoder == "pair":
            if target is None:
                raise ValueError("A pair encoder reads the change off two frames: pass the later frame as target.")
            start = torch.cat([start, target], 1)
        said = self.encoder(start).float().unflatten(1, (k, -1))
        return said[..., :width], said[..., width:] + SURE

    def _code(self, latents: Tensor, moves: Tensor | None, k: int, fraction: float) -> Tensor:
        z = latents[:, k]
        if not self.model.moves:
            return z
        if moves is None:
            raise ValueError("These energies are told how far to move: pass moves (batch, 3) in levels.")
        told = self._told(self.components[k]).to(moves.device)
        return torch.cat([z, fraction * moves * told], 1)

    def bind(
        self,
        latents: Latents,
        anchor: Images | None,
        moves: Tensor | None = None,
        fraction: float = 1.0,
        active: Sequence[int] | None = None,
    ) -> Energy:
        """The sum of the (active) energies, closed with their latents, the anchor and a fraction of the move.

        Shape:
            latents: (batch, K, latent). moves: (batch, 3) in levels.
        """
        ks = range(latents.shape[1]) if active is None else active
        anchor = None if self.model.anchor == "none" else anchor
        if self.model.tied:
            codes = torch.stack([self._code(latents, moves, k, fraction) for k in ks], 1)
            family: Conditional = self.energies[0]  # type: ignore[assignment]
            repeats = 1 if family.folds else len(ks)
            repeated = None if anchor is None else repeat(anchor, "batch ... -> (batch k) ...", k=repeats)
            return _Folded(family.bind(codes.flatten(0, 1), repeated), len(ks), repeats)
        bound = [self.energies[k].bind(self._code(latents, moves, k, fraction), anchor) for k in ks]  # type: ignore[operator]
        if self.model.energy == "experts":
            return _Folded(_stacked(bound), len(bound), len(bound))
        return bound[0] if len(bound) == 1 else And(*bound)

    def sampler(self, energy: Energy | None = None) -> Descent:
        """The descent step with its present step size; of experts a Newton step, which lands on the minimum."""
        if self.model.energy in EXPERTS and isinstance(energy, _Folded):
            return Descent(step_size=self.descent.step_size / energy.curvature(), noise=self.descent.noise)
        return Descent(step_size=self.log_step.exp(), noise=self.descent.noise)

    def forward(
        self,
        start: Images,
        target: Images | None = None,
        moves: Tensor | None = None,
        generator: Generator | None = None,
        steps: int | None = None,
        active: Sequence[int] | None = None,
        check: bool = False,
        seen: Images | None = None,
        latents: Latents | None = None,
    ) -> Trajectory:
        """Descend from `start`; in training mode the chosen steps can be differentiated.

        Args:
            seen: what the encoder looks at, to recompose a picture from noise; `start` if absent.
            latents: to use instead of what the encoder reads.
            target: the later frame, for pair encoders only.
            moves: (batch, 3), signed levels to advance.
            steps: N; default from the settings.
            active: components that act; all by default.
            check: raise at the first non-finite frame.
        """
        d = self.descent
        steps = steps or (d.training_steps if self.training and d.training_steps else d.steps)
        graph = differentiable_steps(d.gradient, steps, d.window) if self.training else (set(), set())
        posterior = None
        with torch.set_grad_enabled(self.training):
            if latents is None:
                latents, log_variance = self._read(start if seen is None else seen, target, None, generator, None)
                if self.model.noisy and self.training:
                    mean, sure = latents.split([log_variance.shape[2], latents.shape[2] - log_variance.shape[2]], 2)
                    posterior = mean, log_variance
                    latents = torch.cat([mean + (log_variance / 2).exp() * gaussian(mean, generator), sure], 2)
            closed = self.bind(latents, start, moves, 1.0, active) if self._constant() else None

        def energy_at(n: int, x: Tensor) -> Energy:
            if closed is not None:
                return closed
            if self.model.anchor == "step":
                return self.bind(latents, x, moves, 1 / steps if d.ramp else 1.0, active)
            return self.bind(latents, start, moves, n / steps, active)

        frames, infos = [start], []
        steps_taken = run(
            self.sampler(closed), Varying(energy_at), start, steps, graph=graph, generator=generator, check=check
        )
        for step in steps_taken:
            frames.append(step.x)
            infos.append(step.info)
        masks = closed.masks() if self.model.energy in EXPERTS and isinstance(closed, _Folded) else None
        return Trajectory(frames, infos, latents, masks, posterior)

    def _constant(self) -> bool:
        """Whether the same energy acts in every step."""
        return self.model.anchor != "step" and not self.descent.ramp

    @torch.no_grad()
    def predict(
        self,
        start: Images,
        target: Images | None = None,
        moves: Tensor | None = None,
        active: Sequence[int] | None = None,
        generator: Generator | None = None,
    ) -> Images:
        """The predicted frame in [0, 1].

        With step size 1 a bowl's last step forgets where it started, so ramped transport energies take one step here;
        `forward` shows all of them.
        """
        training = self.training
        self.eval()
        alone = len(self.components if active is None else active) == 1
        steps = 1 if self.one_step and alone and self.model.anchor == "start" else None
        try:
            last = self(start, target, moves, generator, steps, active, check=True).frames[-1]
        finally:
            self.train(training)
        return last.clamp(0, 1) if self.descent.clamp else last

    @property
    def globals(self) -> int:
        """Components that are everywhere instead of being an object: those of a slots encoder that have no place."""
        return self.model.globals if self.model.encoder == "slots" else 0

    @property
    def knows_moves(self) -> bool:
        """Whether the energies are told how far to move."""
        return self.model.moves

    @property
    def one_step(self) -> bool:
        """Whether one step of one energy lands on its minimum: a bowl and step size 1, without noise."""
        d = self.descent
        return self.model.energy == "transport" and not d.learned and d.step_size == 1 and d.noise == 0

    @torch.no_grad()
    def blame(self, start: Images, target: Images | None, moves: Tensor | None, seen: Images | None = None) -> str:
        """Which component first gives a non-finite energy or gradient from `start`: words for an error message."""
        latents = self.encode(start if seen is None else seen, target, generator=Generator().manual_seed(0))
        if not torch.isfinite(latents).all():
            return "the encoder's latents"
        for k, name in enumerate(self.components):
            value, gradient = self.bind(latents, start, moves, 1.0, [k]).value_and_gradient(start)
            if not (torch.isfinite(value).all() and torch.isfinite(gradient).all()):
                return f"component {name!r}"
        try:
            self(start, target, moves, check=True, seen=seen, generator=Generator().manual_seed(0))
        except NonFiniteError as error:
            return f"the sum of all components ({error})"
        return "the loss alone"
