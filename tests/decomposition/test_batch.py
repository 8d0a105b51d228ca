"""The job that decomposes a folder: what it writes, whose results it refuses to mix, and how processes share it."""

import json
import os
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.data.folder import load_square
from ergosum.decomposition import batch
from ergosum.decomposition.batch import decompose_folder, fingerprint, least_psnr, load_result
from ergosum.decomposition.recombination import decompose
from ergosum.metrics.error import mse, psnr
from ergosum.training.runfolder import load_predictor


@pytest.fixture(scope="module")
def run(tmp_path_factory, learn):
    """The folder of a tiny run that decomposes tetrominoes."""
    folder = tmp_path_factory.mktemp("runs") / "tetrominoes"
    learn(folder, "tetrominoes")
    return folder


@pytest.fixture(scope="module")
def model(run):
    return load_predictor(run)[1]


@pytest.fixture(scope="module")
def comet(tmp_path_factory, learn):
    """A model whose findings depend on the noise that it starts from."""
    folder = tmp_path_factory.mktemp("runs") / "comet"
    learn(folder, "comet-code", task={"model": {"descent": {"steps": 2, "training_steps": 2}}})
    return load_predictor(folder)[1]


@pytest.fixture
def album(tmp_path):
    """Nine images of 60 x 40 pixels, one in a sub-folder, and one that is broken."""
    folder = tmp_path / "album"
    (folder / "more").mkdir(parents=True)
    pixels = np.random.default_rng(0).integers(0, 255, (9, 40, 60, 3), dtype=np.uint8)
    for k in range(8):
        Image.fromarray(pixels[k]).save(folder / f"{k}.png")
    Image.fromarray(pixels[8]).save(folder / "more" / "8.png")
    (folder / "broken.png").write_text("no image")
    return folder


def finished(model, source, out, **options):
    *_, last = decompose_folder(model, source, out, **options)
    return last


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def index(out):
    return {line["image"]: line for line in map(json.loads, (out / "index.jsonl").read_text().splitlines())}


def test_a_result_holds_its_own_psnr_and_the_way_back_to_the_original_pixels(model, album, tmp_path):
    finished(model, album, tmp_path / "out", batch=3)
    result = load_result(tmp_path / "out" / "4.png.npz")
    assert result.latents.shape == (4, 35) and result.components.shape == (4, 3, 36, 36)
    assert result.placement.size == (60, 40) and result.placement.box == (10, 0, 50, 40)
    whole = result.placement.to_original(result.masks)
    assert whole.shape == (4, 40, 60) and (whole[:, :, :10] == 0).all()
    assert (whole[:, :, 10:50].sum(0) - 1).abs().max() < 4 / 255, "shares are rounded to 8 bits, K of them"
    block = torch.cat([load_square(album / f"{k}.png", 36).image for k in (3, 4, 5)])
    made = decompose(model, block, torch.Generator().manual_seed(3))
    assert result.psnr == pytest.approx(psnr(mse(made.whole, block))[1].item(), abs=1e-3)


def test_the_index_has_a_line_for_every_image_in_their_order(model, album, tmp_path):
    finished(model, album, tmp_path / "out", batch=4, least=0.0)
    lines = index(tmp_path / "out")
    assert list(lines) == [*(f"{k}.png" for k in range(8)), "broken.png", "more/8.png"]
    assert "skipped" in lines["broken.png"] and lines["more/8.png"]["unlike"] is False
    assert lines["2.png"]["psnr"] == pytest.approx(load_result(tmp_path / "out" / "2.png.npz").psnr, abs=0.006)


def test_a_job_flags_images_below_its_threshold_and_keeps_it(model, album, tmp_path):
    quality = sorted(line["psnr"] for line in _scored(model, album, tmp_path / "all"))
    least = (quality[3] + quality[4]) / 2
    done = finished(model, album, tmp_path / "out", batch=4, least=least)
    assert len(done.unlike) == 4
    (tmp_path / "out" / "0.png.npz").unlink()
    again = finished(model, album, tmp_path / "out", batch=4, least=1e9)
    assert len(again.unlike) == 4 and again.before == 8


def _scored(model, album, out):
    finished(model, album, out, batch=4)
    return [line for line in index(out).values() if "psnr" in line]


@pytest.mark.parametrize(
    ("change", "named"),
    [({"seed": 1}, "seed 0; here 1"), ({"batch": 2}, "batch 4; here 2"),
     ({"settings": {"latent": 9}}, "settings "), ({"source": "more"}, "images ")],
)  # fmt: skip
def test_another_job_is_refused_in_the_same_folder(change, named, model, album, tmp_path):
    finished(model, album, tmp_path / "out", batch=4)
    before = contents(tmp_path / "out")
    source = album / change.pop("source", "")
    with pytest.raises(ValueError, match=rf"holds the results of another job \({named}.*Choose another --out"):
        finished(model, source, tmp_path / "out", **{"batch": 4, **change})
    assert contents(tmp_path / "out") == before


def test_another_model_or_version_is_refused_in_the_same_folder(run, model, album, tmp_path, monkeypatch, capsys):
    out = tmp_path / "out"
    assert main(["decompose", str(run), "--start", str(album), "--out", str(out)]) == 0
    capsys.readouterr()
    assert main(["decompose", "tetrominoes", "--start", str(album), "--out", str(out)]) == 1
    said = capsys.readouterr()
    assert "another job (weights " in said.err and said.err.count("\n") == 1 and not said.out
    monkeypatch.setattr(batch, "__version__", "9.9")
    assert main(["decompose", str(run), "--start", str(album), "--out", str(out)]) == 1
    assert "(version " in capsys.readouterr().err


def test_results_of_which_nobody_knows_the_model_are_refused(model, album, tmp_path):
    finished(model, album, tmp_path / "out")
    (tmp_path / "out" / "job.json").unlink()
    with pytest.raises(ValueError, match=r"holds results but no job.json"):
        finished(model, album, tmp_path / "out")


def test_a_fingerprint_tells_any_weight_from_any_other(model, run):
    other = load_predictor(run)[1]
    assert fingerprint(model, 0) == fingerprint(other, 0)
    with torch.no_grad():
        next(other.energies.parameters()).flatten()[0] += 1e-6
    assert fingerprint(model, 0)["weights"] != fingerprint(other, 0)["weights"]


def test_one_image_writes_its_arrays_and_both_sheets(run, album, tmp_path, capsys):
    out = tmp_path / "out"
    assert main(["decompose", str(run), "--start", str(album / "more" / "8.png"), "--out", str(out)]) == 0
    said = capsys.readouterr()
    assert "1 images written, 0 done before, 0 skipped" in said.out and not said.err
    assert {p.name for p in out.iterdir() if not p.name.startswith(".")} == {
        "8.png.npz", "sheet.png", "maps.png", "index.jsonl", "job.json"
    }  # fmt: skip
    assert load_result(out / "8.png.npz").placement.size == (60, 40)


def test_names_that_are_not_text_or_too_long_do_not_stop_the_job(run, album, tmp_path, capsys):
    odd = os.fsdecode(b"caf\xe9.png")
    try:
        (album / "0.png").rename(album / odd)
    except OSError:
        pytest.skip("this file system allows no such name")
    (album / "1.png").rename(album / f"{'x' * 245}.png")
    out = tmp_path / "out"
    assert main(["decompose", str(run), "--start", str(album), "--out", str(out)]) == 0
    said = capsys.readouterr().out
    assert "8 images written, 0 done before, 2 skipped" in said and "its name is too long" in said
    assert (out / f"{odd}.npz").exists() and index(out)[odd]["psnr"] > 0


def test_files_keep_to_the_umask(model, album, tmp_path):
    before = os.umask(0o077)
    try:
        finished(model, album, tmp_path / "out")
    finally:
        os.umask(before)
    assert {p.stat().st_mode & 0o777 for p in (tmp_path / "out").rglob("*") if p.is_file()} == {0o600}


def test_a_job_that_is_interrupted_says_how_to_go_on(run, album, tmp_path, capsys, monkeypatch):
    def stopped(*arguments, **options):
        raise KeyboardInterrupt
        yield

    monkeypatch.setattr(batch, "decompose_folder", stopped)
    assert main(["decompose", str(run), "--start", str(album), "--out", str(tmp_path / "out")]) == 130
    said = capsys.readouterr()
    assert "the same command goes on" in said.err and "--resume" not in said.err and not said.out


@pytest.mark.parametrize("world", [pytest.param(2, marks=pytest.mark.slow), 3])
def test_processes_that_share_a_folder_write_the_files_of_one(world, comet, album, tmp_path):
    whole = finished(comet, album, tmp_path / "whole", batch=2, least=99.0)
    shares = [
        finished(comet, album, tmp_path / "shared", batch=2, least=99.0, process=(rank, world))
        for rank in reversed(range(world))
    ]
    assert contents(tmp_path / "whole") == contents(tmp_path / "shared")
    assert sum(s.written for s in shares) == whole.written == 9
    assert sorted(path for s in shares for path in s.unlike) == sorted(whole.unlike) != []


def test_processes_started_at_once_write_the_files_of_one(run, album, tmp_path, command, capsys, monkeypatch):
    arguments = ["decompose", str(run), "--start", str(album), "--out"]
    assert main([*arguments, str(tmp_path / "whole")]) == 0
    other = command(*arguments, tmp_path / "shared", env={"RANK": "1", "WORLD_SIZE": "2"})
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "2")):
        monkeypatch.setenv(name, value)
    capsys.readouterr()
    assert main([*arguments, str(tmp_path / "shared")]) == 0
    out, errors = other.communicate(timeout=300)
    assert other.returncode == 0, errors
    assert "(process 1 of 2)" in capsys.readouterr().out and "(process 2 of 2)" in out
    assert contents(tmp_path / "whole") == contents(tmp_path / "shared")


@pytest.mark.slow
def test_torchrun_shares_a_folder_out(run, album, tmp_path):
    import subprocess

    arguments = ["-m", "ergosum", "decompose", str(run), "--images", str(album), "--out"]
    subprocess.run([sys.executable, *arguments, str(tmp_path / "whole")], check=True)
    both = ["-m", "torch.distributed.run", "--nproc_per_node", "2", *arguments, str(tmp_path / "shared")]
    subprocess.run([sys.executable, *both], check=True)
    assert contents(tmp_path / "whole") == contents(tmp_path / "shared")


def test_a_later_index_does_not_hold_lines_of_an_earlier_one(model, album, tmp_path):
    finished(model, album, tmp_path / "out", batch=4)
    Image.new("RGB", (50, 50)).save(album / "00.png")
    done = finished(model, album, tmp_path / "out", batch=4)
    assert (done.written, done.before) == (1, 9)
    assert list(index(tmp_path / "out"))[:3] == ["0.png", "00.png", "1.png"]
    assert len(list((tmp_path / "out" / ".index").iterdir())) == 3


def test_photographs_are_flagged_and_held_out_images_are_not(tmp_path):
    """Of a card: images of its own kind, and smooth colours with fine structure, as photographs have."""
    experiment, model = load_predictor("tetrominoes")
    task = experiment.built()
    (tmp_path / "own").mkdir()
    (tmp_path / "other").mkdir()
    own = task.held_out(6, torch.Generator().manual_seed(5)).images
    rng = np.random.default_rng(0)
    for k in range(6):
        pixels = (255 * own[k]).round().byte().permute(1, 2, 0).numpy()
        Image.fromarray(pixels).save(tmp_path / "own" / f"{k}.png")
        smooth = Image.fromarray(rng.integers(0, 255, (6, 6, 3), dtype=np.uint8)).resize((90, 90), Image.BICUBIC)
        grain = rng.normal(0, 20, (90, 90, 1))
        Image.fromarray((np.asarray(smooth) + grain).clip(0, 255).astype(np.uint8)).save(
            tmp_path / "other" / f"{k}.png"
        )
    least = least_psnr(task, model, {}, n=64)
    assert not finished(model, tmp_path / "own", tmp_path / "a", least=least).unlike
    assert len(finished(model, tmp_path / "other", tmp_path / "b", least=least).unlike) == 6


def test_the_threshold_is_a_decibel_below_the_worst_held_out_image_as_the_score_tells_it():
    experiment, model = load_predictor("scenes-global")
    task = experiment.built()
    scored = task.score("scenes-global", model, 3, 0)["psnr_least"]
    assert least_psnr(task, model, {"psnr_least": scored}) == scored - 1
    own = least_psnr(task, model, {}, n=3)
    assert own == pytest.approx(scored - 1, abs=1e-4), "the same three images, decomposed"
    broken = experiment.but(task={"data": {"variant": "no such"}}).built()
    assert least_psnr(broken, model, {}) is None


def test_a_killed_process_leaves_no_half_file_behind(model, album, tmp_path):
    out = tmp_path / "out"
    finished(model, album, out, batch=4)
    (out / "3.png.npz").unlink()
    (out / ".3.png.npz.a1b2c3d4.npz").write_bytes(b"half")
    (out / ".sheet.png.a1b2c3d4.png").write_bytes(b"half")
    finished(model, album, out, batch=4)
    assert not [name for name in contents(out) if "a1b2c3d4" in name]
