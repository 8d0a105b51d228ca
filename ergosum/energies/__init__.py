"""Energies in closed form, whose normaliser, moments and exact samples are known: ground truth for samplers.

Each has `log_z`, `mean`, `variance` and `draw(n, generator)`, except two that are about minima: `Masked`, which leaves
pixels free, and `Clauses`, a count.
"""
