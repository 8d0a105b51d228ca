"""Mutations of the code are caught by the tests that are named with them, and the script that tries them is right."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
AREAS = sorted(path.stem for path in (HERE / "mutations").glob("*.toml"))


def try_out(script, *arguments):
    done = subprocess.run([sys.executable, script, *arguments], capture_output=True, text=True, cwd=script.parent)
    return done.returncode, done.stdout + done.stderr


def test_every_mutation_still_fits_the_code():
    spec = importlib.util.spec_from_file_location("the_mutants", HERE / "mutants.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert len(module.read([])) > len(AREAS) > 10


@pytest.mark.slow
@pytest.mark.parametrize("area", AREAS)
def test_every_mutation_of_an_area_is_caught(area):
    code, said = try_out(HERE / "mutants.py", "--only", area)
    assert code == 0, said


@pytest.fixture
def tree(tmp_path):
    """A tree of one module and one test that notices a wrong sum and no wrong product, and its list of mutations."""
    for folder in ("package", "tests/mutations"):
        (tmp_path / folder).mkdir(parents=True)
    shutil.copy(HERE / "mutants.py", tmp_path / "tests")
    (tmp_path / "package/__init__.py").touch()
    (tmp_path / "package/sums.py").write_text(
        "def plus(a, b):\n    return a + b\n\n\ndef times(a, b):\n    return a * b\n"
    )
    (tmp_path / "tests/conftest.py").write_text(
        "def pytest_addoption(parser):\n    parser.addoption('--slow', action='store_true')\n"
    )
    (tmp_path / "tests/test_sums.py").write_text(
        "from package.sums import plus, times\n\n\ndef test_sums():\n    assert plus(2, 2) == 4 == times(2, 2)\n"
    )
    return tmp_path


def write_list(tree, old="a + b", new="a - b", test="tests/test_sums.py"):
    entry = (
        f'[[mutation]]\nfile = "package/sums.py"\nold = "{old}"\nnew = "{new}"\ntests = ["{test}"]\nwhy = "a reason"\n'
    )
    (tree / "tests/mutations/sums.toml").write_text(entry)


def test_a_mutation_that_is_noticed_is_caught_and_the_tree_is_as_before(tree):
    write_list(tree)
    before = {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()}
    code, said = try_out(tree / "tests/mutants.py", "--only", "sums", "--jobs", "2")
    assert code == 0 and "1 of 1 mutations caught" in said
    assert {path: path.read_bytes() for path in tree.rglob("*") if path.is_file()} == before


def test_a_survivor_is_named_and_fails_the_run(tree):
    write_list(tree, "a * b", "a + b")
    code, said = try_out(tree / "tests/mutants.py")
    assert code == 1 and "not caught: package/sums.py: 'a * b' -> 'a + b' (a reason), by tests/test_sums.py" in said


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"old": "return"}, "occurs 2 times"),
        ({"old": "a / b"}, "occurs 0 times"),
        ({"new": "a + b"}, "the same as"),
        ({"test": "tests/test_none.py"}, "no test tests/test_none.py"),
    ],
)
def test_an_entry_that_cannot_be_applied_is_refused(tree, change, told):
    write_list(tree, **change)
    code, said = try_out(tree / "tests/mutants.py")
    assert code == 1 and "sums.toml, entry 1" in said and told in said


def test_tests_that_fail_anyway_catch_nothing(tree):
    write_list(tree)
    (tree / "package/sums.py").write_text("def plus(a, b):\n    return a + b + 1\n\n\ntimes = plus\n")
    code, said = try_out(tree / "tests/mutants.py")
    assert code == 1 and "do not pass without a mutation" in said


def test_a_mutation_that_stops_the_tests_from_being_collected_is_not_caught(tree):
    write_list(tree, "def plus(a, b):", "def minus(a, b):")
    code, said = try_out(tree / "tests/mutants.py")
    assert code == 1 and "NOT RUN" in said
