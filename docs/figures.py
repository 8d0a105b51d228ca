"""Regenerate every picture of README and docs: `make figures` (needs the shipped cards only; bundled digits, seed 0)."""

from pathlib import Path

import torch

from ergosum import zoo
from ergosum.control import Bank
from ergosum.data.render import render
from ergosum.data.sources import load_digits
from ergosum.evaluation.control import true_frames
from ergosum.report.animation import save_animation, save_strip
from ergosum.report.strips import sheet
from ergosum.runfolder import load_predictor
from ergosum.stories.sheets import sequences
from ergosum.timeline import parse

FIGURES = Path("docs/figures")


def main() -> None:
    """Draw all."""
    FIGURES.mkdir(parents=True, exist_ok=True)
    bank = Bank([load_predictor(zoo.find(f"digits-{f}"))[1] for f in ("colour", "angle", "scale")])
    hero(bank)
    ordered_and_obeyed(bank)
    save_strip(sequences("digits", 3), FIGURES / "sequences.png")


def start_digit(label: int, scale: float, place: int = 0) -> tuple:
    """A held-out bundled digit and its start factors."""
    held_out = load_digits("digits", "test")
    index = (held_out.labels == label).nonzero()[place]
    return type(held_out)(held_out.images[index], held_out.labels[index]), torch.tensor([[0.0, 0.0, scale]])


def hero(bank: Bank) -> None:
    """One digit, all three energies, each frame made from the one before."""
    timeline = parse("scale:3 colour:9 angle:6 colour+angle:6 scale:-3")
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
        timeline = parse(text)
        digits, start = start_digit(label, 0.8)
        truth = true_frames(digits, start, timeline)
        made = bank.play(truth.frames[:, 0], timeline)[0]
        rows += [(f"ordered: {text}", truth.frames[0]), ("obeyed", made)]
    save_strip(sheet(rows, [str(t) for t in range(13)]), FIGURES / "timelines.png")


if __name__ == "__main__":
    main()
