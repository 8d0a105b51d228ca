"""A studio to ask, one that listens, and a browser that plays with it."""

import json
import os
import shutil
import threading
import time
from pathlib import Path

import pytest

pytest.importorskip("fastapi", reason="the extra studio is not installed")

import uvicorn
from fastapi.testclient import TestClient

from ergosum.studio.server import application

NEEDED = os.environ.get("ERGOSUM_NEEDS_BROWSER") == "1"
"""Whether a missing browser is a failure."""


@pytest.fixture(scope="session")
def root(trained, learn, tmp_path_factory):
    """A folder of tiny runs: one with a report, one within a folder, one of concepts; and traps that lead outside."""
    outside = tmp_path_factory.mktemp("outside")
    root = tmp_path_factory.mktemp("studio") / "runs"
    shutil.copytree(trained, root / "colour")
    shutil.copytree(trained, root / "group" / "again")
    learn(root / "solids", "concepts-latents")
    (root / "colour" / "report.html").write_text("<script>alert(1)</script><p>A report.</p>")
    recipe = json.loads((root / "group/again/recipe.json").read_text())
    recipe["optimiser"]["iterations"] = 99
    (root / "group/again/recipe.json").write_text(json.dumps(recipe))
    shutil.copytree(trained, outside / "secret")
    (outside / "secret.html").write_text("classified")
    (root / "linked").symlink_to(outside / "secret")
    shutil.copytree(trained, root / "leaking")
    (root / "leaking" / "report.html").symlink_to(outside / "secret.html")
    foreign = root / "foreign"
    shutil.copytree(trained, foreign)
    recipe = json.loads((foreign / "recipe.json").read_text())
    recipe["task"]["model"]["class"] = "antigravity.Model"
    (foreign / "recipe.json").write_text(json.dumps(recipe))
    return root


@pytest.fixture(scope="session")
def app(root):
    return application(root, ready=False)


@pytest.fixture(scope="module")
def client(app):
    """A browser's session, without a browser."""
    with TestClient(app) as client:
        yield client


class Listening:
    """A studio that listens on a port of this machine."""

    def __init__(self, app):
        self.app = app
        self.server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
        self.thread = threading.Thread(target=self.server.run, daemon=True)
        self.thread.start()
        while not self.server.started:
            time.sleep(0.02)
        self.port = self.server.servers[0].sockets[0].getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"

    @property
    def jobs(self):
        """Computations under way."""
        return len(self.app.state.studio.quick.jobs)

    def end(self):
        self.server.should_exit = True
        self.thread.join(20)


@pytest.fixture(scope="session")
def listening(root):
    held = Listening(application(root, ready=False))
    yield held
    held.end()


@pytest.fixture(scope="session")
def driver():
    """Headless Chromium; skips where there is none, or fails where one is needed."""
    browser, chauffeur = (next(filter(None, map(shutil.which, names)), None) for names in
                          (("chromium", "chromium-browser", "google-chrome"), ("chromedriver",)))  # fmt: skip
    if not (browser and chauffeur):
        (pytest.fail if NEEDED else pytest.skip)(
            "no Chromium with its driver: apt-get install chromium chromium-driver"
        )
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = browser
    for word in ("headless=new", "no-sandbox", "disable-gpu", "disable-dev-shm-usage", "disable-quic", "no-first-run",
                 "disable-background-networking", "disable-component-update", "disable-sync"):  # fmt: skip
        options.add_argument(f"--{word}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    held = webdriver.Chrome(options, webdriver.ChromeService(chauffeur))
    held.set_script_timeout(60)
    yield held
    held.quit()


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core, which looks for barriers; skips where it is not at hand."""
    places = [os.environ.get("ERGOSUM_AXE", ""), Path(__file__).parents[2] / ".venv/axe/package/axe.min.js"]
    found = next((Path(place) for place in places if place and Path(place).is_file()), None)
    if found is None:
        pytest.skip("axe-core is not at hand: `npm pack axe-core`, and ERGOSUM_AXE names its axe.min.js")
    return found.read_text()
