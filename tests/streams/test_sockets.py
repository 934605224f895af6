"""Sockets as channels."""

import os
import resource
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from spanbridge.testing.plugin import Start

from .client import Client

SECONDS = 60


class Server:
    """Listens, and has each connection served by `serve`, in a thread."""

    def __init__(self, sock: socket.socket, serve: Callable[[socket.socket], None]) -> None:
        self._sock = sock
        self._serve = serve
        self._threads: list[threading.Thread] = []
        self.failures: list[BaseException] = []
        sock.listen(50)
        self._accepting = threading.Thread(target=self._accept)
        self._accepting.start()

    def _accept(self) -> None:
        while True:
            try:
                connected, _ = self._sock.accept()
            except OSError:
                return
            connected.settimeout(SECONDS)
            thread = threading.Thread(target=self._one, args=(connected,))
            self._threads.append(thread)
            thread.start()

    def _one(self, connected: socket.socket) -> None:
        with connected:
            try:
                self._serve(connected)
            except BaseException as error:  # noqa: BLE001 - told by the test
                self.failures.append(error)

    def close(self) -> None:
        self._sock.shutdown(socket.SHUT_RDWR)
        self._sock.close()
        self._accepting.join(SECONDS)
        for thread in self._threads:
            thread.join(SECONDS)
        assert not self.failures


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    servers: list[Server] = []

    def start(serve: Callable[[socket.socket], None], kind: int = socket.SOCK_STREAM) -> str:
        path = str(tmp_path / f"socket-{len(servers)}")
        sock = socket.socket(socket.AF_UNIX, kind)
        sock.bind(path)
        servers.append(Server(sock, serve))
        return path

    yield start
    for server in servers:
        server.close()


def echo(sock: socket.socket) -> None:
    while data := sock.recv(65_536):
        sock.sendall(data)


def test_a_unix_socket_from_start_to_end(client: Client, serve: Callable[..., str]) -> None:
    channel = client.open(unix=serve(echo))
    client.front.send(channel, b"hello")
    assert client.front.data(channel, 5) == b"hello"
    client.front.control("done", channel=channel)
    heard = client.heard(channel)
    assert heard.commands == ["ready", "data", "done", "close"]
    assert heard.closed == {"command": "close", "channel": channel}


def test_large_amounts_in_both_directions(client: Client, serve: Callable[..., str]) -> None:
    data = os.urandom(3 << 20)
    channel = client.open(unix=serve(echo), binary="raw")
    for at in range(0, len(data), 65_536):
        client.front.send(channel, data[at : at + 65_536])
    client.front.control("done", channel=channel)
    assert client.heard(channel).data == data


def test_tcp_by_name_and_by_address(client: Client) -> None:
    for family, address in ((socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
        sock = socket.socket(family)
        try:
            sock.bind((address, 0))
        except OSError:
            sock.close()
            continue
        server = Server(sock, echo)
        port = sock.getsockname()[1]
        for options in ({}, {"address": "localhost"}, {"address": address}):
            channel = client.open(port=port, **options)
            client.front.send(channel, b"over tcp")
            assert client.front.data(channel, 8) == b"over tcp"
            client.front.close(channel)
        server.close()


def test_nobody_there(client: Client, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for path, problem in {
        "/no/such/socket": "not-found",
        str(tmp_path / "file"): "not-found",
        str(tmp_path / ("x" * 120)): "not-found",
    }.items():
        closed = client.refused(unix=path)
        assert closed["problem"] == problem
        assert path in closed["message"]
    free = socket.socket()
    free.bind(("127.0.0.1", 0))
    port = free.getsockname()[1]
    assert client.refused(port=port)["problem"] == "not-found"
    free.close()


def test_the_peer_ends_first(client: Client, serve: Callable[..., str]) -> None:
    def say(sock: socket.socket) -> None:
        sock.sendall(b"goodbye")

    heard = client.heard(client.open(unix=serve(say)))
    assert heard.commands == ["ready", "data", "done", "close"]
    assert heard.data == b"goodbye"
    assert "problem" not in heard.closed


def test_what_waits_is_written_after_the_peer_has_said_all(client: Client, serve: Callable[..., str]) -> None:
    got: list[int] = []
    sent, go = threading.Event(), threading.Event()

    def half(sock: socket.socket) -> None:
        sent.wait(SECONDS)
        sock.shutdown(socket.SHUT_WR)
        go.wait(SECONDS)
        size = 0
        while data := sock.recv(1 << 20):
            size += len(data)
        got.append(size)

    channel = client.open(unix=serve(half), binary="raw")
    client.front.send(channel, b"x" * (4 << 20))
    client.front.sync()
    sent.set()
    client.front.expect("done", channel)
    assert "close" not in client.front.commands(channel)
    go.set()
    assert "problem" not in client.heard(channel).closed


def test_a_reset_is_disconnected(client: Client, serve: Callable[..., str]) -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))

    def reset(connected: socket.socket) -> None:
        connected.recv(1)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    server = Server(sock, reset)
    channel = client.open(port=sock.getsockname()[1])
    client.front.send(channel, b"x")
    heard = client.heard(channel)
    assert heard.closed["problem"] == "disconnected"
    assert heard.closed["message"]
    server.close()


@pytest.mark.parametrize("half", [False, True])
@pytest.mark.parametrize("family", [socket.AF_INET, socket.AF_UNIX])
def test_a_reset_while_data_waits_is_disconnected(
    client: Client, family: socket.AddressFamily, half: bool, tmp_path: Path
) -> None:
    sock = socket.socket(family)
    sock.bind(("127.0.0.1", 0) if family == socket.AF_INET else str(tmp_path / "socket"))
    sent, ended = threading.Event(), threading.Event()

    def reset(connected: socket.socket) -> None:
        sent.wait(SECONDS)
        if half:
            connected.shutdown(socket.SHUT_WR)
            ended.wait(SECONDS)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    server = Server(sock, reset)
    to = {"port": sock.getsockname()[1]} if family == socket.AF_INET else {"unix": sock.getsockname()}
    channel = client.open(binary="raw", **to)
    client.front.send(channel, bytes(12 << 20))
    client.front.sync()
    sent.set()
    if half:
        client.front.expect("done", channel)
        ended.set()
    assert client.heard(channel).closed["problem"] == "disconnected"
    server.close()


def test_a_reset_that_writing_has_met_is_told_after_what_came_before(client: Client) -> None:
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    window = 2 << 20
    taken, gone = threading.Event(), threading.Event()

    def reset(connected: socket.socket) -> None:
        connected.sendall(bytes(window) + b"the rest")
        taken.wait(SECONDS)
        connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connected.close()
        gone.set()

    server = Server(sock, reset)
    channel = client.open(port=sock.getsockname()[1], address="127.0.0.1", binary="raw", flow_control=True)
    client.front.data(channel, window)
    taken.set()
    assert gone.wait(SECONDS)
    client.front.send(channel, b"nobody has it")
    client.front.sync()
    client.front.control("pong", channel=channel, sequence=window)
    heard = client.heard(channel)
    assert heard.data[window:] == b"the rest"
    assert heard.closed["problem"] == "disconnected"
    server.close()


def test_the_end_of_input_is_told_where_no_descriptor_is_left(start: Start, serve: Callable[..., str]) -> None:
    got: list[int] = []
    go = threading.Event()

    def take(sock: socket.socket) -> None:
        go.wait(SECONDS)
        size = 0
        while data := sock.recv(1 << 20):
            size += len(data)
        got.append(size)

    bridge, path = start(), serve(take)
    front = bridge.front_end
    front.open("first", "stream", unix=path, binary="raw")
    front.expect("ready", "first")
    resource.prlimit(bridge.pid, resource.RLIMIT_NOFILE, (3, 3))  # for those to come
    front.send("first", bytes(2 << 20))
    front.control("done", channel="first")
    front.sync()
    go.set()
    front.expect("close", "first")
    assert got[0] == 2 << 20
    assert "problem" not in front.of("first")[-1].message


def test_a_channel_closed_while_it_connects(start: Start) -> None:
    """Nobody answers: neither the session nor another channel waits for that."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    waiting = [socket.socket() for _ in range(8)]
    for sock in waiting:
        sock.setblocking(False)
        sock.connect_ex(full.getsockname())
    client = Client(start(limits={"connect_seconds": 0.5}), "connects")
    port = full.getsockname()[1]
    where = {"address": "127.0.0.1", "port": port}
    closed, timed_out = client.open(**where), client.open(**where)
    client.front.send(timed_out, b"early")
    client.front.close(closed)
    assert client.run("echo on").data == b"on\n"
    if "ready" not in client.front.commands(timed_out):
        assert client.heard(timed_out).closed["problem"] == "timeout"
    for sock in (full, *waiting):
        sock.close()


# Records


def records(sock: socket.socket) -> None:
    while data := sock.recv(1 << 20):
        sock.sendall(b"got %d" % len(data))


def test_records_are_messages(client: Client, serve: Callable[..., str]) -> None:
    path = serve(records, socket.SOCK_SEQPACKET)
    channel = client.open("packet", unix=path, **{"send-acks": "bytes"})
    for size in (1, 100, 60_000):
        client.front.send(channel, b"x" * size)
    for size in (1, 100, 60_000):
        expected = b"got %d" % size
        assert client.front.data(channel, len(expected)) == expected
    client.front.control("done", channel=channel)
    heard = client.heard(channel)
    assert heard.messages == [b"got 1", b"got 100", b"got 60000"]
    assert heard.commands[-2:] == ["done", "close"]
    assert heard.commands.count("ack") == 3


def test_long_records_are_cut(client: Client, serve: Callable[..., str]) -> None:
    def say(sock: socket.socket) -> None:
        sock.send("€".encode() * 100)
        sock.recv(1)

    path = serve(say, socket.SOCK_SEQPACKET)
    channel = client.open("packet", unix=path, **{"max-size": 10})
    assert client.front.data(channel, 12).decode() == "€€€\ufffd"
    client.front.close(channel)
    for size in (0, 131_073, "5", True):
        assert client.refused("packet", unix=path, **{"max-size": size})["problem"] == "protocol-error"


def test_records_that_the_socket_refuses(client: Client, serve: Callable[..., str]) -> None:
    channel = client.open("packet", unix=serve(records, socket.SOCK_SEQPACKET), binary="raw")
    client.front.send(channel, b"x" * (8 << 20))
    assert client.heard(channel).closed["problem"] == "too-large"


def test_records_that_came_before_a_reset(client: Client, serve: Callable[..., str]) -> None:
    """The peer ends with a record unread: that is a reset, and told before the records that it has sent."""

    def say(sock: socket.socket) -> None:
        sock.recv(1, socket.MSG_PEEK)
        for record in (b"one", b"two"):
            sock.send(record)

    channel = client.open("packet", unix=serve(say, socket.SOCK_SEQPACKET), **{"send-acks": "bytes"})
    client.front.send(channel, b"never read")
    heard = client.heard(channel)
    assert heard.messages == [b"one", b"two"]
    assert heard.closed["problem"] == "disconnected"


def test_a_packet_needs_a_path(client: Client) -> None:
    assert client.refused("packet")["problem"] == "protocol-error"
    assert client.refused("packet", unix="/no/such")["problem"] == "not-found"
