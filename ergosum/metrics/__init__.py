"""Metrics: one quantity a file. They take tensors or NumPy arrays and give tensors or numbers; `docs/metrics.md`.

A function may have the name of its file, as `mig` of `mig.py` has: `from ergosum.metrics import mig` is the function.
"""

from ergosum.metrics.auroc import auroc
from ergosum.metrics.beta_vae import beta_vae
from ergosum.metrics.bits import bits_per_dimension
from ergosum.metrics.calibration import ece, equal_mass, equal_width
from ergosum.metrics.codes import binned
from ergosum.metrics.counting import connected_count, count_accuracy, object_count
from ergosum.metrics.dci import Dci, dci
from ergosum.metrics.diagnostics import ess, mcse, rhat
from ergosum.metrics.equivariance import equivariance_error
from ergosum.metrics.error import mse, psnr, skill
from ergosum.metrics.factor_vae import factor_vae
from ergosum.metrics.hidden_error import hidden_error
from ergosum.metrics.identity import accuracy, identity_kept
from ergosum.metrics.kid import Kid, kid, squared_mmd
from ergosum.metrics.mcc import correlations, mcc
from ergosum.metrics.mig import mig, mutual_information
from ergosum.metrics.nearest import Copies, copies, nearest
from ergosum.metrics.principal import Principal, principal
from ergosum.metrics.reader import Reading, circular_difference, factor_errors, read_factors
from ergosum.metrics.references import reference_rows
from ergosum.metrics.response import diagonal_share, levels_moved
from ergosum.metrics.sap import sap
from ergosum.metrics.segmentation import (
    ari,
    as_masks,
    covering,
    foreground_ari,
    matched_iou,
    objects_shown,
    segment_labels,
    with_background,
)
from ergosum.metrics.sharpness import gradient_energy, sharpness
from ergosum.metrics.ssim import ssim
from ergosum.metrics.swap import Swap, swap_consistency

__all__ = [
    "Copies",
    "Dci",
    "Kid",
    "Principal",
    "Reading",
    "Swap",
    "accuracy",
    "ari",
    "as_masks",
    "auroc",
    "beta_vae",
    "binned",
    "bits_per_dimension",
    "circular_difference",
    "connected_count",
    "copies",
    "correlations",
    "count_accuracy",
    "covering",
    "dci",
    "diagonal_share",
    "ece",
    "equal_mass",
    "equal_width",
    "equivariance_error",
    "ess",
    "factor_errors",
    "factor_vae",
    "foreground_ari",
    "gradient_energy",
    "hidden_error",
    "identity_kept",
    "kid",
    "levels_moved",
    "matched_iou",
    "mcc",
    "mcse",
    "mig",
    "mse",
    "mutual_information",
    "nearest",
    "object_count",
    "objects_shown",
    "principal",
    "psnr",
    "read_factors",
    "reference_rows",
    "rhat",
    "sap",
    "segment_labels",
    "sharpness",
    "skill",
    "squared_mmd",
    "ssim",
    "swap_consistency",
    "with_background",
]
