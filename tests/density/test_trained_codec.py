"""Densities of the latents of what decomposes images already."""

import pytest
import torch

from ergosum.density import Codes, Density, TrainedCodec
from ergosum.density.objectives import DenoisingScore
from ergosum.part import Part
from ergosum.training.runfolder import load_predictor


@pytest.mark.parametrize("recipe", ["tetrominoes", "still-vae-b1-d10"])
def test_latents_of_a_decomposition_are_codes(learn, tmp_path, recipe):
    learn(tmp_path, recipe)
    side = load_predictor(tmp_path)[1].canvas
    space = Part(Codes, codec=Part(TrainedCodec, run=str(tmp_path)), share=0.0)
    model = Density((), 3, side, space).train()
    images = torch.rand(6, 3, side, side, generator=torch.Generator().manual_seed(0))
    model.space.settle(images)
    x = model.encode(images)
    model.family.fit(x)
    assert x.shape == (6, model.space.codec.latent) and not model.space.codec.model.training
    made = model.decode(x)
    assert made.shape == images.shape and torch.equal(made, model.decode(x))
    assert not torch.equal(model.decode(x + 0.5), made)
    terms = model(DenoisingScore(), images, model.family.conditions.none(6), torch.Generator().manual_seed(0), 0.5)
    terms.loss.backward()
    assert all(p.grad is None for p in model.space.parameters())


def test_what_cannot_be_a_codec_is_refused(trained, learn, tmp_path):
    with pytest.raises(ValueError, match="has no latents of images"):
        TrainedCodec(str(trained), 3, 28)
    learn(tmp_path, "tetrominoes")
    with pytest.raises(ValueError, match="the data have 1 and 28"):
        TrainedCodec(str(tmp_path), 1, 28)
