"""Images decomposed and recombined, as a user meets it."""

import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.data.named import dataset
from ergosum.data.tetrominoes import Tetrominoes
from ergosum.decomposition import ImageDecomposer, batch, figures
from ergosum.decomposition.batch import decompose_folder
from ergosum.decomposition.recombination import by_unit
from ergosum.decomposition.segmentation import colour_patches, decomposition_scores
from ergosum.metrics.segmentation import foreground_ari
from ergosum.training.runfolder import load_predictor

SCORES = {
    "fg_ari", "ari", "covering", "mse", "mse_mean", "psnr", "ssim", "sharpness", "swap_consistency", "count_accuracy",
    "rows",
}  # fmt: skip


@pytest.fixture(scope="module")
def apart(tmp_path_factory, learn):
    """The folder of a tiny run that decomposes tetrominoes."""
    folder = tmp_path_factory.mktemp("runs") / "tetrominoes"
    learn(folder, "tetrominoes")
    return folder


@pytest.fixture
def album(tmp_path):
    """Five images in a folder with a sub-folder, one of them broken, one of one pixel."""
    pixels = np.random.default_rng(0).integers(0, 255, (5, 40, 50, 3), dtype=np.uint8)
    (tmp_path / "album" / "more").mkdir(parents=True)
    for k, name in enumerate(("a.png", "a.jpg", "more/b.png")):
        Image.fromarray(pixels[k]).save(tmp_path / "album" / name)
    (tmp_path / "album" / "broken.png").write_text("no image")
    Image.new("RGB", (1, 1)).save(tmp_path / "album" / "dot.png")
    return tmp_path / "album"


def test_a_folder_is_decomposed_what_cannot_be_read_is_named_and_the_job_goes_on(apart, album, tmp_path, capsys):
    out = tmp_path / "out"
    command = ["decompose", str(apart), "--start", str(album), "--out", str(out)]
    assert main(command) == 0
    said = capsys.readouterr().out
    assert "3 images written, 0 done before, 2 skipped" in said and "broken.png" in said and "dot.png" in said
    assert {str(p.relative_to(out)) for p in out.rglob("*.npz")} == {"a.png.npz", "a.jpg.npz", "more/b.png.npz"}
    stored = np.load(out / "a.png.npz")
    assert stored["latents"].shape == (4, 35) and stored["masks"].shape == (4, 36, 36)
    assert stored["components"].shape == (4, 3, 36, 36) and Image.open(out / "sheet.png").size[0] > 100
    (out / "a.jpg.npz").unlink()
    assert main(command) == 0
    assert "1 images written, 2 done before, 2 skipped" in capsys.readouterr().out


def test_a_stopped_job_leaves_whole_files_only(apart, album, tmp_path):
    _, model = load_predictor(apart)
    job = decompose_folder(model, album, tmp_path / "out", batch=1)
    assert [next(job).written for _ in range(2)] == [0, 1]
    job.close()
    done = list((tmp_path / "out").rglob("*.npz"))
    assert len(done) == 1 and all(np.load(p)["masks"].shape == (4, 36, 36) for p in done)
    *_, last = decompose_folder(model, album, tmp_path / "out", batch=1)
    assert last.written + last.before == 3 and len(last.skipped) == 2


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_a_killed_job_ends_with_the_files_of_one_that_was_not(album, tmp_path, learn, monkeypatch):
    # what it finds depends on the noise that it starts from
    learn(tmp_path / "comet", "comet-code", task={"model": {"descent": {"steps": 2, "training_steps": 2}}})
    _, model = load_predictor(tmp_path / "comet")
    for k in range(4):
        shutil.copy(album / "a.png", album / f"c{k}.png")
    *_, last = decompose_folder(model, album, tmp_path / "whole", batch=3)
    assert last.written == 7
    save, saved = batch._save, []

    def killed(made, k, quality, placement, target):
        if len(saved) == 4:  # in the second batch, with a file half written
            (target.parent / f".{target.name}.k1l_9d00.npz").write_bytes(b"half")
            raise SystemExit
        saved.append(target)
        save(made, k, quality, placement, target)

    monkeypatch.setattr(batch, "_save", killed)
    with pytest.raises(SystemExit):
        list(decompose_folder(model, album, tmp_path / "out", batch=3))
    monkeypatch.undo()
    *_, last = decompose_folder(model, album, tmp_path / "out", batch=3)
    assert (last.written, last.before, len(last.skipped)) == (3, 4, 2)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_job_does_not_decompose_its_own_sheet(apart, album):
    _, model = load_predictor(apart)
    for before in (0, 3):
        *_, last = decompose_folder(model, album, album / "out")
        assert last.before == before and last.written + before == 3 and len(last.skipped) == 2


def test_held_out_images_are_decomposed_and_recombined(apart, tmp_path, capsys):
    assert main(["decompose", str(apart), "--out", str(tmp_path / "parts")]) == 0
    assert main(["recombine", str(apart), "--out", str(tmp_path / "r.png")]) == 0
    drawn = [tmp_path / "parts" / "sheet.png", tmp_path / "parts" / "maps.png", tmp_path / "r.png"]
    assert all(min(Image.open(p).size) > 300 for p in drawn)
    assert capsys.readouterr().out.split() == [str(p) for p in drawn]


def test_two_models_share_a_image(apart, tmp_path, capsys, learn):
    assert main(["recombine", str(apart), "--with", str(apart), "--out", str(tmp_path / "u.png")]) == 0
    assert min(Image.open(tmp_path / "u.png").size) > 300
    learn(tmp_path / "comet", "comet-code")
    assert main(["recombine", str(apart), "--with", str(tmp_path / "comet"), "--out", str(tmp_path / "v.png")]) == 1
    assert "expected one canvas, and experts with experts" in capsys.readouterr().err


def test_images_unlike_the_training_s_are_named_when_they_are_recombined(tmp_path, capsys):
    own, noise = tmp_path / "own.png", tmp_path / "noise.png"
    pixels = Tetrominoes(3, 36).draw(1, torch.Generator().manual_seed(0)).images[0].permute(1, 2, 0)
    Image.fromarray((255 * pixels).byte().numpy()).save(own)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (36, 36, 3), dtype=np.uint8)).save(noise)
    for other in ([], ["--with", "tetrominoes"]):
        start = ["--start", str(own), str(noise)]
        assert main(["recombine", "tetrominoes", *other, "--out", str(tmp_path / "r.png"), *start]) == 0
        first, *told = capsys.readouterr().out.splitlines()
        assert first == str(tmp_path / "r.png") and len(told) == 1
        assert told[0].startswith(f"  {noise} is unlike what this model was trained on")


def test_a_run_that_decomposes_is_scored(apart, capsys):
    assert main(["score", str(apart), "--n", "12"]) == 0
    assert "connected patches" in (said := capsys.readouterr().out)
    assert "Two images in one" in said and "random weights, seed 2" in said and "count_matched" in said
    told = json.loads((apart / "scores.json").read_text())
    assert set(told) >= SCORES and told["rows"][0]["row"] == "ours"
    assert told["rows"][2]["fg_ari"] == 0, "one segment finds no object"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["decompose", "digits-colour", "--out", "x"], "does not decompose images; expected a run such as tetrominoes"),
        (["decompose", "{run}", "--start", "nowhere.png", "--out", "{out}"], "nowhere.png"),
        (["recombine", "{run}", "--start", "one.png"], "expected two images, got 1"),
        (["score", "{run}", "--n", "1"], "n >= 2 images"),
    ],
)
def test_what_cannot_be_decomposed_is_one_line_on_stderr(arguments, message, apart, tmp_path, capsys):
    assert main([a.format(run=apart, out=tmp_path / "out") for a in arguments]) == 1
    said = capsys.readouterr()
    assert message in said.err and said.err.count("\n") == 1


def test_an_oracle_scores_one_and_patches_of_one_colour_find_pieces_that_do_not_touch():
    data = Tetrominoes(3, 36).draw(64, torch.Generator().manual_seed(0))
    assert foreground_ari(data.masks.float(), data.masks).mean() == 1
    found = foreground_ari(colour_patches(data.images), data.masks)
    assert 0.8 < found.mean() <= 1


def test_scores_are_the_same_for_the_same_seed_and_differ_for_another(apart):
    experiment, model = load_predictor(apart)
    assert isinstance(model, ImageDecomposer)
    one, again, other = (decomposition_scores(experiment.built(), model, 4, seed) for seed in (0, 0, 1))
    assert one == again and one["mse"] != other["mse"]


def test_of_a_single_energy_numbers_are_exchanged(tmp_path, learn, capsys):
    run = tmp_path / "run"
    learn(run, "scenes-global")
    assert main(["recombine", str(run), "--out", str(tmp_path / "both.png")]) == 0
    assert main(["decompose", str(run), "--out", str(tmp_path / "apart")]) == 0
    capsys.readouterr()
    assert main(["score", str(run), "--n", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["codes"] == 10 and 0 <= told["swap_consistency"] <= 1 and told["count_accuracy"] is None
    names = [row["row"] for row in told["kid_rows"]]
    assert names[:2] == ["recomposed", "one component exchanged"] and "black" in names
    assert [told["kid"], told["kid_recombined"]] == [row["kid"] for row in told["kid_rows"][:2]]


def test_units_of_exchange_are_components_or_the_numbers_of_a_single_one():
    several, single = torch.zeros(2, 3, 4), torch.zeros(2, 1, 4)
    by_unit(several)[:, 1] = 1
    by_unit(single)[:, 1] = 1
    assert several[:, 1].eq(1).all() and several.sum() == 8 and single[:, 0, 1].eq(1).all() and single.sum() == 2


def test_exchanging_a_component_both_ways(apart):
    _, model = load_predictor(apart)
    images = Tetrominoes(3, 36).draw(6, torch.Generator().manual_seed(0)).images
    sheet = figures.exchange_sheet(model, images[:3], images[3:], 0, torch.Generator().manual_seed(0))
    assert sheet.size[0] > 3 * 36 and sheet.size[1] > 4 * 36


def test_a_run_on_a_folder_of_photographs_is_scored(album, tmp_path, learn, capsys):
    run = tmp_path / "photographs"
    learn(run, "tetrominoes", task={"data": dataset(str(album), 36), "count": 8})
    assert main(["score", str(run), "--n", "4", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["fg_ari"] is None and told["count_accuracy"] is None and told["mse"] > 0
