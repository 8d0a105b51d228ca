"""What tests ask a studio."""

import json

__all__ = ["events", "told", "upload"]


def events(reply):
    """The events of a stream that has ended, as (kind, told)."""
    assert reply.status_code == 200, reply.text
    assert reply.headers["content-type"].startswith("text/event-stream")
    found = []
    for block in reply.text.strip().split("\n\n"):
        kind, data = block.split("\n")
        found.append((kind.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
    assert found[-1] == ("end", {})
    return found[:-1]


def told(client, table, state, kind):
    """What the events of a kind tell."""
    return [data for name, data in events(client.post(f"/api/{table}/run", json=state)) if name == kind]


def upload(client, name, content):
    """The id of an upload."""
    reply = client.post("/api/uploads", files={"file": (name, content)})
    assert reply.status_code == 200, reply.text
    return reply.json()
