"""Blocking work in threads: how much at once, what waits, what is refused."""

import threading
from pathlib import Path

import anyio
import pytest

from spanbridge.limits import Limits
from spanbridge.payloads.served.jobs import Jobs
from spanbridge.protocol.problems import Problem

from ..bus.without_process import workbench

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_what_finds_no_place_waits(tmp_path: Path) -> None:
    """Many more than there may be threads: nothing hangs, so nothing is refused."""
    count = 2 * Limits().file_threads
    results: list[int] = []
    async with workbench(tmp_path) as bench:
        jobs = Jobs(bench.services)

        async def run(number: int) -> None:
            results.append(await jobs.run(int, number))

        async with anyio.create_task_group() as tasks:
            for number in range(count):
                tasks.start_soon(run, number)
    assert sorted(results) == list(range(count))


async def test_one_that_waits_may_be_given_up(tmp_path: Path) -> None:
    go_on = threading.Event()
    ran: list[str] = []
    async with workbench(tmp_path) as bench:
        jobs = Jobs(bench.services)
        async with anyio.create_task_group() as tasks:
            for _ in range(bench.services.context.limits.file_jobs):
                tasks.start_soon(jobs.run, go_on.wait)
            await anyio.wait_all_tasks_blocked()
            with anyio.CancelScope() as scope:
                tasks.start_soon(_give_up, scope)
                await jobs.run(ran.append, "given up")
            go_on.set()
        await jobs.run(ran.append, "the next")
    assert ran == ["the next"]


async def _give_up(scope: anyio.CancelScope) -> None:
    await anyio.wait_all_tasks_blocked()
    scope.cancel()


async def test_with_too_many_that_hang_more_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    async with workbench(tmp_path) as bench:
        jobs = Jobs(bench.services)
        monkeypatch.setattr(jobs, "_most", 3)
        async with anyio.create_task_group() as tasks:
            for _ in range(3):
                tasks.start_soon(jobs.run, go_on.wait)
            await anyio.wait_all_tasks_blocked()
            with pytest.raises(Problem, match="file_threads"):
                await jobs.run(int, 1)
            go_on.set()
        assert await jobs.run(int, 1) == 1


async def test_without_more_threads_those_that_run_do_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system gives none, one, then any number: what cannot begin is refused, what has begun is done."""
    started: list[threading.Thread] = []
    allowed, done = 0, anyio.Event()
    begin = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if len(started) >= allowed:
            raise RuntimeError("can't start new thread")
        started.append(thread)
        begin(thread)

    go_on = threading.Event()
    async with workbench(tmp_path) as bench:
        jobs = Jobs(bench.services)
        monkeypatch.setattr(threading.Thread, "start", start)
        with pytest.raises(Problem, match="no thread"):
            await jobs.run(int)
        allowed = 1
        results: list[int] = []

        async def run(number: int) -> None:
            results.append(await jobs.run(int, number))
            if number == 100:
                done.set()

        async with anyio.create_task_group() as tasks:
            for number in range(100):
                tasks.start_soon(run, number)
        assert sorted(results) == list(range(100))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(jobs.run, go_on.wait)
            await anyio.wait_all_tasks_blocked()
            tasks.start_soon(run, 100)
            await anyio.wait_all_tasks_blocked()
            assert results[-1] != 100
            allowed = 2
            await done.wait()  # a thread for it is asked for again
            go_on.set()
    assert len(started) == 2
