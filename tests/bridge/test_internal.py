"""The payloads `null` and `echo` (docs/protocol.md, "Internal payloads")."""

import pytest

from spanbridge.payloads.base import PAYLOADS
from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import encode, encode_control
from spanbridge.testing.plugin import Start


@pytest.fixture(scope="module")
def bridge(start_shared: Start) -> Bridge:
    return start_shared()


@pytest.fixture
def ident(request: pytest.FixtureRequest) -> str:
    """The id of a channel of this test's own."""
    return str(request.node.name)


def test_null_swallows_data_until_it_is_closed(bridge: Bridge, ident: str) -> None:
    front = bridge.front_end
    front.open(ident, "null")
    assert front.expect("ready", ident) == {"command": "ready", "channel": ident}
    for _ in range(100):
        front.send(ident, b"\xff" * 10_000)
    front.control("done", channel=ident)
    front.send(ident, b"more")
    front.control("options", channel=ident, x=1)
    front.sync()
    front.close(ident)
    assert front.expect("close", ident) == {"command": "close", "channel": ident}
    front.open(ident, "null")
    front.expect("ready", ident)
    front.sync()
    assert front.commands(ident) == ["ready", "close", "ready"]


def test_echo_sends_back_what_came(bridge: Bridge, ident: str) -> None:
    front = bridge.front_end
    front.open(ident, "echo")
    assert front.expect("ready", ident) == {"command": "ready", "channel": ident}
    payloads = [b"hello", b"", "żółć 日本".encode(), b"{}\n\n5\nabc", b"x" * 300_000, b"\0"]
    for payload in payloads:
        front.send(ident, payload)
    front.sync()
    assert [frame.payload for frame in front.of(ident) if frame.channel] == payloads


def test_echo_ends_on_done(bridge: Bridge, ident: str) -> None:
    """First `done`, then `close`, and data after that is dropped."""
    front = bridge.front_end
    front.open(ident, "echo")
    front.send(ident, b"hello")
    front.control("done", channel=ident)
    front.send(ident, b"too late")
    front.expect("done", ident)
    closed = front.expect("close", ident)
    assert "problem" not in closed
    front.sync()
    assert front.commands(ident) == ["ready", "data", "done", "close"]
    assert front.data_so_far(ident) == b"hello"


def test_echo_answers_pings_of_the_channel(bridge: Bridge, ident: str) -> None:
    front = bridge.front_end
    front.open(ident, "echo")
    front.send(ident, b"before")
    front.control("ping", channel=ident, x=[1, None], sequence=7)
    assert front.expect("pong", ident) == {"command": "pong", "channel": ident, "x": [1, None], "sequence": 7}
    assert front.commands(ident) == ["ready", "data", "pong"]


def test_echo_ends_on_close(bridge: Bridge, ident: str) -> None:
    front = bridge.front_end
    front.open(ident, "echo")
    front.expect("ready", ident)
    front.close(ident)
    assert front.expect("close", ident) == {"command": "close", "channel": ident}
    front.send(ident, b"too late")
    front.open(ident, "echo")
    front.send(ident, b"new")
    front.sync()
    assert front.commands(ident) == ["ready", "close", "ready", "data"]
    assert front.data_so_far(ident) == b"new"


@pytest.mark.parametrize(
    "payload",
    [b"\xff", b"\xc3", b"\xa9", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\x80", b"hello \xfe"],
    ids=["no start", "half", "other half", "surrogate", "beyond", "overlong", "amid text"],
)
def test_echo_of_text_that_is_none(bridge: Bridge, ident: str, payload: bytes) -> None:
    """Closed with protocol-error; what came before it has come back, what comes after it has not."""
    front = bridge.front_end
    other = f"other {ident}"
    front.open(ident, "echo")
    front.open(other, "echo")
    front.expect("ready", other)
    front.write(encode(ident, b"good") + encode(other, b"good") + encode(ident, payload) + encode(ident, b"after"))
    front.write(encode(other, b"after"))
    closed = front.expect("close", ident)
    assert closed["problem"] == "protocol-error"
    assert closed["message"]
    assert front.data(other, 9) == b"goodafter"
    assert front.commands(ident) == ["ready", "data", "close"]
    assert front.data_so_far(ident) == b"good"


def test_echo_of_halves_of_a_character(bridge: Bridge, ident: str) -> None:
    """Each frame of a text channel is text."""
    front = bridge.front_end
    front.open(ident, "echo")
    front.expect("ready", ident)
    front.write(encode(ident, b"\xc3") + encode(ident, b"\xa9"))
    assert front.expect("close", ident)["problem"] == "protocol-error"
    assert front.commands(ident) == ["ready", "close"]


def test_echo_of_bytes(bridge: Bridge, ident: str) -> None:
    front = bridge.front_end
    front.open(ident, "echo", binary="raw")
    front.expect("ready", ident)
    front.send(ident, bytes(range(256)))
    assert front.data(ident, 256) == bytes(range(256))


@pytest.mark.parametrize("binary", [False, True, "base64", "", 1])
def test_only_raw_makes_it_binary(bridge: Bridge, ident: str, binary: object) -> None:
    front = bridge.front_end
    front.open(ident, "echo", binary=binary)
    closed = front.expect("close", ident)
    assert closed["problem"] == "protocol-error"
    assert '"binary" of echo: expected raw' in closed["message"]
    front.sync()
    assert front.commands(ident) == ["close"]


def test_an_option_that_is_null_is_absent(bridge: Bridge, ident: str) -> None:
    front = bridge.front_end
    front.open(ident, "echo", binary=None)
    front.expect("ready", ident)
    front.send(ident, b"\xff")
    assert front.expect("close", ident)["problem"] == "protocol-error"


def test_an_id_that_is_opened_again_in_the_same_turn_gets_no_answer(bridge: Bridge, ident: str) -> None:
    """The answer to the close would end the new channel."""
    front = bridge.front_end
    front.open(ident, "echo")
    front.expect("ready", ident)
    front.write(
        encode_control({"command": "close", "channel": ident})
        + encode_control({"command": "open", "channel": ident, "payload": "echo"})
    )
    front.send(ident, b"new")
    front.sync()
    assert front.commands(ident) == ["ready", "ready", "data"]


@pytest.mark.parametrize("payload", [None, 5, True, ["echo"], {"echo": 1}, "", "Echo", "echo "])
def test_a_payload_that_is_none(bridge: Bridge, ident: str, payload: object) -> None:
    front = bridge.front_end
    front.message({"command": "open", "channel": ident, "payload": payload})
    assert front.expect("close", ident)["problem"] == "not-supported"
    front.sync()
    assert front.commands(ident) == ["close"]


OPTIONS = ("binary", "flow-control", "path", "spawn", "unix", "bus", "internal", "method", "interval", "capabilities")


@pytest.mark.parametrize("digits", [20, 400, 5_000])
def test_long_numbers_cost_their_channel(bridge: Bridge, ident: str, digits: int) -> None:
    """Longer than a float has room for, or than Python makes a number of."""
    front = bridge.front_end
    opens = [(f"{ident}-{payload}-{option}", payload, option) for payload in PAYLOADS for option in OPTIONS]
    for channel, payload, option in opens:
        members = f'"command":"open","channel":"{channel}","payload":"{payload}","{option}":{"9" * digits}'
        front.write(encode("", f"{{{members}}}".encode()))
        front.close(channel)
    front.sync()
    for channel, _, _ in opens:
        assert front.expect("close", channel).get("problem") != "internal-error"


def test_no_value_of_an_option_is_quoted_that_may_hold_a_password(bridge: Bridge, ident: str) -> None:
    """Objects and lists in place of what is expected: `headers` may have an Authorization in them, and so on."""
    front = bridge.front_end
    good = {"internal": "packages", "method": "GET", "path": "/"}
    values: list[object] = [{"Authorization": "hush", "x": 5}, [["hush"]]]
    opens = [
        (f"{ident}-{payload}-{option}-{place}", payload, option, value)
        for payload in PAYLOADS
        for option in (*OPTIONS, "headers", "host", "superuser", "tls", "pty", "window", "environ", "metrics")
        for place, value in enumerate(values)
    ]
    for channel, payload, option, value in opens:
        front.message({"command": "open", "channel": channel, "payload": payload, **good, option: value})
        front.close(channel)
    front.sync()
    for channel, *_ in opens:
        assert "hush" not in str(front.expect("close", channel))
    assert "hush" not in bridge.log.text
