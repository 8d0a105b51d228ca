"""What a command says where: results on stdout, all else on stderr, in any encoding, without a home, and stopped."""

import json
import os
import re
import shutil
import subprocess
import sys
import warnings
from importlib import import_module
from pathlib import Path

import pytest

import ergosum
from ergosum import cli
from ergosum.cli import main

SMALL = ["--data.source", "digits", "--data.limit", "32", "--model.encoder.width", "4", "--model.energy.width", "4",
         "--optimiser.batch", "4", "--optimiser.iterations", "3", "--accelerator", "cpu"]  # fmt: skip


@pytest.fixture(scope="module")
def quick(learn, tmp_path_factory):
    """A tiny run on a canvas that no shipped baseline has, so that scoring it takes a moment."""
    folder = tmp_path_factory.mktemp("runs") / "quick"
    learn(folder, task={"data": {"canvas": 32}})
    return folder


@pytest.fixture
def run(quick, tmp_path):
    """A copy of it."""
    return shutil.copytree(quick, tmp_path / "run")


def test_training_prints_one_line_on_stdout_and_its_progress_on_stderr(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert main(["train", "colour", "--out", "run", *SMALL, "--optimiser.precision", "32"]) == 0
    out, errors = capsys.readouterr()
    assert out == "run  (ergosum score run; ergosum report run)\n"
    assert len(errors.splitlines()) == 3 and all(line.startswith("colour ") for line in errors.splitlines())
    assert main(["train", "colour", "--out", "run", *SMALL, "--optimiser.precision", "32"]) == 1
    out, errors = capsys.readouterr()
    assert out == "" and errors.count("\n") == 1


def test_json_is_alone_on_stdout(run, capsys):
    assert main(["score", str(run), "--json", "--n", "1", "--source", "digits"]) == 0
    out, errors = capsys.readouterr()
    assert json.loads(out) == json.loads((run / "scores.json").read_text()) and errors == ""
    assert json.loads(out)["n"] == 1


def test_a_warning_is_one_line_on_stderr_said_once_without_a_source_line(monkeypatch, capsys):
    def warn(arguments):
        warnings.warn("Mind\n  the gap.", UserWarning, stacklevel=1)
        warnings.warn("Mind the gap.", UserWarning, stacklevel=1)
        warnings.warn("not for users", DeprecationWarning, stacklevel=1)
        print("result")

    monkeypatch.setattr(import_module("ergosum.cli.parts"), "run", warn)
    for _ in range(2):
        assert main(["parts"]) == 0
        out, errors = capsys.readouterr()
        assert out == "result\n" and errors == "ergosum: warning: Mind the gap.\n"


def test_a_warning_of_the_machine_is_said_once_in_a_real_command(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("ergosum.training.processes.computes_bfloat16", lambda _: False)
    assert main(["train", "colour", "--out", str(tmp_path / "run"), *SMALL, "--optimiser.precision", "bf16"]) == 0
    out, errors = capsys.readouterr()
    assert out.count("\n") == 1
    told = [line for line in errors.splitlines() if "warning" in line]
    assert len(told) == 1 and told[0].startswith("ergosum: warning: This cpu has no native bfloat16")


@pytest.mark.parametrize("encoding", ["ascii", pytest.param("cp1252", marks=pytest.mark.slow)])
def test_a_score_is_printed_in_any_encoding_without_a_home_and_without_a_user(encoding, run, tmp_path):
    # as in a container: no HOME, and a user that the machine has no entry for
    script = (
        "import os, pwd, sys\n"
        "def nobody(*_): raise KeyError('uid not found')\n"
        "pwd.getpwuid = nobody\n"
        "from ergosum.cli import main\n"
        f"status = main(['score', {str(run)!r}, '--n', '1', '--source', 'digits'])\n"
        "late = {'lightning_fabric', 'torch._dynamo'} & set(sys.modules)  # what training alone needs\n"
        "sys.exit(status or (f'imported for nothing: {late}' if late else 0))\n"
    )
    given = {"PYTHONPATH": str(Path(ergosum.__file__).parents[1]), "OMP_NUM_THREADS": "1", "PATH": os.environ["PATH"],
             "PYTHONIOENCODING": encoding}  # fmt: skip
    done = subprocess.run([sys.executable, "-c", script], env=given, capture_output=True, timeout=300, cwd=tmp_path)
    text = done.stdout.decode(encoding)
    assert done.returncode == 0 and done.stderr == b"", done.stderr
    assert "true operator" in text and re.search(r"colour skill .* (\\u2265|≥) 0.98", text)
    assert json.loads((run / "scores.json").read_text())["source"] == "digits"


SAYS = {"decompose": "the same command goes on from there."}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_ctrl_c_says_what_is_left_and_what_to_do(name, monkeypatch, capsys):
    def stopped(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(import_module(f"ergosum.cli.{name}"), "run", stopped)
    assert main([name]) == 130
    out, errors = capsys.readouterr()
    assert out == "" and errors.startswith("Interrupted.") and errors.count("\n") == 1
    assert (SAYS.get(name, "") in errors) and "--resume" not in errors


@pytest.mark.parametrize("kept", [False, True])
def test_resuming_is_advised_only_where_there_is_a_checkpoint(kept, tmp_path, monkeypatch, capsys):
    def stopped(experiment, folder, *_):
        if kept:
            folder.mkdir()
            (folder / "checkpoint.pt").touch()
        raise KeyboardInterrupt

    monkeypatch.setattr("ergosum.cli.train.train_with_progress", stopped)
    assert main(["train", "colour", "--out", str(tmp_path / "run")]) == 130
    assert ("The run keeps its checkpoint: go on with --resume." in capsys.readouterr().err) == kept


@pytest.mark.parametrize(
    "error, code, text",
    [
        (ValueError("x: expected\n  y."), 1, "ergosum: x: expected y.\n"),
        (FileNotFoundError(2, "No such file", "a.png"), 1,
         "ergosum: No such file: a.png. Choose a place that exists, is writable and has room.\n"),
        (cli.UsageError("what?"), 2, "ergosum: what? (see --help)\n"),
        (RuntimeError(""), 1, "ergosum: RuntimeError\n"), (ArithmeticError("1 / 0"), 1, "ergosum: 1 / 0\n"),
        (BrokenPipeError(), 1, ""),
    ],
)  # fmt: skip
def test_an_error_of_the_caller_is_one_line_and_an_exit_status(error, code, text, monkeypatch, capsys):
    def fail(arguments):
        raise error

    monkeypatch.setattr(import_module("ergosum.cli.score"), "run", fail)
    assert main(["score", "x"]) == code
    assert capsys.readouterr() == ("", text)


def test_a_mistake_of_our_own_is_not_hidden(monkeypatch):
    def fail(arguments):
        raise KeyError("bug")

    monkeypatch.setattr(import_module("ergosum.cli.score"), "run", fail)
    with pytest.raises(KeyError):
        main(["score", "x"])
