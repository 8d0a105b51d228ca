"""What every network obeys."""

import pytest
import torch
from cases import BATCH, NETS, noise, rough

from ergosum.nets.blocks import ConditionedBlock, coordinates, reduced, widen
from ergosum.nets.body import UNetBody
from ergosum.nets.broadcast import BroadcastDecoder
from ergosum.nets.experts import ExpertDecoder
from ergosum.nets.slots import SlotEncoder

every_net = pytest.mark.parametrize("name", NETS)


@every_net
def test_a_network_does_not_mix_its_batch(name):
    make, inputs = NETS[name]
    net = rough(make())
    together = net(*inputs)
    for i in range(BATCH):
        torch.testing.assert_close(net(*(v[i : i + 1] for v in inputs))[0], together[i], rtol=1e-9, atol=1e-9)


@every_net
def test_every_weight_and_every_input_of_a_network_matters(name):
    make, inputs = NETS[name]
    net = rough(make())
    seen = [v.clone().requires_grad_() for v in inputs]
    out = net(*seen)
    (out * noise(*out.shape, seed=9)).sum().backward()
    for value in [*net.parameters(), *seen]:
        assert value.grad is not None and value.grad.abs().max() > 0


def test_an_untrained_block_ignores_its_code():
    x, z = noise(2, 3, 6, 6).float(), noise(2, 5).float()
    block = ConditionedBlock(3, 5)
    assert torch.equal(block(x, z), block(x, -z))


@pytest.mark.parametrize("half", [0, 1])
def test_a_block_is_both_scaled_and_shifted_by_its_code(half):
    x, z = noise(2, 3, 6, 6).float(), noise(2, 5).float()
    block = ConditionedBlock(3, 5)
    block.modulation.weight.data.chunk(2)[half].fill_(0.5)
    assert not torch.allclose(block(x, z), block(x, -z))


def test_a_block_may_see_another_code_in_every_place():
    x, z = noise(2, 3, 6, 6).float(), noise(2, 5).float()
    block = ConditionedBlock(3, 5, kernel=1)
    block.modulation.weight.data.fill_(0.5)
    codes = z[:, :, None, None].repeat(1, 1, 6, 6)
    torch.testing.assert_close(block(x, codes), block(x, z))
    codes[:, :, 2, 4] += 1.0
    changed = (block(x, codes) - block(x, z)).abs().amax((0, 1)) > 1e-6
    assert changed.nonzero().tolist() == [[2, 4]]


def test_coordinates_run_from_minus_one_to_one_x_before_y():
    grid = coordinates(5)
    assert grid.shape == (1, 2, 5, 5)
    assert grid[0, 0, 2].tolist() == grid[0, 1, :, 2].tolist() == [-1, -0.5, 0, 0.5, 1]


def test_widen_lifts_half_precision_and_keeps_the_rest():
    given = [torch.float16, torch.bfloat16, torch.float32, torch.float64]
    made = [widen(torch.zeros(1, dtype=d)).dtype for d in given]
    assert made == [torch.float32, torch.float32, torch.float32, torch.float64]


QUARTERED = {
    "SlotEncoder": lambda side: SlotEncoder(9, 4, side),
    "ExpertDecoder": lambda side: ExpertDecoder(9, 4, side),
    "BroadcastDecoder": lambda side: BroadcastDecoder(5, side=side),
    "UNetBody": lambda side: UNetBody(3, 7, 5, 4, side),
}


@pytest.mark.parametrize("make", QUARTERED.values(), ids=QUARTERED)
def test_a_side_that_cannot_be_quartered_is_refused_when_the_network_is_made(make):
    assert reduced(36, 4) == 9
    make(12)
    for side in (50, 2, 0):
        with pytest.raises(ValueError, match=f"^side: expected a multiple of 4 pixels, got {side}"):
            make(side)
