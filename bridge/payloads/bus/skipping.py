"""Where values of a large body end, seen without reading them: each type has a function that passes over one value."""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Final

from .signature import Type, type_of
from .unmarshal import array_bounds

PIECE_BYTES: Final = 64 << 10
"""Of a body: so much is read in one go."""

Skip = Callable[[bytes, int], int]

_FIXED: Final = {"y": 1, "n": 2, "q": 2, "b": 4, "i": 4, "u": 4, "h": 4, "x": 8, "t": 8, "d": 8}


def is_large(body: bytes) -> bool:
    """Whether it is worth the trouble to read it a piece at a time (slices.py, gather.py)."""
    return len(body) > PIECE_BYTES


@lru_cache(maxsize=4_096)
def skipper(kind: Type, order: str) -> Skip:
    """The function that tells where a value of this type ends."""
    code = kind.code
    if code in _FIXED:
        return _skip_fixed(_FIXED[code])
    if code in "so":
        return _skip_string(order)
    if code == "g":
        return _skip_signature
    if code == "v":
        return _skip_variant(order)
    if code == "a":
        bounds = array_bounds(order, kind.inner[0])
        return lambda data, at: bounds(data, at)[1]
    return _skip_struct([skipper(member, order) for member in kind.inner])


def _skip_fixed(size: int) -> Skip:
    return lambda data, at: ((at + size - 1) & -size) + size


def _skip_string(order: str) -> Skip:
    length = Struct(order + "I").unpack_from

    def skip(data: bytes, at: int) -> int:
        at = (at + 3) & -4
        return int(at + 5 + length(data, at)[0])

    return skip


def _skip_signature(data: bytes, at: int) -> int:
    return at + 2 + data[at]


def _skip_variant(order: str) -> Skip:
    def skip(data: bytes, at: int) -> int:
        end = at + 1 + data[at]
        return skipper(type_of(data[at + 1 : end].decode()), order)(data, end + 1)

    return skip


def _skip_struct(members: list[Skip]) -> Skip:
    def skip(data: bytes, at: int) -> int:
        at = (at + 7) & -8
        for member in members:
            at = member(data, at)
        return at

    return skip
