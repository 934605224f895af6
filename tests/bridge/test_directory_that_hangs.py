"""A helper is to start in a directory on a file system that does not answer: that holds up it alone."""

import asyncio
import os
import threading
from pathlib import Path

import pytest

from spanbridge.log import Log
from spanbridge.protocol.problems import Problem
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve
from spanbridge.wire.directories import Directories

from ..hung_mount import hung_mount, is_stuck

GOOD = [init(), serve()]


@pytest.mark.root
def test_others_are_served_and_the_session_ends(start: Start, tmp_path: Path) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        rule = helper_rule({"payload": "test"}, GOOD, directory=str(hung / "in"))
        bridge = start(rule, helper_rule({"payload": "other"}, GOOD), limits={"exit_seconds": 0.2})
        front = bridge.front_end
        front.open("a", "test")
        front.open("b", "other")
        front.expect("ready", "b")
        while not is_stuck(bridge.pid):
            front.sync()
        assert bridge.end() == 0


@pytest.mark.root
def test_it_has_the_time_of_a_start(start: Start, tmp_path: Path) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        rule = helper_rule({"payload": "test"}, GOOD, directory=str(hung / "in"))
        bridge = start(rule, limits={"handshake_seconds": 0.2})
        front = bridge.front_end
        front.open("a", "test")
        closed = front.expect("close", "a")
        told = f"working directory {hung}/in: no answer within 0.2 s (handshake_seconds)"
        assert told in closed["message"]
        assert bridge.log.matches("limit name=handshake_seconds")


@pytest.mark.root
def test_no_more_directories_than_so_many(start: Start, tmp_path: Path) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        rules = [helper_rule({"payload": name}, GOOD, directory=str(hung / name)) for name in ("test", "other")]
        bridge = start(*rules, limits={"file_threads": 1})
        front = bridge.front_end
        front.open("a", "test")
        front.open("b", "other")
        told = "cannot be started: 1 directories have not answered (file_threads)"
        assert told in front.expect("close", "b")["message"]


@pytest.mark.root
def test_once_it_answers_the_start_goes_on(start: Start, tmp_path: Path) -> None:
    with hung_mount(tmp_path / "hung") as hung:
        bridge = start(helper_rule({"payload": "test"}, GOOD, directory=str(hung / "in")))
        front = bridge.front_end
        front.open("a", "test")
        while not is_stuck(bridge.pid):
            front.sync()
    closed = front.expect("close", "a")
    assert f"working directory {hung}/in: " in closed["message"]


def test_one_thread_waits_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[bytes] = []
    answer = threading.Event()
    threads = set()

    def access(path: bytes, mode: int, *, effective_ids: bool) -> bool:
        asked.append(path)
        threads.add(threading.current_thread())
        return answer.wait(20)

    async def ask() -> None:
        directories = made()
        assert not directories.answers_at_once(b"/a")
        waiting = [asyncio.ensure_future(directories.answered(each)) for each in (b"/a", b"/a", b"/b", b"/a")]
        waiting[0].cancel()
        await asyncio.sleep(0)
        assert not directories.answers_at_once(b"/b")
        answer.set()
        await asyncio.gather(*waiting[1:])
        assert sorted(asked) == [b"/a", b"/b"]
        for _ in range(5):  # one of the threads is kept for all that follow
            await directories.answered(b"/a")
        assert sorted(asked) == [*[b"/a"] * 6, b"/b"]
        assert len(threads) <= 2

    monkeypatch.setattr(os, "access", access)
    asyncio.run(ask())


def test_no_more_than_so_many(monkeypatch: pytest.MonkeyPatch) -> None:
    answer = threading.Event()

    async def ask() -> None:
        directories = made(most=1)
        waiting = asyncio.ensure_future(directories.answered(b"/a"))
        await asyncio.sleep(0)
        with pytest.raises(Problem, match=r"^1 directories have not answered \(file_threads\)$"):
            await directories.answered(b"/b")
        with pytest.raises(Problem, match="file_threads"):
            directories.answers_at_once(b"/b")
        answer.set()
        await waiting
        await directories.answered(b"/b")

    monkeypatch.setattr(os, "access", lambda *_, **__: answer.wait(20))
    asyncio.run(ask())


def test_where_no_thread_is_left_it_is_gone_to(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    async def ask() -> None:
        directories = made()
        assert directories.answers_at_once(b"/")
        await asyncio.wait_for(directories.answered(b"/"), 20)

    monkeypatch.setattr(threading.Thread, "start", start)
    asyncio.run(ask())


def test_many_that_answer_within_one_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of these none waits, and one thread is enough for all."""
    started: list[threading.Thread] = []
    start = threading.Thread.start

    def begin(thread: threading.Thread) -> None:
        started.append(thread)
        start(thread)

    async def ask() -> None:
        directories = made(most=1)
        for path in (b"/", b"/usr", b"/usr/bin", b"/"):
            assert directories.answers_at_once(path)

    monkeypatch.setattr("spanbridge.wire.directories._MOMENT_SECONDS", 20)
    monkeypatch.setattr(threading.Thread, "start", begin)
    asyncio.run(ask())
    assert len(started) == 1


def made(most: int = 10) -> Directories:
    return Directories(asyncio.get_running_loop(), Log(), most)
