"""Connections that requests share, and how many there may be (docs/http.md, "Connections")."""

import socket
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.start import Start

from .client import Client
from .server import Peer, Server, tcp_server, unix_server


def served(client: Client, peer: Peer, channel: str, body: bytes = b"ok") -> None:
    """Answer the request of this channel on this connection."""
    peer.head()
    peer.answer(body)
    response = client.receive(channel)
    assert (response.status, response.body) == (200, body)


def test_requests_of_one_name_share_a_connection(client: Client) -> None:
    first = client.send(connection="a")
    with client.server.accept() as peer:
        served(client, peer, first)
        again: tuple[dict[str, Any], ...] = ({}, {"unix": ...}, {"method": "POST"})
        for members in again:
            served(client, peer, client.send(connection="a", **members))
        assert not client.server.called


def test_ready_comes_at_once_on_a_kept_connection(client: Client) -> None:
    first = client.send(connection="at-once")
    with client.server.accept() as peer:
        served(client, peer, first)
        second = client.ask(connection="at-once")
        client.front.expect("ready", second)
        client.front.control("done", channel=second)
        served(client, peer, second)


def test_names_and_no_name_share_nothing(client: Client) -> None:
    first = client.send(connection="b")
    with client.server.accept() as one:
        served(client, one, first)
        others: tuple[dict[str, Any], ...] = ({}, {"connection": "c"})
        for members in others:
            channel = client.send(**members)
            with client.server.accept() as other:
                served(client, other, channel)


def test_a_connection_without_a_name_ends_with_its_channel(client: Client) -> None:
    channel = client.send()
    with client.server.accept() as peer:
        served(client, peer, channel)
        assert peer.rest() == b""


def test_what_a_name_says_is_fixed(client: Client) -> None:
    channel = client.send(connection="d")
    with client.server.accept() as peer:
        served(client, peer, channel)
        for members in ({"unix": "/other"}, {"unix": ..., "port": 80}, {"unix": ..., "port": 80, "tls": {}}):
            response = client.receive(client.ask(connection="d", **members))
            assert (response.commands, response.problem) == (["close"], "protocol-error")
        served(client, peer, client.send(connection="d"))


def test_a_busy_connection_makes_another(client: Client) -> None:
    one, two = client.send(connection="e"), client.send(connection="e")
    with client.server.accept() as first, client.server.accept() as second:
        served(client, second, two)
        served(client, first, one)


@pytest.mark.parametrize(
    "answer",
    [
        b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\nok",
        b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokmore",
    ],
)
def test_connections_that_are_not_kept(client: Client, answer: bytes) -> None:
    for _ in range(2):
        channel = client.send(connection=f"of {client.server.where['unix']}")
        with client.server.accept() as peer:
            peer.head()
            peer.send(answer)
            assert client.receive(channel).body == b"ok"
            assert peer.rest() == b""


def test_a_connection_closed_within_an_answer_is_not_kept(client: Client) -> None:
    for _ in range(2):
        channel = client.send(connection="g")
        with client.server.accept() as peer:
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhe")
            client.front.data(channel, 2)
            client.front.close(channel)
            assert peer.rest() == b""


def test_a_connection_that_takes_no_more_is_not_kept(client: Client) -> None:
    """The server has shut down its reading side, and goes on saying that it keeps the connection."""
    channel = client.ask(connection="deaf", method="POST", binary="raw")
    client.front.send(channel, bytes(100_000))
    with client.server.accept() as peer:
        peer.head()
        peer.sock.shutdown(socket.SHUT_RD)
        client.front.send(channel, bytes(100_000))
        client.front.control("done", channel=channel)
        client.front.sync()
        peer.answer(b"ok")
        assert client.receive(channel).body == b"ok"
        channel = client.send(connection="deaf")
        with client.server.accept() as another:
            served(client, another, channel)


def test_one_that_the_server_has_closed_is_replaced_unseen(client: Client) -> None:
    for last in (b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"):
        for method in ("GET", "POST"):
            channel = client.send(connection="h", method=method)
            with client.server.accept() as peer:
                served(client, peer, channel)
                peer.send(last)


@pytest.mark.parametrize("last", [b"", b"HTTP/1.1 408 Request Timeout\r\n\r\n"])
@pytest.mark.parametrize("size", [0, 3, 100_000])
def test_one_that_the_server_closes_before_the_request_is_whole_is_replaced_unseen(
    client: Client, last: bytes, size: int
) -> None:
    """Nothing of it was sent yet: it may be one that is never sent twice."""
    name = f"whole-{size}-{len(last)}"
    channel = client.send(connection=name)
    with client.server.accept() as peer:
        served(client, peer, channel)
        channel = client.ask(connection=name, method="POST", send_acks="bytes")
        client.front.expect("ready", channel)
        peer.send(last)
    if size:
        client.front.send(channel, b"x" * size)
    client.front.control("done", channel=channel)
    with client.server.accept() as peer:
        head = peer.head()
        assert head.startswith("POST")
        if "chunked" in head:  # the end of the body was not there yet
            assert peer.read_until(b"0\r\n\r\n").count(b"x") == size
        else:
            assert peer.read(size) == b"x" * size
        peer.answer()
        response = client.receive(channel)
    acks = ["ack"] if size else []
    assert (response.status, response.commands) == (200, [*acks, "response", "done", "close"])


@pytest.mark.parametrize("sent", [False, True])
def test_a_close_while_it_is_replaced(client: Client, sent: bool) -> None:
    """Nothing is left of it, and the name serves others."""
    name = f"left-{sent}"
    channel = client.send(connection=name)
    with client.server.accept() as peer:
        served(client, peer, channel)
        channel = client.ask(connection=name, method="POST")
        client.front.expect("ready", channel)
    if sent:
        client.front.send(channel, b"x" * 100_000)
    client.front.control("done", channel=channel)
    client.front.close(channel)
    client.front.expect("close", channel)
    channel = client.send("/next", connection=name)
    head = ""
    while not head.startswith("GET /next"):  # what was given up may have come so far
        with client.server.accept() as peer, suppress(EOFError):
            head = peer.head()
            if head.startswith("GET /next"):
                peer.answer()
                assert client.receive(channel).status == 200


def test_a_request_is_sent_once_more(client: Client) -> None:
    """The server ends the kept connection when it has read the request, before any answer."""
    for method, body in (("GET", b""), ("HEAD", b""), ("OPTIONS", b""), ("PUT", b"body"), ("DELETE", b"")):
        name = f"again-{method}"
        channel = client.send(connection=name)
        with client.server.accept() as kept:
            served(client, kept, channel)
            channel = client.send(connection=name, method=method, body=body, send_acks="bytes")
            first = kept.head()
            kept.read(len(body))
        with client.server.accept() as fresh:
            assert fresh.head() == first
            assert fresh.read(len(body)) == body
            fresh.answer(status="204 No Content")
            response = client.receive(channel)
            acks = ["ack"] if body else []
            assert (response.status, response.commands) == (204, ["ready", *acks, "response", "done", "close"])


def test_a_body_that_was_taken_in_part_is_acknowledged_whole(bridge: Bridge, tcp: Server) -> None:
    """The kept connection ends while it has taken some of the body; all of it goes over the new one."""
    tcp.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2_048)
    tcp.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)  # keeps what the bridge's end takes small, too
    client = Client(bridge.front_end, tcp)
    channel = client.send(connection="in part")
    with tcp.accept() as kept:
        served(client, kept, channel)
        channel = client.ask(connection="in part", method="PUT", binary="raw", send_acks="bytes")
        for _ in range(6):
            client.front.send(channel, bytes(10_000))
        client.front.control("done", channel=channel)
        client.front.sync()
        assert client.front.commands(channel).count("ack") < 6
        kept.sock.shutdown(socket.SHUT_WR)
        with tcp.accept() as fresh:
            fresh.head()
            assert fresh.read(60_000) == bytes(60_000)
            fresh.answer(b"ok")
            response = client.receive(channel)
    assert response.commands == ["ready", *["ack"] * 6, "response", "done", "close"]


def test_a_request_that_is_not_sent_once_more(client: Client) -> None:
    for method, said in (("POST", b""), ("PATCH", b""), ("GET", b"H")):
        name = f"once-{method}"
        channel = client.send(connection=name)
        with client.server.accept() as kept:
            served(client, kept, channel)
            channel = client.send(connection=name, method=method)
            kept.head()
            kept.send(said)
        assert client.receive(channel).problem == "disconnected"
        assert not client.server.called


def test_it_is_sent_once_more_once(client: Client) -> None:
    channel = client.send(connection="twice")
    with client.server.accept() as kept:
        served(client, kept, channel)
        channel = client.send(connection="twice")
        kept.head()
    with client.server.accept() as fresh:
        fresh.head()
    assert client.receive(channel).problem == "disconnected"


def test_it_is_sent_once_more_on_a_new_connection(client: Client) -> None:
    """A server that restarts ends all that were kept, one after the other."""
    channels = [client.send(connection="all-end") for _ in range(2)]
    with client.server.accept() as one:
        with client.server.accept() as other:
            served(client, one, channels[0])
            served(client, other, channels[1])
            channel = client.send(connection="all-end")
            other.head()
        with client.server.accept() as fresh:
            served(client, fresh, channel)


def test_a_kept_one_makes_room_for_the_new_one_of_its_name(spanbridge_start: Start, server: Server) -> None:
    bridge = spanbridge_start(limits={"http_connections_per_name": 2})
    client = Client(bridge.front_end, server)
    channels = [client.send(connection="full") for _ in range(2)]
    with server.accept() as one:
        with server.accept() as other:
            served(client, one, channels[0])
            served(client, other, channels[1])
            again, waits = client.send(connection="full"), client.send(connection="full")
            other.head()
            one.head()
            more = client.send(connection="full")
            bridge.log.wait("limit name=http_connections_per_name value=2 .* connection=full")
        # What waited has the place of the connection that has ended.
        with server.accept() as fresh:
            served(client, fresh, more)
            with server.accept() as another:
                served(client, another, again)
                assert fresh.rest() == b""
                one.answer(b"ok")
                assert client.receive(waits).body == b"ok"


def test_at_most_sixteen_of_one_name(client: Client) -> None:
    channels = [client.send(connection="many") for _ in range(18)]
    peers = [client.server.accept() for _ in range(16)]
    client.front.sync()
    assert not client.server.called
    other = client.send(connection="another")
    with client.server.accept() as peer:
        served(client, peer, other)
    served(client, peers[0], channels[0])
    client.front.close(channels[1])
    with client.server.accept() as peer:
        served(client, peer, channels[17])
        served(client, peers[0], channels[16])
    for channel in channels[2:16]:
        client.front.close(channel)
    for each in peers:
        each.close()


def test_how_many_of_one_name(spanbridge_start: Start, server: Server) -> None:
    bridge = spanbridge_start(limits={"http_connections_per_name": 1})
    client = Client(bridge.front_end, server)
    one, two = (client.send(connection="one") for _ in range(2))
    with server.accept() as peer:
        assert bridge.log.wait("limit name=http_connections_per_name value=1 .* connection=one")
        other = client.send(connection="another")
        with server.accept() as another:
            served(client, another, other)
        assert not server.called
        served(client, peer, one)
        served(client, peer, two)


def test_at_most_eight_are_kept(client: Client) -> None:
    channels = [client.send(connection="kept") for _ in range(10)]
    peers = [client.server.accept() for _ in range(10)]
    for peer, channel in zip(peers, channels, strict=True):
        served(client, peer, channel)
    for peer in peers[:2]:
        assert peer.rest() == b""
    served(client, peers[-1], client.send(connection="kept"))
    for peer in peers:
        peer.close()


def test_connections_are_counted(spanbridge_start: Start, server: Server) -> None:
    bridge = spanbridge_start(limits={"http_connections": 3})
    client = Client(bridge.front_end, server)
    channels = [client.send() for _ in range(3)]
    waiting = [client.send(), client.send(connection="x"), client.ask(payload="websocket-stream1")]
    peers = [server.accept() for _ in range(3)]
    client.front.sync()
    assert not server.called
    client.front.close(waiting[0])
    client.front.expect("close", waiting[0])
    served(client, peers[0], channels[0])
    with server.accept() as peer:
        served(client, peer, waiting[1])
        # It is kept, and must not stand in the way of whoever waits.
        with server.accept() as other:
            assert "websocket" in other.head()
    for each in peers:
        each.close()
    bridge.log.wait(r"limit.*http_connections")


def test_each_session_has_its_own(spanbridge_start: Start, server: Server) -> None:
    one, two = (Client(spanbridge_start().front_end, server) for _ in range(2))
    channel = one.send(connection="s")
    with server.accept() as peer:
        served(one, peer, channel)
        response = two.receive(two.ask(connection="s", unix=...))
        assert response.problem == "protocol-error"


def test_names_that_are_looked_up(bridge: Bridge, tcp: Server) -> None:
    client = Client(bridge.front_end, tcp)
    for address in ("127.0.0.1", "localhost", ...):
        channel = client.send(address=address)
        with tcp.accept() as peer:
            served(client, peer, channel)


def test_two_servers_at_once(bridge: Bridge, server: Server) -> None:
    with tcp_server() as other:
        one, two = Client(bridge.front_end, server), Client(bridge.front_end, other)
        first, second = one.send(), two.send()
        with other.accept() as peer:
            served(two, peer, second)
        with server.accept() as peer:
            served(one, peer, first)


def test_a_unix_server_is_found_under_its_path(bridge: Bridge, tmp_path: Path) -> None:
    with unix_server(tmp_path / "with space and \N{EURO SIGN}") as server:
        client = Client(bridge.front_end, server)
        channel = client.send()
        with server.accept() as peer:
            served(client, peer, channel)
