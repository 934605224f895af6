"""Calls to services on a real bus (docs/dbus.md, "Calls")."""

import json
from pathlib import Path
from typing import Any

import dbus_fast
import msgspec
import pytest
from dbus_fast import Message, MessageFlag, MessageType
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.payloads.bus.signature import type_of
from spanbridge.payloads.bus.values import to_json
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start
from spanbridge.testing.processes import resident_bytes

from ..bus.client import ERROR, BusClient
from ..bus.test_values import SIGNATURES, values_of
from ..protocol.determined import examples
from .conftest import Open, Serve, connect
from .service import PrivateBus, Service, Tree, private_bus
from .test_marshal import for_dbus_fast

ECHO = ["/", "com.example.Echo"]


def error(*values: Any, signature: str = "s", name: str = "com.example.Error") -> Message:
    return Message(
        message_type=MessageType.ERROR, error_name=name, reply_serial=1, signature=signature, body=list(values)
    )


def tree() -> Tree:
    return Tree(
        {},
        methods={
            ("com.example.Echo", "Echo"): ("s", "s", lambda text: [text]),
            ("com.example.Echo", "Two"): ("s a{si}", "s", lambda text, numbers: [f"{text}{numbers}"]),
            ("com.example.Echo", "Nothing"): ("", "", list),
            ("com.example.Echo", "Silent"): ("", "", lambda: None),
            ("com.example.Echo", "Fail"): ("s", "", lambda name: error("why", 5, signature="su", name=name)),
            ("com.example.Echo", "FailBare"): ("", "", lambda: error(signature="")),
        },
    )


@pytest.fixture
def service(shared_bus: PrivateBus, serve: Serve) -> Service:
    return serve(shared_bus, tree())


@pytest.fixture
def client(service: Service, open_bus: Open) -> BusClient:
    return open_bus()


def call(member: str, *arguments: Any, **members: Any) -> dict[str, Any]:
    return {"call": [*ECHO, member, list(arguments)], **members}


def test_a_call_and_its_reply(client: BusClient) -> None:
    assert client.ask(call("Echo", "x")) == {"reply": [["x"]]}
    assert client.ask(call("Echo", "x", type="s")) == {"reply": [["x"]], "type": "s"}
    assert client.ask(call("Echo", "x", type="s", flags="")) == {"reply": [["x"]], "type": "s", "flags": "<"}
    assert client.ask(call("Two", "x", {"a": 1})) == {"reply": [["x{'a': 1}"]]}


def test_a_method_without_results_is_answered_with_null(client: BusClient) -> None:
    assert client.ask(call("Nothing")) == {"reply": [None]}
    assert client.ask({"call": [*ECHO, "Nothing", None]}) == {"reply": [None]}
    assert client.ask(call("Nothing", type="")) == {"reply": [None], "type": ""}


@pytest.mark.parametrize("ident", ["1", "", 7, 0, 0.5, False, [1], {"a": None}, "\ud800"], ids=repr)
def test_an_id_comes_back_as_it_is(client: BusClient, ident: Any) -> None:
    client.say(call("Echo", "x", id=ident))
    assert client.next() == {"reply": [["x"]], "id": ident}
    client.say(call("Echo", 5, id=ident))
    assert client.next()["id"] == ident


def test_errors_have_all_their_arguments(client: BusClient) -> None:
    assert client.ask(call("Fail", "com.example.Wrong")) == {"error": ["com.example.Wrong", ["why", 5]]}
    assert client.ask(call("FailBare")) == {"error": ["com.example.Error", []]}


def test_without_an_id_nothing_is_answered_and_no_answer_is_asked_for(client: BusClient, service: Service) -> None:
    for message in (call("Echo", "x"), call("Nope", "x"), call("Echo", 5), call("Fail", "a.b"), call("Silent")):
        client.say(message)
    assert client.ask(call("Echo", "y")) == {"reply": [["y"]]}
    assert client.waiting() == []
    asked = [each for each in service.calls if each.interface == ECHO[1]]
    assert [(each.member, bool(each.flags & MessageFlag.NO_REPLY_EXPECTED)) for each in asked] == [
        ("Echo", True),
        ("Fail", True),
        ("Silent", True),
        ("Echo", False),
    ]


@pytest.mark.parametrize(
    ("flags", "may_ask"),
    [({}, True), ({"flags": "i"}, True), ({"flags": "xiz"}, True), ({"flags": ""}, False)],
    ids=str,
)
def test_whether_the_service_may_ask_somebody(
    client: BusClient, service: Service, flags: dict[str, str], may_ask: bool
) -> None:
    client.ask(call("Echo", "x", **flags))
    assert bool(service.calls[-1].flags & MessageFlag.ALLOW_INTERACTIVE_AUTHORIZATION) == may_ask


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], "found 0 values, expected 2 (sa{si})"),
        (["x"], "found 1 values, expected 2 (sa{si})"),
        (["x", {}, 1], "found 3 values, expected 2 (sa{si})"),
        (["x", {"a": "b"}], '[1].a: found string "b", expected a whole number'),
        (["a\0b", {}], "[0]: found a string with a NUL"),
        (["\ud800", {}], "[0]: found a string with a lone surrogate"),
    ],
    ids=str,
)
def test_wrong_arguments_cost_the_call_alone(
    client: BusClient, service: Service, arguments: list[Any], told: str
) -> None:
    name, (text,) = client.ask({"call": [*ECHO, "Two", arguments], "type": "sa{si}"})["error"]
    assert name == ERROR + "InvalidArgs"
    assert told in text
    assert client.ask(call("Echo", "x")) == {"reply": [["x"]]}
    assert [each.member for each in service.calls if each.interface == ECHO[1]] == ["Echo"]


def test_a_method_that_nobody_describes(client: BusClient) -> None:
    assert client.ask(call("Nope", 1)) == {
        "error": [
            ERROR + "UnknownMethod",
            ["Introspection data for method com.example.Echo Nope not available"],
        ]
    }


def test_types_are_asked_for_once_and_calls_stay_in_order(client: BusClient, service: Service) -> None:
    for number in range(5):
        client.say(call("Echo", f"{number}", id=number))
    client.say(call("Echo", "typed", type="s", id="typed"))
    client.say(call("Nothing", id="bare"))
    assert [client.next()["id"] for _ in range(7)] == [0, 1, 2, 3, 4, "typed", "bare"]
    assert [each.member for each in service.calls] == ["Introspect", *["Echo"] * 6, "Nothing"]


def test_what_the_front_end_says_of_types_counts_more(client: BusClient, service: Service) -> None:
    client.say({"meta": {"com.example.Echo": {"methods": {"Echo": {"in": ["s"], "out": ["s"]}}}}})
    assert client.ask(call("Echo", "x")) == {"reply": [["x"]]}
    assert [each.member for each in service.calls] == ["Echo"]


def test_another_name_than_the_open_s(client: BusClient, open_bus: Open, service: Service) -> None:
    bare = open_bus(None)
    assert bare.ask(call("Echo", "x", name=service.unique_name)) == {"reply": [["x"]]}
    names = {"call": ["/org/freedesktop/DBus", "org.freedesktop.DBus", "GetNameOwner", ["com.example.Test"]]}
    assert client.ask({**names, "name": "org.freedesktop.DBus"}) == {"reply": [[service.unique_name]]}
    found = client.ask(call("Echo", "x", type="s", name="com.example.Nobody"))
    assert found["error"][0] == ERROR + "ServiceUnknown"


def test_a_timeout(client: BusClient, service: Service) -> None:
    found = client.ask(call("Silent", timeout=20))
    assert found["error"][0] == ERROR + "Timeout"
    while not service.calls:  # it may have heard of the call later than the bridge has given it up
        service.round_trip()
    service.send(Message.new_method_return(service.calls[-1]))
    assert client.ask(call("Echo", "x", timeout=1e300)) == {"reply": [["x"]]}
    assert client.waiting() == []


@pytest.mark.parametrize(
    "message",
    [
        {"call": "x"},
        {"call": ["/", "a.b", "C"]},
        {"call": ["/", None, "C", []]},
        {"call": ["nopath", "a.b", "C", []]},
        {"call": ["/", "a", "C", []]},
        {"call": ["/", "a.b", "C.D", []]},
        {"call": ["/", "a.b", "C", {}]},
        call("Echo", "x", name="nobody"),
        call("Echo", "x", name=5),
        call("Echo", "x", type="z"),
        call("Echo", "x", type=5),
        call("Echo", "x", flags=5),
        call("Echo", "x", timeout=0),
        call("Echo", "x", timeout="1"),
        call("Echo", "x", timeout=True),
        {"call": [*ECHO, "Echo", ["x"]], "watch": {}},
        {},
        {"other": 1},
        [],
        "text",
        5,
    ],
    ids=lambda message: json.dumps(message)[:60],
)
def test_what_is_no_call_closes_the_channel(client: BusClient, message: Any) -> None:
    client.say(message)
    assert client.front.expect("close", client.channel, problem="protocol-error")["message"]


def test_a_call_to_nobody(open_bus: Open) -> None:
    client = open_bus(None)
    client.say(call("Echo", "x", id="1"))
    client.front.expect("close", client.channel, problem="protocol-error")


@pytest.mark.parametrize("payload", [b"", b"{", b"\xff", b'{"call": NaN}', b"[" * 100_000])
def test_what_is_no_json_closes_the_channel(client: BusClient, payload: bytes) -> None:
    client.front.send(client.channel, payload)
    client.front.expect("close", client.channel, problem="protocol-error")


def test_values_of_any_type_both_ways(shared_bus: PrivateBus, serve: Serve, open_bus: Open, front: FrontEnd) -> None:
    """Through a real bus, to a service that is somebody else's code, and back."""
    got: list[Message] = []

    def handle(service: Service, message: Message) -> Message:
        got.append(message)
        return Message.new_method_return(message, message.signature, message.body)

    serve(shared_bus, handle, "com.example.Values")
    client = open_bus("com.example.Values")

    @examples(150)
    @given(st.data())
    def check(data: st.DataObject) -> None:
        kind = type_of(data.draw(SIGNATURES))
        value = data.draw(values_of(kind))
        told = to_json(kind, value)
        answer = client.ask({"call": ["/", "a.b", "C", [told]], "type": kind.text})
        assert answer == {"reply": [[told]], "type": kind.text}
        sent = got.pop()
        assert _alike(sent.body, [for_dbus_fast(kind, value)])

    check()


def _alike(one: Any, other: Any) -> bool:
    """Whether dbus-fast means the same by both: it has lists for tuples, and bytearrays for bytes."""
    if isinstance(one, dbus_fast.Variant) and isinstance(other, dbus_fast.Variant):
        return one.signature == other.signature and _alike(one.value, other.value)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_alike(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(_alike, one, other))
    return bool(one == other)


ENDS = {
    "y": (0, 255),
    "n": (-(2**15), 2**15 - 1),
    "q": (0, 2**16 - 1),
    "i": (-(2**31), 2**31 - 1),
    "u": (0, 2**32 - 1),
    "x": (-(2**63), 2**63 - 1),
    "t": (0, 2**64 - 1),
    "d": (-1.7976931348623157e308, 5e-324),
    "b": (False, True),
    "s": ("", '\N{GRINNING FACE}\t"\\'),
    "o": ("/", "/a_B/9"),
    "g": ("", "a{s(iv)}"),
    "ay": ("", "AP8="),
}


@pytest.mark.parametrize("signature", ENDS)
def test_every_type_at_its_ends(
    client: BusClient, service: Service, open_bus: Open, serve: Serve, shared_bus: PrivateBus, signature: str
) -> None:
    serve(
        shared_bus,
        lambda service, message: Message.new_method_return(message, message.signature, message.body),
        "com.example.Ends",
    )
    ends = open_bus("com.example.Ends")
    for value in ENDS[signature]:
        assert ends.ask({"call": ["/", "a.b", "C", [value]], "type": signature})["reply"] == [[value]]
        key = {
            f"{value}".lower()
            if signature == "b"
            else value
            if signature in "sog"
            else msgspec.json.encode(value).decode(): 1
        }
        if len(signature) == 1:
            assert ends.ask({"call": ["/", "a.b", "C", [key]], "type": f"a{{{signature}i}}"})["reply"] == [[key]]


def test_so_many_calls_and_no_more(client: BusClient, service: Service) -> None:
    for number in range(4_096):
        client.say(call("Silent", type="", id=number))
    assert client.ask(call("Silent"))["error"][0] == ERROR + "LimitsExceeded"
    client.say(call("Echo", "x"))
    assert client.waiting() == []


def test_calls_beside_many_that_nobody_answers(tmp_path: Path, serve: Serve, start: Start) -> None:
    """The first one of them waits for a while, and no other: so many would take minutes."""

    def answer(service: Service, message: Message) -> Message | None:
        return None if message.member == "Silent" else Message.new_method_return(message)

    with private_bus(tmp_path / "bus", more='<limit name="max_replies_per_connection">128</limit>') as bus:
        serve(bus, answer)
        client = connect(start(environ=bus.environ).front_end)
        for _ in range(100):
            client.say(call("Silent", type=""))
        for _ in range(300):
            assert client.ask(call("Quick", type="")) == {"reply": [None], "type": ""}
        for number in range(300):  # at once, and no more of them at a time than the bus takes
            client.say(call("Quick", type="", id=number))
        assert ["reply" in client.next() for _ in range(300)] == [True] * 300


def test_paths_that_are_long_and_new_each_time_do_not_stay(
    client: BusClient, service: Service, shared_bridge: Bridge
) -> None:
    """What is kept of the calls before is for those that come again."""

    def ask(number: int) -> None:
        path = f"/{number}/" + "x" * 60_000
        assert client.ask({"call": [path, "com.example.Echo", "Echo", ["x"]], "type": "s"})["reply"] == [["x"]]

    ask(0)
    before = resident_bytes(shared_bridge.pid)
    for number in range(1, 401):
        ask(number)
    assert resident_bytes(shared_bridge.pid) - before < 12 << 20


def test_more_calls_than_the_bus_takes(tmp_path: Path, serve: Serve, start: Start) -> None:
    """As a page asks for the properties of all services at once: none is refused, none is lost, order stays."""
    held: list[Message] = []

    def answer(service: Service, message: Message) -> Message | None:
        if message.member == "Late":
            held.append(message)
            return None
        if message.member == "Now":  # it goes out before the others are answered: nobody answers
            for each in held:
                service.send(Message.new_method_return(each))
        return Message.new_method_return(message)

    with private_bus(tmp_path / "bus", more='<limit name="max_replies_per_connection">120</limit>') as bus:
        service = serve(bus, answer)
        client = connect(start(environ=bus.environ).front_end)
        for number in range(110):
            client.say(call("Late", type="", id=number))
        client.say(call("Now", type="", id="now"))
        assert {client.next()["id"] for _ in range(111)} == {*range(110), "now"}
        for number in range(1_000):
            client.say(call("Quick", type="", id=number))
        client.say(call("Unanswered", type=""))
        answers = [client.next() for _ in range(1_000)]
        assert [(each["id"], "reply" in each) for each in answers] == [(number, True) for number in range(1_000)]
        client.ask(call("Last"))
        assert [each.member for each in service.calls[-2:]] == ["Unanswered", "Last"]
