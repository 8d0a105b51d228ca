"""Landscape: formulas of planar energies, and samplers as moving chains with what they say of themselves."""

import base64
from collections.abc import Generator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ergosum.studio.change import arrays
from ergosum.studio.place import Place
from ergosum.studio.table import Event, Fields, Refused, command_line, number_text, written

if TYPE_CHECKING:
    from torch import Tensor

    from ergosum.report.plane import Grid
    from ergosum.report.sampling import PlanarRun

__all__ = ["Landscape", "LandscapeState"]

FORMULA = "ring & 0.5*~box"
"""The formula to begin with."""
SAYS = {
    "descent": "Goes downhill to the nearest minimum. No sample: it forgets the width of the density.",
    "langevin": "Downhill steps with noise. Biased in proportion to the step size.",
    "mala": "Langevin's steps, each accepted or refused, so that the density is met exactly.",
    "hmc": "Glides along eight steps with a momentum, then accepts or refuses. Exact.",
    "underdamped": "A momentum with friction and noise. Biased by the square of the step size.",
    "tempering": "MALA at four temperatures that exchange places, to cross from mode to mode. Exact.",
    "half-noise": "Langevin's step with half the variance of noise: draws from the density squared.",
    "no-reverse": "MALA that forgets the way back in its test: small steps draw from the density squared.",
    "shared-test": "MALA with one test for all chains together: large steps are hardly corrected.",
}
"""What each sampler does, in a sentence or two."""
SHOWN = 250
"""Positions of the chains that are shown on the way, about."""
OFTEN = 20
"""Steps from one look at the chains' numbers to the next, at least."""
CELLS = 120
"""Cells of the density along a side, as the page draws it."""
EDGE = 16000
"""What a coordinate at the edge of the plane is on its way to the page."""


@dataclass(frozen=True)
class LandscapeState:
    """A formula, a sampler and its settings; the temperature divides the whole formula's energy."""

    formula: str
    sampler: str
    step_size: float
    temperature: float
    steps: int
    chains: int
    seed: int

    @property
    def whole(self) -> str:
        """The formula at the temperature."""
        if self.temperature == 1:
            return self.formula
        return f"{float(f'{1 / self.temperature:.6g}')!r}*({self.formula})"


class Landscape:
    """The table of that name."""

    name = "landscape"
    formats = ("png", "gif", "npz")
    slow = False

    def options(self, place: Place) -> dict[str, Any]:
        """Planar energies and samplers by name, with the step size that each starts from."""
        from ergosum.report.sampling import BROKEN, PLANE, SAMPLERS

        return {
            "energies": list(PLANE),
            "samplers": {name: _step_size(sampler) for name, sampler in SAMPLERS.items()},
            "broken": {name: _step_size(sampler) for name, sampler in BROKEN.items()},
            "says": SAYS,
            "begin": {"formula": FORMULA, "sampler": "mala", "steps": 500, "chains": 200},
        }

    def state(self, told: Mapping[str, Any]) -> LandscapeState:
        """The checked state; a step size of 0 is found in a warm-up, or is the sampler's own."""
        from ergosum.report.sampling import BROKEN, SAMPLERS

        fields = Fields(told)
        state = LandscapeState(
            formula=fields.text("formula", FORMULA),
            sampler=fields.choice("sampler", "mala", tuple(SAMPLERS | BROKEN)),
            step_size=fields.number("step_size", 0.0, 0.0, 10.0),
            temperature=fields.number("temperature", 1.0, 0.05, 20.0),
            steps=fields.whole("steps", 500, 10, 2000),
            chains=fields.whole("chains", 200, 2, 200),
            seed=fields.whole("seed", 0, 0, 10**6),
        )
        fields.done()
        if not state.formula:
            raise Refused("formula: expected a formula such as ring & ~box; add an energy.", "formula")
        return state

    def run(self, state: LandscapeState, place: Place) -> "Generator[Event, None, PlanarRun]":
        """The density and where chains start, then the chains as they move, with their numbers now and then."""
        from ergosum.formula import FormulaError, parse_formula
        from ergosum.report.plane import on_grid
        from ergosum.report.sampling import planar_names, sampling_plane

        try:
            typed = parse_formula(state.formula, planar_names())  # errors point into what was typed
        except FormulaError as error:
            raise Refused(str(error), "formula") from error
        if not typed.grounded:
            raise Refused(f"{typed}: a negation alone is no energy; write it beside a positive term.", "formula")
        running = sampling_plane(
            state.whole, state.sampler, state.steps, state.chains, state.seed, state.step_size or None
        )
        live = _Live(on_grid(parse_formula(state.whole, planar_names()), 4.0, CELLS))
        try:
            first: Any = next(running)
            grid, start = first
            yield Event("density", {**_density(live.grid), "extent": grid.extent})
            yield Event("chains", {"n": 0, "x": _places(start, grid)})
            while True:
                step: Any = next(running)
                live.add(step, state.steps)
                if step.n % max(1, state.steps // SHOWN) == 0:
                    yield Event("chains", {"n": step.n, "x": _places(step.x, grid)})
                if numbers := live.numbers(step.n, state.steps):
                    yield Event("numbers", numbers)
        except StopIteration as end:
            made: PlanarRun = end.value
        except (ArithmeticError, RuntimeError, ValueError) as error:
            raise Refused(_told(error), "sampler") from error
        yield Event("numbers", {**_plain(made.numbers), "n": state.steps, "final": True})
        return made

    def encode(self, result: "PlanarRun", suffix: str) -> bytes:
        """The picture, the film of the chains, or the draws."""
        from ergosum.report.animation import save_animation, save_strip

        if suffix == "npz":
            return arrays(
                draws=result.chain.draws.numpy(), energy=result.chain.energy.numpy(),
                density=result.grid.probability.numpy(), formula=result.numbers["formula"],
            )  # fmt: skip
        if suffix == "gif":
            return written(lambda path: save_animation(result.film(), path), ".gif")
        return written(lambda path: save_strip(result.image, path), ".png")

    def python(self, state: LandscapeState, place: Place) -> str:
        """A script that writes chain.png."""
        given = f", step_size={state.step_size!r}" if state.step_size else ""
        return "\n".join(
            [
                "from ergosum.report.animation import save_strip",
                "from ergosum.report.sampling import sample_plane",
                "",
                "run = sample_plane(",
                f"    {state.whole!r}, {state.sampler!r}, steps={state.steps}, chains={state.chains}, "
                f"seed={state.seed}{given}",
                ")",
                'save_strip(run.image, "chain.png")',
                "",
            ]
        )

    def command(self, state: LandscapeState, place: Place) -> str:
        """`ergosum sample` with these settings."""
        words = ["ergosum", "sample", state.whole, "--sampler", state.sampler, "--steps", str(state.steps)]
        words += ["--chains", str(state.chains), "--seed", str(state.seed)]
        words += ["--step_size", number_text(state.step_size)] if state.step_size else []
        return command_line(*words, "--out", "chain.png")


class _Live:
    """Numbers of chains that are still running."""

    def __init__(self, grid: "Grid") -> None:
        self.grid, self.draws, self.acceptance = grid, [], []
        self.truth = [grid.mean(grid.points[..., k]) for k in (0, 1)]
        self.square = grid.mean(grid.points.square().sum(-1))

    def add(self, step: Any, steps: int) -> None:
        """Take a step into account; the first fifth is left out, as it is in the end."""
        if step.n > steps // 5:
            self.draws.append(step.x)
            if step.info.acceptance is not None:
                self.acceptance.append(step.info.acceptance.mean())

    def numbers(self, n: int, steps: int) -> dict[str, Any] | None:
        """What the chains say, every now and then."""
        import torch

        from ergosum.metrics.diagnostics import ess, rhat

        if len(self.draws) < OFTEN or n % max(OFTEN, steps // 15):
            return None
        draws = torch.stack(self.draws)
        accepted = float(torch.stack(self.acceptance).mean()) if self.acceptance else None
        return {
            "n": n, "acceptance": accepted, "ess": float(ess(draws).min()), "rhat": float(rhat(draws).max()),
            "mean": draws.mean((0, 1)).tolist(), "mean_true": self.truth,
            "square": float(draws.square().sum(-1).mean()), "square_true": self.square,
        }  # fmt: skip


def _plain(numbers: Mapping[str, Any]) -> dict[str, Any]:
    """Numbers for JSON, without what is not finite."""
    import math

    def finite(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        return [finite(v) for v in value] if isinstance(value, list) else value

    return {name: finite(value) for name, value in numbers.items()}


def _density(grid: "Grid") -> dict[str, Any]:
    """The density's square root in bytes, row by row from below, and how many cells a side has."""
    root = grid.probability.sqrt()
    told = (255 * root / root.max()).round().byte().numpy().tobytes()
    return {"density": base64.b64encode(told).decode("ascii"), "cells": len(root)}


def _places(x: "Tensor", grid: "Grid") -> str:
    """Points as 16-bit integers x, y, x, y, ..., of which those outside of the plane are at most twice as far out."""
    told = (x / grid.extent * EDGE).round().clamp(-2 * EDGE, 2 * EDGE)
    return base64.b64encode(told.short().numpy().astype("<i2").tobytes()).decode("ascii")


def _step_size(sampler: Any) -> float:
    return float(getattr(getattr(sampler, "kernel", sampler), "step_size", 0.0))


def _told(error: BaseException) -> str:
    return " ".join(str(error).split())
