"""What recomposed images are compared with, the package's objective and one of one's own."""

import pytest
import torch

from ergosum.decomposition import RecompositionLoss, RecompositionObjective
from ergosum.part import Part
from ergosum.training.task import Losses


class Absolute(RecompositionObjective):
    """The absolute error, doubled."""

    def __call__(self, images, path, rows=1, progress=1.0):
        return Losses(2 * (path.frames[-1] - images).abs().mean(), first=path.frames[0], last=path.frames[-1])


def test_an_objective_of_ones_own_is_what_training_lowers(tiny):
    task = tiny("tetrominoes", task={"objective": Part(Absolute)}).built()
    torch.manual_seed(0)
    model, generator = task.build().train(), torch.Generator().manual_seed(0)
    batch = task.batch(4, generator)
    losses = task.loss(model, batch, generator, 1.0)
    assert losses.loss.item() == pytest.approx(2 * (losses.last - batch.images).abs().mean().item(), rel=1e-6)
    losses.loss.backward()
    assert any(p.grad is not None and p.grad.abs().max() > 0 for p in model.encoder.parameters())


def test_what_is_no_objective_of_images_is_refused(tiny):
    from ergosum.training.experiment import from_dict, to_dict

    recipe = to_dict(tiny("tetrominoes"))
    recipe["task"]["objective"] = {"class": "PredictionLoss"}
    with pytest.raises(ValueError, match="PredictionLoss is no RecompositionObjective"):
        from_dict(recipe)
    assert issubclass(RecompositionLoss, RecompositionObjective)
