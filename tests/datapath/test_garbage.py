"""Whatever comes in, the session is either none the worse for it or ends with one last word (docs/protocol.md)."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.model import Rule

from ..protocol.determined import examples
from ..protocol.streams import broken_ends, chunked
from .stage import Stage, limits
from .wire import Said, encode, encode_control

RULES = [Rule("test", 0, "", {"payload": "one"}, ("one", "${tag}")), Rule("test", 1, "", {"host": None}, ("${host}",))]
COMMANDS = ["init", "open", "open", "open", "ready", "close", "done", "options", "ping", "pong", "kill", "authorize"]
COMMANDS += ["ack", "hint", "logout", "superuser-init-done", "send-stderr", "no-such-command", ""]

odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 1 << 70),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.integers(), max_size=2),
)
messages = st.fixed_dictionaries(
    {"command": st.sampled_from(COMMANDS)},
    optional={
        "channel": st.one_of(st.sampled_from(["a", "b", "c"]), st.sampled_from(["a", "b", "c"]), odd_values),
        "payload": st.one_of(st.sampled_from(["one", "echo", "null", "none"]), odd_values),
        "host": st.one_of(st.sampled_from(["localhost", "other", "h+k+v"]), odd_values),
        "group": st.one_of(st.sampled_from(["g", "h"]), odd_values),
        "tag": odd_values,
        "binary": st.one_of(st.just("raw"), odd_values),
        "version": st.sampled_from([1, 1, 1.0, "1", 2, True]),
        "problem": odd_values,
        "message": odd_values,
        "cookie": odd_values,
        "code": odd_values,
    },
)
frames = st.one_of(
    messages.map(lambda message: encode("", json.dumps(message).encode())),
    messages.map(lambda message: encode("", json.dumps(message).encode())),
    st.builds(encode, st.sampled_from(["a", "b", "c", "nobody"]), st.binary(max_size=20)),
    st.builds(encode, st.just(""), st.binary(max_size=20)),
    broken_ends,
)


def spoilt(stream: bytes, flips: list[tuple[int, int]]) -> bytes:
    data = bytearray(stream)
    for at, byte in flips:
        if data:
            data[at % len(data)] = byte
    return bytes(data)


streams = st.builds(
    spoilt,
    st.lists(frames, max_size=12).map(b"".join),
    st.lists(st.tuples(st.integers(0, 1 << 16), st.integers(0, 255)), max_size=1),
)
cuts = st.lists(st.integers(0, 400), max_size=3)


def answers(stage: Stage, heard: list[Said]) -> bool:
    stage.front.say(encode_control(command="ping", still="here"))
    stage.settle()
    return bool(heard[-1].told == {"command": "pong", "still": "here"})


@examples(120)
@given(st.booleans(), streams, cuts)
def test_garbage_from_the_front_end(greeted: bool, stream: bytes, at: list[int]) -> None:
    stage = Stage(RULES, limits=limits(term_seconds=0.0), pipe_bytes=65_536)
    heard: list[Said] = []
    stage.front.on_heard = heard.append
    try:
        if greeted:
            stage.begin()
        for chunk in chunked(stream, [cut % (len(stream) + 1) for cut in at]):
            stage.front.say(chunk)
            stage.front.write()
            stage.turns.turn(2)
        stage.turns.turn(3)
        stage.front.read()
        if stage.failure is None:
            assert not [one for one in heard if one.command == "init"]
            stage.front.hang_up()
        else:
            assert stage.failure["problem"] == "protocol-error", stage.log.lines
            assert "(frame at byte " in str(stage.failure["message"])
            assert [one.command for one in heard].count("init") == 1
            assert heard[-1].told["problem"] == "protocol-error"
        for _ in range(20):
            for process in stage.processes:
                process.exit()
            stage.turns.turn(3)
            stage.front.read()
        assert stage.session.result() == (0 if stage.failure is None else 1)
        assert stage.front.ended
    finally:
        stage.close()


@examples(120)
@given(st.booleans(), streams, cuts)
def test_garbage_from_a_helper(greeted: bool, stream: bytes, at: list[int]) -> None:
    stage = Stage(RULES, limits=limits(), pipe_bytes=65_536)
    heard: list[Said] = []
    stage.front.on_heard = heard.append
    try:
        stage.begin()
        for ident in ("a", "b"):
            stage.front.say(encode_control(command="open", channel=ident, payload="one"))
        stage.front.say(encode("a", b"data"))
        stage.settle()
        process = stage.processes[0]
        if greeted:
            process.say(encode_control(command="init", version=1))
        for chunk in chunked(stream, [cut % (len(stream) + 1) for cut in at]):
            process.say(chunk)
            process.write()
            stage.turn(2)
        stage.settle()
        assert answers(stage, heard)
        told: dict[str, list[Any]] = {"a": [], "b": []}
        for one in heard:
            if one.channel:
                told[one.channel].append(one.command)
        assert all(commands.count("close") <= 1 for commands in told.values())
        assert all("close" not in commands[:-1] for commands in told.values())
        if not process.running:
            assert told["a"][-1] == told["b"][-1] == "close"
    finally:
        stage.close()
