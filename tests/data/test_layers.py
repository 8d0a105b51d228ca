"""Images made of layers: against alpha composition written out, and found again from their pixels."""

import itertools

import pytest
import torch

from ergosum.data.layers import Layers


def random_layers(*counts, side=8, seed=0, pairs=()):
    """Layers with random colours and covers; the first option of each shows nothing."""
    generator = torch.Generator().manual_seed(seed)
    options = []
    for count in counts:
        cover = (torch.rand(count, 1, side, side, generator=generator) * 1.5).clamp(max=1)
        cover[torch.rand(cover.shape, generator=generator) < 0.4] = 0
        cover[0] = 0
        paint = torch.rand(count, 3, side, side, generator=generator) * cover
        options.append((torch.cat([paint, cover], 1) * 255).round().byte())
    return Layers(options, pairs=pairs)


def written_out(layers, choice, ground):
    images = []
    for row, under in zip(choice.tolist(), ground, strict=True):
        image = under[:, None, None].expand(3, layers.side, layers.side)
        for options, k in zip(layers.options, row, strict=True):
            paint, cover = options[k, :3] / 255, options[k, 3:] / 255
            image = paint + (1 - cover) * image
        images.append(image)
    return torch.stack(images)


def all_choices(*counts):
    return torch.tensor(list(itertools.product(*map(range, counts))))


def test_an_image_is_its_layers_laid_one_on_the_other():
    layers, choice = random_layers(2, 3, 2), all_choices(2, 3, 2)
    ground = torch.rand(len(choice), 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(layers.compose(choice, ground), written_out(layers, choice, ground), atol=1e-6, rtol=0)


def test_layers_and_ground_are_found_again_and_errors_are_those_of_the_images():
    counts = (2, 3, 3)
    layers, choice = random_layers(*counts), all_choices(*counts)
    ground = 0.2 + 0.6 * torch.rand(len(choice), 3, generator=torch.Generator().manual_seed(1))
    images = layers.compose(choice, ground)
    fitted = layers.fit(images)
    assert torch.equal(fitted.choice, choice) and fitted.residual.abs().max() < 1e-5
    torch.testing.assert_close(fitted.ground, ground, atol=1e-4, rtol=0)
    for k, count in enumerate(counts):
        others = []
        for option in range(count):
            changed = choice.clone()
            changed[:, k] = option
            others.append((images - layers.compose(changed, ground)).square().sum((1, 2, 3)))
        truth, told = torch.stack(others, 1), fitted.errors[k]
        told = told - told.amin(1, keepdim=True)
        torch.testing.assert_close(told, truth - truth.amin(1, keepdim=True), atol=1e-3, rtol=1e-3)


def test_two_layers_that_stand_in_for_each_other_are_found_together():
    """On grey 0.5 one layer makes two pixels 0 and 0.2, and one above it adds half of white: 0.5 and 0.6 with both.

    With neither 0.5 and 0.5 is left, a squared error of 0.01; with one alone it is 0.41 or 0.085.
    """
    options = torch.zeros(2, 2, 4, 4, 4)
    options[0, 1, :, 3, :2] = torch.tensor([[0.0, 0.2], [0.0, 0.2], [0.0, 0.2], [1.0, 1.0]])
    options[1, 1, :, 3, :2] = 0.5
    layers = [(o * 255).round().byte() for o in options]
    both = Layers(layers).compose(torch.tensor([[1, 1]]), torch.full((1, 3), 0.5))
    assert Layers(layers).fit(both).choice.tolist() == [[0, 0]]
    assert Layers(layers, pairs=[(0, 1)]).fit(both).choice.tolist() == [[1, 1]]


def test_layers_of_another_form_are_refused():
    with pytest.raises(ValueError, match="uint8 in each layer"):
        Layers([torch.zeros(2, 4, 8, 8)])
    with pytest.raises(ValueError, match="uint8 in each layer"):
        Layers([torch.zeros(2, 4, 8, 8, dtype=torch.uint8), torch.zeros(2, 4, 6, 6, dtype=torch.uint8)])
    small = random_layers(2, 2).reduced(2)
    assert small.side == 4 and small.blurred(0.5).side == 4
