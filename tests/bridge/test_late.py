"""What a helper says of a channel that is over is late, and dropped; it is no forgery (docs/protocol.md, "Helpers")."""

import pytest

from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import (
    Step,
    answer,
    data,
    flood,
    helper_rule,
    init,
    send,
    serve,
)

TEST = {"payload": "test"}

# what follows the answer to the close of channel a
LATE: dict[str, list[Step]] = {
    "ready": [send("ready", channel="a")],  # Debian's cockpit-bridge does so
    "data": [data("a", b"late")],
    "done": [send("done", channel="a")],
    "a large frame": [flood("a", 1 << 20, 1)],
    "another close": [send("close", channel="a", problem="terminated")],  # closes that cross
    "ten": [send("close", channel="a"), send("ready", channel="a")] * 5,
}


def check_alive(front: FrontEnd, channel: str = "b") -> None:
    front.send(channel, b"alive")
    assert front.data(channel, 5) == b"alive"
    front.sync()


@pytest.mark.parametrize("late", LATE)
def test_late_is_not_forged(start: Start, late: str) -> None:
    rule = helper_rule(TEST, [init(), serve({"close": [answer(), *LATE[late]]})])
    front = start(rule).front_end
    for ident in "ab":
        front.open(ident)
        front.expect("ready", ident)
    front.close("a")
    front.expect("close", "a")
    check_alive(front)
    assert front.commands("a") == ["ready", "close"]
    assert front.data_so_far("a") == b""


def test_late_after_a_close_of_its_own(start: Start) -> None:
    rule = helper_rule(TEST, [init(), serve({"data": [send("close", channel="a"), data("a", b"late"), answer()]})])
    front = start(rule).front_end
    for ident in "ab":
        front.open(ident)
        front.expect("ready", ident)
    check_alive(front)
    assert front.commands("a") == ["ready", "close"]


def test_the_memory_is_bounded(start: Start) -> None:
    """Beyond it a frame counts as forged."""
    rule = helper_rule(TEST, [init(), serve({"data": [data("0", b"late")]})])
    front = start(rule, limits={"closed_ids": 3}).front_end
    front.open("b")
    front.expect("ready", "b")
    for number in range(5):
        front.open(str(number))
        front.expect("ready", str(number))
        front.close(str(number))
        front.expect("close", str(number))
    front.send("b", b"say it")
    assert front.expect("close", "b")["problem"] == "protocol-error"


def test_an_id_whose_close_is_not_answered_goes_to_a_new_process(start: Start) -> None:
    """The old one keeps its other channels, and goes with the last of them."""
    rule = helper_rule(TEST, [init(), serve({"close": []})])
    bridge = start(rule, limits={"close_answer_seconds": 0.1})
    front = bridge.front_end
    for ident in "ab":
        front.open(ident)
    old = front.expect("ready", "a")["pid"]
    assert front.expect("ready", "b")["pid"] == old
    front.close("a")
    front.open("a")
    front.send("a", b"to the new one")
    new = front.expect("ready", "a")["pid"]
    assert new != old
    assert front.data("a", 14) == b"to the new one"
    check_alive(front)
    front.open("c")
    assert front.expect("ready", "c")["pid"] == new
    front.close("b")
    bridge.log.wait(f"helper-ended.*pid={old}")
    check_alive(front, "c")
    assert front.commands("a") == ["ready", "ready", "data"]
