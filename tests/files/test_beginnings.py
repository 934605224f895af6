"""Reads that wait for a watch of the same path, without a process around them: each is told of what becomes of it."""

import threading
from pathlib import Path

import anyio
import pytest

from spanbridge.payloads.files.fsread1 import fsread
from spanbridge.payloads.files.fswatch1 import fswatch
from spanbridge.payloads.served.jobs import Jobs
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..bus.without_process import workbench

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_no_thread_is_left_to_read_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All that waited are refused, and the watch is not."""
    go_on = threading.Event()
    async with workbench(tmp_path) as bench:
        jobs = bench.services.once(Jobs)
        path = str(tmp_path / "file")
        watch = bench.open(fswatch, "watch", payload="fswatch1", path=path)
        reads = [bench.open(fsread, f"read-{number}", payload="fsread1", path=path) for number in range(2)]
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(jobs.run, go_on.wait)
            await anyio.lowlevel.checkpoint()
            monkeypatch.setattr(jobs, "_most", 1)
            with anyio.move_on_after(5):
                while not all(read.closed for read in reads):  # noqa: ASYNC110 - nobody is told
                    await anyio.sleep(0.01)
            go_on.set()
        assert [(read.closed or {}).get("problem") for read in reads] == ["internal-error", "internal-error"]
        assert watch.closed is None
        assert [told["command"] for told in watch.controls] == ["ready"]
        watch.end({})


async def test_the_watch_is_refused_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A read of the same path does not wait for it."""

    def refuse(jobs: Jobs, services: object) -> None:
        raise Problem(INTERNAL_ERROR, "no threads for files: Too many open files")

    async with workbench(tmp_path) as bench:
        path = str(tmp_path / "file")
        with monkeypatch.context() as patch:
            patch.setattr(Jobs, "__init__", refuse)
            with pytest.raises(Problem):
                bench.open(fswatch, "watch", payload="fswatch1", path=path)
        read = bench.open(fsread, "read", payload="fsread1", path=path)
        with anyio.move_on_after(5):
            while read.closed is None:  # noqa: ASYNC110 - nobody is told
                await anyio.sleep(0.01)
        assert read.closed is not None
        assert read.closed["tag"] == "-"
