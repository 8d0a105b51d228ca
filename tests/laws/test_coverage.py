"""No public name escapes the laws."""

import ast
import inspect
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import pytest
from cases import ELSEWHERE, ENERGIES, NETS, family, public_names
from clip_cases import CLIPS
from dataset_cases import DATASETS
from kernels import EXAMPLE, ROWS
from task_cases import TASKS

import ergosum

SOURCES = sorted(Path(ergosum.__file__).parent.rglob("*.py"))
RANDOM = {"rand", "randn", "randint", "randperm", "rand_like", "randn_like", "randint_like", "multinomial", "normal",
          "bernoulli", "poisson", "dropout", "dropout2d", "normal_", "uniform_", "exponential_"}  # fmt: skip


def test_every_public_name_has_a_row():
    rows = {family(row) for table in (ENERGIES, NETS, ROWS, TASKS, DATASETS, CLIPS) for row in table} | set(ELSEWHERE)
    names = public_names()
    assert {n: names[n] for n in set(names) - rows} == {}
    assert rows - {EXAMPLE} <= set(names), "a row without a public name"


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_name_tested_elsewhere_is_named_there(name):
    assert name in (Path(__file__).parents[1] / ELSEWHERE[name]).read_text()


@pytest.mark.parametrize("name", ergosum.__all__)
def test_every_name_of_the_package_can_be_imported_whatever_was_imported_before(name):
    for module in iter_modules(ergosum.__path__):  # one of the same name would hide a function
        if module.name != "__main__":
            import_module(f"ergosum.{module.name}")
    assert getattr(ergosum, name).__name__ == name
    assert not inspect.ismodule(getattr(ergosum, name))


def test_a_name_that_the_package_has_not_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        _ = ergosum.Nothing


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: p.stem)
def test_randomness_is_always_an_argument(path):
    tree = ast.parse(path.read_text())
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            assert not {a.name for a in node.names} & {"random"}, f"{path}:{node.lineno} imports random"
        if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
            continue
        called = ast.unparse(node.func)
        assert not called.startswith(("np.random", "numpy.random")), f"{path}:{node.lineno} {called}"
        if node.func.attr in RANDOM and not called.startswith("nn.init."):
            assert "generator" in {k.arg for k in node.keywords}, f"{path}:{node.lineno} {called} without generator"
        if called == "torch.manual_seed":
            trains = "training" in path.parts or path.stem == "classifiers"
            assert trains, f"{path}:{node.lineno} sets the global seed outside of training"
