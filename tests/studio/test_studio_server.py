"""The studio's server: one machine, sessions apart, uploads within bounds, nothing from outside of the root."""

import io
import json
import socket
import sys
import time

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image

from ergosum.cli import main
from ergosum.studio.place import LARGEST, RESULTS, SESSIONS, TOGETHER, UPLOADS, Sessions
from ergosum.studio.server import told_warnings
from studio.asking import events, told, upload

TABLES = ["change", "film", "landscape", "concepts", "decompose", "parts", "runs"]


def png(colour=255, size=(28, 28)):
    buffer = io.BytesIO()
    image = Image.new("L", size)
    image.paste(colour, (size[0] // 3, 4, size[0] // 2, size[1] - 4))
    image.save(buffer, "PNG")
    return buffer.getvalue()


def test_the_page_comes_whole_from_here_under_a_policy_that_lets_nothing_else_in(client):
    page = client.get("/")
    assert page.status_code == 200 and "<title>ergosum studio</title>" in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "script-src 'self'" in policy and "unsafe" not in policy
    parts = {word for word in page.text.replace('"', " ").split() if word.startswith("/page/")}
    assert {"/page/app.js", "/page/style.css"} <= parts
    for name in ("app", "api", "dom", "share", "change", "timeline", "drawing", "landscape", "plane", "formula",
                 "concepts", "decompose", "runs"):  # fmt: skip
        reply = client.get(f"/page/{name}.js")
        assert reply.status_code == 200 and "javascript" in reply.headers["content-type"]
        assert "http:" not in reply.text and "https:" not in reply.text and "eval(" not in reply.text
    assert "svg" in client.get("/favicon.ico").headers["content-type"]
    assert ".chart" in client.get("/api/charts.css").text


@pytest.mark.parametrize("path", ["/page/../server.py", "/page/%2e%2e/server.py", "/page/..%2fserver.py", "/page/"])
def test_nothing_beside_the_page_is_served(client, path):
    reply = client.get(path)
    assert reply.status_code == 404 and "import" not in reply.text


def test_options_tell_what_there_is_to_choose(client):
    tables = client.get("/api/options").json()["tables"]
    assert list(tables) == TABLES
    assert {"digits-colour", "digits-discovered", "colour", "group/again"} <= set(tables["change"]["cards"])
    assert "mnist-density" in tables["concepts"]["models"] and "mnist-density" not in tables["change"]["cards"]
    assert "scenes-objects" in tables["decompose"]["models"]
    assert "scenes-global" not in tables["decompose"]["models"]  # of a single component
    assert "digits" in tables["change"]["sources"]


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "192.168.0.3:8765", ""])
def test_another_host_name_is_refused(client, host):
    reply = client.get("/api/options", headers={"host": host})
    assert reply.status_code == 403 and "this machine alone" in reply.json()["error"]


@pytest.mark.parametrize("headers", [{"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"},
                                     {"origin": "null"}])  # fmt: skip
def test_another_site_is_refused(client, headers):
    reply = client.post("/api/landscape/code", json={}, headers=headers)
    assert reply.status_code == 403 and "Another site" in reply.json()["error"]
    same = {"origin": "http://testserver", "sec-fetch-site": "same-origin"}
    assert client.post("/api/landscape/code", json={}, headers=same).status_code == 200


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"seed": ', "settings as JSON"),
        ("[1]", "settings by name, got a list"),
        ("null", "settings by name, got nothing"),
        ('{"colours": 3}', 'There is no setting "colours" here; there are'),
        ("[" * 30000, "settings as JSON"),
    ],
)
def test_what_are_no_settings_is_refused_in_plain_words(client, table, body, message):
    reply = client.post(f"/api/{table}/run", content=body)
    assert reply.status_code == 422 and message in reply.json()["error"]


@pytest.mark.parametrize(
    ("table", "state", "field", "message"),
    [
        ("change", {"scale": 9}, "scale", "a number from 0.1 to 1.8, got 9"),
        ("change", {"scale": "x"}, "scale", 'got "x"'),
        ("change", {"scale": True}, "scale", "got true"),
        ("change", {"seed": 1.5}, "seed", "a whole number"),
        ("change", {"start": "/etc/passwd"}, "start", "expected a digit such as digits:7"),
        ("change", {"start": "/tmp:7"}, "start", "expected a digit"),
        ("change", {"start": "../x:7"}, "start", "expected a digit"),
        ("change", {"timeline": "a" * 3000}, "timeline", "at most 2000 characters"),
        ("change", {"timeline": "a\nb"}, "timeline", "one line"),
        ("change", {"cards": []}, "cards", "one to 8 names, got 0"),
        ("change", {"cards": "digits-colour"}, "cards", "a list of names"),
        ("landscape", {"sampler": "nuts"}, "sampler", "expected one of descent"),
        ("landscape", {"steps": 10**9}, "steps", "a number from 10 to 2000"),
        ("landscape", {"formula": " "}, "formula", "expected a formula"),
        ("concepts", {"n": 0}, "n", "a number from 1 to 36"),
        ("decompose", {"a": "/etc/passwd"}, "a", "a held-out image by its number"),
        ("parts", {"image": "held-out:-1"}, "image", "a held-out image"),
        ("runs", {"runs": [1]}, "runs", "a list of names"),
    ],
)
def test_a_setting_out_of_range_names_its_field(client, table, state, field, message):
    for what in ("run", "code"):
        reply = client.post(f"/api/{table}/{what}", json=state)
        assert reply.status_code == 422 and reply.json()["field"] == field and message in reply.json()["error"]


def test_numbers_that_are_none_are_refused(client):
    for word in ("NaN", "Infinity", "-Infinity", "1e999"):
        reply = client.post("/api/landscape/run", content=f'{{"temperature": {word}}}')
        assert reply.status_code == 422 and reply.json()["field"] == "temperature"


@pytest.mark.parametrize(
    ("table", "state", "field", "message"),
    [
        ("change", {"timeline": "colour:x"}, "timeline", "cannot read 'colour:x'"),
        ("change", {"timeline": "hue:3"}, "timeline", "unknown factor 'hue'"),
        ("change", {"timeline": "colour:61"}, "timeline", "at most 60 frames"),
        ("change", {"cards": ["../secret"]}, "cards", "no card, and no run under"),
        ("change", {"cards": ["linked"]}, "cards", "no card, and no run under"),
        ("change", {"cards": ["leaking"]}, "cards", "no card, and no run under"),
        ("change", {"cards": ["foreign"]}, "cards", "antigravity"),
        ("change", {"cards": ["mnist-density"]}, "cards", "no energies of change"),
        ("change", {"cards": ["digits-joint"], "timeline": "colour:2"}, "timeline", "unknown factor"),
        ("change", {"start": "digits:7@9999"}, "start", "there are only"),
        ("change", {"start": "upload:0123456789abcdef"}, "start", "uploaded in another session"),
        ("film", {"film": "0123456789abcdef"}, "", "uploaded in another session"),
        ("landscape", {"formula": "ring & | box"}, "formula", "got '|' at character 8"),
        ("landscape", {"formula": "~ring"}, "formula", "a negation alone"),
        ("landscape", {"formula": "(" * 300}, "formula", "nested"),
        ("landscape", {"sampler": "langevin", "step_size": 9.0, "formula": "ring"}, "sampler", "Langevin"),
        ("concepts", {"formula": "three | hue", "n": 1, "steps": 2}, "formula", "no energy is called 'hue'"),
        ("concepts", {"model": "scenes-objects"}, "model", "no density"),
        ("concepts", {"model": "/etc"}, "model", "no card, and no run"),
        ("decompose", {"take": "A:nothing"}, "take", "no component 'nothing'"),
        ("decompose", {"take": ""}, "take", "expected 1 to 32 components"),
        ("decompose", {"take": "A:ground@0,0"}, "take", "has no place"),
        ("decompose", {"model": "digits-colour", "take": "A:one"}, "model", "does not decompose images"),
        ("runs", {"runs": ["nowhere"]}, "runs", "no card, and no run under"),
        ("runs", {"runs": ["/etc"]}, "runs", "no card, and no run under"),
    ],
)  # fmt: skip
def test_what_cannot_be_computed_is_told_beside_what_caused_it(client, table, state, field, message):
    (refused,) = told(client, table, state, "refused")
    assert refused["field"] == field and message in refused["message"]
    assert "Traceback" not in refused["message"] and "/tmp/" not in refused["message"].replace(str(client.root), "")


@pytest.fixture(autouse=True)
def _root(client, root):
    client.root = root


@pytest.mark.parametrize("name", ["../../etc/passwd", "%2e%2e/secret", "leaking", "linked", "nowhere", "group"])
def test_a_report_is_served_from_below_the_root_alone(client, name):
    reply = client.get(f"/api/report/{name}")
    assert reply.status_code == 404 and "classified" not in reply.text


def test_a_report_is_to_be_looked_at_and_runs_nothing(client):
    reply = client.get("/api/report/colour")
    assert reply.status_code == 200 and "A report." in reply.text
    assert reply.headers["content-security-policy"].startswith("sandbox; default-src 'none'")
    assert "has no report yet" in client.get("/api/report/group/again").json()["error"]


def test_an_upload_is_kept_for_its_session_alone(app, client):
    kept = upload(client, "my seven (2).png", png())
    assert kept["name"] == "my-seven-2.png" and kept["kind"] == "image"
    assert client.get(f"/api/uploads/{kept['id']}").content == png()
    state = {"start": f"upload:{kept['id']}", "timeline": "colour:1"}
    assert len(told(client, "change", state, "frame")) == 2
    other = TestClient(app)  # another browser, at the same server
    assert other.get(f"/api/uploads/{kept['id']}").status_code == 404
    (refused,) = told(other, "change", state, "refused")
    assert "another session" in refused["message"]
    assert other.cookies["ergosum-studio"] != client.cookies["ergosum-studio"]
    forged = TestClient(app, cookies={"ergosum-studio": "mine"})
    assert forged.get("/api/options").cookies["ergosum-studio"] != "mine"


def test_the_cookie_is_for_the_server_alone(app):
    said = TestClient(app).get("/").headers["set-cookie"]
    assert "HttpOnly" in said and "SameSite=Strict" in said


@pytest.mark.parametrize(
    ("name", "content", "status", "message"),
    [
        ("a.png", b"no image", 422, "it is none of PNG"),
        ("a.png", png()[:60], 422, "a.png: "),
        ("a.png", b"", 422, "a.png: "),
        ("a.exe", b"MZ", 422, "neither an image nor a film"),
        ("a", b"x", 422, "neither an image nor a film"),
        ("a.png", b"x" * (LARGEST + 1), 413, "more than 10 MB"),
    ],
)
def test_what_is_no_upload_is_refused(client, name, content, status, message):
    reply = client.post("/api/uploads", files={"file": (name, content)})
    assert reply.status_code == status and message in reply.json()["error"]


def test_an_upload_of_too_many_pixels_is_refused_before_they_are_decoded(client):
    buffer = io.BytesIO()
    Image.new("1", (20000, 20000)).save(buffer, "PNG")
    assert len(buffer.getvalue()) < 200_000
    begun = time.process_time()
    reply = client.post("/api/uploads", files={"file": ("big.png", buffer.getvalue())})
    assert reply.status_code == 422 and "too many pixels" in reply.json()["error"]
    assert time.process_time() - begun < 1


def test_the_name_of_an_upload_is_no_path(client):
    kept = upload(client, "../../../etc/x.png", png())
    assert kept["name"] == "x.png"
    assert upload(client, "ünïcode \u202e.png", png())["name"].isascii()


def test_a_film_of_objects_runs_no_code(client, tmp_path):
    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    kept = upload(client, "evil.npy", (tmp_path / "evil.npy").read_bytes())
    (refused,) = told(client, "film", {"film": kept["id"]}, "refused")
    assert "Python objects" in refused["message"] and refused["field"] == "start"


def test_a_film_of_too_many_frames_is_refused(client, tmp_path):
    np.save(tmp_path / "long.npy", np.zeros((80, 8, 8), np.uint8))
    kept = upload(client, "long.npy", (tmp_path / "long.npy").read_bytes())
    (refused,) = told(client, "film", {"film": kept["id"]}, "refused")
    assert "more than 60 frames" in refused["message"]


def test_the_oldest_uploads_and_sessions_go_first():
    sessions = Sessions()
    cookie, session = sessions.of("")
    first = session.keep(b"first", "a.png", ".png", "image")
    for n in range(UPLOADS):
        session.keep(b"%d" % n, "a.png", ".png", "image")
    assert not first.path.exists() and len(list(session.folder.iterdir())) == UPLOADS == len(session.uploads)
    for _ in range(SESSIONS):
        sessions.of("")
    assert cookie not in sessions.held and len(sessions.held) == SESSIONS and not session.folder.exists()
    sessions.end()
    assert not sessions.folder.exists()


def test_results_are_kept_for_their_session_few_of_each_and_few_in_all():
    sessions = Sessions()
    people = [sessions.of("")[1] for _ in range(TOGETHER)]
    first, second = people[:2]
    second.remember("mine", 0)
    for n in range(RESULTS + 1):
        first.remember(f"{n}", n)
        assert first.result("1") == (1 if n else None)  # asked for, so that it stays
    assert [n for n in range(RESULTS + 1) if first.result(f"{n}") is not None] == list(range(1, RESULTS + 1))
    assert second.result("mine") == 0 and second.result("1") is None and first.result("mine") is None
    for person in people[2:]:
        person.remember("theirs", 1)
    assert len(sessions.results.held) == TOGETHER
    assert first.result(f"{RESULTS}") == RESULTS and first.result("1") is None  # the one used longest ago has gone
    people[-1].end()
    assert people[-1].result("theirs") is None and len(sessions.results.held) == TOGETHER - 1
    sessions.end()


def test_there_is_no_such_table_or_download(client):
    assert "There is no table 'nothing'" in client.post("/api/nothing/run", json={}).json()["error"]
    assert "There is no download .exe of change" in client.post("/api/change/file/exe", json={}).json()["error"]
    assert client.post("/api/film/file/png", json={}).status_code == 404
    assert client.get("/nothing").status_code == 404


def test_settings_that_are_too_long_are_refused(client):
    reply = client.post("/api/runs/run", content=b" " * 2**17)
    assert reply.status_code == 413


def test_warnings_are_told_to_the_one_whose_formula_it_is(client):
    with told_warnings():  # again, for tests have their own way with warnings
        notes = told(client, "concepts", {"formula": "three | seven & ~zero", "n": 1, "steps": 2}, "note")
    assert len(notes) == 1 and "Write shares, such as 0.5:a | 0.5:b." in notes[0]["text"]


def test_a_port_that_is_taken_is_one_line(capsys):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))
        held.listen()
        port = held.getsockname()[1]
        assert main(["studio", "--port", str(port), "--no-browser"]) == 1
    said = capsys.readouterr().err
    assert f"--port {port}" in said and "taken" in said and said.count("\n") == 1
    assert main(["studio", "--port", "99999"]) == 1


def test_a_root_that_is_not_there_is_refused(tmp_path, capsys):
    assert main(["studio", "--no-browser", "--root", str(tmp_path / "none")]) == 1
    said = capsys.readouterr().err
    assert "none: expected a folder of runs" in said and said.count("\n") == 1


def test_without_the_extra_one_line_says_what_to_install(capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "ergosum.studio.server", None)
    assert main(["studio", "--no-browser"]) == 1
    assert "pip install 'ergosum[studio]'" in capsys.readouterr().err


def test_the_command_serves_until_it_is_interrupted(command, tmp_path):
    process = command("studio", "--port", "0", "--no-browser", "--root", tmp_path)
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:")
        port = int(address.rstrip("/").rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port), 10) as asking:
            asking.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            assert b"ergosum studio" in b"".join(iter(lambda: asking.recv(65536), b""))
        listening_on = [line for line in open("/proc/net/tcp") if f":{port:04X} " in line and " 0A " in line]
        assert all("0100007F:" in line for line in listening_on) and listening_on
    finally:
        process.send_signal(2)
        _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors


def test_a_client_that_vanishes_ends_its_computation_and_a_slow_one_blocks_nobody(listening):
    """Over real connections: one leaves in the middle, one takes nothing, and a third is served meanwhile."""
    body = json.dumps({"formula": "wide", "steps": 2000, "chains": 200, "sampler": "langevin"}).encode()
    ask = b"POST /api/landscape/run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)

    def begun():
        held = socket.create_connection(("127.0.0.1", listening.port), 30)
        held.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        held.settimeout(60)
        held.sendall(ask)
        assert b"200 OK" in held.recv(4096)
        return held

    def until(count):
        for _ in range(600):
            if listening.jobs == count:
                return True
            time.sleep(0.1)
        return False

    slow, leaving = begun(), begun()
    leaving.close()
    assert until(1), "the one that left is still computed for"
    with httpx.Client(base_url=listening.address, timeout=60) as quick:
        reply = quick.post("/api/landscape/run", json={"formula": "wide", "steps": 50, "chains": 20})
        assert events(reply)[-1][0] == "done"
        assert quick.post("/api/landscape/run", json={"formula": "box", "steps": 20, "chains": 4}).status_code == 200
    assert listening.jobs == 1, "the slow one's still waits for it"
    slow.close()
    assert until(0)
