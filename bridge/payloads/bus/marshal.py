"""Python values as bytes of D-Bus (D-Bus Specification, "Marshaling"), little-endian.

The values are those of values.py, and were checked there: what a bus finds wrong in one message costs the whole
connection. Only what shows with the bytes is looked at here: how deep they nest, and how long an array is.
"""

from collections.abc import Callable
from functools import lru_cache
from struct import Struct
from typing import Any, Final

from .signature import ALIGNMENT, ARRAY_BYTES, DEEPEST, Type, Variant, type_of, types_of

Writer = Callable[[bytearray, Any, int], None]

_U32: Final = Struct("<I")
_FIXED: Final = {"n": "<h", "q": "<H", "i": "<i", "u": "<I", "h": "<I", "x": "<q", "t": "<Q", "d": "<d"}
_PADDING: Final = bytes(8)


class TooMuch(ValueError):
    """A value that D-Bus has no room for; the text says why."""


def marshal(signature: str, values: "list[Any] | tuple[Any, ...]") -> bytes:
    """The body of a message. Raises TooMuch."""
    if not signature and not values:
        return b""
    out = bytearray()
    for kind, value in zip(types_of(signature), values, strict=True):
        _writer(kind)(out, value, 0)
    return bytes(out)


@lru_cache(maxsize=512)
def _writer(kind: Type) -> Writer:
    code = kind.code
    if code in _FIXED:
        return _fixed(Struct(_FIXED[code]))
    if code in "so":
        return _write_string
    if code == "a":
        return _array(kind.inner[0])
    if code in "({":
        return _struct(kind)
    return {"y": _write_byte, "b": _write_boolean, "g": _write_signature, "v": _write_variant}[code]


def _pad(out: bytearray, alignment: int) -> None:
    out += _PADDING[: -len(out) % alignment]


def _fixed(form: Struct) -> Writer:
    pack, size = form.pack, form.size

    def write(out: bytearray, value: Any, depth: int) -> None:
        _pad(out, size)
        out += pack(value)

    return write


def _write_byte(out: bytearray, value: Any, depth: int) -> None:
    out.append(value)


def _write_boolean(out: bytearray, value: Any, depth: int) -> None:
    _pad(out, 4)
    out += _U32.pack(1 if value else 0)


def _write_string(out: bytearray, value: Any, depth: int) -> None:
    data = value.encode()
    _pad(out, 4)
    out += _U32.pack(len(data))
    out += data
    out.append(0)


def _write_signature(out: bytearray, value: Any, depth: int) -> None:
    data = value.encode()
    out.append(len(data))
    out += data
    out.append(0)


def _write_variant(out: bytearray, value: Variant, depth: int) -> None:
    _write_signature(out, value.signature, depth)
    _writer(type_of(value.signature))(out, value.value, _deeper(depth))


def _struct(kind: Type) -> Writer:
    writers = [_writer(member) for member in kind.inner]

    def write(out: bytearray, value: Any, depth: int) -> None:
        depth = _deeper(depth)
        _pad(out, 8)
        for writer, member in zip(writers, value, strict=True):
            writer(out, member, depth)

    return write


def _array(inner: Type) -> Writer:
    alignment = ALIGNMENT.get(inner.code, 8)
    writer = None if inner.code == "y" else _writer(inner)

    def write(out: bytearray, value: Any, depth: int) -> None:
        depth = _deeper(depth)
        _pad(out, 4)
        place = len(out)
        out += _U32.pack(0)
        _pad(out, alignment)
        begin = len(out)
        if writer is None:
            out += value
        else:
            for member in value.items() if inner.code == "{" else value:
                writer(out, member, depth)
        size = len(out) - begin
        if size > ARRAY_BYTES:
            raise TooMuch(f"an array of {size} bytes, expected at most {ARRAY_BYTES}")
        _U32.pack_into(out, place, size)

    return write


def _deeper(depth: int) -> int:
    if depth >= DEEPEST:
        raise TooMuch(f"nested deeper than {DEEPEST} levels")
    return depth + 1
