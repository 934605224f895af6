"""Types of D-Bus: signatures taken apart (D-Bus Specification, "Type System"), and what holds for values of them."""

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

LONGEST_SIGNATURE: Final = 255
DEEPEST_ARRAYS: Final = 32
DEEPEST_STRUCTS: Final = 32

ARRAY_BYTES: Final = 64 << 20
DEEPEST: Final = 64
"""Containers around a value: arrays, structs, dict entries and variants."""

ALIGNMENT: Final = {**dict.fromkeys("ygv", 1), **dict.fromkeys("nq", 2), **dict.fromkeys("biusoah", 4)}
"""Of the types that are not aligned to 8 bytes."""

_BASIC: Final = frozenset("ynqiuxtbdsogh")
_PATH: Final = re.compile("/|(?:/[A-Za-z0-9_]+)+")


class Type(NamedTuple):
    """One complete type. `code`: its first letter; `inner`: what an array, a struct or a dict entry is made of."""

    text: str
    code: str
    inner: tuple["Type", ...] = ()


class Variant(NamedTuple):
    """A value that carries its signature, a single complete type."""

    signature: str
    value: Any


class SignatureError(ValueError):
    """Not a signature; the text says why."""


@lru_cache(maxsize=512)
def types_of(signature: str) -> tuple[Type, ...]:
    """The complete types of a signature. Raises SignatureError."""
    if len(signature) > LONGEST_SIGNATURE:
        raise SignatureError(f"found a signature of {len(signature)} characters, expected at most {LONGEST_SIGNATURE}")
    found: list[Type] = []
    at = 0
    while at < len(signature):
        kind, at = _read(signature, at, 0, 0)
        found.append(kind)
    return tuple(found)


def type_of(signature: str) -> Type:
    """The one complete type that a signature is. Raises SignatureError."""
    types = types_of(signature)
    if len(types) != 1:
        raise SignatureError(f"found {_told(signature)}, expected a signature of one complete type")
    return types[0]


def _read(signature: str, at: int, arrays: int, structs: int) -> tuple[Type, int]:
    """The complete type that begins at `at`, and where it ends."""
    code = signature[at : at + 1]
    if code in _BASIC or code == "v":
        return Type(code, code), at + 1
    if code == "a" and arrays < DEEPEST_ARRAYS:
        read = _read_entry if signature[at + 1 : at + 2] == "{" else _read
        inner, end = read(signature, at + 1, arrays + 1, structs)
        return Type(signature[at:end], "a", (inner,)), end
    if code == "(" and structs < DEEPEST_STRUCTS:
        members, end = _read_until(signature, ")", at + 1, arrays, structs + 1)
        if members:
            return Type(signature[at:end], "(", members), end
    raise SignatureError(f"{_told(signature)} is no signature: position {at} does not begin a type")


def _read_entry(signature: str, at: int, arrays: int, structs: int) -> tuple[Type, int]:
    members, end = _read_until(signature, "}", at + 1, arrays, structs)
    if len(members) != 2 or members[0].code not in _BASIC:
        raise SignatureError(f"{_told(signature)} is no signature: position {at} is no key, of a basic type, and value")
    return Type(signature[at:end], "{", members), end


def _read_until(signature: str, closing: str, at: int, arrays: int, structs: int) -> tuple[tuple[Type, ...], int]:
    members: list[Type] = []
    while signature[at : at + 1] != closing:
        member, at = _read(signature, at, arrays, structs)
        members.append(member)
    return tuple(members), at + 1


def _told(signature: str) -> str:
    import json  # unlike msgspec's it writes what is no Unicode, too

    return f"string {json.dumps(signature)}"


def is_path(text: str) -> bool:
    """Whether it has the form of an object path: "/", or names of letters, digits and underscores with a "/" each."""
    return _PATH.fullmatch(text) is not None


def is_below(path: str, namespace: str) -> bool:
    """Whether `path` is `namespace` or stands below it."""
    return path == namespace or namespace == "/" or path.startswith(namespace + "/")
