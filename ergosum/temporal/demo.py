"""The demo: learn colour live, take scale and angle from the shelf, steer all three, and read how exactly they
obeyed.
"""

import os
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from ergosum import zoo
from ergosum.control import Bank
from ergosum.evaluation.summary import summarise
from ergosum.recipes.seqmnist import single
from ergosum.report.animation import save_animation
from ergosum.runfolder import load_predictor, write_json
from ergosum.settings import Experiment
from ergosum.stories.run import tell
from ergosum.timeline import parse
from ergosum.training.precision import computes_bfloat16

__all__ = ["demo", "experiment"]

STORY = ["scale:3 colour:9", "colour:3 angle:9", "scale:4 colour:4 angle:4", "colour+scale:6 angle:-6"]


def experiment() -> Experiment:
    """The colour energy, small enough to learn in about a minute on two cores, from the bundled digits alone.

    In bfloat16 where the CPU computes it, else in 32 bits.
    """
    threads = min(2, os.cpu_count() or 1)
    precision = "bf16" if computes_bfloat16("cpu") else "32"
    base = single("colour")
    return replace(
        base.but(
            data={"source": "digits"}, model={"width": 24},
            optimiser={"iterations": 1100, "batch": 48, "rate": 4e-3, "precision": precision},
        ),
        name="demo-colour", threads=threads, checkpoint_every=1000,
    )  # fmt: skip


def demo(out: Path, seconds: float, train: Callable[..., None]) -> Path:
    """Train, steer, score, report; prints as it goes and ends with the report's path.

    Args:
        train: (experiment, folder, resume, accelerator, seconds) -> None, showing its own progress.
    """
    console, begun = Console(), time.perf_counter()
    chosen = experiment()
    folder = out / "colour"
    arithmetic = {"bf16": "bfloat16, which this CPU computes natively", "32": "32 bits: this CPU has no bfloat16"}
    console.print("[bold]1[/]  Learning what colour change is, from the bundled digits.")
    console.print(f"   Arithmetic: {arithmetic[chosen.optimiser.precision]}.", highlight=False)
    for left_over in ("checkpoint.pt", "run.json"):
        (folder / left_over).unlink(missing_ok=True)
    train(chosen, folder, False, "cpu", seconds)
    _, predictor = load_predictor(folder)
    console.print("[bold]2[/]  Taking the scale and angle energies from the shelf; steering all three.")
    companions = zoo.companions(("colour",))
    bank = Bank([*companions.values(), predictor])
    timelines = [parse(t, bank.factors) for t in STORY]
    scores: dict[str, Any] = summarise(
        "demo-colour", predictor, source="digits", n=48, seed=0, companions=companions, classify=zoo.judge()
    )
    write_json(folder / "scores.json", scores)
    console.print("[bold]3[/]  Writing the report.")
    page = tell(folder, out, "ergosum demo", "digits", 0, scores, timelines)
    from ergosum.evaluation.control import sample_starts, true_frames

    digits, start = sample_starts("digits", 1, 3, 3.0)
    start[:, :2] = 0.0
    save_animation(bank.play(true_frames(digits, start, timelines[0]).frames[:, 0], timelines[0])[0], out / "demo.gif")
    error = scores["timeline_error"]
    console.print(
        f"Obeyed within {error['hue_deg']:.1f}° of hue, {error['angle_deg']:.1f}° of angle and "
        f"{error['log_scale']:.3f} of log-scale, averaged over {len(scores['timelines'])} timelines of 12 frames; "
        f"colour skill {scores['skill']:.3f}. {time.perf_counter() - begun:.0f} s.",
        highlight=False,
    )
    console.print(f"[bold]{page}[/]", highlight=False, soft_wrap=True)
    return page
