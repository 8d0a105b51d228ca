r"""Energies of which only the score is known, $s(x) = \nabla \log p(x) = -\nabla E(x)$.

A diffusion model or a denoiser gives a score and no value. Scores add up as energies do, so sums, weights and plain
negations of them compose: $\nabla E = -\sum_k w_k s_k$. What needs a value is refused: a disjunction, a negation with a
margin, and every sampler with an accept step; Langevin dynamics needs none.

Source: Song & Ermon 2019, section 2. Du et al. 2023, Reduce, Reuse, Recycle, sections 3 and 4: what a composition loses
without values.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ergosum.energy import Energy, alike
from ergosum.shapes import Batch, PerSample

__all__ = ["Score", "as_score"]


class Score(Energy):
    """An energy without a value: `gradient` is minus the score, calling it raises.

    Args:
        function: the score, (batch, *event) -> (batch, *event); a module is registered with its weights. With a noise
            level it is called as `function(x, sigma)`, the score of the data noised to that level, and `at_noise`
            takes it to another level.
        noise: sigma >= 0, in units of x, or None for a function of x alone.
    Shape:
        x: (batch, *event). The gradient has the same shape.
    Raises:
        TypeError: if the function cannot be called.
        ValueError: from `gradient`, if the score has another shape than x; when a value is asked for.
    """

    has_value = False

    def __init__(self, function: Callable[..., Tensor], noise: float | None = None) -> None:
        super().__init__()
        if not callable(function):
            raise TypeError(f"Score: expected a callable (batch, *event) -> (batch, *event), got "
                            f"{type(function).__name__}.")  # fmt: skip
        self.function, self.noise = function, noise
        own = getattr(function, "__name__", type(function).__name__)
        self.name = own.lower() if own.isidentifier() else ""

    def forward(self, x: Batch) -> PerSample:
        """Raises: there is no value."""
        raise ValueError(f"{self}: no energy value: only a score; use Langevin, not an exact kernel.")

    def gradient(self, x: Batch, create_graph: bool = False) -> Batch:
        """Minus the score."""
        with torch.set_grad_enabled(create_graph):
            score = self.function(x) if self.noise is None else self.function(x, self.noise)
        if score.shape != x.shape:
            raise ValueError(
                f"{self}: expected a score of the shape of x, {tuple(x.shape)}, got {tuple(score.shape)}; it is the "
                "gradient of the log-density in x."
            )
        return -score

    def value_and_gradient(self, x: Batch, create_graph: bool = False) -> tuple[PerSample, Batch]:
        """Raises: there is no value, ask for the `gradient`."""
        return self(x), self.gradient(x, create_graph)

    def at_noise(self, sigma: float) -> Any:
        """The score at another noise level, of a function that takes one."""
        if self.noise is None:
            return super().at_noise(sigma)
        return alike(Score(self.function, sigma), self)


def as_score(function: Callable[..., Tensor], noise: float | None = None) -> Score:
    """An energy from its score alone, see `Score`.

    Example:
        >>> left, right = (as_score(lambda x, m=m: m - x).named(n) for n, m in (("left", -1.0), ("right", 2.0)))
        >>> (left & right).gradient(torch.zeros(1, 1))
        tensor([[-1.]])
        >>> left(torch.zeros(1, 1))
        Traceback (most recent call last):
            ...
        ValueError: left: no energy value: only a score; use Langevin, not an exact kernel.
    """
    return Score(function, noise)
