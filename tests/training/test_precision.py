"""bfloat16 where it pays, and a word where it does not."""

import warnings
from pathlib import Path

import pytest
import torch
from shrink import shrunk

from ergosum.cli.demo import cut_short, experiment
from ergosum.cli.progress import train_with_progress
from ergosum.training.precision import CPU_FEATURES, computes_bfloat16
from ergosum.training.processes import PrecisionWarning

EMULATED = {"architecture": "x86_64", "avx2": True, "avx512_f": True, "avx512_bf16": False, "amx_bf16": False}


@pytest.fixture(params=["avx512_bf16", "amx_bf16", "bf16", None])
def native(request, monkeypatch):
    """Whether the CPU, as it presents itself, multiplies bfloat16."""
    monkeypatch.setattr(
        torch.cpu,
        "get_capabilities",
        lambda: EMULATED | ({request.param: True} if request.param else {}),
        raising=False,
    )
    return request.param is not None


def test_the_demo_takes_bfloat16_only_from_a_cpu_that_computes_it(native):
    assert computes_bfloat16() == computes_bfloat16(torch.device("cpu")) == native
    assert experiment().optimiser.precision == ("bf16" if native else "32")


@pytest.mark.parametrize("precision", ["bf16", "32"])
def test_training_warns_once_that_emulated_bfloat16_is_slow_and_keeps_to_it(native, precision, learn, tmp_path):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        learn(tmp_path, optimiser={"precision": precision})
    said = [str(w.message) for w in caught if issubclass(w.category, PrecisionWarning)]
    assert len(said) == (precision == "bf16" and not native)
    assert all("This cpu has no native bfloat16" in text and "precision 32" in text for text in said)
    assert f'"precision": "{precision}"' in (tmp_path / "recipe.json").read_text()


def test_without_torchs_own_answer_linux_is_asked(monkeypatch):
    if not Path("/proc/cpuinfo").is_file():
        pytest.skip("no /proc/cpuinfo on this system")
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    flags = Path("/proc/cpuinfo").read_text().split()
    assert computes_bfloat16() == any(name in flags for name in CPU_FEATURES)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_gpu_answers_for_itself():
    assert computes_bfloat16("cuda") == (torch.cuda.get_device_capability()[0] >= 8 or bool(torch.version.hip))


def test_the_demo_takes_as_many_threads_as_it_is_told_and_says_when_time_was_over(monkeypatch):
    for asked, threads in (("1", 1), ("8", 2), ("", 2), ("many", 2)):
        monkeypatch.setenv("OMP_NUM_THREADS", asked)
        monkeypatch.setattr("os.cpu_count", lambda: 4)
        assert experiment().run.threads == threads
    assert "20 of 1100 updates" in cut_short(20, 1100, 80.0) and "--seconds 5500" in cut_short(20, 1100, 80.0)


def test_a_training_out_of_time_tells_how_far_it_came(tmp_path):
    tiny = shrunk(experiment())
    assert train_with_progress(tiny, tmp_path / "cut", False, "cpu", seconds=0.0) == 1 < tiny.optimiser.iterations
    assert train_with_progress(tiny, tmp_path / "whole", False, "cpu") == tiny.optimiser.iterations
