"""What every energy obeys."""

import pytest
import torch
from cases import BATCH, CONDITION, ENERGIES, FAMILIES, IMAGE, Condition, noise

from ergosum.compose import And, terms
from ergosum.energies.gaussian import Gaussian
from ergosum.energy import Conditional, Energy, as_energy
from ergosum.nets.transport import Bowl

H = 1e-5
"""Central differences in float64 err by H^2 E''' (1e-10) and by eps |E| / H (1e-16 * 1e2 / 1e-5 = 1e-9)."""

every_energy = pytest.mark.parametrize("name", ENERGIES)


@every_energy
def test_an_energy_is_one_finite_number_per_sample(name):
    value = ENERGIES[name](CONDITION)(IMAGE)
    assert value.shape == (BATCH,) and torch.isfinite(value).all()


@every_energy
def test_an_energy_does_not_depend_on_its_batch_mates(name):
    together = ENERGIES[name](CONDITION)(IMAGE)
    for i in range(BATCH):
        alone = ENERGIES[name](Condition(*(v[i : i + 1] for v in CONDITION)))(IMAGE[i : i + 1])
        torch.testing.assert_close(alone[0], together[i], rtol=1e-9, atol=1e-9)


@every_energy
def test_the_gradient_matches_finite_differences(name):
    energy = ENERGIES[name](CONDITION)
    for seed in range(3):
        direction = noise(*IMAGE.shape, seed=10 + seed) - 0.5
        slope = (energy(IMAGE + H * direction) - energy(IMAGE - H * direction)) / (2 * H)
        told = (energy.gradient(IMAGE) * direction).flatten(1).sum(1)
        torch.testing.assert_close(told, slope, rtol=1e-6, atol=1e-7)


# these look at their anchors when they are bound, before there is an x
@pytest.mark.parametrize("name", [name for name in ENERGIES if name not in ("Transport", "FeatureDistance")])
def test_a_batch_of_none_has_no_energies_and_no_gradients(name):
    energy = ENERGIES[name](Condition(*(v[:0] for v in CONDITION)))
    value, gradient = energy.value_and_gradient(IMAGE[:0])
    assert energy(IMAGE[:0]).shape == value.shape == (0,) and gradient.shape == (0, *IMAGE.shape[1:])
    assert energy(IMAGE[:0]).dtype == gradient.dtype == IMAGE.dtype
    told = terms(energy, IMAGE[:0])
    assert told.value.shape == (0,) and told.gradient.shape == gradient.shape


@every_energy
def test_energies_know_their_gradients_under_inference_mode(name):
    energy = ENERGIES[name](CONDITION)
    expected = energy.gradient(IMAGE)
    with torch.inference_mode():
        image = IMAGE.clone()
        torch.testing.assert_close(energy.gradient(image), expected)
        torch.testing.assert_close(terms(energy, image).gradient, expected)


@every_energy
def test_value_and_gradient_agree_with_their_parts_and_leave_no_graph(name):
    energy = ENERGIES[name](CONDITION)
    value, gradient = energy.value_and_gradient(IMAGE)
    torch.testing.assert_close(value, energy(IMAGE))
    torch.testing.assert_close(gradient, energy.gradient(IMAGE))
    assert not value.requires_grad and not gradient.requires_grad and not IMAGE.requires_grad


@pytest.mark.parametrize("name", FAMILIES)
def test_a_bound_energy_depends_on_its_latent_and_on_its_anchor_if_it_has_one(name):
    made = FAMILIES[name]()
    z, anchor = CONDITION
    before = made.bind(z, anchor)(IMAGE)
    assert (made.bind(z + 0.5, anchor)(IMAGE) - before).abs().min() > 1e-6
    change = (made.bind(z, 1 - anchor)(IMAGE) - before).abs()
    assert change.min() > 1e-6 if made.anchored else change.max() == 0


@pytest.mark.parametrize("name", FAMILIES)
def test_every_weight_of_a_family_can_learn_from_a_descent_step(name):
    made = FAMILIES[name]()
    assert isinstance(made, Conditional)
    energy = made.bind(*CONDITION)
    (IMAGE - energy.gradient(IMAGE, create_graph=True)).square().sum().backward()
    for weight, value in made.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, weight


def test_and_commutes_and_flattens():
    a, b, c = (ENERGIES[n](CONDITION) for n in ("Bowl", "as_energy", "UNetInnerProduct"))
    torch.testing.assert_close(And(a, b)(IMAGE), And(b, a)(IMAGE))
    nested = And(And(a, b), And(c))
    assert list(nested) == [a, b, c] and len(nested) == 3 and not any(isinstance(t, And) for t in nested)
    torch.testing.assert_close(nested(IMAGE), And(a, And(b, c))(IMAGE))
    assert "3 terms" in repr(nested)


def test_the_gradient_of_and_is_the_sum_of_gradients():
    terms = [ENERGIES[n](CONDITION) for n in ("Bowl", "as_energy", "ResidualEnergy")]
    total = sum(t.gradient(IMAGE) for t in terms)
    torch.testing.assert_close(And(*terms).gradient(IMAGE), total, rtol=1e-9, atol=1e-9)


def test_and_needs_a_term():
    with pytest.raises(ValueError, match="at least one energy, got none"):
        And()


def test_a_bowl_is_half_the_squared_distance_and_refuses_other_shapes():
    bowl = Bowl(torch.zeros(2, 3))
    torch.testing.assert_close(bowl(torch.tensor([[3.0, 4.0, 0.0], [0.0, 0.0, 1.0]])), torch.tensor([12.5, 0.5]))
    with pytest.raises(ValueError, match=r"expected x of shape \(2, 3\), got \(1, 3\)"):
        bowl(torch.zeros(1, 3))


def test_transport_refuses_to_move_no_anchor():
    with pytest.raises(ValueError, match=r"set model.anchor"):
        FAMILIES["Transport"]().bind(CONDITION.z, None)


def test_as_energy_keeps_energies_and_refuses_what_cannot_be_called():
    bowl = Bowl(torch.zeros(1))
    assert as_energy(bowl) is bowl
    with pytest.raises(TypeError, match="got int"):
        as_energy(3)


def test_what_is_made_under_inference_mode_can_be_differentiated():
    family = FAMILIES["UNetInnerProduct"]()
    expected = family(*CONDITION) & Gaussian(IMAGE[0] * 2)
    with torch.inference_mode():
        made = family(CONDITION.z * 1, CONDITION.anchor * 1) & Gaussian(IMAGE[0] * 2)
        torch.testing.assert_close(made.gradient(IMAGE), expected.gradient(IMAGE))
    torch.testing.assert_close(made.gradient(IMAGE), expected.gradient(IMAGE))


class Mine(Energy):
    def __init__(self, power: int = 2) -> None:
        super().__init__()
        self.power = power

    def forward(self, x):
        return x.pow(self.power).flatten(1).sum(1)


def test_a_class_of_ones_own_may_be_subclassed():
    class Steeper(Mine):
        def __init__(self):
            super().__init__(4)

    class Twice(Steeper):
        def forward(self, x):
            return 2 * super().forward(x)

    torch.testing.assert_close(Twice()(IMAGE), 2 * IMAGE.pow(4).flatten(1).sum(1))
    torch.testing.assert_close((Twice() & Steeper()).gradient(IMAGE), 12 * IMAGE.pow(3))
    assert str(Twice() & Mine()) == "twice & mine"


def test_a_subclass_that_would_tell_the_gradient_of_its_parent_is_refused():
    class Fast(Mine):
        def value_and_gradient(self, x, create_graph=False):
            return self(x), 2 * x

    with pytest.raises(TypeError, match="Slower has a forward of its own but the value_and_gradient of its parent"):
        type("Slower", (Fast,), {"forward": lambda self, x: 3 * x.flatten(1).sum(1)})
    body = {"forward": lambda self, x: 3 * x.flatten(1).sum(1), "value_and_gradient": Energy.value_and_gradient}
    mended = type("Mended", (Fast,), body)()
    torch.testing.assert_close(mended.gradient(IMAGE), torch.full_like(IMAGE, 3))
    assert type("Same", (Fast,), {})().gradient(IMAGE).equal(2 * IMAGE)


def test_a_leaf_energy_is_final_and_the_abstract_one_computes_nothing():
    with pytest.raises(TypeError, match="subclasses Bowl, which is final"):
        type("Deeper", (Bowl,), {})
    for abstract in (lambda: Energy()(IMAGE), lambda: Conditional().bind(*CONDITION)):
        with pytest.raises(NotImplementedError):
            abstract()
