"""The values of large bodies, read a piece at a time, so that others have their turn in between (skipping.py)."""

from collections.abc import Generator, Iterator
from typing import Any

from .message import Message
from .signature import Type, type_of, types_of
from .skipping import PIECE_BYTES, is_large, skipper
from .turns import Turn
from .unmarshal import ERRORS, Malformed, array_bounds, key_reader, malformed, reader

Read = Generator[None, None, tuple[Any, int]]
"""Yields after each piece; gives a value, and the position behind it."""


async def values_of(message: Message, turn: Turn) -> list[Any]:
    """As `message.values`, variants bare. Raises Malformed."""
    if not is_large(message.body):
        return message.values(bare=True)
    values: list[Any] = []
    for _ in _Body(message).values(values):
        await turn.pause()
    return values


def entries(message: Message) -> Iterator[tuple[str, Any] | None]:
    """The entries of the dictionary that the body begins with, values bare; None after each piece of one. Raises
    Malformed, also after the first."""
    return _Body(message).entries()


class _Body:
    def __init__(self, message: Message) -> None:
        self._signature = message.signature
        self._order = message.order
        self._data = message.body

    def values(self, into: list[Any]) -> Iterator[None]:
        at = 0
        try:
            for kind in types_of(self._signature):
                value, at = yield from self._value(kind, at, bare=True)
                into.append(value)
        except (*ERRORS, RecursionError) as error:
            raise malformed(error) from None
        if at != len(self._data):
            raise Malformed("a body that is longer than its signature")

    def entries(self) -> Iterator[tuple[str, Any] | None]:
        kind = types_of(self._signature)[0].inner[0]
        of_key, of_value = kind.inner
        read_key = key_reader(of_key, self._order)
        try:
            at, end = array_bounds(self._order, kind)(self._data, 0)
            while at < end:
                key, at = read_key(self._data, (at + 7) & -8, 2)
                value, at = yield from self._value(of_value, at, bare=True)
                yield key, value
        except (*ERRORS, RecursionError) as error:
            raise malformed(error) from None
        if at != end:
            raise Malformed("a dictionary that ends within an entry")

    def _value(self, kind: Type, at: int, *, bare: bool) -> Read:
        end = skipper(kind, self._order)(self._data, at)
        if end - at <= PIECE_BYTES or kind.text == "ay" or not (kind.inner or kind.code == "v"):
            found: tuple[Any, int] = reader(kind, self._order, bare)(self._data, at, 2)
            return found
        if kind.code == "v":
            return (yield from self._variant(at, bare=bare))
        if kind.code == "(":
            return (yield from self._struct(kind, (at + 7) & -8, bare=bare))
        if kind.inner[0].code == "{":
            return (yield from self._dictionary(kind.inner[0], at, bare=bare))
        return (yield from self._array(kind.inner[0], at, bare=bare))

    def _variant(self, at: int, *, bare: bool) -> Read:
        end = at + 1 + self._data[at]
        kind = type_of(self._data[at + 1 : end].decode())
        value, at = yield from self._value(kind, end + 1, bare=False)
        return (value if bare else {"t": kind.text, "v": value}), at

    def _struct(self, kind: Type, at: int, *, bare: bool) -> Read:
        values = []
        for member in kind.inner:
            value, at = yield from self._value(member, at, bare=bare)
            values.append(value)
        return values, at

    def _dictionary(self, entry: Type, at: int, *, bare: bool) -> Read:
        of_key, of_value = entry.inner
        read_key = key_reader(of_key, self._order)
        at, end = array_bounds(self._order, entry)(self._data, at)
        values = {}
        piece = at
        while at < end:
            key, at = read_key(self._data, (at + 7) & -8, 2)
            values[key], at = yield from self._value(of_value, at, bare=bare)
            if at - piece > PIECE_BYTES:
                piece = at
                yield
        return values, _checked(at, end)

    def _array(self, inner: Type, at: int, *, bare: bool) -> Read:
        at, end = array_bounds(self._order, inner)(self._data, at)
        values = []
        piece = at
        while at < end:
            value, at = yield from self._value(inner, at, bare=bare)
            values.append(value)
            if at - piece > PIECE_BYTES:
                piece = at
                yield
        return values, _checked(at, end)


def _checked(at: int, end: int) -> int:
    if at != end:
        raise Malformed("an array that ends within a member")
    return at
