"""What every published model obeys, on images of 16 pixels."""

import copy

import pytest
import torch
from torch.nn import functional as F

from ergosum.data.shapes import Shapes
from ergosum.decomposition.baselines import (
    Additive,
    BetaVae,
    FactorVae,
    ImageBaseline,
    InfoGan,
    Monet,
    SlotAttention,
)
from ergosum.decomposition.baselines.baseline import frozen
from ergosum.training.task import Losses

SIDE = 16
MODELS = {
    "vae": lambda: BetaVae(5, 8, side=SIDE),
    "vae, bernoulli": lambda: BetaVae(5, 8, likelihood="bernoulli", side=SIDE),
    "factor_vae": lambda: FactorVae(5, 8, side=SIDE),
    "info_gan": lambda: InfoGan(5, 8, information=10.0, side=SIDE),
    "monet": lambda: Monet(3, 4, 8, beta=1.0, gamma=10.0, side=SIDE),
    "slot_attention": lambda: SlotAttention(3, 4, 8, SIDE),
    "additive": lambda: Additive(3, 4, 16, SIDE),
}
every_model = pytest.mark.parametrize("name", MODELS)
segmenting = pytest.mark.parametrize("name", ["monet", "slot_attention"])


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def made(name, seed=0):
    torch.manual_seed(seed)
    model = MODELS[name]()
    assert isinstance(model, ImageBaseline)
    return model


@pytest.fixture(scope="module")
def images():
    return Shapes(side=SIDE).draw(8, seeded(1)).images


@every_model
def test_latents_images_and_errors_have_their_shapes_and_ranges(name, images):
    model = made(name)
    latents = model.encode(images)
    assert latents.shape == (8, model.components, model.latent)
    again = model.recompose(3 * latents)
    assert again.shape == images.shape and 0 <= again.min() and again.max() <= 1
    terms = model(images, seeded())
    assert isinstance(terms, Losses) and terms.first is None and terms.last.shape == images.shape
    assert terms.loss.ndim == 0 and terms.loss.requires_grad
    assert terms.error == F.mse_loss(terms.last, images) and not terms.error.requires_grad
    assert terms.reference == pytest.approx(images.var(0, unbiased=False).mean().item())


@every_model
def test_every_weight_learns(name, images):
    model = made(name)
    model(images, seeded()).loss.backward()
    for weight, value in model.named_parameters():
        assert value.grad is not None and value.grad.abs().max() > 0, weight


@every_model
def test_the_loss_falls_on_a_few_images(name, images):
    """Of adversaries the loss is a contest; what must fall there is what the model itself pays for."""
    model = made(name)
    optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0)
    paid = []
    for n in range(100 if name == "info_gan" else 60):
        loss = _own(model, images, n) if name == "info_gan" else model(images, seeded(n)).loss
        paid.append(loss.item())
        optimiser.zero_grad()
        model(images, seeded(n)).loss.backward()
        optimiser.step()
    assert sum(paid[-10:]) < 0.8 * sum(paid[:10])


def _own(model, images, n):
    """How badly codes are read back, per code and above what a constant Gaussian pays."""
    codes = 2 * torch.rand(64, model.latent, generator=seeded(n)) - 1
    mean = model.encode(model._draw(codes, torch.zeros_like(codes)))[:, 0]
    return (codes - mean).square().mean()


@every_model
def test_the_same_generator_gives_the_same_bits_and_another_others(name, images):
    losses = [made(name)(images, seeded(s)).loss.item() for s in (0, 0, 1)]
    assert losses[0] == losses[1] and (losses[0] != losses[2]) == (name != "additive")


@every_model
def test_latents_are_repeatable_and_depend_on_their_own_image_alone(name, images):
    model = made(name).eval()
    latents = model.encode(images)
    assert torch.equal(latents, model.encode(images))
    torch.testing.assert_close(model.encode(images[3:4])[0], latents[3], rtol=1e-4, atol=1e-5)


@segmenting
def test_masks_share_every_pixel(name, images):
    masks = made(name).masks(images)
    assert masks.shape == (8, 3, SIDE, SIDE) and masks.min() >= 0
    torch.testing.assert_close(masks.sum(1), torch.ones(8, SIDE, SIDE))


def test_slots_that_start_alike_at_random_differ_from_those_of_another_start(images):
    model = made("slot_attention")
    assert not torch.equal(model.encode(images, seeded(0)), model.encode(images, seeded(1)))


def test_an_additive_image_is_the_sum_of_its_parts(images):
    model = made("additive")
    latents = model.encode(images)
    empty = latents[:1].expand(8, -1, -1)
    parts = [torch.where(torch.arange(3)[:, None] == k, latents, empty) for k in range(3)]
    total = sum(model._sum(part) for part in parts) - 2 * model._sum(empty)
    torch.testing.assert_close(total, model._sum(latents))


def test_frozen_weights_get_no_gradient_and_arguments_do():
    layer, x = torch.nn.Linear(3, 2), torch.ones(1, 3, requires_grad=True)
    frozen(layer)(x).sum().backward()
    assert layer.weight.grad is None and torch.equal(x.grad[0], layer.weight.sum(0))


@pytest.mark.parametrize("name", ["factor_vae", "info_gan"])
def test_a_discriminator_s_own_term_reaches_the_discriminator_alone(name, images):
    """Without its own term, the model's gradient is the same to the bit; with it, the discriminator has one."""
    model = made(name)
    whole = _gradients(model, images)
    with_none = _gradients(_without_discrimination(model), images)
    theirs = "critic."
    for key in whole:
        if not key.startswith(theirs):
            assert torch.equal(whole[key], with_none[key]), key
    moved = [k for k in whole if k.startswith(theirs) and not torch.equal(whole[k], with_none[k])]
    assert moved


def _gradients(model, images):
    model.zero_grad()
    model.objective(images, seeded())[0].backward()
    return {k: torch.zeros_like(v) if v.grad is None else v.grad.clone() for k, v in model.named_parameters()}


def _without_discrimination(model):
    """A copy whose discriminator gives zeros wherever it looks at what asks for no gradient."""
    model = copy.deepcopy(model)
    true = model.critic.forward

    def silent(x):
        return true(x) if x.requires_grad else 0 * true(x).detach()

    model.critic.forward = silent
    return model


@pytest.mark.parametrize("name", ["factor_vae", "info_gan"])
def test_the_model_s_term_leaves_the_discriminator_alone(name, images):
    """A factor on how much the model minds what it is told does not change what tells it."""
    model = made(name)
    one = _gradients(model, images)
    model.gamma = 1e3
    other = _gradients(model, images)
    assert all(torch.equal(one[k], other[k]) for k in one if k.startswith("critic."))
    assert (name == "info_gan") == all(torch.equal(one[k], other[k]) for k in one)


def test_what_leaves_the_finite_numbers_is_named(images):
    model = made("vae")
    assert model.locate(images) == "the loss alone"
    model.decoder.convs[-1].bias.data.fill_(torch.nan)
    assert model.locate(images) == "the recomposed images"
    model.encoder.head[-1].bias.data.fill_(torch.nan)
    assert model.locate(images) == "the encoder's latents"
