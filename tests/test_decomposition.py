"""Pictures taken apart and put together, with experts whose latents are written by hand."""

import math
from dataclasses import replace

import pytest
import torch

from ergosum import decomposition
from ergosum.decomposer import Decomposer
from ergosum.decomposition import Share, _elsewhere, combine, loudness, masks_of, read, recompose, take_apart, together
from ergosum.nets.slots import PLACE
from ergosum.objectives.recomposition import recomposition
from ergosum.settings import DescentSettings, ModelSettings, ObjectiveSettings
from ergosum.stories import decomposition as stories

SLOTS = ModelSettings(
    energy="experts", encoder="slots", anchor="none", components=("ground", "one", "two"), tied=True, latent=5 + PLACE,
    width=4, moves=False,
)  # fmt: skip
COMET = ModelSettings(
    energy="comet", encoder="recurrent", anchor="none", components=("one", "two"), tied=True, latent=5, width=4,
    moves=False, position=True,
)  # fmt: skip


REFINED = replace(SLOTS, energy="refined")


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(params=["experts", "refined", "comet"])
def model(request):
    torch.manual_seed(0)
    if request.param == "experts":
        return Decomposer(SLOTS, DescentSettings(steps=1), 16)
    if request.param == "refined":
        return Decomposer(REFINED, DescentSettings(steps=3), 16)
    return Decomposer(COMET, DescentSettings(steps=4, step_size=50.0), 16)


@pytest.fixture
def pictures():
    return torch.rand(3, 3, 16, 16, generator=seeded())


def test_parts_have_their_shapes_and_masks_share_every_pixel(model, pictures):
    parts = take_apart(model, pictures, seeded())
    k = len(model.components)
    assert parts.latents.shape == (3, k, model.model.latent) and parts.alone.shape == (3, k, 3, 16, 16)
    assert parts.whole.shape == pictures.shape and parts.whole.min() >= 0 and parts.whole.max() <= 1
    torch.testing.assert_close(parts.masks.sum(1), torch.ones(3, 16, 16))


def test_more_components_than_in_training_can_be_asked_for(model, pictures):
    assert take_apart(model, pictures, seeded(), components=6).masks.shape == (3, 6, 16, 16)


def test_one_newton_step_from_any_noise_lands_on_the_experts_agreement(pictures):
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 16).eval()
    latents = model.encode(pictures)
    bound = [model.bind(latents, None, active=[k]).energy for k in range(3)]
    mean = sum(b.precision * b.mean for b in bound) / sum(b.precision for b in bound)
    for seed in (0, 1):
        torch.testing.assert_close(recompose(model, latents, seeded(seed)), mean.clamp(0, 1))
    one = recompose(model, latents, seeded(), [2])
    torch.testing.assert_close(one, bound[2].mean.clamp(0, 1))
    shares = torch.cat([b.precision for b in bound], 1)
    torch.testing.assert_close(masks_of(model, latents, pictures), shares / shares.sum(1, keepdim=True))


def test_refined_experts_descend_to_a_picture_where_every_pull_ends(pictures):
    """Below the experts' own minimum, at a point that does not depend on the noise, where the gradient is nothing."""
    torch.manual_seed(0)
    model = Decomposer(REFINED, DescentSettings(steps=30), 16).double().eval()
    torch.nn.init.normal_(model.energies[0].head.weight, std=0.1)
    with torch.no_grad():
        latents = torch.randn(3, 3, REFINED.latent, generator=seeded(), dtype=torch.float64)
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


def test_experts_of_several_networks_agree_like_those_of_one(pictures):
    torch.manual_seed(0)
    untied = replace(SLOTS, encoder="pyramid", tied=False, latent=4)
    model = Decomposer(untied, DescentSettings(steps=1), 16).eval()
    latents = model.encode(pictures)
    bound = [family.bind(latents[:, k], None) for k, family in enumerate(model.energies)]
    mean = sum(b.precision * b.mean for b in bound) / sum(b.precision for b in bound)
    torch.testing.assert_close(recompose(model, latents, seeded()), mean.clamp(0, 1))
    torch.testing.assert_close(recompose(model, latents, seeded(), [1]), bound[1].mean.clamp(0, 1))
    x = torch.rand(3, 3, 16, 16, generator=seeded())
    torch.testing.assert_close(model.bind(latents, None)(x), sum(b(x) for b in bound))
    assert not torch.equal(bound[0].mean, model.energies[1].bind(latents[:, 0], None).mean)


def test_means_begin_at_the_grey_that_is_asked_for():
    settings = replace(SLOTS, encoder="pyramid", latent=4)
    z = torch.zeros(1, 3, 4)
    for grey in (0.0, 0.5):
        torch.manual_seed(0)
        model = Decomposer(replace(settings, grey=grey), DescentSettings(steps=1), 16).eval()
        assert (model.bind(z, None).energy.mean - grey).abs().mean() < 0.2


def test_masks_of_a_network_are_shares_of_its_gradients(pictures):
    torch.manual_seed(0)
    model = Decomposer(COMET, DescentSettings(steps=2, step_size=50.0), 16).eval()
    latents = model.encode(pictures)
    felt = torch.stack([model.bind(latents, None, active=[k]).gradient(pictures).abs().sum(1) for k in range(2)], 1)
    torch.testing.assert_close(masks_of(model, latents, pictures), felt / felt.sum(1, keepdim=True))


def test_an_object_s_content_does_not_say_where_it_is():
    """A place that moves by a whole cell of the decoder moves mean and precision with it, away from the border."""
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 64).eval()
    z = torch.randn(1, 1, 5 + PLACE, generator=seeded())
    cell = 2 / 15  # the decoder's grid has 16 points from -1 to 1
    z[..., -3], z[..., -2], z[..., -1] = 0.0, 0.0, 1.0
    there = z.clone()
    there[..., -3] += 2 * cell
    here, moved = (model.bind(v, None, active=[0]).energy.precision[0, 0] for v in (z, there))
    torch.testing.assert_close(here[16:48, 16:40], moved[16:48, 24:48], rtol=1e-4, atol=1e-4)


def test_components_of_two_pictures_are_one_set(model, pictures):
    one, two = (model.eval().encode(p) for p in (pictures, 1 - pictures))
    both = combine(one, two, globals=1)
    assert both.shape == (3, 2 * one.shape[1] - 1, one.shape[2])
    assert torch.equal(both[:, : one.shape[1]], one) and torch.equal(both[:, one.shape[1] :], two[:, 1:])
    assert recompose(model, both, seeded()).shape == pictures.shape
    with pytest.raises(ValueError, match="one batch and width"):
        combine(one, two[:1])


def test_the_same_seed_gives_the_same_bits(model, pictures):
    a, b = (take_apart(model, pictures, seeded()) for _ in range(2))
    assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


def test_pictures_of_another_size_are_refused(model):
    with pytest.raises(ValueError, match="pictures of 16 x 16 pixels"):
        take_apart(model, torch.rand(1, 3, 20, 20), seeded())


def test_of_several_attempts_the_best_recomposed_picture_by_picture_is_kept(pictures):
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 16).eval()
    errors = torch.stack([
        (recompose(model, read(model, pictures, seeded(), attempts=n), seeded()) - pictures).square().flatten(1).mean(1)
        for n in range(1, 8)
    ])  # fmt: skip
    assert (errors.diff(dim=0) <= 0).all() and (errors[-1] < errors[0]).any()
    assert torch.equal(read(model, pictures, seeded(), attempts=1), model.encode(pictures))
    alone = torch.cat([read(model, picture[None], seeded()) for picture in pictures])
    torch.testing.assert_close(read(model, pictures, seeded()), alone)  # whatever else is in the batch


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


def test_the_path_tells_whose_each_pixel_is(pictures):
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 16).train()
    path = model(torch.rand(pictures.shape, generator=seeded()), seen=pictures, generator=seeded())
    torch.testing.assert_close(path.masks, masks_of(model, path.latents, pictures))


def test_the_price_of_area_is_that_of_components_with_a_place(pictures):
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 16).train()
    path = model(torch.rand(pictures.shape, generator=seeded()), seen=pictures, generator=seeded())
    free, priced = (recomposition(ObjectiveSettings(area=a), pictures, path).loss for a in (0.0, 0.5))
    torch.testing.assert_close(priced - free, 0.5 * path.masks[:, 1:].sum(1).mean())


def test_the_price_of_indecision_is_that_of_the_masks_entropy(pictures):
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 16).train()
    path = model(torch.rand(pictures.shape, generator=seeded()), seen=pictures, generator=seeded())
    even, sure = torch.full_like(path.masks, 1 / 3), torch.zeros_like(path.masks)
    sure[:, 0] = 1
    told = [
        recomposition(ObjectiveSettings(indecision=0.5), pictures, path._replace(masks=m)).loss for m in (even, sure)
    ]
    free = recomposition(ObjectiveSettings(), pictures, path).loss
    torch.testing.assert_close(torch.stack(told) - free, torch.tensor([0.5 * math.log(3), 0.0]))


@pytest.mark.parametrize("progress, share", [(0.0, 0.0), (0.1, 0.25), (0.4, 1.0), (1.0, 1.0)])
def test_prices_of_masks_grow_to_all_of_them(progress, share, pictures):
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 16).train()
    path = model(torch.rand(pictures.shape, generator=seeded()), seen=pictures, generator=seeded())
    prices = ObjectiveSettings(area=0.5, indecision=0.3)
    full = recomposition(prices, pictures, path).loss
    free = recomposition(ObjectiveSettings(), pictures, path).loss
    grown = recomposition(replace(prices, ramp=0.4), pictures, path, progress=progress).loss
    torch.testing.assert_close(grown - free, share * (full - free))


@pytest.fixture
def twins(pictures):
    """A model, and the same with ten times its energy."""
    made = []
    for louder in (0.0, math.log(10)):
        torch.manual_seed(0)
        model = Decomposer(SLOTS, DescentSettings(steps=1), 16).eval()
        model.energies[0].convs[-2].bias.data[12:] += louder  # the logarithm of the precision
        made.append(model)
    return made


def test_one_model_with_itself_is_its_own_recombination(model, pictures):
    one, two = (model.eval().encode(p) for p in (pictures, 1 - pictures))
    objects = range(1, one.shape[1])
    made, masks = together([Share(model, one), Share(model, two, objects)], seeded())
    both = combine(one, two, globals=1)
    torch.testing.assert_close(made, recompose(model, both, seeded()), rtol=1e-4, atol=1e-5)
    assert masks.shape == (3, both.shape[1], 16, 16)
    torch.testing.assert_close(masks, masks_of(model, both, made), rtol=1e-3, atol=1e-4)


def test_calibrated_models_weigh_the_same_however_loud_they_are(twins, pictures):
    quiet, loud = twins
    weights = [loudness(m, pictures, seeded()) for m in twins]
    assert weights[0] / weights[1] == pytest.approx(10, rel=1e-4)
    one, two = (5 * torch.randn(3, 3, 5 + PLACE, generator=seeded(s)) for s in (1, 2))
    equal = together([Share(quiet, one), Share(quiet, two)], seeded())[0]
    raw = together([Share(quiet, one), Share(loud, two)], seeded())[0]
    made = together([Share(quiet, one, weight=weights[0]), Share(loud, two, weight=weights[1])], seeded())[0]
    torch.testing.assert_close(made, equal, rtol=1e-3, atol=1e-4)
    assert not torch.allclose(raw, equal, atol=1e-2)


def test_a_weight_counts_in_the_shares_of_pixels(twins, pictures):
    quiet, loud = twins
    one, two = (torch.randn(3, 3, 5 + PLACE, generator=seeded(s)) for s in (1, 2))
    shares = [Share(quiet, one, [0], weight=3.0), Share(loud, two, [1, 2], weight=0.5)]
    made, masks = together(shares, seeded())
    bound = [(s.weight, s.model.bind(s.latents, None, active=[k]).energy) for s in shares for k in s.active]
    each = torch.stack([weight * b.precision[:, 0] for weight, b in bound], 1).detach()
    torch.testing.assert_close(masks, each / each.sum(1, keepdim=True))
    drawn = torch.stack([b.mean for _, b in bound], 1).detach()
    torch.testing.assert_close(made, (masks[:, :, None] * drawn).sum(1).clamp(0, 1))


def test_networks_descend_by_their_own_steps_times_weights(pictures):
    torch.manual_seed(0)
    small, large = (Decomposer(COMET, DescentSettings(steps=1, step_size=h), 16).eval() for h in (50.0, 200.0))
    z = torch.randn(3, 2, 5, generator=seeded(1))
    noise = torch.rand(pictures.shape, generator=seeded())
    pulls = [m.bind(z, None).gradient(noise) for m in (small, large)]
    made, masks = together([Share(small, z), Share(large, z, weight=2.0)], seeded())
    torch.testing.assert_close(made, (noise - 50 * pulls[0] - 2 * 200 * pulls[1]).clamp(0, 1).detach())
    x = noise - 50 * pulls[0] - 2 * 200 * pulls[1]
    felt = [
        u * m.bind(z, None, active=[k]).gradient(x).abs().sum(1) for u, m in ((50, small), (400, large)) for k in (0, 1)
    ]
    each = torch.stack(felt, 1).detach()
    torch.testing.assert_close(masks, each / each.sum(1, keepdim=True), rtol=1e-3, atol=1e-5)


def test_models_of_other_canvases_or_energies_are_not_added(model, pictures):
    torch.manual_seed(0)
    other = Decomposer(model.model, model.descent, 20).eval()
    z = model.eval().encode(pictures)
    with pytest.raises(ValueError, match="expected one canvas, and experts with experts"):
        together([Share(model, z), Share(other, z)], seeded())


@pytest.mark.parametrize("count", [0, -1])
def test_no_components_are_refused(model, pictures, count):
    with pytest.raises(ValueError, match="components: expected at least 1"):
        take_apart(model, pictures, seeded(), components=count)


def test_components_without_places_alone_are_read_once(pictures):
    torch.manual_seed(0)
    model = Decomposer(replace(SLOTS, globals=9), DescentSettings(steps=1), 16).eval()
    assert torch.equal(read(model, pictures, seeded()), model.encode(pictures))


def test_readings_that_fail_in_a_row_are_counted(monkeypatch, pictures):
    """Errors of five readings of two pictures: better, worse, worse, better; and never better."""
    torch.manual_seed(0)
    model = Decomposer(SLOTS, DescentSettings(steps=1), 16).eval()
    errors, counted = iter([(5, 5), (4, 6), (4, 7), (9, 8), (3, 9)]), []

    def missed(model, latents, pictures, generator):
        error = torch.tensor(next(errors), dtype=torch.float32)
        return error[:, None, None].expand(2, 16, 16), torch.full((2, 3, 16, 16), 1 / 3)

    def elsewhere(latents, missed, masks, failures):
        counted.append(failures.tolist())
        return _elsewhere(latents, missed, masks, failures)

    monkeypatch.setattr(decomposition, "_missed", missed)
    monkeypatch.setattr(decomposition, "_elsewhere", elsewhere)
    read(model, pictures[:2], seeded(), attempts=5)
    assert counted == [[0, 0], [0, 1], [1, 2], [2, 3]]


def shown(monkeypatch, make, *arguments):
    """Rows of a sheet by their names."""
    monkeypatch.setattr(stories, "sheet", lambda rows, **options: dict(rows))
    return make(*arguments, seeded())


def test_pulls_are_drawn_on_one_scale_per_picture(monkeypatch, pictures):
    torch.manual_seed(0)
    model = Decomposer(COMET, DescentSettings(steps=2, step_size=50.0), 16).eval()
    rows = shown(monkeypatch, stories.maps_sheet, model, pictures)
    felt = [model.bind(model.encode(pictures), None, active=[k]).gradient(pictures).abs().sum(1) for k in (0, 1)]
    pulls = torch.stack([rows[f"pull of {name}"][:, 0] for name in model.components], 1)
    expected = torch.stack(felt, 1).detach()
    torch.testing.assert_close(pulls, expected / expected.amax((1, 2, 3), keepdim=True))


def test_a_union_is_calibrated_and_shown_beside_one_that_is_not(monkeypatch, twins, pictures):
    """The loud twin wins where it is not weighed down."""
    quiet, loud = twins
    both = (pictures, pictures.flip(0))
    rows = shown(monkeypatch, stories.union_sheet, quiet, loud, both)
    equal = shown(monkeypatch, stories.union_sheet, quiet, quiet, both)
    torch.testing.assert_close(rows["all of A, objects of B"], equal["all of A, objects of B"], rtol=1e-3, atol=1e-4)
    assert not torch.allclose(rows["uncalibrated"], equal["uncalibrated"], atol=1e-4)
