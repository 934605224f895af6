"""The bridge is stopped for longer than its limits allow (SIGSTOP, a frozen container, suspend).

What was on time by the time that it goes on is not judged late (docs/protocol.md, "Helpers").
"""

import signal
import time
from collections.abc import Callable

from spanbridge.testing.frames import encode
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, note, raw, serve, wait

SECONDS = 3.0
LIMITS = {
    "handshake_seconds": SECONDS,
    "stall_seconds": SECONDS,
    "stuck_seconds": SECONDS,
    "helper_queue_bytes": 1 << 20,
}


def test_nobody_is_late(start: Start, gate: Callable[[], Gate]) -> None:
    """One whose `init` is awaited, one that has begun a frame, one that reads slowly: all go on during the pause."""
    shake, frame, reads = gate(), gate(), gate()
    whole = encode("half", b"the whole of it")
    rules = [
        helper_rule({"payload": "idle"}, [init(), serve()]),
        helper_rule({"payload": "late"}, [note("started"), wait(shake), init(), note("greeted"), serve()]),
        helper_rule(
            {"payload": "half"},
            [init(), serve({"data": [raw(whole[:8]), note("half"), wait(frame), raw(whole[8:]), note("whole")]})],
        ),
        helper_rule(
            {"payload": "full"},
            [init(), serve({"data": [], "options": [note("reads no more"), wait(reads), note("reads on")]})],
        ),
    ]
    bridge = start(*rules, limits=LIMITS)
    front = bridge.front_end
    for name in ("half", "full", "idle"):
        front.open(name, name)
        front.expect("ready", name)
    front.open("late", "late")
    bridge.wait_note("started")
    front.control("options", channel="full")
    bridge.wait_note("reads no more")
    front.send("half", b"go")
    bridge.wait_note("half")
    for _ in range(20):
        front.send("full", bytes(100_000))
    bridge.signal(signal.SIGSTOP)
    for held in (shake, frame, reads):
        held.release()
    for told in ("greeted", "whole", "reads on"):
        bridge.wait_note(told)
    time.sleep(SECONDS + 0.5)  # what is tried is that time has passed
    bridge.signal(signal.SIGCONT)
    front.expect("ready", "late")
    assert front.data("half", 15) == b"the whole of it"
    for name in ("full", "idle"):
        front.round_trip(name)
    front.sync()
    assert "close" not in [frame.message["command"] for frame in front.log if not frame.channel]
    assert not bridge.log.matches("limit name=(handshake|stall|stuck)_seconds")
