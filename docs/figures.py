"""Regenerate every image of README and docs: `make figures` (from the shipped cards; bundled digits, seed 0)."""

from pathlib import Path
from typing import Any

import torch
from torch import Generator

from ergosum.data.record import ImageRecord
from ergosum.data.render import render
from ergosum.data.sequences import DigitSequences
from ergosum.data.sources import load_digits
from ergosum.decomposition.composites import compatible
from ergosum.decomposition.figures import (
    addition_sheet,
    components_sheet,
    exchange_sheet,
    masks_shown,
    shadows_shown,
    union_sheet,
)
from ergosum.decomposition.model import ImageDecomposer
from ergosum.decomposition.recombination import decompose, masks_of
from ergosum.decomposition.task import HELD_OUT
from ergosum.density.formulas import meaning, vocabulary
from ergosum.density.sampling import decoded, draw
from ergosum.formula import parse_formula
from ergosum.report.animation import save_animation, save_strip
from ergosum.report.plane import draw_densities, on_grid
from ergosum.report.sampling import planar_names, sample_plane
from ergosum.report.sheets import sequences
from ergosum.report.strips import sheet
from ergosum.samplers.chain import sample
from ergosum.samplers.mala import Mala
from ergosum.temporal.composition import compose_images
from ergosum.temporal.control import Bank
from ergosum.temporal.discovery.figures import sweep
from ergosum.temporal.steering import true_frames
from ergosum.temporal.timeline import parse_timeline
from ergosum.training.runfolder import load_predictor

FIGURES = Path("docs/figures")
LONG = Path("runs/comet-long")
"""A run that no card ships of; its picture is drawn where it is."""


def main() -> None:
    """Draw all."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    bank = Bank([load_predictor(f"digits-{f}")[1] for f in ("colour", "angle", "scale")])
    discovered()
    hero(bank)
    ordered_and_obeyed(bank)
    save_strip(sequences("digits", 3), FIGURES / "sequences.png")
    densities()
    digits_drawn()
    grown()
    venn()
    save_strip(sample_plane("ring & 0.5*~box", "mala").image, FIGURES / "chains.png")
    composed(bank)
    apart("tetrominoes", 3)
    apart("scenes-objects", 4)
    finer()
    shaded()
    relit()
    united()
    if LONG.is_dir():
        learned_by_comet()


def start_digit(label: int, scale: float, place: int = 0) -> tuple:
    """A held-out bundled digit and its start factors."""
    held_out = load_digits("digits", "test")
    index = (held_out.labels == label).nonzero()[place]
    return type(held_out)(held_out.images[index], held_out.labels[index]), torch.tensor([[0.0, 0.0, scale]])


def discovered() -> None:
    """Clips go in, each of one factor; the components found, swept on digits that were in none of them."""
    _, model = load_predictor("digits-discovered")
    clips = DigitSequences(source="digits", mode="single", split="test").clips(200, 8, Generator().manual_seed(4))
    chosen = [
        next(i for i in range(200) if clips.speeds[i, 0, f].abs() > 0.9 and 0.03 < clips.frames[i, 4].mean() < 0.09)
        for f in (0, 1, 2)
    ]
    rows = [("a clip", clips.frames[i]) for i in chosen]
    for k, (name, label) in enumerate(zip(model.components, (3, 5, 2), strict=True)):  # type: ignore[arg-type]
        digit, factors = start_digit(label, 0.9)
        rows.append((f"component {name}", sweep(model, render(digit.images, factors), k)[0]))  # type: ignore[arg-type]
    save_strip(sheet(rows, None, boxed=()), FIGURES / "discovered.png")


def hero(bank: Bank) -> None:
    """One digit, all three energies, each frame made from the one before."""
    timeline = parse_timeline("scale:3 colour:9 angle:6 colour+angle:6 scale:-3")
    frames = []
    for label in (7, 2, 5, 3):
        digits, start = start_digit(label, 0.9)
        frames.append(bank.play(render(digits.images, start), timeline)[0])
    save_animation(torch.cat(frames, -1), FIGURES / "hero.png", zoom=4)


def ordered_and_obeyed(bank: Bank) -> None:
    """Timelines: the true sequence above the generated one."""
    rows = []
    for label, text in [
        (7, "scale:3 colour:9"),
        (2, "colour:3 angle:9"),
        (5, "scale:4 colour:4 angle:4"),
        (3, "colour+scale:6 angle:-6"),
    ]:
        timeline = parse_timeline(text)
        digits, start = start_digit(label, 0.8)
        truth = true_frames(digits, start, timeline)
        made = bank.play(truth.frames[:, 0], timeline)[0]
        rows += [(f"ordered: {text}", truth.frames[0]), ("obeyed", made)]
    save_strip(sheet(rows, [str(t) for t in range(13)]), FIGURES / "timelines.png")


def densities() -> None:
    """AND, OR, NOT and nested in the plane, with 300 chains of MALA each after 200 steps."""
    names, grids, draws = planar_names(), [], []
    formulas = (
        "ring",
        "ring & strip",
        "left | right",
        "wide & ~[4.0]left",
        "ring & 0.5*~box",
        "(ring | left) & ~[4.0]right",
    )
    for formula in formulas:
        generator = torch.Generator().manual_seed(0)
        energy = parse_formula(formula, names)
        start = 2 * torch.randn(300, 2, generator=generator, dtype=torch.float64)
        grids.append(on_grid(energy))
        draws.append(sample(Mala(step_size=0.05), energy, start, 200, keep=200, generator=generator).x)
    save_strip(draw_densities(grids, formulas, draws), FIGURES / "densities.png")


def digits_drawn() -> None:
    """Draws of every other class and of formulas, of the shipped density."""
    model: Any = load_predictor("mnist-density")[1]
    known, generator = vocabulary([model]), Generator().manual_seed(4)
    formulas = ("prior", "two", "four", "nine", "three | seven", "~(zero | one)", "three | seven & ~zero")
    rows = []
    for formula in formulas:
        drawn = draw([model], meaning(formula, known), 14, generator)
        rows.append((formula, decoded(model, drawn.x).expand(-1, 3, -1, -1)))
    save_strip(sheet(rows, None, boxed=()), FIGURES / "digits-drawn.png")


def formulas_drawn(card: str, formulas: list[str], name: str, n: int = 10) -> None:
    """Draws of formulas of a card, a row each, from one seed."""
    model = load_predictor(card)[1].eval()
    rows = []
    for formula in formulas:
        generator = torch.Generator().manual_seed(0)
        rows.append((formula, decoded(model, draw([model], meaning(formula, vocabulary([model])), n, generator).x)))
    sheet(rows, boxed=()).save(FIGURES / name)


def grown() -> None:
    """One concept more in each row."""
    terms = ["purple", "cube", "large", "at(0.3,0.6)"]
    formulas = [" & ".join(terms[: k + 1]) for k in range(len(terms))]
    formulas_drawn("concepts-latents", [*formulas, "~purple & at(0.3,0.6)", "(red | blue) & ~cube"], "concepts.png")


def venn() -> None:
    """Three sets of faces, and what lies in some of them and not in others."""
    sets = ["smiling", "glasses", "long_hair"]
    formulas = [*sets, "smiling & glasses & long_hair", "(smiling | glasses) & ~(long_hair & smiling)",
                "(smiling & ~glasses & ~long_hair) | (glasses & ~smiling & ~long_hair)"]  # fmt: skip
    formulas_drawn("concepts-faces", formulas, "faces.png")


def composed(bank: Bank) -> None:
    """A nested formula of three trained energies, and how each term pulls."""
    digits, start = start_digit(3, 0.9)
    sheet_of = compose_images(bank, "colour & (angle_back | scale)", render(digits.images, start), 8)
    save_strip(sheet_of, FIGURES / "composed.png")


def apart(card: str, objects: int) -> None:
    """Held-out images decomposed, and all objects of two of them in one."""
    model, data, generator = held_out(card, objects, 100, 0)
    one, two = (data.images[pairs[:8]] for pairs in compatible(data.masks[:, 1:], 8, generator))
    save_strip(addition_sheet(model, one, two, generator), FIGURES / f"{card}-recombined.png")
    save_strip(components_sheet(model, data.images, generator), FIGURES / f"{card}-apart.png")


def learned_by_comet() -> None:
    """Held-out tetrominoes, recomposed by COMET's networks, and what each of their energies draws alone."""
    model, data, generator = held_out(str(LONG), 3, 6, 0)
    made = decompose(model, data.images, generator)
    rows = [("images", data.images), ("recomposed", made.whole.clamp(0, 1))]
    rows += [(f"component {k + 1}", alone.clamp(0, 1)) for k, alone in enumerate(made.alone.unbind(1))]
    save_strip(sheet(rows, None, boxed=()), FIGURES / "comet-apart.png")


def finer() -> None:
    """Held-out scenes of 128 pixels, and all solids of two of them in one."""
    model, data, generator = held_out("scenes-objects-128", 4, 24, 0)
    one, two = (data.images[pairs[:4]] for pairs in compatible(data.masks[:, 1:], 4, generator))
    save_strip(addition_sheet(model, one, two, generator), FIGURES / "scenes-objects-128-recombined.png")


def shaded() -> None:
    """Held-out scenes: whose each pixel is as the energies have it, with shadows told apart, and the shadows."""
    model, data, generator = held_out("scenes-objects", 4, 8, 2)
    made = decompose(model, data.images, generator, shadows=True)
    assert made.shadows is not None
    rows = [
        ("image", data.images),
        ("masks", masks_shown(masks_of(model, made.latents, data.images), data.images)),
        ("shadows told apart", masks_shown(made.masks, data.images)),
        ("the shadows", shadows_shown(made.shadows, data.images)),
    ]
    save_strip(sheet(rows, None, boxed=()), FIGURES / "shadows-apart.png")


def relit() -> None:
    """Scenes on each other's floor, which holds the light."""
    model, drawn, generator = held_out("lighting-objects", 4, 16, 0)
    save_strip(exchange_sheet(model, drawn.images[:8], drawn.images[8:], 0, generator), FIGURES / "relit.png")


def united() -> None:
    """Objects of two kinds, which two models learned, in one image: pairs in which they hide each other least."""
    one, a, generator = held_out("scenes-objects", 3, 64, 0)
    other, b, _ = held_out("toy-objects", 3, 200, 1)
    taken, wanted = ((~d.masks[:, 0]).flatten(1).float() for d in (a, b))
    least = b.images[(taken @ wanted.T).argmin(1)]
    save_strip(union_sheet(one, other, (a.images, least), generator), FIGURES / "united.png")


def held_out(card: str, objects: int, n: int, seed: int) -> tuple[ImageDecomposer, ImageRecord, Generator]:
    """The model of a card, held-out images of so many objects, and a generator."""
    experiment, model = load_predictor(card)
    generator = Generator().manual_seed(HELD_OUT + seed)
    data = experiment.built().dataset("test", objects=objects)  # type: ignore[attr-defined]
    return model, data.draw(n, generator), generator  # type: ignore[return-value]


if __name__ == "__main__":
    main()
