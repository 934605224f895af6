"""Bytes from the front end in any pieces, and any bytes at all (docs/protocol.md, "Frames")."""

import json
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from spanbridge.testing.bridge import Bridge
from spanbridge.testing.frames import encode
from spanbridge.testing.front_end import PAGE
from spanbridge.testing.home import Home
from spanbridge.testing.plugin import HOST, Start
from spanbridge.testing.script import helper_rule, init, ready, serve

HELPER = helper_rule({"payload": "test"}, [init(), serve({"open": [ready(environ={})]})])


def message(**members: Any) -> bytes:
    return encode("", json.dumps(members).encode())


def conversation(ids: list[str], steps: list[tuple[str, int, bytes]]) -> bytes:
    """Opens of all ids, data and pings as `steps` have it, closes."""
    frames = [
        message(command="open", channel=ident, payload="echo" if place % 2 else "test", binary="raw")
        for place, ident in enumerate(ids)
    ]
    for kind, place, payload in steps:
        ident = ids[place % len(ids)]
        if kind == "data":
            frames.append(encode(ident, payload))
        elif kind == "unknown":
            frames.append(encode(f"not-{ident}", payload))
        else:
            frames.append(message(command="ping", channel=ident, x=payload.hex()))
    frames += [message(command="ping", channel=ident, x="end") for ident in ids]
    return b"".join(frames)


steps = st.lists(
    st.tuples(st.sampled_from(["data", "data", "data", "ping", "unknown"]), st.integers(0, 3), st.binary(max_size=40)),
    max_size=25,
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=steps, cuts=st.lists(st.floats(0, 1), max_size=12))
def check_split(bridge: Bridge, steps: list[tuple[str, int, bytes]], cuts: list[float]) -> None:
    front = bridge.front_end
    number = len(front.log)
    ids = [f"{number}-{place}" for place in range(4)]
    stream = conversation(ids, steps)
    places = sorted({int(cut * len(stream)) for cut in cuts} | set(range(0, len(stream), PAGE)) | {0, len(stream)})
    front.write_apart([stream[begin:end] for begin, end in pairwise(places)])
    for place, ident in enumerate(ids):
        front.expect("pong", ident, x="end")
        mine = [(kind, payload) for kind, at, payload in steps if at % len(ids) == place and kind != "unknown"]
        expected = ["ready", *["data" if kind == "data" else "pong" for kind, _ in mine], "pong"]
        assert front.commands(ident) == expected
        assert front.data_so_far(ident) == b"".join(payload for kind, payload in mine if kind == "data")
        front.close(ident)
    front.sync()
    assert not any(frame.channel.startswith("not-") for frame in front.log)


def test_any_split_of_a_stream_gives_the_same(start: Start) -> None:
    """Each piece is read by itself."""
    bridge = start(HELPER)
    check_split(bridge)


def test_byte_by_byte(start: Start) -> None:
    bridge = start(HELPER)
    front = bridge.front_end
    stream = conversation(["a", "b"], [("data", 0, b"hello"), ("data", 1, "żółć".encode()), ("unknown", 0, b"x")])
    front.write_apart([stream[at : at + 1] for at in range(len(stream))])
    for ident in ("a", "b"):
        front.expect("pong", ident, x="end")
    assert front.data_so_far("a") == b"hello"
    assert front.data_so_far("b") == "żółć".encode()


def test_a_helper_s_output_in_any_pieces(start: Start) -> None:
    """The same the other way: the helper writes byte by byte."""
    frames = encode("a", b"hello") + message(command="ack", channel="a") + encode("a", b"x" * 12)
    steps = [["raw", frames[at : at + 1].decode("latin-1")] for at in range(len(frames))]
    front = start(helper_rule({"payload": "test"}, [init(), serve({"data": steps})])).front_end
    front.open("a")
    front.send("a", b"go")
    front.round_trip("a")
    assert front.commands("a") == ["ready", "data", "ack", "data", "pong"]
    assert front.data_so_far("a") == b"hello" + b"x" * 12


commands = st.sampled_from(["open", "close", "init", "ping", "pong", "kill", "options", "done", "authorize", "x"])
values = st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.text(max_size=4), st.just("a"), st.just("echo"))
messages = st.dictionaries(
    st.sampled_from(["channel", "payload", "host", "group", "version", "superuser", "binary", "x"]), values, max_size=5
)
frames = st.one_of(
    st.builds(lambda command, members: message(command=command, **members), commands, messages),
    st.builds(encode, st.sampled_from(["a", "b", "\0", "é"]), st.binary(max_size=20)),
    st.builds(lambda payload: encode("", payload), st.binary(max_size=20)),
    st.binary(max_size=12),
)
opening = message(command="init", version=1, host=HOST)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    parts=st.lists(frames, max_size=12),
    proper=st.booleans(),
    flips=st.lists(st.tuples(st.floats(0, 0.999), st.integers(0, 255)), max_size=2),
)
def check_noise(home: Home, parts: list[bytes], proper: bool, flips: list[tuple[float, int]]) -> None:
    stream = bytearray(opening * proper + b"".join(parts))
    for place, value in flips:
        if stream:
            stream[int(place * len(stream))] = value
    with Bridge(home) as bridge:
        try:
            bridge.front_end.write(bytes(stream))
        except BrokenPipeError:
            assert stream
        assert bridge.end() in (0, 1)
        assert "Traceback" not in bridge.log.text
        problems = [
            frame.message.get("problem")
            for frame in bridge.front_end.log
            if not frame.channel and frame.message["command"] == "init"
        ]
        assert problems in ([None], [None, "protocol-error"])
        assert bridge.end() == len(problems) - 1


def test_any_bytes_at_all(home: Home) -> None:
    """Neither a crash nor a hang: a session that ends with status 0, or with 1 and a last word."""
    check_noise(home)


BLOBS = {
    "no text": b"\xff" * 100_000,
    "line feeds": b"\n" * 100_000,
    "digits": b"1" * 100_000,
    "a frame without an end": b"99999999\n" + b"x" * 500_000,
    "nested deep": encode("", b'{"command":"ping","x":' + b"[" * 100_000 + b"]" * 100_000 + b"}"),
    "nested deep without an end": encode("", b'{"command":"ping","x":' + b'{"a":' * 100_000),
    "thousands of members": message(command="ping", **{f"m{number}": number for number in range(50_000)}),
    "one long number": encode("", b'{"command":"ping","x":' + b"9" * 100_000 + b"}"),
}


@pytest.mark.parametrize("name", BLOBS)
def test_blobs(start: Start, name: str) -> None:
    """Whatever they are, the session ends in order."""
    blob = BLOBS[name]
    bridge = start()
    front = bridge.front_end
    front.sync()
    try:
        front.write(blob)
    except BrokenPipeError:
        assert front.sent
    assert bridge.end() in (0, 1)
    assert "Traceback" not in bridge.log.text
