"""A session that opens and closes channels all day grows no larger (docs/protocol.md, "Flow")."""

import json
from collections.abc import Callable, Mapping

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import Deadline, Hang
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import answer, helper_rule, init, serve, wait

MIB = 1 << 20
BATCH = 1_000


def open_and_close(
    bridge: Bridge, payload: str, count: int, first: int = 0, members: Mapping[str, str] | None = None
) -> None:
    """In batches, each id new: open, a little data, close; until the bridge has acted on all of it."""
    front = bridge.front_end
    more = json.dumps({"payload": payload, **(members or {})})[1:-1]
    for batch in range(first, first + count, BATCH):
        frames = []
        for number in range(batch, batch + BATCH):
            ident = b"channel-%d" % number
            told = more.replace("#", str(number)).encode()
            opened = b'\n{"command":"open","channel":"%b",%b}' % (ident, told)
            closed = b'\n{"command":"close","channel":"%b"}' % ident
            data = b"%b\nhello" % ident
            frames += [b"%d\n%b" % (len(body), body) for body in (opened, data, closed)]
        front.write(b"".join(frames))
        front.sync()
    front.log.clear()
    front.pending.clear()


def size(bridge: Bridge) -> tuple[int, int, list[int]]:
    """What must not grow: descriptors, threads, children."""
    return processes.descriptors(bridge.pid), processes.threads(bridge.pid), bridge.children


def settles(bridge: Bridge, wanted: Callable[[], bool]) -> None:
    """Wait until what is on its way out is gone, as far as `wanted`; the last to go tells nobody."""
    deadline = Deadline()
    while not wanted():
        if not deadline.left:
            raise Hang(f"waited for the end of what is on its way out: {size(bridge)}")
        assert processes.wait_ended(bridge.children) == []
        bridge.front_end.sync()


def test_tens_of_thousands_of_opens_and_closes(start: Start) -> None:
    """Internal ones and a helper's, in one session: no growth in memory, descriptors, threads or processes."""
    quiet = [init(), serve({"open": [], "data": []})]
    bridge = start(helper_rule({"payload": "helper"}, quiet))
    front = bridge.front_end
    payloads = ("null", "echo", "helper")
    for payload in payloads:
        open_and_close(bridge, payload, 4_000)
    front.open("last", "helper")
    front.round_trip("last")
    before, memory = size(bridge), processes.resident_bytes(bridge.pid)
    for payload in payloads:
        open_and_close(bridge, payload, 10_000, first=10_000)
    front.round_trip("last")
    assert size(bridge) == before
    # What the tables of closed ids have grown to stays, 2.2 to 3 MiB by chance; 64 bytes left of each were 2 more.
    assert processes.resident_bytes(bridge.pid) - memory < 4 * MIB


GROWTHLESS: dict[str, tuple[str, dict[str, str]]] = {
    "groups": ("null", {"group": "group-#"}),
    "hosts": ("null", {"host": "localhost+key+#"}),
    "foreign hosts": ("null", {"host": "far-#"}),
    "payloads": ("nobody-#", {}),
    "tags": ("echo", {"tag": "tag-#"}),
}


@pytest.mark.parametrize("case", GROWTHLESS)
def test_values_that_never_come_again(start: Start, case: str) -> None:
    """Each open has one of its own: nothing of it stays, whether it was served or not."""
    payload, members = GROWTHLESS[case]
    bridge = start(limits={"hosts": 8})  # connections on their way out are a peak, and no growth
    bridge.front_end.sync()
    descriptors, threads, _ = size(bridge)
    # What all connections share is made with the first and stays: a socket that answers askpass, and a pipe.
    gone: list[tuple[int, int, list[int]]] = [(descriptors + shared, threads, []) for shared in range(3)]
    open_and_close(bridge, payload, 3_000, members=members)
    settles(bridge, lambda: size(bridge) in gone)
    memory = processes.resident_bytes(bridge.pid)
    open_and_close(bridge, payload, 8_000, first=10_000, members=members)
    settles(bridge, lambda: size(bridge) in gone)
    assert processes.resident_bytes(bridge.pid) - memory < 2 * MIB  # pieces of free memory; a leak is a KiB each


def test_helpers_that_come_and_go(start: Start) -> None:
    """One after the other: no zombie, no descriptor and no file of them stays."""
    bridge = start(helper_rule({"payload": "test"}, [init(), serve()], "${channel}", timeout=0))
    front = bridge.front_end

    def one(channel: str) -> None:
        front.open(channel)
        pid = front.expect("ready", channel)["pid"]
        front.close(channel)
        assert processes.wait_ended([pid]) == []
        bridge.log.wait(f"helper-ended.*pid={pid} ")

    for number in range(3):
        one(f"first {number}")
    front.sync()
    before, memory = size(bridge), processes.resident_bytes(bridge.pid)
    for number in range(25):
        one(f"later {number}")
    front.sync()
    assert size(bridge)[:2] == before[:2]
    assert bridge.children == []
    assert processes.resident_bytes(bridge.pid) - memory < 2 * MIB


def test_a_helper_that_is_slow_to_answer_closes(start: Start, gate: Callable[[], Gate]) -> None:
    """Far more closes than the bridge keeps in mind: the answers, when they come, are no crime."""
    slow = gate()
    rule = helper_rule({"payload": "test"}, [init(), serve({"close": [wait(slow), answer()]})])
    bridge = start(rule, limits={"closed_ids": 10})
    front = bridge.front_end
    front.open("kept")
    for number in range(50):
        front.open(f"c{number}")
    pid = front.expect("ready", "c49")["pid"]
    for number in range(50):
        front.close(f"c{number}")
    front.sync()
    slow.release(50)
    front.send("kept", b"alive")
    assert front.data("kept", 5) == b"alive"
    front.open("new")
    assert front.expect("ready", "new")["pid"] == pid
    assert all(front.commands(f"c{number}").count("close") <= 1 for number in range(50))
