"""What every sampler does to tensors: noise, numbers per chain, masks."""

import torch
from torch import Generator, Tensor

__all__ = ["along", "freed", "gaussian", "plus", "uniform"]


def gaussian(x: Tensor, generator: Generator | None, mask: Tensor | None = None) -> Tensor:
    """Standard normal noise like x, zero where the mask holds x fixed."""
    if generator is None or generator.device == x.device:
        noise = torch.randn_like(x, generator=generator, memory_format=torch.contiguous_format)
    else:
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)
    return noise if mask is None else noise * mask.to(noise)


def uniform(x: Tensor, generator: Generator | None) -> Tensor:
    """Uniform numbers in 0..1, shaped like x."""
    if generator is None or generator.device == x.device:
        return torch.rand_like(x, generator=generator, memory_format=torch.contiguous_format)
    return torch.rand(x.shape, generator=generator, dtype=x.dtype, device=generator.device).to(x.device)


def along(value: float | Tensor, x: Tensor) -> float | Tensor:
    """A number for all chains as it is; one number per chain shaped so that it multiplies x, of x's kind."""
    if not isinstance(value, Tensor):
        return value
    value = value if value.dtype == x.dtype or value.dtype == torch.bool else value.to(x.dtype)
    return value.to(x.device).reshape(-1, *[1] * (x.ndim - 1)) if value.ndim else value.to(x.device)


def freed(gradient: Tensor, mask: Tensor | None) -> Tensor:
    """The gradient where the mask lets x move, zero elsewhere, whatever it is there."""
    return gradient if mask is None else torch.where(mask.to(gradient.device).bool(), gradient, 0)


def plus(x: Tensor, scale: float | Tensor, direction: Tensor) -> Tensor:
    """x + scale * direction; one operation where the scale is a number."""
    return x + scale * direction if isinstance(scale, Tensor) else torch.add(x, direction, alpha=scale)
