"""Bytes of D-Bus as what JSON has for them (D-Bus Specification, "Marshaling"; docs/dbus.md, "Values").

Each type has a function that reads one value of it from the body of a message: it is given the body, the position and
how deep the value nests, and gives the value and the position behind it. They are put together once for each type.

Most of a large answer are variants of properties, of which only the value is told: `bare` readers leave out the
signatures of the outermost variants.

Nothing is taken on trust: a peer that is no bus may send anything.
"""

import binascii
import math
from collections.abc import Callable
from functools import cache, lru_cache
from struct import Struct
from struct import error as struct_error
from typing import Any, Final

import msgspec

from .signature import ALIGNMENT, ARRAY_BYTES, DEEPEST, SignatureError, Type, is_path, type_of, types_of

Reader = Callable[[bytes, int, int], tuple[Any, int]]

_FIXED: Final = {"n": "h", "q": "H", "i": "i", "u": "I", "x": "q", "t": "Q"}
_SIGNATURES: Final = 4_096
"""Signatures whose readers are kept."""


class Malformed(ValueError):
    """Bytes that are no D-Bus; the text says why."""


class Handle:
    """Stands for a descriptor: its place among those of the message. What JSON has for it, whoever tells it decides."""

    __slots__ = ("index",)

    def __init__(self, index: int) -> None:
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Handle) and other.index == self.index

    def __hash__(self) -> int:
        return hash(self.index)


def unmarshal(signature: str, body: bytes, order: str = "<", *, bare: bool = False) -> list[Any]:
    """All values of a body in the byte order `<` or `>`. Raises Malformed."""
    try:
        readers = _readers_of(signature, order, bare)
        at = 0
        values = []
        for read in readers:
            value, at = read(body, at, 0)
            values.append(value)
    except ERRORS as error:
        raise malformed(error) from None
    if at != len(body):
        raise Malformed(f"a body of {len(body)} bytes, of which the signature takes {at}")
    return values


ERRORS: Final = (struct_error, IndexError, UnicodeDecodeError, SignatureError, Malformed)
"""What a reader raises for bytes that are no D-Bus."""


def malformed(error: Exception) -> Malformed:
    return error if isinstance(error, Malformed) else Malformed(str(error))


@lru_cache(maxsize=_SIGNATURES)
def _readers_of(signature: str, order: str, bare: bool) -> list[Reader]:
    return [reader(kind, order, bare) for kind in types_of(signature)]


@lru_cache(maxsize=_SIGNATURES)
def reader(kind: Type, order: str, bare: bool = False) -> Reader:
    """The function that reads a value of this type."""
    code = kind.code
    if code == "a":
        return _array(kind.inner[0], order, bare)
    if code == "(":
        return _struct([reader(member, order, bare) for member in kind.inner])
    if code == "v":
        return _bare_variant(order) if bare else _variant(order)
    return _basic(code, order)


@cache
def _basic(code: str, order: str) -> Reader:
    if code in _FIXED:
        return _fixed(Struct(order + _FIXED[code]))
    made = {"s": _string, "o": _path, "b": _boolean, "d": _double, "h": _handle}
    if code in made:
        return made[code](order)
    return _byte if code == "y" else _signature


def _fixed(form: Struct) -> Reader:
    unpack, size = form.unpack_from, form.size

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        at = (at + size - 1) & -size
        return unpack(data, at)[0], at + size

    return read


def _byte(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    return data[at], at + 1


def _signature(data: bytes, at: int, depth: int) -> tuple[Any, int]:
    begin = at + 1
    end = begin + data[at]
    if data[end]:
        raise Malformed("a signature without a zero at its end")
    text = data[begin:end].decode()
    types_of(text)
    return text, end + 1


def _string(order: str) -> Reader:
    length = Struct(order + "I").unpack_from

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        begin = ((at + 3) & -4) + 4
        end = begin + length(data, begin - 4)[0]
        if data[end]:
            raise Malformed("a string without a zero at its end")
        text = data[begin:end].decode()
        if "\0" in text:
            raise Malformed("a zero within a string")
        return text, end + 1

    return read


def _path(order: str) -> Reader:
    string = _basic("s", order)

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        text, at = string(data, at, depth)
        if not is_path(text):
            raise Malformed("an object path that is none")
        return text, at

    return read


def _boolean(order: str) -> Reader:
    number = _basic("u", order)

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        value, at = number(data, at, depth)
        if value > 1:
            raise Malformed(f"{value} as a boolean")
        return value == 1, at

    return read


def _double(order: str) -> Reader:
    unpack = Struct(order + "d").unpack_from

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        at = (at + 7) & -8
        (value,) = unpack(data, at)
        return value if math.isfinite(value) else None, at + 8  # JSON has no other place for it

    return read


def _handle(order: str) -> Reader:
    number = _basic("u", order)

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        index, at = number(data, at, depth)
        return Handle(index), at

    return read


def _struct(readers: list[Reader]) -> Reader:
    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        depth = _deeper(depth)
        at = (at + 7) & -8
        values = []
        for each in readers:
            value, at = each(data, at, depth)
            values.append(value)
        return values, at

    return read


def array_bounds(order: str, inner: Type) -> Callable[[bytes, int], tuple[int, int]]:
    """The function that tells where the members of an array begin and end."""
    length = Struct(order + "I").unpack_from
    alignment = ALIGNMENT.get(inner.code, 8)

    def bounds(data: bytes, at: int) -> tuple[int, int]:
        at = (at + 3) & -4
        (size,) = length(data, at)
        begin = (at + 3 + alignment) & -alignment
        end = begin + size
        if size > ARRAY_BYTES or end > len(data):
            raise Malformed(f"an array of {size} bytes")
        return begin, end

    return bounds


def _array(inner: Type, order: str, bare: bool) -> Reader:
    bounds = array_bounds(order, inner)
    if inner.code == "y":
        return _bytes(bounds)
    if inner.code == "{":
        return _dictionary(inner, order, bare, bounds)
    item = reader(inner, order, bare)

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        depth = _deeper(depth)
        at, end = bounds(data, at)
        values = []
        while at < end:
            value, at = item(data, at, depth)
            values.append(value)
        if at != end:
            raise Malformed("an array that ends within a member")
        return values, at

    return read


def _bytes(bounds: Callable[[bytes, int], tuple[int, int]]) -> Reader:
    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        _deeper(depth)
        at, end = bounds(data, at)
        return binascii.b2a_base64(data[at:end], newline=False).decode(), end

    return read


def _dictionary(entry: Type, order: str, bare: bool, bounds: Callable[[bytes, int], tuple[int, int]]) -> Reader:
    of_key, of_value = entry.inner
    read_key, read_value = key_reader(of_key, order), reader(of_value, order, bare)

    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        depth = _deeper(_deeper(depth))
        at, end = bounds(data, at)
        values = {}
        while at < end:
            key, at = read_key(data, (at + 7) & -8, depth)
            values[key], at = read_value(data, at, depth)
        if at != end:
            raise Malformed("a dictionary that ends within an entry")
        return values, at

    return read


def key_reader(kind: Type, order: str) -> Reader:
    """The same for the key of a dictionary: one that is no string is told by its JSON text."""
    read = reader(kind, order)
    if kind.code in "sog":
        return read

    def read_key(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        value, at = read(data, at, depth)
        return "null" if isinstance(value, Handle) else msgspec.json.encode(value).decode(), at

    return read_key


@lru_cache(maxsize=_SIGNATURES)
def _of_variant(signature: bytes, order: str) -> tuple[str, Reader]:
    kind = type_of(signature.decode())
    return kind.text, reader(kind, order)


@cache
def _variant(order: str) -> Reader:
    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        (text, of_value), at = of_variant(data, at, order)
        value, at = of_value(data, at, _deeper(depth))
        return {"t": text, "v": value}, at

    return read


@cache
def _bare_variant(order: str) -> Reader:
    def read(data: bytes, at: int, depth: int) -> tuple[Any, int]:
        (_, of_value), at = of_variant(data, at, order)
        return of_value(data, at, _deeper(depth))

    return read


def of_variant(data: bytes, at: int, order: str) -> tuple[tuple[str, Reader], int]:
    """The signature of a variant's value, its reader, and where the value begins."""
    begin = at + 1
    end = begin + data[at]
    if data[end]:
        raise Malformed("a signature without a zero at its end")
    return _of_variant(data[begin:end], order), end + 1


def _deeper(depth: int) -> int:
    if depth >= DEEPEST:
        raise Malformed(f"nested deeper than {DEEPEST} levels")
    return depth + 1
