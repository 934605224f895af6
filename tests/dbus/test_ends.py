"""How channels on real buses end, and what strange peers cost (docs/dbus.md, "How it ends")."""

import json
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from dbus_fast import Message, Variant

from spanbridge.payloads.bus import message as wire
from spanbridge.payloads.bus.message import read_head, read_message, write_message
from spanbridge.payloads.bus.signature import Variant as Ours
from spanbridge.protocol.frames import encode
from spanbridge.testing.front_end import FrontEnd
from spanbridge.testing.plugin import Start
from spanbridge.testing.processes import peak_bytes

from ..bus.client import ERROR, BusClient
from .conftest import NAME, Open, Serve, connect, until
from .service import PrivateBus, Tree, private_bus


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_bus_that_dies(bus: PrivateBus, serve: Serve, start: Start, number: int) -> None:
    serve(bus, Tree({"/a": {"a.b": {"N": Variant("u", 1)}}}))
    bridge = start(environ=bus.environ)
    front = bridge.front_end
    one, two = connect(front), connect(front, None)
    one.say({"watch": {}, "id": "w"})
    until(one, "w")
    one.say({"add-match": {"member": "x"}})
    two.say({"meta": {"a.b": {}}})
    two.ask({"publish": ["/a", "a.b"]})
    private = connect(front, address=bus.address, bus="none")
    front.open("internal", "dbus-json3", bus="internal")
    front.expect("ready", "internal")
    bus.stop(number)
    for client in (one, two, private):
        assert front.expect("close", client.channel, problem="disconnected")["message"]
    front.open("again", "dbus-json3", bus="session")
    front.expect("close", "again", problem="not-found")
    bus.start()
    front.open("anew", "dbus-json3", bus="session")
    front.expect("ready", "anew")
    front.round_trip("internal")
    assert "unforeseen" not in bridge.log.text


def test_calls_without_answer_end_with_the_channel(bus: PrivateBus, serve: Serve, start: Start) -> None:
    service = serve(bus, lambda service, message: None)
    bridge = start(environ=bus.environ)
    client = connect(bridge.front_end)
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "1"})
    client.say({"watch": {"path": "/a"}, "id": "2"})
    while len(service.calls) < 2:
        service.round_trip()
    bridge.front_end.close(client.channel)
    other = connect(bridge.front_end)
    service.send(*[Message.new_method_return(each) for each in service.calls])
    assert other.waiting() == []


def test_after_done_answers_and_signals_go_on(bus: PrivateBus, serve: Serve, start: Start) -> None:
    service = serve(bus, Tree({}, methods={("a.b", "C"): ("", "s", lambda: ["x"])}))
    client = connect(start(environ=bus.environ).front_end)
    client.say({"add-match": {"member": "Said"}})
    client.say({"call": ["/", "a.b", "C", []], "id": "1"})
    client.front.control("done", channel=client.channel)
    assert client.next() == {"reply": [["x"]], "id": "1"}
    service.emit("/", "a.b", "Said")
    assert client.take("signal") == ["/", "a.b", "Said", []]
    client.say({"call": ["/", "a.b", "C", []], "id": "2"})
    client.front.expect("close", client.channel, problem="protocol-error")


# Large answers


def test_a_large_answer(shared_bus: PrivateBus, serve: Serve, open_bus: Open) -> None:
    rows = [[f"row {number}", number, {"a": Variant("as", ["x"] * 3)}] for number in range(5_000)]
    told = [[f"row {number}", number, {"a": {"t": "as", "v": ["x"] * 3}}] for number in range(5_000)]
    tree = Tree({}, methods={("a.b", "Large"): ("", "a(sua{sv})", lambda: [rows])})
    service = serve(shared_bus, tree, "com.example.Large")
    client = open_bus("com.example.Large")
    assert client.ask({"call": ["/", "a.b", "Large", []]}) == {"reply": [[told]]}
    client.say({"add-match": {"member": "Large"}})
    client.ask({"call": ["/", "a.b", "Large", []]})
    service.emit("/", "a.b", "Large", "a(sua{sv})", rows)
    assert client.take("signal") == ["/", "a.b", "Large", [told]]


def test_an_answer_that_is_longer_than_a_frame(bus: PrivateBus, serve: Serve, start: Start) -> None:
    methods = {("a.b", "Long"): ("u", "as", lambda count: [["x" * 98] * count])}
    service = serve(bus, Tree({}, methods=methods))
    bridge = start(environ=bus.environ, limits={"frame_bytes": 200_000})
    client = connect(bridge.front_end)
    call = ["/", "a.b", "Long"]
    assert len(client.ask({"call": [*call, [1_900]]})["reply"][0][0]) == 1_900
    assert client.ask({"call": [*call, [2_000]]})["error"][0] == ERROR + "LimitsExceeded"
    client.say({"add-match": {"member": "Long"}})
    assert client.ask({"call": [*call, [20_000]]})["error"][0] == ERROR + "LimitsExceeded"
    service.emit("/", "a.b", "Long", "as", ["x" * 98] * 2_000)
    client.front.expect("close", client.channel, problem="too-large")
    assert bridge.log.matches("limit name=frame_bytes")


def test_others_go_on_while_a_large_answer_is_told(bus: PrivateBus, serve: Serve, start: Start) -> None:
    """The answer takes some hundred turns: as many echoes come back in between."""
    large = [["x" * 20] * 50] * 6_000
    serve(bus, Tree({}, methods={("a.b", "Large"): ("", "aas", lambda: [large])}))
    front = start(environ=bus.environ).front_end
    client = connect(front)
    front.open("echo", "echo")
    front.expect("ready", "echo")
    client.say({"call": ["/", "a.b", "Large", []], "id": "1"})
    echoes = 0
    while True:
        front.send("echo", b"x")
        frame = front.take(lambda frame: frame.channel in ("echo", client.channel), "an echo, or the answer")
        if frame.channel == client.channel:
            break
        echoes += 1
    assert len(frame.payload) > 6_000_000
    assert echoes > 5


# Slow partners


def test_a_slow_front_end_stops_the_reading_of_the_bus(bus: PrivateBus, serve: Serve, start: Start) -> None:
    service = serve(bus, Tree({}))
    bridge = start(environ=bus.environ)
    client = connect(bridge.front_end)
    client.say({"add-match": {"member": "Flood"}})
    client.ask({"call": ["/", "org.freedesktop.DBus", "GetId", []], "name": "org.freedesktop.DBus"})
    before = peak_bytes(bridge.pid)
    count = 600
    for number in range(count):
        service.emit("/", "a.b", "Flood", "us", number, "x" * 100_000)
    service.round_trip()
    told = [client.take("signal")[3][0] for _ in range(count)]
    assert told == list(range(count))
    assert peak_bytes(bridge.pid) - before < 24 << 20


def test_a_bus_that_takes_nothing(start: Start, tmp_path: Path) -> None:
    """It is stopped, while more is sent than may wait."""
    bus = PrivateBus(tmp_path / "bus")
    try:
        bridge = start(environ=bus.environ, limits={"stuck_seconds": 0.5, "dbus_queue_bytes": 1 << 20})
        client = connect(bridge.front_end, None)
        bus.send_signal(signal.SIGSTOP)
        for _ in range(2):
            client.say({"signal": ["/", "a.b", "Large", ["x" * 3_000_000]], "type": "s"})
        bridge.front_end.expect("close", client.channel, problem="timeout")
        assert bridge.log.wait("limit name=dbus_queue_bytes")
        assert bridge.log.wait("limit name=stuck_seconds")
    finally:
        bus.send_signal(signal.SIGCONT)
        bus.stop()


# Peers without a bus, and fakes


class Peer:
    """Listens at a socket, and does with its one guest what a test wants."""

    def __init__(self, path: Path) -> None:
        self._server = socket.socket(socket.AF_UNIX)
        self._server.bind(str(path))
        self._server.listen()
        self.address = f"unix:path={path}"
        self._buffer = b""
        self._serial = 0
        self.guest: socket.socket

    def welcome(self) -> None:
        self.guest, _ = self._server.accept()
        self.guest.settimeout(10)
        while not self._buffer.endswith(b"NEGOTIATE_UNIX_FD\r\n"):
            self._buffer += self.guest.recv(1000)
        self.guest.sendall(b"OK 1234\r\nAGREE_UNIX_FD\r\n")
        while b"BEGIN\r\n" not in self._buffer:
            self._buffer += self.guest.recv(1000)
        self._buffer = self._buffer.partition(b"BEGIN\r\n")[2]

    def next(self) -> wire.Message:
        while len(self._buffer) < 16 or len(self._buffer) < read_head(self._buffer, 0).length:
            data = self.guest.recv(1 << 16)
            assert data
            self._buffer += data
        head = read_head(self._buffer, 0)
        message, _ = read_message(self._buffer[: head.length], head)
        self._buffer = self._buffer[head.length :]
        return message

    def send(self, message: wire.Message) -> None:
        self._serial += 1
        self.guest.sendall(write_message(message, self._serial))

    def close(self) -> None:
        self.guest.close()
        self._server.close()


@pytest.fixture
def peer(tmp_path: Path) -> Iterator[Peer]:
    peer = Peer(tmp_path / "peer")
    yield peer
    peer.close()


def meet(front: FrontEnd, peer: Peer, channel: str, **options: Any) -> BusClient:
    """A channel to the peer."""
    welcome = threading.Thread(target=peer.welcome)
    welcome.start()
    client = BusClient(front, channel, bus="none", address=peer.address, **options)
    welcome.join()
    return client


def test_a_peer_without_a_bus(front: FrontEnd, peer: Peer, channel: str) -> None:
    client = meet(front, peer, channel)
    assert set(client.ready) == {"command", "channel"}
    client.say({"add-match": {"member": "Said"}})
    client.say({"call": ["/", "a.b", "C", ["x"]], "type": "s", "id": "1"})
    asked = peer.next()
    assert (asked.member, asked.destination, asked.values()) == ("C", None, ["x"])
    peer.send(wire.signal("/", "a.b", "Said", "s", ["y"]))
    peer.send(wire.reply(asked, "s", ["z"])._replace(destination=None))
    assert client.next() == {"signal": ["/", "a.b", "Said", ["y"]]}
    assert client.next() == {"reply": [["z"]], "id": "1", "type": "s"}
    client.say({"watch": {"path": "/a"}, "id": "w"})
    asked = peer.next()
    assert asked.member == "Introspect"
    xml = '<node><interface name="a.b"><property name="P" type="u" access="read"/></interface></node>'
    peer.send(wire.reply(asked, "s", [xml])._replace(destination=None))
    asked = peer.next()
    assert asked.values() == ["a.b"]
    peer.send(wire.reply(asked, "a{sv}", [{"P": Ours("u", 5)}])._replace(destination=None))
    assert until(client, "w")[1:] == [{"notify": {"/a": {"a.b": {"P": 5}}}}, {"reply": [], "id": "w"}]
    peer.guest.close()
    front.expect("close", channel, problem="disconnected")


SIGNAL = wire.Message(wire.SIGNAL, path="/", interface="a.b", member="C")
GOOD = write_message(wire.signal("/", "a.b", "Said", "s", ["x"]), 1)


@pytest.mark.parametrize(
    "sent",
    [
        b"no message at all",
        b"\0" * 16,
        GOOD[:4] + b"\xff\xff\xff\x7f" + GOOD[8:],
        GOOD[:-8] + b"\xff" * 8,
        GOOD[:-2] + b"\xff\0",
        GOOD[:-1] + b"x",
        write_message(
            wire.Message(wire.SIGNAL, path="/", interface="a.b", member="C", signature="a{sv}", body=b"\1"), 1
        ),
        write_message(wire.Message(wire.SIGNAL, path="/", interface="a.b", member="C", signature="s"), 1),
        write_message(wire.Message(wire.REPLY, answers=1, signature="((", body=b"\0\0\0\0"), 1),
        write_message(SIGNAL._replace(fds=(0, 1)), 1),
        write_message(wire.Message(wire.CALL, path="no path", member="C"), 1),
    ],
    ids=range(11),
)
def test_a_peer_that_speaks_no_d_bus(front: FrontEnd, peer: Peer, channel: str, sent: bytes) -> None:
    client = meet(front, peer, channel)
    client.say({"add-match": {}})
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "1"})
    peer.next()
    peer.guest.sendall(sent)
    front.expect("close", channel, problem="disconnected")


def test_a_peer_that_speaks_byte_by_byte(front: FrontEnd, peer: Peer, channel: str) -> None:
    client = meet(front, peer, channel)
    client.say({"add-match": {}})
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "1"})
    peer.next()
    for byte in GOOD * 2:
        peer.guest.sendall(bytes([byte]))
    for _ in range(2):
        assert client.take("signal") == ["/", "a.b", "Said", ["x"]]


def test_a_peer_that_answers_what_nobody_asked(front: FrontEnd, peer: Peer, channel: str) -> None:
    client = meet(front, peer, channel)
    for message in (
        wire.Message(wire.REPLY, answers=77),
        wire.Message(wire.ERROR, answers=77, error="a.b"),
        wire.Message(99, path="/"),
        wire.Message(wire.CALL, path="/", member="C"),
    ):
        peer.send(message)
    asked = peer.next()
    assert asked.kind == wire.ERROR
    client.say({"call": ["/", "a.b", "C", []], "type": "", "id": "1"})
    peer.send(wire.error(peer.next(), "a.b.Error")._replace(destination=None))
    assert client.next() == {"error": ["a.b.Error", []], "id": "1"}


def test_descriptors_without_end(front: FrontEnd, peer: Peer, channel: str) -> None:
    meet(front, peer, channel)
    with suppress(OSError):  # until it has had enough
        while True:
            socket.send_fds(peer.guest, [GOOD[:1]], [0] * 200)
    front.expect("close", channel, problem="disconnected")


def test_a_message_that_nests_too_deep_costs_its_call_alone(
    front: FrontEnd, open_bus: Open, serve: Serve, shared_bus: PrivateBus
) -> None:
    serve(
        shared_bus,
        lambda service, message: Message.new_method_return(message, message.signature, message.body),
        "com.example.Deep",
    )
    client = open_bus("com.example.Deep")

    def nested(levels: int) -> Any:
        value: Any = {"t": "i", "v": 1}
        for _ in range(levels - 1):
            value = {"t": "v", "v": value}
        return value

    def ask(value: Any) -> Any:
        return client.ask({"call": ["/", "a.b", "C", [value]], "type": "v"})

    assert ask(nested(60)) == {"reply": [[nested(60)]], "type": "v"}
    for levels in range(60, 70):
        answer = ask(nested(levels))
        assert "reply" in answer or answer["error"][0] == ERROR + "InvalidArgs"
    dicts: Any = 1
    for _ in range(30):
        dicts = {"t": "a{sv}", "v": {"k": dicts}} if isinstance(dicts, dict) else {"t": "i", "v": 1}
    assert ask(dicts)["error"][0] == ERROR + "InvalidArgs"
    assert "reply" in ask(nested(3))


@pytest.mark.parametrize("body", [json.dumps({"a": 1}), "[]", '"x"'])
def test_messages_of_other_kinds(open_bus: Open, body: str) -> None:
    client = open_bus(None)
    client.front.send(client.channel, body.encode())
    client.front.expect("close", client.channel, problem="protocol-error")


def test_channels_that_end_as_soon_as_they_have_spoken(serve: Serve, start: Start, tmp_path: Path) -> None:
    """Nothing is begun for them any more, and nothing of it is left on the bus."""
    with private_bus(tmp_path / "bus", more='<limit name="max_match_rules_per_connection">12</limit>') as bus:
        serve(bus, Tree({"/a": {"a.b": {"N": Variant("u", 1)}}}))
        bridge = start(environ=bus.environ)
        front = bridge.front_end
        client = connect(front)
        for number in range(10):
            hasty = BusClient(front, f"hasty-{number}", bus="session")
            told = [
                {"watch": {"path": "/a", "name": NAME}, "id": "1"},
                {"watch": {"path": "/a", "name": f"com.example.Nobody{number}"}, "id": "2"},
                {
                    "call": ["/a", "a.b", "C", ["types to be asked for"]],
                    "name": f"com.example.Nobody{number}",
                    "id": "3",
                },
            ]
            close = {"command": "close", "channel": hasty.channel}
            frames = [(hasty.channel, each) for each in told] + [("", close)]
            front.write(b"".join(encode(channel.encode(), json.dumps(each).encode()) for channel, each in frames))
            front.expect("close", hasty.channel)
        client.say({"watch": {"path": "/a"}, "id": "4"})
        assert client.take("meta")
        assert bridge.log.matches("bus-failed|unforeseen|refused") == []
