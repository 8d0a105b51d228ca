"""`ergosum demo`: learn colour live, take scale and angle from the zoo, steer all three, and read how exactly they
obeyed.
"""

import math
import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from ergosum.cli.arguments import parser_for
from ergosum.cli.progress import train_with_progress

if TYPE_CHECKING:
    from ergosum.training.experiment import Experiment

__all__ = ["cut_short", "experiment", "run"]

STORY = ["scale:3 colour:9", "colour:3 angle:9", "scale:4 colour:4 angle:4", "colour+scale:6 angle:-6"]


def experiment() -> "Experiment":
    """The colour energy, small enough to learn in about a minute on two cores, from the bundled digits alone.

    In bfloat16 where the CPU computes it, else in 32 bits.
    """
    from ergosum.recipes import find
    from ergosum.training.precision import computes_bfloat16

    precision = "bf16" if computes_bfloat16("cpu") else "32"
    return find("colour").but(
        name="demo-colour",
        task={
            "data": {"source": "digits"},
            "model": {"encoder": {"width": 24}, "energy": {"width": 24}},
        },
        optimiser={"iterations": 1100, "batch": 48, "rate": 4e-3, "precision": precision},
        run={"threads": _threads(), "checkpoint_every": 1000},
    )


def cut_short(done: int, wanted: int, seconds: float) -> str:
    """What is said of a training that ran out of time, and how much it would have needed, with a quarter to spare."""
    needed = math.ceil(1.25 * seconds * wanted / max(1, done))
    return (
        f"   [bold]Stopped after {done} of {wanted} updates[/], for {seconds:g} s were over: this colour energy has "
        f"not learned all that it can. `ergosum demo --seconds {needed}` lets it finish."
    )


def _threads() -> int:
    """Two, or what there is, or what OMP_NUM_THREADS asks for."""
    asked = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(2, os.cpu_count() or 1, int(asked) if asked.isdigit() else 2))


def run(arguments: list[str]) -> None:
    """Train, steer, score, report; explains on stderr as it goes and prints the report's path."""
    parser = parser_for("demo", "Train the colour energy live, add scale and angle from the zoo, steer, report.")
    parser.add_argument("--out", default="runs/demo", help="folder for the run and its report")
    parser.add_argument("--seconds", type=float, default=85.0, help="longest training time")
    chosen = parser.parse_args(arguments)
    from rich.console import Console

    from ergosum import zoo
    from ergosum.files import write_json
    from ergosum.report.animation import save_animation
    from ergosum.report.run_report import write_report
    from ergosum.temporal.control import Bank
    from ergosum.temporal.figures import sections
    from ergosum.temporal.scores import companions, summarise
    from ergosum.temporal.steering import sample_starts, true_frames
    from ergosum.temporal.timeline import parse_timeline
    from ergosum.training.runfolder import load_predictor, owned

    console, begun, out = Console(stderr=True), time.perf_counter(), Path(chosen.out)
    told, folder, shelf = experiment(), out / "colour", zoo.Zoo()
    arithmetic = {"bf16": "bfloat16, which this CPU computes natively", "32": "32 bits: this CPU has no bfloat16"}
    console.print("[bold]1[/]  Learning what colour change is, from the bundled digits.")
    console.print(f"   Arithmetic: {arithmetic[told.optimiser.precision]}.", highlight=False)
    with owned(folder):  # not while another demo trains there
        for left_over in ("checkpoint.pt", "run.json"):
            (folder / left_over).unlink(missing_ok=True)
    done = train_with_progress(told, folder, False, "cpu", chosen.seconds)
    trained, model = load_predictor(folder)
    if done < told.optimiser.iterations:
        console.print(cut_short(done, told.optimiser.iterations, chosen.seconds), highlight=False)
    console.print("[bold]2[/]  Taking the scale and angle energies from the zoo; steering all three.")
    beside = companions(("colour",), shelf)
    bank = Bank([*beside.values(), model])
    timelines = [parse_timeline(t, bank.factors) for t in STORY]
    scores = summarise("demo-colour", model, source="digits", n=48, seed=0, companions=beside,
                       classify=shelf.classifier("identity"))  # fmt: skip
    write_json(folder / "scores.json", scores)
    console.print("[bold]3[/]  Writing the report.")
    page = write_report(
        folder, "ergosum demo", sections(trained.built(), model, scores, 0, shelf, timelines), scores, out  # type: ignore[arg-type]
    )  # fmt: skip
    digits, start = sample_starts("mnist-1000", 1, 3, 3.0)
    start[:, :2] = 0.0
    save_animation(bank.play(true_frames(digits, start, timelines[0]).frames[:, 0], timelines[0])[0], out / "demo.gif")
    error = scores["timeline_error"]
    console.print(
        f"Obeyed within {error['hue_deg']:.1f}° of hue, {error['angle_deg']:.1f}° of angle and "
        f"{error['log_scale']:.3f} of log-scale, averaged over {len(scores['timelines'])} timelines of 12 frames; "
        f"colour skill {scores['skill']:.3f}. {time.perf_counter() - begun:.0f} s.",
        highlight=False,
    )
    print(page)
