"""A helper speaks on its own channels only, and only as a helper (docs/protocol.md, "Helpers", Isolation)."""

from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import Step, answer, data, forever, helper_rule, init, note_message, raw, send, serve

QUICK = {"exit_seconds": 0.2, "term_seconds": 0.2}

CRIMES: dict[str, list[Step]] = {
    "data on another's channel": [data("other", b"mine now")],
    "data on a channel that never was": [data("never", b"hello")],
    "data on an internal channel": [data("echo", b"hello")],
    "ready for another's channel": [send("ready", channel="other")],
    "close of another's channel": [send("close", channel="other", problem="not-found")],
    "close of an internal channel": [send("close", channel="echo")],
    "done for another's channel": [send("done", channel="other")],
    "ping on another's channel": [send("ping", channel="other")],
    "open": [send("open", channel="new", payload="echo")],
    "open of its own": [send("open", channel="mine", payload="echo")],
    "options": [send("options", channel="mine")],
    "kill": [send("kill")],
    "kill of a group": [send("kill", group="test")],
    "logout": [send("logout", disconnect=True)],
    "hint": [send("hint", hint="ignore-me")],
}


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    """With a helper for each crime and forgery, and a good one."""
    rules = [
        helper_rule({"payload": name}, [init(), serve({"data": [*steps, data("$channel", b"after"), forever()]})])
        for name, steps in CRIMES.items()
    ]
    rules += [
        helper_rule({"payload": f"forge {name}"}, [init(), serve({"data": [step, send("pong", channel="$channel")]})])
        for name, step in FORGERIES.items()
    ]
    return start_shared(*rules, helper_rule({"payload": "good"}, [init(), serve()]), limits=QUICK)


@pytest.mark.parametrize("crime", CRIMES)
def test_a_crime_ends_the_helper_alone(bridge: Bridge, crime: str) -> None:
    front = bridge.front_end
    front.open("mine", crime)
    front.open("too", crime)
    front.open("other", "good")
    front.open("echo", "echo")
    for channel in ("mine", "too", "other", "echo"):
        front.expect("ready", channel)
    begun = len(front.log)
    front.send("mine", b"go")
    for channel in ("mine", "too"):
        closed = front.expect("close", channel)
        assert closed["problem"] == "protocol-error"
        assert f"test/bridges[{list(CRIMES).index(crime)}]" in closed["message"]
    for channel in ("other", "echo"):
        front.send(channel, b"alive")
        assert front.data(channel, 5) == b"alive"
        front.close(channel)
        front.expect("close", channel)
    front.sync()
    told = [frame.channel or frame.message["command"] for frame in front.log[begun:]]
    assert sorted(told) == ["close", "close", "close", "close", "echo", "other", "pong"]


FORGERIES: dict[str, Step] = {
    "init": send("init", version=1, host="evil"),
    "init for a channel": send("init", channel="$channel", problem="access-denied"),
    "authorize": send("authorize", cookie="1", challenge="*"),
    "authorize for a channel": send("authorize", channel="$channel", cookie="1", challenge="*"),
    "superuser-init-done": send("superuser-init-done"),
    "superuser-init-done for a channel": send("superuser-init-done", channel="$channel"),
    "pong": send("pong"),
    "unknown": send("no-such-command"),
    "kill for a channel": send("kill", channel="$channel"),
}


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_message_does_not_reach_the_front_end(bridge: Bridge, forgery: str) -> None:
    """Ignored, answered by the bridge, or the helper's end: the front end sees no more than a close of its channel."""
    front = bridge.front_end
    front.open("forged", f"forge {forgery}")
    front.expect("ready", "forged")
    begun = len(front.log)
    front.send("forged", b"go")
    answered = front.take(lambda frame: frame.message["command"] in ("pong", "close"), "a pong or a close").message
    if answered["command"] == "pong":
        front.close("forged")
        front.expect("close", "forged")
    front.sync()
    assert [frame.message["command"] for frame in front.log[begun:]] in (["pong", "close", "pong"], ["close", "pong"])


ANSWERED: dict[str, tuple[Step, dict[str, Any]]] = {
    "authorize": (
        send("authorize", cookie="c-1", challenge="plain1:", prompt="Password?"),
        {"command": "authorize", "cookie": "c-1", "response": ""},
    ),
    "ping": (
        send("ping", cookie="c-1", nested={"a": [1, None]}),
        {"command": "pong", "cookie": "c-1", "nested": {"a": [1, None]}},
    ),
}


@pytest.mark.parametrize("question", ANSWERED)
def test_what_the_bridge_answers_itself(start: Start, question: str) -> None:
    """Its ping, one hop; its authorize, with an empty response, for it is not privileged."""
    step, answer = ANSWERED[question]
    handlers = {"data": [step], answer["command"]: [note_message(), send("pong", channel="a", done=True)]}
    bridge = start(helper_rule({"payload": "test"}, [init(), serve(handlers)]))
    front = bridge.front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    front.expect("pong", "a", done=True)
    assert bridge.noted_messages == [answer]
    front.sync()
    assert front.pending == []


def test_a_channel_of_its_own_that_it_has_closed(start: Start) -> None:
    """What it still says of it is late, not forged: it is dropped, and the helper lives."""
    steps = [send("close", channel="a"), data("a", b"still here"), answer()]
    front = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})]), limits=QUICK).front_end
    for channel in ("a", "b"):
        front.open(channel)
        front.expect("ready", channel)
    front.send("a", b"go")
    front.expect("close", "a")
    front.send("b", b"alive")
    assert front.data("b", 5) == b"alive"
    front.sync()
    assert front.commands("a") == ["ready", "close"]


def test_control_on_its_own_channel_passes_untouched(start: Start) -> None:
    """The bytes that came are the bytes that go: spaces, escapes, numbers and all."""
    text = b'{ "command":"pong", "channel" : "a","x":1.50,"\\u00e9":"\\u00e9" , "big":123456789012345678901234567890 }'
    steps = [raw(b"%d\n\n" % (len(text) + 1) + text)]
    front = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})])).front_end
    front.open("a")
    front.expect("ready", "a")
    front.send("a", b"go")
    assert front.take(lambda frame: b"pong" in frame.payload, "the pong").payload == text
