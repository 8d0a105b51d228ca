"""A test of the tests: every listed mutation of the code must make the tests fail that are named with it.

    python tests/mutants.py [--only AREA ...] [--jobs N]

The lists are `tests/mutations/<area>.toml`. An entry holds the `file`, the text `old` that is replaced by `new` (it
must occur exactly once), the `tests` of which at least one must fail, and `why`: what the mutation does wrong.

    [[mutation]]
    file = "ergosum/metrics/mig.py"
    old = "/ entropy)"
    new = "/ entropy.max())"
    tests = ["tests/metrics/test_mig.py"]
    why = "divides every gap by the largest entropy, not by that of its own factor"

The working tree is never changed: each mutation gets a temporary tree of symbolic links in which the one file differs.
The named tests of an area are run without a mutation first and must pass. A mutation is caught if pytest reports failed
tests. If it cannot even collect them, or does not come back within a quarter of an hour, nothing is shown.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).absolute().parents[1]
KEYS = {"file", "old", "new", "tests", "why"}
LEFT_OUT = {"__pycache__", ".git", ".venv", ".pytest_cache", ".ruff_cache"}
SECONDS = 900
PASSED, FAILED = 0, 1
"""Exit codes of pytest; all others mean that the tests were not run."""


class Mutation(NamedTuple):
    area: str
    file: str
    old: str
    new: str
    tests: list[str]
    why: str


class Result(NamedTuple):
    mutation: Mutation
    verdict: str
    seconds: float


def read(only: Iterable[str]) -> list[Mutation]:
    """The entries of all areas, or of those named; exits with a message that names each entry that is at fault."""
    lists = {path.stem: path for path in sorted((ROOT / "tests" / "mutations").glob("*.toml"))}
    unknown = sorted(set(only) - set(lists))
    if unknown:
        sys.exit(f"no list of mutations is called {', '.join(unknown)}; there are {', '.join(lists) or 'none'}")
    found, wrong = [], []
    for area in only or lists:
        for number, entry in enumerate(tomllib.loads(lists[area].read_text()).get("mutation", []), 1):
            fault = _fault(entry)
            if fault:
                wrong.append(f"{lists[area].name}, entry {number}: {fault}")
            else:
                found.append(Mutation(area, **entry))
    if wrong:
        sys.exit("\n".join(wrong))
    return found


def _fault(entry: dict) -> str:
    if set(entry) != KEYS:
        return f"expected the keys {', '.join(sorted(KEYS))}; got {', '.join(sorted(entry))}"
    if not (ROOT / entry["file"]).is_file():
        return f"there is no file {entry['file']}"
    count = (ROOT / entry["file"]).read_text().count(entry["old"])
    if count != 1:
        return f"`old` occurs {count} times in {entry['file']}; it must occur exactly once"
    missing = [name for name in entry["tests"] if not (ROOT / name.partition("::")[0]).exists()]
    if missing or not entry["tests"]:
        return f"there is no test {', '.join(missing)}" if missing else "names no test"
    return "`new` is the same as `old`" if entry["old"] == entry["new"] else ""


def mirror(tree: Path, file: str | None = None) -> None:
    """Fill an empty folder with links to the working tree; the folders that lead to `file` are real."""
    steps = Path(file).parts[:-1] if file else ()
    for depth in range(len(steps) + 1):
        inside = Path(*steps[:depth])
        (tree / inside).mkdir(exist_ok=True)
        for path in (ROOT / inside).iterdir():
            if path.name not in LEFT_OUT and path.name not in steps[depth : depth + 1]:
                (tree / inside / path.name).symlink_to(path)


def run(tests: Iterable[str], mutation: Mutation | None = None) -> tuple[int, str]:
    """Exit code of pytest, and what it said, on a copy of the tree with the mutation applied."""
    with tempfile.TemporaryDirectory(prefix="mutant-", ignore_cleanup_errors=True) as folder:
        tree, scratch = Path(folder, "tree"), Path(folder, "scratch")
        mirror(tree, mutation and mutation.file)
        if mutation:
            changed = tree / mutation.file
            text = changed.read_text().replace(mutation.old, mutation.new)
            changed.unlink()
            changed.write_text(text)
        # no byte code is written: the links would put it into the working tree; no test needs the plug-ins that happen
        # to be installed, which take three seconds to load
        settings = {"PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1",
                    "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # fmt: skip
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTEST_")} | settings
        options = ["-x", "-q", "-p", "no:cacheprovider", "--slow", f"--basetemp={scratch}"]
        command = [sys.executable, "-m", "pytest", *options, *tests]
        limit = SECONDS if mutation else None  # the tests of a whole area take as long as they take
        done = subprocess.run(command, cwd=tree, env=environment, capture_output=True, text=True, timeout=limit)
    return done.returncode, done.stdout + done.stderr


def judge(mutation: Mutation) -> Result:
    """Apply one mutation and say whether its tests notice."""
    start = time.monotonic()
    try:
        code, said = run(mutation.tests, mutation)
        # a crash of pytest itself exits with 1 too
        noticed = code == FAILED and re.search("^(FAILED|ERROR) ", said, re.MULTILINE)
        fault = f"NOT RUN: {' '.join(said.split())[-200:]}"
        verdict = "caught" if noticed else "SURVIVED" if code == PASSED else fault
    except subprocess.TimeoutExpired:
        verdict = f"NOT RUN: the tests took longer than {SECONDS} s"
    return Result(mutation, verdict, time.monotonic() - start)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", metavar="AREA", action="append", default=[], help="lists to use; all if not given")
    parser.add_argument("--jobs", metavar="N", type=int, default=1, help="mutations tried at once")
    options = parser.parse_args(arguments)
    mutations = read(options.only)
    for area in dict.fromkeys(m.area for m in mutations):
        code, said = run(dict.fromkeys(test for m in mutations if m.area == area for test in m.tests))
        if code != PASSED:
            print(f"the tests of {area} do not pass without a mutation:\n{said}")
            return 1
    results = []
    with ThreadPoolExecutor(options.jobs) as pool:
        for result in pool.map(judge, mutations):
            mutation, verdict, seconds = result
            print(f"{verdict:9} {seconds:4.0f} s  {mutation.area:10} {mutation.file}: {mutation.why}", flush=True)
            results.append(result)
    escaped = [r.mutation for r in results if r.verdict != "caught"]
    print(f"{len(results) - len(escaped)} of {len(results)} mutations caught")
    for m in escaped:
        print(f"not caught: {m.file}: {m.old!r} -> {m.new!r} ({m.why}), by {', '.join(m.tests)}")
    return 1 if escaped or not results else 0


if __name__ == "__main__":
    sys.exit(main())
