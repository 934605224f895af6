"""Heads: of a request, written; of an answer, read and checked (docs/http.md, "The answer").

h11 would do this in 40 us more a request, a fifth of all that a small one costs, and lets too much pass; what both
should agree on is compared with it in the tests.
"""

import re
from typing import Final

import msgspec

from spanbridge.protocol.problems import PROTOCOL_ERROR, TOO_LARGE, Problem

from .headers import Headers, text_of

HEAD_BYTES: Final = 128 << 10
FIELDS: Final = 256
SWITCHING: Final = 101

_LONGEST: Final = (1 << 63) - 1
"""The largest Content-Length."""
_SURE_DIGITS: Final = 18
"""So many digits are never more than that."""
_TOLD: Final = 60  # bytes of a bad line that a message shows

_START: Final = b"HTTP/1."
_END: Final = re.compile(rb"\n\r?\n")
_STATUS: Final = re.compile(rb"HTTP/1\.([0-9]) ([0-9]{3})(?: ([^\r\n]*))?\r?\n")
# A value may go on in lines that begin with white space (RFC 9112, 5.2).
_TOKEN: Final = rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+"
_FIELD: Final = re.compile(rb"(" + _TOKEN + rb"):([^\n]*(?:\n[ \t][^\n]*)*)\n")
_FIELDS: Final = re.compile(rb"((?:" + _TOKEN + rb":[^\n]*\n(?:[ \t][^\n]*\n)*)*)\r?\n")

_CONNECTION: Final = b"connection"
_LENGTH: Final = b"content-length"
_CODING: Final = b"transfer-encoding"
_CHUNKED: Final = b"chunked"


def request_head(method: str, path: str, *headers: Headers) -> bytes:
    """The head of a request. All of it was checked when the options were read: nothing in it ends a line."""
    lines = [f"{method} {path} HTTP/1.1\r\n"]
    lines += [f"{name}: {value}\r\n" for each in headers for name, value in each]
    lines.append("\r\n")
    return "".join(lines).encode()


class Head(msgspec.Struct, frozen=True):
    """Status line and headers, each field as the server wrote it."""

    status: int
    reason: str
    headers: list[tuple[bytes, bytes]]
    keeps: bool
    """Whether the server keeps the connection once it has answered."""
    chunked: bool
    length: int | None
    """What Content-Length says."""

    def values(self, name: bytes) -> list[bytes]:
        """Of all fields of that name, which is in lower case."""
        return [value for each, value in self.headers if each.lower() == name]

    def words(self, name: bytes) -> list[bytes]:
        """The members, in lower case, of a header that is a list."""
        return [word.strip().lower() for value in self.values(name) for word in value.split(b",")]


class HeadReader:
    """Collects the bytes of heads; one for each request. Interim answers (1xx) are swallowed.

    Raises Problem (`protocol-error`, `too-large`), whose message begins with `server`.
    """

    __slots__ = ("_begun", "_data", "_searched", "_server", "_upgrades")

    def __init__(self, server: object, *, upgrades: bool = False) -> None:
        """`upgrades`: the request asked for another protocol."""
        self._server = server
        self._upgrades = upgrades
        self._data = bytearray()
        self._searched = 0
        self._begun = False  # whether the status line of a head that is not whole was looked at

    def feed(self, data: bytes | bytearray) -> tuple[Head, bytes] | None:
        """The head, once it is whole, and what came after it."""
        if self._data:
            self._data += data  # not copied: it may come byte by byte
            data, self._data = self._data, bytearray()
        begin = 0
        while True:
            found = _END.search(data, max(self._searched - 2, begin))
            if found is None or found.end() - begin > HEAD_BYTES:
                data = data[begin:]
                if len(data) > HEAD_BYTES:
                    raise Problem(TOO_LARGE, f"{self._server}: an answer whose head has more than {HEAD_BYTES} bytes")
                if not self._begun:
                    self._begin(data)
                self._data, self._searched = data if isinstance(data, bytearray) else bytearray(data), len(data)
                return None
            head = self._read(bytes(data[begin : found.end()]))
            begin = found.end()  # what follows is not copied: there may be thousands of heads
            self._searched, self._begun = 0, False
            if head.status >= 200 or (head.status == SWITCHING and self._upgrades):
                return head, bytes(data[begin:])
            if head.status == SWITCHING:
                raise self._wrong("it changes to another protocol, which nobody asked for")

    def _begin(self, data: bytes | bytearray) -> None:
        """Look at what there is of the status line: what speaks something else may say no more, and wait for us."""
        if _STATUS.match(data):
            self._begun = True
        elif b"\n" in data or data[: len(_START)] != _START[: len(data)]:
            raise self._no_status(bytes(data))

    def _no_status(self, found: bytes) -> Problem:
        return self._wrong(f"expected the status line of HTTP/1.1, found {_line(found)!r}")

    def _read(self, raw: bytes) -> Head:
        if b"\0" in raw or raw.count(b"\r") != raw.count(b"\r\n"):
            raise self._wrong("a NUL, or a CR that ends no line, in the head")
        begin = _STATUS.match(raw)
        if begin is None:
            raise self._no_status(raw)
        status = int(begin[2])
        if status < 100:
            raise self._wrong(f"expected a status of 100 or more, found {status:03}")
        fields = self._fields(raw, begin.end())
        length, chunked, keeps = None, False, begin[1] != b"0"
        for name, value in fields:
            lower = name.lower()
            if lower == _LENGTH:
                length = self._length(value, length)
            elif lower == _CODING:
                chunked = self._coding(value, chunked=chunked)
            elif lower == _CONNECTION and b"close" in value.lower():
                keeps = False
        if chunked and length is not None:
            raise self._wrong("both Transfer-Encoding and Content-Length")
        return Head(status, text_of(begin[3] or b""), fields, keeps, chunked, length)

    def _fields(self, raw: bytes, pos: int) -> list[tuple[bytes, bytes]]:
        block = _FIELDS.match(raw, pos)
        if block is None or block.end() < len(raw):
            raise self._wrong(f"expected a header, found {_no_field(raw, pos)!r}")
        fields = [(name, value.strip(b" \t\r")) for name, value in _FIELD.findall(raw, pos)]
        if len(fields) > FIELDS:
            raise Problem(TOO_LARGE, f"{self._server}: an answer with more than {FIELDS} headers")
        if block[1].count(b"\n") > len(fields):
            fields = [(name, _unfolded(value)) for name, value in fields]
        return fields

    def _length(self, value: bytes, before: int | None) -> int:
        if before is None and value.isdigit() and len(value) <= _SURE_DIGITS:
            return int(value)
        lengths = {each.strip(b" \t") for each in value.split(b",")}
        digits = lengths.pop()
        # Any number of zeros may come first, but no number of digits be made an integer.
        shortest = digits.lstrip(b"0") or b"0"
        if lengths or not digits.isdigit() or len(shortest) > _SURE_DIGITS + 1 or int(shortest) > _LONGEST:
            raise self._wrong(f"expected a length in Content-Length, found {value[:_TOLD]!r}")
        if before is not None and before != int(shortest):
            raise self._wrong("two lengths")
        return int(shortest)

    def _coding(self, value: bytes, *, chunked: bool) -> bool:
        if chunked or value.lower() != _CHUNKED:
            raise self._wrong(f"expected the transfer coding chunked, found {value[:_TOLD]!r}")
        return True

    def _wrong(self, what: str) -> Problem:
        return Problem(PROTOCOL_ERROR, f"{self._server}: {what}")


def _unfolded(value: bytes) -> bytes:
    """A value that may go on in further lines, as one. A pattern would look at each run of white space many times."""
    return b" ".join([line.strip(b" \t\r") for line in value.split(b"\n")]).strip(b" ")


def _no_field(raw: bytes, pos: int) -> bytes:
    """The first line that is no header, for a message."""
    while (field := _FIELD.match(raw, pos)) is not None:
        pos = field.end()
    return _line(raw[pos:])


def _line(data: bytes) -> bytes:
    """The beginning of the first line, for a message."""
    return data.partition(b"\n")[0][:_TOLD]
