"""The examples in docstrings do what they show."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
import torch

import ergosum

ROOT = Path(ergosum.__file__).parents[1]
SHOWN = [path for path in sorted((ROOT / "ergosum").rglob("*.py")) if ">>>" in path.read_text()]


@pytest.mark.parametrize("path", SHOWN, ids=lambda p: p.stem)
def test_examples_run(path):
    module = import_module(".".join(path.relative_to(ROOT).with_suffix("").parts))
    done = doctest.testmod(module, extraglobs={"torch": torch})
    assert done.attempted > 0 and done.failed == 0
