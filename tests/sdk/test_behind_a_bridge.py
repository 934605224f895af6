"""Helpers of the SDK where they belong: behind a bridge."""

import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.gate import Gate

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("echo", "noisy", "failing", "last-words", "flood", "gated", "refusing")


@pytest.fixture
def spanbridge_packages() -> Mapping[str, Mapping[str, Any]]:
    rules = [
        {
            "match": {"payload": kind},
            "spawn": [sys.executable, "-m", "tests.sdk.programs", kind],
            "directory": str(ROOT),
        }
        for kind in KINDS
    ]
    return {"sdk": {"bridges": rules}}


def test_many_channels_in_one_process(bridge: Bridge, front_end: FrontEnd) -> None:
    channels = [str(number) for number in range(200)]
    for channel in channels:
        front_end.open(channel, "echo")
        front_end.send(channel, channel.encode())
    pids = {front_end.expect("ready", channel)["pid"] for channel in channels}
    assert len(pids) == 1
    for channel in channels:
        assert front_end.data(channel, len(channel)) == channel.encode()
        front_end.round_trip(channel)
        front_end.control("done", channel=channel)
        front_end.expect("done", channel)
        assert front_end.expect("close", channel) == {"command": "close", "channel": channel}
    assert bridge.end() == 0
    assert bridge.log.matches(r'helper-ended.*how="exited with status 0"')


def test_a_large_amount_there_and_back(front_end: FrontEnd) -> None:
    front_end.open("a", "echo")
    front_end.expect("ready", "a")
    payload = bytes(range(256)) * 4_000
    for _ in range(10):
        front_end.send("a", payload)
    assert front_end.data("a", 10 * len(payload)) == payload * 10


def test_printing_does_no_harm(bridge: Bridge, front_end: FrontEnd) -> None:
    front_end.open("a", "noisy")
    front_end.expect("ready", "a")
    front_end.send("a", b"one")
    assert front_end.data("a", 3) == b"one"
    bridge.log.wait("from a child")


def test_problems_and_errors_close_one_channel(bridge: Bridge, front_end: FrontEnd) -> None:
    for channel in ("a", "b", "c"):
        front_end.open(channel, "failing")
    front_end.send("a", b"raise")
    front_end.expect("close", "a", problem="internal-error", message="ZeroDivisionError: of zero")
    front_end.send("b", b"problem")
    front_end.expect("close", "b", problem="not-found", message="there is no such thing")
    front_end.send("c", b"still here")
    assert front_end.data("c", 10) == b"still here"
    bridge.log.wait("channel a: ZeroDivisionError: of zero")


def test_an_id_is_free_again_at_once(front_end: FrontEnd) -> None:
    for _ in range(20):
        front_end.open("a", "last-words")
        front_end.expect("ready", "a")
        front_end.close("a")
        front_end.expect("close", "a")


def test_a_refusal_is_told_to_who_opened(front_end: FrontEnd) -> None:
    front_end.open("a", "refusing")
    assert front_end.expect("close", "a", problem="not-found", message="no such database")["path"] == "/nowhere"


def test_a_front_end_that_does_not_read_costs_no_memory(front_end: FrontEnd, bridge: Bridge) -> None:
    front_end.open("a", "flood", frames=20_000)
    front_end.data("a", 1_000_000)
    (pid,) = processes.children(bridge.pid)
    before = processes.resident_bytes(pid)
    front_end.reading = False
    front_end.sync()
    assert processes.resident_bytes(pid) - before < 8 << 20
    front_end.reading = True
    front_end.data("a", 19_000_000)
    front_end.expect("done", "a")


def test_a_slow_channel_holds_up_its_process_and_nothing_is_lost(
    bridge: Bridge, front_end: FrontEnd, spanbridge_gate: Callable[[], Gate]
) -> None:
    gate = spanbridge_gate()
    front_end.open("slow", "gated", gate=str(gate.path))
    front_end.open("quick", "gated")
    for channel in ("slow", "quick"):
        front_end.expect("ready", channel)
    (pid,) = processes.children(bridge.pid)
    before = processes.resident_bytes(pid)
    payload = bytes(range(256)) * 400
    for _ in range(100):
        front_end.send("slow", payload)
    front_end.send("quick", b"behind it")
    front_end.open("other", "echo")  # a process of its own
    front_end.expect("ready", "other")
    front_end.round_trip("other")
    assert front_end.data_so_far("quick") == b""
    assert processes.resident_bytes(pid) - before < 6 << 20
    gate.release()
    assert front_end.data("slow", 100 * len(payload)) == payload * 100
    assert front_end.data("quick", 9) == b"behind it"


def test_the_end_of_the_session_is_the_end_of_all(bridge: Bridge, front_end: FrontEnd) -> None:
    for channel in ("a", "b"):
        front_end.open(channel, "last-words")
        front_end.expect("ready", channel)
    assert bridge.end() == 0
    assert bridge.log.matches("cleaned up a")
    assert bridge.log.matches("cleaned up b")
    assert bridge.log.matches(r'helper-ended.*how="exited with status 0"')
