"""A disk that fails when a file is closed (EIO), or looked at: the channel is over, and nothing else is."""

import contextlib
import errno
import fcntl
import os
import threading
from collections.abc import Callable
from pathlib import Path

import anyio
import pytest

from spanbridge.payloads.bus.descriptors import Descriptors
from spanbridge.payloads.files import new_file
from spanbridge.payloads.files.directory import Directory
from spanbridge.payloads.files.fsread1 import fsread
from spanbridge.payloads.files.fsreplace1 import fsreplace
from spanbridge.payloads.served.jobs import Jobs
from spanbridge.payloads.streams.stream import stream

from ..bus.without_process import Opened, Workbench, workbench

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Files that could not be closed: all below `tmp_path` that are open for reading or writing."""
    names: list[str] = []
    close = os.close

    def fail(fd: int) -> None:
        name = os.readlink(f"/proc/self/fd/{fd}")
        only_to_look_at = fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_PATH
        close(fd)
        if name.startswith(f"{tmp_path}/") and not only_to_look_at:
            names.append(name)
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr(os, "close", fail)
    return names


async def until(reached: Callable[[], object]) -> None:
    with anyio.fail_after(10):
        while not reached():  # noqa: ASYNC110 - nobody is told
            await anyio.sleep(0.01)


async def closed(channel: Opened) -> dict[str, object]:
    await until(lambda: channel.closed is not None)
    assert channel.closed is not None
    return channel.closed


@pytest.mark.parametrize("size", [10, 200_000])
async def test_a_file_that_is_read(tmp_path: Path, failures: list[str], size: int) -> None:
    (tmp_path / "file").write_bytes(b"x" * size)
    async with workbench(tmp_path) as bench:
        channel = bench.open(fsread, payload="fsread1", path=str(tmp_path / "file"), binary="raw")
        if size > 65_536:  # it is too large to be closed before it is sent
            await until(lambda: channel.controls)
            channel.end({})
        else:
            assert "problem" not in await closed(channel)
        await until(lambda: failures)
        await bench.services.once(Jobs).run(bool)


@pytest.mark.parametrize("mode", [os.O_RDONLY, os.O_WRONLY])
async def test_a_file_that_was_handed_over(tmp_path: Path, failures: list[str], mode: int) -> None:
    (tmp_path / "file").write_text("text")
    async with workbench(tmp_path) as bench:
        channel = handed_over(bench, os.open(tmp_path / "file", mode))
        channel.command("done")
        assert "problem" not in await closed(channel)
        await until(lambda: len(failures) == 2)
        await bench.services.once(Jobs).run(bool)


async def test_a_file_that_nobody_opens(tmp_path: Path, failures: list[str]) -> None:
    async with workbench(tmp_path) as bench:
        descriptors, owner = bench.services.once(Descriptors), object()
        for name in ("one", "two"):
            offer(descriptors, owner, os.open(tmp_path / name, os.O_WRONLY | os.O_CREAT))
        descriptors.close(owner)
    assert len(failures) == 4


def handed_over(bench: Workbench, fd: int) -> Opened:
    ident = offer(bench.services.once(Descriptors), object(), fd)
    return bench.open(stream, payload="stream", internal=ident)


def offer(descriptors: Descriptors, owner: object, fd: int) -> str | None:
    ident = descriptors.offer(owner, fd)
    with contextlib.suppress(OSError):
        os.close(fd)
    return ident


async def test_new_content(tmp_path: Path, failures: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it has a name while it is written: that one goes all the same."""
    monkeypatch.setattr(Directory, "unnamed_file", unsupported)
    place = tmp_path / "place"
    place.mkdir()
    async with workbench(tmp_path) as bench:
        for ending in ("done", "close"):
            channel = bench.open(fsreplace, payload="fsreplace1", path=str(place / "file"))
            channel.say("content")
            await until(lambda: any(each.startswith(".") for each in os.listdir(place)))
            if ending == "done":
                channel.command("done")
                assert "problem" not in await closed(channel)
            else:
                channel.end({})
            await until(lambda: os.listdir(place) == ["file"])
        assert len(failures) == 2


async def test_new_content_that_nobody_waits_for(
    tmp_path: Path, failures: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread goes on."""
    go_on, threads = threading.Event(), set[threading.Thread]()

    def make(path: bytes) -> new_file.NewFile:
        threads.add(threading.current_thread())
        go_on.wait()
        return new_file.NewFile(path)

    monkeypatch.setattr("spanbridge.payloads.files.fsreplace1.NewFile", make)
    async with workbench(tmp_path) as bench:
        channel = bench.open(fsreplace, payload="fsreplace1", path=str(tmp_path / "file"), size=1)
        await until(lambda: threads)
        channel.end({})
        await anyio.wait_all_tasks_blocked()
        go_on.set()
        await until(lambda: failures)
        await bench.services.once(Jobs).run(bool)
        assert all(thread.is_alive() for thread in threads)


def test_a_directory_that_cannot_be_looked_at(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(fd: int) -> os.stat_result:
        raise OSError(errno.ESTALE, os.strerror(errno.ESTALE))

    before = len(os.listdir("/proc/self/fd"))
    with monkeypatch.context() as patch:
        patch.setattr(os, "fstat", fail)
        with pytest.raises(OSError, match="Stale") as raised:
            Directory(os.fsencode(tmp_path / "file"))
    assert len(os.listdir("/proc/self/fd")) == before, raised


def unsupported(directory: Directory) -> int:
    raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP))
