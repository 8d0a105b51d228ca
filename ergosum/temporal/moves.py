"""Score predictors of one factor on held-out digits: errors, roll-outs, sharpness, identity, the flow-factorised
protocol.

Two test sets, both with whole moves on the grid of levels:

- `mixed`: one factor moves, forwards or backwards; colour, angle and scale all start at random levels (the headline);
- `alone`: the founding report's own: one factor moves forwards, the other two stay at rest.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ergosum.data.record import Sequences
from ergosum.data.render import FACTORS
from ergosum.data.sequences import SPACING, DigitSequences
from ergosum.metrics.equivariance import equivariance_error
from ergosum.metrics.error import mse, psnr, skill
from ergosum.metrics.identity import identity_kept
from ergosum.metrics.sharpness import sharpness
from ergosum.temporal.baselines.trivial import Predict

__all__ = ["STEPS", "TestSet", "as_predict", "roll_out", "score_row", "test_set"]

Metric = Callable[[Tensor, Tensor], Tensor]
"""Numbers (batch,) of predicted and of true frames (batch, 3, side, side)."""
STEPS = 12
FLOW_STEPS = 7


class TestSet(NamedTuple):
    """Sequences of one factor: main ones of 12 moves, and the flow-factorised protocol's (7 moves, from rest)."""

    name: str
    factor: str
    main: Sequences
    flow: Sequences


def test_set(factor: str, source: str, n: int, seed: int, kind: str = "mixed", canvas: int = 28) -> TestSet:
    """`n` random held-out sequences of a factor.

    Args:
        kind: `mixed` or `alone`, see the module. canvas: side of a frame in pixels.
    Raises:
        ValueError: if n < 1 or the kind is unknown.
    """
    if n < 1:
        raise ValueError(f"n: expected at least one sequence, got {n}.")
    if kind not in ("mixed", "alone"):
        raise ValueError(f"kind: expected 'mixed' or 'alone', got {kind!r}.")
    mixed = kind == "mixed"
    data = DigitSequences(
        source=source, factors=(factor,), nuisance=FACTORS if mixed else (), mode="single", start="random",
        signs="both" if mixed else "forward", continuous=False, canvas=canvas, split="test",
    )  # fmt: skip
    generator = torch.Generator().manual_seed(seed)
    main = data.sequences(n, STEPS, generator)
    per_frame = {"colour": 20.0 * torch.pi / 180, "angle": 10.0, "scale": 0.1}[factor]
    factors = torch.tensor([0.0, 0.0, 1.0]).repeat(n, FLOW_STEPS + 1, 1)
    factors[:, :, FACTORS.index(factor)] += per_frame * torch.arange(FLOW_STEPS + 1)
    return TestSet(kind, factor, main, data.follow(data.draw_digits(n, generator), factors))


def as_predict(predictor: Any, active: list[int] | None = None) -> Predict:
    """A decomposer or feed-forward network in the signature of the trivial predictors."""

    def predict(start: Tensor, before: Tensor, after: Tensor) -> Tensor:
        return predictor.predict(start, moves=(after - before) / SPACING, active=active)

    return predict


def roll_out(predict: Predict, sequences: Sequences) -> Tensor:
    """Frames predicted from the first one alone, each from the one before: (batch, time, 3, side, side)."""
    frames = [sequences.frames[:, 0]]
    for t in range(sequences.frames.shape[1] - 1):
        frames.append(predict(frames[-1], sequences.factors[:, t], sequences.factors[:, t + 1]))
    return torch.stack(frames, 1)


@torch.no_grad()
def score_row(
    name: str,
    predict: Predict,
    tests: TestSet,
    classify: Callable[[Tensor], Tensor] | None = None,
    metrics: Mapping[str, Metric] | None = None,
) -> dict[str, Any]:
    """One row of the table; `metrics` adds columns, means over all single moves.

    `mse`, `psnr`, `skill` and `sharpness` are of single moves from true frames, over all 12 moves of each sequence; the
    roll-out columns start from the first frame only; `identity` is over all roll-out frames; `ffrl` is the equivariance
    error of the flow-factorised protocol, and `ffrl_skill` its skill over copying.
    """
    truth, factors = tests.main.frames, tests.main.factors
    steps = truth.shape[1] - 1
    flat = lambda v: v.flatten(0, 1)  # noqa: E731
    single = predict(flat(truth[:, :-1]), flat(factors[:, :-1]), flat(factors[:, 1:]))
    error = mse(single, flat(truth[:, 1:])).mean().item()
    copied = mse(flat(truth[:, :-1]), flat(truth[:, 1:])).mean().item()
    rolled = roll_out(predict, tests.main)
    per_frame = [mse(rolled[:, t], truth[:, t]).mean().item() for t in range(1, steps + 1)]
    flow = equivariance_error(roll_out(predict, tests.flow), tests.flow.frames).mean().item()
    still = tests.flow.frames[:, :1].expand_as(tests.flow.frames)
    flow_copied = equivariance_error(still, tests.flow.frames).mean().item()
    labels = tests.main.labels.repeat_interleave(steps)
    return {
        "row": name,
        "set": tests.name,
        "mse": error,
        "psnr": psnr(torch.tensor(error)).item(),
        "skill": skill(error, copied),
        "psnr_12": psnr(torch.tensor(per_frame[-1])).item(),
        "rollout_psnr": [psnr(torch.tensor(e)).item() for e in per_frame],
        "sharpness": sharpness(single, flat(truth[:, 1:])),
        "sharpness_12": sharpness(rolled[:, -1], truth[:, -1]),
        "identity": identity_kept(classify, flat(rolled[:, 1:]), flat(truth[:, 1:]), labels) if classify else None,
        "ffrl": flow,
        "ffrl_skill": skill(flow, flow_copied),
        "mse_copy": copied,
        **{key: metric(single, flat(truth[:, 1:])).mean().item() for key, metric in (metrics or {}).items()},
    }
