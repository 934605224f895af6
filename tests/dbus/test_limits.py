"""Limits that are set: what is held back, refused or given up then."""

from pathlib import Path

from dbus_fast import Message

from spanbridge.testing.plugin import Start

from ..bus.client import ERROR
from .conftest import NAME, Serve, connect, sync, until
from .service import PrivateBus, Service, Tree
from .test_ends import Peer

COOK = "com.example.Cook"


def test_calls_that_are_out_at_once(bus: PrivateBus, serve: Serve, start: Start) -> None:
    def answer(service: Service, message: Message) -> Message | None:
        return None if message.member == "Late" else Message.new_method_return(message)

    service = serve(bus, answer)
    client = connect(start(environ=bus.environ, limits={"dbus_sent_calls": 2, "dbus_sent_seconds": 1_000}).front_end)
    client.say({"call": ["/", "a.b", "Late", []], "type": "", "id": "one"})
    client.say({"call": ["/", "a.b", "Late", []], "type": "", "id": "two"})
    client.say({"call": ["/", "a.b", "Quick", []], "type": "", "id": "three"})
    assert sync(client) == []
    service.round_trip()
    assert [each.member for each in service.calls] == ["Late", "Late"]
    service.send(Message.new_method_return(service.calls[0]))
    assert [each["id"] for each in until(client, "three")] == ["one", "three"]


def test_calls_that_wait_go_out_where_none_is_answered(bus: PrivateBus, serve: Serve, start: Start) -> None:
    def answer(service: Service, message: Message) -> Message | None:
        return None if message.member == "Late" else Message.new_method_return(message)

    serve(bus, answer)
    client = connect(start(environ=bus.environ, limits={"dbus_sent_calls": 1, "dbus_sent_seconds": 0.01}).front_end)
    for _ in range(3):
        client.say({"call": ["/", "a.b", "Late", []], "type": ""})
    assert client.ask({"call": ["/", "a.b", "Quick", []], "type": ""}) == {"reply": [None], "type": ""}


def test_what_one_channel_may_have(bus: PrivateBus, serve: Serve, start: Start) -> None:
    guest = serve(bus, Tree({"/a": {"a.b": {}}, "/a/b": {"a.b": {}}}))
    limits = {"dbus_watches": 2, "dbus_objects": 2, "dbus_published_calls": 1, "bus_message_bytes": 1_000}
    bridge = start(environ=bus.environ, limits=limits)
    client = connect(bridge.front_end)
    assert client.ask({"watch": {}})["error"][0] == ERROR + "LimitsExceeded"
    client.say({"watch": {"path": "/a"}})
    client.say({"watch": {"path": "/b"}})
    client.say({"watch": {"path": "/c"}, "id": "third"})
    assert until(client, "third")[-1]["error"][0] == ERROR + "LimitsExceeded"
    cook = connect(bridge.front_end, None)
    cook.say({"meta": {COOK: {"methods": {"Rest": {}}}}})
    assert cook.ask({"publish": ["/cook", COOK]}) == {"reply": []}
    first, second = (Message(cook.ready["unique-name"], "/cook", COOK, "Rest") for _ in range(2))
    guest.later(first)
    assert "call" in cook.next()
    refused = guest.call(second)
    assert refused.error_name == ERROR + "LimitsExceeded"
    for member in ("One", "Two", "Three"):
        cook.say({"add-match": {"member": member, "name": NAME}})
    bridge.front_end.expect("close", cook.channel, problem="internal-error")
    client.say({"watch": {"path": "/" + "x" * 1_000}})
    told = bridge.front_end.expect("close", client.channel, problem="too-large")["message"]
    assert told.endswith("expected at most 1000 (bus_message_bytes)")
    for name in ("dbus_objects", "dbus_watches", "dbus_published_calls"):
        assert bridge.log.wait(f"limit name={name}")


def test_a_bus_that_does_not_answer_the_bridge(start: Start, tmp_path: Path) -> None:
    bus = Peer(tmp_path / "bus")
    environ = {"DBUS_SESSION_BUS_ADDRESS": bus.address}
    front = start(environ=environ, limits={"dbus_answer_seconds": 0.05}).front_end
    front.open("bus", "dbus-json3", bus="session")
    bus.welcome()
    assert bus.next().member == "Hello"
    assert "does not answer" in front.expect("close", "bus", problem="internal-error")["message"]


def test_a_connection_that_is_not_kept(bus: PrivateBus, start: Start) -> None:
    front = start(environ=bus.environ, limits={"dbus_linger_seconds": 0.01}).front_end
    client = connect(front, None)
    observer = connect(front, client.ready["unique-name"], group="observers")
    front.close(client.channel)
    assert observer.next() == {"owner": None}
