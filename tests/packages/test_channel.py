"""The channel of a request: how it opens, what is said on it, how it ends."""

from collections.abc import Iterator

import pytest

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.home import Home

from .client import COMMON, NO_CACHE, Client, packed, write_package


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    """A client of a bridge that serves them all: these tests change nothing."""
    home = Home(tmp_path_factory.mktemp("channel") / "home")
    write_package(home.data_home, "pkg", {"a.js": "a", "empty.js": "", "b.js.gz": packed("b")})
    with Bridge(home) as bridge:
        bridge.front_end.init()
        yield Client(bridge.front_end)


def test_a_file_over_http_stream1(client: Client) -> None:
    response = client.get("/pkg/a.js")
    assert response.commands == ["ready", "done", "close"]
    assert response.problem is None
    assert response.head == {
        "status": 200,
        "reason": "OK",
        "headers": {**COMMON, "Content-Type": "application/javascript", "Cache-Control": NO_CACHE},
    }
    assert response.pieces == [b"a"]


def test_a_file_over_http_stream2(client: Client) -> None:
    response = client.get("/pkg/a.js", payload="http-stream2")
    assert response.commands == ["ready", "response", "done", "close"]
    head = dict(response.head)
    assert head.pop("command") == "response"
    assert head.pop("channel")
    assert head == client.get("/pkg/a.js").head
    assert response.data == [b"a"]


def test_an_empty_file_has_a_head_and_no_body(client: Client) -> None:
    response = client.get("/pkg/empty.js")
    assert response.status == 200
    assert response.pieces == []


def test_the_answer_waits_for_done(client: Client) -> None:
    channel = client.ask("/pkg/a.js")
    client.front_end.round_trip(channel)
    assert client.front_end.commands(channel) == ["ready", "pong"]
    client.front_end.control("done", channel=channel)
    assert client.receive(channel).commands[-2:] == ["done", "close"]


def test_a_channel_that_is_closed_before_it_asked_is_over(client: Client) -> None:
    channel = client.ask("/pkg/a.js")
    client.front_end.close(channel)
    client.front_end.control("done", channel=channel)
    assert client.get("/pkg/a.js").status == 200
    assert client.front_end.commands(channel) == ["ready", "close"]


def test_another_method_is_a_bad_request(client: Client) -> None:
    for payload in ("http-stream1", "http-stream2"):
        for method in ("POST", "HEAD", "get", ""):
            response = client.get("/pkg/a.js", method=method, payload=payload)
            assert (response.status, response.head["reason"]) == (400, "Bad Request")
            assert repr(method).encode() in response.body


def test_data_is_a_bad_request_at_once(client: Client) -> None:
    channel = client.ask("/pkg/a.js")
    client.front_end.send(channel, b"x")
    client.front_end.send(channel, b"y")
    response = client.receive(channel)
    assert response.status == 400
    client.front_end.control("done", channel=channel)
    client.front_end.sync()
    assert client.front_end.commands(channel).count("close") == 1


def test_empty_data_is_no_data(client: Client) -> None:
    channel = client.ask("/pkg/a.js")
    client.front_end.send(channel, b"")
    client.front_end.control("done", channel=channel)
    assert client.receive(channel).status == 200


def test_requests_of_anything_else_within_the_bridge_are_not_supported(client: Client) -> None:
    for payload in ("http-stream1", "http-stream2"):
        for internal in ("other", 5):
            response = client.get("/pkg/a.js", payload=payload, internal=internal)
            assert response.commands == ["close"]
            assert response.problem == "not-supported"
            assert payload in response.controls[0]["message"]


def test_an_open_that_is_no_request_is_a_protocol_error(client: Client) -> None:
    bad: list[tuple[str, object]] = [
        ("path", ...),
        ("path", 5),
        ("method", ...),
        ("method", None),
        ("headers", []),
        ("headers", {"Accept": 5}),
    ]
    for member, value in bad:
        response = client.get("/pkg/a.js", **{member: value})
        assert response.commands == ["close"]
        assert response.problem == "protocol-error"
        assert f'"{member}"' in response.controls[0]["message"]


def test_headers_may_be_missing_and_their_names_in_any_case(client: Client) -> None:
    assert client.get("/pkg/b.js", headers=...).content == b"b"
    assert client.get("/pkg/b.js", headers=None).content == b"b"
    assert client.get("/pkg/b.js", {"ACCEPT-encoding": "identity"}).body == b"b"
