"""After the end of an extension nothing of it is opened or started, and all that was opened is closed."""

import asyncio
import os
import signal
import socket
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from spanbridge.extensions.desk.desk import Desk
from spanbridge.extensions.host_log import HostLog
from spanbridge.extensions.life.extension import Extension, Unavailable
from spanbridge.extensions.life.settings import Setting
from spanbridge.extensions.process.launcher import CannotStart, Launcher
from spanbridge.extensions.process.process import Process
from spanbridge.extensions.runner.task import Task
from spanbridge.extensions.sandbox.cage import Cage
from spanbridge.limits import Limits
from spanbridge.testing import processes


class Desks:
    """Opened in the threads that ask for one, once `let` is set."""

    def __init__(self, directory: Path) -> None:
        self.let = threading.Event()
        self.began = threading.Semaphore(0)
        self.opened: list[Desk] = []
        self.closed = 0
        self._log = HostLog(str(directory / "host.log"), 1_000_000)

    def open(self, name: str = "one") -> Any:
        self.began.release()
        self.let.wait()
        desk = Desk(
            name,
            {},
            self._log,
            in_transaction=lambda: False,
            undo=lambda: None,
            close=self._close,
            limits=Limits(),
        )
        self.opened.append(desk)
        return SimpleNamespace(desk=desk)

    def _close(self) -> None:
        self.closed += 1

    def extension(self, *before: asyncio.Task[None]) -> Extension:
        asks = SimpleNamespace(within=lambda consent: True)
        found = SimpleNamespace(name="one", broken="", asks=asks, always=True)
        parts = SimpleNamespace(open_desk=self.open, limits=Limits(), log=self._log, settings={"one": Setting()})
        return Extension(cast(Any, found), cast(Any, parts), before)


@pytest.fixture
def desks(tmp_path: Path) -> Desks:
    return Desks(tmp_path)


def test_one_that_was_removed_is_neither_opened_nor_started(desks: Desks) -> None:
    desks.let.set()

    async def run() -> None:
        extension = desks.extension()
        await extension.open()
        await extension.finish()
        with pytest.raises(CannotStart, match="removed"):
            await extension.open()
        with pytest.raises(Unavailable) as raised:
            await extension.running()
        assert raised.value.status == 404

    asyncio.run(run())
    assert (len(desks.opened), desks.closed) == (1, 1)


def test_what_is_being_opened_when_it_is_removed_is_closed(desks: Desks) -> None:
    async def run() -> None:
        extension = desks.extension()
        opening = asyncio.create_task(extension.open())
        await asyncio.to_thread(desks.began.acquire)
        finishing = asyncio.create_task(extension.finish())
        await asyncio.sleep(0)
        desks.let.set()
        await asyncio.wait([opening, finishing])
        finishing.result()

    asyncio.run(run())
    assert (len(desks.opened), desks.closed) == (1, 1)


def test_whoever_leaves_while_it_is_opened_leaves_no_second_one(desks: Desks) -> None:
    async def run() -> None:
        extension = desks.extension()
        leaves = asyncio.create_task(extension.open())
        await asyncio.to_thread(desks.began.acquire)
        leaves.cancel()
        await asyncio.wait([leaves])
        desks.let.set()
        await extension.open()
        await extension.finish()

    asyncio.run(run())
    assert (len(desks.opened), desks.closed) == (1, 1)


def test_the_next_of_a_name_is_opened_once_all_of_the_one_before_is_closed(desks: Desks) -> None:
    async def run() -> None:
        first = desks.extension()
        opening = asyncio.create_task(first.open())
        await asyncio.to_thread(desks.began.acquire)
        ending = asyncio.create_task(first.finish())
        second = desks.extension(ending)
        opening_next = asyncio.create_task(second.open())
        third = desks.extension(ending)
        removed = asyncio.create_task(third.open())
        await asyncio.sleep(0)
        ending_third = asyncio.create_task(third.finish())
        await asyncio.sleep(0)
        assert not desks.began.acquire(blocking=False)
        desks.let.set()
        await asyncio.wait([opening, opening_next, removed, ending_third])
        assert (len(desks.opened), desks.closed) == (2, 1)
        with pytest.raises(CannotStart, match="removed"):
            removed.result()
        await second.finish()

    asyncio.run(run())
    assert (len(desks.opened), desks.closed) == (2, 2)


def descriptors() -> set[int]:
    return {int(each) for each in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{each}")}


def test_after_its_end_a_desk_writes_to_no_descriptor_that_was_its_own(desks: Desks) -> None:
    desks.let.set()
    read, write = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    ours, theirs = socket.socketpair()
    before = descriptors()
    desk: Desk = desks.open().desk
    its_own = descriptors() - before
    assert len(its_own) == 2
    desk.close()
    for number in its_own:
        os.dup2(write, number)
    try:
        desk.detach(desk.attach(theirs, lambda call: None, lambda why: None, lambda: None))
        with pytest.raises(BlockingIOError):
            os.read(read, 1)
        ours.setblocking(False)
        assert ours.recv(1) == b""
        with pytest.raises(RuntimeError, match="ended"):
            desk.do(lambda: None).result(0)
    finally:
        ours.close()
        for number in {read, write, *its_own}:
            os.close(number)


class Starts:
    """Stands in for the launcher of one process, which ends when `gone` is called."""

    def __init__(self) -> None:
        self.killed: list[int] = []
        self.gone: Callable[[int], None]

    async def start(self, task: object, fds: list[int], on_exit: Callable[[int], None]) -> int:
        self.gone = on_exit
        return 4711

    def kill(self, pid: int) -> None:
        self.killed.append(pid)


def test_a_process_that_has_ended_is_not_killed_since_its_number_may_be_anothers() -> None:
    starts = Starts()

    async def run() -> None:
        poller = SimpleNamespace(watch_read=lambda fd, call: None, watch_write=lambda fd, call: None)
        flusher = SimpleNamespace(turn=lambda call: None)
        given = (SimpleNamespace(name="one"), starts, poller, flusher, Limits(), None, None, None, lambda: None)
        process = Process(*cast(Any, given))
        await process.start()
        process.calls.close()
        before = process.is_ending
        process.kill("first")
        assert (before, process.is_ending) == (False, True)
        starts.gone(-9)
        process.kill("late")
        assert process.why == "first"

    asyncio.run(run())
    assert starts.killed == [4711]


def children() -> set[int]:
    return {pid for pid, parent in processes.parents().items() if parent == os.getpid()}


def kill_and_wait(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)


def test_a_kill_is_harmless_when_the_fork_server_has_just_died(tmp_path: Path) -> None:
    exits: list[int] = []
    before = children()
    null = os.open(os.devnull, os.O_RDWR)

    async def run() -> None:
        launcher = Launcher(HostLog(str(tmp_path / "host.log"), 1_000_000))
        cage = Cage(str(tmp_path), str(tmp_path), 1 << 30, 64, 1 << 20, False, (), (), False, "")
        ended = asyncio.Event()

        def gone(code: int) -> None:
            exits.append(code)
            ended.set()

        pid = await launcher.start(Task("one", "1", "absent.py", 65_536, cage), [null] * 3, gone)
        (server,) = children() - before
        kill_and_wait(server)
        launcher.kill(pid)
        await ended.wait()
        launcher.close()

    try:
        asyncio.run(run())
    finally:
        os.close(null)
    assert len(exits) == 1
