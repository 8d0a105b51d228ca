"""Samplers: one algorithm per file; `chain.py` holds what passes through a chain and the one loop that runs all."""

from ergosum.samplers.annealed import Annealed
from ergosum.samplers.chain import Chain, run, sample
from ergosum.samplers.descent import Descent
from ergosum.samplers.gibbs import GibbsWithGradients
from ergosum.samplers.guards import NonFiniteError, TrainingModeWarning, UnboundedError
from ergosum.samplers.hmc import Hmc
from ergosum.samplers.importance import FewDrawsWarning, LogZ
from ergosum.samplers.ladder import NoiseLadder, Particles, Rung
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.presets import ShortRun, anatomy, igebm, jem, short_run
from ergosum.samplers.reverse import Ancestral, ProbabilityFlow, Reverse, levels
from ergosum.samplers.smc import Population, tempered_smc
from ergosum.samplers.state import Info, Sampler, State, Step, Varying
from ergosum.samplers.tempering import ParallelTempering
from ergosum.samplers.underdamped import UnderdampedLangevin
from ergosum.samplers.warmup import warm_up

__all__ = [
    "Ancestral",
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
    "NoiseLadder",
    "NonFiniteError",
    "ParallelTempering",
    "Particles",
    "Population",
    "ProbabilityFlow",
    "Reverse",
    "Rung",
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
    "levels",
    "run",
    "sample",
    "short_run",
    "tempered_smc",
    "warm_up",
]
