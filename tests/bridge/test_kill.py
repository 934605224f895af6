"""`kill`: the bridge itself closes what matches (docs/protocol.md, "Helpers", kill)."""

from collections.abc import Callable

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.gate import Gate
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import helper_rule, init, note_message, serve, wait

CHANNELS: dict[str, dict[str, str]] = {
    "plain": {},
    "tagged": {"group": "fence"},
    "here": {"host": "localhost"},
    "far": {"host": "far.example.com"},
    "both": {"group": "fence", "host": "far.example.com"},
    "keyed": {"host": "far.example.com+port+22"},
    "other": {"group": "other", "host": "other.example.com"},
}
ALL = set(CHANNELS)

CASES: dict[str, tuple[dict[str, str], set[str]]] = {
    "all": ({}, ALL),
    "a group": ({"group": "fence"}, {"tagged", "both"}),
    "a host": ({"host": "far.example.com"}, {"far", "both", "keyed"}),
    "this host": ({"host": "localhost"}, {"plain", "tagged", "here"}),
    "group and host": ({"group": "fence", "host": "far.example.com"}, {"both"}),
    "a group on this host": ({"group": "fence", "host": "localhost"}, {"tagged"}),
    "those without a group": ({"group": "default"}, {"plain", "here", "far", "keyed"}),
    "a group that is not there": ({"group": "nobody"}, set()),
    "a host that is not there": ({"host": "nowhere"}, set()),
}


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    """Its helpers note each close, and answer none."""
    steps = [init(), serve({"close": [note_message()]})]
    return start_shared(helper_rule({"payload": "test"}, steps), helper_rule({"host": None}, steps))


@pytest.mark.parametrize("case", CASES)
def test_what_matches_is_closed_on_both_sides(bridge: Bridge, case: str) -> None:
    """The helper's answer to that close is not waited for."""
    members, killed = CASES[case]
    front = bridge.front_end
    idents = {name: f"{case}: {name}" for name in CHANNELS}
    for name, options in CHANNELS.items():
        front.open(idents[name], **options)
        front.expect("ready", idents[name])
    before = len(bridge.notes)
    front.control("kill", **members)
    for name in sorted(killed):
        assert front.expect("close", idents[name])["problem"] == "terminated"
    for name in sorted(ALL - killed):
        front.send(idents[name], b"alive")
        assert front.data(idents[name], 5) == b"alive"
    for name in ("far", "plain"):  # the helpers have acted on all that they were sent
        front.open(f"{case}: last {name}", **CHANNELS[name])
        front.expect("ready", f"{case}: last {name}")
    closes = [(told["channel"], told["problem"]) for told in bridge.noted_messages[before:]]
    assert sorted(closes) == sorted((idents[name], "terminated") for name in killed)
    assert front.pending == []
    for name in sorted(ALL - killed):
        front.close(idents[name])
    for name in ("far", "plain"):
        front.close(f"{case}: last {name}")
        front.open(f"{case}: really last {name}", **CHANNELS[name], group="last")
        front.expect("ready", f"{case}: really last {name}")
        front.close(f"{case}: really last {name}")


def test_internal_and_waiting_channels_are_killed_too(start: Start, gate: Callable[[], Gate]) -> None:
    slow = gate()
    bridge = start(helper_rule({"payload": "test"}, [wait(slow), init(), serve()]))
    front = bridge.front_end
    front.open("waiting")
    front.open("echo", "echo")
    front.open("null", "null", group="spared")
    front.control("kill")
    for channel in ("waiting", "echo", "null"):
        assert front.expect("close", channel)["problem"] == "terminated"
    front.open("waiting")
    slow.release()
    front.expect("ready", "waiting")
    front.send("waiting", b"new")
    assert front.data("waiting", 3) == b"new"


def test_a_helper_that_answers_the_close(start: Start) -> None:
    """Its answer is swallowed: the front end has been told."""
    front = start(helper_rule({"payload": "test"}, [init(), serve()])).front_end
    front.open("a", group="one")
    front.open("b", group="two")
    front.expect("ready", "b")
    front.control("kill", group="one")
    front.expect("close", "a")
    front.round_trip("b")
    assert front.commands("a") == ["ready", "close"]


def test_an_id_that_was_killed_is_free_at_once(start: Start) -> None:
    front = start(helper_rule({"payload": "test"}, [init(), serve()])).front_end
    front.open("a", number=1)
    front.expect("ready", "a")
    front.control("kill")
    front.open("a", number=2)
    assert front.expect("close", "a")["problem"] == "terminated"
    assert front.expect("ready", "a")["open"]["number"] == 2
    front.round_trip("a")
    assert front.commands("a") == ["ready", "close", "ready", "pong"]


@pytest.mark.parametrize("members", [{"group": 5}, {"host": ["x"]}], ids=["group", "host"])
def test_a_kill_of_something_that_is_no_name(start: Start, members: dict[str, object]) -> None:
    bridge = start()
    bridge.front_end.control("kill", **members)
    assert bridge.front_end.expect("init", problem="protocol-error")["message"]
    assert bridge.wait() == 1
