"""A long day at the studio: requests of all kinds, a tenth of them bad, from many people, some of whom leave early."""

import gc
import io
import json
import logging
import os
import socket

import httpx
import pytest
import torch
from PIL import Image

GOOD = (
    ("change", "run", {"cards": ["colour"], "timeline": "colour:2"}),
    ("change", "file/png", {"cards": ["colour"], "timeline": "colour:1"}),
    ("change", "code", {}),
    ("landscape", "run", {"formula": "ring & 0.5*~box", "steps": 20, "chains": 10}),
    ("landscape", "file/npz", {"formula": "left | right", "steps": 20, "chains": 10, "sampler": "hmc"}),
    ("concepts", "run", {"formula": "three", "n": 1, "steps": 2}),
    ("parts", "run", {"model": "tetrominoes", "image": "held-out:1"}),
    ("decompose", "run", {"model": "tetrominoes", "a": "held-out:1", "b": "held-out:2", "take": "A:ground B:one"}),
    ("runs", "run", {"runs": ["colour"]}),
    ("runs", "code", {"runs": ["colour"]}),
)
BAD = (
    ("change", "run", {"timeline": "hue:3"}),
    ("change", "run", {"start": "upload:0123456789abcdef"}),
    ("landscape", "run", {"formula": "ring & |"}),
    ("landscape", "run", {"steps": -1}),
    ("concepts", "run", {"formula": "nothing", "n": 1, "steps": 2}),
    ("decompose", "run", {"take": "C:x"}),
    ("runs", "run", {"runs": ["../.."]}),
    ("nowhere", "run", {}),
    ("change", "file/exe", {}),
)


def resident():
    """Megabytes of memory that this process holds."""
    gc.collect()
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def soak(listening, requests, caplog):
    """Megabytes after a fifth of the requests, and after all; how many were refused. One of each good kind goes before
    them, so that all that is loaded once is there.
    """
    pick = torch.Generator().manual_seed(0)
    image = io.BytesIO()
    Image.new("L", (30, 30), 9).save(image, "PNG")
    refused, early = 0, 0.0
    client = httpx.Client(base_url=listening.address, timeout=120)
    with caplog.at_level(logging.WARNING):
        for table, what, state in GOOD:
            assert client.post(f"/api/{table}/{what}", json=state).status_code == 200
        for number in range(requests):
            if number % 12 == 0:
                client.close()
                client = httpx.Client(base_url=listening.address, timeout=120)  # another person
            if number == requests // 5:
                early = resident()
            kind = int(torch.randint(20, (), generator=pick))
            if number % 10 == 3:
                table, what, state = BAD[int(torch.randint(len(BAD), (), generator=pick))]
                reply = client.post(f"/api/{table}/{what}", json=state)
                refused += reply.status_code >= 400 or "event: refused" in reply.text
                assert reply.status_code < 500 and "Traceback" not in reply.text
            elif kind == 0:
                body = json.dumps({"formula": "wide", "steps": 2000}).encode()
                with socket.create_connection(("127.0.0.1", listening.port), 60) as leaving:
                    head = f"POST /api/landscape/run HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(body)}\r\n\r\n"
                    leaving.sendall(head.encode() + body)
                    assert leaving.recv(12) == b"HTTP/1.1 200"
            elif kind == 1:
                content = image.getvalue() + number.to_bytes(4, "big")
                reply = client.post("/api/uploads", files={"file": ("a.png", content)})
                assert reply.status_code == 200
            elif kind == 2:
                assert client.get("/").status_code == client.get("/page/style.css").status_code == 200
            else:
                table, what, state = GOOD[int(torch.randint(len(GOOD), (), generator=pick))]
                seeded = {**state, "seed": number} if what == "run" and table in ("landscape", "concepts") else state
                reply = client.post(f"/api/{table}/{what}", json=seeded)
                assert reply.status_code == 200 and "event: refused" not in reply.text, reply.text[-300:]
    client.close()
    assert not [record for record in caplog.records if record.exc_info or record.levelno >= logging.ERROR]
    return early, resident(), refused


def test_thirty_requests_leave_the_studio_as_it_was(listening, caplog, capfd):
    early, late, refused = soak(listening, 30, caplog)
    assert refused == 3 and late - early < 80
    assert "Traceback" not in "".join(capfd.readouterr())


@pytest.mark.slow
def test_a_thousand_requests_leave_the_studio_as_it_was(listening, caplog, capfd):
    early, late, refused = soak(listening, 1000, caplog)
    print(f"{early:.0f} MB after 200 requests, {late:.0f} MB after 1,000")
    assert refused == 100 and late - early < 60
    assert "Traceback" not in "".join(capfd.readouterr())
