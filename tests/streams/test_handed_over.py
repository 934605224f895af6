"""A descriptor that came over D-Bus as a channel, without a bus."""

import errno
import os
import resource
import socket
import threading
from pathlib import Path

import anyio
import pytest

from spanbridge.payloads.bus.descriptors import Descriptors
from spanbridge.payloads.files import shared
from spanbridge.payloads.served.jobs import Jobs
from spanbridge.payloads.streams.stream import stream
from spanbridge.protocol.frames import encode
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
    return hand_over(bench, os.open(path, os.O_RDONLY))


def hand_over(bench: Workbench, fd: int, **options: str) -> Opened:
    ident = bench.services.once(Descriptors).offer(object(), fd)
    os.close(fd)
    return bench.open(stream, internal=ident, **options)


def put(channel: Opened, data: bytes) -> None:
    channel._served.put(encode(channel.channel.encode(), data))


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


async def test_what_is_always_ready_is_read_as_a_file_is(tmp_path: Path) -> None:
    async with workbench(tmp_path) as bench:
        nothing = hand_over(bench, os.open(os.devnull, os.O_RDONLY))
        assert [told["command"] for told in (await closed(nothing)).controls] == ["ready", "done"]
        both = hand_over(bench, os.open(os.devnull, os.O_RDWR), **{"send-acks": "bytes"})
        put(both, b"taken")
        both.command("done")
        assert {"command": "ack", "bytes": 5} in (await closed(both)).controls
        directory = await closed(hand_over(bench, os.open(tmp_path, os.O_RDONLY)))
        assert directory.closed is not None
        assert directory.closed["message"].endswith("Is a directory")
        await bench.services.once(Jobs).run(bool)
        assert not is_held(tmp_path)


async def test_what_comes_after_the_other_side_reads_no_more_is_taken(tmp_path: Path) -> None:
    ours, theirs = socket.socketpair()
    async with workbench(tmp_path) as bench:
        with theirs:
            theirs.shutdown(socket.SHUT_RD)
            channel = hand_over(bench, ours.detach(), **{"send-acks": "bytes"})
            for count in range(3):
                put(channel, b"hello")
                while len(channel.controls) < 2 + count:  # noqa: ASYNC110 - nothing tells
                    await anyio.sleep(0.01)
            assert channel.controls[1:] == 3 * [{"command": "ack", "bytes": 5}]
        assert (await closed(channel)).closed["problem"] == "disconnected"  # type: ignore[index]


async def test_what_waited_and_was_lost_is_told(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    async with workbench(tmp_path) as bench:
        channel = hand_over(bench, writer)
        put(channel, bytes(4 << 20))
        channel.command("done")
        await anyio.wait_all_tasks_blocked()
        os.close(reader)
        assert (await closed(channel)).closed["problem"] == "disconnected"  # type: ignore[index]


async def test_no_descriptor_is_left_for_its_other_direction(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    async with workbench(tmp_path) as bench:
        ident = bench.services.once(Descriptors).offer(object(), writer)
        os.close(writer)
        before = resource.getrlimit(resource.RLIMIT_NOFILE)
        resource.setrlimit(resource.RLIMIT_NOFILE, (3, before[1]))
        try:
            with pytest.raises(Problem, match="Too many open files"):
                bench.open(stream, internal=ident)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, before)
        assert os.read(reader, 1) == b""  # nobody has it
    os.close(reader)


async def closed(channel: Opened) -> Opened:
    while channel.closed is None:  # noqa: ASYNC110 - nothing tells
        await anyio.sleep(0.01)
    return channel
