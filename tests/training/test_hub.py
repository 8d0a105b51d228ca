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

pytest.importorskip("huggingface_hub")
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """Folders under `root` as models `someone/NAME`, each with one commit."""

    root: Path
    asked: list[str]

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
def hub(tmp_path):
    """The server, and the environment of a program that uses it."""
    root = tmp_path / "hub"
    root.mkdir()
    handler = type("Served", (Hub,), {"root": root, "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    env = os.environ | {
        "HF_ENDPOINT": f"http://127.0.0.1:{server.server_address[1]}", "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "NO_PROXY": "*",
    }  # fmt: skip
    yield handler, {k: v for k, v in env.items() if k != "HF_HUB_OFFLINE"}
    server.shutdown()


def ran(env, code):
    """A program of its own: the library reads its settings when it is imported."""
    return subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=300)


def test_a_pushed_card_is_fetched_from_a_hub_and_predicts_as_it_did(hub, tmp_path, capsys):
    handler, env = hub
    assert main(["card", "push", "digits-colour", str(handler.root / "colour")]) == 0
    assert capsys.readouterr().out.strip() == str(handler.root / "colour")
    (handler.root / "colour" / "malice.py").write_text("raise SystemExit('run')")
    code = (
        "import torch; from ergosum import zoo; from ergosum.training.runfolder import load_predictor;"
        "folder = zoo.find('hf://someone/colour'); print(sorted(p.name for p in folder.iterdir()));"
        "model = load_predictor('hf://someone/colour@v1')[1];"
        "x = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0));"
        "print(model.predict(x, moves=torch.ones(2, 3)).double().sum().item())"
    )
    done = ran(env, code)
    assert done.returncode == 0, done.stderr
    names, total = done.stdout.splitlines()
    assert names == str(["model.safetensors", "recipe.json", "run.json", "scores.json"]), "nothing else is fetched"
    frames = torch.rand(2, 3, 28, 28, generator=torch.Generator().manual_seed(0))
    expected = load_predictor("digits-colour")[1].predict(frames, moves=torch.ones(2, 3)).double().sum().item()
    assert float(total) == pytest.approx(expected, rel=1e-6)
    asked = len(handler.asked)
    shutil.rmtree(handler.root)
    again = ran(env | {"HF_HUB_OFFLINE": "1"}, "from ergosum import zoo; zoo.find('hf://someone/colour')")
    assert again.returncode == 0 and len(handler.asked) == asked, again.stderr


def test_what_a_hub_does_not_have_is_said_in_one_line(hub):
    handler, env = hub
    (handler.root / "empty").mkdir()
    (handler.root / "empty" / "config.json").write_text("{}")
    code = (
        "from ergosum.training.hub import fetched\n"
        "for name in ('hf://someone/none', 'hf://someone/empty', 'hf://someone/empty@v9'):\n"
        "    try: fetched(name)\n"
        "    except FileNotFoundError as error: print(error)"
    )
    done = ran(env, code)
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and all("someone/" in line for line in lines)
    assert "no run folder: it has no recipe.json and no model.safetensors" in lines[1]
    nowhere = ran(env | {"HF_HUB_OFFLINE": "1", "HF_HOME": env["HF_HOME"] + "2"}, code)
    assert nowhere.stdout.count("Could not fetch hf://someone/") == 3, nowhere.stderr


def test_a_recipe_from_a_hub_runs_no_code_of_its_own(hub, tmp_path):
    handler, env = hub
    (tmp_path / "their_module.py").write_text("print('it ran')\nclass Energy: pass\n")
    names = ["their_module.Energy", "os.system", "subprocess.Popen"]
    for k, name in enumerate(names):
        main(["card", "push", "digits-colour", str(handler.root / f"evil{k}")])
        told = read_json(handler.root / f"evil{k}" / "recipe.json")
        told["task"]["model"]["energy"] = {"class": name}
        (handler.root / f"evil{k}" / "recipe.json").write_text(json.dumps(told))
    code = (
        f"import os; os.chdir({str(tmp_path)!r})\n"
        "from ergosum.training.runfolder import load_predictor\n"
        "for k in range(3):\n"
        "    try: load_predictor(f'hf://someone/evil{k}')\n"
        "    except ValueError as error: print(error)"
    )
    done = ran(env, code)
    lines = done.stdout.splitlines()
    assert len(lines) == 3 and "it ran" not in lines, done.stdout + done.stderr
    assert all(name in line for name, line in zip(names, lines, strict=True))
    assert all("not trusted" in line or "belongs to Python itself" in line for line in lines)


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
