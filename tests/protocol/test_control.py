"""What is a control message and what is not (docs/protocol.md, "Control messages")."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.protocol.control import bare, close, control, frame_of, read_head, read_message, read_object
from spanbridge.protocol.frames import control_payload
from spanbridge.protocol.nesting import DEEPEST
from spanbridge.protocol.problems import PROTOCOL_ERROR, Problem
from spanbridge.protocol.splitter import CONTROL, Splitter

from .determined import examples

READERS: list[Callable[[bytes], Any]] = [read_head, read_message]

NOT_OBJECTS = {
    "nothing": b"",
    "blank": b"  \n ",
    "a word": b"init",
    "a string": b'"init"',
    "a number": b"1",
    "null": b"null",
    "a list": b'["command", "init"]',
    "no end": b'{"command": "init"',
    "no end of a string": b'{"command": "init',
    "two objects": b'{"command": "init"}{"command": "init"}',
    "something after it": b'{"command": "init"} x',
    "a comma too many": b'{"command": "init",}',
    "no colon": b'{"command" "init"}',
    "single quotes": b"{'command': 'init'}",
    "a name without quotes": b'{command: "init"}',
    "a comment": b'{"command": "init" /* hello */}',
    "a byte order mark": b'\xef\xbb\xbf{"command": "init"}',
    "UTF-16": '{"command": "init"}'.encode("utf-16"),
    "a control character in a string": b'{"command": "init", "a": "\x01"}',
    "a line feed in a string": b'{"command": "init", "a": "\n"}',
    "an unknown escape": b'{"command": "init", "a": "\\x41"}',
    "half an escape": b'{"command": "init", "a": "\\u12"}',
    "a zero before a number": b'{"command": "init", "a": 01}',
    "a plus before a number": b'{"command": "init", "a": +1}',
    "NaN": b'{"command": "init", "a": NaN}',
    "Infinity": b'{"command": "init", "a": -Infinity}',
    "True": b'{"command": "init", "a": True}',
    "bad UTF-8 in a member": b'{"command": "init", "a": "\xff"}',
    "bad UTF-8 in a name": b'{"command": "init", "\xff": 1}',
    "bad UTF-8 in a nested member": b'{"command": "init", "a": [{"b": "\xc3"}]}',
    "an overlong encoding": b'{"command": "init", "a": "\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"command": "init", "a": "\xed\xa0\x80"}',
    "bad UTF-8 outside a string": b'{"command": "init"}\xff',
}
NOT_COMMANDS = {
    "no command": b"{}",
    "another member only": b'{"channel": "a"}',
    "a command that is null": b'{"command": null}',
    "a command that is a number": b'{"command": 1}',
    "a command that is a list": b'{"command": ["init"]}',
    "a command that is an object": b'{"command": {}}',
    "a command in capitals": b'{"Command": "init"}',
    "a last command that is none": b'{"command": "init", "command": 1}',
}
NOT_CHANNELS = {
    "an empty channel": b'{"command": "open", "channel": ""}',
    "a channel that is null": b'{"command": "open", "channel": null}',
    "a channel that is a number": b'{"command": "open", "channel": 1}',
    "a channel that is false": b'{"command": "open", "channel": false}',
    "a channel that is a list": b'{"command": "open", "channel": ["a"]}',
    "a last channel that is empty": b'{"command": "open", "channel": "a", "channel": ""}',
    "a channel with a lone surrogate": b'{"command": "open", "channel": "\\ud800"}',
    "a channel in bad UTF-8": b'{"command": "open", "channel": "\xff"}',
}
MALFORMED = {**NOT_OBJECTS, **NOT_COMMANDS, **NOT_CHANNELS}


@pytest.mark.parametrize("read", READERS)
@pytest.mark.parametrize("name", MALFORMED)
def test_malformed_messages_are_protocol_errors(read: Callable[[bytes], Any], name: str) -> None:
    with pytest.raises(Problem) as caught:
        read(MALFORMED[name])
    assert caught.value.code == PROTOCOL_ERROR
    assert "expected" in caught.value.message
    assert "Traceback" not in caught.value.message
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("name", NOT_OBJECTS)
def test_what_is_no_object_has_no_members(name: str) -> None:
    with pytest.raises(Problem) as caught:
        read_object(NOT_OBJECTS[name])
    assert caught.value.code == PROTOCOL_ERROR


TAKEN = {
    "blanks": (b' \n{ "command" :\t"ping" } \r\n', "ping", None),
    "a channel": (b'{"command": "done", "channel": "a"}', "done", "a"),
    "an empty command": (b'{"command": ""}', "", None),
    "escapes": (
        b'{"c\\u006fmmand": "o\\u0070en", "channel": "\\u00e9\\n\\ud83d\\ude00"}',
        "open",
        "\u00e9\n\U0001f600",
    ),
    "UTF-8": ('{"command": "open", "channel": "\u00e9"}'.encode(), "open", "\u00e9"),
    "NUL": (b'{"command": "open", "channel": "\\u0000"}', "open", "\0"),
    "members that come twice": (b'{"command": "a", "channel": "x", "command": "b", "channel": "y"}', "b", "y"),
    "members that come twice, one escaped": (b'{"command": "a", "comm\\u0061nd": "b"}', "b", None),
    "unknown members": (
        b'{"a": {"command": "no", "channel": ""}, "command": "x", "b": [1, "\\u00e9", null]}',
        "x",
        None,
    ),
    "many digits": (b'{"command": "x", "a": ' + b"9" * 4_000 + b"}", "x", None),
    "digits of a fraction": (b'{"command": "x", "a": 0.' + b"1" * 4_000 + b"e-5}", "x", None),
    "a lone surrogate": (b'{"command": "init", "a": "\\ud800"}', "init", None),
    "a lone surrogate in a name": (b'{"command": "init", "\\udc00": 1}', "init", None),
    "a number next to nothing": (b'{"command": "x", "a": 1e-9999}', "x", None),
    "some depth": (b'{"command": "x", "a": ' + b"[" * 200 + b"]" * 200 + b"}", "x", None),
}


@pytest.mark.parametrize("name", TAKEN)
def test_messages_that_are_taken(name: str) -> None:
    payload, command, channel = TAKEN[name]
    assert read_head(payload) == (command, channel)
    assert read_message(payload) == (command, channel, read_object(payload))
    assert read_object(payload) == json.loads(payload)


@pytest.mark.parametrize("read", [*READERS, read_object])
@pytest.mark.parametrize(("opening", "closing"), [(b"[", b"]"), (b'{"a":', b"}")])
@pytest.mark.parametrize("depth", [1_000, 100_000, 800_000])
def test_deep_nesting_is_refused(read: Callable[[bytes], Any], opening: bytes, closing: bytes, depth: int) -> None:
    for middle, ends in ((b"1", closing * depth), (b"", b"")):
        payload = b'{"command": "x", "a": ' + opening * depth + middle + ends + b"}"
        with pytest.raises(Problem) as caught:
            read(payload)
        assert caught.value.code == PROTOCOL_ERROR
        assert len(caught.value.message) < 500


@pytest.mark.parametrize("escaped", [b'\\"', b'\\\\\\"', b"\\n"])
def test_a_string_without_an_end_is_looked_through_once(escaped: bytes) -> None:
    """Were each quote in it taken for the beginning of another, this would take days."""
    payload = b'{"command":"x","a":[' + b"[]," * DEEPEST + b'"' + escaped * 1_000_000
    with pytest.raises(Problem, match="expected a control message"):
        read_head(payload)


@pytest.mark.parametrize("number", [b"9" * 5_000, b"-" + b"9" * 500_000])
def test_integers_that_nothing_can_hold_are_kept_as_they_stand(number: bytes) -> None:
    payload = b'{"command":"x","a":' + number + b"}"
    assert read_head(payload) == ("x", None)
    assert control_payload(frame_of(read_object(payload))) == payload


def test_half_a_character_is_passed_on() -> None:
    payload = b'{"command":"x","a":"\\ud83d","b":["\\udcff",1e999]}'
    assert control_payload(frame_of(read_object(payload))) == payload


@pytest.mark.parametrize("payload", [b'{"command": "x", "password": "hunter2", }', b'{"command": ["hunter2"]}'])
def test_what_is_wrong_is_told_without_what_was_said(payload: bytes) -> None:
    for read in READERS:
        with pytest.raises(Problem) as caught:
            read(payload)
        assert "hunter2" not in caught.value.message


@pytest.mark.parametrize("number", [b"1e400", b"-1e99999", b"9" * 500_000 + b".5"])
def test_floats_that_nothing_can_hold_are_kept_as_they_stand(number: bytes) -> None:
    payload = b'{"command":"x","a":' + number + b"}"
    assert read_head(payload) == ("x", None)
    assert control_payload(frame_of(read_object(payload))) == payload


def test_other_floats_of_such_a_message_are_numbers() -> None:
    """By them rules match, and variables are filled in."""
    message = read_object(b'{"command": "x", "huge": 1e400, "port": 1.5, "all": [2.0, -0.5e1]}')
    assert [message["port"], *message["all"]] == [1.5, 2.0, -5.0]
    assert all(type(number) is float for number in (message["port"], *message["all"]))


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.text()),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(), inner, max_size=3)),
    max_leaves=6,
)
objects = st.dictionaries(
    st.one_of(st.sampled_from(["command", "channel", "host"]), st.text()), json_values, max_size=5
)


@examples(100)
@given(st.fixed_dictionaries({"command": st.text()}, optional={"channel": st.text(min_size=1)}), objects)
def test_any_message_is_read_as_it_is(head: dict[str, str], others: dict[str, Any]) -> None:
    message = {**others, **head}
    if "channel" not in head:
        message.pop("channel", None)
    for payload in (json.dumps(message).encode(), json.dumps(message, ensure_ascii=False, indent=1).encode()):
        assert read_head(payload) == (head["command"], head.get("channel"))
        assert read_message(payload) == (head["command"], head.get("channel"), message)
        assert read_object(payload) == message


@examples(100)
@given(st.one_of(objects.map(json.dumps).map(str.encode), st.binary(max_size=40), st.text(max_size=20).map(str.encode)))
def test_nothing_but_problems_comes_of_bad_input(payload: bytes) -> None:
    """And the readers agree on what is a message."""
    told: list[Any] = []
    for read in READERS:
        try:
            told.append(read(payload)[:2])
        except Problem:
            told.append(None)
    assert told[0] == told[1]
    try:
        members = json.loads(payload)
    except (ValueError, RecursionError):
        members = None
    channel = members.get("channel", "absent") if isinstance(members, dict) else None
    good = (
        isinstance(members, dict) and isinstance(members.get("command"), str) and isinstance(channel, str) and channel
    )
    assert (told[0] is not None) == bool(good)


@examples(100)
@given(st.data(), objects)
def test_a_message_that_is_spoilt_in_one_byte(data: st.DataObject, members: dict[str, Any]) -> None:
    payload = bytearray(json.dumps({"command": "x", **members}, ensure_ascii=False).encode())
    payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    told = []
    for read in READERS:
        try:
            told.append(read(bytes(payload))[:2])
        except Problem as problem:
            told.append((problem.code, None))
    assert told[0] == told[1]


# Writing


def members_of(frame: bytes) -> Any:
    """The members of the one control frame that `frame` is."""
    assert list(Splitter[str]({}).feed(frame)) == [(CONTROL, frame)]
    return json.loads(control_payload(frame))


def test_control() -> None:
    assert members_of(control("ping")) == {"command": "ping"}
    told = members_of(control("exit", exit_status=1, channel="a", command_line=["x"], __odd=None))
    assert told == {"command": "exit", "exit-status": 1, "channel": "a", "command-line": ["x"], "--odd": None}


def test_close() -> None:
    assert members_of(close("a")) == {"command": "close", "channel": "a"}
    told = members_of(close("a", "not-found", "no such thing", **{"exit-status": 1}))
    assert told == {
        "command": "close",
        "channel": "a",
        "problem": "not-found",
        "message": "no such thing",
        "exit-status": 1,
    }


def test_a_close_cannot_be_turned_into_something_else_by_its_members() -> None:
    told = members_of(close("a", "terminated", "gone", command="open"))
    assert told == {"command": "close", "channel": "a", "problem": "terminated", "message": "gone"}


@examples(100)
@given(objects)
def test_what_is_read_can_be_written(members: dict[str, Any]) -> None:
    message = read_object(json.dumps({"command": "x", **members}).encode())
    assert members_of(frame_of(message)) == message


@pytest.mark.parametrize(
    "name", ["code", "message", "self", "args", "problem", "channel", "command", "a b", "", "__init__"]
)
def test_a_problem_and_a_close_take_members_of_any_name(name: str) -> None:
    """A helper's `init` may have any members, and they are passed on."""
    members: dict[str, Any] = {name: "x"}
    problem = Problem("not-found", "no such thing", **members)
    assert (problem.code, problem.message, problem.members) == ("not-found", "no such thing", members)
    told = members_of(close("a", problem.code, problem.message, **problem.members))
    assert {name: "x"}.items() <= told.items() or name in ("command", "channel", "problem", "message")
    assert {
        "command": "close",
        "channel": "a",
        "problem": "not-found",
        "message": "no such thing",
    }.items() <= told.items()


@given(channel=st.text(min_size=1))
def test_a_message_of_a_channel_alone(channel: str) -> None:
    assert bare("done", channel) == frame_of({"command": "done", "channel": channel})
