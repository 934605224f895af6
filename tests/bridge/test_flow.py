"""Bounded queues in both directions (docs/protocol.md, "Flow")."""

import os
from collections.abc import Callable
from contextlib import suppress

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.frames import encode
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    answer,
    exit_with,
    flood,
    forever,
    helper_rule,
    init,
    note,
    raw,
    read,
    ready,
    send,
    serve,
    wait,
)

TEST = {"payload": "test"}
GOOD = [init(), serve()]
MIB = 1 << 20
PIPES = 3 * MIB  # what pipes may hold besides: up to 1 MiB in each, and one read
QUICK = {"exit_seconds": 0.2, "term_seconds": 0.2}


class Source:
    """Frames without end, which can be sent in any pieces. `make(n)` is the nth."""

    def __init__(self, bridge: Bridge, make: Callable[[int], bytes]) -> None:
        self._log = bridge.log
        self._front = bridge.front_end
        self._make = make
        self._rest = b""
        self.count = 0  # frames begun

    def send_until_logged(self, pattern: str) -> int:
        """Send until the bridge says that it reads no more, and its stdin is full; the bytes that it has let in."""
        begun, deadline = self._front.sent, Deadline()
        with self._log.changes() as changes:
            while True:
                if not self._rest:
                    self._rest = self._make(self.count)
                    self.count += 1
                self._rest = self._rest[self._front.try_write(self._rest) :]
                if self._rest:
                    if self._log.matches(pattern):
                        return self._front.sent - begun
                    self._front.wait_writable(deadline, changes)
                    with suppress(BlockingIOError):
                        os.read(changes, 65_536)

    def finish(self) -> None:
        """Send what is left of the last frame."""
        self._front.write(self._rest)
        self._rest = b""


SIZE = 65_536


def data_source(bridge: Bridge, channel: str) -> Source:
    """Data frames, each with its number."""
    return Source(bridge, lambda number: encode(channel, (b"%d " % number).ljust(SIZE, b".")))


def check_data(front: FrontEnd, channel: str, count: int) -> None:
    """That many of them come, in order."""
    text = front.data(channel, count * SIZE)
    assert [int(text[at : at + 10].split()[0]) for at in range(0, len(text), SIZE)] == list(range(count))


def test_a_stuck_helper_stops_the_front_end_and_nothing_grows(start: Start, gate: Callable[[], Gate]) -> None:
    """What was let in is bounded; when the helper reads on it gets all of it."""
    stuck = gate()
    rule = helper_rule(TEST, [init(), read("open"), ready(), wait(stuck), serve()])
    bridge = start(rule, limits={"helper_queue_bytes": MIB})
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    source = data_source(bridge, "a")
    let_in = source.send_until_logged(r"limit.*helper_queue_bytes")
    assert MIB < let_in < MIB + PIPES
    assert processes.resident_bytes(bridge.pid) - before < 8 * MIB
    stuck.release()
    source.finish()
    check_data(front, "a", source.count)
    assert len(bridge.log.matches(r"limit.*helper_queue_bytes")) == 1


def test_what_waits_for_an_init_is_bounded_too(start: Start, gate: Callable[[], Gate]) -> None:
    slow = gate()
    bridge = start(helper_rule(TEST, [wait(slow), *GOOD]), limits={"helper_queue_bytes": MIB})
    front = bridge.front_end
    front.open("a")
    source = data_source(bridge, "a")
    let_in = source.send_until_logged(r"limit.*helper_queue_bytes")
    assert MIB < let_in < MIB + PIPES
    slow.release()
    front.expect("ready", "a")
    source.finish()
    check_data(front, "a", source.count)


def test_a_helper_that_never_says_init_cannot_hold_the_session(start: Start) -> None:
    """What waited for it goes on to the next rule, in order, and the front end is read again."""
    limits = {**QUICK, "helper_queue_bytes": MIB, "handshake_seconds": 0.5}
    bridge = start(helper_rule(TEST, [forever()]), helper_rule(TEST, GOOD), limits=limits)
    front = bridge.front_end
    front.open("a")
    source = data_source(bridge, "a")
    source.send_until_logged(r"limit.*helper_queue_bytes")
    front.expect("ready", "a")
    source.finish()
    check_data(front, "a", source.count)


def test_a_helper_that_takes_nothing_is_ended(start: Start) -> None:
    """With `timeout` on its channels, after the time that is set; another's data, behind it in line, then moves on."""
    stuck = helper_rule({"payload": "stuck"}, [init(), read("open"), ready(), read("open"), ready(), forever()])
    limits = {**QUICK, "helper_queue_bytes": MIB, "stuck_seconds": 0.3}
    bridge = start(stuck, helper_rule(TEST, GOOD), limits=limits)
    front = bridge.front_end
    for channel in ("a", "b"):
        front.open(channel, "stuck")
        front.expect("ready", channel)
    front.open("c")
    front.expect("ready", "c")
    source = data_source(bridge, "a")
    source.send_until_logged(r"limit.*helper_queue_bytes")
    source.finish()
    front.send("c", b"alive")
    assert front.data("c", 5) == b"alive"
    for channel in ("a", "b"):
        closed = front.expect("close", channel)
        assert closed["problem"] == "timeout"
        assert "test/bridges[0]" in closed["message"]
    assert len(bridge.log.matches(r"limit.*stuck_seconds")) == 1
    front.open("a", "stuck")
    front.expect("ready", "a")


def test_a_queue_that_is_small_is_no_stuck_helper(start: Start) -> None:
    """Without a full queue a helper may take its time: nothing is timed."""
    steps = [init(), read("open"), ready(), read("data"), forever()]
    bridge = start(
        helper_rule(TEST, steps), helper_rule({"payload": "other"}, GOOD), limits={**QUICK, "stuck_seconds": 0.01}
    )
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    for _ in range(20):
        front.send("a", b"x" * 10_000)
    front.open("b", "other")
    front.expect("ready", "b")
    for _ in range(50):
        front.round_trip("b")
    assert front.commands("a") == ["ready"]


def test_a_stuck_front_end_stops_the_helpers(start: Start) -> None:
    """They are not read, memory stays flat, what goes the other way goes on, and later all of it is there."""
    flooding = [init(), serve({"data": [note("begins"), flood("$channel", 65_536, 600), note("done")]})]
    noting = [init(), serve({"data": [note("data")]})]
    bridge = start(helper_rule(TEST, flooding, "${channel}"), helper_rule({"payload": "other"}, noting))
    front = bridge.front_end
    front.open("other", "other")
    front.expect("ready", "other")
    for channel in ("a", "b", "c"):
        front.open(channel)
        front.expect("ready", channel)
    before = processes.resident_bytes(bridge.pid)
    processes.reset_peak(bridge.pid)
    front.reading = False
    for channel in ("a", "b", "c"):
        front.send(channel, b"go")
    bridge.wait_note("begins", 3)
    count = 0
    while front.unread < 65_536 or count < 50:  # until the pipe is full, and then for a while
        front.send("other", b"x")
        count += 1
        bridge.wait_note("data", count)
    assert "done" not in [found["note"] for found in bridge.notes]
    assert processes.peak_bytes(bridge.pid) - before < 8 * MIB
    front.reading = True
    for channel in ("a", "b", "c"):
        check_data(front, channel, 600)
    bridge.wait_note("done", 3)
    assert processes.peak_bytes(bridge.pid) - before < 24 * MIB


def test_a_helper_starts_while_the_front_end_is_stuck(start: Start) -> None:
    """It has said nothing yet that would wait: its init is read, and it gets its open."""
    flooding = [init(), serve({"data": [flood("$channel", 65_536, 100)]})]
    noting = [init(), serve({"open": [note("open"), ready()]})]
    bridge = start(helper_rule(TEST, flooding), helper_rule({"payload": "other"}, noting))
    front = bridge.front_end
    front.open("a")
    front.open("e", "echo")
    front.expect("ready", "a")
    front.expect("ready", "e")
    front.reading = False
    front.send("a", b"go")
    front.send("e", b"x" * 2_000_000)
    front.open("b", "other")
    bridge.wait_note("open")
    front.reading = True
    front.expect("ready", "b")


def test_helpers_take_turns(start: Start) -> None:
    """None of three that have much to say waits for another to finish."""
    flooding = [init(), serve({"data": [flood("$channel", 65_536, 300)]})]
    bridge = start(helper_rule(TEST, flooding, "${channel}"))
    front = bridge.front_end
    for channel in ("a", "b", "c"):
        front.open(channel)
        front.expect("ready", channel)
    for channel in ("a", "b", "c"):
        front.send(channel, b"go")
    total = 3 * 300 * 65_536
    front.wait_until(lambda: sum(len(frame.payload) for frame in front.pending) >= total, "all the data")
    order = [frame.channel for frame in front.log if len(frame.payload) == 65_536]
    first_done = min(len(order) - order[::-1].index(channel) for channel in ("a", "b", "c"))
    # How often each is heard until then is up to who gets a processor.
    assert {*order[:first_done]} == {"a", "b", "c"}


def test_a_front_end_that_takes_no_answers_is_not_read(start: Start) -> None:
    """Our own answers, of `echo` here, wait in a queue with a bound of its own."""
    bridge = start(limits={"front_queue_bytes": MIB})
    front = bridge.front_end
    front.open("a", "echo")
    front.expect("ready", "a")
    before = processes.resident_bytes(bridge.pid)
    front.reading = False
    source = data_source(bridge, "a")
    let_in = source.send_until_logged(r"limit.*front_queue_bytes")
    assert MIB < let_in < MIB + PIPES
    assert processes.resident_bytes(bridge.pid) - before < 8 * MIB
    front.reading = True
    source.finish()
    check_data(front, "a", source.count)


def test_pings_without_end_to_a_front_end_that_does_not_read(start: Start) -> None:
    bridge = start(limits={"front_queue_bytes": MIB})
    front = bridge.front_end
    front.sync()
    before = processes.resident_bytes(bridge.pid)
    front.reading = False
    ping = encode("", b'{"command":"ping","x":"%b"}' % (b"x" * 4_000))
    source = Source(bridge, lambda number: ping)
    let_in = source.send_until_logged(r"limit.*front_queue_bytes")
    assert MIB < let_in < MIB + PIPES
    assert processes.resident_bytes(bridge.pid) - before < 8 * MIB
    front.reading = True
    source.finish()
    for _ in range(source.count):
        front.expect("pong")


def test_memory_stays_flat_however_much_goes_through(start: Start) -> None:
    bridge = start(helper_rule(TEST, GOOD))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    payload = b"x" * 100_000
    for _ in range(100):
        front.send("a", payload)
    front.data("a", 10_000_000)
    processes.reset_peak(bridge.pid)
    before = processes.resident_bytes(bridge.pid)
    for _ in range(10):
        for _ in range(100):
            front.send("a", payload)
        front.data("a", 10_000_000)
        front.log.clear()
    assert processes.peak_bytes(bridge.pid) - before < 16 * MIB


def test_a_frame_that_is_larger_than_every_queue(start: Start) -> None:
    bridge = start(helper_rule(TEST, GOOD), limits={"helper_queue_bytes": 100_000, "front_queue_bytes": 100_000})
    front = bridge.front_end
    front.open("a")
    payload = bytes(range(256)) * 40_000
    front.send("a", payload)
    front.send("a", b"after")
    assert front.data("a", len(payload)) == payload
    assert front.data("a", 5) == b"after"


def test_a_channel_that_is_closed_while_its_helper_is_stuck(start: Start, gate: Callable[[], Gate]) -> None:
    """The id is free at once; the helper gets the data, then the close, when it reads on."""
    stuck = gate()
    steps = [init(), read("open"), ready(), wait(stuck), serve({"data": [], "close": [note("close"), answer()]})]
    bridge = start(helper_rule(TEST, steps))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    for _ in range(30):
        front.send("a", b"x" * 65_536)
    front.close("a")
    front.open("a", "echo")
    front.expect("ready", "a")
    assert bridge.notes == []
    stuck.release()
    bridge.wait_note("close")


def test_a_helper_that_exits_while_the_front_end_is_stuck(start: Start) -> None:
    """All that it had written whole comes, then the close."""
    dying = [note("dying"), flood("$channel", 1_000, 50), raw(b"100\na\nhalf"), exit_with(3)]
    bridge = start(helper_rule(TEST, [init(), serve({"data": dying})]))
    front = bridge.front_end
    front.open("a")
    pid = front.expect("ready", "a")["pid"]
    front.open("e", "echo")
    front.expect("ready", "e")
    front.reading = False
    front.send("e", b"x" * 2_000_000)  # more than the front end's pipe takes
    front.send("a", b"go")
    assert processes.wait_ended([pid]) == []
    front.reading = True
    text = front.data("a", 50_000)
    assert [int(text[at : at + 4].split()[0]) for at in range(0, 50_000, 1_000)] == list(range(50))
    assert "status 3" in front.expect("close", "a")["message"]
    front.sync()
    assert front.commands("a")[-1] == "close"


def test_control_of_the_helper_passes_with_its_data(start: Start) -> None:
    """In order, however full the queues are."""
    steps = [flood("$channel", 30_000, 20), send("ack", channel="$channel", bytes=1)]
    bridge = start(helper_rule(TEST, [init(), serve({"data": steps})]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.reading = False
    for _ in range(20):
        front.send("a", b"go")
    front.reading = True
    for _ in range(20):
        front.expect("ack", "a")
    assert front.commands("a") == ["ready", *[*["data"] * 20, "ack"] * 20]
