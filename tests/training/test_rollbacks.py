"""A run that diverges goes back to its last checkpoint, with half the rate and other random numbers, and says so."""

import json
from typing import NamedTuple

import pytest
import torch
from torch import Tensor, nn

from ergosum.files import read_json
from ergosum.samplers.guards import NonFiniteError
from ergosum.training import loop
from ergosum.training.experiment import Optimiser, Run
from ergosum.training.loop import RollbackWarning, fit
from ergosum.training.task import DivergenceError, Losses, Task


class Points(NamedTuple):
    x: Tensor


class Fragile(Task):
    """A line through points; its loss is not finite, or the task says so, in the calls named."""

    def __init__(self, bad=(), raises=False):
        self.bad, self.raises, self.calls, self.seen = set(bad), raises, 0, []
        self.memory = torch.zeros(1)

    def build(self):
        return nn.Linear(1, 1)

    def batch(self, n, generator):
        return Points(torch.rand(n, 1, generator=generator))

    def loss(self, model, batch, generator, progress):
        self.calls += 1
        self.seen.append(batch.x.sum().item())
        self.memory += 1
        loss = (model(batch.x) - 2 * batch.x).square().mean()
        if self.calls in self.bad and self.raises:
            raise DivergenceError("energies are 9 apart")
        return Losses(loss * torch.nan if self.calls in self.bad else loss)

    def state(self):
        return {"memory": self.memory}

    def load(self, state):
        self.memory = state["memory"].clone()


def trained(folder, task, rollbacks=1, iterations=10, resume=False, stop=None, every=4):
    running = fit(
        task, folder, optimiser=Optimiser(iterations=iterations, batch=4, schedule="constant", ema=0.0),
        run=Run(checkpoint_every=every, log_every=1, rollbacks=rollbacks), accelerator="cpu", resume=resume,
    )  # fmt: skip
    updates = []
    for update in running:
        updates.append(update.iteration)
        if len(updates) == stop:
            running.close()
    return updates


@pytest.mark.parametrize("raises", [False, True], ids=["not finite", "told"])
def test_it_goes_back_to_the_last_checkpoint_once_and_then_to_the_end(raises, tmp_path):
    task = Fragile(bad={7}, raises=raises)
    with pytest.warns(RollbackWarning, match=r"at iteration 7 .* back to iteration 4 with 0\.5 of .*: 1 of 1"):
        updates = trained(tmp_path, task)
    assert updates == [1, 2, 3, 4, 5, 6, 5, 6, 7, 8, 9, 10]
    assert read_json(tmp_path / "run.json")["rollbacks"] == 1
    lines = [json.loads(line)["iteration"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    assert lines == list(range(1, 11))
    assert task.memory.item() == 10, "what the task keeps goes back as well"
    assert task.seen[4] != task.seen[7], "the same batches again would diverge again"


def test_after_going_back_the_rate_is_half(tmp_path, monkeypatch):
    rates = []
    step = torch.optim.AdamW.step

    def watched(self, *arguments, **options):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *arguments, **options)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    with pytest.warns(RollbackWarning):
        trained(tmp_path, Fragile(bad={7, 9}), rollbacks=2)
    peak = Optimiser().rate
    assert [r / peak for r in rates[3:7]] == pytest.approx([1.0, 1.0, 1.0, 0.5])
    assert rates[-1] / peak == pytest.approx(0.25)


@pytest.mark.parametrize(("raises", "error"), [(False, NonFiniteError), (True, DivergenceError)])
def test_when_it_may_not_go_back_again_the_error_passes_on(raises, error, tmp_path):
    with pytest.warns(RollbackWarning), pytest.raises(error, match="iteration 6"):
        trained(tmp_path, Fragile(bad={7, 9}, raises=raises), rollbacks=1)
    with pytest.raises(error, match=r"iteration 3.*(lower optimiser\.rate)"):
        trained(tmp_path / "never", Fragile(bad={3}, raises=raises), rollbacks=0)


def test_an_allowed_rollback_that_is_not_needed_changes_no_bit(tmp_path):
    for name, rollbacks in (("none", 0), ("three", 3)):
        trained(tmp_path / name, Fragile(), rollbacks)
    trained(tmp_path / "parts", Fragile(), 3, stop=6)
    assert trained(tmp_path / "parts", Fragile(), 3, resume=True) == [7, 8, 9, 10]
    one, other, parts = (tmp_path / name / "model.safetensors" for name in ("none", "three", "parts"))
    assert one.read_bytes() == other.read_bytes() == parts.read_bytes()


def test_a_resumed_run_goes_back_to_where_it_was_resumed_and_counts_on(tmp_path):
    with pytest.warns(RollbackWarning):
        trained(tmp_path, Fragile(bad={3}), 2, stop=8)
    with pytest.warns(RollbackWarning, match=r"iteration 7 .* back to iteration 6 with 0\.25 .*2 of 2"):
        assert trained(tmp_path, Fragile(bad={1}), 2, resume=True) == [7, 8, 9, 10]
    assert read_json(tmp_path / "run.json")["rollbacks"] == 2


def test_a_run_of_an_earlier_version_whose_recipe_has_fewer_fields_goes_on(tmp_path):
    trained(tmp_path, Fragile(), 0, stop=4)
    recipe = read_json(tmp_path / "recipe.json")
    del recipe["run"]["rollbacks"], recipe["optimiser"]["ema"]
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    content = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    del content["rollbacks"]
    torch.save(content, tmp_path / "checkpoint.pt")
    with pytest.raises(ValueError, match=r"optimiser\.ema was 0\.998, now 0\.0"):
        trained(tmp_path, Fragile(), 0, resume=True)
    recipe["optimiser"]["ema"] = 0.0
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    assert trained(tmp_path, Fragile(), 0, resume=True)[-1] == 10


def test_several_processes_do_not_go_back():
    with pytest.raises(ValueError, match=r"run\.rollbacks: expected 0 with several devices, got 1"):
        Run(rollbacks=1, devices=2)
    with pytest.raises(ValueError, match=r"run\.rollbacks: expected an integer >= 0"):
        Run(rollbacks=-1)
    assert set(loop.DIVERGED) >= {NonFiniteError, DivergenceError}
