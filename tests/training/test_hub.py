"""Cards from a hub: a local server speaks its protocol as far as fetching a folder needs it."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
import yaml

from ergosum import zoo
from ergosum.cli import main
from ergosum.files import read_json
from ergosum.training.hub import fetched, is_on_hub
from ergosum.training.runfolder import load_predictor, load_weights

constants = pytest.importorskip("huggingface_hub.constants")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Folders under `root` as models `someone/NAME`, each with one commit."""

    root: Path
    asked: list[str]
    address: str

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        path = self.path.partition("?")[0]
        self.asked.append(path)
        words = path.strip("/").split("/")
        if words[:2] == ["api", "models"] and words[4:5] in (["revision"], ["tree"]):
            folder = self.root / words[3]
            if not folder.is_dir():
                return self.reply(404, b'{"error": "Repository not found"}', {"X-Error-Code": "RepoNotFound"})
            if words[5] not in ("main", "v1", COMMIT):
                return self.reply(404, b'{"error": "Invalid rev"}', {"X-Error-Code": "RevisionNotFound"})
            files = sorted(folder.iterdir())
            if words[4] == "tree":
                told = [{"type": "file", "path": f.name, "size": f.stat().st_size, "oid": digest(f)} for f in files]
            else:
                told = {"id": "/".join(words[2:4]), "sha": COMMIT, "siblings": [{"rfilename": f.name} for f in files]}
            return self.reply(200, json.dumps(told).encode(), {"Content-Type": "application/json"})
        if words[2:3] == ["resolve"]:
            file = self.root / words[1] / words[4]
            if file.is_file():
                head = {"ETag": f'"{digest(file)}"', "X-Repo-Commit": COMMIT}
                return self.reply(200, file.read_bytes(), head)
        return self.reply(404, b"{}", {"X-Error-Code": "EntryNotFound"})

    def reply(self, status, content, head):
        self.send_response(status)
        for name, value in (head | {"Content-Length": str(len(content))}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def log_message(self, *given):
        pass


def digest(file):
    return hashlib.sha1(file.read_bytes()).hexdigest()


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """The server, which the library asks and whose folders it keeps in a cache of the test's own."""
    root = tmp_path / "hub"
    root.mkdir()
    handler = type("Served", (Hub,), {"root": root, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    handler.address = f"http://127.0.0.1:{server.server_address[1]}"
    monkeypatch.setattr(constants, "ENDPOINT", handler.address)
    monkeypatch.setattr(
        constants, "HUGGINGFACE_CO_URL_TEMPLATE", handler.address + "/{repo_id}/resolve/{revision}/{filename}"
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    yield handler
    server.shutdown()


def test_a_pushed_card_is_fetched_from_a_hub_and_predicts_as_it_did(hub, capsys, monkeypatch):
    assert main(["card", "push", "digits-colour", str(hub.root / "colour")]) == 0
    assert capsys.readouterr().out.strip() == str(hub.root / "colour")
    (hub.root / "colour" / "malice.py").write_text("raise SystemExit('run')")
    folder = zoo.find("hf://someone/colour")
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["model.safetensors", "recipe.json", "run.json", "scores.json"], "nothing else is fetched"
    frames = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    moves = torch.ones(2, 3)
    model = load_predictor("hf://someone/colour@v1")[1]
    assert torch.equal(
        model.predict(frames, moves=moves), load_predictor("digits-colour")[1].predict(frames, moves=moves)
    )
    asked = len(hub.asked)
    shutil.rmtree(hub.root)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    assert zoo.find(Path("hf://someone/colour")) == folder and len(hub.asked) == asked


@pytest.mark.slow
def test_a_hub_is_named_by_the_environment(hub, tmp_path):
    main(["card", "push", "digits-colour", str(hub.root / "colour")])
    env = os.environ | {"HF_ENDPOINT": hub.address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_TELEMETRY": "1"}
    code = "from ergosum import zoo; print(zoo.find('hf://someone/colour'))"
    done = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)
    assert done.stdout.startswith(str(tmp_path / "home")), done.stderr


@pytest.mark.slow
def test_scores_and_reports_of_a_card_on_a_hub_are_not_written_to_it(hub, tmp_path, capsys, monkeypatch):
    main(["card", "push", "digits-colour", str(hub.root / "colour")])
    (hub.root / "colour" / "scores.json").unlink()
    monkeypatch.chdir(tmp_path)
    for shelf in ("CARDS", "BASELINES"):  # the card alone: companions and baselines take longer
        monkeypatch.setattr(zoo, shelf, tmp_path / "none")
    assert main(["score", "hf://someone/colour", "--n", "2", "--source", "digits", "--json"]) == 0
    assert not (zoo.find("hf://someone/colour") / "scores.json").exists()
    capsys.readouterr()
    assert main(["report", "hf://someone/colour", "--n", "2", "--source", "digits"]) == 0
    assert capsys.readouterr().out == "runs/colour/report.html\n"


def test_what_a_hub_does_not_have_is_said_in_one_line(hub, tmp_path, monkeypatch):
    (hub.root / "empty").mkdir()
    (hub.root / "empty" / "config.json").write_text("{}")
    for name, told in [
        ("hf://someone/none", "Could not fetch hf://someone/none"),
        ("hf://someone/empty", "no run folder: it has no recipe.json and no model.safetensors"),
        ("hf://someone/empty@v9", "Could not fetch hf://someone/empty"),
    ]:
        with pytest.raises(FileNotFoundError, match=told) as said:
            fetched(name)
        assert "\n" not in str(said.value)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(FileNotFoundError, match="Could not fetch hf://someone/other"):
        fetched("hf://someone/other")


@pytest.mark.parametrize("name", ["their_module.Energy", "os.system", "subprocess.Popen"])
def test_a_recipe_from_a_hub_runs_no_code_of_its_own(hub, tmp_path, name, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "their_module.py").write_text("raise SystemExit('it ran')\nclass Energy: pass\n")
    main(["card", "push", "digits-colour", str(hub.root / "evil")])
    told = read_json(hub.root / "evil" / "recipe.json")
    told["task"]["model"]["energy"] = {"class": name}
    (hub.root / "evil" / "recipe.json").write_text(json.dumps(told))
    with pytest.raises(ValueError, match=r"not trusted|belongs to Python itself"):
        load_predictor("hf://someone/evil")
    assert "their_module" not in sys.modules


@pytest.mark.parametrize("name", ["hf://someone", "hf://a/b/c", "hf://../x", "hf://a/b@", "hf://a b/c"])
def test_a_name_of_another_form_is_refused(name):
    assert is_on_hub(name) and is_on_hub(Path(name)) and not is_on_hub("digits-colour")
    with pytest.raises(ValueError, match="Expected hf://USER/NAME"):
        fetched(name)


def test_a_pushed_folder_is_what_a_hub_expects(tmp_path):
    assert main(["card", "push", "digits-colour", str(tmp_path / "pushed")]) == 0
    _, front, card = (tmp_path / "pushed" / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front)["license"] == "mit" and yaml.safe_load(front)["library_name"] == "ergosum"
    assert "hf://USER/digits-colour" in card and "# digits-colour" in card and "Cost: 275 CPU seconds" in card
    assert "MIT License" in (tmp_path / "pushed" / "LICENSE").read_text()
    before, after = (load_weights(f / "model.safetensors") for f in (zoo.find("digits-colour"), tmp_path / "pushed"))
    assert before.keys() == after.keys() and all(torch.equal(before[k], after[k]) for k in before)
    assert load_predictor(tmp_path / "pushed")[0].task == load_predictor("digits-colour")[0].task


def test_a_run_of_one_s_own_needs_a_licence_and_has_to_be_finished(tmp_path, capsys):
    shutil.copytree(zoo.find("digits-colour"), tmp_path / "run")
    assert main(["card", "push", str(tmp_path / "run"), str(tmp_path / "mine")]) == 1
    assert "under which licence its weights are" in capsys.readouterr().err
    assert main(["card", "push", str(tmp_path / "run"), str(tmp_path / "run"), "--licence", "mit"]) == 1
    assert "is the run itself" in capsys.readouterr().err
    assert main(["card", "push", str(tmp_path / "run"), str(tmp_path / "mine"), "--licence", "cc-by-4.0"]) == 0
    assert (tmp_path / "mine" / "LICENSE").read_text() == "SPDX-License-Identifier: cc-by-4.0\n"
    text = (tmp_path / "mine" / "README.md").read_text()
    assert "license: cc-by-4.0" in text and "# mine" in text and "MIT" not in text
    (tmp_path / "run" / "run.json").unlink()
    assert main(["card", "push", str(tmp_path / "run"), str(tmp_path / "other"), "--licence", "mit"]) == 1
    assert "the run is not finished" in capsys.readouterr().err and not (tmp_path / "other").exists()
