"""Jobs are taken in turn; nobody waits for a client that is slow or gone."""

import asyncio
import logging
import threading
import time

import pytest

from ergosum.studio import jobs
from ergosum.studio.jobs import Job, TooMany, Worker, present_job
from ergosum.studio.table import Event, Refused


@pytest.fixture
def worker():
    held = Worker("test")
    yield held
    held.close()
    assert not held.thread.is_alive()


def steps(name, count, log, closed=None, after=None):
    try:
        for n in range(count):
            log.append((name, n))
            if after:
                after.wait(5)
            yield Event("step", {"n": n})
        return name
    finally:
        if closed is not None:
            closed.append(name)


async def taken(worker, job):
    return [event async for event in worker.events(job)]


def test_a_job_tells_its_steps_and_gives_its_result(worker):
    results = []

    async def main():
        return await taken(worker, worker.submit(Job(steps("a", 3, []), "me", results.append)))

    kinds = [event.kind for event in asyncio.run(main())]
    assert kinds == ["step", "step", "step", "done", "end"] and results == ["a"]


def test_jobs_take_turns(worker):
    log, gate = [], threading.Event()

    async def main():
        held = [worker.submit(Job(steps(name, 5, log, after=gate), name, print)) for name in "abc"]
        gate.set()
        await asyncio.gather(*(taken(worker, job) for job in held))

    asyncio.run(main())
    first_of_last = log.index(("c", 0))
    assert first_of_last <= 3 and log.index(("a", 4)) > log.index(("c", 2))


def test_a_client_that_takes_nothing_is_passed_over_and_others_end(worker):
    log = []

    async def main():
        stuck = worker.submit(Job(steps("stuck", 1000, log), "slow", print))
        other = await taken(worker, worker.submit(Job(steps("quick", 200, log), "me", print)))
        assert len(other) == 202
        await asyncio.sleep(0.05)
        made = sum(name == "stuck" for name, _ in log)
        assert made == jobs.READY and len(stuck.ready) == jobs.READY
        assert len(await taken(worker, stuck)) == 1002  # taken up again, it goes on to its end

    asyncio.run(main())


def test_a_client_that_takes_nothing_for_long_is_given_up(worker, monkeypatch):
    monkeypatch.setattr(jobs, "PATIENCE", 0.2)
    closed = []

    async def main():
        worker.submit(Job(steps("stuck", 1000, [], closed), "slow", print))
        for _ in range(200):
            await asyncio.sleep(0.05)
            if closed:
                return

    asyncio.run(main())
    assert closed == ["stuck"] and not worker.jobs


def test_a_client_that_leaves_ends_its_job(worker):
    log, closed = [], []

    async def main():
        job = worker.submit(Job(steps("a", 10**6, log, closed), "me", print))
        async for _ in worker.events(job):
            worker.cancel(job)
            break
        for _ in range(200):
            await asyncio.sleep(0.01)
            if closed:
                break
        assert job.ended

    asyncio.run(main())
    assert closed == ["a"] and len(log) <= jobs.READY + 1 and not worker.jobs


def test_a_step_that_tells_ends_when_the_client_has_left(worker):
    reached = []

    def long():
        for n in range(10**6):
            job = present_job()
            job.tell("progress", {"n": n})
            reached.append(n)
            time.sleep(0.001)
        yield Event("never", {})

    async def main():
        job = worker.submit(Job(long(), "me", print))
        async for event in worker.events(job):
            assert event.kind == "progress"
            worker.cancel(job)
            break
        while not job.ended:
            await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(main(), 20))
    assert len(reached) < 1000


@pytest.mark.parametrize(
    ("error", "message", "field"),
    [
        (Refused("seed: expected one.", "seed"), "seed: expected one.", "seed"),
        (ValueError("no such thing"), "no such thing", ""),
        (FileNotFoundError(2, "No such file or directory", "/etc/secret"), "A file could not be read: No such", ""),
        (KeyError("x"), "Something failed that should not", ""),
    ],
)
def test_errors_are_told_in_plain_words_and_without_paths(worker, error, message, field, caplog):
    def failing():
        yield Event("step", {})
        raise error

    async def main():
        return await taken(worker, worker.submit(Job(failing(), "me", print)))

    with caplog.at_level(logging.ERROR):
        found = asyncio.run(main())
    (refused,) = [event.told for event in found if event.kind == "refused"]
    assert refused["message"].startswith(message) and refused["field"] == field
    assert "/etc" not in refused["message"] and bool(caplog.records) == isinstance(error, KeyError)


def test_a_new_job_ends_the_one_before_at_its_place_alone(worker):
    closed = []

    async def main():
        places = (("page", "plane"), ("page", "other"), None)
        held = [worker.submit(Job(steps(str(p), 10**6, [], closed), "me", print, p)) for p in places]
        while not held[0].ready:
            await asyncio.sleep(0.01)
        await taken(worker, worker.submit(Job(steps("new", 2, []), "me", print, ("page", "plane"))))
        while not held[0].ended:
            await asyncio.sleep(0.01)
        assert not held[1].ended and not held[2].ended
        for job in held:
            worker.cancel(job)

    asyncio.run(asyncio.wait_for(main(), 30))
    assert closed[0] == str(("page", "plane"))


def test_jobs_that_were_ended_do_not_count(worker):
    async def main():
        held = [worker.submit(Job(steps(str(n), 10**6, []), "me", print)) for n in range(jobs.EACH)]
        for job in held:
            worker.cancel(job)
        await taken(worker, worker.submit(Job(steps("new", 2, []), "me", print)))

    asyncio.run(asyncio.wait_for(main(), 30))


def test_one_session_cannot_fill_the_row(worker):
    gate = threading.Event()

    async def main():
        held = [worker.submit(Job(steps(str(n), 2, [], after=gate), "me", print)) for n in range(jobs.EACH)]
        with pytest.raises(TooMany, match="of yours are running"):
            worker.submit(Job(steps("more", 2, []), "me", print))
        worker.submit(Job(steps("other", 2, []), "you", print))
        gate.set()
        await asyncio.gather(*(taken(worker, job) for job in held))

    asyncio.run(main())
