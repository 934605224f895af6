"""WebSockets with somebody at one end who is slow, or says nothing (docs/http.md, "websocket-stream1")."""

import time

from spanbridge.testing.start import Start

from .client import Client
from .frames import BINARY, CLOSE, accept, close_of, frame, read_frame
from .server import Server
from .test_websocket import Talk


def test_a_slow_front_end_stops_the_reading(client: Client) -> None:
    channel = client.ask(payload="websocket-stream1", binary="raw", flow_control=True)
    with client.server.accept() as peer:
        accept(peer)
        client.front.expect("ready", channel)
        peer.sock.setblocking(False)
        message = frame(BINARY, b"a" * 60_000)
        sent = 0
        try:
            while sent < 64 << 20:
                sent += peer.sock.send(message)
                client.front.sync()
        except BlockingIOError:
            pass
        assert sent < 16 << 20
        client.front.close(channel)
        client.front.expect("close", channel)


def test_a_server_that_is_slow_has_all_before_the_close_frame(spanbridge_start: Start, server: Server) -> None:
    """Its time to answer that frame does not run out while it still takes what comes before."""
    client = Client(spanbridge_start(limits={"websocket_close_seconds": 1.0}).front_end, server)
    talk = Talk(client, binary="raw").ready()
    message = bytes(100_000)
    for _ in range(20):
        talk.front.send(talk.channel, message)
    talk.front.control("done", channel=talk.channel)
    talk.front.sync()
    for _ in range(20):
        time.sleep(0.12)  # this is what is tried
        assert read_frame(talk.peer) == (BINARY, message)
    assert read_frame(talk.peer) == (CLOSE, close_of(1000))
    talk.hear(frame(CLOSE, close_of(1000)))
    assert "problem" not in talk.close()
    talk.peer.close()


def test_a_server_that_takes_nothing_after_done(spanbridge_start: Start, server: Server) -> None:
    client = Client(spanbridge_start(limits={"websocket_close_seconds": 0.2}).front_end, server)
    talk = Talk(client, binary="raw").ready()
    talk.front.send(talk.channel, bytes(1 << 20))
    talk.front.control("done", channel=talk.channel)
    assert talk.close()["problem"] == "disconnected"
    talk.peer.close()


def test_a_server_that_answers_no_close_frame(spanbridge_start: Start, server: Server) -> None:
    """It has its time, after `done` and after `close`."""
    client = Client(spanbridge_start(limits={"websocket_close_seconds": 0.2}).front_end, server)
    done, closed = Talk(client).ready(), Talk(client).ready()
    done.front.control("done", channel=done.channel)
    closed.front.close(closed.channel)
    closed.close()
    close = done.close()
    assert close["problem"] == "disconnected"
    assert "(websocket_close_seconds)" in close["message"]
    for each in (done, closed):
        assert each.peer.read_until(b"\x88\x82")  # a close frame, then the end of the connection
        assert len(each.peer.rest()) == 6
        each.peer.close()
