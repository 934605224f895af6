"""A program is to start in a directory on a file system that does not answer: that holds up its channel alone."""

import os
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from spanbridge.payloads.streams.stream import stream
from spanbridge.protocol.control import close, control
from spanbridge.protocol.frames import Span, encode, join
from spanbridge.session.sinks import Own
from spanbridge.testing.frames import Decoder, Frame
from spanbridge.testing.plugin import Start
from spanbridge.wire.directories import Directories

from ..bus.without_process import workbench
from ..hung_mount import hung_mount, is_stuck
from .client import Client


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


EITHER = pytest.mark.parametrize("pty", [False, True], ids=["pipes", "terminal"])


@pytest.mark.root
@EITHER
def test_others_are_served_and_the_session_ends(start: Start, tmp_path: Path, pty: bool) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        bridge = start()
        client = Client(bridge, "test")
        client.shell("exit", directory=str(hung / "in"), pty=pty)
        while not is_stuck(bridge.pid):
            client.front.sync()
        assert client.run("exit 3", pty=pty).closed["exit-status"] == 3
        assert bridge.end() == 0


@pytest.mark.root
def test_it_has_its_time(start: Start, tmp_path: Path) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        bridge = start(limits={"directory_seconds": 0.2})
        closed = Client(bridge, "test").refused(spawn=["true"], directory=str(hung / "in"))
        assert closed["problem"] == "timeout"
        assert closed["message"] == f"{hung}/in: no answer within 0.2 seconds (directory_seconds)"
        assert bridge.log.matches("limit name=directory_seconds")


@pytest.mark.root
def test_once_it_answers_the_start_goes_on(start: Start, tmp_path: Path) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        bridge = start()
        client = Client(bridge, "test")
        channel = client.shell("exit", directory=str(hung / "in"))
        while not is_stuck(bridge.pid):
            client.front.sync()
    closed = client.heard(channel).closed
    assert closed["message"].startswith(f"{hung}/in: ")


@pytest.mark.root
def test_no_more_than_so_many(start: Start, tmp_path: Path) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        bridge = start(limits={"file_threads": 1})
        client = Client(bridge, "test")
        for _ in range(2):
            client.shell("exit", directory=str(hung / "in"))
        closed = client.refused(spawn=["true"], directory=str(hung / "other"))
        assert closed["problem"] == "internal-error"
        assert closed["message"] == "1 directories have not answered (file_threads)"
        assert client.run("exit 3").closed["exit-status"] == 3


class Late:
    """Directories answer once they may."""

    def __init__(self) -> None:
        self._may = threading.Event()

    def access(self, path: bytes, mode: int, *, effective_ids: bool) -> bool:
        return self._may.wait(20)

    def answer(self) -> None:
        self._may.set()


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> Iterator[Late]:
    found = Late()
    monkeypatch.setattr(os, "access", found.access)
    yield found
    found.answer()


class Heard:
    def __init__(self) -> None:
        self.frames: list[Frame] = []
        self.closed = anyio.Event()
        self._decoder = Decoder()

    def told(self, data: Span) -> None:
        self.frames += self._decoder.feed(bytes(join(data)))
        if self.commands[-1:] == ["close"]:
            self.closed.set()

    @property
    def commands(self) -> list[str]:
        return [str(frame.message["command"]) for frame in self.frames if not frame.channel]


@asynccontextmanager
async def opened(root: Path, **options: Any) -> AsyncIterator[tuple[Own, Heard]]:
    """A channel with a program in a directory, and what is told on it."""
    async with workbench(root) as bench:
        message = {"payload": "stream", "directory": "/", "binary": "raw", **options}
        heard = Heard()
        own = Own(
            b"1",
            lambda port: stream(port, message, bench.services),
            to_front=heard.told,
            forget=lambda ident: None,
        )
        own.made()
        yield own, heard


@pytest.mark.anyio
@EITHER
async def test_what_comes_meanwhile_is_kept_in_order(late: Late, tmp_path: Path, pty: bool) -> None:
    script = "read a; read b; echo got $a $b; stty size 2>&-; read c || echo end"
    async with opened(tmp_path, spawn=["/bin/sh", "-c", script], pty=pty) as (own, heard):
        own.put(encode(b"1", b"one\n"))
        own.command(b"1", "options", control("options", channel="1", window={"rows": 7, "cols": 9}))
        own.put(encode(b"1", b"two\n"))
        own.command(b"1", "done", control("done", channel="1"))
        await anyio.lowlevel.checkpoint()
        assert heard.frames == []
        late.answer()
        with anyio.fail_after(20):
            await heard.closed.wait()
    assert heard.commands == ["ready", "done", "close"]
    said = b"".join(frame.payload for frame in heard.frames if frame.channel)
    ends = b"got one two\r\n7 9\r\nend\r\n" if pty else b"got one two\nend\n"
    assert said.endswith(ends)


@pytest.mark.anyio
async def test_it_can_be_closed_meanwhile(late: Late, tmp_path: Path) -> None:
    async with opened(tmp_path, spawn=["touch", str(tmp_path / "started")]) as (own, heard):
        own.put(encode(b"1", b"one\n"))
        own.close(b"1", close("1"))
        late.answer()
    assert heard.frames == []


@pytest.mark.anyio
async def test_it_can_be_closed_in_the_turn_in_which_it_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[object] = []

    async def answered(*_: object) -> None:
        own.close(b"1", close("1"))  # a wait that is over is not cancelled any more
        asked.set()

    asked = anyio.Event()
    monkeypatch.setattr(Directories, "answers_at_once", lambda *_: False)
    monkeypatch.setattr(Directories, "answered", answered)
    monkeypatch.setattr("spanbridge.payloads.streams.stream.start_on_pipes", lambda *each: started.append(each))
    async with opened(tmp_path, spawn=["true"]) as (own, heard):
        await asked.wait()
        await anyio.lowlevel.checkpoint()
    assert started == []
    assert heard.frames == []
