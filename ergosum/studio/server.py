"""The studio's server: one process on this machine alone, a page, and computations streamed to it.

Everything is asked for by POST with a table's state as JSON; `/run` answers with a stream of server-sent events, one
for each step, and stops computing when the client leaves. What a browser uploads belongs to its session, which a random
cookie names. A request from another site, or for another host name, is refused.
"""

import asyncio
import contextlib
import json
import logging
import re
import socket
import sys
import threading
import warnings
import webbrowser
from collections.abc import AsyncIterator, Callable, Generator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

import uvicorn
from fastapi import FastAPI, Request, UploadFile
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

import ergosum
from ergosum.studio.change import Change, Film
from ergosum.studio.concepts import Concepts
from ergosum.studio.decompose import Decompose, Parts
from ergosum.studio.jobs import Job, TooMany, Worker, present_job
from ergosum.studio.landscape import Landscape
from ergosum.studio.place import LARGEST, Models, NotHere, Place, Session, Sessions, Upload
from ergosum.studio.runs import Runs
from ergosum.studio.table import Event, Refused, Table

__all__ = ["TABLES", "application", "serve", "told_warnings"]

PAGE = Path(__file__).parent / "page"
COOKIE = "ergosum-studio"
BODY = 2**16
"""Bytes of a state, at most."""
HOSTS = ("127.0.0.1", "localhost", "[::1]")
"""Names by which this machine may be asked for the page."""
STALLED = 60.0
"""Seconds after which a client that takes nothing has left."""
ABOUT_SHARES = "Pass log_weights=, or estimate them with ergosum.partition.weighted."
"""What a warning says to those who write Python; here a formula is written."""
KINDS = {"png": "image/png", "gif": "image/gif", "npz": "application/octet-stream", "svg": "image/svg+xml"}
IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png", ".tif", ".tiff", ".webp")
FILMS = (".apng", ".gif", ".png", ".webp", ".tif", ".tiff", ".npy", ".avi", ".m4v", ".mkv", ".mov", ".mp4", ".webm")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
)
"""What the page may load: nothing from another host."""
REPORT = "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; frame-ancestors 'self'"
"""What a run's report may do: be looked at."""

TABLES: tuple[Table, ...] = (Change(), Film(), Landscape(), Concepts(), Decompose(), Parts(), Runs())
"""All tables; the page has a place for each, in this order, but for `film`, which is a part of `change`, and `parts`,
which is one of `decompose`."""

log = logging.getLogger("ergosum.studio")


class Studio(NamedTuple):
    """What the server holds: models, sessions, and one thread each for quick work and for slow work."""

    models: Models
    sessions: Sessions
    quick: Worker
    slow: Worker


def application(root: Path | str = "runs", ready: bool = True) -> FastAPI:
    """The server's application.

    Args:
        root: folder of runs. ready: import and load what the first table needs as it starts.
    """

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        with told_warnings():
            held = Studio(Models(Path(root)), Sessions(), Worker("quick"), Worker("slow"))
            app.state.studio = held
            if ready:
                nobody = Session(held.sessions.folder, held.sessions.results)
                held.quick.submit(Job(_prepared(Place(held.models, nobody)), nobody, lambda result: None))
            try:
                yield
            finally:
                held.quick.close()
                held.slow.close()
                held.sessions.end()

    app = FastAPI(title="ergosum studio", version=ergosum.__version__, docs_url=None, redoc_url=None, lifespan=life)
    app.add_middleware(Guard)
    app.mount("/page", StaticFiles(directory=PAGE), name="page")
    for known, handler in ((Refused, _refused), (NotHere, _refused), (TooMany, _busy), (HTTPException, _plainly)):
        app.add_exception_handler(known, handler)  # type: ignore[arg-type]
    _routes(app)
    return app


def _routes(app: FastAPI) -> None:
    tables = {table.name: table for table in TABLES}

    def held(request: Request) -> Studio:
        return request.app.state.studio

    def table_of(name: str) -> Table:
        if name not in tables:
            raise HTTPException(404, f"There is no table {name[:40]!r}; there are {', '.join(tables)}.")
        return tables[name]

    async def asked(request: Request, name: str) -> tuple[Table, Any, str]:
        """The table, its checked state, and the state's name for results that are kept."""
        table, told = table_of(name), await _json(request)
        state = await run_in_threadpool(table.state, told)
        return table, state, f"{name} {state!r}"

    def begun(
        request: Request,
        steps: Generator[Event, None, Any],
        slow: bool,
        done: Callable[[Any], None] = lambda result: None,
        shown: str = "",
    ) -> tuple[Worker, Job]:
        """A computation under way, with the worker that takes its steps; `shown` is where on the page it is."""
        studio, session = held(request), request.state.session
        worker = studio.slow if slow else studio.quick
        page = request.headers.get("x-page", "")
        return worker, worker.submit(Job(steps, session, done, (id(session), page, shown) if page and shown else None))

    @app.get("/", response_class=HTMLResponse)
    async def page() -> Response:
        return HTMLResponse((PAGE / "index.html").read_text(encoding="utf-8"), headers={"Cache-Control": "no-cache"})

    @app.get("/api/charts.css")
    def charts() -> Response:
        from ergosum.report.charts import STYLE

        return Response(STYLE, media_type="text/css")

    @app.get("/favicon.ico")
    async def icon() -> Response:
        return Response((PAGE / "icon.svg").read_bytes(), media_type="image/svg+xml")

    @app.get("/api/options")
    async def options(request: Request) -> Response:
        place = _place(request)

        def steps() -> Generator[Event, None, None]:
            for table in TABLES:
                yield Event(table.name, table.options(place))

        told: dict[str, Any] = {}
        async for event in _events(*begun(request, steps(), False)):
            if event.kind == "refused":
                return JSONResponse({"error": event.told["message"], "field": ""}, 500)
            if event.kind in tables:
                told[event.kind] = event.told
        return JSONResponse({"version": ergosum.__version__, "tables": told})

    @app.post("/api/uploads")
    async def upload(request: Request, file: UploadFile) -> Response:
        content = await file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise HTTPException(
                413, f"The file has more than {LARGEST // 2**20} MB, the most that is taken; save it smaller."
            )
        session: Session = request.state.session
        kept = await run_in_threadpool(_kept, session, content, file.filename or "")
        return JSONResponse({"id": kept.id, "name": kept.name, "kind": kept.kind})

    @app.get("/api/uploads/{key}")
    async def uploaded(request: Request, key: str) -> Response:
        kept = request.state.session.upload(key)
        return Response(kept.path.read_bytes(), media_type="application/octet-stream", headers=_as_file(kept.name))

    @app.get("/api/report/{name:path}")
    async def report(request: Request, name: str) -> Response:
        page = held(request).models.folder(name) / "report.html"
        if not page.is_file():
            raise NotHere(f"{name[:80]} has no report yet; `ergosum report` writes it.")
        return HTMLResponse(page.read_text(encoding="utf-8"), headers={"Content-Security-Policy": REPORT})

    @app.post("/api/{name}/run")
    async def run(request: Request, name: str) -> Response:
        table, state, key = await asked(request, name)
        session: Session = request.state.session
        steps = table.run(state, _place(request))
        shown = f"{name} {request.headers.get('x-place', '')}"
        worker, job = begun(request, steps, table.slow, lambda result: session.remember(key, result), shown)
        return Stream(worker, job)

    @app.post("/api/{name}/code")
    async def code(request: Request, name: str) -> Response:
        table, state, _ = await asked(request, name)
        place = _place(request)
        return JSONResponse({"python": table.python(state, place), "command": table.command(state, place)})

    @app.post("/api/{name}/file/{suffix}")
    async def file(request: Request, name: str, suffix: str) -> Response:
        table, state, key = await asked(request, name)
        if suffix not in table.formats:
            raise HTTPException(
                404, f"There is no download .{suffix[:10]} of {name}; there are {', '.join(table.formats)}."
            )
        session: Session = request.state.session

        def steps() -> Generator[Event, None, bytes]:
            result = session.result(key)
            if result is None:
                result = yield from table.run(state, _place(request))
                session.remember(key, result)
            yield Event("made", {})
            return table.encode(result, suffix)

        made: list[bytes] = []
        worker, job = begun(request, steps(), table.slow, made.append)
        async for event in _events(worker, job, request):
            if event.kind == "refused":
                return JSONResponse({"error": event.told["message"], "field": event.told["field"]}, 422)
        if not made:
            raise HTTPException(499, "The client has left.")
        return Response(made[0], media_type=KINDS[suffix], headers=_as_file(f"{name}.{suffix}"))


def _place(request: Request) -> Place:
    def tell(kind: str, told: Any) -> None:
        job = present_job()
        if job is not None:
            job.tell(kind, told)

    return Place(request.app.state.studio.models, request.state.session, tell)


async def _json(request: Request) -> Any:
    """The body, within bounds."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > BODY:
            raise HTTPException(413, f"Expected settings of at most {BODY} bytes.")
    try:
        return json.loads(body or b"{}", parse_constant=lambda word: word)
    except (ValueError, RecursionError) as error:
        raise Refused(f"Expected settings as JSON; {error}.") from error


def _kept(session: Session, content: bytes, name: str) -> Upload:
    """An upload that can be read as an image or a film, kept under a name without folders or signs."""
    from ergosum.data.film_file import VIDEOS
    from ergosum.data.image_file import UnreadableImage, is_animated, read_image

    suffix = Path(name).suffix.lower()
    if suffix not in (*IMAGES, *FILMS):
        raise Refused(
            f"{name[:60]!r} is neither an image nor a film that can be read; give PNG, JPEG, GIF or .npy.", "start"
        )
    stem = re.sub(r"[^A-Za-z0-9_-]+", "-", Path(name).stem)[:40].strip("-") or "image"
    kept = session.keep(content, f"{stem}{suffix}", suffix, "image")
    if suffix in (".npy", *VIDEOS) or is_animated(kept.path):
        kept = kept._replace(kind="film")
        session.uploads[kept.id] = kept
        return kept
    try:
        read_image(kept.path)
    except UnreadableImage as error:
        session.forget(kept)
        raise Refused(f"{kept.name}: {error.reason}.", "start") from error
    return kept


def _as_file(name: str) -> dict[str, str]:
    return {"Content-Disposition": f'attachment; filename="{name}"'}


async def _events(worker: Worker, job: Job, request: Request | None = None) -> AsyncIterator[Event]:
    """Events of a job that is closed when nobody takes them any more."""
    try:
        async for event in worker.events(job):
            yield event
            if request is not None and await request.is_disconnected():
                return
    finally:
        worker.cancel(job)


class Stream(Response):
    """A job's events as they come, until the client leaves or stops taking them."""

    media_type = "text/event-stream"

    def __init__(self, worker: Worker, job: Job) -> None:
        super().__init__(headers={"Cache-Control": "no-store", "X-Accel-Buffering": "no"})
        del self.headers["content-length"]
        self.worker, self.job = worker, job

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events; a client that leaves ends the job."""
        gone = asyncio.ensure_future(_left(receive))
        sending = asyncio.ensure_future(self._send(send))
        try:
            await asyncio.wait((gone, sending), return_when=asyncio.FIRST_COMPLETED)
        finally:
            self.worker.cancel(self.job)
            for task in (gone, sending):
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError, TimeoutError):
                    await task

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        async for event in self.worker.events(self.job):
            text = f"event: {event.kind}\ndata: {json.dumps(event.told, allow_nan=False)}\n\n"
            message: Message = {"type": "http.response.body", "body": text.encode(), "more_body": True}
            await asyncio.wait_for(send(message), STALLED)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


class Guard:
    """Refuses other hosts and other sites, gives every request its session, and every answer its policy."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        request = Request(scope)
        host = request.headers.get("host", "")
        origin = request.headers.get("origin")
        site = request.headers.get("sec-fetch-site", "same-origin")
        if re.sub(r":\d+$", "", host) not in (*HOSTS, "testserver"):
            await _refusal(f"This page is for this machine alone, not for {host[:60]!r}.")(scope, receive, send)
            return
        if request.method != "GET" and ((origin and origin != f"http://{host}") or site not in ("same-origin", "none")):
            await _refusal("Another site may not ask for this.")(scope, receive, send)
            return
        sessions: Sessions = scope["app"].state.studio.sessions
        if request.url.path.startswith("/page/"):
            await self.app(scope, receive, send)
            return
        cookie = request.cookies.get(COOKIE, "")
        name, session = sessions.of(cookie)
        scope.setdefault("state", {})["session"] = session

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *_policy(message["headers"])]
                if name != cookie:
                    told = f"{COOKIE}={name}; Path=/; HttpOnly; SameSite=Strict"
                    message["headers"].append((b"set-cookie", told.encode()))
            await send(message)

        await self.app(scope, receive, answer)


def _policy(headers: Any) -> list[tuple[bytes, bytes]]:
    given = {name.lower() for name, _ in headers}
    wanted = {
        b"content-security-policy": POLICY.encode(), b"x-content-type-options": b"nosniff",
        b"referrer-policy": b"no-referrer", b"cross-origin-resource-policy": b"same-origin",
    }  # fmt: skip
    return [(name, value) for name, value in wanted.items() if name not in given]


def _refusal(message: str) -> JSONResponse:
    return JSONResponse({"error": message, "field": ""}, 403)


async def _refused(request: Request, error: Exception) -> Response:
    status = 404 if isinstance(error, NotHere) else 422
    return JSONResponse({"error": str(error), "field": getattr(error, "field", "")}, status)


async def _busy(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error), "field": ""}, 429, headers={"Retry-After": "1"})


async def _plainly(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": str(error.detail), "field": ""}, error.status_code)


@contextlib.contextmanager
def told_warnings() -> Generator[None, None, None]:
    """Warnings of a computation are shown to the one whose it is."""
    with warnings.catch_warnings():
        warnings.filterwarnings("always", category=UserWarning, module=r"ergosum\b")
        before = warnings.showwarning

        def show(message: Any, category: Any, *others: Any, **named: Any) -> None:
            job = present_job()
            if job is not None and issubclass(category, UserWarning):
                text = " ".join(str(message).split()).replace(ABOUT_SHARES, "Write shares, such as 0.5:a | 0.5:b.")
                job.put(Event("note", {"text": text}))
            else:
                before(message, category, *others, **named)

        warnings.showwarning = show
        try:
            yield
        finally:
            warnings.showwarning = before


def _prepared(place: Place) -> Generator[Event, None, None]:
    """Import and load what the first table needs, in steps."""
    import torch  # noqa: F401

    yield Event("ready", {})
    table = TABLES[0]
    options = table.options(place)
    yield Event("ready", {})
    for card in options["begin"]["cards"]:
        place.models.load(card)
        yield Event("ready", {})
    for _ in table.run(table.state(options["begin"]), place):
        return


def serve(root: Path | str = "runs", port: int = 8765, browser: bool = True) -> None:
    """Serve the studio on this machine until it is interrupted; prints its address.

    Args:
        root: folder of runs. port: 0 for any that is free. browser: open the page in it.
    Raises:
        OSError: if the port is taken.
    """
    held = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        held.bind(("127.0.0.1", port))
    except OSError as error:
        held.close()
        raise OSError(f"--port {port}: it is taken by another program, or not allowed; choose another one.") from error
    address = f"http://127.0.0.1:{held.getsockname()[1]}/"
    config = uvicorn.Config(application(root), log_level="warning", timeout_graceful_shutdown=1, lifespan="on")
    server = uvicorn.Server(config)

    def opened() -> None:
        while not server.started:
            if server.should_exit:
                return
            threading.Event().wait(0.05)
        print(address, flush=True)
        print("Runs are looked for in", root, "- Ctrl-C ends the studio.", file=sys.stderr, flush=True)
        if browser:
            webbrowser.open(address)

    threading.Thread(target=opened, daemon=True).start()
    server.run(sockets=[held])
