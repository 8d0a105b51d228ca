"""What tests of concepts share."""

from functools import partial

import pytest

from ergosum.concepts.scores import random_formulas


@pytest.fixture(scope="module")
def quick_scores():
    """Numbers are read from few starts in few steps, at few levels, and few random formulas are scored: enough of
    models that have hardly learned.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, few in (("CANDIDATES", 2), ("GRID", 2), ("STEPS", 3)):
            patch.setattr(f"ergosum.concepts.inference.{name}", few)
        patch.setattr("ergosum.concepts.scores.random_formulas", partial(random_formulas, count=4))
        yield
