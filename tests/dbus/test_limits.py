"""Limits that are set: what is held back, refused or given up then."""

import json
import os
import signal
import socket
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from dbus_fast import Message, Variant

from spanbridge.limits import Limits
from spanbridge.log import Log
from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.message import write_message
from spanbridge.payloads.bus.unanswered import Unanswered
from spanbridge.testing.frames import encode
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start

from ..bus.client import ERROR
from .conftest import NAME, Serve, connect, sync, until
from .service import PrivateBus, Service, Tree
from .test_ends import Peer, meet

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
    for name in ("dbus_objects", "dbus_watches", "dbus_published_calls", "bus_message_bytes"):
        assert bridge.log.wait(f"limit name={name}")


def test_a_bus_that_does_not_answer_the_bridge(start: Start, tmp_path: Path) -> None:
    bus = Peer(tmp_path / "bus")
    environ = {"DBUS_SESSION_BUS_ADDRESS": bus.address}
    bridge = start(environ=environ, limits={"dbus_answer_seconds": 0.05})
    front = bridge.front_end
    front.open("bus", "dbus-json3", bus="session")
    bus.welcome()
    assert bus.next().member == "Hello"
    assert "does not answer" in front.expect("close", "bus", problem="internal-error")["message"]
    assert bridge.log.wait("limit name=dbus_answer_seconds value=0.05")


def test_a_connection_that_is_not_kept(bus: PrivateBus, start: Start) -> None:
    front = start(environ=bus.environ, limits={"dbus_linger_seconds": 0.01}).front_end
    client = connect(front, None)
    observer = connect(front, client.ready["unique-name"], group="observers")
    front.close(client.channel)
    assert observer.next() == {"owner": None}


def silent(service: Service, message: Message) -> Message | None:
    return None if message.member in ("Late", "Introspect") else Message.new_method_return(message)


def test_calls_that_are_not_answered(bus: PrivateBus, serve: Serve, start: Start) -> None:
    service = serve(bus, silent)
    bridge = start(environ=bus.environ, limits={"dbus_calls": 2})
    client = connect(bridge.front_end)
    for ident in ("one", "two"):
        client.say({"call": ["/", "a.b", "Late", []], "type": "", "id": ident})
    name, (told,) = client.ask({"call": ["/", "a.b", "Quick", []], "type": ""})["error"]
    assert name == ERROR + "LimitsExceeded"
    assert told == "a.b.Quick: 2 calls of this channel are not answered yet (dbus_calls)"
    assert bridge.log.wait("limit name=dbus_calls value=2")
    while len(service.calls) < 2:
        service.round_trip()
    service.send(Message.new_method_return(service.calls[0]))
    assert client.next()["id"] == "one"
    assert client.ask({"call": ["/", "a.b", "Quick", []], "type": ""}) == {"reply": [None], "type": ""}


class Clock:
    """Of an event loop: what is to be called when the time has come."""

    def __init__(self) -> None:
        self._due: list[tuple[Callable[..., object], tuple[object, ...]]] = []

    def call_later(self, seconds: float, call: Callable[..., object], *args: object) -> object:
        self._due.append((call, args))
        return self

    def cancel(self) -> None:
        self._due.clear()

    def strike(self) -> None:
        due, self._due = self._due, []
        for call, args in due:
            call(*args)


@pytest.mark.parametrize("more", [1, 3])
def test_calls_beside_those_that_are_never_answered(more: int) -> None:
    """Two go out, two wait until nothing was answered for a while; then so many may be out beside these four."""
    clock, sent = Clock(), list[bytes]()
    limits = Limits(dbus_sent_calls=2, dbus_sent_more=more)
    context, front = SimpleNamespace(loop=clock, limits=limits, log=Log()), SimpleNamespace()
    unanswered = Unanswered(cast(Any, context), cast(Any, front), lambda data, fds: sent.append(data))

    def call(*serials: int) -> None:
        for serial in serials:
            unanswered.send(wire.call("/", "a.b", "C", destination=NAME), serial, b"%d" % serial)

    call(1, 2, 3, 4)
    assert sent == [b"1", b"2"]
    clock.strike()
    assert sent == [b"1", b"2", b"3", b"4"]
    call(*range(5, 5 + more + 1))
    assert len(sent) == 4 + more
    unanswered.answered(5)
    assert len(sent) == 4 + more + 1


def test_what_waits_for_a_service_that_does_not_answer(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """The call whose types it does not tell is given up, and told so, once so many others wait for it."""
    serve(bus, silent)
    bridge = start(environ=bus.environ, limits={"dbus_waiting": 3, "dbus_answer_seconds": 1_000})
    client = connect(bridge.front_end)
    client.say({"call": ["/", "a.b", "Unknown", [1]], "id": "unknown"})
    for number in range(2):
        client.say({"call": ["/", "a.b", "Quick", []], "type": "", "id": number})
    assert sync_with(bridge.front_end, bus) == {"reply": [None], "type": ""}
    assert client.waiting() == []
    client.say({"call": ["/", "a.b", "Quick", []], "type": "", "id": 2})
    given_up = client.next()
    assert given_up["id"] == "unknown"
    name, (told,) = given_up["error"]
    assert name == ERROR + "LimitsExceeded"
    assert told == "a.b.Unknown: given up, 3 later calls wait for it (dbus_waiting)"
    assert [client.next()["id"] for _ in range(3)] == [0, 1, 2]
    assert bridge.log.wait("limit name=dbus_waiting value=3")


def test_much_that_comes_to_wait_at_once(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """All in one write: the call that is given up was not even waited for yet."""
    serve(bus, silent)
    bridge = start(environ=bus.environ, limits={"dbus_waiting": 2, "dbus_answer_seconds": 1_000})
    client = connect(bridge.front_end)
    calls: list[dict[str, Any]] = [{"call": ["/", "a.b", "Unknown", [1]], "id": "unknown"}]
    calls += [{"call": ["/", "a.b", "Quick", []], "type": "", "id": number} for number in range(2)]
    bridge.front_end.write(b"".join(encode(client.channel, json.dumps(each).encode()) for each in calls))
    assert [client.next()["id"] for _ in calls] == ["unknown", 0, 1]


def test_bytes_that_wait_for_a_service_that_does_not_answer(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """Calls beyond them are refused, whoever they are for, until those that wait are sent, or given up."""
    service = serve(bus, silent)
    bridge = start(environ=bus.environ, limits={"dbus_waiting_bytes": 1_000, "dbus_answer_seconds": 1_000})
    client = connect(bridge.front_end)
    for ident in ("one", "two"):
        client.say({"call": ["/", "a.b", "Unknown", ["x" * 600]], "id": ident})
    name, (told,) = client.ask({"call": ["/", "a.b", "Quick", []], "type": ""})["error"]
    assert name == ERROR + "LimitsExceeded"
    assert told == "a.b.Quick: more than 1000 bytes of calls of this channel wait to be sent (dbus_waiting_bytes)"
    assert bridge.log.wait("limit name=dbus_waiting_bytes value=1000")
    sync_with(bridge.front_end, bus)
    (asked,) = [each for each in service.calls if each.member == "Introspect"]
    service.send(Message.new_error(asked, "a.b.No", "no"))
    assert client.next()["id"] == "one"
    client.say({"call": ["/", "a.b", "Late", ["x" * 2_000]], "type": "s", "timeout": 1, "id": "late"})
    assert client.next()["id"] == "late"
    sync_with(bridge.front_end, bus)
    asked = [each for each in service.calls if each.member == "Introspect"][1]
    service.send(Message.new_error(asked, "a.b.No", "no"))
    assert client.next()["id"] == "two"
    assert client.ask({"call": ["/", "a.b", "Quick", []], "type": ""}) == {"reply": [None], "type": ""}


def test_what_a_service_describes(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """What there is no room for is asked for each time; the rest is not."""
    methods = {(f"a.b{number}", "C"): ("u", "s", lambda count: ["x" * count]) for number in range(4)}
    service = serve(bus, Tree({}, methods=methods))
    bridge = start(environ=bus.environ, limits={"dbus_described_bytes": 150})
    client = connect(bridge.front_end)
    for _ in range(2):
        for interface, _ in methods:
            assert client.ask({"call": ["/", interface, "C", [2]]}) == {"reply": [["xx"]]}
    asked = [each for each in service.calls if each.member == "Introspect"]
    assert 4 < len(asked) < 8
    assert len(bridge.log.matches("limit name=dbus_described_bytes value=150 ")) == 1


def test_what_a_front_end_describes(bus: PrivateBus, start: Start) -> None:
    """The same ones again take no more room."""
    bridge = start(environ=bus.environ, limits={"dbus_described_bytes": 300})
    client = connect(bridge.front_end, None)
    described: dict[str, Any] = {COOK: {"methods": {"x" * 100: {}}}}
    for _ in range(5):
        client.say({"meta": described})
    assert sync(client) == []
    client.say({"meta": {f"{COOK}.More": {"methods": {"x" * 100: {}}}}})
    told = bridge.front_end.expect("close", client.channel, problem="internal-error")["message"]
    assert told == "more than 300 bytes of interfaces are described on this channel (dbus_described_bytes)"
    assert bridge.log.wait("limit name=dbus_described_bytes value=300 ")


def test_large_messages_that_come_faster_than_they_are_told(start: Start, tmp_path: Path) -> None:
    """No more are read until less wait; none is lost, and they keep their order."""
    peer = Peer(tmp_path / "peer")
    bridge = start(limits={"dbus_waiting_bytes": 1_000})
    client = meet(bridge.front_end, peer, "peer")
    client.say({"add-match": {"member": "Said"}})
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "matched"})
    peer.send(wire.reply(peer.next(), "", [])._replace(destination=None))
    assert client.next()["id"] == "matched"
    count = 20
    large = [["x" * 20] * 50] * 60
    peer.guest.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    bridge.signal(signal.SIGSTOP)  # so that more have come than are told while the first is
    os.waitid(os.P_PID, bridge.pid, os.WSTOPPED)
    for number in range(count):
        peer.send(wire.signal("/", "a.b", "Said", "uaas", [number, large if number % 4 == 0 else []]))
        if number == 4:
            bridge.signal(signal.SIGCONT)
    assert [client.take("signal")[3] for _ in range(count)] == [
        [number, large if number % 4 == 0 else []] for number in range(count)
    ]
    assert bridge.log.wait("limit name=dbus_waiting_bytes value=1000")
    peer.close()


def sync_with(front: FrontEnd, bus: PrivateBus) -> dict[str, Any]:
    """The answer of the service to a call on another connection: what was asked of it before has reached it."""
    return connect(front, address=bus.address, bus="none").ask({"call": ["/", "a.b", "Quick", []], "type": ""})


def test_descriptors_of_a_message_that_is_not_whole(start: Start, tmp_path: Path) -> None:
    """Three of a whole one are no more than two that wait; three of half a one are."""
    peer = Peer(tmp_path / "peer")
    bridge = start(limits={"dbus_descriptors_waiting": 2})
    client = meet(bridge.front_end, peer, "peer")
    client.say({"add-match": {"member": "Given"}})
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "matched"})
    asked = peer.next()
    data = write_message(wire.signal("/", "a.b", "Given", "ah", [[0, 1, 2]])._replace(fds=[0, 1, 2]), 1)
    socket.send_fds(peer.guest, [data], [0, 1, 2])
    assert len(client.take("signal")[3][0]) == 3
    peer.send(wire.reply(asked, "", [])._replace(destination=None))
    assert client.next()["id"] == "matched"
    socket.send_fds(peer.guest, [data[:-1]], [0, 1, 2])
    told = bridge.front_end.expect("close", "peer", problem="disconnected")["message"]
    assert told.endswith("3 descriptors of messages that are not whole, expected at most 2 (dbus_descriptors_waiting)")
    assert bridge.log.wait("limit name=dbus_descriptors_waiting value=2")
    peer.close()


def test_a_bus_whose_signals_are_not_taken_is_read_no_more(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """Nor does anybody else on the same connection hear of them, until what waits was taken."""
    service = serve(bus, silent)
    limits = {"window_bytes": 1_000, "bus_answers_bytes": 1_000}
    bridge = start(environ=bus.environ, limits=limits)
    front = bridge.front_end
    flow: dict[str, Any] = {"flow-control": True}
    slow, other = connect(front, **flow), connect(front)
    for client in (slow, other):
        client.say({"add-match": {"member": "Said"}})
        sync(client)
    for number in range(100):
        service.emit("/", "a.b", "Said", "us", number, "x" * 1_000)
    service.round_trip()
    for _ in range(3):
        sync_with(front, bus)
    assert len(front.data_so_far(other.channel)) < 50_000
    assert bridge.log.wait("limit name=bus_answers_bytes value=1000")
    told = 0
    while told < 100:
        frame = front.take(lambda frame: (frame.channel or frame.message.get("channel")) == slow.channel, "more")
        if frame.channel:
            assert json.loads(frame.payload)["signal"][3][0] == told
            told += 1
        elif frame.message["command"] == "ping":
            front.message({**frame.message, "command": "pong"})
    assert [other.take("signal")[3][0] for _ in range(100)] == list(range(100))


def test_large_answers_are_told_whatever_waits_for_them(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """Telling them takes many turns, and waits for nobody."""
    large = [["x" * 20] * 50] * 3_000

    def answer(service: Service, message: Message) -> Message:
        if message.member == "Large":
            return Message.new_method_return(message, "aas", [large])
        return Message.new_method_return(message)

    serve(bus, answer)
    client = connect(start(environ=bus.environ, limits={"dbus_waiting": 1}).front_end)
    client.say({"call": ["/", "a.b", "Large", []], "type": "", "id": "large"})
    for number in range(20):
        client.say({"call": ["/", "a.b", "Quick", []], "type": "", "id": number})
    assert [client.next()["id"] for _ in range(21)] == ["large", *range(20)]


def test_all_of_a_watch_is_told_whatever_waits_for_it(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """Keeping what a manager has told takes many turns, and waits for nobody."""
    count = 5_000
    tree = Tree({f"/m/o{number}": {"a.b": {"N": Variant("u", number)}} for number in range(count)}, manager="/m")
    tree.objects["/m"] = {}

    def answer(service: Service, message: Message) -> Message | None:
        answer = tree(service, message)
        if message.member != "GetManagedObjects" or answer is None:
            return answer
        service.send(answer, *(Message.new_signal("/", "a.b", "Said", "u", [number]) for number in range(20)))
        return None

    serve(bus, answer)
    client = connect(start(environ=bus.environ, limits={"dbus_waiting": 1}).front_end)
    client.say({"add-match": {"member": "Said"}})
    client.say({"watch": {"path_namespace": "/m"}, "id": "watch"})
    told = [path for message in until(client, "watch") for path in message.get("notify", ())]
    assert len(told) == count


def test_all_of_a_watch_is_told_to_one_who_takes_nothing(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """What comes meanwhile has the rest of it told at once; it is not as if it had been told."""
    count = 12
    large = Variant("s", "x" * 300_000)  # four of them are one message
    tree = Tree({f"/m/o{number}": {"a.b": {"N": large}} for number in range(count)}, manager="/m")
    tree.objects["/m"] = {}
    service = serve(bus, tree)
    limits = {"dbus_waiting": 1, "window_bytes": 16_384, "bus_answers_bytes": 16 << 20}
    bridge = start(environ=bus.environ, limits=limits)
    front = bridge.front_end
    flow: dict[str, Any] = {"flow-control": True}
    slow = connect(front, **flow)
    slow.say({"watch": {"path_namespace": "/m"}, "id": "watch"})
    slow.take("meta")
    told = list(slow.take("notify"))  # the second message waits, and the third for that
    service.emit("/", "a.b", "Said", "u", 1)
    other = connect(front)
    other.say({"add-match": {"member": "Said"}})
    sync(other)
    service.emit("/", "a.b", "Said", "u", 2)
    assert bridge.log.wait("limit name=dbus_waiting value=1")
    answered = False
    while not answered:
        frame = front.take(lambda frame: (frame.channel or frame.message.get("channel")) == slow.channel, "more")
        if frame.channel:
            said = json.loads(frame.payload)
            told += said.get("notify", ())
            answered = said.get("id") == "watch"
        elif frame.message["command"] == "ping":
            front.message({**frame.message, "command": "pong"})
    assert told == [f"/m/o{number}" for number in range(count)]


def test_a_message_that_comes_one_byte_at_a_time(start: Start, tmp_path: Path) -> None:
    peer = Peer(tmp_path / "peer")
    client = meet(start().front_end, peer, "peer")
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "one"})
    data = write_message(wire.reply(peer.next(), "", [])._replace(destination=None), 1)
    for at in range(len(data)):
        peer.guest.sendall(data[at : at + 1])
    assert client.next() == {"reply": [None], "type": "", "id": "one"}
    peer.close()


def test_a_message_that_is_never_whole(start: Start, tmp_path: Path) -> None:
    peer = Peer(tmp_path / "peer")
    bridge = start(limits={"stall_seconds": 0.1})
    meet(bridge.front_end, peer, "peer")
    peer.guest.sendall(write_message(wire.signal("/", "a.b", "Said", "", []), 1)[:-1])
    told = bridge.front_end.expect("close", "peer", problem="disconnected")["message"]
    assert told.endswith("a message is not whole, and nothing more came for 0.1 seconds (stall_seconds)")
    assert bridge.log.wait("limit name=stall_seconds value=0.1 ")
    peer.close()
