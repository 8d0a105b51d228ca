"""What the whole suite shares: one thread, `--slow`, MNIST where it is at hand, tiny experiments and one tiny run."""

import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch
from shrink import fill, shrunk

from ergosum.data.sequences import DigitSequences
from ergosum.density.table import measure
from ergosum.recipes import find
from ergosum.training.experiment import Experiment
from ergosum.training.loop import train

torch.set_num_threads(1)


def pytest_addoption(parser):
    parser.addoption("--slow", action="store_true", help="run the tests that take longer")


def pytest_collection_modifyitems(config, items):
    if not config.getoption("--slow"):
        for item in items:
            if "slow" in item.keywords:
                item.add_marker(pytest.mark.skip(reason="takes longer; runs with --slow"))


@pytest.fixture(autouse=True, scope="session")
def cache(tmp_path_factory):
    """A cache of the tests' own."""
    before = os.environ.get("XDG_CACHE_HOME")
    os.environ["XDG_CACHE_HOME"] = str(tmp_path_factory.mktemp("cache"))
    yield
    if before is None:
        del os.environ["XDG_CACHE_HOME"]
    else:
        os.environ["XDG_CACHE_HOME"] = before


@pytest.fixture(autouse=True, scope="session")
def few_images():
    """Tiny runs of concepts have 32 images: they fit a space and keep codes of 64, and do not go round and round. What
    has hardly learned is measured in fewer steps from level to level.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("ergosum.density.task.measure", partial(measure, between=1))
        for name in ("task.FITTED", "task.KEPT", "objects.FITTED"):
            patch.setattr(f"ergosum.concepts.{name}", 64)
        yield


@pytest.fixture
def mnist(monkeypatch):
    """The folder with MNIST's files; skips where they are not at hand."""
    root = Path(os.environ.get("ERGOSUM_DATA") or "nowhere")
    if not any((folder / "t10k-images-idx3-ubyte.gz").is_file() for folder in (root, root / "mnist")):
        pytest.skip("MNIST is not at hand: set ERGOSUM_DATA to a folder that holds its idx files")
    monkeypatch.setenv("ERGOSUM_DATA", str(root.resolve()))
    return root


@pytest.fixture
def no_mnist(monkeypatch, tmp_path):
    """An empty ERGOSUM_DATA and an empty cache: the folder that stands for ERGOSUM_DATA."""
    monkeypatch.setenv("ERGOSUM_DATA", str(tmp_path / "given"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "given").mkdir()
    return tmp_path / "given"


@pytest.fixture
def rng():
    return torch.Generator().manual_seed(0)


@pytest.fixture(scope="session")
def digits():
    """Twelve held-out digits."""
    data = DigitSequences(source="digits", split="test")
    return data.draw_digits(12, torch.Generator().manual_seed(1))


@pytest.fixture(scope="session")
def tiny():
    """A recipe or experiment shrunk until three updates take a moment, then changed:
    tiny("colour", task={"model": {"descent": {"steps": 2}}}, run={"seed": 3}).
    """

    def make(recipe="colour", **changes):
        experiment = recipe if isinstance(recipe, Experiment) else find(recipe)
        return shrunk(experiment).but(**fill(changes))

    return make


@pytest.fixture(scope="session")
def learn(tiny):
    """Train a tiny recipe to its end, or until `stop` updates are done, and return its updates."""

    def go(folder, recipe="colour", resume=False, stop=None, **changes):
        updates = []
        running = train(tiny(recipe, **changes), folder, resume, "cpu")
        for update in running:
            updates.append(update)
            if len(updates) == stop:
                running.close()
        return updates

    return go


@pytest.fixture(scope="session")
def grown_from(tmp_path_factory, learn):
    """What a recipe of a growing model has to be told: the tiny run that it starts from; of all others, nothing."""
    runs = {}

    def changes(name):
        before = {"concepts-shape": "concepts-place", "concepts-colour": "concepts-shape"}.get(name, "")
        if not before:
            return {}
        if before not in runs:
            runs[before] = tmp_path_factory.mktemp("grown") / before
            learn(runs[before], before, **changes(before))
        return {"task": {"model": {"grown_from": str(runs[before])}}}

    return changes


@pytest.fixture(scope="session")
def trained(tmp_path_factory, learn):
    """The folder of a tiny colour run. Treat it as read-only; copy it to break it."""
    folder = tmp_path_factory.mktemp("runs") / "colour"
    learn(folder)
    return folder


@pytest.fixture(scope="session")
def command():
    """Start `python -m ergosum` as a process of its own."""

    def start(*arguments, **options):
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **options.pop("env", {})}
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
        return subprocess.Popen([sys.executable, "-m", "ergosum", *map(str, arguments)], env=environment, **pipes,
                                **options)  # fmt: skip

    return start
