"""Discovery whole: what is searched for is found, read, refined, stored and steered."""

from pathlib import Path

import pytest
import torch
from shrink import shrunk

from ergosum.data.sequences import DigitSequences
from ergosum.nets import Transport
from ergosum.part import Part
from ergosum.recipes import find
from ergosum.temporal import Bank
from ergosum.temporal.discovery import Discovered, Discovery, Fitting, Found, GroupTransport, Library, Search
from ergosum.temporal.discovery.group import transform
from ergosum.temporal.discovery.scores import separation
from ergosum.temporal.discovery.task import _steady
from ergosum.training.loop import fit, train
from ergosum.training.runfolder import load_predictor

SEARCH = Search(components=3, clips=200, fitting=Part(Fitting, restarts=6, most=2, few=2))


@pytest.fixture(scope="module")
def frames():
    data = DigitSequences(source="digits", mode="single")
    return data.clips(200, 4, torch.Generator().manual_seed(0)).frames


@pytest.fixture(scope="module")
def found(frames) -> Found:
    return SEARCH(frames, Library(colour_degree=1))


@pytest.fixture
def model(found):
    torch.manual_seed(0)
    model = Discovered(energy=Part(GroupTransport, width=4), library=Part(Library, colour_degree=1))
    model.start_from(found)
    return model.eval()


def test_moves_follow_one_true_factor_each_on_digits_never_seen(model):
    clips = DigitSequences(source="digits", mode="single", split="test").clips(60, 2, torch.Generator().manual_seed(1))
    start, target = clips.frames[:, :-1].flatten(0, 1), clips.frames[:, 1:].flatten(0, 1)
    read = model.reading(start, target, polish=0)
    apart = separation(read.moves, clips.speeds.flatten(0, 1))
    assert apart["mcc"] > 0.9 and sorted(apart["match"]) == [0, 1, 2]
    assert read.error.mean() < 0.3 * read.change.mean()
    # turned round in time, moves change their sign
    back = model.reading(target, start, polish=0).moves
    assert torch.corrcoef(torch.stack([read.moves.flatten(), back.flatten()]))[0, 1] < -0.95


def test_moves_are_read_as_far_back_as_they_went(frames, found):
    """Tangents at the mean of both frames make the way back minus the way, for the dictionary as for the groups."""
    library = Library(colour_degree=1)
    there, back = library.statistics(frames[:40, :2]), library.statistics(frames[:40, :2].flip(1))
    torch.testing.assert_close(there.gram, back.gram)
    torch.testing.assert_close(there.cross, -back.cross)


def test_unrelated_frames_are_not_explained(model, frames):
    """The negative control: no move leads from one digit to another."""
    other = frames[:60, 0].roll(1, 0)
    read = model.reading(frames[:60, 0], other, polish=0)
    same = model.reading(frames[:60, 0], frames[:60, 1], polish=0)
    explained = [(r.error.sum() / r.change.sum()).item() for r in (read, same)]
    assert explained[0] > 0.5 > 0.2 > explained[1]


def test_the_same_seed_finds_the_same_bits(frames, found):
    again = SEARCH(frames, Library(colour_degree=1))
    assert torch.equal(again.theta, found.theta) and again.worth == found.worth


def test_a_move_of_one_is_typical_and_its_sign_is_fixed(frames, found):
    assert list(found.worth) == sorted(found.worth, reverse=True)
    largest = found.theta.gather(0, found.theta.abs().argmax(0, keepdim=True))
    assert (largest > 0).all()
    torch.manual_seed(0)
    model = Discovered(energy=Part(GroupTransport, width=4), library=Part(Library, colour_degree=1))
    model.start_from(found)
    moves = model.reading(frames[:, 0], frames[:, 1], polish=0).moves
    for z in moves.unbind(1):
        assert 0.5 < z[z != 0].abs().median() < 2


def test_clips_in_which_nothing_changes_are_refused(frames):
    still = frames[:20, :1].expand(-1, 3, -1, -1, -1)
    with pytest.raises(ValueError, match="at least 3 clips in which something changes, got 0 of 20"):
        SEARCH(still, Library(colour_degree=1))
    one = torch.cat([still, frames[:1, :3]])
    with pytest.raises(ValueError, match="got 1 of 21"):
        SEARCH(one, Library(colour_degree=1))


@pytest.mark.parametrize("kind", ["dim", "noise"])
def test_clips_that_no_component_explains_are_refused(frames, kind: str):
    noise = torch.rand(30, 4, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    with pytest.raises(ValueError, match=r"no component explains 3% of what changes"):
        SEARCH(0.01 * frames[:40] if kind == "dim" else noise, Library(colour_degree=1))


def test_one_speed_is_the_mean_of_the_steps_that_were_read():
    moves = torch.tensor([[[1.0, 0.2], [0.0, 0.0], [2.0, 0.0], [3.0, 0.0]]])
    assert torch.equal(_steady(moves), torch.tensor([[[2.0, 0.0]] * 4]))


def test_reading_on_the_energies_never_raises_the_error(model, frames):
    start, target = frames[:12, 0], frames[:12, 1]
    rough, fine = model.reading(start, target, polish=0).moves, model.reading(start, target, polish=2).moves
    before, after = ((model.act(start, z) - target).square().mean((1, 2, 3)) for z in (rough, fine))
    assert (after <= before + 1e-9).all() and (after < before).any()


def test_no_move_leaves_a_frame_as_it_is_and_energies_start_as_groups(model, frames):
    start, zero = frames[:4, 0], torch.zeros(4, 3)
    assert torch.equal(model.act(start, zero), start)
    mean = model.energies[0].mean(zero, start)
    torch.testing.assert_close(mean, start, atol=1e-5, rtol=0)
    move = torch.zeros(4, 3)
    move[:, 1] = 1
    by_group = transform(start, move, model.theta, model.library)
    assert (model.act(start, move) - by_group).norm() < 0.4 * (start - by_group).norm()


def test_energies_act_in_turn_on_the_frames_that_they_have_to_move(model, frames):
    start = frames[:3, 0]
    moves = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 0.0], [0.5, -1.0, 0.0]])
    made = model.act(start, moves)
    assert torch.equal(made[1], start[1])
    with torch.no_grad():
        one = model(start[2:], None, torch.tensor([[0.5, 0.0, 0.0]]), active=[0], steps=1).frames[-1]
        two = model(one, None, torch.tensor([[0.0, -1.0, 0.0]]), active=[1], steps=1).frames[-1]
    torch.testing.assert_close(made[2:], two.clamp(0, 1), atol=1e-5, rtol=0)
    bank = Bank([model])
    torch.testing.assert_close(bank.play(start[:1], "one:1")[:, 1], made[:1], atol=1e-5, rtol=0)
    assert bank.factors == ("one", "two", "three")
    by_bank = bank.advance(start, dict(zip(bank.factors, moves.T, strict=True)))  # clips after every energy
    torch.testing.assert_close(by_bank[:2], made[:2], atol=1e-5, rtol=0)


def test_generators_learn_where_they_are_released(model, frames):
    for free in (False, True):
        model.release(free)
        model.zero_grad()
        model.train()(frames[:3, 0], None, torch.eye(3)).frames[-1].sum().backward()
        model.eval()
        touched = [e.generator.grad is not None and bool(e.generator.grad.any()) for e in model.energies]
        assert touched == [free] * 3
        assert all(e.body.head.weight.grad.any() for e in model.energies)


def test_another_family_of_energies_may_learn_the_components(found, frames):
    model = Discovered(energy=Part(Transport, width=4), library=Part(Library, colour_degree=1))
    model.start_from(found)
    read = model.read(frames[:4, 0], frames[:4, 1])
    assert model.act(frames[:4, 0], read).shape == frames[:4, 0].shape


def test_moves_are_read_where_none_are_given(model, frames):
    start, target = frames[:8, 0], frames[:8, 1]
    moves = model.read(start, target)
    assert torch.equal(model(start, target).frames[-1], model(start, None, moves).frames[-1])
    with pytest.raises(ValueError, match="or the later frame"):
        model(start)


def tiny(**changes: object) -> Discovery:
    task = shrunk(find("discovered").task).but(**changes).build()
    assert isinstance(task, Discovery)
    return task


def test_names_that_are_not_as_many_as_are_kept_are_refused(tmp_path: Path):
    task = tiny(model={"components": ("hue", "angle")})
    with pytest.raises(ValueError, match="expected 3 names, as many as the search kept, got 2"):
        next(fit(task, tmp_path / "run"))


def test_a_run_goes_on_to_the_same_bits_without_another_search(tmp_path: Path):
    whole = shrunk(find("discovered")).but(optimiser={"iterations": 4}, run={"checkpoint_every": 2})
    list(train(whole, tmp_path / "whole"))
    half = train(whole, tmp_path / "half")
    next(half), next(half)
    half.close()
    task = whole.built()
    task.searched = None  # any search would fail
    list(train(whole, tmp_path / "half", resume=True, task=task))
    one, two = (load_predictor(tmp_path / name)[1].state_dict() for name in ("whole", "half"))
    assert all(torch.equal(one[k], two[k]) for k in one)
    assert one["theta"].any() and one["energies.0.generator"].any()


def test_half_of_a_batch_is_turned_round_in_time():
    task = tiny()
    task.ready()
    task.prepare(task.build())
    batch = task.batch(96, torch.Generator().manual_seed(0))
    first, second = (v.unflatten(0, (8, -1)) for v in task._pairs)  # type: ignore[union-attr]
    begins = sum(any(torch.equal(x, f) for f in first[:, 0]) for x in batch.start)
    ends = sum(any(torch.equal(x, f) for f in second[:, -1]) for x in batch.start)
    assert begins > 4 and ends > 4  # an eighth of 96 each, if clips have four steps
    reader = task._model
    read = reader.reading(batch.start, batch.target, polish=0).moves  # type: ignore[union-attr]
    assert torch.corrcoef(torch.stack([read.flatten(), batch.moves.flatten()]))[0, 1] > 0.5


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Discovery(pool=0), "pool: expected an integer >= 1"),
        (lambda: Discovery(release=2.0), "release: expected 0 .. 1"),
        (lambda: Discovered(price=1.0), "price: expected 0 <= price < 1"),
        (lambda: Discovered(most=0), "most, polish: expected"),
        (lambda: Search(clips=1), "search.clips: expected an integer >= 2"),
    ],
)
def test_settings_out_of_range_are_refused(make, message: str):
    with pytest.raises(ValueError, match=message):
        make()
