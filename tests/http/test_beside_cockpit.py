"""The same requests to spanbridge and to the C cockpit-bridge, side by side."""

from collections.abc import Iterator
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home

from ..browser.parts import COCKPIT_BRIDGE, require
from .client import Client
from .frames import CLOSE, TEXT, accept, close_of, frame, read_frame
from .server import Server, fields_of, tcp_server

pytestmark = pytest.mark.cockpit

OK = b"HTTP/1.1 200 OK\r\n"


@pytest.fixture(scope="module")
def theirs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bridge]:
    require(COCKPIT_BRIDGE)
    home = Home(tmp_path_factory.mktemp("theirs") / "home")
    # It starts a bus and an agent where it finds none.
    environ = {
        "DBUS_SESSION_BUS_ADDRESS": f"unix:path={home.root}/no-bus",
        "SSH_AUTH_SOCK": f"{home.root}/no-agent",
    }
    with Bridge(home, environ=environ, command=[COCKPIT_BRIDGE]) as bridge:
        bridge.front_end.expect("init", version=1)
        bridge.front_end.init()
        yield bridge


@pytest.fixture
def both(bridge: Bridge, theirs: Bridge, server: Server) -> tuple[Client, Client]:
    return Client(bridge.front_end, server), Client(theirs.front_end, server)


@pytest.mark.parametrize("payload", ["http-stream1", "http-stream2"])
@pytest.mark.parametrize(
    ("answer", "members"),
    [
        (OK + b"Content-Type: a\r\nContent-Length: 5\r\n\r\nhello", {}),
        (OK + b"Content-Type: a\r\nContent-Length: 5\r\n\r\nhello", {"binary": "raw"}),
        (OK + b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", {}),
        (b"HTTP/1.1 404 Not There\r\nContent-Length: 2\r\n\r\nno", {}),
        (b"HTTP/1.1 204 No Content\r\n\r\n", {"method": "POST"}),
        (OK + b"Content-Length: 0\r\nConnection: close\r\n\r\n", {"method": "PUT"}),
    ],
)
def test_answers(both: tuple[Client, Client], payload: str, answer: bytes, members: dict[str, Any]) -> None:
    seen = []
    for client in both:
        response = client.answered(answer, payload=payload, **members)
        head = {name: response.head[name] for name in ("status", "reason", "headers")}
        seen.append(
            (response.commands, head, response.body if payload == "http-stream2" else b"".join(response.data[1:]))
        )
    assert seen[0] == seen[1]


def test_text_that_is_not_utf8(both: tuple[Client, Client]) -> None:
    ours, theirs = (client.answered(OK + b"Content-Length: 4\r\n\r\na\xffb\xe2").body for client in both)
    assert ours == theirs


def test_requests(both: tuple[Client, Client]) -> None:
    """But for Host, in which theirs has the path of the socket."""
    for members in ({}, {"binary": "raw", "headers": {"X": "y"}}, {"method": "POST", "body": b"body"}):
        seen = []
        for client in both:
            channel = client.send("/a?b", **members)
            with client.server.accept() as peer:
                head = peer.head()
                fields = {name: value for name, value in fields_of(head).items() if name != "Host"}
                peer.answer()
                client.receive(channel)
            seen.append((head.partition("\r\n")[0], fields))
        assert seen[0] == seen[1]


def test_nobody_to_connect_to(both: tuple[Client, Client]) -> None:
    for client in both:
        assert client.receive(client.send(unix="/no/such/socket")).problem == "not-found"


def test_websockets(bridge: Bridge, theirs: Bridge) -> None:
    seen = []
    for each in (bridge, theirs):
        with tcp_server() as server:
            client = Client(each.front_end, server)
            channel = client.ask(payload="websocket-stream1", method=..., protocols=["a"])
            with server.accept() as peer:
                accept(peer, "Sec-WebSocket-Protocol: a")
                each.front_end.expect("ready", channel)
                peer.send(frame(TEXT, b"hello"), frame(CLOSE, close_of(1000)))
                assert read_frame(peer) == (CLOSE, close_of(1000))
            response = client.receive(channel)
        seen.append((response.data, each.front_end.commands(channel)))
    assert seen[0] == seen[1]
    assert seen[0] == ([b"hello"], ["response", "ready", "data", "done", "close"])
