"""Training as a process of its own: killed, interrupted, two at once, and on two machines."""

import json
import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import torch

from ergosum.cli import main
from ergosum.training.processes import launch

STEADY = ["colour", "--accelerator", "cpu", "--data.source", "digits", "--data.limit", "32",
          "--model.encoder.width", "4", "--model.energy.width", "4", "--optimiser.batch", "4", "--log_every", "1",
          "--optimiser.precision", "32"]  # fmt: skip


def logged(folder):
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [(line["iteration"], line["loss"], line["error"]) for line in lines]


def iteration(folder):
    return torch.load(folder / "checkpoint.pt", weights_only=True)["iteration"]


def wait_for(process, folder, lines):
    """Until the run has logged some updates."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        path = folder / "metrics.jsonl"
        if path.exists() and path.read_text().count("\n") >= lines:
            return
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.01)
    pytest.fail("the run did not start")


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The run of 60 updates that nothing disturbed."""
    folder = tmp_path_factory.mktemp("runs") / "whole"
    assert main(["train", *STEADY, "--out", str(folder), "--optimiser.iterations", "60"]) == 0
    return folder


def files(run):
    return {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}


def refused_to_another(first, run, capsys):
    """A folder that a process trains in is refused to a second one, which changes nothing there."""
    first.send_signal(signal.SIGSTOP)  # it is there, and leaves the processor to the other
    time.sleep(0.1)
    capsys.readouterr()
    before = files(run)
    for more in ([], ["--resume"]):
        assert main(["train", *STEADY, "--out", str(run), "--optimiser.iterations", "60", *more]) == 1
        out, errors = capsys.readouterr()
        assert out == "" and errors.count("\n") == 1, errors
        assert f"{run} is being trained by another process (process {first.pid}); wait for it" in errors
    assert first.poll() is None and files(run) == before


@pytest.mark.parametrize(
    "number, code",
    [(signal.SIGKILL, -9), (signal.SIGINT, 130), pytest.param(signal.SIGTERM, 130, marks=pytest.mark.slow)],
)
def test_a_stopped_run_loses_at_most_an_interval_and_resumes_to_the_same_bits(
    number, code, whole, command, tmp_path, capsys
):
    arguments = ["train", *STEADY, "--out", str(tmp_path / "run"), "--optimiser.iterations", "60"]
    process = command(*arguments, "--checkpoint_every", "5")
    wait_for(process, tmp_path / "run", 12)
    if number == signal.SIGKILL:
        refused_to_another(process, tmp_path / "run", capsys)
    process.send_signal(number)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == code, errors
    done, kept = logged(tmp_path / "run")[-1][0], iteration(tmp_path / "run")
    assert done < 60 and (done - kept <= 5 if number == signal.SIGKILL else kept == done)
    if number != signal.SIGKILL:
        assert "go on with --resume" in errors and "Traceback" not in errors
    assert main([*arguments, "--resume"]) == 0
    assert logged(tmp_path / "run") == logged(whole)
    assert (tmp_path / "run" / "model.safetensors").read_bytes() == (whole / "model.safetensors").read_bytes()


FOUR = ["train", *STEADY, "--optimiser.iterations", "4", "--out"]


def same_course(one, two):
    assert len(one) == 4
    for a, b in zip(one, two, strict=True):
        assert b == pytest.approx(a, rel=1e-5, abs=1e-7)


def test_two_processes_learn_what_one_learns(command, tmp_path):
    process = command(*FOUR, tmp_path / "two", "--devices", "2")
    assert main([*FOUR, str(tmp_path / "one")]) == 0
    _, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors
    same_course(logged(tmp_path / "one"), logged(tmp_path / "two"))


def torchrun(node, port, *arguments):
    """One machine's share of `torchrun --nnodes=2`, with the other machine on this one too."""
    options = ["--nnodes=2", f"--node-rank={node}", "--nproc-per-node=1", "--master-addr=127.0.0.1",
               f"--master-port={port}", "-m", "ergosum"]  # fmt: skip
    return subprocess.Popen([sys.executable, "-m", "torch.distributed.run", *options, *map(str, arguments)],
                            env={**os.environ, "OMP_NUM_THREADS": "1"}, text=True, stdout=subprocess.PIPE,
                            stderr=subprocess.PIPE)  # fmt: skip


@pytest.mark.slow
def test_two_machines_learn_what_one_process_learns(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    machines = [torchrun(node, port, *FOUR, tmp_path / "two") for node in (0, 1)]
    assert main([*FOUR, str(tmp_path / "one")]) == 0
    said = [machine.communicate(timeout=300) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    same_course(logged(tmp_path / "one"), logged(tmp_path / "two"))
    assert [out.count("ergosum score") for out, _ in said] == [1, 0]  # the first process of all speaks


@pytest.mark.parametrize(
    "world, here, changes, message",
    [
        ("3", "2", {}, "the same number of processes on every machine, got 2 here of 3 in all"),
        (
            "4",
            "2",
            {"run": {"devices": 3}, "optimiser": {"batch": 6}},
            "torchrun started 2 processes here, 4 in all; leave out 3",
        ),
    ],
)
def test_what_torchrun_started_must_go_with_the_settings(world, here, changes, message, tiny, monkeypatch):
    given = {"TORCHELASTIC_RUN_ID": "test", "WORLD_SIZE": world, "LOCAL_WORLD_SIZE": here}
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ValueError, match=message):
        experiment = tiny(**changes)
        launch(experiment, experiment.built(), "cpu")
