"""What every task obeys: the training loop knows no more of a system than this."""

import copy
import json
from functools import cache

import pytest
import torch
from task_cases import TASKS

from ergosum.training.task import Losses

N = 4
every_task = pytest.mark.parametrize("name", TASKS)


@cache
def _begun(name):
    """A task that is ready and has drawn one batch, before which some search for seconds in their data."""
    made = TASKS[name]()
    made.ready()
    drawn(made)
    return made


@pytest.fixture
def task(name):
    return copy.deepcopy(_begun(name))


def built(task, seed=0):
    torch.manual_seed(seed)
    model = task.build()
    generator = torch.Generator().manual_seed(seed)
    for weight in model.parameters():  # away from a start where much is zero
        weight.data += 0.05 * torch.randn(weight.shape, generator=generator)
    task.prepare(model)
    return model.train()


def drawn(task, n=N, seed=0):
    return task.batch(n, torch.Generator().manual_seed(seed))


def loss_of(task, model, batch, seed=0):
    return task.loss(model, batch, torch.Generator().manual_seed(seed), 0.5)


@every_task
def test_the_model_comes_from_the_present_generator(task):
    torch.manual_seed(3)
    one = task.build().state_dict()
    torch.manual_seed(3)
    again = task.build().state_dict()
    other = task.build().state_dict()
    assert all(torch.equal(one[k], again[k]) for k in one) and any(not torch.equal(one[k], other[k]) for k in one)


@every_task
def test_a_batch_is_a_named_tuple_of_tensors_with_a_row_per_sample(name, task):
    for n in (1, N):
        batch = drawn(task, n)
        assert batch._fields and all(len(v) == n for v in batch)
    same, other = drawn(TASKS[name](), N), drawn(TASKS[name](), N, seed=1)
    assert all(torch.equal(a, b) for a, b in zip(batch, same, strict=True))
    assert any(not torch.equal(a, b) for a, b in zip(batch, other, strict=True))


@every_task
def test_a_loss_is_one_finite_number_that_moves_the_weights(task):
    model = built(task)
    terms = loss_of(task, model, drawn(task))
    assert isinstance(terms, Losses) and terms.loss.shape == () and torch.isfinite(terms.loss)
    for error in (terms.error, terms.reference):
        assert error is None or (error.shape == () and error >= 0 and not error.requires_grad)
    terms.loss.backward()
    moved = [p.grad is not None and p.grad.abs().max() > 0 for p in model.parameters() if p.requires_grad]
    assert sum(moved) > len(moved) / 2
    again = loss_of(task, model, drawn(task))
    assert torch.equal(terms.loss, again.loss)


@every_task
def test_processes_can_share_a_batch_unless_the_task_says_why_not(task):
    if task.undivided:
        assert task.undivided[0].isupper() and "batch" in task.undivided
        return
    model, batch = built(task), drawn(task)
    shares = [type(batch)(*(v[half] for v in batch)) for half in (slice(0, N // 2), slice(N // 2, N))]
    whole = loss_of(task, model, batch)
    parts = [loss_of(task, model, share) for share in shares]
    for field in ("loss", "error"):  # a reference is only shown, and may be of the share, as that of the mean image is
        mean = torch.stack([getattr(part, field) for part in parts]).mean()
        torch.testing.assert_close(mean, getattr(whole, field), rtol=1e-5, atol=1e-7)


@every_task
def test_a_task_that_takes_up_a_stored_state_goes_on_to_the_same_bits(name, task):
    other, generator = TASKS[name](), torch.Generator().manual_seed(0)
    n = 256 if task.continues else N  # half of the store
    for _ in range(3):
        batch = task.batch(n, generator)
        if task.continues:
            task.keep(batch, torch.rand(batch[0].shape, generator=generator))
    other.load({k: v.clone() for k, v in task.state().items()})
    assert task.state() or not task.continues
    one, two, fresh = drawn(task, n, 5), drawn(other, n, 5), drawn(copy.deepcopy(_begun(name)), n, 5)
    assert all(torch.equal(a, b) for a, b in zip(one, two, strict=True))
    assert torch.equal(one[0], fresh[0]) != task.continues


@every_task
def test_a_task_tells_what_it_learned_from(task):
    about = task.about()
    assert set(about) == {"source", "data_sha256"} and all(isinstance(v, str) and v for v in about.values())


@every_task
def test_broken_weights_are_located_in_words(task):
    model = built(task)
    next(p for p in model.parameters() if p.requires_grad).data.fill_(torch.nan)
    where = task.locate(model.eval(), drawn(task))
    assert isinstance(where, str) and where


@pytest.mark.parametrize("name", [name for name in TASKS if "," not in name])
def test_a_task_scores_its_model_in_plain_data_and_makes_tables_and_a_report(name, task):
    told = task.score(name, built(task), 2, 0, source="digits")
    assert {"card", "source", "n", "seed"} <= set(told) and told["n"] >= 2 and told["card"] == name
    told = json.loads(json.dumps(told))
    assert all(set(table.decimals) for table in task.tables(told))
    for section in task.report(name, built(task).eval(), told, 0, None):
        assert section.heading and isinstance(section.html, str)
