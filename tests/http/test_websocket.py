"""Payload websocket-stream1 (docs/http.md)."""

import struct
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.start import Start

from .client import Client
from .frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, accept, answer_to, close_of, frame, read_frame, switching
from .server import Peer, Server, fields_of


class Talk:
    """One WebSocket: a channel and the server's end."""

    def __init__(self, client: Client, *headers: str, **members: Any) -> None:
        self.client = client
        self.front = client.front
        self.channel = client.ask(payload="websocket-stream1", method=..., **members)
        self.peer = client.server.accept()
        accept(self.peer, *headers)

    def ready(self) -> "Talk":
        self.front.expect("ready", self.channel)
        return self

    def hear(self, *frames: bytes) -> None:
        """The server says this."""
        self.peer.send(*frames)

    def close(self) -> dict[str, Any]:
        """Wait for the channel to be closed."""
        return self.front.expect("close", self.channel)

    def next_message(self) -> bytes:
        """Wait for a message."""
        return self.front.take(lambda found: found.channel == self.channel, "a message").payload

    @property
    def messages(self) -> list[bytes]:
        """All that came on the channel."""
        return [each.payload for each in self.front.of(self.channel) if each.channel]


@pytest.fixture
def talk(client: Client) -> Iterator[Talk]:
    made = Talk(client).ready()
    yield made
    made.peer.close()


@pytest.fixture
def raw(client: Client) -> Iterator[Talk]:
    made = Talk(client, binary="raw").ready()
    yield made
    made.peer.close()


# The handshake


def test_the_handshake(client: Client) -> None:
    channel = client.ask("/talk?x", payload="websocket-stream1", headers={"X": "y"}, protocols=["b", "a"])
    with client.server.accept() as peer:
        head = peer.head()
        assert head.startswith("GET /talk?x HTTP/1.1\r\n")
        fields = fields_of(head)
        key = fields.pop("Sec-WebSocket-Key")
        assert len(key) == 24
        assert fields == {
            "Host": "localhost",
            "Origin": "http://localhost",
            "X": "y",
            "Upgrade": "websocket",
            "Connection": "Upgrade",
            "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Protocol": "b, a",
        }
        client.front.close(channel)
        client.front.expect("close", channel)


def test_an_origin_and_a_host_in_place_of_ours(bridge: Bridge, tcp: Server) -> None:
    client = Client(bridge.front_end, tcp)
    for headers, host, origin in (
        ({}, f"localhost:{tcp.where['port']}", f"http://localhost:{tcp.where['port']}"),
        ({"origin": "http://a", "host": "b"}, "b", "http://a"),
    ):
        channel = client.ask(payload="websocket-stream1", headers=headers)
        with tcp.accept() as peer:
            fields = {name.lower(): value for name, value in fields_of(peer.head()).items()}
            assert (fields["host"], fields["origin"]) == (host, origin)
            client.front.close(channel)
            client.front.expect("close", channel)


def test_response_comes_before_ready(client: Client) -> None:
    talk = Talk(client, "Sec-WebSocket-Protocol: a", "X: y", protocols=["a"]).ready()
    response, ready = (each.message for each in talk.front.of(talk.channel))
    assert (response["command"], response["status"], response["reason"]) == ("response", 101, "Switching Protocols")
    assert response["headers"]["X"] == "y"
    assert ready == {"command": "ready", "channel": talk.channel}
    talk.peer.close()


@pytest.mark.parametrize(
    ("status", "problem"),
    [
        ("401 Unauthorized", "authentication-failed"),
        ("403 Forbidden", "access-denied"),
        ("404 Not Found", "not-found"),
        ("410 Gone", "not-found"),
        ("302 Found", "protocol-error"),
        ("200 OK", "protocol-error"),
        ("500 Oops", "protocol-error"),
    ],
)
def test_another_status(client: Client, status: str, problem: str) -> None:
    channel = client.ask(payload="websocket-stream1")
    with client.server.accept() as peer:
        peer.head()
        peer.answer(b"no", status)
        response = client.receive(channel)
    (closed,) = response.controls
    assert (closed["problem"], closed["status"], closed["reason"]) == (problem, int(status[:3]), status[4:])


UPGRADE, CONNECTION, ACCEPT = "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Accept: {}"


@pytest.mark.parametrize(
    ("headers", "protocols"),
    [
        ([UPGRADE, CONNECTION, "Sec-WebSocket-Accept: wrong"], []),
        ([UPGRADE, CONNECTION], []),
        ([CONNECTION, ACCEPT], []),
        (["Upgrade: h2c", CONNECTION, ACCEPT], []),
        ([UPGRADE, ACCEPT], []),
        ([UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Extensions: x"], []),
        ([UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: x"], []),
        ([UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: x"], ["y"]),
        ([UPGRADE, CONNECTION, ACCEPT, "Sec-WebSocket-Protocol: x, y"], ["x", "y"]),
    ],
)
def test_what_is_no_handshake(client: Client, headers: list[str], protocols: list[str]) -> None:
    channel = client.ask(payload="websocket-stream1", protocols=protocols)
    with client.server.accept() as peer:
        value = answer_to(fields_of(peer.head())["Sec-WebSocket-Key"])
        lines = ["HTTP/1.1 101 Switching Protocols", *(each.format(value) for each in headers), "", ""]
        peer.send("\r\n".join(lines).encode())
        response = client.receive(channel)
    assert (response.commands, response.problem) == (["close"], "protocol-error")


def test_the_end_within_the_handshake(client: Client) -> None:
    for said in (b"", b"HTTP/1.1 101 Swi"):
        channel = client.ask(payload="websocket-stream1")
        with client.server.accept() as peer:
            peer.head()
            peer.send(said)
        response = client.receive(channel)
        assert (response.commands, response.problem) == (["close"], "disconnected")


def test_nobody_to_connect_to(client: Client) -> None:
    response = client.receive(client.ask(payload="websocket-stream1", unix="/no/such/socket"))
    assert (response.commands, response.problem) == (["close"], "not-found")


# Messages


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536, 300_000])
def test_messages_both_ways(talk: Talk, raw: Talk, size: int) -> None:
    for each, opcode, byte in ((talk, TEXT, b"a"), (raw, BINARY, b"\xff")):
        each.front.send(each.channel, byte * size)
        assert read_frame(each.peer) == (opcode, byte * size)
        writer = threading.Thread(target=each.hear, args=[frame(opcode, byte * size)])
        writer.start()
        assert each.next_message() == byte * size
        writer.join()


def test_what_is_sent_before_ready_waits(client: Client) -> None:
    channel = client.ask(payload="websocket-stream1", send_acks="bytes")
    client.front.send(channel, b"early")
    client.front.control("done", channel=channel)
    with client.server.accept() as peer:
        client.front.sync()
        assert client.front.commands(channel) == []
        accept(peer)
        assert read_frame(peer) == (TEXT, b"early")
        assert read_frame(peer) == (CLOSE, close_of(1000))
        client.front.expect("ack", channel, bytes=5)
        peer.send(frame(CLOSE, close_of(1000)))
        client.front.expect("done", channel)
        client.front.expect("close", channel)


def test_text_that_is_not_utf8_is_not_sent(talk: Talk) -> None:
    talk.front.send(talk.channel, b"a\xffb")
    assert talk.close()["problem"] == "protocol-error"
    assert read_frame(talk.peer) == (CLOSE, close_of(1000))


def test_fragments_are_one_message(talk: Talk) -> None:
    euro = "\N{EURO SIGN}".encode()
    talk.hear(
        frame(TEXT, euro[:1], fin=False),
        frame(PING, b"between"),
        frame(CONT, euro[1:2], fin=False),
        frame(CONT, b"", fin=False),
        frame(CONT, euro[2:]),
    )
    assert read_frame(talk.peer) == (PONG, b"between")
    assert talk.front.data(talk.channel, 3) == euro
    assert talk.messages == [euro]


def test_one_byte_at_a_time(talk: Talk) -> None:
    data = frame(TEXT, b"a" * 200) + frame(BINARY, b"b") + frame(TEXT)
    talk.hear(*(data[at : at + 1] for at in range(len(data))))
    talk.hear(frame(CLOSE, close_of(1000)))
    talk.close()
    assert talk.messages == [b"a" * 200, b"b", b""]


def test_the_other_kind_of_message(talk: Talk, raw: Talk) -> None:
    talk.hear(frame(BINARY, b"a\xff\xe2\x82b"))
    talk.hear(frame(CLOSE))
    talk.close()
    assert talk.messages == [b"a\xef\xbf\xbd\xef\xbf\xbdb"]
    raw.hear(frame(TEXT, b"text"))
    assert raw.front.data(raw.channel, 4) == b"text"


def test_first_frames_with_the_answer(client: Client) -> None:
    """They may come in one piece with the head."""
    channel = client.ask(payload="websocket-stream1")
    with client.server.accept() as peer:
        said = switching(peer)
        peer.send(said + frame(TEXT, b"at once") + frame(CLOSE, close_of(1000)))
        response = client.receive(channel)
        assert response.commands == ["response", "ready", "done", "close"]
        assert response.data == [b"at once"]


def test_pongs_that_nobody_asked_for_are_ignored(talk: Talk) -> None:
    talk.hear(frame(PONG, b"x"), frame(PING), frame(TEXT, b"y"))
    assert read_frame(talk.peer) == (PONG, b"")
    assert talk.front.data(talk.channel, 1) == b"y"


def test_a_flood_of_pings_is_answered_with_one_pong_at_last(raw: Talk) -> None:
    """The server reads nothing meanwhile: pongs must not pile up."""
    raw.front.send(raw.channel, b"x" * 4_000_000)  # more than the socket takes
    raw.front.sync()
    count = 200_000
    flood = b"".join(frame(PING, b"%07d" % number) for number in range(count))
    raw.hear(flood, frame(BINARY, b"over"))
    assert raw.front.data(raw.channel, 4) == b"over"
    assert read_frame(raw.peer) == (BINARY, b"x" * 4_000_000)
    last = b""
    pongs = 0
    while last != b"%07d" % (count - 1):
        opcode, last = read_frame(raw.peer)
        assert opcode == PONG
        pongs += 1
    assert pongs < 1000


@pytest.mark.parametrize("end", ["done", "close of the server"])
def test_a_pong_that_waited_comes_before_the_close_frame(raw: Talk, end: str) -> None:
    raw.front.send(raw.channel, b"x" * 4_000_000)  # more than the socket takes
    raw.front.sync()
    raw.hear(frame(PING, b"early") + frame(BINARY, b"after"))
    assert raw.front.data(raw.channel, 5) == b"after"
    if end == "done":
        raw.front.control("done", channel=raw.channel)
        raw.front.sync()
    else:
        raw.hear(frame(CLOSE, close_of(1000)))
        raw.close()
    assert read_frame(raw.peer) == (BINARY, b"x" * 4_000_000)
    assert read_frame(raw.peer) == (PONG, b"early")
    assert read_frame(raw.peer) == (CLOSE, close_of(1000))


# Wrong frames


@pytest.mark.parametrize(
    "frames",
    [
        [frame(TEXT, b"hello", mask=True)],
        [frame(TEXT, b"hello", reserved=4)],
        [frame(TEXT, b"hello", reserved=1)],
        [frame(3)],
        [frame(7)],
        [frame(11)],
        [frame(CONT, b"stray")],
        [frame(TEXT, b"a", fin=False), frame(TEXT, b"nested")],
        [frame(TEXT, b"a", fin=False), frame(BINARY, b"nested")],
        [frame(PING, b"x" * 126)],
        [frame(PING, b"", fin=False)],
        [frame(CLOSE, b"x")],
        [frame(CLOSE, close_of(1005))],
        [frame(CLOSE, close_of(1006))],
        [frame(CLOSE, close_of(1015))],
        [frame(CLOSE, close_of(999))],
        [frame(CLOSE, close_of(2999))],
        [frame(CLOSE, close_of(5000))],
        [frame(CLOSE, b"", fin=False)],
        [frame(TEXT, b"a", fin=False), frame(CLOSE, close_of(1000))],
    ],
)
def test_wrong_frames(raw: Talk, frames: list[bytes]) -> None:
    raw.hear(*frames)
    closed = raw.close()
    assert (closed["problem"], "close-code" in closed) == ("protocol-error", False)
    assert str(raw.client.server.where["unix"]) in closed["message"]
    assert raw.messages == []
    opcode, payload = read_frame(raw.peer)
    assert (opcode, payload[:2]) == (CLOSE, close_of(1002))
    assert "done" not in raw.front.commands(raw.channel)


def test_text_of_the_server_that_is_not_utf8(talk: Talk, raw: Talk) -> None:
    for each in (talk, raw):
        each.hear(frame(TEXT, b"a\xff"))
        assert each.close()["problem"] == "protocol-error"
        assert each.messages == []
        opcode, payload = read_frame(each.peer)
        assert (opcode, payload[:2]) == (CLOSE, close_of(1007))


def test_a_message_that_is_too_large(spanbridge_start: Start, server: Server) -> None:
    client = Client(spanbridge_start(limits={"websocket_bytes": 1000}).front_end, server)
    talk = Talk(client).ready()
    talk.hear(frame(TEXT, b"a" * 1000), frame(TEXT, b"a" * 600, fin=False))
    assert talk.front.data(talk.channel, 1000) == b"a" * 1000
    talk.hear(frame(CONT, b"a" * 401)[:4])  # its length is enough
    closed = talk.close()
    assert (closed["problem"], "websocket_bytes" in closed["message"]) == ("too-large", True)
    opcode, payload = read_frame(talk.peer)
    assert (opcode, payload[:2]) == (CLOSE, close_of(1009))
    talk.peer.close()
    other = Talk(client).ready()
    other.hear(struct.pack("!BBQ", 0x82, 127, 1 << 62))
    assert other.close()["problem"] == "too-large"
    other.peer.close()


# The end


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        (1000, None),
        (1001, None),
        (1002, "protocol-error"),
        (1003, "protocol-error"),
        (1007, "protocol-error"),
        (1008, "access-denied"),
        (1009, "too-large"),
        (1010, "protocol-error"),
        (1011, "internal-error"),
        (1012, "internal-error"),
        (1013, "internal-error"),
        (1014, "internal-error"),
        (3000, "disconnected"),
        (4999, "disconnected"),
    ],
)
def test_close_frames_of_the_server(talk: Talk, code: int, problem: str | None) -> None:
    talk.hear(frame(CLOSE, close_of(code, "not-a-problem")))
    closed = talk.close()
    assert (closed["close-code"], closed["close-reason"]) == (code, "not-a-problem")
    assert closed.get("problem") == problem
    assert ("done" in talk.front.commands(talk.channel)) is (problem is None)
    opcode, payload = read_frame(talk.peer)
    assert (opcode, payload[:2]) == (CLOSE, close_of(code))


def test_a_close_frame_without_a_code(talk: Talk) -> None:
    talk.hear(frame(CLOSE))
    assert set(talk.close()) == {"command", "channel"}
    assert read_frame(talk.peer) == (CLOSE, b"")


def test_the_end_without_a_close_frame(talk: Talk, raw: Talk) -> None:
    talk.hear(frame(TEXT, b"a"))
    talk.peer.close()
    assert talk.close()["problem"] == "disconnected"
    assert talk.messages == [b"a"]
    raw.hear(frame(TEXT, b"a", fin=False))
    raw.peer.close()
    assert raw.close()["problem"] == "disconnected"
    assert raw.messages == []


def test_done(talk: Talk) -> None:
    talk.front.send(talk.channel, b"last")
    talk.front.control("done", channel=talk.channel)
    assert read_frame(talk.peer) == (TEXT, b"last")
    assert read_frame(talk.peer) == (CLOSE, close_of(1000))
    talk.hear(frame(TEXT, b"still"), frame(CLOSE, close_of(1000)))
    talk.close()
    assert talk.messages == [b"still"]
    assert talk.front.commands(talk.channel)[-3:] == ["data", "done", "close"]


def test_close_of_the_front_end(talk: Talk) -> None:
    for problem in ({}, {"problem": "cancelled"}):
        each = talk if not problem else Talk(talk.client).ready()
        each.front.close(each.channel, **problem)
        assert set(each.close()) == {"command", "channel"}
        assert read_frame(each.peer) == (CLOSE, close_of(1000))
        # The socket is there until the server ends it.
        each.hear(frame(TEXT, b"dropped"), frame(CLOSE, close_of(1000)))
        each.peer.close()
        each.front.sync()
        assert each.messages == []


def test_an_id_is_free_after_its_close(client: Client) -> None:
    first = Talk(client).ready()
    first.front.close(first.channel)
    first.close()
    first.front.open(first.channel, "echo")
    first.front.expect("ready", first.channel)
    first.hear(frame(TEXT, b"old"), frame(CLOSE, close_of(1000)))
    first.peer.close()
    first.front.send(first.channel, b"new")
    assert first.front.data(first.channel, 3) == b"new"


def test_acks_and_pings(talk: Talk) -> None:
    channel = talk.client.ask(payload="websocket-stream1", send_acks="bytes", flow_control=True)
    with talk.client.server.accept() as peer:
        accept(peer)
        for size in (0, 5, 100_000):
            reader = threading.Thread(target=read_frame, args=[peer])
            reader.start()
            talk.front.send(channel, b"a" * size)
            talk.front.expect("ack", channel, bytes=size)
            reader.join()
        peer.send(frame(TEXT, b"a" * 20_000))
        talk.front.expect("ping", channel, sequence=20_000)


def test_the_session_ends_while_one_is_open(spanbridge_start: Start, server: Server) -> None:
    bridge = spanbridge_start()
    talk = Talk(Client(bridge.front_end, server)).ready()
    assert bridge.end() == 0
    assert isinstance(talk.peer, Peer)
    talk.peer.close()
