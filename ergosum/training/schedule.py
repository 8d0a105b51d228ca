"""The learning rate over time."""

import math
from collections.abc import Sequence

from ergosum.training.experiment import Optimiser

__all__ = ["learning_rate"]

WARM_UP = 100


def learning_rate(optimiser: Optimiser, iteration: int, stages: Sequence[float] = ()) -> float:
    """Learning rate of update `iteration` (0 .. iterations - 1).

    Args:
        stages: shares of training at which the schedule begins anew, see `Task.stages`.
    """
    first, end = 0, optimiser.iterations
    for share in stages:
        bound = round(share * optimiser.iterations)
        first, end = (bound, end) if bound <= iteration else (first, min(end, bound))
    total, peak, iteration = max(1, end - first), optimiser.rate, iteration - first
    warm = min(1.0, (iteration + 1) / min(WARM_UP, max(1, total // 5)))
    done = iteration / total
    if optimiser.schedule == "constant":
        return peak * warm
    if optimiser.schedule == "onecycle":
        if done < 0.3:
            return peak * (0.04 + 0.96 * 0.5 * (1 - math.cos(math.pi * done / 0.3)))
        return peak * 0.5 * (1 + math.cos(math.pi * (done - 0.3) / 0.7)) + 1e-4 * peak
    return peak * warm * (0.02 + 0.98 * 0.5 * (1 + math.cos(math.pi * done)))
