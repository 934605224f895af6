"""A helper that ends after its `init`: each way (docs/protocol.md, "Helpers", Ended after init)."""

import os
import re
import signal
import sys

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    Step,
    close_fd,
    data,
    die,
    exit_with,
    forever,
    fork,
    helper_rule,
    init,
    note,
    raw,
    repeat,
    send,
    serve,
    stderr,
)

NAME = "test/bridges[0]"
QUICK = {"exit_seconds": 0.2, "term_seconds": 0.2}
PATIENT = {**QUICK, "last_words_seconds": 10}
GIVEN_UP_SOON = {**QUICK, "last_words_seconds": 0.1}

# what it does when it gets data -> what the message says of it
WAYS: dict[str, tuple[list[Step], str]] = {
    "exits with 0": ([exit_with(0)], "exited with status 0"),
    "exits with 1": ([exit_with(1)], "exited with status 1"),
    "exits with 127": ([exit_with(127)], "exited with status 127"),
    "dies by SIGKILL": ([die(signal.SIGKILL)], "SIGKILL"),
    "dies by SIGSEGV": ([die(signal.SIGSEGV)], "SIGSEGV"),
    "dies by SIGTERM": ([die(signal.SIGTERM)], "SIGTERM"),
    "closes its stdout and exits": ([close_fd(1), exit_with(9)], "exited with status 9"),
    "ends within a frame": ([raw(b"20\na\nhalf a fra"), exit_with(2)], "exited with status 2"),
    "sends garbage": ([raw(b"garbage\n"), forever()], "garbage"),
    "sends length 0": ([raw(b"0\n"), forever()], "'0'"),
    "sends no JSON": ([raw(b"6\n\nhello"), forever()], "JSON"),
    "sends an empty channel": ([send("ready", channel=""), forever()], "channel"),
    "gives up by init": (
        [send("init", problem="not-found", message="the disk is gone"), forever()],
        "the disk is gone",
    ),
    "leaves its stdout to a child": ([fork([forever()]), exit_with(4)], "exited with status 4"),
}


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    """With a helper for each way."""
    last = [stderr("first line"), stderr("the last line"), data("b", b"bye b"), data("a", b"bye")]
    rules = [
        helper_rule({"payload": way}, [init(), serve({"data": [*last, *steps]})]) for way, (steps, _) in WAYS.items()
    ]
    return start_shared(*rules, limits=PATIENT)


@pytest.mark.parametrize("way", WAYS)
def test_its_channels_are_closed_once(bridge: Bridge, way: str) -> None:
    """With `terminated`, its name, how it ended and its last line on stderr; what it wrote whole comes before."""
    front = bridge.front_end
    for channel in ("b", "c", "a"):
        front.open(channel, way)
        front.expect("ready", channel)
    begun = len(front.log)
    front.send("a", b"go")
    for channel in ("a", "b", "c"):
        closed = front.expect("close", channel)
        assert closed["problem"] == "terminated"
        assert f"test/bridges[{list(WAYS).index(way)}]" in closed["message"]
        assert re.search(WAYS[way][1], closed["message"])
        assert "the last line" in closed["message"]
    assert front.data("a", 3) == b"bye"
    assert front.data("b", 5) == b"bye b"
    front.sync()
    told = [
        frame.channel or f"{frame.message['command']} {frame.message.get('channel')}" for frame in front.log[begun:]
    ]
    assert sorted(told) == ["a", "b", "close a", "close b", "close c", "pong None"]
    assert told.index("a") < told.index("close a")
    assert told.index("b") < told.index("close b")
    assert "Traceback" not in bridge.log.text


def test_one_that_closes_its_stdout_and_lives_on(start: Start) -> None:
    """It is given a little time to exit, and then told of as it is."""
    steps = [stderr("the last line"), close_fd(1), forever()]
    front = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})]), limits=GIVEN_UP_SOON).front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    closed = front.expect("close", "a", problem="terminated")
    assert "closed its output" in closed["message"]
    assert "the last line" in closed["message"]


@pytest.mark.parametrize("way", ["exits with 0", "dies by SIGKILL", "sends garbage"])
def test_the_next_open_starts_another(start: Start, way: str) -> None:
    steps, _ = WAYS[way]
    front = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})]), limits=QUICK).front_end
    front.open("a")
    first = front.expect("ready", "a")["pid"]
    front.send("a", b"go")
    front.expect("close", "a", problem="terminated")
    front.open("a")
    assert front.expect("ready", "a")["pid"] != first


def test_a_megabyte_written_before_the_end_arrives(start: Start) -> None:
    """More than any pipe holds: the helper has exited before the bridge has read it all."""
    last_words = [["flood", "$channel", 10_000, 100], raw(b"99999\na\nhalf"), exit_with(7)]
    front = start(helper_rule({"payload": "test"}, [init(), serve({"data": last_words})])).front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    text = front.data("a", 1_000_000)
    assert [text[at : at + 10_000].split()[0] for at in range(0, len(text), 10_000)] == [b"%d" % n for n in range(100)]
    assert "status 7" in front.expect("close", "a")["message"]
    front.sync()
    assert front.pending == []


def test_its_own_close_comes_before_its_end(start: Start) -> None:
    """A channel that the helper closed itself is not closed again."""
    steps = [send("close", channel="$channel", problem="not-found", extra=[1]), exit_with(0)]
    front = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})])).front_end
    for channel in ("a", "b"):
        front.open(channel)
        front.expect("ready", channel)
    front.send("a", b"go")
    closed = front.expect("close", "a")
    assert (closed["problem"], closed["extra"]) == ("not-found", [1])
    assert front.expect("close", "b")["problem"] == "terminated"
    front.sync()
    assert front.commands("a") == ["ready", "close"]


def test_a_helper_that_reads_no_more(start: Start) -> None:
    """It closes its stdin and lives on: once the bridge cannot write to it, it has ended."""
    front = start(
        helper_rule(
            {"payload": "test"}, [init(), serve({"data": [stderr("enough"), close_fd(0), data("a", b"!"), forever()]})]
        ),
        limits=QUICK,
    ).front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    front.data("a", 1)
    front.send("a", b"more")
    closed = front.expect("close", "a")
    assert closed["problem"] == "terminated"
    assert NAME in closed["message"]
    assert "enough" in closed["message"]


def test_the_others_go_on(start: Start) -> None:
    front = start(
        helper_rule({"payload": "bad"}, [init(), serve({"data": [die(signal.SIGKILL)]})]),
        helper_rule({"payload": "good"}, [init(), serve()]),
    ).front_end
    for payload in ("bad", "good"):
        front.open(payload, payload)
        front.expect("ready", payload)
    front.send("bad", b"go")
    front.expect("close", "bad")
    front.send("good", b"still here")
    assert front.data("good", 10) == b"still here"


def test_many_that_end_at_once(start: Start) -> None:
    """Each is told of by itself, with how it ended; none waits for what another has to say."""
    count = 12
    bridge = start(
        *(helper_rule({"payload": f"p{number}"}, [init(), serve()]) for number in range(count)), limits=PATIENT
    )
    front = bridge.front_end
    for number in range(count):
        front.open(f"c{number}", f"p{number}")
    pids = [front.expect("ready", f"c{number}")["pid"] for number in range(count)]
    bridge.signal(signal.SIGSTOP)  # so that it finds them all ended when it looks
    for pid in pids:
        os.kill(pid, signal.SIGKILL)
    processes.wait_ended(pids)
    bridge.signal(signal.SIGCONT)
    for number in range(count):
        closed = front.expect("close", f"c{number}", problem="terminated")
        assert f"test/bridges[{number}]" in closed["message"]
        assert "SIGKILL" in closed["message"]
    front.sync()
    assert front.pending == []


@pytest.mark.parametrize("closed", [0, 1])
def test_one_that_has_closed_a_pipe_gets_no_more_opens(start: Start, closed: int) -> None:
    """It is given a moment to exit; the next open starts another."""
    steps = [close_fd(closed), note("closed"), forever()]
    rule = helper_rule({"payload": "test"}, [init(), serve({"data": steps})])
    bridge = start(rule, limits={**QUICK, "last_words_seconds": 1000})
    front = bridge.front_end
    front.open("a")
    first = front.expect("ready", "a")["pid"]
    front.send("a", b"go")
    bridge.wait_note("closed")
    if closed == 0:  # that nobody reads is seen when something is written
        front.send("a", b"more")
    front.sync()
    front.sync()
    front.open("b")
    assert front.expect("ready", "b")["pid"] != first


def test_what_is_left_of_its_family_floods_its_stdout(start: Start) -> None:
    """A child that has kept the pipe writes without end: the helper has ended all the same, and the session goes on."""
    flood = repeat(1_000_000_000, [send("whatever")])
    steps = [init(), fork([flood]), serve({"data": [exit_with(0)]})]
    bridge = start(helper_rule({"payload": "test"}, steps), limits=QUICK)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    front.expect("close", "a", problem="terminated")
    front.sync()


def test_children_that_are_ignored(home: Home) -> None:
    """SIGCHLD may be handed down as ignored: the kernel would then reap helpers before the bridge has their status."""
    home.package("test", helper_rule({"payload": "test"}, [init(), serve({"data": [exit_with(3)]})]))
    ignoring = "import os, signal, sys; signal.signal(signal.SIGCHLD, signal.SIG_IGN); "
    ignoring += "os.execv(sys.argv[1], sys.argv[1:])"
    with Bridge(home, command=(sys.executable, "-c", ignoring, str(SPANBRIDGE))) as bridge:
        front = bridge.front_end
        front.expect("init")
        front.init()
        front.open("a")
        front.expect("ready", "a")
        front.send("a", b"go")
        assert "exited with status 3" in front.expect("close", "a")["message"]
