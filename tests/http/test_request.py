"""What goes to the server (docs/http.md, "The request")."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge

from .client import Client
from .server import Peer, Server, fields_of, tcp_server


def asked(client: Client, **members: Any) -> tuple[str, str, dict[str, str]]:
    """The channel of a request; its first line; its headers."""
    channel = client.send(**members)
    with client.server.accept() as peer:
        head = peer.head()
        peer.answer()
        client.receive(channel)
    return channel, head.partition("\r\n")[0], fields_of(head)


def test_a_text_request(client: Client) -> None:
    _, line, fields = asked(client)
    assert line == "GET / HTTP/1.1"
    assert fields == {"Host": "localhost", "Accept-Encoding": "identity", "Accept-Charset": "UTF-8"}


def test_a_binary_request(client: Client) -> None:
    _, line, fields = asked(client, binary="raw", path="/a?b=c#d", headers={"Range": "bytes=0-5", "X": " a\tb "})
    assert line == "GET /a?b=c#d HTTP/1.1"
    assert fields == {"Host": "localhost", "Accept-Encoding": "identity", "Range": "bytes=0-5", "X": "a\tb"}


def test_headers_in_place_of_ours(client: Client) -> None:
    _, _, fields = asked(client, binary="raw", headers={"hOST": "other", "Accept-Encoding": "gzip"})
    assert fields == {"hOST": "other", "Accept-Encoding": "gzip"}


def test_the_host_of_a_port(bridge: Bridge, tcp: Server) -> None:
    client = Client(bridge.front_end, tcp)
    port = tcp.where["port"]
    assert asked(client)[2]["Host"] == f"localhost:{port}"
    assert asked(client, port=float(port), address="127.0.0.1")[2]["Host"] == f"127.0.0.1:{port}"


def test_a_header_in_utf8(client: Client) -> None:
    letter = "\N{LATIN SMALL LETTER Z WITH DOT ABOVE}"
    assert asked(client, headers={"X": letter})[2]["X"] == letter


def test_the_star(client: Client) -> None:
    assert asked(client, method="OPTIONS", path="*")[1] == "OPTIONS * HTTP/1.1"


@pytest.mark.parametrize(
    ("method", "length"),
    [("GET", None), ("HEAD", None), ("DELETE", None), ("OPTIONS", None), ("POST", "0"), ("PUT", "0"), ("PATCH", "0")],
)
def test_no_body(client: Client, method: str, length: str | None) -> None:
    fields = asked(client, method=method)[2]
    assert fields.get("Content-Length") == length
    assert "Transfer-Encoding" not in fields


def test_a_small_body_has_its_length(client: Client) -> None:
    for body in (b"x", b"\xff\0", b"b" * 65_536):
        channel = client.send(method="PUT", body=body)
        with client.server.accept() as peer:
            assert fields_of(peer.head())["Content-Length"] == str(len(body))
            assert peer.read(len(body)) == body
            peer.answer()
            assert client.receive(channel).status == 200


def test_nothing_is_sent_before_done(client: Client) -> None:
    channel = client.ask(method="POST")
    client.front.send(channel, b"a" * 65_536)
    with client.server.accept() as peer:
        client.front.sync()
        peer.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            peer.sock.recv(1)
        peer.sock.settimeout(30)
        client.front.control("done", channel=channel)
        assert fields_of(peer.head())["Content-Length"] == "65536"
        peer.answer()
        client.receive(channel)


def read_chunks(peer: Peer) -> Iterator[bytes]:
    while size := int(peer.read_until(b"\r\n"), 16):
        yield peer.read(size)
        assert peer.read(2) == b"\r\n"
    assert peer.read(2) == b"\r\n"


def test_a_large_body_goes_out_as_it_comes(client: Client) -> None:
    channel = client.ask(method="POST")
    client.front.send(channel, b"a" * 65_536)
    client.front.send(channel, b"b")
    with client.server.accept() as peer:
        fields = fields_of(peer.head())
        assert (fields["Transfer-Encoding"], "Content-Length" in fields) == ("chunked", False)
        chunks = read_chunks(peer)
        got = b""
        while len(got) < 65_537:
            got += next(chunks)
        assert got == b"a" * 65_536 + b"b"
        client.front.send(channel, b"")
        client.front.send(channel, b"c" * 5)
        assert next(chunks) == b"c" * 5
        client.front.control("done", channel=channel)
        assert list(chunks) == []
        peer.answer(b"thanks")
        assert client.receive(channel).body == b"thanks"


def test_a_body_of_one_large_message(client: Client) -> None:
    body = bytes(range(256)) * 40_000
    channel = client.ask(method="POST", binary="raw")
    with client.server.accept() as peer:
        # The server reads while the front end writes: neither may wait for the other.
        import threading

        got: list[bytes] = []

        def read() -> None:
            peer.head()
            got.extend(read_chunks(peer))
            peer.answer()

        thread = threading.Thread(target=read)
        thread.start()
        client.front.send(channel, body)
        client.front.control("done", channel=channel)
        assert client.receive(channel).status == 200
        thread.join()
        assert b"".join(got) == body


def test_acks_say_what_the_server_has_taken(client: Client) -> None:
    channel = client.ask(method="POST", send_acks="bytes")
    client.front.expect("ready", channel)
    client.front.send(channel, b"a" * 10)
    client.front.send(channel, b"")
    client.front.sync()
    assert client.front.commands(channel) == ["ready"]
    client.front.control("ping", channel=channel, cookie="x")
    client.front.control("done", channel=channel)
    with client.server.accept() as peer:
        peer.head()
        assert peer.read(10) == b"a" * 10
        client.front.expect("pong", channel, cookie="x")
        peer.answer()
        response = client.receive(channel)
    told = [frame.message for frame in client.front.of(channel) if not frame.channel]
    assert [message["bytes"] for message in told if message["command"] == "ack"] == [10, 0]
    assert response.status == 200


def test_the_rest_of_a_body_is_swallowed_once_the_answer_is_whole(client: Client) -> None:
    channel = client.ask(method="POST")
    client.front.send(channel, b"a" * 70_000)
    with client.server.accept() as peer:
        peer.head()
        peer.answer(b"too much", "413 Content Too Large")
        response = client.receive(channel)
        assert (response.status, response.body, response.problem) == (413, b"too much", None)
        client.front.send(channel, b"more")
        client.front.control("done", channel=channel)
        client.front.sync()


def test_an_answer_of_a_server_that_reads_no_more(client: Client) -> None:
    """It ends the connection with the body unread: our writing fails, its answer is there all the same."""
    channel = client.ask(method="POST")
    client.front.send(channel, b"a" * 70_000)
    with client.server.accept() as peer:
        peer.answer(b"no", "413 Content Too Large")
    response = client.receive(channel)
    assert (response.status, response.body, response.problem) == (413, b"no", None)


def test_a_server_that_reads_no_more_and_goes_on_answering(client: Client) -> None:
    channel = client.ask(method="POST", send_acks="bytes")
    client.front.send(channel, b"a" * 70_000)
    with client.server.accept() as peer:
        peer.head()
        peer.sock.shutdown(socket.SHUT_RD)
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\nfirst")
        client.front.expect("ack", channel, bytes=70_000)
        assert client.front.data(channel, 5) == b"first"
        for _ in range(3):
            client.front.send(channel, b"b" * 60_000)
            client.front.expect("ack", channel, bytes=60_000)
        peer.send(b"second")
        assert client.front.data(channel, 6) == b"second"
        assert "problem" not in client.front.expect("close", channel)


def test_data_after_done(client: Client) -> None:
    channel = client.send(method="POST", body=b"x")
    client.front.send(channel, b"y")
    response = client.receive(channel)
    assert response.problem == "protocol-error"


def test_other_commands_are_ignored(client: Client) -> None:
    channel = client.ask()
    client.front.control("options", channel=channel, x=1)
    client.front.control("done", channel=channel)
    with client.server.accept() as peer:
        peer.head()
        peer.answer()
    assert client.receive(channel).status == 200


def test_no_proxy_is_used(spanbridge_start: object, tmp_path: object) -> None:
    with tcp_server() as proxy, tcp_server() as server:
        url = f"http://127.0.0.1:{proxy.where['port']}"
        bridge = spanbridge_start(environ={"http_proxy": url, "HTTP_PROXY": url, "ALL_PROXY": url})  # type: ignore[operator]
        asked(Client(bridge.front_end, server))
        assert not proxy.called
