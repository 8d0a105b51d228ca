"""The wheel: what is in it, how large it is, and that it works in an environment of its own."""

import subprocess
import sys
import sysconfig
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import ergosum

ROOT = Path(__file__).parents[1]
LARGEST = 40e6
"""Bytes of a wheel."""
FIRST_STEP = """
import itertools
from pathlib import Path
import ergosum
from ergosum.cli.demo import experiment
from ergosum.training.loop import train
print(Path(ergosum.__file__).parents[1])
told = experiment().but(optimiser={"iterations": 3, "batch": 4}, run={"threads": 1})
print(len(list(train(told, Path("run"), False, "cpu"))))
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    pytest.importorskip("build", reason="the package build is not installed")
    out = tmp_path_factory.mktemp("dist")
    subprocess.run([sys.executable, "-m", "build", "--no-isolation", "--outdir", out, ROOT], check=True,
                   capture_output=True)  # fmt: skip
    return out


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_is_small(built):
    (wheel,) = built.glob("*.whl")
    assert wheel.name == f"ergosum-{ergosum.__version__}-py3-none-any.whl"
    assert wheel.stat().st_size < LARGEST
    files = set(zipfile.ZipFile(wheel).namelist())
    assert {"ergosum/py.typed", f"ergosum-{ergosum.__version__}.dist-info/licenses/LICENSE"} <= files
    cards = {path.relative_to(ROOT).as_posix() for path in (ROOT / "ergosum/zoo").rglob("*") if path.suffix in
             {".safetensors", ".json", ".md"}}  # fmt: skip
    assert cards <= files and not any(name.startswith(("tests/", "docs/")) for name in files)
    (source,) = built.glob("*.tar.gz")
    inside = {name.partition("/")[2] for name in tarfile.open(source).getnames()}
    assert {"tests/test_packaging.py", "mkdocs.yml", "CITATION.cff", "docs/website.py", "Makefile"} <= inside


@pytest.mark.slow
def test_the_wheel_works_in_an_environment_of_its_own(built, tmp_path):
    (wheel,) = built.glob("*.whl")
    home = tmp_path / "own"
    venv.create(home, with_pip=False)
    python = home / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "-q", "--no-deps", "--no-index", wheel]
    subprocess.run(pip, check=True, capture_output=True)
    (place,) = home.glob("lib/python*/site-packages")
    (place / "dependencies.pth").write_text(sysconfig.get_path("purelib") + "\n")  # and nothing that is editable there
    clean = {"PATH": str(home / "bin"), "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    told = subprocess.run([home / "bin" / "ergosum", "--help"], env=clean, capture_output=True, text=True, check=True)
    assert "usage: ergosum" in told.stdout
    done = subprocess.run([python, "-c", FIRST_STEP], env=clean, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(place), "3"], "its own copy, and three updates"
