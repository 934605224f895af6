"""The `host` of an open: which rules see it, and how it is forwarded (docs/protocol.md, "Who serves an open")."""

from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.plugin import Start
from spanbridge.testing.script import exit_with, helper_rule, init, serve

GOOD = [init(), serve()]
ALONE = {"hosts": 0}  # no connection to another host is made
HERE = helper_rule({"payload": "test"}, GOOD, "here", "${host}")
FAR = helper_rule({"payload": "test", "host": None}, GOOD, "far", "${host}", "${host-key}", "${host-port}")


def test_our_own_host_is_as_good_as_none(start: Start) -> None:
    """A rule without host takes it, one with host does not; the variable is empty; the open is forwarded as it was."""
    front = start(FAR, HERE).front_end
    front.open("a", host="localhost")
    front.open("b")
    first, second = front.expect("ready", "a"), front.expect("ready", "b")
    assert first["argv"] == second["argv"] == ["here", ""]
    assert first["pid"] == second["pid"]
    assert first["open"] == {"command": "open", "channel": "a", "payload": "test", "host": "localhost"}


def test_our_own_host_is_what_init_says(start: Start) -> None:
    bridge = start(FAR, HERE, handshake=False)
    front = bridge.front_end
    front.init("my.example.com")
    front.open("a", host="my.example.com")
    front.open("b", host="localhost")
    assert front.expect("ready", "a")["argv"] == ["here", ""]
    assert front.expect("ready", "b")["argv"] == ["far", "localhost", "", ""]


def test_a_rule_that_does_not_mention_hosts_never_sees_another(start: Start) -> None:
    bridge = start(helper_rule({"payload": None}, GOOD), helper_rule({}, GOOD), limits=ALONE)
    front = bridge.front_end
    for payload in ("test", "echo", "null"):
        front.open(payload, payload, host="far.example.com")
        closed = front.expect("close", payload)
        assert closed["problem"] == "no-host"
        assert "far.example.com" in closed["message"]
    assert bridge.children == []


def test_a_rule_for_another_host(start: Start) -> None:
    front = start(HERE, FAR).front_end
    front.open("a", host="far.example.com")
    front.open("b", host="other.example.com")
    front.open("c", host="far.example.com")
    pids = {}
    for channel, host in {"a": "far.example.com", "b": "other.example.com", "c": "far.example.com"}.items():
        ready = front.expect("ready", channel)
        assert ready["argv"] == ["far", host, "", ""]
        assert ready["open"]["host"] == host
        pids[channel] = ready["pid"]
    assert pids["a"] == pids["c"] != pids["b"]


def test_a_rule_may_name_hosts_by_a_pattern(start: Start) -> None:
    front = start(helper_rule({"host": "*.example.com"}, GOOD), limits=ALONE).front_end
    front.open("a", host="far.example.com")
    front.expect("ready", "a")
    front.open("b", host="example.org")
    assert front.expect("close", "b")["problem"] == "no-host"


KEYED: dict[str, tuple[dict[str, Any], list[str]]] = {
    "key": ({"host": "far+key+1a2b"}, ["far", "far", "1a2b", ""]),
    "port": ({"host": "far+port+22"}, ["far", "far", "", "22"]),
    "a value with plus": ({"host": "far+key+a+b"}, ["far", "far", "a+b", ""]),
    "an empty value": ({"host": "far+key+"}, ["far", "far", "", ""]),
    "a member that is there": ({"host": "far+key+new", "host-key": "old"}, ["far", "far", "old", ""]),
    "a member that is null": ({"host": "far+key+new", "host-key": None}, ["far", "far", "", ""]),
    "one plus": ({"host": "far+key"}, ["far", "far+key", "", ""]),
    "our own": ({"host": "localhost+key+x"}, ["here", ""]),
}


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    return start_shared(HERE, FAR, helper_rule({}, GOOD))


@pytest.mark.parametrize("case", KEYED)
def test_a_host_with_a_key(bridge: Bridge, case: str) -> None:
    members, argv = KEYED[case]
    front = bridge.front_end
    front.message({"command": "open", "channel": case, "payload": "test", **members})
    ready = front.expect("ready", case)
    assert ready["argv"] == argv
    host, _, rest = members["host"].partition("+")
    key, _, value = rest.partition("+")
    if case != "one plus":
        expected = {f"host-{key}": value, **members, "host": host}
        if host == "far":  # such a key answers the helper's question, and goes no further
            expected.pop("host-key", None)
        assert ready["open"] == {"command": "open", "channel": case, "payload": "test", **expected}


@pytest.mark.parametrize("host", ["", None, 5, True, ["far"], {"name": "far"}])
def test_a_host_that_is_no_name(bridge: Bridge, host: Any) -> None:
    """A protocol error of the channel; the session goes on."""
    front = bridge.front_end
    front.open("a", host=host)
    closed = front.expect("close", "a")
    assert closed["problem"] == "protocol-error"
    assert "host" in closed["message"]
    front.sync()


def test_a_rule_that_matched_and_failed(start: Start) -> None:
    """no-host is for a host that nothing matched; here something did: not-supported, and the rule is named."""
    front = start(helper_rule({"host": None}, [exit_with(1)]), limits=ALONE).front_end
    front.open("a", host="far.example.com")
    closed = front.expect("close", "a")
    assert "test/bridges[0]" in closed["message"]
    assert closed["problem"] == "not-supported"
