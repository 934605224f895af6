"""What comes of the server's answer (docs/http.md, "The answer" and "Problems")."""

import json
import os
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge

from .client import Client
from .server import Server

OK = b"HTTP/1.1 200 OK\r\n"
CHUNKED = OK + b"Transfer-Encoding: chunked\r\n\r\n"


def test_an_answer(client: Client) -> None:
    response = client.answered(OK + b"Content-Type: a\r\nX: y\r\nContent-Length: 5\r\n\r\nhello")
    assert response.commands == ["ready", "response", "done", "close"]
    assert response.head == {
        "command": "response",
        "channel": response.head["channel"],
        "status": 200,
        "reason": "OK",
        "headers": {"Content-Type": "a", "X": "y"},
    }
    assert response.data == [b"hello"]
    assert set(response.controls[-1]) == {"command", "channel"}


def test_the_older_form(client: Client) -> None:
    response = client.answered(OK + b"X: y\r\nContent-Length: 5\r\n\r\nhello", payload="http-stream1")
    assert response.commands == ["ready", "done", "close"]
    assert json.loads(response.data[0]) == {"status": 200, "reason": "OK", "headers": {"X": "y"}}
    assert response.data[1:] == [b"hello"]


def test_ready_comes_with_the_connection(client: Client) -> None:
    channel = client.ask()
    client.front.expect("ready", channel)
    client.front.close(channel)
    client.front.expect("close", channel)


def test_one_byte_at_a_time(client: Client) -> None:
    data = CHUNKED.replace(b"200", b"418") + b"5\r\nhe\xc5\xbco\r\n3;x=y\r\n\xe2\x82\xac\r\n0\r\nT: t\r\n\r\n"
    response = client.answered(*(data[at : at + 1] for at in range(len(data))))
    assert (response.status, response.body.decode()) == (418, "he\u017co\u20ac")
    assert all(piece.decode() for piece in response.data)
    assert response.problem is None


@pytest.mark.parametrize("status", ["301 Moved", "401 Unauthorized", "404 Not Found", "500 Oops", "503 Busy"])
def test_any_status_is_an_answer(client: Client, status: str) -> None:
    response = client.answered(f"HTTP/1.1 {status}\r\nLocation: /x\r\nContent-Length: 1\r\n\r\nx".encode())
    assert (response.status, response.head["reason"]) == (int(status[:3]), status[4:])
    assert (response.body, response.problem) == (b"x", None)


@pytest.mark.parametrize(
    ("members", "head"),
    [
        ({"method": "HEAD"}, b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n"),
        ({"method": "HEAD"}, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"),
        ({"method": "HEAD"}, b"HTTP/1.1 200 OK\r\n\r\n"),
        ({}, b"HTTP/1.1 204 No Content\r\nContent-Length: 500\r\n\r\n"),
        ({}, b"HTTP/1.1 304 Not Modified\r\nContent-Length: 500\r\n\r\n"),
        ({}, b"HTTP/1.1 304 Not Modified\r\n\r\n"),
        ({}, b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        ({}, CHUNKED + b"0\r\n\r\n"),
    ],
)
def test_answers_without_a_body(client: Client, members: dict[str, Any], head: bytes) -> None:
    response = client.answered(head, **members)
    assert response.commands == ["ready", "response", "done", "close"]
    assert (response.data, response.problem) == ([], None)


def test_a_head_request_on_a_binary_channel_tells_the_length(client: Client) -> None:
    response = client.answered(OK + b"Content-Length: 500\r\n\r\n", method="HEAD", binary="raw")
    assert response.headers == {"Content-Length": "500"}


def test_a_body_up_to_the_end_of_the_connection(client: Client) -> None:
    for head in (OK + b"\r\n", b"HTTP/1.0 200 OK\r\n\r\n"):
        response = client.answered(head, b"some", b"thing", close=True)
        assert (response.body, response.problem, response.commands[-2:]) == (b"something", None, ["done", "close"])


def test_interim_answers(client: Client) -> None:
    response = client.answered(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nA: a\r\n\r\n" + OK + b"Content-Length: 0\r\n\r\n"
    )
    assert (response.status, response.commands.count("response")) == (200, 1)


def test_what_comes_after_the_body_is_dropped(client: Client) -> None:
    response = client.answered(OK + b"Content-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\n\r\n")
    assert response.data == [b"ok"]


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        OK + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
        OK + b"Content-Length: 5x\r\n\r\nhello",
        OK + b"Transfer-Encoding: gzip\r\n\r\n",
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 2 OK\r\n\r\n",
        b"SSH-2.0-OpenSSH_9\r\n\r\n",
        b"HTTP/1.1 200 O\0K\r\n\r\n",
        OK + b"A: a\rB: b\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: tcp\r\nConnection: Upgrade\r\n\r\n",
    ],
)
def test_heads_that_are_refused(client: Client, answer: bytes) -> None:
    for payload in ("http-stream1", "http-stream2"):
        response = client.answered(answer, payload=payload)
        assert (response.commands, response.data) == (["ready", "close"], [])
        assert response.problem == "protocol-error"
        assert str(client.server.where["unix"]) in response.controls[-1]["message"]


@pytest.mark.parametrize(
    "chunks",
    [b"x\r\n", b"2\r\nokX", b"8000000000000000\r\n", b"2\r\nok\r\n-1\r\n"],
)
def test_chunks_that_are_refused(client: Client, chunks: bytes) -> None:
    response = client.answered(CHUNKED, chunks)
    assert (response.problem, "done" in response.commands) == ("protocol-error", False)


def test_a_head_that_is_too_large(client: Client) -> None:
    response = client.answered(OK + b"A: " + b"a" * (128 << 10))
    assert (response.problem, response.commands) == ("too-large", ["ready", "close"])
    response = client.answered(OK + b"A: a\r\n" * 257 + b"\r\n")
    assert (response.problem, response.commands) == ("too-large", ["ready", "close"])


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b"HTT"],
        [OK + b"Content-Length: 5\r\n\r\n"],
        [OK + b"Content-Length: 5\r\n\r\nhe"],
        [CHUNKED + b"5\r\nhello\r\n"],
    ],
)
def test_an_answer_that_ends_early(client: Client, pieces: list[bytes]) -> None:
    response = client.answered(*pieces, close=True)
    assert (response.problem, "done" in response.commands) == ("disconnected", False)
    assert str(client.server.where["unix"]) in response.controls[-1]["message"]


def test_a_connection_that_is_reset(bridge: Bridge, tcp: Server) -> None:
    client = Client(bridge.front_end, tcp)
    for pieces in ([], [OK + b"\r\n", b"x"]):
        channel = client.send(binary="raw")
        peer = tcp.accept()
        peer.head()
        peer.send(*pieces)
        if pieces:
            bridge.front_end.data(channel, 1)
        peer.reset()
        response = client.receive(channel)
        assert (response.problem, "done" in response.commands) == ("disconnected", False)


def test_nobody_to_connect_to(client: Client) -> None:
    for members, code in (
        ({"unix": "/no/such/socket"}, "not-found"),
        ({"unix": "/" + "x" * 300}, "not-found"),
        ({"unix": ..., "port": 1, "address": "127.0.0.1"}, "not-found"),
        ({"unix": ..., "port": 1}, "not-found"),
    ):
        response = client.receive(client.send(**members))
        assert (response.commands, response.problem) == (["close"], code)
        assert response.controls[0]["message"]


def test_text_that_is_not_utf8(client: Client) -> None:
    response = client.answered(OK + b"Content-Length: 5\r\n\r\n", b"a\xffb", b"\xe2\x82")
    assert response.body.decode() == "a\N{REPLACEMENT CHARACTER}b\N{REPLACEMENT CHARACTER}"
    assert response.commands[-2:] == ["done", "close"]


def test_bytes_pass_as_they_are(client: Client) -> None:
    body = bytes(range(256)) * 1000
    response = client.answered(OK + b"Content-Length: %d\r\n\r\n" % len(body), body, binary="raw")
    assert response.body == body
    assert all(0 < len(piece) <= 65_536 for piece in response.data)


def test_large_bodies_of_each_kind(client: Client) -> None:
    """As they are moved by the kernel, and as they are read."""
    body = os.urandom(3_000_000)
    chunks = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 300_007]), body[at : at + 300_007]) for at in range(0, len(body), 300_007)
    )
    small = b"".join(
        b"%x\r\n%b\r\n" % (len(body[at : at + 1_009]), body[at : at + 1_009]) for at in range(0, len(body), 1_009)
    )
    for answer in (
        OK + b"Content-Length: %d\r\n\r\n" % len(body) + body,
        CHUNKED + chunks + b"0\r\n\r\n",
        CHUNKED + small + b"0\r\n\r\n",
        OK + b"\r\n" + body,
    ):
        channel = client.send(binary="raw", flow_control=False)
        with client.server.accept() as peer:
            import threading

            def say(answer: bytes = answer, peer: object = peer) -> None:
                peer.head()  # type: ignore[attr-defined]
                peer.send(answer)  # type: ignore[attr-defined]
                peer.close()  # type: ignore[attr-defined]

            thread = threading.Thread(target=say)
            thread.start()
            response = client.receive(channel)
            thread.join()
        assert response.problem is None
        assert response.body == body
        assert all(0 < len(piece) <= 65_536 for piece in response.data)


def test_close_in_each_state(client: Client) -> None:
    front = client.front

    def close(channel: str) -> None:
        front.close(channel)
        assert set(front.expect("close", channel)) == {"command", "channel"}

    close(client.ask())
    client.server.accept().close()
    channel = client.send()
    with client.server.accept() as peer:
        peer.head()
        close(channel)
        assert peer.rest() == b""
    channel = client.send()
    with client.server.accept() as peer:
        peer.head()
        peer.send(OK + b"\r\nx")
        front.data(channel, 1)
        close(channel)
        assert peer.rest() == b""
        front.sync()
        assert front.commands(channel) == ["ready", "response", "data", "close"]


def test_kill(client: Client) -> None:
    channel = client.send(group="g")
    with client.server.accept() as peer:
        peer.head()
        client.front.control("kill", group="g")
        assert client.receive(channel).problem == "terminated"
        assert peer.rest() == b""
