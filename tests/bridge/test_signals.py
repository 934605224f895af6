"""Signals, whatever the bridge was started with; and its helpers, which start as if from a clean shell."""

import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, serve

TEST = {"payload": "test"}
FLOODED = """
import asyncio, os, signal, sys
def flood():
    for _ in range(2_000):
        os.kill(os.getpid(), signal.SIGUSR1)
def added(self, *given):
    add(self, *given)
    flood()
    self.call_soon(flood)
add = asyncio.SelectorEventLoop.add_signal_handler
asyncio.SelectorEventLoop.add_signal_handler = added
sys.argv = ["spanbridge"]
from spanbridge.__main__ import main
sys.exit(main())
"""
THEIRS = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1, signal.SIGCHLD]


@contextmanager
def blocked() -> Iterator[None]:
    before = signal.pthread_sigmask(signal.SIG_BLOCK, THEIRS)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def ignored() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in (*THEIRS[:4], signal.SIGQUIT)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def masks(pid: int) -> dict[str, int]:
    with open(f"/proc/{pid}/status") as file:
        lines = (line.split() for line in file if line.startswith("Sig") and not line.startswith("SigQ"))
        return {name.rstrip(":"): int(value, 16) for name, value in lines}


@pytest.mark.parametrize("how", [blocked, ignored])
@pytest.mark.parametrize("number", THEIRS[:3])
def test_it_ends_whatever_it_was_started_with(start: Start, how: type, number: signal.Signals) -> None:
    """As it does otherwise; its helper has none blocked, nor ignored but what Python itself ignores in it, and what a
    channel starts none at all."""
    with how():
        bridge = start(helper_rule(TEST, [init(), serve()]))
    bridge.front_end.open("a")
    helper = bridge.front_end.expect("ready", "a")["pid"]
    of_helper = masks(helper)
    assert of_helper["SigBlk"] == 0
    assert not any(of_helper["SigIgn"] >> (each - 1) & 1 for each in (*THEIRS, signal.SIGQUIT))
    bridge.front_end.open("b", "stream", spawn=["grep", "-E", "SigBlk|SigIgn", "/proc/self/status"], batch=65_536)
    told = bridge.front_end.take(lambda frame: frame.channel == "b", "the program's signals").payload.split()
    # 32 and 33 are libc's own. glibc's posix_spawn has them ignored, and so may whoever started us.
    assert [int(told[at], 16) & ~(0b11 << 31) for at in (1, 3)] == [0, 0]
    os.kill(bridge.pid, number)
    assert bridge.wait() == 0


def test_a_reload_while_it_ends(start: Start) -> None:
    """It does not change the exit status."""
    bridge = start()
    bridge.front_end.hang_up()
    while True:
        try:
            os.kill(bridge.pid, signal.SIGUSR1)
        except ProcessLookupError:
            break
        if os.waitid(os.P_PID, bridge.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG):
            break
    assert bridge.wait() == 0


def test_a_flood_of_them(home: Home) -> None:
    """More than there is room for in what wakes the loop, while handlers are added, and while it is busy."""
    with Bridge(home, command=[sys.executable, "-c", FLOODED]) as bridge:
        bridge.front_end.expect("init")
        bridge.front_end.init()
        bridge.front_end.sync()
        assert bridge.log.text == ""
