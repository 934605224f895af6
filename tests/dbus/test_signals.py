"""Signals of services on a real bus (docs/dbus.md, "Signals")."""

from typing import Any

import pytest
from dbus_fast import Message, Variant

from spanbridge.testing.plugin import Start

from ..bus.client import BusClient
from .conftest import NAME, Open, Serve, connect, sync
from .service import PROPERTIES, PrivateBus, Service, Tree

OTHER = "com.example.Other"


@pytest.fixture
def service(shared_bus: PrivateBus, serve: Serve) -> Service:
    return serve(shared_bus, Tree({}))


@pytest.fixture
def client(service: Service, open_bus: Open) -> BusClient:
    return open_bus()


def signals(client: BusClient, service: Service) -> list[Any]:
    """All that were told so far."""
    service.round_trip()
    return [message["signal"] for message in sync(client)]


MATCHES = [
    ({}, True),
    ({"name": NAME}, True),
    ({"path": "/a/b"}, True),
    ({"path": "/a"}, False),
    ({"path_namespace": "/"}, True),
    ({"path_namespace": "/a"}, True),
    ({"path_namespace": "/a/b"}, True),
    ({"path_namespace": "/a/b/c"}, False),
    ({"path_namespace": "/ab"}, False),
    ({"interface": "com.example.I"}, True),
    ({"interface": "com.example.J"}, False),
    ({"member": "Said"}, True),
    ({"member": "Sai"}, False),
    ({"arg0": "it's"}, True),
    ({"arg0": "its"}, False),
    ({"path": "/a/b", "interface": "com.example.I", "member": "Said", "arg0": "it's", "name": NAME}, True),
    ({"path": "/a/b", "interface": "com.example.I", "member": "Said", "arg0": "no", "name": NAME}, False),
]


@pytest.mark.parametrize(("match", "fits"), MATCHES, ids=str)
def test_what_a_match_takes(client: BusClient, service: Service, match: dict[str, str], fits: bool) -> None:
    client.say({"add-match": match})
    sync(client)
    service.emit("/a/b", "com.example.I", "Said", "su", "it's", 5)
    assert (["/a/b", "com.example.I", "Said", ["it's", 5]] in signals(client, service)) == fits
    client.say({"remove-match": match})
    sync(client)
    service.emit("/a/b", "com.example.I", "Said", "su", "it's", 5)
    assert signals(client, service) == []


def test_a_first_argument_that_is_empty(client: BusClient, service: Service) -> None:
    client.say({"add-match": {"arg0": ""}})
    sync(client)
    service.emit("/", "com.example.I", "Said", "s", "x")
    service.emit("/", "com.example.I", "Said", "s", "")
    assert signals(client, service) == [["/", "com.example.I", "Said", [""]]]


def test_without_arguments(client: BusClient, service: Service) -> None:
    client.say({"add-match": {"member": "Bare"}})
    sync(client)
    service.emit("/", "com.example.I", "Bare")
    assert signals(client, service) == [["/", "com.example.I", "Bare", []]]


def test_once_however_many_matches_and_counted(client: BusClient, service: Service) -> None:
    for match in ({"path": "/a"}, {"path": "/a"}, {"member": "Said"}, {"path_namespace": "/"}):
        client.say({"add-match": match})
    client.say({"remove-match": {"member": "Never"}})
    for match in ({"path": "/a"}, {"member": "Said"}, {"path_namespace": "/"}):
        client.say({"remove-match": match})
    sync(client)
    service.emit("/a", "com.example.I", "Said")
    assert len(signals(client, service)) == 1
    client.say({"remove-match": {"path": "/a"}})
    sync(client)
    service.emit("/a", "com.example.I", "Said")
    assert signals(client, service) == []


def test_only_of_whoever_has_the_name(
    client: BusClient, service: Service, shared_bus: PrivateBus, serve: Serve
) -> None:
    stranger = serve(shared_bus, Tree({}), OTHER)
    client.say({"add-match": {"member": "Said"}})
    client.say({"add-match": {"name": OTHER, "path": "/o"}})
    sync(client)
    stranger.emit("/a", "com.example.I", "Said")
    stranger.emit("/o", "com.example.I", "Other")
    stranger.own(NAME)
    stranger.emit("/a", "com.example.I", "Said", "s", "with the name")
    service.emit("/a", "com.example.I", "Said", "s", "without it")
    for each in (stranger, service):
        each.round_trip()
    assert sync(client) == [
        {"signal": ["/o", "com.example.I", "Other", []], "name": OTHER},
        {"owner": stranger.unique_name},
        {"signal": ["/a", "com.example.I", "Said", ["with the name"]]},
    ]


def test_of_a_name_that_comes_later(open_bus: Open, shared_bus: PrivateBus, serve: Serve) -> None:
    client = open_bus(None)
    client.say({"add-match": {"name": "com.example.Late"}})
    sync(client)
    late = serve(shared_bus, Tree({}), "com.example.Late")
    late.emit("/a", "com.example.I", "Said")
    late.disown("com.example.Late")
    late.emit("/a", "com.example.I", "Said")
    late.round_trip()
    assert sync(client) == [{"signal": ["/a", "com.example.I", "Said", []], "name": "com.example.Late"}]


def test_of_the_bus_itself(open_bus: Open, shared_bus: PrivateBus, serve: Serve) -> None:
    client = open_bus(None)
    client.say({"add-match": {"name": "org.freedesktop.DBus", "member": "NameOwnerChanged", "arg0": "com.example.New"}})
    sync(client)
    new = serve(shared_bus, Tree({}), "com.example.New")
    told = client.next()
    assert told["signal"][2:] == ["NameOwnerChanged", ["com.example.New", "", new.unique_name]]
    assert told["name"] == "org.freedesktop.DBus"


def test_in_the_order_in_which_they_were_sent(client: BusClient, service: Service) -> None:
    client.say({"add-match": {"member": "Count"}})
    sync(client)
    service.send(*[Message.new_signal("/", "a.b", "Count", "u", [number]) for number in range(500)])
    assert [each[3][0] for each in signals(client, service)] == list(range(500))


@pytest.mark.parametrize(
    "match",
    [
        {"path": "a"},
        {"path": "/a", "path_namespace": "/a"},
        {"path_namespace": ""},
        {"interface": "a"},
        {"member": "a.b"},
        {"name": "a"},
        {"arg0": 5},
        {"arg0": "\0"},
        {"arg1": "a"},
        "path",
        None,
    ],
    ids=str,
)
@pytest.mark.parametrize("kind", ["add-match", "remove-match"])
def test_what_is_no_match(client: BusClient, kind: str, match: Any) -> None:
    client.say({kind: match})
    client.front.expect("close", client.channel, problem="protocol-error")


def test_nobody_is_listened_to_without_a_name(open_bus: Open) -> None:
    client = open_bus(None)
    client.say({"add-match": {"member": "Said"}})
    client.front.expect("close", client.channel, problem="protocol-error")


def test_matches_cost_the_bus_one_rule_each(start: Start, tmp_path: Any, serve: Serve) -> None:
    limit = '<limit name="max_match_rules_per_connection">20</limit>'
    bus = PrivateBus(tmp_path / "bus", more=limit)
    try:
        service = serve(bus, Tree({}))
        bridge = start(environ=bus.environ)
        client, other = connect(bridge.front_end), connect(bridge.front_end)
        for _ in range(30):
            client.say({"add-match": {"path": "/same"}})
            other.say({"add-match": {"path": "/same"}})
        for number in range(100):
            other.say({"add-match": {"path": f"/p{number}"}})
            other.say({"remove-match": {"path": f"/p{number}"}})
        sync(client)
        service.emit("/same", "a.b", "C")
        assert client.take("signal") == other.take("signal") == ["/same", "a.b", "C", []]
        for number in range(30):
            other.say({"add-match": {"path": f"/p{number}"}})
        assert "refuses" in bridge.front_end.expect("close", other.channel, problem="internal-error")["message"]
        assert client.ask({"call": ["/", "org.freedesktop.DBus", "GetId", []], "name": "org.freedesktop.DBus"})
        service.emit("/same", "a.b", "C")
        assert client.take("signal") == ["/same", "a.b", "C", []]
        assert len(bridge.log.matches("match-refused")) == 1
    finally:
        service.stop()
        bus.stop()


# Sent


def test_a_signal_to_all_and_to_one(open_bus: Open, shared_bus: PrivateBus, serve: Serve) -> None:
    client = open_bus(None)
    listener, other = serve(shared_bus, Tree({}), None), serve(shared_bus, Tree({}), None)
    for each in (listener, other):
        each.listen(f"type='signal',sender='{client.ready['unique-name']}'")
    client.say({"signal": ["/a", "com.example.I", "Typed", ["x", 5]], "type": "sy"})
    client.say({"signal": ["/a", "com.example.I", "Bare", []], "type": ""})
    client.say({"meta": {"com.example.I": {"signals": {"Known": {"in": ["as"]}}}}})
    client.say({"signal": ["/a", "com.example.I", "Known", [["x"]]]})
    client.say({"signal": ["/a", "com.example.I", "One", []], "type": "", "destination": listener.unique_name})
    sync(client)
    for each in (listener, other):
        each.round_trip()
    assert [(each.member, each.body) for each in listener.signals] == [
        ("Typed", ["x", 5]),
        ("Bare", []),
        ("Known", [["x"]]),
        ("One", []),
    ]
    assert [each.member for each in other.signals] == ["Typed", "Bare", "Known"]


@pytest.mark.parametrize(
    "message",
    [
        {"signal": ["/a", "com.example.I", "Unknown", [1]]},
        {"signal": ["/a", "com.example.I", "Unknown", []]},
        {"signal": ["/a", "com.example.I", "Said", [1]], "type": "s"},
        {"signal": ["/a", "com.example.I", "Said", []], "type": "", "destination": "x"},
        {"signal": ["/a", "com.example.I", "Said", []], "type": "("},
        {"signal": ["/a", "com.example.I", "Sa.id", []], "type": ""},
        {"signal": ["a", "com.example.I", "Said", []], "type": ""},
        {"signal": ["/a", None, "Said", []], "type": ""},
        {"signal": []},
    ],
    ids=str,
)
def test_what_is_no_signal(open_bus: Open, message: Any) -> None:
    client = open_bus(None)
    client.say(message)
    client.front.expect("close", client.channel, problem="protocol-error")


def test_a_signal_comes_after_what_it_changes_was_told_and_before_the_reply(
    shared_bus: PrivateBus, serve: Serve, open_bus: Open
) -> None:
    tree = Tree({"/a": {"com.example.I": {"N": Variant("u", 0)}}})
    speaker = serve(shared_bus, tree, "com.example.Order")

    def poke() -> list[Any]:
        changed = {"N": Variant("u", len(speaker.calls))}
        speaker.emit("/a", PROPERTIES, "PropertiesChanged", "sa{sv}as", "com.example.I", changed, [])
        speaker.emit("/a", "com.example.I", "Said")
        return []

    tree.methods = {("com.example.I", "Poke"): ("", "", poke)}
    client = open_bus("com.example.Order")
    client.say({"watch": {"path": "/a"}})
    client.say({"add-match": {"interface": "com.example.I"}})
    for _ in range(3):
        client.say({"call": ["/a", "com.example.I", "Poke", []], "id": "1"})
    kinds = [next(iter(client.next())) for _ in range(11)]
    assert kinds == ["meta", "notify", *["notify", "signal", "reply"] * 3]
