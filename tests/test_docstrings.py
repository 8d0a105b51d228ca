"""The examples in docstrings do what they show."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
import torch

import ergosum

ROOT = Path(ergosum.__file__).parent
SHOWING = sorted(p for p in ROOT.rglob("*.py") if ">>>" in p.read_text())


@pytest.mark.parametrize("path", SHOWING, ids=lambda p: p.stem)
def test_examples_run(path):
    name = ".".join(["ergosum", *path.relative_to(ROOT).with_suffix("").parts])
    done = doctest.testmod(import_module(name), extraglobs={"torch": torch})
    assert done.attempted > 0 and done.failed == 0


def test_the_modules_that_explain_by_example_do():
    names = {p.stem for p in SHOWING}
    assert {"energy", "compose", "formula", "timeline", "part"} <= names
