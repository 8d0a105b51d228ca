"""What tests of concepts share."""

import pytest


@pytest.fixture(scope="module")
def quick_reading():
    """Numbers are read from few starts in few steps, at few levels: enough of models that have hardly learned."""
    with pytest.MonkeyPatch.context() as patch:
        for name, few in (("CANDIDATES", 2), ("GRID", 2), ("STEPS", 3)):
            patch.setattr(f"ergosum.concepts.inference.{name}", few)
        yield
