"""Films are read back as the timelines that made them, by energies of any name."""

import pytest
import torch

from ergosum.data.sequences import DigitSequences
from ergosum.part import Part
from ergosum.temporal.control import Bank
from ergosum.temporal.film import read_film_moves, read_films, replay, transferred
from ergosum.temporal.film.explained import InTurn, calibrate, explained_by
from ergosum.temporal.film.figures import draw_reading
from ergosum.temporal.film.pixels import filled, noised, pixel_noise
from ergosum.temporal.timeline import parse_timeline
from temporal.movers import SIDE, Groups, Moving, images

TIMELINE = "hue*0.5:4 still:2 slide*0.7+fade*0.4:-4"


@pytest.fixture(scope="module")
def bank():
    return Bank([Groups()])


@pytest.fixture(scope="module")
def model(bank):
    """Calibrated on noise of 0.01."""
    return calibrate(bank, Moving(), torch.Generator().manual_seed(0), 64, noise=0.01)


@pytest.fixture(scope="module")
def film(bank):
    """(11, 3, SIDE, SIDE), with noise of 0.01."""
    return noised(bank.play(images(1, seed=5), TIMELINE)[0], 0.01, torch.Generator().manual_seed(1))


@pytest.fixture(scope="module")
def reading(bank, film, model):
    return read_film_moves(bank, film, model)


def test_the_timeline_of_a_film_is_read_back(reading):
    told, true = list(reading.timeline), list(parse_timeline(TIMELINE))
    assert [set(m) for m in told] == [set(m) for m in true]
    assert [s.frames for s in reading.timeline.segments] == [4, 2, 4]
    for read, moves in zip(told, true, strict=True):
        assert all(abs(read[f] - moves[f]) < 0.06 for f in moves)
    assert not reading.flagged.any() and (reading.score.abs() < 4).all()
    assert (reading.active[:4, 0] > 0.9).all() and (reading.active[4:6] < 0.2).all()


def test_its_uncertainty_covers_the_truth_and_is_smaller_than_that_of_a_pair(reading, bank, film, model):
    true = torch.zeros(10, 3)
    true[:4, 0], true[6:, 1], true[6:, 2] = 0.5, -0.7, -0.4
    assert ((reading.moves - true).abs() <= 3 * reading.sd).all()
    alone = read_film_moves(bank, film[:2], model)
    assert 0 < reading.sd[0, 0] <= alone.sd[0, 0]


def test_the_printed_timeline_plays_the_film_again(reading, bank, film):
    assert parse_timeline(str(reading.timeline)) == reading.timeline
    played = bank.play(film[:1], str(reading.timeline))[0]
    assert (played - film).square().mean().sqrt() < 0.03
    torch.testing.assert_close(replay(bank, reading), played, atol=1e-6, rtol=0)


def test_a_frame_that_no_energy_explains_is_flagged_and_the_film_goes_on_after_it(bank, film, model):
    other = noised(bank.play(images(1, seed=9), TIMELINE)[0], 0.01, torch.Generator().manual_seed(2))
    cut = torch.cat([film[:9], other[9:]])
    read = read_film_moves(bank, cut, model)
    assert read.flagged.nonzero()[:, 0].tolist() == [8]
    assert read.nats[8] > 5 > read.nats[:8].max() and read.score[8] > 4
    assert set(list(read.timeline)[9]) == {"slide", "fade"} and read.timeline.frames == 10
    assert torch.equal(replay(bank, read)[9], cut[9])
    assert read.as_dict()["frames"][8]["unexplained"] is True


def test_films_read_together_are_read_as_alone(bank, film, model, reading):
    both = read_films(bank, [film[:5], film], model)
    assert len(both) == 2 and str(both[1].timeline) == str(reading.timeline)
    torch.testing.assert_close(both[1].moves, reading.moves, atol=1e-3, rtol=0)


def test_hidden_pixels_are_filled_in_and_their_content_does_not_matter(bank, film, rng):
    seen = (torch.rand(11, 1, SIDE, SIDE, generator=rng) > 0.25).float()
    model = calibrate(bank, Moving(), rng, 48, noise=0.01, seen=seen)
    read = read_film_moves(bank, film * seen, model, seen=seen)
    assert [set(m) for m in read.timeline] == [set(m) for m in parse_timeline(TIMELINE)]
    junk = torch.where(seen > 0, film, torch.rand(film.shape, generator=rng))
    assert str(read_film_moves(bank, junk, model, seen=seen).timeline) == str(read.timeline)
    hidden = (1 - seen).expand_as(film) > 0
    guess = filled(film * seen, seen)
    assert (read.frames - film)[hidden].square().mean() < 0.8 * (guess - film)[hidden].square().mean()


def test_another_image_moves_as_the_film_does(bank, reading):
    start = images(2, seed=20)
    moved = transferred(bank, reading, start)
    wanted = bank.play(start, TIMELINE)
    assert moved.shape == wanted.shape and (moved - wanted).square().mean().sqrt() < 0.03
    assert torch.equal(moved[:, 4], moved[:, 6])


def test_same_seed_same_bits(bank, film, reading):
    again = calibrate(bank, Moving(), torch.Generator().manual_seed(0), 64, noise=0.01)
    read = read_film_moves(bank, film, again)
    assert torch.equal(read.moves, reading.moves) and torch.equal(read.nats, reading.nats)


@pytest.mark.parametrize("noise", [0.0, 0.03, 0.1])
def test_noise_is_estimated_on_grey_and_on_black(noise, rng):
    grey = noised(images(8).repeat(1, 1, 3, 3), noise, rng)
    black = torch.zeros(8, 3, 36, 36)
    black[:, :, 14:22, 14:22] = 0.6
    assert abs(pixel_noise(grey) - noise) < 0.006 + 0.1 * noise
    assert abs(pixel_noise(noised(black, noise, rng)) - noise) < 0.006 + 0.25 * noise


@pytest.mark.parametrize(
    "spoilt, message",
    [
        (lambda f: f[:1], "two frames or more"),
        (lambda f: f[0], "has shape \\(time, 3, 12, 12\\)"),
        (lambda f: f[..., :10], "has shape \\(time, 3, 12, 12\\); got \\(11, 3, 12, 10\\)"),
        (lambda f: torch.where(f > 0.5, torch.nan, f), "not finite"),
    ],
)
def test_a_film_that_is_none_is_refused(spoilt, message, bank, film, model):
    with pytest.raises(ValueError, match=message):
        read_film_moves(bank, spoilt(film), model)


def test_masks_that_hide_everything_or_do_not_fit_are_refused(bank, film, model):
    with pytest.raises(ValueError, match="hides all of one"):
        read_film_moves(bank, film, model, seen=torch.zeros(1, 1, SIDE, SIDE))
    with pytest.raises(ValueError, match="seen: expected"):
        read_film_moves(bank, film, model, seen=torch.ones(3, 1, SIDE, SIDE))


def test_energies_that_cannot_be_told_how_far_to_move_are_refused(film, model):
    class Blind(Groups):
        knows_moves = False

    with pytest.raises(ValueError, match=r"hue.*conditioned on the move"):
        read_film_moves(Bank([Blind()]), film, model)

    class Joint(Groups):
        components = ("hue+slide",)

    with pytest.raises(ValueError, match=r"hue\+slide.*several factors"):
        calibrate(Bank([Joint()]), Moving(), torch.Generator(), 16)


def test_energies_trained_apart_are_calibrated_on_sequences_in_which_all_move():
    parts = [Part(DigitSequences, factors=(f,), nuisance=("scale",), canvas=16) for f in ("colour", "angle")]
    data = explained_by(parts)
    assert data.factors == ("colour", "angle") and data.mode == "sparse" and data.split == "test"
    apart = explained_by([parts[0], parts[1].but(scale_min=0.9)])
    assert isinstance(apart, InTurn)
    assert apart.pairs(5, torch.Generator().manual_seed(0)).start.shape == (5, 3, 16, 16)
    assert explained_by([Part(Moving)], split="train").clips(2, 1, torch.Generator()).frames.shape[1] == 2


def test_a_reading_is_drawn_with_a_track_for_every_energy(bank, film, reading):
    image = draw_reading(reading, replay(bank, reading), str(reading.timeline))
    assert image.mode == "RGB" and min(image.size) > 300
    assert len(image.resize((64, 64)).getcolors(4096)) > 50
