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
from .signature import type_of, types_of
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
_NUMBER: Final = {order: Struct(order + "I").unpack_from for order in _ORDERS.values()}
_ZERO: Final = bytes(4)
_BEGINS_ANSWERS: Final = bytes((_REPLY_SERIAL, 1)) + b"u\0"
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

    def first(self) -> Any:
        """The first value of a body that has one; those behind it are not looked at. Raises Malformed."""
        try:
            return reader(types_of(self.signature)[0], self.order)(self.body, 0, 0)[0]
        except ERRORS as error:
            raise malformed(error) from None


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
    end = _START + head.fields
    fields = _fields_alike(data, head, end) if head.fields <= _ALIKE_BYTES else None
    answers = 0
    if fields is None:
        fields = _read_fields(data[1], head.order, data[_START:end])
        answers = fields.answers
    elif fields.answers_at:
        (answers,) = _NUMBER[head.order](data, _START + fields.answers_at)
    path, interface, member, error_name, _, _, destination, sender, signature, count = fields
    body = data[head.length - head.body : head.length]
    message = Message(
        data[1],
        head.serial,
        data[2],
        path,
        interface,
        member,
        error_name,
        answers,
        destination,
        sender,
        signature,
        body,
        head.order,
    )
    return message, count


class _Fields(NamedTuple):
    """What the fields of a header say. `answers_at`: where among their bytes `answers` stands, 0 if nowhere."""

    path: str | None
    interface: str | None
    member: str | None
    error: str | None
    answers: int
    answers_at: int
    destination: str | None
    sender: str | None
    signature: str
    fds: int


def _fields_alike(data: bytes, head: Head, end: int) -> _Fields | None:
    """The fields of a message by those of an earlier one that differed in the serial of the call at most, as answers of
    one peer do: `answers` is not to be trusted. None: it is not that easy."""
    at = data.find(_BEGINS_ANSWERS, _START, end)
    if at < 0:
        alike = data[_START:end]
    elif at + 8 > end:
        return None
    else:
        alike = data[_START : at + 4] + _ZERO + data[at + 8 : end]
    try:
        fields = _kept_fields(data[1], head.order, alike)
    except Malformed:
        return None  # what was cut out may have been no serial
    return fields if fields.answers_at == (at + 4 - _START if at >= 0 else 0) else None


def _read_fields(kind: int, order: str, data: bytes) -> _Fields:
    """The fields of a message of this kind. Raises Malformed."""
    try:
        fields, answers_at = _read_each(order, data)
    except ERRORS as error:
        raise malformed(error) from None
    for code in _REQUIRED.get(kind, ()):
        if code not in fields:
            raise Malformed(f"a message of type {kind} without field {code}")
    get = fields.get
    return _Fields(
        get(_PATH),
        get(_INTERFACE),
        get(_MEMBER),
        get(_ERROR_NAME),
        get(_REPLY_SERIAL, 0),
        answers_at,
        get(_DESTINATION),
        get(_SENDER),
        get(_SIGNATURE, ""),
        get(_FDS, 0),
    )


_kept_fields: Final = lru_cache(maxsize=512)(_read_fields)
_ALIKE_BYTES: Final = 512
"""Fields that are longer are not kept."""


def _read_each(order: str, data: bytes) -> tuple[dict[int, Any], int]:
    """Each field by its code, and where the serial of the call stands. Alignment is as in the message: the fields begin
    at a multiple of 8."""
    at, end = 0, len(data)
    answers_at = 0
    fields: dict[int, Any] = {}
    while at < end:
        at = (at + 7) & -8
        begin = _BEGINNINGS[order].get(data[at : at + 4])
        if begin is not None:
            code, read = begin
            value, at = read(data, at + 4, 2)
            fields[code] = _checked(code, value)
            if code == _REPLY_SERIAL:
                answers_at = at - 4
            continue
        code = data[at]
        (signature, read), at = of_variant(data, at + 1, order)
        _, at = read(data, at, 2)
        if code in _TYPES:
            raise Malformed(f"field {code} of type {signature}")
    if at != end:
        raise Malformed("fields that end within one")
    return fields, answers_at


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
    write = _kept_texts if len(message.path or "") <= _ALIKE_BYTES else _write_texts
    fields, size = write(
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


def _write_texts(
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


_kept_texts: Final = lru_cache(maxsize=1_024)(_write_texts)  # the same few methods are called again and again


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
