"""What stands beside discovered energies: each reads and moves as it says, and learns through the ordinary loop."""

import pytest
import torch
from torch.distributions import Laplace, Normal

from ergosum.data.sequences import DigitSequences
from ergosum.metrics.error import mse
from ergosum.part import Part
from ergosum.temporal.discovery.baselines import (
    ContinuousActions,
    DiscreteActions,
    GroupMover,
    ImageFields,
    OddPairEncoder,
    PairLearning,
    ScalarMover,
    SlowVAE,
    scalars,
    search_groups,
)
from ergosum.temporal.discovery.baselines.actions import IDLE
from ergosum.temporal.discovery.baselines.learning import relative_error
from ergosum.temporal.discovery.baselines.slow_vae import laplace_cross_entropy, normal_entropy
from ergosum.temporal.discovery.dictionary import Fitting
from ergosum.temporal.discovery.library import Library
from ergosum.temporal.discovery.scores import natural_speeds, separation
from ergosum.temporal.discovery.search import Search
from ergosum.temporal.task import Prediction
from ergosum.training.experiment import Optimiser, Run
from ergosum.training.loop import fit
from ergosum.training.runfolder import load_predictor

DATA = Part(DigitSequences, source="digits", limit=64)
MODELS = {
    "SlowVAE": Part(SlowVAE, width=4, latents=4),
    "ContinuousActions": Part(ContinuousActions, width=4),
    "DiscreteActions": Part(DiscreteActions, width=4, codes=4),
    "ImageFields": Part(ImageFields, width=4),
}


@pytest.fixture(scope="module")
def pairs():
    return DATA.build(split="test").pairs(12, torch.Generator().manual_seed(0))


def made(part, seed=0, side=28):
    torch.manual_seed(seed)
    return part.build(side=side)


def learned(task, folder, updates=3, seed=0, **optimiser):
    settings = {"iterations": updates, "batch": 4, **optimiser}
    for _ in fit(task, folder, optimiser=Optimiser(**settings), run=Run(seed=seed), accelerator="cpu"):
        pass
    return load_predictor(folder, task=task)[1]


@pytest.mark.parametrize("name", MODELS)
def test_every_baseline_learns_in_the_ordinary_loop_to_the_same_bits_and_moves_frames(name, tmp_path, pairs):
    model, again = (learned(PairLearning(DATA, MODELS[name]), tmp_path / f) for f in ("one", "two"))
    for a, b in zip(model.state_dict().values(), again.state_dict().values(), strict=True):
        assert torch.equal(a, b)
    untrained = made(MODELS[name]).state_dict()
    assert any(not torch.equal(v, untrained[k]) for k, v in model.state_dict().items())
    moves = model.read(pairs.start, pairs.target)
    assert moves.shape == (12, len(model.components)) and moves.isfinite().all()
    frames = model.act(pairs.start, moves)
    assert frames.shape == pairs.start.shape and frames.isfinite().all()
    torch.testing.assert_close(model.act(pairs.start, torch.zeros_like(moves)), pairs.start, atol=1e-5, rtol=0)
    whole = torch.ones_like(moves)
    assert (model.act(pairs.start, whole) - pairs.start).abs().max() > 1e-4
    each = torch.cat([model.act(pairs.start[i : i + 1], whole[i : i + 1]) for i in range(2)])
    torch.testing.assert_close(model.act(pairs.start, whole)[:2], each, atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ["SlowVAE", "ContinuousActions", "DiscreteActions", "ImageFields"])
def test_loss_falls(name):
    model = made(MODELS[name])
    data, generator = DATA.build(split="train"), torch.Generator().manual_seed(0)
    batch = data.pairs(16, generator)
    optimiser = torch.optim.Adam(model.parameters(), 3e-3)
    losses = []
    for _ in range(20):
        losses.append(model(batch.start, batch.target, generator, 0.0).loss)
        optimiser.zero_grad()
        losses[-1].backward()
        optimiser.step()
    assert sum(losses[-5:]) < 0.97 * sum(losses[:5])


def test_a_score_through_the_task_has_a_table(pairs):
    task = PairLearning(DATA, MODELS["ContinuousActions"])
    scores = task.score("mine", made(MODELS["ContinuousActions"]), 64, 0, source="digits")
    (row,) = task.tables(scores)[0].rows
    assert row["card"] == "mine" and row["mcc"] == scores["mcc"] and row["skill"] == scores["skill"]["mean"]
    assert scores["kept"] == 3 and scores["mode"] == "single"


@pytest.mark.parametrize("side", [12, 28, 32])
def test_the_odd_encoder_reads_backwards_what_it_reads_forwards_negated(side, rng):
    torch.manual_seed(0)
    encoder = OddPairEncoder(5, 4, side)
    a, b = torch.rand(2, 3, 3, side, side, generator=rng)
    forwards, backwards = encoder(torch.cat([a, b], 1)), encoder(torch.cat([b, a], 1))
    torch.testing.assert_close(forwards, -backwards)
    assert forwards.abs().min() > 1e-5 and (encoder(torch.cat([a, a], 1)) == 0).all()


def test_the_laplace_prior_has_its_closed_form(rng):
    difference, log_variance = torch.tensor([0.0, 0.3, -1.2]), torch.tensor([-2.0, 0.1, -6.0])
    drawn = difference + (log_variance / 2).exp() * torch.randn(400_000, 3, generator=rng)
    sampled = -Laplace(torch.tensor(0.0), torch.tensor(1 / 6)).log_prob(drawn)
    spread = 4 * sampled.std(0) / 400_000**0.5
    assert ((laplace_cross_entropy(difference, log_variance, 6.0) - sampled.mean(0)).abs() < spread).all()
    torch.testing.assert_close(normal_entropy(log_variance), Normal(0, (log_variance / 2).exp()).entropy())


def test_relative_error_weighs_every_pair_alike(rng):
    start, change = torch.rand(4, 3, 28, 28, generator=rng), torch.randn(4, 3, 28, 28, generator=rng)
    target = start + torch.tensor([1.0, 3.0, 10.0, 30.0])[:, None, None, None] * change
    half = (start + target) / 2
    for levels in (1, 3):
        torch.testing.assert_close(relative_error(target, start, target, levels), torch.zeros(4))
        for made_, expected in ((start, 1.0), (half, 0.25)):
            told = relative_error(made_, start, target, levels)
            torch.testing.assert_close(told, torch.full((4,), expected), rtol=3e-3, atol=0)


def test_codes_are_paired_by_what_swapping_frames_does_to_them():
    model = made(MODELS["DiscreteActions"])
    model.swapped.copy_(torch.tensor([[0, 5.0, 4, 0], [0, 0, 0, 4], [0, 0, 0, 0], [0, 0, 0, 0]]))
    assert model.opposites() == [(0, 2), (1, 3)], "the greedy pair (0, 1) would leave the worthless (2, 3)"
    with torch.no_grad():
        model.codebook.copy_(torch.eye(4, 8))
        model.encoder.forward = lambda x: torch.eye(4, 8)[[2, 3, 0, 1]]
    frames = torch.zeros(4, 3, 28, 28)
    assert model.read(frames, frames).tolist() == [[-1, 0], [0, -1], [1, 0], [0, 1]]


def test_the_first_code_of_a_pair_acts_forwards_and_the_second_backwards(pairs):
    model = made(MODELS["DiscreteActions"])
    model.swapped[0, 2] = model.swapped[1, 3] = 1.0
    told = []
    model.model.mean = lambda code, start: told.append(code) or start
    moves = torch.tensor([[1.0, 0.0], [-1.0, 0.0], [0.0, 2.0], [0.0, -1.0]])
    model.act(pairs.start[:4], moves)
    torch.testing.assert_close(told[0], model.unit[[0, 2, 1, 3]] * moves.abs().sum(1, keepdim=True))


def test_an_idle_code_starts_anew_at_a_vector_of_the_batch(pairs):
    model = made(MODELS["DiscreteActions"]).train()
    with torch.no_grad():
        model.codebook[3] = model.codebook[0]  # of two alike the first is chosen
    generator = torch.Generator().manual_seed(0)
    for turn in range(IDLE + 1):
        assert torch.equal(model.codebook[3], model.codebook[0]), turn
        model(pairs.start, pairs.target, generator, 0.0)
    vectors = torch.nn.functional.normalize(model.encoder(torch.cat([pairs.start, pairs.target], 1)), dim=1)
    assert not torch.equal(model.codebook[3], model.codebook[0])
    assert (vectors - model.codebook[3]).abs().sum(1).min() < 1e-5


def test_fields_read_no_move_that_does_not_pay(pairs):
    model = made(MODELS["ImageFields"])
    moves = model.read(pairs.start, pairs.target)
    error, change = (mse(x, pairs.target) for x in (model.act(pairs.start, moves), pairs.start))
    assert (model.read(pairs.start, pairs.start) == 0).all()
    model.price = 1.0
    assert (model.read(pairs.start, pairs.target) == 0).all()
    model.price = 0.0
    free = model.read(pairs.start, pairs.target)
    assert (free != 0).sum() > (moves != 0).sum() and error.sum() <= 1.01 * change.sum()


@pytest.mark.parametrize("networks", ["ours", "report"])
def test_scalars_act_as_the_trained_model_predicts_and_alone_where_the_others_are_0(networks, pairs, tmp_path):
    task = scalars(DATA, networks, 4).build()
    assert isinstance(task, Prediction)
    model = learned(task, tmp_path / "run")
    mover = ScalarMover(model)
    moves = mover.read(pairs.start, pairs.target)
    assert moves.shape == (12, 3) and (moves != 0).all()
    torch.testing.assert_close(mover.act(pairs.start, moves), model(pairs.start, pairs.target).frames[-1])
    alone = moves * torch.tensor([0.0, 1.0, 0.0])
    torch.testing.assert_close(mover.act(pairs.start, alone), model(pairs.start, pairs.target, active=[1]).frames[-1])
    assert mover.act(pairs.start, torch.zeros_like(moves)) is pairs.start


@pytest.mark.parametrize("most", [1, 2])
def test_bare_groups_read_as_many_moves_as_were_asked_for_and_undo_them(most, pairs):
    fitting = Part(Fitting, most=most, restarts=3, rounds=15)
    library = Library(colour_degree=1)
    mover = search_groups(DATA.but(mode="sparse"), Search(clips=60, components=3, fitting=fitting), library)
    assert isinstance(mover, GroupMover) and mover.theta.shape[1] == len(mover.components) > 1
    moves = mover.read(pairs.start, pairs.target)
    assert (moves != 0).sum(1).amax() <= most and (moves != 0).any(0).sum() > 1
    made = mover.act(pairs.start, moves)
    assert mse(made, pairs.target).sum() < 0.6 * mse(pairs.start, pairs.target).sum()
    back = mover.act(made, -moves)
    assert mse(back, pairs.start).sum() < 0.3 * mse(made, pairs.start).sum()
    assert separation(moves, natural_speeds(pairs))["mcc"] > 0.3


def test_what_does_not_go_together_is_refused_in_one_line():
    for build, words in (
        (lambda: SlowVAE(rate=0), "rate > 0"),
        (lambda: DiscreteActions(codes=5), "even number of codes"),
        (lambda: ContinuousActions(kl=-1), "kl and l1 >= 0"),
        (lambda: ImageFields(price=-1), "price >= 0"),
        (lambda: ImageFields(components=("a", "a")), "different names"),
        (lambda: OddPairEncoder(3, 4, 30), "multiple of 4"),
    ):
        with pytest.raises(ValueError, match=words):
            build()
    with pytest.raises(ValueError, match="encoder reads pairs"):
        ScalarMover(Prediction().build())
