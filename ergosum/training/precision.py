"""Where bfloat16 pays: its products and sums in hardware. Elsewhere it is emulated, and slower than 32 bits."""

from pathlib import Path

import torch

__all__ = ["computes_bfloat16"]

CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Any of these instruction sets multiplies bfloat16: the first two of x86, the others of ARM."""


def computes_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether a device multiplies bfloat16 natively; kinds other than CPU and CUDA are taken to."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind != "cpu" or any(name in _features() for name in CPU_FEATURES)


def _features() -> set[str]:
    """Instruction sets of this CPU, as torch tells or, where it is too old for that, as Linux does."""
    if hasattr(torch.cpu, "get_capabilities"):
        return {name for name, there in torch.cpu.get_capabilities().items() if there}
    listed = Path("/proc/cpuinfo")
    return set(listed.read_text().split()) if listed.is_file() else set()
