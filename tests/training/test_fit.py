"""A user's own task: an energy and images of their own, trained by the same loop as every recipe."""

import json
import math
from typing import NamedTuple

import pytest
import torch
from torch import nn

from ergosum import Energy, Losses, Optimiser, Run, Task, fit, load_predictor
from ergosum.files import read_json
from ergosum.report.run_report import write_report
from ergosum.samplers.guards import NonFiniteError
from ergosum.training import Update


class Flat(Energy):
    """A small energy of images."""

    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 1, 3, padding=1))

    def forward(self, x):
        return self.net(x).flatten(1).sum(1)


class Noised(NamedTuple):
    """Images and the same with noise."""

    images: torch.Tensor
    noisy: torch.Tensor


class Denoise(Task):
    """Minus the gradient of the energy leads from a noised image back."""

    def __init__(self, images):
        self.images = images

    def build(self):
        return Flat()

    def batch(self, n, generator):
        images = self.images[torch.randint(len(self.images), (n,), generator=generator)]
        return Noised(images, images + 0.3 * torch.randn(images.shape, generator=generator))

    def loss(self, model, batch, generator, progress):
        step = batch.noisy - model.gradient(batch.noisy, create_graph=True)
        return Losses((step - batch.images).square().mean(), reference=(batch.noisy - batch.images).square().mean())


SETTINGS = {"optimiser": Optimiser(iterations=6, batch=4, rate=1e-2, ema=0.9),
            "run": Run(checkpoint_every=2, log_every=1)}  # fmt: skip


@pytest.fixture
def task():
    greys = torch.rand(32, 1, 1, 1, generator=torch.Generator().manual_seed(0))
    return Denoise(greys.expand(-1, 3, 8, 8))


def course(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["iteration"], line["loss"], line["error"]) for line in lines]


def test_a_task_of_ones_own_learns_and_leaves_a_whole_run_folder(task, tmp_path):
    longer = Optimiser(iterations=60, batch=16, rate=1e-2, ema=0.9)
    updates = list(fit(task, tmp_path / "mine", optimiser=longer, accelerator="cpu"))
    assert all(isinstance(u, Update) and math.isfinite(u.loss) for u in updates) and len(updates) == 60
    assert sum(u.loss for u in updates[-20:]) / 20 < 0.7 * 0.3**2  # of the noise
    names = {p.name for p in (tmp_path / "mine").iterdir()}
    assert names >= {"recipe.json", "metrics.jsonl", "checkpoint.pt", "model.safetensors", "run.json"}
    told = read_json(tmp_path / "mine" / "run.json")
    assert (told["name"], told["iterations"], told["source"], told["data_sha256"]) == ("mine", 60, "Denoise", "")


def test_fit_takes_a_path_as_text_and_a_name(task, tmp_path):
    for _ in fit(task, str(tmp_path / "a"), name="other", **SETTINGS):
        pass
    assert read_json(tmp_path / "a" / "recipe.json")["name"] == "other"


@pytest.mark.parametrize("stop", [1, 3])
def test_a_task_of_ones_own_resumes_to_the_same_bits(stop, task, tmp_path):
    list(fit(task, tmp_path / "whole", name="run", **SETTINGS))
    running = fit(task, tmp_path / "run", **SETTINGS)
    for update in running:
        if update.iteration == stop:
            running.close()
    assert torch.load(tmp_path / "run" / "checkpoint.pt", weights_only=True)["iteration"] == stop
    assert len(list(fit(task, tmp_path / "run", resume=True, **SETTINGS))) == 6 - stop
    assert course(tmp_path / "run") == course(tmp_path / "whole")
    weights = [(tmp_path / name / "model.safetensors").read_bytes() for name in ("run", "whole")]
    assert weights[0] == weights[1]


def test_the_trained_model_is_loaded_with_its_task_and_scored_by_default(task, tmp_path):
    list(fit(task, tmp_path / "mine", **SETTINGS))
    with pytest.raises(ValueError, match="trained from a Denoise object in Python: pass it as task="):
        load_predictor(tmp_path / "mine")
    experiment, energy = load_predictor(tmp_path / "mine", task=task)
    assert experiment.built() is task and isinstance(energy, Flat) and not energy.training
    assert energy(task.images[:2]).shape == (2,)
    told = task.score("mine", energy, n=8, seed=0)
    assert told == task.score("mine", energy, n=8, seed=0) != task.score("mine", energy, n=8, seed=1)
    assert set(told) == {"card", "source", "n", "seed", "error", "reference"} and told["source"] == "Denoise"
    (table,) = task.tables(told)
    assert dict(table.decimals) == {"error": 5, "reference": 5} and table.rows == [told]
    page = write_report(tmp_path / "mine", "my report", task.report("mine", energy, told, 0, None), told)
    assert "<h2>Training</h2>" in page.read_text()


def test_a_folder_of_another_task_of_ones_own_is_not_resumed(task, tmp_path):
    list(fit(task, tmp_path / "mine", **SETTINGS))

    class Other(Denoise):
        """Another task."""

    with pytest.raises(ValueError, match=r"task\.class was 'Denoise', now '.*Other'"):
        next(fit(Other(task.images), tmp_path / "mine", resume=True, **SETTINGS))


class Least(Task):
    """No more than what a task must have, and nothing differentiable twice."""

    def build(self):
        return nn.Linear(1, 1)

    def batch(self, n, generator):
        return Noised(*torch.rand(2, n, 1, generator=generator))

    def loss(self, model, batch, generator, progress):
        return Losses((model(batch.images) - batch.noisy).square().mean())


def test_a_task_needs_build_batch_and_loss_alone(tmp_path):
    updates = list(fit(Least(), tmp_path, **SETTINGS))
    assert updates[-1].copy_error == 0 and len(updates) == 6
    assert set(Least().score("x", nn.Linear(1, 1), 4, 0)) == {"card", "source", "n", "seed", "error"}
    assert Least().tables({}) == [] and Least().state() == {}
    for missing in (lambda t: t.build(), lambda t: t.batch(1, None), lambda t: t.loss(None, None, None, 0.0)):
        with pytest.raises(NotImplementedError):
            missing(Task())


class Wild(Least):
    """A loss that is not finite from the third batch on."""

    def loss(self, model, batch, generator, progress):
        terms = super().loss(model, batch, generator, progress)
        return Losses(terms.loss / (0 if progress > 0.3 else 1))


def test_a_loss_that_leaves_the_finite_numbers_names_the_iteration(tmp_path):
    with pytest.raises(NonFiniteError, match=r"iteration 3, first seen in the loss"):
        list(fit(Wild(), tmp_path, **SETTINGS))
    assert torch.load(tmp_path / "checkpoint.pt", weights_only=True)["iteration"] == 2


def test_progress_runs_from_0_towards_1(tmp_path):
    seen = []

    class Watching(Least):
        """Notes the progress it gets."""

        def loss(self, model, batch, generator, progress):
            seen.append(progress)
            return super().loss(model, batch, generator, progress)

    list(fit(Watching(), tmp_path, **SETTINGS))
    assert seen == pytest.approx([n / 6 for n in range(6)])


class Normalised(Denoise):
    """With a layer that counts by itself."""

    def build(self):
        return nn.Sequential(nn.Flatten(), nn.Linear(192, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))

    def loss(self, model, batch, generator, progress):
        return Losses((model(batch.noisy) - batch.images.mean((1, 2, 3))[:, None]).square().mean())


def test_running_statistics_of_the_network_are_saved_with_the_averaged_weights(task, tmp_path):
    task = Normalised(task.images)
    assert list(fit(task, tmp_path, **SETTINGS, accelerator="cpu"))
    held = torch.load(tmp_path / "checkpoint.pt", weights_only=True)["model"]
    norm = load_predictor(tmp_path, task=task)[1][2]
    assert norm.num_batches_tracked == SETTINGS["optimiser"].iterations
    assert torch.equal(norm.running_mean, held["2.running_mean"]) and norm.running_mean.abs().min() > 0


@pytest.mark.parametrize("method, gives, message", [
    ("batch", {"x": torch.zeros(4)}, "Task.batch: expected a NamedTuple of tensors, got dict"),
    ("loss", torch.zeros(()), "Task.loss: expected training.Losses, got Tensor"),
])  # fmt: skip
def test_a_task_that_gives_something_else_is_told_what_was_expected(method, gives, message, task, tmp_path):
    setattr(task, method, lambda *_: gives)
    with pytest.raises(TypeError, match=message):
        next(fit(task, tmp_path, **SETTINGS, accelerator="cpu"))


def test_a_run_goes_on_in_a_folder_that_was_renamed(task, tmp_path):
    settings = {**SETTINGS, "optimiser": Optimiser(iterations=2, batch=4, rate=1e-2, ema=0.9)}
    assert list(fit(task, tmp_path / "a", **settings, accelerator="cpu"))
    (tmp_path / "a").rename(tmp_path / "b")
    assert len(list(fit(task, tmp_path / "b", **SETTINGS, resume=True, accelerator="cpu"))) == 4
