"""Servers that do not answer, bodies that nobody takes: nothing grows, nobody else waits (docs/http.md)."""

import os
import socket
import threading
from contextlib import ExitStack, suppress
from pathlib import Path

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.frames import encode, encode_control
from spanbridge.testing.start import Start

from .client import Client
from .frames import BINARY, accept, read_frame
from .server import Peer, Server

MIB = 1 << 20


def memory(bridge: Bridge) -> int:
    """Bytes that it holds in memory, at most so far."""
    status = Path(f"/proc/{bridge.pid}/status").read_text()
    (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) << 10


def pour(peer: Peer, nbytes: int, piece: bytes = bytes(MIB)) -> None:
    """Say so many bytes, as fast as they are taken, until somebody ends it."""
    with suppress(OSError):
        for _ in range(nbytes // len(piece)):
            peer.sock.sendall(piece)


def test_three_hundred_servers_that_never_answer(client: Client) -> None:
    with ExitStack() as stack:
        channels = [client.send() for _ in range(100)]
        channels += [client.send(connection=f"stuck-{number}") for number in range(100)]
        channels += [client.ask(payload="websocket-stream1") for _ in range(100)]
        peers = [stack.enter_context(client.server.accept()) for _ in channels]
        for peer in peers[::3]:
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-")
        for _ in range(20):
            channel = client.send()
            with client.server.accept() as peer:
                peer.head()
                peer.answer(b"ok")
                assert client.receive(channel).body == b"ok"
        for channel in channels:
            client.front.close(channel)
        for channel in channels:
            client.front.expect("close", channel)


def test_a_body_that_nobody_takes(spanbridge_start: Start, server: Server) -> None:
    """1 GiB of it, by a front end that reads nothing, on channels with and without flow-control."""
    bridge = spanbridge_start()
    front = bridge.front_end
    client = Client(front, server)
    warm = client.send(binary="raw")
    with server.accept() as peer:
        peer.head()
        peer.answer(bytes(MIB))
        client.receive(warm)
    before = memory(bridge)
    with ExitStack() as stack:
        threads = []
        for members in ({"binary": "raw"}, {"binary": "raw", "flow_control": True}, {}):
            channel = client.send(**members)
            peer = stack.enter_context(server.accept())
            peer.head()
            peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
            front.expect("response", channel)
            thread = threading.Thread(target=pour, args=[peer, 1 << 30])
            thread.start()
            threads.append((thread, peer))
        # It says what fits and stops: then the kernel's buffers are full, and so are the bridge's.
        deadline = Deadline(30)
        last = -1
        while front.unread != last or not last:
            last = front.unread
            assert deadline.left_ms > 0
            for _, peer in threads:
                wait_stuck(peer.sock)
        assert memory(bridge) - before < 16 * MIB
        for _, peer in threads:
            peer.sock.shutdown(socket.SHUT_RDWR)
        for thread, _ in threads:
            thread.join()


def wait_stuck(sock: socket.socket) -> None:
    """Wait until nothing of what was said has been taken for a moment: there is no event for that."""
    import select

    poll = select.poll()
    poll.register(sock, select.POLLOUT)
    while poll.poll(100):
        pass


def test_others_are_served_beside_a_body_that_is_not_taken(client: Client) -> None:
    """With flow-control, one channel's window does not hold up another."""
    slow = client.send(binary="raw", flow_control=True)
    with client.server.accept() as peer:
        peer.head()
        peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % (1 << 30))
        thread = threading.Thread(target=pour, args=[peer, 1 << 30])
        thread.start()
        client.front.wait_until(lambda: len(client.front.data_so_far(slow)) >= 2 * MIB, "a window of data")
        for _ in range(5):
            channel = client.send()
            with client.server.accept() as other:
                other.head()
                other.answer(b"ok")
                assert client.receive(channel).body == b"ok"
        client.front.sync()
        assert len(client.front.data_so_far(slow)) <= 2 * MIB + 65_536
        client.front.close(slow)
        client.front.expect("close", slow)
        thread.join()


def test_a_window_that_opens_again(client: Client) -> None:
    body = os.urandom(5 * MIB)
    channel = client.send(binary="raw", flow_control=True)
    with client.server.accept() as peer:
        peer.head()
        thread = threading.Thread(target=peer.answer, args=[body])
        thread.start()
        got = b""
        while len(got) < len(body):
            frame = client.front.take(lambda frame: (frame.channel or frame.message["channel"]) == channel, "more")
            if frame.channel:
                got += frame.payload
            elif frame.message["command"] == "ping":
                client.front.message({**frame.message, "command": "pong"})
        assert got == body
        client.front.expect("close", channel)
        thread.join()


def test_a_body_that_the_server_does_not_take(spanbridge_start: Start, server: Server) -> None:
    bridge = spanbridge_start(limits={"channel_queue_bytes": 100_000, "stuck_seconds": 0.3})
    client = Client(bridge.front_end, server)
    channel = client.ask(method="POST", binary="raw")
    with server.accept():
        piece = bytes(60_000)
        for _ in range(20):
            client.front.send(channel, piece)
        closed = client.front.expect("close", channel)
        assert closed["problem"] == "timeout"
    bridge.log.wait(r"limit.*channel_queue_bytes")


def test_short_messages_that_the_server_does_not_take(spanbridge_start: Start, server: Server) -> None:
    """What waits is bounded in memory, not in the bytes of data that are in it."""
    bridge = spanbridge_start(limits={"channel_queue_bytes": MIB, "stuck_seconds": 0.3})
    client = Client(bridge.front_end, server)
    for members in ({"payload": "http-stream2", "method": "POST"}, {"payload": "stream", "method": ..., "path": ...}):
        channel = client.ask(binary="raw", send_acks="bytes", **members)
        with server.accept():
            client.front.send(channel, bytes(500_000))
            client.front.write(encode(channel, b"x") * 50_000)
            assert client.front.expect("close", channel)["problem"] == "timeout"


@pytest.mark.parametrize("command", [None, "options"])
def test_what_comes_before_there_is_a_connection_is_bounded(
    spanbridge_start: Start, server: Server, command: str | None
) -> None:
    limits = {"http_connections": 1, "channel_queue_bytes": MIB, "stuck_seconds": 0.3}
    client = Client(spanbridge_start(limits=limits).front_end, server)
    first = client.ask()
    channel = client.ask(payload="websocket-stream1", method=...)
    told = encode(channel, b"") if command is None else encode_control({"command": command, "channel": channel})
    client.front.write(told * 20_000)
    assert client.front.expect("close", channel)["problem"] == "timeout"
    client.front.close(first)


def test_what_was_held_waits_as_before_once_there_is_a_connection(spanbridge_start: Start, server: Server) -> None:
    limits = {"channel_queue_bytes": MIB, "stuck_seconds": 0.5}
    client = Client(spanbridge_start(limits=limits).front_end, server)
    channel = client.ask(payload="websocket-stream1", method=..., binary="raw", send_acks="bytes")
    for _ in range(100):
        client.front.control("options", channel=channel, text="x" * 9_000)
    client.front.send(channel, bytes(100_000))
    with server.accept() as peer:
        accept(peer)
        client.front.expect("ready", channel)
        assert read_frame(peer) == (BINARY, bytes(100_000))
        client.front.expect("ack", channel, bytes=100_000)
        for _ in range(100):  # more than there is room for at a time: nothing of before counts any more
            client.front.send(channel, bytes(100_000))
            assert read_frame(peer) == (BINARY, bytes(100_000))
        client.front.close(channel)
        client.front.expect("close", channel)


def test_nothing_is_left(spanbridge_start: Start, server: Server) -> None:
    """Descriptors of channels that ended in any way are closed."""
    bridge = spanbridge_start()
    client = Client(bridge.front_end, server)

    def descriptors() -> int:
        return len(os.listdir(f"/proc/{bridge.pid}/fd"))

    def rounds() -> None:
        for payload in ("http-stream2", "websocket-stream1"):
            channel = client.send(payload=payload)
            with server.accept() as peer:
                peer.head()
                client.front.close(channel)
                client.front.expect("close", channel)
            channel = client.send(payload=payload)
            with server.accept() as peer:
                peer.head()
            client.receive(channel)
            channel = client.send(payload=payload)
            with server.accept() as peer:
                peer.head()
                peer.answer(status="404 Not Found")
                client.receive(channel)
        client.receive(client.send(unix="/no/such"))

    rounds()
    before = descriptors()
    for _ in range(10):
        rounds()
    client.front.sync()
    assert descriptors() == before
