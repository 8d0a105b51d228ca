"""How many processes train together, and where: one, several on this machine, or what `torchrun` started."""

import logging
import os
import warnings
from typing import TYPE_CHECKING

import torch.distributed

from ergosum.training.experiment import Experiment
from ergosum.training.precision import computes_bfloat16
from ergosum.training.task import Task

if TYPE_CHECKING:
    from lightning_fabric import Fabric

__all__ = ["PrecisionWarning", "launch"]


class PrecisionWarning(UserWarning):
    """The arithmetic asked for is slow on this machine."""


def launch(experiment: Experiment, task: Task, accelerator: str) -> "Fabric":
    """Start the processes of a run, or join those that `torchrun` started, on any number of machines.

    Args:
        accelerator: `auto`, `cpu` or `cuda`.
    Raises:
        ValueError: if the settings do not go with the number of processes.
    """
    from lightning_fabric import Fabric  # takes as long to import as torch, and only training needs it

    logging.getLogger("lightning_fabric").setLevel(logging.WARNING)
    here, machines = _shares(experiment.run.devices)
    bf16 = experiment.optimiser.precision == "bf16"
    fabric = Fabric(
        accelerator=accelerator, devices=here, num_nodes=machines, precision="bf16-mixed" if bf16 else "32-true",
        strategy="ddp" if here * machines > 1 else "auto",
    )  # fmt: skip
    fabric.launch()
    _refuse_uneven_shares(experiment.optimiser.batch, task.undivided, fabric.world_size)
    if bf16 and fabric.global_rank == 0 and not computes_bfloat16(fabric.device):
        warnings.warn(
            f"This {fabric.device.type} has no native bfloat16 and emulates it, which is slow. "
            "--optimiser.precision 32 is faster; its weights differ a little.",
            PrecisionWarning,
            stacklevel=2,
        )
    return fabric


def _shares(devices: int) -> tuple[int, int]:
    """Processes on this machine, and machines."""
    if not (torch.distributed.is_available() and torch.distributed.is_torchelastic_launched()):
        return devices, 1
    world, here = (int(os.environ[name]) for name in ("WORLD_SIZE", "LOCAL_WORLD_SIZE"))
    if world % here:
        raise ValueError(
            f"torchrun: expected the same number of processes on every machine, got {here} here of {world} in all."
        )
    if devices not in (1, here, world):
        raise ValueError(f"run.devices: torchrun started {here} processes here, {world} in all; leave out {devices}.")
    return here, world // here


def _refuse_uneven_shares(batch: int, undivided: str, processes: int) -> None:
    if batch % processes:
        raise ValueError(f"optimiser.batch: expected a multiple of the {processes} processes, got {batch}.")
    if processes > 1 and undivided:
        raise ValueError(f"{undivided}, so one process must have all of a batch: expected one, got {processes}.")
