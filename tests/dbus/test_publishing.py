"""Objects that pages publish (docs/dbus.md, "Publishing")."""

from typing import Any

import pytest
from dbus_fast import Message, MessageFlag, MessageType, Variant

from spanbridge.testing.plugin import Start

from ..bus.client import ERROR, BusClient
from .conftest import Open, Serve, connect, sync
from .service import INTROSPECTABLE, PROPERTIES, PrivateBus, Service, Tree

COOK = "com.example.Cook"
META = {
    COOK: {
        "methods": {"Serve": {"in": ["s", "u"], "out": ["b"]}, "Rest": {}},
        "properties": {"Busy": {"flags": "rw", "type": "b"}},
        "signals": {"Served": {"in": ["s"]}},
    }
}


@pytest.fixture
def client(open_bus: Open) -> BusClient:
    client = open_bus(None)
    client.say({"meta": META})
    assert client.ask({"publish": ["/cook", COOK]}) == {"reply": []}
    return client


@pytest.fixture
def guest(shared_bus: PrivateBus, serve: Serve) -> Service:
    return serve(shared_bus, Tree({}), None)


def call(client: BusClient, member: str, signature: str = "", *body: Any, **more: Any) -> Message:
    given = {"path": "/cook", "interface": COOK, **more}
    return Message(client.ready["unique-name"], member=member, signature=signature, body=list(body), **given)


def fail(client: BusClient, guest: Service, *arguments: Any, **more: Any) -> str:
    answer = guest.call(call(client, *arguments, **more))
    assert answer.message_type == MessageType.ERROR, answer
    return str(answer.error_name).removeprefix(ERROR)


def test_a_call_and_its_answer(client: BusClient, guest: Service) -> None:
    for answer, body in (({"reply": [[True]]}, [True]), ({"reply": [["x"]], "type": "s"}, ["x"])):
        later = guest.later(call(client, "Serve", "su", "tea", 5))
        told = client.next()
        assert told["call"] == ["/cook", COOK, "Serve", ["tea", 5]]
        assert told["name"] == guest.unique_name
        client.say({**answer, "id": told["id"]})
        assert later.result(10).body == body


def test_an_error(client: BusClient, guest: Service) -> None:
    for values, body in ((["no tea"], ["no tea"]), ([], []), (None, [])):
        later = guest.later(call(client, "Rest"))
        client.say({"error": ["com.example.Error", values], "id": client.next()["id"]})
        answer = later.result(10)
        assert (answer.error_name, answer.body) == ("com.example.Error", body)


def test_properties_are_calls(client: BusClient, guest: Service) -> None:
    later = guest.later(call(client, "Get", "ss", COOK, "Busy", interface=PROPERTIES))
    told = client.next()
    assert told["call"] == ["/cook", PROPERTIES, "Get", [COOK, "Busy"]]
    client.say({"reply": [[{"t": "b", "v": True}]], "id": told["id"]})
    assert later.result(10).body == [Variant("b", True)]
    later = guest.later(call(client, "Set", "ssv", COOK, "Busy", Variant("b", False), interface=PROPERTIES))
    told = client.next()
    assert told["call"][3] == [COOK, "Busy", {"t": "b", "v": False}]
    client.say({"reply": [[]], "id": told["id"]})
    assert later.result(10).body == []
    later = guest.later(call(client, "GetAll", "s", COOK, interface=PROPERTIES))
    client.say({"reply": [[{"Busy": {"t": "b", "v": True}}]], "id": client.next()["id"]})
    assert later.result(10).body == [{"Busy": Variant("b", True)}]


def test_what_the_bridge_answers(client: BusClient, guest: Service) -> None:
    for interface in ("org.freedesktop.DBus.Peer", None):
        assert guest.call(call(client, "Ping", interface=interface)).body == []
    for introspectable in (None, INTROSPECTABLE):
        (xml,) = guest.call(call(client, "Introspect", interface=introspectable)).body
    for part in (COOK, 'method name="Serve"', 'type="u" direction="in"', 'access="readwrite"', 'signal name="Served"'):
        assert part in xml
    (xml,) = guest.call(call(client, "Introspect", interface=INTROSPECTABLE, path="/")).body
    assert '<node name="cook"/>' in xml
    assert fail(client, guest, "Introspect", interface=INTROSPECTABLE, path="/other") == "UnknownObject"
    assert fail(client, guest, "Serve", "su", "tea", 5, path="/other") == "UnknownObject"
    assert fail(client, guest, "Serve", "su", "tea", 5, interface="com.example.Other") == "UnknownInterface"
    assert fail(client, guest, "Get", "ss", "com.example.Other", "Busy", interface=PROPERTIES) == "UnknownInterface"
    assert fail(client, guest, "Other") == "UnknownMethod"
    assert fail(client, guest, "Other", interface=None) == "UnknownMethod"
    assert fail(client, guest, "Other", interface=PROPERTIES) == "UnknownMethod"
    assert fail(client, guest, "Serve", "s", "tea") == "InvalidArgs"
    assert fail(client, guest, "Get", "s", COOK, interface=PROPERTIES) == "InvalidArgs"
    assert sync(client) == []


def test_without_an_interface_the_method_is_found(client: BusClient, guest: Service) -> None:
    later = guest.later(call(client, "Rest", interface=None))
    told = client.next()
    assert told["call"] == ["/cook", COOK, "Rest", []]
    client.say({"reply": [[]], "id": told["id"]})
    assert later.result(10).body == []


def test_answers_of_wrong_types_are_told_to_the_caller(client: BusClient, guest: Service) -> None:
    answers: list[dict[str, Any]] = [{"reply": [["no boolean"]]}, {"reply": [[]]}, {"error": ["a.b", [5]]}]
    for answer in answers:
        later = guest.later(call(client, "Serve", "su", "tea", 5))
        client.say({**answer, "id": client.next()["id"]})
        assert str(later.result(10).error_name) == ERROR + "InvalidArgs"
    client.say({"reply": [[True]], "id": "unknown"})
    client.say({"error": ["a.b", []]})
    assert sync(client) == []


@pytest.mark.parametrize(
    "message",
    [
        {"publish": ["/cook", "com.example.NotDescribed"]},
        {"publish": ["cook", COOK]},
        {"publish": ["/cook"]},
        {"unpublish": ["/cook", "x"]},
        {"reply": [], "id": "call-1"},
        {"reply": "x", "id": "call-1"},
        {"reply": [[True]], "type": "(", "id": "call-1"},
        {"error": ["x", []], "id": "call-1"},
        {"error": ["a.b"], "id": "call-1"},
    ],
    ids=str,
)
def test_what_closes_the_channel(client: BusClient, message: Any) -> None:
    client.say(message)
    client.front.expect("close", client.channel, problem="protocol-error")


def test_a_path_is_one_channel_s(client: BusClient, open_bus: Open, guest: Service) -> None:
    other = open_bus(None)
    other.say({"meta": {**META, "com.example.Other": {}}})
    assert other.ask({"publish": ["/cook", "com.example.Other"]})["error"][0] == ERROR + "ObjectPathInUse"
    other.say({"unpublish": ["/cook", COOK]})
    assert client.ask({"publish": ["/cook", COOK]}) == {"reply": []}  # again
    client.say({"unpublish": ["/never", COOK]})
    assert client.ask({"unpublish": ["/cook", COOK]}) == {"reply": []}
    assert other.ask({"publish": ["/cook", "com.example.Other"]}) == {"reply": []}
    assert fail(client, guest, "Serve", "su", "tea", 5) == "UnknownInterface"


def test_open_calls_end_with_the_object(client: BusClient, guest: Service) -> None:
    one = guest.later(call(client, "Rest"))
    client.next()
    client.say({"unpublish": ["/cook", COOK]})
    assert one.result(10).error_name == ERROR + "Disconnected"
    client.ask({"publish": ["/cook", COOK]})
    two = guest.later(call(client, "Rest"))
    client.next()
    client.front.close(client.channel)
    assert two.result(10).error_name == ERROR + "Disconnected"
    assert fail(client, guest, "Rest") == "UnknownObject"


def test_callers_that_want_no_answer_and_too_many(client: BusClient, guest: Service) -> None:
    guest.send(call(client, "Rest", flags=MessageFlag.NO_REPLY_EXPECTED))
    client.say({"reply": [[]], "id": client.next()["id"]})
    for _ in range(1_024):
        guest.later(call(client, "Rest"))
    assert fail(client, guest, "Rest") == "LimitsExceeded"


def test_where_nothing_is_published(open_bus: Open, guest: Service) -> None:
    client = open_bus(None, group="bare")
    assert fail(client, guest, "Rest") == "UnknownMethod"


# Calls and answers that are large


def test_a_large_call(client: BusClient, guest: Service) -> None:
    """One that is read and told a piece at a time, as are those behind it that are not."""
    text = "tea \u00e9 " * 20_000
    large, small = (guest.later(call(client, "Serve", "su", each, 5)) for each in (text, "tea"))
    told = [client.next() for _ in range(2)]
    assert [each["call"][3] for each in told] == [[text, 5], ["tea", 5]]
    for each in told:
        client.say({"reply": [[True]], "id": each["id"]})
    assert [each.result(10).body for each in (large, small)] == [[True], [True]]
    later = guest.later(call(client, "Set", "ssv", COOK, "Busy", Variant("s", text), interface=PROPERTIES))
    told = [client.next()]
    assert told[0]["call"] == ["/cook", PROPERTIES, "Set", [COOK, "Busy", {"t": "s", "v": text}]]
    client.say({"reply": [[]], "id": told[0]["id"]})
    assert later.result(10).body == []


@pytest.mark.parametrize("length", [1_000, 60_000, 300_000])
def test_a_call_that_is_longer_than_a_frame(bus: PrivateBus, serve: Serve, start: Start, length: int) -> None:
    """It costs that call alone."""
    bridge = start(environ=bus.environ, limits={"frame_bytes": 50_000})
    client, guest = connect(bridge.front_end, None), serve(bus, Tree({}), None)
    client.say({"meta": META})
    client.ask({"publish": ["/cook", COOK]})
    text = "\x01" * length  # in JSON six times as long
    answers = [guest.later(call(client, "Serve", "su", each, 5)) for each in (text, "tea")]
    told = client.next()
    if length < 50_000 / 6:
        assert told["call"][3] == [text, 5]
        client.say({"reply": [[True]], "id": told["id"]})
        assert answers[0].result(10).body == [True]
        return
    assert told["call"][3] == ["tea", 5]
    client.say({"reply": [[True]], "id": told["id"]})
    assert answers[1].result(10).body == [True]
    refused = answers[0].result(10)
    assert refused.error_name == ERROR + "LimitsExceeded"
    assert refused.body == [f"{COOK}.Serve: more than {50_000 - len(client.channel) - 1} bytes of JSON (frame_bytes)"]
    assert bridge.log.wait("limit name=frame_bytes value=50000")
    guest.send(call(client, "Serve", "su", text, 5, flags=MessageFlag.NO_REPLY_EXPECTED))
    assert sync(client) == []


def test_an_answer_that_is_too_long(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """It costs the call that it answers, and no other; what answers none closes the channel."""
    bridge = start(environ=bus.environ, limits={"bus_message_bytes": 1_000})
    client, guest = connect(bridge.front_end, None), serve(bus, Tree({}), None)
    client.say({"meta": META})
    client.ask({"publish": ["/cook", COOK]})
    answers = [guest.later(call(client, "Rest")) for _ in range(3)]
    idents = [client.next()["id"] for _ in answers]
    client.say({"reply": [["x" * 1_000]], "id": idents[0]})
    client.say({"error": ["a.b", ["x" * 1_000]], "id": idents[1]})
    client.say({"reply": [[]], "id": idents[2]})
    for answer in answers[:2]:
        assert answer.result(10).error_name == ERROR + "LimitsExceeded"
        (words,) = answer.result(10).body
        assert words.endswith("bytes, expected at most 1000 (bus_message_bytes)")
    assert answers[2].result(10).body == []
    assert len(bridge.log.matches("limit name=bus_message_bytes")) == 2
    client.say({"reply": [["x" * 1_000]], "id": "unknown"})
    told = bridge.front_end.expect("close", client.channel, problem="too-large")["message"]
    assert told.endswith("expected at most 1000 (bus_message_bytes)")


@pytest.mark.parametrize("more", [{}, {"error": ["a.b", []]}, {"id": 5}, {"id": None}], ids=str)
def test_what_is_too_long_and_answers_nothing(bus: PrivateBus, serve: Serve, start: Start, more: Any) -> None:
    bridge = start(environ=bus.environ, limits={"bus_message_bytes": 1_000})
    client, guest = connect(bridge.front_end, None), serve(bus, Tree({}), None)
    client.say({"meta": META})
    client.ask({"publish": ["/cook", COOK]})
    answer = guest.later(call(client, "Rest"))
    told = {"reply" if more else "call": [["x" * 1_000]], "id": client.next()["id"], **more}
    client.say(told)
    bridge.front_end.expect("close", client.channel, problem="too-large")
    assert answer.result(10).error_name == ERROR + "Disconnected"
