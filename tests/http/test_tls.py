"""TLS (docs/http.md, "TLS")."""

import os
import re
import socket
import ssl
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from spanbridge.testing.bridge import SPANBRIDGE, Bridge
from spanbridge.testing.deadline import SECONDS
from spanbridge.testing.home import Home
from spanbridge.testing.start import Start

from ..packages.client import Response
from .certificates import Maker, Pair
from .client import Client
from .frames import TEXT, answer_to, frame, read_frame
from .server import Peer, Server, fields_of, tcp_server

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def pair(maker: Maker) -> Pair:
    """Of a server on localhost."""
    return maker.make("server", names="DNS:localhost,IP:127.0.0.1", by=maker.authority)


@pytest.fixture
def client(bridge: Bridge, tcp: Server) -> Client:
    return Client(bridge.front_end, tcp)


def server_context(pair: Pair, *, clients: Pair | None = None) -> ssl.SSLContext:
    """`clients`: who signs the certificates that clients must show."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(clients.certificate)
    return context


def one_answer(peer: Peer) -> None:
    peer.head()
    peer.send(OK)


@contextmanager
def serving(server: Server, context: ssl.SSLContext, serve: Callable[[Peer], None] = one_answer) -> Iterator[list[Any]]:
    """Serve one connection in a thread; what it saw: the name the client asked for, or the error of the handshake."""
    seen: list[Any] = []
    context.sni_callback = lambda sock, name, context: seen.append(name)

    def run() -> None:
        sock, _ = server.sock.accept()
        sock.settimeout(SECONDS)
        with sock:
            try:
                wrapped = context.wrap_socket(sock, server_side=True)
            except OSError as error:
                seen.append(error)
                return
            with wrapped:
                try:
                    serve(Peer(wrapped))
                except (OSError, EOFError) as error:
                    seen.append(error)
                    return
                with suppress(OSError, ValueError):  # the client may have ended, and need not say so
                    wrapped.unwrap()

    thread = threading.Thread(target=run)
    thread.start()
    yield seen
    thread.join()


def ask(client: Client, context: ssl.SSLContext, tls: dict[str, Any], **members: Any) -> tuple[Response, list[Any]]:
    with serving(client.server, context) as seen:
        response = client.receive(client.send(tls=tls, **members))
    return response, seen


def trusting(pair: Pair) -> dict[str, Any]:
    return {"authority": {"data": pair.pem}}


# The server's certificate


def test_a_certificate_of_a_known_authority(client: Client, maker: Maker, pair: Pair) -> None:
    file = {"authority": {"file": str(maker.authority.certificate)}}
    for tls, members, name in (
        (trusting(maker.authority), {}, "localhost"),
        (file, {"address": "localhost"}, "localhost"),
        (file, {"address": "127.0.0.1"}, None),
    ):
        response, seen = ask(client, server_context(pair), tls, **members)
        assert (response.problem, response.body) == (None, b"hello")
        assert response.commands == ["ready", "response", "done", "close"]
        assert seen == [name]


def test_one_that_is_itself_an_authority(client: Client, maker: Maker) -> None:
    alone = maker.make("alone", names="DNS:localhost")
    response, _ = ask(client, server_context(alone), trusting(alone))
    assert (response.problem, response.body) == (None, b"hello")


def test_one_without_a_subject_alt_name_goes_by_its_cn(client: Client, maker: Maker) -> None:
    old = maker.make("old", common="localhost", by=maker.authority)
    response, _ = ask(client, server_context(old), trusting(maker.authority))
    assert response.problem is None
    response, _ = ask(client, server_context(old), trusting(maker.authority), address="127.0.0.1")
    assert response.problem == "unknown-hostkey"


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_one_that_is_not_accepted(client: Client, pair: Pair, version: ssl.TLSVersion) -> None:
    context = server_context(pair)
    context.maximum_version = context.minimum_version = version
    response, seen = ask(client, context, {})
    assert (response.commands, response.problem) == (["close"], "unknown-hostkey")
    (closed,) = response.controls
    assert ssl.PEM_cert_to_DER_cert(closed["rejected-certificate"]) == ssl.PEM_cert_to_DER_cert(pair.pem)
    assert f"localhost:{client.server.where['port']}" in closed["message"]
    assert isinstance(seen[-1], ssl.SSLError)  # the request never got there
    # Opened again with the rejected one as the authority, it is served.
    response, _ = ask(client, server_context(pair), {"authority": {"data": closed["rejected-certificate"]}})
    assert response.problem is None


def test_each_is_told_of_its_own(bridge: Bridge, maker: Maker, pair: Pair) -> None:
    """Handshakes at the same time, with the same options."""
    other = maker.make("second", names="DNS:localhost")
    with tcp_server() as one, tcp_server() as two:
        clients = [Client(bridge.front_end, server) for server in (one, two)]
        with serving(one, server_context(pair)), serving(two, server_context(other)):
            channels = [client.send(tls={}) for client in clients]
            for client, channel, of in zip(clients, channels, (pair, other), strict=True):
                told = client.receive(channel).controls[0]["rejected-certificate"]
                assert ssl.PEM_cert_to_DER_cert(told) == ssl.PEM_cert_to_DER_cert(of.pem)


def test_others_that_are_not_accepted(client: Client, maker: Maker) -> None:
    other_name = maker.make("other-name", names="DNS:example.org", by=maker.authority)
    expired = maker.make("expired", names="DNS:localhost", by=maker.authority, expired=True)
    for bad in (other_name, expired):
        response, _ = ask(client, server_context(bad), trusting(maker.authority))
        assert response.problem == "unknown-hostkey"
        told = response.controls[0]["rejected-certificate"]
        assert ssl.PEM_cert_to_DER_cert(told) == ssl.PEM_cert_to_DER_cert(bad.pem)


def test_no_validation(client: Client, maker: Maker) -> None:
    bad = maker.make("bad", names="DNS:example.org", expired=True)
    response, _ = ask(client, server_context(bad), {"validate": False})
    assert (response.problem, response.body) == (None, b"hello")


# Ours


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_certificates_of_clients(
    client: Client, maker: Maker, pair: Pair, tmp_path: Path, version: ssl.TLSVersion
) -> None:
    def context() -> ssl.SSLContext:
        made = server_context(pair, clients=maker.authority)
        made.maximum_version = made.minimum_version = version
        return made

    ours = maker.make("client", by=maker.authority)
    both = tmp_path / "both.pem"
    both.write_text(ours.pem + ours.key.read_text())
    trust = trusting(maker.authority)
    for shown in (
        {"certificate": {"file": str(ours.certificate)}, "key": {"file": str(ours.key)}},
        {"certificate": {"data": ours.pem}, "key": {"data": ours.key.read_text()}},
        {"certificate": {"file": str(both)}},
    ):
        response, _ = ask(client, context(), {**trust, **shown})
        assert (response.problem, response.body) == (None, b"hello")
    stranger = maker.make("stranger")
    theirs = {"certificate": {"data": stranger.pem}, "key": {"data": stranger.key.read_text()}}
    for shown in ({}, theirs):
        response, _ = ask(client, context(), {**trust, **shown})
        assert response.problem == "authentication-failed"


def test_files_that_cannot_be_used(bridge: Bridge, client: Client, maker: Maker, tmp_path: Path) -> None:
    ours, other = maker.make("mine", by=maker.authority), maker.make("other", by=maker.authority)
    nonsense, fifo = tmp_path / "nonsense.pem", tmp_path / "fifo"
    nonsense.write_text("SECRET nonsense")
    os.mkfifo(fifo)
    locked = tmp_path / "locked.key"
    subprocess.run(
        ["openssl", "pkey", "-in", str(ours.key), "-aes256", "-passout", "pass:SECRET", "-out", str(locked)], check=True
    )
    certificate = {"file": str(ours.certificate)}
    for tls, code, name in (
        ({"authority": {"file": "/no/such.pem"}}, "not-found", "authority"),
        ({"authority": {"file": str(nonsense)}}, "protocol-error", "authority"),
        ({"authority": {"file": str(fifo)}}, "protocol-error", "authority"),
        ({"authority": {"file": str(tmp_path)}}, "protocol-error", "authority"),
        ({"authority": {"data": ""}}, "protocol-error", "authority"),
        ({"authority": {"data": "SECRET \N{EURO SIGN}"}}, "protocol-error", "authority"),
        ({"certificate": {"file": "/no/such.pem"}}, "not-found", "certificate"),
        ({"certificate": {"data": "SECRET"}}, "protocol-error", "certificate"),
        ({"certificate": certificate}, "protocol-error", "certificate"),
        ({"certificate": certificate, "key": {"file": "/no/such.key"}}, "not-found", "key"),
        ({"certificate": certificate, "key": {"data": "SECRET"}}, "protocol-error", "key"),
        ({"certificate": certificate, "key": {"file": str(other.key)}}, "protocol-error", "key"),
        ({"certificate": certificate, "key": {"file": str(locked)}}, "protocol-error", "key"),
    ):
        response = client.receive(client.send(tls=tls))
        assert (response.commands, response.problem) == (["close"], code), tls
        message = response.controls[0]["message"]
        assert f'"{name}"' in message
        assert "SECRET" not in message
        assert not client.server.called
    assert "SECRET" not in bridge.log.text


def test_files_when_the_working_directory_was_removed(
    home: Home, tcp: Server, maker: Maker, pair: Pair, tmp_path: Path
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    with Bridge(home, command=("sh", "-c", f'cd "{here}" && rmdir "{here}" && exec "{SPANBRIDGE}"')) as bridge:
        bridge.front_end.init()
        client = Client(bridge.front_end, tcp)
        response, _ = ask(client, server_context(pair), {"authority": {"file": str(maker.authority.certificate)}})
        assert response.body == b"hello"
        response = client.receive(client.send(tls={"authority": {"file": "none.pem"}}))
        assert (response.commands, response.problem) == (["close"], "not-found")


# Servers that misbehave


def test_a_server_without_tls(client: Client) -> None:
    for said in (b"HTTP/1.1 400 Bad Request\r\n\r\n", b"SSH-2.0-x\r\n" * 10):
        channel = client.send(tls={})
        with client.server.accept() as peer:
            peer.send(said)
            response = client.receive(channel)
        assert (response.commands, response.problem) == (["close"], "protocol-error")


def test_a_server_that_ends_within_the_handshake(client: Client) -> None:
    channel = client.send(tls={})
    client.server.accept().close()
    assert client.receive(channel).problem == "disconnected"


def test_a_handshake_that_does_not_end(spanbridge_start: Start) -> None:
    with tcp_server() as server:
        client = Client(spanbridge_start(limits={"connect_seconds": 0.2}).front_end, server)
        response = client.receive(client.send(tls={}))  # the kernel takes the connection, and nobody answers
        assert (response.commands, response.problem) == (["close"], "timeout")


def test_close_within_the_handshake(client: Client) -> None:
    channel = client.send(tls={})
    with client.server.accept() as peer:
        peer.read(5)
        client.front.close(channel)
        client.front.expect("close", channel)
        peer.rest()


def test_a_body_that_ends_without_the_end_of_tls_is_not_whole(client: Client, maker: Maker, pair: Pair) -> None:
    def cut(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")
        peer.sock.shutdown(socket.SHUT_RDWR)

    with serving(client.server, server_context(pair), cut):
        response = client.receive(client.send(tls=trusting(maker.authority)))
    assert (response.body, response.problem) == (b"hello", "disconnected")


# What is carried


def test_a_body_up_to_the_end_of_the_connection(client: Client, maker: Maker, pair: Pair) -> None:
    def serve(peer: Peer) -> None:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\n\r\nhello")

    with serving(client.server, server_context(pair), serve):
        response = client.receive(client.send(tls=trusting(maker.authority)))
    assert (response.body, response.problem) == (b"hello", None)


def test_large_bodies_both_ways(client: Client, maker: Maker, pair: Pair) -> None:
    body = bytes(range(256)) * 20_000

    def serve(peer: Peer) -> None:
        length = re.search(r"Content-Length: (\d+)", peer.head())
        if length:  # all of it was there before the handshake was over
            peer.answer(peer.read(int(length[1])))
            return
        got = b""
        while size := int(peer.read_until(b"\r\n"), 16):
            got += peer.read(size)
            peer.read(2)
        peer.read(2)
        peer.answer(got)

    with serving(client.server, server_context(pair), serve):
        channel = client.ask(tls=trusting(maker.authority), method="POST", binary="raw")
        for at in range(0, len(body), 60_000):
            client.front.send(channel, body[at : at + 60_000])
        client.front.control("done", channel=channel)
        response = client.receive(channel)
    assert response.body == body


def test_a_kept_connection(client: Client, maker: Maker, pair: Pair) -> None:
    count = 3

    def serve(peer: Peer) -> None:
        for _ in range(count):
            one_answer(peer)

    with serving(client.server, server_context(pair), serve) as seen:
        tls = trusting(maker.authority)
        for _ in range(count):
            response = client.receive(client.send(connection="tls", tls=tls))
            assert response.body == b"hello"
        assert client.receive(client.ask(connection="tls", tls={})).problem == "protocol-error"
    assert seen == ["localhost"]


def test_a_websocket(client: Client, maker: Maker, pair: Pair) -> None:
    port = client.server.where["port"]

    def serve(peer: Peer) -> None:
        head = peer.head()
        assert f"Origin: https://localhost:{port}\r\n" in head
        value = answer_to(fields_of(head)["Sec-WebSocket-Key"])
        peer.send(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: %b\r\n\r\n" % value.encode()
        )
        peer.send(frame(TEXT, b"".join([read_frame(peer)[1]] * 2)))
        read_frame(peer)

    with serving(client.server, server_context(pair), serve):
        channel = client.ask(payload="websocket-stream1", tls=trusting(maker.authority))
        client.front.send(channel, b"a" * 100_000)
        assert client.front.data(channel, 200_000) == b"a" * 200_000
        client.front.close(channel)
        client.front.expect("close", channel)
