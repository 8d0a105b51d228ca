"""The temporal decomposer: latents of a frame close K energies of change, and descent leads to a later frame.

$$ x_n = x_{n-1} - h grad_x sum_k E_k(x_{n-1}; a, z_k),   z_k = [Enc(x_t)]_k $$

Descent starts at the frame $x_t$ and must reach the frame `lag` later. The anchor $a$, the frame that the energy is
conditioned on, is nothing, $x_t$, or $x_{n-1}$; after z_k comes, where it is known, the signed number of levels to
move.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from ergosum.data.render import FACTORS
from ergosum.decomposer import Decomposer, InnerDescent, Trajectory
from ergosum.energy import Conditional, Energy
from ergosum.nets.encoders import Encoder, StridedEncoder
from ergosum.nets.transport import Transport
from ergosum.part import Part
from ergosum.shapes import Images, Latents

__all__ = ["TemporalDecomposer"]


class _Blind(nn.Module):
    """No encoder: no latents."""

    def forward(self, x: Images) -> Tensor:
        return x.new_zeros(len(x), 0)


class TemporalDecomposer(Decomposer):
    """Encoder, K conditional energies and the descent from one frame to a later one.

    Args:
        encoder: computes latents from a frame, or from two (`PairEncoder`).
        energy: the family of each component's energy; gets `code`, `side` and, if it takes it, `anchored`.
        components: names of the K energies; a factor's name (or a+b) says which move an energy is conditioned on, any
            other name all of them.
        latent: numbers per latent z_k, >= 0; 0 takes no encoder: energies see the frame and the move alone.
        anchor: what an energy is conditioned on beside z: nothing (`none`), E(x; z); the frame the prediction starts
            from (`start`), E(x; x_t, z); or the frame where each step starts (`step`), E(x; x_n, z).
        moves: append the signed number of levels to move, the action code, to each z_k; without it z_k comes from the
            frame alone.
        ramp: let step n ask for the move n/N, so that each step has its own place on the way.
        tied: one network for all K components (True) or one each (False).
        descent: the inner minimisation.
        side: of a frame in pixels.
        factors: names of the columns of `moves`: colour, angle and scale of digits, or those of your own data.
    Raises:
        ValueError: if the arguments do not go together.
    """

    def __init__(
        self,
        encoder: Part[Encoder] = Part(StridedEncoder),  # noqa: B008
        energy: Part[Conditional] = Part(Transport),  # noqa: B008
        components: tuple[str, ...] = ("colour",),
        latent: int = 16,
        anchor: Literal["none", "start", "step"] = "start",
        moves: bool = True,
        ramp: bool = False,
        tied: bool = False,
        descent: Part[InnerDescent] = Part(InnerDescent),  # noqa: B008
        side: int = 28,
        factors: tuple[str, ...] = FACTORS,
    ) -> None:
        if anchor not in ("none", "start", "step"):
            raise ValueError(f"anchor: expected none, start or step, got {anchor!r}.")
        if not factors or len(set(factors)) != len(factors):
            raise ValueError(f"factors: expected one or more different names, got {tuple(factors)}.")
        if latent < (0 if moves else 1):
            raise ValueError(f"latent: expected an integer >= 1, or 0 with moves, got {latent!r}.")
        if ramp and not moves:
            raise ValueError("ramp: expected False where energies are not conditioned on the move (moves = False).")
        if getattr(encoder.cls, "exchangeable", False):
            raise ValueError(f"encoder: {encoder.cls.__name__} reads sets of components; expected one of K fixed ones.")
        code = latent + (len(factors) if moves else 0)
        super().__init__(
            lambda: encoder.build(outputs=len(components) * latent, side=side) if latent else _Blind(),
            lambda: energy.build(code=code, side=side, anchored=anchor != "none"),
            components, tied, descent.build(), side,
        )  # fmt: skip
        self.latent, self.anchor, self.knows_moves, self.ramp = latent, anchor, moves, ramp
        self.factors = tuple(factors)
        self.reads_pairs = bool(getattr(self.encoder, "reads_pairs", False))
        if self.anchored and anchor == "none":
            raise ValueError(f"anchor: expected start or step, since {energy.cls.__name__} needs an anchor.")
        if moves and self.reads_pairs:
            raise ValueError("moves: expected False with an encoder that computes the move from two frames.")

    def encode(self, start: Images, target: Images | None = None) -> Latents:
        """Latents (batch, K, latent) of a frame, or of two for an encoder that reads pairs.

        Raises:
            ValueError: if such an encoder gets no target.
        """
        if self.reads_pairs:
            if target is None:
                raise ValueError("A pair encoder computes the change from two frames: pass the later frame as target.")
            start = torch.cat([start, target], 1)
        return self.encoder(start).float().reshape(len(start), len(self.components), self.latent)

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
            latents: (batch, K, latent). moves: (batch, factors) in levels.
        """
        ks = range(latents.shape[1]) if active is None else active
        return self.close([self._code(latents, moves, k, fraction) for k in ks], anchor, ks)

    def _code(self, latents: Tensor, moves: Tensor | None, k: int, fraction: float) -> Tensor:
        z = latents[:, k]
        if not self.knows_moves:
            return z
        if moves is None:
            raise ValueError(
                f"These energies are conditioned on the move: pass moves (batch, {len(self.factors)}) in levels."
            )
        return torch.cat([z, fraction * moves * self._conditioned(k).to(moves.device)], 1)

    def _conditioned(self, k: int) -> Tensor:
        """Which of the moves component k sees: its own factor's, those of 'a+b', or all if it names none."""
        named = [f in self.components[k].split("+") for f in self.factors]
        return torch.tensor(named if any(named) else [True] * len(self.factors))

    def forward(
        self,
        start: Images,
        target: Images | None = None,
        moves: Tensor | None = None,
        generator: Generator | None = None,
        steps: int | None = None,
        active: Sequence[int] | None = None,
        check: bool = False,
    ) -> Trajectory:
        """Descend from `start`; in training mode the chosen steps can be differentiated.

        Args:
            target: the later frame, for pair encoders only. moves: (batch, factors), signed levels to advance.
            steps: N; default from the settings. active: components that act; all by default. check: raise at the first
            non-finite frame.
        """
        steps = self.steps_taken(steps)
        with torch.set_grad_enabled(self.training):
            latents = self.encode(start, target)
            closed = None if self.anchor == "step" or self.ramp else self.bind(latents, start, moves, 1.0, active)

        def energy_at(n: int, x: Tensor) -> Energy:
            if self.anchor == "step":
                return self.bind(latents, x, moves, 1 / steps if self.ramp else 1.0, active)
            return self.bind(latents, start, moves, n / steps, active)

        return self.descend(start, closed or energy_at, latents, steps, generator, check)

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
        steps = 1 if self.one_step and alone and self.anchor == "start" else None
        try:
            last = self(start, target, moves, generator, steps, active, check=True).frames[-1]
        finally:
            self.train(training)
        return last.clamp(0, 1) if self.descent.clamp else last

    @property
    def one_step(self) -> bool:
        """Whether one step of one energy lands on its minimum: a bowl and step size 1, without noise."""
        d = self.descent
        return isinstance(self.energies[0], Transport) and not d.learned and d.step_size == 1 and d.noise == 0

    @torch.no_grad()
    def locate(self, start: Images, target: Images | None, moves: Tensor | None) -> str:
        """Which component first gives a non-finite energy or gradient from `start`: words for an error message."""
        latents = self.encode(start, target)
        return self.where_non_finite(
            latents,
            lambda k: self.bind(latents, start, moves, 1.0, [k]),
            start,
            lambda: self(start, target, moves, check=True, generator=Generator().manual_seed(0)),
        )
