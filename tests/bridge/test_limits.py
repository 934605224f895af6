"""How many helpers there may be, and who gives way (docs/manifests.md, "Limits")."""

import signal
from collections.abc import Callable
from typing import Any

import pytest

from spanbridge.testing import processes
from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.frames import encode_control
from spanbridge.testing.gate import Gate
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import forever, helper_rule, ignore, init, note, serve, wait

TEST = {"payload": "test"}
GOOD = [init(), serve(), note("stopped")]


def open_one(bridge: Bridge, channel: str, payload: str = "test") -> int:
    """The pid of the helper that serves it."""
    bridge.front_end.open(channel, payload)
    return int(bridge.front_end.expect("ready", channel)["pid"])


@pytest.mark.parametrize("name", ["helpers_per_rule", "helpers"])
def test_a_bound_that_is_reached_names_itself(start: Start, name: str) -> None:
    """The open closes with internal-error; what is there goes on, and room that comes free is used."""
    bridge = start(helper_rule(TEST, GOOD, "${channel}", problem="not-this", timeout=0), limits={name: 3})
    front = bridge.front_end
    for channel in "abc":
        open_one(bridge, channel)
    front.open("d")
    closed = front.expect("close", "d")
    assert closed["problem"] == "internal-error"
    assert name in closed["message"]
    assert "3" in closed["message"]
    assert len(bridge.log.matches(rf"limit.*\b{name}\b")) == 1
    front.send("a", b"alive")
    assert front.data("a", 5) == b"alive"
    front.close("b")
    open_one(bridge, "d")
    assert len(bridge.children) <= 3


def test_the_bound_of_one_rule_is_not_that_of_another(start: Start) -> None:
    bridge = start(
        helper_rule({"payload": "one"}, GOOD, "${channel}"),
        helper_rule({"payload": "two"}, GOOD, "${channel}"),
        limits={"helpers_per_rule": 2},
    )
    for channel, payload in {"a": "one", "b": "one", "c": "two", "d": "two"}.items():
        open_one(bridge, channel, payload)
    for channel, payload in {"e": "one", "f": "two"}.items():
        bridge.front_end.open(channel, payload)
        assert "helpers_per_rule" in bridge.front_end.expect("close", channel)["message"]


@pytest.mark.parametrize("name", ["helpers_per_rule", "helpers"])
def test_the_idle_helper_that_was_used_longest_ago_gives_way(start: Start, name: str) -> None:
    bridge = start(helper_rule(TEST, GOOD, "${tag}"), limits={name: 3})
    front = bridge.front_end
    for tag in ("one", "two", "three"):
        front.open(tag, tag=tag)
        front.expect("ready", tag)
    for tag in ("two", "one"):  # both idle now, "one" later; "three" is not
        front.close(tag)
        front.expect("close", tag)
    front.open("four", tag="four")
    front.send("four", b"in order")
    assert front.expect("ready", "four")["argv"] == ["four"]
    assert front.data("four", 8) == b"in order"
    assert [stopped["argv"] for stopped in bridge.notes] == [["two"]]
    front.open("five", tag="five")
    front.expect("ready", "five")
    assert [stopped["argv"] for stopped in bridge.notes] == [["two"], ["one"]]
    front.send("three", b"alive")
    assert front.data("three", 5) == b"alive"
    assert len(bridge.children) == 3
    assert bridge.log.matches(rf"limit.*\b{name}\b")


def test_there_are_never_more_processes_than_the_bound(start: Start) -> None:
    """The new one starts when the old one is gone, however long that takes."""
    stubborn = [ignore(15), init(), serve(), note("sees the end"), ["forever"]]
    bridge = start(
        helper_rule(TEST, stubborn, "${tag}"),
        limits={"helpers_per_rule": 1, "exit_seconds": 0.2, "term_seconds": 0.1},
    )
    front = bridge.front_end
    front.open("a", tag="a")
    first = front.expect("ready", "a")["pid"]
    front.close("a")
    front.expect("close", "a")
    front.open("b", tag="b")
    front.send("b", b"hello")
    bridge.wait_note("sees the end")
    assert bridge.children == [first]
    second = front.expect("ready", "b")["pid"]
    assert processes.state(first) == ""
    assert bridge.children == [second]
    assert front.data("b", 5) == b"hello"


def test_ten_thousand_different_helpers_are_asked_for(start: Start) -> None:
    """Each open is answered, with a process or with the limit; there are never more processes than that."""
    bridge = start(helper_rule(TEST, GOOD, "${tag}"), limits={"helpers": 5, "helpers_per_rule": 5})
    front = bridge.front_end
    answers: dict[str, dict[str, Any]] = {}
    for begin in range(0, 10_000, 500):
        tags = [f"t{number}" for number in range(begin, begin + 500)]
        opens = [{"command": "open", "channel": tag, "payload": "test", "tag": tag} for tag in tags]
        front.write(b"".join(map(encode_control, opens)))
        front.sync()
        assert len(bridge.children) <= 5
    while len(answers) < 10_000:
        message = front.take(lambda frame: "channel" in frame.message, "an answer to an open").message
        assert answers.setdefault(message["channel"], message) is message
    served = [answer for answer in answers.values() if answer["command"] == "ready"]
    assert len(served) == 5
    for answer in answers.values():
        assert answer["command"] == "ready" or "helpers" in answer["message"]
    front.close(served[0]["channel"])
    front.expect("close", served[0]["channel"])
    front.open("last", tag="last")
    front.expect("ready", "last")
    assert len(bridge.children) == 5


def test_many_opens_wait_for_one_place(start: Start) -> None:
    """Three different helpers are asked for where there is place for one: the first has it while it is used."""
    bridge = start(helper_rule(TEST, GOOD, "${tag}"), limits={"helpers_per_rule": 1})
    front = bridge.front_end
    open_one(bridge, "first")
    front.close("first")
    front.expect("close", "first")
    front.open("a", tag="a")
    front.open("b", tag="b")
    front.open("c", tag="a")
    assert "helpers_per_rule" in front.expect("close", "b")["message"]
    assert front.expect("ready", "a")["pid"] == front.expect("ready", "c")["pid"]


def test_a_helper_that_waits_for_its_init_is_not_idle(start: Start, gate: Callable[[], Gate]) -> None:
    slow = gate()
    bridge = start(helper_rule(TEST, [wait(slow), *GOOD], "${channel}"), limits={"helpers_per_rule": 1})
    front = bridge.front_end
    front.open("a")
    front.open("b")
    assert front.expect("close", "b")["problem"] == "internal-error"
    slow.release()
    front.expect("ready", "a")


def test_the_session_goes_on_at_the_bound_of_channels(start: Start) -> None:
    bridge = start(helper_rule(TEST, GOOD), limits={"channels": 2})
    front = bridge.front_end
    open_one(bridge, "a")
    front.open("b", "echo")
    front.expect("ready", "b")
    for payload in ("test", "echo"):
        front.open("c", payload)
        closed = front.expect("close", "c")
        assert closed["problem"] == "internal-error"
        assert "channels" in closed["message"]
    front.close("b")
    open_one(bridge, "c")


def test_no_descriptor_is_left(home: Home) -> None:
    """The open fails by the rule, the session goes on, and what comes free is used."""
    home.package("test", helper_rule(TEST, GOOD, "${channel}", timeout=0, problem="no-room"))
    with Bridge(home, command=["/bin/sh", "-c", 'ulimit -n 40; exec "$0"', str(SPANBRIDGE)]) as bridge:
        front = bridge.front_end
        front.init()
        served: list[dict[str, Any]] = []
        refused: list[dict[str, Any]] = []
        for number in range(15):
            front.open(str(number))
            answer = front.take(lambda frame: frame.message["command"] in ("ready", "close"), "an answer").message
            (served if answer["command"] == "ready" else refused).append(answer)
        assert served
        assert refused
        assert {answer["problem"] for answer in refused} == {"no-room"}
        assert "Too many open files" in refused[0]["message"]
        front.close(served[0]["channel"])
        assert processes.wait_ended([served[0]["pid"]]) == []
        bridge.log.wait(f"helper-ended.*pid={served[0]['pid']} ")
        front.open("again", again=True)
        front.take(lambda frame: frame.message.get("channel") == "again", "an answer")
        front.send(served[-1]["channel"], b"alive")
        assert front.data(served[-1]["channel"], 5) == b"alive"
        assert "Traceback" not in bridge.log.text


@pytest.mark.parametrize("name", ["group", "host"])
def test_what_is_kept_of_an_open_is_no_longer_than_an_id(start: Start, name: str) -> None:
    front = start(helper_rule({"payload": "test", "host": None}, GOOD), helper_rule(TEST, GOOD)).front_end
    front.open("a", **{name: "x" * 8_192})
    front.expect("ready", "a")
    front.open("b", **{name: "x" * 8_193})
    assert f'"{name}" of the open: 8193 characters' in front.expect("close", "b", problem="protocol-error")["message"]
    front.round_trip("a")


def test_helpers_for_other_hosts_have_a_bound_of_their_own(start: Start) -> None:
    """`hosts` counts them, whatever rule they are of, and the other bounds do not."""
    bridge = start(
        helper_rule({"payload": "test", "host": None}, GOOD, "${host}"),
        helper_rule({"payload": "other", "host": None}, GOOD, "other", "${host}"),
        helper_rule(TEST, GOOD, "${tag}"),
        limits={"hosts": 3, "helpers": 1, "helpers_per_rule": 1},
    )
    front = bridge.front_end
    for channel, (payload, host) in {"a": ("test", "one"), "b": ("test", "two"), "c": ("other", "one")}.items():
        front.open(channel, payload, host=host)
        front.expect("ready", channel)
    open_one(bridge, "here")
    front.open("d", host="three")
    closed = front.expect("close", "d")
    assert closed["problem"] == "internal-error"
    assert "(hosts)" in closed["message"]
    front.close("b")
    front.expect("close", "b")
    front.open("d", host="three")
    assert front.expect("ready", "d")["argv"] == ["three"]
    front.send("here", b"alive")
    assert front.data("here", 5) == b"alive"
    assert len(bridge.children) == 4


def test_one_that_leaves_for_another_counts_still_when_that_one_is_dismissed(start: Start) -> None:
    """It still runs, and counts."""
    stays = [ignore(signal.SIGTERM), init(), serve(), forever()]
    rules = [helper_rule({"payload": "stays"}, stays), helper_rule({"payload": "other"}, [init(), serve()])]
    dismissed = helper_rule({"payload": "dismissed"}, [init(), serve()])
    bridge = start(*rules, dismissed, limits={"helpers": 1, "exit_seconds": 0.3, "term_seconds": 0.3})
    front = bridge.front_end
    front.open("a", "stays")
    pid = front.expect("ready", "a")["pid"]
    front.close("a")
    front.expect("close", "a")
    front.open("b", "dismissed")
    bridge.package("test", *rules)
    front.expect("close", "b", problem="terminated")
    front.open("c", "other")
    front.expect("ready", "c")
    assert pid not in bridge.children
