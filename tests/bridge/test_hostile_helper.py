"""A helper that means harm: it ends alone, memory stays bounded, and the front end sees none of it."""

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import encode
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    Step,
    answer,
    data,
    forever,
    helper_rule,
    init,
    raw,
    repeat,
    send,
    serve,
    stderr_raw,
)

MIB = 1 << 20
QUICK = {"exit_seconds": 0.2, "term_seconds": 0.2}


def control(text: bytes) -> bytes:
    return encode("", text)


def spread(*parts: tuple[bytes, int]) -> list[Step]:
    """A control message of so many of each part, which is written in pieces: a script holds 128 KiB at most."""
    steps = [raw(b"%d\n\n" % (1 + sum(len(part) * count for part, count in parts)))]
    for part, count in parts:
        steps += [repeat(count // 1_000, [raw(part * 1_000)]), raw(part * (count % 1_000))]
    return steps


READY = b'{"command":"ready","channel":"a","x":'

ENDED: dict[str, list[Step]] = {
    "100 MB without a line feed": [repeat(2_000, [raw(b"x" * 50_000)])],
    "100 MB of digits": [repeat(2_000, [raw(b"1" * 50_000)])],
    "100 MB of line feeds": [repeat(2_000, [raw(b"\n" * 50_000)])],
    "another's frame, half of it": [raw(b"1000000\nother\n"), raw(b"x" * 50_000)],
    "nobody's frame, half of it": [raw(b"1000000\nnobody's\n"), raw(b"x" * 50_000)],
    "a length beyond eight digits": [raw(b"100000000\na\n")],
    "a length beyond the limit": [raw(b"2000001\na\n"), repeat(100, [raw(b"x" * 50_000)])],
    "a control message beyond the limit": spread((READY + b'"', 1), (b"x", 1_500_000), (b'"}', 1)),
    "an id without an end": [raw(b"2000000\n"), repeat(40, [raw(b"x" * 50_000)])],
    "an id that is no text": [raw(encode("a", b"x").replace(b"a", b"\xff"))],
    "control nested deep": spread((READY, 1), (b"[", 100_000), (b"]", 100_000), (b"}", 1)),
    "control nested deep without an end": spread((READY, 1), (b'{"a":', 100_000)),
    "control of quotes in a string without an end": spread(
        (READY + b"[", 1), (b"[],", 600), (b'"', 1), (b'\\"', 400_000)
    ),
    "control that is no text": [raw(control(b'{"command":"ready","channel":"a","x":"\xff\xfe"}'))],
    "an id of half a character": [raw(control(b'{"command":"ready","channel":"\\ud800"}'))],
    "two commands": [raw(control(b'{"command":"ready","channel":"a","command":"open"}'))],
    "two channels": [raw(control(b'{"command":"close","channel":"a","channel":"other"}'))],
    "kinds of channels": [raw(control(b'{"command":"close","channel":{"a":1}}'))],
    "a number as a command": [raw(control(b'{"command":1e400}'))],
}

LIMITS = {**QUICK, "frame_bytes": 2_000_000, "control_bytes": 1_000_000}


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    rules = [
        helper_rule({"payload": name}, [init(), serve({"data": [*steps, data("a", b"after"), forever()]})])
        for name, steps in ENDED.items()
    ]
    return start_shared(*rules, helper_rule({"payload": "good"}, [init(), serve()]), limits=LIMITS)


@pytest.mark.parametrize("name", ENDED)
def test_it_ends_alone(bridge: Bridge, name: str) -> None:
    front = bridge.front_end
    front.open("a", name)
    front.open("other", "good")
    front.expect("ready", "a")
    front.expect("ready", "other")
    begun = len(front.log)
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    front.send("a", b"go")
    assert "test/bridges" in front.expect("close", "a")["message"]
    assert processes.peak_bytes(bridge.pid) - before < 16 * MIB
    front.send("other", b"alive")
    assert front.data("other", 5) == b"alive"
    front.close("other")
    front.expect("close", "other")
    front.sync()
    told = [frame.channel or frame.message["command"] for frame in front.log[begun:]]
    assert sorted(told) == ["close", "close", "other", "pong"]
    assert "Traceback" not in bridge.log.text


def test_a_length_and_then_nothing(start: Start) -> None:
    """The largest frame there may be is begun, and never goes on: nothing is held for it, and the session ends."""
    steps = [raw(b"99999999\na\nx"), send("never seen")]
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})]), limits=QUICK)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    front.send("a", b"go")
    for _ in range(20):
        front.sync()
    assert processes.resident_bytes(bridge.pid) - before < 4 * MIB
    assert bridge.end() == 0
    assert front.commands("a") == ["ready"]


BEGUN = {
    "a length": b"99999999\n",
    "half a length": b"9999",
    "an id": b"99999999\na",
    "data": b"99999999\na\nx",
    "a control message": b"1000000\n\n{",
}


@pytest.mark.parametrize("begun", BEGUN)
def test_a_frame_that_never_goes_on(start: Start, begun: str) -> None:
    """While others speak: it is ended for what it leaves unfinished, and nothing of that gets through."""
    steps = [raw(BEGUN[begun]), forever()]
    rules = [helper_rule({"payload": "test"}, [init(), serve({"data": steps})])]
    rules += [helper_rule({"payload": "good"}, [init(), serve()])]
    bridge = start(*rules, limits={**QUICK, "stall_seconds": 0.3})
    front = bridge.front_end
    for channel, payload in (("a", "test"), ("b", "test"), ("other", "good")):
        front.open(channel, payload)
        front.expect("ready", channel)
    front.send("a", b"go")
    front.send("other", b"alive")
    assert front.data("other", 5) == b"alive"
    for channel in ("a", "b"):
        assert front.expect("close", channel)["problem"] == "timeout"
    front.sync()
    assert front.commands("a") == ["ready", "close"]
    assert front.commands("other") == ["ready", "data"]
    assert len(bridge.log.matches("limit name=stall_seconds")) == 1


def test_a_hundred_megabytes_on_stderr(start: Start) -> None:
    """Without a line feed they are one line of the log, cut short."""
    steps = [repeat(2_000, [stderr_raw(b"x" * 50_000)]), send("pong", channel="$channel")]
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    front.send("a", b"go")
    front.expect("pong", "a")
    assert processes.peak_bytes(bridge.pid) - before < 16 * MIB
    assert bridge.end() == 0
    assert len(bridge.log.text) < 20_000


def test_millions_of_members(start: Start) -> None:
    """In what passes through they are not looked at; in what the bridge itself must read memory is bounded."""
    steps = spread((b'{"command":"ack","channel":"a"', 1), (b',"1234567":0', 100_000), (b"}", 1))
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})]), limits=QUICK)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    front.send("a", b"go")
    front.expect("ack", "a")
    assert processes.peak_bytes(bridge.pid) - before < 16 * MIB


def test_a_flood_of_control_messages(start: Start) -> None:
    """On its own channel they pass, and nothing of them stays."""
    flood = [repeat(20_000, [send("ready", channel="$channel")])]
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": flood})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    front.send("a", b"go")
    front.round_trip("a")
    assert front.commands("a").count("ready") == 20_001
    assert processes.resident_bytes(bridge.pid) - before < 4 * MIB


def test_questions_without_end_that_it_does_not_listen_to_the_answers_of(start: Start) -> None:
    """Its own pings, answered by the bridge: what waits for it is bounded, and it ends."""
    asking = [repeat(100_000, [send("ping", x="x" * 1_000)]), forever()]
    limits = {**QUICK, "helper_queue_bytes": MIB}
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": asking})]), limits=limits)
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    front.send("a", b"go")
    front.expect("close", "a")
    assert processes.peak_bytes(bridge.pid) - before < 16 * MIB
    front.sync()


def test_a_close_again_and_again(start: Start) -> None:
    """Closes cross, so the second is late and not forged; it goes no further."""
    steps = [send("close", channel="a"), send("close", channel="a"), answer()]
    bridge = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})]), limits=QUICK)
    front = bridge.front_end
    for channel in ("a", "b"):
        front.open(channel)
        front.expect("ready", channel)
    front.send("b", b"alive")
    assert front.data("b", 5) == b"alive"
    front.sync()
    assert front.commands("a") == ["ready", "close"]
