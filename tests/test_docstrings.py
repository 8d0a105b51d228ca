"""The examples in docstrings do what they show."""

import doctest
from importlib import import_module

import pytest
import torch


@pytest.mark.parametrize("module", ["ergosum.energy", "ergosum.compose", "ergosum.formula", "ergosum.timeline"])
def test_examples_run(module):
    done = doctest.testmod(import_module(module), extraglobs={"torch": torch})
    assert done.attempted > 0 and done.failed == 0
