"""Where bfloat16 pays: its products and sums in hardware. Elsewhere it is emulated, and slower than 32 bits."""

import torch

__all__ = ["computes_bfloat16"]

CPU_FEATURES = ("avx512_bf16", "amx_bf16", "bf16", "sve_bf16")
"""Any of these instruction sets multiplies bfloat16: the first two of x86, the others of ARM."""


def computes_bfloat16(device: torch.device | str = "cpu") -> bool:
    """Whether a device multiplies bfloat16 natively; kinds other than CPU and CUDA are taken to."""
    kind = torch.device(device).type
    if kind == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return kind != "cpu" or any(torch.cpu.get_capabilities().get(name) for name in CPU_FEATURES)
