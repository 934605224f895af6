"""Servers that send much in tiny pieces: others have their turn in between (docs/http.md)."""

import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.deadline import Deadline
from spanbridge.testing.frames import Frame
from spanbridge.testing.start import Start

from .client import Client
from .frames import BINARY, CLOSE, CONT, PING, PONG, TEXT, close_of, frame, read_frame
from .server import Server
from .test_websocket import Talk

FRAMES = 12_000  # of two or three bytes: one read has them all
TURNS = 4_000  # more messages than a few turns have, and far less than all


@contextmanager
def stopped(bridge: Bridge) -> Iterator[None]:
    """What is sent meanwhile is there all at once when it goes on, in this order: it waits for events."""
    deadline = Deadline()
    while _state(bridge.pid) != "S":
        assert deadline.left, "the bridge has always something to do"
        bridge.front_end.sync()
    bridge.signal(signal.SIGSTOP)
    os.waitid(os.P_PID, bridge.pid, os.WSTOPPED)
    try:
        yield
    finally:
        bridge.signal(signal.SIGCONT)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]


@pytest.fixture
def raw(client: Client) -> Iterator[Talk]:
    made = Talk(client, binary="raw").ready()
    yield made
    made.peer.close()


def before_the_answer(bridge: Bridge, raw: Talk, *frames: bytes) -> list[bytes]:
    """The messages that come before somebody else is answered, where both have come at once."""
    other = f"beside {raw.channel}"
    with stopped(bridge):
        raw.hear(b"".join(frames))
        bridge.front_end.open(other, "info")
    bridge.front_end.expect("close", other)
    log = bridge.front_end.log
    place = next(at for at, each in enumerate(log) if each.channel == other)
    return [each.payload for each in log[:place] if each.channel == raw.channel]


@pytest.mark.parametrize(
    "flood",
    [
        frame(BINARY) * FRAMES,
        frame(BINARY, b"x") * FRAMES,
        frame(PING) * FRAMES,
        frame(PONG) * FRAMES,
        (frame(PING) + frame(BINARY)) * (FRAMES // 2),
        frame(BINARY, fin=False) + frame(CONT, fin=False) * FRAMES + frame(CONT),
        frame(BINARY, fin=False) + (frame(CONT, fin=False) + frame(PONG)) * (FRAMES // 2) + frame(CONT),
    ],
    ids=["empty", "short", "pings", "pongs", "pings and messages", "fragments", "pongs among fragments"],
)
def test_tiny_frames_hold_up_nobody(bridge: Bridge, raw: Talk, flood: bytes) -> None:
    over = frame(BINARY, b"over")
    drain = threading.Thread(target=raw.peer.rest)  # pongs
    drain.start()
    before = before_the_answer(bridge, raw, flood, over)
    assert len(before) < TURNS
    assert b"over" not in before
    raw.front.wait_until(lambda: raw.messages[-1:] == [b"over"], "the end of the flood")
    raw.front.close(raw.channel)
    raw.close()
    raw.peer.sock.shutdown(socket.SHUT_RDWR)
    drain.join()


def test_messages_of_several_turns_come_in_order(bridge: Bridge, raw: Talk) -> None:
    sent = [b"%d" % number for number in range(5_000)]
    before = before_the_answer(bridge, raw, *(frame(BINARY, each) for each in sent), frame(CLOSE, close_of(1000)))
    assert len(before) < TURNS
    assert "problem" not in raw.close()
    assert raw.messages == sent
    assert raw.front.commands(raw.channel)[-2:] == ["done", "close"]


def test_a_close_while_much_is_left_of_a_read(bridge: Bridge, raw: Talk) -> None:
    with stopped(bridge):
        raw.hear(frame(BINARY, b"x") * FRAMES)
        raw.front.close(raw.channel)
    raw.close()
    raw.front.sync()
    assert len(raw.messages) < TURNS
    assert raw.front.commands(raw.channel)[-1] == "close"
    assert read_frame(raw.peer) == (CLOSE, close_of(1000))


def test_done_while_much_is_left_of_a_read(bridge: Bridge, raw: Talk) -> None:
    """What the server has said still comes; its close frame, that comes first, is answered to none of ours."""
    with stopped(bridge):
        raw.hear(frame(BINARY, b"x") * FRAMES + frame(CLOSE, close_of(1001)))
        raw.front.control("done", channel=raw.channel)
    assert raw.close()["close-code"] == 1001
    assert raw.messages == [b"x"] * FRAMES
    assert raw.front.commands(raw.channel)[-2:] == ["done", "close"]
    assert read_frame(raw.peer) == (CLOSE, close_of(1000))


def test_the_end_while_much_is_left_of_a_read(bridge: Bridge, raw: Talk) -> None:
    """All that came before it is told."""
    with stopped(bridge):
        raw.hear(frame(BINARY, b"x") * FRAMES)
        raw.peer.close()
    assert raw.close()["problem"] == "disconnected"
    assert raw.messages == [b"x"] * FRAMES


def test_what_is_wrong_after_much_else(bridge: Bridge, raw: Talk) -> None:
    before = before_the_answer(bridge, raw, frame(BINARY, b"x") * FRAMES, frame(3), frame(BINARY, b"not passed on"))
    assert len(before) < TURNS
    assert raw.close()["problem"] == "protocol-error"
    assert raw.messages == [b"x"] * FRAMES


def test_a_front_end_that_takes_no_more_than_a_window(spanbridge_start: Start, server: Server) -> None:
    """It stops the rest of a read, too."""
    window = 4_096
    bridge = spanbridge_start(limits={"window_bytes": window})
    raw = Talk(Client(bridge.front_end, server), binary="raw", flow_control=True).ready()
    raw.hear(frame(BINARY, b"x") * FRAMES + frame(BINARY, b"over"))
    for _ in range(FRAMES // window):
        ping = raw.front.expect("ping", raw.channel)
        raw.front.sync()
        assert len(raw.messages) <= ping["sequence"] + TURNS
        raw.front.control("pong", channel=raw.channel, sequence=ping["sequence"])
    raw.front.wait_until(lambda: raw.messages[-1:] == [b"over"], "the end of the flood")
    assert raw.messages == [b"x"] * FRAMES + [b"over"]
    raw.peer.close()


def test_a_server_that_floods_on_after_done(spanbridge_start: Start, server: Server) -> None:
    """It has no more time for its close frame than one that is silent."""
    bridge = spanbridge_start(limits={"websocket_close_seconds": 0.2})
    raw = Talk(Client(bridge.front_end, server), binary="raw").ready()

    def flood() -> None:
        with suppress(OSError):
            while True:
                raw.hear(frame(PONG) * FRAMES)

    server_goes_on = threading.Thread(target=flood)
    server_goes_on.start()
    raw.front.control("done", channel=raw.channel)
    assert raw.close()["problem"] == "disconnected"
    server_goes_on.join()
    raw.peer.close()


def test_messages_that_are_cut_by_reads(bridge: Bridge, client: Client) -> None:
    talk = Talk(client).ready()
    sent = ["é" * (number % 7) for number in range(20_000)]
    writer = threading.Thread(target=talk.hear, args=[b"".join(frame(TEXT, each.encode()) for each in sent)])
    writer.start()
    talk.front.wait_until(lambda: len(talk.messages) == len(sent), "all messages")
    writer.join()
    assert talk.messages == [each.encode() for each in sent]
    talk.peer.close()


CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
READ = 64 << 10


@pytest.mark.parametrize(
    ("before", "after"),
    [(CHUNKED, b"1\r\na\r\n"), (b"", b"HTTP/1.1 100 Continue\r\n\r\n")],
    ids=["chunks", "interim answers"],
)
def test_one_read_a_turn_of_many_pieces(bridge: Bridge, client: Client, before: bytes, after: bytes) -> None:
    channel = client.send(binary="raw")
    with client.server.accept() as peer:
        peer.head()
        peer.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4 * READ)  # what is sent is there at once
        count = 3 * READ // len(after)
        with stopped(bridge):
            peer.send(before + after * count + (b"0\r\n\r\n" if before else CHUNKED + b"0\r\n\r\n"))
            client.front.control("ping", cookie=f"beside {channel}")
        client.front.expect("pong", cookie=f"beside {channel}")
        place = next(at for at, each in enumerate(client.front.log) if _is_pong(each, channel))
        about = [each for each in client.front.log[:place] if each.channel == channel or _is_answer(each, channel)]
        assert len(about) <= (3 if before else 1)  # `ready`; `response` and one message
        response = client.receive(channel)
        assert (response.status, response.problem) == (200, None)
        assert len(response.body) == (count if before else 0)


def _is_pong(frame: Frame, channel: str) -> bool:
    return not frame.channel and frame.message.get("cookie") == f"beside {channel}"


def _is_answer(frame: Frame, channel: str) -> bool:
    return not frame.channel and frame.message.get("channel") == channel
