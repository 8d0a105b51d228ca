"""What energies are compared with."""

import pytest
import torch

from ergosum.data.render import render
from ergosum.temporal import FeedForwardTransport, FeedForwardUNet
from ergosum.temporal.baselines.trivial import Predict, trivial

BEFORE = torch.tensor([[1.0, 40.0, 1.0]] * 12)
AFTER = torch.tensor([[2.0, 100.0, 0.8]] * 12)


def test_each_trivial_predictor_does_what_its_name_says(digits):
    mean = digits.images.mean(0, keepdim=True)
    rows: dict[str, Predict] = dict(trivial(mean))
    start, target = (render(digits.images, f) for f in (BEFORE, AFTER))
    assert rows["blank"](start, BEFORE, AFTER).abs().max() == 0
    assert torch.equal(rows["copy"](start, BEFORE, AFTER), start)
    torch.testing.assert_close(rows["mean image"](start, BEFORE, AFTER).mean(0), target.mean(0), rtol=0, atol=1e-5)
    error = (rows["true operator"](start, BEFORE, AFTER) - target).square().mean()
    assert error < 0.1 * (start - target).square().mean()


@pytest.mark.parametrize("network", [FeedForwardUNet, FeedForwardTransport])
def test_a_feed_forward_network_predicts_in_one_step_and_follows_its_moves(network, digits):
    torch.manual_seed(0)
    model = network(width=4, side=28)
    for weight in model.parameters():
        weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(0))
    start = render(digits.images, BEFORE)
    one, other = (model.predict(start, moves=torch.full((12, 3), m)) for m in (1.0, -1.0))
    assert one.shape == start.shape and one.min() >= 0 and one.max() <= 1 and not torch.allclose(one, other)
    frames = model(start, moves=torch.ones(12, 3)).frames
    assert len(frames) == 2 and torch.equal(frames[1].clamp(0, 1), one)
