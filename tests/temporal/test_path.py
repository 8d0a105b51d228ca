"""Gaps of films, with moves known in closed form: turns of a torus, which are an exact linear group."""

import pytest
import torch

from ergosum.data.render import FACTORS
from ergosum.nets.transport import Transport
from ergosum.part import Part
from ergosum.temporal import Bank, FeedForwardUNet, Filled, TemporalDecomposer, parse_timeline
from ergosum.temporal.gaps.gap import across, doubt, probed, read_gap
from ergosum.temporal.gaps.path import PathEnergy, PathSearch, as_timeline, differentiable_act, fill, fill_path, spread

SIDE, TIME = 12, 5


def shift(frames, moves):
    """Frames on a torus moved by whole and fractional pixels, along x and y."""
    wave = torch.fft.fftfreq(frames.shape[-1], dtype=frames.dtype)
    phase = moves[:, 0, None, None] * wave[None, None, :] + moves[:, 1, None, None] * wave[None, :, None]
    return torch.fft.ifft2(torch.fft.fft2(frames) * torch.exp(-2j * torch.pi * phase)[:, None]).real


def blobs(n, seed=0):
    """Smooth images (n, 3, side, side) in [0.1, 0.9] without the highest wave, whose half steps have no place."""
    noise = torch.rand(n, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    wave = torch.fft.fftfreq(SIDE, dtype=torch.float64).abs()
    low = (wave[:, None] < 0.3) & (wave[None] < 0.3)
    smooth = torch.fft.ifft2(torch.fft.fft2(noise) * low).real
    smooth = smooth - smooth.amin((1, 2, 3), keepdim=True)
    return 0.1 + 0.8 * smooth / smooth.amax((1, 2, 3), keepdim=True)


def films(n, moves, seed=0):
    """Films (n, time, 3, side, side) that move at one speed, and their moves (n, time - 1, 2)."""
    speed = torch.tensor(moves, dtype=torch.float64).expand(n, 2)
    x = blobs(n, seed)
    frames = torch.stack([shift(x, t * speed) for t in range(TIME)], 1)
    return frames, speed[:, None].expand(-1, TIME - 1, -1).clone()


def missing(n, *frames):
    seen = torch.ones(n, TIME, 1, SIDE, SIDE, dtype=torch.bool)
    seen[:, list(frames)] = False
    return seen


def salted(n, share=0.4, seed=5):
    return torch.rand(n, TIME, 1, SIDE, SIDE, generator=torch.Generator().manual_seed(seed)) > share


def garbled(frames, seen):
    return torch.where(seen, frames, torch.full_like(frames, 0.77))


@pytest.fixture(scope="module")
def bank():
    """Untrained energies of colour and angle that make something of a frame."""
    models = []
    for seed, factor in enumerate(("colour", "angle")):
        torch.manual_seed(seed)
        model = TemporalDecomposer(components=(factor,), energy=Part(Transport, width=4), latent=2, side=SIDE)
        for name, weight in model.named_parameters():
            if name == "log_step":
                continue
            weight.data += 0.1 * torch.randn(weight.shape, generator=torch.Generator().manual_seed(seed))
        models.append(model.eval())
    return Bank(models)


def test_the_energy_of_a_true_path_is_zero_and_its_gradient_goes_through_the_anchors():
    x, moves = films(1, (0.7, -0.4))
    energy = PathEnergy(shift, moves)
    assert energy(x).item() < 1e-20
    bent, way = x + 0.1 * blobs(TIME, 3)[None], 1e-4 * (blobs(TIME, 4) - 0.5)[None]
    slope = (energy.gradient(bent) * way).sum()
    torch.testing.assert_close(slope, (energy(bent + way) - energy(bent - way)).squeeze() / 2)


@pytest.mark.parametrize("gone", [(1, 3), (1, 2), (1, 2, 3), (0,), (3, 4)])
def test_missing_frames_come_back_exactly_where_the_moves_are_known(gone):
    x, moves = films(2, (1.3, -0.6))
    seen = missing(2, *gone)
    filled = fill_path(shift, garbled(x, seen), seen, 2, moves)
    assert (filled.frames - x).abs().max() < 1e-5
    assert filled.energy[-1].max() < 1e-8


@pytest.mark.parametrize("gone", [(1, 3), (1, 2, 3), (0, 2)])
def test_without_a_timeline_the_moves_come_back_too(gone):
    x, moves = films(2, (0.8, -0.6))
    seen = missing(2, *gone)
    filled = fill_path(shift, garbled(x, seen), seen, 2, None, PathSearch(blur=0))
    assert (filled.moves - moves).abs().max() < 1e-2
    assert (filled.frames - x).abs().max() < 1e-2


def test_a_move_that_nothing_needs_is_zero():
    x, _ = films(2, (0.8, 0.0))
    seen = missing(2, 1, 2, 3)
    filled = fill_path(shift, garbled(x, seen), seen, 2)
    assert (filled.moves[..., 1] == 0).all()
    assert (filled.moves[..., 0] - 0.8).abs().max() < 1e-2


def test_hidden_pixels_that_other_frames_show_come_back():
    x, moves = films(2, (1.0, 1.0))
    seen = torch.ones(2, TIME, 1, SIDE, SIDE, dtype=torch.bool)
    seen[..., 4:8, 4:8] = False
    filled = fill_path(shift, garbled(x, seen), seen, 2, moves, PathSearch(rounds=30))
    first = fill_path(shift, garbled(x, seen), seen, 2, moves, PathSearch(rounds=0))
    error, bridged, guessed = (
        (v - x).square().mean().sqrt() for v in (filled.frames, first.frames, spread(x, seen)[0])
    )
    assert error < 0.3 * bridged < 0.3 * guessed


def test_where_nothing_moves_the_bridge_is_linear_in_time():
    a, b = blobs(2)
    x = torch.stack([torch.lerp(a, b, t / (TIME - 1)) for t in range(TIME)])[None]
    seen = missing(1, 1, 2, 3)
    filled = fill_path(
        shift, garbled(x, seen), seen, 2, torch.zeros(1, TIME - 1, 2, dtype=x.dtype), PathSearch(drift=1e-4, rounds=0)
    )
    assert (filled.frames - x).abs().max() < 1e-3


def test_salt_and_pepper_is_read_as_one_speed():
    x, moves = films(2, (0.8, -0.6), seed=2)
    seen = salted(2)
    filled = fill_path(shift, garbled(x, seen), seen, 2)
    assert (filled.moves - moves).abs().max() < 0.05
    assert (filled.moves == filled.moves[:, :1]).all()


def test_a_film_that_changes_its_speed_is_read_gap_by_gap():
    x, moves = films(2, (0.9, 0.0))
    moves[:, 2:] = torch.tensor([0.0, -0.9])
    for t in range(TIME - 1):
        x[:, t + 1] = shift(x[:, t], moves[:, t])
    seen = salted(2, 0.2)
    filled = fill_path(shift, garbled(x, seen), seen, 2)
    assert (filled.moves - moves).abs().max() < 0.15


@pytest.mark.parametrize("timeline", ["colour:2 angle*0.5:2", None])
def test_the_energy_never_rises_and_what_was_seen_stays_to_the_bit(bank, timeline):
    x = blobs(3 * TIME).float().view(3, TIME, 3, SIDE, SIDE)
    seen = salted(3)
    filled: Filled = fill(bank, garbled(x, seen), seen, timeline, PathSearch(rounds=2))
    assert (filled.energy.diff(dim=0) <= 0).all()
    assert (filled.energy[-1] < filled.energy[0]).all()
    shown = seen.expand_as(x)
    assert torch.equal(filled.frames[shown], x[shown])
    assert filled.frames.min() >= 0
    assert filled.frames.max() <= 1
    now = PathEnergy(differentiable_act(bank), filled.moves)(filled.frames)
    torch.testing.assert_close(now.detach(), filled.energy[-1])


def test_what_stands_at_hidden_pixels_does_not_matter(bank):
    x = blobs(TIME).float()[None]
    seen = salted(1)
    black, hollow = (
        fill(bank, torch.where(seen, x, v), s, None, PathSearch(rounds=1)) for v, s in ((0.0, seen), (torch.nan, None))
    )
    assert torch.equal(black.frames, hollow.frames)
    assert torch.equal(black.moves, hollow.moves)


def test_films_with_other_gaps_do_not_change_each_other():
    x, _ = films(3, (0.7, -0.6))
    seen = torch.cat([missing(1, 1, 2), missing(1, 3), missing(1, 1, 2)])
    together = fill_path(shift, garbled(x, seen), seen, 2)
    for i in range(3):
        alone = fill_path(shift, garbled(x, seen)[i : i + 1], seen[i : i + 1], 2)
        torch.testing.assert_close(together.frames[i], alone.frames[0])
        torch.testing.assert_close(together.moves[i], alone.moves[0])


def test_the_act_of_a_bank_makes_the_frames_that_the_bank_makes(bank):
    x = blobs(3).float().requires_grad_()
    moves = torch.tensor([[1.0, 0.0], [-0.5, 0.5], [0.0, 0.0]])
    made = differentiable_act(bank)(x, moves)
    with torch.no_grad():
        wanted = bank.advance(x, {f: moves[:, k] for k, f in enumerate(bank.factors)})
    torch.testing.assert_close(made, wanted, atol=1e-6, rtol=0)
    (gradient,) = torch.autograd.grad(made.sum(), x)
    assert (gradient.flatten(1).abs().sum(1) > 0).all()


def test_feed_forward_networks_can_fill_too():
    torch.manual_seed(0)
    bank = Bank([FeedForwardUNet(("colour",), width=4, side=SIDE).eval()])
    x = blobs(TIME).float()[None]
    filled = fill(bank, x, missing(1, 1, 2), "colour:4")
    assert (filled.energy.diff(dim=0) <= 0).all()


def test_a_half_turn_is_found_where_descent_alone_stops_short():
    x = blobs(4, 7)
    total = torch.tensor([[5.0, 0.0], [0.0, -4.0], [3.6, 4.4], [-5.0, 3.0]], dtype=torch.float64)
    read = read_gap(shift, x, shift(x, total), 2, 5, blur=0)
    assert (read - total).abs().max() < 1e-2


def test_three_energies_are_compared_from_both_ends():
    def act(frames, moves):
        return shift(frames, moves[:, :2]) + 0.02 * moves[:, 2, None, None, None]

    x = blobs(3, 7)
    total = torch.tensor([[3.0, -2.4, 2.0], [0.0, 2.0, -3.0], [-3.0, 0.0, 0.0]], dtype=torch.float64)
    read = read_gap(act, x, act(x, total), 3, 3, blur=0, price=0.01)
    assert (read - total).abs().max() < 1e-2


def test_no_step_across_a_gap_is_longer_than_allowed():
    longest = []

    def act(frames, moves):
        longest.append(moves.abs().max().item())
        return shift(frames, moves)

    x, total = blobs(2), torch.tensor([[2.5, -0.5], [0.3, 0.0]], dtype=torch.float64)
    torch.testing.assert_close(across(act, x, total), shift(x, total))
    assert max(longest) <= 1


def test_doubt_moves_with_the_pixels():
    x, hidden = blobs(1), torch.zeros(1, 1, SIDE, SIDE, dtype=torch.float64)
    hidden[..., 2:5, 2:5] = 1
    move = torch.tensor([[3.0, 1.0]], dtype=torch.float64)
    found = doubt(shift(x, move), shift(probed(x, hidden), move))
    torch.testing.assert_close(found, hidden.roll((1, 3), (2, 3)))


def test_moves_become_a_timeline_that_reads_as_written():
    moves = torch.tensor([[1.0, 0.02], [0.98, 0.0], [-0.5, -0.26], [0.01, 0.0]])
    text = str(as_timeline(moves, ("colour", "angle")))
    assert text == "colour*0.99:2 colour*0.5+angle*0.26:-1 still:1"
    assert str(parse_timeline(text)) == text
    assert parse_timeline(text).frames == len(moves)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"frames": torch.zeros(TIME, 3, SIDE, SIDE)}, r"expected films .* of one film, x\[None\]"),
        ({"frames": torch.zeros(1, 1, 3, SIDE, SIDE)}, "time >= 2"),
        ({"seen": torch.ones(1, TIME, 1, 5, 5)}, "seen: expected a mask .* got"),
        ({"seen": torch.ones(1, TIME + 1)}, "seen: expected a mask"),
        ({"seen": torch.zeros(1, TIME)}, "film 1: every frame is missing"),
        ({"seen": torch.eye(TIME)[:1]}, "two frames or more .* got 1; give a timeline"),
        ({"timeline": "colour:3"}, "expected 4 moves for a film of 5 frames, got 3"),
        ({"timeline": "size:4"}, "unknown factor 'size'"),
        ({"timeline": torch.zeros(1, TIME - 1, 7)}, "timeline: expected moves"),
    ],
)
def test_bad_input_is_refused_in_one_line(bank, change, message):
    arguments = {"frames": torch.rand(1, TIME, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(0))} | change
    with pytest.raises(ValueError, match=message) as caught:
        fill(bank, **arguments)
    assert "\n" not in str(caught.value)


def test_energies_that_are_not_told_the_move_of_one_factor_are_refused():
    blind = TemporalDecomposer(components=("colour",), energy=Part(Transport, width=4), moves=False, side=SIDE)
    with pytest.raises(ValueError, match="not conditioned on the move"):
        differentiable_act(Bank([blind]))
    joint = TemporalDecomposer(components=("colour+angle",), energy=Part(Transport, width=4), side=SIDE)
    with pytest.raises(ValueError, match="several factors at once"):
        differentiable_act(Bank([joint]))


@pytest.mark.parametrize("change", [{"fastest": 0}, {"price": 2}, {"steps": 0}, {"drift": 0.0}, {"enough": -1}])
def test_settings_out_of_range_are_refused(change):
    with pytest.raises(ValueError, match=f"{next(iter(change))}: expected"):
        PathSearch(**change)


def test_factors_of_the_bank_are_in_the_order_of_the_moves(bank):
    assert bank.factors == FACTORS[:2]
