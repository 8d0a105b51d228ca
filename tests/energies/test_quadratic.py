"""What `Quadratic` gives the closed forms that are quadratic: value, gradient and log Z at a temperature."""

import math

import pytest
import torch

from ergosum.energies import Experts, Gaussian, Masked
from ergosum.energies.quadratic import Quadratic
from ergosum.energy import Energy

MEAN = torch.tensor([0.3, -1.0], dtype=torch.float64)
FORMS = {
    "diagonal": Gaussian(MEAN, torch.tensor([0.5, 2.0]).double()),
    "full": Gaussian(MEAN, torch.tensor([[1.0, 0.6], [0.6, 2.0]]).double()),
    "experts": Experts(MEAN, torch.tensor([2.0, 0.5]).double()),
    "masked": Masked(torch.tensor([0.2, 1.0]).double(), MEAN),
}


@pytest.mark.parametrize("name", FORMS)
def test_the_gradient_in_closed_form_is_that_of_the_value(name, rng):
    form, x = FORMS[name], torch.randn(5, 2, generator=rng, dtype=torch.float64)
    assert isinstance(form, Quadratic)
    value, gradient = form.value_and_gradient(x)
    expected, slope = Energy.value_and_gradient(form, x)
    torch.testing.assert_close(value, expected)
    torch.testing.assert_close(gradient, slope)


@pytest.mark.parametrize("temperature", [0.5, 3.0])
@pytest.mark.parametrize("name", FORMS)
def test_log_z_at_a_temperature_is_what_quadrature_finds(name, temperature):
    form, axis = FORMS[name], torch.linspace(-25, 25, 1001, dtype=torch.float64)
    points = torch.cartesian_prod(axis, axis)
    found = (-form(points) / temperature).logsumexp(0).item() + 2 * math.log(50 / 1000)
    assert form.log_z_at(temperature) == pytest.approx(found, abs=1e-6)
