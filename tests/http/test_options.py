"""Opens that are refused before anything is connected (docs/http.md, "Where to" and "The request")."""

import json
from typing import Any

import pytest

from spanbridge.testing.bridge import Bridge

from .client import Client
from .server import Server

BOTH: list[tuple[str, dict[str, Any]]] = [
    ("unix", {"unix": ...}),
    ("unix", {"unix": "relative"}),
    ("unix", {"unix": ""}),
    ("unix", {"unix": "/a\0b"}),
    ("unix", {"unix": 5}),
    ("port", {"port": 80}),
    ("address", {"address": "localhost"}),
    ("tls", {"tls": {}}),
    ("port", {"unix": ..., "port": 0}),
    ("port", {"unix": ..., "port": 65_536}),
    ("port", {"unix": ..., "port": "80"}),
    ("port", {"unix": ..., "port": True}),
    ("port", {"unix": ..., "port": 80.5}),
    ("port", {"unix": ..., "address": "localhost"}),
    ("address", {"unix": ..., "port": 80, "address": ""}),
    ("address", {"unix": ..., "port": 80, "address": "a\r\nX: y"}),
    ("address", {"unix": ..., "port": 80, "address": "a b"}),
    ("address", {"unix": ..., "port": 80, "address": 5}),
    ("tls", {"unix": ..., "port": 80, "tls": True}),
    ("validate", {"unix": ..., "port": 80, "tls": {"validate": "no"}}),
    ("authority", {"unix": ..., "port": 80, "tls": {"authority": "x"}}),
    ("authority", {"unix": ..., "port": 80, "tls": {"authority": {}}}),
    ("authority", {"unix": ..., "port": 80, "tls": {"authority": {"file": "/a", "data": "b"}}}),
    ("file", {"unix": ..., "port": 80, "tls": {"certificate": {"file": 5}}}),
    ("certificate", {"unix": ..., "port": 80, "tls": {"key": {"data": "x"}}}),
    ("path", {"path": ...}),
    ("path", {"path": 5}),
    ("path", {"path": ""}),
    ("path", {"path": "no-slash"}),
    ("path", {"path": "/a b"}),
    ("path", {"path": "/a\r\nHost: evil"}),
    ("path", {"path": "/a\0"}),
    ("path", {"path": "/\N{LATIN SMALL LETTER Z WITH DOT ABOVE}"}),
    ("path", {"path": "/\x7f"}),
    ("path", {"path": "*a"}),
    ("path", {"path": "/" + "a" * (64 << 10)}),
    ("headers", {"headers": []}),
    ("X", {"headers": {"X": 5}}),
    ("X", {"headers": {"X": None}}),
    ("headers", {"headers": {"": "x"}}),
    ("headers", {"headers": {"a b": "x"}}),
    ("headers", {"headers": {"a:": "x"}}),
    ("headers", {"headers": {"a\r\nHost": "x"}}),
    ("headers", {"headers": {"\N{LATIN SMALL LETTER Z WITH DOT ABOVE}": "x"}}),
    ("headers", {"headers": {"X": "a\r\nEvil: b"}}),
    ("headers", {"headers": {"X": "a\nb"}}),
    ("headers", {"headers": {"X": "a\0"}}),
    ("headers", {"headers": {"X": "a\x7f"}}),
    ("headers", {"headers": {"X": "a", "x": "b"}}),
    ("binary", {"binary": "text"}),
    ("binary", {"binary": True}),
    ("flow-control", {"flow-control": 1}),
    ("send-acks", {"send-acks": "frames"}),
]
OWNED = [
    "Connection",
    "content-length",
    "Content-MD5",
    "EXPECT",
    "Keep-Alive",
    "Proxy-Connection",
    "TE",
    "Trailer",
    "transfer-encoding",
    "Upgrade",
]
OWNED_ON_TEXT = [
    "Accept-Charset",
    "accept-encoding",
    "Accept-Ranges",
    "Content-Encoding",
    "Content-Range",
    "Range",
]
HTTP: list[tuple[str, dict[str, Any]]] = [
    ("method", {"method": ...}),
    ("method", {"method": None}),
    ("method", {"method": ""}),
    ("method", {"method": "GET /"}),
    ("method", {"method": "GET\r\n"}),
    ("method", {"method": "CONNECT"}),
    ("method", {"method": "connect"}),
    ("connection", {"connection": ""}),
    ("connection", {"connection": 5}),
]
WEBSOCKET: list[tuple[str, dict[str, Any]]] = [
    ("protocols", {"protocols": "chat"}),
    ("protocols", {"protocols": ["a b"]}),
    ("protocols", {"protocols": ["a", "a"]}),
    ("protocols", {"protocols": ["a,b"]}),
    ("protocols", {"protocols": [5]}),
    ("headers", {"headers": {"Sec-WebSocket-Key": "x"}}),
    ("headers", {"headers": {"sec-websocket-anything": "x"}}),
]


def check_refused(client: Client, name: str, **members: Any) -> None:
    response = client.receive(client.ask(**members))
    assert response.commands == ["close"]
    assert response.problem == "protocol-error"
    assert f'"{name}"' in response.controls[0]["message"] or f"'{name}'" in response.controls[0]["message"]
    assert not client.server.called


@pytest.mark.parametrize("payload", ["http-stream1", "http-stream2", "websocket-stream1"])
def test_an_open_that_cannot_be(client: Client, payload: str) -> None:
    for name, members in BOTH:
        check_refused(client, name, payload=payload, **members)
    for header in OWNED + OWNED_ON_TEXT:
        check_refused(client, header, payload=payload, headers={header: "x"})
    for header in OWNED:
        check_refused(client, header, payload=payload, headers={header: "x"}, binary="raw")


def test_a_request_that_cannot_be(client: Client) -> None:
    for name, members in HTTP:
        check_refused(client, name, **members)


def test_a_websocket_that_cannot_be(client: Client) -> None:
    for name, members in WEBSOCKET:
        check_refused(client, name, payload="websocket-stream1", **members)


def test_a_capability_that_is_not_there(client: Client) -> None:
    response = client.receive(client.ask(capabilities=["x"]))
    assert (response.problem, response.controls[0]["capabilities"]) == (
        "not-supported",
        ["tls-certificates", "address"],
    )


def test_capabilities_that_front_ends_ask_for(bridge: Bridge, tcp: Server) -> None:
    """`cockpit.http` asks for "address" by itself when it is given one."""
    client, answer = Client(bridge.front_end, tcp), b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
    wanted = ["address", "tls-certificates"]
    assert client.answered(answer, address="127.0.0.1", capabilities=wanted).body == b"hello"


def test_info_lists_the_payloads(client: Client) -> None:
    client.front.open("info", "info")
    response = client.receive("info")
    assert json.loads(response.data[0])["channels"]["websocket-stream1"] == []
