"""A helper that means harm from its first byte: its start has failed, and nobody else notices."""

import sys
from collections.abc import Callable

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import encode
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    Step,
    command,
    die,
    exit_with,
    forever,
    helper_rule,
    init,
    raw,
    read,
    repeat,
    send,
    serve,
)

from .test_hostile_helper import ENDED, LIMITS, MIB, QUICK, spread

INIT = b'{"command":"init","version":1'

NO_INIT: dict[str, list[Step]] = {
    **ENDED,
    "a flood of ready": [repeat(20_000, [send("ready", channel="a")])],
    "a flood of close": [repeat(20_000, [send("close", channel="a")])],
    "a close that it was not asked for": [send("close", channel="a", problem="access-denied")],
    "an open": [send("open", channel="a", payload="echo")],
    "a kill": [send("kill")],
    "a question, and no init": [send("authorize", cookie="1", challenge="*"), read("authorize"), exit_with(0)],
    "data on the channel that waits": [raw(encode("a", b"hello"))],
    "data on another channel": [raw(encode("other", b"hello"))],
    "an init nested deep": spread((INIT + b',"x":', 1), (b"[", 100_000), (b"]", 100_000), (b"}", 1)),
    "an init of half a character for another version": [raw(encode("", b'{"command":"init","version":"\\ud800"}'))],
    "an init that is no text": [raw(encode("", INIT + b',"x":"\xff"}'))],
    "a version that is a float": [raw(encode("", b'{"command":"init","version":1.5}'))],
    "a version that is huge": [raw(encode("", b'{"command":"init","version":1e400}'))],
    "a version that is true": [raw(encode("", b'{"command":"init","version":true}'))],
    "half an init": [raw(encode("", INIT + b"}")[:-4]), exit_with(0)],
    "half an init, and killed": [raw(encode("", INIT + b"}")[:-4]), die(9)],
    "an init for a channel that speaks on": [init(channel="a"), raw(encode("other", b"hello"))],
}


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    rules = [helper_rule({"payload": name}, [*steps, forever()]) for name, steps in NO_INIT.items()]
    return start_shared(*rules, helper_rule({"payload": "good"}, [init(), serve()]), limits=LIMITS)


@pytest.mark.parametrize("name", NO_INIT)
def test_the_open_that_waits_is_closed_once(bridge: Bridge, name: str) -> None:
    """With the name of what failed; of what it said nothing comes through."""
    front = bridge.front_end
    front.open("other", "good")
    front.expect("ready", "other")
    begun = len(front.log)
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    front.open("a", name)
    closed = front.expect("close", "a")
    assert f"test/bridges[{list(NO_INIT).index(name)}]" in closed["message"]
    assert closed["problem"] in ("not-supported", "protocol-error")
    assert len(closed["message"]) < 4_000
    assert closed["message"].isprintable()
    assert processes.peak_bytes(bridge.pid) - before < 16 * MIB
    front.send("other", b"alive")
    assert front.data("other", 5) == b"alive"
    front.close("other")
    front.expect("close", "other")
    front.sync()
    told = [frame.channel or frame.message["command"] for frame in front.log[begun:]]
    assert sorted(told) == ["close", "close", "other", "pong"]
    assert "Traceback" not in bridge.log.text
    assert "unforeseen" not in bridge.log.text


ODD_PROBLEMS = ["5", "true", "[]", '{"a":1}', '""', '"x\\u001b[2J"', '"\\u0000"', '"terminated"']


@pytest.mark.parametrize("problem", ODD_PROBLEMS)
def test_an_odd_problem_of_its_init(start: Start, problem: str) -> None:
    """Any string is passed on as it is (docs/protocol.md, "Problem codes"); what is none fails like any bad start."""
    text = encode("", INIT + b',"problem":' + problem.encode() + b',"command-line":"x","channel":"other"}')
    bridge = start(
        helper_rule({"payload": "test"}, [raw(text), forever()]),
        helper_rule({"payload": "good"}, [init(), serve()]),
        limits=QUICK,
    )
    front = bridge.front_end
    front.open("other", "good")
    front.expect("ready", "other")
    front.open("a")
    closed = front.expect("close", "a")
    assert closed["channel"] == "a"
    assert isinstance(closed["problem"], str)
    front.send("other", b"alive")
    assert front.data("other", 5) == b"alive"
    front.sync()
    assert front.commands("a") == ["close"]
    assert front.commands("other") == ["ready", "data"]
    assert all(line.isprintable() for line in bridge.log.lines)


MANY = """
import os, sys
members = "".join(',"%x":0' % number for number in range(300_000))
text = '{"command":"init","version":1' + members + "}"
print("%d\\n\\n%s" % (len(text) + 1, text), end="", flush=True)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_an_init_of_hundreds_of_thousands_of_members(start: Start) -> None:
    """It is an init, and the helper serves; what it takes to read it is bounded."""
    rule = {"match": {"payload": "test"}, "spawn": [sys.executable, "-I", "-S", "-c", MANY, *command([serve()])]}
    bridge = start(rule, limits=QUICK)
    front = bridge.front_end
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    front.open("a")
    front.expect("ready", "a")
    assert processes.peak_bytes(bridge.pid) - before < 96 * MIB


REFUSAL = """
import sys
sys.stdin.read(1)
text = '{"command":"init","version":1,"problem":"access-denied","message":"' + "m" * 500_000 + '","x":"'
text += "x" * 2_000_000 + '"}'
print("%d\\n\\n%s" % (len(text) + 1, text), end="", flush=True)
sys.stdin.read()
"""


def opening(ident: str) -> dict[str, str]:
    return {"command": "open", "channel": ident, "payload": "test"}


def test_a_long_refusal_that_many_wait_for(start: Start, gate: Callable[[], Gate]) -> None:
    """A hundred channels are told of it, not a hundred times its megabytes."""
    slow = gate()
    spawn = ["/bin/sh", "-c", '"$@" < "$0"', str(slow.path), sys.executable, "-I", "-S", "-c", REFUSAL]
    bridge = start({"match": {"payload": "test"}, "spawn": spawn}, limits=QUICK)
    front = bridge.front_end
    before = processes.resident_bytes(bridge.pid)
    for number in range(100):
        front.open(f"early {number}")
    front.sync()
    processes.reset_peak(bridge.pid)
    slow.release()
    for number in range(100):
        front.expect("close", f"early {number}", problem="access-denied")
    assert processes.peak_bytes(bridge.pid) - before < 48 * MIB
