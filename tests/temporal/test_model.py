"""The temporal decomposer: encoder, energies of change, and the descent that leads to the next frame."""

import pytest
import torch
from torch import nn

from ergosum.decomposer import InnerDescent
from ergosum.energy import Conditional
from ergosum.nets.encoders import PairEncoder, StridedEncoder
from ergosum.nets.residual import ResidualEnergy
from ergosum.nets.slots import SlotEncoder
from ergosum.nets.transport import Bowl, Transport
from ergosum.nets.unet import UNetInnerProduct
from ergosum.part import Part
from ergosum.samplers.mala import Mala
from ergosum.temporal import TemporalDecomposer

SIDE = 12
KINDS = [(Transport, "start"), (Transport, "step"), (UNetInnerProduct, "none"), (UNetInnerProduct, "start"),
         (UNetInnerProduct, "step"), (ResidualEnergy, "none"), (ResidualEnergy, "start")]  # fmt: skip


def make(energy=Transport, encoder=StridedEncoder, components=("colour", "angle", "scale"), steps=2, **settings):
    torch.manual_seed(0)
    own = {k: settings.pop(k) for k in ("anchor", "tied", "moves", "latent", "ramp") if k in settings}
    descent = Part(InnerDescent, steps=steps, **settings)
    made = TemporalDecomposer(
        Part(encoder, width=4), Part(energy, width=4), components, descent=descent, side=SIDE, **own
    )
    generator = torch.Generator().manual_seed(0)
    for weight in made.energies.parameters():  # away from the start, where codes are ignored
        weight.data += 0.1 * torch.randn(weight.shape, generator=generator)
    return made.eval()


@pytest.fixture
def frames(rng):
    return torch.rand(3, 3, SIDE, SIDE, generator=rng)


@pytest.fixture
def moves():
    return torch.tensor([[1.0, 0.0, -0.5], [0.0, 2.0, 0.0], [-1.0, 1.0, 1.0]])


@pytest.mark.parametrize("energy, anchor", KINDS)
def test_folded_components_equal_a_loop_over_untied_ones_of_the_same_weights(energy, anchor, frames, moves):
    tied, loop = make(energy, anchor=anchor, tied=True), make(energy, anchor=anchor)
    loop.encoder.load_state_dict(tied.encoder.state_dict())
    for one in loop.energies:
        one.load_state_dict(tied.energies[0].state_dict())
    for active in (None, [2], [2, 0]):
        a, b = (m(frames, moves=moves, active=active).frames[-1] for m in (tied, loop))
        assert (a - b).abs().max() <= 1e-5 * max(1, a.abs().max().item())
    assert not torch.allclose(a, tied(frames, moves=moves, active=[1]).frames[-1])


@pytest.mark.parametrize("energy, anchor", KINDS)
@pytest.mark.parametrize("size", [1.0, 50.0])
def test_a_prediction_lies_in_the_unit_interval_and_training_mode_is_kept(energy, anchor, size, frames, moves):
    made = make(energy, anchor=anchor, step_size=size).train()
    predicted = made.predict(frames, moves=moves)
    assert predicted.shape == frames.shape and predicted.min() >= 0 and predicted.max() <= 1
    assert made.training and not predicted.requires_grad


def test_without_clamp_a_prediction_may_leave_the_unit_interval(frames, moves):
    assert make(UNetInnerProduct, step_size=50.0, clamp=False).predict(frames, moves=moves).max() > 1


def test_a_pair_encoder_needs_the_later_frame(frames):
    made = make(UNetInnerProduct, PairEncoder, moves=False)
    assert made.encode(frames, frames.flip(0)).shape == (3, 3, 16)
    assert not torch.equal(made.encode(frames, frames), made.encode(frames, frames.flip(0)))
    with pytest.raises(ValueError, match="pass the later frame as target"):
        made(frames)


def test_energies_conditioned_on_the_move_need_moves(frames):
    with pytest.raises(ValueError, match=r"pass moves \(batch, 3\)"):
        make()(frames)


def test_a_component_is_conditioned_only_on_the_moves_of_the_factors_it_is_named_after(frames, moves):
    made = make(components=("colour", "angle+scale", "free"))
    latents = made.encode(frames)
    codes = [made._code(latents, moves, k, 0.5)[:, -3:] for k in range(3)]
    zero = torch.zeros(3, 1)
    assert torch.equal(codes[0], torch.cat([moves[:, :1] / 2, zero, zero], 1))
    assert torch.equal(codes[1], torch.cat([zero, moves[:, 1:] / 2], 1))
    assert torch.equal(codes[2], moves / 2)


class Drift(Conditional):
    """A family whose bowl lies one move away from its anchor: descent can be followed by hand."""

    anchored = True

    def bind(self, z, anchor=None):
        return Bowl(anchor + 0.1 * z[:, -3].view(-1, 1, 1, 1))


@pytest.mark.parametrize(
    "anchor, ramp, expected",
    [("start", False, [0.05, 0.075]), ("start", True, [0.025, 0.0625]), ("step", False, [0.05, 0.1]),
     ("step", True, [0.025, 0.05])],
)  # fmt: skip
def test_anchor_and_ramp_say_what_each_step_is_asked_for(anchor, ramp, expected, moves):
    made = make(anchor=anchor, ramp=ramp, step_size=0.5, components=("colour",))
    made.energies = nn.ModuleList([Drift()])
    frames = made(torch.zeros(1, 3, SIDE, SIDE), moves=moves[:1]).frames
    assert [f.mean().item() for f in frames[1:]] == pytest.approx(expected)


def test_the_short_cut_for_single_bowls_gives_what_all_steps_give(frames, moves):
    made = make(ramp=True, steps=4)
    steps = made(frames, moves=moves, active=[1]).frames
    torch.testing.assert_close(made.predict(frames, moves=moves, active=[1]), steps[-1].clamp(0, 1))
    several = make(step_size=0.3)
    last = several(frames, moves=moves).frames[-1]
    torch.testing.assert_close(several.predict(frames, moves=moves), last.clamp(0, 1))


@pytest.mark.parametrize("k", [0, 2])
def test_the_component_whose_weights_are_broken_is_located(k, frames, moves):
    made = make(UNetInnerProduct)
    assert made.locate(frames, None, moves) == "the loss alone"
    next(made.energies[k].parameters()).data.fill_(torch.nan)
    assert made.locate(frames, None, moves) == f"component {made.components[k]!r}"
    next(made.encoder.parameters()).data.fill_(torch.nan)
    assert made.locate(frames, None, moves) == "the encoder's latents"


def test_a_step_size_that_blows_up_is_located_in_the_sum(frames, moves):
    assert "sum of all components (Descent left" in make(UNetInnerProduct, step_size=1e30, steps=4).locate(
        frames, None, moves
    )


def test_parts_that_do_not_go_together_are_refused_when_they_are_put_together():
    with pytest.raises(ValueError, match="encoder: SlotEncoder reads sets of components"):
        TemporalDecomposer(encoder=Part(SlotEncoder))
    with pytest.raises(ValueError, match=r"descent\.sampler: steps of Mala cannot be differentiated"):
        InnerDescent(sampler=Part(Mala))
