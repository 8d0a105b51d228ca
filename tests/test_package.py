"""What `from ergosum import ...` gives."""

from importlib import import_module
from inspect import ismodule

import ergosum


def test_a_public_name_is_never_the_module_of_that_name_whatever_was_imported_before():
    import_module("ergosum.terms")
    import_module("ergosum.calibrate")
    assert [name for name in ergosum.__all__ if ismodule(getattr(ergosum, name))] == []
