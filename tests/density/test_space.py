"""Spaces of densities: pixels and codes, which stages they learn in, and what a model makes of images."""

import pytest
import torch

from ergosum.density import Codes, Density, Pixels
from ergosum.nets.autoencoder import Autoencoder, Posterior
from ergosum.part import Part
from ergosum.training.runfolder import save_weights


def images(n=6, channels=1, side=12):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(0))


def codes(share=0.5):
    torch.manual_seed(0)
    return Codes(Part(Autoencoder, latent=3, width=4), share=share, channels=1, side=12)


def test_pixels_go_there_and_back():
    x = Pixels(1, 12).encode(images())
    assert x.min() >= -1 and x.max() <= 1
    torch.testing.assert_close(Pixels(1, 12).decode(x), images())
    noisy = Pixels(1, 12).encode(images(), torch.Generator().manual_seed(0))
    # uniform within one of 256 steps of the range 2
    assert 0 < (noisy - x).abs().max() <= 1 / 256 + 1e-6
    assert (noisy - x).std().item() == pytest.approx(2 / 256 / 12**0.5, rel=0.1)


def test_settled_codes_have_mean_zero_and_deviation_one():
    space = codes()
    assert not space.settled
    space.settle(images(40))
    points = space.encode(images(40))
    assert space.settled and points.shape == (40, 3)
    torch.testing.assert_close(points.mean(0), torch.zeros(3), atol=1e-5, rtol=0)
    torch.testing.assert_close(points.std(0), torch.ones(3), atol=1e-4, rtol=0)
    assert not any(p.requires_grad for p in space.codec.parameters())
    direct = space.codec.decode(space.codec.encode(images(40))).clamp(0, 1)
    torch.testing.assert_close(space.decode(points), direct, atol=1e-5, rtol=1e-4)


def test_codes_that_learn_on_are_settled_anew():
    space = codes()
    space.settle(images(40))
    space.loss(images(), torch.Generator().manual_seed(0))
    assert not space.settled


def test_codes_are_learned_in_their_share_of_training():
    space = codes(0.4)
    assert space.stages == (0.4,) and space.learns(0.39) and not space.learns(0.4)
    assert codes(0.0).stages == () and not codes(0.0).learns(0.0)
    terms = space.loss(images(), torch.Generator().manual_seed(0))
    assert terms.loss > terms.error > 0 and terms.reference > 0
    with pytest.raises(ValueError, match="share: expected 0 <= share < 1"):
        codes(1.0)


def test_a_codec_may_come_from_another_run(tmp_path):
    one, other = (Density((), 1, 12, Part(Codes, codec=Part(Autoencoder, latent=3, width=4))) for _ in range(2))
    save_weights(tmp_path / "model.safetensors", one.state_dict())
    (tmp_path / "recipe.json").write_text("{}")
    other.space.weights = str(tmp_path)
    other.space.begin()
    assert all(torch.equal(a, b) for a, b in zip(*(m.space.codec.parameters() for m in (one, other)), strict=True))
    wider = Codes(Part(Autoencoder, latent=3, width=8), weights=str(tmp_path), channels=1, side=12)
    with pytest.raises(ValueError, match="is another one"):
        wider.begin()


def test_an_autoencoder_learns_to_give_back_what_it_saw():
    torch.manual_seed(0)
    net, generator = Autoencoder(latent=4, width=4, channels=1, side=12), torch.Generator().manual_seed(0)
    few = images(3)
    optimiser = torch.optim.Adam(net.parameters(), 3e-3)
    first = net.loss(few, generator)[1]
    for _ in range(150):
        optimiser.zero_grad()
        net.loss(few, generator)[0].backward()
        optimiser.step()
    assert net.loss(few, generator)[1] < 0.3 * first
    at = net.posterior(few)
    assert isinstance(at, Posterior) and torch.equal(net.encode(few), at.mean)
    drawn = net.encode(few.repeat(300, 1, 1, 1), torch.Generator().manual_seed(1)).view(300, 3, 4)
    # the deviation of 300 draws is known within 4 / sqrt(600) = 16 %
    torch.testing.assert_close(drawn.std(0), at.deviation, rtol=0.2, atol=0)


def test_a_density_names_its_energies_and_refuses_other_images():
    torch.manual_seed(0)
    model = Density(("cat", "dog"), 1, 12, Part(Codes, codec=Part(Autoencoder, latent=3, width=4)))
    energies = model.energies()
    assert list(energies) == ["cat", "dog", "prior"]
    x = model.encode(images())
    assert energies["cat"].at_noise(1.0)(x).shape == (6,)
    with pytest.raises(ValueError, match=r"expected images of shape \(1, 12, 12\), got \(3, 12, 12\)"):
        model.encode(images(channels=3))


def test_a_density_without_classes_has_a_prior_alone():
    assert list(Density((), 1, 12, Part(Codes, codec=Part(Autoencoder, width=4))).energies()) == ["prior"]
