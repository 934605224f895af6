"""A helper that exits in order and has not read an open: another process has it, once (docs/protocol.md, Helpers)."""

from collections.abc import Callable

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import Step, close_fd, die, exit_with, helper_rule, init, note, serve, wait

MakeGate = Callable[[], Gate]
PATIENT = {"last_words_seconds": 60}

# what it does between its last read and its exit
WAYS: dict[str, list[Step]] = {
    "it just exits": [],
    "it closes its stdout first": [close_fd(1)],
    "it closes its stdin first": [close_fd(0)],
}


def begin(start: Start, *leaving: Step, limits: dict[str, float] | None = None) -> Bridge:
    """With a helper that has a channel, and reads no more once that has sent `options`: then it is `leaving`."""
    steps = [init(), serve({"options": list(leaving)})]
    bridge = start(helper_rule({"payload": "test"}, steps), limits={**PATIENT, **(limits or {})})
    bridge.front_end.open("first")
    bridge.front_end.expect("ready", "first")
    bridge.front_end.control("options", channel="first")
    return bridge


@pytest.mark.parametrize("way", WAYS)
def test_another_process_serves_it(start: Start, gate: MakeGate, way: str) -> None:
    """With all that has come for it, before the helper hung up and after; what was read is closed."""
    before, after = gate(), gate()
    leaving = [note("reads no more"), wait(before), *WAYS[way], note("has hung up"), wait(after), exit_with(0)]
    bridge = begin(start, *leaving)
    front = bridge.front_end
    bridge.wait_note("reads no more")
    front.open("b", tag="kept")
    front.send("b", b"early ")
    front.open("c")
    front.control("done", channel="c")
    front.sync()
    before.release()
    bridge.wait_note("has hung up")
    front.send("b", b"late")
    front.sync()
    after.release()
    assert front.expect("close", "first")["problem"] == "terminated"
    ready = front.expect("ready", "b")
    assert ready["open"]["tag"] == "kept"
    assert front.expect("ready", "c")["pid"] == ready["pid"]
    assert front.data("b", 10) == b"early late"
    front.round_trip("b")
    front.sync()
    assert front.commands("first") == ["ready", "close"]
    assert len(bridge.log.matches("helper-started")) == 2


def test_many_that_are_alike(start: Start, gate: MakeGate) -> None:
    """Of those that differ in their channel alone, too, each is served, and once more with what is its own."""
    goes = gate()
    bridge = begin(start, note("reads no more"), wait(goes), exit_with(0))
    front = bridge.front_end
    bridge.wait_note("reads no more")
    idents = [f"many{number}" for number in range(2_000)]
    for ident in idents:
        front.open(ident, tag="alike")
        front.send(ident, b"for " + ident.encode())
    front.sync()
    goes.release()
    for ident in idents:
        opened = {"command": "open", "channel": ident, "payload": "test", "tag": "alike"}
        assert front.expect("ready", ident)["open"] == opened
        assert front.data(ident, 4 + len(ident)) == b"for " + ident.encode()


def test_more_than_a_pipe_holds(start: Start, gate: MakeGate) -> None:
    goes = gate()
    bridge = begin(start, note("reads no more"), wait(goes), exit_with(0))
    front = bridge.front_end
    bridge.wait_note("reads no more")
    front.open("b")
    sent = b"".join(b"%07d " % number for number in range(400_000))
    for at in range(0, len(sent), 100_000):
        front.send("b", sent[at : at + 100_000])
    front.sync()
    goes.release()
    assert front.data("b", len(sent)) == sent


def test_one_that_was_closed_meanwhile_is_forgotten(start: Start, gate: MakeGate) -> None:
    goes = gate()
    bridge = begin(start, note("reads no more"), wait(goes), exit_with(0))
    front = bridge.front_end
    bridge.wait_note("reads no more")
    front.open("b")
    front.close("b")
    front.sync()
    goes.release()
    front.expect("close", "first")
    front.sync()
    assert len(bridge.log.matches("helper-started")) == 1


def test_once(start: Start, gate: MakeGate) -> None:
    """The next one does not read it either."""
    goes = gate()
    bridge = start(helper_rule({"payload": "test"}, [init(), note("up"), wait(goes), exit_with(0)]), limits=PATIENT)
    front = bridge.front_end
    front.open("b")
    bridge.wait_note("up")
    front.sync()
    goes.release(2)
    assert front.expect("close", "b")["problem"] == "terminated"
    front.sync()
    assert front.commands("b") == ["close"]
    assert len(bridge.log.matches("helper-started")) == 2


@pytest.mark.parametrize("end", [exit_with(3), die(9)])
def test_one_that_fails(start: Start, gate: MakeGate, end: Step) -> None:
    """What made it fail may do so again."""
    goes = gate()
    bridge = begin(start, note("reads no more"), wait(goes), end)
    front = bridge.front_end
    bridge.wait_note("reads no more")
    front.open("b")
    front.sync()
    goes.release()
    assert front.expect("close", "b")["problem"] == "terminated"
    assert len(bridge.log.matches("helper-started")) == 1
