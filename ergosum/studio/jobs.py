"""Computations in steps, taken in turn by one thread, and watched by clients that may be slow or vanish.

A job is a generator of events. The worker takes one step of each job in turn, so that nobody waits for the end of
another one's work, and passes over a job whose client has not yet taken what is ready. A job whose client has left is
closed at its next step.
"""

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from typing import Any

from ergosum.studio.table import Event, Refused

__all__ = ["Cancelled", "Job", "TooMany", "Worker", "present_job"]

READY = 24
"""Events that may wait for a client before its job is passed over."""
PATIENCE = 60.0
"""Seconds that a job waits for a client that takes nothing, before it is closed."""
EACH = 4
"""Jobs of one session at a time."""
ALL = 48
"""Jobs at a time."""

log = logging.getLogger("ergosum.studio")
_here = threading.local()


class Cancelled(Exception):
    """The client has left."""


class TooMany(RuntimeError):
    """There is more work waiting than is taken on."""


def present_job() -> "Job | None":
    """The job whose step this thread is taking."""
    return getattr(_here, "job", None)


class Job:
    """A computation and what it has to tell.

    Args:
        steps: yields events, returns the result. owner: whose it is. done: called with the result. lane: where it is
            shown; a new job ends the one before in its lane, None for none.
    """

    def __init__(
        self, steps: Generator[Event, None, Any], owner: object, done: Callable[[Any], None], lane: object = None
    ) -> None:
        self.steps, self.owner, self.done, self.lane = steps, owner, done, lane
        self.ready: deque[Event] = deque()
        self.loop = asyncio.get_running_loop()
        self.news = asyncio.Event()
        self.ended = self.cancelled = False
        self.seen = time.monotonic()
        self.begun: float | None = None

    def put(self, event: Event) -> None:
        """Tell an event; called by the worker's thread."""
        self.ready.append(event)
        try:
            self.loop.call_soon_threadsafe(self.news.set)
        except RuntimeError:  # the loop has ended, and with it the client
            self.cancelled = True

    def tell(self, kind: str, told: Any) -> None:
        """Tell an event from within a step.

        Raises:
            Cancelled: if the client has left.
        """
        if self.cancelled:
            raise Cancelled
        self.put(Event(kind, told))

    @property
    def waits(self) -> bool:
        """Whether the client has enough to take."""
        return len(self.ready) >= READY


class Worker:
    """A thread that takes steps of jobs in turn."""

    def __init__(self, name: str) -> None:
        self.jobs: deque[Job] = deque()
        self.changed = threading.Condition()
        self.closing = False
        self.thread = threading.Thread(target=self._work, name=f"ergosum {name}", daemon=True)
        self.thread.start()

    def submit(self, job: Job) -> Job:
        """Take on a job, in place of the one in its lane.

        Raises:
            TooMany: if its owner, or everyone together, has enough waiting.
        """
        with self.changed:
            for other in self.jobs:
                other.cancelled = other.cancelled or (job.lane is not None and other.lane == job.lane)
            wanted = [other for other in self.jobs if not other.cancelled]
            if sum(other.owner is job.owner for other in wanted) >= EACH:
                raise TooMany(f"{EACH} computations of yours are running; stop one, or wait for it.")
            if len(wanted) >= ALL:
                raise TooMany("Too many computations are waiting; try again in a moment.")
            self.jobs.append(job)
            self.changed.notify()
        return job

    def cancel(self, job: Job) -> None:
        """Close a job at its next step; one that has ended stays as it is."""
        job.cancelled = True
        with self.changed:
            self.changed.notify()

    async def events(self, job: Job) -> AsyncIterator[Event]:
        """The job's events as they come, to its end."""
        while True:
            while job.ready:
                event = job.ready.popleft()
                job.seen = time.monotonic()
                yield event
            if job.ended and not job.ready:
                return
            with self.changed:
                self.changed.notify()
            await job.news.wait()
            job.news.clear()

    def close(self) -> None:
        """End the thread after its present step."""
        with self.changed:
            self.closing = True
            self.changed.notify()
        self.thread.join(5)

    def _work(self) -> None:
        while True:
            with self.changed:
                job = self._next()
                while job is None and not self.closing:
                    self.changed.wait(1.0 if self.jobs else None)
                    job = self._next()
                if self.closing:
                    return
            assert job is not None
            if self._step(job):
                with self.changed:
                    self.jobs.remove(job)
                job.ended = True
                job.put(Event("end", {}))

    def _next(self) -> Job | None:
        """The job whose turn it is, moved to the end of the row."""
        for _ in range(len(self.jobs)):
            job = self.jobs.popleft()
            self.jobs.append(job)
            if job.cancelled or not job.waits or time.monotonic() - job.seen > PATIENCE:
                return job
        return None

    def _step(self, job: Job) -> bool:
        """Take one step; whether it was the last."""
        _here.job = job
        try:
            if job.cancelled or (job.waits and time.monotonic() - job.seen > PATIENCE):
                job.steps.close()
                return True
            if job.begun is None:
                job.begun = time.monotonic()
            job.put(next(job.steps))
            return False
        except StopIteration as end:
            job.done(end.value)
            job.put(Event("done", {"seconds": round(time.monotonic() - (job.begun or 0), 3)}))
        except Cancelled:
            pass
        except (ValueError, OSError, ArithmeticError, RuntimeError) as error:
            job.put(Event("refused", {"message": _words(error), "field": getattr(error, "field", "")}))
        except Exception:
            log.exception("A computation failed")
            job.put(Event("refused", {"message": "Something failed that should not; the log has it.", "field": ""}))
        finally:
            _here.job = None
        return True


def _words(error: BaseException) -> str:
    """An error in its own words; the caret under a formula is kept."""
    text = str(error).strip() or type(error).__name__
    if isinstance(error, Refused):
        return text
    if isinstance(error, OSError) and error.filename:
        return f"A file could not be read: {error.strerror}."
    return text
