"""The machine room: a loop over any task, run folders, and what an experiment is."""

from ergosum.training.experiment import Experiment, Optimiser, Run
from ergosum.training.loop import Update, fit, train
from ergosum.training.runfolder import load_predictor
from ergosum.training.task import Losses, Task

__all__ = ["Experiment", "Losses", "Optimiser", "Run", "Task", "Update", "fit", "load_predictor", "train"]
