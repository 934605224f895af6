"""A file that came over D-Bus as a channel, without a bus: it is closed even where no thread came to read it."""

import errno
import os
import threading
from pathlib import Path

import anyio
import pytest

from spanbridge.payloads.bus.descriptors import Descriptors
from spanbridge.payloads.files import shared
from spanbridge.payloads.served.jobs import Jobs
from spanbridge.payloads.streams.stream import stream
from spanbridge.protocol.problems import INTERNAL_ERROR, Problem

from ..bus.without_process import Opened, Workbench, workbench

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    (tmp_path / "file").write_text("text")
    return tmp_path / "file"


def open_channel(bench: Workbench, path: Path) -> Opened:
    owner, fd = object(), os.open(path, os.O_RDONLY)
    ident = bench.services.once(Descriptors).offer(owner, fd)
    os.close(fd)
    return bench.open(stream, internal=ident)


def is_held(path: Path) -> bool:
    """Whether this process has a descriptor of the file."""
    return any(each.resolve() == path for each in Path("/proc/self/fd").iterdir())


async def test_the_channel_ends_while_its_reading_waits_for_a_place(
    tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    async with workbench(tmp_path) as bench:
        jobs = bench.services.once(Jobs)
        monkeypatch.setattr(jobs, "_places", 1)
        monkeypatch.setattr(jobs, "_seconds", 1_000)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(jobs.run, go_on.wait)
            await anyio.wait_all_tasks_blocked()
            channel = open_channel(bench, path)
            await anyio.wait_all_tasks_blocked()
            assert is_held(path)
            channel.end({})
            await anyio.wait_all_tasks_blocked()
            go_on.set()
        await jobs.run(bool)  # after all that has waited
        assert not is_held(path)


async def test_no_thread_is_left_to_read_it(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    monkeypatch.setattr(shared, "aside", lambda close: close())
    async with workbench(tmp_path) as bench:
        jobs = bench.services.once(Jobs)
        monkeypatch.setattr(jobs, "_most", 1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(jobs.run, go_on.wait)
            await anyio.wait_all_tasks_blocked()
            channel = open_channel(bench, path)
            await anyio.wait_all_tasks_blocked()
            assert channel.closed is not None
            assert channel.closed["problem"] == "internal-error"
            assert not is_held(path)
            go_on.set()


@pytest.mark.parametrize("kind", ["file", "fifo"])
async def test_it_cannot_be_served(tmp_path: Path, path: Path, monkeypatch: pytest.MonkeyPatch, kind: str) -> None:
    """No descriptor is left for what that needs."""

    def refuse(jobs: Jobs, services: object) -> None:
        raise Problem(INTERNAL_ERROR, "no threads for files: Too many open files")

    def dup(fd: int) -> int:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    if kind == "fifo":
        os.unlink(path)
        os.mkfifo(path)
    async with workbench(tmp_path) as bench:
        owner, fd = object(), os.open(path, os.O_RDWR)
        ident = bench.services.once(Descriptors).offer(owner, fd)
        os.close(fd)
        monkeypatch.setattr(Jobs, "__init__", refuse)
        monkeypatch.setattr(os, "dup", dup)
        with pytest.raises(Problem, match="Too many open files"):
            bench.open(stream, internal=ident)
        assert not is_held(path)
