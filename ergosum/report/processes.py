"""Work that several processes share: which one this is, and what all of them found, for the first."""

import os
from collections.abc import Mapping
from typing import Any, TypeVar

import torch.distributed as dist

__all__ = ["gathered", "processes"]

Found = TypeVar("Found")


def processes() -> tuple[int, int]:
    """The number of this process and how many there are, as `torchrun` says; (0, 1) without it."""
    return int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1"))


def gathered(mine: Mapping[int, Found]) -> dict[int, Found] | None:
    """What all processes found, by number, in the first process; None in the others."""
    rank, world = processes()
    if world == 1:
        return dict(mine)
    if not dist.is_initialized():
        dist.init_process_group("gloo")
    found: list[Any] | None = [None] * world if rank == 0 else None
    dist.gather_object(dict(mine), found)
    dist.barrier()
    dist.destroy_process_group()
    return None if found is None else {k: v for part in found for k, v in part.items()}
