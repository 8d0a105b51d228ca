"""Images decomposed and recombined, with experts whose latents are written by hand."""

import math

import pytest
import torch

from ergosum.decomposer import InnerDescent
from ergosum.decomposition import ImageDecomposer, RecompositionLoss, figures, recombination
from ergosum.decomposition.recombination import (
    Share,
    _elsewhere,
    combine,
    decompose,
    encode_best,
    energy_scale,
    masks_of,
    recombine,
    recompose,
)
from ergosum.nets import (
    CometEnergy,
    ExpertDecoder,
    GlobalExperts,
    PyramidEncoder,
    RecurrentEncoder,
    RefinedExperts,
    SlotEncoder,
)
from ergosum.nets.slots import PLACE
from ergosum.part import Part

WIDTH = 4
LATENT = 5 + PLACE


def descent(**settings):
    return Part(InnerDescent, **settings)


SLOTS = Part(
    ImageDecomposer, encoder=Part(SlotEncoder, width=WIDTH), energy=Part(ExpertDecoder, width=WIDTH),
    components=("ground", "one", "two"), latent=LATENT, descent=descent(steps=1), side=16,
)  # fmt: skip
COMET = Part(
    ImageDecomposer, encoder=Part(RecurrentEncoder, width=WIDTH), energy=Part(CometEnergy, width=WIDTH, position=True),
    components=("one", "two"), latent=5, descent=descent(steps=4, step_size=50.0), side=16,
)  # fmt: skip
REFINED = SLOTS.but(
    energy=Part(RefinedExperts, experts=Part(ExpertDecoder, width=WIDTH), width=WIDTH), descent=descent(steps=3)
)
GLOBAL = SLOTS.but(encoder=Part(PyramidEncoder, width=WIDTH), energy=Part(GlobalExperts, width=WIDTH), latent=4)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["experts", "refined", "comet"])
def model(request):
    torch.manual_seed(0)
    if request.param == "experts":
        return SLOTS.build()
    if request.param == "refined":
        return REFINED.build()
    return COMET.build()


@pytest.fixture
def images():
    return torch.rand(3, 3, 16, 16, generator=seeded())


def test_parts_have_their_shapes_and_masks_share_every_pixel(model, images):
    parts = decompose(model, images, seeded())
    k = len(model.components)
    assert parts.latents.shape == (3, k, model.latent) and parts.alone.shape == (3, k, 3, 16, 16)
    assert parts.whole.shape == images.shape and parts.whole.min() >= 0 and parts.whole.max() <= 1
    torch.testing.assert_close(parts.masks.sum(1), torch.ones(3, 16, 16))


def test_more_components_than_in_training_can_be_asked_for(model, images):
    assert decompose(model, images, seeded(), components=6).masks.shape == (3, 6, 16, 16)


def test_one_newton_step_from_any_noise_lands_on_the_experts_agreement(images):
    torch.manual_seed(0)
    model = SLOTS.build().eval()
    latents = model.encode(images)
    bound = [model.bind(latents, None, active=[k]).energy for k in range(3)]
    mean = sum(b.precision * b.mean for b in bound) / sum(b.precision for b in bound)
    for seed in (0, 1):
        torch.testing.assert_close(recompose(model, latents, seeded(seed)), mean.clamp(0, 1))
    one = recompose(model, latents, seeded(), [2])
    torch.testing.assert_close(one, bound[2].mean.clamp(0, 1))
    shares = torch.cat([b.precision for b in bound], 1)
    torch.testing.assert_close(masks_of(model, latents, images), shares / shares.sum(1, keepdim=True))


def test_refined_experts_descend_to_a_image_where_every_pull_ends(images):
    """Below the experts' own minimum, at a point that does not depend on the noise, where the gradient is nothing."""
    torch.manual_seed(0)
    model = REFINED.but(descent=descent(steps=30)).build().double().eval()
    torch.nn.init.normal_(model.energies[0].head.weight, std=0.1)
    with torch.no_grad():
        latents = torch.randn(3, 3, LATENT, generator=seeded(), dtype=torch.float64)
        energy = model.bind(latents, None)
        experts = [model.bind(latents, None, active=[k]).energy for k in range(3)]
        agreed = sum(e.precision * e.mean for e in experts) / sum(e.precision for e in experts)
        ends = [
            model(torch.rand(3, 3, 16, 16, generator=seeded(s), dtype=torch.float64), latents=latents).frames[-1]
            for s in (0, 1)
        ]
    torch.testing.assert_close(ends[0], ends[1], atol=1e-6, rtol=0)
    pull = [(energy.gradient(x) / energy.curvature()).abs().max() for x in (ends[0], agreed)]
    assert pull[0] < 1e-6 < 1e-3 < pull[1] and (energy(ends[0]) < energy(agreed)).all()


def test_experts_of_several_networks_agree_like_those_of_one(images):
    torch.manual_seed(0)
    model = GLOBAL.but(tied=False).build().eval()
    latents = model.encode(images)
    bound = [family.bind(latents[:, k], None) for k, family in enumerate(model.energies)]
    mean = sum(b.precision * b.mean for b in bound) / sum(b.precision for b in bound)
    torch.testing.assert_close(recompose(model, latents, seeded()), mean.clamp(0, 1))
    torch.testing.assert_close(recompose(model, latents, seeded(), [1]), bound[1].mean.clamp(0, 1))
    x = torch.rand(3, 3, 16, 16, generator=seeded())
    torch.testing.assert_close(model.bind(latents, None)(x), sum(b(x) for b in bound))
    assert not torch.equal(bound[0].mean, model.energies[1].bind(latents[:, 0], None).mean)


def test_means_begin_at_the_grey_that_is_asked_for():
    z = torch.zeros(1, 3, 4)
    for grey in (0.0, 0.5):
        torch.manual_seed(0)
        model = GLOBAL.but(energy={"grey": grey}).build().eval()
        assert (model.bind(z, None).energy.mean - grey).abs().mean() < 0.2


def test_masks_of_a_network_are_shares_of_its_gradients(images):
    torch.manual_seed(0)
    model = COMET.but(descent=descent(steps=2, step_size=50.0)).build().eval()
    latents = model.encode(images)
    felt = torch.stack([model.bind(latents, None, active=[k]).gradient(images).abs().sum(1) for k in range(2)], 1)
    torch.testing.assert_close(masks_of(model, latents, images), felt / felt.sum(1, keepdim=True))


def test_an_object_s_content_does_not_say_where_it_is():
    """A place that moves by a whole cell of the decoder moves mean and precision with it, away from the border."""
    torch.manual_seed(0)
    model = SLOTS.but(side=64).build().eval()
    z = torch.randn(1, 1, 5 + PLACE, generator=seeded())
    cell = 2 / 15  # the decoder's grid has 16 points from -1 to 1
    z[..., -3], z[..., -2], z[..., -1] = 0.0, 0.0, 1.0
    there = z.clone()
    there[..., -3] += 2 * cell
    here, moved = (model.bind(v, None, active=[0]).energy.precision[0, 0] for v in (z, there))
    torch.testing.assert_close(here[16:48, 16:40], moved[16:48, 24:48], rtol=1e-4, atol=1e-4)


def test_components_of_two_images_are_one_set(model, images):
    one, two = (model.eval().encode(p) for p in (images, 1 - images))
    both = combine(one, two, globals=1)
    assert both.shape == (3, 2 * one.shape[1] - 1, one.shape[2])
    assert torch.equal(both[:, : one.shape[1]], one) and torch.equal(both[:, one.shape[1] :], two[:, 1:])
    assert recompose(model, both, seeded()).shape == images.shape
    with pytest.raises(ValueError, match="one batch and width"):
        combine(one, two[:1])


def test_the_same_seed_gives_the_same_bits(model, images):
    a, b = (decompose(model, images, seeded()) for _ in range(2))
    assert a.shadows is b.shadows is None
    assert all(torch.equal(x, y) for x, y in zip(a[:-1], b[:-1], strict=True))


@pytest.mark.parametrize("unlike, advice", [
    (torch.rand(1, 3, 20, 20), "resize them"),
    (torch.rand(3, 16, 16), "add the batch"),
    (torch.rand(1, 16, 16, 3), "put the channels second"),
    (255 * torch.rand(1, 3, 16, 16), "x / 255"),
    (torch.zeros(1, 3, 16, 16, dtype=torch.complex64), "numbers of type complex64"),
])  # fmt: skip
def test_images_unlike_the_models_are_refused_with_what_to_do(unlike, advice, model):
    for reads in (decompose, encode_best):
        with pytest.raises(ValueError, match=f"expected .batch, 3, .*{advice}"):
            reads(model, unlike, seeded())


def test_bytes_and_arrays_are_images_too_and_a_generator_is_optional(model, images):
    stored = (255 * images).round().byte()
    torch.testing.assert_close(encode_best(model, stored.numpy()), encode_best(model, stored / 255))


def test_of_several_attempts_the_best_recomposed_image_by_image_is_kept(images):
    torch.manual_seed(0)
    model = SLOTS.build().eval()
    found = [encode_best(model, images, seeded(), attempts=n) for n in range(1, 8)]
    errors = torch.stack([(recompose(model, z, seeded()) - images).square().flatten(1).mean(1) for z in found])
    assert (errors.diff(dim=0) <= 0).all() and (errors[-1] < errors[0]).any()
    assert torch.equal(encode_best(model, images, seeded(), attempts=1), model.encode(images))
    alone = torch.cat([encode_best(model, image[None], seeded()) for image in images])
    torch.testing.assert_close(encode_best(model, images, seeded()), alone)  # whatever else is in the batch


def test_what_was_missed_is_looked_at_by_the_component_that_holds_least():
    latents = torch.zeros(1, 3, 5 + PLACE)
    latents[0, :, -PLACE:] = torch.tensor([[0.0, 0, 0], [0.5, -0.5, 1], [-0.25, 0.75, 1]])
    masks = torch.zeros(1, 2, 32, 32)
    masks[0, 0, :8, :8], masks[0, 1, 20:24, 20:24] = 1, 1  # the second with a place holds least
    missed = torch.zeros(1, 32, 32)
    missed[0, 4:7, 25:28], missed[0, 24:27, 3:6] = 1.0, 0.5
    pixel = 2 / 31
    upper, lower = torch.tensor([26 * pixel - 1, 5 * pixel - 1]), torch.tensor([4 * pixel - 1, 25 * pixel - 1])
    for failures, moved, goal in ((0, 2, upper), (1, 2, lower), (2, 1, upper), (3, 1, lower), (4, 2, upper)):
        places = _elsewhere(latents, missed, masks, torch.tensor([failures]))
        stays = 3 - moved
        assert torch.equal(places[0, stays], latents[0, stays, -PLACE:-1]), "the others look where they were"
        assert (places[0, moved] - goal).abs().max() <= 4.5 * pixel, f"after {failures} failures"


def test_the_path_tells_whose_each_pixel_is(images):
    torch.manual_seed(0)
    model = SLOTS.build().train()
    path = model(torch.rand(images.shape, generator=seeded()), images=images, generator=seeded())
    torch.testing.assert_close(path.masks, masks_of(model, path.latents, images))


def test_the_weight_of_the_foreground_area_is_that_of_components_with_a_place(images):
    torch.manual_seed(0)
    model = SLOTS.build().train()
    path = model(torch.rand(images.shape, generator=seeded()), images=images, generator=seeded())
    free, weighted = (RecompositionLoss(foreground_area=a)(images, path).loss for a in (0.0, 0.5))
    torch.testing.assert_close(weighted - free, 0.5 * path.masks[:, 1:].sum(1).mean())


def test_the_mask_entropy_weight_is_that_of_the_masks_entropy(images):
    torch.manual_seed(0)
    model = SLOTS.build().train()
    path = model(torch.rand(images.shape, generator=seeded()), images=images, generator=seeded())
    even, sure = torch.full_like(path.masks, 1 / 3), torch.zeros_like(path.masks)
    sure[:, 0] = 1
    told = [RecompositionLoss(mask_entropy=0.5)(images, path._replace(masks=m)).loss for m in (even, sure)]
    free = RecompositionLoss()(images, path).loss
    torch.testing.assert_close(torch.stack(told) - free, torch.tensor([0.5 * math.log(3), 0.0]))


@pytest.mark.parametrize("progress, share", [(0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (1.0, 1.0)])
def test_weights_of_masks_grow_to_all_of_them_in_the_warm_up(progress, share, images):
    torch.manual_seed(0)
    model = SLOTS.build().train()
    path = model(torch.rand(images.shape, generator=seeded()), images=images, generator=seeded())
    weights = {"foreground_area": 0.5, "mask_entropy": 0.3}
    full = RecompositionLoss(**weights)(images, path).loss
    free = RecompositionLoss()(images, path).loss
    grown = RecompositionLoss(**weights, warm_up=0.4)(images, path, progress=progress).loss
    torch.testing.assert_close(grown - free, share * (full - free))


@pytest.fixture
def twins(images):
    """A model, and the same with ten times its energy."""
    made = []
    for louder in (0.0, math.log(10)):
        torch.manual_seed(0)
        model = SLOTS.build().eval()
        model.energies[0].convs[-2].bias.data[12:] += louder  # the logarithm of the precision
        made.append(model)
    return made


def test_one_model_with_itself_is_its_own_recombination(model, images):
    one, two = (model.eval().encode(p) for p in (images, 1 - images))
    objects = range(1, one.shape[1])
    made, masks = recombine([Share(model, one), Share(model, two, objects)], seeded())
    both = combine(one, two, globals=1)
    torch.testing.assert_close(made, recompose(model, both, seeded()), rtol=1e-4, atol=1e-5)
    assert masks.shape == (3, both.shape[1], 16, 16)
    torch.testing.assert_close(masks, masks_of(model, both, made), rtol=1e-3, atol=1e-4)


def test_calibrated_models_weigh_the_same_whatever_their_energy_scale(twins, images):
    quiet, loud = twins
    weights = [energy_scale(m, images, seeded()) for m in twins]
    assert weights[0] / weights[1] == pytest.approx(10, rel=1e-4)
    one, two = (5 * torch.randn(3, 3, 5 + PLACE, generator=seeded(s)) for s in (1, 2))
    equal = recombine([Share(quiet, one), Share(quiet, two)], seeded())[0]
    raw = recombine([Share(quiet, one), Share(loud, two)], seeded())[0]
    made = recombine([Share(quiet, one, weight=weights[0]), Share(loud, two, weight=weights[1])], seeded())[0]
    torch.testing.assert_close(made, equal, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(raw, equal, atol=1e-2)


def test_a_weight_counts_in_the_shares_of_pixels(twins, images):
    quiet, loud = twins
    one, two = (torch.randn(3, 3, 5 + PLACE, generator=seeded(s)) for s in (1, 2))
    shares = [Share(quiet, one, [0], weight=3.0), Share(loud, two, [1, 2], weight=0.5)]
    made, masks = recombine(shares, seeded())
    bound = [(s.weight, s.model.bind(s.latents, None, active=[k]).energy) for s in shares for k in s.active]
    each = torch.stack([weight * b.precision[:, 0] for weight, b in bound], 1).detach()
    torch.testing.assert_close(masks, each / each.sum(1, keepdim=True))
    drawn = torch.stack([b.mean for _, b in bound], 1).detach()
    torch.testing.assert_close(made, (masks[:, :, None] * drawn).sum(1).clamp(0, 1))


def test_networks_descend_by_their_own_steps_times_weights(images):
    torch.manual_seed(0)
    small, large = (COMET.but(descent=descent(steps=1, step_size=h)).build().eval() for h in (50.0, 200.0))
    z = torch.randn(3, 2, 5, generator=seeded(1))
    noise = torch.rand(images.shape, generator=seeded())
    pulls = [m.bind(z, None).gradient(noise) for m in (small, large)]
    made, masks = recombine([Share(small, z), Share(large, z, weight=2.0)], seeded())
    torch.testing.assert_close(made, (noise - 50 * pulls[0] - 2 * 200 * pulls[1]).clamp(0, 1).detach())
    x = noise - 50 * pulls[0] - 2 * 200 * pulls[1]
    felt = [
        u * m.bind(z, None, active=[k]).gradient(x).abs().sum(1) for u, m in ((50, small), (400, large)) for k in (0, 1)
    ]
    each = torch.stack(felt, 1).detach()
    torch.testing.assert_close(masks, each / each.sum(1, keepdim=True), rtol=1e-3, atol=1e-5)


def test_models_of_other_canvases_or_energies_are_not_added(model, images):
    torch.manual_seed(0)
    other = SLOTS.but(side=20).build().eval()
    z = model.eval().encode(images)
    with pytest.raises(ValueError, match="expected one canvas, and experts with experts"):
        recombine([Share(model, z), Share(other, z)], seeded())


@pytest.mark.parametrize("count", [0, -1])
def test_no_components_are_refused(model, images, count):
    with pytest.raises(ValueError, match="components: expected at least 1"):
        decompose(model, images, seeded(), components=count)


def test_components_without_places_alone_are_read_once(images):
    torch.manual_seed(0)
    model = SLOTS.but(encoder={"globals": 9}).build().eval()
    assert torch.equal(encode_best(model, images, seeded()), model.encode(images))


def test_readings_that_fail_in_a_row_are_counted(monkeypatch, images):
    """Errors of five readings of two images: better, worse, worse, better; and never better."""
    torch.manual_seed(0)
    model = SLOTS.build().eval()
    errors, counted = iter([(5, 5), (4, 6), (4, 7), (9, 8), (3, 9)]), []

    def missed(model, latents, images, generator):
        error = torch.tensor(next(errors), dtype=torch.float32)
        return error[:, None, None].expand(2, 16, 16), torch.full((2, 3, 16, 16), 1 / 3)

    def elsewhere(latents, missed, masks, failures):
        counted.append(failures.tolist())
        return _elsewhere(latents, missed, masks, failures)

    monkeypatch.setattr(recombination, "_missed", missed)
    monkeypatch.setattr(recombination, "_elsewhere", elsewhere)
    encode_best(model, images[:2], seeded(), attempts=5)
    assert counted == [[0, 0], [0, 1], [1, 2], [2, 3]]


def shown(monkeypatch, make, *arguments):
    """Rows of a sheet by their names."""
    monkeypatch.setattr(figures, "sheet", lambda rows, **options: dict(rows))
    return make(*arguments, seeded())


def test_gradients_are_drawn_on_one_scale_per_image(monkeypatch, images):
    torch.manual_seed(0)
    model = COMET.but(descent=descent(steps=2, step_size=50.0)).build().eval()
    rows = shown(monkeypatch, figures.maps_sheet, model, images)
    felt = [model.bind(model.encode(images), None, active=[k]).gradient(images).abs().sum(1) for k in (0, 1)]
    pulls = torch.stack([rows[f"gradient of {name}"][:, 0] for name in model.components], 1)
    expected = torch.stack(felt, 1).detach()
    torch.testing.assert_close(pulls, expected / expected.amax((1, 2, 3), keepdim=True))


def test_a_union_is_calibrated_and_shown_beside_one_that_is_not(monkeypatch, twins, images):
    """The loud twin wins where it is not weighed down."""
    quiet, loud = twins
    both = (images, images.flip(0))
    rows = shown(monkeypatch, figures.union_sheet, quiet, loud, both)
    equal = shown(monkeypatch, figures.union_sheet, quiet, quiet, both)
    torch.testing.assert_close(rows["all of A, objects of B"], equal["all of A, objects of B"], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(rows["uncalibrated"], equal["uncalibrated"], atol=1e-4)
