"""Text that is not JSON: the decoder's verdict and ours must agree, and ours must say where."""

import json
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from spanbridge.manifests.syntax import first_error, first_too_deep

from .manifest_tree import properties
from .test_locate import JSON, LAYOUTS

NO_ERROR = (0, "found something that is not JSON")
"""What the search says if it finds nothing."""


def refused(data: bytes) -> bool:
    try:
        msgspec.json.decode(data)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return True
    return False


def assert_agreement(data: bytes) -> None:
    offset, message = first_error(data)
    assert 0 <= offset <= len(data)
    assert "\n" not in message
    assert refused(data) == ((offset, message) != NO_ERROR), message


@properties
@given(st.text('{}[]",:\\/ \n\t01e+-.utrlfans8dDcC\x00\x7fä', max_size=12).map(str.encode) | st.binary(max_size=8))
def test_any_text(data: bytes) -> None:
    assert_agreement(data)


@properties
@given(JSON, LAYOUTS, st.data())
def test_json_with_a_byte_changed_added_or_gone(value: Any, indent: int | str | None, data: st.DataObject) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=data.draw(st.booleans())).encode()
    assert_agreement(text)
    at = data.draw(st.integers(0, len(text)))
    gone = data.draw(st.integers(0, 2))
    added = data.draw(
        st.sampled_from([b"", b",", b'"', b"}", b"]", b"\\", b"1", b"\n", b"\xff", b"x", b"\\ud83d", b":"])
    )
    assert_agreement(text[:at] + added + text[at + gone :])


@pytest.mark.parametrize(
    ("text", "offset", "message"),
    [
        ('{"a" 1}', 5, "found 1, expected : after the name of the member"),
        ('{"a":, 1}', 5, "found ,, expected a value"),
        ('{"a": tru}', 6, "found tru, expected a value"),
        ('{"a": True}', 6, "found True, expected a value"),
        ('{"a": 01}', 7, "found 1, expected , or }"),
        ('{"a": .5}', 6, "found ., expected a value"),
        ('{"a": +5}', 6, "found +, expected a value"),
        ('{"a": 5.}', 7, "found ., expected , or }"),
        ('{"a": -}', 6, "found -, expected a value"),
        ("{a: 1}", 1, "found a, expected the name of a member in double quotes, or }"),
        ("[1 2]", 3, "found 2, expected , or ]"),
        ("[1}", 2, "found }, expected , or ]"),
        ('{"a": 1]', 7, "found ], expected , or }"),
        ("[1,]", 3, "found ] after a comma, expected a value"),
        ("[", 1, "the file ends, expected a value or ]"),
        ('{"a"', 4, "the file ends, expected : after the name of the member"),
        ('{"a": "b', 6, 'found a string without its closing "'),
        ('{"a": "b\n"}', 8, "found a line break in a string"),
        ('{"a": "\t"}', 7, "found control character 0x09 in a string"),
        ('{"a": "\\x"}', 7, 'found \\x"} in a string, expected one of'),
        ('["\\u12g4"]', 2, "found \\u12g4 in a string, expected one of"),
        ('["\\udc00"]', 2, "found \\udc00, one half of a character without the other"),
        ('["\\udc00\\udc00"]', 2, "found \\udc00, one half of a character without the other"),
        ('["\\ud800\\n"]', 2, "found \\ud800, one half of a character without the other"),
        ("[1] # note", 4, "found a comment, which JSON does not have"),
        ("[/* */ 1]", 1, "found a comment, which JSON does not have"),
        ("[Infinity]", 1, "found Infinity, expected a value"),
        ("[\u00a01]", 1, "found \\u00a0, expected a value or ]"),
    ],
)
def test_where_and_what(text: str, offset: int, message: str) -> None:
    found = first_error(text.encode())
    assert found[0] == offset
    assert any(part in found[1] for part in message.split("|")), found[1]


def test_the_first_of_two_errors_is_told() -> None:
    assert first_error(b'{"a": x, "b": "\xff"}')[0] == 6
    assert first_error(b'{"b": "\xff", "a": x}')[0] == 7
    assert first_error(b'["\xff')[0] == 2


def test_long_and_deep_text() -> None:
    assert first_error(b"[" * 200_000)[0] == 200_000
    assert first_error(b'["' + b'\\"' * 200_000)[0] == 1
    assert first_error(b'{"":' * 50_000)[0] == 200_000


def test_the_first_bracket_that_is_too_deep() -> None:
    assert first_too_deep(b'["[[[", [], {"{": [[]]}]', 3) == len(b'["[[[", [], {"{": [')


@pytest.mark.parametrize(
    "odd", ["\x07", "\x1b[2J", "\x7f", "\x9b2J", "\u2028", "\u202e", "\ufeff", "\U000e0001", "\\\x1b"]
)
@pytest.mark.parametrize("text", ["[{}]", '["a", \\{}]', '["\\{}"]', '{{"a" {}}}', '{{"{}": nul}}'])
def test_what_is_told_moves_no_terminal(odd: str, text: str) -> None:
    _, message = first_error(text.format(odd).encode())
    assert message.isprintable(), message
