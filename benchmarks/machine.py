"""What every result of a benchmark says of where it comes from."""

import os
import platform
import subprocess
from pathlib import Path

import torch

__all__ = ["provenance"]


def provenance(device: str = "cpu") -> dict[str, str]:
    """The machine (a GPU by its name), torch, and the commit."""
    command = ["git", "describe", "--always", "--dirty"]
    try:
        commit = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True).stdout.strip()
    except OSError:
        commit = ""
    return {
        "machine": torch.cuda.get_device_name()
        if device == "cuda"
        else f"{platform.machine()}, {os.cpu_count()} cores",
        "torch": torch.__version__,
        "commit": commit,
    }
