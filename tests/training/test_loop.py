"""The training loop in one process: every recipe, resuming to the bit, and every way in which a run can end early."""

import errno
import json
import math
import shutil

import pytest
import torch
from shrink import one_of_each_kind
from torch import nn

from ergosum.decomposer import Trajectory
from ergosum.decomposition import ImageBaseline
from ergosum.decomposition.recombination import decompose
from ergosum.density import Densities
from ergosum.density.recipes import CLASSIC
from ergosum.files import read_json
from ergosum.nets.unet import UNetInnerProduct
from ergosum.part import Part
from ergosum.recipes import RECIPES, find
from ergosum.samplers.guards import NonFiniteError
from ergosum.temporal import Prediction, PredictionLoss
from ergosum.temporal.discovery import Discovery
from ergosum.training import loop
from ergosum.training.experiment import Optimiser
from ergosum.training.loop import DeadRunError, train
from ergosum.training.runfolder import load_predictor, load_weights
from ergosum.training.schedule import learning_rate

TIMING = ("images_per_s", "seconds")
NOISY = {"task": {"model": {"descent": {"noise": 0.01, "training_steps": 0}}, "persistent": 0.5}}


def logged(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in TIMING} for line in lines]


def same_run(a, b):
    return (a / "model.safetensors").read_bytes() == (b / "model.safetensors").read_bytes() and logged(a) == logged(b)


@pytest.fixture(scope="module")
def lockstep(learn, tmp_path_factory):
    """The tiny run that the shared recipes start from."""
    folder = tmp_path_factory.mktemp("runs") / "unsupervised"
    learn(folder, "unsupervised")
    return folder


HALF = {"colour", "tetrominoes"}
"""The recipes that are tried in half precision, one of each system that has it: many CPUs emulate it."""


KINDS = one_of_each_kind(RECIPES)
"""They are trained; the others, which have other settings, are built, and trained with --slow."""


@pytest.mark.parametrize("name", [n for n in RECIPES if n not in KINDS])
def test_every_other_recipe_builds_its_model(name, tiny, grown_from):
    model = tiny(name, **grown_from(name)).built().build()
    assert any(weight.requires_grad for weight in model.parameters())


@pytest.mark.parametrize("name", [n if n in KINDS else pytest.param(n, marks=pytest.mark.slow) for n in RECIPES])
def test_every_recipe_takes_two_steps_and_can_be_used(name, learn, tmp_path, request):
    changes = {"run": {"warm_start": str(request.getfixturevalue("lockstep"))}} if name.startswith("shared") else {}
    changes |= request.getfixturevalue("grown_from")(name)
    assert find(name).optimiser.precision == "bf16" or name not in HALF
    precision = "bf16" if name in HALF else "32"
    updates = learn(tmp_path, name, optimiser={"iterations": 2, "precision": precision}, **changes)
    assert [u.iteration for u in updates] == [1, 2]
    assert all(math.isfinite(u.loss) and math.isfinite(u.error) for u in updates)
    bounded = name not in CLASSIC  # a difference of energies, or a score's, has no sign
    assert all(u.loss > 0 and u.error > 0 for u in updates) or not bounded
    experiment, model = load_predictor(tmp_path)
    generator, task = torch.Generator().manual_seed(0), experiment.built()
    if isinstance(task, Prediction):
        images = torch.rand(2, 3, 28, 28, generator=generator)
        made = model.predict(images, moves=torch.ones(2, 3))
    elif isinstance(task, Discovery):
        images = torch.rand(2, 3, 28, 28, generator=generator)
        made = model.act(images, model.read(images, images.roll(1, 3)))
    elif isinstance(task, Densities):
        images = torch.rand(2, *model.image, generator=generator)
        made = model.decode(model.encode(images))
        x = model.encode(images)
        assert all(torch.isfinite(energy(x)).all() for energy in model.energies().values())
    else:
        images = torch.rand(2, 3, task.side, task.side, generator=generator)
        whole = isinstance(model, ImageBaseline)
        made = model.recompose(model.encode(images)) if whole else decompose(model, images, generator).whole
    assert made.shape == images.shape
    assert logged(tmp_path)[-1]["iteration"] == 2 and read_json(tmp_path / "run.json")["iterations"] == 2
    assert experiment.name == name


def test_training_lowers_the_error_of_the_colour_energy(learn, tmp_path):
    wider = {"model": {"encoder": {"width": 8}, "energy": {"width": 8}}}
    optimiser = {"iterations": 60, "batch": 16, "rate": 5e-3}
    updates = learn(tmp_path, task=wider, optimiser=optimiser, run={"log_every": 60})
    first, last = (sum(u.loss for u in part) for part in (updates[:10], updates[-10:]))
    assert last < 0.7 * first


@pytest.mark.parametrize("changes", [{}, NOISY], ids=["plain", "persistent"])
@pytest.mark.parametrize("stop", [2, 3])
def test_an_interrupted_run_resumes_to_the_same_bits(changes, stop, learn, tmp_path):
    rhythm = {"optimiser": {"iterations": 6}, "run": {"checkpoint_every": 2}, **changes}
    learn(tmp_path / "whole", **rhythm)
    learn(tmp_path / "parts", stop=stop, **rhythm)
    assert read_checkpoint(tmp_path / "parts")["iteration"] == stop
    assert len(learn(tmp_path / "parts", resume=True, **rhythm)) == 6 - stop
    assert same_run(tmp_path / "whole", tmp_path / "parts")


def test_other_seeds_give_other_runs(learn, tmp_path):
    for seed in (0, 1):
        learn(tmp_path / str(seed), run={"seed": seed})
    assert not same_run(tmp_path / "0", tmp_path / "1")


def read_checkpoint(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)


def test_a_run_goes_on_from_its_checkpoint_and_drops_what_was_logged_after_it(learn, tmp_path):
    rhythm = {"optimiser": {"iterations": 6}, "run": {"checkpoint_every": 2}}
    learn(tmp_path / "whole", **rhythm)
    learn(tmp_path / "run", stop=4, **rhythm)
    with (tmp_path / "run" / "metrics.jsonl").open("a") as file:
        file.write(json.dumps({"iteration": 5, "loss": 0}) + "\n" + '{"iteration": 6, "lo')
    learn(tmp_path / "run", resume=True, **rhythm)
    assert same_run(tmp_path / "whole", tmp_path / "run")


def test_a_folder_that_holds_a_run_is_not_overwritten(trained, tiny):
    before = (trained / "checkpoint.pt").read_bytes()
    with pytest.raises(FileExistsError, match="already holds a run; add --resume"):
        next(train(tiny(), trained, accelerator="cpu"))
    assert (trained / "checkpoint.pt").read_bytes() == before


def test_there_must_be_a_whole_checkpoint_to_resume(trained, tiny, tmp_path):
    with pytest.raises(FileNotFoundError, match="Nothing to resume"):
        next(train(tiny(), tmp_path / "none", True, "cpu"))
    assert not (tmp_path / "none").exists()
    broken = shutil.copytree(trained, tmp_path / "broken")
    whole = (trained / "checkpoint.pt").read_bytes()
    (broken / "checkpoint.pt").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ValueError, match="is truncated or no checkpoint"):
        next(train(tiny(), broken, True, "cpu"))
    content = read_checkpoint(trained)
    content["model"]["log_step"].fill_(torch.nan)
    torch.save(content, broken / "checkpoint.pt")
    with pytest.raises(ValueError, match="holds non-finite weights in 'log_step'"):
        next(train(tiny(), broken, True, "cpu"))


def test_a_run_that_blows_up_stops_with_iteration_and_culprit_and_keeps_its_checkpoint(learn, tmp_path):
    descent = {"step_size": 1e30, "steps": 4, "training_steps": 0}
    wild = {"task": {"model": {"energy": Part(UNetInnerProduct), "descent": descent}}}
    with pytest.raises(NonFiniteError, match=r"at iteration 1, first seen in the sum of all components \(Descent left"):
        learn(tmp_path, **wild)
    assert not (tmp_path / "model.safetensors").exists()


def test_weights_that_turn_nan_are_located_in_their_component(learn, tmp_path, monkeypatch):
    def poisoned(task):
        model = built(task)
        next(model.energies[1].parameters()).data.fill_(torch.nan)
        return model

    built = Prediction.build
    monkeypatch.setattr(Prediction, "build", poisoned)
    with pytest.raises(NonFiniteError, match=r"iteration 1, first seen in component 'scale'.*run.warm_start"):
        learn(tmp_path, task={"model": {"components": ("colour", "scale", "angle")}})


@pytest.mark.parametrize("clip", [1.0, 0.0])
def test_a_gradient_that_is_not_finite_never_reaches_the_weights(clip, learn, tmp_path, monkeypatch):
    true = PredictionLoss.__call__

    def kinked(objective, pairs, path):
        terms = true(objective, pairs, path)
        return terms._replace(loss=terms.loss + (0 * path.frames[-1]).sum().sqrt())  # 0, with an infinite slope

    learn(tmp_path, stop=2, optimiser={"clip": clip}, run={"checkpoint_every": 1})
    before = (tmp_path / "checkpoint.pt").read_bytes()
    monkeypatch.setattr(PredictionLoss, "__call__", kinked)
    with pytest.raises(NonFiniteError, match=r"Non-finite gradient of the weights.*iteration 3"):
        learn(tmp_path, resume=True, optimiser={"clip": clip}, run={"checkpoint_every": 1})
    assert (tmp_path / "checkpoint.pt").read_bytes() == before


class Parrot(nn.Module):
    """Gives back its input, whatever its weight."""

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))

    def forward(self, start, *_, **__):
        return Trajectory([start, start + 1e-6 * self.weight], [], torch.zeros(len(start), 1, 0))


def test_a_model_that_gives_back_its_input_is_declared_dead(learn, tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "DEAD_AFTER", 5)
    learn(tmp_path / "alive", optimiser={"iterations": 8, "rate": 0.05})
    monkeypatch.setattr(Prediction, "build", lambda _: Parrot())
    with pytest.raises(DeadRunError, match=r"returned its input unchanged for 5 updates \(iteration 5\)"):
        learn(tmp_path / "dead", optimiser={"iterations": 8})
    assert "returned its input unchanged" in read_json(tmp_path / "dead" / "run.json")["died"]


@pytest.mark.parametrize("failure", [OSError(errno.ENOSPC, "No space left on device"), RuntimeError("write failed")])
def test_a_full_disk_keeps_the_checkpoint_before_it(failure, learn, tmp_path, monkeypatch):
    rhythm = {"optimiser": {"iterations": 4}, "run": {"checkpoint_every": 2}}
    learn(tmp_path / "whole", **rhythm)
    learn(tmp_path / "run", stop=2, **rhythm)
    before = {p: p.read_bytes() for p in (tmp_path / "run").glob("*.*") if p.suffix != ".jsonl"}

    def full(content, path):
        path.write_bytes(b"half")
        raise failure

    with monkeypatch.context() as patch, pytest.raises(OSError, match=r"Could not write .*checkpoint\.pt"):
        patch.setattr(torch, "save", full)
        learn(tmp_path / "run", resume=True, **rhythm)
    assert {p: p.read_bytes() for p in (tmp_path / "run").glob("*.*") if p.suffix != ".jsonl"} == before
    assert [p.name for p in (tmp_path / "run").glob(".*")] == [".lock"]
    learn(tmp_path / "run", resume=True, **rhythm)
    assert same_run(tmp_path / "whole", tmp_path / "run")


def test_a_warm_start_takes_over_what_fits_and_refuses_what_does_not(trained, tiny, tmp_path):
    stored = load_weights(trained / "model.safetensors")
    frozen = tiny(run={"warm_start": str(trained)}, task={"freeze_encoder": True}, optimiser={"ema": 0.0})
    for _ in train(frozen, tmp_path / "run", accelerator="cpu"):
        pass
    after = load_weights(tmp_path / "run" / "model.safetensors")
    moved = {k.partition(".")[0] for k in after if not torch.equal(after[k], stored[k])}
    assert moved == {"energies"}
    other = tiny("feedforward-unet-colour", run={"warm_start": str(trained)})
    with pytest.raises(ValueError, match=r"no weight of .* fits this model"):
        next(train(other, tmp_path / "other", accelerator="cpu"))


def test_only_active_components_learn(lockstep, learn, tmp_path):
    learn(tmp_path, "shared-angle", run={"warm_start": str(lockstep)}, optimiser={"ema": 0.0})
    before, after = (load_weights(f / "model.safetensors") for f in (lockstep, tmp_path))
    moved = {k.rpartition(".body")[0] for k in after if not torch.equal(after[k], before[k])}
    assert moved == {"energies.1"}  # components are colour, angle, scale; the encoder is frozen


def test_clipping_bounds_the_gradient_and_zero_switches_it_off(learn, tmp_path):
    for clip in (0.0, 1e9, 1e-6):
        learn(tmp_path / str(clip), optimiser={"clip": clip})
    assert same_run(tmp_path / "0.0", tmp_path / "1000000000.0")
    assert not same_run(tmp_path / "0.0", tmp_path / "1e-06")


def test_the_average_of_the_weights_is_what_is_saved(learn, tmp_path):
    for decay in (0.0, 0.9):
        learn(tmp_path / str(decay), optimiser={"ema": decay})
        content = read_checkpoint(tmp_path / str(decay))
        stored = load_weights(tmp_path / str(decay) / "model.safetensors")
        assert all(torch.equal(stored[k], content["ema"][k]) for k in stored)
        lag = max((content["model"][k] - content["ema"][k]).abs().max().item() for k in stored)
        assert (lag > 0) == (decay > 0)


@pytest.mark.parametrize("schedule", ["cosine", "onecycle", "constant"])
def test_the_learning_rate_warms_up_to_its_peak_and_then_never_rises(schedule):
    settings = Optimiser(iterations=1000, rate=1e-2, schedule=schedule)
    rates = [learning_rate(settings, i) for i in range(1000)]
    peak = rates.index(max(rates))
    assert 0 < rates[0] < 0.06e-2 and max(rates) == pytest.approx(1e-2, rel=0.05) and min(rates) > 0
    assert rates[: peak + 1] == sorted(rates[: peak + 1]) and rates[peak:] == sorted(rates[peak:], reverse=True)
    assert (rates[-1] == pytest.approx(1e-2)) == (schedule == "constant")
    assert learning_rate(Optimiser(iterations=1), 0) > 0


def test_the_log_keeps_the_stated_rhythm(learn, tmp_path):
    learn(tmp_path, optimiser={"iterations": 7}, run={"log_every": 3})
    assert [line["iteration"] for line in logged(tmp_path)] == [3, 6, 7]
    assert set(logged(tmp_path)[0]) == {"iteration", "loss", "error", "copy_error"}


def test_the_weights_do_not_depend_on_what_else_drew_random_numbers(learn, tmp_path):
    learn(tmp_path / "a")
    torch.rand(5)
    learn(tmp_path / "b")
    assert same_run(tmp_path / "a", tmp_path / "b")


def test_a_resumed_run_is_not_shortened(learn, tmp_path):
    learn(tmp_path, optimiser={"iterations": 4})
    before = (tmp_path / "recipe.json").read_bytes()
    with pytest.raises(ValueError, match=r"has made 4 updates already; expected optimiser\.iterations >= 4, got 3"):
        learn(tmp_path, resume=True, optimiser={"iterations": 3})
    assert (tmp_path / "recipe.json").read_bytes() == before


def test_the_model_is_checked_before_data_are_read(tiny, tmp_path, no_mnist):
    wrong = tiny("colour", task={"model": {"descent": {"steps": 0}}}).but(task={"data": {"source": "mnist"}})
    with pytest.raises(ValueError, match=r"descent\.steps: expected a number >= 1"):
        next(train(wrong, tmp_path / "run", accelerator="cpu"))
    assert not (tmp_path / "run").exists()
