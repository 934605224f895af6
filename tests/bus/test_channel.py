"""`dbus-json3` through a bridge: how it opens, answers and ends (docs/internal-bus.md)."""

from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start

from .client import ERROR, PROPERTIES, BusClient

PEER = "org.freedesktop.DBus.Peer"
PING = ["/user", PEER, "Ping", []]


@pytest.mark.parametrize(
    "options",
    [{"bus": "internal"}, {"bus": "none", "address": "internal"}, {"bus": "none"}, {"bus": "internal", "name": None}],
    ids=str,
)
def test_the_internal_bus_opens(shared_front: FrontEnd, channel: str, options: dict[str, Any]) -> None:
    shared_front.open(channel, "dbus-json3", **options)
    assert shared_front.expect("ready", channel) == {"command": "ready", "channel": channel}


@pytest.mark.parametrize(
    ("options", "problem", "told"),
    [
        ({"bus": "session", "name": "a.b"}, "not-found", "the session bus"),
        ({"bus": "user"}, "not-found", "the session bus"),
        ({"bus": "none", "address": "unix:path=/no/bus"}, "not-found", "/no/bus"),
        ({"bus": "system", "address": "unix:path=/no/bus"}, "protocol-error", '"address" of dbus-json3'),
        ({"bus": "internal", "name": "a.b"}, "protocol-error", '"name" of dbus-json3'),
        ({"bus": "omni"}, "protocol-error", '"bus" of dbus-json3'),
        ({"bus": ["internal"]}, "protocol-error", "found a list"),
    ],
    ids=str,
)
def test_what_is_not_served_closes_with_the_reason(
    shared_front: FrontEnd, channel: str, options: dict[str, Any], problem: str, told: str
) -> None:
    shared_front.open(channel, "dbus-json3", **options)
    assert told in shared_front.expect("close", channel, problem=problem)["message"]
    assert shared_front.commands(channel) == ["close"]


def test_a_call_is_answered_under_its_id(client: BusClient) -> None:
    for ident in ("1", "", 7, 0, False):
        client.say({"call": PING, "id": ident})
        assert client.next() == {"reply": [[]], "id": ident}


def test_without_an_id_there_is_no_answer(client: BusClient) -> None:
    client.say({"call": PING})
    client.say({"call": PING, "id": None})
    client.say({"call": ["/nowhere", PEER, "Ping", []]})
    client.say({"watch": {"path": "/nowhere"}})
    client.say({"unwatch": {"path": "/user"}, "id": "1"})
    client.say({"remove-match": {"path": "/user"}, "id": "2"})
    client.say({"meta": {}, "id": "3"})
    assert client.waiting() == []


def test_type_and_flags_are_answered_where_they_are_given(client: BusClient) -> None:
    call = {"call": ["/user", PROPERTIES, "Get", ["cockpit.User", "Id"]], "type": "ss"}
    assert client.ask(call)["type"] == "v"
    assert client.ask({**call, "flags": ""})["flags"] in ("<", ">")
    assert client.ask({**call, "type": "sss"})["error"][0] == ERROR + "InvalidArgs"
    assert client.ask({"call": PING, "type": ""})["type"] == ""


USER = ("/user", "cockpit.User")


@pytest.mark.parametrize(
    ("call", "name", "told"),
    [
        (("/nowhere", PEER, "Ping"), "UnknownObject", "/nowhere"),
        (("user", PEER, "Ping"), "UnknownObject", "user"),
        (("", PEER, "Ping"), "UnknownObject", ""),
        (("/user/x", PEER, "Ping"), "UnknownObject", "/user/x"),
        (("/user", "cockpit.Nothing", "Ping"), "UnknownInterface", "cockpit.Nothing"),
        (("/", "cockpit.User", "Ping"), "UnknownInterface", "cockpit.User"),
        ((*USER, "Nothing"), "UnknownMethod", "Nothing"),
        (("/user", PEER, "Ping", 1), "InvalidArgs", "found 1 arguments, expected 0"),
        (("/config", "cockpit.Config", "GetString", "a"), "InvalidArgs", "expected 2: section (s), key (s)"),
        (
            ("/config", "cockpit.Config", "GetString", "a", 4),
            "InvalidArgs",
            "argument key: found number 4, expected a string (s)",
        ),
        (
            ("/config", "cockpit.Config", "GetUInt", "a", "b", 1, 2, -1),
            "InvalidArgs",
            "argument min: found number -1, expected a whole number from 0 to 4294967295 (u)",
        ),
        (("/user", PROPERTIES, "Get", "cockpit.User", "Nothing"), "UnknownProperty", "Nothing"),
        (("/user", PROPERTIES, "Get", "cockpit.Nothing", "Name"), "UnknownInterface", "cockpit.Nothing"),
        (("/user", PROPERTIES, "GetAll", "cockpit.Nothing"), "UnknownInterface", "cockpit.Nothing"),
        (("/user", PROPERTIES, "Set", "cockpit.User", "Name", {"t": "s", "v": "x"}), "PropertyReadOnly", "Name"),
        (("/user", PROPERTIES, "Set", "cockpit.User", "Nothing", {"t": "s", "v": "x"}), "UnknownProperty", "Nothing"),
        (("/user", PROPERTIES, "Set", "cockpit.User", "Name", "x"), "InvalidArgs", "argument value: found string"),
    ],
    ids=lambda value: None if isinstance(value, str) else "-".join(map(str, value)),
)
def test_a_call_that_cannot_be_done_fails_with_a_standard_error(
    client: BusClient, call: tuple[str, ...], name: str, told: str
) -> None:
    found, text = client.fail(*call)
    assert found == ERROR + name
    assert told in text
    assert client.call("/user", PEER, "Ping") == []


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"blub",
        b"\xff\xfe",
        b"[]",
        b'"call"',
        b"{}",
        b"{" * 100_000,
        b'{"call": 3, "id": "1"}',
        b'{"call": ["/user"], "id": "1"}',
        b'{"call": ["/user", null, "Ping", []], "id": "1"}',
        b'{"call": ["/user", "a.b", "Ping", {}], "id": "1"}',
        b'{"call": ["/user", "a.b", "Ping", [], 1], "id": "1"}',
        b'{"call": ["/user", "a.b", "Ping", []], "id": "1", "type": 3}',
        b'{"call": ["/user", "a.b", "Ping", []], "watch": {"path": "/user"}}',
        b'{"watch": 3}',
        b'{"watch": {"path": 3}}',
        b'{"watch": {"path": "/user", "member": "x"}}',
        b'{"unwatch": []}',
        b'{"add-match": null}',
        b'{"add-match": {"path": ["/user"]}}',
        b'{"add-match": {"sender": "a.b"}}',
        b'{"remove-match": "x"}',
        b'{"meta": 3}',
        b'{"publish": ["/a", "a.b"], "id": "1"}',
        b'{"reply": [[]], "id": "1"}',
        b'{"signal": ["/a", "a.b", "C", []]}',
        b'{"id": "1"}',
    ],
    ids=lambda message: repr(message[:60]),
)
def test_a_message_that_is_none_closes_the_channel(client: BusClient, message: bytes) -> None:
    front, channel = client.front, client.channel
    other = BusClient(front, f"beside {channel}")
    front.send(channel, message)
    client.say({"call": PING, "id": "after"})
    close = front.expect("close", channel, problem="protocol-error")
    assert close["message"].startswith("dbus-json3: ")
    assert "Traceback" not in close["message"]
    assert other.call("/user", PEER, "Ping") == []
    assert front.commands(channel) == ["ready", "close"]


def test_a_message_may_be_so_long_and_no_longer(client: BusClient) -> None:
    front, channel = client.front, client.channel
    longest = 4 << 20
    begin, end = b'{"remove-match": {"path": "', b'"}}'
    front.send(channel, begin + b"x" * (longest - len(begin) - len(end)) + end)
    assert client.call("/user", PEER, "Ping") == []
    front.send(channel, begin + b"x" * (longest - len(begin) - len(end) + 1) + end)
    assert str(longest) in front.expect("close", channel, problem="too-large")["message"]


def test_a_channel_closes_and_opens_again(client: BusClient) -> None:
    client.say({"watch": {"path": "/user"}, "id": "1"})
    client.settle()
    client.front.close(client.channel)
    client.front.expect("close", client.channel)
    again = BusClient(client.front, client.channel)
    again.say({"watch": {"path": "/user"}, "id": "1"})
    assert [list(again.next()) for _ in range(3)][-1] == ["reply", "id"]


def test_frames_that_come_in_pieces_and_together(client: BusClient) -> None:
    front = client.front
    payload = client.channel.encode() + b'\n{"call": ["/user", "org.freedesktop.DBus.Peer", "Ping", []], "id": "1"}'
    frame = b"%d\n%b" % (len(payload), payload)
    for byte in frame:
        front.write(bytes([byte]))
    front.write(frame * 3)
    assert [client.next() for _ in range(4)] == [{"reply": [[]], "id": "1"}] * 4


def test_controls_that_mean_nothing_here_change_nothing(client: BusClient) -> None:
    for command in ("options", "no-such-command"):
        client.front.control(command, channel=client.channel)
    assert client.call("/user", PEER, "Ping") == []


def test_after_done_what_was_asked_is_answered_and_no_more_may_come(client: BusClient) -> None:
    client.say({"call": PING, "id": "1"})
    client.front.control("done", channel=client.channel)
    assert client.next() == {"reply": [[]], "id": "1"}
    client.say({"call": PING, "id": "2"})
    client.front.expect("close", client.channel, problem="protocol-error")


def test_the_machine_id(client: BusClient) -> None:
    path = Path("/etc/machine-id")  # a container may have none
    if path.exists():
        assert client.call("/", PEER, "GetMachineId") == [path.read_text().strip()]
    else:
        name, text = client.fail("/", PEER, "GetMachineId")
        assert (name, str(path) in text) == ("org.freedesktop.DBus.Error.Failed", True)


def test_matches_watches_and_descriptions_are_limited(start: Start) -> None:
    bridge = start()
    front = bridge.front_end
    limit = 1_024
    client = BusClient(front)
    for number in range(limit):
        client.say({"watch": {"path_namespace": f"/nowhere{number}"}})
    client.say({"watch": {"path_namespace": "/nowhere0"}})
    assert client.ask({"watch": {"path_namespace": "/one/more"}})["error"][0] == ERROR + "LimitsExceeded"
    assert client.ask({"watch": {"path_namespace": "/nowhere1"}}) == {"reply": []}
    for number in range(limit):
        client.say({"add-match": {"member": f"M{number}"}})
    client.say({"add-match": {"member": "M0"}})
    assert client.call("/user", PEER, "Ping") == []
    client.say({"add-match": {"member": "OneMore"}})
    front.expect("close", "bus", problem="internal-error")
    other = BusClient(front, "other")
    other.say({"meta": {f"a.b{number}": {} for number in range(limit)}})
    assert other.call("/user", PEER, "Ping") == []
    other.say({"meta": {"one.more": {}}})
    front.expect("close", "other", problem="internal-error")
    for name in ("bus_watches", "bus_described"):
        assert bridge.log.wait(f"limit name={name} value={limit}")
