"""Messages of D-Bus as bytes, both ways (D-Bus Specification, "Message Protocol").

Only the header is read when a message comes: most of what a bus sends is looked at by path and name alone. `values`
reads the body.
"""

import sys
from collections.abc import Awaitable, Callable
from functools import lru_cache
from struct import Struct
from typing import Any, Final, NamedTuple

from .marshal import TooMuch, marshal
from .names import is_bus_name, is_interface, is_member
from .signature import type_of
from .unmarshal import ERRORS, Malformed, malformed, of_variant, reader, unmarshal

MESSAGE_BYTES: Final = 128 << 20
FIELDS_BYTES: Final = 64 << 20

CALL: Final = 1
REPLY: Final = 2
ERROR: Final = 3
SIGNAL: Final = 4

NO_REPLY: Final = 1
NO_AUTO_START: Final = 2
INTERACTIVE: Final = 4

ORDER: Final = "<" if sys.byteorder == "little" else ">"
"""The byte order of this machine. What we write is little-endian all the same: everybody reads both."""

_PATH, _INTERFACE, _MEMBER, _ERROR_NAME, _REPLY_SERIAL, _DESTINATION, _SENDER, _SIGNATURE, _FDS = range(1, 10)
_TYPES: Final = {
    **dict.fromkeys((_INTERFACE, _MEMBER, _ERROR_NAME, _DESTINATION, _SENDER), "s"),
    **dict.fromkeys((_REPLY_SERIAL, _FDS), "u"),
    _PATH: "o",
    _SIGNATURE: "g",
}
_REQUIRED: Final = {
    CALL: (_PATH, _MEMBER),
    REPLY: (_REPLY_SERIAL,),
    ERROR: (_ERROR_NAME, _REPLY_SERIAL),
    SIGNAL: (_PATH, _INTERFACE, _MEMBER),
}
_START: Final = 16
"""Bytes of a header before its fields."""
_ORDERS: Final = {ord("l"): "<", ord("B"): ">"}
_NUMBERS: Final = {order: Struct(order + "III").unpack_from for order in _ORDERS.values()}
_PADDING: Final = bytes(8)
_U32: Final = Struct("<I")
_HEAD: Final = Struct("<cBBBIII")


class Message(NamedTuple):
    """One message. What it has not is None; `fds` are its descriptors, which belong to whoever has the message."""

    kind: int
    serial: int = 0
    flags: int = 0
    path: str | None = None
    interface: str | None = None
    member: str | None = None
    error: str | None = None
    answers: int = 0
    """The serial of the call that it answers; 0: it is no answer."""
    destination: str | None = None
    sender: str | None = None
    signature: str = ""
    body: bytes = b""
    order: str = "<"
    fds: "list[int] | tuple[int, ...]" = ()

    def values(self, *, bare: bool = False) -> list[Any]:
        """The body as JSON has it; `bare` as in unmarshal.py. Raises Malformed."""
        return unmarshal(self.signature, self.body, self.order, bare=bare)


Answered = Callable[[Message], Awaitable[None] | None]
"""Is given the answer to a call. What it returns is awaited before anything else of the peer is heeded."""


class Head(NamedTuple):
    """What the first bytes of a message say: its order, its whole length, that of its fields and of its body."""

    order: str
    length: int
    fields: int
    body: int
    serial: int


def read_head(data: "bytes | bytearray", at: int) -> Head:
    """Of the message that begins at `at`, of which at least 16 bytes are there. Raises Malformed."""
    order = _ORDERS.get(data[at])
    if order is None or data[at + 3] != 1 or not data[at + 1]:
        raise Malformed("what should be the beginning of a message is none")
    body, serial, fields = _NUMBERS[order](data, at + 4)
    length = _START + ((fields + 7) & -8) + body
    if fields > FIELDS_BYTES or length > MESSAGE_BYTES or not serial:
        raise Malformed(f"a message of {length} bytes with {fields} of fields")
    return Head(order, length, fields, body, serial)


def read_message(data: bytes, head: Head) -> tuple[Message, int]:
    """A whole message, without its descriptors, and how many those are. Raises Malformed."""
    try:
        fields = _read_fields(data, head)
    except ERRORS as error:
        raise malformed(error) from None
    kind = data[1]
    for code in _REQUIRED.get(kind, ()):
        if code not in fields:
            raise Malformed(f"a message of type {kind} without field {code}")
    message = Message(
        kind,
        head.serial,
        data[2],
        fields.get(_PATH),
        fields.get(_INTERFACE),
        fields.get(_MEMBER),
        fields.get(_ERROR_NAME),
        fields.get(_REPLY_SERIAL, 0),
        fields.get(_DESTINATION),
        fields.get(_SENDER),
        fields.get(_SIGNATURE, ""),
        data[head.length - head.body : head.length],
        head.order,
    )
    return message, fields.get(_FDS, 0)


def _read_fields(data: bytes, head: Head) -> dict[int, Any]:
    order = head.order
    at, end = _START, _START + head.fields
    fields: dict[int, Any] = {}
    while at < end:
        at = (at + 7) & -8
        begin = _BEGINNINGS[order].get(data[at : at + 4])
        if begin is not None:
            code, read = begin
            value, at = read(data, at + 4, 2)
            fields[code] = _checked(code, value)
            continue
        code = data[at]
        (signature, read), at = of_variant(data, at + 1, order)
        _, at = read(data, at, 2)
        if code in _TYPES:
            raise Malformed(f"field {code} of type {signature}")
    if at != end:
        raise Malformed("fields that end within one")
    return fields


_BEGINNINGS: Final = {
    order: {
        bytes((code, 1)) + kind.encode() + b"\0": (code, reader(type_of(kind), order)) for code, kind in _TYPES.items()
    }
    for order in _ORDERS.values()
}
"""How the fields that we know begin: the code, and the signature of a value. What reads the value."""

_VALID: Final = {
    _INTERFACE: is_interface,
    _ERROR_NAME: is_interface,
    _MEMBER: is_member,
    _DESTINATION: is_bus_name,
    _SENDER: is_bus_name,
}


def _checked(code: int, value: Any) -> Any:
    valid = _VALID.get(code)
    if valid is not None and not valid(value):
        raise Malformed(f"field {code} that is no name")
    return value


# Written


def write_message(message: Message, serial: int) -> bytes:
    """The bytes of a message, little-endian; its body is there. Raises TooMuch."""
    fields, size = _fields_of(
        message.path, message.interface, message.member, message.error, message.destination, message.signature
    )
    if message.answers or message.fds:
        more = [_number_field(_REPLY_SERIAL, message.answers)] if message.answers else []
        more += [_number_field(_FDS, len(message.fds))] if message.fds else []
        fields = b"".join([*more, fields])
        size += sum(map(len, more))
    start = _HEAD.pack(b"l", message.kind, message.flags, 1, len(message.body), serial, size)
    whole = b"".join((start, fields, message.body))
    if len(whole) > MESSAGE_BYTES:
        raise TooMuch(f"a message of {len(whole)} bytes, expected at most {MESSAGE_BYTES}")
    return whole


@lru_cache(maxsize=1_024)  # the same few methods are called again and again
def _fields_of(
    path: str | None,
    interface: str | None,
    member: str | None,
    error: str | None,
    destination: str | None,
    signature: str,
) -> tuple[bytes, int]:
    """The fields of text, with what fills them up to 8 bytes, and how many bytes they are without."""
    out = bytearray()
    for code, text in (
        (_PATH, path),
        (_INTERFACE, interface),
        (_MEMBER, member),
        (_ERROR_NAME, error),
        (_DESTINATION, destination),
        (_SIGNATURE, signature or None),
    ):
        if text is not None:
            kind = _TYPES[code]
            out += _PADDING[: -len(out) % 8]
            # These are four bytes: any value after them is aligned.
            out += bytes((code, 1)) + kind.encode() + b"\0" + marshal(kind, [text])
    return bytes(out) + _PADDING[: -len(out) % 8], len(out)


def _number_field(code: int, number: int) -> bytes:
    return bytes((code, 1)) + b"u\0" + _U32.pack(number)  # 8 bytes: the next one is aligned


def call(
    path: str,
    interface: str | None,
    member: str,
    signature: str = "",
    values: "list[Any] | tuple[Any, ...]" = (),
    *,
    destination: str | None = None,
    flags: int = 0,
    fds: "list[int] | tuple[int, ...]" = (),
) -> Message:
    """A call with these values. Raises TooMuch."""
    body = marshal(signature, values)
    return Message(CALL, 0, flags, path, interface, member, None, 0, destination, None, signature, body, "<", fds)


def signal(
    path: str,
    interface: str,
    member: str,
    signature: str,
    values: "list[Any] | tuple[Any, ...]",
    *,
    destination: str | None = None,
) -> Message:
    """A signal with these values. Raises TooMuch."""
    body = marshal(signature, values)
    return Message(SIGNAL, 0, NO_REPLY, path, interface, member, None, 0, destination, None, signature, body)


def reply(to: Message, signature: str = "", values: "list[Any] | tuple[Any, ...]" = ()) -> Message:
    """The answer to a call. Raises TooMuch."""
    body = marshal(signature, values)
    return Message(REPLY, 0, NO_REPLY, None, None, None, None, to.serial, to.sender, None, signature, body)


def error(to: Message, name: str, signature: str = "", values: "list[Any] | tuple[Any, ...]" = ()) -> Message:
    """The error that answers a call. Raises TooMuch."""
    body = marshal(signature, values)
    return Message(ERROR, 0, NO_REPLY, None, None, None, name, to.serial, to.sender, None, signature, body)
