"""A random table on which wrong normalisers do not cancel: factors of unequal numbers of levels and frequencies, codes
of unequal units that mix them."""

import torch

SHARES = ([0.7, 0.3], [0.55, 0.25, 0.15, 0.05], [0.5, 0.2, 0.1, 0.1, 0.05, 0.03, 0.02])
"""Of the levels of each factor."""
UNITS = torch.tensor([1.0, 6.0, 0.5, 2.0, 3.0], dtype=torch.float64)


def table(rows=900, seed=0):
    """Factors (rows, 3) of 2, 4 and 7 levels, and codes (rows, 5): one bends a factor, others mix two, one is noise."""
    generator = torch.Generator().manual_seed(seed)
    factors = torch.stack(
        [torch.multinomial(torch.tensor(p), rows, replacement=True, generator=generator) for p in SHARES], 1
    ).double()
    noise = torch.randn(rows, 5, generator=generator, dtype=torch.float64)
    a, b, c = factors.unbind(1)
    codes = torch.stack([a + 0.2 * b, (b + 1).log() + 0.1 * c, c + 0.8 * a, 0.5 * b - c, 0 * a], 1)
    return UNITS * (codes + 0.25 * noise), factors
