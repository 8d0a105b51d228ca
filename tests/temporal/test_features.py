"""Energies of a frozen encoder's features."""

import pytest
import torch
from torch import nn

from ergosum.part import Part
from ergosum.temporal import FeatureDistance, FrozenFeatures, TemporalDecomposer
from ergosum.zoo import Zoo

SIDE = 12


class Gains(nn.Module):
    """A linear encoder: three channels with gains 3, 2 and 1."""

    channels = 3

    def __init__(self):
        super().__init__()
        self.gains = nn.Parameter(torch.tensor([3.0, 2.0, 1.0])[:, None, None])

    def forward(self, x):
        return self.gains * x


def test_maps_are_those_of_the_shipped_extractor(rng):
    x, shipped = torch.rand(2, 3, 28, 28, generator=rng), Zoo().classifier("features")
    deep = FrozenFeatures(4)
    torch.testing.assert_close(deep(x).mean((2, 3)), shipped.pooled(x))
    assert [FrozenFeatures(d).channels for d in (1, 2, 3, 4)] == [24, 48, 48, 96]
    assert not list(deep.parameters()) and deep.state_dict().keys() == {
        f"{k}{n}" for k in ("weight", "bias") for n in range(4)
    }
    with pytest.raises(ValueError, match=r"^depth: expected 1 to 4 convolutions, got 5\."):
        FrozenFeatures(5)


def test_of_a_linear_encoder_the_step_of_size_one_lands_where_its_gain_is_largest(rng):
    """E = |A (x - a) - u|^2 / 2 s^2 with s = 3 the largest gain: with u = A d a step goes (A / s)^2 of the way d."""
    family = FeatureDistance(4, 4, SIDE, encoder=Part(Gains))
    assert family.scale.item() == pytest.approx(1 / 9, rel=1e-4)
    assert not any(p.requires_grad for p in family.encoder.parameters())
    a, d = torch.rand(2, 2, 3, SIDE, SIDE, generator=rng)
    energy = family.bind(torch.zeros(2, 4), a)
    energy.foretold = family.encoder(a + d).detach()
    value, slope = energy.value_and_gradient(a)
    gains = family.encoder.gains.detach()
    torch.testing.assert_close(-slope, (gains / 3) ** 2 * d)
    torch.testing.assert_close(value, ((gains * d).square().flatten(1).sum(1) / 18))
    assert energy(a + d).abs().max() < 1e-9


def test_an_energy_of_features_learns_in_a_decomposer_and_its_encoder_stays(rng):
    model = TemporalDecomposer(energy=Part(FeatureDistance, width=4), side=SIDE, latent=2)
    held = {k: v.clone() for k, v in model.energies[0].encoder.state_dict().items()}
    start, target = torch.rand(2, 4, 3, SIDE, SIDE, generator=rng)
    moves = torch.tensor([[1.0, 0, 0]]).expand(4, 3)
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(25):
        made = model(start, moves=moves).frames[-1]
        losses.append((made - target).square().mean())
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert losses[-1] < 0.8 * losses[0]
    assert all(torch.equal(v, held[k]) for k, v in model.energies[0].encoder.state_dict().items())
    with pytest.raises(ValueError, match="anchor to 'start' or 'step'"):
        model.energies[0].bind(torch.zeros(1, 5), None)
    with pytest.raises(ValueError, match="anchor"):
        TemporalDecomposer(energy=Part(FeatureDistance), anchor="none")
