"""One row for every public metric: what it needs to stand before the laws of `test_metrics.py`."""

import math
from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from ergosum import metrics
from ergosum.data.render import render
from ergosum.data.sequences import SPACING

Arguments = tuple[Tensor, ...]


class Case(NamedTuple):
    """A metric as a function of its arguments, and arguments that are as far from the truth as a gap says."""

    of: Callable[..., float | Tensor]
    """Arguments -> value; a tensor of one number per sample is averaged. Draws the same random numbers every time."""
    given: Callable[[float], Arguments]
    """A gap in [0, 0.4] -> arguments."""
    best: float
    """Value without a gap; NaN where it is not known, and only the order of values counts."""
    rises: bool
    """Whether the value rises with the gap."""
    blank: tuple[Callable[[], Arguments], ...] = ()
    """Arguments of which the prediction is blank or constant, or which make it perfect for want of a question."""
    floor: float = 0.0
    """A blank's value is no better than this."""
    order: float = 1e-9
    """By how much the value may change with the order of samples, where rows are parted at random."""
    mixed: Callable[[Arguments, Tensor], Arguments] = lambda given, order: tuple(x[order] for x in given)
    """Arguments with their samples in another order."""


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def ratio(case: Case, *given: Tensor | np.ndarray) -> float:
    """The value of a case as one number."""
    value = case.of(*given)
    return value.double().mean().item() if isinstance(value, Tensor) else float(value)


TRUE, OTHER = noise(4, 3, 28, 28, seed=5), noise(4, 3, 28, 28, seed=6)
LABELS = torch.arange(10).repeat(2)
DIGIT = F.avg_pool2d((noise(4, 1, 28, 28, seed=7).float() > 0.7).float(), 3, 1, 1)
DIGIT[..., :8, :], DIGIT[..., 20:, :], DIGIT[..., :8], DIGIT[..., 20:] = 0, 0, 0, 0
MOVED = torch.tensor([[1.0, 25.0, 0.9], [6.0, -170.0, 1.3], [3.0, 100.0, 0.7], [0.0, 0.0, 1.0]])
GRID = torch.cartesian_prod(*[torch.arange(5.0)] * 3).repeat(4, 1)
SEGMENTS = torch.arange(4).repeat_interleave(4).repeat(2, 16, 1)
MASKS = F.one_hot(SEGMENTS, 4).movedim(3, 1).bool()
SWAPPED = torch.tensor([True, False, False])
DRAWS, FEATURES = noise(1_000, 4, 1, seed=12) - 0.5, 6 * noise(2, 300, 6, seed=13) - 3
MARKS = (torch.arange(12)[:, None] % 4 == 0) & (torch.arange(12) % 4 == 0)


def mixed(gap: float) -> Arguments:
    return (1 - gap) * TRUE + gap * OTHER, TRUE


def twice(given: Arguments) -> Arguments:
    """Sequences of two frames, both the same."""
    return tuple(x[:, None].repeat(1, 2, 1, 1, 1) for x in given)


def blurred(gap: float) -> Arguments:
    return (1 - gap) * TRUE + gap * F.avg_pool2d(TRUE, 3, 1, 1), TRUE


def wrong(gap: float) -> Tensor:
    """Which of twenty answers are wrong."""
    return torch.arange(len(LABELS)) < round(gap * len(LABELS))


def answers(gap: float) -> Arguments:
    """Images whose pixels are logits that err on a share `gap` of the labels."""
    return F.one_hot(torch.where(wrong(gap), (LABELS + 1) % 10, LABELS), 10).double()[:, :, None, None], LABELS


def pixels(images: Tensor) -> Tensor:
    return images.flatten(1)


def codes(gap: float) -> Arguments:
    """The factors of the grid, five levels each, under noise of up to five levels times the gap."""
    return GRID + 10 * gap * (noise(500, 3, seed=8) - 0.5), GRID


def seeded(metric: Callable[..., float], **options: int) -> Callable[..., float]:
    return lambda *given: metric(*given, torch.Generator().manual_seed(0), **options)


def of_dci(part: str) -> Callable[..., float]:
    return lambda *given: getattr(metrics.dci(*given, torch.Generator().manual_seed(0)), part)


def segments(gap: float) -> Arguments:
    return torch.where(noise(2, 16, 16, seed=10) < gap, (SEGMENTS + 1) % 4, SEGMENTS), MASKS


def spots(gap: float) -> Tensor:
    """Nine spots on each of three scenes, of which a share is gone."""
    return MARKS & (noise(3, 12, 12, seed=14) >= gap)


def exchanged(gap: float) -> Arguments:
    own, donor, other = noise(3, 6, 3, 2, seed=11)
    return own, donor, torch.lerp(torch.where(SWAPPED[:, None], donor, own), other, gap), SWAPPED.expand(6, 3)


def sure(gap: float) -> Arguments:
    """Answers told for certain, of which a share is wrong."""
    return answers(gap)[0].flatten(1), LABELS


def remembered(gap: float) -> Arguments:
    """Samples that leave the training images they were copied from, beside new images."""
    return torch.lerp(TRUE, OTHER, gap), TRUE, noise(4, 3, 28, 28, seed=15)


def apart(gap: float) -> Arguments:
    """Four chains whose means spread with the gap."""
    return (DRAWS + gap * torch.arange(4.0)[:, None],)


def blank_codes() -> Arguments:
    return torch.full((500, 3), 0.3, dtype=torch.float64), GRID


def black() -> Arguments:
    return torch.zeros_like(TRUE), TRUE


def grey() -> Arguments:
    return torch.full_like(TRUE, 0.5), TRUE


def one_segment() -> Arguments:
    return torch.zeros(2, 3, 16, 16), MASKS


def nothing_to_find() -> Arguments:
    return torch.zeros(2, 16, 16, dtype=torch.long), torch.zeros(2, 16, 16, dtype=torch.long)


def alike(values: Tensor) -> Tensor:
    """A constant of the same shape."""
    return torch.full_like(values, 0.5)


DRAWN = {"train": 200, "evaluate": 400, "batch": 8}
LEVELS = 4 * (0.25 / 167) ** 0.5
"""4 standard errors of an accuracy on the third of 500 rows that is judged."""
NAMED = 4 * (0.25 / 400) ** 0.5
"""The same of 400 batches."""
NONE = math.nan
ROUNDING = 1e-6
"""Of float32."""
by_chains = partial(lambda given, order: (given[0][:, order[order < 4]],))

METRICS: dict[str, Case] = {
    "mse": Case(metrics.mse, mixed, 0, True, (black, grey), 0.08),  # the variance of uniform pixels is 1 / 12
    "hidden_error": Case(lambda p, t: metrics.hidden_error(p, t, torch.arange(28) < 14), mixed, 0, True,
                         (black, grey), 0.24),  # the mean distance of uniform pixels from their mean is 1 / 4
    "psnr": Case(lambda p, t: metrics.psnr(metrics.mse(p, t)), mixed, 100, False, (black, grey), 11),
    "skill": Case(
        lambda p, t: metrics.skill(metrics.mse(p, t).mean(), metrics.mse(*grey()).mean()), mixed, 1, False,
        (black, grey), ROUNDING,
    ),
    "equivariance_error": Case(metrics.equivariance_error, lambda g: twice(mixed(g)), 0, True,
                               (lambda: twice(black()), lambda: twice(grey())), 500),
    "ssim": Case(metrics.ssim, mixed, 1, False, (black, grey), 0.05),
    "sharpness": Case(metrics.sharpness, blurred, 1, False, (black, grey, lambda: (TRUE * 0, TRUE * 0))),
    "gradient_energy": Case(lambda p: metrics.gradient_energy(p), lambda g: blurred(g)[:1],
                            metrics.gradient_energy(TRUE).mean().item(), False, (lambda: black()[:1],)),
    "accuracy": Case(partial(metrics.accuracy, pixels), answers, 1, False,
                     (lambda: (alike(answers(0)[0]), LABELS),), 0.1 + ROUNDING),
    "identity_kept": Case(partial(metrics.identity_kept, pixels), lambda g: (answers(g)[0], *answers(0)), 1, False,
                          (lambda: (alike(answers(0)[0]), *answers(0)),
                           lambda: (alike(answers(0)[0]), alike(answers(0)[0]), LABELS)), 0.1 + ROUNDING),
    "factor_errors": Case(metrics.factor_errors, lambda g: (MOVED + g, MOVED), 0, True,
                          (lambda: (MOVED.mean(0).expand(4, 3), MOVED),), 10),
    "circular_difference": Case(lambda a, b: metrics.circular_difference(a, b, 6.5).abs(),
                                lambda g: (MOVED[:, 0] + g, MOVED[:, 0]), 0, True),
    "levels_moved": Case(lambda a, b: metrics.levels_moved(a, b, SPACING),
                         lambda g: (MOVED, MOVED + g * SPACING), 0, True),
    "diagonal_share": Case(
        metrics.diagonal_share, lambda g: ((1 - g) * torch.eye(3) + g,), 1, False,
        (lambda: (torch.zeros(3, 3),), lambda: (torch.ones(3, 3),)), 1 / 3 + ROUNDING,
        mixed=lambda given, order: (given[0][order][:, order],),
    ),
    "read_factors": Case(
        lambda frames, digit: metrics.read_factors(frames, digit, render).match,
        lambda g: (torch.lerp(render(DIGIT, MOVED), OTHER.float(), g / 2), DIGIT), NONE, False,
        (lambda: (torch.zeros(4, 3, 28, 28), DIGIT), lambda: (render(DIGIT, MOVED), 0 * DIGIT)), 0, 1e-5,
    ),
    "beta_vae": Case(seeded(metrics.beta_vae, **DRAWN), lambda g: codes(3 * g), 1, False,
                     (blank_codes,), 1 / 3 + NAMED, NAMED),
    "factor_vae": Case(seeded(metrics.factor_vae, **DRAWN), lambda g: codes(3 * g), 1, False,
                       (blank_codes,), 0, NAMED),
    "mig": Case(metrics.mig, codes, 1, False, (blank_codes, lambda: (blank_codes()[0][:, :1], GRID))),
    "mcc": Case(metrics.mcc, codes, 1, False, (blank_codes,)),
    "mcc, pearson": Case(lambda *given: metrics.mcc(*given, "pearson"), codes, 1, False, (blank_codes,)),
    "correlations": Case(lambda *given: metrics.correlations(*given).diagonal(), codes, 1, False, (blank_codes,)),
    "sap": Case(seeded(metrics.sap), codes, NONE, False,
                (blank_codes, lambda: (blank_codes()[0][:, :1], GRID)), 1e-12, LEVELS),
    "sap, correlation": Case(lambda *given: metrics.sap(*given, predictor="correlation"), codes, NONE, False,
                             (blank_codes, lambda: (blank_codes()[0][:, :1], GRID))),
    "dci, disentanglement": Case(of_dci("disentanglement"), codes, 1, False, (blank_codes,), order=LEVELS),
    "dci, completeness": Case(of_dci("completeness"), codes, 1, False, (blank_codes,), order=LEVELS),
    "dci, informativeness": Case(of_dci("informativeness"), codes, 1, False, (blank_codes,), 0.2 + LEVELS, LEVELS),
    "mutual_information": Case(
        metrics.mutual_information, lambda g: ((LABELS + wrong(g))[:, None], LABELS[:, None]), math.log(10), False,
        (lambda: (0 * LABELS[:, None], LABELS[:, None]),),
    ),
    "ari": Case(metrics.ari, segments, 1, False, (one_segment, nothing_to_find)),
    "foreground_ari": Case(metrics.foreground_ari, segments, 1, False, (one_segment, nothing_to_find)),
    "covering": Case(metrics.covering, segments, 1, False, (one_segment, nothing_to_find), 1 / 4),
    "covering, weighted": Case(partial(metrics.covering, weighted=True), segments, 1, False,
                               (one_segment, nothing_to_find), 1 / 4),
    "matched_iou": Case(metrics.matched_iou, segments, 1, False, (one_segment, nothing_to_find), 1 / 12),
    "object_count": Case(
        partial(metrics.object_count, background=0), lambda g: (torch.arange(1, 145).view(12, 12) * spots(g),), 9,
        False, (lambda: (torch.zeros(3, 12, 12, dtype=torch.long),),),
    ),
    "connected_count": Case(metrics.connected_count, lambda g: (spots(g),), 9, False, (lambda: (spots(1.1),),)),
    "count_accuracy": Case(metrics.count_accuracy, lambda g: (LABELS + wrong(g), LABELS), 1, False,
                           (lambda: (0 * LABELS, LABELS),), 0.1),
    "swap_consistency": Case(lambda *given: metrics.swap_consistency(*given).consistency, exchanged, 1, False,
                             (lambda: (*exchanged(0)[:2], exchanged(0)[0], SWAPPED),
                              lambda: (*(alike(z) for z in exchanged(0)[:3]), SWAPPED))),
    "kid": Case(lambda *given: metrics.kid(*given, torch.Generator().manual_seed(0)).mean,
                lambda g: (FEATURES[0] + g, FEATURES[1]), NONE, True,
                (lambda: (alike(FEATURES[0]), FEATURES[1]), lambda: (alike(FEATURES[0]), alike(FEATURES[1]))), 3.0,
                4 * metrics.kid(FEATURES[0] + 0.2, FEATURES[1], torch.Generator().manual_seed(0)).error),
    "squared_mmd": Case(metrics.squared_mmd, lambda g: (FEATURES[0] + g, FEATURES[1]), NONE, True,
                        (lambda: (alike(FEATURES[0]), FEATURES[1]),), 3.0),
    "auroc": Case(metrics.auroc, lambda g: (DRAWS[:, 0, 0] + 1 - 2 * g, DRAWS[:, 1, 0]), 1, False,
                  (lambda: (alike(DRAWS[:, 0, 0]), alike(DRAWS[:, 0, 0])),), 0.5),
    "ece": Case(metrics.ece, sure, 0, True, (lambda: (torch.full((20, 10), 0.1), LABELS),)),
    "ece, equal width": Case(partial(metrics.ece, bins=10, into=metrics.equal_width), sure, 0, True,
                             (lambda: (torch.full((20, 10), 0.1), LABELS),)),
    "copies": Case(lambda *given: metrics.copies(*given).distance, remembered, 0, True,
                   (lambda: (alike(TRUE), OTHER, TRUE), lambda: (TRUE, OTHER, OTHER)), 0.0,
                   mixed=lambda given, order: (given[0][order], *given[1:])),
    "nearest": Case(lambda *given: metrics.nearest(*given)[0], lambda g: remembered(g)[:2], 0, True,
                    (lambda: (alike(TRUE), OTHER),)),
    "bits_per_dimension": Case(partial(metrics.bits_per_dimension, dimensions=10), lambda g: (DRAWS[:, 0, 0] - 9 * g,),
                               NONE, True, (lambda: (DRAWS[:, 0, 0] * 0 + 10 * math.log(255 / 512),),), 8 - 1e-9),
    "ess": Case(metrics.ess, apart, NONE, False, (lambda: (alike(DRAWS),),), mixed=by_chains),
    "mcse": Case(metrics.mcse, apart, NONE, True, (lambda: (alike(DRAWS),),), mixed=by_chains),
    "rhat": Case(metrics.rhat, apart, NONE, True, (lambda: (alike(DRAWS),),), 1.0, mixed=by_chains),
}  # fmt: skip

NO_SCORES = {"circular_difference", "levels_moved"}
"""Differences, which are neither good nor bad."""

PARTS = {
    "Copies": "test_nearest.py", "equal_mass": "test_ece.py", "equal_width": "test_ece.py",
    "Dci": "test_dci.py", "Kid": "test_kid.py", "Principal": "test_principal.py", "Reading": "test_reader.py",
    "Swap": "test_swap.py", "principal": "test_principal.py", "reference_rows": "test_references.py",
    "as_masks": "test_segmentation.py", "objects_shown": "test_segmentation.py",
    "segment_labels": "test_segmentation.py", "with_background": "test_segmentation.py",
    "binned": "test_codes.py", "levels": "test_codes.py", "paired": "test_codes.py", "parted": "test_codes.py",
    "seed": "test_codes.py", "split": "test_codes.py", "standardised": "test_codes.py",
    "draw_groups": "test_sharing.py", "draw_pairs": "test_sharing.py", "Values": "test_arrays.py",
    "decorrelation": "test_decorrelation.py", "squared_cosine": "test_orthogonality.py",
    "as_tensor": "test_arrays.py", "image_pair": "test_arrays.py", "tensors": "test_arrays.py",
}  # fmt: skip
"""Records, and steps on the way to a metric: the file of `tests/metrics` that says what holds for them."""
