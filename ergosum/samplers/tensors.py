"""What every sampler does to tensors: noise, numbers per chain, masks, the accept test."""

import torch
from torch import Generator, Tensor

__all__ = ["accepted", "along", "expect_mask", "gaussian", "masked", "plus", "uniform"]


def gaussian(x: Tensor, generator: Generator | None, mask: Tensor | None = None) -> Tensor:
    """Standard normal noise like x, zero on the fixed coordinates of a mask."""
    device = x.device if generator is None else generator.device
    noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)
    return noise if mask is None else noise * mask.to(noise)


def uniform(x: Tensor, generator: Generator | None) -> Tensor:
    """Uniform numbers in 0..1, shaped like x."""
    device = x.device if generator is None else generator.device
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=device).to(x.device)


def accepted(log_ratio: Tensor, generator: Generator | None) -> Tensor:
    r"""Each chain's accept test: whether $\log u < r$ for its own u, uniform in 0..1.

    In float32 or better, whatever the chains are in: bfloat16 has a u of exactly 0, which would accept any proposal,
    in one test of 512. The u = 0 that remains, one in $2^{24}$ of float32, stands for all numbers below $2^{-24}$ and
    is replaced by the middle of them.

    Shape:
        log_ratio: (batch,). Returns (batch,), bool.
    """
    wide = log_ratio if log_ratio.dtype == torch.float64 else log_ratio.float()
    # torch draws multiples of eps / 2
    return uniform(wide, generator).clamp_(min=torch.finfo(wide.dtype).eps / 4).log_() < wide


def along(value: float | Tensor, x: Tensor) -> float | Tensor:
    """A number for all chains as it is; one number per chain shaped so that it multiplies x, of x's kind."""
    if not isinstance(value, Tensor):
        return value
    value = value if value.dtype == x.dtype or value.dtype == torch.bool else value.to(x.dtype)
    return value.to(x.device).reshape(-1, *[1] * (x.ndim - 1)) if value.ndim else value.to(x.device)


def masked(gradient: Tensor, mask: Tensor | None) -> Tensor:
    """The gradient on the free coordinates of a mask, zero on the fixed ones, whatever it is there."""
    return gradient if mask is None else torch.where(mask.to(gradient.device).bool(), gradient, 0)


def expect_mask(name: str, mask: Tensor | None) -> None:
    """Raise unless every element of a mask is 0 or 1: what lies between would scale the noise and not the gradient."""
    if mask is None or mask.dtype == torch.bool:
        return
    other = mask[(mask != 0) & (mask != 1)]
    if other.numel():
        raise ValueError(
            f"{name}: expected a mask of booleans, or of 1 where x may move and 0 where it is fixed, got "
            f"{other[0].item():g}. Compare it with a threshold, or use a smaller step size to move x less."
        )


def plus(x: Tensor, scale: float | Tensor, direction: Tensor) -> Tensor:
    """x + scale * direction; one operation where the scale is a number."""
    return x + scale * direction if isinstance(scale, Tensor) else torch.add(x, direction, alpha=scale)
