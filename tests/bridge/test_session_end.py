"""How a session ends, and that nothing outlives it (docs/protocol.md, "Helpers", End of session)."""

import os
import signal
from collections.abc import Callable

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    Step,
    close_fd,
    die,
    forever,
    fork,
    helper_rule,
    ignore,
    init,
    note,
    note_message,
    note_size,
    on_signal,
    raw,
    read,
    ready,
    serve,
    set_session,
    wait,
)

QUICK = {"exit_seconds": 0.2, "term_seconds": 0.2}
ASKED_FOR = [signal.SIGTERM, signal.SIGINT, signal.SIGHUP]

STUBBORN: dict[str, list[Step]] = {
    "good": [init(), serve()],
    "ignores the end of its input": [init(), serve(), forever()],
    "ignores SIGTERM too": [ignore(signal.SIGTERM, signal.SIGHUP, signal.SIGINT), init(), serve(), forever()],
    "reads nothing": [ignore(signal.SIGTERM), init(), read("open"), ready(), forever()],
    "is stopped": [init(), read("open"), ready(), die(signal.SIGSTOP)],
    "leaves a child": [init(), fork([forever()]), serve()],
    "leaves a stubborn child": [init(), fork([ignore(signal.SIGTERM, signal.SIGHUP), forever()]), serve()],
    "leaves a child with its stdout": [init(), fork([close_fd(0), ignore(signal.SIGTERM), forever()]), serve()],
}

ENDS: dict[str, Callable[[Bridge], None]] = {
    "EOF": lambda bridge: bridge.front_end.hang_up(),
    **{number.name: lambda bridge, number=number: bridge.signal(number) for number in ASKED_FOR},  # type: ignore[misc]
}


@pytest.mark.parametrize(
    ("end", "helper"),
    [
        *((end, helper) for end in ("EOF", "SIGTERM") for helper in STUBBORN),
        *((end, helper) for end in ("SIGINT", "SIGHUP") for helper in ("good", "ignores SIGTERM too")),
    ],
)
def test_all_are_gone_and_the_status_is_0(start: Start, end: str, helper: str) -> None:
    bridge = start(helper_rule({"payload": "test"}, STUBBORN[helper]), limits=QUICK)
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    family = bridge.family
    ENDS[end](bridge)
    assert bridge.wait() == 0
    assert processes.wait_ended(family) == []
    assert bridge.family == []
    assert "Traceback" not in bridge.log.text


def test_helpers_see_close_then_the_end_of_their_input(start: Start) -> None:
    """And have their time: one that ends by itself gets no signal."""
    signalled = on_signal(signal.SIGTERM, [note("signalled")])
    steps = [signalled, init(), serve({"close": [note_message()]}), note("end of input")]
    bridge = start(helper_rule({"payload": "test"}, steps), limits={"exit_seconds": 20})
    front = bridge.front_end
    for channel in ("a", "b"):
        front.open(channel)
        front.expect("ready", channel)
    assert bridge.end() == 0
    closes = [message for message in bridge.noted_messages if message["command"] == "close"]
    assert sorted(message["channel"] for message in closes) == ["a", "b"]
    assert all(message["problem"] for message in closes)
    assert bridge.notes[-1]["note"] == "end of input"


def test_what_was_sent_before_the_end_reaches_the_helper(start: Start) -> None:
    """All of it, in order, though it is more than a pipe holds."""
    steps = [init(), serve({"data": [note_size()], "close": [note("close")]}), note("end of input")]
    bridge = start(helper_rule({"payload": "test"}, steps))
    front = bridge.front_end
    front.open("a")
    for _ in range(10):
        front.send("a", b"x" * 100_000)
    front.hang_up()
    assert bridge.wait() == 0
    assert [found["note"] for found in bridge.notes] == ["100000"] * 10 + ["close", "end of input"]


def test_a_helper_that_has_not_said_init_sees_the_end_of_its_input(start: Start) -> None:
    """Its stdin is closed like the others', so that it can end by itself before any signal."""
    steps = [on_signal(signal.SIGTERM, [note("signalled")]), note("started"), serve(), note("end of input")]
    bridge = start(helper_rule({"payload": "test"}, steps), limits={"exit_seconds": 3})
    bridge.front_end.open("a")
    bridge.wait_note("started")
    assert bridge.end() == 0
    assert [found["note"] for found in bridge.notes] == ["started", "end of input"]


def test_a_slow_helper_is_told_of_what_waits_for_it(start: Start, gate: Callable[[], Gate]) -> None:
    """It says init after the front end has gone, in time: the open, the data and the close are there for it."""
    slow = gate()
    steps = [note("started"), wait(slow), init(), serve({event: [note(event)] for event in ("open", "data", "close")})]
    bridge = start(helper_rule({"payload": "test"}, [*steps, note("end of input")]), limits={"exit_seconds": 15})
    front = bridge.front_end
    front.open("a")
    front.send("a", b"hello")
    front.hang_up()
    bridge.wait_note("started")
    slow.release()
    assert bridge.wait() == 0
    assert [found["note"] for found in bridge.notes] == ["started", "open", "data", "close", "end of input"]


@pytest.mark.parametrize("helper", ["good", "ignores SIGTERM too", "is stopped"])
def test_the_front_end_closes_its_end_of_stdout(start: Start, helper: str) -> None:
    """Seen when there is something to write (EPIPE): that ends the session like an end of file."""
    bridge = start(helper_rule({"payload": "test"}, STUBBORN[helper]), limits=QUICK)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.reading = False
    front.stop_listening()
    front.control("ping")
    assert bridge.wait() == 0
    assert bridge.family == []
    assert "Traceback" not in bridge.log.text


def test_a_signal_ends_many_stubborn_helpers_at_once(start: Start) -> None:
    """Side by side: the seconds are not added up."""
    bridge = start(
        helper_rule({"payload": "test"}, STUBBORN["ignores SIGTERM too"], "${channel}"),
        limits={"exit_seconds": 1, "term_seconds": 1},
    )
    for number in range(12):
        bridge.front_end.open(str(number))
    for number in range(12):
        bridge.front_end.expect("ready", str(number))
    bridge.signal(signal.SIGTERM)
    assert bridge.wait() == 0  # 24 s one after the other, past the guard


def test_many_helpers_end_at_once(start: Start) -> None:
    """Each is reaped, and each has heard of the end of the session before."""
    steps = [init(), serve({"close": [note("closed")]})]
    bridge = start(helper_rule({"payload": "test"}, steps, "${channel}"), limits={"helpers_per_rule": 60})
    for number in range(50):
        bridge.front_end.open(str(number))
    for number in range(50):
        bridge.front_end.expect("ready", str(number))
    assert bridge.end() == 0
    assert len(bridge.log.matches("helper-ended")) == 50
    bridge.wait_note("closed", 50)
    assert bridge.family == []


@pytest.mark.parametrize("helper", STUBBORN)
def test_the_bridge_is_killed(start: Start, helper: str) -> None:
    """Its helpers go with it: the kernel sees to that. What they have started goes too, by the watchdog."""
    bridge = start(helper_rule({"payload": "test"}, STUBBORN[helper], "${channel}"))
    front = bridge.front_end
    for channel in ("a", "b"):
        front.open(channel)
        front.expect("ready", channel)
    helpers = bridge.children
    assert len(helpers) == 2
    family = bridge.family
    bridge.signal(signal.SIGKILL)
    assert bridge.wait() == -signal.SIGKILL
    assert processes.wait_ended(family) == []
    assert bridge.family == []


def test_a_grandchild_that_left_the_group_is_not_ours(start: Start) -> None:
    """A daemon on purpose: the session ends without it, and does not wait for it."""
    steps = [init(), fork([set_session(), note("daemon"), forever()]), serve()]
    bridge = start(helper_rule({"payload": "test"}, steps), limits=QUICK)
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    daemon = bridge.wait_note("daemon")[0]["pid"]
    assert bridge.end() == 0
    assert processes.state(daemon) == "S"
    os.kill(daemon, signal.SIGKILL)


def test_the_end_comes_while_a_helper_is_slow_to_go(start: Start) -> None:
    """One that was ended before the session was is waited for too."""
    steps = [ignore(signal.SIGTERM), init(), serve({"data": [raw(b"x\n"), forever()]})]
    bridge = start(helper_rule({"payload": "test"}, steps), limits=QUICK)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    front.expect("close", "a")
    assert bridge.end() == 0
    assert bridge.family == []


def test_an_end_within_a_frame(start: Start) -> None:
    """Half a frame is no error: it is noted, and not acted on."""
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": [note("data")]})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.write(b"100\na\nhalf a frame")
    assert bridge.end() == 0
    assert bridge.notes == []
    assert bridge.log.matches("within-a-frame|within a frame")


@pytest.mark.parametrize("number", ASKED_FOR)
def test_a_signal_at_any_time_of_the_start(start: Start, number: signal.Signals) -> None:
    """Right after the first byte, before the session runs: exit 0, and no traceback."""
    bridge = start(handshake=False)
    bridge.front_end.expect("init")
    bridge.signal(number)
    assert bridge.wait() == 0
    assert "Traceback" not in bridge.log.text


def test_two_signals(start: Start) -> None:
    bridge = start(helper_rule({"payload": "test"}, STUBBORN["ignores SIGTERM too"]), limits=QUICK)
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    bridge.signal(signal.SIGTERM)
    bridge.log.wait("SIGTERM")
    bridge.signal(signal.SIGTERM)
    bridge.signal(signal.SIGUSR1)
    assert bridge.wait() == 0
    assert "Traceback" not in bridge.log.text


def test_the_front_end_gets_what_waits_for_it(start: Start) -> None:
    """It is slow to read: all that was said before the end is there when it does."""
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()]), limits={"exit_seconds": 15})
    front = bridge.front_end
    front.open("e", "echo")
    front.expect("ready", "e")
    front.reading = False
    front.send("e", b"x" * 3_000_000)
    front.hang_up()
    bridge.log.wait("session-ends")
    front.reading = True
    assert front.data("e", 3_000_000) == b"x" * 3_000_000
    assert bridge.wait() == 0
