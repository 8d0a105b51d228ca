"""What each table computes, and that the command and the Python that it tells give the same picture."""

import base64
import io
import json
import os
import shlex
import zipfile

import numpy as np
import pytest
import torch
from PIL import Image

from ergosum.cli import main
from ergosum.data.sources import load_digits
from ergosum.report.animation import encode_animation
from ergosum.report.strips import pixels
from ergosum.temporal.control import load_bank
from studio.asking import events, told, upload

CHANGE = {"timeline": "scale:1 colour+angle*0.5:-2", "start": "digits:3@2", "scale": 0.9}
LANDSCAPE = {"formula": "ring & 0.5*~box", "steps": 40, "chains": 20, "temperature": 2.0, "seed": 3}
CONCEPTS = {"formula": "0.3:three | 0.7:seven", "n": 4, "steps": 4, "seed": 2}
DECOMPOSE = {"model": "tetrominoes", "a": "held-out:0", "b": "held-out:9", "take": "A:ground A:two B:one@0.2,-0.4"}


def image_of(url):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))))


@pytest.fixture
def asked(client, tmp_path, monkeypatch, capsys):
    """What a table tells as code, run in a folder of its own: the pictures of a script and of a command."""
    monkeypatch.chdir(tmp_path)

    def go(table, state):
        reply = client.post(f"/api/{table}/code", json=state)
        assert reply.status_code == 200, reply.text
        made = {}
        exec(compile(reply.json()["python"], "script.py", "exec"), {"__name__": "script"})
        made["python"] = {path.name: path.read_bytes() for path in tmp_path.glob("*.png") if path.name not in kept}
        for name in made["python"]:
            (tmp_path / name).unlink()
        words = shlex.split(reply.json()["command"])
        assert words[0] == "ergosum" and main(words[1:]) == 0, capsys.readouterr().err
        made["command"] = {path.name: path.read_bytes() for path in tmp_path.glob("*.png") if path.name not in kept}
        return made

    kept = set()
    go.kept = kept
    return go


def download(client, table, state, suffix):
    reply = client.post(f"/api/{table}/file/{suffix}", json=state)
    assert reply.status_code == 200, reply.text
    assert f"{table}.{suffix}" in reply.headers["content-disposition"]
    return reply.content


@pytest.mark.parametrize(
    ("table", "state"),
    [
        ("change", CHANGE),
        ("change", {"cards": ["colour"], "timeline": "colour:2", "start": "noise", "seed": 5}),
        ("change", {"timeline": "colour+scale:2", "how": "sum"}),
        ("landscape", LANDSCAPE),
        (
            "landscape",
            {"formula": "left | right", "sampler": "half-noise", "step_size": 0.25, "steps": 30, "chains": 9},
        ),
        ("concepts", CONCEPTS),
        ("decompose", DECOMPOSE),
        ("runs", {"runs": ["colour"]}),
        ("runs", {"runs": ["colour", "group/again"]}),
    ],
    ids=lambda v: v if isinstance(v, str) else "-".join(map(str, v.values()))[:24],
)
def test_the_picture_of_the_studio_is_that_of_its_command_and_of_its_python(table, state, client, asked):
    picture = download(client, table, state, "png")
    made = asked(table, state)
    (one,), (other,) = made["python"].values(), made["command"].values()
    assert picture == one == other and Image.open(io.BytesIO(picture)).width > 80


def test_a_digit_of_ones_own_gives_the_same_picture_from_its_file(client, asked, tmp_path):
    image = Image.new("L", (40, 40), 255)
    image.paste(20, (16, 6, 22, 34))
    image.save(tmp_path / "one.png")
    asked.kept.add("one.png")
    kept = upload(client, "one.png", (tmp_path / "one.png").read_bytes())
    state = {"start": f"upload:{kept['id']}", "timeline": "angle:2"}
    (start,) = told(client, "change", state, "start")
    assert start["side"] == 40 and any("inverted" in text for text in start["notes"])
    picture = download(client, "change", state, "png")
    made = asked("change", state)
    assert picture == made["python"]["strip.png"] == made["command"]["strip.png"]


def test_uploaded_images_are_recombined_as_their_command_does(client, asked, tmp_path):
    generator = np.random.default_rng(0)
    ids = []
    for name in ("a.png", "b.png"):
        Image.fromarray(generator.integers(0, 255, (36, 36, 3), np.uint8)).save(tmp_path / name)
        asked.kept.add(name)
        ids.append(upload(client, name, (tmp_path / name).read_bytes())["id"])
    state = {**DECOMPOSE, "a": f"upload:{ids[0]}", "b": f"upload:{ids[1]}"}
    picture = download(client, "decompose", state, "png")
    made = asked("decompose", state)
    assert picture == made["python"]["sum.png"] == made["command"]["sum.png"]


def test_frames_are_those_of_the_bank_and_the_truth_that_of_the_renderer(client):
    found = events(client.post("/api/change/run", json={"timeline": "colour:3", "start": "digits:7"}))
    assert [kind for kind, _ in found] == ["start", *["frame"] * 4, "fit", "done"]
    frames = [data for kind, data in found if kind == "frame"]
    digits = load_digits("digits", "test")
    from ergosum.data.render import render

    chosen = digits.images[digits.labels == 7][:1]
    start = render(chosen, torch.tensor([[0.0, 0.0, 0.8]]))
    made = load_bank(["digits-colour"]).play(start, "colour:3")[0]
    true = torch.stack([render(chosen, torch.tensor([[n * torch.pi / 9, 0.0, 0.8]]))[0] for n in range(4)])
    assert [frame["n"] for frame in frames] == [0, 1, 2, 3]
    for n, frame in enumerate(frames):
        assert np.array_equal(image_of(frame["image"]), pixels(made[n : n + 1])[0])
    spacing = np.abs(image_of(frames[1]["truth"]).astype(int) - pixels(true[1:2])[0]).max()
    (fit,) = [data for kind, data in found if kind == "fit"]
    assert fit["psnr"] > 35 and spacing < 130
    assert np.array_equal(image_of(frames[0]["truth"]), pixels(true[:1])[0])


def test_there_is_no_truth_of_noise_or_of_what_nobody_named(client):
    for state in ({"start": "noise", "timeline": "colour:1"},
                  {"cards": ["digits-discovered"], "timeline": "one:1"}):  # fmt: skip
        found = events(client.post("/api/change/run", json=state))
        assert all("truth" not in data for kind, data in found if kind == "frame")
        assert "fit" not in [kind for kind, _ in found]


def test_downloads_hold_the_frames(client):
    held = np.load(io.BytesIO(download(client, "change", CHANGE, "npz")), allow_pickle=False)
    assert held["frames"].shape == held["truth"].shape == (4, 3, 28, 28)
    assert str(held["timeline"]) == "scale:1 colour+angle*0.5:-2"
    film = Image.open(io.BytesIO(download(client, "change", CHANGE, "gif")))
    assert film.n_frames == 4 and film.format == "GIF"
    assert download(client, "change", CHANGE, "gif") == encode_animation(torch.tensor(held["frames"]), ".gif", 6)


def test_a_film_is_read_into_a_timeline_that_makes_it(client, tmp_path):
    start = {"timeline": "colour:3", "start": "digits:7", "cards": ["digits-colour"]}
    np.save(tmp_path / "film.npy", np.load(io.BytesIO(download(client, "change", start, "npz")))["frames"])
    kept = upload(client, "film.npy", (tmp_path / "film.npy").read_bytes())
    assert kept["kind"] == "film"
    state = {"film": kept["id"], "cards": ["digits-colour"]}
    found = events(client.post("/api/film/run", json=state))
    (film,), (read,) = ([data for kind, data in found if kind == name] for name in ("film", "read"))
    assert len(film["frames"]) == 4 and {data["stage"] for kind, data in found if kind == "progress"} == {
        "calibrate",
        "read",
    }
    (segment,) = read["stretches"]
    assert (segment["first"], segment["last"], segment["foreign"]) == (1, 3, False)
    ((factor, speed, spread),) = segment["moves"]
    assert factor == "colour" and abs(speed - 1) < 0.05 and 0 < spread < 0.2
    said = client.post("/api/film/code", json=state).json()
    assert said["command"] == "ergosum read film.npy --with digits-colour" and "read_as" in said["python"]


def test_chains_are_shown_from_their_start_with_numbers_and_in_the_end_the_truth(client):
    state = {"formula": "slanted", "steps": 120, "chains": 50}
    found = events(client.post("/api/landscape/run", json=state))
    kinds = [kind for kind, _ in found]
    assert kinds[:2] == ["density", "chains"] and kinds[-2:] == ["numbers", "done"]
    density = found[0][1]
    root = np.frombuffer(base64.b64decode(density["density"]), np.uint8)
    assert len(root) == density["cells"] ** 2 and root.max() == 255
    chains = [data for kind, data in found if kind == "chains"]
    assert [data["n"] for data in chains] == list(range(121))
    last = np.frombuffer(base64.b64decode(chains[-1]["x"]), "<i2").reshape(-1, 2) / 16000 * density["extent"]
    held = np.load(io.BytesIO(download(client, "landscape", state, "npz")))
    np.testing.assert_allclose(last, held["draws"][-1].clip(-8, 8), atol=4 / 16000)
    assert held["draws"].shape == (96, 50, 2)
    final = found[-2][1]
    assert final["final"] and 0.3 < final["acceptance"] < 0.9 and final["rhat"] < 1.2
    live = [data for kind, data in found if kind == "numbers" and "final" not in data]
    assert live and abs(live[-1]["square_true"] - 2) < 0.01  # slanted has variances of one


def test_a_broken_sampler_is_seen_to_be_biased(client):
    state = {"formula": "slanted", "sampler": "half-noise", "step_size": 0.1, "steps": 600, "chains": 200}
    final = told(client, "landscape", state, "numbers")[-1]
    assert max(map(abs, final["z"])) > 10 and final["rhat"] < 1.1
    state["sampler"] = "mala"
    assert max(map(abs, told(client, "landscape", state, "numbers")[-1]["z"])) < 5


def test_the_temperature_widens_a_normal_in_proportion(client):
    state = {"formula": "slanted", "steps": 60, "chains": 9}
    square = {t: told(client, "landscape", {**state, "temperature": t}, "numbers")[-2] for t in (0.5, 1.0)}
    assert square[0.5]["square_true"] == pytest.approx(square[1.0]["square_true"] / 2, rel=5e-3)  # cut off at 4


def test_a_film_of_chains_is_what_the_command_draws(client, tmp_path, capsys):
    said = client.post("/api/landscape/code", json=LANDSCAPE).json()["command"].replace("chain.png", "chain.gif")
    os.chdir(tmp_path)
    assert main(shlex.split(said)[1:]) == 0
    capsys.readouterr()
    assert (tmp_path / "chain.gif").read_bytes() == download(client, "landscape", LANDSCAPE, "gif")


def test_draws_go_down_the_levels_and_are_read(client):
    found = events(client.post("/api/concepts/run", json=CONCEPTS))
    draws = [data for kind, data in found if kind == "draws"]
    assert [data["n"] for data in draws] == [4] * 5 and draws[-1]["sigma"] == 0
    assert [data["sigma"] for data in draws] == sorted((data["sigma"] for data in draws), reverse=True)
    (verdict,) = [data for kind, data in found if kind == "verdict"]
    for caption, good in zip(verdict["captions"], verdict["good"], strict=True):
        assert good == (caption in ("three", "seven"))
    held = np.load(io.BytesIO(download(client, "concepts", CONCEPTS, "npz")))
    grid = image_of(draws[-1]["image"])
    for k, image in enumerate(held["draws"]):
        row, column = divmod(k, 2)
        assert np.array_equal(
            grid[28 * row : 28 * row + 28, 28 * column : 28 * column + 28], pixels(torch.tensor(image)[None])[0]
        )
    assert [text for _, text, _ in verdict["terms"]] == [f"or: {verdict['formula']}", "three", "seven"]
    whole, *parts = (value for _, _, value in verdict["terms"])
    assert whole < max(parts)
    assert Image.open(io.BytesIO(download(client, "concepts", CONCEPTS, "gif"))).n_frames > 1


def test_concepts_tell_their_names_by_kind_and_take_places(client):
    state = {"model": "solids", "formula": "red & at(0.3,0.7)", "n": 2, "steps": 2}
    found = dict(events(client.post("/api/concepts/run", json=state)))
    assert found["names"]["kinds"]["shape"] == ["sphere", "cube", "cylinder"] and found["names"]["places"] == ["at"]
    assert len(found["verdict"]["captions"]) == 2 and found["verdict"]["judge"] == "the data's own reader"
    (verdict,) = told(client, "concepts", {**state, "formula": "prior"}, "verdict")
    assert all(verdict["good"])
    (refused,) = told(client, "concepts", {**state, "formula": "red & blue"}, "refused")
    assert refused["field"] == "formula" and "nothing satisfies this" in refused["message"]


def test_an_image_is_taken_apart_into_components_that_cover_it(client):
    found = events(client.post("/api/parts/run", json={"model": "tetrominoes", "image": "held-out:2"}))
    assert [kind for kind, _ in found] == ["image", "whole", *["part"] * 4, "done"]
    parts = [data for kind, data in found if kind == "part"]
    cover = sum(image_of(part["image"])[..., 3].astype(int) for part in parts)
    assert abs(cover - 255).max() <= 4 and sum(part["share"] for part in parts) == pytest.approx(1, abs=1e-3)
    assert parts[0]["name"] == "ground" and parts[0]["place"] is None
    assert all(max(map(abs, part["place"])) < 1.3 for part in parts[1:])
    assert found[1][1]["psnr"] > 25


def test_a_component_moves_with_its_place(client):
    def shifted(take):
        (made,) = told(client, "decompose", {**DECOMPOSE, "take": take}, "sum")
        light = image_of(made["image"]).sum(2) > 150
        return np.argwhere(light).mean(0)

    parts = told(client, "parts", {"model": "tetrominoes", "image": "held-out:0"}, "part")
    part = max(parts[1:], key=lambda p: p["share"])
    x, y = part["place"]
    by = -0.3 if x > 0 else 0.3
    before = shifted(f"A:ground A:{part['name']}@{x:.3f},{y:.3f}")
    after = shifted(f"A:ground A:{part['name']}@{x + by:.3f},{y:.3f}")
    assert after[1] - before[1] == pytest.approx(by * 35 / 2, abs=1.5) and abs(after[0] - before[0]) < 1.5


def test_downloads_of_a_sum_hold_the_masks_and_grow_by_one_component_a_frame(client):
    held = np.load(io.BytesIO(download(client, "decompose", DECOMPOSE, "npz")))
    assert held["masks"].shape == (3, 36, 36) and held["sum"].shape == (3, 36, 36)
    np.testing.assert_allclose(held["masks"].sum(0), 1, atol=1e-5)
    assert 1 < Image.open(io.BytesIO(download(client, "decompose", DECOMPOSE, "gif"))).n_frames <= 3


def test_runs_are_listed_with_how_far_they_are(client):
    ((kind, listed), *_) = events(client.post("/api/runs/run", json={}))
    runs = {run["name"]: run for run in listed["runs"]}
    assert kind == "runs" and set(runs) == {"colour", "foreign", "group/again", "solids"}
    assert runs["colour"]["updates"] == 3 and runs["colour"]["of"] == 3 and runs["group/again"]["of"] == 99
    assert runs["colour"]["report"] and not runs["group/again"]["report"] and not runs["colour"]["training"]
    assert {card["name"] for card in listed["cards"]} >= {"digits-colour", "tetrominoes"}


def test_a_run_that_is_trained_is_told_from_one_whose_process_has_ended(client, root):
    lock = root / "colour" / ".lock"
    before = lock.read_text() if lock.exists() else ""
    try:
        for words, expected in ((f"process {os.getpid()}", True), ("process 99999999", False), ("", False)):
            lock.write_text(words)
            ((_, listed), *_) = events(client.post("/api/runs/run", json={}))
            assert next(r["training"] for r in listed["runs"] if r["name"] == "colour") == expected
    finally:
        lock.write_text(before)


def test_runs_are_compared_by_curve_score_and_recipe(client, root):
    (root / "colour" / "scores.json").write_text(json.dumps({"card": "colour", "psnr": 30.5, "rows": []}))
    try:
        found = dict(events(client.post("/api/runs/run", json={"runs": ["colour", "group/again"]})))
    finally:
        (root / "colour" / "scores.json").unlink()
    assert found["curves"]["svg"].count('<polyline class="line bold') == 2 and "style=" not in found["curves"]["svg"]
    assert found["scores"]["rows"] == [["psnr", 30.5, None]]
    assert found["recipes"]["rows"] == [["optimiser.iterations", "3", "99"]]
    svg = download(client, "runs", {"runs": ["colour", "group/again"]}, "svg")
    assert svg.startswith(b"<svg xmlns=") and b"<style>" in svg
    with zipfile.ZipFile(io.BytesIO(download(client, "runs", {"runs": ["colour"]}, "npz"))) as held:
        assert {"colour.iteration.npy", "colour.error.npy"} <= set(held.namelist())


def test_a_log_that_grows_is_followed_and_a_line_cut_off_is_passed_over(client, root):
    path = root / "group" / "again" / "metrics.jsonl"
    before = path.read_text()
    try:
        with path.open("a") as file:
            file.write(json.dumps({"iteration": 4, "error": 0.01}) + '\n{"iteration": 5, "err')
        found = events(client.post("/api/runs/run", json={"runs": ["group/again"]}))
        listed = next(run for run in dict(found)["runs"]["runs"] if run["name"] == "group/again")
        assert listed["updates"] == 4 and dict(found)["curves"]["updates"] == {"group/again": 4}
    finally:
        path.write_text(before)


def test_cards_have_no_curve_to_download(client):
    reply = client.post("/api/runs/file/png", json={"runs": ["digits-colour"]})
    assert reply.status_code == 422 and "no log of their training" in reply.json()["error"]
    assert client.post("/api/runs/code", json={}).json()["field"] == "runs"


def test_a_result_is_kept_and_not_computed_again(client, monkeypatch):
    state = {"formula": "wide", "steps": 20, "chains": 5, "seed": 77}
    told(client, "landscape", state, "numbers")
    from ergosum.studio.landscape import Landscape

    monkeypatch.setattr(Landscape, "run", lambda *_: pytest.fail("computed again"))
    assert download(client, "landscape", state, "png")
