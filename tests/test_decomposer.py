"""What every decomposer shares: K energies closed at once, and a descent that training can look through."""

import pytest
import torch
from torch import nn

from ergosum.compose import And
from ergosum.decomposer import Decomposer, Folded, InnerDescent
from ergosum.energy import Conditional, Energy
from ergosum.nets.transport import Bowl
from ergosum.part import Part
from ergosum.samplers.descent import Descent


class Mean(nn.Module):
    """An encoder: the mean of the image."""

    def forward(self, x):
        return x.mean((1, 2, 3))[:, None]


class Grey(Conditional):
    """A family of bowls about one grey, the code times a weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(()))

    def bind(self, z, anchor=None):
        return Bowl((self.weight * z).view(-1, 1, 1, 1).expand(-1, 3, 4, 4))


def make(components=("one", "two"), tied=False, **descent):
    return Decomposer(Mean, Grey, components, tied, InnerDescent(**descent), 4)


def follow(model, *greys, steps=None, generator=None):
    """Descend from black on the sum of bowls about some greys."""
    codes = [torch.full((2, 1), g) for g in greys]
    energy = model.close(codes, None, range(len(greys)))
    latents = torch.stack(codes, 1)
    return model.descend(torch.zeros(2, 3, 4, 4), energy, latents, model.steps_taken(steps), generator, True)


@pytest.mark.parametrize("tied", [True, False])
def test_components_tied_or_not_descend_on_their_sum(tied):
    path = follow(make(tied=tied, steps=3, step_size=0.25), 0.2, 0.6)
    seen = [frame.mean().item() for frame in path.frames]
    assert seen == pytest.approx([0, 0.2, 0.3, 0.35])  # halfway to the mean of both bowls in every step
    assert len(path.infos) == 3 and path.latents.shape == (2, 2, 1)


def test_tied_components_are_one_network_in_one_call():
    tied, apart = make(tied=True), make()
    codes = [torch.rand(3, 1), torch.rand(3, 1)]
    assert isinstance(tied.close(codes, None, [0, 1]), Folded) and isinstance(apart.close(codes, None, [0, 1]), And)
    assert len(tied.energies) == 1 and len(apart.energies) == 2
    x = torch.rand(3, 3, 4, 4)
    torch.testing.assert_close(tied.close(codes, None, [0, 1])(x), apart.close(codes, None, [0, 1])(x))


@pytest.mark.parametrize("components", [(), ("one", "one")])
def test_names_of_components_are_one_or_more_and_different(components):
    with pytest.raises(ValueError, match="expected one or more different names"):
        make(components)


def test_training_steps_count_in_training_alone():
    model = make(steps=4, training_steps=1).eval()
    assert len(follow(model, 0.5).infos) == 4 and len(follow(model, 0.5, steps=2).infos) == 2
    assert len(follow(model.train(), 0.5).infos) == 1


@pytest.mark.parametrize("learned", [True, False])
def test_a_learned_step_size_gets_a_gradient_and_a_fixed_one_none(learned):
    model = make(learned=learned, step_size=0.5, gradient="full").train()
    follow(model, 0.5).frames[-1].square().sum().backward()
    assert (model.log_step.grad is not None) == learned
    assert model.sampler().step_size.item() == pytest.approx(0.5)


@pytest.mark.parametrize("gradient, slopes", [("last", [0, 0, 0, 1]), ("truncated", [0, 1, 1, 1]),
                                              ("window", [0, 0, 1, 2]), ("full", [0, 1, 2, 3])])  # fmt: skip
def test_the_loss_is_differentiated_through_the_chosen_steps(gradient, slopes):
    model = make(("one",), steps=3, step_size=0.5, gradient=gradient, window=2).train()
    path = follow(model, 1.0)
    reached = []
    for frame in path.frames:
        model.zero_grad()
        if frame.requires_grad:
            frame.mean().backward(retain_graph=True)
        weight = model.energies[0].weight.grad
        reached.append(0.0 if weight is None else weight.item())
    assert reached == pytest.approx([1 - 0.5**n for n in slopes])  # x_n = (1 - 1/2^n) w after n steps in the graph


class Still(Descent):
    """A sampler of one's own that goes only half as far."""

    def step(self, energy, state, generator=None, **options):
        following, info = super().step(energy, state, generator, **options)
        return following._replace(x=(state.x + following.x) / 2), info


def test_the_step_is_that_of_the_sampler_that_the_descent_names():
    plain = follow(make(steps=1, step_size=0.5), 1.0).frames[-1]
    half = follow(make(steps=1, step_size=0.5, sampler=Part(Still)), 1.0).frames[-1]
    torch.testing.assert_close(half, plain / 2)


def test_noise_is_added_in_each_step():
    model = make(steps=1, step_size=1.0, noise=0.1)
    last = follow(model, 0.5, generator=torch.Generator().manual_seed(0)).frames[-1]
    assert last.std().item() == pytest.approx(0.1, abs=4 * 0.1 / (2 * 95) ** 0.5)


class Broken(Energy):
    """An energy that is not finite."""

    def forward(self, x):
        return (0 * x).flatten(1).sum(1) + torch.nan


def test_what_first_leaves_the_finite_numbers_is_located():
    model, start, latents = make(), torch.zeros(1, 3, 4, 4), torch.zeros(1, 2, 1)
    fine, broken = Bowl(start), Broken()
    where = model.where_non_finite
    assert where(latents, lambda k: fine, start, lambda: None) == "the loss alone"
    assert where(latents, lambda k: (fine, broken)[k], start, lambda: None) == "component 'two'"
    assert where(latents / 0, lambda k: fine, start, lambda: None) == "the encoder's latents"
