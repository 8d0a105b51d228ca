"""A density in the plane with the chains that sampled it, and what the chains know: one image."""

import copy
import io
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from PIL import Image, ImageDraw
from torch import Tensor

from ergosum.energy import Energy
from ergosum.samplers.chain import Chain

__all__ = ["Grid", "draw_densities", "draw_plane", "film_plane", "on_grid"]

INK, PAPER, ACCENT, TRACES = "#24272c", "#ffffff", "#c2571a", ("#2458b8", "#c2571a", "#23835f")


class Grid(NamedTuple):
    """An energy on a square grid, by quadrature: points (n, n, 2), probability of each cell (n, n), and log Z."""

    points: Tensor
    probability: Tensor
    log_z: float
    extent: float

    def mean(self, values: Tensor) -> float:
        """Expectation of values (n, n) given at the points."""
        return (self.probability * values).sum().item()


def on_grid(energy: Energy, extent: float = 4.0, cells: int = 200) -> Grid:
    """The density of an energy over $[-extent, extent]^2$, with what lies outside taken for nothing."""
    side = 2 * extent / cells
    axis = -extent + side * (torch.arange(cells, dtype=torch.float64) + 0.5)
    points = torch.stack(torch.meshgrid(axis, axis, indexing="xy"), -1)
    with torch.no_grad():
        log_density = -copy.deepcopy(energy).double()(points.flatten(0, 1)).reshape(cells, cells)
    log_z = log_density.flatten().logsumexp(0)
    return Grid(points, (log_density - log_z).exp(), (log_z + 2 * torch.tensor(side).log()).item(), extent)


def draw_plane(grid: Grid, chain: Chain, title: str, told: Mapping[str, str], traces: int = 3) -> Image.Image:
    """Density with every chain's last draw and the paths of a few, their energies over time, marginals, and numbers.

    Args:
        chain: of planar draws. told: numbers to print, label -> text. traces: paths to draw, 0..3.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4.6), dpi=100, facecolor=PAPER, layout="constrained")
    left, middle, right = figure.subplots(1, 3, width_ratios=(1.15, 1.1, 0.75))
    _density(left, grid)
    last = chain.draws[-1].cpu().numpy()
    left.plot(last[:, 0], last[:, 1], ".", color=INK, markersize=2, alpha=0.6)
    for k in range(min(traces, chain.draws.shape[1])):
        path = chain.draws[:120, k].cpu().numpy()
        left.plot(path[:, 0], path[:, 1], "-", color=TRACES[k], linewidth=0.9)
    left.set_title(title, fontsize=10, color=INK)
    energies = chain.energy.cpu().numpy()
    for k in range(min(traces, energies.shape[1])):
        middle.plot(energies[:, k], color=TRACES[k], linewidth=0.8)
    middle.set(xlabel="draw", ylabel="energy")
    expected = grid.mean(-(grid.probability.clamp(min=1e-300).log()))  # entropy, up to the cell's size
    offset = 2 * torch.tensor(2 * grid.extent / len(grid.probability)).log().item() - grid.log_z
    middle.axhline(expected + offset, color=INK, linewidth=1, linestyle="--", label="its mean by quadrature")
    middle.legend(fontsize=8, frameon=False)
    right.axis("off")
    lines = [f"{label:<16} {text}" for label, text in told.items()]
    right.text(0, 1, "\n".join(lines), family="monospace", fontsize=8.5, va="top", transform=right.transAxes, color=INK)
    return _image(figure)


def draw_densities(grids: Sequence[Grid], titles: Sequence[str], draws: Sequence[Tensor | None]) -> Image.Image:
    """Densities side by side, with draws on them: what AND, OR and NOT do."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(2.6 * len(grids), 2.9), dpi=80, facecolor=PAPER, layout="constrained")
    for axis, grid, title, points in zip(
        figure.subplots(1, len(grids), squeeze=False)[0], grids, titles, draws, strict=True
    ):
        _density(axis, grid)
        if points is not None:
            axis.plot(points[:, 0].numpy(), points[:, 1].numpy(), ".", color=INK, markersize=1.6, alpha=0.5)
        axis.set_title(title, fontsize=10, color=INK)
        axis.set_xticks([])
        axis.set_yticks([])
    return _image(figure)


def film_plane(grid: Grid, draws: Tensor, most: int = 40, side: int = 320) -> list[Image.Image]:
    """The density with all chains on it, draw after draw, at most so many of them, evenly spread.

    Args:
        side: of a frame in pixels.
    Shape:
        draws: (draws, chains, 2).
    """
    root = grid.probability.sqrt()
    share = (root / root.max()).flip(0)[..., None]
    paper, deep = (torch.tensor(colour, dtype=torch.float64) for colour in ((255, 255, 255), (36, 88, 184)))
    pixels = (paper + 0.75 * share * (deep - paper)).round().byte().numpy()
    ground = Image.fromarray(pixels).resize((side, side), Image.Resampling.BILINEAR)
    frames = []
    for number in torch.linspace(0, len(draws) - 1, min(most, len(draws))).round().long().tolist():
        frame = ground.copy()
        pen = ImageDraw.Draw(frame)
        for x, y in ((draws[number] / grid.extent + 1) / 2 * side).tolist():
            pen.ellipse((x - 1.5, side - y - 1.5, x + 1.5, side - y + 1.5), fill=INK)
        frames.append(frame)
    return frames


def _density(axis, grid: Grid) -> None:  # noqa: ANN001  # a matplotlib axis
    box = (-grid.extent, grid.extent, -grid.extent, grid.extent)
    axis.imshow(grid.probability.sqrt().numpy(), origin="lower", extent=box, cmap="Blues", interpolation="bilinear")
    axis.set(xlim=box[:2], ylim=box[2:], aspect="equal")


def _image(figure) -> Image.Image:  # noqa: ANN001  # a matplotlib figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png")
    buffer.seek(0)
    image = Image.open(buffer).convert("RGB")
    return image.quantize(128).convert("RGB")
