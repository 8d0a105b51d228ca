"""Compositions of trained energies: what a formula makes of a frame, and what each term wants along the way."""

import torch
from PIL import Image
from torch import Tensor

from ergosum.compose import terms
from ergosum.formula import parse_formula
from ergosum.report.strips import sheet
from ergosum.shapes import Images
from ergosum.temporal.control import Bank

__all__ = ["compose_images", "pulls"]


def compose_images(bank: Bank, formula: str, start: Images, frames: int = 8, substeps: int = 4) -> Image.Image:
    """A sheet: the frames that a formula leads through, and below, for each term, how it pulls at each of them.

    Grey is no pull; brighter or darker is where the term would raise or lower a channel.

    Args:
        start: one frame, (1, 3, side, side). frames, substeps: as `Bank.follow`.
    """
    film = bank.follow(start, formula, frames, substeps)[0]
    names, maps = pulls(bank, formula, film, 1 / substeps)
    rows = [(str(parse_formula(formula, bank.energies(start))), film)]
    rows += [(f"pull of {name}", m) for name, m in zip(names, maps, strict=True)]
    return sheet(rows, [str(t) for t in range(frames + 1)], boxed=())


def pulls(bank: Bank, formula: str, film: Tensor, levels: float = 1.0) -> tuple[list[str], Tensor]:
    """Each term's share of minus the gradient at each frame, as images: names L, maps (L, time, 3, side, side).

    All maps of one film share a scale: the largest pull is white or black.
    """
    apart = terms(parse_formula(formula, bank.energies(film, levels)), film)
    pull = -apart.weights[..., None, None, None] * apart.gradients
    return apart.names, 0.5 + 0.5 * pull / pull.abs().amax().clamp(min=torch.finfo(pull.dtype).tiny)
