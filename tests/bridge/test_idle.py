"""A rule's `timeout`: how long a helper without channels is kept (docs/protocol.md, "Helpers", Idle)."""

from collections.abc import Callable

from spanbridge.testing import processes
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import answer, helper_rule, init, note, serve, wait

TEST = {"payload": "test"}
NOTING = [init(), serve(), note("stopped")]


def test_it_is_stopped_when_it_has_had_no_channel_for_so_long(start: Start) -> None:
    """It sees the end of its input; the next open starts another."""
    bridge = start(helper_rule(TEST, NOTING, timeout=0.05))
    front = bridge.front_end
    front.open("a")
    first = front.expect("ready", "a")["pid"]
    front.close("a")
    front.expect("close", "a")
    assert bridge.wait_note("stopped")[0]["pid"] == first
    assert processes.wait_ended([first]) == []
    front.open("a")
    assert front.expect("ready", "a")["pid"] != first
    assert front.commands("a") == ["ready", "close", "ready"]


def test_a_channel_keeps_it(start: Start) -> None:
    """The one is over, the other is not: its helper outlives one whose time has run out."""
    bridge = start(helper_rule(TEST, NOTING, "${tag}", timeout=0.05))
    front = bridge.front_end
    for channel, tag in {"a": "kept", "b": "kept", "c": "idle"}.items():
        front.open(channel, tag=tag)
        front.expect("ready", channel)
    front.close("a")
    front.expect("close", "a")
    front.close("c")
    assert [stopped["argv"] for stopped in bridge.wait_note("stopped")] == [["idle"]]
    front.send("b", b"alive")
    assert front.data("b", 5) == b"alive"


def test_a_channel_that_the_helper_closed_counts_too(start: Start) -> None:
    steps = [init(), serve({"open": [["ready", {}], ["send", {"command": "close", "channel": "$channel"}]]})]
    bridge = start(helper_rule(TEST, [*steps, note("stopped")], timeout=0.05))
    bridge.front_end.open("a")
    bridge.front_end.expect("ready", "a")
    bridge.front_end.expect("close", "a")
    bridge.wait_note("stopped")


def test_a_new_channel_ends_the_wait(start: Start) -> None:
    """Opens that follow each other sooner than the time is over are served by one process."""
    front = start(helper_rule(TEST, NOTING, timeout=30)).front_end
    pids = set()
    for number in range(3):
        front.open(str(number))
        pids.add(front.expect("ready", str(number))["pid"])
        front.close(str(number))
        front.expect("close", str(number))
    assert len(pids) == 1


def test_a_helper_whose_open_was_closed_before_its_init(start: Start, gate: Callable[[], Gate]) -> None:
    slow = gate()
    bridge = start(helper_rule(TEST, [wait(slow), *NOTING], timeout=0.05))
    bridge.front_end.open("a")
    bridge.front_end.close("a")
    bridge.front_end.sync()
    slow.release()
    bridge.wait_note("stopped")


def test_a_timeout_of_nothing(start: Start) -> None:
    bridge = start(helper_rule(TEST, NOTING, timeout=0))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.close("a")
    bridge.wait_note("stopped")


def test_the_answer_to_the_last_close_is_still_passed_on(start: Start, gate: Callable[[], Gate]) -> None:
    """Though the helper's time is over as soon as that channel is."""
    late = gate()
    steps = [init(), serve({"close": [note("close"), wait(late), answer()]})]
    bridge = start(helper_rule(TEST, steps, timeout=0))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.close("a")
    bridge.wait_note("close")
    front.sync()
    late.release()
    front.expect("close", "a")
