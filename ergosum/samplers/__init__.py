"""Samplers: one algorithm per file; `chain.py` holds what passes through a chain and the one loop that runs all."""

from ergosum.samplers.annealed import Annealed
from ergosum.samplers.chain import Chain, run, sample
from ergosum.samplers.descent import Descent
from ergosum.samplers.gibbs import GibbsWithGradients
from ergosum.samplers.guards import NonFiniteError, TrainingModeWarning, UnboundedError
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.importance import FewDrawsWarning, LogZ
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.presets import ShortRun, anatomy, igebm, jem, short_run
from ergosum.samplers.smc import Population, tempered_smc
from ergosum.samplers.state import Info, Sampler, State, Step, Varying
from ergosum.samplers.tempering import ParallelTempering
from ergosum.samplers.underdamped import UnderdampedLangevin
from ergosum.samplers.warmup import warm_up

__all__ = [
    "Annealed",
    "Chain",
    "Descent",
    "FewDrawsWarning",
    "GibbsWithGradients",
    "Hmc",
    "Info",
    "Langevin",
    "LogZ",
    "Mala",
    "NonFiniteError",
    "ParallelTempering",
    "Population",
    "Sampler",
    "ShortRun",
    "State",
    "Step",
    "TrainingModeWarning",
    "UnboundedError",
    "UnderdampedLangevin",
    "Varying",
    "anatomy",
    "igebm",
    "jem",
    "run",
    "sample",
    "short_run",
    "tempered_smc",
    "warm_up",
]
