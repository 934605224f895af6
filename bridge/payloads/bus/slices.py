"""Large bodies, read and told a piece at a time, so that others have their turn in between.

A large body becomes JSON text directly, where it is only told (else: gather.py): nobody holds all of its values.
"""

import binascii
from codecs import getincrementaldecoder
from collections.abc import Callable, Generator, Iterator
from typing import Any, Final

import msgspec

from .message import Message
from .signature import Type, type_of, types_of
from .skipping import PIECE_BYTES, skipper
from .unmarshal import ERRORS, Malformed, array_bounds, key_reader, malformed, reader

_BASE64_BYTES: Final = PIECE_BYTES // 3 * 3  # but for the last piece, none is padded

Encode = Callable[[Any], bytes]


class Text:
    """The JSON text of a large body. `out` grows with each piece, up to the first that makes it longer than `most`."""

    def __init__(self, message: Message, encode: Encode, most: int) -> None:
        self.out = bytearray()
        self._message = message
        self._order = message.order
        self._data = message.body
        self._encode = encode
        self._most = most

    def pieces(self) -> Iterator[None]:
        """Yields after each piece. Raises Malformed."""
        for _ in self._all():
            if len(self.out) > self._most:
                return
            yield

    def _all(self) -> Iterator[None]:
        self.out += b"["
        at = 0
        try:
            for index, kind in enumerate(types_of(self._message.signature)):
                if index:
                    self.out += b","
                at = yield from self._value(kind, at)
        except (*ERRORS, RecursionError) as error:
            raise malformed(error) from None
        if at != len(self._data):
            raise Malformed("a body that is longer than its signature")
        self.out += b"]"

    def _value(self, kind: Type, at: int) -> "Generator[None, None, int]":
        end = skipper(kind, self._order)(self._data, at)
        if end - at <= PIECE_BYTES or not (kind.inner or kind.code in "sv"):
            value, at = reader(kind, self._order)(self._data, at, 0)
            self.out += self._encode(value)
            yield
        elif kind.code == "s":
            at = yield from self._string(at)
        elif kind.code == "v":
            at = yield from self._variant(at)
        elif kind.text == "ay":
            at = yield from self._bytes(at)
        elif kind.code == "(":
            at = yield from self._members(kind, (at + 7) & -8)
        elif kind.inner[0].code == "{":
            at = yield from self._dictionary(kind.inner[0], at)
        else:
            at = yield from self._array(kind.inner[0], at)
        return at

    def _string(self, at: int) -> "Generator[None, None, int]":
        end = skipper(type_of("s"), self._order)(self._data, at) - 1
        if self._data[end]:
            raise Malformed("a string without a zero at its end")
        decode = getincrementaldecoder("utf-8")().decode
        self.out += b'"'
        for begin in range(((at + 3) & -4) + 4, end, PIECE_BYTES):
            behind = min(begin + PIECE_BYTES, end)
            text = decode(self._data[begin:behind], behind == end)
            if "\0" in text:
                raise Malformed("a zero within a string")
            self.out += self._encode(text)[1:-1]
            yield
        self.out += b'"'
        return end + 1

    def _bytes(self, at: int) -> "Generator[None, None, int]":
        at, end = array_bounds(self._order, type_of("y"))(self._data, at)
        self.out += b'"'
        for begin in range(at, end, _BASE64_BYTES):
            self.out += binascii.b2a_base64(self._data[begin : min(begin + _BASE64_BYTES, end)], newline=False)
            yield
        self.out += b'"'
        return end

    def _variant(self, at: int) -> "Generator[None, None, int]":
        begin = at + 1
        end = begin + self._data[at]
        kind = type_of(self._data[begin:end].decode())
        self.out += b'{"t":' + self._encode(kind.text) + b',"v":'
        at = yield from self._value(kind, end + 1)
        self.out += b"}"
        return at

    def _members(self, kind: Type, at: int) -> "Generator[None, None, int]":
        self.out += b"["
        for index, member in enumerate(kind.inner):
            if index:
                self.out += b","
            at = yield from self._value(member, at)
        self.out += b"]"
        return at

    def _dictionary(self, entry: Type, at: int) -> "Generator[None, None, int]":
        of_key, of_value = entry.inner
        read_key = key_reader(of_key, self._order)
        at, end = array_bounds(self._order, entry)(self._data, at)
        self.out += b"{"
        first = True
        while at < end:
            key, at = read_key(self._data, (at + 7) & -8, 0)
            self.out += (b"" if first else b",") + self._encode(key) + b":"
            first = False
            at = yield from self._value(of_value, at)
        _check_end(at, end)
        self.out += b"}"
        return at

    def _array(self, inner: Type, at: int) -> "Generator[None, None, int]":
        skip, read = skipper(inner, self._order), reader(inner, self._order)
        at, end = array_bounds(self._order, inner)(self._data, at)
        self.out += b"["
        first = True
        while at < end:
            self.out += b"" if first else b","
            first = False
            until = min(at + PIECE_BYTES, end)
            if skip(self._data, at) > until:
                at = yield from self._value(inner, at)
                continue
            values: list[Any] = []
            while at < until and (not values or skip(self._data, at) <= until):
                value, at = read(self._data, at, 0)
                values.append(value)
            self.out += self._encode(values)[1:-1]
            yield
        _check_end(at, end)
        self.out += b"]"
        return at


def _check_end(at: int, end: int) -> None:
    if at != end:
        raise Malformed("an array that ends within a member")


def encoder(hook: Callable[[Any], Any]) -> Encode:
    """JSON text of values, of which `hook` gives what stands for a Handle."""
    return msgspec.json.Encoder(enc_hook=hook).encode


without_descriptors: Final = encoder(lambda handle: None)
"""Makes JSON text of values none of which is a descriptor that was given."""
