"""The tangent library and the groups that it spans: closed forms."""

from dataclasses import replace

import pytest
import torch

from ergosum.part import Part
from ergosum.temporal.discovery import Library, centre_of_canvas, centre_of_mass
from ergosum.temporal.discovery.dictionary import lift
from ergosum.temporal.discovery.group import transform
from ergosum.temporal.discovery.library import monomials, powers
from ergosum.temporal.reading import blurred


def smooth(n: int = 3, side: int = 28, seed: int = 0) -> torch.Tensor:
    """Images without an edge, dark at the border."""
    noise = torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(seed))
    window = torch.hann_window(side, periodic=False)
    return blurred(noise, 3.0) * window * window[:, None]


def at(library: Library, axis: int, power: tuple[int, int]) -> int:
    """Number of a generator of places."""
    return axis * len(library.places) + library.places.index(power)


def test_monomials_are_products_of_powers():
    values = torch.rand(3, 5, dtype=torch.float64)
    for power, made in zip(powers(3, 3), monomials(values, powers(3, 3)), strict=True):
        torch.testing.assert_close(made, (values ** torch.tensor(power)[:, None]).prod(0))
    assert len(powers(3, 3)) == 20 and len(powers(2, 1)) == 3
    assert Library().size == 6 + 57 and Library(colour_degree=1).size == 6 + 9 and Library(colour_degree=0).size == 6


@pytest.mark.parametrize("number", range(6 + 9))
def test_a_generator_is_the_change_that_its_group_begins_with(number: int):
    library = Library(colour_degree=1, blur=0.0)
    images, small = smooth(), 1e-3
    theta = torch.zeros(library.size, 1)
    theta[number] = 1
    ahead, behind = (transform(images, torch.full((3, 1), s * small), theta, library) for s in (1, -1))
    slope = ((ahead - behind) / (2 * small)).view(3, 3, 28, 28)[..., 2:-2, 2:-2]  # at the border one has no neighbour
    told = library.generators(images)[:, number].view(3, 3, 28, 28)[..., 2:-2, 2:-2]
    assert (slope - told).norm() < 1e-3 * told.norm()


def test_the_affine_group_is_the_matrix_exponential():
    library = Library(colour_degree=0)
    quarter = torch.zeros(library.size, 1)
    quarter[at(library, 0, (0, 1))], quarter[at(library, 1, (1, 0))] = torch.pi / 2, -torch.pi / 2
    images = smooth()
    turned = transform(images, torch.ones(3, 1), quarter, library)
    # two Runge-Kutta steps of a quarter turn are exact to (pi/4)^5 / 120 of a radius, a fortieth of a pixel
    expected = images.rot90(1, (2, 3))
    other = images.rot90(-1, (2, 3))
    error = min((turned - e).abs().max().item() for e in (expected, other))
    assert error < 0.02


def test_a_linear_field_of_colours_is_the_matrix_exponential():
    library = Library(place_degree=0, colour_degree=1)
    theta = torch.zeros(library.size, 1)
    mixing = 0.3 * torch.randn(3, 3, generator=torch.Generator().manual_seed(1))
    for channel in range(3):
        for c, power in enumerate(library.colours):
            theta[2 * len(library.places) + 3 * channel + c] = mixing[channel, power.index(1)]
    images = smooth()
    made = transform(images, torch.ones(3, 1), theta, library)
    expected = torch.einsum("ij,bjhw->bihw", torch.linalg.matrix_exp(mixing), images)
    # two midpoint steps leave the third-order term, |0.3 M|^3 / 24 or so
    torch.testing.assert_close(made, expected, atol=5e-3, rtol=0)


def test_there_and_back_is_where_one_was_and_no_move_is_no_change():
    library = Library(colour_degree=1)
    theta = 0.1 * torch.randn(library.size, 2, generator=torch.Generator().manual_seed(0))
    images, moves = smooth(), torch.tensor([[1.0, 0.0], [0.0, -1.0], [0.5, 0.5]])
    torch.testing.assert_close(transform(images, 0 * moves, theta, library), images, atol=1e-5, rtol=0)
    there = transform(images, moves, theta, library)
    back = transform(there, -moves, theta, library)
    assert (there - images).norm() > 5 * (back - images).norm()


def test_colours_out_of_range_and_long_moves_stay_bounded():
    """A cubic field that goes on by itself is infinite after a few steps; here it keeps to its speeds in range."""
    library = Library(place_degree=3)
    theta = torch.randn(library.size, 1, generator=torch.Generator().manual_seed(0))
    images = (3 * smooth()).requires_grad_()
    made = transform(images, torch.full((3, 1), 20.0), theta, library)
    made.sum().backward()
    bound = 3 + 20 * theta[2 * len(library.places) :].abs().sum()
    assert made.abs().max() <= bound and images.grad.isfinite().all()


def test_lifted_generators_do_the_same():
    poor, rich = Library(colour_degree=1), Library(place_degree=2, colour_degree=3)
    theta = 0.1 * torch.randn(poor.size, 2, generator=torch.Generator().manual_seed(0))
    images, moves = smooth(), torch.randn(3, 2, generator=torch.Generator().manual_seed(1))
    lifted = lift(theta, poor, rich)
    torch.testing.assert_close(transform(images, moves, theta, poor), transform(images, moves, lifted, rich))
    with pytest.raises(ValueError, match="holds the other"):
        lift(lifted, rich, poor)


def test_coordinates_may_begin_at_the_centre_of_mass():
    images = torch.zeros(2, 3, 28, 28)
    images[0, :, 4:8, 10:14], images[1, :, 20:24, 20:24] = 1, 1
    places = centre_of_mass(images)
    expected = torch.tensor([[11.5, 5.5], [21.5, 21.5]]) * 2 / 27 - 1
    torch.testing.assert_close(places, expected, atol=2e-2, rtol=0)
    # growing about its own middle leaves a square where it is
    library = Library(colour_degree=0, origin=Part(centre_of_mass))
    growth = torch.zeros(library.size, 1)
    growth[at(library, 0, (1, 0))] = growth[at(library, 1, (0, 1))] = -0.2
    grown = transform(images, torch.ones(2, 1), growth, library)
    torch.testing.assert_close(centre_of_mass(grown), places, atol=1e-2, rtol=0)
    assert (grown.sum((1, 2, 3)) > 1.3 * images.sum((1, 2, 3))).all()
    about_canvas = transform(images, torch.ones(2, 1), growth, replace(library, origin=Part(centre_of_canvas)))
    assert (centre_of_mass(about_canvas) - places).norm() > 0.1


def test_settings_out_of_range_are_refused():
    with pytest.raises(ValueError, match="colour_degree: expected 0"):
        Library(colour_degree=4)
    with pytest.raises(ValueError, match="blur: expected 0"):
        Library(blur=-1.0)
