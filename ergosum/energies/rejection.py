"""Exact samples by rejection: propose, accept with the ratio of the density to its envelope, until there are enough."""

from collections.abc import Callable

import torch
from torch import Generator, Tensor

__all__ = ["rejection"]


def rejection(n: int, propose: Callable[[int], tuple[Tensor, Tensor]], generator: Generator | None) -> Tensor:
    """The first n accepted proposals.

    Args:
        n: >= 0. propose: gives m independent proposals (m, ...) and their log-probabilities of acceptance (m,), <= 0;
            its overall rate must not be tiny, or this takes long.
    Exact: yes, if the density is the proposals' times the acceptance, up to a constant.
    """
    kept: list[Tensor] = []
    missing = n
    while missing > 0 or not kept:
        proposals, log_acceptance = propose(missing + missing // 2 + 8)
        # 1 - u lies in (0, 1], so that a proposal with acceptance zero is never kept
        uniform = 1 - torch.rand(
            len(proposals), generator=generator, dtype=log_acceptance.dtype, device=log_acceptance.device
        )
        kept.append(proposals[uniform.log() <= log_acceptance][:missing])
        missing -= len(kept[-1])
    return torch.cat(kept)
