"""What is wrong with text that is not JSON, in words that help to mend it.

The decoder says no, at times without saying where. This is only asked after that, so it may take its time.
"""

from __future__ import annotations

import math
import re

from .locate import STRING
from .member import printable

_SPACE = re.compile(rb"[ \t\r\n]*+")
_PLAIN = re.compile(rb'[^"\\\x00-\x1f]*+')
_ESCAPE = re.compile(rb'\\(?:["\\/bfnrt]|u([0-9a-fA-F]{4}))')
_NUMBER = re.compile(rb"-?(?:0|[1-9][0-9]*+)(\.[0-9]++)?([eE][+-]?[0-9]++)?")
_WORD = re.compile(rb"[A-Za-z_$][\w$]*+")
_BRACKET = re.compile(STRING + rb"|[\[\]{}]", re.DOTALL)

_VALUE = "a value"
_FIRST_ELEMENT = "a value or ]"
_FIRST_NAME = "the name of a member in double quotes, or }"
_NAME = "the name of a member in double quotes"
_COLON = ": after the name of the member"
_MORE = {b"[": ", or ]", b"{": ", or }"}
_NOTHING = "nothing more"

_UTF_16_MARKS = (b"\xff\xfe", b"\xfe\xff")  # UTF-32 begins with one of them, or with NUL
_WORDS = (b"true", b"false", b"null")
MAX_DIGITS = 4300
"""Digits of a whole number that the decoder takes."""


class _NotJSONError(Exception):
    def __init__(self, offset: int, message: str) -> None:
        super().__init__(message)
        self.offset = offset
        self.message = message


def first_error(data: bytes) -> tuple[int, str]:
    """Offset in bytes of what the decoder stumbled over, and a sentence about it."""
    if data.startswith(_UTF_16_MARKS) or b"\0" in data[:2]:
        return 0, "found text in UTF-16 or the like, expected text in UTF-8"
    try:
        data.decode()
        limit = len(data)
    except UnicodeDecodeError as error:
        limit = error.start
    try:
        _walk(data[:limit], cut=limit < len(data))
    except _NotJSONError as error:
        if error.offset < limit or limit == len(data):
            return error.offset, error.message
    if limit < len(data):
        return limit, f"found byte 0x{data[limit]:02x}, expected text in UTF-8"
    return 0, "found something that is not JSON"


def first_too_deep(data: bytes, max_depth: int) -> int:
    """Offset of the first bracket inside `max_depth` others."""
    depth = 0
    for token in _BRACKET.finditer(data):
        first = token[0][:1]
        if first in b"[{":
            depth += 1
            if depth > max_depth:
                return token.start()
        elif first in b"]}":
            depth -= 1
    return 0


def _walk(data: bytes, *, cut: bool) -> None:
    """Raise _NotJSONError at the first error. cut: the text goes on, but not in UTF-8."""
    if data.startswith(b"\xef\xbb\xbf"):
        raise _NotJSONError(0, "found a byte order mark, expected text in UTF-8 without one")
    stack: list[bytes] = []
    expected = _VALUE
    at = 0
    while True:
        at = _after(_SPACE, data, at)
        first = data[at : at + 1]
        if not first:
            if expected is _NOTHING:
                return
            raise _NotJSONError(
                at, f"the file ends, expected {expected}" if at else "found an empty file, expected an object"
            )
        if stack and expected is not _VALUE and expected not in (_NAME, _COLON) and first == _closing(stack[-1]):
            stack.pop()
            at += 1
        elif expected in (_FIRST_NAME, _NAME):
            if first != b'"':
                raise _unexpected(data, at, expected)
            at = _string(data, at, cut=cut)
            expected = _COLON
            continue
        elif expected is _COLON:
            if first != b":":
                raise _unexpected(data, at, expected)
            at += 1
            expected = _VALUE
            continue
        elif expected in (_VALUE, _FIRST_ELEMENT):
            if first in b"[{":
                stack.append(first)
                at += 1
                expected = _FIRST_ELEMENT if first == b"[" else _FIRST_NAME
                continue
            at = _scalar(data, at, expected, cut=cut)
        elif first == b"," and stack:
            at += 1
            expected = _VALUE if stack[-1] == b"[" else _NAME
            continue
        else:
            raise _unexpected(data, at, expected)
        expected = _MORE[stack[-1]] if stack else _NOTHING


def _closing(opening: bytes) -> bytes:
    return b"]" if opening == b"[" else b"}"


def _after(pattern: re.Pattern[bytes], data: bytes, at: int) -> int:
    found = pattern.match(data, at)
    return found.end() if found else at


def _scalar(data: bytes, at: int, expected: str, *, cut: bool) -> int:
    if data[at : at + 1] == b'"':
        return _string(data, at, cut=cut)
    if word := _WORD.match(data, at):
        if word[0] not in _WORDS:
            raise _unexpected(data, at, expected)
        return word.end()
    number = _NUMBER.match(data, at)
    if number is None:
        raise _unexpected(data, at, expected)
    if number[1] or number[2]:
        if math.isinf(float(number[0])):
            raise _NotJSONError(at, "found a number beyond 1.8e308")
    elif len(number[0].lstrip(b"-")) > MAX_DIGITS:
        raise _NotJSONError(at, f"found a number of {len(number[0])} digits, expected at most {MAX_DIGITS}")
    return number.end()


def _string(data: bytes, start: int, *, cut: bool) -> int:
    """The offset after the string that starts here."""
    at = start + 1
    while True:
        at = _after(_PLAIN, data, at)
        first = data[at : at + 1]
        if first == b'"':
            return at + 1
        if not first:
            # Where the text was cut, what follows is the thing to speak of.
            raise _NotJSONError(len(data) if cut else start, 'found a string without its closing "')
        if first != b"\\":
            what = "a line break" if first in b"\r\n" else f"control character 0x{first[0]:02x}"
            raise _NotJSONError(at, f"found {what} in a string, expected an escape like \\n")
        escape = _ESCAPE.match(data, at)
        if escape is None:
            found = printable(data[at : at + 6].decode(errors="replace").split("\n")[0])
            raise _NotJSONError(
                at, f'found {found} in a string, expected one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX'
            )
        at = _surrogates(data, escape) if escape[1] else escape.end()


def _surrogates(data: bytes, escape: re.Match[bytes]) -> int:
    """The offset after a \\uXXXX, or after the two that make one character."""
    code = int(escape[1], 16)
    if not 0xD800 <= code <= 0xDFFF:
        return escape.end()
    second = _ESCAPE.match(data, escape.end())
    if code >= 0xDC00 or second is None or not second[1] or not 0xDC00 <= int(second[1], 16) <= 0xDFFF:
        raise _NotJSONError(escape.start(), f"found {escape[0].decode()}, one half of a character without the other")
    return second.end()


def _unexpected(data: bytes, at: int, expected: str) -> _NotJSONError:
    first = data[at : at + 1]
    if data[at : at + 2] in (b"//", b"/*") or first == b"#":
        return _NotJSONError(at, "found a comment, which JSON does not have")
    if word := _WORD.match(data, at):
        found = word[0][:40].decode()
    elif first == b'"':
        found = "a string"
    else:
        found = printable(data[at : at + 4].decode(errors="replace")[:1])
    if first in b"]}" and expected in (_VALUE, _NAME) and data[:at].rstrip()[-1:] == b",":
        return _NotJSONError(at, f"found {found} after a comma, expected {expected}")
    return _NotJSONError(at, f"found {found}, expected {expected}")
