"""Denoisers of other schedules as scores: exact where the data are Gaussian, refused where a value is needed."""

import math

import pytest
import torch

from ergosum.density.denoiser import (
    PREDICTIONS,
    Denoised,
    Denoiser,
    Moment,
    Schedule,
    VarianceExploding,
    VariancePreserving,
    from_denoiser,
    from_diffusers,
    of_data,
    of_noise,
    of_velocity,
)
from ergosum.energies.gaussian import Gaussian
from ergosum.samplers.ladder import NoiseLadder
from ergosum.samplers.langevin import Langevin
from ergosum.samplers.mala import Mala
from ergosum.samplers.reverse import Ancestral

MEANS = torch.tensor([[2.0, -1.0], [-1.0, 0.5]], dtype=torch.float64)
VARIANCE = torch.tensor([0.5, 0.09], dtype=torch.float64)

SCHEDULES = {
    "linear": VariancePreserving.linear(1000),
    "cosine": VariancePreserving.cosine(1000),
    "few": VariancePreserving(torch.tensor([0.999, 0.7, 0.3, 1e-3])),
    "exploding": VarianceExploding(lowest=0.01, highest=50.0, time=math.log),
}
VELOCITY = ("linear", "cosine", "few")


def exact(schedule, prediction):
    """The best prediction of a Gaussian's noised draws, told only what a network is told: x_t, t and the class."""

    def network(x, time, c):
        t = time[0].item()
        if isinstance(schedule, VariancePreserving):
            low = min(int(t), len(schedule.log_sigma) - 2)
            sigma = torch.lerp(schedule.log_sigma[low], schedule.log_sigma[low + 1], t - low).exp().item()
            alpha = (1 + sigma**2) ** -0.5
        else:
            sigma, alpha = math.exp(t), 1.0
        spread = alpha * sigma
        mean, variance = alpha * MEANS[c], alpha**2 * VARIANCE + spread**2
        noise = spread * (x - mean) / variance
        data = (x - spread * noise) / alpha
        return {"epsilon": noise, "x0": data, "v": alpha * noise - spread * data}[prediction]

    return network


CASES = [(s, p) for s in SCHEDULES for p in PREDICTIONS if p != "v" or s in VELOCITY]


@pytest.mark.parametrize(("name", "prediction"), CASES)
def test_the_score_is_that_of_the_noised_data_at_every_level(name, prediction):
    schedule = SCHEDULES[name]
    family = from_denoiser(exact(schedule, prediction), schedule, prediction, conditional=True, none=0)
    assert isinstance(family, Denoiser) and isinstance(schedule, Schedule)
    x = torch.tensor([[0.3, -2.0], [1.0, 4.0]], dtype=torch.float64)
    for sigma in torch.logspace(math.log10(family.lowest), math.log10(family.highest), 9).tolist():
        for c in (0, 1):
            found = family(torch.tensor(c)).at_noise(sigma).gradient(x)
            truth = Gaussian(MEANS[c], VARIANCE).at_noise(sigma).gradient(x)
            torch.testing.assert_close(found, truth, rtol=1e-4, atol=1e-6)
    each = family(torch.tensor([0, 1])).at_noise(1.0).gradient(x)
    torch.testing.assert_close(each[1:], Gaussian(MEANS[1], VARIANCE).at_noise(1.0).gradient(x[1:]))


@pytest.mark.parametrize("name", VELOCITY)
def test_a_schedule_knows_its_own_steps(name):
    schedule = SCHEDULES[name]
    whole = schedule.steps(4)
    assert whole[0] == pytest.approx(schedule.highest) and whole[-1] == pytest.approx(schedule.lowest)
    moments = [schedule.at(s) for s in whole]
    assert all(isinstance(m, Moment) and abs(m.time - round(m.time)) < 1e-6 for m in moments)
    last = len(schedule.log_sigma) - 1
    assert round(moments[0].time) == last and round(moments[-1].time) == 0
    for m in moments:
        assert m.alpha**2 + (m.alpha * m.sigma) ** 2 == pytest.approx(1)


def test_linear_and_cosine_keep_what_their_sources_say():
    """Shares by the product of 1 - beta, and the cosine's own formula where no step is clamped."""
    beta = torch.linspace(1e-4, 0.02, 1000, dtype=torch.float64)
    kept = torch.sigmoid(-2 * SCHEDULES["linear"].log_sigma)
    torch.testing.assert_close(kept, (1 - beta).cumprod(0))
    kept = torch.sigmoid(-2 * SCHEDULES["cosine"].log_sigma)
    place = torch.linspace(0, 1, 1001, dtype=torch.float64)[1:]
    cosine = ((place + 0.008) / 1.008 * math.pi / 2).cos().square() / math.cos(0.008 / 1.008 * math.pi / 2) ** 2
    torch.testing.assert_close(kept[:900], cosine[:900])


def test_a_schedule_that_ends_in_noise_alone_leaves_that_step_out():
    schedule = VariancePreserving(torch.tensor([0.9, 0.5, 0.1, 0.0]))
    assert schedule.highest == pytest.approx(3.0) and schedule.at(3.0).time == pytest.approx(2.0)


def test_members_compose_and_a_ladder_samples_them(rng):
    """A draw of one class, and of a weighted sum: by the noised scores, as of Gaussians with closed forms."""
    schedule = SCHEDULES["linear"]
    family = from_denoiser(exact(schedule, "epsilon"), schedule, conditional=True, none=1)
    ladder = NoiseLadder(levels=schedule.steps(60), reverse=Ancestral(deviation=VARIANCE.sqrt()))
    x = ladder.sample(family(torch.tensor(0)), ladder.levels[0] * torch.randn(2000, 2, generator=rng).double(),
                      generator=rng).x  # fmt: skip
    assert ((x.mean(0) - MEANS[0]).abs() < 4 * (VARIANCE / 2000) ** 0.5).all()
    assert (x.var(0) / VARIANCE - 1).abs().max() < 4 * (2 / 2000) ** 0.5
    one, two = (
        NoiseLadder(levels=schedule.steps(20), correction=Langevin(step_size=0.1)).sample(
            energy, 100 * torch.ones(8, 2, dtype=torch.float64), generator=torch.Generator().manual_seed(0)
        ).x
        for energy in (
            family(torch.tensor(0)) & 0.5 * family.prior(),
            Gaussian(MEANS[0], VARIANCE) & 0.5 * Gaussian(MEANS[1], VARIANCE),
        )
    )  # fmt: skip
    torch.testing.assert_close(one, two, rtol=1e-4, atol=1e-6)


def test_what_needs_a_value_refuses_with_a_reason(rng):
    family = from_denoiser(exact(SCHEDULES["linear"], "epsilon"), SCHEDULES["linear"], conditional=True)
    member = family(torch.tensor(0)).named("zero")
    assert isinstance(member, Denoised) and not member.has_value
    x = torch.zeros(4, 2, dtype=torch.float64)
    with pytest.raises(ValueError, match="zero: a denoiser has no energy value"):
        member(x)
    with pytest.raises(ValueError, match="no energy value, only a score"):
        member | Gaussian(MEANS[0], 1.0)
    with pytest.raises(ValueError, match="known by its score alone"):
        NoiseLadder(levels=(1.0, 0.5), correction=Mala(step_size=0.1)).sample(member, x, generator=rng)
    with pytest.raises(ValueError, match="known by its score alone"):
        NoiseLadder(levels=(1.0, 0.5), islands=2).sample(member, x, generator=rng)


def test_predictions_are_functions_and_yours_may_be_one_too():
    moment = Moment(2.0, 0.5**0.5, 3.0)
    x, given = torch.ones(1, 1), torch.full((1, 1), 0.25)
    assert of_noise(given, x, moment).item() == 0.5 and of_data(given, x, moment).item() == 0.25
    assert of_velocity(given, x, moment).item() == pytest.approx(0.5 - 0.5**0.5 * 2 * 0.25)
    own = from_denoiser(lambda x, t: x, VarianceExploding(lowest=0.1, highest=9.0), lambda given, x, moment: 0 * given)
    torch.testing.assert_close(own.prior().at_noise(2.0).gradient(torch.ones(1, 3)), torch.full((1, 3), 0.25))


SCHEDULE = VarianceExploding(lowest=0.1, highest=9.0)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: from_denoiser(lambda x, t: x, SCHEDULE, "score"), "expected one of epsilon, x0, v, got 'score'"),
        (lambda: from_denoiser(lambda x, t: x, SCHEDULE).prior().at_noise(20.0), "from 0.1 to 9, .* got 20"),
        (lambda: from_denoiser(lambda x, t: x, SCHEDULE)(torch.tensor(1)), "its only member is family.prior"),
        (lambda: from_denoiser(lambda x, t, c: x, SCHEDULE, conditional=True).prior(), "pass none="),
        (lambda: from_denoiser(lambda x, t, c: x, SCHEDULE, conditional=True)(), "close the family with one"),
        (lambda: from_denoiser(lambda x, t: x[:, :1], SCHEDULE).prior().gradient(torch.ones(2, 3)),
         r"a prediction of the shape of x, \(2, 3\), got \(2, 1\)"),
        (lambda: from_denoiser(lambda x, t: (x,), SCHEDULE).prior().gradient(torch.ones(2, 3)), "got tuple"),
        (lambda: from_denoiser(torch.nn.Bilinear(5, 1, 5), SCHEDULE).prior().gradient(torch.ones(2, 3)),
         r"does not take x of shape \(2, 3\)"),
        (lambda: VariancePreserving(torch.tensor([0.5, 0.9])), "fall from step to step"),
        (lambda: VariancePreserving.linear(10).steps(11), "2 .. 10 steps"),
        (lambda: VarianceExploding(lowest=2.0, highest=1.0), "0 < lowest < highest"),
        (lambda: from_diffusers(torch.nn.Identity(), object()), "a scheduler with alphas_cumprod"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_clear_line(call, message):
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_no_schedule_at_all_is_a_type_error():
    with pytest.raises(TypeError, match="got function and NoneType"):
        from_denoiser(lambda x, t: x, None)  # type: ignore[arg-type]


def test_a_unet_of_diffusers_is_trained_and_taken_as_a_score(rng):
    """Flat grey images, dark of class 0 and light of class 1: a tiny U-Net learns them, the family agrees with the
    scheduler's own step, and the ladder draws the class that was asked for."""
    diffusers = pytest.importorskip("diffusers", reason="needs the extra diffusers: pip install 'ergosum[diffusers]'")
    torch.manual_seed(0)
    unet = diffusers.UNet2DModel(
        sample_size=4, in_channels=1, out_channels=1, block_out_channels=(16,), layers_per_block=1,
        down_block_types=("DownBlock2D",), up_block_types=("UpBlock2D",), norm_num_groups=4, num_class_embeds=2,
    )  # fmt: skip
    scheduler = diffusers.DDPMScheduler(num_train_timesteps=100, beta_end=0.1, clip_sample=False)
    optimiser = torch.optim.Adam(unet.parameters(), 3e-3)
    for _ in range(120):
        c = torch.randint(2, (32,), generator=rng)
        x = (1.6 * c - 0.8)[:, None, None, None].expand(32, 1, 4, 4)
        noise = torch.randn(x.shape, generator=rng)
        t = torch.randint(100, (32,), generator=rng)
        loss = (unet(scheduler.add_noise(x, noise, t), t, class_labels=c).sample - noise).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    unet.eval().requires_grad_(False)
    family = from_diffusers(unet, scheduler)
    assert family.conditional
    x, c = torch.randn(3, 1, 4, 4, generator=rng), torch.tensor([0, 1, 0])
    for t in (0, 50, 99):
        sigma = family.schedule.log_sigma[t].exp().item()
        own = scheduler.step(unet(x, t, class_labels=c).sample, t, x).pred_original_sample
        found = family.moved(sigma).denoised(x / family.schedule.at(sigma).alpha, c)
        torch.testing.assert_close(found, own, rtol=1e-3, atol=1e-3)
    ladder = NoiseLadder(levels=family.schedule.steps(50), denoise=True)
    start = ladder.levels[0] * torch.randn(16, 1, 4, 4, generator=rng)
    for c in (0, 1):
        made = ladder.sample(family(torch.tensor(c)), start, generator=rng).x.mean((1, 2, 3))
        assert ((made > 0) == bool(c)).all() and abs(made.mean() - (1.6 * c - 0.8)) < 0.3
